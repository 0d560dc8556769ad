"""Collect every clip's grain: what its marker says, and what the server saw of it on pages that no script can read."""

import json
import os
from typing import TYPE_CHECKING, NamedTuple

from grain_scripts.answers import PutBack, ScriptError
from grain_scripts.notes import Noted, read_notes, with_params
from grain_scripts.parameters import check_all, without_host
from grain_scripts.session import clip_name
from grain_scripts.state import SCHEMA, check_schema, put_text_back, read_journal, read_json, read_sidecar, read_text, write_whole

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from grain_scripts.parameters import Params
    from grain_scripts.protocols import TimelineItem

    Facts = Dict[str, Any]

EFFECTS = ("GrainSplit", "GrainSynth", "ArtifactRestore")


class Look(NamedTuple):
    """Hold a clip's note, the facts that hold now, and those of its marker where the host's values replace them."""

    noted: Noted
    facts: "Facts"
    replaced: "Optional[Facts]"


class Looks(NamedTuple):
    """Hold all clips' looks, how many came from the server's journal, and how many files of that are damaged."""

    all: "List[Look]"
    journaled: int
    damaged: int


def collect(items: "List[TimelineItem]") -> Looks:
    """Return the looks of these clips. Raise ScriptError."""
    journal, damaged = read_journal()
    looks = [_look(noted, journal.get(noted.uid)) for noted in read_notes(items)]
    return Looks(looks, sum(look.noted.uid in journal for look in looks), damaged)


def _look(noted: Noted, entry: "Optional[Facts]") -> Look:
    """Return a clip's look: the values that its host rendered with stand before those of its marker."""
    facts = dict(noted.facts, params=without_host(noted.params), name=clip_name(noted.item))
    sidecar = read_sidecar(noted.uid) or {}
    if sidecar.get("profile"):
        facts.setdefault("profile", sidecar["profile"])
    if entry is None:
        return Look(noted, facts, None)
    found = with_params(facts, _rendered(entry, facts, sidecar))
    if entry.get("effect") in EFFECTS:
        found["effect"] = entry["effect"]
    lost = noted.frame is not None and found["params"] != facts["params"]
    return Look(noted, found, facts if lost else None)


def _rendered(entry: "Facts", facts: "Facts", sidecar: "Facts") -> "Params":
    """Return the values that a shot was rendered with; while Follow is on these are its sidecar's."""
    params = check_all(entry["params"])
    if params.get("follow"):
        params = check_all(sidecar.get("params", facts["params"]))
    return without_host(params)


def file_text(timeline: str, looks: Looks, old: "Optional[Facts]") -> str:
    """Return the text of a timeline's sidecar: its shots, those of an older file that are not here, and replaced versions."""
    shots = {look.facts["uid"]: _shot(look.facts) for look in looks.all}
    kept = [{"from": "the marker", "shot": _shot(look.replaced)} for look in looks.all if look.replaced]
    if old:
        shots.update({shot["uid"]: shot for shot in old["shots"] if shot["uid"] not in shots})
        kept = [row for row in old.get("kept", []) if row not in kept] + kept
    facts: Facts = {"schema": SCHEMA, "timeline": timeline}
    if old and old.get("rate"):
        facts["rate"] = old["rate"]
    facts["shots"] = list(shots.values())
    if kept:
        facts["kept"] = kept
    return json.dumps(facts, indent=1) + "\n"


def _shot(facts: "Facts") -> "Facts":
    return {key: facts[key] for key in ("schema", "uid", "name", "effect", "params", "keys", "profile") if facts.get(key) is not None}


def read_file(path: str) -> "Facts":
    """Return a timeline's sidecar. Raise ScriptError if it is none, damaged or too new."""
    facts = read_json(path)
    check_schema(facts, path)
    shots = facts.get("shots")
    if not isinstance(shots, list) or not all(_is_shot(shot) for shot in shots):
        raise ScriptError(f"{path} holds no shots; export the parameters again.")
    for shot in shots:
        check_schema(shot, path)
        check_all(shot["params"])
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
