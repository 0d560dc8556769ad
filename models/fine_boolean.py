"""Render Newson's Boolean model with all of its point spread: its disks drawn eight times finer than the picture, then filtered.

Monte Carlo with 100 samples sees fine grain through the samples' own spectrum, 1 to 3 dB off at high frequencies, and gives values in
steps of a hundredth. Here both are next to nothing, so that what is held against it is held against the model itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from grainlayer.errors import ParamError
from models.monte_carlo import MonteCarlo

Floats = NDArray[np.float64]

FINER = 8
"""Places a pixel, each way, at which disks are drawn."""
REACH = 4.5
"""Extent of the point spread, standard deviations."""


@dataclass(frozen=True)
class FineBoolean(MonteCarlo):
    """Be MonteCarlo with the same disks at the same seed, seen through the whole point spread, which must be 0.25 pixel at least."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.psf < 0.25:
            raise ParamError("Boolean grain on a fine grid takes a point spread of 0.25 to 8 pixels; use Monte Carlo for less.")

    @cached_property
    def weights(self) -> Floats:
        """Return the point spread along one axis at places (n + 1/2) / FINER pixels from a pixel's centre, n = -N .. N - 1."""
        count = int(np.ceil(REACH * self.psf * FINER))
        place = (np.arange(-count, count) + 0.5) / FINER
        found = np.exp(-0.5 * (place / self.psf) ** 2)
        return found / found.sum()

    @property
    def margin(self) -> int:
        """Return how many pixels from a pixel a disk's centre that it sees can lie."""
        return int(np.ceil(self.radii.max()) + np.ceil(len(self.weights) / 2 / FINER)) + 2

    def covariance(self, lag: tuple[float, float], coverage: float, share: float = 1.0) -> float:
        """Return the closed-form covariance of two pixels `lag` (y, x) apart on a flat picture, before scaling to a level."""
        double = np.convolve(self.weights, self.weights[::-1])
        place = np.arange(1 - len(self.weights), len(self.weights)) / FINER
        apart = np.hypot(place[:, None] + lag[0], place[None] + lag[1])
        return float((double[:, None] * double[None] * self._unfiltered(apart, coverage, share)).sum())

    def _look(self, disks: Floats, rate: Floats) -> Floats:
        """Return, without the margin, the covered share of what each pixel sees less what `rate` lets expect."""
        height, width = rate.shape
        fine = self._drawn(disks, height, width).astype(np.float32)
        near = int(np.ceil(self.radii.max())) + 1
        for row, column in np.ndindex(FINER, FINER):
            away = ((row + 0.5) / FINER - 0.5, (column + 0.5) / FINER - 0.5)
            expected = np.expm1(-self._disks_expected(rate, *away, near))
            fine[row::FINER, column::FINER][near : height - near, near : width - near] += expected
        seen = self._seen(self._seen(fine).T).T
        return seen[self.margin : height - self.margin, self.margin : width - self.margin]

    def _drawn(self, disks: Floats, height: int, width: int) -> NDArray[np.bool_]:
        """Return which places are covered, (FINER height, FINER width)."""
        covered = np.zeros(height * FINER * width * FINER, np.bool_)
        y, x, radius = (disks[:, part] * FINER for part in range(3))
        y, x, square = y - 0.5, x - 0.5, radius**2
        top, left = np.ceil(y - radius).astype(np.int64), np.ceil(x - radius).astype(np.int64)
        reach = int(2 * self.radii.max() * FINER) + 1
        for row in range(reach):
            at = top + row
            rest = square - (at - y) ** 2
            rows = (rest >= 0) & (at >= 0) & (at < height * FINER)
            some, aside, near, start = rest[rows], x[rows], left[rows], at[rows] * (width * FINER)
            for column in range(reach):
                beside = near + column
                hit = ((beside - aside) ** 2 <= some) & (beside >= 0) & (beside < width * FINER)
                covered[start[hit] + beside[hit]] = True
        return covered.reshape(height * FINER, width * FINER)

    def _seen(self, fine: NDArray[np.floating]) -> Floats:
        """Return rows of places (FINER n, m) weighted to pixels (n, m); those near the first and last row are of no use."""
        rows, half = len(fine) // FINER, len(self.weights) // 2
        padded = np.pad(fine, ((half, half), (0, 0)))
        found = np.zeros((rows, fine.shape[1]))
        for number, weight in enumerate(self.weights):
            found += weight * padded[number + FINER // 2 :: FINER][:rows]
        return found
