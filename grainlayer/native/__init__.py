"""Load the native kernels, and run them over rows on a small thread pool.

The kernels are plain C functions in one shared library built by `pip install -e .` from every .cpp file in this folder (see
abi.h for how to add one). ctypes releases the interpreter's lock during a call, so Python threads run them in parallel.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainlayer.errors import GrainlayerError

INTERFACE = 1
"""The number that grainlayer_interface() must return."""
LEAST_ROWS = 32
"""No thread is given fewer rows than this, the last part of a picture apart."""
PARTS_A_THREAD = 2
"""Parts a thread, so that a thread on a busy core does not hold up the rest."""


@cache
def library() -> ctypes.CDLL:
    """Return the kernels' library; GRAINLAYER_KERNELS names another build. Raise GrainlayerError if it is missing or too old."""
    other = os.environ.get("GRAINLAYER_KERNELS")
    folder = Path(__file__).parent
    for path in [Path(other)] if other else [folder / f"_kernels{suffix}" for suffix in EXTENSION_SUFFIXES]:
        if path.exists():
            return _open(path)
    raise GrainlayerError("The native kernels are not built; run `make` or `pip install -e .` in the project's folder.")


def kernel(name: str, *types: Any, result: Any = None) -> Callable[..., Any]:
    """Return the kernel `name`, taking arguments of these ctypes types and returning `result`; arrays are passed by `address`."""
    function = getattr(library(), name)
    function.argtypes = types
    function.restype = result
    return function


def members(*groups: tuple[Any, str]) -> list[tuple[str, Any]]:
    """Return the `_fields_` of a structure that mirrors one of the kernels: groups of a ctypes type and its members' names, in order."""
    return [(name, kind) for kind, names in groups for name in names.split()]


def address(array: NDArray[Any]) -> int:
    """Return the address of an array's first element, for a c_void_p argument. Raise GrainlayerError unless it is C-contiguous."""
    if not array.flags.c_contiguous:
        raise GrainlayerError("A native kernel was given an array that is not C-contiguous; this is a bug, please report it.")
    return array.ctypes.data


def default_threads() -> int:
    """Return the number of processors this process may use, or GRAINLAYER_THREADS if that is set."""
    chosen = os.environ.get("GRAINLAYER_THREADS", "")
    if chosen.isdigit() and int(chosen) > 0:
        return int(chosen)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def row_parts(height: int, threads: int, least: int = LEAST_ROWS) -> list[tuple[int, int]]:
    """Return (first, end) row spans that cover 0..height in order, none shorter than `least` rows but the picture itself."""
    count = 1 if threads <= 1 else max(1, min(threads * PARTS_A_THREAD, height // least))
    edges = np.linspace(0, height, count + 1).astype(int).tolist()
    return list(itertools.pairwise(edges)) if height > 0 else []


def run_rows(function: Callable[[int, int], object], height: int, threads: int | None = None, least: int = LEAST_ROWS) -> None:
    """Call function(first, end) for row spans that cover 0..height, on up to `threads` threads (None: all processors).

    Calls made from inside such a function run on their own thread. The first exception is raised again, after all have ended.
    """
    threads = default_threads() if threads is None else max(1, threads)
    parts = row_parts(height, threads, least)
    if len(parts) < 2 or getattr(_inside, "pool", False):
        for part in parts:
            function(*part)
        return
    waiting = [_pool(threads).submit(_run, function, part) for part in parts]
    failures = [error for error in (job.exception() for job in waiting) if error is not None]
    if failures:
        raise failures[0]


_inside = threading.local()


def _run(function: Callable[[int, int], object], part: tuple[int, int]) -> None:
    _inside.pool = True
    try:
        function(*part)
    finally:
        _inside.pool = False


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="grainlayer-rows")


def _open(path: Path) -> ctypes.CDLL:
    try:
        found = ctypes.CDLL(str(path))
        version = int(found.grainlayer_interface())
    except (OSError, AttributeError) as error:
        raise GrainlayerError(f"The native kernels in {path} cannot be loaded; run `make` or `pip install -e .` again.") from error
    if version != INTERFACE:
        raise GrainlayerError("The native kernels are older than this program; run `make` or `pip install -e .` again.")
    return found


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)
