"""Read stills and sequences by OpenImageIO: EXR, DPX, TIFF, PNG and what else it knows, in the codes the files hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio

from grainlayer.errors import MediaError
from grainlayer.picture.media import Frame, MediaInfo, Plane, Reader, check_finite
from grainlayer.picture.numbering import find_sequence
from grainlayer.picture.samples import MATRIX_RGB, TRANSFER_LINEAR, UNSPECIFIED, ColourTags, SampleFormat, sample_format
from grainlayer.picture.timecode import from_bcd

_TYPES = {"uint8": "8", "uint16": "16", "half": "f16", "float": "f32"}
_LUMA_CHROMA = frozenset(("CbYCrY", "CbYCrYA", "CbYACrYA", "CbYCr", "CbYCrA"))
"""DPX layouts that OpenImageIO turns into RGB by rounding."""
_ROTATIONS = {3: 180, 6: 270, 8: 90}
"""Degrees counter-clockwise by TIFF's orientation."""


@dataclass(frozen=True)
class Picture:
    """Hold which channels of a file are the picture.

    part      index of the part (subimage), 0 but for files of several parts
    channels  their numbers in the part: R, G, B[, A] or grey[, A]
    bits      significant bits that the file states
    """

    part: int
    channels: tuple[int, ...]
    format: SampleFormat
    spec: Any


@dataclass(frozen=True)
class StillSource:
    """Hold where a frame came from, as its sidecar: the writer passes on the file's other channels, parts and attributes."""

    path: Path
    picture: Picture


def open_still(path: Path, rate: Fraction | None) -> Reader:
    """Open one still; see `open_media`."""
    return StillReader(path, "still", [path], 0, rate)


def open_sequence(path: Path, rate: Fraction | None) -> Reader:
    """Open a sequence; see `open_media`."""
    numbering, files = find_sequence(path)
    return StillReader(numbering.pattern, "sequence", list(files.values()), min(files), rate)


class StillReader(Reader):
    """Read one still or a sequence; frame `index` is the file of number `first_number + index`."""

    def __init__(self, path: Path, kind: Any, files: list[Path], first: int, rate: Fraction | None) -> None:
        """Read the first file's header."""
        self._files = files
        with StillFile(files[0], 0) as file:
            self._first = file.picture
        attributes = {item.name: item.value for item in self._first.spec.extra_attribs}
        rate = _rate(attributes) or rate or Fraction(24)
        format = self._first.format
        self.info = MediaInfo(
            path=path,
            kind=kind,
            width=self._first.spec.width,
            height=self._first.spec.height,
            format=format,
            tags=ColourTags(True, transfer=_transfer(files[0], attributes), matrix=MATRIX_RGB if format.kind == "rgb" else UNSPECIFIED),
            rate=rate,
            time_base=1 / rate,
            frames=len(files),
            sample_aspect=Fraction(float(attributes.get("PixelAspectRatio", 1.0) or 1.0)).limit_denominator(1000),
            rotation=_ROTATIONS.get(attributes.get("Orientation", 1), 0),
            timecode=_timecode(attributes),
            codec=files[0].suffix[1:].lower(),
            attributes=attributes,
            first_number=first,
        )

    def count(self) -> int:
        """Return the number of files."""
        return len(self._files)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield the pictures; see `Reader.frames`."""
        for index, path in islice(enumerate(self._files), start, stop):
            yield self._frame(index, path)

    def _frame(self, index: int, path: Path) -> Frame:
        with StillFile(path, index) as file:
            self._check_same(index, path, file.picture)
            frame = Frame(file.planes(), index, index, 1, StillSource(path, file.picture))
        check_finite(path, frame)
        return frame

    def _check_same(self, index: int, path: Path, picture: Picture) -> None:
        ours, first = picture.spec, self._first.spec
        if (ours.width, ours.height) != (first.width, first.height):
            shapes = f"{first.width}x{first.height} to {ours.width}x{ours.height}"
            raise MediaError(f"{self.info.path} changes from {shapes} at frame {index} ({path.name}); use the parts one by one.")
        if picture.format != self._first.format:
            names = f"{self._first.format.name} to {picture.format.name}"
            raise MediaError(f"{self.info.path} changes from {names} at frame {index} ({path.name}); use the parts one by one.")


class StillFile:
    """Hold one open picture file; a context manager."""

    def __init__(self, path: Path, index: int) -> None:
        """Open the file and find the picture in it; raise MediaError that names path and frame."""
        self._path, self._index = path, index
        if path.stat().st_size == 0:
            raise MediaError(f"{path} (frame {index}) is empty.")
        hint = oiio.ImageSpec()
        hint.attribute("oiio:UnassociatedAlpha", 1)
        opened = oiio.ImageInput.open(str(path), hint)
        if opened is None:
            raise MediaError(f"{path} (frame {index}) cannot be read as a picture: {_sentence(oiio.geterror())}.")
        self.input: Any = opened
        try:
            self.picture = self._find()
        except MediaError:
            self.input.close()
            raise

    def __enter__(self) -> StillFile:
        """Return the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.input.close()

    def _find(self) -> Picture:
        """Return the first part that holds RGB or grey."""
        part = 0
        while self.input.seek_subimage(part, 0):
            spec = self.input.spec()
            if spec.deep:
                raise MediaError(f"{self._path} (frame {self._index}) holds deep pixels; flatten it first.")
            channels = picture_channels(tuple(spec.channelnames))
            if channels:
                return Picture(part, channels, self._format(spec, channels), spec)
            part += 1
        raise MediaError(f"{self._path} (frame {self._index}) holds no picture: none of its parts has the channels R, G, B or Y.")

    def _format(self, spec: Any, channels: tuple[int, ...]) -> SampleFormat:
        types = {str(spec.channelformat(channel)) for channel in channels}
        widest = max(types, key=lambda name: list(_TYPES).index(name) if name in _TYPES else 9)
        if widest not in _TYPES or spec.getattribute("dpx:ImageDescriptor") in _LUMA_CHROMA:
            what = spec.getattribute("dpx:ImageDescriptor") or widest
            raise MediaError(
                f"{self._path} (frame {self._index}) holds samples of the type {what}; convert it to 8 or 16 bits, half or float first."
            )
        depth = _TYPES[widest]
        stated = spec.getattribute("oiio:BitsPerSample")
        if depth == "16" and stated in (10, 12, 14):
            depth = str(stated)
        if depth == "10" and len(channels) == 4 and spec.width % 3 == 1 and self._path.suffix.lower() == ".dpx":
            raise MediaError(f"{self._path} (frame {self._index}) is a 10-bit DPX with alpha, which cannot be unpacked; use 12 bits.")
        return sample_format(still_format_name(len(channels) > 2, len(channels) % 2 == 0, depth))

    def planes(self) -> tuple[Plane, ...]:
        """Return copies of the picture's planes; raise MediaError where the file is damaged."""
        channels, format = self.picture.channels, self.picture.format
        begin, end = min(channels), max(channels) + 1
        pixels = self.read(self.picture.part, begin, end, format.dtype.name.replace("float16", "half").replace("float32", "float"))
        planes = (pixels[:, :, channel - begin] for channel in channels)
        if format.floating or format.bits in (8, 16):
            return tuple(np.array(plane) for plane in planes)
        return tuple(plane >> (16 - format.bits) for plane in planes)

    def read(self, part: int, begin: int, end: int, kind: str) -> Plane:
        """Return channels `begin` to `end` (not included) of a part as (H, W, channels) of OpenImageIO's type `kind`."""
        pixels = self.input.read_image(part, 0, begin, end, kind)
        if pixels is None:
            raise MediaError(f"{self._path} (frame {self._index}) is damaged: {_sentence(self.input.geterror())}.")
        return pixels.reshape(pixels.shape[0], pixels.shape[1], end - begin)


