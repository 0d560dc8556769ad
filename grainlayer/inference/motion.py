"""Find how a picture's parts moved to a neighbouring picture, and average pictures along that motion.

Blocks of 8 pixels, each matched through a window of 16, coarse to fine, to a quarter of a pixel; neighbouring windows overlap
in the average, so that no block shows. The kernels are in native/motion.cpp.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainlayer.native import address, kernel, members, run_rows
from grainlayer.types import Image

Floats = NDArray[np.float32]

BLOCK = 8
MARGIN = 40
"""Pixels by which planes are extended for the search, so that motion may point beyond their border."""
COARSEST = 96
"""Pictures are halved, for the search, while their shorter side stays above this."""
RANGE, REFINE = 10, 3
"""Pixels searched at the coarsest size, and steps of refinement at each finer one."""
DRIFT = 0.06
"""Price of a pixel away from the guess: grain alone must not move a flat block."""


class MotionJob(ctypes.Structure):
    """Mirror GrainlayerMotion of native/motion.cpp: the same fields in the same order."""

    _fields_ = members(
        (ctypes.c_void_p, "here there guess motion apart"),
        (ctypes.c_int64, "height width margin guess_rows guess_columns"),
        (ctypes.c_int32, "range fine"),
        (ctypes.c_float, "drift"),
    )


class FuseJob(ctypes.Structure):
    """Mirror GrainlayerFuse of native/motion.cpp: the same fields in the same order."""

    _fields_ = members(
        (ctypes.c_void_p, "here there motion weight out"),
        (ctypes.c_int64, "height width"),
        (ctypes.c_int32, "count"),
    )


class AlignJob(ctypes.Structure):
    """Mirror GrainlayerAlign of native/motion.cpp: the same fields in the same order."""

    _fields_ = members(
        (ctypes.c_void_p, "there motion out"),
        (ctypes.c_int64, "height width columns block top left right step"),
        (ctypes.c_float, "times"),
    )


@dataclass(frozen=True, eq=False)
class Motion:
    """Hold by block the motion (rows, columns, 2), y and x in pixels, and the mean square difference that it leaves (rows, columns)."""

    motion: Floats
    apart: Floats


def pyramid(plane: Floats) -> list[Floats]:
    """Return a plane (H, W) and its halvings, widened, finest first."""
    levels = [plane]
    while min(levels[-1].shape) >= 2 * COARSEST:
        part = levels[-1][: levels[-1].shape[0] // 2 * 2, : levels[-1].shape[1] // 2 * 2]
        total = (part[::2, ::2] + part[1::2, ::2]) + (part[::2, 1::2] + part[1::2, 1::2])
        levels.append(np.multiply(total, 0.25, dtype=np.float32))
    return [widen(level) for level in levels]


def widen(plane: Floats) -> Floats:
    """Extend a plane (H, W) by MARGIN on every side, repeating its border."""
    return np.pad(plane, MARGIN, mode="edge")


def find_motion(here: Sequence[Floats], there: Sequence[Floats]) -> Motion:
    """Return the motion from one picture to another, both as `pyramid` made them from planes of code values."""
    last = len(here) - 1
    found = _search(here[last], there[last], None, fine=last == 0)
    for level in reversed(range(last)):
        found = _search(here[level], there[level], found.motion, fine=level == 0)
    return found


def align(there: Floats, motion: Floats, blocks: tuple[int, int, int, int] | None = None, out: Floats | None = None) -> Floats:
    """Return a plane (H, W) where the motion (rows, columns, 2) of another's blocks says that they lie in it, or a part of it.

    The motion is by blocks of 8 of luma's pixels; a plane of half that size is moved half as far, by blocks of 4. Places are taken to the
    nearest quarter of a sample, between which six taps of Lanczos' kernel interpolate. H and W are multiples of the block.
    blocks  rows from and to, columns from and to, all without it
    out     where to write it, one plane of an array of planes beside or within each other
    """
    top, bottom, left, right = blocks or (0, motion.shape[0], 0, motion.shape[1])
    side = there.shape[0] // motion.shape[0]
    out = np.empty(((bottom - top) * side, (right - left) * side), np.float32) if out is None else out
    job = AlignJob(there=address(there), motion=address(motion), out=out.ctypes.data)
    job.height, job.width, job.columns, job.block, job.times = *there.shape, motion.shape[1], side, BLOCK / side
    job.top, job.left, job.right, job.step = top, left, right, out.strides[1] // out.itemsize
    run = kernel("grainlayer_align", ctypes.POINTER(AlignJob), ctypes.c_int64, ctypes.c_int64)
    run_rows(lambda first, end: run(ctypes.byref(job), top + first, top + end), bottom - top, least=16)
    return out


def _search(here: Floats, there: Floats, guess: Floats | None, *, fine: bool) -> Motion:
    rows, columns = _blocks(here)
    found = Motion(np.empty((rows, columns, 2), np.float32), np.empty((rows, columns), np.float32))
    job = _job(here, there, found)
    job.fine, job.drift, job.range = int(fine), DRIFT, RANGE if guess is None else REFINE
    if guess is not None:
        job.guess, job.guess_rows, job.guess_columns = address(guess), guess.shape[0], guess.shape[1]
    _run("grainlayer_motion", job, rows)
    return found


def follow(here: Floats, there: Floats, motion: Floats) -> Floats:
    """Return by block the mean square difference (rows, columns) of two widened planes along a motion."""
    found = Motion(motion, np.empty(motion.shape[:2], np.float32))
    _run("grainlayer_apart", _job(here, there, found), motion.shape[0])
    return found.apart


def _blocks(plane: Floats) -> tuple[int, int]:
    """Return the rows and columns of blocks of a widened plane."""
    return -(-(plane.shape[0] - 2 * MARGIN) // BLOCK), -(-(plane.shape[1] - 2 * MARGIN) // BLOCK)


def _job(here: Floats, there: Floats, found: Motion) -> MotionJob:
    job = MotionJob(here=address(here), there=address(there), motion=address(found.motion), apart=address(found.apart))
    job.height, job.width, job.margin = here.shape[0] - 2 * MARGIN, here.shape[1] - 2 * MARGIN, MARGIN
    return job


def _run(name: str, job: MotionJob, rows: int) -> None:
    run = kernel(name, ctypes.POINTER(MotionJob), ctypes.c_int64, ctypes.c_int64)
    run_rows(lambda first, end: run(ctypes.byref(job), first, end), rows, least=4)


def fuse(here: Image, there: Sequence[Image], motion: Floats, weight: Floats) -> Image:
    """Return the average (H, W, 3) of a picture and its neighbours along their motion.

    motion (N, rows, columns, 2) and weight (N, rows, columns) say by block where the neighbours' pixels lie and how much they
    count beside the picture itself, which counts 1.
    """
    height, width = here.shape[:2]
    out = np.empty_like(here)
    places = (ctypes.c_void_p * max(len(there), 1))(*(address(picture) for picture in there))
    job = FuseJob(here=address(here), there=ctypes.addressof(places), motion=address(motion), weight=address(weight))
    job.out, job.height, job.width, job.count = address(out), height, width, len(there)
    run = kernel("grainlayer_fuse", ctypes.POINTER(FuseJob), ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
    strips, columns = -(-height // BLOCK) + 1, -(-width // BLOCK)

    def part(first: int, end: int) -> None:
        work = np.empty(4 * BLOCK * BLOCK * (columns + 1), np.float32)
        run(ctypes.byref(job), first, end, address(work))

    run_rows(part, strips, least=4)
    return out
