"""Measure how wrong recordings are by their quantiser: `python -m models.restoreerrors CACHE`, the figures behind restorelosses.py."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from models.restoredata import together
from models.restorelosses import COLOUR, LUMA, PARTS, as_given, typical_error
from models.septcache import Group, read_groups
from models.shell import sentences
from models.transcode import BLOCK

WIDTH = 3
"""QPs of a line of the table."""


def errors(group: Group, recording: int) -> tuple[float, float, float]:
    """Return the mean QP and the root mean square error of luma and chroma, code value, of the first frame whose truth is kept."""
    middle = group.centres[0]
    size = group.height // BLOCK * BLOCK, group.width // BLOCK * BLOCK
    batch = together([group.crop(recording, [middle], middle, (0, 0), size)])
    wrong = as_given(batch) - batch.truth
    luma, colour = (float(wrong[:, part].square().mean().sqrt()) for part in PARTS)
    return 64 * float(batch.quantiser.mean()), luma, colour


def main(arguments: list[str]) -> None:
    """Print a table of a cache. Exits with a sentence where none is named."""
    if len(arguments) != 1:
        raise SystemExit("Name the folder of one cache of septuplets: python -m models.restoreerrors CACHE.")
    with sentences("a cache of smaller pictures"):
        found = np.array([errors(group, n) for group in read_groups(Path(arguments[0])) for n in range(len(group.recordings))])
    print("   QP  count  luma median, mean, as set     chroma median, mean, as set")
    for low in np.unique(found[:, 0] // WIDTH * WIDTH):
        chosen = found[found[:, 0] // WIDTH * WIDTH == low]
        told = torch.full((1, 1, 1, 1), float(chosen[:, 0].mean()) / 64)
        shown = [(np.median(chosen[:, n]), chosen[:, n].mean(), float(typical_error(told, set_))) for n, set_ in ((1, LUMA), (2, COLOUR))]
        print(f"{low:5.0f} {len(chosen):6d}  " + "   ".join("  ".join(f"{value:.4f}" for value in row) for row in shown))


if __name__ == "__main__":
    main(sys.argv[1:])
