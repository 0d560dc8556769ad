"""Two workers of a farm against one on the same delivery, beside the ideal for two processors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.material import data_root
from tests.bench.report import Report, Table

COMMAND = (sys.executable, "-m", "grainlayer.cli", "deliver")
FORMATS = ("--base-codec", "av1", "--grain-format", "exr", "--json")
IDEAL, TARGET = 2.0, 1.5
SIZE, QUICK = (192, 160), (96, 80)
"""Pixels of the pictures; of those of a quick run the half goes into starting."""
BUSY = 0.3
"""Load average from which on other programs count."""
NOTES = (
    "Twelve shots of 1 to 8 frames, cut from real clips: base AV1, grain EXR, result ProRes, grain stream.",
    "Networks run on one thread a worker; the base's encoder starts as many as there are processors, so that one worker has a little "
    "more than one. All of the delivery counts: reading the edit, starting workers, loading networks, writing edit and manifest.",
)


def deliver(edit: Path, out: Path, workers: int) -> dict[str, Any]:
    """Deliver once and return the command's report."""
    words = [*COMMAND, str(edit), "-o", str(out), *FORMATS, "--farm", "local", "--workers", str(workers)]
    environment = os.environ | {"GRAINLAYER_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def run(quick: bool = False) -> Report:
    """Deliver with one worker and with two, in turn; quick: once, else three times, of which the best counts."""
    from tests.system import deliveries

    report = Report("farm", "Two workers of a farm")
    rounds = 1 if quick else 3
    before = os.getloadavg()[0]
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        edit = deliveries.twelve_shots(deliveries.cut_media(data_root(), folder, QUICK if quick else SIZE), folder)
        for turn in range(rounds):
            for workers, found in seconds.items():
                found.append(float(deliver(edit, folder / f"out{turn}-{workers}", workers)["seconds"]))
    best = {workers: min(found) for workers, found in seconds.items()}
    ratio = best[1] / best[2]
    rows = [[str(workers), f"{wall:.1f}", f"{best[1] / wall:.2f}", f"{workers:.2f}"] for workers, wall in best.items()]
    report.tables = [Table("One delivery", ["workers", "seconds", "speed-up", "ideal"], rows)]
    report.check(ratio >= TARGET, f"two workers are {ratio:.2f} times as fast as one (ideal {IDEAL:.2f}, target {TARGET})")
    others = "what else ran took its share" if before > BUSY else "nothing else ran"
    load = f"load average {before:.1f} before ({others}) and {os.getloadavg()[0]:.1f} after, {os.cpu_count()} processors"
    width, height = QUICK if quick else SIZE
    report.notes = [
        *NOTES,
        f"Pictures of {width}x{height}.",
        f"Best of {rounds}; {load}; one worker and two took turns.",
    ]
    report.figures = {str(workers): found for workers, found in seconds.items()}
    return report
