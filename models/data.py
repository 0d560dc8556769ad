"""Read the clean training pictures and cut patches from them, deterministic by step."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    import torch

Bytes = NDArray[np.uint8]


def data_root() -> Path:
    """Return the folder of GRAINLAYER_DATA, or ../shared/data."""
    return Path(os.environ.get("GRAINLAYER_DATA", "../shared/data"))


def read_pictures(folder: Path) -> dict[str, Bytes]:
    """Return every picture below `folder` as (H, W, 3) 8-bit, by its path relative to the folder, in sorted order."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".png", ".webp"})
    return {str(p.relative_to(folder)): np.asarray(Image.open(p).convert("RGB")) for p in files}


class Patches:
    """Draw random patches; the same step always gives the same patches, so that training can resume anywhere."""

    def __init__(self, pictures: list[Bytes], seed: int) -> None:
        self.pictures = pictures
        self.seed = seed
        areas = np.array([p.shape[0] * p.shape[1] for p in pictures], np.float64)
        self.weights = areas / areas.sum()

    def batch(self, step: int, count: int, size: int) -> torch.Tensor:
        """Return (count, 3, size, size) float32, 0..1: flipped, turned, and half of them with another contrast."""
        import torch

        rng = np.random.Generator(np.random.Philox(key=[self.seed, step]))
        chosen = rng.choice(len(self.pictures), count, p=self.weights)
        return torch.from_numpy(np.stack([_patch(self.pictures[i], size, rng) for i in chosen]))


def _patch(picture: Bytes, size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    y, x = (int(rng.integers(0, n - size + 1)) for n in picture.shape[:2])
    patch = picture[y : y + size, x : x + size].astype(np.float32) / 255
    patch = np.rot90(patch, int(rng.integers(4)))
    if rng.random() < 0.5:
        patch = patch[:, ::-1]
    if rng.random() < 0.5:
        low, high = rng.uniform(0, 0.25), rng.uniform(0.6, 1.0)
        patch = low + (high - low) * patch ** rng.uniform(0.7, 1.4)
    return np.ascontiguousarray(patch.transpose(2, 0, 1), dtype=np.float32)
