"""Keep a shot's uid and parameters as JSON in the Note of a marker on its clip: the one place that Resolve exports and imports again."""

import hashlib
import json
import secrets
from typing import TYPE_CHECKING, NamedTuple

from grain_scripts.answers import PutBack, ScriptError, need
from grain_scripts.keyframes import check_keys, moved
from grain_scripts.parameters import OF_THE_SHOT, check_all, look_of, without_host
from grain_scripts.session import clip_name
from grain_scripts.state import SCHEMA, put_text_back, read_sidecar, read_text, sidecar_path, write_sidecar

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

    from grain_scripts.keyframes import Keys
    from grain_scripts.parameters import Params
    from grain_scripts.protocols import Marker, TimelineItem

NAME = "GrainLayer"
GRAIN_SPLIT = "GrainSplit"
"""The effect of a shot that names none."""
COLOUR = "Purple"
KEY = "grainlayer"
"""The key of our object in a Note, and of a text in the pool clip's third-party metadata."""
OPENING = '{"grainlayer"'
"""How our text in a Note begins; what a person wrote may stand before it."""
LONGEST = 2048
"""Bytes of our text, at most; a longer one names only the uid, and the shot's sidecar has the rest."""


class Noted(NamedTuple):
    """Hold what a clip's marker says: facts as written, and the frame of the marker; None for a clip without one."""

    item: "TimelineItem"
    facts: "Dict[str, Any]"
    frame: "Optional[float]"

    @property
    def uid(self) -> str:
        """Return the shot's uid."""
        return str(self.facts["uid"])

    @property
    def whole(self) -> bool:
        """Say whether the values are here; a marker may name a sidecar that is on another machine."""
        return "params" in self.facts

    @property
    def params(self) -> "Params":
        """Return the parameters that differ from their defaults. Raise ScriptError."""
        if not self.whole:
            name = clip_name(self.item)
            raise ScriptError(f"The values of {name} lie in a sidecar that is not on this machine; run Grain: import parameters first.")
        return check_all(self.facts["params"])

    @property
    def keys(self) -> "Keys":
        """Return the keyframes. Raise ScriptError."""
        return check_keys(self.facts.get("keys", {}))


def new_uid() -> str:
    """Return a uid that no other shot has."""
    return secrets.token_hex(8)


def read_notes(items: "List[TimelineItem]") -> "List[Noted]":
    """Return what is noted for each clip; a clip without a marker, or copied with its marker, gets a new uid. Raise ScriptError."""
    seen: set[str] = set()
    found: List[Noted] = []
    for item in items:
        noted = read_note(item)
        if noted.uid in seen:
            noted = noted._replace(facts=dict(noted.facts, uid=new_uid()))
        seen.add(noted.uid)
        found.append(noted)
    return found


def read_note(item: "TimelineItem") -> Noted:
    """Return what is noted for a clip: in its marker, else in its pool clip's third-party metadata, else nothing but a new uid."""
    markers = _markers(item)
    for frame in sorted(markers):
        facts = facts_in(markers[frame].get("note", ""))
        if facts:
            return Noted(item, facts, frame)
    return Noted(item, _pool_facts(item), None)


def _markers(item: "TimelineItem") -> "Dict[float, Marker]":
    return need(item.GetMarkers(), f"The markers of {clip_name(item)} cannot be read; open the timeline again.")


def facts_in(note: str) -> "Optional[Dict[str, Any]]":
    """Return our object in a Note, or None if it holds none. Raise ScriptError for one of a newer schema."""
    try:
        found, _ = json.JSONDecoder().raw_decode(note[note.index(OPENING) :])
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    facts = found[KEY]
    if not isinstance(facts, dict) or not isinstance(facts.get("uid"), str) or not facts["uid"]:
        return None
    if not isinstance(facts.get("schema"), int) or facts["schema"] > SCHEMA:
        raise ScriptError("A marker was written by a newer GrainLayer; install that version's scripts.")
    return facts if "params" in facts else _from_sidecar(facts)


def _from_sidecar(facts: "Dict[str, Any]") -> "Dict[str, Any]":
    """Return the facts of a Note that was too long for parameters; without these where their sidecar is missing."""
    sidecar = read_sidecar(facts["uid"]) or {}
    found = {key: value for key, value in facts.items() if key != "digest" or not sidecar}
    return dict(found, **{key: sidecar[key] for key in ("effect", "params", "keys") if sidecar.get(key) is not None})


def _pool_facts(item: "TimelineItem") -> "Dict[str, Any]":
    """Return what the media says of its grain, with a uid of the clip's own: two clips may show the same media."""
    media = item.GetMediaPoolItem()
    if not media:
        return fresh_facts({})
    texts = need(media.GetThirdPartyMetadata(), f"The metadata of {clip_name(item)} cannot be read; relink its media.")
    found = facts_in(texts.get(KEY, ""))
    return dict(found, uid=new_uid()) if found and "params" in found else fresh_facts({})


def fresh_facts(params: "Params") -> "Dict[str, Any]":
    """Return the facts of a shot that had none."""
    return {"schema": SCHEMA, "uid": new_uid(), "effect": GRAIN_SPLIT, "params": params}


def grain_of(facts: "Dict[str, Any]") -> "Tuple[str, Params, Keys]":
    """Return a shot's effect, parameters and keyframes, checked, for comparison. Raise ScriptError."""
    params = without_host(check_all(facts.get("params", {})))
    return str(facts.get("effect") or GRAIN_SPLIT), params, check_keys(facts.get("keys", {}))


