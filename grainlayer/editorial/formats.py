"""Read edits of any format into parsed OTIO JSON, and write them back: OTIO's own files directly, the rest by OpenTimelineIO's adapters."""

from __future__ import annotations

import json
import re
import shutil
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from grainlayer.editorial.carriers import PutAll, put_ale, put_all_aaf, put_each, put_edl, put_fcp7, put_fcpx, put_native, stated_rate
from grainlayer.editorial.clips import DEFAULT_RATE, Node, children, exact_rate, media_reference, path_of, schema_of
from grainlayer.editorial.jsonform import indented
from grainlayer.errors import TimelineError

CONTENT = "content.otio"
"""The edit inside a bundle."""
ROOTS = ("Timeline", "Clip", "SerializableCollection", "Stack", "Track")
EXTRA = "pip install 'grainlayer[otio]'"
LONGEST = 1 << 30
"""Bytes of an edit, at most."""


@dataclass(frozen=True)
class Format:
    """Describe a format of edits.

    adapter   OpenTimelineIO's name for it
    put       puts the grain of a document's clips where the format keeps it
    carrier   where that is, in words
    loses     what of ours the format does not keep, in words
    remarks   what else a user should know
    reading, writing  options for the adapter; `rate` stands for the timeline's rate
    """

    key: str
    label: str
    suffixes: tuple[str, ...]
    adapter: str
    put: PutAll
    carrier: str
    loses: str = ""
    remarks: str = ""
    reading: dict[str, Any] = field(default_factory=dict)
    writing: dict[str, Any] = field(default_factory=dict)


EVERYWHERE = "effect, clip metadata and a marker's note (uid and parameters)"
NO_PROFILE = "measured profiles (the sidecar has them)"
MEDIA = "Clips must state the range of their media. Sequences of images are refused."
NATIVE = Format("otio", "OpenTimelineIO", (".otio", ".json"), "otio_json", put_each(put_native), EVERYWHERE)
ZIPPED = Format(
    "otioz", "OTIO bundle, zipped", (".otioz",), "otioz", put_each(put_native), EVERYWHERE, remarks="All media must be on disk."
)
FOLDER = Format(
    "otiod", "OTIO bundle, folder", (".otiod",), "otiod", put_each(put_native), EVERYWHERE, remarks="All media must be on disk."
)
FCP7 = Format("fcp_xml", "Final Cut Pro 7 XML", (".xml",), "fcp_xml", put_each(put_fcp7), "a master comment of the clip", NO_PROFILE, MEDIA)
FCPX = Format(
    "fcpx_xml",
    "Final Cut Pro X XML",
    (".fcpxml",),
    "fcpx_xml",
    put_each(put_fcpx),
    "the name of a marker",
    NO_PROFILE,
    "Rates of 23.976, 29.97 and 59.94 are refused: the adapter crashes on them or gets times wrong; at 25 a few times are a frame early. "
    + MEDIA,
)
EDL = Format(
    "cmx_3600",
    "EDL (CMX 3600)",
    (".edl",),
    "cmx_3600",
    put_each(put_edl),
    "a comment line of the event",
    NO_PROFILE,
    "One picture track. The rate comes from `--rate`, the sidecar or our own comments; else 24 is taken, which is reported.",
    {"rate": "rate"},
)
AAF = Format(
    "aaf",
    "AAF",
    (".aaf",),
    "AAF",
    put_all_aaf,
    "user comments of the master, one a clip",
    NO_PROFILE,
    "Every clip must state the range of its media. Transitions of other formats are refused.",
    writing={"use_empty_mob_ids": True},
)
ALE = Format(
    "ale",
    "Avid Log Exchange",
    (".ale",),
    "ale",
    put_each(put_ale),
    "a column `GrainLayer`",
    NO_PROFILE,
    "A list of clips without places in an edit. The rate comes from the file's heading.",
    {"fps": "rate"},
    {"fps": "rate"},
)
FORMATS: tuple[Format, ...] = (NATIVE, ZIPPED, FOLDER, FCP7, FCPX, EDL, AAF, ALE)
BUNDLES = (ZIPPED, FOLDER)


def format_named(path: Path) -> Format | None:
    """Return the format that a file's suffix names, or None."""
    suffix = path.suffix.lower()
    return next((form for form in FORMATS if suffix in form.suffixes), None)


def format_for_output(path: Path) -> Format:
    """Return the format to write. Raise TimelineError, naming those that can be, if the suffix says none."""
    found = format_named(path)
    if found is None:
        known = ", ".join(suffix for form in FORMATS for suffix in form.suffixes)
        raise TimelineError(f"{path.name} has no suffix of an edit; end it in one of {known}.")
    return found


