"""Train a network: `python -m models.train --task NAME --out RUN`; a run that stopped goes on by the same command.

Everything is drawn from (seed, step), so an interrupted run resumes at its checkpoint and repeats nothing. RUN gets last.pt, log.csv,
check.csv (held-out crops with white noise of 25 and film-like grain of .05: PSNR in dB, for the level net its error) and curve.png.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
from models.nets import RemovalNet
from models.revive import revive
from models.runfolder import read_state
from models.shell import sentences
from models.tasks import GROWING, INT8, TASKS, check_task, precise_net, smaller_net
from models.training import Training, add_options, check_options, set_up_torch
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


class Run(Training):
    """Own one training run of a task of TASKS."""

    COLUMNS, CHECKED = ("step", "seconds", "rate", "loss", "left"), ("step", *CASES)
    KEPT_AS, WARM = "nets", 300
    REMEDY = "lower --rate, or give other pictures as --data"

    def __init__(self, args: argparse.Namespace, held: Held) -> None:
        """Begin a run, or go on at the checkpoint of its folder; `held` are the crops to check it on, none for no checks."""
        self.task = TASKS[args.task]
        teacher = None if args.teacher is None else smaller_net(args.teacher)
        self.loss = self.task.loss if teacher is None else Lesson(teacher, fused=args.compile, precise=args.task in INT8)
        super().__init__(args, held)

    @property
    def unit(self) -> str:
        """Say what the numbers of check.csv are."""
        return self.task.unit

    def begin(self) -> nn.Module:
        """Return the task's net with the weights that --start or --grow names."""
        args = self.args
        if args.task in INT8:
            return quantised(precise_net(args.start, args.task)).to(memory_format=torch.channels_last)
        net = self.task.make()
        if args.task != "level":
            net = net.to(memory_format=torch.channels_last)
        if args.start is not None:
            state = read_state(args.start)
            check_task(args.start, state, args.task, f"--start takes a checkpoint of {args.task}")
            net.load_state_dict(state["average"])
        if args.grow is not None:
            self._grow(net)
        return net

    def _grow(self, net: nn.Module) -> None:
        small = smaller_net(self.args.grow)
        try:
            if isinstance(net, TemporalNet):
                net.begin_from(small)
            elif isinstance(net, RemovalNet):
                grow(to_grey(small) if self.task.grey else small, net)
        except (RuntimeError, ValueError) as error:
            text = f"The net of {self.args.grow} does not fit into that of {self.args.task}: --grow takes a smaller one"
            raise SystemExit(f"{text}.") from error

    def admit(self, path: Path, state: Mapping[str, Any]) -> None:
        """Exit with a sentence unless a checkpoint is of this task and its net's size."""
        check_task(path, state, self.args.task, "give another folder as --out, or its own task as --task")

    def measured(self) -> dict[str, float]:
        """Return how near the averaged net comes on held-out crops, by kind of grain."""
        return {name: self.task.check(self.average, batches) for name, batches in self.held.items()}

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
        """Give the rectifiers their slope; before the first step set the steps of 8-bit values, or begin those that were dead at the
        start anew."""
        args = self.args
        if self.step == 0 and args.task in INT8:
            drawn = [self.draw(clean, CALIBRATING + number) for number in range(8)]
            calibrate(self.net, [(batch.grainy, batch.hint) for batch in drawn])
            self.average.load_state_dict(self.net.state_dict())
        elif self.step == 0 and self.leak() and (args.start or args.grow):
            batch = self.draw(clean, CALIBRATING)
            count = revive(self.net, [(batch.grainy, batch.hint)])
            self.average.load_state_dict(self.net.state_dict())
            print(f"{count} rectifiers were dead and begin anew", flush=True)
        self.give_leak()

    def one_step(self, clean: Patches | Shots) -> tuple[float, float]:
        """Take one optimiser step and return (loss, share of grain left)."""
        args = self.args
        self._prepare(clean)
        batch = self.draw(clean, self.step)
        loss, left = self.loss(self.net, batch, args.left, square=self.step >= args.square * args.steps)
        self.descend(loss)
        return loss.item(), left.item()


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
    add_options(parser)
    parser.add_argument("--data", type=Path, default=data_root() / "train" / "open")
    parser.add_argument("--clips", type=Path, default=data_root() / "video" / "open", help="moving pictures for the temporal net")
    parser.add_argument("--steps", type=int, default=105_000, help="105000 for removal, 16000 for level (with --batch 32 --late 0.8)")
    parser.add_argument("--square", type=float, default=0.85, help="from this share of the steps on, great errors count by their square")
    parser.add_argument("--left", type=float, default=0.15, help="weight of the grain left in the base")
    parser.add_argument("--widen", type=int, default=24_000, help="step from which the heaviest levels are drawn too")
    parser.add_argument("--heavy", action="store_true", help="draw heavy levels and white noise more often (second stage)")
    parser.add_argument("--start", type=Path, help="checkpoint whose averaged weights a new run starts from")
    parser.add_argument("--grow", type=Path, help="checkpoint of a smaller removal net, whose answer a new run starts from")
    parser.add_argument("--teacher", type=Path, help="checkpoint of a removal net that teaches the fast one")
    parser.add_argument("--held", type=Path, default=data_root() / "val", help="pictures to check on")
    args = parser.parse_args(arguments)
    check_options(args, 8)
    check_task_options(args)
    return args


def check_task_options(args: argparse.Namespace) -> None:
    """Exit with a sentence where an option makes no sense for this task."""
    if args.grow is not None and args.task not in GROWING:
        raise SystemExit(f"--grow is for {', '.join(GROWING)}: leave it out for {args.task}.")
    if args.teacher is not None and args.task not in ("fast", *INT8):
        raise SystemExit(f"--teacher is for {', '.join(('fast', *INT8))}: leave it out for {args.task}.")
    if args.task in INT8 and args.start is None:
        raise SystemExit(f"{args.task} rounds a net that is there: give a checkpoint of {INT8[args.task]} as --start.")


def teach(args: argparse.Namespace) -> None:
    """Train a task of TASKS, resuming where the folder's checkpoint stands."""
    set_up_torch(args.threads)
    moving, run_task = args.task == "temporal", TASKS[args.task]
    run = Run(args, hold(args.held, moving=moving, grey=run_task.grey) if args.validate else {})
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
