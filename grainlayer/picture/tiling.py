"""Cut a picture in tiles with halo, run a function on each, and put the results together to the whole-frame result.

The picture is first extended at its bottom and right to multiples of `multiple_of`, by its last row and column. Each tile is
then given what lies up to `halo` pixels around it, as far as the picture goes: where the picture ends, the tile's data ends,
so a function treats the picture's borders as it does in a whole frame. For a function that looks no further than `halo` and
that moves along with its input by `multiple_of`, tiles so give exactly what the whole frame gives. All tiles of a picture are
given the same number of rows and columns, multiples of `multiple_of`, from places that are multiples too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainlayer.errors import ParamError

Floats = NDArray[np.floating[Any]]
Span = tuple[int, int, int, int]
"""First row, end row, first column, end column."""


@dataclass(frozen=True)
class Tile:
    """Hold where a tile lies, in pixels of the picture.

    target    the part of the picture that the tile answers for; targets cover the picture without overlap
    source    what its function is given: the target and its halo; it may reach beyond the picture to the next multiple
    """

    target: Span
    source: Span

    @property
    def inside(self) -> tuple[slice, slice]:
        """Return the target within the function's result."""
        (top, bottom, left, right), (y, _, x, _) = self.target, self.source
        return slice(top - y, bottom - y), slice(left - x, right - x)

    @property
    def place(self) -> tuple[slice, slice]:
        """Return the target within the picture."""
        top, bottom, left, right = self.target
        return slice(top, bottom), slice(left, right)

    @property
    def shape(self) -> tuple[int, int]:
        """Return the rows and columns of the source."""
        return self.source[1] - self.source[0], self.source[3] - self.source[2]


def tiles(height: int, width: int, tile: int, halo: int, multiple_of: int = 1) -> list[Tile]:
    """Return tiles that cover a picture, in reading order.

    `tile`: pixels a side at most, halo not counted; 0: one tile for the whole picture. `halo`: how far the function looks.
    Raise ParamError for a picture without pixels, a negative tile or halo, or a multiple below 1.
    """
    if min(height, width) < 1 or tile < 0 or halo < 0 or multiple_of < 1:
        raise ParamError(f"Cannot cut a picture of {width}x{height} in tiles of {tile} with a halo of {halo}, multiples of {multiple_of}.")
    rows, columns = _spans(height, tile, halo, multiple_of), _spans(width, tile, halo, multiple_of)
    return [Tile((*y[:2], *x[:2]), (*y[2:], *x[2:])) for y in rows for x in columns]


def _spans(size: int, tile: int, halo: int, multiple_of: int) -> list[Span]:
    """Return (first, end, source first, source end) of the tiles along a side, which share it evenly."""
    whole, around = _up(size, multiple_of), _up(halo, multiple_of)
    most = max(tile // multiple_of * multiple_of, multiple_of) if tile else whole
    step = _up(-(-size // -(-size // most)), multiple_of)
    length = min(step + 2 * around, whole)
    starts = [min(max(first - around, 0), whole - length) for first in range(0, size, step)]
    return [(first, min(first + step, size), start, start + length) for first, start in zip(range(0, size, step), starts, strict=True)]


def _up(value: int, multiple_of: int) -> int:
    return -(-value // multiple_of) * multiple_of


def cut(picture: Floats, tile: Tile) -> Floats:
    """Return a tile's source (..., rows, columns, C), C-contiguous, of a picture (..., H, W, C), extended where it ends."""
    y, y_end, x, x_end = tile.source
    part = picture[..., y:y_end, x:x_end, :]
    down, right = tile.shape[0] - part.shape[-3], tile.shape[1] - part.shape[-2]
    if down == 0 and right == 0:
        return np.ascontiguousarray(part)
    return np.pad(part, [(0, 0)] * (part.ndim - 3) + [(0, down), (0, right), (0, 0)], mode="edge")


def map_tiles(
    picture: Floats, function: Callable[[Floats], Floats], *, tile: int = 0, halo: int = 0, multiple_of: int = 1, out: Floats | None = None
) -> Floats:
    """Return function(picture), worked out tile by tile.

    picture     (..., H, W, C): an Image, or a Window
    function    takes (..., rows, columns, C), C-contiguous; returns (..., rows, columns, D) of any leading shape, type and D
    tile, halo, multiple_of   see `tiles`
    out         where to write the result, (..., H, W, D); made where None

    Raise ParamError if the function returns another number of rows or columns.
    """
    height, width = picture.shape[-3:-1]
    first, *rest = tiles(height, width, tile, halo, multiple_of)
    result = _run(function, picture, first)
    if out is None:
        out = np.empty((*result.shape[:-3], height, width, result.shape[-1]), result.dtype)
    out[(..., *first.place, slice(None))] = result
    for part in rest:
        out[(..., *part.place, slice(None))] = _run(function, picture, part)
    return out


def _run(function: Callable[[Floats], Floats], picture: Floats, tile: Tile) -> Floats:
    result = function(cut(picture, tile))
    if result.shape[-3:-1] != tile.shape:
        raise ParamError(f"A tile of {tile.shape[1]}x{tile.shape[0]} came back as an array of shape {result.shape}.")
    return result[(..., *tile.inside, slice(None))]
