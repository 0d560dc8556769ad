"""Train a task of the seed: `python -m models.train --task removal_case_3 --path TREE --out RUN`.

TREE holds clean pictures in org/ and grainy ones of the same names in fg/<level>/. Order, crops and first weights are drawn
from (seed, step), so that a stopped run, started again, goes on as if it had never stopped. RUN gets last.pt, log.csv and
curve.png. models/seed.toml holds the values that --config may change.
"""

from __future__ import annotations

import argparse
import math
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.losses import psnr
from models.runfolder import RunFolder, Stop, plot_curve, read_log, read_state, stopped
from models.seedlosses import adversarial_loss, critic_loss, l1_loss, mixed_loss
from models.seednets import WIDTH
from models.seedtasks import TASKS, Task, in_channels
from models.shell import sentences
from models.trees import read_tree

Floats = NDArray[np.float32]
Pair = tuple[str, str]
"""A level's name and a picture's name."""
DEFAULTS = Path(__file__).with_name("seed.toml")
COLUMNS = ("step", "epoch", "seconds", "loss", "critic", "l1", "psnr")
HELD = 10
"""One name in so many is held out for validation; at least one is."""
LOOKED_AT = 10
"""Pairs of a validation, spread over the levels."""


class Tree(Protocol):
    """Give pairs of pictures; what models.trees reads from a folder is one."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the pictures' names."""
        ...

    @property
    def levels(self) -> Mapping[str, float]:
        """Return the peak standard deviation of each level's name, code value."""
        ...

    def clean(self, name: str) -> Floats:
        """Return the clean picture (H, W, 3), 0..1."""
        ...

    def grainy(self, level_name: str, name: str) -> Floats:
        """Return the grainy picture (H, W, 3), 0..1."""
        ...


@dataclass(frozen=True)
class Config:
    """Hold the values of seed.toml; rates are Adam's."""

    epochs: int
    batch: int
    input_dim: int
    rate_generator: float
    rate_critic: float
    beta1: float
    levels: tuple[float, ...]


