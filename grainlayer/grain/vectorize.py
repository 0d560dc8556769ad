"""Cut a shot's grain into adaptive blocks and give each a texture vector, where the profile alone is not enough.

Cells of 16 pixels are compared with the profile's own grain, measured by the same eyes. A quadtree from 128 to 16 pixels
then takes, by dynamic programming, the blocks whose vectors explain the differences at the least cost in bits; a difference
that chance explains costs more than it gains, so even grain gives a plain map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from grainlayer.grain.analyze import CELL, LUMA, Deliver, Remove, Split, cells_of, detrended, flatness, lay_again
from grainlayer.grain.profile import GrainProfile
from grainlayer.grain.texture import CODE_RANGE, SMALLEST, Box, TextureMap, quarters, roots
from grainlayer.types import Image, Window

Floats = NDArray[np.float64]
Vector = tuple[int, int, int, int]

ZERO: Vector = (0, 0, 0, 0)
VARIANCE_STEP = 1 / 8
"""Octaves of standard deviation a code."""
CONTRAST_STEP = 1 / 16
FREQUENCY_STEP = 1 / 8
DIRECTION_STEP = 0.5
MODEL_ERROR = 0.12
"""Octaves by which a cell's strength may differ from the profile without being worth a word."""
BIT = 2.5
"""Price of one bit, in units of log-likelihood."""
SAMPLES_A_CELL = 60
"""Independent grain samples in a cell of 16x16 pixels, grain being correlated."""