def with_values(facts: "Dict[str, Any]", params: "Params", keys: "Keys") -> "Dict[str, Any]":
    """Return facts with other parameters and keyframes."""
    return dict(facts, params=without_host(params), keys=without_host(keys))


def with_params(facts: "Dict[str, Any]", params: "Params") -> "Dict[str, Any]":
    """Return facts with other parameters; a keyframed parameter that is set loses its keyframes."""
    _, old, keys = grain_of(facts)
    return with_values(facts, params, {key: row for key, row in keys.items() if old.get(key) == params.get(key)})


def at_other_frames(facts: "Dict[str, Any]", move: "Callable[[int], int]") -> "Dict[str, Any]":
    """Return facts with their keyframes at other frames."""
    return dict(facts, keys=moved(check_keys(facts.get("keys", {})), move))


def with_look(facts: "Dict[str, Any]", look: "Dict[str, Any]", shift: int) -> "Dict[str, Any]":
    """Return facts with the look of another shot's: its keyframes move by `shift` frames, and none of the old look stays."""
    _, own, own_keys = grain_of(facts)
    effect, params, keys = grain_of(look)
    kept = {key: value for key, value in own.items() if key in OF_THE_SHOT}
    rows = {key: row for key, row in own_keys.items() if key in OF_THE_SHOT}
    rows.update(moved(look_of(keys), lambda frame: frame + shift))
    return dict(with_values(facts, dict(kept, **look_of(params)), rows), effect=effect)


def note_text(facts: "Dict[str, Any]") -> "Tuple[str, bool]":
    """Return our text for these facts, ASCII, and whether all parameters are in it."""
    kept = {key: facts[key] for key in ("schema", "uid", "effect", "params", "keys") if facts.get(key) not in (None, {}) or key == "params"}
    text = _packed({KEY: kept})
    if len(text) <= LONGEST:
        return text, True
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()[:16]
    return _packed({KEY: {"schema": SCHEMA, "uid": facts["uid"], "digest": digest}}), False


def rewritten(note: str, facts: "Dict[str, Any]") -> str:
    """Return a Note with these facts instead of those that it holds; what people wrote around them stays."""
    start = note.index(OPENING)
    _, end = json.JSONDecoder().raw_decode(note, start)
    return note[:start] + note_text(facts)[0] + note[end:]


def _packed(facts: "Dict[str, Any]") -> str:
    return json.dumps(facts, separators=(",", ":"))


def write_note(noted: Noted, facts: "Dict[str, Any]", back: PutBack) -> None:
    """Write facts into a clip's marker, replacing the one that `noted` names. Raise ScriptError; `back` learns the way back."""
    item, name = noted.item, clip_name(noted.item)
    text, whole = note_text(facts)
    markers = _markers(item)
    frame = noted.frame if noted.frame in markers else None
    old = markers[frame] if frame is not None else None
    if not whole:
        save_sidecar(facts, back)
    if old is not None:
        text = rewritten(old["note"], facts)
    if old is not None and old.get("note") == text:
        return
    if frame is not None and old is not None:
        _take_away(item, frame, old, name, back)
    else:
        frame = _free_frame(markers)
    data = "{}:{}".format(KEY, facts["uid"])
    marker = {"color": COLOUR, "name": NAME, "note": text, "duration": 1, "customData": data}
    if old is not None:
        marker.update({"color": old.get("color", COLOUR), "name": old.get("name", NAME), "duration": old.get("duration", 1)})
    need(_add(item, frame, marker), f"A marker cannot be set on {name}; unlock its track.")
    back.on_failure(f"Delete the marker on {name}.", lambda: item.DeleteMarkerByCustomData(data))


def _take_away(item: "TimelineItem", frame: float, old: "Marker", name: str, back: PutBack) -> None:
    """Delete the marker at a frame: Resolve cannot change a Note."""
    mark = f"{KEY}:old:{new_uid()}"
    sentence = f"The marker on {name} cannot be changed; unlock its track."
    need(item.UpdateMarkerCustomData(frame, mark), sentence)
    data = str(old.get("customData") or "")
    back.on_failure(f"A marker on {name} carries a strange name now; run the script again.", lambda: _restored(item, frame, old))
    if not item.DeleteMarkerByCustomData(mark):
        item.UpdateMarkerCustomData(frame, data)
        raise ScriptError(sentence)


def _restored(item: "TimelineItem", frame: float, old: "Marker") -> bool:
    """Say whether the old marker is there again; a marker of ours in its place was deleted before."""
    if frame in (item.GetMarkers() or {}):
        return bool(item.UpdateMarkerCustomData(frame, str(old.get("customData") or "")))
    return bool(_add(item, frame, old))


def _add(item: "TimelineItem", frame: float, marker: "Marker") -> "Optional[bool]":
    data = str(marker.get("customData") or "")
    return item.AddMarker(frame, marker["color"], marker["name"], marker["note"], marker["duration"], data)


def _free_frame(markers: "Dict[float, Marker]") -> float:
    """Return the first frame of the clip without a marker: Resolve refuses a second one."""
    frame = 0
    while frame in markers:
        frame += 1
    return frame


def save_sidecar(facts: "Dict[str, Any]", back: PutBack) -> None:
    """Write the sidecar that this shot obeys while Follow is on. Raise ScriptError."""
    path = sidecar_path(facts["uid"])
    before = read_text(path)
    old = (read_sidecar(facts["uid"]) or {}) if before is not None else {}
    effect, params, keys = grain_of(facts)
    back.on_failure(f"Write {path} again.", lambda: put_text_back(path, before))
    write_sidecar(
        {"uid": facts["uid"], "effect": effect, "params": params, "keys": keys, "profile": facts.get("profile") or old.get("profile")}
    )
