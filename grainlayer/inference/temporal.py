"""Take the grain out of a picture with its neighbours' help: grain changes from picture to picture, what it lies on does not.

Each picture of the window is split on its own first. Along the motion between these bases the pictures themselves are averaged,
each block as far as its bases agree; what grain is left in the average, told how much, the network takes out of it.
"""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainlayer.inference.motion import find_motion, follow, fuse, pyramid, widen
from grainlayer.inference.remove import LevelEstimate, Remover, Strength, strength_cells
from grainlayer.inference.runtime import check_cancelled
from grainlayer.types import Image, Window

Floats = NDArray[np.float32]

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
KEPT = 12
"""Pictures whose first look is kept, the last used."""
EXPECTED = 0.7
"""Mean square difference between two bases of the same place, in units of the grain's variance, that counts as agreement."""
TOLERATED, BEST = 1.15, 0.3
"""The same of the pictures themselves, in units of that of the block which agrees better than all but this share: a base may have
lost what tells two places apart."""
STRANGE = 1.25
"""That difference, in units of what grain alone makes at most, from which on the neighbour shows another scene and counts for nothing."""
LEAST = 0.05
"""Weight under which a neighbour's block is left out."""


@dataclass(frozen=True, eq=False)
class Look:
    """Hold what motion is found on: the pyramid of the luma of a picture's base, and the picture's own luma, widened."""

    base: list[Floats]
    luma: Floats


class TemporalRemover:
    """Predict the grain of the middle of a window. Calls may come from any thread."""

    def __init__(self, remover: Remover) -> None:
        """Take the remover of single pictures."""
        self.remover = remover
        self._looks: OrderedDict[tuple[int, int], Look] = OrderedDict()
        self._lock = threading.Lock()

    def grain(self, window: Window, strength: Strength) -> Image:
        """Return the grain (H, W, 3) of window[T // 2]. Neighbours equal to it or to one another count once."""
        here = window[len(window) // 2]
        others = _distinct(window)
        if not others:
            return self.remover.grain(here, strength)
        cells = strength_cells(here, strength)
        own = self._look(here, strength)
        found = [_compare(own, self._look(other, strength), cells) for other in others]
        motion, weight = np.stack([one[0] for one in found]), np.stack([one[1] for one in found])
        fused = fuse(here, others, motion, weight)
        left = np.sqrt(1 + (weight**2).sum(axis=0)) / (1 + weight.sum(axis=0))
        return here - (fused - self.remover.grain_by_cells(fused, np.ascontiguousarray(cells * left)))

    def _look(self, image: Image, strength: Strength) -> Look:
        """Return a picture's look, kept for the next windows that hold the picture."""
        key = (signature(image), _strength_key(strength))
        with self._lock:
            if key in self._looks:
                self._looks.move_to_end(key)
                return self._looks[key]
        base = image - self.remover.grain(image, strength)
        base_luma, luma = ((picture @ LUMA).astype(np.float32, copy=False) for picture in (base, image))
        look = Look(pyramid(base_luma), widen(luma))
        with self._lock:
            self._looks[key] = look
            while len(self._looks) > KEPT:
                self._looks.popitem(last=False)
        return look


def _compare(here: Look, there: Look, cells: Floats) -> tuple[Floats, Floats]:
    """Return a neighbour's motion (rows, columns, 2) and by block how much it counts (rows, columns). Raise Cancelled."""
    check_cancelled()
    found = find_motion(here.base, there.base)
    return found.motion, agreement(found.apart, follow(here.luma, there.luma, found.motion), cells)


def agreement(bases: Floats, pictures: Floats, cells: Floats) -> Floats:
    """Return by block how much a neighbour counts, 0..1: by how far off its base and it are, against the grain's variance there.

    What grain alone makes of two pictures' difference is read from the blocks that agree best: the strength told is that of all
    channels, the difference that of the luma.
    """
    variance = np.maximum(cells, 1e-6) ** 2
    apart = pictures / (2 * variance)
    best = float(np.quantile(apart, BEST))
    if best > STRANGE:
        return np.zeros_like(cells)
    usual = min(max(best, 0.3), 1.0)
    beyond = np.maximum(bases / (EXPECTED * variance) - 1, 0) + 2 * np.maximum(apart / (TOLERATED * usual) - 1, 0)
    weight = 1 / (1 + beyond**2)
    return np.where(weight < LEAST, 0, weight).astype(np.float32)


def signature(image: Image) -> int:
    """Return a number that tells pictures apart: a checksum of every fourth row."""
    return zlib.crc32(np.ascontiguousarray(image[::4]).data, image.shape[0] * 65536 + image.shape[1])


def _distinct(window: Window) -> list[Image]:
    """Return the neighbours of the middle picture that are neither it nor each other, nearest first."""
    middle = len(window) // 2
    seen = {signature(window[middle])}
    found: list[Image] = []
    for index in sorted(range(len(window)), key=lambda i: abs(i - middle)):
        mark = signature(window[index])
        if mark not in seen:
            seen.add(mark)
            found.append(np.ascontiguousarray(window[index]))
    return found


def _strength_key(strength: Strength) -> int:
    if isinstance(strength, LevelEstimate):
        return zlib.crc32(np.ascontiguousarray(strength.curve).data)
    return zlib.crc32(np.asarray(strength, np.float32).tobytes())
