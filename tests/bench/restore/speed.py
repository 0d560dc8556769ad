"""Time restoration at 1080p beside its network alone: `python -m tests.bench.restore.speed`, on a machine that does nothing else.

The window is made of a clip's pictures, coded at QP 32 and laid out to 1920x1080 by mirrors, so that what is moved has real texture.
Processor time counts, the median of some runs in turn; both run on all processors.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from statistics import median

import numpy as np
from numpy.typing import NDArray

from grainlayer.inference.restore import QUALITIES, Recorded, Restorer, aligned
from grainlayer.params import ShotParams
from tests.bench.restore.clips import clip_sources
from tests.bench.restore.degrade import X264, degrade

HEIGHT, WIDTH, RUNS = 1080, 1920, 5


def spread(plane: NDArray[np.floating], height: int, width: int) -> NDArray[np.float32]:
    """Return a plane (h, w) and its mirror images side by side and below each other, (height, width)."""
    pair = np.concatenate([plane, plane[:, ::-1]], axis=1)
    four = np.concatenate([pair, pair[::-1]])
    times = -(-height // four.shape[0]), -(-width // four.shape[1])
    return np.ascontiguousarray(np.tile(four, times)[:height, :width], dtype=np.float32)


def pictures(count: int) -> list[Recorded]:
    """Return the first pictures of a clip as recorded, at 1080p."""
    degraded = degrade(clip_sources(names=("davis_camel",))[0], X264[2])
    made: list[Recorded] = []
    for luma, chroma in zip(degraded.luma[:count], degraded.chroma[:count], strict=True):
        colours = [spread(chroma[:, :, part], HEIGHT // 2, WIDTH // 2) for part in range(2)]
        cells = np.full((HEIGHT // 8, WIDTH // 8), 0.5, np.float32)
        made.append(Recorded(spread(luma, HEIGHT, WIDTH), np.stack(colours, axis=2), quantiser=cells))
    return made


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    """Return processor time and time passed of a call."""
    used, began = time.process_time(), time.perf_counter()
    run()
    return time.process_time() - used, time.perf_counter() - began


def main() -> None:
    """Print a line for every net."""
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors; seconds of processor, seconds passed")
    for model_id in dict.fromkeys(QUALITIES.values()):
        restorer = Restorer(device="cpu", model_id=model_id)
        window = pictures(2 * restorer.reach + 1)
        given = (*aligned(window), window[restorer.reach].quantiser)

        def both(window: list[Recorded] = window, restorer: Restorer = restorer) -> object:
            fresh = window[-1]
            vars(fresh).pop("planes", None), vars(fresh).pop("pyramid", None)  # every picture is new once
            return restorer.restore(window, ShotParams())

        pairs = [(seconds(lambda: restorer.model.run(*given)), seconds(both)) for _ in range(RUNS + 1)][1:]  # noqa: B023
        net, whole = (tuple(median(one[part][n] for one in pairs) for n in range(2)) for part in range(2))
        print(f"{model_id}: network {net[0]:.2f}, {net[1]:.2f}; all {whole[0]:.2f}, {whole[1]:.2f}; ", end="")
        print(f"all over network {whole[0] / net[0]:.2f}, {whole[1] / net[1]:.2f}")


if __name__ == "__main__":
    main()
