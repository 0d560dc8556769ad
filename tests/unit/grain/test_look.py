from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainlayer.errors import ParamError
from grainlayer.grain.look import RANGES, GrainLook, tonal_weights


@given(st.floats(-1, 2))
def test_tonal_weights_are_shares(code):
    weights = tonal_weights(np.array(code))
    assert abs(sum(weights) - 1) < 1e-12
    assert all(-1e-12 <= weight <= 1 for weight in weights)


def test_tonal_weights_are_smooth():
    codes = np.linspace(-0.2, 1.2, 2001)
    for weight in tonal_weights(codes):
        assert np.abs(np.diff(weight, 2)).max() < 3e-5


@pytest.mark.parametrize("key", RANGES)
@pytest.mark.parametrize("side", ["below", "above", "text", "nan"])
def test_a_wrong_value_names_key_value_and_range(key, side):
    low, high = RANGES[key]
    value = {"below": low - 1, "above": high + 1, "text": "much", "nan": float("nan")}[side]
    with pytest.raises(ParamError) as caught:
        GrainLook(**{key: value})
    assert str(caught.value).startswith(f"{key} must be ")
    assert f"{low}..{high}" in str(caught.value)
    assert repr(value) in str(caught.value)


def test_the_ends_of_ranges_are_inside():
    for key, (low, high) in RANGES.items():
        for end in (low, high):
            assert getattr(GrainLook(**{key: end}), key) == end


def test_defaults_change_nothing():
    look = GrainLook()
    codes = np.linspace(0, 1, 9)
    assert look.channel_gains() == (1, 1, 1)
    assert np.allclose(look.tonal_gain(codes), 1, atol=1e-15)
