"""Begin a server, ask the running one, end it: what `grainlayer serve` does."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from grainlayer.errors import GrainlayerError, MediaError, WireError
from grainlayer.server.door import Door
from grainlayer.server.rendezvous import Lock, check_folder, forget, read_rendezvous, runtime_folder
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
    try:
        door = Door(folder, lock)
    except MediaError:
        raise
    except OSError as error:
        raise MediaError(
            f"The server cannot listen in {folder} ({error.strerror}); name another folder with GRAINLAYER_RUNTIME."
        ) from error
    _run(door, (idle, cache_mb, device), announce)
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


def _run(door: Door, options: tuple[float, int | None, str], announce: Callable[[Facts], None]) -> None:
    _open_log(door.log_file)
    _raise_limit()
    from grainlayer.server.layercache import default_bytes
    from grainlayer.server.service import Service, ServiceSettings

    idle, cache_mb, device = options
    size = default_bytes() if cache_mb is None else cache_mb * 1_000_000
    service = Service(door, ServiceSettings(idle, size, device))
    door.publish()
    try:
        announce({"running": True, "pid": os.getpid(), "address": door.rendezvous.address, "log": str(door.log_file)})
        sys.stdout.flush()
        service.run()
    except OSError:
        logging.getLogger(__name__).exception("The server ends")
    finally:
        door.close()


def _take_nothing_over() -> None:
    """Close what the starting process left open, and leave its terminal."""
    if sys.platform == "win32":
        return
    if runtime_folder().is_absolute():
        os.chdir("/")
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


class LogFile(logging.handlers.RotatingFileHandler):
    """Log into two files of a megabyte, begun anew if somebody has removed them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        if self.stream is not None and not os.path.exists(self.baseFilename):  # pyright: ignore[reportUnnecessaryComparison]
            self.stream.close()
            self.stream = None  # pyright: ignore[reportAttributeAccessIssue]
        super().emit(record)


def _open_log(path: Path) -> None:
    """Log into the runtime folder. What cannot be logged is lost and stops nothing."""
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    try:
        target = LogFile(path, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
    except OSError:
        root.addHandler(logging.NullHandler())
        return
    target.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(threadName)s %(message)s"))
    root.addHandler(target)


def status() -> Facts:
    """Return what the running server does, or that none runs. Raise GrainlayerError."""
    from grainlayer.server.client import Client, Refused, server_here

    here = server_here()
    if here is None:
        return {"running": False, "note": NONE}
    try:
        with closing(Client(here, only_asks=True)) as client:
            return json.loads(client.ask(Question.STATUS))
    except MediaError:
        return {"running": False, "note": NONE}
    except Refused as refused:
        raise GrainlayerError(str(refused)) from refused


def stop() -> Facts:
    """Ask the running server to end, and end the process of one that does not answer as it should. Raise GrainlayerError."""
    from grainlayer.server.client import Client, Refused, server_here
    from grainlayer.server.ending import end_server

    here = server_here()
    if here is None:
        return {"running": False, "note": NONE}
    try:
        with closing(Client(here, only_asks=True)) as client:
            return {"running": True, "note": client.ask(Question.STOP)}
    except (MediaError, WireError, Refused):
        ended = end_server(here, runtime_folder())
        return {"running": ended, "note": f"The server, process {here.pid}, did not answer as it should, and was ended." if ended else NONE}
