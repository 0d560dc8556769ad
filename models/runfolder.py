"""Keep the folder of a training run: its checkpoint last.pt, its logs and its curve; and let a run end between two steps.

A checkpoint is written beside its place and renamed, so that a kill or a full disk leaves the old one. A log's rows are those of
the steps up to the checkpoint; what a killed run logged after it is dropped and trained again.
"""

from __future__ import annotations

import csv
import io
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from models.shell import reason

Rows = list[dict[str, str]]


class RunFolder:
    """Own a run's folder, which is made where it is missing. `kept` is the step of its checkpoint, -1 where there is none.

    Its methods exit with a sentence where a file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.checkpoint, self.kept = path, path / "last.pt", -1
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SystemExit(f"{path} cannot be made a folder ({reason(error)}): give another one as --out.") from error

    def where(self) -> str:
        """Return half a sentence that says where the run stands on the disk."""
        return f"the checkpoint of step {self.kept} is kept in {self.checkpoint}" if self.kept >= 0 else "no checkpoint is written yet"

    def save(self, state: dict[str, Any]) -> None:
        """Write the checkpoint; `state` holds its "step" among others."""
        held = io.BytesIO()
        torch.save(state, held)
        self._put(self.checkpoint, held.getvalue())
        self.kept = state["step"]

    def trim(self, name: str, columns: Sequence[str], step: int) -> None:
        """Begin a log, or drop its rows beyond a step."""
        path = self.path / name
        rows = [row for row in read_log(path) if int(row["step"]) <= step] if path.exists() else []
        text = io.StringIO(newline="")
        csv.writer(text).writerows([columns, *([row.get(column, "") for column in columns] for row in rows)])
        self._put(path, text.getvalue().encode())

    def append(self, name: str, row: Sequence[object]) -> None:
        """Add a row to a log."""
        try:
            with (self.path / name).open("a", newline="") as stream:
                csv.writer(stream).writerow(row)
        except OSError as error:
            raise self._unwritten(self.path / name, error) from error

    def _put(self, path: Path, data: bytes) -> None:
        part = path.with_suffix(".tmp")
        try:
            part.write_bytes(data)
            part.replace(path)
        except OSError as error:
            if part.is_file() or part.is_symlink():
                part.unlink()
            raise self._unwritten(path, error) from error

    def _unwritten(self, path: Path, error: OSError) -> SystemExit:
        return SystemExit(f"{path} cannot be written ({reason(error)}); {self.where()}: make room, and the same command goes on there.")


def read_state(path: Path) -> dict[str, Any]:
    """Return what a checkpoint holds, on the CPU. Exits with a sentence where there is none or it is damaged."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise SystemExit(f"{path} does not exist: give the last.pt of a run.") from error
    except Exception as error:
        raise SystemExit(f"{path} is damaged or not a checkpoint: give the last.pt of a run, or remove it to begin anew.") from error
    if not isinstance(state, dict):
        raise SystemExit(f"{path} is not a checkpoint: give the last.pt of a run.")
    return state


def read_log(path: Path) -> Rows:
    """Return the complete rows of a log by column, all text. Exits with a sentence where it cannot be read."""
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as stream:
            return [row for row in csv.DictReader(stream) if None not in row.values() and (row.get("step") or "").isdigit()]
    except (OSError, csv.Error) as error:
        raise SystemExit(f"{path} cannot be read as a log: move it away, or give another folder as --out.") from error


def plot_curve(path: Path, losses: Mapping[str, tuple[Rows, str]], checks: Mapping[str, tuple[Rows, str]], checked: str) -> None:
    """Draw columns of logs by step: losses to the left axis, checks to the right, whose label is `checked`; without matplotlib nothing.

    A line is a name and (rows, column); rows without a value are left out.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    figure = Figure(figsize=(8, 4), layout="constrained")
    left = figure.add_subplot(xlabel="step", ylabel="loss")
    right = left.twinx()
    right.set_ylabel(checked)
    for axis, style, lines in ((left, "-", losses), (right, "o:", checks)):
        for number, (name, (rows, column)) in enumerate(lines.items()):
            held = [row for row in rows if row[column]]
            steps, values = [int(row["step"]) for row in held], [float(row[column]) for row in held]
            axis.plot(steps, values, style, label=name, color=f"C{number + 2 * (axis is right)}")
    figure.legend(loc="outside upper center", ncols=4)
    try:
        figure.savefig(path)
    except OSError as error:
        raise SystemExit(f"{path} cannot be written ({reason(error)}); the training itself is whole: make room and start again.") from error


class Stop:
    """Note Ctrl-C and SIGTERM while a run trains, so that it ends after its step; a second one ends it at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def stopped(folder: RunFolder, steps: int) -> SystemExit:
    """Return the exit of a run that was asked to stop and has saved."""
    return SystemExit(f"Stopped at step {folder.kept} of {steps}, which {folder.checkpoint} holds: the same command goes on there.")
