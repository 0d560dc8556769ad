"""Declare the networks of Ameur and others 2022 (arXiv 2206.07411), written anew from the paper's account of them.

Pictures are (N, C, H, W) code values, 0..1, with C = 3 in colour and 1 in grey; H and W are any multiples of 32. A level map is
one more input channel that holds the grain's level, its peak standard deviation in code value, at every pixel. Both
generators give the picture itself, not its grain, by (1 + tanh) / 2. Neither draws a random number: what they give is a
fixed function of what they are given.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

WIDTH = 64
"""Channels of the widest scale, as published; a smaller width gives the same shape for tests."""


class Generator(nn.Module):
    """Be a network from `inputs` channels (picture, then a level map where the task has one) to `outputs` channels."""

    multiple_of = 32

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.inputs, self.outputs, self.width = inputs, outputs, width

    def check(self, x: torch.Tensor) -> None:
        """Raise ValueError unless `x` is (N, inputs, H, W) with H and W multiples of 32."""
        if x.ndim != 4 or x.shape[1] != self.inputs:
            raise ValueError(f"Give this network (N, {self.inputs}, H, W), not {tuple(x.shape)}.")
        if x.shape[2] % self.multiple_of or x.shape[3] % self.multiple_of:
            raise ValueError(f"Pad the picture to multiples of {self.multiple_of}: {x.shape[3]}x{x.shape[2]} is not.")


def _shrink(inputs: int, outputs: int, *, norm: bool = True) -> nn.Sequential:
    """Return a 4x4 convolution of stride 2 with a leaky rectifier."""
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=not norm)]
    if norm:
        layers.append(nn.BatchNorm2d(outputs))
    return nn.Sequential(*layers, nn.LeakyReLU(0.2))


def _grow(inputs: int, outputs: int) -> nn.Sequential:
    """Return a transposed 4x4 convolution of stride 2 with a rectifier."""
    return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class UNet(Generator):
    """Be pix2pix's U-Net (Isola and others 2017), five scales deep: 16.7 M parameters, 84 kMAC a pixel.

    forward(x (N, inputs, H, W)) -> picture (N, outputs, H, W), 0..1. Raises ValueError for another shape. It has no dropout,
    which in pix2pix is the only noise there is. In training, a batch must hold more than one pixel at 1/32 of the size.
    """

    def __init__(self, inputs: int, outputs: int, width: int = WIDTH) -> None:
        super().__init__(inputs, outputs, width)
        counts = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        self.first = _shrink(inputs, width, norm=False)
        self.down = nn.ModuleList(_shrink(a, b) for a, b in pairwise(counts))
        above = [8 * width, 4 * width, 2 * width, width]
        below = [8 * width, *(2 * count for count in above[:-1])]
        self.up = nn.ModuleList(_grow(a, b) for a, b in zip(below, above, strict=True))
        self.last = nn.ConvTranspose2d(2 * width, outputs, 4, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.check(x)
        kept = [self.first(x)]
        for layer in self.down:
            kept.append(layer(kept[-1]))
        y = kept.pop()
        for layer in self.up:
            y = torch.cat((layer(y), kept.pop()), 1)
        return 0.5 + 0.5 * torch.tanh(self.last(y))


class ResidualBlock(nn.Module):
    """Add two 3x3 convolutions, each after a rectifier but the first, to a 1x1 convolution of the input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.short = nn.Conv2d(inputs, outputs, 1)
        for layer in (self.first, self.short):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.short(x) + self.second(functional.relu(self.first(x))))


class ResUNet(Generator):
    """Be a U-Net (Ronneberger and others 2015) of residual blocks, five scales deep: 32.4 M parameters, 875 kMAC a pixel.

    forward(x (N, inputs, H, W)) -> picture (N, outputs, H, W), 0..1. Raises ValueError for another shape. No normalisation.
    """

    def __init__(self, inputs: int, outputs: int, width: int = WIDTH) -> None:
        super().__init__(inputs, outputs, width)
        counts = [width << scale for scale in range(5)]
        self.encode = nn.ModuleList(ResidualBlock(a, b) for a, b in zip([inputs, *counts[:-1]], counts, strict=True))
        pairs = list(zip(counts[:0:-1], counts[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.Conv2d(a, b, 2) for a, b in pairs)
        self.decode = nn.ModuleList(ResidualBlock(a, b) for a, b in pairs)
        self.last = nn.Conv2d(width, outputs, 1)
        for layer in self.up:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.check(x)
        kept: list[torch.Tensor] = []
        for block in self.encode:
            x = block(functional.max_pool2d(kept[-1], 2) if kept else x)
            kept.append(x)
        x = kept.pop()
        for up, block in zip(self.up, self.decode, strict=True):
            grown = functional.pad(functional.interpolate(x, scale_factor=2.0), (0, 1, 0, 1), "replicate")
            x = block(torch.cat((functional.relu(up(grown)), kept.pop()), 1))
        return 0.5 + 0.5 * torch.tanh(self.last(x))


class PatchGAN(nn.Module):
    """Be pix2pix's critic, whose every answer sees 70x70 pixels: 2.8 M parameters.

    forward(given (N, G, H, W), picture (N, C, H, W)) -> logits (N, 1, about H/8, about W/8), above 0 where the picture passes
    for real. `inputs` is G + C. H and W must be 32 or more.
    """

    def __init__(self, inputs: int, width: int = WIDTH) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _shrink(inputs, width, norm=False),
            _shrink(width, 2 * width),
            _shrink(2 * width, 4 * width),
            nn.Conv2d(4 * width, 8 * width, 4, padding=1, bias=False),
            nn.BatchNorm2d(8 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(8 * width, 1, 4, padding=1),
        )

    def forward(self, given: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
        return self.body(torch.cat((given, picture), 1))


def parameters(net: nn.Module) -> int:
    """Return how many numbers training may change."""
    return sum(p.numel() for p in net.parameters())
