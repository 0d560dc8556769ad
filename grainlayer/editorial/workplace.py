"""Own the hidden folders in which files are made before they are put in place; those of programs that died are cleared away."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from grainlayer.editorial.order import HIDDEN
from grainlayer.errors import MediaError

FOLDER = f"{HIDDEN}/work"


@contextmanager
def workplace(out: Path, key: str) -> Generator[Path]:
    """Make an empty folder of this process for a clip's unfinished files, and remove it after. Raise MediaError."""
    place = out / FOLDER / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.{_host()}.{os.getpid()}"
    try:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    except OSError as error:
        raise MediaError(f"{out} cannot be written ({error.strerror}); free some space or choose another folder.") from error
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        with suppress(OSError):
            place.parent.rmdir()


def clear_dead(out: Path) -> None:
    """Remove what programs of this machine that are no more left unfinished."""
    folder = out / FOLDER
    if not folder.is_dir():
        return
    for place in folder.iterdir():
        rest, _, process = place.name.rpartition(".")
        host = rest.rpartition(".")[2]
        if host == _host() and process.isdigit() and not _lives(int(process)):
            shutil.rmtree(place, ignore_errors=True)


def _lives(process: int) -> bool:
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def put_in_place(made: Path, place: Path, old: Path) -> None:
    """Move a finished file or folder to its place; a folder that is there goes to `old` first. Raise MediaError."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_dir() and not place.is_symlink():
            os.replace(place, old)
        os.replace(made, place)
        if old.exists():
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise MediaError(f"{place} cannot be written ({error.strerror}); free some space, or move away what stands there.") from error


def link_or_copy(source: Path, place: Path) -> None:
    """Give a file a second name, or copy it where the disk knows no such thing. Raise OSError."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, place)
    except OSError:
        shutil.copy2(source, place)


def _host() -> str:
    """Return this machine's name, without dots."""
    return socket.gethostname().replace(".", "-")
