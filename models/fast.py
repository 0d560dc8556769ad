"""Declare the real-time remover: a small removal net whose convolutions are trained with branches and shipped without them.

While it learns, each inner convolution is the sum of one of 3x3, one of 1x1 and the input itself; all are linear, so that they collapse
into one of 3x3 with the same answer (X. Ding and others, "RepVGG", 2021). It learns from the true grain and from a larger net's guess.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from models.degrade import Batch
from models.losses import SHARP, SQUARE, grain_loss
from models.nets import RemovalNet, ResBlock

WIDTHS = (16, 64, 96)
BLOCKS = (1, 1, 3)
TEACHING = 0.5
"""Weight of the teacher's guess against that of the truth."""


class BranchedConv(nn.Module):
    """Convolve (N, C, H, W) by the sum of 3x3, 1x1 and the input itself; `collapsed` is one 3x3 with the same answer."""

    def __init__(self, plain: nn.Conv2d) -> None:
        """Take the weights of a convolution of as many channels in as out; what the branches add begins at nothing."""
        super().__init__()
        self.wide = plain
        self.point = nn.Conv2d(plain.in_channels, plain.out_channels, 1, bias=False)
        self.through = nn.Parameter(torch.zeros(plain.out_channels))
        nn.init.zeros_(self.point.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.wide(x) + self.point(x) + self.through[None, :, None, None] * x

    def collapsed(self) -> nn.Conv2d:
        """Return the one convolution, with weights of its own."""
        merged = nn.Conv2d(self.wide.in_channels, self.wide.out_channels, 3, padding=1)
        with torch.no_grad():
            weight = self.wide.weight + functional.pad(self.point.weight, (1, 1, 1, 1))
            weight[:, :, 1, 1] += torch.diag(self.through)
            merged.weight.copy_(weight)
            if self.wide.bias is not None and merged.bias is not None:
                merged.bias.copy_(self.wide.bias)
        return merged


class FastNet(RemovalNet):
    """Predict grain as RemovalNet does, with fewer channels and branched convolutions inside its blocks."""

    def __init__(self) -> None:
        super().__init__(WIDTHS, BLOCKS)
        for block in [module for module in self.modules() if isinstance(module, ResBlock)]:
            block.first, block.second = BranchedConv(block.first), BranchedConv(block.second)  # pyright: ignore[reportAttributeAccessIssue]

    def collapsed(self) -> RemovalNet:
        """Return the plain net with the same answer, in single precision: the one that is exported."""
        plain = RemovalNet(WIDTHS, BLOCKS)
        mine = dict(self.named_modules())
        for name, module in plain.named_modules():
            twin = mine.get(name)
            if isinstance(twin, BranchedConv):
                module.load_state_dict(twin.collapsed().state_dict())
            elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and twin is not None:
                module.load_state_dict(twin.state_dict())
        return plain


class Lesson:
    """Measure a pupil against the truth and against its teacher, a removal net of larger widths."""

    def __init__(self, teacher: RemovalNet, *, fused: bool = False, precise: bool = False) -> None:
        """Take a removal net of any size that teaches, `fused` by torch.compile; `precise` pupils end in single precision."""
        self.teacher, self.precise = teacher.eval().to(memory_format=torch.channels_last), precise
        if fused:
            self.teacher.compile(dynamic=False)

    def __call__(self, net: nn.Module, batch: Batch, left_weight: float, *, square: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (loss, share of grain left); the teacher's guess counts as another truth."""
        grainy = batch.grainy.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=not (self.precise and square)):
            guess = net(grainy, batch.hint).float()
        with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
            taught = self.teacher(grainy, batch.hint).float()
        width = SQUARE if square else SHARP
        loss, left = grain_loss(guess, batch, left_weight, width)
        other = Batch(batch.grainy, taught, batch.deviation, batch.hint, batch.peak)
        return (1 - TEACHING) * loss + TEACHING * grain_loss(guess, other, 0.0, width)[0], left
