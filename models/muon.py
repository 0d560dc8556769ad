"""The optimiser of the networks: Muon for the inner convolutions, AdamW for the rest.

Muon (K. Jordan and others, 2024) moves a weight matrix along its momentum made orthogonal, so that every direction of the
matrix learns at one pace; at equal time on our removal net it stood 0.65 dB above AdamW.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

MOMENTUM, DECAY = 0.95, 0.01
SHARE = 0.2
"""RMS of an update at rate 1: that of a usual AdamW update, so that both can share a rate."""
ROUNDS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Odd quintic whose iteration drives singular values from (0, 1] to about 1."""


def orthogonalise(matrix: torch.Tensor) -> torch.Tensor:
    """Return the nearest matrix (rows, columns) with singular values near 1, by Newton-Schulz iteration.

    The iteration runs on the small side's Gram matrix: all its factors are polynomials of it, and commute.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix) / (matrix.norm() + 1e-7)
    gram = x @ x.T
    a, b, c = COEFFICIENTS
    total = torch.eye(len(gram))
    for _ in range(ROUNDS):
        factor = b * gram + c * (gram @ gram)
        factor.diagonal().add_(a)
        total = factor @ total
        gram = factor @ gram @ factor
    x = total @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Step convolution weights (out, in, h, w), taken as matrices (out, in*h*w), by orthogonalised Nesterov momentum."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(list(params), {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take one step; every parameter must have a gradient. `closure` is not used."""
        del closure
        for group in self.param_groups:
            for weight in group["params"]:
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                momentum.lerp_(weight.grad, 1 - MOMENTUM)
                ahead = weight.grad.lerp(momentum, MOMENTUM)
                update = orthogonalise(ahead.flatten(1))
                weight.mul_(1 - group["lr"] * DECAY)
                weight.add_(update.reshape(weight.shape), alpha=-group["lr"] * SHARE * max(update.shape) ** 0.5)


def optimisers(net: nn.Module, rate: float) -> list[torch.optim.Optimizer]:
    """Return Muon for the convolutions between the head and the tail and AdamW for everything else."""
    inner = {name for name, p in net.named_parameters() if p.ndim == 4 and not name.startswith(("head", "tail", "filters"))}
    muon = [p for name, p in net.named_parameters() if name in inner]
    adam = [p for name, p in net.named_parameters() if name not in inner]
    inner: list[torch.optim.Optimizer] = [Muon(muon, rate)] if muon else []
    return [*inner, torch.optim.AdamW(adam, lr=rate, weight_decay=1e-4)]
