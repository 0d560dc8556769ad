"""Hold tiles to the whole-frame result, with real stacks of convolutions."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from grainlayer.errors import ParamError
from grainlayer.picture.tiling import cut, map_tiles, tiles

Floats = NDArray[np.floating[Any]]

KERNELS = np.random.default_rng(3).integers(-3, 4, (4, 3, 3)).astype(np.float64)
"""Whole numbers: sums are exact in any order."""


def convolutions(picture: Floats) -> Floats:
    """Run four 3x3 convolutions with zeros beyond the border and a bend after each: reach 4, any origin."""
    for kernel in KERNELS:
        picture = ndimage.convolve(picture, kernel[:, :, None], mode="constant")
        picture = np.where(picture > 0, picture, -2 * picture) % 1024
    return picture


def pyramid(picture: Floats) -> Floats:
    """Average 8x8 cells, convolve those, spread them again and add a fine convolution: reach 16, origins multiples of 8."""
    rows, columns = picture.shape[0] // 8, picture.shape[1] // 8
    coarse = picture.reshape(rows, 8, columns, 8, -1).sum(axis=(1, 3))
    coarse = ndimage.convolve(coarse, KERNELS[0][:, :, None], mode="constant")
    fine = ndimage.convolve(picture, KERNELS[1][:, :, None], mode="constant")
    return coarse.repeat(8, axis=0).repeat(8, axis=1) + fine


def picture_of(height: int, width: int, seed: int) -> Floats:
    return np.random.default_rng(seed).integers(0, 1024, (height, width, 3)).astype(np.float64)


@settings(max_examples=120, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70), tile=st.integers(1, 40), halo=st.integers(4, 9), seed=st.integers(0, 99))
def test_tiles_give_the_whole_frame(height: int, width: int, tile: int, halo: int, seed: int):
    picture = picture_of(height, width, seed)
    assert np.array_equal(map_tiles(picture, convolutions, tile=tile, halo=halo), convolutions(picture))


@settings(max_examples=80, deadline=None)
@given(height=st.integers(1, 90), width=st.integers(1, 90), tile=st.integers(1, 40), halo=st.integers(16, 20), seed=st.integers(0, 99))
def test_tiles_on_a_grid_give_the_whole_frame(height: int, width: int, tile: int, halo: int, seed: int):
    picture = picture_of(height, width, seed)
    whole = map_tiles(picture, pyramid, multiple_of=8)
    assert np.array_equal(map_tiles(picture, pyramid, tile=tile, halo=halo, multiple_of=8), whole)


def test_too_small_a_halo_shows():
    picture = picture_of(64, 64, 0)
    assert not np.array_equal(map_tiles(picture, convolutions, tile=16, halo=3), convolutions(picture))


@settings(max_examples=200, deadline=None)
@given(
    height=st.integers(1, 500),
    width=st.integers(1, 500),
    tile=st.integers(0, 300),
    halo=st.integers(0, 40),
    multiple_of=st.integers(1, 16),
)
def test_targets_cover_and_sources_are_alike(height: int, width: int, tile: int, halo: int, multiple_of: int):
    parts = tiles(height, width, tile, halo, multiple_of)
    count = np.zeros((height, width), int)
    for part in parts:
        count[part.place] += 1
        assert part.shape == parts[0].shape
        assert all(edge % multiple_of == 0 for edge in part.source)
        (top, bottom, left, right), (y, y_end, x, x_end) = part.target, part.source
        assert y == 0 or y <= top - halo
        assert x == 0 or x <= left - halo
        assert y_end >= min(bottom + halo, height)
        assert x_end >= min(right + halo, width)
        assert y >= 0
        assert y_end < height + multiple_of
        if tile >= multiple_of:
            assert max(bottom - top, right - left) <= tile
    assert (count == 1).all()


def test_one_pixel():
    pixel = np.full((1, 1, 3), 0.25, np.float32)
    assert np.array_equal(map_tiles(pixel, lambda part: part * 2, tile=512, halo=40, multiple_of=16), pixel * 2)
    assert tiles(1, 1, 512, 40, 16)[0].source == (0, 16, 0, 16)


def test_8k_is_covered():
    parts = tiles(4320, 8192, 1024, 48, 16)
    assert len(parts) == 40
    assert sum((p.target[1] - p.target[0]) * (p.target[3] - p.target[2]) for p in parts) == 8192 * 4320
    assert max(p.shape for p in parts) <= (1024 + 96, 1024 + 96)


def test_windows_and_other_channels_pass():
    window = np.random.default_rng(0).random((3, 33, 21, 3)).astype(np.float32)
    middle = map_tiles(window, lambda part: part[1, :, :, :1], tile=8, halo=2, multiple_of=4)
    assert np.array_equal(middle, window[1, :, :, :1])
    out = np.zeros((33, 21, 1), np.float32)
    assert map_tiles(window, lambda part: part[1, :, :, :1], tile=8, out=out) is out
    assert np.array_equal(out, middle)
    assert cut(window, tiles(33, 21, 8, 2, 4)[0]).flags.c_contiguous


def test_wrong_use_is_refused():
    with pytest.raises(ParamError, match="came back"):
        map_tiles(np.zeros((8, 8, 3)), lambda part: part[::2], tile=4)
    with pytest.raises(ParamError, match="Cannot cut"):
        tiles(0, 8, 4, 1)
    with pytest.raises(ParamError, match="Cannot cut"):
        tiles(8, 8, 4, 1, 0)
