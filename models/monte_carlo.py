"""Render Newson's Boolean film-grain model by Monte Carlo: Poisson disks, seen through a Gaussian point spread.

Source: Newson, Delon and Galerne, "A Stochastic Film Grain Model for Resolution-Independent Rendering" (2017); the closed form is
that of models/boolean.py, with the overlap averaged over the radii.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from grainlayer.errors import ParamError
from models.boolean import coverage_covariance, disk_overlap

Floats = NDArray[np.float64]

MOST_COVERED = 0.996
"""Coverage of white: beyond it the disks' number grows without end."""
TILE = 64
_FAR = 1 << 20
"""Added to tiles' numbers, so that those left of and above the picture are not negative."""


def check_request(clean: Floats, level: float, seed: int) -> None:
    """Raise ParamError unless the picture is (H, W, 3), the level 0..1 and the seed 0 .. 2 ** 64 - 1."""
    if clean.ndim != 3 or clean.shape[2] != 3 or not clean.size:
        raise ParamError(f"Grain is rendered on pictures of the shape (height, width, 3); got {clean.shape}.")
    if not 0 <= level <= 1 or not 0 <= seed < 1 << 64:
        raise ParamError(f"Grain takes a level of 0..1 and a seed of 0 to 2 ** 64 - 1; got {level} and {seed}.")


def generator(seed: int, *place: int) -> np.random.Generator:
    """Return a generator of its own for a seed and up to three numbers: words of the counter that draws do not reach."""
    counter = [0, *place, *([0] * (3 - len(place)))]
    return np.random.Generator(np.random.Philox(key=seed, counter=np.array(counter, np.uint64)))


