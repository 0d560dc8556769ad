"""Train a task of restoration: `python -m models.train --task restore-1 --data CACHE --out RUN`.

CACHE holds septuplets (`python -m models.data septuplets`). Everything is drawn from (seed, step), so that a stopped run, started again,
goes on as if it had never stopped. RUN gets last.pt, log.csv, check.csv and curve.png. check.csv: the mean gain of PSNR over the
recording, dB, of Y by QP on held-out septuplets, and of Cb and Cr in `chroma`; for the task quantiser the mean error of the QP.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.data import data_root
from models.restoredata import CASES, Batch, Septuplets, hold
from models.restorelosses import gains, guess, loss_of
from models.restorenet import RestoreNet
from models.restoretasks import TASKS
from models.runfolder import read_state
from models.shell import sentences
from models.training import Training, add_options, check_options, set_up_torch

SAME = ("frames", "seed", "batch", "size")
"""Options that a run which goes on must be given again as they were."""

Held = dict[str, list[Batch]]


def load_net(path: Path) -> tuple[str, int, nn.Module]:
    """Return the task, frames and averaged net of a checkpoint. Exits with a sentence where it is none of restoration."""
    state = read_state(path)
    try:
        task, frames = state["task"], state["frames"]
        net = TASKS[task].make(frames)
        net.load_state_dict(state["average"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise SystemExit(f"{path} holds no net of {', '.join(TASKS)} as they are now: give another checkpoint.") from error
    return task, frames, net


class Run(Training):
    """Own one training run of a task of restoration."""

    COLUMNS, CHECKED = ("step", "seconds", "rate", "loss", "chroma"), ("step", *CASES, "chroma")
    WARM = 100

    def __init__(self, args: argparse.Namespace, held: Held) -> None:
        """Begin a run, or go on at the checkpoint of its folder; `held` are the crops to check it on, none for no checks."""
        self.task = TASKS[args.task]
        super().__init__(args, held)

    @property
    def unit(self) -> str:
        """Say what the numbers of check.csv are."""
        return "held-out error of the QP" if self.task.goal == "quantiser" else "held-out gain, dB"

    def begin(self) -> nn.Module:
        """Return the task's net with the weights that --start names."""
        net = self.task.make(self.args.frames)
        if self.args.start is not None:
            self._begin_from(net, self.args.start)
        return net.to(memory_format=torch.channels_last)

    def _begin_from(self, net: nn.Module, path: Path) -> None:
        """Take over averaged weights: of the same net, or of a restoration net as large or smaller that sees no more frames."""
        task, frames, other = load_net(path)
        try:
            if isinstance(net, RestoreNet) and isinstance(other, RestoreNet):
                net.begin_from(other)
            else:
                net.load_state_dict(other.state_dict())
        except (RuntimeError, ValueError) as error:
            wanted = f"{self.args.task} with {self.args.frames} frames"
            raise SystemExit(
                f"{path} holds {task} with {frames} frames, which does not fit into {wanted}: give another --start."
            ) from error

    def admit(self, path: Path, state: Mapping[str, Any]) -> None:
        """Exit with a sentence unless a checkpoint is of this task, and of the options that must stay the same."""
        args = self.args
        if state.get("task") != args.task:
            raise SystemExit(f"{path} was trained for {state.get('task')}, not for {args.task}: give another folder as --out.")
        if changed := [name for name in SAME if state.get("options", {}).get(name) != getattr(args, name)]:
            raise SystemExit(f"{path} was trained with another --{changed[0]}: go back to it, or give another folder as --out.")

    def described(self) -> dict[str, Any]:
        """Return the net's frames, and the options that must stay the same."""
        return {"frames": self.args.frames, "options": {name: getattr(self.args, name) for name in SAME}}

    def measured(self) -> dict[str, float]:
        """Return the mean gain of luma by held-out recording and that of chroma, dB; of a quantiser the mean error, QP, and 0."""
        found = {name: gains(self.task.goal, self.average, batches) for name, batches in self.held.items()}
        return {name: luma for name, (luma, _) in found.items()} | {"chroma": sum(c for _, c in found.values()) / len(found)}

    def draw(self, material: Septuplets) -> Batch:
        """Return the step's batch; late in the run its crops are twice as wide, and fewer."""
        args = self.args
        late = self.step >= args.late * args.steps
        count, size = (max(1, args.batch // 4), 2 * args.size) if late else (args.batch, args.size)
        return material.batch(self.step, count, size)

    def one_step(self, material: Septuplets) -> tuple[float, float]:
        """Take one optimiser step and return (loss, part of chroma)."""
        args = self.args
        self.give_leak()
        batch = self.draw(material)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.step < args.precise * args.steps):
            made = guess(self.task.goal, self.net, batch)
        loss, colour = loss_of(self.task.goal, made.float(), batch, args.chroma)
        self.descend(loss)
        return loss.item(), colour.item()


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m models.train", description=__doc__)
    parser.add_argument("--task", choices=list(TASKS), required=True)
    add_options(parser)
    parser.add_argument("--data", type=Path, default=data_root() / "septuplets", help="cache of septuplets")
    parser.add_argument("--frames", type=int, help="pictures the net sees: 1, 3, 5 or 7; what the task's name says unless given")
    parser.add_argument("--steps", type=int, default=60_000)
    parser.add_argument("--precise", type=float, default=0.85, help="from this share of the steps on, in single precision")
    parser.add_argument("--chroma", type=float, default=0.3, help="weight of Cb and Cr beside Y")
    parser.add_argument("--start", type=Path, help="checkpoint whose averaged weights a new run starts from; it may be of a smaller net")
    args = parser.parse_args(arguments)
    check_options(args, 16)
    set_frames(args)
    return args


def set_frames(args: argparse.Namespace) -> None:
    """Set the number of frames to the task's own where none is given. Exits with a sentence where it does not take as many."""
    task = TASKS[args.task]
    args.frames = task.frames if args.frames is None else args.frames
    if args.frames not in task.counts:
        raise SystemExit(f"{args.task} takes {', '.join(str(n) for n in task.counts)} as --frames, not {args.frames}.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, resuming where the folder's checkpoint stands."""
    args = parse(arguments)
    set_up_torch(args.threads)
    with sentences("a smaller --batch or --size"):
        material = Septuplets(args.data, args.frames, args.seed)
        material.check(args.size * (2 if args.late < 1 else 1))
        Run(args, hold(args.data, args.frames) if args.validate else {}).train(material)


if __name__ == "__main__":
    main()
