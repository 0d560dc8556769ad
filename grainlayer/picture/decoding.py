"""Decode a movie's pictures one by one, notice every picture that is damaged or missing, and copy their planes."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
import av.error
import numpy as np
from av.stream import Discard, Disposition

from grainlayer.errors import MediaError
from grainlayer.picture.media import Plane
from grainlayer.picture.packets import missing_bytes, slices_whole
from grainlayer.picture.samples import SampleFormat, planar_name

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

RGB_ORDER = (2, 0, 1, 3)
"""Where R, G, B and A stand among FFmpeg's planes of gbrp and its kin."""
_NO_MOVIES = frozenset(("ansi", "bintext", "xbin", "idf"))
"""Codecs by which FFmpeg draws text files."""


class Damage(Exception):
    """A packet could not be read or decoded, or a picture did not come out."""


@dataclass
class Decoder:
    """Decode packets and watch that each gives its picture.

    strict  every packet is one picture: one that does not come out is damage
    sought  after a seek, pictures before the first key picture lack what they refer to, and are left out
    """

    stream: VideoStream
    strict: bool
    sought: bool

    def __post_init__(self) -> None:
        """Start with no packet."""
        self._pending: list[int] = []
        self._hidden: set[int] = set()
        self._key: int | None = None
        self._summed: bool | None = None if self.stream.codec_context.codec.canonical_name == "ffv1" else False

    def run(self, packets: Iterator[Packet[VideoStream]]) -> Iterator[VideoFrame]:
        """Yield the pictures in the order of display. Raise Damage after all that precede the damage."""
        for packet in packets:
            if packet.size and not self._admit(packet):
                continue
            if packet.size and not self._sound(packet):
                yield from self._drain(packet.pts)
                raise Damage("a checksum is wrong")
            try:
                pictures = self.stream.decode(packet if packet.size else None)
            except av.error.FFmpegError as error:
                if self._leading(packet):
                    continue
                yield from self._drain(packet.pts)
                raise Damage(error.strerror or str(error)) from error
            yield from self._watched(pictures)
        if self._pending:
            raise Damage("a picture is missing")

    def _admit(self, packet: Packet[VideoStream]) -> bool:
        """Note the packet; say whether to decode it."""
        if self._key is None and packet.is_keyframe:
            self._key = packet.pts
        if self._key is None or self._leading(packet):
            return not self.sought
        if packet.is_discard and packet.pts is not None:
            self._hidden.add(packet.pts)
        elif self.strict and packet.pts is not None and packet.pts not in self._pending:
            heapq.heappush(self._pending, packet.pts)
        return True

    def _sound(self, packet: Packet[VideoStream]) -> bool:
        """Check an FFV1 packet's checksums, if the first one had any."""
        if self._summed is False:
            return True
        whole = slices_whole(bytes(packet))
        if self._summed is None:
            self._summed = whole
        return whole or not self._summed

    def _leading(self, packet: Packet[VideoStream]) -> bool:
        return self._key is None or (packet.pts is not None and packet.pts < self._key)

    def _watched(self, pictures: list[VideoFrame]) -> Iterator[VideoFrame]:
        for picture in pictures:
            if picture.pts in self._hidden:
                continue
            if self._pending and picture.pts is not None:
                if self._pending[0] < picture.pts:
                    raise Damage("a picture is missing")
                if self._pending[0] == picture.pts:
                    heapq.heappop(self._pending)
            yield picture

    def _drain(self, before: int | None) -> Iterator[VideoFrame]:
        """Yield what the decoder still holds of pictures earlier than `before`."""
        try:
            pictures = self.stream.decode(None)
        except av.error.FFmpegError:
            return
        yield from self._watched([p for p in pictures if before is not None and p.pts is not None and p.pts < before])


def read_planes(picture: VideoFrame, format: SampleFormat, size: tuple[int, int]) -> tuple[Plane, ...]:
    """Copy a picture's planes in the order of SampleFormat, cropped to `size` (width, height) from the top left."""
    if picture.format.name not in (format.name, f"yuvj{format.name[3:]}"):
        span = picture.color_range or None
        picture = picture.reformat(format=planar_name(picture.format.name), src_color_range=span, dst_color_range=span, threads=1)
    shapes = (format.plane_shape(*size, index) for index in range(format.plane_count))
    return tuple(np.array(view[:rows, :columns]) for view, (rows, columns) in zip(plane_views(picture, format), shapes, strict=True))


def plane_views(picture: VideoFrame, format: SampleFormat) -> list[Plane]:
    """Return views of a picture's planes in the order of SampleFormat; rows may be longer than the picture is wide."""
    size = format.dtype.itemsize
    planes: list[Any] = list(picture.planes)
    rows: list[Plane] = [np.frombuffer(plane, format.dtype).reshape(-1, plane.line_size // size) for plane in planes]
    if format.kind == "grey" and format.alpha:
        return [rows[0][:, 0::2], rows[0][:, 1::2]]
    return [rows[i] for i in RGB_ORDER[: len(rows)]] if format.kind == "rgb" else rows


def open_container(path: Path) -> InputContainer:
    """Open a movie's container; raise MediaError that says why it is none."""
    try:
        return av.open(str(path), "r", metadata_errors="replace")
    except av.error.InvalidDataError as error:
        cut = missing_bytes(path)
        reason = f"it was cut off, {cut} bytes are missing; copy or export it again" if cut else _no_movie(path)
        raise MediaError(f"{path} cannot be read: {reason}.") from error
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(f"{path} cannot be opened: {error.strerror or error}.") from error


def _no_movie(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
        return "its index is missing, as when a recording or copy was broken off; copy or export it again"
    return "it is not a movie that FFmpeg knows"


def picture_stream(path: Path, container: InputContainer) -> VideoStream:
    """Return the first video stream that is no cover picture and switch the others off; raise MediaError without one."""
    chosen = next((s for s in container.streams.video if not s.disposition & Disposition.attached_pic), None)
    if chosen is None:
        what = "only sound" if container.streams.audio else "no picture"
        raise MediaError(f"{path} holds {what}; choose a file with video.")
    decoder: Any = chosen.codec_context
    if decoder is None or decoder.name in _NO_MOVIES:
        raise MediaError(f"{path} cannot be read: it is not a movie that this program can decode.")
    for stream in container.streams:
        if stream is not chosen:
            stream.discard = Discard.all
    return chosen


def packets_of(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Yield the stream's packets and an empty one at the end; raise Damage, after that, for a read error."""
    try:
        yield from container.demux(stream)
    except av.error.FFmpegError as error:
        yield cast("Packet[VideoStream]", av.Packet())
        raise Damage(error.strerror or str(error)) from error
