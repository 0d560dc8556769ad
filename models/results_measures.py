"""Measure what the benchmarks do not: similarity of pictures, detail that went with the grain, and how grain's values are distributed.

Pictures and grain are (H, W, 3) in code value. What is measured of grain means something only beside the true grain's own figure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from grainlayer.grain.analyze import cells_of
from tests.bench.metrics import LUMA, psnr

Picture = NDArray[np.floating]
Floats = NDArray[np.float64]

SHARES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of MS-SSIM's scales, finest first (Wang, Simoncelli and Bovik 2003)."""
REACH, SIGMA = 5, 1.5
"""The Gaussian window of SSIM: 11x11 pixels."""
LUMINANCE, CONTRAST = 0.01**2, 0.03**2
LEAST = 1e-4
"""Floor of a scale's similarity, which a power follows."""
BLOCK, FIFTH = 16, 5
"""Pixels across the blocks that are sorted by how busy they are, and parts into which they are sorted."""
BINS: Floats = np.linspace(-5, 5, 102)
"""Edges of 101 bins for the distribution of grain, in standard deviations of the truth."""
DECIMALS = 7
"""Decimals to which samples are rounded, so that equal ones are equal."""
NSS_BINS = 149
NSS_RANGE = (-3.0, 3.0)
NSS_SIGMA, NSS_REACH, NSS_FLOOR = 7 / 6, 3, 1 / 255
"""The window of 7x7 pixels under which luma is normalised, and what is added to its deviation, code value."""


def similarity(picture: Picture, truth: Picture) -> tuple[float, float]:
    """Return (SSIM, MS-SSIM) for a range of 1, means over the channels; five scales, so that sides must be 176 pixels or more.

    The window counts where it lies in the picture whole; nothing is clipped.
    """
    one, other = (np.asarray(p, np.float64) for p in (picture, truth))
    single, product = 0.0, np.ones(one.shape[2])
    for scale, share in enumerate(SHARES):
        whole, structure = _scale(one, other)
        single = float(whole.mean()) if scale == 0 else single
        product *= np.maximum(whole if scale == len(SHARES) - 1 else structure, LEAST) ** (share / sum(SHARES))
        one, other = _halve(one), _halve(other)
    return single, float(product.mean())


def _scale(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """Return SSIM by channel, and its contrast and structure part alone."""
    a, b = _blur(one), _blur(other)
    vary, vary_other, together = _blur(one**2) - a**2, _blur(other**2) - b**2, _blur(one * other) - a * b
    structure = (2 * together + CONTRAST) / (vary + vary_other + CONTRAST)
    light = (2 * a * b + LUMINANCE) / (a**2 + b**2 + LUMINANCE)
    return (light * structure).mean((0, 1)), structure.mean((0, 1))


def _blur(picture: Floats) -> Floats:
    weights = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / SIGMA) ** 2)
    for axis in (0, 1):
        picture = ndimage.correlate1d(picture, weights / weights.sum(), axis)
    return picture[REACH:-REACH, REACH:-REACH]


