"""Put a shot's grain where a format keeps it, and take it out again from wherever it lies.

Works on the parsed JSON of clips and never changes what it is given: it returns new objects that share what did not change.
What is not ours stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from grainlayer.editorial.clips import Found, Node, media_reference, schema_of
from grainlayer.editorial.jsonform import SCHEMA, shot_digest, shot_to_json
from grainlayer.editorial.shots import Placement, Shot

NAMESPACE = "grainlayer"
PLUGIN_PREFIX = "org.grainlayer."
LABELS = {"GrainSplit": "Grain Split", "GrainSynth": "Grain Synth", "ArtifactRestore": "Artifact Restore"}
LONGEST_NOTE = 2048
"""Bytes of a marker's note, at most."""
COLUMN = "GrainLayer"
"""Name of our column, comment and marker."""
OPENING = '{"grainlayer"'
"""How each of our texts begins, whatever stands before it."""
MASTER_COMMENTS = ("mastercomment1", "mastercomment2", "mastercomment3", "mastercomment4", "clipcommenta", "clipcommentb")
"""Comments of Final Cut Pro 7, in the order in which a free one is looked for."""
Path = tuple[str, ...]
PutAll = Callable[[Sequence[Found], Sequence[Shot | None]], list[Node]]
"""Return the clips of a document with the grain of those that have some."""
NOTE: Path = ("metadata", "Resolve_OTIO", "Note")
MARKED: tuple[Path, ...] = (("metadata", "fcp_xml", "comment"), NOTE, ("comment",), ("name",))
"""Where in a marker our texts may lie, the most trusted first."""
TEXTS: tuple[Path, ...] = (("fcp_xml", "comments"), ("AAF", "UserComments"), ("ALE",), ("cmx_3600", "comments"))
"""Where in a clip's metadata our texts may lie: in objects, or in lists."""


@dataclass(frozen=True)
class Carried:
    """Hold what one carrier of a clip says: its shot's JSON, or None where the text is damaged; `source` names the carrier in words."""

    source: str
    facts: Mapping[str, Any] | None


def text_of(shot: Shot, longest: int | None = None, at: Sequence[int] = (), rate: Fraction | None = None) -> str:
    """Return uid, effect, parameters and keyframes as one line of ASCII; beyond `longest` bytes only uid and digest.

    at    what tells this clip from others that share the text's place
    rate  the edit's, for a format that does not state it
    """
    facts = shot_to_json(shot, name=False, profile=False)
    place: dict[str, Any] = {"at": list(at)} if at else {}
    place |= {"rate": str(rate)} if rate else {}
    text = _line({NAMESPACE: facts} | place)
    if longest is not None and len(text) > longest:
        text = _line({NAMESPACE: {"schema": SCHEMA, "uid": shot.uid, "digest": shot_digest(shot)}} | place)
    return text


def _line(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, separators=(",", ":"))


def is_ours(text: Any) -> bool:
    """Say whether a text holds our JSON."""
    return isinstance(text, str) and OPENING in text


def parse_text(text: str) -> tuple[Mapping[str, Any] | None, list[int] | None]:
    """Return what a text of ours says of a shot, None if it is damaged, and which clip it is meant for, if it says so."""
    try:
        found, _ = json.JSONDecoder().raw_decode(text[text.index(OPENING) :])
        facts, at = found[NAMESPACE], found.get("at")
        return (facts if isinstance(facts, dict) else None), (at if isinstance(at, list) else None)
    except (ValueError, RecursionError):
        return None, None


def without_ours(text: str) -> str:
    """Return a text without our JSON: what people wrote before and after it."""
    before, opening, _ = text.partition(OPENING)
    if not opening:
        return text
    try:
        _, length = json.JSONDecoder().raw_decode(text[len(before) :])
    except (ValueError, RecursionError):
        length = len(text)
    return " ".join(filter(None, (before.strip(), text[len(before) + length :].strip())))


def stated_rate(text: str) -> Fraction | None:
    """Return the rate that our texts in a file state, or None."""
    found = re.search(r'^\* GRAINLAYER .*"rate":"(\d{1,9}(?:/[1-9]\d{0,8})?)"\}\s*$', text, re.MULTILINE)
    return Fraction(found[1]) or None if found else None


def take(clip: Node, placement: Placement) -> Iterator[Carried]:
    """Yield what every carrier in a clip says, the most trusted first: effect, metadata, marker, other programs' comments."""
    yield from (Carried("the effect", facts) for facts in _effects(clip))
    metadata = clip.get("metadata")
    if isinstance(metadata, dict) and NAMESPACE in metadata:
        yield Carried("the clip's metadata", _object(metadata[NAMESPACE]))
    for source, text in [*_marker_texts(clip), *_comment_texts(clip)]:
        facts, at = parse_text(text)
        if at is None or at == whereabouts(placement):
            yield Carried(source, facts)


