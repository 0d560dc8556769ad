"""Artifact Restore: what the effect adds to a host's picture, in every view, encoding and size, and the same as from a file's planes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from grainlayer.effect import Effect, Request, shows_source, view
from grainlayer.inference import shown
from grainlayer.inference.restore import Recorded, as_image, recorded_planes
from grainlayer.params import ShotParams, View
from grainlayer.picture.planes import Planes, to_image
from grainlayer.picture.samples import ColourTags, sample_format
from grainlayer.types import Encoding, Image

VIDEO, FORMAT = ColourTags(full_range=False, primaries=1, transfer=1, matrix=1, chroma_location=1), sample_format("yuv420p")
NOTHING = ShotParams(deblock=False, chroma=False, depth=False, deband=0.0)


def stored(index: int = 0, height: int = 48, width: int = 80) -> Planes:
    """Return planes of 8 bits and 4:2:0 as an encoder leaves them: flat blocks of 8 pixels, over the whole range of codes."""
    rng = np.random.default_rng(7)
    blocks = rng.integers(0, 256, (height // 8, width // 8, 3)).repeat(8, 0).repeat(8, 1)
    luma = np.clip(np.roll(blocks[..., 0], index, 1) + rng.integers(-3, 4, (height, width)), 0, 255)
    return luma.astype(np.uint8), blocks[::2, ::2, 1].astype(np.uint8), np.roll(blocks, index, 1)[::2, ::2, 2].astype(np.uint8)


def cells(height: int = 48, width: int = 80, qp: int = 30) -> NDArray[np.float32]:
    return np.full((-(-height // 8), -(-width // 8)), qp / 64, np.float32)


def window(count: int = 7) -> NDArray[np.float32]:
    return np.stack([to_image(stored(index), FORMAT, VIDEO) for index in range(count)])


def ask(count: int = 7, scale: float = 1.0, **params: object) -> Request:
    return Request(window(count), 0, ShotParams(**params), scale=scale, restores=True, quantiser=cells())  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def effect() -> Effect:
    return Effect("cpu")


@pytest.fixture(scope="module")
def detail(effect: Effect) -> Image:
    found = effect.layers(ask()).detail
    assert found is not None
    return found


@pytest.mark.parametrize("switches", [{}, {"deblock": False}, {"chroma": False}, {"depth": False}])
def test_a_hosts_picture_and_a_files_planes_give_the_same(effect: Effect, switches: dict[str, bool]) -> None:
    recorded = [recorded_planes(stored(index), FORMAT, VIDEO, cells()) for index in range(7)]
    params = ShotParams(deband=0.0, **switches)
    by_planes = as_image(effect.restorer("default").restore(recorded, params))
    by_host = effect.result(replace(ask(), params=params))
    assert np.abs(by_planes - window()[3]).max() > 1e-3
    assert np.abs(by_host - by_planes).max() < 1e-4


def test_nothing_to_restore_is_the_source_bit_for_bit(effect: Effect) -> None:
    for params in (ShotParams(restore=0.0), NOTHING, replace(NOTHING, view=View.BASE), ShotParams(restore=0.0, view=View.SPLIT)):
        request = replace(ask(), params=params)
        assert shows_source(params, restoring=True)
        assert np.array_equal(effect.result(request), request.source)
    assert np.array_equal(effect.result(replace(ask(), params=replace(NOTHING, view=View.GRAIN))), np.full((48, 80, 3), 0.5))
    assert not shows_source(ShotParams(), restoring=True)
    assert not shows_source(ShotParams(restore=0.0, view=View.BASE), restoring=True)


def test_views_are_weighted_sums(effect: Effect, detail: Image) -> None:
    source = ask().source
    base = source + detail
    wanted = {
        View.RESULT: source + np.float32(0.25) * detail,
        View.BASE: base,
        View.GRAIN: 0.5 + detail,
        View.GRAIN_X4: 0.5 + 4 * detail,
        View.DIFFERENCE: 0.5 + 0.25 * detail,
        View.STATUS: source + np.float32(0.25) * detail,
    }
    for name, picture in wanted.items():
        assert np.allclose(effect.result(ask(view=name, restore=0.25)), picture, atol=1e-6), name
    split = effect.result(ask(view=View.SPLIT, restore=0.25))
    assert np.array_equal(split[:, :40], source[:, :40])
    assert np.array_equal(split[:, 40:], wanted[View.RESULT][:, 40:])


def test_the_detail_does_not_depend_on_how_much_is_wanted(effect: Effect, detail: Image) -> None:
    found = effect.layers(ask(restore=0.0)).detail
    assert found is not None
    assert np.array_equal(found, detail)


def test_a_view_may_be_written_over_its_source(effect: Effect) -> None:
    request = ask(view=View.SPLIT, restore=0.5)
    layers = effect.layers(request)
    wanted, over = view(request, layers), request.window.copy()
    assert np.array_equal(view(replace(request, window=over), layers, over[3]), wanted)


@pytest.mark.parametrize("encoding", list(Encoding))
def test_every_encoding_restores_in_its_own_codes(effect: Effect, encoding: Encoding) -> None:
    request = Request(window(1), 0, ShotParams(encoding=encoding), restores=True, quantiser=cells())
    found = effect.layers(request).detail
    assert found is not None
    assert np.isfinite(found).all()
    assert np.abs(found).max() > 1e-4


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (48, 81), (17, 9)])
def test_any_size(effect: Effect, size: tuple[int, int]) -> None:
    pictures = np.random.default_rng(1).random((3, *size, 3), np.float32)
    result = effect.result(Request(pictures, 0, restores=True, quantiser=cells(*size)))
    assert result.shape == (*size, 3)
    assert np.isfinite(result).all()


def test_a_picture_with_a_mark_is_converted_once(effect: Effect, monkeypatch: pytest.MonkeyPatch) -> None:
    converted: list[int] = []
    convert = shown.recorded_image

    def counting(image: Image) -> Recorded:
        converted.append(1)
        return convert(image)

    monkeypatch.setattr(shown, "recorded_image", counting)
    pictures, fresh = window(9), Effect("cpu")
    for first in range(3):
        marks = [f"picture {index}" for index in range(first, first + 7)]
        request = Request(pictures[first : first + 7], 0, restores=True, quantiser=cells(), marks=marks)
        assert np.array_equal(fresh.result(request), effect.result(replace(request, marks=None)))
    assert len(converted) == 9 + 3 * 7
    fresh.result(Request(np.ascontiguousarray(pictures[:7, :40]), 0, restores=True, quantiser=cells(40), marks=list("0123456")))
    assert len(converted) == 9 + 3 * 7 + 7
