"""Describe where a shot's grain departs from its profile: adaptive blocks, each with a quantised texture vector.

The picture is covered by squares of 128 pixels; each may be split in four down to 16. A block's vector says how its grain
differs from the profile: variance (eighths of an octave of standard deviation), contrast (sixteenths: how much stronger
the grain is in the brighter half of the block), spatial frequency (eighths of an octave, positive is finer) and
directionality (half decibels, positive is more power along horizontal frequencies). Code 0 everywhere means "as the profile".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainlayer.errors import ParamError

LARGEST, SMALLEST = 128, 16
FEATURES = ("variance", "contrast", "frequency", "direction")
CODE_RANGE = (-12, 12)
"""Every feature's codes."""

Box = tuple[int, int, int]
"""x, y, size in pixels; the part inside the picture counts."""


@dataclass(frozen=True)
class TextureMap:
    """Hold a shot's blocks. `splits` are the quadtree's decisions in `walk` order, `codes` one vector of four a leaf."""

    width: int
    height: int
    splits: tuple[bool, ...]
    codes: tuple[tuple[int, int, int, int], ...]

    def __post_init__(self) -> None:
        """Raise ParamError unless splits and codes fit the picture and each other."""
        leaves = sum(1 for _ in self.blocks())
        low, high = CODE_RANGE
        if leaves != len(self.codes) or any(not low <= c <= high for vector in self.codes for c in vector):
            raise ParamError(f"A texture map of {leaves} blocks needs as many vectors of {low}..{high}; got {len(self.codes)}.")

    def blocks(self) -> Iterator[Box]:
        """Yield the leaves, in the order of `codes`."""
        decisions = iter(self.splits)
        used = 0
        for root in roots(self.width, self.height):
            stack = [root]
            while stack:
                x, y, size = stack.pop()
                splits = False
                if size > SMALLEST:
                    splits, used = next(decisions, False), used + 1
                if splits:
                    stack.extend(reversed(quarters((x, y, size), self.width, self.height)))
                else:
                    yield x, y, size
        if used != len(self.splits):
            raise ParamError(f"A texture map of {self.width}x{self.height} needs {used} split decisions; got {len(self.splits)}.")

    def grid(self) -> NDArray[np.float32]:
        """Return the vectors on a raster of 16-pixel cells, (4, ceil(H/16), ceil(W/16)), as codes."""
        rows, columns = -(-self.height // SMALLEST), -(-self.width // SMALLEST)
        cells = np.zeros((len(FEATURES), rows, columns), np.float32)
        for (x, y, size), vector in zip(self.blocks(), self.codes, strict=True):
            part = np.s_[:, y // SMALLEST : (y + size) // SMALLEST, x // SMALLEST : (x + size) // SMALLEST]
            cells[part] = np.array(vector, np.float32)[:, None, None]
        return cells

    @property
    def plain(self) -> bool:
        """Say whether the map changes nothing."""
        return not any(any(vector) for vector in self.codes)


def roots(width: int, height: int) -> Iterator[Box]:
    """Yield the 128-pixel squares of a picture, row by row."""
    for y in range(0, height, LARGEST):
        for x in range(0, width, LARGEST):
            yield x, y, LARGEST


def quarters(box: Box, width: int, height: int) -> list[Box]:
    """Return the quarters of a block that reach into the picture, in reading order."""
    x, y, size = box
    half = size // 2
    every = [(x, y, half), (x + half, y, half), (x, y + half, half), (x + half, y + half, half)]
    return [(a, b, c) for a, b, c in every if a < width and b < height]


def plain_map(width: int, height: int) -> TextureMap:
    """Return the map that changes nothing: no block split, every vector zero."""
    count = sum(1 for _ in roots(width, height))
    return TextureMap(width, height, (False,) * count, ((0, 0, 0, 0),) * count)
