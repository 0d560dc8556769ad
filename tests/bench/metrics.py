"""Measure pictures against the truth: PSNR, grain left."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.floating]


def psnr(picture: Picture, truth: Picture) -> float:
    """Return the PSNR in dB over all samples, peak 1."""
    error = float(np.mean((picture.astype(np.float64) - truth) ** 2))
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def grain_left(base: Picture, clean: Picture, grain: Picture) -> float:
    """Return the share of the true grain that is left in a base: <base - clean, grain> / <grain, grain>."""
    true = grain.astype(np.float64)
    return float(np.sum((base.astype(np.float64) - clean) * true) / np.sum(true**2))
