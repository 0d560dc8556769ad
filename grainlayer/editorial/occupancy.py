"""Let one edit's delivery at a time have a folder: say whose it is, and lock it for as long as the process lives.

The locks are the system's own, on files among the hidden ones, so that a killed process leaves none behind. Where a disk knows no
locks none are held; on Windows tasks of one job hold none.
"""

from __future__ import annotations

import errno
import json
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from grainlayer.editorial.manifest import MANIFEST, write_open
from grainlayer.editorial.order import HIDDEN
from grainlayer.errors import MediaError

FILE = f"{HIDDEN}/delivery.json"
"""Says whose delivery a folder holds."""
LOCK = f"{HIDDEN}/lock"
LOCKS = f"{HIDDEN}/locks"
ROOMS = ("clips", "splits", "measures", "bases", "locks")
PATIENCE = 2.0
"""Seconds that a delivery waits for one that is about to end, and tasks for each other's beginning."""
LONGEST = 600.0
"""Seconds that a clip waits for another process that makes the same clip, as when a farm has given up a worker that lives."""
PAUSE = 0.05
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
"""What disks without locks answer."""


@dataclass(frozen=True)
class Claim:
    """Say whose delivery a folder is to hold.

    edit   what it is known by: the edit's path, or a name that the user chose
    job    digest of edit and order: tasks of one job may work side by side
    names  the delivered edits
    """

    edit: str
    job: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """Hold whose delivery a folder holds: the edit, the job that was last at work, all edits ever delivered there."""

    edit: str
    job: str
    names: tuple[str, ...]


def standing(out: Path) -> Standing | None:
    """Return whose delivery a folder holds, None if nobody's. Raise MediaError if that cannot be read."""
    try:
        facts: dict[str, Any] = json.loads((out / FILE).read_text("utf-8"))
        return Standing(str(facts["edit"]), str(facts["job"]), tuple(map(str, facts["names"])))
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise MediaError(f"{out} is no folder; choose another one with -o.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MediaError(f"{out / FILE} cannot be read; choose another folder, or say --overwrite to begin anew.") from error


def check_standing(out: Path, claim: Claim, *, overwrite: bool) -> None:
    """Raise MediaError if a folder holds another edit's delivery, or files with the names of this one's. Nothing is touched."""
    if overwrite:
        return
    found = standing(out)
    if found is not None and found.edit != claim.edit:
        raise MediaError(
            f"{out} holds the delivery of {found.edit}; choose another folder, say --name '{found.edit}' if this is a new version of it, "
            "or --overwrite to replace it."
        )
    known = (*found.names, MANIFEST) if found else ()
    taken = [name for name in (*claim.names, MANIFEST) if name not in known and (out / name).exists()]
    if taken:
        raise MediaError(f"{out / taken[0]} exists and is none of this delivery; choose another folder, or say --overwrite.")


def other_delivery(out: Path, edit: str) -> str | None:
    """Return whose delivery a folder holds if it is not this edit's."""
    try:
        found = standing(out)
    except MediaError:
        return "an unknown edit"
    return found.edit if found and found.edit != edit else None


@contextmanager
def occupied(out: Path, claim: Claim, *, overwrite: bool, alone: bool) -> Generator[None]:
    """Have a folder while the block runs: alone, or together with tasks of the same job; it is made if it is not there.

    Raise MediaError if it holds another delivery, another one is at work there, or it cannot be written.
    """
    check_standing(out, claim, overwrite=overwrite)
    try:
        out.mkdir(exist_ok=True)
        for room in ROOMS:
            (out / HIDDEN / room).mkdir(parents=True, exist_ok=True)
        file = (out / LOCK).open("a+b")
    except OSError as error:
        raise MediaError(f"{out} cannot be made or written ({error.strerror}); choose another folder with -o.") from error
    with file:
        if not _within(PATIENCE, lambda: _enter(file, out, claim, overwrite=overwrite, alone=alone)):
            raise MediaError(f"Another delivery into {out} is at work; wait until it ends, or choose another folder.")
        yield


@contextmanager
def clip_held(out: Path, key: str) -> Generator[None]:
    """Have one clip's files while the block runs. Raise MediaError if another process makes them for too long, OSError."""
    with (out / LOCKS / key).open("a+b") as file:
        if not _within(LONGEST, lambda: _lock(file, "alone")):
            raise MediaError("another process is making its files; wait until it ends, and run again")
        yield


def _enter(file: IO[bytes], out: Path, claim: Claim, *, overwrite: bool, alone: bool) -> bool:
    """Try once to take the lock, and write whose delivery it is; False if another process is at work that forbids it."""
    if _lock(file, "alone"):
        check_standing(out, claim, overwrite=overwrite)
        _write(out, claim, overwrite=overwrite)
        if alone:
            return True
    if not alone and _lock(file, "shared") and _is_ours(out, claim):
        return True
    _lock(file, "free")
    return False


def _is_ours(out: Path, claim: Claim) -> bool:
    """Say whether those who share the lock work on the same job. Taking it shared is no single step after having it alone."""
    found = standing(out)
    return found is not None and found.job == claim.job


def _write(out: Path, claim: Claim, *, overwrite: bool) -> None:
    try:
        old = standing(out)
    except MediaError:
        if not overwrite:
            raise
        old = None
    names: Sequence[str] = old.names if old and old.edit == claim.edit else ()
    facts = {"edit": claim.edit, "job": claim.job, "names": sorted({*names, *claim.names})}
    try:
        write_open(out / FILE, json.dumps(facts, indent=1) + "\n")
    except OSError as error:
        raise MediaError(f"{out} cannot be written ({error.strerror}); free some space or choose another folder.") from error


def _within(seconds: float, attempt: Callable[[], bool]) -> bool:
    """Try again and again until something is true; say whether it became so in time."""
    deadline = time.monotonic() + seconds
    while not attempt():
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)
    return True


def _lock(file: IO[bytes], how: Literal["alone", "shared", "free"]) -> bool:
    """Lock a file, in the place of any lock that it has, or let it go; False if another process forbids it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            if how == "alone":
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                with suppress(OSError):
                    msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
        else:
            import fcntl

            mode = {"alone": fcntl.LOCK_EX, "shared": fcntl.LOCK_SH, "free": fcntl.LOCK_UN}[how]
            fcntl.flock(file, mode | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in NO_LOCKS
    return True
