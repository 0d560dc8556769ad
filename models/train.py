"""Train a network: `python -m models.train --task removal|quality|fast|temporal|level --out RUN`.

Everything is drawn from (seed, step), so an interrupted run resumes at its checkpoint and repeats nothing.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from copy import deepcopy
from pathlib import Path

import torch
from torch import nn

from models.data import Patches, data_root, read_pictures
from models.degrade import LEVELS, TOP, Batch, degrade
from models.fast import FastNet, Lesson
from models.grow import grow, read_removal
from models.losses import SHARP, SQUARE, grain_loss, level_loss
from models.muon import optimisers
from models.motion import FRAMES, Shots, read_clips
from models.nets import QUALITY_BLOCKS, QUALITY_WIDTHS, LevelNet, RemovalNet
from models.windows import TemporalNet, to_windows

COLUMNS = ("step", "seconds", "rate", "loss", "left")


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Return a cosine from `peak` to a hundredth of it, after a warm-up of 300 steps."""
    warm = min(1.0, (step + 1) / 300)
    return peak * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps))))


def update_average(average: nn.Module, nets: nn.Module, step: int) -> None:
    """Move the running average of the weights; its memory grows to 3000 steps."""
    keep = min(0.9997, (step + 1) / (step + 10))
    with torch.no_grad():
        for kept, new in zip(average.parameters(), nets.parameters(), strict=True):
            kept.lerp_(new, 1 - keep)


