"""Find the picture clips of a parsed OTIO document, and where each lies: on the plain JSON, so that nothing foreign is touched."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlparse
from urllib.request import url2pathname

from grainlayer.editorial.shots import Placement, Span
from grainlayer.errors import TimelineError

Node = dict[str, Any]
"""A JSON object of an OTIO document."""

DEFAULT_RATE = Fraction(24)
DEEPEST = 64
"""Compositions inside one another, at most."""
CLIPS = ("Clip",)
LISTS = ("Track", "Stack", "SerializableCollection")
ONCE = (
    *("Timeline", "Track", "Stack", "SerializableCollection", "Gap", "Transition", "Composition", "Item", "Composable"),
    *("Effect", "TimeEffect", "LinearTimeWarp", "FreezeFrame", "RationalTime", "TimeRange", "TimeTransform", "V2d", "Box2d", "Color"),
    *("ExternalReference", "MissingReference", "GeneratorReference", "ImageSequenceReference", "MediaReference"),
    *("SerializableObject", "SerializableObjectWithMetadata"),
)
KNOWN: Mapping[str, int] = {"Clip": 2, "Marker": 2} | dict.fromkeys(ONCE, 1)
"""OTIO's own schemas, each with the newest version that is known here."""
LABELLED = frozenset(f"{name}.{version}" for name, newest in KNOWN.items() for version in range(1, newest + 1))


@dataclass(frozen=True)
class Found:
    """Hold a clip of a document and its place."""

    node: Node
    placement: Placement


@dataclass
class Walk:
    """Collect clips and problems on the way through a document."""

    rate: Fraction
    tracks: int = 0
    found: list[Found] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def schema_of(node: Any) -> str:
    """Return an object's schema without its version, or nothing."""
    return str(node.get("OTIO_SCHEMA", "")).split(".")[0] if isinstance(node, dict) else ""


def children(node: Node) -> list[Node]:
    """Return what lies in a composition, a collection or a timeline."""
    inside = [node.get("tracks")] if schema_of(node) == "Timeline" else node.get("children")
    return [child for child in inside if isinstance(child, dict)] if isinstance(inside, list) else []


def find_clips(root: Node, fallback: Fraction | None = None) -> tuple[Fraction, Fraction, list[Found], list[str]]:
    """Return rate and first frame of a document's timeline, its picture clips in order, and what was strange, a sentence each.

    fallback  the rate where the document states none. Raise TimelineError for times that are no numbers.
    """
    begin = root.get("global_start_time")
    stated = begin if isinstance(begin, dict) else next(_times(root), None)
    rate = exact_rate(stated.get("rate")) if stated else fallback or DEFAULT_RATE
    walk = Walk(rate)
    _walk(walk, root, Fraction(0), _Where())
    problems = walk.problems + unknown_schemas(root)
    return rate, exact(begin.get("value")) if isinstance(begin, dict) else Fraction(0), walk.found, problems


def _times(node: Node) -> Iterator[Node]:
    """Yield the start times of source ranges, in order."""
    span = node.get("source_range")
    if isinstance(span, dict) and isinstance(span.get("start_time"), dict):
        yield span["start_time"]
    for child in children(node):
        yield from _times(child)


@dataclass(frozen=True)
class _Where:
    """Say where in the document a walk is."""

    track: int | None = None
    track_name: str = ""
    place: int = 0
    enabled: bool = True
    nested: tuple[str, ...] = ()


def _walk(walk: Walk, node: Node, start: Fraction, where: _Where) -> None:
    """Go through a node that begins at `start` seconds."""
    kind = schema_of(node)
    where = replace(where, enabled=where.enabled and node.get("enabled") is not False)
    if len(where.nested) > DEEPEST:
        raise TimelineError(f"More than {DEEPEST} compositions lie inside one another; flatten some of them.")
    if kind in CLIPS:
        walk.found.append(Found(node, _placement(walk, node, start, where)))
    elif kind == "Track":
        _walk_track(walk, node, start, where)
    elif kind in ("Timeline", "Stack", "SerializableCollection"):
        _walk_stack(walk, node, start, where)


