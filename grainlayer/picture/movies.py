"""Read movies by PyAV, plane by plane, frame by frame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from grainlayer.errors import MediaError
from grainlayer.picture.decoding import Damage, Decoder, open_container, packets_of, picture_stream, read_planes
from grainlayer.picture.media import Fields, Frame, MediaInfo, Reader, check_finite
from grainlayer.picture.packets import ONE_FRAME_EACH, IndexBuilder, KeyPoint, PacketIndex, missing_bytes
from grainlayer.picture.probing import describe, stated_duration
from grainlayer.picture.quantiser import OPTION, TELLING, as_map, told_quantiser
from grainlayer.picture.samples import sample_format

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


_MOST_THREADS = 8
"""Each may hold a picture: more would hold gigabytes of 8K."""


class _TooLate(Exception):
    """Decoding started behind the frame that was sought."""


def open_movie(path: Path, fields: Fields = "refuse", player_grain: bool = True, quantiser: bool = False) -> Reader:
    """Open a movie; see `open_media`."""
    options = {"err_detect": "explode"}
    info, stored = describe(path)
    if not player_grain:
        options["export_side_data"] = "film_grain"
    elif quantiser and info.codec in TELLING:
        options |= OPTION
    if info.interlaced and fields == "refuse":
        raise MediaError(f"{path} is interlaced; deinterlace it first, or add --fields progressive to treat each frame as one picture.")
    return MovieReader(info, stored, options)


class MovieReader(Reader):
    """Read one movie. Every iterator opens the file for itself; decoding uses all processors and gives the same frames on each run."""

    def __init__(self, info: MediaInfo, stored: tuple[int, int], options: dict[str, str]) -> None:
        """Keep what was found: `stored` is the size of the coded pictures, `options` are the decoder's."""
        self.info = info
        self._stored, self._options = stored, options
        self._index: PacketIndex | None = None
        paired_fields = info.interlaced and info.codec in ("h264", "hevc", "mpeg2video")
        self._strict = info.codec in ONE_FRAME_EACH and not paired_fields
        self._threads = "SLICE" if OPTION.items() <= options.items() else "AUTO"

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield frames `start` to `stop`; see `Reader.frames`."""
        following = start
        for index, picture in islice(self._recovered(start), None if stop is None else max(0, stop - start)):
            yield self._frame(index, picture)
            following = index + 1
        if stop is None or following < stop:
            self._check_end()

    def count(self) -> int:
        """Return the number of frames, from the packets where they tell, else by decoding; see `Reader.count`."""
        index = self._packet_index()
        return len(index.pts) if index.exact else sum(1 for _ in self._recovered(0))

    def _packet_index(self) -> PacketIndex:
        if self._index is None:
            builder = IndexBuilder(self._strict)
            with open_container(self.info.path) as container, suppress(Damage):
                for packet in packets_of(container, picture_stream(self.info.path, container)):
                    builder.add(packet)
            self._index = builder.index()
        return self._index

    def _recovered(self, start: int) -> Iterator[tuple[int, VideoFrame]]:
        """Decode from `start` in threads; on damage once more in one thread, which yields every whole frame before it."""
        following = start
        for threads in (min(_MOST_THREADS, (os.cpu_count() or 1) + 1), 1):
            try:
                for index, picture in self._from(following, threads):
                    yield index, picture
                    following = index + 1
                return
            except Damage as damage:
                if threads == 1:
                    raise MediaError(f"{self.info.path} is damaged at frame {following}: {damage}.") from damage

    def _from(self, start: int, threads: int) -> Iterator[tuple[int, VideoFrame]]:
        """Decode from the nearest key picture at or before frame `start`, yield index and picture from there on."""
        index = self._packet_index() if start else None
        if index is None or not index.exact:
            yield from islice(enumerate(self._decoded(None, threads)), start, None)
            return
        if start >= len(index.pts):
            return
        for key in index.starts(start):
            try:
                for picture in self._decoded(key, threads, index.pts[start]):
                    yield index.position(picture.pts or 0), picture
                return
            except _TooLate:
                continue
        yield from islice(enumerate(self._decoded(None, threads)), start, None)

    def _decoded(self, key: KeyPoint | None, threads: int, first: int | None = None) -> Iterator[VideoFrame]:
        """Decode from `key` (None: the beginning) and yield pictures, from the time `first` on.

        Raise Damage where a picture is not whole or missing, _TooLate if the first picture is later than `first`.
        """
        with open_container(self.info.path) as container:
            stream = picture_stream(self.info.path, container)
            stream.codec_context.options = self._options
            stream.thread_type = self._threads
            stream.thread_count = threads
            if key is not None:
                container.seek(key.dts, stream=stream)
            packets = packets_of(container, stream)
            if key is None:
                packets = self._indexing(packets)
            yield from _from_time(Decoder(stream, self._strict, key is not None).run(packets), first)

    def _indexing(self, packets: Iterator[Packet[VideoStream]]) -> Iterator[Packet[VideoStream]]:
        """Pass packets on and keep their index when all were read."""
        builder = IndexBuilder(self._strict)
        for packet in packets:
            builder.add(packet)
            yield packet
        self._index = builder.index()

    def _frame(self, index: int, picture: VideoFrame) -> Frame:
        """Copy a picture's planes; raise MediaError if its size or format is not the movie's."""
        format, info = sample_format(picture.format.name), self.info
        stored = (picture.width, picture.height)
        if format != info.format or stored != self._stored:
            raise MediaError(
                f"{info.path} changes from {info.width}x{info.height} {info.format.name} to {stored[0]}x{stored[1]} {format.name} "
                f"at frame {index}; cut it there and use the parts one by one."
            )
        exact = self._strict and picture.pts is not None
        pts = picture.pts if exact and picture.pts is not None else info.frame_time(index)
        told = told_quantiser(picture, format.bits) if self._threads == "SLICE" else None
        planes, quantiser = read_planes(picture, format, (info.width, info.height)), as_map(told, info.width, info.height)
        frame = Frame(planes, index, pts, picture.duration, quantiser=quantiser)
        check_finite(info.path, frame)
        return frame

    def _check_end(self) -> None:
        """Raise MediaError if the file states more frames than were decoded, or was cut off."""
        index, info = self._packet_index(), self.info
        frames = len(index.pts)
        if info.frames is not None and index.packets < info.frames and info.path.suffix.lower() != ".avi":
            raise MediaError(f"{info.path} ends at frame {frames} of {info.frames}: it was cut off; copy or export it again.")
        missing = missing_bytes(info.path)
        if missing and self._short_of_duration(index):
            raise MediaError(f"{info.path} ends at frame {frames}: it was cut off, {missing} bytes are missing; copy or export it again.")

    def _short_of_duration(self, index: PacketIndex) -> bool:
        with open_container(self.info.path) as container:
            stated = stated_duration(container, picture_stream(self.info.path, container))
        if stated is None or not index.exact:
            return True
        return (index.pts[-1] * self.info.time_base) + Fraction(7, 4) / self.info.rate < stated


def _from_time(pictures: Iterator[VideoFrame], first: int | None) -> Iterator[VideoFrame]:
    """Yield pictures from the time `first` on; raise _TooLate where the first of them is later."""
    for picture in pictures:
        if first is not None and picture.pts is not None:
            if picture.pts < first:
                continue
            if picture.pts > first:
                raise _TooLate
            first = None
        yield picture