def _object(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None


def _effects(clip: Node) -> Iterator[Mapping[str, Any] | None]:
    for effect in clip.get("effects") or []:
        if is_our_effect(effect):
            metadata = effect.get("metadata")
            yield _object(metadata.get(NAMESPACE)) if isinstance(metadata, dict) else None


def is_our_effect(effect: Any) -> bool:
    """Say whether an effect of a clip is one of ours, with values."""
    metadata = effect.get("metadata") if isinstance(effect, dict) else None
    return isinstance(metadata, dict) and NAMESPACE in metadata


def _marker_texts(clip: Node) -> Iterator[tuple[str, str]]:
    for marker in clip.get("markers") or []:
        yield from (("the marker", text) for text in marker_texts(marker))


def marker_texts(marker: Any) -> Iterator[str]:
    """Yield our texts in a marker: Final Cut's comment, Resolve's note, comment, name."""
    yield from (text for path in MARKED if is_ours(text := _at(marker, path)))


def _bare_marker(marker: Node) -> Node:
    """Return a marker without our texts; what people wrote beside them stays."""
    for path in MARKED:
        if is_ours(_at(marker, path)):
            marker = placed(marker, path, without_ours(_at(marker, path)))
    return marker


def _comment_texts(clip: Node) -> Iterator[tuple[str, str]]:
    for holder in (clip, media_reference(clip)):
        for path in TEXTS:
            inside = _at(holder.get("metadata"), path)
            values = inside.values() if isinstance(inside, dict) else inside if isinstance(inside, list) else ()
            yield from (("the comment", value) for value in values if is_ours(value))


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def whereabouts(placement: Placement) -> list[int]:
    """Return what tells a clip from others of the same media: where it lies and which picture it begins with, in whole frames."""
    return [round(placement.record.start), round(placement.source.start), round(placement.source.duration)]


def placed(node: Node, path: Path, value: Any) -> Node:
    """Return an object with another value at `path`; objects on the way are copied, and made where there are none."""
    if not path:
        return value
    key, *rest = path
    inside = node.get(key)
    return {**node, key: placed(inside if isinstance(inside, dict) else {}, tuple(rest), value)}


def cleaned(clip: Node, *, native: bool = False) -> Node:
    """Return a clip without our texts in other programs' comments; with `native`, without effect, metadata and markers too."""
    for path in TEXTS:
        inside = _at(clip.get("metadata"), path)
        if isinstance(inside, list) and any(is_ours(text) for text in inside):
            clip = placed(clip, ("metadata", *path), [_bare(text) for text in inside if not _only_ours(text)])
        if isinstance(inside, dict) and any(is_ours(text) for text in inside.values()):
            kept = {key: _bare(text) for key, text in inside.items() if not _only_ours(text)}
            clip = placed(clip, ("metadata", *path), kept)
    return _without_native(clip) if native else clip


def _bare(text: Any) -> Any:
    return without_ours(text) if is_ours(text) else text


def _only_ours(text: Any) -> bool:
    """Say whether a comment is our JSON and nothing else but the word before it."""
    return is_ours(text) and without_ours(text).lstrip("* ") in ("", COLUMN.upper())


def _without_native(clip: Node) -> Node:
    markers, effects, metadata = clip.get("markers"), clip.get("effects"), clip.get("metadata")
    if isinstance(markers, list) and any(any(marker_texts(marker)) for marker in markers):
        bare = [(marker, _bare_marker(marker) if any(marker_texts(marker)) else marker) for marker in markers]
        clip = {**clip, "markers": [left for marker, left in bare if left is marker or _says_more(left)]}
    if isinstance(effects, list) and any(is_our_effect(effect) for effect in effects):
        clip = {**clip, "effects": [effect for effect in effects if not is_our_effect(effect)]}
    if isinstance(metadata, dict) and NAMESPACE in metadata:
        clip = {**clip, "metadata": {key: value for key, value in metadata.items() if key != NAMESPACE}}
    return clip


def _says_more(bare: Node) -> bool:
    """Say whether people wrote into a marker of ours."""
    texts = [_at(bare, path) for path in MARKED]
    return any(isinstance(text, str) and text.strip() not in ("", COLUMN) for text in texts)


def put_native(clip: Node, placement: Placement, shot: Shot) -> Node:
    """Return a clip with our effect, the same in its metadata, and uid and parameters in a marker's note, which Resolve keeps."""
    clip = put_metadata(clip, shot)
    markers = list(clip.get("markers") or [])
    noted = next((place for place, marker in enumerate(markers) if any(marker_texts(marker))), len(markers))
    old = _bare_marker(markers[noted]) if noted < len(markers) else {}
    said = str(_at(old, NOTE) or "")[: LONGEST_NOTE // 4]
    text = text_of(shot, LONGEST_NOTE - len(f"{said} ".encode()))
    markers[noted : noted + 1] = [_marker(old, placement, f"{said} {text}".lstrip())]
    return {**clip, "markers": markers}


def put_metadata(clip: Node, shot: Shot) -> Node:
    """Return a clip with our effect and the same in its metadata, and without our texts in other programs' comments."""
    facts = shot_to_json(shot, name=False)
    clip = placed(cleaned(clip), ("metadata", NAMESPACE), facts)
    effects = list(clip.get("effects") or [])
    place = next((place for place, effect in enumerate(effects) if is_our_effect(effect)), len(effects))
    effects[place : place + 1] = [_effect(effects[place] if place < len(effects) else {}, shot, facts)]
    return {**clip, "effects": effects}


def _effect(old: Node, shot: Shot, facts: Mapping[str, Any]) -> Node:
    fresh = {"OTIO_SCHEMA": "Effect.1", "metadata": {}, "name": LABELS[shot.effect], "effect_name": "", "enabled": True}
    return placed({**fresh, **old, "effect_name": PLUGIN_PREFIX + shot.effect}, ("metadata", NAMESPACE), facts)


def _marker(old: Node, placement: Placement, note: str, name: str = COLUMN) -> Node:
    rate = float(placement.source.rate)
    start = {"OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": float(placement.source.start)}
    one = {"OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": 1.0}
    span = {"OTIO_SCHEMA": "TimeRange.1", "duration": one, "start_time": start}
    fresh = {"OTIO_SCHEMA": "Marker.2", "metadata": {}, "name": name, "color": "PURPLE", "marked_range": span, "comment": ""}
    marker = {**fresh, **old}
    marker = marker if marker["name"] else {**marker, "name": name}
    keywords = _at(marker.get("metadata"), ("Resolve_OTIO", "Keywords"))
    marker = placed(marker, ("metadata", "Resolve_OTIO", "Keywords"), keywords if isinstance(keywords, list) else [])
    return placed(marker, NOTE, note)


def put_fcp7(clip: Node, placement: Placement, shot: Shot) -> Node:
    """Return a clip with our text in the first free comment of Final Cut Pro 7."""
    taken = _at(clip.get("metadata"), ("fcp_xml", "comments"))
    free = next((key for key in MASTER_COMMENTS if not isinstance(taken, dict) or not taken.get(key)), COLUMN.lower())
    return placed(clip, ("metadata", "fcp_xml", "comments", free), text_of(shot))


def put_fcpx(clip: Node, placement: Placement, shot: Shot) -> Node:
    """Return a clip with our text as a marker's name: the one text of a clip that goes both ways."""
    marker = _marker({}, placement, "", text_of(shot))
    return {**clip, "markers": [*(clip.get("markers") or []), marker]}


def put_edl(clip: Node, placement: Placement, shot: Shot) -> Node:
    """Return a clip with our text as a comment line of its event."""
    lines = _at(clip.get("metadata"), ("cmx_3600", "comments"))
    kept = lines if isinstance(lines, list) else []
    return placed(clip, ("metadata", "cmx_3600", "comments"), [*kept, f"GRAINLAYER {text_of(shot, rate=placement.record.rate)}"])


def put_ale(clip: Node, placement: Placement, shot: Shot) -> Node:
    """Return a clip with our text in a column of its own."""
    return placed(clip, ("metadata", "ALE", COLUMN), text_of(shot))


Put = Callable[[Node, Placement, Shot], Node]


def put_each(put: Put) -> PutAll:
    """Return what puts the grain of every clip by `put`, each rid of all our older carriers first; clips without grain stay as they are."""

    def put_all(found: Sequence[Found], shots: Sequence[Shot | None]) -> list[Node]:
        pairs = zip(found, shots, strict=True)
        return [put(cleaned(clip.node, native=put is not put_native), clip.placement, shot) if shot else clip.node for clip, shot in pairs]

    return put_all


def put_all_aaf(found: Sequence[Found], shots: Sequence[Shot | None]) -> list[Node]:
    """Return the clips with our texts as user comments; these belong to a master, so clips of one master carry all of its clips' texts."""
    comments: dict[str, dict[str, str]] = {}
    masters = [_master(clip.node) or f"only {number}" for number, clip in enumerate(found)]
    for number, (clip, shot) in enumerate(zip(found, shots, strict=True)):
        if shot:
            key = f"{COLUMN} {number + 1}"
            comments.setdefault(masters[number], {})[key] = text_of(shot, at=whereabouts(clip.placement))
    return [_commented(clip.node, comments.get(master, {})) for clip, master in zip(found, masters, strict=True)]


def _master(clip: Node) -> str | None:
    """Return the id of the master that an AAF's writer will take for a clip, or None if it will make a new one."""
    places = [_at(holder.get("metadata"), ("AAF", key)) for holder in (clip, media_reference(clip)) for key in ("MobID", "SourceID")]
    return next((str(value) for value in places if value), None)


def _commented(clip: Node, comments: Mapping[str, str]) -> Node:
    clip = cleaned(clip, native=True)
    for key, text in comments.items():
        clip = placed(clip, ("metadata", "AAF", "UserComments", key), text)
    return clip


def replaced(node: Node, clips: Mapping[int, Node]) -> Node:
    """Return a document in which the clips of those ids (Python's id()) are others; what did not change is shared."""
    if id(node) in clips:
        return clips[id(node)]
    if schema_of(node) == "Timeline" and isinstance(node.get("tracks"), dict):
        return {**node, "tracks": replaced(node["tracks"], clips)}
    inside = node.get("children")
    if not isinstance(inside, list):
        return node
    return {**node, "children": [replaced(child, clips) if isinstance(child, dict) else child for child in inside]}
