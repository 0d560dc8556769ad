"""Encode the base, one shot after another: the codecs, what they hold, and one writer for all of them.

A segment is one shot's pictures in a Matroska file that starts with a picture that needs no other. Matroska counts in
milliseconds, so the exact times stand in a small file beside it (`read_times`), for `container.assemble`.
VVC is encoded by the ffmpeg program that imageio-ffmpeg brings along, all others by PyAV. Settings alone decide the bytes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from grainlayer.errors import MediaError, ParamError
from grainlayer.picture.media import Frame, MediaInfo, Plane, Writer, checked_output, nearest_format
from grainlayer.picture.planes import matrix_number
from grainlayer.picture.samples import MATRIX_RGB, ColourTags, SampleFormat, sample_format

if TYPE_CHECKING:
    from grainlayer.codec.vvc import VvcEncoder

SECONDS_BETWEEN_KEYS = 5
"""Longest way from a picture that needs no other to the next, in seconds."""


@dataclass(frozen=True)
class BaseCodec:
    """Describe a codec of the base.

    writer    its name in `create_movie`, '' for VVC
    quality   the default constant quality in the codec's own scale, None for a codec without
    presets   the encoder's speeds, the default one first; none for a codec without
    chroma    the chroma sampling it holds at 8 or 10 bit, least first
    options   turns (quality, kilobits a second, preset, pictures between keys) into the encoder's options
    """

    writer: str
    quality: float | None
    presets: tuple[str, ...]
    chroma: tuple[str, ...]
    options: Callable[[float | None, int | None, str, int], dict[str, str]]


def _av1(quality: float | None, bitrate: int | None, preset: str, keys: int) -> dict[str, str]:
    return {"preset": preset, "g": str(keys)} | _rate("crf", quality, bitrate, 0)


def _hevc(quality: float | None, bitrate: int | None, preset: str, keys: int) -> dict[str, str]:
    return {"preset": preset, "g": str(keys), "x265-params": "open-gop=0"} | _rate("crf", quality, bitrate, 2)


def _h264(quality: float | None, bitrate: int | None, preset: str, keys: int) -> dict[str, str]:
    return {"preset": preset, "g": str(keys)} | _rate("crf", quality, bitrate, 2)


def _vvc(quality: float | None, bitrate: int | None, preset: str, keys: int) -> dict[str, str]:
    params = "poc0idr=1:decodingrefreshtype=idr_no_radl"
    return {"preset": preset, "period": str(SECONDS_BETWEEN_KEYS), "vvenc-params": params} | _rate("qp", quality, bitrate, 0)


def _fixed(quality: float | None, bitrate: int | None, preset: str, keys: int) -> dict[str, str]:
    return {}


def _rate(name: str, quality: float | None, bitrate: int | None, digits: int) -> dict[str, str]:
    if bitrate is not None:
        return {"b": f"{bitrate}k"}
    return {name: f"{quality:.{digits}f}"} if quality is not None else {}


_X26X = ("fast", "ultrafast", "superfast", "veryfast", "faster", "medium", "slow", "slower", "veryslow")
BASE_CODECS: dict[str, BaseCodec] = {
    "av1": BaseCodec("av1", 30, ("7", *map(str, range(14))), ("420",), _av1),
    "hevc": BaseCodec("h265", 22, _X26X, ("420", "422", "444"), _hevc),
    "h264": BaseCodec("h264", 20, _X26X, ("420", "422", "444"), _h264),
    "prores": BaseCodec("prores", None, (), ("422", "444"), _fixed),
    "vvc": BaseCodec("", 28, ("faster", "fast", "medium", "slow", "slower"), ("420",), _vvc),
    "ffv1": BaseCodec("ffv1", None, (), ("420", "422", "444"), _fixed),
}
"""The codecs of the base by name; ffv1 keeps every format as it is, and ProRes is 422 HQ or 4444."""


def base_codec(name: str) -> BaseCodec:
    """Return a codec by name; raise ParamError that lists them if there is none of it."""
    if name not in BASE_CODECS:
        raise ParamError(f"There is no base codec {name!r}; choose one of {', '.join(BASE_CODECS)}.")
    return BASE_CODECS[name]


def base_format(codec: str, source: SampleFormat, bits: int = 10) -> SampleFormat:
    """Return the format in which a codec keeps a base of `source` pictures.

    bits  10, or 8 for players that know no better (H.264 and HEVC only)
    Chroma stays as it is where the encoder can, RGB is kept as 4:4:4, alpha only by FFV1 and ProRes from their own formats.
    Raise ParamError for other bits.
    """
    chosen = base_codec(codec)
    if bits not in (8, 10) or (bits == 8 and codec not in ("h264", "hevc")):
        raise ParamError(f"A base in {codec} cannot have {bits} bits; only h264 and hevc can have 8 instead of 10.")
    if codec == "ffv1":
        return nearest_format(Path("base.mkv"), "ffv1", source)
    if codec == "prores" and source.name == "yuva444p10le":
        return source
    wanted = {(0, 0): "444", (1, 0): "422"}.get(source.chroma_shift, "420") if source.kind == "yuv" else "444"
    wanted = "420" if source.kind == "grey" else wanted
    held = next((chroma for chroma in chosen.chroma if chroma >= wanted), chosen.chroma[-1])
    return sample_format(f"yuv{held}p{'10le' if bits == 10 else ''}")


class SegmentWriter(ABC):
    """Write one shot's pictures; `finish` puts the whole segment at its place, `abort` leaves nothing.

    As a context manager it finishes, or aborts where an exception leaves the block.
    """

    def __init__(self, path: Path) -> None:
        """Begin a segment at `path`."""
        self.path = path
        self._times: list[int] = []
        self._finished = False

    def write(self, planes: Sequence[Plane], pts: int) -> None:
        """Add a picture, in the order of display; `pts` counts in the source's time base and rises.

        Raise MediaError where the encoder fails, the disk is full or `pts` does not rise.
        """
        if self._times and pts <= self._times[-1]:
            raise MediaError(
                f"Frame {len(self._times)} of {self.path} is shown at {pts}, not after {self._times[-1]}; repair the source's times."
            )
        self._encode(tuple(planes), pts)
        self._times.append(pts)

    def finish(self) -> None:
        """Complete the segment, its times beside it. Raise MediaError where the encoder fails or nothing was written."""
        if not self._times:
            raise MediaError(f"No picture was given for {self.path}.")
        write_times(self.path, self._times)
        self._close()
        self._finished = True

    def abort(self) -> None:
        """Remove all that was written; calling it twice, or after `finish`, does nothing."""
        if not self._finished:
            self._drop()
            times_path(self.path).unlink(missing_ok=True)

    @abstractmethod
    def _encode(self, planes: tuple[Plane, ...], pts: int) -> None: ...

    @abstractmethod
    def _close(self) -> None: ...

    @abstractmethod
    def _drop(self) -> None: ...

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Finish, or abort where the block failed."""
        try:
            if kind is None:
                self.finish()
        except BaseException:
            self.abort()
            raise
        if kind is not None:
            self.abort()


