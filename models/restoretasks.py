"""Declare the tasks of restoration by their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import nn

from models.quantisernet import QuantiserNet
from models.restorenet import RestoreNet, quality_net
from models.toflow import FRAMES, TaskFlow

Goal = Literal["restore", "quantiser", "flow"]
"""What a net is for: to restore pictures along motion that it is given, to estimate their quantiser, or to restore what moves by itself."""
COUNTS = (1, 3, 5, 7)
"""Frames that a restoration net may see."""


@dataclass(frozen=True)
class Task:
    """Hold what a task is: its `goal`, what it makes for a number of frames, how many there are unless said otherwise, and the numbers
    that may be said."""

    goal: Goal
    make: Callable[[int], nn.Module]
    frames: int
    counts: tuple[int, ...]


def _estimator(frames: int) -> QuantiserNet:
    del frames
    return QuantiserNet()


def _flow(frames: int) -> TaskFlow:
    del frames
    return TaskFlow()


TASKS: dict[str, Task] = {
    "restore-1": Task("restore", RestoreNet, 1, COUNTS),
    "restore-5": Task("restore", RestoreNet, 5, COUNTS),
    "restore-quality": Task("restore", quality_net, 7, COUNTS),
    "quantiser": Task("quantiser", _estimator, 1, (1,)),
    "toflow": Task("flow", _flow, FRAMES, (FRAMES,)),
}
