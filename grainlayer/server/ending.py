"""End the process of a server that does not answer, once it is certain that it is one."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from grainlayer.errors import GrainlayerError
from grainlayer.server.channel import listening_process
from grainlayer.server.rendezvous import FILE, Lock, Rendezvous, is_holder, is_locked, read_rendezvous

PATIENCE = 3.0
"""Seconds that a process is given to end by itself, and then to be gone."""


def end_server(there: Rendezvous, folder: Path) -> bool:
    """End the process of a folder's server, whatever it does; False if none lives. What it has left there is removed.

    Raise GrainlayerError, naming the process, if it cannot be ended or the system does not tell whether it is the server.
    """
    if not is_locked(folder):
        _remove_left(there, folder)
        return False
    if not is_server(there, folder):
        raise GrainlayerError(
            f"A server does not answer, and the system does not tell whether it is process {there.pid}; "
            "look what that is, and end it yourself."
        )
    if not (_tell(there.pid, signal.SIGTERM, folder) or _tell(there.pid, _last_word(), folder)):
        raise GrainlayerError(f"The server, process {there.pid}, cannot be ended; log out and in again, or restart the machine.")
    _remove_left(there, folder)
    return True


def is_server(there: Rendezvous, folder: Path) -> bool:
    """Say whether the process that the rendezvous file names is the server: it holds the folder's lock, or listens at its socket."""
    if sys.platform == "linux":
        return is_holder(there.pid, folder)
    return sys.platform != "win32" and there.pid > 0 and listening_process(there.address) == there.pid


def _last_word() -> signal.Signals:
    return signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL


def _tell(pid: int, number: signal.Signals, folder: Path) -> bool:
    """Send a signal; True once the folder's lock is free, which a process lets go with its life."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    deadline = time.monotonic() + PATIENCE
    while is_locked(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _remove_left(there: Rendezvous, folder: Path) -> None:
    """Remove the rendezvous file of a server that has gone, unless a new one is there already."""
    lock = Lock(folder)
    try:
        if lock.take() and read_rendezvous(folder) == there:
            (folder / FILE).unlink(missing_ok=True)
    finally:
        lock.close()
