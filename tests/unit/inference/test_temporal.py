"""Removal with neighbours: what agrees helps, what does not is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from grainlayer.grain.look import GrainLook
from grainlayer.grain.stocks import stock_profile
from grainlayer.grain.synth import prepare, render
from grainlayer.inference.remove import LevelEstimate, Remover
from grainlayer.inference.temporal import TemporalRemover
from grainlayer.types import Image

LEVEL = 0.025


def scene(offset: float, seed: int = 1) -> Image:
    """Return a busy picture, moved along x."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    y, x = np.mgrid[0:160, 0:208].astype(np.float32)
    total = np.full_like(x, 0.5)
    for _ in range(24):
        fy, fx, phase = rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2), rng.uniform(0, 6)
        total += np.float32(0.02) * np.sin(2 * np.pi * (fx * (x - offset) + fy * y) + phase).astype(np.float32)
    return np.ascontiguousarray(np.stack((total, 0.9 * total, 1 - total), axis=2), np.float32)


def with_grain(base: Image, frame: int) -> Image:
    plan = prepare(stock_profile("35mm 500 colour"), GrainLook(), 1080, base.shape[1])
    return base + render(plan, base, seed=3, frame=frame)


@pytest.fixture(scope="module")
def remover() -> Remover:
    return Remover(device="cpu")


def error(picture: Image, grain: Image, clean: Image) -> float:
    return float(np.mean((picture - grain - clean) ** 2))


@pytest.mark.parametrize("step", [0.0, 3.0, 1.25])
def test_neighbours_help_in_a_scene_that_moves(remover: Remover, step: float) -> None:
    clean = [scene(step * index) for index in range(5)]
    window = np.stack([with_grain(picture, index) for index, picture in enumerate(clean)])
    alone = error(window[2], remover.grain(window[2], LEVEL), clean[2])
    together = error(window[2], TemporalRemover(remover).grain(window, LEVEL), clean[2])
    assert together < 0.7 * alone


def test_pictures_of_another_scene_are_left_out(remover: Remover) -> None:
    clean = scene(0)
    window = np.stack([with_grain(scene(0, seed), index) for index, seed in enumerate((7, 8, 1, 9, 10))])
    alone = error(window[2], remover.grain(window[2], LEVEL), clean)
    assert error(window[2], TemporalRemover(remover).grain(window, LEVEL), clean) < 1.01 * alone


def test_copies_of_the_picture_count_for_nothing(remover: Remover) -> None:
    picture = with_grain(scene(0), 0)
    grain = TemporalRemover(remover).grain(np.stack([picture] * 3), LEVEL)
    assert np.array_equal(grain, remover.grain(picture, LEVEL))


def test_what_is_kept_of_a_picture_does_not_change_the_result(remover: Remover) -> None:
    window = np.stack([with_grain(scene(index), index) for index in range(7)])
    level = LevelEstimate(np.full((3, 17), LEVEL, np.float32))
    kept = TemporalRemover(remover)
    kept.grain(window[:5], level)
    assert np.array_equal(kept.grain(window[2:], level), TemporalRemover(remover).grain(window[2:], level))
