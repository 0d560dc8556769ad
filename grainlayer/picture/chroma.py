"""Bring chroma to the size of luma and back, exactly.

Up is linear interpolation at the tagged siting; down is its biorthogonal partner, the shortest symmetric filter for which
down(up(c)) == c. So chroma that nobody touched comes back as it was, for every code, at every size, at the borders too.

    siting     up                  down
    together   1/2   1   1/2      -1/8  2/8  6/8  2/8 -1/8    a chroma sample lies on every second luma sample
    between    1/4  3/4  3/4 1/4  -1/4  3/4  3/4 -1/4         a chroma sample lies between two luma samples

A factor of 4 is the same twice. This is plain NumPy, the reference of the native kernels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating]
"""float32 throughout."""

CENTRE, TOP_LEFT, TOP, BOTTOM = 2, 3, 4, 6
"""FFmpeg's chroma locations that do not mean "left"."""


def together(location: int) -> tuple[bool, bool]:
    """Return whether chroma lies on luma samples across and down, for FFmpeg's chroma location; unspecified is left.

    Chroma on the lower line of a pair (bottom, bottom left) is treated as lying between the lines.
    """
    return location not in (CENTRE, TOP, BOTTOM), location in (TOP_LEFT, TOP)


def upsample(chroma: Plane, height: int, width: int, shift: tuple[int, int], location: int) -> Plane:
    """Return a chroma plane at luma size (height, width), float32; exact for codes of 16 bits at 4:2:0 and below."""
    on_across, on_down = together(location)
    across, down = shift
    tall = _repeat_up(chroma, height, down, on_down)
    return _repeat_up(tall.T, width, across, on_across).T


def downsample(full: Plane, shift: tuple[int, int], location: int) -> Plane:
    """Return a plane of luma size at chroma size, each side rounded up, float32: the inverse of `upsample`."""
    on_across, on_down = together(location)
    across, down = shift
    narrow = full.T
    for _ in range(across):
        narrow = down_by_two(narrow, on_across)
    short = narrow.T
    for _ in range(down):
        short = down_by_two(short, on_down)
    return short


def _repeat_up(rows: Plane, size: int, shift: int, on: bool) -> Plane:
    for level in reversed(range(shift)):
        rows = up_by_two(rows, -(-size >> level), on)
    return rows


def up_by_two(rows: Plane, size: int, on: bool) -> Plane:
    """Return `size` rows from ceil(size / 2) rows; beyond the borders the last row goes on."""
    after = np.concatenate([rows[1:], rows[-1:]])
    wide = np.empty((2 * len(rows), *rows.shape[1:]), np.float32)
    if on:
        wide[0::2] = rows
        wide[1::2] = np.float32(0.5) * (rows + after)
    else:
        before = np.concatenate([rows[:1], rows[:-1]])
        wide[0::2] = np.float32(0.75) * rows + np.float32(0.25) * before
        wide[1::2] = np.float32(0.75) * rows + np.float32(0.25) * after
    return wide[:size]


def down_by_two(rows: Plane, on: bool) -> Plane:
    """Return ceil(n / 2) rows from n rows; the inverse of `up_by_two`.

    Beyond the borders rows are mirrored: about the last row where chroma lies on luma rows, else about the border. Of an odd
    number of rows, the last chroma row then lies outside the picture by half a row and is extrapolated.
    """
    count = -(-len(rows) // 2)
    if on:
        near = rows[mirrored(np.arange(-2, 2 * count + 1), len(rows), 2 * len(rows) - 2)]
        sides = np.float32(0.25) * (near[1:-3:2] + near[3:-1:2])
        return (np.float32(0.75) * near[2:-2:2] + sides) - np.float32(0.125) * (near[0:-4:2] + near[4::2])
    near = rows[mirrored(np.arange(-1, 2 * count + 1), len(rows), 2 * len(rows))]
    result = np.float32(0.75) * (near[1:-2:2] + near[2:-1:2]) - np.float32(0.25) * (near[0:-3:2] + near[3::2])
    if len(rows) % 2:
        last = rows[-1]
        result[-1] = (np.float32(4) * last - result[-2]) / np.float32(3) if count > 1 else last
    return result


def mirrored(places: NDArray[np.int_], size: int, period: int) -> NDArray[np.int_]:
    """Return places folded into 0..size-1: period 2 * size - 2 mirrors about the last sample, 2 * size about the border."""
    if period <= 0:
        return np.zeros_like(places)
    folded = places % period
    return np.where(folded < size, folded, (period if period < 2 * size else period - 1) - folded)
