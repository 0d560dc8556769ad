"""Make edits as programs write them: plain OTIO JSON, without OpenTimelineIO."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from grainlayer.editorial.timeline import Timeline, read_timeline

Node = dict[str, Any]


def time(value: float, rate: float = 24.0) -> Node:
    return {"OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": float(value)}


def span(start: float, duration: float, rate: float = 24.0) -> Node:
    return {"OTIO_SCHEMA": "TimeRange.1", "duration": time(duration, rate), "start_time": time(start, rate)}


def clip(name: str, start: float, duration: float, media: str | None = "/media/A.mov", rate: float = 24.0, **more: Any) -> Node:
    reference: Node = {"OTIO_SCHEMA": "MissingReference.1", "metadata": {}, "name": "", "available_range": None}
    if media:
        reference |= {"OTIO_SCHEMA": "ExternalReference.1", "target_url": media, "available_range": span(1000, 2000, rate)}
    facts = {
        "OTIO_SCHEMA": "Clip.2",
        "metadata": {},
        "name": name,
        "source_range": span(start, duration, rate),
        "effects": [],
        "markers": [],
    }
    chosen = {"media_references": {"DEFAULT_MEDIA": reference}, "active_media_reference_key": "DEFAULT_MEDIA"}
    return {**facts, "enabled": True, **chosen, **more}


def gap(duration: float, rate: float = 24.0) -> Node:
    return {"OTIO_SCHEMA": "Gap.1", "metadata": {}, "name": "", "source_range": span(0, duration, rate), "effects": [], "markers": []}


def track(items: Iterable[Node], name: str = "V1", kind: str = "Video", **more: Any) -> Node:
    facts = {"OTIO_SCHEMA": "Track.1", "metadata": {}, "name": name, "source_range": None, "effects": [], "markers": [], "enabled": True}
    return {**facts, "children": list(items), "kind": kind, **more}


def stack(items: Iterable[Node], **more: Any) -> Node:
    facts = {"OTIO_SCHEMA": "Stack.1", "metadata": {}, "name": "tracks", "source_range": None, "effects": [], "markers": []}
    return {**facts, "enabled": True, "children": list(items), **more}


def timeline(*tracks: Node, start: float | None = 86400, rate: float = 24.0) -> Node:
    begin = None if start is None else time(start, rate)
    return {"OTIO_SCHEMA": "Timeline.1", "metadata": {}, "name": "cut", "global_start_time": begin, "tracks": stack(tracks)}


def long_edit(clips: int, rate: float = 24.0, media: str = "/media/A{:03}.mov") -> Node:
    """Return an edit of one track; each medium serves two clips, every fifth is followed by a gap."""
    items: list[Node] = []
    for number in range(clips):
        items.append(clip(f"SH{number:04}", 1100 + number % 300, 20 + number % 7, media.format(number // 2), rate))
        items += [gap(5, rate)] if number % 5 == 4 else []
    return timeline(track(items), start=round(rate) * 3600, rate=rate)


def write(path: Path, tree: Node) -> Path:
    path.write_text(json.dumps(tree), "utf-8")
    return path


def opened(folder: Path, tree: Node, name: str = "cut.otio") -> Timeline:
    """Return an edit as read from a file in `folder`."""
    return read_timeline(write(folder / name, tree))
