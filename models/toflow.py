"""Declare the network of the seed of restoration: Task-Oriented Flow (Xue and others 2019, arXiv 1711.09078), written anew.

A pyramid of small networks (SPyNet, Ranjan and Black 2017) finds where each of the six neighbours shows what the middle frame shows; the
neighbours are warped to it, and a fusion head adds to the mean of all seven. Published for 256x448 pixels; this one takes any size.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

LEVELS = 4
"""Scales of the flow, each half as large as the one before."""
FRAMES = 7


class FlowLevel(nn.Sequential):
    """Refine a flow at one scale: five convolutions of 7x7, 240 kMAC for each of the scale's pixels."""

    def __init__(self) -> None:
        counts = (8, 32, 64, 32, 16, 2)
        layers: list[nn.Module] = []
        for place, (inputs, outputs) in enumerate(pairwise(counts)):
            layers += [*([nn.ReLU()] if place else []), nn.Conv2d(inputs, outputs, 7, padding=3)]
        super().__init__(*layers)
        nn.init.zeros_(self[-1].weight)
        nn.init.zeros_(self[-1].bias)


class TaskFlow(nn.Module):
    """Restore the middle of seven pictures: 2.02 MMAC a pixel by `restorenet.kmac_per_pixel`, 95 % of it for the flow.

    forward(pictures (N, 7, 3, H, W), Y, Cb, Cr at 4:4:4, any H and W) -> the middle picture (N, 3, H, W).
    """

    def __init__(self) -> None:
        super().__init__()
        self.flow = nn.ModuleList(FlowLevel() for _ in range(LEVELS))
        self.head = nn.Conv2d(3 * FRAMES, 64, 9, padding=4)
        self.fuse = nn.Conv2d(64, 64, 1)
        self.tail = nn.Conv2d(64, 3, 1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        middle = FRAMES // 2
        reference = pictures[:, middle]
        others = [place for place in range(FRAMES) if place != middle]
        moved = self._aligned(reference, pictures[:, others])
        aligned = torch.cat((moved[:, :middle], reference[:, None], moved[:, middle:]), 1)
        given = functional.relu(self.fuse(functional.relu(self.head(aligned.flatten(1, 2)))))
        return aligned.mean(1) + self.tail(given)

    def _aligned(self, reference: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """Return the neighbours (N, 6, 3, H, W) as they look from the reference (N, 3, H, W)."""
        count = others.shape[1]
        here, there = reference.repeat_interleave(count, 0), others.flatten(0, 1)
        return warp(there, self.motion(here, there)).unflatten(0, (-1, count))

    def motion(self, here: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Return by pixel of `here` how far to the right and down (N, 2, H, W) of it `there` shows the same, pixels."""
        height, width = here.shape[2:]
        unit = 2 ** (LEVELS - 1)
        padding = (0, -width % unit, 0, -height % unit)
        pyramid = [tuple(functional.pad(one, padding, "replicate") for one in (here, there))]
        while len(pyramid) < LEVELS:
            pyramid.append((functional.avg_pool2d(pyramid[-1][0], 2), functional.avg_pool2d(pyramid[-1][1], 2)))
        flow = torch.zeros_like(pyramid[-1][0][:, :2])
        for place, (first, second) in enumerate(reversed(pyramid)):
            if place:
                flow = 2 * functional.interpolate(flow, scale_factor=2.0, mode="bilinear", align_corners=False)
            flow = flow + self.flow[place](torch.cat((first, warp(second, flow), flow), 1))
        return flow[:, :, :height, :width]


def warp(picture: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """Return a picture (N, C, H, W) read at each pixel's place plus its flow (N, 2, H, W), across then down, pixels, linearly.

    The border goes on beyond it.
    """
    height, width = picture.shape[2:]
    x = torch.arange(width, dtype=flow.dtype) + flow[:, 0]
    y = torch.arange(height, dtype=flow.dtype)[:, None] + flow[:, 1]
    ends = x.clamp(0, width - 1), y.clamp(0, height - 1)
    left, top = (place.detach().floor() for place in ends)
    right, bottom = (left + 1).clamp(max=width - 1), (top + 1).clamp(max=height - 1)
    across, down = (ends[0] - left)[:, None], (ends[1] - top)[:, None]
    flat = picture.flatten(2)

    def read(row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        places = (row * width + column).long().flatten(1)[:, None].expand(-1, picture.shape[1], -1)
        return flat.gather(2, places).view_as(picture)

    upper = read(top, left) * (1 - across) + read(top, right) * across
    lower = read(bottom, left) * (1 - across) + read(bottom, right) * across
    return upper * (1 - down) + lower * down
