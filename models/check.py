"""Check a net while it trains, on crops of pictures that it does not learn from: white noise of 25 and film-like grain of .05.

The crops and their grain are always the same, and nothing here touches the numbers that training draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.data import Bytes, find_pictures, read_rgb
from models.degrade import Batch, greyed, one_channel
from models.evaluate import FILM, make_grain
from models.losses import level_loss, psnr
from models.motion import Shots
from models.windows import to_windows

CASES = {"white": 25 / 255, "film": 0.05}
"""Peak standard deviation, code value, by the kind of grain."""
CROPS, SIDE, SMALLEST = 6, 192, 16
"""Pictures that are looked at, pixels a side of the crop from each, and the least of them."""
Held = Mapping[str, Sequence[Batch]]
"""What is looked at by the kind of grain, a crop a batch."""


def hold(folder: Path, *, moving: bool, grey: bool = False) -> Held:
    """Return crops of pictures spread over a folder, with grain; `moving`: windows of FRAMES pictures, for the temporal net;
    `grey`: one channel, for the grey net.

    Raise MediaError if there is no picture or one is damaged; exits with a sentence where all are too small.
    """
    if not folder.is_dir():
        raise SystemExit(f"{folder} is no folder: name one whose pictures the net is checked on by --held, or give --validate 0.")
    files = find_pictures(folder)
    read = [read_rgb(file) for file in files[:: max(1, len(files) // CROPS)][:CROPS]]
    pictures = [picture for picture in read if min(picture.shape[:2]) >= SMALLEST]
    if not pictures:
        raise SystemExit(f"The pictures in {folder} are too small to check a net on: name larger ones by --held, or give --validate 0.")
    cleans = [_window(picture, number) if moving else _crop(picture) for number, picture in enumerate(pictures)]
    cleans = [greyed(clean) for clean in cleans] if grey else cleans
    held = {kind: [_grainy(kind, level, clean, 1000 * number) for number, clean in enumerate(cleans)] for kind, level in CASES.items()}
    if grey:
        return {kind: [one_channel(batch) for batch in batches] for kind, batches in held.items()}
    if not moving:
        return held
    return {kind: [to_windows(batch, torch.Generator().manual_seed(0)) for batch in batches] for kind, batches in held.items()}


def _side(picture: Bytes) -> int:
    return min(SIDE, *picture.shape[:2]) // 8 * 8


def _crop(picture: Bytes) -> torch.Tensor:
    """Return the middle of a picture, (1, 3, S, S), 0..1."""
    side = _side(picture)
    y, x = ((n - side) // 2 for n in picture.shape[:2])
    part = picture[y : y + side, x : x + side].transpose(2, 0, 1)[None]
    return torch.from_numpy(np.ascontiguousarray(part, np.float32) / 255)


def _window(picture: Bytes, number: int) -> torch.Tensor:
    """Return a picture in motion, (FRAMES, 3, S, S), 0..1."""
    return Shots([picture], [], 0).batch(number, 1, _side(picture))


def _grainy(kind: str, level: float, clean: torch.Tensor, seed: int) -> Batch:
    """Return pictures (N, 3, S, S) with grain of their own each, told the peak strength."""
    pictures = [np.ascontiguousarray(picture.permute(1, 2, 0).numpy()) for picture in clean]
    strengths = [np.full_like(picture, level) if kind == "white" else FILM.strength(picture, level) for picture in pictures]
    made = [make_grain(kind, level, picture, seed + number) for number, picture in enumerate(pictures)]
    grain, deviation = (torch.from_numpy(np.stack(part).astype(np.float32)).permute(0, 3, 1, 2).contiguous() for part in (made, strengths))
    peak = torch.full((len(clean), 1, 1, 1), level)
    return Batch(clean + grain, grain, deviation, peak.expand(-1, 1, *clean.shape[2:]), peak)


def removal_psnr(net: nn.Module, batches: Sequence[Batch]) -> float:
    """Return the mean PSNR, dB, of the bases that a removal net makes."""
    with torch.no_grad():
        values = [psnr(net(batch.grainy, batch.hint), batch.grain) for batch in batches]
    return sum(values) / len(values)


def strength_error(net: nn.Module, batches: Sequence[Batch]) -> float:
    """Return the mean absolute error of the natural log of the strength that a level net estimates."""
    with torch.no_grad():
        values = [float(level_loss(net(batch.grainy), batch)) for batch in batches]
    return sum(values) / len(values)