def _walk_stack(walk: Walk, node: Node, start: Fraction, where: _Where) -> None:
    outside = where.track is None
    inner = where if outside else replace(where, nested=(*where.nested, str(node.get("name") or schema_of(node))))
    for place, child in enumerate(children(node)):
        _walk(walk, child, start if outside else start - _trim(node), replace(inner, place=place) if outside else inner)


def _walk_track(walk: Walk, node: Node, start: Fraction, where: _Where) -> None:
    outermost, index = where.track is None, walk.tracks
    walk.tracks += outermost
    if node.get("kind", "Video") != "Video":
        return
    name = str(node.get("name") or "")
    inner = replace(where, track=index, track_name=name) if outermost else replace(where, nested=(*where.nested, name or "Track"))
    begin = start - _trim(node)
    for place, child in enumerate(children(node)):
        here = replace(inner, place=place) if outermost else inner
        _walk(walk, child, begin, here)
        begin += length(child)


def _trim(node: Node) -> Fraction:
    """Return how many seconds of a composition are cut off at its beginning."""
    span = read_span(node.get("source_range"))
    return span.seconds[0] if span else Fraction(0)


def length(node: Node) -> Fraction:
    """Return how many seconds an item takes in a track; transitions take none."""
    kind = schema_of(node)
    if kind == "Transition":
        return Fraction(0)
    span = _source(node)
    if span is not None:
        return span.duration / span.rate
    inside = [length(child) for child in children(node)]
    return sum(inside, Fraction(0)) if kind == "Track" else max(inside, default=Fraction(0))


def _placement(walk: Walk, node: Node, start: Fraction, where: _Where) -> Placement:
    name, source = str(node.get("name") or ""), _source(node)
    if source is None:
        walk.problems.append(f'"{name}" states no range, neither its own nor its media\'s; it is taken as empty.')
        source = Span(Fraction(0), Fraction(0), walk.rate)
    elif source.duration <= 0:
        walk.problems.append(f'"{name}" has a length of zero: it keeps its grain, but nothing of it is rendered.')
    reference = media_reference(node)
    return Placement(
        name=name,
        track=where.track or 0,
        track_name=where.track_name,
        place=where.place,
        record=Span(start * walk.rate, source.at_rate(walk.rate).duration, walk.rate),
        source=source,
        media=media_of(reference),
        reel=_reel(node, reference),
        available=read_span(reference.get("available_range")),
        first_number=_whole(reference.get("start_frame")) if schema_of(reference) == "ImageSequenceReference" else None,
        speed=speed_of(node),
        enabled=where.enabled,
        nested=where.nested,
    )


def media_reference(clip: Node) -> Node:
    """Return a clip's active media reference, of either version of the schema; an empty one if it has none."""
    several = clip.get("media_references")
    key = clip.get("active_media_reference_key", "DEFAULT_MEDIA")
    found = several.get(key) if isinstance(several, dict) else clip.get("media_reference")
    return found if isinstance(found, dict) else {}


def _source(node: Node) -> Span | None:
    return read_span(node.get("source_range")) or read_span(media_reference(node).get("available_range"))


def read_span(value: Any) -> Span | None:
    """Return an OTIO time range, or None if there is none. Raise TimelineError if a number in it is none."""
    if not isinstance(value, dict):
        return None
    start, duration = value.get("start_time"), value.get("duration")
    if not isinstance(start, dict) or not isinstance(duration, dict):
        return None
    rate, own = exact_rate(start.get("rate")), exact_rate(duration.get("rate"))
    frames = exact(duration.get("value"))
    return Span(exact(start.get("value")), frames if own == rate else frames * rate / own, rate)


