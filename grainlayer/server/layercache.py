"""Keep rendered layers, the last used, so that a slider or another view costs a sum."""

from __future__ import annotations

import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from grainlayer.inference.runtime import Cancel
from grainlayer.types import Layers

Key = tuple[Hashable, ...]
"""All that layers depend on; its first part is the session's name."""


@dataclass(frozen=True, eq=False)
class Made:
    """Hold layers with the peak level told to the remover, or the usual QP told to the restorer; None where neither was at work."""

    layers: Layers
    level: float | None = None
    quantiser: float | None = None

    @property
    def size(self) -> int:
        """Return bytes."""
        parts = (self.layers.base, self.layers.grain, self.layers.detail, self.layers.regrain)
        return sum(part.nbytes for part in parts if part is not None)


class LayerCache:
    """Keep what was made by key, within a number of bytes. Calls may come from any thread."""

    def __init__(self, most: int) -> None:
        """Take the number of bytes kept at most."""
        self.most = most
        self.size = self.hits = self.misses = 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, Made] = OrderedDict()
        self._making: dict[Key, threading.Event] = {}

    def get(self, key: Key, make: Callable[[], Made], cancel: Cancel) -> tuple[Made, bool]:
        """Return what is kept, and True, or what `make` gives now; what two threads want at once is made once.

        What was made for a cancelled request is not kept: its pictures may have been written to. Raise what `make` raises, Cancelled.
        """
        while True:
            with self._lock:
                if key in self._kept:
                    self.hits += 1
                    self._kept.move_to_end(key)
                    return self._kept[key], True
                waiting = self._making.get(key)
                if waiting is None:
                    self._making[key] = done = threading.Event()
                    break
            while not waiting.wait(0.05):
                cancel.check()
        try:
            made = make()
            cancel.check()
            self._keep(key, made)
            return made, False
        finally:
            with self._lock:
                del self._making[key]
            done.set()

    def _keep(self, key: Key, made: Made) -> None:
        with self._lock:
            self.misses += 1
            if made.size > self.most:
                return
            self._kept[key] = made
            self.size += made.size
            while self.size > self.most:
                self.size -= self._kept.popitem(last=False)[1].size

    def forget(self, session: bytes) -> None:
        """Let go of a session's layers."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == session]:
                self.size -= self._kept.pop(key).size


def physical_memory() -> int:
    """Return the machine's memory in bytes, 8 GiB where the system does not tell it."""
    if sys.platform == "win32":
        return _windows_memory()
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 8 << 30


def _windows_memory() -> int:
    import ctypes

    fields = (ctypes.c_uint64 * 8)()
    ctypes.cast(fields, ctypes.POINTER(ctypes.c_uint32))[0] = ctypes.sizeof(fields)
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009
    return int(fields[1]) if kernel.GlobalMemoryStatusEx(fields) else 8 << 30


def default_bytes() -> int:
    """Return how many bytes of layers are kept unless a user says otherwise: 2 GiB, or a quarter of the memory if that is less."""
    return min(2 << 30, physical_memory() // 4)
