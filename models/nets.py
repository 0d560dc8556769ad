"""Declare the networks. Pictures are (N, 3, H, W) code values, 0..1 nominal; H and W multiples of 8."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

DEFAULT_WIDTHS = (32, 64, 96)
DEFAULT_BLOCKS = (1, 1, 3)
"""Residual blocks of the three scales. The lower scales are cheap, and they carry what must be averaged over wide areas."""

QUALITY_WIDTHS = (64, 128, 256)
QUALITY_BLOCKS = (2, 2, 2)
"""The same of the large net, for machines with a GPU or with patience: it can begin from the default net, see models/grow.py."""


class ResBlock(nn.Module):
    """Add conv-ReLU-conv to the input. No normalisation, so that tiles never differ from the whole frame."""

    leak = 0.0
    """Slope of the rectifiers below zero, while the net learns: those of the lower scales die without it, and never learn again."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(functional.leaky_relu(self.first(x), self.leak) if self.leak else functional.relu(self.first(x)))


def stack(channels: int, blocks: int) -> nn.Sequential:
    """Return `blocks` residual blocks in a row."""
    return nn.Sequential(*(ResBlock(channels) for _ in range(blocks)))


def gate(strength: torch.Tensor) -> torch.Tensor:
    """Return 0 at no strength, half at a quarter of an 8-bit step, nearly 1 above: no strength means no change."""
    return strength / (strength + 0.001)


class RemovalNet(nn.Module):
    """Predict the grain of a picture from the picture and a strength map.

    forward(picture (N, C, H, W), strength (N, 1, H, W) standard deviation in code value) -> grain (N, C, H, W); C is 3, or 1 for grey.
    A residual U-Net behind pixel-unshuffle(2). Grain is carried through by linear paths alone: multiplying it by the strength
    instead, a gain of 1 to 100 that rectifiers must undo, cost 2 to 4 dB. A gate closes where the strength is next to nothing.
    H and W must be multiples of 8.
    """

    multiple_of = 8

    def __init__(
        self, widths: tuple[int, int, int] = DEFAULT_WIDTHS, blocks: tuple[int, int, int] = DEFAULT_BLOCKS, channels: int = 3
    ) -> None:
        super().__init__()
        top, mid, low = widths
        self.channels = channels
        self.head = nn.Conv2d(4 * channels + 4, top, 3, padding=1)
        self.encode_top = stack(top, blocks[0])
        self.down_mid = nn.Conv2d(top, mid, 2, stride=2)
        self.encode_mid = stack(mid, blocks[1])
        self.down_low = nn.Conv2d(mid, low, 2, stride=2)
        self.bottom = stack(low, blocks[2])
        self.up_mid = nn.ConvTranspose2d(low, mid, 2, stride=2)
        self.decode_mid = stack(mid, blocks[1])
        self.up_top = nn.ConvTranspose2d(mid, top, 2, stride=2)
        self.decode_top = stack(top, blocks[0])
        self.tail = nn.Conv2d(top, 4 * channels, 3, padding=1)

    def forward(self, picture: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        scale = functional.pixel_unshuffle(strength, 2)
        grain = self.inner(functional.pixel_unshuffle(picture, 2), scale)
        return functional.pixel_shuffle(grain * gate(scale).repeat(1, self.channels, 1, 1), 2)

    def inner(self, packed: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """Return ungated grain (N, 4 C, H/2, W/2) for an unshuffled picture (4 C channels) and strength map (4 channels)."""
        return self.through(torch.cat((packed - 0.5, scale), 1))

    def through(self, given: torch.Tensor) -> torch.Tensor:
        """Return what the tail gives for the head's input, both at half size."""
        top = self.encode_top(self.head(given))
        mid = self.encode_mid(self.down_mid(top))
        low = self.bottom(self.down_low(mid))
        mid = self.decode_mid(mid + self.up_mid(low))
        top = self.decode_top(top + self.up_top(mid))
        return self.tail(top)


class LevelNet(nn.Module):
    """Estimate the local strength of grain.

    forward(picture (N, 3, H, W)) -> natural log of the standard deviation per channel, (N, 3, H/8, W/8).
    Learned filters without response to a constant; their log energies over cells of 8x8 pixels; then a few convolutions
    between cells, which tell texture from grain by their neighbours.
    """

    multiple_of = 8

    def __init__(self, filters: int = 48, width: int = 64) -> None:
        super().__init__()
        self.filters = nn.Parameter(torch.randn(filters, 12, 3, 3) * 0.1)
        self.body = nn.Sequential(
            nn.Conv2d(filters + 3, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 3, 1),
        )

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        colours = self.filters.unflatten(1, (3, 4))
        balanced = (colours - colours.mean((2, 3, 4), keepdim=True)).flatten(1, 2)
        response = functional.conv2d(functional.pad(functional.pixel_unshuffle(picture, 2), (1, 1, 1, 1), "replicate"), balanced)
        energy = 0.5 * torch.log(functional.avg_pool2d(response.float() ** 2, 4) + 1e-8)
        return self.body(torch.cat((energy + 3, functional.avg_pool2d(picture, 8)), 1)) - 3
