"""Write shots as JSON and read them back; every form carries its schema's number, and older ones are upgraded step by step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any

from grainlayer.editorial.shots import Keyframe, Keys, PlacedShot, Placement, Shot, ShotList, Span
from grainlayer.errors import GrainlayerError, TimelineError
from grainlayer.grain.profile import GrainProfile
from grainlayer.params import Effect, Kind, ShotParams, find

Facts = dict[str, Any]
"""A JSON object."""
Step = Callable[[Facts], Facts]

SCHEMA = 1
"""The schema that is written; raise it together with a step that upgrades the one before."""
STEPS: Mapping[int, Step] = {}
"""For each older schema, how its shots become those of the next; a step changes a copy and leaves `schema` alone."""


def indented(value: Any, indent: int, *, ascii_only: bool) -> str:
    """Return the text of json.dumps(value, indent=indent, ensure_ascii=ascii_only) and a line's end, in a third of its time."""
    parts: list[str] = []
    quote = encode_basestring_ascii if ascii_only else encode_basestring

    def write(item: Any, gap: str) -> None:
        if type(item) is str:
            parts.append(quote(item))
        elif type(item) is float and item - item == 0:
            parts.append(float.__repr__(item))
        elif type(item) is dict and item:
            write_each("{", ((quote(key) + ": ", inside) for key, inside in item.items()), gap)
            parts.append(gap + "}")
        elif type(item) is list and item:
            write_each("[", (("", inside) for inside in item), gap)
            parts.append(gap + "]")
        else:
            parts.append(json.dumps(item, ensure_ascii=ascii_only))

    def write_each(opening: str, pairs: Iterable[tuple[str, Any]], gap: str) -> None:
        inner = gap + indent * " "
        lead = opening + inner
        for before, inside in pairs:
            parts.append(lead + before)
            write(inside, inner)
            lead = "," + inner

    write(value, "\n")
    return "".join((*parts, "\n"))


def upgraded(facts: Mapping[str, Any], steps: Mapping[int, Step] = STEPS, newest: int = SCHEMA) -> Facts:
    """Return a shot's JSON in the newest schema. Raise TimelineError if it is newer than that, or too old to be read."""
    schema = facts.get("schema")
    if isinstance(schema, bool) or not isinstance(schema, int):
        raise TimelineError(f"This grain metadata has no schema number (got {schema!r}); set the shot's values again.")
    if schema > newest:
        raise TimelineError(f"This grain metadata is of schema {schema}, this program reads up to {newest}: update GrainLayer.")
    found = dict(facts)
    for number in range(schema, newest):
        if number not in steps:
            raise TimelineError(f"Grain metadata of schema {schema} cannot be read any more; set the shot's values again.")
        found = steps[number](dict(found)) | {"schema": number + 1}
    return found


def shot_to_json(shot: Shot, *, name: bool = True, profile: bool = True) -> Facts:
    """Return a shot as JSON holds it; values equal to ShotParams() are left out, as are name and profile where not wanted."""
    values = {key: value for key, value in shot.params.to_dict().items() if key != "shot_uid"}
    facts: Facts = {"schema": SCHEMA, "uid": shot.uid}
    facts |= {"name": shot.name} if name else {}
    facts |= {"effect": str(shot.effect), "params": values}
    facts |= {"keys": keys_to_json(shot.keys)} if shot.keys else {}
    return facts | ({"profile": json.loads(shot.profile.to_json())} if profile and shot.profile else {})


def shot_from_json(facts: object, name: str = "") -> Shot:
    """Read what `shot_to_json` wrote; `name` stands in for one that it lacks. Raise TimelineError, in one sentence."""
    try:
        if not isinstance(facts, Mapping):
            raise TimelineError("This grain metadata is no JSON object; set the shot's values again.")
        found = upgraded(facts)
        profile = found.get("profile")
        return Shot(
            uid=str(found["uid"]),
            name=str(found.get("name", name)),
            effect=Effect(found.get("effect", Effect.GRAIN_SPLIT)),
            params=_params(found),
            keys=keys_from_json(found.get("keys", {})),
            profile=GrainProfile.from_json(json.dumps(profile)) if profile is not None else None,
        )
    except TimelineError:
        raise
    except (GrainlayerError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = str(error).rstrip(".") if isinstance(error, GrainlayerError) else f"{type(error).__name__}: {error}"
        raise TimelineError(f"This grain metadata is damaged ({reason}); set the shot's values again.") from error


def keys_to_json(keys: Keys) -> Facts:
    """Return keyframes as JSON holds them: pairs of frame and value by parameter."""
    return {key: [[frame, _plain(value)] for frame, value in row] for key, row in keys.items()}


def keys_from_json(facts: Facts) -> Keys:
    """Read what `keys_to_json` wrote; what is no such thing raises TypeError, ValueError or AttributeError, or ParamError in a Shot."""
    return {str(key): tuple(_keyframe(str(key), *pair) for pair in row) for key, row in facts.items()}


def _params(found: Facts) -> ShotParams:
    values = {key: _whole(key, value) for key, value in found.get("params", {}).items()}
    return ShotParams.from_dict(values | {"shot_uid": str(found["uid"])})


def _whole(key: str, value: Any) -> Any:
    """Return a value; the 1.0 that a program made of a whole number becomes 1 again."""
    return int(value) if isinstance(value, float) and value.is_integer() and find(key).kind is Kind.INT else value


def _keyframe(key: str, frame: Any, value: Any) -> Keyframe:
    at: Any = int(frame) if isinstance(frame, float) and frame.is_integer() else frame
    return at, _whole(key, value)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value


def shot_digest(shot: Shot) -> str:
    """Return 16 hexadecimal digits of effect, parameters and keyframes; neither name nor profile count."""
    facts = shot_to_json(shot, name=False, profile=False)
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def number_to_json(number: Fraction) -> int | str:
    """Return an exact number: 48, or "24000/1001"."""
    return int(number) if number.denominator == 1 else str(number)


def span_to_json(span: Span | None) -> Facts | None:
    """Return a range with exact numbers."""
    if span is None:
        return None
    return {key: number_to_json(getattr(span, key)) for key in ("start", "duration", "rate")}


def placement_to_json(placement: Placement) -> Facts:
    """Return where a clip lies, with exact numbers."""
    kept = ("name", "track", "track_name", "place", "media", "reel", "first_number", "enabled", "nested")
    facts: Facts = {key: getattr(placement, key) for key in kept}
    facts |= {key: span_to_json(getattr(placement, key)) for key in ("record", "source", "available")}
    return facts | {"nested": list(placement.nested), "speed": None if placement.speed is None else number_to_json(placement.speed)}


def placed_to_json(placed: PlacedShot) -> Facts:
    """Return a clip with its number, place and grain."""
    shot = shot_to_json(placed.shot) if placed.shot else None
    return {"index": placed.index, "placement": placement_to_json(placed.placement), "shot": shot}


def list_to_json(shots: ShotList) -> Facts:
    """Return a whole list, for programs."""
    facts: Facts = {"schema": SCHEMA, "name": shots.name, "rate": number_to_json(shots.rate), "start": number_to_json(shots.start)}
    facts |= {"shots": [placed_to_json(placed) for placed in shots], "problems": list(shots.problems)}
    return facts | {"conflicts": [str(conflict) for conflict in shots.conflicts]}
