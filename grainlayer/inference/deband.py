"""Even out bands: the stairs of 8-bit codes and of coarse quantisers in skies, walls and whatever is out of focus.

A pyramid is filled in from its coarsest level to the picture: every sample becomes what the coarser level says there, is evened out with
its neighbours, and kept near the picture's own value. How near is a limit that the caller sets by cell of 8x8 pixels; it falls towards
nothing where the level's slope is steep beside the limit, which are edges, and gradients too steep for bands of that size. Neighbours
that differ much do not count (a bilateral filter, Tomasi and Manduchi, 1998), and every smoothing is done twice and corrected by what
the second took away (Tukey's twicing, 1977), so that curves keep their shape.

Grain and texture are left alone by one measure, soft and taken over some twenty pixels: how far the sum of all absolute differences
between neighbours exceeds the sum of the differences. Stairs and slopes, which go one way, have no such excess; grain has little else.
The kernels are in native/deband.cpp.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainlayer.errors import ParamError
from grainlayer.native import address, kernel, members, run_rows
from grainlayer.picture.quantiser import CELL

Floats = NDArray[np.float32]

RESTORED = 0.25
"""What the excess of differences may be in a restored picture, over that in a recorded one: its noise is not that of rounding."""
SMALLEST = 16
"""Pictures with a shorter side are left as they are."""
COARSEST = 10
"""Pictures are halved while their shorter side keeps this many samples: bands up to a tenth of it wide are evened out."""
FULL = 0.5
"""The strength, its default, from which on the whole change is made."""
FREE_QP = 26
"""H.264's quantiser from which on steps are higher than those of 8-bit codes."""
MOST = 3
"""How often the limit is doubled at most: to four codes."""
LUMA, CHROMA = (3, 1.0), (2, 0.25)
"""Samples across a cell, as a power of 2, and halves of a code that an excess of differences may reach: chroma, halved, has less noise."""
LUMA_STEP, CHROMA_STEP = 1 / 219, 1 / 224
"""Steps of 8-bit codes in video range."""
TAPER_FROM = 2
"""From the level after this on, what a limit exceeds half a code by is halved from level to level: wide bands are one code high."""

_P, _N = ctypes.c_void_p, ctypes.c_int64
KERNELS: dict[str, tuple[Any, ...]] = {
    "cells": (_P, _N, _N, _P, _P),
    "trust": (_P, _N, _N, ctypes.c_float, _P),
    "halve": (_P, _P, _N, _N, _P, _P),
    "double": (_P, _N, _P),
    "raise": (_P,),
    "even": (_P,),
    "picture": (_P,),
    "thin": (_P, _N, _N, _P, _P),
    "tint": (_P, _P, _P, _N, _P),
}
"""The kernels' arguments before the rows, and the work that some take."""


class LevelJob(ctypes.Structure):
    """Mirror GrainlayerLevel of native/deband.cpp: the same fields in the same order; its `from` is `given` here."""

    _fields_ = members(
        (ctypes.c_void_p, "own given trust limit out"),
        (ctypes.c_int64, "height width"),
        (ctypes.c_float, "half share"),
        (ctypes.c_int32, "last"),
    )


class PictureJob(ctypes.Structure):
    """Mirror GrainlayerPicture of native/deband.cpp: the same fields in the same order."""

    _fields_ = members(
        (ctypes.c_void_p, "picture coarse trust limit source out"),
        (ctypes.c_int64, "height width"),
        (ctypes.c_float, "half amount"),
    )


@dataclass(frozen=True, eq=False)
class Limits:
    """Say how far a plane may be changed.

    half     half a code of the plane
    cells    (rows, columns): the limit by cell; None where it is `half` everywhere
    across   samples across a cell, as a power of 2
    quiet    the excess of differences, a pixel, at which a half is left alone
    amount   the share of the change that is made, 0..1
    """

    half: float
    cells: Floats | None
    across: int
    quiet: float
    amount: float = 1.0