@dataclass(frozen=True)
class MonteCarlo:
    """Newson's Boolean model by Monte Carlo: Poisson disks whose number follows the picture, seen through a Gaussian point spread.

    radius   of the disks, pixels, 0.1 to 8: the median if they differ
    spread   standard deviation of the radius' logarithm, 0 to 1; 0 is one radius for all. Radii beyond 2.5 of it are not drawn
    psf      standard deviation of the point spread, pixels, 0 to 8
    samples  points of the point spread at which each pixel looks, 1 to 10 000: a spiral whose density is the Gaussian's
    shared   share of the disks that all channels have in common, 0..1, of the channel with the fewest

    The grain is the picture rendered less its expectation, so it carries nothing of the picture's edges. A disk depends on its place
    alone: the grain of a part, told its `origin`, is that of the whole but for a margin of radius and point spread.
    """

    radius: float = 0.5
    spread: float = 0.0
    psf: float = 0.8
    samples: int = 100
    shared: float = 0.3

    def __post_init__(self) -> None:
        fits = 0.1 <= self.radius <= 8 and 0 <= self.spread <= 1 and 0 <= self.psf <= 8 and 0 <= self.shared <= 1
        if not fits or not 1 <= self.samples <= 10_000:
            raise ParamError(
                "Boolean grain takes a radius of 0.1 to 8 pixels, a spread of 0 to 1, a point spread of 0 to 8, "
                "1 to 10 000 samples and a share of 0 to 1; correct them."
            )

    @cached_property
    def radii(self) -> Floats:
        """Return the radii, all equally frequent: one, or 64 quantiles of the log-normal distribution cut at 2.5 deviations."""
        if not self.spread:
            return np.array([self.radius])
        z = np.linspace(-2.5, 2.5, 4001)
        mass = np.cumsum(np.exp(-0.5 * z**2))
        return self.radius * np.exp(self.spread * np.interp((np.arange(64) + 0.5) / 64, mass / mass[-1], z))

    @cached_property
    def offsets(self) -> Floats:
        """Return where a pixel looks, (samples, 2): y and x in pixels from its centre."""
        number = np.arange(self.samples)
        distance = self.psf * np.sqrt(-2 * np.log1p(-(number + 0.5) / self.samples))
        angle = number * np.pi * (3 - np.sqrt(5))
        return np.stack((distance * np.sin(angle), distance * np.cos(angle)), axis=1)

    @property
    def area(self) -> float:
        """Return a disk's mean area, square pixels."""
        return float(np.pi * np.mean(self.radii**2))

    @property
    def margin(self) -> int:
        """Return how many pixels from a pixel a disk's centre that it sees can lie."""
        return int(np.ceil(self.radii.max() + np.abs(self.offsets).max())) + 1

    def covariance(self, lag: tuple[float, float], coverage: float, share: float = 1.0) -> float:
        """Return the closed-form covariance of two pixels `lag` (y, x) apart on a flat picture, before scaling to a level.

        It is coverage's covariance averaged over all pairs of samples; `share` < 1 gives that of two channels which share disks.
        """
        apart = self.offsets[:, None] - self.offsets[None] + np.array(lag)
        return float(self._unfiltered(np.hypot(apart[..., 0], apart[..., 1]), coverage, share).mean())

    def _unfiltered(self, distance: Floats, coverage: float, share: float) -> Floats:
        if len(self.radii) == 1 and share == 1:
            return coverage_covariance(distance, self.radius, coverage)
        grid = np.linspace(0, 2 * self.radii.max(), 2001)
        overlap = np.mean([disk_overlap(grid, float(radius)) for radius in self.radii], axis=0)
        rate = share * -np.log1p(-coverage) / self.area
        return (1 - coverage) ** 2 * np.interp(distance, grid, np.expm1(rate * overlap))

    @cached_property
    def _deviations(self) -> tuple[Floats, Floats]:
        """Return coverages and the standard deviation of a pixel there, unscaled."""
        coverages = np.linspace(0, MOST_COVERED, 84)
        return coverages, np.sqrt([self.covariance((0, 0), float(coverage)) for coverage in coverages])

    def strength(self, greys: Floats) -> Floats:
        coverages, deviations = self._deviations
        return np.interp(greys, coverages, deviations / deviations.max())

    def __call__(self, clean: Floats, level: float, seed: int, origin: tuple[int, int] = (0, 0)) -> Floats:
        """Return the grain of a picture, or of the part of one whose first pixel is at `origin` (y, x)."""
        check_request(clean, level, seed)
        edges = [(self.margin, self.margin)] * 2
        rates = [-np.log1p(-np.clip(np.pad(clean[:, :, c], edges, "symmetric"), 0, MOST_COVERED)) / self.area for c in range(3)]
        common = self.shared * np.min(rates, axis=0)
        start = (origin[0] - self.margin, origin[1] - self.margin)
        together = self._disks(common, seed, 0, start)
        grain = np.empty(clean.shape)
        for channel, rate in enumerate(rates):
            own = self._disks(rate - common, seed, 1 + channel, start)
            grain[:, :, channel] = self._look(np.concatenate((together, own)), rate)
        return grain * (level / self._deviations[1].max())

    def _disks(self, rate: Floats, seed: int, stream: int, start: tuple[int, int]) -> Floats:
        """Return disks (n, 3): y, x (pixels from the padded picture's corner), radius; thinned out of an even field by `rate`."""
        height, width = rate.shape
        most = -np.log1p(-MOST_COVERED) / self.area
        found = [np.empty((0, 3))]
        if not rate.any():
            return found[0]
        for row in range(start[0] // TILE, (start[0] + height - 1) // TILE + 1):
            for column in range(start[1] // TILE, (start[1] + width - 1) // TILE + 1):
                rng = generator(seed, row + _FAR, column + _FAR, stream)
                drawn = rng.random((int(rng.poisson(most * TILE**2)), 4))
                y, x = drawn[:, 0] * TILE + (row * TILE - start[0]), drawn[:, 1] * TILE + (column * TILE - start[1])
                inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
                y, x, mark, size = y[inside], x[inside], drawn[inside, 2], drawn[inside, 3]
                kept = mark * most < rate[y.astype(np.int64), x.astype(np.int64)]
                radius = self.radii[(size[kept] * len(self.radii)).astype(np.int64)]
                found.append(np.stack((y[kept], x[kept], radius), axis=1))
        return np.concatenate(found)

    def _look(self, disks: Floats, rate: Floats) -> Floats:
        """Return, without the margin, the share of samples that disks cover less what `rate` lets expect."""
        height, width = (size - 2 * self.margin for size in rate.shape)
        total = np.zeros((height, width))
        reach = int(2 * self.radii.max()) + 1
        radius, square = disks[:, 2], disks[:, 2] ** 2
        for dy, dx in self.offsets:
            covered = np.zeros(height * width, np.bool_)
            y, x = disks[:, 0] - (self.margin + 0.5 + dy), disks[:, 1] - (self.margin + 0.5 + dx)
            top, left = np.ceil(y - radius).astype(np.int64), np.ceil(x - radius).astype(np.int64)
            for row in range(reach):
                rest = square - (top + row - y) ** 2
                for column in range(reach):
                    at, beside = top + row, left + column
                    hit = ((beside - x) ** 2 <= rest) & (at >= 0) & (at < height) & (beside >= 0) & (beside < width)
                    covered[at[hit] * width + beside[hit]] = True
            total += covered.reshape(height, width)
            total += np.expm1(-self._disks_expected(rate, float(dy), float(dx), self.margin))
        return total / self.samples

    def _disks_expected(self, rate: Floats, dy: float, dx: float, margin: int) -> Floats:
        """Return the mean number of disks that cover the point (dy, dx) from each pixel's centre, without a margin."""
        fine, most = 16, float(self.radii.max())
        ys, xs = (np.arange(np.floor(0.5 + d - most), np.floor(0.5 + d + most) + 1).astype(int) for d in (dy, dx))
        part = (np.arange(fine) + 0.5) / fine
        y, x = (ys[:, None] + part).ravel() - (0.5 + dy), (xs[:, None] + part).ravel() - (0.5 + dx)
        beyond = 1 - np.searchsorted(self.radii, np.hypot(y[:, None], x[None])) / len(self.radii)
        weights = beyond.reshape(len(ys), fine, len(xs), fine).sum(axis=(1, 3))
        weights *= self.area / weights.sum()
        height, width = (size - 2 * margin for size in rate.shape)
        total = np.zeros((height, width))
        for row, from_row in zip(ys + margin, weights, strict=True):
            for column, weight in zip(xs + margin, from_row, strict=True):
                total += weight * rate[row : row + height, column : column + width]
        return total