def read_config(path: Path | None) -> Config:
    """Return seed.toml's values, with those of `path` in their place. Exits with a sentence where a value makes no sense."""
    values = tomllib.loads(DEFAULTS.read_text())
    try:
        given = tomllib.loads(path.read_text()) if path else {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SystemExit(f"{path} cannot be read as TOML: {error}.") from error
    known = [field.name for field in fields(Config)]
    if strange := sorted(set(given) - set(known)):
        raise SystemExit(f"{path} has {', '.join(strange)}, which is not known: use {', '.join(known)}.")
    values |= given
    try:
        levels = tuple(float(level) for level in values["levels"])
        counts = [int(values[name]) for name in known[:3]]
        config = Config(*counts, *(float(values[name]) for name in known[3:6]), levels)
    except (TypeError, ValueError) as error:
        raise SystemExit(f"{path} must give numbers, and a list of numbers as levels: {error}.") from error
    if config.input_dim < 64 or config.input_dim % 32:
        raise SystemExit(f"input_dim must be a multiple of 32, 64 or more, not {config.input_dim}.")
    if min(config.epochs, config.batch) < 1 or min(config.rate_generator, config.rate_critic) <= 0 or not 0 <= config.beta1 < 1:
        raise SystemExit("epochs and batch must be 1 or more, rates above 0, and beta1 from 0 to below 1.")
    return config


class Pairs:
    """Draw training crops from a tree; the same step always draws the same.

    Exits with a sentence where the tree lacks a level of the config, has fewer than two pictures, or one smaller than a crop.
    """

    def __init__(self, tree: Tree, task: Task, config: Config, seed: int) -> None:
        self.tree, self.task, self.config, self.seed = tree, task, config, seed
        self.levels = tuple(tree.levels) if not config.levels else tuple(self._named(level) for level in config.levels)
        if len(tree.names) < 2 or not self.levels:
            raise SystemExit("The tree needs at least two pictures, one of them to validate on, and at least one level.")
        order = np.random.Generator(np.random.Philox(key=[seed, 1])).permutation(len(tree.names))
        held = max(1, len(order) // HELD)
        self.held = tuple(tree.names[i] for i in sorted(order[:held]))
        self.taught = tuple(tree.names[i] for i in sorted(order[held:]))
        self.epoch = math.ceil(len(self.taught) * len(self.levels) / config.batch)

    def _named(self, level: float) -> str:
        for name, value in self.tree.levels.items():
            if math.isclose(level, value, rel_tol=1e-3):
                return name
        has = ", ".join(f"{value:g}" for value in self.tree.levels.values()) or "none"
        raise SystemExit(f"The tree has no grain of level {level:g} (it has {has}): add it under fg/, or set levels in --config.")

    def chosen(self, step: int) -> list[Pair]:
        """Return the pairs of a step: every picture at every level comes once an epoch, in an order of its own."""
        epoch, place = divmod(step, self.epoch)
        everything = [(level, name) for level in self.levels for name in self.taught]
        order = np.random.Generator(np.random.Philox(key=[self.seed, 2 + epoch])).permutation(len(everything))
        batch = self.config.batch
        return [everything[order[i % len(order)]] for i in range(place * batch, (place + 1) * batch)]

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return (clean, grainy, levels) of a step: crops (N, C, S, S), 0..1, and (N,) code values."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed + (1 << 32), step]))
        return self._stack([(*pair, float(rng.random()), float(rng.random())) for pair in self.chosen(step)])

    def validation(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Give the middle crops of held-out pictures, one at a time, spread over the levels."""
        pairs = [(self.levels[i % len(self.levels)], name) for i, name in enumerate(self.held * len(self.levels))]
        for level, name in list(dict.fromkeys(pairs))[:LOOKED_AT]:
            yield self._stack([(level, name, 0.5, 0.5)])

    def _stack(self, places: list[tuple[str, str, float, float]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        crops = [self._crop(*place) for place in places]
        clean, grainy = (in_channels(torch.stack([crop[i] for crop in crops]), self.task.channels) for i in (0, 1))
        return clean, grainy, torch.tensor([self.tree.levels[place[0]] for place in places])

    def _crop(self, level: str, name: str, down: float, right: float) -> tuple[torch.Tensor, torch.Tensor]:
        both, size = (self.tree.clean(name), self.tree.grainy(level, name)), self.config.input_dim
        height, width = both[0].shape[:2]
        if both[1].shape != both[0].shape:
            raise SystemExit(f"{name} of level {level} has another size than the clean picture of that name: make them equal.")
        if min(height, width) < size:
            raise SystemExit(f"{name} is {width}x{height}, smaller than a crop: take it out, or set input_dim in --config under {size}.")
        y, x = round(down * (height - size)), round(right * (width - size))
        cut = [np.ascontiguousarray(p[y : y + size, x : x + size].transpose(2, 0, 1), dtype=np.float32) for p in both]
        return torch.from_numpy(cut[0]), torch.from_numpy(cut[1])


@dataclass(frozen=True)
class Options:
    """Hold what a run is besides its config: `every` steps a log row, `save` steps a checkpoint, `validate` steps (0: an epoch)."""

    steps: int | None = None
    seed: int = 1
    width: int = WIDTH
    every: int = 20
    save: int = 500
    validate: int = 0


class Run:
    """Own one training run: its folder, networks, optimisers, log and checkpoint.

    Exits with a sentence where the folder holds another task's checkpoint, or where a loss or a gradient is not a number.
    """

    def __init__(self, task: str, tree: Tree, out: Path, config: Config, options: Options) -> None:
        self.name, self.task, self.config, self.options = task, TASKS[task], config, options
        self.pairs = Pairs(tree, self.task, config, options.seed)
        self.steps = options.steps or config.epochs * self.pairs.epoch
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(options.seed)
        self.net = self.task.generator(options.width).to(self.device)
        self.optimiser = self._adam(self.net, config.rate_generator)
        self.critic = self.task.critic(options.width)
        self.critic_optimiser = None
        if self.critic is not None:
            self.critic = self.critic.to(self.device)
            self.critic_optimiser = self._adam(self.critic, config.rate_critic)
        self.step, self.seconds = 0, 0.0
        self.sums = [0.0] * 4
        self.folder = RunFolder(out)
        if self.folder.checkpoint.exists():
            self._resume()
        self.folder.trim("log.csv", COLUMNS, self.step)

    def _adam(self, net: nn.Module, rate: float) -> torch.optim.Adam:
        return torch.optim.Adam(net.parameters(), rate, (self.config.beta1, 0.999))

    def _identity(self) -> dict[str, Any]:
        config = {key: value for key, value in asdict(self.config).items() if key != "epochs"}
        return {"seed": self.options.seed, "width": self.options.width} | config | {"levels": list(self.config.levels)}

    def _resume(self) -> None:
        path = self.folder.checkpoint
        state = read_checkpoint(path)
        if state["task"] != self.name:
            raise SystemExit(f"{path} was trained for {state['task']}, not for {self.name}: give another folder as --out.")
        if changed := [key for key, value in self._identity().items() if state["identity"].get(key) != value]:
            raise SystemExit(f"{path} was trained with another {', '.join(changed)}: go back to it, or give another folder as --out.")
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.critic is not None and self.critic_optimiser is not None:
            self.critic.load_state_dict(state["critic"])
            self.critic_optimiser.load_state_dict(state["critic_optimiser"])
        self.step, self.seconds, self.sums = state["step"], state["seconds"], list(state["sums"])
        self.folder.kept = self.step

    def save(self) -> None:
        """Write the checkpoint."""
        state = {"task": self.name, "identity": self._identity(), "step": self.step, "seconds": self.seconds, "sums": self.sums}
        state |= {"net": self.net.state_dict(), "optimiser": self.optimiser.state_dict()}
        if self.critic is not None and self.critic_optimiser is not None:
            state |= {"critic": self.critic.state_dict(), "critic_optimiser": self.critic_optimiser.state_dict()}
        self.folder.save(state)

    def _stop(self, what: str) -> SystemExit:
        where = ", ".join(f"{name} at level {level}" for level, name in self.pairs.chosen(self.step))
        at = f"The {what} is not a number at step {self.step + 1} ({where})"
        return SystemExit(f"{at}; {self.folder.where()}: look at that picture or lower the rates.")

    def _move(self, loss: torch.Tensor, net: nn.Module, optimiser: torch.optim.Adam, what: str) -> float:
        """Take one optimiser step down a loss, and return the loss."""
        if not torch.isfinite(loss):
            raise self._stop(what)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if not torch.isfinite(nn.utils.get_total_norm([p.grad for p in net.parameters() if p.grad is not None])):
            raise self._stop(f"gradient of the {what}")
        optimiser.step()
        return loss.item()

    def one_step(self) -> tuple[float, float, float]:
        """Train on one batch and return (generator's loss, critic's loss or 0, mean absolute error)."""
        clean, grainy, level = (part.to(self.device) for part in self.pairs.batch(self.step))
        start, true = self.task.ends(clean, grainy)
        given = self.task.given(start, level)
        guess, judged = self.net(given), 0.0
        if self.critic is not None and self.critic_optimiser is not None:
            verdict = critic_loss(self.critic(given, true), self.critic(given, guess.detach()))
            judged = self._move(verdict, self.critic, self.critic_optimiser, "critic's loss")
            loss = adversarial_loss(self.critic(given, guess), guess, true)
        else:
            loss = mixed_loss(guess, true) if self.task.loss == "ms-ssim" else l1_loss(guess, true)
        value = self._move(loss, self.net, self.optimiser, "loss")
        self.step += 1
        return value, judged, l1_loss(guess.detach(), true).item()

    def validate(self) -> float:
        """Return the mean PSNR, dB, over crops of held-out pictures."""
        self.net.eval()
        values: list[float] = []
        with torch.no_grad():
            for parts in self.pairs.validation():
                clean, grainy, level = (part.to(self.device) for part in parts)
                start, true = self.task.ends(clean, grainy)
                values.append(psnr(self.net(self.task.given(start, level)), true))
        self.net.train()
        return sum(values) / len(values)

    def _log(self, validation: float | None) -> None:
        loss, judged, near = (total / self.sums[3] for total in self.sums[:3])
        self.sums = [0.0] * 4
        shown = "" if validation is None else f"{validation:.4f}"
        row = (self.step, self.step // self.pairs.epoch, f"{self.seconds:.1f}", f"{loss:.6g}", f"{judged:.6g}", f"{near:.6g}", shown)
        self.folder.append("log.csv", row)
        left = self.seconds / self.step * (self.steps - self.step)
        text = f"{self.name}  step {self.step} of {self.steps} ({100 * self.step // self.steps} %)  loss {loss:.5f}"
        text += f"  held-out {shown} dB" if shown else ""
        print(f"{text}  {left / 60:.1f} minutes left", flush=True)

    def train(self) -> None:
        """Train to the last step, or to the one at which Ctrl-C or SIGTERM came.

        A row is the mean over the steps since the row before; every validation writes one too.
        """
        since = time.monotonic()
        between, every = self.options.validate or self.pairs.epoch, self.options.every
        with Stop() as stop:
            while self.step < self.steps:
                self.sums = [total + new for total, new in zip(self.sums, (*self.one_step(), 1.0), strict=True)]
                last, stopping = self.step == self.steps, stop.asked
                if self.step % every == 0 or last:
                    checked = self.step // between > (self.step - 1 - (self.step - 1) % every) // between or last
                    self.seconds += time.monotonic() - since
                    since = time.monotonic()
                    self._log(self.validate() if checked else None)
                if self.step % self.options.save == 0 or last or stopping:
                    self.save()
                if stopping and not last:
                    raise stopped(self.folder, self.steps)
        self._plot()

    def _plot(self) -> None:
        rows = read_log(self.folder.path / "log.csv")
        losses = {"loss": (rows, "loss")} | ({"critic's loss": (rows, "critic")} if self.critic is not None else {})
        plot_curve(self.folder.path / "curve.png", losses, {"held out": (rows, "psnr")}, "held-out PSNR, dB")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint of this trainer, on the CPU. Exits with a sentence where the file is none."""
    state = read_state(path)
    if not isinstance(state.get("task"), str):
        raise SystemExit(f"{path} does not say what it was trained for, as those of the seed's tasks do: give another checkpoint.")
    if state["task"] in TASKS and not {"identity", "step", "seconds", "sums", "net", "optimiser"} <= set(state):
        raise SystemExit(f"{path} is not a whole checkpoint: give the last.pt of a run, or remove it to begin anew.")
    return state


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m models.train", description=__doc__)
    parser.add_argument("--task", choices=list(TASKS), required=True)
    parser.add_argument("--path", type=Path, required=True, help="tree with org/ and fg/<level>/")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run: last.pt, log.csv, curve.png")
    parser.add_argument("--config", type=Path, help="TOML file whose values replace those of models/seed.toml")
    parser.add_argument("--steps", type=int, help="stop after this many steps instead of the config's epochs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--width", type=int, default=WIDTH, help=f"channels of the widest scale; {WIDTH} as published")
    parser.add_argument("--threads", type=int, default=1, help="cores to use, where there is no GPU")
    parser.add_argument("--every", type=int, default=20, help="steps between rows of the log")
    parser.add_argument("--save", type=int, default=500, help="steps between checkpoints")
    parser.add_argument("--validate", type=int, default=0, help="steps between validations; an epoch unless given")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, resuming where the folder's checkpoint stands."""
    args = parse(arguments)
    torch.set_num_threads(max(1, args.threads))
    numbers = {field.name: getattr(args, field.name) for field in fields(Options)}
    if any(value is not None and value < (0 if name in {"seed", "validate"} else 1) for name, value in numbers.items()):
        raise SystemExit("Give --steps, --every, --save and --width 1 or more, --seed and --validate 0 or more.")
    with sentences("a smaller input_dim or batch in --config"):
        Run(args.task, read_tree(args.path), args.out, read_config(args.config), Options(**numbers)).train()


if __name__ == "__main__":
    main()
