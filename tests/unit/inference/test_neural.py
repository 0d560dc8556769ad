"""Grain made by the network: the profile's strength and texture, the same on any tile, new with every seed and frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grainlayer.effect import Effect, Request
from grainlayer.errors import ModelError, ParamError
from grainlayer.grain.filters import Spectrum
from grainlayer.grain.look import GrainLook
from grainlayer.grain.profile import RADII as KNOTS
from grainlayer.grain.stocks import stock_profile
from grainlayer.inference.neural import FREQUENCIES, NeuralSynth, before_network, disk_power, find_emulsion
from grainlayer.params import GrainSource, LevelMode, ProfileSource, ShotParams
from grainlayer.types import Image

STOCK = "35mm 500 colour"


@pytest.fixture(scope="module")
def synth() -> NeuralSynth:
    return NeuralSynth("cpu")


def grey(value: float = 0.4, height: int = 200, width: int = 240) -> Image:
    return np.full((height, width, 3), value, np.float32)


def ramp(height: int = 150, width: int = 170) -> Image:
    return np.broadcast_to(np.linspace(-0.1, 1.1, width, dtype=np.float32)[None, :, None], (height, width, 3)).copy()


def test_tiles_give_the_whole_picture(synth: NeuralSynth) -> None:
    plan = synth.plan(stock_profile(STOCK), GrainLook(), 150)
    whole = synth.render(plan, ramp(), seed=3, frame=7, tile=0)
    for tile in (16, 62):
        assert np.abs(synth.render(plan, ramp(), seed=3, frame=7, tile=tile) - whole).max() < 1e-5


def test_seeds_frames_and_channels_have_nothing_in_common(synth: NeuralSynth) -> None:
    plan = synth.plan(stock_profile(STOCK), GrainLook(), 1080)
    first = synth.render(plan, grey(), seed=1, frame=0)
    assert np.array_equal(first, synth.render(plan, grey(), seed=1, frame=0))
    for other in (synth.render(plan, grey(), seed=2, frame=0), synth.render(plan, grey(), seed=1, frame=1)):
        assert abs(float(np.corrcoef(first.ravel(), other.ravel())[0, 1])) < 0.02


def test_hold_keeps_a_frames_grain(synth: NeuralSynth) -> None:
    plan = synth.plan(stock_profile(STOCK), GrainLook(hold=2), 1080)
    frames = [synth.render(plan, grey(0.4, 32, 32), seed=1, frame=frame) for frame in (4, 5, 6)]
    assert np.array_equal(frames[0], frames[1])
    assert not np.array_equal(frames[1], frames[2])


@pytest.mark.parametrize("value", [0.15, 0.3, 0.5, 0.7, 0.85])
def test_the_strength_is_the_profiles(synth: NeuralSynth, value: float) -> None:
    profile = stock_profile(STOCK)
    plan = synth.plan(profile, GrainLook(), profile.height)
    grain = synth.render(plan, grey(value, 512, 512), seed=1, frame=0)
    wanted = [np.interp(value, np.linspace(0, 1, 17), row) for row in profile.strength_curve()]
    assert grain.std(axis=(0, 1)) == pytest.approx(wanted, rel=0.06)
    assert abs(float(grain.mean())) < 0.1 * float(grain.std())


def test_channels_move_together_as_the_profile_says(synth: NeuralSynth) -> None:
    profile = replace(stock_profile(STOCK), correlation=(48, 16, 32))
    grain = synth.render(synth.plan(profile, GrainLook(), profile.height), grey(), seed=1, frame=0)
    found = np.corrcoef(grain.reshape(-1, 3).T)[[0, 0, 1], [1, 2, 2]]
    assert found == pytest.approx([0.75, 0.25, 0.5], abs=0.08)


@pytest.mark.parametrize("straight", [0.4, 0.7, 1.0])
def test_fields_correlate_so_that_grain_does_as_asked(straight: float) -> None:
    wanted = np.array([[1, 0.8, -0.05], [0.8, 1, 0.3], [-0.05, 0.3, 1]])
    fields = before_network(wanted, 0.25 + 0.25 * straight)
    assert np.allclose(straight * fields + (1 - straight) * fields**2, wanted, atol=1e-5)


def test_no_saturation_makes_grain_of_luma_alone(synth: NeuralSynth) -> None:
    plan = synth.plan(stock_profile(STOCK), GrainLook(saturation=0), 1080)
    grain = synth.render(plan, grey(0.4, 64, 64), seed=1, frame=0)
    assert grain.dtype == np.float32
    assert np.ptp(grain, axis=2).max() < 1e-6


@pytest.mark.parametrize(("radius", "spread"), [(0.3, 0.4), (0.5, 0.8), (0.9, 0.6), (1.2, 1.1)])
def test_the_emulsion_found_has_the_spectrum_wanted(radius: float, spread: float) -> None:
    power = disk_power(radius, 0.5) * np.exp(-4 * np.pi**2 * spread**2 * FREQUENCIES**2)
    levels = np.interp(np.minimum(KNOTS, 0.5), FREQUENCIES, 10 * np.log10(power))
    found = find_emulsion(Spectrum(tuple(levels.tolist()), (0.0,) * len(KNOTS)))
    near = disk_power(found[0], 0.5) * np.exp(-4 * np.pi**2 * found[1] ** 2 * FREQUENCIES**2)
    apart = 10 * np.log10(near / near[0]) - 10 * np.log10(power / power[0])
    deep = 10 * np.log10(power / power.max()) < -25
    assert np.abs(apart[~deep]).max() < 1.6


def test_the_effect_lays_it(synth: NeuralSynth) -> None:
    params = replace(ShotParams(), grain_source=GrainSource.NEURAL, profile=ProfileSource.STOCK, removal=0.0, grain_seed=5)
    params = replace(params, level_mode=LevelMode.MANUAL)
    effect, base = Effect("cpu"), grey(0.4, 72, 80)
    layers = effect.layers(Request(base[None], 3, params))
    plan = synth.plan(stock_profile(params.stock), GrainLook(seed=5), 72)
    assert layers.regrain is not None
    assert np.array_equal(layers.regrain, synth.render(plan, base, seed=5, frame=3))


def test_bad_input_is_named(synth: NeuralSynth) -> None:
    plan = synth.plan(stock_profile(STOCK), GrainLook(), 1080)
    with pytest.raises(ParamError, match="seed"):
        synth.render(plan, grey(0.4, 8, 8), seed=-1, frame=0)
    with pytest.raises(ParamError, match="base"):
        synth.render(plan, np.zeros((8, 8), np.float32), seed=1, frame=0)
    with pytest.raises(ModelError, match="no synth model"):
        NeuralSynth("cpu", "removal-default")
