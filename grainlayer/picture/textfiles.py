"""Read small text files that a user or a host names: never for long, whatever lies at the path."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from grainlayer.errors import MediaError


def read_text(path: Path, most: int, *, what: str, advice: str) -> str:
    """Return the UTF-8 text of a regular file of at most `most` bytes.

    Pipes, devices and folders are refused without waiting for them, longer files without reading more. Raise MediaError, which says
    that `what` at the path cannot be read, why, and the advice; its cause is the system's error where there is one. Raise
    UnicodeDecodeError if the file holds no text.
    """
    try:
        data = _read(path, most)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(f"{what} {path} cannot be read ({reason}); {advice}.") from error
    if data is None or len(data) > most:
        reason = "it is no file" if data is None else f"it is longer than {most} bytes"
        raise MediaError(f"{what} {path} cannot be read ({reason}); {advice}.")
    return data.decode("utf-8")


def _read(path: Path, most: int) -> bytes | None:
    """Return a file's first `most` + 1 bytes, or None if it is not a regular one. Raise OSError, ValueError for a path with a zero."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(most + 1)
    finally:
        os.close(descriptor)
