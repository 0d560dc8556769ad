"""Carry the grain of 5,000 clips over to the next cut, whole commands: reading, matching, injecting, writing."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from grainlayer.editorial.timeline import write_timeline
from tests import edits
from tests.bench.report import Report, Table

CLIPS = 5_000
TARGET = 5.0
COMMAND = (sys.executable, "-m", "grainlayer.cli", "otio")
KEYS = {"grain_amount": ((0, 0.5), (12, 1.25)), "grain_softness": ((3, 0.0), (9, 0.25))}
NOTES = (
    "Seconds are those of the whole command on one processor, start of Python included.",
    "Every clip has an own amount and size, every fourth two keyframed parameters; effect, metadata, marker's note and sidecar hold them.",
    "By media: the next cut comes from a program that kept nothing of ours; clips are reordered, a third trimmed or slipped.",
    "By uid: the next cut is the old file itself, re-ordered.",
    "The limit is what json takes to parse the same two files and write the result, the peer OpenTimelineIO's read_from_file and "
    "write_to_file of one of them, which does a third of the work.",
)


def old_cut(folder: Path, clips: int) -> Path:
    """Write a cut with grain and return its path."""
    edit = edits.opened(folder, edits.long_edit(clips), "plain.otio")
    changes = {}
    for placed in edit.shots:
        values = {"grain_amount": 0.25 + placed.index % 97 / 64, "grain_size": 0.5 + placed.index % 31 / 32}
        shot = edit.shot_of(placed).changed(values)
        changes[placed.index] = shot.changed({}, KEYS) if placed.index % 4 == 0 else shot
    return write_timeline(edit.changed(changes), folder / "old.otio").path


def next_cut(source: Path, out: Path, *, trims: bool) -> Path:
    """Write the clips of a cut in another order; a third of them trimmed or slipped by a few frames."""
    tree, rng = json.loads(source.read_text()), random.Random(5)
    items = tree["tracks"]["children"][0]["children"]
    for clip in items:
        if trims and clip["OTIO_SCHEMA"].startswith("Clip") and rng.random() < 1 / 3:
            clip["source_range"]["start_time"]["value"] += rng.choice((1.0, 2.0, 3.0))
            clip["source_range"]["duration"]["value"] -= rng.choice((0.0, 3.0))
    for first in range(0, len(items) - 40, 40):
        items[first : first + 20], items[first + 20 : first + 40] = items[first + 20 : first + 40], items[first : first + 20]
    out.write_text(json.dumps(tree))
    return out


def timed(action: Callable[[], Any], rounds: int) -> float:
    """Return the median of some rounds, in seconds."""
    found: list[float] = []
    for _ in range(rounds):
        began = time.monotonic()
        action()
        found.append(time.monotonic() - began)
    return median(found)


def command(*words: object) -> dict[str, Any]:
    """Run an `otio` command and return its report."""
    done = subprocess.run([*COMMAND, *map(str, words), "--json", "--overwrite"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def by_json(old: Path, new: Path, out: Path) -> None:
    """Parse both files and write one of them."""
    json.loads(old.read_bytes())
    out.write_text(json.dumps(json.loads(new.read_bytes())))


def by_opentimelineio(new: Path, out: Path) -> None:
    """Read one file and write it."""
    import opentimelineio as otio

    otio.adapters.write_to_file(otio.adapters.read_from_file(str(new)), str(out))


def run(quick: bool = False) -> Report:
    """Conform and set; quick: 500 clips, once."""
    clips, rounds = (CLIPS // 10, 1) if quick else (CLIPS, 3)
    report = Report("conform", f"An edit of {clips} clips")
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old = old_cut(folder, clips)
        cuts = {
            "by media": next_cut(folder / "plain.otio", folder / "media.otio", trims=True),
            "by uid": next_cut(old, folder / "uid.otio", trims=False),
        }
        for how, new in cuts.items():
            out = folder / f"out {how}.otio"
            seconds = timed(lambda new=new, out=out: command("conform", old, new, "-o", out), rounds)
            counts = command("conform", old, new, "-o", out)["counts"]
            limit, peer = (
                timed(lambda new=new: by_json(old, new, folder / "json"), rounds),
                timed(lambda out=out: by_opentimelineio(out, folder / "peer.otio"), rounds),
            )
            rows.append(
                [f"conform {how}", f"{seconds:.2f}", f"{limit:.2f}", f"{peer:.2f}", ", ".join(f"{k} {v}" for k, v in counts.items() if v)]
            )
            report.check(seconds < TARGET * clips / CLIPS or quick, f"conform {how}: {seconds:.2f} s (target {TARGET:g})")
            report.figures[f"conform {how}"] = seconds
        words = ("set", folder / "plain.otio", "-o", folder / "set.otio", "--clip", "*", "--grain-amount", "0.6")
        seconds = timed(lambda: command(*words), rounds)
        rows.append(["set on every clip", f"{seconds:.2f}", "", "", ""])
        report.check(seconds < TARGET or quick, f"set on every clip: {seconds:.2f} s (target {TARGET:g})")
        report.figures["set"] = seconds
    report.tables = [Table("Seconds", ["command", "ours", "json alone", "OpenTimelineIO", "outcome"], rows)]
    report.notes = list(NOTES)
    return report
