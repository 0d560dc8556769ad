"""Train a task of restoration: `python -m models.train --task restore-1 --data CACHE --out RUN`.

CACHE holds septuplets (`python -m models.data septuplets`). Everything is drawn from (seed, step), so that a stopped run, started again,
goes on as if it had never stopped. RUN gets last.pt, log.csv, check.csv and curve.png. check.csv: the mean gain of PSNR over the
recording, dB, of Y by QP on held-out septuplets, and of Cb and Cr in `chroma`; for the task quantiser the mean error of the QP.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.data import data_root
from models.muon import optimisers
from models.restoredata import CASES, Batch, Septuplets, hold
from models.restorelosses import gains, guess, loss_of
from models.restorenet import RestoreNet
from models.restoretasks import TASKS
from models.revive import set_leak
from models.runfolder import RunFolder, Stop, plot_curve, read_log, read_state, stopped
from models.shell import sentences

COLUMNS = ("step", "seconds", "rate", "loss", "chroma")
CHECKED = ("step", *CASES, "chroma")
WARM = 100
LEAKY = 0.5
"""Share of the steps in which rectifiers leak."""
SAME = ("frames", "seed", "batch", "size")
"""Options that a run which goes on must be given again as they were."""

Held = dict[str, list[Batch]]


def make_net(task: str, frames: int) -> nn.Module:
    """Return a task's untrained net."""
    return TASKS[task].make(frames)


