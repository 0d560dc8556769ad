"""The effect: layers add up, views are weighted sums, every parameter does what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from grainlayer.effect import Effect, Request, Weights, compose, profile_level, view
from grainlayer.errors import ParamError
from grainlayer.grain.look import GrainLook
from grainlayer.grain.stocks import stock_profile
from grainlayer.grain.synth import prepare, render
from grainlayer.params import GrainSource, ShotParams, View
from grainlayer.types import Encoding, Image, Layers
from tests.strategies import shot_params

PROFILE = stock_profile("35mm 500 colour")


def picture(height: int = 64, width: int = 96) -> Image:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    base = np.stack((0.3 + x / 300, 0.5 + y / 400, 0.6 - x / 400), axis=2).astype(np.float32)
    return np.ascontiguousarray(base + render(prepare(PROFILE, GrainLook(), 1080, width), base, seed=4))


@pytest.fixture(scope="module")
def effect() -> Effect:
    return Effect("cpu")


def ask(**params: object) -> Request:
    return Request(picture()[None], 0, ShotParams(**params), PROFILE)  # pyright: ignore[reportArgumentType]


def test_defaults_show_the_source_itself(effect: Effect) -> None:
    request = ask()
    assert np.array_equal(effect.result(request), request.source)


def test_base_and_grain_are_the_source(effect: Effect) -> None:
    layers = effect.layers(ask())
    assert layers.base is not None
    assert layers.grain is not None
    assert np.abs(layers.base + layers.grain - picture()).max() < 1e-7
    assert np.std(layers.grain) > 0.01


def test_amount_is_linear(effect: Effect) -> None:
    base, half, double = (effect.result(ask(grain_amount=amount)) for amount in (0.0, 0.5, 2.0))
    assert np.allclose(double - base, 4 * (half - base), atol=1e-6)


def test_removal_is_a_factor(effect: Effect) -> None:
    layers, half = (effect.layers(ask(removal=removal)).grain for removal in (1.0, 0.5))
    assert layers is not None
    assert half is not None
    assert np.allclose(half, layers / 2, atol=1e-6)


def test_views_are_weighted_sums(effect: Effect) -> None:
    layers = effect.layers(ask())
    assert layers.base is not None
    assert layers.grain is not None
    assert np.array_equal(effect.result(ask(view=View.BASE)), layers.base)
    assert np.allclose(effect.result(ask(view=View.GRAIN_X4)), 0.5 + 4 * layers.grain, atol=1e-6)
    assert np.allclose(effect.result(ask(view=View.DIFFERENCE, grain_amount=0.0)), 0.5 - layers.grain, atol=1e-6)
    split = effect.result(ask(view=View.SPLIT, grain_amount=0.0))
    assert np.array_equal(split[:, :48], picture()[:, :48])
    assert np.array_equal(split[:, 48:], layers.base[:, 48:])


def test_coarser_own_grain_keeps_its_strength(effect: Effect) -> None:
    layers = effect.layers(ask(grain_size=2.0))
    assert layers.grain is not None
    assert layers.regrain is not None
    assert np.std(layers.regrain) == pytest.approx(np.std(layers.grain), rel=0.25)
    lag = [float(np.mean(g[:, 1:] * g[:, :-1]) / np.mean(g**2)) for g in (layers.grain, layers.regrain)]
    assert lag[1] > lag[0] + 0.1


def test_saturation_zero_leaves_luma_grain(effect: Effect) -> None:
    regrain = effect.layers(ask(grain_saturation=0.0)).regrain
    assert regrain is not None
    assert np.ptp(regrain, axis=2).max() < 1e-6


def test_resynthesised_grain_needs_a_profile(effect: Effect) -> None:
    with pytest.raises(ParamError, match="Analyse"):
        effect.layers(replace(ask(grain_source=GrainSource.RESYNTHESISED), profile=None))


def test_a_missing_layer_is_named() -> None:
    with pytest.raises(ParamError, match="layer"):
        compose(Layers(base=picture()), Weights(base=1, grain=1))


@pytest.mark.parametrize("encoding", list(Encoding))
def test_every_encoding_splits_in_its_own_codes(effect: Effect, encoding: Encoding) -> None:
    layers = effect.layers(ask(encoding=encoding))
    assert layers.base is not None
    assert layers.grain is not None
    assert np.isfinite(layers.base).all()
    assert np.abs(layers.base + layers.grain - picture()).max() < 1e-6


def test_a_profile_tells_the_remover_its_strength() -> None:
    assert profile_level(PROFILE, Encoding.REC709).curve == pytest.approx(PROFILE.strength_curve(), rel=1e-5)
    assert (profile_level(PROFILE, Encoding.LINEAR).curve >= 0).all()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shot_params())
def test_any_parameters_render_or_say_why_not(params: ShotParams) -> None:
    params = replace(params, quality="default", profile_data="", profile_file="")
    request = Request(picture(16, 24)[None], 3, params, PROFILE)
    sentence = ""
    try:
        shown = view(request, Effect("cpu").layers(request))
    except ParamError as error:
        sentence, shown = str(error), picture(16, 24)
    assert sentence == "" or sentence.endswith(".")
    assert shown.shape == (16, 24, 3)
    assert np.isfinite(shown).all()
