"""Write stills and sequences by OpenImageIO, with all that the source's files hold beside the picture."""

from __future__ import annotations

import os
import secrets
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio

from grainlayer.errors import MediaError
from grainlayer.picture.encoders import closest
from grainlayer.picture.media import Frame, MediaInfo, Plane, Writer, check_planes, checked_output
from grainlayer.picture.numbering import numbering_of
from grainlayer.picture.samples import SampleFormat, sample_format
from grainlayer.picture.stills import StillFile, StillSource, still_format_name
from grainlayer.picture.timecode import advanced, to_bcd

_DEPTHS = {
    ".exr": ("f16", "f32"),
    ".dpx": ("8", "10", "12", "16"),
    ".tif": ("8", "16", "f32"),
    ".tiff": ("8", "16", "f32"),
    ".png": ("8", "16"),
}
_NOT_IN_DPX = {(True, True, "10"), *((False, True, depth) for depth in _DEPTHS[".dpx"])}
"""Colour, alpha, depth: OpenImageIO writes no grey with alpha, and 10-bit colour with alpha wrongly at some widths."""
_LOSSY = ("dwaa", "dwab", "b44", "b44a", "pxr24", "jpeg", "lossy")
_SHARED = ("smpte:TimeCode", "FramesPerSecond", "PixelAspectRatio", "ICCProfile", "Orientation")
"""Attributes that mean the same in every kind of file."""
_FULL = ("No space", "disk full", "File too large")
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_LARGEST_WHOLE = 1 << 22
"""Whole numbers up to here survive OpenImageIO's conversion beside float channels."""


def still_formats(path: Path) -> list[SampleFormat]:
    """Return the formats that the file kind of `path` holds exactly; raise MediaError for one that is only read."""
    depths = _DEPTHS.get(path.suffix.lower())
    if depths is None:
        raise MediaError(f"{path} cannot be written; use one of {', '.join(_DEPTHS)}.")
    kinds = ((colour, alpha, depth) for colour in (True, False) for alpha in (False, True) for depth in depths)
    return [sample_format(still_format_name(*kind)) for kind in kinds if path.suffix.lower() != ".dpx" or kind not in _NOT_IN_DPX]


def nearest_still_format(path: Path, format: SampleFormat) -> SampleFormat:
    """Return the format closest to `format` that the file kind of `path` holds; see `nearest_format`."""
    return closest(format, still_formats(path))


