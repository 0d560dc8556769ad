"""Keep the rectifiers of removal nets alive: one that gives 0 on every picture learns nothing and serves nothing.

`python -m models.revive CHECKPOINT ...` counts those that are dead, by block, on the crops that removal nets are checked on: nearly all of
the lowest scale's in the default net, which was trained without this.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.nets import ResBlock

RARE = 0.001
"""Share of the places under which a unit that gives more than 0 there counts as dead."""


def blocks(net: nn.Module) -> list[ResBlock]:
    """Return the residual blocks of a net."""
    return [module for module in net.modules() if isinstance(module, ResBlock)]


def set_leak(net: nn.Module, leak: float) -> None:
    """Set the slope of the rectifiers below zero."""
    for block in blocks(net):
        block.leak = leak


def shares(net: nn.Module, inputs: Sequence[tuple[torch.Tensor, ...]]) -> list[torch.Tensor]:
    """Return by block, for each of its units, the share of the places of all inputs at which it gives more than 0."""
    found: list[torch.Tensor] = [torch.zeros(()) for _ in blocks(net)]

    def watch(place: int) -> Any:
        def seen(module: nn.Module, given: Any, out: torch.Tensor) -> None:
            del module, given
            found[place] = found[place] + (out > 0).float().mean((0, 2, 3)) / len(inputs)

        return seen

    hooks = [block.first.register_forward_hook(watch(place)) for place, block in enumerate(blocks(net))]
    with torch.no_grad():
        for one in inputs:
            net(*one)
    for hook in hooks:
        hook.remove()
    return found


def revive(net: nn.Module, inputs: Sequence[tuple[torch.Tensor, ...]]) -> int:
    """Begin the dead units of a net anew, in place, without changing its answer, and return how many there were.

    A unit's inputs get random weights as large as its block's median, its outputs 0, from where they learn. Where a block's
    convolutions have branches, it is left as it is.
    """
    count = 0
    held = blocks(net)
    for block, share in zip(held, shares(net, inputs) if held else [], strict=True):
        dead = share < RARE
        if not isinstance(block.first, nn.Conv2d) or not isinstance(block.second, nn.Conv2d) or not bool(dead.any()):
            continue
        with torch.no_grad():
            weight, bias = block.first.weight, block.first.bias
            fresh = torch.randn_like(weight[dead])
            size = weight.flatten(1).norm(dim=1).median() / fresh.flatten(1).norm(dim=1)
            weight[dead] = fresh * size[:, None, None, None]
            if bias is not None:
                bias[dead] = 0
            block.second.weight[:, dead] = 0
        count += int(dead.sum())
    return count


def census(net: nn.Module, inputs: Sequence[tuple[torch.Tensor, ...]]) -> dict[str, tuple[int, int]]:
    """Return by a block's name how many of its units are dead, and how many it has."""
    names = [name for name, module in net.named_modules() if isinstance(module, ResBlock)]
    return {name: (int((share < RARE).sum()), len(share)) for name, share in zip(names, shares(net, inputs), strict=True)}


def main(arguments: Sequence[str]) -> None:
    """Print the dead units of the averaged removal nets of checkpoints. Exits with a sentence where one holds none."""
    from models.check import hold
    from models.data import data_root
    from models.tasks import smaller_net

    if not arguments:
        raise SystemExit("Name checkpoints of removal nets: python -m models.revive RUN/last.pt ...")
    nets = {path: smaller_net(Path(path)) for path in arguments}
    inputs = [(batch.grainy, batch.hint) for batches in hold(data_root() / "val", moving=False).values() for batch in batches]
    for path, net in nets.items():
        found = census(net.eval(), inputs)
        print(f"{path}: " + ", ".join(f"{name} {dead} of {count}" for name, (dead, count) in found.items()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
