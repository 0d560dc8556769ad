"""Read and change an edit that Resolve exported, on the parsed JSON of the OTIO file."""

import json
import os
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlparse

from grain_scripts.answers import ScriptError, need
from grain_scripts.notes import facts_in, rewritten
from grain_scripts.rendering import numbered
from grain_scripts.session import clip_name, track_of
from grain_scripts.state import read_json, write_whole

if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

    from grain_scripts.protocols import TimelineItem
    from grain_scripts.rendering import Rendered
    from grain_scripts.session import Session

    Node = Dict[str, Any]
    Facts = Dict[str, Any]
    Place = Tuple[int, int]

LAYER = "grainlayer_layer"
"""Key of a delivered track's metadata that says how it lies over the tracks below."""


class Placed(NamedTuple):
    """Hold a clip of an edit: its track's number from 1, name and switch, its first frame and length there, its media and first picture.

    blend, opacity  how it lies over the tracks below, by the names of editors and in percent
    """

    track: int
    track_name: str
    shown: bool
    start: int
    length: int
    media: str
    first: int
    blend: str
    opacity: float


def export_edit(session: "Session", path: str) -> "Node":
    """Have Resolve write the timeline to an OTIO file, and return it parsed. Raise ScriptError."""
    kind = need(session.resolve.EXPORT_OTIO, "This Resolve exports no OTIO; install 19.1 or later.")
    sentence = f"The timeline cannot be exported to {path}; choose a folder that can be written."
    need(session.timeline.Export(path, kind, session.resolve.EXPORT_NONE), sentence)
    if not os.path.isfile(path):
        raise ScriptError(sentence)
    return read_edit(path)


def read_edit(path: str) -> "Node":
    """Return a parsed OTIO timeline. Raise ScriptError."""
    root = read_json(path)
    if not isinstance(root, dict) or _schema(root) != "Timeline" or not isinstance(root.get("tracks"), dict):
        raise ScriptError(f"{path} is no OTIO timeline; export it again.")
    return root


def _schema(node: "Any") -> str:
    return str(node.get("OTIO_SCHEMA", "")).split(".")[0] if isinstance(node, dict) else ""


def _value(time: "Any") -> float:
    return float(time["value"])


def _rate(root: "Node") -> "Optional[float]":
    """Return a timeline's frames a second, None where it does not state them: every clip counts in its own rate then."""
    begin = root.get("global_start_time")
    return float(begin["rate"]) if isinstance(begin, dict) else None


def _frames(time: "Any", rate: "Optional[float]") -> float:
    """Return a duration in frames of a timeline of that rate."""
    return _value(time) / float(time["rate"]) * rate if rate else _value(time)


def _reference(clip: "Node") -> "Node":
    """Return a clip's active media reference, an empty one if it has none."""
    several = clip.get("media_references")
    key = clip.get("active_media_reference_key", "DEFAULT_MEDIA")
    found = several.get(key) if isinstance(several, dict) else clip.get("media_reference")
    return found if isinstance(found, dict) else {}


def _span(node: "Node") -> "Node":
    span = node.get("source_range") or _reference(node).get("available_range")
    if not isinstance(span, dict):
        raise ScriptError("The edit does not tell how long {!r} is; export it again.".format(node.get("name")))
    return span


def _walk(root: "Node") -> "Iterator[Tuple[int, Node, int, int]]":
    """Yield (track number, track, index among its children, first frame) of every clip and nested edit of the picture tracks."""
    rate = _rate(root)
    tracks = [node for node in root["tracks"].get("children") or [] if _schema(node) == "Track" and node.get("kind", "Video") == "Video"]
    for number, track in enumerate(tracks, 1):
        at = 0.0
        for index, node in enumerate(track.get("children") or []):
            if _schema(node) == "Transition":
                continue
            if _schema(node) != "Gap":
                yield number, track, index, round(at)
            at += _frames(_span(node)["duration"], rate)


def with_renders(root: "Node", session: "Session", renders: "List[Tuple[Rendered, Facts]]") -> "Node":
    """Return an edit in which the rendered clips show what was rendered and say these facts, and all others are gaps.

    Raise ScriptError.
    """
    start = need(session.timeline.GetStartFrame(), "The timeline does not tell where it begins; open it again.")
    wanted = {_place(render.item, start): (render, facts) for render, facts in renders}
    changed: Node = json.loads(json.dumps(root))
    for number, track, index, at in _walk(changed):
        clip, render = track["children"][index], wanted.pop((number, at), None)
        track["children"][index] = _shows(_saying(clip, render[1]), render[0], _rate(root)) if render else _gap(clip)
    if wanted:
        name = clip_name(next(iter(wanted.values()))[0].item)
        raise ScriptError(f"{name} is not in the exported edit; put it on a track of its own and run the script again.")
    for track in changed["tracks"].get("children") or []:
        _drop_transitions(track)
    return changed


def _place(item: "TimelineItem", start: int) -> "Place":
    at = need(item.GetStart(), f"{clip_name(item)} does not tell where it begins; open the timeline again.")
    return track_of(item), int(at) - int(start)


def _drop_transitions(track: "Node") -> None:
    """Remove transitions: a render holds exactly what the clip shows, without the frames that a transition needs."""
    inside = track.get("children")
    if isinstance(inside, list):
        track["children"] = [node for node in inside if _schema(node) != "Transition"]


