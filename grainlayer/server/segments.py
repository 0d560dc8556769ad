"""Hold a session's shared memory: checked when it is handed over, so that no later read or write can fail."""

from __future__ import annotations

import mmap
import os
import re
import sys
import threading
from typing import Any

import numpy as np

from grainlayer.errors import WireError
from grainlayer.server.wire import LARGEST_SEGMENT, MOST_SEGMENTS
from grainlayer.types import Image

MOST_BYTES = 1 << 37
"""Bytes of all segments of one session, at most."""
NAME = re.compile(r"Local\\GrainLayer-[0-9a-f]{32}")


class Segments:
    """Map segments by their ids and hand out pictures in them. Calls may come from any thread."""

    def __init__(self) -> None:
        """Begin without any."""
        self._lock = threading.Lock()
        self._maps: dict[int, mmap.mmap] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._maps)

    def add(self, number: int, size: int, name: str, descriptor: int | None) -> None:
        """Map a segment; the descriptor is closed whatever happens. Raise WireError if it must not be used."""
        try:
            self._check(number, size)
            found = _map_name(name, size) if sys.platform == "win32" else _map_descriptor(descriptor, size)
        except (OSError, ValueError, OverflowError) as error:
            raise WireError(f"Segment {number} of {size} bytes cannot be mapped ({error}); use smaller pictures.") from error
        finally:
            if descriptor is not None:
                os.close(descriptor)
        with self._lock:
            if self._maps.setdefault(number, found) is not found:
                found.close()
                raise WireError(f"Segment {number} is in use; a segment's number is used once.")

    def _check(self, number: int, size: int) -> None:
        if number == 0 or not 1 <= size <= LARGEST_SEGMENT:
            raise WireError(f"Segment {number} of {size} bytes is beyond the protocol's limits.")
        with self._lock:
            if number in self._maps:
                raise WireError(f"Segment {number} is in use; a segment's number is used once.")
            total = sum(len(found) for found in self._maps.values())
            if len(self._maps) >= MOST_SEGMENTS or total + size > MOST_BYTES:
                raise WireError(f"A session has at most {MOST_SEGMENTS} segments of {MOST_BYTES >> 30} GiB together; drop some first.")

    def drop(self, number: int) -> None:
        """Unmap a segment, at once or when the last picture in it is let go. Raise WireError if there is none."""
        with self._lock:
            found = self._maps.pop(number, None)
        if found is None:
            raise WireError(f"There is no segment {number} to drop.")
        _unmap(found)

    def picture(self, number: int, height: int, width: int) -> Image:
        """Return the picture (H, W, 3) at a segment's start, in the shared memory itself. Raise WireError if it does not fit."""
        with self._lock:
            found = self._maps.get(number)
        count = height * width * 3
        if found is None or len(found) < 4 * count:
            raise WireError(f"There is no segment {number} that holds {width}x{height} pixels.")
        return np.frombuffer(found, np.float32, count).reshape(height, width, 3)

    def close(self) -> None:
        """Unmap all."""
        with self._lock:
            found, self._maps = list(self._maps.values()), {}
        for one in found:
            _unmap(one)


def _unmap(found: mmap.mmap) -> None:
    """Unmap; where a picture is still looked at, the last look does it."""
    try:
        found.close()
    except BufferError:
        return


def _map_descriptor(descriptor: int | None, size: int) -> mmap.mmap:
    """Map shared memory. Raise WireError, OSError."""
    if descriptor is None:
        raise WireError("A SEGMENT message came without its descriptor; bridge and server must be of one version.")
    if os.fstat(descriptor).st_size < size:
        raise WireError("A segment is smaller than its message says; bridge and server must be of one version.")
    _check_seal(descriptor)
    return mmap.mmap(descriptor, size)


def _check_seal(descriptor: int) -> None:
    """Raise WireError unless the memory can never shrink: where it could, a peer's mistake would be this process's end."""
    if sys.platform != "linux":
        return
    import fcntl

    try:
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    except OSError as error:
        raise WireError("A segment is not a sealed memory file; bridge and server must be of one version.") from error
    if not seals & fcntl.F_SEAL_SHRINK:
        raise WireError("A segment is not sealed against shrinking; bridge and server must be of one version.")


def _map_name(name: str, size: int) -> mmap.mmap:
    """Open a named mapping of Windows. Raise WireError, OSError."""
    if not NAME.fullmatch(name):
        raise WireError("A segment's name is not one that a bridge gives; bridge and server must be of one version.")
    named: Any = mmap.mmap
    return named(-1, size, tagname=name)