@dataclass(frozen=True, eq=False)
class _Level:
    """Hold one level of the pyramid: planes with a border of one sample."""

    own: Floats
    trust: Floats
    limit: Floats

    @property
    def shape(self) -> tuple[int, int]:
        return self.own.shape[0] - 2, self.own.shape[1] - 2


def deband(
    luma: Floats, chroma: Floats, quantiser: Floats, strength: float, source: Floats | None = None, step: float = LUMA_STEP
) -> tuple[Floats, Floats]:
    """Return luma (H, W), 0..1 from black to white, and chroma (H, W, 2), -0.5..0.5, without bands.

    quantiser (ceil(H/8), ceil(W/8)) is QP / 64 by cell, 0 where no codec was at work; `step` that of the recorded luma's codes, and
    `source` the recorded luma (H, W), None if luma is that itself: its grain is left alone too, and if no codec was at work the result
    keeps within half a step of it. `strength` is 0..1; 0 returns what was given, less than 0.5 makes a part of the change, and more
    allows for higher stairs where a codec was at work and for more noise on them. Never clips; around samples that are no numbers luma
    is left as it is. Raise ParamError on a wrong shape.
    """
    _check(luma, chroma, quantiser, source)
    if strength <= 0 or min(luma.shape) < SMALLEST or step <= 0:
        return luma, chroma
    fine = _limits(quantiser, step, strength, LUMA)
    coarse = _limits(chroma_quantiser(quantiser), step / LUMA_STEP * CHROMA_STEP, strength, CHROMA)
    with np.errstate(invalid="ignore", over="ignore"):
        return deband_plane(luma, fine, source), _deband_chroma(chroma, coarse)