def _gap(node: "Node") -> "Node":
    span = _span(node)
    return {
        "OTIO_SCHEMA": "Gap.1",
        "metadata": {},
        "name": "",
        "source_range": _range(0, _value(span["duration"]), span["duration"]["rate"]),
        "effects": [],
        "markers": [],
        "enabled": True,
    }


def _range(first: float, length: float, rate: float) -> "Node":
    start = {"OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": first}
    return {"OTIO_SCHEMA": "TimeRange.1", "duration": dict(start, value=length), "start_time": start}


def _saying(clip: "Node", facts: "Facts") -> "Node":
    """Return a clip with these facts in the markers that hold ours."""
    return dict(clip, markers=[_said(marker, facts) for marker in clip.get("markers") or []])


def _said(marker: "Node", facts: "Facts") -> "Node":
    kept = marker.get("metadata", {}).get("Resolve_OTIO", {})
    if not facts_in(kept.get("Note", "")):
        return marker
    return dict(marker, metadata=dict(marker["metadata"], Resolve_OTIO=dict(kept, Note=rewritten(kept["Note"], facts))))


def _shows(clip: "Node", render: "Rendered", timeline_rate: "Optional[float]") -> "Node":
    """Return a clip that shows its render. A retime that Resolve rendered in is taken away; one that it left stays."""
    duration = _span(clip)["duration"]
    length, rate = round(_frames(duration, timeline_rate)), timeline_rate or duration["rate"]
    effects = clip.get("effects") or []
    if render.frames == length:
        effects = [effect for effect in effects if _schema(effect) not in ("LinearTimeWarp", "TimeEffect", "FreezeFrame")]
    changed = {key: value for key, value in clip.items() if key not in ("media_reference", "children")}
    changed.update(
        {
            "OTIO_SCHEMA": "Clip.2",
            "effects": effects,
            "source_range": _range(render.head, length, rate),
            "media_references": {"DEFAULT_MEDIA": _render_reference(render, rate)},
            "active_media_reference_key": "DEFAULT_MEDIA",
        }
    )
    return changed


def _render_reference(render: "Rendered", rate: float) -> "Node":
    shared: Node = {"metadata": {}, "name": "", "available_range": _range(0, render.frames, rate), "available_image_bounds": None}
    parts = numbered(render.files[0])
    if parts is None:
        return dict(shared, OTIO_SCHEMA="ExternalReference.1", target_url=os.path.join(render.folder, render.files[0]))
    return dict(
        shared,
        OTIO_SCHEMA="ImageSequenceReference.1",
        target_url_base=os.path.join(render.folder, ""),
        name_prefix=parts[0],
        name_suffix=parts[2],
        start_frame=int(parts[1]),
        frame_step=1,
        rate=rate,
        frame_zero_padding=len(parts[1]),
        missing_frame_policy="error",
    )


def write_edit(root: "Node", path: str) -> None:
    """Write an OTIO file. Raise ScriptError."""
    write_whole(path, json.dumps(root, ensure_ascii=False, indent=1))


def placed_clips(path: str) -> "List[Placed]":
    """Return the clips of an OTIO file's picture tracks, bottom track first. Raise ScriptError."""
    root = read_edit(path)
    try:
        clips = [(number, track, track["children"][index], at) for number, track, index, at in _walk(root)]
        lengths = [round(_frames(_span(clip)["duration"], _rate(root))) for _, _, clip, _ in clips]
        return [_placed(*clip, length, path) for clip, length in zip(clips, lengths) if _is_clip(clip[2])]
    except (KeyError, TypeError, ValueError) as error:
        raise ScriptError(f"{path} is damaged; run the script again.") from error


def _is_clip(node: "Node") -> bool:
    return _schema(node) == "Clip" and _schema(_reference(node)) in ("ExternalReference", "ImageSequenceReference")


def _placed(number: int, track: "Node", clip: "Node", at: int, length: int, path: str) -> Placed:
    span, reference = _span(clip), _reference(clip)
    available = reference.get("available_range")
    begin = _value(available["start_time"]) if isinstance(available, dict) else 0
    first = round(_value(span["start_time"]) - begin)
    shown, name = track.get("enabled") is not False, str(track.get("name") or "")
    over = (track.get("metadata") or {}).get(LAYER) or {}
    blend, opacity = str(over.get("blend") or "Normal"), float(over.get("opacity", 100))
    return Placed(number, name, shown, at, length, _media(reference, os.path.dirname(path)), first, blend, opacity)


def _media(reference: "Node", folder: str) -> str:
    """Return a reference's full path; a sequence as name.%04d.exr."""
    if _schema(reference) == "ExternalReference":
        return os.path.normpath(os.path.join(folder, _path(str(reference.get("target_url") or ""))))
    number = "%0{}d".format(int(reference.get("frame_zero_padding") or 1))
    name = "{}{}{}".format(reference.get("name_prefix") or "", number, reference.get("name_suffix") or "")
    return os.path.normpath(os.path.join(folder, _path(str(reference.get("target_url_base") or "")), name))


def _path(url: str) -> str:
    if not url.lower().startswith("file:"):
        return url
    path = unquote(urlparse(url).path)
    return path[1:] if re.match("/[A-Za-z]:", path) else path


def unique_name(name: str, taken: "Mapping[str, Any]") -> str:
    """Return a name that is not taken: Resolve refuses a timeline of the same name."""
    number, found = 2, name
    while found in taken:
        found = f"{name} {number}"
        number += 1
    return found
