"""Measure a removal model on the validation pictures: `python -m models.evaluate [--write]`.

PSNR over RGB, the input's own, and the share of grain left in the base, <base - clean, grain> / <grain, grain>, for white
noise (8-bit sigma) and Boolean film-like grain (peak standard deviation of code value), not clipped; told and blind.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainlayer.inference.remove import Remover, estimate_level
from models.boolean import BooleanGrain
from models.data import data_root, read_pictures

Floats = NDArray[np.float32]

CASES: tuple[tuple[str, float], ...] = (
    ("white", 5 / 255),
    ("white", 15 / 255),
    ("white", 25 / 255),
    ("white", 50 / 255),
    ("film", 0.01),
    ("film", 0.025),
    ("film", 0.05),
    ("film", 0.1),
)


@dataclass
class Score:
    """Hold the sums of one method over pictures."""

    error: float = 0.0
    left: float = 0.0
    count: int = 0

    def add(self, base: Floats, clean: Floats, grain: Floats) -> None:
        """Add one picture."""
        self.error += 10 * float(np.log10(np.mean((base - clean) ** 2)))
        self.left += float(np.sum((base - clean) * grain) / np.sum(grain**2))
        self.count += 1

    def __str__(self) -> str:
        """Return PSNR and the share of grain left."""
        return f"{-self.error / self.count:6.2f} dB {100 * self.left / self.count:4.0f} %"


def make_grain(kind: str, level: float, clean: Floats, seed: int) -> Floats:
    """Return the grain (H, W, 3) of a case for a clean picture."""
    if kind == "white":
        rng = np.random.Generator(np.random.Philox(key=seed))
        return (level * rng.standard_normal(clean.shape)).astype(np.float32)
    return BooleanGrain(0.5, 0.8).render(clean.astype(np.float64), level, seed, 0.3).astype(np.float32)


def evaluate(remover: Remover, pictures: dict[str, Any]) -> dict[str, tuple[Score, Score, Score]]:
    """Return the scores of input, told and blind removal by case."""
    table: dict[str, tuple[Score, Score, Score]] = {}
    for kind, level in CASES:
        row = (Score(), Score(), Score())
        for seed, picture in enumerate(pictures.values()):
            clean = picture.astype(np.float32) / 255
            grain = make_grain(kind, level, clean, 1000 + seed)
            grainy = clean + grain
            row[0].add(grainy, clean, grain)
            row[1].add(grainy - remover.grain(grainy, level), clean, grain)
            row[2].add(grainy - remover.grain(grainy, estimate_level(grainy)), clean, grain)
        table[f"{kind} {level:.3g}"] = row
        print(f"{kind:6} {level:6.3f}  input {row[0]}  told {row[1]}  blind {row[2]}", flush=True)
    return table


def main() -> None:
    """Evaluate the default model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="removal-default")
    parser.add_argument("--input", type=Path, default=data_root() / "val")
    parser.add_argument("--every", type=int, default=1, help="use every n-th picture")
    args = parser.parse_args()
    pictures = dict(list(read_pictures(args.input).items())[:: args.every])
    evaluate(Remover(model_id=args.model), pictures)


if __name__ == "__main__":
    main()
