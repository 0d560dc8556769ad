"""Begin a larger removal net from a trained smaller one, with the same answer (T. Chen and others, "Net2Net", 2016).

What the new channels give to the old ones starts at zero; everything else of theirs starts at random and learns from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from models.nets import RemovalNet


def widths_of(state: Mapping[str, torch.Tensor]) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return the widths and numbers of blocks of a removal net's weights."""
    widths = (len(state["head.weight"]), len(state["down_mid.weight"]), len(state["down_low.weight"]))
    parts = ("encode_top", "encode_mid", "bottom")
    blocks = [len({name.split(".")[1] for name in state if name.startswith(f"{part}.")}) for part in parts]
    return widths, (blocks[0], blocks[1], blocks[2])


def read_removal(path: Path) -> RemovalNet:
    """Return the averaged net of a checkpoint, of whatever size it is."""
    state = torch.load(path, weights_only=True)["average"]
    net = RemovalNet(*widths_of(state), channels=len(state["tail.weight"]) // 4)
    net.load_state_dict(state)
    return net


def grow(small: RemovalNet, large: RemovalNet) -> None:
    """Set `large`, at least as wide as `small` everywhere, to answer as `small` does. Raise ValueError if it is not as wide.

    A block that only `small` has is left out, and the answer then differs by what it added, until the others have learnt it.
    """
    mine = dict(small.named_modules())
    for name, module in large.named_modules():
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            continue
        twin = mine.get(name)
        if isinstance(twin, nn.Conv2d | nn.ConvTranspose2d):
            _embed(twin, module, name)


def to_grey(colour: RemovalNet) -> RemovalNet:
    """Return the net of one channel that answers a grey picture as the mean of what `colour` answers for its three equal channels."""
    state = colour.state_dict()
    grey = RemovalNet(*widths_of(state), channels=1)
    head, tail, bias = state["head.weight"], state["tail.weight"], state["tail.bias"]
    state["head.weight"] = torch.cat((head[:, :12].unflatten(1, (3, 4)).sum(1), head[:, 12:]), 1)
    state["tail.weight"], state["tail.bias"] = tail.unflatten(0, (3, 4)).mean(0), bias.unflatten(0, (3, 4)).mean(0)
    grey.load_state_dict(state)
    return grey


def _embed(small: nn.Conv2d | nn.ConvTranspose2d, large: nn.Conv2d | nn.ConvTranspose2d, name: str) -> None:
    """Write a convolution's weights into the first channels of a larger one; no new input reaches an old output."""
    out, into = (1, 0) if isinstance(large, nn.ConvTranspose2d) else (0, 1)
    old, new = small.weight, large.weight
    if any(a > b for a, b in zip(old.shape, new.shape, strict=True)):
        raise ValueError(f"{name} of the smaller net is larger: {tuple(old.shape)} does not fit into {tuple(new.shape)}.")
    with torch.no_grad():
        new.narrow(out, 0, old.shape[out]).zero_()
        new.narrow(out, 0, old.shape[out]).narrow(into, 0, old.shape[into]).copy_(old)
        if small.bias is not None and large.bias is not None:
            large.bias[: len(small.bias)].copy_(small.bias)
