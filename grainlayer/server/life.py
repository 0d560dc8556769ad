"""Begin a server, ask the running one, end it: what `grainlayer serve` does."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from grainlayer.errors import GrainlayerError, MediaError
from grainlayer.server.channel import Listener, listen
from grainlayer.server.rendezvous import LOG, Lock, check_folder, forget, publish, read_rendezvous, runtime_folder, socket_path, withdraw
from grainlayer.server.wire import Question

LOG_BYTES = 1 << 20
HANDOVER = 3.0
"""Seconds in which a server that ends lets the lock go."""
MOST_FILES = 16_384
"""Open files asked for: every segment holds one."""
NONE = "No server runs; start one with `grainlayer serve`, or let a host start it."
Facts = Mapping[str, Any]


def serve(idle: float, cache_mb: int | None, device: str, *, spawned: bool, announce: Callable[[Facts], None]) -> Facts:
    """Serve until idle, stopped or told to end; return at once if a server runs. The process ends here once it has served.

    `announce` is told where the server listens. Raise MediaError.
    """
    if spawned:
        _take_nothing_over()
    os.umask(0o077)
    folder = check_folder(runtime_folder(), create=True)
    lock = Lock(folder)
    if not _is_ours(lock, folder):
        there = read_rendezvous(folder)
        lock.close()
        return {"running": True, "pid": there.pid if there else None, "note": "A server runs already."}
    forget(folder)
    path = socket_path(folder)
    try:
        listener = listen(path)
    except OSError as error:
        raise MediaError(
            f"The server cannot listen in {folder} ({error.strerror}); name another folder with GRAINLAYER_RUNTIME."
        ) from error
    _run(folder, listener, (idle, cache_mb, device), announce)
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)  # native threads of the networks' runtime may still be at work, and nothing is left to be written


def _is_ours(lock: Lock, folder: Path) -> bool:
    """Take the lock; where its holder is not to be met, for it begins or ends, wait a little."""
    deadline = time.monotonic() + HANDOVER
    while not lock.take():
        if read_rendezvous(folder) is not None or time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _run(folder: Path, listener: Listener, options: tuple[float, int | None, str], announce: Callable[[Facts], None]) -> None:
    _open_log(folder)
    _raise_limit()
    from grainlayer.server.layercache import default_bytes
    from grainlayer.server.service import Service, ServiceSettings

    idle, cache_mb, device = options
    size = default_bytes() if cache_mb is None else cache_mb * 1_000_000
    service = Service(listener, folder, ServiceSettings(idle, size, device))
    publish(folder, service.rendezvous)
    service.before_end = lambda: withdraw(folder, service.rendezvous)
    try:
        announce({"running": True, "pid": os.getpid(), "address": listener.address, "log": str(folder / LOG)})
        sys.stdout.flush()
        service.run()
    except OSError:
        logging.getLogger(__name__).exception("The server ends")
    finally:
        withdraw(folder, service.rendezvous)


def _take_nothing_over() -> None:
    """Close what the starting process left open, and leave its terminal."""
    if sys.platform == "win32":
        return
    try:
        most = os.sysconf("SC_OPEN_MAX")
    except (ValueError, OSError):
        most = 1024
    os.closerange(3, min(max(most, 256), 1 << 20))
    if os.getpid() != os.getsid(0) and os.getpid() != os.getpgid(0):
        os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)


def _raise_limit() -> None:
    """Ask for more open files, as far as the user may."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _open_log(folder: Path) -> None:
    """Log into the runtime folder: two files of a megabyte. What cannot be logged is lost and stops nothing."""
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    try:
        target = logging.handlers.RotatingFileHandler(folder / LOG, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
    except OSError:
        root.addHandler(logging.NullHandler())
        return
    target.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(threadName)s %(message)s"))
    root.addHandler(target)


def _ask(question: Question) -> str | None:
    """Return the running server's answer, or None if none runs. Raise GrainlayerError if it refuses."""
    from grainlayer.server.client import Client, Refused, server_here

    here = server_here()
    if here is None:
        return None
    try:
        client = Client(here)
    except MediaError:
        return None
    except Refused as refused:
        raise GrainlayerError(str(refused)) from refused
    try:
        return client.ask(question)
    finally:
        client.close()


def status() -> Facts:
    """Return what the running server does, or that none runs. Raise GrainlayerError."""
    text = _ask(Question.STATUS)
    return {"running": False, "note": NONE} if text is None else json.loads(text)


def stop() -> Facts:
    """Ask the running server to end. Raise GrainlayerError."""
    text = _ask(Question.STOP)
    return {"running": text is not None, "note": text or NONE}