@dataclass
class CellTally:
    """Sum the grain of cells over a shot's samples: weight, power, gradients along x and y, brightness."""

    height: int
    width: int
    sums: Floats = field(init=False)

    def __post_init__(self) -> None:
        """Make the sums: (5, rows, columns)."""
        self.sums = np.zeros((5, -(-self.height // CELL), -(-self.width // CELL)))

    def add(self, base: Image, grain: Image, guide: Image, origin: tuple[int, int]) -> None:
        """Add a picture, or a part whose origin (y, x) is a multiple of 16; `guide` decides what is flat."""
        if min(base.shape[:2]) < CELL:
            return
        weight = flatness(guide)
        cells = detrended(cells_of(grain @ LUMA.astype(np.float32)))
        value = cells_of(base @ LUMA.astype(np.float32)).mean(axis=(2, 3))
        along = (np.diff(cells, axis=3) ** 2).mean(axis=(2, 3))
        across = (np.diff(cells, axis=2) ** 2).mean(axis=(2, 3))
        rows = np.stack((np.ones_like(weight), (cells**2).mean(axis=(2, 3)), along, across, value)) * weight
        top, left = origin[0] // CELL, origin[1] // CELL
        self.sums[:, top : top + rows.shape[1], left : left + rows.shape[2]] += rows


@dataclass(frozen=True)
class Evidence:
    """Hold, by cell, the weight of evidence and the differences from the profile."""

    weight: Floats
    strength: Floats
    value: Floats
    frequency: Floats
    direction: Floats


def compare(wanted: CellTally, got: CellTally) -> Evidence:
    """Return how the shot's cells differ from the profile's own grain, in octaves and decibels."""
    weight, power, along, across, value = wanted.sums
    seen = np.maximum(weight, 1e-9)
    other = np.maximum(got.sums, 1e-14)
    ratio = np.log2(np.maximum(power, 1e-14) / other[1])
    spread = np.log2(np.maximum(along + across, 1e-14) / (other[2] + other[3]))
    lean = 10 * np.log10(np.maximum(along, 1e-14) / np.maximum(across, 1e-14) * other[3] / other[2])
    known = weight > 0.05
    parts = (0.5 * ratio, value / seen, 0.5 * (spread - ratio), lean)
    strength, brightness, frequency, direction = (np.where(known, part, 0.0) for part in parts)
    noise = 1 / (2 * np.log(2) ** 2 * SAMPLES_A_CELL * seen)
    certainty = np.where(known, 1 / (2 * noise + MODEL_ERROR**2), 0.0)
    return Evidence(certainty, strength, brightness, frequency, direction)


def build_map(evidence: Evidence, height: int, width: int) -> TextureMap:
    """Return the texture map of the least cost."""
    splits: list[bool] = []
    codes: list[Vector] = []
    for root in roots(width, height):
        _, part_splits, part_codes = _best(evidence, root, width, height)
        splits += part_splits
        codes += part_codes
    return TextureMap(width, height, tuple(splits), tuple(codes))


def _best(evidence: Evidence, box: Box, width: int, height: int) -> tuple[float, list[bool], list[Vector]]:
    """Return (cost, splits, codes) of the best tree below a block."""
    vector, cost = _leaf(evidence, box)
    if box[2] == SMALLEST:
        return cost, [], [vector]
    below = [_best(evidence, part, width, height) for part in quarters(box, width, height)]
    parts = sum(b[0] for b in below) + 3 * BIT
    if parts >= cost:
        return cost, [False], [vector]
    return parts, [True] + [s for b in below for s in b[1]], [c for b in below for c in b[2]]


def _leaf(evidence: Evidence, box: Box) -> tuple[Vector, float]:
    """Return the best vector of a block and its cost: half the squared error, and the price of its bits."""
    x, y, size = box
    part = np.s_[y // CELL : (y + size) // CELL, x // CELL : (x + size) // CELL]
    weight, strength = evidence.weight[part], evidence.strength[part]
    total = float(weight.sum())
    if total == 0:
        return ZERO, 0.0
    plain = 0.5 * float((weight * strength**2).sum())
    variance = _code(float((weight * strength).sum()) / total, VARIANCE_STEP)
    contrast = _contrast(weight, strength - variance * VARIANCE_STEP, evidence.value[part])
    tilt = np.log2(np.maximum(1 + contrast * CONTRAST_STEP * _tilt(weight, evidence.value[part]), 0.25))
    frequency, frequency_gain = _side(weight, evidence.frequency[part], FREQUENCY_STEP, 1.0)
    direction, direction_gain = _side(weight, evidence.direction[part], DIRECTION_STEP, 1 / 9)
    error = 0.5 * float((weight * (strength - variance * VARIANCE_STEP - tilt) ** 2).sum())
    vector = (variance, contrast, frequency, direction)
    cost = error - frequency_gain - direction_gain + BIT * sum(_bits(c) for c in vector)
    return (vector, cost) if cost < plain else (ZERO, plain)


def _side(weight: Floats, values: Floats, step: float, scale: float) -> tuple[int, float]:
    """Return (code, gain in log-likelihood) of a feature; `scale` turns its squared unit into squared octaves."""
    code = _code(float((weight * values).sum() / weight.sum()), step)
    gain = 0.5 * scale * float((weight * (values**2 - (values - code * step) ** 2)).sum())
    return (code, gain) if gain > BIT * _bits(code) else (0, 0.0)


def _tilt(weight: Floats, value: Floats) -> Floats:
    """Return each cell's brightness against the block's mean, in the unit that contrast codes tilt: 4 a code value, -1..1."""
    return np.clip(4 * (value - float((weight * value).sum() / weight.sum())), -1, 1)


def _contrast(weight: Floats, rest: Floats, value: Floats) -> int:
    """Return how much stronger, in sixteenths, the grain is where the block is brighter."""
    tilt = _tilt(weight, value)
    energy = float((weight * tilt**2).sum())
    if energy < 0.02 * float(weight.sum()):
        return 0
    slope = float((weight * tilt * rest).sum()) / energy * np.log(2)
    code = _code(slope, CONTRAST_STEP)
    gain = 0.5 * (energy * slope**2 - energy * (slope - code * CONTRAST_STEP) ** 2)
    return code if gain > BIT * _bits(code) else 0


def _code(value: float, step: float) -> int:
    return int(np.clip(round(value / step), *CODE_RANGE))


def _bits(code: int) -> float:
    return 0.1 if code == 0 else 3.0 + 2 * float(np.log2(1 + abs(code)))


def measure_texture(
    samples: Sequence[Split],
    bases: Sequence[Window],
    profile: GrainProfile,
    remove: Remove,
    height: int,
    width: int,
    *,
    deliver: Deliver | None = None,
) -> TextureMap:
    """Return the texture map of a shot of (height, width): its samples compared with the profile's own grain on their windows' bases."""
    wanted, got = CellTally(height, width), CellTally(height, width)
    for index, (sample, window) in enumerate(zip(samples, bases, strict=True)):
        wanted.add(sample.base, sample.source - sample.base, sample.base, sample.origin)
        base, grain, _ = lay_again(profile, window, index, 9, remove, deliver)
        got.add(base, grain, base, sample.origin)
    return build_map(compare(wanted, got), height, width)
