"""Re-grade a shot's own grain: finer, coarser, softer, more or less colour, by channel and by tone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grainlayer.grain.filters import Spectrum
from grainlayer.grain.look import GrainLook
from grainlayer.grain.profile import RADII, GrainProfile
from grainlayer.types import Image

Floats = NDArray[np.float64]

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
LIMIT_DB = 18.0
"""Most that any frequency is raised or lowered, so that what the grain does not hold is not torn out of rounding noise."""
MARGIN = 32
"""Pixels of mirrored border under the filter."""
STEPS = 1024


def reshape_grain(grain: Image, base: Image, look: GrainLook, profile: GrainProfile | None) -> Image:
    """Return the grain (H, W, 3) re-graded by a look, its amount aside. Size and softness keep the strength.

    Without a profile the grain is taken as white when its size changes.
    """
    out = grain if look.size == 1 and look.softness == 0 else _respaced(grain, look, profile)
    gains = np.array(look.channel_gains(), np.float32)
    if look.shadows != 1 or look.mids != 1 or look.highlights != 1:
        table = look.tonal_gain(np.linspace(0, 1, STEPS)).astype(np.float32)
        place = np.clip(base, 0, 1) * (STEPS - 1) + 0.5
        out = out * table[place.astype(np.int32)]
    if np.any(gains != 1):
        out = out * gains
    if look.saturation != 1:
        luma = (out @ LUMA)[:, :, None]
        out = luma + np.float32(look.saturation) * (out - luma)
    return np.ascontiguousarray(out, np.float32)


def _respaced(grain: Image, look: GrainLook, profile: GrainProfile | None) -> Image:
    """Filter by the ratio of the wanted amplitude to the one the grain has."""
    height, width = grain.shape[:2]
    border = min(MARGIN, height - 1, width - 1)
    padded = np.pad(grain, ((border, border), (border, border), (0, 0)), mode="reflect") if border > 0 else grain
    rows, columns = padded.shape[:2]
    fx: Floats = np.fft.rfftfreq(columns)[None].astype(np.float64)
    fy: Floats = np.fft.fftfreq(rows)[:, None].astype(np.float64)
    amplitude = _ratio(look, profile, fx, fy).astype(np.float32)
    out = np.empty_like(padded)
    for channel in range(3):
        spectrum = np.fft.rfft2(padded[:, :, channel])
        out[:, :, channel] = np.fft.irfft2(spectrum * amplitude, s=(rows, columns))
    return np.ascontiguousarray(out[border : border + height, border : border + width])


def _ratio(look: GrainLook, profile: GrainProfile | None, fx: Floats, fy: Floats) -> Floats:
    """Return the amplitude ratio at frequencies, scaled so that grain of the profile keeps its strength."""
    level = tuple(profile.spectrum_db().mean(axis=0).tolist()) if profile else (0.0,) * len(RADII)
    lobe = tuple(profile.direction_db().tolist()) if profile else (0.0,) * len(RADII)
    fx, fy = np.broadcast_arrays(fx, fy)
    own = Spectrum(level, lobe).power(fx, fy)
    wanted = Spectrum(level, lobe, look.size, look.softness).power(fx, fy)
    limit = 10 ** (LIMIT_DB / 10)
    ratio = np.clip(wanted / np.maximum(own, 1e-12), 1 / limit, limit)
    twice = np.where((fx == 0) | (fx == 0.5), 1.0, 2.0)
    kept = float((twice * own).sum() / (twice * own * ratio).sum())
    return np.sqrt(ratio * kept)
