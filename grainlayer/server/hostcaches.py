"""Look into what hosts remember of plug-ins: one that remembers an older bundle, or a failure, may never look at the new one.

OFX's HostSupport library writes `<binary bundle_path path mtime size/>` for each bundle, and most hosts use it. DaVinci Resolve adds a
`status`, 2 where loading failed, with times of 0, and then tries no more.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from grainlayer.errors import MediaError
from grainlayer.picture.textfiles import read_text

BINARY = "GrainLayer.ofx"
LONGEST = 1 << 26
"""Bytes of a cache that is looked into, at most."""
ENTRY = re.compile(r"<\w+\s[^<>]*" + re.escape(BINARY) + r"[\"/\\.][^<>]*>")
ATTRIBUTE = re.compile(r"(\w+)\s*=\s*\"([^\"]*)\"")


class Knowledge(Enum):
    """Say what a host's cache knows of a bundle."""

    CURRENT = "knows this bundle"
    OLDER = "knows an older GrainLayer"
    FAILED = "remembers that GrainLayer could not be loaded"
    NONE = "knows no GrainLayer"
    UNREADABLE = "cannot be read"


@dataclass(frozen=True)
class Cache:
    """Hold a host's cache: whose, where, and what it knows."""

    host: str
    path: Path
    knowledge: Knowledge


def look_at_caches(bundle: Path) -> list[Cache]:
    """Return the caches of this user's hosts, with what they know of the bundle; none for a host that has not been started yet."""
    found = [Cache(host, path, _knowledge(path, bundle)) for host, path in _caches()]
    blocked = [Cache("DaVinci Resolve", path, Knowledge.FAILED) for path in _blocklists() if BINARY in _text(path)]
    return found + blocked


def _caches() -> Iterator[tuple[str, Path]]:
    for folder in _resolve_folders():
        yield from (("DaVinci Resolve", path) for path in _matching(folder, "OFXPluginCache*.xml"))
    yield from (("Nuke", path) for path in _matching(_nuke_folder() / "ofxplugincache", "*.xml"))
    yield from (("Natron", path) for path in _matching(_natron_folder() / "OFXLoadCache", "*.xml"))


def _blocklists() -> Iterator[Path]:
    for folder in _resolve_folders():
        yield from _matching(folder / "Fusion" / "Profiles", "*/Plugins.blocklist")


def _resolve_folders() -> list[Path]:
    home = Path.home()
    if sys.platform == "win32":
        return [_windows("APPDATA", "Roaming") / "Blackmagic Design" / "DaVinci Resolve" / "Support"]
    if sys.platform == "darwin":
        return [home / "Library" / "Application Support" / "Blackmagic Design" / "DaVinci Resolve"]
    own = home / ".local" / "share" / "DaVinciResolve"
    return [own, own / "configs"]


def _nuke_folder() -> Path:
    chosen = os.environ.get("NUKE_TEMP_DIR")
    if chosen:
        return Path(chosen)
    return Path(tempfile.gettempdir()) / "nuke" if sys.platform == "win32" else Path(f"/var/tmp/nuke-u{os.getuid()}")


def _natron_folder() -> Path:
    if sys.platform == "win32":
        return _windows("LOCALAPPDATA", "Local") / "INRIA" / "Natron" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "INRIA" / "Natron"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "INRIA" / "Natron"


def _windows(variable: str, name: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / "AppData" / name)


def _matching(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(path for path in folder.glob(pattern) if path.is_file())
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return read_text(path, LONGEST, what="The cache", advice="make it readable")
    except (MediaError, UnicodeDecodeError):
        return ""


def _knowledge(path: Path, bundle: Path) -> Knowledge:
    text = _text(path)
    if not text:
        return Knowledge.UNREADABLE
    entries = [dict(ATTRIBUTE.findall(entry)) for entry in ENTRY.findall(text)]
    if not entries:
        return Knowledge.NONE
    if any(entry.get("status", "0") != "0" for entry in entries):
        return Knowledge.FAILED
    return Knowledge.CURRENT if any(_is_current(entry, bundle, path) for entry in entries) else Knowledge.OLDER


def _is_current(entry: dict[str, str], bundle: Path, cache: Path) -> bool:
    """Say whether an entry is about the bundle's binary as it is now; where times are not told, the cache must be newer."""
    binary = Path(entry.get("path", ""))
    try:
        if not binary.is_file() or not binary.resolve().is_relative_to(bundle.resolve()):
            return False
        facts = binary.stat()
        told = {"mtime": int(facts.st_mtime), "size": facts.st_size}
        known = {key: int(entry[key]) for key in told if key in entry}
        return known == {key: told[key] for key in known} if known else cache.stat().st_mtime >= facts.st_mtime
    except (OSError, ValueError):
        return False
