from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from grainlayer.errors import ParamError
from grainlayer.grain.noise import philox, quantiles, white, white_slowly
from tests.golden.write_grain import GOLDEN, noise_digest

COORDINATES = st.integers(-(2**33), 2**33)


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), 0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, 2**64 - 1, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ],
)
def test_philox_gives_the_published_answers(counter, key, words):
    assert tuple(philox(np.array(counter, np.uint32), key).tolist()) == words


@settings(max_examples=60)
@given(
    st.integers(0, 2**64 - 1), st.integers(-5, 2**32), st.integers(0, 9), st.integers(1, 300), st.integers(1, 6), COORDINATES, COORDINATES
)
def test_fast_and_slow_fields_are_equal(seed, frame, channel, width, height, x, y):
    fast = white(seed, frame, channel, width, height, (x, y))
    assert np.array_equal(fast, white_slowly(seed, frame, channel, width, height, (x, y)))


def test_a_window_is_a_part_of_the_whole():
    whole = white(5, 3, 1, 700, 40, (-300, -20))
    assert np.array_equal(white(5, 3, 1, 301, 11, (-133, -7)), whole[13:24, 167:468])


def test_quantiles_are_those_of_a_gaussian():
    table = quantiles().astype(np.float64)
    edges = stats.norm.pdf(stats.norm.ppf(np.arange(4097) / 4096))
    means = 4096 * (edges[:-1] - edges[1:])
    assert np.abs(table - means / np.sqrt((means**2).mean())).max() < 3e-7
    assert np.array_equal(table, -table[::-1])
    assert np.all(np.diff(table) > 0)
    assert abs((table**2).mean() - 1) < 1e-8


def test_the_field_is_white_gaussian_and_independent():
    fields = [
        white(seed, frame, channel, 1024, 1024) for seed, frame, channel in ((1, 0, 0), (1, 1, 0), (1, 0, 1), (2, 0, 0), (2**32 + 1, 0, 0))
    ]
    floor = 4.5 / 1024
    for one in fields:
        assert abs(one.mean()) < floor
        assert abs(one.std() - 1) < floor
        assert abs(stats.skew(one, axis=None)) < 3 * floor
        assert abs(stats.kurtosis(one, axis=None)) < 6 * floor
    matrix = np.corrcoef([one.ravel() for one in fields])
    assert np.abs(matrix - np.eye(len(fields))).max() < floor


def test_no_lag_correlates():
    field = white(7, 0, 0, 1024, 1024)
    power = np.abs(np.fft.rfft2(field)) ** 2
    correlation = np.fft.irfft2(power) / (power.sum() / 1024)
    correlation /= correlation[0, 0]
    correlation[0, 0] = 0
    assert np.abs(correlation).max() < 6 / 1024


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_named(seed):
    with pytest.raises(ParamError, match=f"seed .*0..{2**64 - 1}.*{seed}"):
        white(seed, 0, 0, 1, 1)


def test_the_field_is_as_it_was():
    golden = json.loads(Path(GOLDEN).read_text())
    assert noise_digest() == golden["noise"], "the noise changed: every grain stream would look different"
