"""White Gaussian noise that is a function of (seed, frame, channel, x, y) and of nothing else.

Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; SC 2011) is keyed by the 64-bit seed
and counts (x // 8, y, frame, channel): its 128 bits make eight 16-bit words, whose upper 12 bits pick one of 4096 Gaussian
quantiles. So any window, frame order, tile and thread gives the same field.
"""

from __future__ import annotations

import ctypes
import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from grainlayer.errors import ParamError
from grainlayer.native import address, kernel

QUANTILES = 4096
BLOCK = 8
"""Samples along x that one counter gives."""
_ROUNDS = 10
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = 0xFFFFFFFF

Words = NDArray[np.uint32]
Field = NDArray[np.float32]


def white(seed: int, frame: int, channel: int, width: int, height: int, origin: tuple[int, int] = (0, 0)) -> Field:
    """Return unit Gaussian white noise, float32 (height, width), for the window whose first sample is origin (x, y).

    seed 0..2^64-1; frame, channel and coordinates any whole number, taken modulo 2^32. Raises ParamError for a seed out of range.
    """
    out = np.empty((max(height, 0), max(width, 0)), np.float32)
    run = kernel("grainlayer_white", ctypes.c_void_p, ctypes.c_uint64, *(ctypes.c_uint32,) * 2, *(ctypes.c_int64,) * 4, ctypes.c_void_p)
    run(address(out), check_seed(seed), frame & _LOW, channel & _LOW, origin[0], origin[1], width, height, address(quantiles()))
    return out


def white_slowly(seed: int, frame: int, channel: int, width: int, height: int, origin: tuple[int, int] = (0, 0)) -> Field:
    """Return what `white` returns, bit for bit, by NumPy: the slow twin."""
    x = np.arange(origin[0], origin[0] + width, dtype=np.int64)
    y = np.arange(origin[1], origin[1] + height, dtype=np.int64)
    block, place = x >> 3, x & 7
    counter = np.zeros((4, height, width), np.uint32)
    counter[0] = (block & _LOW).astype(np.uint32)
    counter[1] = (y & _LOW).astype(np.uint32)[:, None]
    counter[2:] = np.array([frame & _LOW, channel & _LOW], np.uint32)[:, None, None]
    words = philox(counter, check_seed(seed))
    chosen = np.take_along_axis(words, np.broadcast_to(place >> 1, (1, height, width)), axis=0)[0]
    return quantiles()[(chosen >> np.where(place & 1, 20, 4).astype(np.uint32)) & np.uint32(QUANTILES - 1)]


def philox(counter: Words, seed: int) -> Words:
    """Return Philox4x32-10 of counters (4, ...) under a 64-bit key, words of the same shape: the slow twin."""
    a, b, c, d = (counter[i].astype(np.uint64) for i in range(4))
    keys = [seed & _LOW, seed >> 32 & _LOW]
    for _ in range(_ROUNDS):
        first, second = a * np.uint64(_MULTIPLIERS[0]), c * np.uint64(_MULTIPLIERS[1])
        a, c = (second >> np.uint64(32)) ^ b ^ np.uint64(keys[0]), (first >> np.uint64(32)) ^ d ^ np.uint64(keys[1])
        b, d = second & np.uint64(_LOW), first & np.uint64(_LOW)
        keys = [(key + step) & _LOW for key, step in zip(keys, _WEYL, strict=True)]
    return np.stack((a, b, c, d)).astype(np.uint32)


@cache
def quantiles() -> Field:
    """Return 4096 Gaussian quantiles, float32, rising, symmetric, of zero mean and unit variance.

    Each is the mean of a standard normal variable over a 4096th of its probability, then scaled. With z the quantile and f the
    density as functions of probability p, dz/dp = 1/f and df/dp = -z: solved by Runge-Kutta from p = 1/2, in IEEE sums, products
    and quotients alone, so that the table is the same on every machine.
    """
    half = QUANTILES // 2
    density = [1 / math.sqrt(2 * math.pi)]
    z = 0.0
    for bin_number in range(half - 1):
        z, value = _step(z, density[-1], 1 / QUANTILES, 1 + 256 // (half - bin_number))
        density.append(value)
    means = -QUANTILES * np.diff(np.array([*density, 0.0]))
    positive = (means / math.sqrt(math.fsum((means * means).tolist()) / half)).astype(np.float32)
    return np.concatenate((-positive[::-1], positive))


def _step(z: float, f: float, length: float, parts: int) -> tuple[float, float]:
    """Return quantile and density after `length` of probability, in `parts` Runge-Kutta steps of fourth order."""
    h = length / parts
    for _ in range(parts):
        f2 = f - h / 2 * z
        z2 = z + h / 2 / f
        f3 = f - h / 2 * z2
        z3 = z + h / 2 / f2
        f4 = f - h * z3
        z4 = z + h / f3
        z, f = z + h / 6 * (1 / f + 2 / f2 + 2 / f3 + 1 / f4), f - h / 6 * (z + 2 * z2 + 2 * z3 + z4)
    return z, f


def check_seed(seed: int) -> int:
    """Return the seed. Raise ParamError unless it is of 0..2^64-1."""
    if not 0 <= seed < 2**64:
        raise ParamError(f"seed must be a whole number of 0..{2**64 - 1}; got {seed}.")
    return seed
