"""A made sky: smooth light over textured hills, free of noise, low in contrast as LOG footage is, for judging bands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tests.bench.restore.clips import READ, Source, Truth

Floats = NDArray[np.floating]

SKY = Source("made sky", None)
HEIGHT, WIDTH = 360, 640
HORIZON = 0.78
"""Where the hills begin, as a share of the height."""
SLIDE = 2.0
"""Pixels that the camera moves in a picture."""
GRADE, PIVOT = 4.0, 0.49
"""What grading multiplies contrast by, and the luma that it leaves alone."""


def make_sky() -> Truth:
    """Return the sky as a truth: about one step of 8 bits in 8 rows, a glow round a sun, and hills of fine texture below."""
    luma, chroma = zip(*(_picture(SLIDE * index) for index in range(READ)), strict=True)
    return Truth(SKY.name, np.stack(luma).astype(np.float32), np.stack(chroma).astype(np.float32), 0)


def _picture(slide: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    distance = np.hypot(across + slide - 0.6 * WIDTH, 1.4 * (down - 0.35 * HEIGHT)) / HEIGHT
    glow = np.exp(-1.5 * distance**2)
    luma = 0.38 + 0.14 * down / HEIGHT + 0.08 * glow
    chroma = np.stack([0.06 - 0.07 * glow, -0.05 + 0.06 * glow], axis=2)
    hills = np.clip((down - HORIZON * HEIGHT - 6 * np.sin((across + slide) / 37)) / 3, 0, 1)
    ground = 0.36 + 0.12 * _texture(slide)
    earth = np.stack([-0.02 + 0 * luma, 0.01 + 0 * luma], axis=2)
    return luma * (1 - hills) + ground * hills, chroma * (1 - hills[:, :, None]) + earth * hills[:, :, None]


def _texture(slide: float) -> NDArray[np.float64]:
    """Return fine texture (H, W) that moves by `slide` pixels."""
    noise = np.random.Generator(np.random.Philox(key=77)).standard_normal((HEIGHT, WIDTH + 64))
    fine = ndimage.gaussian_filter(noise, 0.9, mode="wrap") + ndimage.gaussian_filter(noise, 3, mode="wrap")
    return ndimage.shift(fine, (0, -slide), order=3, mode="wrap")[:, :WIDTH]


def graded(luma: Floats) -> Floats:
    """Return luma with its contrast multiplied, as a grade of LOG footage does; never clipped."""
    return (luma - PIVOT) * np.float32(GRADE) + np.float32(0.5)


def sky_only(luma: Floats) -> Floats:
    """Return the part of pictures (..., H, W) of the made sky that lies above the hills, its height a multiple of 8."""
    return luma[..., : int((HORIZON - 0.05) * HEIGHT) // 8 * 8, :]