def picture_channels(names: tuple[str, ...]) -> tuple[int, ...]:
    """Return which channels are R, G, B[, A] or grey[, A], those without a layer's name before others; empty where there are none."""
    upper = [name.upper() for name in names]
    layers = ["", *dict.fromkeys(f"{name.rpartition('.')[0]}." for name in upper if "." in name)]
    for layer in layers:
        for wanted in (("R", "G", "B"), ("Y",)):
            if all(layer + name in upper for name in wanted) and not (wanted == ("Y",) and f"{layer}RY" in upper):
                alpha = (f"{layer}A",) if f"{layer}A" in upper else ()
                return tuple(upper.index(layer + name) for name in wanted) + tuple(upper.index(name) for name in alpha)
    return (0,) if len(names) == 1 and names[0].upper() in ("I", "GRAY", "CHANNEL0") else ()


def still_format_name(colour: bool, alpha: bool, depth: str) -> str:
    """Return FFmpeg's name of a format: `depth` is '8' to '16', 'f16' or 'f32'."""
    if colour:
        return f"gbr{'a' if alpha else ''}p{'' if depth == '8' else depth + 'le'}"
    return ("ya" if alpha else "gray") + (("8" if alpha else "") if depth == "8" else depth + "le")


def _sentence(text: str) -> str:
    return " ".join(text.split()).rstrip(".") or "the file is damaged"


def _rate(attributes: Mapping[str, Any]) -> Fraction | None:
    """Return the frames a second that a file states, the NTSC ones exactly."""
    stated = next((attributes[k] for k in ("FramesPerSecond", "dpx:FrameRate", "dpx:TelevisionFrameRate") if attributes.get(k)), None)
    if isinstance(stated, tuple) and len(stated) == 2 and stated[1]:
        return Fraction(int(stated[0]), int(stated[1])) or None
    if not isinstance(stated, float | int) or not 0.1 < stated < 1000:
        return None
    near = Fraction(round(stated * 1.001) * 1000, 1001)
    return near if abs(near - stated) < 0.002 else Fraction(stated).limit_denominator(1000)


def _transfer(path: Path, attributes: Mapping[str, Any]) -> int:
    """Return the transfer's number: linear for EXR, what a DPX states, else unspecified."""
    if path.suffix.lower() == ".exr":
        return TRANSFER_LINEAR
    return {"Linear": TRANSFER_LINEAR, "ITU-R 709-4": 1, "Printing density": 9}.get(str(attributes.get("dpx:Transfer")), UNSPECIFIED)


def _timecode(attributes: Mapping[str, Any]) -> str | None:
    word = attributes.get("smpte:TimeCode")
    if isinstance(word, tuple) and word and word[0] not in (0xFFFFFFFF, -1):
        return from_bcd(int(word[0]) & 0xFFFFFFFF)
    return None