def load(path: Path, rate: Fraction | None) -> tuple[Node, Format]:
    """Return an edit as parsed OTIO JSON, and its format. Raise TimelineError, in one sentence, if it cannot be read or is no edit.

    rate  frames a second, for formats that do not state it
    """
    if not path.exists():
        raise TimelineError(f"There is no file {path}; check the path.")
    form = format_named(path) or NATIVE
    if form is NATIVE:
        tree = parse(_read(path, path), path)
    elif form in BUNDLES:
        tree = parse(_from_bundle(path), path)
    else:
        tree = _by_adapter(path, form, rate)
    if schema_of(tree) not in ROOTS:
        raise TimelineError(f"{path.name} holds a {tree['OTIO_SCHEMA']}, neither a timeline nor a clip; export the timeline itself.")
    return tree, form


def _read(path: Path, whole: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LONGEST)
    except OSError as error:
        raise TimelineError(f"{whole.name} cannot be read ({error.strerror}); check that it is an edit, and its permissions.") from error


def _from_bundle(path: Path) -> bytes:
    if path.is_dir():
        return _read(path / CONTENT, path)
    try:
        with zipfile.ZipFile(path) as bundle, bundle.open(CONTENT) as file:
            return file.read(LONGEST)
    except (OSError, KeyError, zipfile.BadZipFile, RuntimeError) as error:
        raise TimelineError(f"{path.name} is no OTIO bundle ({error}); export it again.") from error


def states_no_rate(path: Path) -> bool:
    """Say whether a file is of a format that does not state its rate."""
    return format_named(path) is EDL


def own_rate(path: Path) -> Fraction | None:
    """Return the rate that our comments state in a file of such a format, or None. Raise TimelineError if it cannot be read."""
    return stated_rate(_read(path, path).decode("utf-8", "replace")) if states_no_rate(path) and path.is_file() else None


def parse(data: bytes, path: Path) -> Node:
    """Return OTIO's own JSON, parsed: numbers as the file has them, keys in its order. Raise TimelineError if it is none."""
    try:
        tree = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise TimelineError(f"{path.name} is no OpenTimelineIO file ({type(error).__name__}); export it again as .otio.") from error
    if not isinstance(tree, dict) or not isinstance(tree.get("OTIO_SCHEMA"), str):
        raise TimelineError(f"{path.name} is JSON, but no OpenTimelineIO file: it names no OTIO_SCHEMA; export it again as .otio.")
    return tree


def dump(tree: Node) -> bytes:
    """Return parsed JSON as a file's bytes, doubles with all their digits."""
    try:
        return indented(tree, 4, ascii_only=False).encode("utf-8")
    except UnicodeEncodeError:
        return indented(tree, 4, ascii_only=True).encode("ascii")


def save(tree: Node, out: Path, form: Format, source: Path, rate: Fraction) -> None:
    """Write an edit that came from `source`; `out` must not exist, and its folder is a place for unfinished files.

    Raise TimelineError if the format cannot hold it or its adapter is not there.
    """
    if form is NATIVE:
        out.write_bytes(dump(absolute(tree, source) if source.is_dir() else tree))
    elif form in BUNDLES and format_named(source) in BUNDLES:
        _rebundle(tree, out, form, source)
    else:
        _write_by_adapter(absolute(tree, source), out, form, rate)


def _rebundle(tree: Node, out: Path, form: Format, source: Path) -> None:
    """Write a bundle with another bundle's media."""
    folder = out if form is FOLDER else out.with_name("unpacked")
    if source.is_dir():
        shutil.copytree(source, folder)
    else:
        with zipfile.ZipFile(source) as bundle:
            bundle.extractall(folder)
    (folder / CONTENT).write_bytes(dump(tree))
    if form is ZIPPED:
        (folder / "version.txt").write_text("1.0.0")
        with zipfile.ZipFile(out, "w") as bundle:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                packed = zipfile.ZIP_STORED if path.parent.name == "media" else zipfile.ZIP_DEFLATED
                bundle.write(path, path.relative_to(folder).as_posix(), packed)


def _rewritten(value: Any, change: Callable[[Node], Node]) -> Any:
    """Return JSON in which `change` was applied to every object of OTIO, the innermost first; metadata is left alone."""
    if isinstance(value, list):
        return [_rewritten(item, change) for item in value]
    if not isinstance(value, dict):
        return value
    return change({key: item if key == "metadata" else _rewritten(item, change) for key, item in value.items()})


def absolute(tree: Node, source: Path) -> Node:
    """Return a document whose relative media paths lead from the place where it was read."""
    folder = (source if source.is_dir() else source.parent).resolve()

    def change(node: Node) -> Node:
        url = node.get("target_url")
        if schema_of(node) != "ExternalReference" or not isinstance(url, str) or re.match(r"[A-Za-z][\w+.-]*:|[/\\]|$", url):
            return node
        return {**node, "target_url": str(folder / path_of(url))}

    return _rewritten(tree, change)


