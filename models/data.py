"""Read the clean training pictures and cut patches from them, deterministic by step; and see to trees of pairs and to septuplets.

`python -m models.data list TREE` prints a line for each level and each picture of a tree (models/trees.py), and
`python -m models.data build ...` makes one, as models.build_tree does. `python -m models.data septuplets --out CACHE` makes what
restoration learns from (models/septuplets.py).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from grainlayer.errors import MediaError
from models.shell import sentences

if TYPE_CHECKING:
    import torch

Bytes = NDArray[np.uint8]


def data_root() -> Path:
    """Return the folder of GRAINLAYER_DATA, or ../shared/data."""
    return Path(os.environ.get("GRAINLAYER_DATA", "../shared/data"))


def find_pictures(folder: Path) -> list[Path]:
    """Return every picture below `folder`, sorted. Raise MediaError if there is none."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".png", ".webp"})
    if not files:
        what = "holds no picture" if folder.is_dir() else "is no folder"
        raise MediaError(f"{folder} {what}; name a folder with JPEG, PNG or WebP files in it or below it.")
    return files


def read_rgb(file: Path) -> Bytes:
    """Return a picture as (H, W, 3) 8-bit. Raise MediaError if it is damaged."""
    try:
        with Image.open(file) as held:
            return np.asarray(held.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise MediaError(f"{file} cannot be read as a picture ({reason}); replace it, or take it out of its folder.") from error


def read_pictures(folder: Path) -> dict[str, Bytes]:
    """Return every picture below `folder` as (H, W, 3) 8-bit, by its path relative to the folder, in sorted order.

    Raise MediaError if there is none, or one is damaged.
    """
    return {str(file.relative_to(folder)): read_rgb(file) for file in find_pictures(folder)}


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


def list_tree(arguments: Sequence[str]) -> None:
    """Print what a tree holds. Raise MediaError if it cannot be used; exits with a sentence unless one tree is given."""
    from models.trees import picture_size, read_tree

    if len(arguments) != 1:
        raise SystemExit("Name one tree, the folder that holds org and fg: python -m models.data list TREE.")
    tree = read_tree(Path(arguments[0]))
    print(f"{tree.path}: {len(tree.names)} pictures at {len(tree.levels)} levels")
    for name, level in tree.levels.items():
        print(f"level {name}: {level:g}")
    for name in tree.names:
        width, height = picture_size(tree.files["org", name])
        print(f"picture {name}: {width}x{height}")


def build_tree(arguments: Sequence[str]) -> None:
    """Build a tree, as models.build_tree does."""
    from models import build_tree

    build_tree.main(arguments)


def build_septuplets(arguments: Sequence[str]) -> None:
    """Make a cache of septuplets, as models.septuplets does."""
    from models import septuplets

    septuplets.main(arguments)


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {"list": list_tree, "build": build_tree, "septuplets": build_septuplets}


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the first word says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = given[0] if given else ""
    if command in {"-h", "--help"}:
        print(__doc__)
        return
    if command not in COMMANDS:
        known = ", ".join(list(COMMANDS)[:-1]) + f" or {list(COMMANDS)[-1]}"
        raise SystemExit(f"There is no command {command!r}: use {known}, as in python -m models.data list TREE.")
    with sentences("smaller pictures"):
        COMMANDS[command](given[1:])


if __name__ == "__main__":
    main()
