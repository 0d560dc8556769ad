"""Profiles and texture maps: what is legal, and what comes back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainlayer.errors import ParamError
from grainlayer.grain.profile import STRENGTH_KNOTS, GrainProfile, encode_profile
from grainlayer.grain.stocks import stock_names, stock_origin, stock_profile
from grainlayer.grain.texture import TextureMap, plain_map, quarters, roots
from grainlayer.params import Stock


def example() -> GrainProfile:
    return encode_profile(1080, np.full((3, STRENGTH_KNOTS), 0.02), np.zeros((3, 15)), np.zeros(15), np.array([0.5, 0.25, 0.0]))


def test_json_round_trip_is_exact_and_small() -> None:
    text = example().to_json()
    assert GrainProfile.from_json(text) == example()
    assert len(text) < 4096


def test_strength_is_kept_within_its_step() -> None:
    strength = np.geomspace(0.0005, 0.4, 3 * STRENGTH_KNOTS).reshape(3, -1)
    kept = encode_profile(1, strength, np.zeros((3, 15)), np.zeros(15), np.zeros(3)).strength_curve()
    assert np.abs(np.log2(kept / strength)).max() <= 0.5 / 32 + 1e-9


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"grainlayer_profile":1}', '{"grainlayer_profile":2}', "{" * 5000])
def test_what_is_no_profile_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ParamError, match=r"profile"):
        GrainProfile.from_json(text)


@given(st.sampled_from(["height", "strength", "spectrum", "direction", "correlation"]), st.sampled_from([None, "x", -1e9, [], [[1]], {}]))
def test_a_damaged_field_is_refused(key: str, value: object) -> None:
    fields = json.loads(example().to_json())
    fields[key] = value
    with pytest.raises(ParamError):
        GrainProfile.from_json(json.dumps(fields))


def test_every_fitted_stock_is_one_of_the_menu() -> None:
    assert set(stock_names()) <= {str(stock) for stock in Stock}
    for name in stock_names():
        assert stock_profile(name).strength_curve().max() > 0.005
        assert stock_origin(name).endswith(".")


def test_a_stock_that_was_not_fitted_names_those_that_were() -> None:
    with pytest.raises(ParamError, match=r"35mm 500 colour"):
        stock_profile("8mm black-and-white")


def test_the_default_stock_is_there() -> None:
    assert str(Stock.F35_500) in stock_names()


@given(st.integers(1, 700), st.integers(1, 700))
def test_a_plain_map_covers_the_picture(width: int, height: int) -> None:
    texture = plain_map(width, height)
    assert texture.plain
    assert texture.grid().shape == (4, -(-height // 16), -(-width // 16))


def test_blocks_cover_every_pixel_once() -> None:
    covered = np.zeros((300, 200), int)
    splits = [True] + [False] * 4
    rest = sum(1 for _ in roots(200, 300)) - 1
    codes = ((1, 0, 0, 0),) * (4 + rest)
    for x, y, size in TextureMap(200, 300, tuple(splits + [False] * rest), codes).blocks():
        covered[y : y + size, x : x + size] += 1
    assert (covered == 1).all()


def test_quarters_outside_the_picture_do_not_count() -> None:
    assert quarters((128, 0, 128), 150, 40) == [(128, 0, 64)]


@pytest.mark.parametrize("splits", [(), (True,), (False, False)])
def test_a_map_whose_splits_do_not_fit_is_refused(splits: tuple[bool, ...]) -> None:
    with pytest.raises(ParamError):
        TextureMap(100, 100, splits, ((0, 0, 0, 0),))
