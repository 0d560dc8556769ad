"""Train every task for some steps, narrow and on small pictures: `python -m tests.train_smoke`, by `make train-smoke`.

The material is made on the spot. Prints each task's mean loss over its first and its last steps, and fails where it does not fall.
An adversarial task's loss rises and falls with its critic's skill, so that there the l1 part must fall; the critic's is shown.
Then a run of ours, one of the seed's and one of restoration are killed, started again, and must log what the one that ran through did.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np

from models import septuplets, synthbank, synthtrain, train
from models.restoretasks import TASKS as RESTORATION
from models.runfolder import Rows, read_log
from models.seedtasks import TASKS as SEED
from models.tasks import INT8
from models.trees import write_picture

STEPS, SHOWN, SIZE = 60, 10, 64
KILLED_AT, SAVED = 45, 20
"""Step in which a run is killed, between a checkpoint and a row of the log, and steps between checkpoints."""
KILLED = ("removal", "removal_case_1", "restore-1")
TIMED = "seconds"
COMMON = ("--steps", STEPS, "--every", SHOWN)
SEPTUPLETS = ("--photographs", 4, "--shots", 2, "--frames", 7, "--width", SIZE, "--height", SIZE, "--recordings", 2)
RESTORED = ("--late", 1, "--rate", 0.004, "--save", SAVED, "--validate", STEPS)
CROPS = {"toflow": ("--batch", 2, "--size", 16), "restore-quality": ("--batch", 4, "--size", 32)}
"""Batches of the slow nets; those of the others are 8 of 32 pixels."""
OURS = ("--batch", 8, "--size", 32, "--late", 1, "--square", 1, "--widen", 0, "--rate", 0.01, "--save", SAVED, "--validate", STEPS)


SMALL = {"RADII": (0.6, 1.2), "SPREADS": (0.5, 1.0), "GREYS": (0.2, 0.5, 0.8), "PHOTOGRAPHS": 1, "SIZE": 48, "SAMPLES": 4}
SMALL_STEPS = {"PATCH": 48, "CONDITIONS": 3, "REPEATS": 2}
"""What makes the synthesiser's truth a matter of seconds."""


def shrink() -> None:
    """Make the synthesiser learn from a small bank by small steps."""
    for module, values in ((synthbank, SMALL), (synthtrain, SMALL | SMALL_STEPS)):
        for name, value in values.items():
            if hasattr(module, name):
                setattr(module, name, value)