def removal_loss(net: nn.Module, batch: Batch, left_weight: float, *, square: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of the removal net and the share of grain left; `square` weighs great errors more, as PSNR does."""
    with torch.autocast("cpu", torch.bfloat16):
        guess = net(batch.grainy.contiguous(memory_format=torch.channels_last), batch.hint)
    return grain_loss(guess.float(), batch, left_weight, SQUARE if square else SHARP)


def strength_loss(net: nn.Module, batch: Batch, left_weight: float, *, square: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of the level estimator, and 0 for the share of grain left, which it does not touch."""
    del left_weight, square
    return level_loss(net(batch.grainy), batch), torch.zeros(())


def quality_net() -> RemovalNet:
    """Return the large removal net."""
    return RemovalNet(QUALITY_WIDTHS, QUALITY_BLOCKS)


TASKS = {
    "removal": (RemovalNet, removal_loss),
    "quality": (quality_net, removal_loss),
    "fast": (FastNet, removal_loss),
    "temporal": (TemporalNet, removal_loss),
    "level": (LevelNet, strength_loss),
}


class Run:
    """Own one training run: its folder, state, log and checkpoints."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.out = Path(args.out)
        self.out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(args.seed)
        make, self.loss = TASKS[args.task]
        if args.task == "fast" and args.teacher is not None:
            self.loss = Lesson(args.teacher, fused=args.compile)
        self.nets: nn.Module = make()
        if args.task != "level":
            self.nets = self.nets.to(memory_format=torch.channels_last)
        if args.start is not None:
            self.nets.load_state_dict(torch.load(args.start, weights_only=True)["average"])
        if args.grow is not None and isinstance(self.nets, TemporalNet):
            self.nets.begin_from(read_removal(args.grow))
        elif args.grow is not None and isinstance(self.nets, RemovalNet):
            grow(read_removal(args.grow), self.nets)
        self.average = deepcopy(self.nets)
        if args.compile:
            self.nets.compile(dynamic=False)
        self.optimisers = optimisers(self.nets, args.rate)
        self.step, self.seconds = 0, 0.0
        if (self.out / "last.pt").exists():
            self._resume()

    def _resume(self) -> None:
        state = torch.load(self.out / "last.pt", weights_only=True)
        self.nets.load_state_dict(state["nets"])
        self.average.load_state_dict(state["average"])
        for optimiser, kept in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        self.step, self.seconds = state["step"], state["seconds"]

    def save(self) -> None:
        """Write the checkpoint beside its place and rename it."""
        state = {"nets": self.nets.state_dict(), "average": self.average.state_dict(), "step": self.step}
        state |= {"optimisers": [optimiser.state_dict() for optimiser in self.optimisers], "seconds": self.seconds}
        torch.save(state, self.out / "last.tmp")
        (self.out / "last.tmp").replace(self.out / "last.pt")

    def log(self, row: tuple[float, ...]) -> None:
        """Append one row to log.csv and print it."""
        path = self.out / "log.csv"
        new = not path.exists()
        with path.open("a", newline="") as stream:
            writer = csv.writer(stream)
            if new:
                writer.writerow(COLUMNS)
            writer.writerow([f"{value:.6g}" for value in row])
        print("  ".join(f"{name} {value:.5g}" for name, value in zip(COLUMNS, row, strict=True)), flush=True)

    def draw(self, clean: Patches | Shots) -> Batch:
        """Return this step's batch; late in the run its pictures are twice as wide, and fewer."""
        args = self.args
        late = self.step >= args.late * args.steps
        frames = FRAMES if isinstance(clean, Shots) else 1
        count, size = (args.batch // (2 * frames), args.size * 2) if late else (args.batch // frames, args.size)
        rng = torch.Generator().manual_seed((args.seed << 32) + self.step)
        top = TOP if self.step >= args.widen else LEVELS[1]
        batch = degrade(clean.batch(self.step, max(1, count), size), rng, top, heavy=args.heavy, frames=frames)
        return to_windows(batch, rng) if frames > 1 else batch

    def one_step(self, clean: Patches | Shots) -> tuple[float, float]:
        """Take one optimiser step and return (loss, share of grain left)."""
        args = self.args
        batch = self.draw(clean)
        loss, left = self.loss(self.nets, batch, args.left, square=self.step >= args.square * args.steps)
        self.nets.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.nets.parameters(), 1.0)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(self.step, args.steps, args.rate)
            optimiser.step()
        update_average(self.average, self.nets, self.step)
        self.step += 1
        return loss.item(), left.item()

    def train(self, clean: Patches | Shots) -> None:
        """Train to the last step, logging every 250 steps and saving every 2000."""
        total, since = [0.0, 0.0], time.monotonic()
        while self.step < self.args.steps:
            total = [a + b for a, b in zip(total, self.one_step(clean), strict=True)]
            if self.step % 250 == 0:
                self.seconds += time.monotonic() - since
                since = time.monotonic()
                rate = learning_rate(self.step, self.args.steps, self.args.rate)
                self.log((self.step, self.seconds, rate, *(t / 250 for t in total)))
                total = [0.0, 0.0]
            if self.step % 2000 == 0:
                self.save()
        self.save()


def parse() -> argparse.Namespace:
    """Read the command line; docs/training.md holds the recipe of the weights that ship."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=sorted(TASKS), default="removal")
    parser.add_argument("--out", required=True, help="folder of the run: checkpoint and log.csv")
    parser.add_argument("--data", type=Path, default=data_root() / "train" / "open")
    parser.add_argument("--clips", type=Path, default=data_root() / "video" / "open", help="moving pictures for the temporal net")
    parser.add_argument("--steps", type=int, default=105_000, help="105000 for removal, 16000 for level (with --batch 32 --late 0.8)")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--late", type=float, default=0.75, help="from this share of the steps on, patches are twice as wide")
    parser.add_argument("--square", type=float, default=0.85, help="from this share of the steps on, great errors count by their square")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--left", type=float, default=0.15, help="weight of the grain left in the base")
    parser.add_argument("--widen", type=int, default=24_000, help="step from which the heaviest levels are drawn too")
    parser.add_argument("--heavy", action="store_true", help="draw heavy levels and white noise more often (second stage)")
    parser.add_argument("--start", type=Path, help="checkpoint whose averaged weights a new run starts from")
    parser.add_argument("--grow", type=Path, help="checkpoint of a smaller removal net, whose answer a new run starts from")
    parser.add_argument("--teacher", type=Path, help="checkpoint of a removal net that teaches the fast one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="fuse the net's steps by torch.compile: a third faster, needs a C++ compiler")
    return parser.parse_args()


def main() -> None:
    """Train, resuming where the folder's checkpoint stands."""
    args = parse()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)  # the momentum of what no longer learns decays to numbers that cost a hundredfold
    pictures = [p for p in read_pictures(args.data).values() if min(p.shape[:2]) >= 2 * args.size]
    print(f"{len(pictures)} pictures, {sum(p.size for p in pictures) / 3e6:.0f} Mpixel", flush=True)
    clips = read_clips(args.clips) if args.task == "temporal" else []
    Run(args).train(Shots(pictures, clips, args.seed) if args.task == "temporal" else Patches(pictures, args.seed))


if __name__ == "__main__":
    main()
