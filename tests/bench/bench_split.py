"""What a split costs beside its network: one 1080p picture, the session alone against the effect, as ratios from one run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from tests.bench.material import FILM, SHARED, STILL_SEED
from tests.bench.report import Report, Table

HEIGHT, WIDTH = 1080, 1920
LEVEL = 0.03
WARM_UP, ROUNDS = 2, 9
OVERHEAD = 0.25
NOTES = (
    f"{WIDTH}x{HEIGHT}, float32 RGB, on the CPU; all in turn, medians after {WARM_UP} rounds to warm up, quartiles in brackets.",
    "net alone: the session on prepared arrays. effect: Effect.layers, the level told. with planes: 10-bit 4:2:0 planes in, "
    "base and grain planes out, as `split` does for every frame, without reading and writing files.",
)


def picture() -> NDArray[np.float32]:
    """Return a grainy 1080p picture, (1080, 1920, 3) float32."""
    from tests.demo.clip import photograph, sampling

    photo = photograph("motorcycle")
    step = photo.shape[1] / WIDTH
    rows = sampling(HEIGHT, 0, step, photo.shape[0])
    columns = sampling(WIDTH, 0, step, photo.shape[1])
    clean = np.stack([rows @ photo[:, :, channel] @ columns.T for channel in range(3)], axis=2)
    return np.ascontiguousarray(clean + FILM.render(np.clip(clean, 0, 1), LEVEL, STILL_SEED, SHARED), np.float32)


def time_in_turn(jobs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of every job in every round; jobs take turns, so that all see the same machine."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(WARM_UP + rounds):
        for name, job in jobs.items():
            began = time.perf_counter()
            job()
            if turn >= WARM_UP:
                times[name].append(time.perf_counter() - began)
    return times


def prepare() -> dict[str, Callable[[], object]]:
    """Return the three jobs, their inputs prepared."""
    from grainlayer.effect import Effect, Request
    from grainlayer.inference.remove import CELL, cell_means, pad
    from grainlayer.params import LevelMode, ShotParams
    from grainlayer.picture.planes import from_image, split_planes, to_image
    from grainlayer.picture.samples import BT709, ColourTags, sample_format

    source = picture()
    effect = Effect("cpu")
    params = ShotParams(level_mode=LevelMode.MANUAL, level=LEVEL)
    remover = effect.remover(params.quality)
    rows, columns = cell_means(source).shape[:2]
    cells = np.full((rows, columns), LEVEL, np.float32)
    padded = pad(source, rows * CELL, columns * CELL)
    layout, tags = sample_format("yuv420p10le"), ColourTags(matrix=BT709)
    planes = from_image(source, layout, tags)

    def whole() -> object:
        image = to_image(planes, layout, tags)
        layers = effect.layers(Request(image[None], 0, params))
        base = layers.base if layers.base is not None else image
        return split_planes(planes, from_image(base, layout, tags), layout, tags)

    return {
        "net alone": lambda: remover.model.run(padded, cells),
        "effect": lambda: effect.layers(Request(source[None], 0, params)),
        "with planes": whole,
    }


def run(quick: bool = False) -> Report:
    """Time the split; quick: three rounds."""
    report = Report("split", "Split speed at 1080p")
    times = time_in_turn(prepare(), 3 if quick else ROUNDS)
    net = float(np.median(times["net alone"]))
    rows: list[list[str]] = []
    for name, seconds in times.items():
        low, middle, high = (float(value) for value in np.percentile(seconds, (25, 50, 75)))
        rows.append([name, f"{1000 * middle:.0f} ({1000 * low:.0f}-{1000 * high:.0f})", f"{middle / net:.2f}", f"{1 / middle:.2f}"])
    for name in ("effect", "with planes"):
        extra = float(np.median(times[name])) / net - 1
        report.check(extra <= OVERHEAD, f"{name}: {100 * extra:+.0f} % beside the net (target at most +25 %)")
    report.tables = [Table("One frame", ["what", "ms", "against the net", "frames a second"], rows)]
    report.notes = [*NOTES, f"{len(times['effect'])} rounds; load average {os.getloadavg()[0]:.1f} at the end."]
    report.figures = dict(times)
    return report
