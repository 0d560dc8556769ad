"""Lay AV1's film grain over planes, bit for bit as a decoder does (AV1 specification, 7.18.3).

The table of Gaussian samples was measured: flat pictures with known seeds were coded at 12 bits and decoded with grain and without,
and each of the 2,048 values read off; it is what the specification prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from grainlayer.codec.av1grain import Av1Grain, Points
from grainlayer.errors import ParamError

Ints = NDArray[np.int32]
Plane = NDArray[np.uint8 | np.uint16]

ROWS, COLUMNS = 73, 82
"""Size of luma's pattern."""
CHROMA_SALT = (0xB524, 0x49D8)
STRIPE, BLOCK = 32, 32
OVERLAP = {0: ((27, 17), (17, 27)), 1: ((23, 22),)}
"""Weights of the pattern before and of the one that begins, for the rows or columns that both cover, by subsampling."""


@cache
def _gaussian() -> Ints:
    return np.frombuffer(files("grainlayer.codec").joinpath("av1_gaussian.bin").read_bytes(), "<i2").astype(np.int32)


@cache
def _register() -> tuple[Ints, Ints]:
    """Return the states of the 16-bit shift register in their order, and the place of each state in it."""
    order, place = np.zeros(65535, np.int32), np.zeros(65536, np.int32)
    state = 1
    for turn in range(65535):
        order[turn], place[state] = state, turn
        bit = (state ^ (state >> 1) ^ (state >> 3) ^ (state >> 12)) & 1
        state = (state >> 1) | (bit << 15)
    return order, place


def draws(seed: int, count: int, bits: int) -> Ints:
    """Return the next `count` numbers of so many bits after a 16-bit state; 0 gives 0 for ever."""
    if seed == 0:
        return np.zeros(count, np.int32)
    order, place = _register()
    return order[(place[seed] + 1 + np.arange(count)) % 65535] >> (16 - bits)


def _round(value: Ints, shift: int) -> Ints:
    return (value + ((1 << shift) >> 1)) >> shift


def _white(seed: int, rows: int, columns: int, shift: int) -> Ints:
    return _round(_gaussian()[draws(seed, rows * columns, 11)], shift).reshape(rows, columns)


def patterns(grain: Av1Grain, depth: int, subsampling: tuple[int, int]) -> tuple[Ints, Ints, Ints]:
    """Return the patterns of grain of Y, Cb, Cr: 73x82 for luma, as much less for chroma as `subsampling` (x, y) says.

    depth  8, 10 or 12 bits; values lie within +-2 ** (depth - 1)
    """
    shift = 12 - depth + grain.grain_shift
    low, high = -(1 << (depth - 1)), (1 << (depth - 1)) - 1
    luma = _white(grain.seed, ROWS, COLUMNS, shift) if grain.points[0] else np.zeros((ROWS, COLUMNS), np.int32)
    taps = [(row, column) for row in range(-grain.lag, 1) for column in range(-grain.lag, grain.lag + 1) if (row, column) < (0, 0)]
    if grain.points[0]:
        _filter(luma, taps, grain.coefficients[0], grain, (low, high))
    rows, columns = (38 if subsampling[1] else ROWS), (44 if subsampling[0] else COLUMNS)
    made: list[Ints] = []
    for plane, salt in enumerate(CHROMA_SALT, 1):
        shown = bool(grain.points[plane]) or grain.from_luma
        chroma = _white(grain.seed ^ salt, rows, columns, shift) if shown else np.zeros((rows, columns), np.int32)
        *own, of_luma = grain.coefficients[plane]
        beside = of_luma * _beside(luma, rows, columns, subsampling) if grain.points[0] else None
        if shown:
            _filter(chroma, taps, own, grain, (low, high), beside)
        made.append(chroma)
    return luma, made[0], made[1]


def _beside(luma: Ints, rows: int, columns: int, subsampling: tuple[int, int]) -> Ints:
    """Return luma's pattern at chroma's places: the mean of the luma samples that one chroma sample covers."""
    across, down = subsampling
    found = np.zeros((rows, columns), np.int32)
    for row in range(1 + down):
        for column in range(1 + across):
            part = luma[3 + row :: 1 + down, 3 + column :: 1 + across][: rows - 3, : columns - 3]
            found[3 : 3 + part.shape[0], 3 : 3 + part.shape[1]] += part
    return _round(found, across + down)


def _filter(
    field: Ints,
    taps: Sequence[tuple[int, int]],
    coefficients: Sequence[int],
    grain: Av1Grain,
    limits: tuple[int, int],
    beside: Ints | None = None,
) -> None:
    """Run the autoregressive filter over a pattern, in place; samples that depend on none of each other go together."""
    if not any(coefficients) and beside is None:
        return
    rows, columns = field.shape
    y, x = np.mgrid[3:rows, 3 : columns - 3]
    wave = (x + (grain.lag + 1) * y).ravel()
    order = np.argsort(wave, kind="stable")
    places = (y * columns + x).ravel()[order]
    steps = np.array([row * columns + column for row, column in taps], np.int64)
    weights = np.array(coefficients, np.int32)
    flat = field.reshape(-1)
    extra = None if beside is None else beside.reshape(-1)
    for at in np.split(places, np.flatnonzero(np.diff(wave[order])) + 1):
        total = flat[at[:, None] + steps] @ weights if len(steps) else np.zeros(len(at), np.int32)
        total = total if extra is None else total + extra[at]
        flat[at] = np.clip(flat[at] + _round(total, grain.ar_shift), *limits)


