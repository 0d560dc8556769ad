"""Do what OpenTimelineIO's hooks ask: our grain goes in and out with any adapter, and documents without it are never touched.

The hooks' arguments may hold `grainlayer`: "off" does nothing, the key of a format (`fcp_xml`) says which one a string is written in.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from grainlayer.editorial.carriers import PutAll, put_metadata, replaced
from grainlayer.editorial.clips import Found, Node
from grainlayer.editorial.companion import Companion
from grainlayer.editorial.formats import FORMATS, NATIVE, format_named
from grainlayer.editorial.shots import Shot
from grainlayer.editorial.timeline import understand

LOG = logging.getLogger(__name__)
WORD = "grainlayer"


def extracted(document: Any, arguments: Mapping[str, Any]) -> Any:
    """Return a document that was read, with our grain as effect and metadata wherever it was carried otherwise."""
    return _guarded(document, arguments, lambda tree: _put(tree, _put_all_metadata))


def _put_all_metadata(found: Sequence[Found], shots: Sequence[Shot | None]) -> list[Node]:
    return [put_metadata(clip.node, shot) if shot else clip.node for clip, shot in zip(found, shots, strict=True)]


def carried(document: Any, arguments: Mapping[str, Any]) -> Any:
    """Return a document that is going to be written, with our grain where the format keeps it."""
    return _guarded(document, arguments, lambda tree: _put(tree, _put_for(arguments)))


def _put_for(arguments: Mapping[str, Any]) -> PutAll:
    """Return what serves the format that the arguments name; where they name none, as for most strings, nothing is put."""
    named = next((form for form in FORMATS if form.key == arguments.get(WORD)), None)
    path = arguments.get("_filepath")
    form = named or (format_named(Path(path)) if isinstance(path, str) else None)
    return form.put if form else _put_nothing


def _put_nothing(found: Sequence[Found], shots: Sequence[Shot | None]) -> list[Node]:
    return [clip.node for clip in found]


def _guarded(document: Any, arguments: Mapping[str, Any], change: Callable[[Node], Node]) -> Any:
    """Return the changed document, or the document itself if nothing of ours is in it, or if what is there cannot be used."""
    if arguments.get(WORD) == "off" or not hasattr(document, "to_json_string"):
        return document
    text = document.to_json_string()
    if WORD not in text:
        return document
    try:
        import opentimelineio

        tree = json.loads(text)
        other = change(tree)
        return document if other == tree else opentimelineio.core.deserialize_json_from_string(json.dumps(other))
    except Exception as error:  # whatever is wrong with our part, the rest of the user's file must come through
        LOG.warning("The grain in this timeline is left as it is. %s", error)
        return document


def _put(tree: Node, put: PutAll) -> Node:
    """Return a document with the grain that its clips have put elsewhere; clips whose carriers contradict each other stay as they are."""
    edit = understand(tree, NATIVE, Path("timeline"), Companion())
    for problem in (*edit.shots.problems, *map(str, edit.shots.conflicts)):
        LOG.info("%s", problem)
    open_ = {conflict.uid for conflict in edit.shots.conflicts}
    clips = put(edit.found, [None if placed.uid in open_ else placed.shot for placed in edit.shots])
    pairs = zip(edit.found, clips, strict=True)
    return replaced(tree, {id(found.node): clip for found, clip in pairs if clip is not found.node})
