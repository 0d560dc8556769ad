"""Declare our training tasks by their names, and tell of which a checkpoint is; those of the seed are in seedtasks.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.check import removal_psnr, strength_error
from models.degrade import Batch
from models.fast import BLOCKS, WIDTHS, FastNet
from models.grow import read_removal, widths_of
from models.int8 import quantised
from models.losses import SHARP, SQUARE, grain_loss, level_loss
from models.nets import QUALITY_BLOCKS, QUALITY_WIDTHS, LevelNet, RemovalNet
from models.runfolder import read_state
from models.windows import TemporalNet


def removal_loss(
    net: nn.Module, batch: Batch, left_weight: float, *, square: bool, rounded: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of the removal net and the share of grain left; `square` weighs great errors more, as PSNR does.

    A `rounded` net, in 8 bits, then runs in single precision, so that only its integers round.
    """
    with torch.autocast("cpu", torch.bfloat16, enabled=not (rounded and square)):
        guess = net(batch.grainy.contiguous(memory_format=torch.channels_last), batch.hint)
    return grain_loss(guess.float(), batch, left_weight, SQUARE if square else SHARP)


def strength_loss(net: nn.Module, batch: Batch, left_weight: float, *, square: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of the level estimator, and 0 for the share of grain left, which it does not touch."""
    del left_weight, square
    return level_loss(net(batch.grainy), batch), torch.zeros(())


def quality_net() -> RemovalNet:
    """Return the large removal net."""
    return RemovalNet(QUALITY_WIDTHS, QUALITY_BLOCKS)


def removal_int8() -> RemovalNet:
    """Return the default removal net in 8 bits."""
    return quantised(RemovalNet())


def fast_int8() -> RemovalNet:
    """Return the real-time net, its branches collapsed, in 8 bits."""
    return quantised(RemovalNet(WIDTHS, BLOCKS))


def grey_net() -> RemovalNet:
    """Return the removal net of grey pictures, of the default size."""
    return RemovalNet(channels=1)


@dataclass(frozen=True)
class Task:
    """Hold what a task is: its untrained net, its loss, and how it is checked, a number that `unit` names."""

    make: Callable[[], nn.Module]
    loss: Callable[..., tuple[torch.Tensor, torch.Tensor]] = removal_loss
    check: Callable[[nn.Module, Sequence[Batch]], float] = removal_psnr
    unit: str = "held-out PSNR, dB"
    grey: bool = False
    """Whether its pictures have one channel."""


TASKS = {
    "removal": Task(RemovalNet),
    "quality": Task(quality_net),
    "fast": Task(FastNet),
    "removal-int8": Task(removal_int8, partial(removal_loss, rounded=True)),
    "fast-int8": Task(fast_int8, partial(removal_loss, rounded=True)),
    "grey": Task(grey_net, grey=True),
    "temporal": Task(TemporalNet),
    "level": Task(LevelNet, strength_loss, strength_error, "held-out error of the log strength"),
}
INT8 = {"removal-int8": "removal", "fast-int8": "fast"}
"""Tasks of nets in 8 bits, and the task whose checkpoint each of them starts from."""
GROWING = ("removal", "quality", "grey", "temporal")
"""Tasks that may begin from a smaller removal net."""


def _shapes(weights: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(getattr(value, "shape", ())) for name, value in weights.items()}


def _fits(weights: Mapping[str, torch.Tensor], make: Callable[[], nn.Module]) -> bool:
    with torch.device("meta"):
        return _shapes(weights) == _shapes(make().state_dict())


def name_of(state: Mapping[str, Any]) -> str:
    """Return the task that a checkpoint's averaged net is of, by its name and shapes, or words for a net of none of TASKS."""
    weights, named = state.get("average"), state.get("task")
    weights = weights if isinstance(weights, Mapping) else {}
    fitting = [name for name, task in TASKS.items() if _fits(weights, task.make)]
    if named is None:
        return fitting[0] if fitting else "a net of another kind or size"
    return named if named not in TASKS or named in fitting else f"a net of {named} of another size"


def check_task(path: Path, state: Mapping[str, Any], task: str, remedy: str) -> None:
    """Exit with a sentence, at whose end `remedy` stands, unless a checkpoint's averaged net is one of a task."""
    if (name := name_of(state)) != task:
        raise SystemExit(f"{path} holds {name}, not {task}: {remedy}.")


def precise_net(path: Path, task: str) -> RemovalNet:
    """Return the averaged net, its branches collapsed, of a checkpoint that the task `task` in 8 bits starts from, or exit."""
    state = read_state(path)
    check_task(path, state, INT8[task], f"--start takes a checkpoint of {INT8[task]} for {task}")
    if INT8[task] == "removal":
        return read_removal(path)
    branched = FastNet()
    branched.load_state_dict(state["average"])
    return branched.collapsed()


def smaller_net(path: Path) -> RemovalNet:
    """Return the averaged removal net of a checkpoint, of whatever size. Exits with a sentence where it holds none."""
    state = read_state(path)
    try:
        sizes = widths_of(state["average"])
        plain = _fits(state["average"], lambda: RemovalNet(*sizes))
    except (AttributeError, KeyError, TypeError, ValueError):
        plain = False
    if not plain:
        raise SystemExit(f"{path} holds {name_of(state)}, not a plain removal net: --grow and --teacher take one of removal or quality.")
    return read_removal(path)
