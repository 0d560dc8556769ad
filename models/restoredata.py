"""Draw batches of septuplets for the tasks of restoration, deterministic by step, and hold out those that a net is checked on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models.septcache import HELD, TAUGHT, Crop, Group, read_groups
from models.septuplets import CHECKED
from models.transcode import BLOCK

REPEATED = 0.12
"""Share of the crops in which frames on one side are missing, as at the ends of a shot, and the next one there stands in for them."""
MISTAKEN, MISTAKE = 0.35, 4 / 64
"""Share of the crops whose told quantiser is off, as an estimated one is, and by how much at most, QP / 64."""
SIDE = 192
"""Pixels a side of what is looked at of a held-out group, at most."""
LOOKED_AT = 12
"""Held-out groups that are looked at, spread over the sources."""
CASES = (*(f"qp{qp}" for qp in CHECKED), "rounding")
"""Columns of check.csv: the recordings of held-out groups."""


@dataclass(frozen=True)
class Batch:
    """Hold what a net is given and is to reach.

    luma (N, T, H, W)           frames of a recording, 0..1
    chroma (N, 2 T, H/2, W/2)   Cb and Cr frame by frame, -0.5..0.5
    told (N, 1, H/8, W/8)       QP / 64 as the net is told it, and `quantiser` as it is
    truth (N, 3, H, W)          Y, Cb, Cr of the middle frame at 4:4:4
    """

    luma: torch.Tensor
    chroma: torch.Tensor
    told: torch.Tensor
    quantiser: torch.Tensor
    truth: torch.Tensor


class Septuplets:
    """Draw training crops of `frames` frames from the taught groups of a cache; the same step always draws the same ones."""

    def __init__(self, folder: Path, frames: int, seed: int) -> None:
        """Read the cache. Exits with a sentence where it holds nothing to learn from."""
        self.frames, self.seed = frames, seed
        self.groups = [group for group in read_groups(folder) if group.part == TAUGHT]
        if not self.groups:
            raise SystemExit(f"All septuplets in {folder} are held out: make others of clips or photographs that may be learned from.")
        areas = np.array([group.height * group.width for group in self.groups], np.float64)
        self.weights = areas / areas.sum()

    def check(self, size: int) -> None:
        """Exit with a sentence where a group is smaller than a crop."""
        least = min(self.groups, key=lambda group: min(group.height, group.width))
        if min(least.height, least.width) < size:
            raise SystemExit(f"{least.path} is {least.width}x{least.height}, smaller than a crop: give a smaller --size.")

    def batch(self, step: int, count: int, size: int) -> Batch:
        """Return a step's crops, `count` of `size` pixels a side."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed, step]))
        chosen = rng.choice(len(self.groups), count, p=self.weights)
        return together([self._crop(self.groups[place], rng, size) for place in chosen], rng)

    def _crop(self, group: Group, rng: np.random.Generator, size: int) -> Crop:
        middle = int(rng.choice(group.centres))
        place = tuple(int(rng.integers(0, (n - size) // BLOCK + 1)) * BLOCK for n in (group.height, group.width))
        crop = group.crop(int(rng.integers(len(group.recordings))), self._frames(middle, rng), middle, (place[0], place[1]), (size, size))
        return turned(crop, over=bool(rng.random() < 0.5), back=bool(rng.random() < 0.5))

    def _frames(self, middle: int, rng: np.random.Generator) -> list[int]:
        """Return which frames are shown; where some are missing on a side, the last one there comes again."""
        reach = self.frames // 2
        missing = int(rng.integers(1, reach + 1)) if reach and rng.random() < REPEATED else 0
        low, high = (reach - missing, reach) if rng.random() < 0.5 else (reach, reach - missing)
        return [middle + min(high, max(-low, offset)) for offset in range(-reach, reach + 1)]


def turned(crop: Crop, *, over: bool, back: bool) -> Crop:
    """Return a crop upside down or with its frames in reverse; left and right stay, for chroma is sited left."""
    luma, chroma = (part[::-1] if back else part for part in (crop.luma, crop.chroma))
    if not over:
        return Crop(luma, chroma, crop.quantiser, crop.truth)
    return Crop(*(np.flip(part, -2) for part in (luma, chroma, crop.quantiser, crop.truth)))


def together(crops: Sequence[Crop], rng: np.random.Generator | None = None) -> Batch:
    """Return crops of one size as a batch; with `rng` some of the quantisers told are off, but for those of rounding alone."""
    luma, quantiser, truth = (
        torch.from_numpy(np.stack([np.ascontiguousarray(getattr(crop, name)) for crop in crops])) for name in ("luma", "quantiser", "truth")
    )
    chroma = torch.from_numpy(np.stack([np.ascontiguousarray(crop.chroma) for crop in crops])).flatten(1, 2)
    told = quantiser[:, None]
    if rng is not None:
        off = rng.uniform(-MISTAKE, MISTAKE, len(crops)) * (rng.random(len(crops)) < MISTAKEN)
        shift = torch.from_numpy(off.astype(np.float32))[:, None, None, None]
        told = torch.where(told > 0, (told + shift).clamp(min=1 / 64), told)
    return Batch(luma, chroma, told, quantiser[:, None], truth)


def hold(folder: Path, frames: int) -> dict[str, list[Batch]]:
    """Return batches of one crop each from held-out groups, by the name of their recording, CASES.

    Exits with a sentence where the cache holds nothing to check on.
    """
    groups = [group for group in read_groups(folder) if group.part == HELD]
    if not groups:
        raise SystemExit(f"{folder} holds no septuplets to check on: make a cache of two sources or more, or give --validate 0.")
    chosen = groups[:: -(-len(groups) // LOOKED_AT)]
    cases: dict[str, list[Batch]] = {name: [] for name in CASES}
    for group in chosen:
        for number in range(len(group.recordings)):
            recipe = group.recipe(number)
            name = f"qp{recipe.quantiser}" if recipe.coded else recipe.kind
            if name in cases:
                cases[name].append(together([_middle(group, number, frames)]))
    return {name: batches for name, batches in cases.items() if batches}


def _middle(group: Group, recording: int, frames: int) -> Crop:
    size = min(SIDE, group.height), min(SIDE, group.width)
    place = (group.height - size[0]) // 2 // BLOCK * BLOCK, (group.width - size[1]) // 2 // BLOCK * BLOCK
    middle = group.centres[len(group.centres) // 2]
    return group.crop(recording, range(middle - frames // 2, middle + frames // 2 + 1), middle, place, size)
