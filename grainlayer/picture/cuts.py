"""Find the cuts of a movie from small luma pictures: difference hash, histogram, and blocks matched against motion.

Two neighbouring pictures are compared in three ways, each blind to something that is no cut: the histogram to motion, the hash
(of the signs of 64 slopes, those that matter) to changes of light, matched blocks to moderate motion and noise. Their weighted
sum is the distance. A cut is a distance that stands out of its neighbourhood and that holds across a few pictures, so that
a flash, after which the old picture comes back, is none. Between fades, the dark in the middle begins the new shot.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from grainlayer.errors import ParamError
from grainlayer.picture.samples import SampleFormat

Small = NDArray[np.float32]
"""(36, 64) luma, code values 0..1."""

ROWS, COLUMNS = 36, 64
SAMPLES = 8
"""Samples a side that are averaged for one small pixel, at most."""
BINS = 32
REACH = 4
"""Pixels of the halved small picture that a block may have moved: an eighth of the picture's width."""
BLOCK = (3, 4)
SLOPE = 0.004
"""Slopes below this, code value, are noise to the hash."""
BLANK = 0.02
"""A small picture of lower standard deviation shows nothing."""
BLANK_LENGTH = 3
"""Blank pictures in a row that part two shots."""
ALIKE = 0.25
"""Pictures that correlate by more than 1 less this are steps of a fade or of a change of light."""
FADED = 0.1
"""A blank picture and one that differs less from it, mean code value, are steps of a fade."""
FLASH = 2
"""Pictures a flash may last."""
NEAR = 5
"""Distances on each side that make the neighbourhood."""
LEAST = 0.62
"""No distance below this is a cut."""
OUTSTANDING = 1.15
"""A cut's distance against the third largest of its neighbourhood, with 0.1 added."""


