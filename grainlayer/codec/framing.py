"""Lay out a grain stream in bytes so that damage stays where it fell: header, shot index, packets that can be found again.

    header   MAGIC, major u8, minor u8, length u32 (of the header), fields, CRC-32 u32 of all before it
    index    length u32 (of the entries), entries, CRC-32 u32 of length and entries
    entry    start (after the end of the shot before), frames, length, CRC-32's low half u16; packets follow one another
    packet   SYNC, major u8, length (of the body), CRC-32 u32 of major, length and body, body

Numbers without a size are base-128 varints, lowest part first; sized ones are little-endian. An entry's length counts the whole
packet, its CRC is the packet's own. Header, index and packet framing are the same in every version, what they hold is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

from grainlayer.errors import StreamError

MAGIC = b"\x89GRAIN\r\n"
SYNC = b"\xb4G"
MAJOR, MINOR = 1, 0
_HEAD = len(MAGIC) + 6
_PATIENCE, _LEAST_PATIENCE = 8, 1 << 24


@dataclass(frozen=True)
class Packet:
    """Hold one whole shot packet: where it starts and ends in the data, its version, CRC and body."""

    offset: int
    end: int
    major: int
    crc: int
    body: bytes


@dataclass(frozen=True)
class Entry:
    """Hold one line of the shot index: frames, where the packet lies in the data, and the low half of its CRC."""

    start: int
    frames: int
    offset: int
    length: int
    half: int


class Reader:
    """Read fields from bytes; every method raises StreamError, naming the byte, where they end too early."""

    def __init__(self, data: bytes, place: int = 0, end: int | None = None) -> None:
        """Start at `place`; `end` is where the readable part ends."""
        self.data, self.place = data, place
        self.end = len(data) if end is None else min(end, len(data))

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        if count > self.end - self.place:
            raise StreamError(f"The grain stream is cut at byte {self.end}.")
        self.place += count
        return self.data[self.place - count : self.place]

    def sized(self, count: int) -> int:
        """Return a little-endian number of `count` bytes."""
        return int.from_bytes(self.take(count), "little")

    def varint(self) -> int:
        """Return a base-128 number below 2 ** 63."""
        value = 0
        for shift in range(0, 63, 7):
            byte = self.sized(1)
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise StreamError(f"The grain stream holds an endless number at byte {self.place}.")

    def tags(self) -> dict[int, bytes]:
        """Return tagged values as `tags` wrote them."""
        return {self.varint(): self.take(self.varint()) for _ in range(self.varint())}


def varint(value: int) -> bytes:
    """Return a base-128 number, lowest part first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def tags(values: Mapping[int, bytes]) -> bytes:
    """Return tagged values: their count, then tag, length and bytes of each, in the order of the tags."""
    return varint(len(values)) + b"".join(varint(tag) + varint(len(values[tag])) + values[tag] for tag in sorted(values))


def header(fields: bytes) -> bytes:
    """Return a header around its fields."""
    length = _HEAD + len(fields) + 4
    head = MAGIC + bytes([MAJOR, MINOR]) + length.to_bytes(4, "little") + fields
    return head + _crc(head)


def packet(body: bytes) -> bytes:
    """Return a packet around its body."""
    framed = bytes([MAJOR]) + varint(len(body))
    return SYNC + framed + _crc(framed + body) + body


def index(shots: Sequence[tuple[int, int]], packets: Sequence[bytes]) -> bytes:
    """Return the index of shots (start, frames), whose packets follow it one after another."""
    entries, end = bytearray(), 0
    for (start, frames), whole in zip(shots, packets, strict=True):
        half = read_packet(whole, 0).crc & 0xFFFF
        entries += varint(start - end) + varint(frames) + varint(len(whole)) + half.to_bytes(2, "little")
        end = start + frames
    sized = len(entries).to_bytes(4, "little") + entries
    return sized + _crc(sized)


def read_header(data: bytes) -> tuple[int, Reader]:
    """Return a header's major version and a reader of its fields; the index is 4 bytes after the reader's end.

    Raise StreamError if the header is damaged or cut.
    """
    if not data.startswith(MAGIC):
        raise StreamError("The grain stream's header is damaged at byte 0.")
    reader = Reader(data, len(MAGIC))
    major, _, length = reader.sized(1), reader.sized(1), reader.sized(4)
    if not _HEAD + 4 <= length <= len(data):
        raise StreamError(f"The grain stream's header is damaged or cut at byte {reader.place}.")
    if data[length - 4 : length] != _crc(data[: length - 4]):
        raise StreamError(f"The grain stream's header is damaged before byte {length}.")
    return major, Reader(data, _HEAD, length - 4)


def read_index(data: bytes, place: int) -> list[Entry]:
    """Return the index that starts at `place`. Raise StreamError if it is damaged."""
    reader = Reader(data, place)
    length = reader.sized(4)
    entries = reader.take(length)
    if reader.take(4) != _crc(data[place : place + 4 + length]):
        raise StreamError(f"The grain stream's shot index is damaged after byte {place}.")
    return list(_entries(Reader(entries), reader.place))


def _entries(reader: Reader, offset: int) -> Iterator[Entry]:
    frame = 0
    while reader.place < reader.end:
        start, frames, length, half = frame + reader.varint(), reader.varint(), reader.varint(), reader.sized(2)
        yield Entry(start, frames, offset, length, half)
        frame, offset = start + frames, offset + length


def read_packet(data: bytes, offset: int) -> Packet:
    """Return the packet at `offset`. Raise StreamError if it is damaged or cut."""
    packet, _ = _try_packet(data, offset)
    if packet is None:
        raise StreamError(f"The grain stream is damaged or cut after byte {offset}.")
    return packet


def _try_packet(data: bytes, offset: int) -> tuple[Packet | None, int]:
    """Return the packet at `offset` if there is a whole one, and the bytes looked at."""
    if not data.startswith(SYNC, offset):
        return None, len(SYNC)
    reader = Reader(data, offset + len(SYNC))
    try:
        major, length = reader.sized(1), reader.varint()
        framed = data[offset + len(SYNC) : reader.place]
        crc, body = reader.sized(4), reader.take(length)
    except StreamError:
        return None, 16
    found = Packet(offset, reader.place, major, crc, body)
    return (found if crc32(body, crc32(framed)) == crc else None), length + 16


def scan(data: bytes) -> Iterator[Packet]:
    """Yield the whole packets found by their marks, in order, after at most some eight readings of the data."""
    patience = max(_PATIENCE * len(data), _LEAST_PATIENCE)
    place = data.find(SYNC)
    while place >= 0 and patience > 0:
        found, cost = _try_packet(data, place)
        patience -= cost
        if found:
            yield found
        place = data.find(SYNC, found.end if found else place + 1)


def _crc(data: bytes) -> bytes:
    return crc32(data).to_bytes(4, "little")
