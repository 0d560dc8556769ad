"""Declare the network that tells from a picture how coarsely it was quantised, where its stream does not.

An encoder cuts away what a transform of blocks finds little of, on its own grid of blocks. Seen through the same transform on that grid
and half a block beside it, a coded picture differs, and one that was only rounded does not, whatever it shows.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

LEAK = 0.1
"""Slope of the rectifiers below zero: without one they die."""
CODES = 219.0
SIDES = (8, 4)
"""Sides of the blocks of H.264's and HEVC's transforms that are looked for, pixels."""
FLOOR, SMALL, LARGE = 0.05, 0.6, 1.5
"""Added to a coefficient's square, 8-bit codes, and sizes below which one counts as cut away."""
SHARP = 0.2
"""How soft these two bounds are, 8-bit codes."""
FEATURES = 2 * (63 + 15) * 3 + 2 * 16
LARGEST = 52 / 64
"""The largest quantiser of H.264, over 64."""


def cosines(side: int) -> torch.Tensor:
    """Return the discrete cosine transform of blocks as filters (side^2 - 1, 1, side, side), without the mean, of norm 1."""
    place = torch.arange(side)
    waves = torch.cos(math.pi * (2 * place + 1) * place[:, None] / (2 * side)) * math.sqrt(2 / side)
    waves[0] /= math.sqrt(2)
    return (waves[:, None, :, None] * waves[None, :, None, :]).reshape(side * side, 1, side, side)[1:]


class QuantiserNet(nn.Module):
    """Estimate the quantiser of a recording from its luma.

    forward(luma (N, 1, H, W), 0..1, beginning at the corner of a block) -> QP / 64 of the whole picture, by cell of 8x8 pixels
    (N, 1, H/8, W/8), near 0 where no codec was at work.
    """

    multiple_of = 8
    halo = 0

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        for side in SIDES:
            self.register_buffer(f"cosines_{side}", cosines(side), persistent=False)
        self.body = nn.Sequential(
            nn.Linear(FEATURES, width), nn.LeakyReLU(LEAK), nn.Linear(width, width), nn.LeakyReLU(LEAK), nn.Linear(width, 2)
        )

    def forward(self, luma: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            seen = self.features(CODES * luma.float())
        coded, quantiser = self.body(seen).float().split(1, 1)
        value = torch.sigmoid(coded) * (LARGEST * torch.sigmoid(quantiser))
        return value[:, :, None, None].expand(-1, -1, luma.shape[2] // 8, luma.shape[3] // 8)

    def features(self, codes: torch.Tensor) -> torch.Tensor:
        """Return what is seen of pictures (N, 1, H, W), 8-bit codes: (N, FEATURES)."""
        found: list[torch.Tensor] = []
        for side in SIDES:
            filters = getattr(self, f"cosines_{side}")
            on, off = (_cut(functional.conv2d(codes[:, :, start:, start:], filters, stride=side).abs()) for start in (0, side // 2))
            found += [4 * (one - two) for one, two in zip(on, off, strict=True)] + list(on)
        return torch.cat((*found, _steps(codes), _steps(codes.transpose(2, 3))), 1)


def _cut(sizes: torch.Tensor) -> list[torch.Tensor]:
    """Return of coefficients (N, C, rows, columns), over all blocks, the mean logarithm and how many are small: three of (N, C)."""
    few = [torch.sigmoid((bound - sizes) / SHARP).mean((2, 3)) for bound in (SMALL, LARGE)]
    return [0.25 * torch.log(sizes.square() + FLOOR).mean((2, 3)), *few]


def _steps(codes: torch.Tensor) -> torch.Tensor:
    """Return by place within cells of 8 how large the steps from column to column are, beside their mean, and how many are none (N, 16)."""
    steps = (codes[:, 0, :, 1:] - codes[:, 0, :, :-1]).abs()
    whole = steps[:, :, : steps.shape[2] // 8 * 8].unflatten(2, (-1, 8))
    sizes, none = torch.log(whole.mean((1, 2)) + FLOOR), torch.sigmoid((0.5 - whole) / SHARP).mean((1, 2))
    return torch.cat((sizes - sizes.mean(1, keepdim=True), none), 1)
