"""Measure what the seed's tasks minimise: l1, MS-SSIM with l1, and a critic's verdict with l1.

Pictures are (N, C, H, W) code values, 0..1. MS-SSIM is Wang, Simoncelli and Bovik 2003: an 11x11 Gaussian window of 1.5
pixels, five scales, means over 2x2 between them. The mix with l1 is Zhao and others 2017.
"""

from __future__ import annotations

import torch
from torch.nn import functional

SHARES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, finest first."""
WINDOW, SIGMA = 11, 1.5
LUMINANCE, CONTRAST = 0.01**2, 0.03**2
"""Constants of SSIM for a range of 1."""
LEAST = 1e-4
"""Floor of a scale's similarity: a power under 1 has no slope at 0 and no value below."""
MIX = 0.84
"""Share of MS-SSIM; the rest is l1."""
NEARNESS = 0.1
"""Weight of l1 beside the critic's verdict."""


def window() -> torch.Tensor:
    """Return the window's 11 weights along one axis; they sum to 1."""
    place = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weight = torch.exp(-0.5 * (place / SIGMA) ** 2)
    return (weight / weight.sum()).float()


def blur(x: torch.Tensor) -> torch.Tensor:
    """Return the windowed means of (N, C, H, W) where the whole window fits, (N, C, H - 10, W - 10)."""
    weight = window().to(x)
    channels = x.shape[1]
    x = functional.conv2d(x, weight.view(1, 1, -1, 1).repeat(channels, 1, 1, 1), groups=channels)
    return functional.conv2d(x, weight.view(1, 1, 1, -1).repeat(channels, 1, 1, 1), groups=channels)


def similarity(one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (SSIM, its contrast and structure part alone), both (N, C), means over the picture."""
    a, b = blur(one), blur(other)
    vary_one, vary_other, together = blur(one**2) - a**2, blur(other**2) - b**2, blur(one * other) - a * b
    structure = (2 * together + CONTRAST) / (vary_one + vary_other + CONTRAST)
    light = (2 * a * b + LUMINANCE) / (a**2 + b**2 + LUMINANCE)
    return (light * structure).mean((2, 3)), structure.mean((2, 3))


def scales_of(height: int, width: int) -> int:
    """Return how many of the five scales fit the size: all of them from 176 pixels on. Raises ValueError under 11 pixels."""
    side, count = min(height, width), 0
    while count < len(SHARES) and side >= WINDOW:
        side, count = side // 2, count + 1
    if not count:
        raise ValueError(f"MS-SSIM needs pictures of at least {WINDOW}x{WINDOW} pixels, not {width}x{height}.")
    return count


def ms_ssim(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the MS-SSIM of each picture, (N,), differentiable.

    Pictures too small for five scales use those that fit, with exponents that again sum to 1. Raises ValueError for pictures
    of different shapes or under 11 pixels.
    """
    if one.shape != other.shape:
        raise ValueError(f"MS-SSIM compares pictures of one shape, not {tuple(one.shape)} and {tuple(other.shape)}.")
    count = scales_of(one.shape[2], one.shape[3])
    total = sum(SHARES[:count])
    result = torch.ones(one.shape[:2], dtype=one.dtype, device=one.device)
    for scale in range(count):
        whole, structure = similarity(one, other)
        part = whole if scale == count - 1 else structure
        result = result * part.clamp(min=LEAST) ** (SHARES[scale] / total)
        if scale < count - 1:
            one, other = functional.avg_pool2d(one, 2), functional.avg_pool2d(other, 2)
    return result.mean(1)


def l1_loss(guess: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Return the mean absolute error, code value."""
    return (guess - true).abs().mean()


def weighted_l1(guess: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Return the absolute error as the window of the coarsest scale sees it: less at the borders, which few windows reach."""
    error = (guess - true).abs()
    for _ in range(scales_of(error.shape[2], error.shape[3]) - 1):
        error = functional.avg_pool2d(error, 2)
    return blur(error).mean()


def mixed_loss(guess: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Return 0.84 (1 - MS-SSIM) + 0.16 weighted l1."""
    return MIX * (1 - ms_ssim(guess, true)).mean() + (1 - MIX) * weighted_l1(guess, true)


def _verdict(logits: torch.Tensor, real: float) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, real))


def critic_loss(real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """Return the binary cross-entropy of a critic's logits for real and for made pictures, halved as in pix2pix."""
    return 0.5 * (_verdict(real, 1.0) + _verdict(made, 0.0))


def adversarial_loss(made: torch.Tensor, guess: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of passing for real, from the critic's logits `made`, plus 0.1 l1."""
    return _verdict(made, 1.0) + NEARNESS * l1_loss(guess, true)