def scaling(points: Points, depth: int) -> Ints:
    """Return the scaling of every code value of `depth` bits: linear between points (AV1 specification, 7.18.3.5)."""
    table = np.zeros(257, np.int32)
    if points:
        table[: points[0][0]] = points[0][1]
        for (x0, y0), (x1, y1) in pairwise(points):
            step = (y1 - y0) * ((65536 + ((x1 - x0) >> 1)) // (x1 - x0))
            table[x0:x1] = y0 + ((np.arange(x1 - x0) * step + 32768) >> 16)
        table[points[-1][0] :] = points[-1][1]
    shift = depth - 8
    codes = np.arange(1 << depth)
    whole, rest = codes >> shift, codes & ((1 << shift) - 1)
    start, end = table[whole], table[np.minimum(whole + 1, 256)]
    between = start + _round((end - start) * rest, shift) if shift else start
    return np.where((whole == 255) | (rest == 0), start, between).astype(np.int32)


def noise(grain: Av1Grain, pattern: Ints, shape: tuple[int, int], subsampling: tuple[int, int], depth: int) -> Ints:
    """Return the field of unscaled grain (H, W) of one plane: blocks out of the pattern, at places that the seed draws."""
    height, width = shape
    across, down = subsampling
    low, high = -(1 << (depth - 1)), (1 << (depth - 1)) - 1
    field = np.zeros(shape, np.int32)
    tall = STRIPE >> down
    before: Ints | None = None
    for number in range((height + tall - 1) // tall):
        stripe = _stripe(grain, pattern, number, width, (across, down), (low, high))
        top, rows = number * tall, min(tall, height - number * tall)
        field[top : top + rows] = stripe[:rows, :width]
        if grain.overlap and before is not None:
            for row, (old, new) in enumerate(OVERLAP[down][:rows]):
                both = old * before[tall + row, :width] + new * stripe[row, :width]
                field[top + row] = np.clip(_round(both, 5), low, high)
        before = stripe
    return field


def _stripe(grain: Av1Grain, pattern: Ints, number: int, width: int, subsampling: tuple[int, int], limits: tuple[int, int]) -> Ints:
    """Return one stripe of blocks, with two rows of luma more than it covers."""
    across, down = subsampling
    tall, wide, more = STRIPE >> down, BLOCK >> across, 2 >> across
    state = grain.seed ^ (((number * 37 + 178) & 255) << 8) ^ ((number * 173 + 105) & 255)
    blocks = (width + wide - 1) // wide
    rows = tall + (2 >> down)
    stripe = np.zeros((rows, blocks * wide + more), np.int32)
    for block, drawn in enumerate(draws(state, blocks, 8)):
        x, y = int(drawn) >> 4, int(drawn) & 15
        left, top = (6 + x if across else 9 + 2 * x), (6 + y if down else 9 + 2 * y)
        part = pattern[top : top + rows, left : left + wide + more].copy()
        at = block * wide
        if grain.overlap and block:
            for column, (old, new) in enumerate(OVERLAP[across]):
                both = old * stripe[:, at + column] + new * part[:, column]
                part[:, column] = np.clip(_round(both, 5), *limits)
        stripe[:, at : at + part.shape[1]] = part
    return stripe


def lay(grain: Av1Grain, planes: Sequence[Plane], depth: int, subsampling: tuple[int, int], *, identity: bool = False) -> tuple[Plane, ...]:
    """Return planes Y, Cb, Cr, or Y alone, with grain; `identity` says that they are G, B, R.

    planes       (H, W) code values of `depth` bits, chroma smaller by `subsampling` (x, y)
    Raise ParamError for a depth that AV1 does not have.
    """
    if depth not in (8, 10, 12):
        raise ParamError(f"AV1 lays grain on 8, 10 or 12 bits; got {depth}.")
    made = patterns(grain, depth, subsampling)
    out: list[Plane] = []
    for number, plane in enumerate(planes):
        points = grain.points[0] if number and grain.from_luma else grain.points[number]
        if not points:
            out.append(plane.copy())
            continue
        sampled = subsampling if number else (0, 0)
        field = noise(grain, made[number], (plane.shape[0], plane.shape[1]), sampled, depth)
        place = plane.astype(np.int32) if number == 0 else _place(grain, number, planes[0], plane, subsampling, depth)
        low, high = _limits(grain, number, depth, identity=identity)
        scaled = _round(scaling(points, depth)[place] * field, grain.scaling_shift)
        out.append(np.clip(plane + scaled, low, high).astype(plane.dtype))
    return tuple(out)


def _place(grain: Av1Grain, number: int, luma: Plane, chroma: Plane, subsampling: tuple[int, int], depth: int) -> Ints:
    """Return the code values at which chroma's scaling is looked up: luma's beside it, or a mixture with its own."""
    across, down = subsampling
    height, width = chroma.shape
    rows = luma[:: 1 + down][:height].astype(np.int32)
    beside = rows[:, :: 1 + across][:, :width]
    if across:
        next_to = rows[:, 1::2][:, :width]
        whole = next_to.shape[1]
        beside = beside.copy()
        beside[:, :whole] = (beside[:, :whole] + next_to + 1) >> 1
    if grain.from_luma:
        return beside
    mult, of_luma, offset = grain.multipliers[number - 1]
    mixed = beside * (of_luma - 128) + chroma.astype(np.int32) * (mult - 128)
    return np.clip((mixed >> 6) + (offset - 256) * (1 << (depth - 8)), 0, (1 << depth) - 1)


def _limits(grain: Av1Grain, number: int, depth: int, *, identity: bool) -> tuple[int, int]:
    if not grain.limited:
        return 0, (1 << depth) - 1
    most = 235 if number == 0 or identity else 240
    return 16 << (depth - 8), most << (depth - 8)
