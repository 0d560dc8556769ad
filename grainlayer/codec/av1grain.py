"""Hold the film-grain parameters of AV1 (AFGS1), read and write tables of them, and read those that a decoder exports.

Numbers are those of the bitstream (AV1 specification, 5.9.30): chroma multipliers with 128 for 0, offsets with 256 for 0.
`av1synth` makes the grain.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from grainlayer.errors import MediaError, ParamError

Points = tuple[tuple[int, int], ...]
"""Scaling by code value: pairs of an 8-bit value and the scaling there, the values growing."""

MOST_POINTS = (14, 10, 10)
"""Points of luma, Cb and Cr, at most."""
TICKS = 10_000_000
"""A table's units of time in a second."""
FOREVER = (1 << 63) - 1
SIGNATURE = "filmgrn1"


@dataclass(frozen=True)
class Av1Grain:
    """Hold one set of parameters. Raise ParamError for values that no bitstream can have.

    seed           16 bits; frames differ by it
    points         scaling points of luma, Cb and Cr
    lag            reach of the autoregressive filter, 0..3
    coefficients   of luma, lag * (lag + 1) * 2 of them; of Cb and Cr one more, which weighs luma's grain
    ar_shift       6..9: coefficients count 2 ** -ar_shift
    grain_shift    0..3: the noise before the filter is divided by 2 ** grain_shift
    scaling_shift  8..11: noise is grain * scaling / 2 ** scaling_shift
    multipliers    for Cb and Cr: (of chroma, of luma, offset), as coded
    """

    seed: int = 0
    points: tuple[Points, Points, Points] = ((), (), ())
    lag: int = 0
    coefficients: tuple[tuple[int, ...], ...] = ((), (0,), (0,))
    ar_shift: int = 7
    grain_shift: int = 0
    scaling_shift: int = 11
    from_luma: bool = False
    overlap: bool = False
    limited: bool = False
    multipliers: tuple[tuple[int, int, int], tuple[int, int, int]] = field(default=((128, 192, 256), (128, 192, 256)))

    def __post_init__(self) -> None:
        """Check every range."""
        _within("seed", self.seed, 0, 65535)
        _within("lag", self.lag, 0, 3)
        _within("ar_shift", self.ar_shift, 6, 9)
        _within("grain_shift", self.grain_shift, 0, 3)
        _within("scaling_shift", self.scaling_shift, 8, 11)
        for plane, points in enumerate(self.points):
            _within(f"points of plane {plane}", len(points), 0, MOST_POINTS[plane])
            values = [value for value, _ in points]
            if values != sorted(set(values)) or any(not 0 <= number <= 255 for pair in points for number in pair):
                raise ParamError(f"Scaling points of AV1 grain are growing values and scalings of 0 to 255; got {points}.")
        luma = 2 * self.lag * (self.lag + 1)
        for plane, row in enumerate(self.coefficients):
            if len(row) != luma + (plane > 0) or any(not -128 <= number <= 127 for number in row):
                raise ParamError(f"Lag {self.lag} takes {luma} coefficients of -128 to 127, one more for chroma; got {len(row)}.")
        for mult, luma_mult, offset in self.multipliers:
            _within("chroma multiplier", mult, 0, 255)
            _within("luma multiplier", luma_mult, 0, 255)
            _within("chroma offset", offset, 0, 511)


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ParamError(f"The {name} of AV1 grain must be from {low} to {high}; got {value}.")


@dataclass(frozen=True)
class Entry:
    """Hold a line of a table: from when to when (in ten-millionths of a second) which grain is laid, None for none."""

    start: int = 0
    end: int = FOREVER
    grain: Av1Grain | None = None


class Words:
    """Hand out a table's words one after another, and tell the next one beforehand."""

    def __init__(self, words: Sequence[str]) -> None:
        """Take the words."""
        self._left = deque(words)

    def take(self) -> str:
        """Return the next word. Raise ParamError at the end."""
        if not self._left:
            raise ParamError("it ends too early")
        return self._left.popleft()

    def number(self) -> int:
        """Return the next word as a whole number. Raise ParamError if it is none."""
        word = self.take()
        try:
            return int(word)
        except ValueError as error:
            raise ParamError(f"{word!r} stands where a number must") from error

    def peek(self) -> str:
        """Return the next word and leave it; nothing at the end."""
        return self._left[0] if self._left else ""