def exact(value: Any) -> Fraction:
    """Return a number as it is written in decimal. Raise TimelineError if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TimelineError(f"The timeline states {value!r} where a time must be; export it again.")
    return _decimal(repr(value))


@lru_cache(maxsize=1 << 16)
def _decimal(text: str) -> Fraction:
    return Fraction(text)


def exact_rate(value: Any) -> Fraction:
    """Return frames a second, exact: 23.98, 23.976 and their kin are 24000/1001. Raise TimelineError if it is no rate."""
    return _rate(exact(value), str(value))


@lru_cache(maxsize=256)
def _rate(rate: Fraction, said: str) -> Fraction:
    if not 0 < rate <= 1_000_000:
        raise TimelineError(f"The timeline states a rate of {said} frames a second; export it again with the right rate.")
    for nominal in (24, 30, 48, 60, 120):
        ntsc = Fraction(nominal * 1000, 1001)
        if rate != nominal and abs(rate - ntsc) < Fraction(nominal, 5000):
            return ntsc
    return Fraction(round(rate)) if abs(rate - round(rate)) < Fraction(1, 10**9) else rate


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else None


def speed_of(clip: Node) -> Fraction | None:
    """Return how fast a clip's media passes: the product of its constant retimes, None for a ramp."""
    speed = Fraction(1)
    for effect in clip.get("effects") or []:
        kind = schema_of(effect)
        if not isinstance(effect, dict) or effect.get("enabled") is False:
            continue
        if kind == "TimeEffect":
            return None
        if kind == "FreezeFrame":
            speed = Fraction(0)
        elif kind == "LinearTimeWarp":
            speed *= exact(effect.get("time_scalar", 1.0))
    return speed


def media_of(reference: Node) -> str | None:
    """Return a reference's path or URL; a sequence as shot.%04d.exr."""
    kind = schema_of(reference)
    if kind == "ExternalReference":
        return path_of(str(reference.get("target_url") or "")) or None
    if kind != "ImageSequenceReference":
        return None
    folder = path_of(str(reference.get("target_url_base") or ""))
    between = "" if not folder or folder[-1] in "/\\" else "\\" if "\\" in folder and "/" not in folder else "/"
    padding = _whole(reference.get("frame_zero_padding")) or 0
    number = f"%0{padding}d" if padding else "%d"
    return f"{folder}{between}{reference.get('name_prefix') or ''}{number}{reference.get('name_suffix') or ''}"


def path_of(url: str) -> str:
    """Return the path that a file URL names; a plain path, Windows' too, and any other URL as it is."""
    if not url.lower().startswith("file:"):
        return url
    parts = urlparse(url)
    path = unquote(parts.path)
    if re.match(r"/[A-Za-z]:", path):
        return path[1:]
    return f"//{parts.netloc}{path}" if parts.netloc not in ("", "localhost") else url2pathname(parts.path)


REELS = (("cmx_3600", "reel"), ("ALE", "Tape"), ("ALE", "Reel"), ("Resolve_OTIO", "Reel Name"), ("fcp_xml", "timecode", "reel", "name"))
"""Where programs note a clip's reel, in a clip's metadata or its reference's."""


def _reel(clip: Node, reference: Node) -> str | None:
    for holder in (clip, reference):
        for path in REELS:
            value: Any = holder.get("metadata")
            for key in path:
                value = value.get(key) if isinstance(value, dict) else None
            if isinstance(value, str) and value:
                return value
    return None


def unknown_schemas(root: Node) -> list[str]:
    """Return a sentence for each schema in a document that OTIO does not define; such objects are kept as they are."""
    counts: dict[str, int] = {}
    waiting: list[Any] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            waiting += [value for key, value in node.items() if key != "metadata"]
            name = str(node.get("OTIO_SCHEMA", "Clip.1"))
            if name not in LABELLED:
                counts[name] = counts.get(name, 0) + 1
    return [
        f"Objects of the unknown schema {name} ({count}) are kept as they are; nothing is read from them." for name, count in counts.items()
    ]
