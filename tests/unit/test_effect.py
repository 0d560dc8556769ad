"""The effect: layers add up, views are weighted sums, every parameter does what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grainlayer.effect import Effect, Request, Weights, compose, profile_level, shows_source, view
from grainlayer.errors import ParamError
from grainlayer.grain.look import GrainLook
from grainlayer.grain.stocks import stock_profile
from grainlayer.grain.synth import prepare, render
from grainlayer.inference.remove import LevelEstimate
from grainlayer.params import GrainSource, ProfileSource, ShotParams, View
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


def compose_slowly(layers: Layers, row: Weights) -> Image:
    """Add layers up as plain array arithmetic: the kernel's twin."""
    total: Image | None = None
    for weight, layer in ((row.base, layers.base), (row.grain, layers.grain), (row.regrain, layers.regrain)):
        if weight != 0 and layer is not None:
            part = np.float32(weight) * layer
            total = part if total is None else total + part
    assert layers.base is not None
    total = np.zeros_like(layers.base) if total is None else total
    return total + np.float32(row.offset) if row.offset else total


WEIGHTS = st.sampled_from((0.0, 1.0, 0.5, -1.0, 1 / 3, 4.0, 1e-30))


@given(
    st.builds(Weights, WEIGHTS, WEIGHTS, WEIGHTS, st.sampled_from((0.0, 0.5))),
    st.integers(1, 70),
    st.integers(1, 40),
    st.integers(0, 99),
)
def test_the_kernel_sums_as_its_twin_bit_for_bit(row: Weights, height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = [rng.normal(0, 1, (height, width, 3)).astype(np.float32) for _ in range(3)]
    out = np.full_like(parts[0], 7)
    restoring = Weights(source=row.base, detail=row.grain, offset=row.offset)
    for layers, weights, source in (
        (Layers(base=parts[0], grain=parts[1], regrain=parts[2]), row, None),
        (Layers(detail=parts[1]), restoring, parts[0]),
    ):
        assert compose(layers, weights, out, source) is out
        slowly = compose_slowly(Layers(base=parts[0], grain=parts[1], regrain=parts[2]), row if source is None else replace(row, regrain=0))
        assert out.tobytes() == slowly.tobytes() == compose(layers, weights, None, source).tobytes()
    over = parts[0].copy()
    assert compose(Layers(detail=parts[1]), restoring, over, over).tobytes() == out.tobytes()


def level_of(effect: Effect, request: Request) -> float:
    found = effect.level(request)
    return found.level if isinstance(found, LevelEstimate) else float(np.max(found))


def test_the_level_has_one_order(effect: Effect, tmp_path: Path) -> None:
    strong = replace(PROFILE, strength=tuple(tuple(min(code + 32, 447) for code in row) for row in PROFILE.strength))
    (tmp_path / "p.json").write_text(strong.to_json())
    named, own = profile_level(PROFILE, Encoding.REC709).level, profile_level(strong, Encoding.REC709).level
    manual = ask(level_mode="manual", level=0.1, profile_data=PROFILE.to_json())
    assert effect.level(manual) == 0.1
    assert effect.level(replace(manual, scale=0.5)) == 0.05
    for params in ({"profile_data": strong.to_json()}, {"profile": "file", "profile_file": str(tmp_path / "p.json")}):
        request = replace(ask(**params), level=0.01)
        assert level_of(effect, request) == pytest.approx(own)
        assert level_of(effect, replace(request, scale=0.5)) == 0.01
    assert level_of(effect, replace(ask(profile="stock"), level=0.01)) == pytest.approx(named)
    assert level_of(effect, replace(ask(), level=0.01)) == 0.01
    assert level_of(effect, ask()) == pytest.approx(named)
    estimated = level_of(effect, replace(ask(), profile=None))
    assert level_of(effect, replace(ask(), scale=0.5)) == estimated != pytest.approx(named)


def test_a_box_is_measured_by_itself(effect: Effect) -> None:
    source = picture(96, 160)
    source[:, 80:] += np.float32(0.05) * np.random.default_rng(1).normal(size=(96, 80, 3)).astype(np.float32)
    left, right = (
        Request(source[None], 0, ShotParams(profile=ProfileSource.BOX, box_x=x, box_y=0.0, box_width=0.5, box_height=1.0), level=0.01)
        for x in (0.0, 0.5)
    )
    assert level_of(effect, right) > 1.5 * level_of(effect, left) > 0.015
    curves = [effect.profile(request).strength_curve().mean() for request in (left, right)]
    assert curves[1] > 1.5 * curves[0]


@pytest.mark.parametrize("box", [{"box_width": 0.0}, {"box_x": 1.0}, {"box_y": 0.99}, {"box_height": 0.01}])
def test_an_empty_box_is_one_sentence(effect: Effect, box: dict[str, float]) -> None:
    with pytest.raises(ParamError, match=r"box_width and box_height.*\.$"):
        effect.layers(ask(profile="box", **box))


def test_grain_is_measured_on_the_picture_where_nothing_is_known(effect: Effect) -> None:
    request = replace(ask(grain_source=GrainSource.RESYNTHESISED), profile=None)
    layers = effect.layers(request)
    assert layers.grain is not None
    assert layers.regrain is not None
    assert np.std(layers.regrain) == pytest.approx(np.std(layers.grain), rel=0.5)
    with pytest.raises(ParamError, match="64 pixels"):
        effect.layers(replace(request, window=picture(32, 32)[None]))


def test_what_shows_the_source_needs_no_layers() -> None:
    assert shows_source(ShotParams())
    assert shows_source(ShotParams(view=View.SPLIT, grain_seed=4, grain_hold=2, removal=0.5))
    for params in (ShotParams(grain_amount=0.9), ShotParams(view=View.BASE), ShotParams(grain_size=2.0), ShotParams(grain_source="stock")):
        assert not shows_source(params)


def test_a_view_may_be_written_over_its_source(effect: Effect) -> None:
    request = ask(view=View.SPLIT, grain_amount=0.0)
    layers = effect.layers(request)
    wanted = view(request, layers)
    over = request.window.copy()
    assert np.array_equal(view(replace(request, window=over), layers, over[0]), wanted)
    assert np.array_equal(over[0], wanted)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shot_params(), st.booleans())
def test_any_parameters_render_or_say_why_not(params: ShotParams, restoring: bool) -> None:
    params = replace(params, quality="default", profile_data="", profile_file="")
    request = Request(picture(16, 24)[None], 3, params, PROFILE, restores=restoring, quantiser=np.full((2, 3), 0.5, np.float32))
    sentence = ""
    try:
        shown = view(request, Effect("cpu").layers(request))
    except ParamError as error:
        sentence, shown = str(error), picture(16, 24)
    assert sentence == "" or sentence.endswith(".")
    assert shown.shape == (16, 24, 3)
    assert np.isfinite(shown).all()
