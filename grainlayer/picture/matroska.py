"""Write the shape of the pixels into a Matroska file, which PyAV has no way to ask its muxer for."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

_EBML, _SEGMENT, _TRACKS, _ENTRY, _VIDEO, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x1F43B675
_CRC, _VOID, _TYPE = 0xBF, 0xEC, 0x83
_PIXEL_WIDTH, _PIXEL_HEIGHT, _DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = 0xB0, 0xBA, 0x54B0, 0x54BA, 0x54B2
_RATIO = 3
_HEADER_BYTES = 1 << 22

Element = tuple[int, int, int, int]
"""Identifier, where the element starts, where its data start and end."""


def set_sample_aspect(path: Path, aspect: Fraction) -> bool:
    """State the display size of the video track that `aspect` makes, in place, without moving anything else.

    Return False where the header has no room for it or has another form than FFmpeg's.
    """
    with path.open("r+b") as file:
        head = file.read(_HEADER_BYTES)
        tracks = _tracks(head)
        if tracks is None:
            return False
        entry = next((e for e in _elements(head, *tracks[2:]) if e[0] == _ENTRY and _is_video(head, e)), None)
        fitted = None if entry is None else _fitted(_entry_data(head, entry, aspect), entry[3] - entry[1])
        if entry is None or fitted is None:
            return False
        body = bytearray(head[tracks[2] : tracks[3]])
        body[entry[1] - tracks[2] : entry[3] - tracks[2]] = fitted
        if body[0] == _CRC:
            body[2:6] = zlib.crc32(body[6:]).to_bytes(4, "little")
        file.seek(tracks[2])
        file.write(body)
    return True


def _tracks(head: bytes) -> Element | None:
    for element in _elements(head, 0, len(head)):
        if element[0] == _SEGMENT:
            return next((e for e in _elements(head, element[2], len(head)) if e[0] == _TRACKS and e[3] <= len(head)), None)
    return None


def _elements(data: bytes, start: int, end: int) -> Iterator[Element]:
    """Yield the elements that lie between `start` and `end`, none behind the first cluster."""
    while start + 2 <= end:
        length = 9 - data[start].bit_length()
        identifier = int.from_bytes(data[start : start + length], "big")
        begin = start + length
        size_length = 9 - data[begin].bit_length()
        size = int.from_bytes(data[begin : begin + size_length], "big") & ((1 << 7 * size_length) - 1)
        begin += size_length
        yield identifier, start, begin, begin + size
        if identifier == _CLUSTER:
            return
        start = begin + size


def _number(data: bytes, element: Element) -> int:
    return int.from_bytes(data[element[2] : element[3]], "big")


def _is_video(data: bytes, entry: Element) -> bool:
    return any(e[0] == _TYPE and _number(data, e) == 1 for e in _elements(data, *entry[2:]))


def _entry_data(data: bytes, entry: Element, aspect: Fraction) -> bytes:
    """Return the track entry's data without its padding, with the display size in its video part."""
    parts: list[bytes] = []
    for element in _elements(data, *entry[2:]):
        if element[0] == _VIDEO:
            parts.append(_element(_VIDEO, _video_data(data, element, aspect)))
        elif element[0] != _VOID:
            parts.append(data[element[1] : element[3]])
    return b"".join(parts)


def _video_data(data: bytes, video: Element, aspect: Fraction) -> bytes:
    inside = list(_elements(data, *video[2:]))
    width, height = (next(_number(data, e) for e in inside if e[0] == which) for which in (_PIXEL_WIDTH, _PIXEL_HEIGHT))
    wide, tall, unit = _display_size(width, height, aspect)
    kept = (data[e[1] : e[3]] for e in inside if e[0] not in (_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT))
    size = _element(_DISPLAY_WIDTH, _bytes(wide)) + _element(_DISPLAY_HEIGHT, _bytes(tall))
    return b"".join((*kept, size, _element(_DISPLAY_UNIT, _bytes(unit)) if unit else b""))


def _display_size(width: int, height: int, aspect: Fraction) -> tuple[int, int, int]:
    """Return display width, height and Matroska's unit: pixels where they come out whole, else the shape as a ratio."""
    if aspect > 1 and (width * aspect).denominator == 1:
        return int(width * aspect), height, 0
    if aspect <= 1 and (height / aspect).denominator == 1:
        return width, int(height / aspect), 0
    shape = Fraction(width, height) * aspect
    return shape.numerator, shape.denominator, _RATIO


def _bytes(number: int) -> bytes:
    return number.to_bytes(max(1, -(-number.bit_length() // 8)), "big")


def _element(identifier: int, data: bytes, size_length: int | None = None) -> bytes:
    length = size_length or next(n for n in range(1, 9) if len(data) < (1 << 7 * n) - 1)
    return _bytes(identifier) + ((1 << 7 * length) | len(data)).to_bytes(length, "big") + data


def _fitted(data: bytes, total: int) -> bytes | None:
    """Return the track entry in exactly `total` bytes, filled up by a longer size field and padding; None where it does not fit."""
    for length in range(8, 0, -1):
        spare = total - 1 - length - len(data)
        if len(data) >= (1 << 7 * length) - 1 or spare < 0:
            continue
        if spare == 0:
            return _element(_ENTRY, data, length)
        if 2 <= spare < 126:
            return _element(_ENTRY, data + _element(_VOID, bytes(spare - 2)), length)
    return None