def read_table(path: Path) -> tuple[Entry, ...]:
    """Read a table of the form `filmgrn1`. Raise MediaError, naming the line, if it is damaged."""
    try:
        words = path.read_text("ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise MediaError(f"The grain table {path} cannot be read ({error}); check the path.") from error
    if not words or words[0] != SIGNATURE:
        raise MediaError(f"{path} is no grain table: it does not begin with {SIGNATURE}.")
    try:
        return tuple(_entries(Words(words[1:])))
    except ParamError as error:
        raise MediaError(f"The grain table {path} is damaged ({str(error).rstrip('.')}); write it again.") from error


def _entries(words: Words) -> Iterator[Entry]:
    """Yield entries; one that does not update keeps the parameters before it, but for the seed."""
    last: Av1Grain | None = None
    while words.peek():
        _expect(words, "E")
        start, end, applied, seed, updated = (words.number() for _ in range(5))
        if updated:
            last = _parameters(words, seed)
        elif last is not None:
            last = replace(last, seed=seed)
        yield Entry(start, end, last if applied else None)


def _parameters(words: Words, seed: int) -> Av1Grain:
    _expect(words, "p")
    lag, ar_shift, grain_shift, scaling_shift, from_luma, overlap, *multipliers = (words.number() for _ in range(12))
    points = tuple(_points(words, name) for name in ("sY", "sCb", "sCr"))
    rows: list[tuple[int, ...]] = []
    for plane, name in enumerate(("cY", "cCb", "cCr")):
        _expect(words, name)
        rows.append(tuple(words.number() for _ in range(2 * lag * (lag + 1) + (plane > 0))))
    return Av1Grain(
        seed=seed,
        points=(points[0], points[1], points[2]),
        lag=lag,
        coefficients=tuple(rows),
        ar_shift=ar_shift,
        grain_shift=grain_shift,
        scaling_shift=scaling_shift,
        from_luma=bool(from_luma),
        overlap=bool(overlap),
        multipliers=(_triple(multipliers[:3]), _triple(multipliers[3:])),
    )


def _triple(numbers: Sequence[int]) -> tuple[int, int, int]:
    first, second, third = numbers
    return first, second, third


def _expect(words: Words, name: str) -> None:
    found = words.take()
    if found != name:
        raise ParamError(f"{found!r} stands where {name!r} must")


def _points(words: Words, name: str) -> Points:
    """Read the points of a plane; published tables exist whose count is less than the points that follow."""
    _expect(words, name)
    count = words.number()
    if not 0 <= count <= MOST_POINTS[0]:
        raise ParamError(f"{name} has {count} points")
    found = [(words.number(), words.number()) for _ in range(count)]
    while words.peek().isdigit():
        found.append((words.number(), words.number()))
    return tuple(found)


def table_text(entries: Sequence[Entry]) -> str:
    """Return a table's text."""
    lines = [SIGNATURE]
    for entry in entries:
        grain = entry.grain
        lines.append(f"E {entry.start} {entry.end} {int(grain is not None)} {grain.seed if grain else 0} {int(grain is not None)}")
        if grain is None:
            continue
        flags = (grain.lag, grain.ar_shift, grain.grain_shift, grain.scaling_shift, int(grain.from_luma), int(grain.overlap))
        lines.append("\tp " + " ".join(map(str, (*flags, *grain.multipliers[0], *grain.multipliers[1]))))
        for name, points in zip(("sY", "sCb", "sCr"), grain.points, strict=True):
            lines.append(f"\t{name} " + " ".join(map(str, (len(points), *(number for pair in points for number in pair)))))
        for name, row in zip(("cY", "cCb", "cCr"), grain.coefficients, strict=True):
            lines.append("\t" + " ".join((name, *map(str, row))))
    return "\n".join(lines) + "\n"


_SIDE_HEAD = struct.Struct("<i4xQ")
_SIDE_BODY = struct.Struct("<i28si2i40s2i24s50s2x2i6i2i")
_SIDE_AT = 56
"""Where FFmpeg's AVFilmGrainAOMParams begin in its AVFilmGrainParams, whose type is 1 for AV1."""


def from_side_data(data: bytes) -> Av1Grain | None:
    """Return the grain that FFmpeg's decoder exports beside a frame (`export_side_data=film_grain`); None if it is not AV1's.

    Raise MediaError if it is cut short.
    """
    if len(data) < _SIDE_AT + _SIDE_BODY.size:
        raise MediaError("The film-grain data beside a frame is cut short; decode the file again.")
    kind, seed = _SIDE_HEAD.unpack_from(data)
    if kind != 1:
        return None
    body = _SIDE_BODY.unpack_from(data, _SIDE_AT)
    luma_count, luma, from_luma, blue_count, red_count, chroma, scaling_shift, lag, luma_row, chroma_rows, *rest = body
    ar_shift, grain_shift, blue, red, blue_luma, red_luma, blue_offset, red_offset, overlap, limited = rest
    reach = 2 * lag * (lag + 1)
    return Av1Grain(
        seed=seed,
        points=(_pairs(luma, luma_count), _pairs(chroma[:20], blue_count), _pairs(chroma[20:], red_count)),
        lag=lag,
        coefficients=(_signed(luma_row)[:reach], _signed(chroma_rows[:25])[: reach + 1], _signed(chroma_rows[25:])[: reach + 1]),
        ar_shift=ar_shift,
        grain_shift=grain_shift,
        scaling_shift=scaling_shift,
        from_luma=bool(from_luma),
        overlap=bool(overlap),
        limited=bool(limited),
        multipliers=((blue + 128, blue_luma + 128, blue_offset + 256), (red + 128, red_luma + 128, red_offset + 256)),
    )


def _pairs(data: bytes, count: int) -> Points:
    return tuple((data[2 * i], data[2 * i + 1]) for i in range(count))


def _signed(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(data)}b", data)
