"""Train every task of the seed for some steps, narrow and on small pictures: `python -m tests.train_smoke`, by `make train-smoke`.

The tree is made on the spot. Prints each task's mean loss over its first and its last steps, and fails where it does not fall.
An adversarial task's loss rises and falls with its critic's skill, so that there the l1 part must fall; the critic's is shown.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from models.seedtasks import TASKS
from models.seedtrain import Config, Options, Run, read_log
from models.trees import read_tree, write_picture

STEPS, SHOWN, SIZE, WIDTH = 60, 10, 64, 8


def make_tree(path: Path, count: int, size: int, levels: dict[str, float]) -> None:
    """Write smooth pictures under org/ and the same with white noise under fg/<level>/."""
    rng = np.random.default_rng(3)
    place = np.linspace(0, 2 * np.pi, size)
    for folder in ("org", *(f"fg/{level}" for level in levels)):
        (path / folder).mkdir(parents=True)
    for number in range(count):
        y, x = np.meshgrid(place * rng.uniform(0.5, 2), place * rng.uniform(0.5, 2), indexing="ij")
        clean = np.stack([0.5 + 0.35 * np.sin(y + phase) * np.cos(x - phase) for phase in rng.uniform(0, 6, 3)], axis=2)
        write_picture(path / "org" / f"{number}.png", clean)
        for level, strength in levels.items():
            write_picture(path / "fg" / level / f"{number}.png", clean + strength * rng.standard_normal(clean.shape))


def main() -> int:
    """Train all tasks and return how many losses did not fall."""
    torch.set_num_threads(1)
    began, failed = time.monotonic(), 0
    config = Config(1, 1, SIZE, 1e-3, 1e-4, 0.5, ())
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        make_tree(tree, 3, SIZE, {"05": 0.05, "1": 0.1})
        print(f"{'task':32}{'first loss':>12}{'last loss':>12}   means over {SHOWN} of {STEPS} steps, width {WIDTH}")
        for task in TASKS:
            out = Path(folder, task)
            with contextlib.redirect_stdout(io.StringIO()):
                Run(task, read_tree(tree), out, config, Options(STEPS, width=WIDTH, every=SHOWN, validate=STEPS)).train()
            rows = read_log(out / "log.csv")
            for column in ("l1", "critic") if TASKS[task].loss == "adversarial" else ("loss",):
                first, last = float(rows[0][column]), float(rows[-1][column])
                rose = last >= first and column != "critic"
                failed += rose
                name = task if column == "loss" else f"{task}, {column}"
                print(f"{name:32}{first:12.5f}{last:12.5f}{'   did not fall' if rose else ''}", flush=True)
    verdict = f"{failed} losses did not fall" if failed else "every loss fell"
    print(f"{len(TASKS)} tasks in {time.monotonic() - began:.0f} seconds; {verdict}.")
    return failed


if __name__ == "__main__":
    sys.exit(main())