class StillWriter(Writer):
    """Write one still or a sequence into a hidden folder beside its place; see `create_stills` and `Writer`."""

    def __init__(
        self, path: Path, like: MediaInfo, format: SampleFormat, size: tuple[int, int], metadata: dict[str, str], overwrite: bool
    ) -> None:
        """Check the place and the format; raise MediaError for one that does not fit."""
        if format not in still_formats(path):
            names = ", ".join(other.name for other in still_formats(path))
            raise MediaError(f"{path} cannot hold {format.name} exactly; convert to one of {names}.")
        self.path, self._like, self._format, self._size, self._metadata = path, like, format, size, metadata
        self._overwrite = overwrite
        self._numbering = numbering_of(path)
        if self._numbering is None:
            checked_output(path, overwrite)
        else:
            self._check_sequence(self._numbering.folder, overwrite)
        self._folder = path.parent / f".{path.name}.{secrets.token_hex(4)}.partial"
        self._folder.mkdir()
        self._written: list[tuple[Path, Path]] = []
        self._done = False

    def _check_sequence(self, folder: Path, overwrite: bool) -> None:
        checked_output(folder / "new", True)
        if self._numbering is not None and not overwrite and (files := self._numbering.files()):
            raise MediaError(f"{next(iter(files.values()))} exists; add --overwrite to replace frames, or name another sequence.")

    def write(self, frame: Frame) -> None:
        """Write a frame's file; see `Writer.write`."""
        check_planes(self.path, frame, self._format, self._size)
        if self._numbering is None and self._written:
            raise MediaError(f"{self.path} is one picture; name a sequence like {self.path.stem}.####{self.path.suffix} for more.")
        place = self.path if self._numbering is None else self._numbering.path(self._like.first_number + frame.index)
        part = self._folder / place.name
        try:
            self._write_file(part, frame)
        except MediaError:
            part.unlink(missing_ok=True)
            raise
        self._written.append((part, place))

    def finish(self) -> None:
        """Move the files to their place; see `Writer.finish`."""
        if self._done:
            return
        for _, place in self._written:
            checked_output(place, self._overwrite)
        for part, place in self._written:
            os.replace(part, place)
        self.abort()

    def abort(self) -> None:
        """Remove what was written; see `Writer.abort`."""
        if not self._done:
            self._done = True
            shutil.rmtree(self._folder, ignore_errors=True)

    def _write_file(self, part: Path, frame: Frame) -> None:
        source = frame.sidecar if isinstance(frame.sidecar, StillSource) else None
        suffix = part.suffix.lower()
        output: Any = oiio.ImageOutput.create(str(part))
        if source and suffix == ".exr" == source.path.suffix.lower() and self._keeps_window(source):
            done = self._write_exr(output, part, frame, source)
        else:
            spec = self._spec(frame, source, suffix)
            done = output.open(str(part), spec) and output.write_image(_interleaved(frame.planes, self._format))
        done = output.close() and done
        if not done or not _complete(part):
            raise self._failure(frame, part, output.geterror())

    def _keeps_window(self, source: StillSource) -> bool:
        spec, format = source.picture.spec, source.picture.format
        same_planes = (format.kind, format.alpha) == (self._format.kind, self._format.alpha)
        return (spec.width, spec.height) == self._size and same_planes

    def _failure(self, frame: Frame, part: Path, text: str) -> MediaError:
        free = shutil.disk_usage(self._folder).free
        full = free < sum(plane.nbytes for plane in frame.planes) or any(word in text for word in _FULL)
        reason = (
            "the disk is full; free some space and run again" if full else " ".join(text.split()).rstrip(".") or "the system refused it"
        )
        return MediaError(f"{part.name} (frame {frame.index} of {self.path}) cannot be written: {reason}.")

    def _spec(self, frame: Frame, source: StillSource | None, suffix: str) -> Any:
        """Return the description of a file with the picture alone."""
        format = self._format
        kind = ("half" if format.bits == 16 else "float") if format.floating else ("uint8" if format.bits == 8 else "uint16")
        spec = oiio.ImageSpec(*self._size, format.plane_count, kind)
        spec.channelnames = (("R", "G", "B") if format.kind == "rgb" else ("Y",)) + (("A",) if format.alpha else ())
        spec.alpha_channel = format.plane_count - 1 if format.alpha else -1
        if source is not None:
            same = {source.path.suffix.lower(), suffix} <= {".tif", ".tiff"} or source.path.suffix.lower() == suffix
            _pass_on(source.picture.spec, spec, same)
        else:
            self._state_times(spec, frame)
        if not format.floating:
            spec.attribute("oiio:BitsPerSample", format.bits)
        if format.alpha and suffix != ".exr":
            spec.attribute("oiio:UnassociatedAlpha", 1)
        return self._finished(spec)

    def _finished(self, spec: Any) -> Any:
        """Return the description with a lossless compression and the caller's metadata."""
        compression = str(spec.getattribute("compression") or "")
        if compression.startswith(_LOSSY):
            spec.attribute("compression", "zip")
        for key, value in self._metadata.items():
            spec.attribute({"comment": "ImageDescription"}.get(key, key), value)
        return spec

    def _state_times(self, spec: Any, frame: Frame) -> None:
        """State rate, timecode and pixel shape where the source is no picture file."""
        like = self._like
        spec.attribute("PixelAspectRatio", float(like.sample_aspect))
        spec.attribute("FramesPerSecond", oiio.TypeRational, _rational(like.rate))
        spec.attribute("dpx:FrameRate", float(like.rate))
        word = to_bcd(advanced(like.timecode, frame.index, like.rate) or "") if like.timecode and like.rate <= 40 else None
        if word is not None:
            spec.attribute("smpte:TimeCode", oiio.TypeTimeCode, (word, 0))

    def _write_exr(self, output: Any, part: Path, frame: Frame, source: StillSource) -> bool:
        """Write all parts of the source, one of them with the frame's planes in place of its picture."""
        with StillFile(source.path, frame.index) as file:
            specs: list[Any] = []
            while file.input.seek_subimage(len(specs), 0):
                specs.append(self._lossless(file.input.spec()))
            which = file.picture.part
            pixels, kinds = self._merged(file, frame)
            specs[which].channelformats = tuple(oiio.TypeDesc(kind) for kind in kinds)
            self._finished(specs[which])
            done = output.open(str(part), tuple(specs)) if len(specs) > 1 else output.open(str(part), specs[0])
            for index, spec in enumerate(specs):
                done = done and (index == 0 or output.open(str(part), spec, "AppendSubimage"))
                if index == which:
                    done = done and output.write_image(pixels)
                else:
                    done = done and file.input.seek_subimage(index, 0) and output.copy_image(file.input)
        return bool(done)

    def _lossless(self, spec: Any) -> Any:
        if str(spec.getattribute("compression") or "").startswith(_LOSSY):
            spec.attribute("compression", "zip")
        return spec

    def _merged(self, file: StillFile, frame: Frame) -> tuple[Plane, list[str]]:
        """Return the part's channels as one array, the picture's replaced, and the types they have in the file."""
        spec, picture = file.picture.spec, file.picture
        kinds = [str(spec.channelformat(channel)) for channel in range(spec.nchannels)]
        own = "half" if self._format.bits == 16 else "float"
        for channel in picture.channels:
            kinds[channel] = own
        wide = "half" if set(kinds) == {"half"} else "float" if "uint" not in kinds else "double"
        pixels = np.empty((spec.height, spec.width, spec.nchannels), {"half": np.float16, "float": np.float32, "double": np.float64}[wide])
        for channel, plane in zip(picture.channels, frame.planes, strict=True):
            pixels[:, :, channel] = plane
        for channel in sorted(set(range(spec.nchannels)) - set(picture.channels)):
            values = file.read(picture.part, channel, channel + 1, kinds[channel])[:, :, 0]
            pixels[:, :, channel] = _unit_interval(values, self.path, frame.index, spec.channelnames[channel])
        return pixels, kinds


