"""Movies, stills and sequences in and out: the one door, whatever the file.

`open_media` gives a Reader, `create_media` a Writer (of a movie by `create_movie`, of pictures by `create_stills`).
Frames are planes as the file stores them: nothing is converted, clipped or rounded here.
"""

from __future__ import annotations

import errno
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from grainlayer.errors import MediaError
from grainlayer.picture.samples import ColourTags, SampleFormat

Plane = NDArray[Any]
"""(rows, columns) of uint8, uint16, float16 or float32."""
Fields = Literal["refuse", "progressive"]

STILL_SUFFIXES = frozenset((".exr", ".dpx", ".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jxl", ".cin"))
MOVIE_SUFFIXES = frozenset((".mkv", ".mp4", ".mov", ".avi", ".nut"))
"""Those written; every movie that FFmpeg demuxes is read."""
NUMBER_FIELD = re.compile(r"%(?:0?(\d+))?d|(#+)")
"""Where a sequence's name holds the frame number: '%04d', '%d' or '####'."""
FULL_DISK = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


@dataclass(frozen=True, eq=False)
class Frame:
    """Hold one picture.

    planes    copies of its own, in the order of its SampleFormat
    index     position in the order of display, from 0
    pts       time of display in MediaInfo.time_base
    duration  in MediaInfo.time_base, 0 where unknown
    sidecar   what passes through untouched (an EXR's other channels and parts); hand it on to the writer
    quantiser  QP / 64 by cell of 8x8 pixels (ceil(H/8), ceil(W/8)), where it was asked for and the decoder tells it
    """

    planes: tuple[Plane, ...]
    index: int
    pts: int
    duration: int = 0
    sidecar: object | None = None
    quantiser: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class MediaInfo:
    """Hold what is known of a movie, still or sequence before its frames are read.

    rate            average frames a second
    frames          as the container states them, None where it does not: `Reader.count` counts
    rotation        degrees counter-clockwise for display, 0, 90, 180 or 270; pictures are not turned
    display_matrix  nine numbers of FFmpeg, kept because it also mirrors
    field_order     'progressive', 'tt', 'bb', 'tb' or 'bt', as FFmpeg names them
    variable_rate   whether frame times are uneven, as far as the container's index or its first frames show
    attributes      of stills: name and value as the file states them
    first_number    number of the first file of a sequence
    hdr             'mastering_display' and 'content_light' as FFmpeg's structures in bytes
    """

    path: Path
    kind: Literal["movie", "sequence", "still"]
    width: int
    height: int
    format: SampleFormat
    tags: ColourTags
    rate: Fraction
    time_base: Fraction
    frames: int | None = None
    sample_aspect: Fraction = Fraction(1)
    rotation: int = 0
    display_matrix: tuple[int, ...] | None = None
    field_order: str = "progressive"
    timecode: str | None = None
    codec: str = ""
    audio_streams: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    variable_rate: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    first_number: int = 0
    hdr: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    @property
    def interlaced(self) -> bool:
        """Say whether the file holds fields."""
        return self.field_order != "progressive"

    @property
    def alpha(self) -> bool:
        """Say whether the last plane is alpha."""
        return self.format.alpha

    def frame_time(self, index: int) -> int:
        """Return the time of display of frame `index` at an even rate, in `time_base`."""
        return round(index / (self.rate * self.time_base))


class Reader(ABC):
    """Read frames; a context manager. Iterators are independent of each other.

    shots  (start, stop) frames of the shots where the reader had to know them, covering it without gaps; else none
    """

    info: MediaInfo
    shots: Sequence[tuple[int, int]] = ()

    @abstractmethod
    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield frames `start` to `stop` (not included) in the order of display.

        They are those that reading from 0 gives. A frame that is missing or damaged raises MediaError after all before it were yielded.
        """

    @abstractmethod
    def count(self) -> int:
        """Return the exact number of frames; the first call may read through the file without decoding it."""

    def close(self) -> None:
        """Let go of what is open; frames already given stay valid."""
        return

    def __enter__(self) -> Self:
        """Return the reader."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the reader."""
        self.close()


