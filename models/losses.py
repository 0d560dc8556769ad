"""Measure how wrong a guess of the grain is."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from models.degrade import Batch

FLOOR = 0.004
"""Code value under which an error counts no heavier for being small beside weak grain."""


SHARP, SQUARE = 0.02, 1.0
"""Errors, in units of the strength, up to which the Charbonnier norm is square: nearly none while the net learns what grain is,
nearly all at the end, when the few great errors at edges, of which PSNR is made, are to go."""


def grain_loss(guess: torch.Tensor, batch: Batch, left_weight: float, width: float = SHARP) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (loss, share of grain left) for a guess of the grain (N, 3, H, W).

    The loss is the Charbonnier norm, square up to `width`, of the error in units of the peak strength, so that light grain
    counts as much as heavy, plus `left_weight` times the squared share <base - clean, grain> / <grain, grain>: grain that
    stays in the base costs the encoder most of the bits, so a little more detail goes for a little less grain.
    """
    scale = batch.peak + FLOOR
    error = (guess - batch.grain) / scale
    charbonnier = (torch.sqrt(error**2 + width**2) - width).mean()
    true = batch.grain / scale
    left = 1 - ((guess / scale) * true).mean((1, 2, 3)) / ((true**2).mean((1, 2, 3)) + 1e-6)
    return charbonnier + left_weight * (left**2).mean(), left.detach().mean()


def level_loss(guess: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the mean absolute error of the log strength (N, 3, H/8, W/8)."""
    true = functional.avg_pool2d(batch.deviation, 8)
    return (guess - torch.log(true + 0.0005)).abs().mean()


def psnr(guess: torch.Tensor, true: torch.Tensor) -> float:
    """Return the peak signal-to-noise ratio, dB, of pictures whose peak is 1."""
    return -10 * math.log10(max(float(((guess - true) ** 2).mean()), 1e-12))