def shrink(plane: NDArray[np.generic], format: SampleFormat) -> Small:
    """Return a luma plane (H, W) as a small picture, averaged over up to 8x8 evenly spread samples a pixel.

    Floats are taken by their square root, held within 0..1, as they mostly hold light.
    """
    rows, columns = _spread(plane.shape[0], ROWS), _spread(plane.shape[1], COLUMNS)
    samples = plane[rows][:, columns].astype(np.float32)
    means = samples.reshape(ROWS, len(rows) // ROWS, COLUMNS, len(columns) // COLUMNS).mean(axis=(1, 3))
    return np.sqrt(np.clip(means, 0, 1)) if format.floating else means / np.float32(format.peak)


def _spread(size: int, parts: int) -> NDArray[np.int_]:
    count = parts * min(SAMPLES, -(-size // parts))
    return (2 * np.arange(count) + 1) * size // (2 * count)


@dataclass(frozen=True, eq=False)
class Look:
    """Hold what is compared of one picture."""

    half: Small
    windows: Small
    shares: NDArray[np.float64]
    slopes: Small
    shape: Small
    contrast: float
    blank: bool


def look(small: Small) -> Look:
    """Return what is compared of a small picture."""
    half = small.reshape(ROWS // 2, 2, COLUMNS // 2, 2).mean(axis=(1, 3))
    windows = sliding_window_view(np.pad(half, REACH, mode="edge"), half.shape)
    places = np.clip(small * (2 * BINS), 0, 2 * BINS - 1).astype(np.intp).ravel()
    counts = np.bincount(places, minlength=2 * BINS) / small.size
    shares = np.convolve(counts, [1 / 9, 2 / 9, 3 / 9, 2 / 9, 1 / 9])
    cells = small[:32, :63].reshape(8, 4, 9, 7).mean(axis=(1, 3))
    spread = half - half.mean()
    shape = spread / np.float32(np.sqrt((spread**2).sum()) + 1e-6)
    return Look(half, windows, shares, np.diff(cells, axis=1), shape, float(np.abs(spread).mean()), float(small.std()) < BLANK)


def distance(one: Look, other: Look) -> float:
    """Return how different two pictures are: about 0.1 within a shot, 0.4 with fast motion, above 0.7 across a cut."""
    if one.blank and other.blank:
        return 0.0
    histogram = 0.5 * float(np.abs(one.shares - other.shares).sum())
    unlike = (one.slopes > 0) != (other.slopes > 0)
    certain = np.maximum(np.abs(one.slopes), np.abs(other.slopes)) > SLOPE
    bits = float((unlike & certain).mean())
    alike = float((one.shape * other.shape).sum())
    whole = (_mismatch(one, other) + 2 * histogram + 0.5 * bits) * min(1.0, (1 - alike) / ALIKE)
    if one.blank or other.blank:
        whole *= min(1.0, float(np.abs(one.half - other.half).mean()) / FADED) ** 2
    return whole


def _mismatch(one: Look, other: Look) -> float:
    """Return the mean over blocks of the least difference to a place within reach, as a part of the pictures' contrast."""
    rows, columns = one.half.shape
    apart = np.abs(other.windows - one.half)
    side = 2 * REACH + 1
    blocks = apart.reshape(side * side, rows // BLOCK[0], BLOCK[0], columns // BLOCK[1], BLOCK[1]).mean(axis=(2, 4))
    return float(blocks.min(axis=0).mean()) / (0.5 * (one.contrast + other.contrast) + 0.02)


class CutDetector:
    """Collect small pictures one by one; say at the end where shots begin."""

    def __init__(self, minimum: int = 6) -> None:
        """Start before the first picture. `minimum`: pictures of the shortest shot. Raise ParamError below 1."""
        if minimum < 1:
            raise ParamError(f"The shortest shot must be at least 1 picture long; got {minimum}.")
        self.minimum = minimum
        self._count = 0
        self._recent: deque[Look] = deque(maxlen=2 * FLASH + 2)
        self._distances: list[float] = []
        self._held: dict[int, float] = {}
        self._blank: list[bool] = []

    def add(self, small: Small) -> None:
        """Take the next picture, (36, 64) luma of 0..1. Raise ParamError for another shape."""
        if small.shape != (ROWS, COLUMNS):
            raise ParamError(f"A small picture must have shape ({ROWS}, {COLUMNS}); got {small.shape}.")
        now = look(small)
        self._distances.append(distance(self._recent[-1], now) if self._recent else 0.0)
        self._blank.append(now.blank)
        self._recent.append(now)
        self._count += 1
        self._hold(self._count - 1 - FLASH)

    def finish(self) -> list[int]:
        """Return the index of each shot's first picture, 0 first; nothing if there was no picture."""
        for place in range(max(self._count - FLASH, 1), self._count):
            self._hold(place)
        cuts = self._spaced([place for place in sorted(self._held) if self._stands_out(place)])
        cuts = sorted(cuts + self._fades(cuts))
        return [0, *cuts] if self._count else []

    def _hold(self, place: int) -> None:
        """Keep, for a place that may be a cut, the least distance of the pictures before it to those after it."""
        if place < 1 or self._distances[place] < LEAST:
            return
        start = self._count - len(self._recent)
        before = [self._recent[i - start] for i in range(max(place - 1 - FLASH, start), place)]
        after = [self._recent[i - start] for i in range(place, min(place + FLASH + 1, self._count))]
        self._held[place] = min(distance(one, other) for one in before for other in after)

    def _stands_out(self, place: int) -> bool:
        around = self._distances[max(place - NEAR, 1) : place] + self._distances[place + 1 : place + NEAR + 1]
        usual = sorted(around)[-3] if len(around) > 2 else 0.0
        return self._held[place] > max(LEAST, OUTSTANDING * usual + 0.1)

    def _spaced(self, places: list[int]) -> list[int]:
        """Drop cuts that make too short a shot, the weaker of two neighbours."""
        kept: list[int] = []
        for place in places:
            if place < self.minimum or self._count - place < self.minimum:
                continue
            if kept and place - kept[-1] < self.minimum:
                if self._distances[place] <= self._distances[kept[-1]]:
                    continue
                kept.pop()
            kept.append(place)
        return kept

    def _fades(self, cuts: list[int]) -> list[int]:
        """Return the middles of runs of blank pictures that no cut touches."""
        edges = np.flatnonzero(np.diff([False, *self._blank, False]))
        found: list[int] = []
        for first, end in edges.reshape(-1, 2).tolist():
            middle = (first + end) // 2
            inside = first > 0 and end < self._count and end - first >= BLANK_LENGTH
            apart = all(not first - self.minimum < cut < end + self.minimum for cut in cuts)
            if inside and apart and min(middle, self._count - middle) >= self.minimum:
                found.append(middle)
        return found
