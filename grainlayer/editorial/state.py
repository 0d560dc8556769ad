"""Find the folder in which journal and sidecars lie, and write small files there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from pathlib import Path

SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")


def state_folder() -> Path:
    """Return the folder of what outlives a server: GRAINLAYER_STATE, else the system's own place for such things."""
    chosen = os.environ.get("GRAINLAYER_STATE")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "GrainLayer"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "GrainLayer"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "grainlayer"


def safe_name(uid: str) -> str:
    """Return a shot's uid as a file's name: itself where that is harmless, else its SHA-256."""
    return uid if SAFE.fullmatch(uid) else hashlib.sha256(uid.encode("utf-8", "surrogatepass")).hexdigest()


def write_whole(path: Path, text: str) -> None:
    """Write a file of the user's own (0600) beside its place and rename it, making its folder. Raise OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:64]}.")
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