def load_net(path: Path) -> tuple[str, int, nn.Module]:
    """Return the task, frames and averaged net of a checkpoint. Exits with a sentence where it is none of restoration."""
    state = read_state(path)
    try:
        task, frames = state["task"], state["frames"]
        net = make_net(task, frames)
        net.load_state_dict(state["average"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise SystemExit(f"{path} holds no net of {', '.join(TASKS)} as they are now: give another checkpoint.") from error
    return task, frames, net


class Run:
    """Own one training run: its folder, net, state, logs and checkpoints.

    Exits with a sentence where a checkpoint is of another task or of other options, or where a loss or a gradient is not a number.
    """

    def __init__(self, args: argparse.Namespace, held: Held) -> None:
        """Begin a run, or go on at the checkpoint of its folder; `held` are the crops to check it on, none for no checks."""
        self.args, self.held, self.task = args, held, TASKS[args.task]
        self.folder = RunFolder(Path(args.out))
        torch.manual_seed(args.seed)
        self.net = make_net(args.task, args.frames)
        if args.start is not None:
            self._begin(args.start)
        self.net = self.net.to(memory_format=torch.channels_last)
        self.average = deepcopy(self.net)
        if args.compile:
            self.net.compile(dynamic=False)
        self.optimisers = optimisers(self.net, args.rate)
        self.step, self.seconds, self.since = 0, 0.0, 0.0
        self.sums = [0.0] * 3
        if self.folder.checkpoint.exists():
            self._resume()
        self.folder.trim("log.csv", COLUMNS, self.step)
        if held:
            self.folder.trim("check.csv", CHECKED, self.step)

    def _begin(self, path: Path) -> None:
        """Take over averaged weights: of the same net, or of a restoration net of the same size that sees fewer frames."""
        task, frames, other = load_net(path)
        try:
            if isinstance(self.net, RestoreNet) and isinstance(other, RestoreNet):
                self.net.begin_from(other)
            else:
                self.net.load_state_dict(other.state_dict())
        except (RuntimeError, ValueError) as error:
            wanted = f"{self.args.task} with {self.args.frames} frames"
            raise SystemExit(
                f"{path} holds {task} with {frames} frames, which does not fit into {wanted}: give another --start."
            ) from error

    def _resume(self) -> None:
        path, args = self.folder.checkpoint, self.args
        state = read_state(path)
        if state.get("task") != args.task:
            raise SystemExit(f"{path} was trained for {state.get('task')}, not for {args.task}: give another folder as --out.")
        if changed := [name for name in SAME if state.get("options", {}).get(name) != getattr(args, name)]:
            raise SystemExit(f"{path} was trained with another --{changed[0]}: go back to it, or give another folder as --out.")
        try:
            self.net.load_state_dict(state["net"])
            self.average.load_state_dict(state["average"])
            for optimiser, kept in zip(self.optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(kept)
            self.step, self.seconds, self.sums = state["step"], state["seconds"], list(state["sums"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise SystemExit(f"{path} is not a whole checkpoint of {args.task} as it is now: give another folder as --out.") from error
        self.folder.kept = self.step
        print(f"{path} stands at step {self.step} of {args.steps}", flush=True)

    def save(self) -> None:
        """Write the checkpoint."""
        args = self.args
        state: dict[str, Any] = {"task": args.task, "frames": args.frames, "step": self.step, "seconds": self.seconds, "sums": self.sums}
        state |= {"net": self.net.state_dict(), "average": self.average.state_dict()}
        state |= {"optimisers": [one.state_dict() for one in self.optimisers], "options": {name: getattr(args, name) for name in SAME}}
        self.folder.save(state)

    def rate(self) -> float:
        """Return a cosine from the peak to a hundredth of it, after a warm-up."""
        share = 0.5 * (1 + math.cos(math.pi * min(1.0, self.step / self.args.steps)))
        return self.args.rate * min(1.0, (self.step + 1) / WARM) * (0.01 + 0.99 * share)

    def draw(self, material: Septuplets) -> Batch:
        """Return the step's batch; late in the run its crops are twice as wide, and fewer."""
        args = self.args
        late = self.step >= args.late * args.steps
        count, size = (max(1, args.batch // 4), 2 * args.size) if late else (args.batch, args.size)
        return material.batch(self.step, count, size)

    def one_step(self, material: Septuplets) -> tuple[float, float]:
        """Take one optimiser step and return (loss, part of chroma)."""
        args = self.args
        for net in (self.net, self.average):
            set_leak(net, args.leak if self.step < LEAKY * args.steps else 0.0)
        batch = self.draw(material)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.step < args.precise * args.steps):
            made = guess(self.task.goal, self.net, batch)
        loss, colour = loss_of(self.task.goal, made.float(), batch, args.chroma)
        self._move(loss)
        self._average()
        self.step += 1
        return loss.item(), colour.item()

    def _move(self, loss: torch.Tensor) -> None:
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

    def _average(self) -> None:
        """Move the running average of the weights; its memory grows to 3000 steps."""
        keep = min(0.9997, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for kept, new in zip(self.average.parameters(), self.net.parameters(), strict=True):
                kept.lerp_(new, 1 - keep)

    def _no_number(self, what: str) -> SystemExit:
        return SystemExit(f"The {what} at step {self.step + 1} is not a number; {self.folder.where()}: lower --rate.")

    def count(self) -> None:
        """Add the time since the last count to that of the training."""
        now = time.monotonic()
        self.seconds, self.since = self.seconds + now - self.since, now

    def _log(self) -> None:
        row = (self.step, self.seconds, self.rate(), *(total / self.sums[2] for total in self.sums[:2]))
        self.sums = [0.0] * 3
        self.folder.append("log.csv", [self.step, *(f"{value:.6g}" for value in row[1:])])
        left = self.seconds / self.step * (self.args.steps - self.step)
        text = "  ".join(f"{name} {value:.5g}" for name, value in zip(COLUMNS, row, strict=True))
        print(f"{text}  ({100 * self.step // self.args.steps} %, {left / 60:.1f} minutes left)", flush=True)

    def check(self) -> None:
        """Append a row to check.csv: how far the averaged net comes on held-out septuplets."""
        found = {name: gains(self.task.goal, self.average, batches) for name, batches in self.held.items()}
        values = {name: luma for name, (luma, _) in found.items()} | {"chroma": sum(c for _, c in found.values()) / len(found)}
        self.folder.append("check.csv", [self.step, *(f"{values[name]:.4f}" if name in values else "" for name in CHECKED[1:])])
        print(f"step {self.step}  {self.unit}: " + "  ".join(f"{name} {value:+.3f}" for name, value in values.items()), flush=True)
        self.since = time.monotonic()

    @property
    def unit(self) -> str:
        """Say what the numbers of check.csv are."""
        return "held-out error of the QP" if self.task.goal == "quantiser" else "held-out gain, dB"

    def _after(self, stopping: bool) -> None:
        """Log, check and save where that is due after a step; a run that ends saves and checks what it has not."""
        args, last = self.args, self.step == self.args.steps
        if self.step % args.every == 0:
            self.count()
            self._log()
        if self.held and (last or self.step % args.validate == 0):
            self.count()
            self.check()
        if self.step % args.save == 0 or last or stopping:
            self.count()
            self.save()

    def train(self, material: Septuplets) -> None:
        """Train to the last step, or to the one at which Ctrl-C or SIGTERM came, and draw the curve."""
        self.since = time.monotonic()
        with Stop() as stop:
            while self.step < self.args.steps:
                self.sums = [total + new for total, new in zip(self.sums, (*self.one_step(material), 1.0), strict=True)]
                stopping = stop.asked
                self._after(stopping)
                if stopping and self.step < self.args.steps:
                    raise stopped(self.folder, self.args.steps)
        path = self.folder.path
        rows, checks = read_log(path / "log.csv"), read_log(path / "check.csv") if (path / "check.csv").exists() else []
        shown = [name for name in CHECKED[1:] if any(row[name] for row in checks)]
        plot_curve(path / "curve.png", {"loss": (rows, "loss")}, {name: (checks, name) for name in shown}, self.unit)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m models.train", description=__doc__)
    parser.add_argument("--task", choices=list(TASKS), required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run: last.pt, log.csv, check.csv, curve.png")
    parser.add_argument("--data", type=Path, default=data_root() / "septuplets", help="cache of septuplets")
    parser.add_argument("--frames", type=int, help="pictures the net sees: 1, 3, 5 or 7; what the task's name says unless given")
    parser.add_argument("--steps", type=int, default=60_000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=64, help="pixels a side of a crop")
    parser.add_argument("--late", type=float, default=0.75, help="from this share of the steps on, crops are twice as wide")
    parser.add_argument("--precise", type=float, default=0.85, help="from this share of the steps on, in single precision")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--chroma", type=float, default=0.3, help="weight of Cb and Cr beside Y")
    parser.add_argument("--leak", type=float, default=0.1, help="slope of the rectifiers below zero in the first half, so that none dies")
    parser.add_argument("--start", type=Path, help="checkpoint whose averaged weights a new run starts from; it may be of fewer frames")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--every", type=int, default=250, help="steps between rows of the log")
    parser.add_argument("--save", type=int, default=2000, help="steps between checkpoints")
    parser.add_argument("--validate", type=int, default=2000, help="steps between checks on held-out septuplets, 0 for none")
    parser.add_argument("--compile", action="store_true", help="fuse the net's steps by torch.compile: faster, needs a C++ compiler")
    args = parser.parse_args(arguments)
    check_options(args)
    return args


def check_options(args: argparse.Namespace) -> None:
    """Set the number of frames, and exit with a sentence where an option makes no sense."""
    task = TASKS[args.task]
    args.frames = task.frames if args.frames is None else args.frames
    if args.frames not in task.counts:
        raise SystemExit(f"{args.task} takes {', '.join(str(n) for n in task.counts)} as --frames, not {args.frames}.")
    if min(args.steps, args.batch, args.threads, args.every, args.save) < 1 or min(args.seed, args.validate) < 0 or args.rate <= 0:
        raise SystemExit("Give --steps, --batch, --threads, --every and --save 1 or more, --seed and --validate 0 or more, --rate above 0.")
    if args.size < 16 or args.size % 16:
        raise SystemExit(f"--size must be a multiple of 16, not {args.size}.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, resuming where the folder's checkpoint stands."""
    args = parse(arguments)
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    with sentences("a smaller --batch or --size"):
        material = Septuplets(args.data, args.frames, args.seed)
        material.check(args.size * (2 if args.late < 1 else 1))
        Run(args, hold(args.data, args.frames) if args.validate else {}).train(material)


if __name__ == "__main__":
    main()
