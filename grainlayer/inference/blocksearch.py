"""Find how the parts of recorded pictures moved to their neighbours: quickly, on 8 bits, to a quarter of a pixel.

Blocks of 8 pixels, each matched through a window of 16, coarse to fine. Of the window every other row is compared, and only what lies
above, below, left and right of the best place is tried: enough to lay a picture out beside another one. Between pixels, half of one away
on these four sides, then where the differences there say that the least one lies. The kernels are in native/blocksearch.cpp;
inference/motion.py holds the search that sees finer, for averages.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from grainlayer.inference.motion import BLOCK, COARSEST, MARGIN, RANGE, REFINE
from grainlayer.native import address, kernel, members, run_rows

Floats = NDArray[np.float32]
Codes = NDArray[np.uint8]
Quarters = NDArray[np.int16]


class SearchJob(ctypes.Structure):
    """Mirror GrainlayerSearch of native/blocksearch.cpp: the same fields in the same order."""

    _fields_ = members(
        (ctypes.c_void_p, "here there guess motion"),
        (ctypes.c_int64, "height width margin guess_rows guess_columns"),
        (ctypes.c_int32, "range fine"),
    )


def code_pyramid(plane: Floats) -> list[Codes]:
    """Return luma (H, W), 0 black to 1 white, in codes of 8 bits, and its halvings, each widened by MARGIN, finest first."""
    levels = [_empty(*plane.shape)]
    codes = kernel("grainlayer_codes", *(ctypes.c_void_p,) * 2, *(ctypes.c_int64,) * 4)
    inner, pitch = _inner(levels[0]), levels[0].shape[1]
    run_rows(lambda first, end: codes(address(plane), inner, pitch, plane.shape[1], first, end), plane.shape[0])
    _repeat_border(levels[0])
    while min(levels[-1].shape) - 2 * MARGIN >= 2 * COARSEST:
        levels.append(_halved(levels[-1]))
    return levels


def _empty(height: int, width: int) -> Codes:
    return np.empty((height + 2 * MARGIN, width + 2 * MARGIN), np.uint8)


def _inner(level: Codes) -> int:
    """Return the address of a widened plane's first own sample."""
    return address(level) + MARGIN * level.shape[1] + MARGIN


def _repeat_border(level: Codes) -> None:
    """Fill the margin of a widened plane."""
    level[MARGIN:-MARGIN, :MARGIN] = level[MARGIN:-MARGIN, MARGIN : MARGIN + 1]
    level[MARGIN:-MARGIN, -MARGIN:] = level[MARGIN:-MARGIN, -MARGIN - 1 : -MARGIN]
    level[:MARGIN] = level[MARGIN]
    level[-MARGIN:] = level[-MARGIN - 1]


def _halved(level: Codes) -> Codes:
    """Return a widened plane at half its size."""
    height, width = ((size - 2 * MARGIN) // 2 for size in level.shape)
    half = _empty(height, width)
    halve = kernel("grainlayer_halve", *(ctypes.c_void_p,) * 2, *(ctypes.c_int64,) * 5)
    places = _inner(level), _inner(half), level.shape[1], half.shape[1], width
    run_rows(lambda first, end: halve(*places, first, end), height)
    _repeat_border(half)
    return half


def find_motions(window: Sequence[Sequence[Codes]]) -> Floats:
    """Return the motion (y, x) in pixels from the middle of a window to each of its pictures (T, rows, columns, 2), given as pyramids;
    its own is 0.

    The next pictures are searched for from the coarsest size on, those behind them only near where the motion so far leads.
    """
    middle = len(window) // 2
    here = window[middle]
    found = np.zeros((len(window), *_blocks(here[0]), 2), np.int16)
    for way in (-1, 1):
        for far in range(1, middle + 1):
            place = middle + way * far
            if _same(window[place], window[place - way]):
                found[place] = found[place - way]
            elif far == 1:
                found[place] = find_motion(here, window[place])
            else:
                found[place] = _near(here, window[place], found[place - way], far)
    return np.multiply(found, 0.25, dtype=np.float32)


def find_motion(here: Sequence[Codes], there: Sequence[Codes]) -> Quarters:
    """Return the motion (rows, columns, 2), quarters of a pixel, from one picture to another, both as `code_pyramid` made them."""
    last = len(here) - 1
    found = _search(here[last], there[last], None, fine=last == 0)
    for level in reversed(range(last)):
        found = _search(here[level], there[level], found, fine=level == 0)
    return found


def _same(one: Sequence[Codes], other: Sequence[Codes]) -> bool:
    """Say whether two pyramids are of the same picture: those of others differ on the coarsest level."""
    return one is other or (np.array_equal(one[-1], other[-1]) and np.array_equal(one[0], other[0]))


def _near(here: Sequence[Codes], there: Sequence[Codes], before: Quarters, far: int) -> Quarters:
    """Return the motion to a picture `far` away, near what that to the picture before it (rows, columns, 2) leads to expect."""
    level = min(1, len(here) - 1)
    apart = 2 << level
    guess = np.rint(before[::apart, ::apart] * (far / ((far - 1) * apart))).astype(np.int16)
    while level:
        guess, level = _search(here[level], there[level], guess, fine=False), level - 1
    return _search(here[0], there[0], guess, fine=True)


def _blocks(level: Codes) -> tuple[int, int]:
    """Return the rows and columns of blocks of a widened plane."""
    return -(-(level.shape[0] - 2 * MARGIN) // BLOCK), -(-(level.shape[1] - 2 * MARGIN) // BLOCK)


def _search(here: Codes, there: Codes, guess: Quarters | None, *, fine: bool) -> Quarters:
    found = np.empty((*_blocks(here), 2), np.int16)
    job = SearchJob(here=address(here), there=address(there), motion=address(found))
    job.height, job.width, job.margin = here.shape[0] - 2 * MARGIN, here.shape[1] - 2 * MARGIN, MARGIN
    job.fine, job.range = int(fine), RANGE if guess is None else REFINE
    if guess is not None:
        job.guess, job.guess_rows, job.guess_columns = address(guess), guess.shape[0], guess.shape[1]
    run = kernel("grainlayer_search", ctypes.POINTER(SearchJob), ctypes.c_int64, ctypes.c_int64)
    run_rows(lambda first, end: run(ctypes.byref(job), first, end), len(found), least=4)
    return found
