"""Compare runs of restoration: `python -m models.restorecompare CACHE RUN/last.pt ...`.

For each checkpoint: steps and seconds of its training, what its net costs, and its mean gain over the recording, dB, by held-out recording.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from models.restoredata import hold
from models.restorelosses import gains
from models.restorenet import kmac_per_pixel
from models.restoretasks import TASKS
from models.restoretrain import load_net
from models.runfolder import read_state
from models.shell import sentences

SIDE = 64


def cost(goal: str, net: torch.nn.Module, frames: int) -> float:
    """Return thousands of multiplications for a pixel of luma."""
    if goal == "flow":
        return kmac_per_pixel(net, (torch.zeros(1, frames, 3, SIDE, SIDE),), SIDE * SIDE)
    given = (
        torch.zeros(1, frames, SIDE, SIDE),
        torch.zeros(1, 2 * frames, SIDE // 2, SIDE // 2),
        torch.full((1, 1, SIDE // 8, SIDE // 8), 0.5),
    )
    return kmac_per_pixel(net, given, SIDE * SIDE)


def line(cache: Path, checkpoint: Path) -> str:
    """Return a row of the table for a checkpoint. Exits with a sentence where it is none of a net that restores."""
    task, frames, net = load_net(checkpoint)
    goal = TASKS[task].goal
    if goal == "quantiser":
        raise SystemExit(f"{checkpoint} holds {task}, which restores nothing: give checkpoints of nets that do.")
    state = read_state(checkpoint)
    found = {name: gains(goal, net.eval(), batches) for name, batches in hold(cache, frames).items()}
    colour = sum(chroma for _, chroma in found.values()) / len(found)
    values = "  ".join(f"{luma:+8.3f}" for luma, _ in found.values()) + f"  {colour:+7.3f}"
    steps, seconds = state.get("step", 0), state.get("seconds", 0.0)
    return f"{task:15} {frames:6d}  {steps:6d}  {seconds:7.0f}  {cost(goal, net, frames):8.1f}  {values}"


def main(arguments: list[str]) -> None:
    """Print the table. Exits with a sentence where nothing is named."""
    if len(arguments) < 2:
        raise SystemExit("Name a cache of septuplets and checkpoints: python -m models.restorecompare CACHE RUN/last.pt ...")
    cache, *checkpoints = (Path(word) for word in arguments)
    print("task            frames   steps  seconds  kMAC/px      qp22      qp27      qp32      qp37  rounding   chroma")
    with sentences("fewer checkpoints at a time"):
        for checkpoint in checkpoints:
            print(line(cache, checkpoint), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
