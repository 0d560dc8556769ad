"""Read the server's journal and write sidecars, in the folder that GrainLayer keeps for its user."""

import hashlib
import json
import os
import re
import sys
import tempfile
from typing import TYPE_CHECKING

from grain_scripts.answers import ScriptError

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

SCHEMA = 1
SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
LONGEST = 1 << 20
"""Bytes of one file of the journal, or one sidecar, at most."""


def state_folder() -> str:
    """Return the folder of journal and sidecars: GRAINLAYER_STATE, else the system's own place for such things."""
    chosen = os.environ.get("GRAINLAYER_STATE")
    if chosen:
        return chosen
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        return os.path.join(os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local"), "GrainLayer")
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "Application Support", "GrainLayer")
    return os.path.join(os.environ.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state"), "grainlayer")


def safe_name(uid: str) -> str:
    """Return a shot's uid as a file's name: itself where that is harmless, else its SHA-256."""
    return uid if SAFE.fullmatch(uid) else hashlib.sha256(uid.encode("utf-8", "surrogatepass")).hexdigest()


def write_whole(path: str, text: str) -> None:
    """Write a file beside its place and rename it, making its folder. Raise ScriptError."""
    try:
        folder = os.path.dirname(path)
        if not os.path.isdir(folder):
            os.makedirs(folder, 0o700)
        handle, partial = tempfile.mkstemp(dir=folder, prefix="." + os.path.basename(path)[:64] + ".")
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(partial, path)
        except BaseException:
            os.unlink(partial)
            raise
    except OSError as error:
        raise ScriptError(f"{path} cannot be written ({error.strerror}); free some space or choose another folder.") from error


def read_json(path: str) -> "Any":
    """Return what a JSON file holds. Raise ScriptError."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return json.load(file)
    except OSError as error:
        raise ScriptError(f"{path} cannot be read ({error.strerror}); check the path.") from error
    except (ValueError, RecursionError) as error:
        raise ScriptError(f"{path} is not a JSON file; export it again.") from error


def read_journal() -> "Tuple[Dict[str, Dict[str, Any]], int]":
    """Return what the server wrote down of each shot by uid, and how many of its files are damaged."""
    folder = os.path.join(state_folder(), "journal")
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".json") and not name.startswith("."))
    except OSError:
        return {}, 0
    entries = [_journal_entry(os.path.join(folder, name)) for name in names]
    found = {entry["uid"]: entry for entry in entries if entry is not None}
    return found, sum(entry is None for entry in entries)


def _journal_entry(path: str) -> "Optional[Dict[str, Any]]":
    """Return one entry, or None if it is damaged."""
    try:
        if os.path.getsize(path) > LONGEST:
            return None
        entry = read_json(path)
    except (OSError, ScriptError):
        return None
    whole = isinstance(entry, dict) and isinstance(entry.get("uid"), str) and isinstance(entry.get("params"), dict)
    return entry if whole else None


def sidecar_path(uid: str) -> str:
    """Return where the sidecar of a shot lies."""
    return os.path.join(state_folder(), "shots", safe_name(uid) + ".grain.json")


def read_sidecar(uid: str) -> "Optional[Dict[str, Any]]":
    """Return a shot's sidecar, or None if it has none. Raise ScriptError if it is damaged or too new."""
    path = sidecar_path(uid)
    if not os.path.exists(path):
        return None
    facts = read_json(path)
    check_schema(facts, path)
    return facts


def check_schema(facts: "Any", path: str) -> None:
    """Raise ScriptError if a file of ours is not one, or newer than these scripts."""
    if not isinstance(facts, dict) or not isinstance(facts.get("schema"), int):
        raise ScriptError(f"{path} holds no grain parameters; choose a file that GrainLayer wrote.")
    if facts["schema"] > SCHEMA:
        raise ScriptError(f"{path} was written by a newer GrainLayer; install that version's scripts.")


def write_sidecar(facts: "Dict[str, Any]") -> None:
    """Write the sidecar that a shot with Follow on obeys. Raise ScriptError."""
    text = json.dumps(dict(facts, schema=SCHEMA), ensure_ascii=False)
    if len(text.encode("utf-8")) > LONGEST:
        raise ScriptError("The shot {} has too many keyframes for a sidecar; thin them out first.".format(facts["uid"]))
    write_whole(sidecar_path(facts["uid"]), text)


def kept_path(uid: str) -> str:
    """Return where the versions of a shot lie that gave way to others."""
    return os.path.join(state_folder(), "kept", safe_name(uid) + ".json")


def read_kept(uid: str) -> "List[Dict[str, Any]]":
    """Return the versions of a shot that gave way, oldest first. Raise ScriptError if their file is damaged or too new."""
    path = kept_path(uid)
    if not os.path.exists(path):
        return []
    facts = read_json(path)
    check_schema(facts, path)
    return list(facts.get("kept", []))


def keep(uid: str, row: "Dict[str, Any]") -> None:
    """Add a version of a shot that gives way, unless it is there. Raise ScriptError."""
    rows = read_kept(uid)
    if row not in rows:
        write_whole(kept_path(uid), json.dumps({"schema": SCHEMA, "uid": uid, "kept": [*rows, row]}, ensure_ascii=False))


def read_text(path: str) -> "Optional[str]":
    """Return a file's text, or None if there is no such file."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return None


def put_text_back(path: str, text: "Optional[str]") -> bool:
    """Make a file again what it was: `text`, or absent for None."""
    if text is not None:
        write_whole(path, text)
    elif os.path.exists(path):
        os.unlink(path)
    return True