def exact_rates(tree: Node) -> Node:
    """Return a document whose rates of 23.976 and their kin are 24000/1001, which adapters need."""

    def change(node: Node) -> Node:
        rate = node.get("rate")
        if schema_of(node) != "RationalTime" or isinstance(rate, bool) or not isinstance(rate, int | float):
            return node
        return {**node, "rate": float(exact_rate(rate))}

    return _rewritten(tree, change)


def as_timeline(tree: Node) -> Node:
    """Return a timeline with a bare clip, track or stack in it; a timeline or a collection as it is."""
    kind, common = schema_of(tree), {"metadata": {}, "name": str(tree.get("name") or ""), "effects": [], "markers": [], "enabled": True}
    if kind == "Clip":
        tree = {"OTIO_SCHEMA": "Track.1", **common, "source_range": None, "children": [tree], "kind": "Video"}
    if kind in ("Clip", "Track"):
        tree = {"OTIO_SCHEMA": "Stack.1", **common, "source_range": None, "children": [tree]}
    if kind in ("Clip", "Track", "Stack"):
        tree = {"OTIO_SCHEMA": "Timeline.1", "metadata": {}, "name": common["name"], "global_start_time": None, "tracks": tree}
    return tree


def _options(wanted: dict[str, Any], rate: Fraction) -> dict[str, Any]:
    return {key: float(rate) if value == "rate" else value for key, value in wanted.items()}


def _adapter(form: Format, name: str) -> Any:
    """Return OpenTimelineIO's adapter. Raise TimelineError, saying what to install, if it is not there."""
    try:
        import opentimelineio

        adapter = opentimelineio.adapters.from_name(form.adapter)
        adapter.module()
    except Exception as error:
        raise TimelineError(f"{name} needs OpenTimelineIO's adapter for {form.label}; install it with {EXTRA}.") from error
    return adapter


def _by_adapter(path: Path, form: Format, rate: Fraction | None) -> Node:
    if form is FCPX and b'frameDuration="1001/' in _read(path, path):
        raise TimelineError(_ntsc(path.name, "read"))
    adapter = _adapter(form, path.name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = adapter.read_from_file(str(path), hook_function_argument_map=OURSELVES, **_options(form.reading, rate or DEFAULT_RATE))
        return json.loads(found.to_json_string())
    except Exception as error:
        advice = "say its rate with --rate, or export it again" if form is EDL else "export it again, or as OTIO"
        raise TimelineError(f"{path.name} cannot be read as {form.label} ({_reason(error)}); {advice}.") from error


OURSELVES = {"grainlayer": "off"}
"""What our own calls tell our hooks: nothing is left to do."""


def _write_by_adapter(tree: Node, out: Path, form: Format, rate: Fraction) -> None:
    if form is FCPX and rate.denominator != 1:
        raise TimelineError(_ntsc(out.name, "written"))
    obstacle = _obstacle(tree, form)
    if obstacle:
        raise TimelineError(f"{out.name} cannot be written as {form.label}: {obstacle}, or choose .otio instead.")
    adapter = _adapter(form, out.name)
    try:
        import opentimelineio

        document = opentimelineio.core.deserialize_json_from_string(json.dumps(as_timeline(exact_rates(tree))))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adapter.write_to_file(document, str(out), hook_function_argument_map=OURSELVES, **_options(form.writing, rate))
    except Exception as error:
        raise TimelineError(f"{out.name} cannot be written as {form.label} ({_reason(error)}); choose .otio instead.") from error


def _obstacle(tree: Node, form: Format) -> str | None:
    """Return why a format's adapter cannot write an edit, as far as that is known beforehand: its own errors do not say it well."""
    for node in _items(tree):
        kind, name, reference = schema_of(node), node.get("name"), media_reference(node)
        if kind == "Transition" and form is AAF and "AAF" not in (node.get("metadata") or {}):
            return "its adapter writes no transitions but those of an AAF; take them out"
        if kind != "Clip" or form not in (FCP7, FCPX, AAF):
            continue
        sequence = schema_of(reference) == "ImageSequenceReference"
        if sequence and form is not AAF:
            return f'"{name}" is a sequence of images, which its adapter does not know; make a movie of it'
        if not isinstance(reference.get("available_range"), dict) and (form is AAF or reference.get("target_url")):
            return f'"{name}" does not state the range of its media, which its adapter needs; export the edit with it'
    return None


def _items(node: Node) -> Iterator[Node]:
    yield node
    for child in children(node):
        yield from _items(child)


def _ntsc(name: str, done: str) -> str:
    return (
        f"{name} cannot be {done}: Final Cut Pro X XML of 23.976, 29.97 or 59.94 frames a second is beyond its adapter; use .otio or .xml."
    )


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
