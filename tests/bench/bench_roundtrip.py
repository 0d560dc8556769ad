"""What every format of edits keeps of 200 clips' grain: alone, by a marker's note alone, and with conform."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grainlayer.editorial.conform import conform_files
from grainlayer.editorial.formats import BUNDLES, FORMATS, NATIVE, Format
from grainlayer.editorial.timeline import Timeline, read_timeline, write_timeline
from tests import edits
from tests.bench.report import Report, Table
from tests.system.test_otio import graded, grain, places, without_sidecar

CLIPS = 200
NOTES = (
    "Every clip has random values of every parameter, three keyframed parameters, and one in three a measured profile.",
    "As read back without the sidecar, which has everything anyway: clips whose parameters and keyframes are identical, whose profile is, "
    "and whose places in edit and media are.",
    "By conform: the file is the next cut of the edit; with our text in it, and from a program that kept nothing of ours.",
    "Note alone: effect and metadata are taken out of the .otio, the marker's note is left, as by Resolve.",
)


def _same(one: Sequence[Any], other: Sequence[Any]) -> int:
    return sum(a == b for a, b in zip(one, other, strict=True)) if len(one) == len(other) else 0


def _profiles(edit: Timeline) -> list[Any]:
    return [placed.shot.profile if placed.shot else None for placed in edit.shots]


def _conformed(old: Path, new: Path, edit: Timeline) -> int:
    out = new.with_name(f"{new.stem}_conformed.otio")
    conform_files(old, new, out)
    return _same(grain(read_timeline(out)), grain(edit))


def kept(form: Format, clips: int, folder: Path) -> list[int]:
    """Return how many clips keep grain, profile and places in a format, and how many get their grain by conform."""
    tree = edits.long_edit(clips, media="A{:03}.mov") if form in BUNDLES else edits.long_edit(clips)
    for number in range(clips // 2):
        (folder / f"A{number:03}.mov").write_bytes(b"pictures")
    edit = graded(folder, tree)
    old = write_timeline(edit, folder / "old.otio").path
    out = without_sidecar(write_timeline(edit, folder / f"out{form.suffixes[0]}").path)
    bare = without_sidecar(write_timeline(edits.opened(folder, tree, "plain.otio"), folder / f"bare{form.suffixes[0]}").path)
    again = read_timeline(out)
    alone = [_same(grain(again), grain(edit)), _same(_profiles(again), _profiles(edit)), _same(places(again), places(edit))]
    return [*alone, _conformed(old, out, edit), _conformed(old, bare, edit)]


def by_note(clips: int, folder: Path) -> list[int]:
    """Return the same for a marker's note alone."""
    edit = graded(folder, edits.long_edit(clips))
    old = write_timeline(edit, folder / "old.otio").path
    tree = json.loads(old.read_text())
    for clip in tree["tracks"]["children"][0]["children"]:
        clip["effects"], clip["metadata"] = [], {}
    note = edits.write(folder / "note.otio", tree)
    again = read_timeline(note)
    alone = [_same(grain(again), grain(edit)), _same(_profiles(again), _profiles(edit)), _same(places(again), places(edit))]
    return [*alone, _conformed(old, note, edit), clips]


def run(quick: bool = False) -> Report:
    """Write and read every format; quick: 20 clips."""
    clips = CLIPS // 10 if quick else CLIPS
    report = Report("roundtrip", f"What edits of {clips} clips keep")
    rows: list[list[str]] = []
    for form in [*FORMATS, None]:
        label = form.label if form else "OpenTimelineIO, note alone"
        with tempfile.TemporaryDirectory() as name:
            found = kept(form, clips, Path(name)) if form else by_note(clips, Path(name))
        rows.append([label, *map(str, found[:4]), str(found[4]) if form else ""])
        whole = form is NATIVE or form in BUNDLES or form is None
        report.check(found[0] == clips, f"{label}: parameters and keyframes of {found[0]} of {clips} clips identical")
        report.check(found[3] == found[4] == clips or whole, f"{label}: by conform {found[3]} with our text, {found[4]} without")
        report.figures[label] = found
    head = ["format", "parameters and keyframes", "profiles", "places", "conform", "conform, nothing of ours"]
    report.tables = [Table(f"Clips of {clips}", head, rows)]
    report.notes = list(NOTES)
    return report
