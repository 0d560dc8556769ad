"""The neural synthesiser: a field of seeded noise in, grain of one channel out, shaped by the picture and by the emulsion.

Every random number enters through the field, so that the same field gives the same grain on any tile, and another frame's field
gives new grain on a picture that stands still. Nothing is normalised over the picture.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

WIDTH, BLOCKS = 32, 3
FIELDS = 2
"""Independent white fields that a channel's grain is made of."""
FAR = 4.0
"""Where the ends of the values lie before anything is learnt, in standard deviations."""
RADII, SPREADS = (0.25, 1.2), (0.3, 1.1)
"""Ranges of disk radius and point spread, pixels, within which the net was taught."""


class Block(nn.Module):
    """Add conv-ReLU-conv of the input, whose channels the condition has weighted."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Conv2d(width, width, 1)
        self.shift = nn.Conv2d(width, width, 1)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        for part in (self.gain, self.shift):
            nn.init.zeros_(part.weight)
            nn.init.zeros_(part.bias)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        held = x * (1 + self.gain(condition))
        return x + self.second(functional.relu(self.first(held) + self.shift(condition)))


class SynthNet(nn.Module):
    """Turn white noise into grain of unit strength.

    forward(field (N, FIELDS, H, W) unit white noise, picture (N, 1, H, W) code value of one channel, emulsion (N, 2, 1, 1) natural log
    of the disks' radius and the point spread, pixels) -> grain (N, 1, H, W) whose standard deviation is about 1 at every code value:
    the caller scales it by the strength curve. No value lies beyond two ends that depend on the condition: where disks are few, much of
    the picture has none at all, where they are many, much is covered whole. H and W must be even.
    """

    multiple_of = 2
    halo = 20

    def __init__(self, width: int = WIDTH, blocks: int = BLOCKS) -> None:
        super().__init__()
        self.know = nn.Sequential(nn.Conv2d(6, width, 1), nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU())
        self.head = nn.Conv2d(4 * FIELDS, width, 3, padding=1)
        self.blocks = nn.ModuleList([Block(width) for _ in range(blocks)])
        self.last = nn.Conv2d(width, width, 1)
        self.tail = nn.Conv2d(width, 4, 3, padding=1)
        self.ends = nn.Conv2d(width, 8, 1)
        for part in (self.last, self.ends):
            nn.init.zeros_(part.weight)
            nn.init.zeros_(part.bias)

    def condition(self, picture: torch.Tensor, emulsion: torch.Tensor) -> torch.Tensor:
        """Return what is known of each place (N, width, H/2, W/2)."""
        packed = functional.pixel_unshuffle(picture.clamp(0, 1), 2) * 2 - 1
        scaled = torch.cat((emulsion[:, :1] / math.log(2), 3 * (emulsion[:, 1:] - 0.7)), 1)
        return self.know(torch.cat((packed, scaled.expand(-1, -1, *packed.shape[2:])), 1))

    def limits(self, known: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the least and the greatest value at each place, (N, 4, H/2, W/2): those of no disk at all and of disks everywhere."""
        ends = self.ends(known)
        return ends[:, :4] - FAR, ends[:, 4:] + FAR

    def forward(self, field: torch.Tensor, picture: torch.Tensor, emulsion: torch.Tensor) -> torch.Tensor:
        known = self.condition(picture, emulsion)
        x = self.head(functional.pixel_unshuffle(field, 2))
        for block in self.blocks:
            x = block(x, known)
        raw = self.tail(x * (1 + self.last(known)))
        low, high = self.limits(known)
        return functional.pixel_shuffle(low + functional.relu(raw - low) - functional.relu(raw - high), 2)


class Critic(nn.Module):
    """Judge by patches whether grain is rendered or made: (grain, picture, radius, spread) -> a map of scores, no normalisation."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(4, width, 5, stride=2, padding=2),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 3, padding=1),
        )

    def forward(self, grain: torch.Tensor, picture: torch.Tensor, emulsion: torch.Tensor) -> torch.Tensor:
        plane = emulsion.expand(-1, -1, *grain.shape[2:])
        return self.body(torch.cat((grain, picture, plane), 1))
