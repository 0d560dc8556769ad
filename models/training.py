"""Run a training: step by step, with a running average, a log, checks and checkpoints, and on from where a checkpoint stands.

What is learnt, and from what, is the subclasses': train.Run and restoretrain.Run.
"""

from __future__ import annotations

import argparse
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from models.muon import optimisers
from models.revive import set_leak
from models.runfolder import RunFolder, Stop, plot_curve, read_log, read_state, stopped

LEAKY = 0.5
"""Share of the steps in which rectifiers leak."""


def learning_rate(step: int, steps: int, peak: float, warm: int) -> float:
    """Return a cosine from `peak` to a hundredth of it, after a warm-up of `warm` steps."""
    rising = min(1.0, (step + 1) / warm)
    return peak * rising * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps))))


def update_average(average: nn.Module, net: nn.Module, step: int, most: float = 0.9997) -> None:
    """Move the running average of the weights; its memory grows to 1 / (1 - most) steps."""
    keep = min(most, (step + 1) / (step + 10))
    with torch.no_grad():
        for kept, new in zip(average.parameters(), net.parameters(), strict=True):
            kept.lerp_(new, 1 - keep)


def set_up_torch(threads: int) -> None:
    """Set how many threads torch uses, and take numbers next to 0 for 0: the momentum of what no longer learns decays to such, which
    processors are slow at."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)


class Training(ABC):
    """Own one training run: its folder, net, averaged net, optimisers, log and checkpoints.

    COLUMNS, CHECKED  of log.csv (step, seconds, rate, loss and what else `one_step` returns) and of check.csv (step and cases)
    KEPT_AS           what the net's own weights are called in checkpoints, beside those of its average
    WARM              steps of the learning rate's warm-up
    REMEDY            what helps where a loss is not a number

    Exits with a sentence where a checkpoint is damaged or another run's, or where a loss or a gradient is not a number.
    """

    COLUMNS: ClassVar[Sequence[str]]
    CHECKED: ClassVar[Sequence[str]]
    KEPT_AS: ClassVar[str] = "net"
    WARM: ClassVar[int]
    REMEDY: ClassVar[str] = "lower --rate"

    def __init__(self, args: argparse.Namespace, held: Mapping[str, Any]) -> None:
        """Begin a run, or go on at the checkpoint of its folder; `held` is what the net is checked on by case, empty for no checks."""
        self.args, self.held = args, held
        self.folder = RunFolder(Path(args.out))
        torch.manual_seed(args.seed)
        self.net = self.begin()
        self.average = deepcopy(self.net)
        if args.compile:
            self.net.compile(dynamic=False)
        self.optimisers = optimisers(self.net, args.rate)
        self.step, self.seconds, self.since = 0, 0.0, 0.0
        self.sums = self._nothing()
        if self.folder.checkpoint.exists():
            self._resume()
        self.folder.trim("log.csv", self.COLUMNS, self.step)
        if held:
            self.folder.trim("check.csv", self.CHECKED, self.step)

    @property
    @abstractmethod
    def unit(self) -> str:
        """Say what the numbers of check.csv are."""

    @abstractmethod
    def begin(self) -> nn.Module:
        """Return the net as it is before the first step."""

    @abstractmethod
    def admit(self, path: Path, state: Mapping[str, Any]) -> None:
        """Exit with a sentence unless this run may go on at a checkpoint."""

    @abstractmethod
    def one_step(self, material: Any) -> tuple[float, ...]:
        """Take one optimiser step, by `descend`, and return the loss and what else is logged."""

    @abstractmethod
    def measured(self) -> dict[str, float]:
        """Return how far the averaged net comes, by cases of what is held out."""

    def described(self) -> dict[str, Any]:
        """Return what a checkpoint says of the run beside its task and state."""
        return {}

    def _nothing(self) -> list[float]:
        """Return the sums of a row of the log before its first step: of what is logged beside step, seconds and rate, and of steps."""
        return [0.0] * (len(self.COLUMNS) - 2)

    def _resume(self) -> None:
        path = self.folder.checkpoint
        state = read_state(path)
        self.admit(path, state)
        try:
            self.net.load_state_dict(state[self.KEPT_AS])
            self.average.load_state_dict(state["average"])
            for optimiser, kept in zip(self.optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(kept)
            self.step, self.seconds = state["step"], state["seconds"]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            text = f"{path} holds weights but no state to go on from: give it as --start, and another folder as --out"
            raise SystemExit(f"{text}.") from error
        self.sums = list(state.get("sums", self.sums))
        self.folder.kept = self.step
        print(f"{path} stands at step {self.step} of {self.args.steps}", flush=True)

    def save(self) -> None:
        """Write the checkpoint."""
        state = {"task": self.args.task, "step": self.step, "seconds": self.seconds, "sums": self.sums}
        state |= {self.KEPT_AS: self.net.state_dict(), "average": self.average.state_dict()}
        state |= {"optimisers": [optimiser.state_dict() for optimiser in self.optimisers]}
        self.folder.save(state | self.described())

    def rate(self) -> float:
        """Return the learning rate of the step."""
        return learning_rate(self.step, self.args.steps, self.args.rate, self.WARM)

    def leak(self) -> float:
        """Return the slope of the rectifiers below zero at the step: that of --leak in the first half of the steps, then none."""
        return self.args.leak if self.step < LEAKY * self.args.steps else 0.0

    def give_leak(self) -> None:
        """Give the rectifiers of the net and of its average the step's slope below zero."""
        for net in (self.net, self.average):
            set_leak(net, self.leak())

    def descend(self, loss: torch.Tensor) -> None:
        """Move the net down a loss and its average after it, and count the step."""
        if not torch.isfinite(loss):
            raise self._no_number("loss")
        self.net.zero_grad(set_to_none=True)
        loss.backward()
        if not torch.isfinite(nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)):
            raise self._no_number("gradient of the loss")
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.rate()
            optimiser.step()
        update_average(self.average, self.net, self.step)
        self.step += 1

    def _no_number(self, what: str) -> SystemExit:
        return SystemExit(f"The {what} at step {self.step + 1} is not a number; {self.folder.where()}: {self.REMEDY}.")

    def _count(self) -> None:
        """Add the time since the last count to that of the training."""
        now = time.monotonic()
        self.seconds += now - self.since
        self.since = now

    def _log(self) -> None:
        """Append a row to log.csv, means over the steps since the row before, and print it."""
        *totals, steps = self.sums
        row = (self.step, self.seconds, self.rate(), *(total / steps for total in totals))
        self.sums = self._nothing()
        self.folder.append("log.csv", [self.step, *(f"{value:.6g}" for value in row[1:])])
        text = "  ".join(f"{name} {value:.5g}" for name, value in zip(self.COLUMNS, row, strict=True))
        left = self.seconds / self.step * (self.args.steps - self.step)
        print(f"{text}  ({100 * self.step // self.args.steps} %, {left / 60:.1f} minutes left)", flush=True)

    def _check(self) -> None:
        """Append a row to check.csv, how far the averaged net comes on what is held out, and print it."""
        values = self.measured()
        self.folder.append("check.csv", [self.step, *(f"{values[name]:.4f}" if name in values else "" for name in self.CHECKED[1:])])
        print(f"step {self.step}  {self.unit}: " + "  ".join(f"{name} {value:.4f}" for name, value in values.items()), flush=True)
        self.since = time.monotonic()

    def _after(self, stopping: bool) -> None:
        """Log, check and save where that is due after a step; a run that ends saves and checks what it has not."""
        args, last = self.args, self.step == self.args.steps
        if self.step % args.every == 0:
            self._count()
            self._log()
        if self.held and (last or self.step % args.validate == 0):
            self._count()
            self._check()
        if self.step % args.save == 0 or last or stopping:
            self._count()
            self.save()

    def train(self, material: Any) -> None:
        """Train to the last step, or to the one at which Ctrl-C or SIGTERM came, and draw the curve."""
        self.since = time.monotonic()
        with Stop() as stop:
            while self.step < self.args.steps:
                self.sums = [total + new for total, new in zip(self.sums, (*self.one_step(material), 1.0), strict=True)]
                stopping = stop.asked
                self._after(stopping)
                if stopping and self.step < self.args.steps:
                    raise stopped(self.folder, self.args.steps)
        self._plot()

    def _plot(self) -> None:
        path = self.folder.path
        rows, checks = read_log(path / "log.csv"), read_log(path / "check.csv") if (path / "check.csv").exists() else []
        shown = [name for name in self.CHECKED[1:] if any(row[name] for row in checks)]
        plot_curve(path / "curve.png", {"loss": (rows, "loss")}, {name: (checks, name) for name in shown}, self.unit)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that trainings share, but for --steps and --data, whose defaults differ."""
    parser.add_argument("--out", type=Path, required=True, help="folder of the run: last.pt, log.csv, check.csv, curve.png")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=64, help="pixels a side of a crop")
    parser.add_argument("--late", type=float, default=0.75, help="from this share of the steps on, crops are twice as wide")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--leak", type=float, default=0.1, help="slope of the rectifiers below zero in the first half, so that none dies")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--every", type=int, default=250, help="steps between rows of the log")
    parser.add_argument("--save", type=int, default=2000, help="steps between checkpoints")
    parser.add_argument("--validate", type=int, default=2000, help="steps between checks on what is held out, 0 for none")
    parser.add_argument("--compile", action="store_true", help="fuse the net's steps by torch.compile: faster, needs a C++ compiler")


def check_options(args: argparse.Namespace, unit: int) -> None:
    """Exit with a sentence where a shared option makes no sense; crops are of a multiple of `unit` pixels a side."""
    if min(args.steps, args.batch, args.threads, args.every, args.save) < 1 or min(args.seed, args.validate) < 0 or args.rate <= 0:
        raise SystemExit("Give --steps, --batch, --threads, --every and --save 1 or more, --seed and --validate 0 or more, --rate above 0.")
    if args.size < unit or args.size % unit:
        raise SystemExit(f"--size must be a multiple of {unit}, not {args.size}.")
