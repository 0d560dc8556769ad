"""Fit AV1's film grain to grain of another kind: autoregressive filters by Yule and Walker, scaling from a curve of strength.

AV1's spectrum is one for all intensities; the filters are fitted to the mean of the pictures given. Planes are 10-bit Y, Cb, Cr of
BT.709, 4:4:4, full range, the form in which models/kinds.py lays a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from grainlayer.codec import av1synth
from grainlayer.codec.av1grain import Av1Grain, Points
from models.kinds import BITS, TO_YCC
from tests.bench.metrics import LAGS

Floats = NDArray[np.float64]

LAG = 3
TAPS = tuple((row, column) for row in range(-LAG, 1) for column in range(-LAG, LAG + 1) if (row, column) < (0, 0))
"""Places that a sample depends on, in the order of AV1's coefficients."""
RIDGES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
"""Shares of the power that are added to the equations' diagonal; the best is chosen in hindsight."""
SEEDS = range(1, 13)
"""Seeds of the patterns in which a fit is judged."""
ROOM = 3.5
"""Standard deviations of a pattern that must fit its range."""
POINTS = (14, 10, 10)


def planes_of(grain: Floats) -> Floats:
    """Return grain (H, W, 3) of R, G, B as that of Y, Cb, Cr, (3, H, W)."""
    return (grain @ TO_YCC.T).transpose(2, 0, 1)


@dataclass(frozen=True, eq=False)
class Relation:
    """Hold what the filters are fitted to: `table[i, j]` is the mean of plane i a lag (y, x) further on times plane j, (3, 3, H, W).

    Lags wrap around. The power of R, G and B is 1 in the mean.
    """

    table: Floats

    def at(self, i: int, j: int, lag: tuple[int, int]) -> float:
        """Return the covariance of plane i at a place and a lag further on with plane j at the place."""
        return float(self.table[i, j, lag[0], lag[1]])


def relate(grains: Sequence[Floats]) -> Relation:
    """Return the mean relation of the planes of grains (H, W, 3), each brought to the same power."""
    total = 0.0
    for grain in grains:
        even = grain - grain.mean(axis=(0, 1))
        waves = np.fft.fft2(planes_of(even / np.sqrt(np.mean(even**2))))
        total = total + np.fft.ifft2(waves[:, None] * waves[None].conj()).real / waves[0].size
    return Relation(np.asarray(total) / len(grains))


def solve(relation: Relation, plane: int, ridge: float) -> tuple[Floats, float]:
    """Return the coefficients of a plane, (24,) for luma and (25,) for chroma, whose last weighs luma, and the innovation's deviation."""
    reach = [(tap[0] - other[0], tap[1] - other[1]) for tap in TAPS for other in TAPS]
    equations = np.array([relation.at(plane, plane, lag) for lag in reach]).reshape(len(TAPS), len(TAPS))
    wanted = np.array([relation.at(plane, plane, tap) for tap in TAPS])
    if plane:
        beside = np.array([[relation.at(plane, 0, tap) for tap in TAPS]])
        equations = np.block([[equations, beside.T], [beside, np.array([[relation.at(0, 0, (0, 0))]])]])
        wanted = np.append(wanted, relation.at(plane, 0, (0, 0)))
    found = np.linalg.solve(equations + ridge * np.diag(np.diag(equations)), wanted)
    left = relation.at(plane, plane, (0, 0)) - 2 * found @ wanted + found @ equations @ found
    return found, float(np.sqrt(max(left, 1e-9)))


def filters(relation: Relation, ridge: float) -> Av1Grain:
    """Return the parameters of the filters, their coefficients rounded, without scaling."""
    rows, deviations = zip(*(solve(relation, plane, ridge) for plane in range(3)), strict=True)
    for row, deviation in zip(rows[1:], deviations[1:], strict=True):
        row[-1] *= deviations[0] / deviation
    most = max(float(np.abs(row).max()) for row in rows)
    shift = next((shift for shift in (9, 8, 7) if most * 2**shift <= 127), 6)
    codes = [tuple(int(v) for v in np.clip(np.round(row * 2**shift), -128, 127)) for row in rows]
    flat = ((0, 64),)
    return Av1Grain(points=(flat, flat, flat), lag=LAG, coefficients=tuple(codes), ar_shift=shift, overlap=True)


def pattern_planes(grain: Av1Grain) -> Floats:
    """Return the patterns of Y, Cb, Cr of some seeds without their borders, (seeds, 3, 64, 73), at 10 bits."""
    made = [av1synth.patterns(replace(grain, seed=seed), BITS, (0, 0)) for seed in SEEDS]
    return np.array([[plane[9:, 9:] for plane in planes] for planes in made], np.float64)


def shifted(grain: Av1Grain) -> Av1Grain:
    """Return the filters with their noise as weak as it must be for the patterns to fit their range."""
    for shift in range(4):
        found = replace(grain, grain_shift=shift)
        if ROOM * float(pattern_planes(found).std(axis=(0, 2, 3)).max()) <= 1 << (BITS - 1):
            return found
    return replace(grain, grain_shift=3)


def misfit(grain: Av1Grain, relation: Relation) -> float:
    """Return the greatest difference of luma's autocorrelation over lags -5 to 5 between patterns and truth."""
    patterns = pattern_planes(grain)[:, 0]
    height, width = patterns.shape[1:]
    worst = 0.0
    for row in range(LAGS + 1):
        for column in range(-LAGS, LAGS + 1):
            here = patterns[:, row:, max(column, 0) : width + min(column, 0)]
            there = patterns[:, : height - row, max(-column, 0) : width + min(-column, 0)]
            own = float(np.mean(here * there)) / float(np.mean(patterns**2))
            worst = max(worst, abs(own - relation.at(0, 0, (row, column)) / relation.at(0, 0, (0, 0))))
    return worst


def fit_table(grains: Sequence[Floats], curve: Floats, knots: Floats) -> Av1Grain:
    """Return AV1's parameters for grain like `grains` (H, W, 3 each), whose strength at grey `knots` (n,), 0..1, is `curve` (n,).

    The strength is the standard deviation in code value, root mean square of R, G and B.
    """
    relation = relate(grains)
    tried = [shifted(filters(relation, ridge)) for ridge in RIDGES]
    best = min(tried, key=lambda grain: misfit(grain, relation))
    made = pattern_planes(best).std(axis=(0, 2, 3))
    shares = np.sqrt([relation.at(plane, plane, (0, 0)) for plane in range(3)])
    rates = shares * curve.max() * ((1 << BITS) - 1) / np.maximum(made, 1e-9)
    shift = next((shift for shift in (11, 10, 9) if rates.max() * 2**shift <= 255), 8)
    points = tuple(_points(curve / curve.max() * rate * 2**shift, knots, count) for rate, count in zip(rates, POINTS, strict=True))
    return replace(best, points=(points[0], points[1], points[2]), scaling_shift=shift)


def _points(scaling: Floats, knots: Floats, count: int) -> Points:
    """Return evenly spread scaling points."""
    places = np.round(np.linspace(0, 255, count)).astype(int)
    values = np.clip(np.round(np.interp(places / 255, knots, scaling)), 0, 255).astype(int)
    return tuple((int(place), int(value)) for place, value in zip(places, values, strict=True))
