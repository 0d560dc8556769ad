"""Know a movie's packets without decoding them: which frames there are, where decoding can start, and whether the file was cut off."""

from __future__ import annotations

import os
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from av import Packet
    from av.video.stream import VideoStream

_INTRA = (
    "prores",
    "dnxhd",
    "ffv1",
    "mjpeg",
    "rawvideo",
    "v210",
    "cfhd",
    "png",
    "huffyuv",
    "ffvhuff",
    "utvideo",
    "qtrle",
    "jpeg2000",
    "exr",
)
ONE_FRAME_EACH = frozenset(("h264", "hevc", "vvc", "av1", "vp9", "mpeg2video", "jpeg2000", *_INTRA))
"""Codecs in which every packet is one picture to be shown."""

_SLICE_TRAILER = 8
"""Three bytes of size, one of state, four of a CRC-32 that counts bits from the other end than zlib's."""
_MIRRORED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067


@dataclass(frozen=True)
class KeyPoint:
    """Hold where decoding can start: the key picture's time, and the time by which demuxers seek to it."""

    pts: int
    dts: int


@dataclass(frozen=True)
class PacketIndex:
    """Hold the times of all frames in the order of display, and the key points.

    exact    False where packets do not tell the frames apart: times are missing or double, or pictures precede the first key picture
    packets  how many the file holds, those that an edit list hides included
    """

    pts: tuple[int, ...]
    keys: tuple[KeyPoint, ...]
    exact: bool
    packets: int

    def position(self, pts: int) -> int:
        """Return the index of the frame shown at `pts`."""
        return bisect_left(self.pts, pts)

    def starts(self, index: int) -> Iterator[KeyPoint]:
        """Yield the key points from which frame `index` can be decoded, nearest first."""
        times = [key.pts for key in self.keys]
        yield from reversed(self.keys[: bisect_right(times, self.pts[index])])


class IndexBuilder:
    """Gather a PacketIndex from a video stream's packets, one by one."""

    def __init__(self, one_frame_each: bool) -> None:
        """Start with no packet; `one_frame_each` says whether the codec is of ONE_FRAME_EACH."""
        self._shown: list[int] = []
        self._keys: list[KeyPoint] = []
        self._exact, self._count = one_frame_each, 0

    def add(self, packet: Packet[VideoStream]) -> None:
        """Take the next packet; empty ones count for nothing."""
        self._count += packet.size > 0
        if packet.size and packet.pts is None:
            self._exact = False
        elif packet.pts is not None and packet.size and not packet.is_discard:
            self._shown.append(packet.pts)
            if packet.is_keyframe:
                self._keys.append(KeyPoint(packet.pts, packet.pts if packet.dts is None else packet.dts))

    def index(self) -> PacketIndex:
        """Return the index of the packets taken so far."""
        times = tuple(sorted(set(self._shown)))
        keys = tuple(sorted(self._keys, key=lambda key: key.pts))
        unique = len(times) == len(self._shown)
        return PacketIndex(times, keys, self._exact and unique and bool(keys) and keys[0].pts == times[0], self._count)


def slices_whole(data: bytes) -> bool:
    """Say whether every slice of an FFV1 packet carries a checksum that is right; FFmpeg's decoder conceals those that are not."""
    end = len(data)
    while end > _SLICE_TRAILER:
        size = int.from_bytes(data[end - _SLICE_TRAILER : end - 5], "big") + _SLICE_TRAILER
        if size > end or zlib.crc32(data[end - size : end].translate(_MIRRORED), 0xFFFFFFFF) != 0xFFFFFFFF:
            return False
        end -= size
    return end == 0


def missing_bytes(path: Path) -> int:
    """Return how many bytes the file lacks by its own headers (Matroska, MP4, QuickTime, AVI); 0 where whole or unknown."""
    actual = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(0)
        if head[:4] == _EBML.to_bytes(4, "big"):
            stated = _matroska_size(file)
        elif head[:4] == b"RIFF":
            stated = 8 + int.from_bytes(head[4:8], "little")
        elif head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            stated = _boxes_size(file, actual)
        else:
            stated = 0
    return max(0, stated - actual)


def _matroska_size(file: BinaryIO) -> int:
    """Return the end of the first segment, 0 if it is not stated (a live stream)."""
    while identifier := _vint(file, keep_marker=True):
        size = _vint(file)
        if size is None:
            return 0
        if identifier == _SEGMENT:
            return file.tell() + size
        file.seek(size, os.SEEK_CUR)
    return 0


def _vint(file: BinaryIO, keep_marker: bool = False) -> int | None:
    """Read an EBML number; None at the end of the file or for 'unknown'."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(length - 1), "big")
    if keep_marker:
        return value
    value &= (1 << 7 * length) - 1
    return None if value == (1 << 7 * length) - 1 else value


def _boxes_size(file: BinaryIO, actual: int) -> int:
    """Return where the last box at the top of an MP4 or QuickTime file ends by its header."""
    end = 0
    while end < actual:
        file.seek(end)
        head = file.read(16)
        size = int.from_bytes(head[:4], "big")
        if size == 1 and len(head) == 16:
            size = int.from_bytes(head[8:], "big")
        if size < 8:
            break
        end += size
    return end