def _check(luma: Floats, chroma: Floats, quantiser: Floats, source: Floats | None) -> None:
    height, width = luma.shape
    if chroma.shape != (height, width, 2) or quantiser.shape != (-(-height // CELL), -(-width // CELL)):
        raise ParamError(
            f"Chroma {chroma.shape} and quantiser {quantiser.shape} do not belong to luma {luma.shape}; this is a bug, please report it."
        )
    if source is not None and source.shape != luma.shape:
        raise ParamError(
            f"The source {source.shape} is not of the size {luma.shape} of the restored luma; this is a bug, please report it."
        )


def _limits(quantiser: Floats, step: float, strength: float, kind: tuple[int, float]) -> Limits:
    """Return limits by the quantiser: half a step, and from QP 26 on in proportion to the quantiser's own step.

    That doubles every 6 QP (ITU-T H.264, 8.5.9). Each cell gets the least limit of the 3x3 around it, so that what is interpolated
    between cells exceeds none of theirs.
    """
    half, more, amount = step / 2, max(strength / FULL, 1), min(strength / FULL, 1)
    across, quiet = kind[0], half * more * kind[1]
    if not np.any(quantiser > 0):
        return Limits(half, None, across, quiet, amount)
    coarse = half * more * np.exp2(np.clip((quantiser * 64 - FREE_QP) / 6, 0, MOST))
    return Limits(half, _least(np.where(quantiser > 0, coarse, half).astype(np.float32)), across, quiet, amount)


def _least(cells: Floats) -> Floats:
    wide = np.pad(cells, 1, mode="edge")
    rows = np.minimum(np.minimum(wide[:-2], wide[1:-1]), wide[2:])
    return np.ascontiguousarray(np.minimum(np.minimum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:]))


def chroma_quantiser(quantiser: Floats) -> Floats:
    """Return the quantiser of chroma, QP / 64, by luma's: the same to QP 30, then about 0.45 a step (ITU-T H.264, table 8-15)."""
    return np.where(quantiser > 30 / 64, 30 / 64 + (quantiser - 30 / 64) * 0.45, quantiser).astype(np.float32)


def deband_plane(plane: Floats, limits: Limits, source: Floats | None = None) -> Floats:
    """Return a plane (H, W), shorter side 16 or more, without bands, as it was recorded in `source` if that is given.

    What has grain or texture in either is left alone. Where the limit is the same everywhere, the result keeps within it of the source.
    """
    plane, source = np.ascontiguousarray(plane), None if source is None else np.ascontiguousarray(source)
    levels = _pyramid(plane, limits, source)
    filled = _fill(levels, limits.half)
    out = np.empty_like(plane)
    job = PictureJob(picture=address(plane), coarse=address(filled), trust=address(levels[0].trust), limit=address(levels[0].limit))
    job.source = None if source is None or limits.cells is not None else address(source)
    (job.height, job.width), job.out = plane.shape, address(out)
    job.half, job.amount = limits.half, limits.amount
    _rows("picture", job.height, 10 * job.width + 8, ctypes.byref(job))
    return out


def _deband_chroma(chroma: Floats, limits: Limits) -> Floats:
    """Return chroma (H, W, 2) without bands; they are found and evened out at half the size."""
    chroma = np.ascontiguousarray(chroma)
    height, width = chroma.shape[:2]
    small = np.empty((2, (height + 1) // 2, (width + 1) // 2), np.float32)
    if min(small.shape[1:]) < SMALLEST:
        return chroma
    _rows("thin", small.shape[1], 0, address(chroma), height, width, address(small[0]), address(small[1]))
    changes = [_bordered(deband_plane(plane, limits) - plane) for plane in small]
    out = np.empty_like(chroma)
    places = [address(change) for change in changes]
    _rows("tint", height, 5 * width + 8, address(chroma), *places, width, address(out))
    return out


def _pyramid(plane: Floats, limits: Limits, source: Floats | None) -> list[_Level]:
    """Return the levels of a plane from half its size on; smooth is only what is so in the source too."""
    half, trust = _smooth(plane, limits.quiet if source is None else limits.quiet * RESTORED)
    if source is not None:
        np.minimum(trust, _smooth(source, limits.quiet)[1], out=trust)
    owns, trusts = [half, _empty_like_half(half)], [_doubled(trust, *_size(half)), trust]
    _halve(owns[0], None, owns[1], None)
    while min(_size(owns[-1])) >= 2 * COARSEST:
        owns.append(_empty_like_half(owns[-1]))
        trusts.append(_empty_like_half(trusts[-1]))
        _halve(owns[-2], trusts[-2], owns[-1], trusts[-1])
    return [_Level(*parts) for parts in zip(owns, trusts, _limit_planes(limits, [_size(own) for own in owns]), strict=True)]


def _smooth(plane: Floats, quiet: float) -> tuple[Floats, Floats]:
    """Return a plane (H, W) at half its size, and by cell of 4x4 samples how smooth it is, 0..1; both padded."""
    height, width = plane.shape
    rows, columns = -(-height // 4), -(-width // 4)
    sums, half, trust = np.empty((4, rows, columns), np.float32), _padded(-(-height // 2), -(-width // 2)), _padded(rows, columns)
    _rows("cells", rows, 16 * columns, address(plane), height, width, address(sums), address(half), least=8)
    _rows("trust", rows, 4 * (columns + 4), address(sums), rows, columns, quiet, address(trust), least=8)
    return _extended(half), _edged(trust)


def _limit_planes(limits: Limits, sizes: list[tuple[int, int]]) -> list[Floats]:
    """Return the limit by sample of every level."""
    if limits.cells is None:
        return [np.full((rows + 2, columns + 2), limits.half, np.float32) for rows, columns in sizes]
    planes = [_bordered(limits.cells)]
    for level in reversed(range(limits.across - 1)):
        planes.insert(0, _doubled(planes[0], *_halved(sizes[0], level)))
    while len(planes) < len(sizes):
        planes.append(_empty_like_half(planes[-1]))
        _halve(planes[-2], None, planes[-1], None, edged=True)
    return planes[: len(sizes)]


def _halved(size: tuple[int, int], times: int) -> tuple[int, int]:
    """Return a size halved, rounded up, some times."""
    return -(-size[0] >> times), -(-size[1] >> times)


def _fill(levels: list[_Level], half: float) -> Floats:
    """Return the first of the levels, evened out from the coarsest on."""
    filled = levels[-1].own
    for number in reversed(range(len(levels))):
        level = levels[number]
        share = 0.5 ** max(number + 1 - TAPER_FROM, 0)
        if number + 1 < len(levels):
            filled = _raised(level, filled, levels[number + 1].trust, half, share)
        for last in (0, 1):
            filled = _evened(level, filled, half, share, last)
    return filled


def _raised(level: _Level, coarse: Floats, trust: Floats, half: float, share: float) -> Floats:
    out = np.empty_like(level.own)
    job = _level_job(level, coarse, trust, out, half, share)
    _rows("raise", level.shape[0], 8 * level.shape[1], ctypes.byref(job))
    return _extended(out)


def _evened(level: _Level, given: Floats, half: float, share: float, last: int) -> Floats:
    out = np.empty_like(level.own)
    job = _level_job(level, given, level.trust, out, half, share)
    job.last = last
    _rows("even", level.shape[0], 0, ctypes.byref(job))
    return _extended(out)


def _level_job(level: _Level, given: Floats, trust: Floats, out: Floats, half: float, share: float) -> LevelJob:
    job = LevelJob(own=address(level.own), given=address(given), trust=address(trust), limit=address(level.limit), out=address(out))
    (job.height, job.width), job.half, job.share = level.shape, half, share
    return job


def _halve(level: Floats, trust: Floats | None, small: Floats, small_trust: Floats | None, *, edged: bool = False) -> None:
    """Fill a level of half the size, and its trust."""
    height, width = _size(level)
    pair = (None if trust is None else address(trust)), (None if small_trust is None else address(small_trust))
    _rows("halve", (height + 1) // 2, 0, address(level), pair[0], height, width, address(small), pair[1])
    (_edged if edged else _extended)(small)
    if small_trust is not None:
        _edged(small_trust)


def _doubled(plane: Floats, height: int, width: int) -> Floats:
    """Return a padded plane (height, width), twice as large as the one given, by linear interpolation."""
    out = _padded(height, width)
    _rows("double", height, 3 * width + 4, address(plane), width, address(out))
    return _edged(out)


def _padded(height: int, width: int) -> Floats:
    return np.empty((height + 2, width + 2), np.float32)


def _size(plane: Floats) -> tuple[int, int]:
    """Return the size of a padded plane, its border left out."""
    return plane.shape[0] - 2, plane.shape[1] - 2


def _empty_like_half(plane: Floats) -> Floats:
    height, width = _size(plane)
    return _padded((height + 1) // 2, (width + 1) // 2)


def _bordered(plane: Floats) -> Floats:
    """Return a plane with a border of its outermost samples."""
    return np.pad(plane, 1, mode="edge")


def _edged(plane: Floats) -> Floats:
    """Fill a padded plane's border with its outermost samples, and return it."""
    inner = plane[1:-1]
    inner[:, 0], inner[:, -1] = inner[:, 1], inner[:, -2]
    plane[0], plane[-1] = plane[1], plane[-2]
    return plane


def _extended(plane: Floats) -> Floats:
    """Fill a padded plane's border by going on straight, and return it."""
    inner = plane[1:-1]
    inner[:, 0], inner[:, -1] = 2 * inner[:, 1] - inner[:, 2], 2 * inner[:, -2] - inner[:, -3]
    plane[0], plane[-1] = 2 * plane[1] - plane[2], 2 * plane[-2] - plane[-3]
    return plane


def _rows(name: str, rows: int, work: int, *given: object, least: int = 32) -> None:
    """Run a kernel over rows on all processors; each call gets `work` floats of its own, if any."""
    last = (ctypes.c_void_p,) if work else ()
    run = kernel(f"grainlayer_deband_{name}", *KERNELS[name], ctypes.c_int64, ctypes.c_int64, *last)

    def part(first: int, end: int) -> None:
        room = np.empty(work, np.float32)
        run(*given, first, end, *((address(room),) if work else ()))

    run_rows(part, rows, least=least)