def _halve(picture: Floats) -> Floats:
    height, width = (size // 2 for size in picture.shape[:2])
    return picture[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1).mean((1, 3))


def psnr_by_busyness(base: Picture, clean: Picture) -> tuple[float, float]:
    """Return the PSNR in dB on the flattest and on the busiest fifth of the clean picture's blocks of 16x16 pixels."""
    busy = cells_of(clean @ LUMA, BLOCK).std(axis=(2, 3)).ravel()
    order = np.argsort(busy, kind="stable")
    pair = [np.stack([cells_of(p[:, :, c], BLOCK) for c in range(3)], -1).reshape(-1, BLOCK, BLOCK, 3) for p in (base, clean)]
    count = max(1, len(order) // FIFTH)
    flattest, busiest = (psnr(pair[0][place], pair[1][place]) for place in (order[:count], order[-count:]))
    return flattest, busiest


def correlate(one: Picture, other: Picture) -> float:
    """Return the correlation of two fields, 0 where one of them does not vary."""
    a, b = (np.asarray(f, np.float64) - np.mean(f, dtype=np.float64) for f in (one, other))
    scale = float(np.sqrt(np.mean(a**2) * np.mean(b**2)))
    return float(np.mean(a * b)) / scale if scale > 1e-12 else 0.0


def leaks(grain: Picture, clean: Picture) -> tuple[float, float]:
    """Return how the luma of grain moves with the slopes of the clean picture's luma (differences of the pixels on either side).

    First the greatest of the absolute correlations of the grain with the slope's length, with the slope down and with the slope
    across; then the correlation of the grain's absolute value with the slope's length: an edge that was smoothed leaves both signs.
    """
    down, across = np.gradient(clean @ LUMA)
    steep, luma = np.hypot(down, across), grain @ LUMA
    return max(abs(correlate(luma, field)) for field in (steep, down, across)), correlate(np.abs(luma), steep)


@dataclass(frozen=True, eq=False)
class Marginal:
    """Hold a distribution: the share of samples below each of ascending `places`, linear between them, 0 before and 1 behind.

    Samples of one value count as spread evenly to the middles between it and its neighbours, so that samples on a raster compare
    with samples on none.
    """

    places: Floats
    shares: Floats

    def below(self, places: Floats) -> Floats:
        """Return the share of samples below each place."""
        return np.interp(places, self.places, self.shares)

    def scaled(self, factor: float) -> Marginal:
        """Return the distribution of `factor` times the samples, the factor being above 0."""
        return Marginal(self.places * factor, self.shares)


def marginal(samples: Picture) -> Marginal:
    """Return the distribution of samples in code value, which are rounded to 1e-7."""
    values, counts = np.unique(np.round(samples.astype(np.float64).ravel(), DECIMALS), return_counts=True)
    halves = np.diff(values) / 2 if len(values) > 1 else np.full(1, 0.1**DECIMALS)
    places = np.concatenate(([values[0] - halves[0]], values[:-1] + halves[: len(values) - 1], [values[-1] + halves[-1]]))
    return Marginal(places, np.concatenate(([0.0], np.cumsum(counts) / counts.sum())))


def kolmogorov(samples: Marginal, truth: Marginal) -> float:
    """Return the greatest difference of two distributions (Kolmogorov and Smirnov's), 0..1."""
    places = np.concatenate((samples.places, truth.places))
    return float(np.abs(samples.below(places) - truth.below(places)).max())


def divergence(one: Floats, other: Floats) -> float:
    """Return the Jensen-Shannon divergence of two tables of shares, in nats: 0 for equal ones, ln 2 for those with nothing in common."""
    p, q = one / one.sum(), other / other.sum()
    middle = (p + q) / 2
    parts = [np.sum(share[share > 0] * np.log(share[share > 0] / middle[share > 0])) for share in (p, q)]
    return float(sum(parts)) / 2


def binned(samples: Marginal, edges: Floats) -> Floats:
    """Return the share of samples in each bin; what lies beyond the edges counts in the outer bins."""
    share = samples.below(edges)
    share[0], share[-1] = 0.0, 1.0
    return np.diff(share)


def moments(samples: Picture) -> tuple[float, float]:
    """Return the skewness and the excess kurtosis of samples, both 0 for a Gaussian."""
    values = samples.astype(np.float64).ravel()
    z = (values - values.mean()) / max(float(values.std()), 1e-12)
    return float(np.mean(z**3)), float(np.mean(z**4)) - 3


def nss_tables(picture: Picture) -> Floats:
    """Return the shares (4, 149) of the products of neighbours, across, down and both diagonals, of a picture's normalised luma.

    Luma is freed of its local mean and divided by its local deviation (Mittal, Moorthy and Bovik 2012); beyond +-3 counts as 3.
    """
    luma = picture.astype(np.float64) @ LUMA
    mean, power = (ndimage.gaussian_filter(field, NSS_SIGMA, radius=NSS_REACH) for field in (luma, luma**2))
    z = (luma - mean) / (np.sqrt(np.maximum(power - mean**2, 0)) + NSS_FLOOR)
    pairs = ((z[:, :-1], z[:, 1:]), (z[:-1], z[1:]), (z[:-1, :-1], z[1:, 1:]), (z[:-1, 1:], z[1:, :-1]))
    return np.array([np.histogram(np.clip(a * b, *NSS_RANGE), NSS_BINS, NSS_RANGE)[0] / a.size for a, b in pairs])


def nss_divergence(picture: Picture, truth: Picture) -> float:
    """Return the JSD-NSS of two grainy pictures, nats: the divergence of their normalised luma's products, mean of four directions."""
    return float(np.mean([divergence(a, b) for a, b in zip(nss_tables(picture), nss_tables(truth), strict=True)]))
