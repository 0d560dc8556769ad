"""Measure pictures and grain against the truth.

PSNR and grain left for a base; for grain its strength by intensity, spectrum, autocorrelation, channel covariance, and whether it
repeats in time or space. A figure of grain means something only beside its floor: true grain of another seed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.floating]
Floats = NDArray[np.float64]

LUMA: Floats = np.array([0.2126, 0.7152, 0.0722])
INTENSITY_BINS = 16
LEAST_SHARE = 0.01
"""Intensity bins with less than this share of a channel's pixels do not count."""
SPECTRUM_BINS = 32
LAGS = 5
REPEAT_BEYOND = 16
"""Pixels beyond which grain must not resemble itself."""


def psnr(picture: Picture, truth: Picture) -> float:
    """Return the PSNR in dB over all samples, peak 1."""
    error = float(np.mean((picture.astype(np.float64) - truth) ** 2))
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def grain_left(base: Picture, clean: Picture, grain: Picture) -> float:
    """Return the share of the true grain that is left in a base: <base - clean, grain> / <grain, grain>."""
    true = grain.astype(np.float64)
    return float(np.sum((base.astype(np.float64) - clean) * true) / np.sum(true**2))


def strength_by_intensity(grain: Picture, clean: Picture) -> Floats:
    """Return the RMS of grain (T, H, W, 3) in 16 bins of the clean code value, (3, 16); NaN where pixels are too few."""
    table = np.full((3, INTENSITY_BINS), np.nan)
    for channel in range(3):
        place = np.clip(clean[..., channel] * INTENSITY_BINS, 0, INTENSITY_BINS - 1).astype(int).ravel()
        count = np.bincount(place, minlength=INTENSITY_BINS)
        power = np.bincount(place, grain[..., channel].astype(np.float64).ravel() ** 2, INTENSITY_BINS)
        enough = count >= LEAST_SHARE * place.size
        table[channel, enough] = np.sqrt(power[enough] / count[enough])
    return table


def strength_error(grain: Picture, true: Picture, clean: Picture) -> float:
    """Return the RMS over bins and channels of the relative error of strength by intensity."""
    measured, wanted = strength_by_intensity(grain, clean), strength_by_intensity(true, clean)
    return float(np.sqrt(np.nanmean((measured / wanted - 1) ** 2)))


def luma_power(grain: Picture) -> Floats:
    """Return the power spectrum of the luma of grain (T, H, W, 3), averaged over frames, each freed of its mean, (H, W)."""
    total = np.zeros(grain.shape[1:3])
    for frame in grain:
        luma = frame.astype(np.float64) @ LUMA
        total += np.abs(np.fft.fft2(luma - luma.mean())) ** 2
    return total / (len(grain) * luma_size(grain))


def luma_size(grain: Picture) -> int:
    """Return the pixels of a frame."""
    return grain.shape[1] * grain.shape[2]


def radial_spectrum(power: Floats) -> Floats:
    """Return power averaged over 32 rings from 0 to 0.5 cycles a pixel, the mean of all frequencies being 1."""
    distance = np.hypot(np.fft.fftfreq(power.shape[0])[:, None], np.fft.fftfreq(power.shape[1])[None])
    ring = np.minimum((distance * (2 * SPECTRUM_BINS)).astype(int), SPECTRUM_BINS)
    ring[0, 0] = SPECTRUM_BINS
    totals = np.bincount(ring.ravel(), power.ravel(), SPECTRUM_BINS + 1)
    counts = np.bincount(ring.ravel(), minlength=SPECTRUM_BINS + 1)
    return totals[:-1] / np.maximum(counts[:-1], 1) / power.mean()


def spectrum_error(power: Floats, true: Floats) -> float:
    """Return the RMS difference of two radial spectra in dB, both of equal strength."""
    measured, wanted = radial_spectrum(power), radial_spectrum(true)
    there = wanted > 0
    return float(np.sqrt(np.mean((10 * np.log10(np.maximum(measured[there], 1e-12) / wanted[there])) ** 2)))


def autocorrelation(power: Floats) -> Floats:
    """Return the autocorrelation (H, W) of a power spectrum, lag 0 at the corner and equal to 1."""
    table = np.fft.ifft2(power).real
    return table / table[0, 0]


def autocorrelation_error(power: Floats, true: Floats) -> float:
    """Return the greatest difference of autocorrelations over lags -5 to 5 in both directions."""
    lags = np.arange(-LAGS, LAGS + 1)
    window = np.ix_(lags, lags)
    return float(np.abs(autocorrelation(power)[window] - autocorrelation(true)[window]).max())


def channel_covariance(grain: Picture) -> Floats:
    """Return the covariance of the channels of grain (T, H, W, 3)."""
    return np.cov(grain.reshape(-1, 3).astype(np.float64), rowvar=False)


def covariance_error(grain: Picture, true: Picture) -> float:
    """Return the relative error of the channel covariance, by Frobenius norms."""
    wanted = channel_covariance(true)
    return float(np.linalg.norm(channel_covariance(grain) - wanted) / np.linalg.norm(wanted))


def frame_correlation(grain: Picture) -> float:
    """Return the correlation of the luma of grain (T, H, W, 3) with that of the next frame, 0 for a single frame."""
    luma = grain.astype(np.float64) @ LUMA
    luma -= luma.mean(axis=(1, 2), keepdims=True)
    if len(luma) < 2:
        return 0.0
    power = float(np.mean(luma**2))
    return float(np.mean(luma[1:] * luma[:-1]) / power) if power > 0 else 0.0


def repetition(grain: Picture) -> float:
    """Return the greatest autocorrelation of the luma beyond 16 pixels, averaged over frames: a repeating template shows here."""
    peaks: list[float] = []
    height, width = grain.shape[1:3]
    down, across = (np.minimum(np.arange(n), n - np.arange(n)) for n in (height, width))
    far = (down[:, None] ** 2 + across[None] ** 2) > REPEAT_BEYOND**2
    for frame in grain:
        peaks.append(float(np.abs(autocorrelation(luma_power(frame[None])))[far].max()))
    return float(np.mean(peaks))


@dataclass(frozen=True)
class GrainReport:
    """Hold how far grain is from the truth.

    strength           RMS relative error over 16 intensity bins and the channels
    spectrum           RMS dB over 32 rings, strengths made equal
    autocorrelation    greatest difference over lags -5 to 5
    covariance         relative error of the channel covariance
    frame_correlation  with the next frame, the true grain's own being about 0
    repetition         greatest autocorrelation beyond 16 pixels over the true grain's own: 1 is none
    """

    strength: float
    spectrum: float
    autocorrelation: float
    covariance: float
    frame_correlation: float
    repetition: float

    def to_dict(self) -> dict[str, float]:
        """Return the fields by name."""
        return asdict(self)


def compare_grain(grain: Picture, true: Picture, clean: Picture) -> GrainReport:
    """Compare grain with the true grain of the same clean pictures, all (T, H, W, 3), code values."""
    power, wanted = luma_power(grain), luma_power(true)
    return GrainReport(
        strength=strength_error(grain, true, clean),
        spectrum=spectrum_error(power, wanted),
        autocorrelation=autocorrelation_error(power, wanted),
        covariance=covariance_error(grain, true),
        frame_correlation=frame_correlation(grain),
        repetition=repetition(grain) / repetition(true),
    )
