"""Collect every clip's grain: what its marker says, and what the server saw of it on pages that no script can read."""

import json
import os
from typing import TYPE_CHECKING, NamedTuple

from grain_scripts.answers import PutBack, ScriptError
from grain_scripts.keyframes import check_keys, same, value_at
from grain_scripts.notes import GRAIN_SPLIT, Noted, grain_of, read_notes, with_values
from grain_scripts.parameters import TABLE, check_all, value_of
from grain_scripts.session import clip_name
from grain_scripts.state import (
    SCHEMA,
    check_schema,
    keep,
    kept_path,
    put_text_back,
    read_journal,
    read_json,
    read_kept,
    read_sidecar,
    read_text,
    write_whole,
)

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from grain_scripts.keyframes import Row
    from grain_scripts.parameters import Value
    from grain_scripts.protocols import TimelineItem
    from grain_scripts.telling import Replaced

    Facts = Dict[str, Any]

EFFECTS = (GRAIN_SPLIT, "GrainSynth", "ArtifactRestore")


class Look(NamedTuple):
    """Hold a clip's note, the facts that hold now, and those of its marker where the host's values replace them.

    doubtful  parameters whose keyframes stand, though the host last rendered a value that they have at another frame
    """

    noted: Noted
    facts: "Facts"
    replaced: "Optional[Facts]"
    doubtful: "List[str]"

    @property
    def name(self) -> str:
        """Return the clip's name."""
        return str(self.facts["name"])


class Looks(NamedTuple):
    """Hold all clips' looks, how many came from the server's journal, and how many files of that are damaged."""

    all: "List[Look]"
    journaled: int
    damaged: int

    @property
    def replaced(self) -> "Replaced":
        """Return the clips of which the host's values replace those of the marker."""
        return [(look.name, look.replaced, look.facts) for look in self.all if look.replaced]


def collect(items: "List[TimelineItem]") -> Looks:
    """Return the looks of these clips. Raise ScriptError."""
    journal, damaged = read_journal()
    looks = [_look(noted, journal.get(noted.uid)) for noted in read_notes(items)]
    return Looks(looks, sum(look.noted.uid in journal for look in looks), damaged)


def _look(noted: Noted, entry: "Optional[Facts]") -> Look:
    """Return a clip's look: the values that its host rendered with stand before those of its marker."""
    facts = dict(with_values(noted.facts, noted.params, noted.keys), name=clip_name(noted.item))
    sidecar = read_sidecar(noted.uid) or {}
    if sidecar.get("profile"):
        facts.setdefault("profile", sidecar["profile"])
    if entry is None:
        return Look(noted, facts, None, [])
    found, doubtful = facts, []
    if not check_all(entry["params"]).get("follow"):
        found, doubtful = _rendered(facts, entry)
    elif sidecar.get("params") is not None:
        found = with_values(facts, check_all(sidecar["params"]), check_keys(sidecar.get("keys", facts["keys"])))
    if entry.get("effect") in EFFECTS:
        found = dict(found, effect=entry["effect"])
    lost = noted.frame is not None and grain_of(found)[1:] != grain_of(facts)[1:]
    return Look(noted, found, facts if lost else None, doubtful)


def _rendered(facts: "Facts", entry: "Facts") -> "tuple[Facts, List[str]]":
    """Return facts with the values that the host rendered, and the keyframes that pass through another of these values.

    The journal knows one frame of a shot: keyframes that have its value there, or somewhere, are not contradicted by it.
    """
    _, old, keys = grain_of(facts)
    params = check_all(entry["params"])
    doubtful: List[str] = []
    for key in TABLE:
        said, value = value_of(old, key), value_of(params, key)
        if same(said, value) or (key in keys and passes(key, keys[key], value)):
            params[key] = said
            if key in keys and not same(value_at(key, keys[key], int(entry.get("frame", 0))), value):
                doubtful.append(key)
        else:
            keys.pop(key, None)
    return with_values(facts, check_all(params), keys), doubtful


def passes(key: str, row: "Row", value: "Value") -> bool:
    """Say whether keyframes have a value at some frame, or between two."""
    values = [found for _, found in row]
    if TABLE[key]["kind"] != "float":
        return value in values
    number, numbers = float(value), [float(found) for found in values]
    return min(numbers) < number < max(numbers) or any(same(found, number) for found in numbers)


def keep_replaced(uid: str, facts: "Facts", back: PutBack) -> None:
    """Keep what a marker said and what gives way now, beside the sidecars; the next export puts it into its file. Raise ScriptError."""
    path = kept_path(uid)
    before = read_text(path)
    back.on_failure(f"Write {path} again.", lambda: put_text_back(path, before))
    keep(uid, _kept(facts))


def _kept(facts: "Facts") -> "Facts":
    return json.loads(json.dumps({"from": "the marker", "shot": _shot(facts)}))


def file_text(timeline: str, looks: Looks, old: "Optional[Facts]") -> str:
    """Return the text of a timeline's sidecar: its shots, those of an older file that are not here, and replaced versions."""
    shots = {look.facts["uid"]: _shot(look.facts) for look in looks.all}
    rows = [_kept(look.replaced) for look in looks.all if look.replaced]
    rows += [row for look in looks.all for row in read_kept(look.facts["uid"])]
    if old:
        shots.update({shot["uid"]: shot for shot in old["shots"] if shot["uid"] not in shots})
        rows = old.get("kept", []) + rows
    facts: Facts = {"schema": SCHEMA, "timeline": timeline}
    if old and old.get("rate"):
        facts["rate"] = old["rate"]
    facts["shots"] = list(shots.values())
    kept = [row for place, row in enumerate(rows) if row not in rows[:place]]
    if kept:
        facts["kept"] = kept
    return json.dumps(facts, indent=1) + "\n"


def _shot(facts: "Facts") -> "Facts":
    given = {key: facts.get(key) for key in ("schema", "uid", "name", "effect", "params", "keys", "profile")}
    return {key: value for key, value in given.items() if value is not None and (value or key != "keys")}


def read_file(path: str) -> "Facts":
    """Return a timeline's sidecar, its shots checked. Raise ScriptError if it is none, damaged or too new."""
    facts = read_json(path)
    check_schema(facts, path)
    shots = facts.get("shots")
    if not isinstance(shots, list) or not all(_is_shot(shot) for shot in shots):
        raise ScriptError(f"{path} holds no shots; export the parameters again.")
    for shot in shots:
        check_schema(shot, path)
        shot["effect"], shot["params"], shot["keys"] = grain_of(shot)
    return facts


def _is_shot(shot: "Any") -> bool:
    return (
        isinstance(shot, dict)
        and isinstance(shot.get("uid"), str)
        and bool(shot["uid"])
        and isinstance(shot.setdefault("params", {}), dict)
    )


def write_file(path: str, timeline: str, looks: Looks, back: PutBack) -> None:
    """Write a timeline's sidecar, keeping what an older one says of other shots. Raise ScriptError."""
    before = read_text(path)
    text = file_text(timeline, looks, read_file(path) if os.path.exists(path) else None)
    back.on_failure(f"Write {path} again.", lambda: put_text_back(path, before))
    write_whole(path, text)
