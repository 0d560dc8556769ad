"""Give Matroska files of equal content equal bytes: the random identifiers that the muxer draws become ones made from a name."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path

from grainlayer.errors import MediaError

SEGMENT, CLUSTER, CRC = 0x18538067, 0x1F43B675, 0xBF
MASTERS = frozenset((0x1549A966, 0x1654AE6B, 0x1941A469, 0x1254C367))
"""Info, Tracks, Attachments, Tags: they lie before the pictures and hold all identifiers."""
INSIDE = frozenset((0xAE, 0x61A7, 0x7373, 0x63C0))
"""A track, an attached file, a tag and its target."""
IDENTIFIERS = frozenset((0x73A4, 0x73C5, 0x46AE, 0x63C5, 0x63C6))
"""Of the segment, a track, an attached file, and the track or file that a tag is about."""
LONGEST_HEAD = 1 << 26

Element = tuple[int, int, int]
"""Identifier, where the element's data start and end."""


def settle_identifiers(path: Path, name: str) -> None:
    """Replace the random identifiers of a Matroska file in place, by ones made from `name`. Raise MediaError if it cannot be written."""
    try:
        with path.open("r+b") as file:
            head = bytearray(file.read(LONGEST_HEAD))
            made: dict[bytes, bytes] = {}
            for identifier, start, end in _top(head):
                if identifier in MASTERS and end <= len(head):
                    _rename(head, start, end, name, made)
                    _sum_up(head, start, end)
                    file.seek(start)
                    file.write(head[start:end])
    except OSError as error:
        raise MediaError(f"{path} cannot be written ({error.strerror}); free some space and run again.") from error


def _top(head: bytearray) -> Iterator[Element]:
    for identifier, start, _ in _elements(head, 0, len(head)):
        if identifier == SEGMENT:
            yield from _elements(head, start, len(head))
            return


def _elements(data: bytearray, start: int, end: int) -> Iterator[Element]:
    """Yield the elements between `start` and `end`, none behind the first cluster."""
    while start + 2 <= end and data[start]:
        begin = start + 9 - data[start].bit_length()
        identifier = int.from_bytes(data[start:begin], "big")
        if begin >= end or not data[begin]:
            return
        length = 9 - data[begin].bit_length()
        size = int.from_bytes(data[begin : begin + length], "big") & ((1 << 7 * length) - 1)
        begin += length
        yield identifier, begin, begin + size
        if identifier == CLUSTER:
            return
        start = begin + size


def _rename(head: bytearray, start: int, end: int, name: str, made: dict[bytes, bytes]) -> None:
    for identifier, first, last in _elements(head, start, end):
        if identifier in INSIDE:
            _rename(head, first, last, name, made)
        elif identifier in IDENTIFIERS and any(head[first:last]):
            old = bytes(head[first:last])
            fresh = hashlib.sha256(f"{name} {len(made)}".encode()).digest()[: last - first]
            head[first:last] = made.setdefault(old, bytes([fresh[0] | 1]) + fresh[1:])


def _sum_up(head: bytearray, start: int, end: int) -> None:
    """Write the check sum that stands first in an element, where there is one."""
    if head[start] == CRC and head[start + 1] == 0x84:
        head[start + 2 : start + 6] = zlib.crc32(head[start + 6 : end]).to_bytes(4, "little")
