"""Train a network: `python -m models.train --task NAME --out RUN`; a run that stopped goes on by the same command.

Everything is drawn from (seed, step), so an interrupted run resumes at its checkpoint and repeats nothing. RUN gets last.pt, log.csv,
check.csv (held-out crops with white noise of 25 and film-like grain of .05: PSNR in dB, for the level net its error) and curve.png.
"""

from __future__ import annotations

import argparse
import importlib
import math
import time
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import torch
from torch import nn

from models import restoretasks, seedtasks
from models.check import CASES, Held, hold
from models.data import Bytes, Patches, data_root, read_pictures
from models.degrade import LEVELS, TOP, Batch, degrade, greyed, one_channel
from models.fast import Lesson
from models.grow import grow, to_grey
from models.int8 import calibrate, quantised
from models.motion import FRAMES, Shots, read_clips
from models.muon import optimisers
from models.nets import RemovalNet
from models.revive import revive, set_leak
from models.runfolder import RunFolder, Stop, plot_curve, read_log, read_state, stopped
from models.shell import sentences
from models.tasks import GROWING, INT8, TASKS, check_task, precise_net, smaller_net
from models.windows import TemporalNet, to_windows

PROGRAMS: dict[str, str] = {
    "synth": "models.synthtrain",
    **dict.fromkeys(seedtasks.TASKS, "models.seedtrain"),
    **dict.fromkeys(restoretasks.TASKS, "models.restoretrain"),
}
"""The program of every task that is not of TASKS, imported when it is asked for. Its main(arguments) takes --out, --steps and --every,
and writes log.csv with the columns step and loss; one that trains several tasks is told which by --task."""
CALIBRATING = 10**7
"""Number of a step beyond all, whose batch nothing learns from."""
COLUMNS = ("step", "seconds", "rate", "loss", "left")
CHECKED = ("step", *CASES)


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


