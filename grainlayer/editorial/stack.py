"""Write the delivered edit: for every picture track one of bases, one of grain above it, and one of results that is switched off.

Editors recombine base and grain by Add where the grain is stored in floats, by Linear Light at 50 % where it is codes around the
middle. Transitions, retimes and gaps stay as they are: both layers have them alike, so the sum of the layers has them too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from grainlayer.editorial.carriers import cleaned, is_our_effect, put_native
from grainlayer.editorial.clips import Node, children, media_reference, schema_of
from grainlayer.editorial.order import NUMBER, Order, unit_of
from grainlayer.editorial.plan import Job, Plan
from grainlayer.editorial.shots import Placement, Shot

if TYPE_CHECKING:
    from grainlayer.editorial.timeline import Timeline

LAYER = "grainlayer_layer"
"""Key of a track's and a clip's metadata that says which layer it is and how it blends."""
STACKED = ("base", "grain", "result")
ADD, LINEAR_LIGHT = "Add", "Linear Light"


@dataclass(frozen=True)
class Stacker:
    """Turn an edit into its layers.

    jobs   what was delivered of each clip, by Python's id() of the clip
    shots  where each clip with grain lies, and its grain, by the same
    """

    order: Order
    out: Path
    jobs: Mapping[int, Job]
    shots: Mapping[int, tuple[Placement, Shot]]

    def document(self, root: Node, name: str) -> Node:
        """Return a timeline of layers, whatever the item was."""
        if schema_of(root) != "Timeline":
            inside = root if schema_of(root) == "Stack" else composition("Stack", [root])
            root = {"OTIO_SCHEMA": "Timeline.1", "metadata": {}, "name": name, "global_start_time": None, "tracks": inside}
        tracks = root.get("tracks")
        return {**root, "tracks": self._tracks(tracks if isinstance(tracks, dict) else composition("Stack", []))}

    def _tracks(self, stack: Node) -> Node:
        """Return the outermost stack with every picture track as its layers."""
        found: list[Node] = []
        for number, child in enumerate(stack.get("children") or [], 1):
            track = child if schema_of(child) == "Track" else composition("Track", [child])
            if track.get("kind", "Video") != "Video":
                found.append(child)
                continue
            name = track.get("name") or f"V{number}"
            for layer in STACKED:
                if layer in self.order.layers:
                    found.append(self._track(track, layer, f"{name} {layer}"))
        return {**stack, "children": found}

    def _track(self, track: Node, layer: str, name: str) -> Node:
        made = marked(self._layer(track, layer), layer, self.order)
        return {**made, "name": name, "enabled": layer != "result" and track.get("enabled") is not False}

    def _layer(self, node: Node, layer: str) -> Node:
        """Return an item as a layer shows it: clips with the layer's media, all else as it is."""
        if schema_of(node) == "Clip":
            return self._clip(node, layer)
        inside = node.get("children")
        if not isinstance(inside, list):
            return node
        return {**node, "children": [self._layer(child, layer) if isinstance(child, dict) else child for child in inside]}

    def _clip(self, clip: Node, layer: str) -> Node:
        """Return a clip of a layer; one that was not delivered keeps its media in the base, and is a gap elsewhere."""
        job = self.jobs.get(id(clip))
        if job is None:
            return clip if layer == "base" else gap(clip)
        made = marked(cleaned(clip, native=True), layer, self.order)
        if layer == "base" and id(clip) in self.shots:
            made = with_grain(made, *self.shots[id(clip)])
        reference = self.reference(clip, job, layer)
        if "media_references" in clip:
            return {**made, "media_references": {"DEFAULT_MEDIA": reference}, "active_media_reference_key": "DEFAULT_MEDIA"}
        return {**made, "media_reference": reference}

    def reference(self, clip: Node, job: Job, layer: str) -> Node:
        """Return the reference to a clip's layer, with the frames that it holds."""
        path = {"base": job.task.base, "grain": job.task.grain, "result": job.task.result}[layer](self.order)
        start, duration = job.used.available()
        old = media_reference(clip)
        common = {"metadata": {LAYER: layer}, "name": PurePosixPath(unit_of(path)).name, "available_image_bounds": None}
        common |= {"available_range": span(start, duration, job.used.rate)}
        if unit_of(path) == path:
            return {"OTIO_SCHEMA": "ExternalReference.1", **common, "target_url": self.url(path)}
        prefix, suffix = PurePosixPath(path).name.split(NUMBER)
        return {
            "OTIO_SCHEMA": "ImageSequenceReference.1",
            **common,
            "target_url_base": self.url(str(PurePosixPath(path).parent)) + "/",
            "name_prefix": prefix,
            "name_suffix": suffix,
            "start_frame": job.task.number,
            "frame_step": 1,
            "rate": float(job.used.rate / job.used.unit),
            "frame_zero_padding": 8,
            "missing_frame_policy": old.get("missing_frame_policy", "error"),
        }

    def url(self, path: str) -> str:
        """Return a delivered file as the edit names it."""
        return str((self.out / path).resolve()) if self.order.absolute else path