def waves(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return a smooth picture (size, size, 3), 0..1."""
    place = np.linspace(0, 2 * np.pi, size)
    y, x = np.meshgrid(place * rng.uniform(0.5, 2), place * rng.uniform(0.5, 2), indexing="ij")
    return np.stack([0.5 + 0.35 * np.sin(y + phase) * np.cos(x - phase) for phase in rng.uniform(0, 6, 3)], axis=2)


def make_tree(path: Path, count: int, size: int, levels: dict[str, float]) -> None:
    """Write smooth pictures under org/ and the same with white noise under fg/<level>/."""
    rng = np.random.default_rng(3)
    for folder in ("org", *(f"fg/{level}" for level in levels)):
        (path / folder).mkdir(parents=True)
    for number in range(count):
        clean = waves(rng, size)
        write_picture(path / "org" / f"{number}.png", clean)
        for level, strength in levels.items():
            write_picture(path / "fg" / level / f"{number}.png", clean + strength * rng.standard_normal(clean.shape))


def make_clip(path: Path, size: int) -> None:
    """Write six frames of a picture that moves, lossless."""
    path.parent.mkdir(parents=True)
    whole = np.round(waves(np.random.default_rng(5), size + 12) * 255).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = size, size, "bgr0"
        for shift in range(0, 12, 2):
            part = np.ascontiguousarray(whole[shift : shift + size, shift : shift + size])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(part, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode())


def make_material(folder: Path) -> None:
    """Write a tree, pictures, a clip, a cache of septuplets and a config under a folder."""
    make_tree(folder / "tree", 3, SIZE, {"05": 0.05, "1": 0.1})
    make_tree(folder / "pictures", 4, 2 * SIZE, {})
    make_clip(folder / "clips" / "clip.mkv", 2 * SIZE)
    given = (*SEPTUPLETS, "--out", folder / "septuplets", "--pictures", folder / "pictures" / "org", "--clips")
    with contextlib.redirect_stdout(io.StringIO()):
        septuplets.main([str(word) for word in given])
    (folder / "seed.toml").write_text(f"input_dim = {SIZE}\nrate_generator = 1e-3\nlevels = []\n")


def options(task: str, folder: Path) -> list[str]:
    """Return the command line of a task, all but --out; a program that is not known here is given pictures as --data."""
    pictures = folder / "pictures" / "org"
    given: tuple[object, ...] = ("--task", task, *COMMON)
    if task in SEED:
        given += ("--path", folder / "tree", "--config", folder / "seed.toml", "--width", 8, "--save", SAVED, "--validate", STEPS)
    elif task in RESTORATION:
        given += ("--data", folder / "septuplets", *RESTORED, *CROPS.get(task, ("--batch", 8, "--size", 32)))
    else:
        given += ("--data", pictures)
    if task in train.TASKS:
        given += ("--held", pictures, *OURS)
    if task == "synth":
        given += ("--save", SAVED)
    checkpoint = {name: folder / name / "last.pt" for name in train.TASKS}
    extra = {"temporal": ("--clips", folder / "clips"), "fast": ("--teacher", checkpoint["removal"])}
    extra |= {task: ("--start", checkpoint[start], "--teacher", checkpoint["removal"], "--rate", 0.002) for task, start in INT8.items()}
    return [str(word) for word in (*given, *extra.get(task, ()))]


def run(task: str, folder: Path, out: Path) -> Rows:
    """Train a task by its command and return the rows of its log."""
    with contextlib.redirect_stdout(io.StringIO()):
        train.main([*options(task, folder), "--out", str(out)])
    return read_log(out / "log.csv")


def run_until_killed(task: str, folder: Path, out: Path) -> None:
    """Train a task in this process, which kills itself in the middle."""
    program = importlib.import_module(train.PROGRAMS.get(task, "models.train"))
    one_step = program.Run.one_step

    def doomed(self: object, *given: object) -> object:
        if self.step == KILLED_AT:
            os.kill(os.getpid(), signal.SIGKILL)
        return one_step(self, *given)

    program.Run.one_step = doomed
    run(task, folder, out)


def falls(task: str, rows: Rows) -> bool:
    """Print a task's first and last losses and return whether the one that must fall does."""
    adversarial = task in SEED and SEED[task].loss == "adversarial"
    fell = True
    for column in ("l1", "critic") if adversarial else ("loss",):
        first, last = float(rows[0][column]), float(rows[-1][column])
        rose = not last < first and column != "critic"
        fell = fell and not rose
        name = task if column == "loss" else f"{task}, {column}"
        print(f"{name:32}{first:12.5f}{last:12.5f}{'   did not fall' if rose else ''}", flush=True)
    return fell


def resumes(task: str, folder: Path, straight: Rows) -> bool:
    """Kill a run, start it again, and print and return whether it logs what the one that ran through did."""
    out = folder / f"{task}-killed"
    child = multiprocessing.get_context("spawn").Process(target=run_until_killed, args=(task, folder, out))
    child.start()
    child.join()
    before = len(read_log(out / "log.csv"))
    killed = child.exitcode == -signal.SIGKILL and before < len(straight)
    rows = run(task, folder, out)
    same = killed and [{**row, TIMED: ""} for row in rows] == [{**row, TIMED: ""} for row in straight]
    verdict = "the same curve as the run that went through" if same else "another curve" if killed else "it could not be killed"
    print(f"{task}: killed in step {KILLED_AT + 1}, started again at step {KILLED_AT // SAVED * SAVED}: {verdict}", flush=True)
    return same


def main() -> int:
    """Train all tasks and return 1 where a loss did not fall or a curve differs."""
    shrink()
    began, tasks = time.monotonic(), (*train.TASKS, *train.PROGRAMS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_material(folder)
        print(f"{'task':32}{'first loss':>12}{'last loss':>12}   means over {SHOWN} of {STEPS} steps")
        logs: dict[str, Rows] = {}
        fell: list[bool] = []
        for task in tasks:
            logs[task] = run(task, folder, folder / task)
            fell.append(falls(task, logs[task]))
        same = [resumes(task, folder, logs[task]) for task in KILLED]
    failed = fell.count(False)
    verdict = f"{failed} losses did not fall" if failed else "every loss fell"
    verdict += "" if all(same) else "; a run that was killed went on differently"
    print(f"{len(tasks)} tasks in {time.monotonic() - began:.0f} seconds; {verdict}.")
    return int(failed > 0 or not all(same))


if __name__ == "__main__":
    sys.exit(main())