class MovieSegment(SegmentWriter):
    """Write a segment by PyAV."""

    def __init__(self, path: Path, writer: Writer) -> None:
        """Write through a movie's writer."""
        super().__init__(path)
        self._writer = writer

    def _encode(self, planes: tuple[Plane, ...], pts: int) -> None:
        self._writer.write(Frame(planes, len(self._times), pts))

    def _close(self) -> None:
        self._writer.finish()

    def _drop(self) -> None:
        self._writer.abort()


class VvcSegment(SegmentWriter):
    """Write a segment by the ffmpeg program."""

    def __init__(self, path: Path, encoder: VvcEncoder) -> None:
        """Write through a running program."""
        super().__init__(path)
        self._encoder = encoder

    def _encode(self, planes: tuple[Plane, ...], pts: int) -> None:
        self._encoder.write(planes)

    def _close(self) -> None:
        self._encoder.finish()

    def _drop(self) -> None:
        self._encoder.abort()


def open_segment(
    path: Path,
    codec: str,
    *,
    like: MediaInfo,
    format: SampleFormat,
    tags: ColourTags,
    size: tuple[int, int] | None = None,
    crf: float | None = None,
    bitrate_kbps: int | None = None,
    preset: str | None = None,
) -> SegmentWriter:
    """Begin one shot's base at `path` (.mkv), which is replaced if it exists.

    like    what the movie is like: rate, time base, aspect, HDR metadata
    format  of the planes to come, one that `base_format` gives; size  width, height, those of `like` without it
    crf     constant quality in the codec's own scale (VVC: QP), the codec's default without it; or bitrate_kbps
    preset  the encoder's speed: 0..13 for av1, ultrafast..veryslow for h264 and hevc, faster..slower for vvc
    Raise ParamError for what the codec does not have, MediaError where the encoder cannot start.
    """
    chosen = base_codec(codec)
    checked_output(path, overwrite=True)
    shape = size or (like.width, like.height)
    options = _options(codec, like, crf, bitrate_kbps, preset)
    stored = _stored_tags(tags, format, shape[1])
    if not chosen.writer:
        from grainlayer.codec.vvc import VvcEncoder

        return VvcSegment(path, VvcEncoder(path, like, format, stored, shape, options))
    from grainlayer.codec.segment import SegmentMovie
    from grainlayer.picture.moviewriter import Plan

    bare = replace(like, timecode=None, display_matrix=None, rotation=0, metadata={})
    return MovieSegment(path, SegmentMovie(path, Plan(chosen.writer, bare, format, stored, shape, options), None, {}, True))


