"""Compute Newson's Boolean film-grain model in closed form, and render its Gaussian approximation.

Poisson disks of radius r (pixels) with intensity lambda = -ln(1 - u) / (pi r^2) cover a fraction u of the plane.
The covariance of coverage at distance x is (1 - u)^2 (exp(lambda gamma(x)) - 1), gamma being the overlap of two disks;
the scanner's Gaussian point spread (standard deviation `psf` pixels) multiplies the spectrum.
Source: Newson, Delon and Galerne, "A Stochastic Film Grain Model for Resolution-Independent Rendering" (2017); IPOL 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

FREQUENCIES: Floats = np.linspace(0.0, 0.75, 97)
"""Radial frequencies of the tables, cycles a pixel; 0.7071 is the corner."""
COVERAGES: Floats = np.array([0.02, 0.08, 0.2, 0.35, 0.5, 0.65, 0.8, 0.92, 0.98])
"""Coverages u at which spectra are tabulated; between them amplitudes are blended."""


def disk_overlap(distance: Floats, radius: float) -> Floats:
    """Return the area shared by two disks of `radius` whose centres lie `distance` apart (same unit, squared)."""
    x = np.minimum(distance, 2 * radius)
    return 2 * radius**2 * np.arccos(x / (2 * radius)) - x / 2 * np.sqrt(np.maximum(4 * radius**2 - x**2, 0))


def coverage_covariance(distance: Floats, radius: float, coverage: float) -> Floats:
    """Return the covariance of the unfiltered Boolean model at `distance` pixels for mean `coverage` in (0, 1)."""
    rate = -np.log(1 - coverage) / (np.pi * radius**2)
    return (1 - coverage) ** 2 * np.expm1(rate * disk_overlap(distance, radius))


@dataclass(frozen=True)
class BooleanGrain:
    """Describe one emulsion: disk `radius` and point spread `psf`, both in pixels of the rendering."""

    radius: float = 0.5
    psf: float = 0.8

    @cached_property
    def spectra(self) -> Floats:
        """Power by coverage and radial frequency, (9, 97), of the filtered model: the Hankel transform of its covariance."""
        x = np.linspace(0, 2 * self.radius, 801)
        kernel = special.j0(2 * np.pi * FREQUENCIES[:, None] * x[None]) * x[None]
        rows = [2 * np.pi * np.trapezoid(kernel * coverage_covariance(x, self.radius, float(u)), x, axis=1) for u in COVERAGES]
        spread = np.exp(-4 * np.pi**2 * self.psf**2 * FREQUENCIES**2)
        return np.maximum(np.array(rows), 0) * spread

    @cached_property
    def deviations(self) -> Floats:
        """Standard deviation by coverage (9,), up to one common factor: the square root of the spectrum's integral."""
        inside = FREQUENCIES <= 0.5
        power = np.trapezoid((self.spectra * 2 * np.pi * FREQUENCIES)[:, inside], FREQUENCIES[inside], axis=1)
        return np.sqrt(power)

    def strength(self, picture: Floats, peak: float) -> Floats:
        """Return the standard deviation at each code value of `picture` (0..1, same shape), `peak` at most."""
        knots = np.concatenate(([0.0], COVERAGES, [1.0]))
        curve = np.concatenate(([0.35 * self.deviations[0]], self.deviations, [0.35 * self.deviations[-1]]))
        return np.interp(picture, knots, curve * (peak / curve.max()))

    def render(self, picture: Floats, peak: float, seed: int, correlation: float = 0.0) -> Floats:
        """Render grain for `picture` (H, W, 3; 0..1 nominal), peak standard deviation `peak` in code value.

        Gaussian approximation: one white field a channel is filtered to the spectrum of each tabulated coverage; a pixel
        blends the two nearest. `correlation` (0..1) is the correlation between any two channels' fields.
        """
        height, width, channels = picture.shape
        rng = np.random.Generator(np.random.Philox(key=seed))
        white = rng.standard_normal((channels, height, width))
        shared = rng.standard_normal((1, height, width))
        white = np.sqrt(1 - correlation) * white + np.sqrt(correlation) * shared
        freq = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
        spectrum = np.fft.rfft2(white)
        place = np.interp(picture.transpose(2, 0, 1), COVERAGES, np.arange(len(COVERAGES)))
        grain = np.zeros((channels, height, width))
        norm = np.zeros((channels, height, width))
        for index, power in enumerate(self.spectra):
            weight = np.maximum(1 - np.abs(place - index), 0)
            if not weight.any():
                continue
            amplitude = np.sqrt(np.interp(freq, FREQUENCIES, power))
            field = np.fft.irfft2(spectrum * amplitude, s=(height, width), axes=(1, 2))
            grain += weight * field / _deviation(amplitude, width)
            norm += weight
        return (grain / norm).transpose(1, 2, 0) * self.strength(picture, peak)


def _deviation(amplitude: Floats, width: int) -> float:
    """Return the standard deviation of unit white noise filtered by a half-plane `amplitude` of a `width`-wide picture."""
    twice = np.ones(amplitude.shape[1])
    twice[1 : (width + 1) // 2] = 2
    return float(np.sqrt((amplitude**2 * twice).sum() / (amplitude.shape[0] * width)))
