"""Grain shots to test with: any valid one (hypothesis), and typical ones (seeded)."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from grainlayer.codec.stream import GrainShot, GrainStream
from grainlayer.grain.profile import NODES, RADII, SHAPE_CODES, SPECTRUM_CODES, STRENGTH_CODES, STRENGTH_KNOTS, GrainProfile, encode_profile
from grainlayer.grain.texture import CODE_RANGE, SMALLEST, Box, TextureMap, quarters, roots


def rows(count: int, length: int, low: int, high: int) -> st.SearchStrategy[tuple[tuple[int, ...], ...]]:
    row = st.lists(st.integers(low, high), min_size=length, max_size=length).map(tuple)
    return st.lists(row, min_size=count, max_size=count).map(tuple)


profiles = st.builds(
    GrainProfile,
    height=st.integers(1, 65535),
    strength=rows(3, STRENGTH_KNOTS, 0, STRENGTH_CODES - 1),
    spectrum=rows(len(NODES), len(RADII), *SPECTRUM_CODES),
    direction=rows(1, len(RADII), *SHAPE_CODES).map(lambda r: r[0]),
    correlation=rows(1, 3, -64, 64).map(lambda r: r[0]),
)


@st.composite
def texture_maps(draw: st.DrawFn, width: int, height: int) -> TextureMap:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return random_map(rng, width, height, draw(st.floats(0, 1)), draw(st.floats(0, 1)))


extras = st.dictionaries(st.integers(0, 65535), st.binary(max_size=20), max_size=3)


@st.composite
def shots(draw: st.DrawFn, start: int, frames: int, width: int, height: int) -> GrainShot:
    gains = draw(st.just(()) | st.lists(st.integers(-64, 64), min_size=frames, max_size=frames).map(tuple)) if frames < 100 else ()
    texture = draw(texture_maps(width, height))
    seed = draw(st.integers(0, 2**64 - 1))
    return GrainShot(start, frames, draw(profiles), texture, seed, gains, draw(st.integers(1, 8)), draw(extras))


@st.composite
def streams(draw: st.DrawFn) -> GrainStream:
    width, height = draw(st.integers(1, 400)), draw(st.integers(1, 400))
    made: list[GrainShot] = []
    end = 0
    for _ in range(draw(st.integers(0, 3))):
        start, frames = end + draw(st.integers(0, 300)), draw(st.integers(1, 50) | st.integers(1, 2**29))
        made.append(draw(shots(start, frames, width, height)))
        end = start + frames
    rate = Fraction(draw(st.integers(1, 2**31)), draw(st.integers(1, 2**31)))
    return GrainStream(width, height, rate, end + draw(st.integers(0, 9)), tuple(made), draw(extras))


def random_map(rng: np.random.Generator, width: int, height: int, share: float, spread: float) -> TextureMap:
    """Return a map without structure: `share` of the blocks split, codes up to `spread` of their range."""
    splits: list[bool] = []
    leaves = 0
    stack: list[Box] = list(roots(width, height))[::-1]
    while stack:
        box = stack.pop()
        if box[2] > SMALLEST:
            splits.append(bool(rng.random() < share))
            if splits[-1]:
                stack += quarters(box, width, height)[::-1]
                continue
        leaves += 1
    codes = np.round(rng.uniform(*CODE_RANGE, (leaves, 4)) * spread).astype(int)
    return TextureMap(width, height, tuple(splits), tuple((a, b, c, d) for a, b, c, d in codes.tolist()))


def typical_profile(rng: np.random.Generator, height: int = 720) -> GrainProfile:
    """Return a profile such as film gives: a hump of strength, a roll-off, errors of measurement."""
    value = np.linspace(0, 1, STRENGTH_KNOTS)
    octaves = rng.normal(-6.4, 0.6) - rng.uniform(1.5, 4.5) * (value - 0.35) ** 2
    strength = np.exp2(octaves + rng.normal(0, 0.2, (3, 1)) + rng.normal(0, 0.03, (3, STRENGTH_KNOTS)))
    radii = np.array(RADII)
    fall = np.maximum(-10 * (radii / rng.uniform(0.1, 0.5)) ** 2, -50) + 6
    spectrum = fall + rng.normal(0, 0.25, (3, len(RADII))) + rng.normal(0, 1.5, (3, 1)) * radii
    return encode_profile(height, strength, spectrum, rng.normal(0, 0.5, len(RADII)), rng.uniform(0.1, 0.9) + rng.normal(0, 0.03, 3))


def typical_map(rng: np.random.Generator, width: int = 1280, height: int = 720) -> TextureMap:
    """Return a map such as a shot gives: mostly as the profile, smooth departures, blocks merged where they agree."""
    across, down = -(-width // SMALLEST), -(-height // SMALLEST)
    cells = np.stack([_departures(rng, down, across, feature) for feature in range(4)])
    splits: list[bool] = []
    codes: list[tuple[int, int, int, int]] = []
    for root in roots(width, height):
        _, part_splits, part_codes = _merged(cells, root, width, height)
        splits += part_splits
        codes += part_codes
    return TextureMap(width, height, tuple(splits), tuple(codes))


def _departures(rng: np.random.Generator, down: int, across: int, feature: int) -> np.ndarray:
    knots = rng.standard_normal((down // 8 + 3, across // 8 + 3))
    y, x = np.arange(down) / 8, np.arange(across) / 8
    top, left = y.astype(int)[:, None], x.astype(int)[None]
    fy, fx = (y % 1)[:, None], (x % 1)[None]
    upper = knots[top, left] * (1 - fx) + knots[top, left + 1] * fx
    lower = knots[top + 1, left] * (1 - fx) + knots[top + 1, left + 1] * fx
    field = upper * (1 - fy) + lower * fy + rng.normal(0, 0.15, (down, across))
    floor = (0.8, 0.95, 1.0, 1.05)[feature]
    return np.clip(np.round(np.sign(field) * np.maximum(np.abs(field) - floor, 0) * 6), *CODE_RANGE)


def _merged(cells: np.ndarray, box: Box, width: int, height: int) -> tuple[float, list[bool], list[tuple[int, int, int, int]]]:
    x, y, size = box
    part = cells[:, y // SMALLEST : (y + size) // SMALLEST, x // SMALLEST : (x + size) // SMALLEST]
    mean = np.round(part.mean((1, 2)))
    cost = float(((part - mean[:, None, None]) ** 2).sum() + 3 * (1 + np.count_nonzero(mean)))
    a, b, c, d = (int(value) for value in mean)
    if size == SMALLEST:
        return cost, [], [(a, b, c, d)]
    below = [_merged(cells, quarter, width, height) for quarter in quarters(box, width, height)]
    if sum(one[0] for one in below) + 1 >= cost:
        return cost, [False], [(a, b, c, d)]
    return sum(one[0] for one in below) + 1, [True] + [s for one in below for s in one[1]], [v for one in below for v in one[2]]


def typical_stream(seed: int, count: int = 6, frames: int = 48, width: int = 1280, height: int = 720) -> GrainStream:
    """Return a stream of `count` typical shots."""
    rng = np.random.default_rng(seed)
    made = [
        GrainShot(place * frames, frames, typical_profile(rng, height), typical_map(rng, width, height), int(rng.integers(2**63)))
        for place in range(count)
    ]
    return GrainStream(width, height, Fraction(24), count * frames, tuple(made))
