"""Speed of grain synthesis at 1080p: `python -m tests.bench.bench_synth`. Grain is rendered and added in one pass.

Each case runs in turn within each round, so that a busy machine is busy for all. Wall time is what a user waits; processor
time is what the work costs, whoever else is on the machine. The limit is a plain copy of the same bytes on as many threads.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from grainlayer.grain.look import GrainLook
from grainlayer.grain.profile import RADII, GrainProfile, encode_profile
from grainlayer.grain.synth import local_luma, prepare, render
from grainlayer.grain.texture import TextureMap, roots
from grainlayer.native import run_rows
from grainlayer.types import Image

HEIGHT, WIDTH = 1080, 1920
WARM_UP, ROUNDS = 2, 12
THREADS = (1, 2)
TARGET = 30
"""Frames a second on two threads."""


@dataclass(frozen=True)
class Work:
    """Name a case, what it needs, and one frame of it: run(frame, threads)."""

    name: str
    note: str
    run: Callable[[int, int], object]


@dataclass
class Times:
    """Hold the milliseconds of one case's runs."""

    wall: list[float]
    busy: list[float]

    def row(self) -> str:
        """Return median and quartiles of wall time, median processor time, and frames a second."""
        low, median, high = np.percentile(self.wall, (25, 50, 75))
        return f"{median:7.1f} ({low:5.1f}..{high:6.1f}) {np.median(self.busy):8.1f} {min(self.wall):7.1f} {1000 / median:7.1f}"


def profile(corners: tuple[float, float, float], correlation: tuple[float, float, float] = (0.4, 0.25, 0.4)) -> GrainProfile:
    """Return a profile of a film's kind whose spectra roll off at these frequencies, cycles a pixel."""
    knots = np.arange(17) / 16
    strength = np.array([gain * (0.01 + 0.08 * knots * (1 - knots)) for gain in (1, 0.9, 1.3)])
    levels = np.array([np.maximum(-45, -15 * np.log10(1 + (np.array(RADII) / corner) ** 2)) for corner in corners])
    return encode_profile(HEIGHT, strength, levels, np.full(len(RADII), 0.5), np.array(correlation))


def texture(*features: int) -> TextureMap:
    """Return a map of 128-pixel blocks whose given features vary."""
    rng = np.random.default_rng(5)
    codes = [tuple(int(v) if place in features else 0 for place, v in enumerate(rng.integers(-6, 7, 4))) for _ in roots(WIDTH, HEIGHT)]
    return TextureMap(WIDTH, HEIGHT, (False,) * len(codes), tuple((a, b, c, d) for a, b, c, d in codes))


def works(base: Image, out: Image) -> list[Work]:
    """Return the cases, the limit first."""
    nodes = profile((0.1, 0.15, 0.2))
    cases: list[tuple[str, GrainProfile, GrainLook, TextureMap | None]] = [
        ("white, one spectrum", profile((9, 9, 9)), GrainLook(), None),
        ("one spectrum", profile((0.15, 0.15, 0.15)), GrainLook(), None),
        ("three spectra", nodes, GrainLook(), None),
        ("three spectra, black-and-white", profile((0.1, 0.15, 0.2), (1, 1, 1)), GrainLook(), None),
        ("three spectra, half saturation", nodes, GrainLook(saturation=0.5), None),
        ("three spectra, size 2", nodes, GrainLook(size=2), None),
        ("three spectra, size 4", nodes, GrainLook(size=4), None),
        ("three spectra, map of strength", nodes, GrainLook(), texture(0)),
        ("three spectra, map of all four", nodes, GrainLook(), texture(0, 1, 2, 3)),
    ]
    copies = Work(
        "limit: copy of the same bytes", "", lambda _, threads: run_rows(lambda a, b: np.copyto(out[a:b], base[a:b]), HEIGHT, threads)
    )
    return [copies, *(_work(base, out, *case) for case in cases)]


def _work(base: Image, out: Image, name: str, grain: GrainProfile, look: GrainLook, map_: TextureMap | None) -> Work:
    started = time.process_time()
    plan = prepare(grain, look, HEIGHT, WIDTH, map_)
    note = f"reach {plan.bank.reach:2} parts {len(plan.bank.rows)} fields {len(plan.bank.columns)}"
    note += f" prepare {1000 * (time.process_time() - started):4.0f} ms"
    mean = local_luma(plan, base)
    return Work(
        name, note, lambda frame, threads: render(plan, base, seed=1, frame=frame, add=True, threads=threads, out=out, local_luma=mean)
    )


def measure(cases: list[Work], threads: int) -> dict[str, Times]:
    """Return the times of every case on so many threads."""
    found = {case.name: Times([], []) for case in cases}
    for turn in range(WARM_UP + ROUNDS):
        for case in cases:
            wall, busy = time.perf_counter(), time.process_time()
            case.run(turn, threads)
            wall, busy = time.perf_counter() - wall, time.process_time() - busy
            if turn >= WARM_UP:
                found[case.name].wall.append(1000 * wall)
                found[case.name].busy.append(1000 * busy)
    return found


def table() -> str:
    """Run the benchmark and return its table."""
    ramp = np.linspace(0, 1, WIDTH, dtype=np.float32)[None, :, None]
    base = np.ascontiguousarray(np.broadcast_to(ramp, (HEIGHT, WIDTH, 3)))
    cases = works(base, np.empty_like(base))
    lines = [f"Grain synthesis, {WIDTH}x{HEIGHT} RGB float32, {ROUNDS} runs; ms a frame; target {TARGET} frames a second on 2 threads"]
    lines += [f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, NumPy {np.__version__}"]
    for threads in THREADS:
        lines += ["", f"{threads} thread(s)".ljust(34) + "   wall (quartiles)      processor    best     f/s"]
        found = measure(cases, threads)
        lines += [f"{case.name:34}{found[case.name].row()}   {case.note}" for case in cases]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