class Writer(ABC):
    """Write frames beside the output's place; `finish` puts the whole output there, `abort` leaves nothing.

    As a context manager it finishes, or aborts where an exception leaves the block.
    """

    path: Path

    @abstractmethod
    def write(self, frame: Frame) -> None:
        """Add a frame, in the order of display. Raise MediaError for planes of another shape or type, and where the disk is full."""

    @abstractmethod
    def finish(self) -> None:
        """Complete the output and move it to its place."""

    @abstractmethod
    def abort(self) -> None:
        """Remove all that was written; calling it twice, or after `finish`, does nothing."""

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Finish, or abort where the block failed."""
        if kind is not None:
            self.abort()
            return
        try:
            self.finish()
        except BaseException:
            self.abort()
            raise


def open_media(
    path: str | Path, fields: Fields = "refuse", rate: Fraction | None = None, player_grain: bool = True, quantiser: bool = False
) -> Reader:
    """Open a movie, one still, or a sequence: 'shot.%04d.exr', 'shot.####.exr', or a folder that holds one numbered sequence.

    fields  'progressive' reads interlaced movies as if each frame were one picture; 'refuse' raises MediaError for them
    rate    frames a second of a sequence whose files do not say; 24 without it
    player_grain  False leaves out the film grain that an AV1 stream asks its player to add
    quantiser     True lets the frames of an H.264 movie tell how coarsely each block was quantised
    Raise MediaError, one sentence that names the path, for what cannot be read.
    """
    path = Path(path)
    if is_sequence(path):
        from grainlayer.picture.stills import open_sequence

        return open_sequence(path, rate)
    if not path.exists():
        raise MediaError(f"{path} does not exist.")
    if path.stat().st_size == 0:
        raise MediaError(f"{path} is empty.")
    if path.suffix.lower() in STILL_SUFFIXES:
        from grainlayer.picture.stills import open_still

        return open_still(path, rate)
    from grainlayer.picture.movies import open_movie

    return open_movie(path, fields, player_grain, quantiser)


def is_sequence(path: str | Path) -> bool:
    """Say whether `path` stands for numbered files: a folder, or a name with '%04d' or '####' that is no file itself."""
    path = Path(path)
    return path.is_dir() or (not path.is_file() and bool(NUMBER_FIELD.search(path.name)))


def create_movie(
    path: str | Path,
    *,
    codec: str,
    like: MediaInfo,
    format: SampleFormat | None = None,
    tags: ColourTags | None = None,
    size: tuple[int, int] | None = None,
    options: Mapping[str, str] | None = None,
    audio_from: Path | None = None,
    metadata: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Writer:
    """Create a movie in the container of its suffix (.mkv .mp4 .mov .avi .nut).

    codec       'ffv1', 'prores', 'dnxhr', 'h264', 'h265' or 'av1'
    like        what it keeps: rate, frame times, aspect, rotation, timecode, colour tags, metadata, HDR10
    format      of the frames to come, `like.format` without it; `nearest_format` tells what a codec can hold
    size        width, height
    options     for the encoder, under FFmpeg's names
    audio_from  a movie whose audio streams are copied as they are
    Raise MediaError for what the codec or container cannot hold, and for an existing output without `overwrite`.
    """
    from grainlayer.picture.moviewriter import MovieWriter, Plan

    plan = Plan(codec, like, format or like.format, tags or like.tags, size or (like.width, like.height), dict(options or {}))
    return MovieWriter(checked_output(Path(path), overwrite), plan, audio_from, dict(metadata or {}), overwrite)


def create_stills(
    path: str | Path,
    *,
    like: MediaInfo,
    format: SampleFormat | None = None,
    size: tuple[int, int] | None = None,
    metadata: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Writer:
    """Create one still or a sequence ('%04d' or '####' in the name) of EXR, DPX, TIFF or PNG files.

    A frame's number is `like.first_number` plus its index. With `overwrite`, files of the same numbers are replaced and no others.
    Raise MediaError for a format the suffix cannot hold exactly, and for existing files without `overwrite`.
    """
    from grainlayer.picture.stillwriter import StillWriter

    shape = size or (like.width, like.height)
    return StillWriter(Path(path), like, format or like.format, shape, dict(metadata or {}), overwrite)


def create_media(
    path: str | Path,
    *,
    codec: str = "ffv1",
    like: MediaInfo,
    format: SampleFormat | None = None,
    tags: ColourTags | None = None,
    size: tuple[int, int] | None = None,
    options: Mapping[str, str] | None = None,
    audio_from: Path | None = None,
    metadata: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Writer:
    """Create a movie or stills by the suffix of `path`; stills leave out codec, tags, options and audio."""
    suffix = Path(path).suffix.lower()
    if suffix in STILL_SUFFIXES:
        return create_stills(path, like=like, format=format, size=size, metadata=metadata, overwrite=overwrite)
    return create_movie(
        path,
        codec=codec,
        like=like,
        format=format,
        tags=tags,
        size=size,
        options=options,
        audio_from=audio_from,
        metadata=metadata,
        overwrite=overwrite,
    )


def nearest_format(path: str | Path, codec: str, format: SampleFormat) -> SampleFormat:
    """Return the format closest to `format` that `path` (by its suffix; for movies, with `codec`) can hold.

    It is `format` itself where that fits; else no chroma and no bit more is lost than the codec asks for.
    """
    if Path(path).suffix.lower() in STILL_SUFFIXES:
        from grainlayer.picture.stillwriter import nearest_still_format

        return nearest_still_format(Path(path), format)
    from grainlayer.picture.moviewriter import nearest_movie_format

    return nearest_movie_format(codec, format)


def checked_output(path: Path, overwrite: bool) -> Path:
    """Return `path`; raise MediaError where its folder is missing, it is a folder, or it exists without `overwrite`."""
    if not path.parent.is_dir():
        raise MediaError(f"The folder {path.parent} does not exist; make it first.")
    if path.is_dir():
        raise MediaError(f"{path} is a folder; name a file in it.")
    if path.exists() and not overwrite:
        raise MediaError(f"{path} exists; add --overwrite to replace it.")
    return path


def check_planes(path: Path, frame: Frame, format: SampleFormat, size: tuple[int, int]) -> None:
    """Raise MediaError unless the frame's planes have the format's type, the size's shapes, and no code beyond the format's bits."""
    shapes = [format.plane_shape(*size, index) for index in range(format.plane_count)]
    if [plane.shape for plane in frame.planes] != shapes or any(plane.dtype != format.dtype for plane in frame.planes):
        given = ", ".join(f"{plane.dtype} {plane.shape}" for plane in frame.planes)
        raise MediaError(f"Frame {frame.index} does not fit {path}: its planes are {given}, not {format.dtype} {shapes}.")
    if not format.floating and format.bits not in (8, 16):
        largest = max(int(plane.max()) for plane in frame.planes)
        if largest > format.peak:
            raise MediaError(f"Frame {frame.index} does not fit {path}: it holds the code {largest}, more than {format.bits} bits can.")


def check_finite(path: Path, frame: Frame) -> None:
    """Raise MediaError that names frame, channel and a pixel if a float plane holds NaN or infinity."""
    names = ("Y", "A") if len(frame.planes) < 3 else ("R", "G", "B", "A")
    for name, plane in zip(names, frame.planes, strict=False):
        if plane.dtype.kind == "f" and not np.isfinite(plane).all():
            row, column = (int(v) for v in np.argwhere(~np.isfinite(plane))[0])
            raise MediaError(
                f"Frame {frame.index} of {path} holds {plane[row, column]} in channel {name} at pixel ({column}, {row}); "
                "repair the picture or render it again."
            )


def write_failure(path: Path, error: OSError) -> MediaError:
    """Return the MediaError for what the system said while writing `path`; a full disk is named as such."""
    if error.errno in FULL_DISK:
        return MediaError(f"{path} cannot be written because the disk is full; free some space and run again.")
    return MediaError(f"{path} cannot be written: {error.strerror or error}.")