class Run:
    """Own one training run: its folder, state, logs and checkpoints.

    Exits with a sentence where a checkpoint is damaged or of another task or size, or where a loss or a gradient is not a number.
    """

    def __init__(self, args: argparse.Namespace, held: Held | None = None) -> None:
        """Begin a run, or go on at the checkpoint of its folder; `held` are the crops to check it on."""
        self.args, self.held, self.task = args, held, TASKS[args.task]
        self.folder = RunFolder(Path(args.out))
        teacher = None if args.teacher is None else smaller_net(args.teacher)
        torch.manual_seed(args.seed)
        self.loss = self.task.loss if teacher is None else Lesson(teacher, fused=args.compile, precise=args.task in INT8)
        self.nets: nn.Module = self.task.make()
        if args.task != "level":
            self.nets = self.nets.to(memory_format=torch.channels_last)
        self._begin()
        self.average = deepcopy(self.nets)
        if args.compile:
            self.nets.compile(dynamic=False)
        self.optimisers = optimisers(self.nets, args.rate)
        self.step, self.seconds, self.since = 0, 0.0, 0.0
        self.sums = [0.0] * 3
        if self.folder.checkpoint.exists():
            self._resume()
        self.folder.trim("log.csv", COLUMNS, self.step)
        if held is not None:
            self.folder.trim("check.csv", CHECKED, self.step)

    def _begin(self) -> None:
        """Take over the weights that --start or --grow names."""
        if self.args.task in INT8:
            if self.args.start is not None:
                self.nets = quantised(precise_net(self.args.start, self.args.task)).to(memory_format=torch.channels_last)
        elif self.args.start is not None:
            state = read_state(self.args.start)
            check_task(self.args.start, state, self.args.task, f"--start takes a checkpoint of {self.args.task}")
            self.nets.load_state_dict(state["average"])
        if self.args.grow is None:
            return
        small = smaller_net(self.args.grow)
        try:
            if isinstance(self.nets, TemporalNet):
                self.nets.begin_from(small)
            elif isinstance(self.nets, RemovalNet):
                grow(to_grey(small) if self.task.grey else small, self.nets)
        except (RuntimeError, ValueError) as error:
            text = f"The net of {self.args.grow} does not fit into that of {self.args.task}: --grow takes a smaller one"
            raise SystemExit(f"{text}.") from error

    def _resume(self) -> None:
        path = self.folder.checkpoint
        state = read_state(path)
        check_task(path, state, self.args.task, "give another folder as --out, or its own task as --task")
        try:
            self.nets.load_state_dict(state["nets"])
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
        state = {"nets": self.nets.state_dict(), "average": self.average.state_dict(), "step": self.step}
        state |= {"optimisers": [optimiser.state_dict() for optimiser in self.optimisers], "seconds": self.seconds}
        self.folder.save(state | {"task": self.args.task, "sums": self.sums})

    def _count(self) -> None:
        """Add the time since the last count to that of the training."""
        now = time.monotonic()
        self.seconds += now - self.since
        self.since = now

    def _log(self) -> None:
        """Append a row to log.csv, means over the steps since the row before, and print it."""
        rate = learning_rate(self.step, self.args.steps, self.args.rate)
        row = (self.step, self.seconds, rate, *(total / self.sums[2] for total in self.sums[:2]))
        self.sums = [0.0] * 3
        self.folder.append("log.csv", [self.step, *(f"{value:.6g}" for value in row[1:])])
        text = "  ".join(f"{name} {value:.5g}" for name, value in zip(COLUMNS, row, strict=True))
        left = self.seconds / self.step * (self.args.steps - self.step)
        print(f"{text}  ({100 * self.step // self.args.steps} %, {left / 60:.1f} minutes left)", flush=True)

    def _check(self, held: Held) -> None:
        """Append a row to check.csv, how near the averaged net comes on held-out crops, and print it."""
        values = [self.task.check(self.average, batches) for batches in held.values()]
        self.folder.append("check.csv", [self.step, *(f"{value:.4f}" for value in values)])
        shown = "  ".join(f"{name} {value:.4f}" for name, value in zip(held, values, strict=True))
        print(f"step {self.step}  {self.task.unit}: {shown}", flush=True)
        self.since = time.monotonic()

    def _no_number(self, what: str) -> SystemExit:
        remedy = "lower --rate, or give other pictures as --data"
        return SystemExit(f"The {what} at step {self.step + 1} is not a number; {self.folder.where()}: {remedy}.")

    def draw(self, clean: Patches | Shots, step: int) -> Batch:
        """Return a step's batch; late in the run its pictures are twice as wide, and fewer."""
        args = self.args
        late = args.steps > step >= args.late * args.steps
        frames = FRAMES if isinstance(clean, Shots) else 1
        count, size = (args.batch // (2 * frames), args.size * 2) if late else (args.batch // frames, args.size)
        rng = torch.Generator().manual_seed((args.seed << 32) + step)
        top = TOP if step >= args.widen else LEVELS[1]
        drawn = clean.batch(step, max(1, count), size)
        batch = degrade(greyed(drawn) if self.task.grey else drawn, rng, top, heavy=args.heavy, frames=frames)
        if self.task.grey:
            return one_channel(batch)
        return to_windows(batch, rng) if frames > 1 else batch

    def _prepare(self, clean: Patches | Shots) -> None:
        """Give the rectifiers their slope below zero in the first half; before the first step set the steps of 8-bit values, or give new
        life to rectifiers that were dead at the start."""
        args = self.args
        leak = args.leak if 2 * self.step < args.steps else 0.0
        if self.step == 0 and args.task in INT8:
            drawn = [self.draw(clean, CALIBRATING + number) for number in range(8)]
            calibrate(self.nets, [(batch.grainy, batch.hint) for batch in drawn])
            self.average.load_state_dict(self.nets.state_dict())
        elif self.step == 0 and leak and (args.start or args.grow):
            batch = self.draw(clean, CALIBRATING)
            count = revive(self.nets, [(batch.grainy, batch.hint)])
            self.average.load_state_dict(self.nets.state_dict())
            print(f"{count} rectifiers were dead and begin anew", flush=True)
        for net in (self.nets, self.average):
            set_leak(net, leak)

    def one_step(self, clean: Patches | Shots) -> tuple[float, float]:
        """Take one optimiser step and return (loss, share of grain left)."""
        args = self.args
        self._prepare(clean)
        batch = self.draw(clean, self.step)
        loss, left = self.loss(self.nets, batch, args.left, square=self.step >= args.square * args.steps)
        if not torch.isfinite(loss):
            raise self._no_number("loss")
        self.nets.zero_grad(set_to_none=True)
        loss.backward()
        if not torch.isfinite(nn.utils.clip_grad_norm_(self.nets.parameters(), 1.0)):
            raise self._no_number("gradient of the loss")
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(self.step, args.steps, args.rate)
            optimiser.step()
        update_average(self.average, self.nets, self.step)
        self.step += 1
        return loss.item(), left.item()

    def _after(self, stopping: bool) -> None:
        """Log, check and save where that is due after a step; a run that ends saves and checks what it has not."""
        args, last = self.args, self.step == self.args.steps
        if self.step % args.every == 0:
            self._count()
            self._log()
        if self.held is not None and (last or self.step % args.validate == 0):
            self._count()
            self._check(self.held)
        if self.step % args.save == 0 or last or stopping:
            self._count()
            self.save()

    def train(self, clean: Patches | Shots) -> None:
        """Train to the last step, or to the one at which Ctrl-C or SIGTERM came, and draw the curve."""
        self.since = time.monotonic()
        with Stop() as stop:
            while self.step < self.args.steps:
                self.sums = [total + new for total, new in zip(self.sums, (*self.one_step(clean), 1.0), strict=True)]
                stopping = stop.asked
                self._after(stopping)
                if stopping and self.step < self.args.steps:
                    raise stopped(self.folder, self.args.steps)
        self._plot()

    def _plot(self) -> None:
        path = self.folder.path
        rows, checks = read_log(path / "log.csv"), read_log(path / "check.csv") if (path / "check.csv").exists() else []
        plot_curve(path / "curve.png", {"loss": (rows, "loss")}, {name: (checks, name) for name in CASES}, self.task.unit)


def taught_pictures(folder: Path, size: int) -> list[Bytes]:
    """Return the pictures below a folder that hold the widest patch, twice `size` a side. Exits with a sentence where none does."""
    read = read_pictures(folder)
    pictures = [picture for picture in read.values() if min(picture.shape[:2]) >= 2 * size]
    if not pictures:
        raise SystemExit(f"All {len(read)} pictures in {folder} are under {2 * size} pixels a side: give larger ones, or a smaller --size.")
    print(f"{len(pictures)} pictures, {sum(p.size for p in pictures) / 3e6:.0f} Mpixel", flush=True)
    return pictures


def taught_clips(folder: Path, size: int) -> list[Bytes]:
    """Return the clips below a folder. Exits with a sentence where one is damaged, or none is long and large enough."""
    try:
        clips = read_clips(folder)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise SystemExit(f"A clip in {folder} cannot be read ({reason}): replace it, or take it out.") from error
    if not any(len(clip) >= FRAMES and min(clip.shape[1:3]) >= 2 * size for clip in clips):
        raise SystemExit(f"{folder} holds no clip of {FRAMES} pictures, {2 * size} pixels a side: name one with MKV files by --clips.")
    return clips


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line of a task of TASKS; docs/training.md holds the recipe of the weights that ship."""
    parser = argparse.ArgumentParser(prog="python -m models.train", description=__doc__)
    others = f"{', '.join(PROGRAMS)} take options of their own, which --task NAME --help shows"
    parser.add_argument("--task", metavar="NAME", choices=list(TASKS), default="removal", help=f"{', '.join(TASKS)}; {others}")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run: checkpoint, logs and curve")
    parser.add_argument("--data", type=Path, default=data_root() / "train" / "open")
    parser.add_argument("--clips", type=Path, default=data_root() / "video" / "open", help="moving pictures for the temporal net")
    parser.add_argument("--steps", type=int, default=105_000, help="105000 for removal, 16000 for level (with --batch 32 --late 0.8)")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--late", type=float, default=0.75, help="from this share of the steps on, patches are twice as wide")
    parser.add_argument("--square", type=float, default=0.85, help="from this share of the steps on, great errors count by their square")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--left", type=float, default=0.15, help="weight of the grain left in the base")
    parser.add_argument(
        "--leak", type=float, default=0.1, help="slope of the rectifiers below zero in the first half of the steps, so that none dies"
    )
    parser.add_argument("--widen", type=int, default=24_000, help="step from which the heaviest levels are drawn too")
    parser.add_argument("--heavy", action="store_true", help="draw heavy levels and white noise more often (second stage)")
    parser.add_argument("--start", type=Path, help="checkpoint whose averaged weights a new run starts from")
    parser.add_argument("--grow", type=Path, help="checkpoint of a smaller removal net, whose answer a new run starts from")
    parser.add_argument("--teacher", type=Path, help="checkpoint of a removal net that teaches the fast one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--every", type=int, default=250, help="steps between rows of the log")
    parser.add_argument("--save", type=int, default=2000, help="steps between checkpoints")
    parser.add_argument("--validate", type=int, default=2000, help="steps between checks on held-out crops, 0 for none")
    parser.add_argument("--held", type=Path, default=data_root() / "val", help="pictures to check on")
    parser.add_argument(
        "--compile", action="store_true", help="fuse the net's steps by torch.compile: a third faster, needs a C++ compiler"
    )
    args = parser.parse_args(arguments)
    check_options(args)
    return args


def check_options(args: argparse.Namespace) -> None:
    """Exit with a sentence where an option makes no sense, or not for this task."""
    if min(args.steps, args.batch, args.threads, args.every, args.save) < 1 or min(args.seed, args.validate) < 0 or args.rate <= 0:
        raise SystemExit("Give --steps, --batch, --threads, --every and --save 1 or more, --seed and --validate 0 or more, --rate above 0.")
    if args.size < 8 or args.size % 8:
        raise SystemExit(f"--size must be a multiple of 8, not {args.size}.")
    if args.grow is not None and args.task not in GROWING:
        raise SystemExit(f"--grow is for {', '.join(GROWING)}: leave it out for {args.task}.")
    if args.teacher is not None and args.task not in ("fast", *INT8):
        raise SystemExit(f"--teacher is for {', '.join(('fast', *INT8))}: leave it out for {args.task}.")
    if args.task in INT8 and args.start is None:
        raise SystemExit(f"{args.task} rounds a net that is there: give a checkpoint of {INT8[args.task]} as --start.")


def teach(args: argparse.Namespace) -> None:
    """Train a task of TASKS, resuming where the folder's checkpoint stands."""
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)  # the momentum of what no longer learns decays to numbers that cost a hundredfold
    moving, run_task = args.task == "temporal", TASKS[args.task]
    run = Run(args, hold(args.held, moving=moving, grey=run_task.grey) if args.validate else None)
    pictures = taught_pictures(args.data, args.size)
    run.train(Shots(pictures, taught_clips(args.clips, args.size), args.seed) if moving else Patches(pictures, args.seed))


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the task that --task names, removal unless given, by its program. Exits with a sentence where there is no such task."""
    parser = argparse.ArgumentParser(prog="python -m models.train", add_help=False, allow_abbrev=False)
    parser.add_argument("--task", default="removal")
    known, rest = parser.parse_known_args(arguments)
    if known.task in TASKS:
        with sentences("a smaller --batch or --size"):
            teach(parse(["--task", known.task, *rest]))
        return
    if known.task not in PROGRAMS:
        raise SystemExit(f"There is no task {known.task!r}: use one of {', '.join((*TASKS, *PROGRAMS))}.")
    program = PROGRAMS[known.task]
    shared = list(PROGRAMS.values()).count(program) > 1
    importlib.import_module(program).main(["--task", known.task, *rest] if shared else rest)


if __name__ == "__main__":
    main()