def _options(codec: str, like: MediaInfo, crf: float | None, bitrate: int | None, preset: str | None) -> dict[str, str]:
    """Return the encoder's options. Raise ParamError for what the codec does not have."""
    chosen = base_codec(codec)
    if chosen.quality is None and (crf is not None or bitrate is not None):
        raise ParamError(f"A base in {codec} has no quality or bitrate to choose; leave both out.")
    if crf is not None and bitrate is not None:
        raise ParamError("Give either a constant quality or a bitrate, not both.")
    if crf is not None and not 0 <= crf <= 63:
        raise ParamError(f"The quality of a base must be 0..63; got {crf}.")
    if preset is not None and preset not in chosen.presets:
        raise ParamError(f"A base in {codec} has no preset {preset!r}; {_choice(chosen.presets)}.")
    keys = max(1, round(SECONDS_BETWEEN_KEYS * like.rate))
    return chosen.options(chosen.quality if crf is None else crf, bitrate, preset or (chosen.presets or ("",))[0], keys)


def _choice(names: tuple[str, ...]) -> str:
    return f"choose one of {', '.join(dict.fromkeys(names))}" if names else "leave it out"


def _stored_tags(tags: ColourTags, format: SampleFormat, height: int) -> ColourTags:
    """Return the tags of the base: RGB that became 4:2:0 or 4:2:2 says by which matrix."""
    if format.kind == "yuv" and tags.matrix == MATRIX_RGB and format.chroma_shift != (0, 0):
        return replace(tags, matrix=matrix_number(replace(tags, matrix=2), height))
    return tags


def times_path(segment: Path) -> Path:
    """Return where a segment's exact times stand."""
    return segment.with_suffix(".times")


def write_times(segment: Path, times: Sequence[int]) -> None:
    """Write the times of a segment's pictures, in the source's time base. Raise MediaError where that fails."""
    try:
        times_path(segment).write_text(" ".join(map(str, times)), "ascii")
    except OSError as error:
        raise MediaError(f"{times_path(segment)} cannot be written ({error.strerror}); free some disk space and run again.") from error


def read_times(segment: Path) -> list[int] | None:
    """Return the times of a segment's pictures in the source's time base, None where they are not known."""
    try:
        return [int(number) for number in times_path(segment).read_text("ascii").split()]
    except (OSError, ValueError):
        return None