def blend_of(layer: str, order: Order) -> dict[str, Any]:
    """Return how a layer lies over the one below it."""
    if layer != "grain":
        return {"layer": layer, "blend": "Normal", "opacity": 100}
    if order.grain_format == "exr":
        return {"layer": layer, "blend": ADD, "opacity": 100, "neutral": 0.0}
    return {"layer": layer, "blend": LINEAR_LIGHT, "opacity": 50, "neutral": 0.5}


def marked(node: Node, layer: str, order: Order) -> Node:
    """Return a track or clip that says which layer it is."""
    old = node.get("metadata")
    return {**node, "metadata": {**(old if isinstance(old, dict) else {}), LAYER: blend_of(layer, order)}}


def with_grain(clip: Node, placement: Placement, shot: Shot) -> Node:
    """Return a clip that says its shot's grain in metadata and marker; without the effect, for the layers are split already."""
    put = put_native(clip, placement, shot)
    return {**put, "effects": [effect for effect in put["effects"] if not is_our_effect(effect)]}


def gap(clip: Node) -> Node:
    """Return a gap as long as a clip."""
    found = clip.get("source_range") or media_reference(clip).get("available_range") or span(Fraction(0), Fraction(0), Fraction(24))
    empty = {"metadata": {}, "name": "", "effects": [], "markers": [], "enabled": True}
    return {"OTIO_SCHEMA": "Gap.1", **empty, "source_range": found}


def composition(kind: str, inside: list[Node]) -> Node:
    """Return a new track or stack."""
    empty: Node = {"metadata": {}, "name": "tracks" if kind == "Stack" else "", "source_range": None, "effects": [], "markers": []}
    return {"OTIO_SCHEMA": f"{kind}.1", **empty, "enabled": True, "children": inside} | ({"kind": "Video"} if kind == "Track" else {})


def span(start: Fraction, duration: Fraction, rate: Fraction) -> Node:
    """Return an OTIO time range."""
    return {"OTIO_SCHEMA": "TimeRange.1", "start_time": _time(start, rate), "duration": _time(duration, rate)}


def _time(value: Fraction, rate: Fraction) -> Node:
    return {"OTIO_SCHEMA": "RationalTime.1", "rate": float(rate), "value": float(value)}


def timelines(root: Node) -> list[Node]:
    """Return what is delivered as an edit of its own: all of a document, but each timeline of a collection.

    Clips and stacks that lie in a collection by themselves follow each other on a track, beside its tracks.
    """
    if schema_of(root) != "SerializableCollection":
        return [root]
    items = list(_items(root))
    lines = [item for item in items if schema_of(item) == "Timeline"]
    tracks = [item for item in items if schema_of(item) == "Track"]
    loose = [item for item in items if schema_of(item) in ("Clip", "Stack")]
    if loose or tracks:
        lines.append(composition("Stack", [*([composition("Track", loose)] if loose else []), *tracks]))
    return lines or [composition("Stack", [])]


def _items(collection: Node) -> Iterator[Node]:
    for child in children(collection):
        if schema_of(child) == "SerializableCollection":
            yield from _items(child)
        else:
            yield child


def titles(root: Node) -> list[str]:
    """Return the names of a document's delivered edits."""
    return [str(item.get("name") or "") if schema_of(item) == "Timeline" else "clips" for item in timelines(root)]


def delivered(edit: Timeline, plan: Plan, order: Order, out: Path, failed: Callable[[int], bool]) -> list[Node]:
    """Return the delivered edits' JSON; clips whose layers are not there keep their media."""
    pairs = list(zip(edit.found, edit.shots, strict=True))
    jobs = {id(f.node): plan.jobs[p.index] for f, p in pairs if p.index in plan.jobs and not failed(p.index)}
    shots = {id(f.node): (p.placement, p.shot) for f, p in pairs if p.shot is not None}
    stacker = Stacker(order, out, jobs, shots)
    return [stacker.document(item, edit.shots.name) for item in timelines(edit.tree)]
