"""A profile that is measured is the profile that was laid."""

from __future__ import annotations

import numpy as np
import pytest

from grainlayer.grain.analyze import Sample, measure_profile, split_samples
from grainlayer.grain.look import GrainLook
from grainlayer.grain.profile import RADII, STRENGTH_KNOTS, GrainProfile, encode_profile
from grainlayer.grain.synth import prepare, render
from grainlayer.grain.vectorize import CellTally, build_map, compare
from grainlayer.types import Image, Window


def known_profile(height: int = 256) -> GrainProfile:
    knots = np.linspace(0, 1, STRENGTH_KNOTS)
    strength = np.stack([0.02 * (0.5 + knots * (1 - knots) * 2)] * 3) * np.array([[1.0], [0.9], [1.2]])
    spectrum = np.stack([-30 * np.array(RADII) ** 2 * scale for scale in (1.0, 1.3, 1.6)])
    return encode_profile(height, strength, spectrum, np.zeros(len(RADII)), np.array([0.4, 0.3, 0.4]))


def ramp(size: int = 256) -> Image:
    """Return a picture with every code value, flat enough to measure on."""
    row = np.linspace(0.02, 0.98, size, dtype=np.float32)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (size, size, 3)))


def grainy(profile: GrainProfile, base: Image, frame: int) -> Image:
    return base + render(prepare(profile, GrainLook(), base.shape[0], base.shape[1]), base, seed=11, frame=frame)


@pytest.fixture(scope="module")
def measured() -> tuple[GrainProfile, GrainProfile]:
    """Measure with a remover that knows the base but leaves a sixth of the grain."""
    profile, base = known_profile(), ramp()
    samples = [Sample(grainy(profile, base, frame), frame) for frame in range(6)]
    return profile, measure_profile(split_samples(samples, remove_most), remove_most, 256)


def remove_most(window: Window) -> Image:
    """A poor remover: it blurs along y, where the ramp is constant, and takes five sixths of the rest."""
    image = window[len(window) // 2]
    mean = image.mean(axis=0, keepdims=True)
    return np.ascontiguousarray((image - mean) * np.float32(5 / 6))


def nothing(window: Window) -> Image:
    """A remover that takes nothing."""
    return np.zeros_like(window[0])


def test_strength_is_that_which_was_laid(measured: tuple[GrainProfile, GrainProfile]) -> None:
    wanted, got = (p.strength_curve()[:, 1:-1] for p in measured)
    assert np.sqrt(np.mean((got / wanted - 1) ** 2)) < 0.05


def test_spectrum_is_that_which_was_laid(measured: tuple[GrainProfile, GrainProfile]) -> None:
    wanted, got = (p.spectrum_db()[:, 2:13] for p in measured)
    error = got - wanted
    error -= error.mean(axis=1, keepdims=True)
    assert np.sqrt(np.mean(error**2)) < 1.0


def test_correlation_is_that_which_was_laid(measured: tuple[GrainProfile, GrainProfile]) -> None:
    wanted, got = (np.array(p.correlation) / 64 for p in measured)
    assert np.abs(wanted - got).max() < 0.05


def test_no_grain_gives_no_strength() -> None:
    samples = [Sample(ramp(), frame) for frame in range(2)]
    profile = measure_profile(split_samples(samples, nothing), nothing, 256)
    assert not np.array(profile.strength).any()


def test_a_picture_smaller_than_a_cell_is_measured_without_failing() -> None:
    samples = [Sample(np.full((1, 1, 3), 0.5, np.float32))]
    assert measure_profile(split_samples(samples, nothing), nothing, 1).height == 1


def tallies(gain: np.ndarray) -> tuple[CellTally, CellTally]:
    """Return what is measured of grain times a gain (H, W), and of the profile's own."""
    profile, base = known_profile(), np.full((256, 256, 3), 0.5, np.float32)
    wanted, got = CellTally(256, 256), CellTally(256, 256)
    plan = prepare(profile, GrainLook(), 256, 256)
    for frame in range(8):
        grain = render(plan, base, seed=1, frame=frame) * gain[:, :, None].astype(np.float32)
        wanted.add(base, grain, base, (0, 0))
        got.add(base, render(plan, base, seed=2, frame=frame), base, (0, 0))
    return wanted, got


def test_even_grain_gives_a_plain_map() -> None:
    assert build_map(compare(*tallies(np.ones((256, 256)))), 256, 256).plain


def test_a_region_with_stronger_grain_gets_blocks_of_its_own() -> None:
    gain = np.ones((256, 256))
    gain[64:128, 128:192] = 2.0
    grid = build_map(compare(*tallies(gain)), 256, 256).grid()
    assert (grid[0, 4:8, 8:12] == 8).all()
    grid[:, 4:8, 8:12] = 0
    assert not grid.any()
