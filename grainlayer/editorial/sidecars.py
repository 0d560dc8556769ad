"""Read and write sidecars: the values that a shot with `follow` on obeys."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from grainlayer.editorial.jsonform import keys_from_json, keys_to_json
from grainlayer.editorial.shots import Keys, Shot
from grainlayer.editorial.state import safe_name, write_whole
from grainlayer.errors import GrainlayerError, MediaError, ParamError
from grainlayer.grain.profile import GrainProfile
from grainlayer.params import Effect, ShotParams, for_effect
from grainlayer.picture.textfiles import read_text

SCHEMA = 1
REMEMBERED = 256
LONGEST = 1 << 20
"""Bytes of a sidecar, at most."""


@dataclass(frozen=True)
class Sidecar:
    """Hold what a shot's sidecar says: its parameters, its keyframes, and its measured profile where there is one."""

    uid: str
    params: ShotParams
    profile: GrainProfile | None = None
    keys: Keys = field(default_factory=dict)

    def at(self, frame: int) -> ShotParams:
        """Return the values at a frame of the source media. Raise ParamError if a keyframe is not legal."""
        return replace(Shot("any", keys=self.keys).at(frame), **self._still()) if self.keys else self.params

    def _still(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self.params).items() if key not in self.keys}


def sidecar_path(folder: Path, uid: str) -> Path:
    """Return where a shot's sidecar lies under the state folder."""
    return folder / "shots" / f"{safe_name(uid)}.grain.json"


def write_sidecar(folder: Path, sidecar: Sidecar) -> Path:
    """Write a sidecar and return its path. Raise MediaError."""
    path = sidecar_path(folder, sidecar.uid)
    profile = json.loads(sidecar.profile.to_json()) if sidecar.profile else None
    facts = {"schema": SCHEMA, "uid": sidecar.uid, "params": sidecar.params.to_dict(), "profile": profile}
    facts |= {"keys": keys_to_json(sidecar.keys)} if sidecar.keys else {}
    try:
        write_whole(path, json.dumps(facts, ensure_ascii=False, indent=1))
    except OSError as error:
        raise MediaError(f"The sidecar {path} cannot be written ({error.strerror}); free some space or set GRAINLAYER_STATE.") from error
    return path


def read_sidecar(path: Path) -> Sidecar:
    """Read a sidecar. Raise ParamError if it is damaged or too new, MediaError if it cannot be read."""
    try:
        facts: dict[str, Any] = json.loads(read_text(path, LONGEST, what="The sidecar", advice="make it readable, or switch follow off"))
        if facts["schema"] != SCHEMA:
            raise ParamError(f"its schema is {facts['schema']!r}, this program reads {SCHEMA}")
        profile = facts.get("profile")
        found = GrainProfile.from_json(json.dumps(profile)) if profile is not None else None
        keys = Shot("any", keys=keys_from_json(facts.get("keys", {}))).keys
        return Sidecar(str(facts["uid"]), ShotParams.from_dict(facts["params"]), found, keys)
    except MediaError:
        raise
    except (GrainlayerError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = str(error).rstrip(".") if isinstance(error, GrainlayerError) else "it is no sidecar"
        raise ParamError(f"The sidecar {path} is damaged ({reason}); write it again, or switch follow off.") from error


class Sidecars:
    """Hand out sidecars, each read again only when its file has changed. Calls may come from any thread."""

    def __init__(self, folder: Path) -> None:
        """Take the state folder."""
        self.folder = folder
        self._lock = threading.Lock()
        self._read: OrderedDict[str, tuple[tuple[int, int, int], Sidecar]] = OrderedDict()

    def find(self, uid: str) -> Sidecar | None:
        """Return a shot's sidecar, or None if it has none. Raise ParamError if it is damaged, MediaError if it cannot be read."""
        path = sidecar_path(self.folder, uid)
        try:
            facts = path.stat()
            stamp = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
            with self._lock:
                known = self._read.get(uid)
            if known and known[0] == stamp:
                return known[1]
            found = read_sidecar(path)
        except FileNotFoundError:
            return None
        except MediaError:
            raise
        except OSError as error:
            raise MediaError(f"The sidecar {path} cannot be read ({error.strerror}); make it readable, or switch follow off.") from error
        with self._lock:
            self._read[uid] = (stamp, found)
            while len(self._read) > REMEMBERED:
                self._read.popitem(last=False)
        return found


def followed(params: ShotParams, sidecar: Sidecar, effect: Effect, frame: int = 0) -> ShotParams:
    """Return a sidecar's parameters at a frame of the source media, with what stays the host's: view, quality, uid, follow, encoding.

    Raise ParamError for a value that this effect's menus do not have.
    """
    kept = {key: getattr(params, key) for key in ("view", "quality", "shot_uid", "follow", "encoding")}
    found = replace(sidecar.at(frame), **kept)
    for param in for_effect(effect):
        param.check(getattr(found, param.key))
    return found
