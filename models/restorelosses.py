"""Run the nets of restoration on batches, and measure how wrong they are."""

from __future__ import annotations

import torch
from torch import nn

from models.losses import psnr
from models.restoredata import Batch
from models.restorenet import upsampled
from models.restoretasks import Goal

PARTS = slice(1), slice(1, 3)
"""Of the channels of a picture, those of luma and those of chroma."""
LUMA, COLOUR = (0.0013, 0.006, 9.5), (0.0035, 0.0035, 12.0)
"""Root mean square error of luma and of chroma, brought up by linear interpolation, of recordings: what rounding and siting leave, code
value, what a QP of 22 adds to it, and how many QP double that. By `python -m models.restoreerrors CACHE`, rounded."""
LEAST = 0.3
"""Share of the typical error below which a crop's own error makes it count less."""


def typical_error(quantiser: torch.Tensor, errors: tuple[float, float, float]) -> torch.Tensor:
    """Return the error to be expected, code value (N, 1, 1, 1), at a quantiser, QP / 64 by cell (N, 1, H/8, W/8).

    `errors` are LUMA or COLOUR.
    """
    least, added, doubled = errors
    mean = 64 * quantiser.mean((1, 2, 3), keepdim=True)
    return torch.where(mean > 0, least + added * 2 ** ((mean - 22) / doubled), least)


def relative(made: torch.Tensor, given: torch.Tensor, true: torch.Tensor, least: torch.Tensor) -> torch.Tensor:
    """Return the mean over crops (N, C, H, W) of the mean square error of what was made, divided by that of what was given.

    Divided so, all crops count alike, as they do in a mean of PSNR: those of texture, where errors are great and little can be known of
    them, and those of smooth parts. A crop whose own error is far below `least` (N, 1, 1, 1), code value, counts less.
    """
    before, after = ((picture - true).square().mean((1, 2, 3)) for picture in (given, made))
    return (after / (before + least.flatten().square())).mean()


def as_given(batch: Batch) -> torch.Tensor:
    """Return the middle frame as it was recorded, its chroma brought up by linear interpolation (N, 3, H, W)."""
    middle = batch.luma.shape[1] // 2
    return torch.cat((batch.luma[:, middle : middle + 1], upsampled(batch.chroma[:, 2 * middle : 2 * middle + 2])), 1)


def whole(batch: Batch) -> torch.Tensor:
    """Return all frames at 4:4:4, (N, T, 3, H, W)."""
    chroma = upsampled(batch.chroma).unflatten(1, (-1, 2))
    return torch.cat((batch.luma[:, :, None], chroma), 2)


def guess(goal: Goal, net: nn.Module, batch: Batch) -> torch.Tensor:
    """Return what a net makes of a batch: the middle frame (N, 3, H, W), or QP / 64 (N, 1, H/8, W/8)."""
    if goal == "restore":
        return torch.cat(net(batch.luma, batch.chroma, batch.told), 1)
    return net(batch.luma) if goal == "quantiser" else net(whole(batch))


def quantiser_error(made: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the mean absolute error of estimated quantisers, QP."""
    return 64 * (made - batch.quantiser).abs().mean()


def loss_of(goal: Goal, made: torch.Tensor, batch: Batch, chroma: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (loss, its part of chroma): `relative` of luma and, `chroma` times, of Cb and Cr; of a quantiser (its error, 0).

    Norms that grow like the error itself suit less: by them a net learns to add detail that costs PSNR.
    """
    if goal == "quantiser":
        return quantiser_error(made, batch), torch.zeros(())
    given, true = as_given(batch), batch.truth
    luma, colour = (
        relative(made[:, part], given[:, part], true[:, part], LEAST * typical_error(batch.quantiser, errors))
        for part, errors in zip(PARTS, (LUMA, COLOUR), strict=True)
    )
    return luma + chroma * colour, colour.detach()


def gain(goal: Goal, made: torch.Tensor, batch: Batch) -> tuple[float, float]:
    """Return the gain of PSNR over the recording, dB, of Y and of Cb and Cr; for a quantiser its mean absolute error, QP, and 0."""
    if goal == "quantiser":
        return float(quantiser_error(made, batch)), 0.0
    given, true = as_given(batch), batch.truth
    luma, colour = (psnr(made[:, part], true[:, part]) - psnr(given[:, part], true[:, part]) for part in PARTS)
    return luma, colour


def gains(goal: Goal, net: nn.Module, batches: list[Batch]) -> tuple[float, float]:
    """Return the means over batches of what `gain` says of a net."""
    with torch.no_grad():
        values = [gain(goal, guess(goal, net, batch), batch) for batch in batches]
    return sum(luma for luma, _ in values) / len(values), sum(colour for _, colour in values) / len(values)
