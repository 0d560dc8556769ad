"""Read JPEG files as they are stored: luma, and chroma at the size it was given, instead of the RGB that is usually made of them.

What is damaged between luma and chroma of half size is repaired there. Files that hold anything else stay with `stills`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import av
import av.error
import numpy as np
from av.codec import CodecContext

from grainlayer.errors import MediaError
from grainlayer.picture.chroma import CENTRE
from grainlayer.picture.decoding import plane_views
from grainlayer.picture.media import Frame, Plane, Reader, is_sequence
from grainlayer.picture.numbering import find_sequence
from grainlayer.picture.samples import BT601_625, SampleFormat, sample_format
from grainlayer.picture.stills import StillFile, StillSource

SUFFIXES = ("jpg", "jpeg")
FULL = 2
"""FFmpeg's number of full range, which its decoder states where a file holds luma and chroma by the JFIF standard."""


def in_planes(reader: Reader, source: Path) -> Reader:
    """Return a reader of the JPEG files at `source` as they are stored; `reader` itself where they are none, or hold no luma and chroma.

    JFIF: the matrix of BT.601, full range, chroma between the pixels. Raise MediaError where the first file cannot be read or is damaged.
    """
    if reader.info.codec not in SUFFIXES:
        return reader
    files = list(find_sequence(source)[1].values()) if is_sequence(source) else [source]
    first = _decoded(files[0])
    if first is None and _decoded(files[0], careful=False) is not None:
        raise MediaError(f"{files[0]} is damaged; copy or export it again.")
    return JpegReader(reader, files, first[0]) if first else reader


class JpegReader(Reader):
    """Read one JPEG file or a sequence of them, each in its own planes."""

    def __init__(self, inner: Reader, files: list[Path], format: SampleFormat) -> None:
        """Take the reader of the same files in RGB, which knows all but how they are stored."""
        self._inner, self._files = inner, files
        tags = replace(inner.info.tags, full_range=True, matrix=BT601_625, chroma_location=CENTRE)
        self.info = replace(inner.info, format=format, tags=tags)

    def count(self) -> int:
        """Return the number of files."""
        return len(self._files)

    def close(self) -> None:
        """Close the reader within."""
        self._inner.close()

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield the pictures; see `Reader.frames`."""
        for index, path in islice(enumerate(self._files), start, stop):
            yield self._frame(index, path)

    def _frame(self, index: int, path: Path) -> Frame:
        with StillFile(path, index) as file:
            source = StillSource(path, file.picture)
        found = _decoded(path)
        if found is None:
            raise MediaError(f"{path} (frame {index}) is damaged, or no JPEG file of luma and chroma; copy or export it again.")
        format, planes = found
        size = planes[0].shape[1], planes[0].shape[0]
        if format != self.info.format or size != (self.info.width, self.info.height):
            names = f"{self.info.width}x{self.info.height} {self.info.format.name} to {size[0]}x{size[1]} {format.name}"
            raise MediaError(f"{self.info.path} changes from {names} at frame {index} ({path.name}); use the parts one by one.")
        return Frame(planes, index, index, 1, source)


def _decoded(path: Path, *, careful: bool = True) -> tuple[SampleFormat, tuple[Plane, ...]] | None:
    """Return a JPEG file's format and planes; None if it holds no luma and chroma by JFIF, or, `careful`, is damaged. Raise MediaError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MediaError(f"{path} cannot be read ({error.strerror}); check the path.") from error
    decoder = CodecContext.create("mjpeg", "r")
    decoder.options, decoder.thread_count = {"err_detect": "explode"} if careful else {}, 1
    try:
        picture = next(iter([*decoder.decode(av.Packet(data)), *decoder.decode(None)]))
        format = sample_format(picture.format.name)
    except (av.error.FFmpegError, MediaError, StopIteration):
        return None
    if format.kind != "yuv" or format.alpha or picture.color_range != FULL:
        return None
    shapes = (format.plane_shape(picture.width, picture.height, index) for index in range(format.plane_count))
    views = plane_views(picture, format)
    return format, tuple(np.array(view[:rows, :columns]) for view, (rows, columns) in zip(views, shapes, strict=True))
