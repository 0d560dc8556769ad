"""Hold chroma up and down to being exact partners, at every size and siting."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainlayer.picture.chroma import down_by_two, downsample, mirrored, together, up_by_two, upsample

sizes = st.integers(1, 23)
shifts = st.sampled_from([(0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (2, 2)])


@settings(max_examples=200, deadline=None)
@given(height=sizes, width=sizes, shift=shifts, location=st.integers(0, 6), seed=st.integers(0, 2**32 - 1))
def test_down_undoes_up(height: int, width: int, shift: tuple[int, int], location: int, seed: int):
    codes = np.random.default_rng(seed).integers(0, 65536, (-(-height >> shift[1]), -(-width >> shift[0]))).astype(np.float32)
    full = upsample(codes, height, width, shift, location)
    assert full.shape == (height, width)
    assert np.abs(downsample(full, shift, location) - codes).max() < 0.02


@pytest.mark.parametrize(("location", "across", "down"), [(0, 0.0, 0.5), (1, 0.0, 0.5), (2, 0.5, 0.5), (3, 0.0, 0.0), (4, 0.5, 0.0)])
def test_a_ramp_stays_a_ramp_at_its_siting(location: int, across: float, down: float):
    rows, columns = np.arange(8)[:, None] * 2 + down, np.arange(9)[None] * 2 + across
    full = upsample((3 * rows + 5 * columns).astype(np.float32), 16, 18, (1, 1), location)
    wanted = 3 * np.arange(16)[:, None] + 5 * np.arange(18)[None]
    assert np.array_equal(full[1:-2, 1:-2], wanted[1:-2, 1:-2])


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 9])
def test_even_colour_stays_even(size: int, on: bool):
    assert (up_by_two(np.full((-(-size // 2), 2), 7, np.float32), size, on) == 7).all()
    assert (down_by_two(np.full((size, 2), 7, np.float32), on) == 7).all()


def test_left_is_the_default():
    assert together(0) == together(1) == (True, False)
    assert together(2) == (False, False)
    assert together(3) == (True, True)


def test_places_are_mirrored():
    assert mirrored(np.arange(-2, 6), 4, 6).tolist() == [2, 1, 0, 1, 2, 3, 2, 1]
    assert mirrored(np.arange(-2, 6), 4, 8).tolist() == [1, 0, 0, 1, 2, 3, 3, 2]
    assert mirrored(np.arange(-2, 3), 1, 0).tolist() == [0] * 5
