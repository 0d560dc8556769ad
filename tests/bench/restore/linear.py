"""Measure what a linear filter fitted to the truth would gain: `python -m tests.bench.restore.linear [--clips N]`.

For every n-th clip, so that there are N at most, and x264 at QP 22, 32 and 37: the gain of PSNR of the middle picture's luma by 7x7
samples of it alone, with its six neighbours as they are, and with them laid along motion as the runtime lays them. Every filter is fitted
by least squares to the very picture that it is judged on: it tells what there is to be had where, not what a filter gives.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from numpy.typing import NDArray

from grainlayer.inference.restore import Recorded, aligned
from tests.bench.restore.clips import Source, clip_sources, read_truth
from tests.bench.restore.degrade import X264, Condition, degrade

Floats = NDArray[np.floating]

SIDE, NEIGHBOURS, ROWS = 7, 3, 16
"""Samples a side of a filter, neighbours on either side, and rows of a picture that are taken at a time."""
CONDITIONS = (X264[0], X264[2], X264[3])
WAYS = ("alone", "as they are", "along motion")


def samples(planes: Floats, first: int, end: int) -> NDArray[np.float64]:
    """Return what a filter sees of planes (T, H, W) at each pixel of some rows (pixels, T * SIDE * SIDE + 1); the last one is 1."""
    reach = SIDE // 2
    wide = np.pad(planes, ((0, 0), (reach, reach), (reach, reach)), "edge")[:, first : end + 2 * reach].astype(np.float64)
    seen = np.lib.stride_tricks.sliding_window_view(wide, (SIDE, SIDE), (1, 2)).transpose(1, 2, 0, 3, 4)
    flat = seen.reshape(seen.shape[0] * seen.shape[1], -1)
    return np.concatenate([flat, np.ones((len(flat), 1))], axis=1)


def gain(planes: Floats, truth: Floats) -> float:
    """Return by how much the best linear filter of planes (T, H, W) brings the middle one nearer to its truth (H, W), dB."""
    wrong = truth.astype(np.float64) - planes[len(planes) // 2]
    count = len(planes) * SIDE * SIDE + 1
    products, sums = np.zeros((count, count)), np.zeros(count)
    for first in range(0, len(truth), ROWS):
        end = min(first + ROWS, len(truth))
        seen = samples(planes, first, end)
        products += seen.T @ seen
        sums += seen.T @ wrong[first:end].ravel()
    weights = np.linalg.lstsq(products, sums, rcond=1e-12)[0]
    before = float(np.sum(wrong**2))
    return float(10 * np.log10(before / (before - 2 * sums @ weights + weights @ products @ weights)))


def gains(source: Source, condition: Condition) -> tuple[float, ...]:
    """Return the gains of a clip's middle picture, dB, by WAYS."""
    truth, given = read_truth(source), degrade(source, condition)
    middle = len(given.luma) // 2
    places = range(middle - NEIGHBOURS, middle + NEIGHBOURS + 1)
    window = [Recorded(given.luma[n].astype(np.float32), given.chroma[n].astype(np.float32)) for n in places]
    still, moved = np.stack([one.luma for one in window]), aligned(window)[0]
    return tuple(gain(planes, truth.luma[middle]) for planes in (still[NEIGHBOURS : NEIGHBOURS + 1], still, moved))


def main(words: list[str]) -> int:
    """Print a row for every clip and condition, and their medians."""
    parser = argparse.ArgumentParser(
        prog="tests.bench.restore.linear", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=8, help="clips at most, spread over all")
    count = max(1, parser.parse_args(words).clips)
    sources = clip_sources()
    sources = sources[:: -(-len(sources) // count)]
    print(f"{'gain of luma, dB':32}" + "".join(f"{name:>14}" for name in WAYS))
    for condition in CONDITIONS:
        found = []
        for source in sources:
            found.append(gains(source, condition))
            print(f"{source.name:22}{condition.name:10}" + "".join(f"{value:14.2f}" for value in found[-1]), flush=True)
        print(f"{'median':22}{condition.name:10}" + "".join(f"{value:14.2f}" for value in np.median(found, axis=0)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
