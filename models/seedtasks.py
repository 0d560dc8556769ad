"""Declare the tasks of the seed (Ameur and others 2022, arXiv 2206.07411) by their names.

A removal task turns a grainy picture into the clean one; case 3 is told the level by a map (non-blind), case 4 is not (blind).
A synthesis task turns a clean picture and a level map into the grainy one. **The seed's synthesiser has no noise input**: its
grain is a fixed function of the picture, so that on a static shot every frame carries the same grain, and the grain freezes.
The tasks are kept as the baseline; a synthesiser for video takes a seeded noise field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from models.seednets import WIDTH, Generator, PatchGAN, ResUNet, UNet

Goal = Literal["removal", "synthesis"]
Loss = Literal["l1", "ms-ssim", "adversarial"]
BACKBONES: dict[str, type[UNet] | type[ResUNet]] = {"unet": UNet, "res-unet": ResUNet}


@dataclass(frozen=True)
class Task:
    """Hold what a task is: `goal`, `backbone` (a key of BACKBONES), `loss`, whether it is `told` the level, and its `channels`."""

    goal: Goal
    backbone: str
    loss: Loss
    told: bool
    channels: int = 3

    @property
    def inputs(self) -> int:
        """Return the channels of the generator's input."""
        return self.channels + int(self.told)

    def generator(self, width: int = WIDTH) -> Generator:
        """Return the untrained generator; weights from torch's random numbers."""
        return BACKBONES[self.backbone](self.inputs, self.channels, width)

    def critic(self, width: int = WIDTH) -> PatchGAN | None:
        """Return the untrained critic of an adversarial task, which sees the generator's input too; None for the others."""
        return PatchGAN(self.inputs + self.channels, width) if self.loss == "adversarial" else None

    def given(self, picture: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """Return the generator's input (N, inputs, H, W) for a picture (N, C, H, W) and levels (N,), code value."""
        if not self.told:
            return picture
        plane = level.to(picture).view(-1, 1, 1, 1).expand(-1, 1, *picture.shape[2:])
        return torch.cat((picture, plane), 1)

    def ends(self, clean: torch.Tensor, grainy: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (picture to start from, picture to reach)."""
        return (grainy, clean) if self.goal == "removal" else (clean, grainy)


TASKS: dict[str, Task] = {
    "removal_case_1": Task("removal", "unet", "l1", told=False),
    "removal_case_2": Task("removal", "res-unet", "l1", told=False),
    "removal_case_3": Task("removal", "res-unet", "ms-ssim", told=True),
    "removal_case_4": Task("removal", "res-unet", "ms-ssim", told=False),
    "removal_case_3_gray": Task("removal", "res-unet", "ms-ssim", told=True, channels=1),
    "removal_case_4_gray": Task("removal", "res-unet", "ms-ssim", told=False, channels=1),
    "synthesis_case_1": Task("synthesis", "unet", "l1", told=True),
    "synthesis_case_2": Task("synthesis", "res-unet", "l1", told=True),
    "synthesis_case_3": Task("synthesis", "res-unet", "adversarial", told=True),
    "synthesis_case_3_gray": Task("synthesis", "res-unet", "adversarial", told=True, channels=1),
}
LUMA = (0.2126, 0.7152, 0.0722)
"""BT.709 weights by which a grey task sees a colour picture."""


def in_channels(picture: torch.Tensor, channels: int) -> torch.Tensor:
    """Return (N, 3, H, W) as it is, or as its luma (N, 1, H, W) where one channel is asked for."""
    return picture if channels == 3 else (picture * torch.tensor(LUMA).to(picture).view(1, 3, 1, 1)).sum(1, keepdim=True)