def _unit_interval(values: Plane, path: Path, index: int, name: str) -> Plane:
    """Return whole numbers as fractions of their range, as OpenImageIO wants them beside floats; raise MediaError for too large ones."""
    if values.dtype != np.uint32:
        return values
    if values.size and int(values.max()) > _LARGEST_WHOLE:
        raise MediaError(f"Channel {name} of frame {index} holds whole numbers too large to be written into {path}; remove or convert it.")
    return values / float((1 << 32) - 1)


def _complete(path: Path) -> bool:
    """Say whether a file is there and, for PNG, ends as it must: a full disk cuts it off without an error."""
    if not path.is_file() or path.suffix.lower() != ".png":
        return path.is_file()
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - len(_PNG_END)))
        return file.read() == _PNG_END


def _pass_on(source: Any, target: Any, same_kind: bool) -> None:
    """Copy a file's attributes: all between files of one kind, else those that mean the same in both."""
    for item in source.extra_attribs:
        if (same_kind and not item.name.startswith("oiio:")) or item.name in _SHARED:
            target.attribute(item.name, item.type, item.value)


def _rational(rate: Fraction) -> tuple[int, int]:
    return rate.numerator, rate.denominator


def _interleaved(planes: tuple[Plane, ...], format: SampleFormat) -> Plane:
    """Return planes as (H, W, channels); 10 and 12-bit codes spread over 16 bits as OpenImageIO expects."""
    pixels = np.stack(planes, axis=2)
    if not format.floating and 8 < format.bits < 16:
        return (pixels << (16 - format.bits)) | (pixels >> (2 * format.bits - 16))
    return pixels
