"""Restoring a host's pictures: cuts inside a window, windows of any length, proxies, and what is kept of a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from grainlayer.inference import shown
from grainlayer.inference.restore import Recorded, Restored, Restorer, recorded_image
from grainlayer.inference.runtime import Cancel, Cancelled, cancellable
from grainlayer.inference.shown import Shown, ShownRestorer, as_stored, same_shot
from grainlayer.params import ShotParams
from grainlayer.picture.cuts import CutDetector, look, shrink
from grainlayer.picture.samples import sample_format
from grainlayer.types import Image
from tests.system.footage import clean_picture

CELLS = np.full((8, 12), 0.5, np.float32)


def scene(shot: int, count: int, first: int = 0) -> list[Image]:
    return [clean_picture(96, 64, first + index, shot) for index in range(count)]


class Watched(Restorer):
    """Restore as ever, and remember the window."""

    window: Sequence[Recorded] = ()

    def restore(self, window: Sequence[Recorded], params: ShotParams) -> Restored:
        self.window = window
        return super().restore(window, params)


@pytest.fixture(scope="module")
def watched() -> Watched:
    return Watched(device="cpu")


@pytest.fixture(scope="module")
def restorer(watched: Watched) -> ShownRestorer:
    return ShownRestorer(watched)


def change(restorer: ShownRestorer, pictures: list[Image], *, whole: bool = True, names: list[str] | None = None, **params: bool) -> Image:
    window = Shown(len(pictures), lambda place: pictures[place], names, whole)
    return restorer.change(window, CELLS, ShotParams(**params))


def same(window: Sequence[Recorded], pictures: list[Image]) -> bool:
    """Say whether a window holds these pictures, in their order."""
    made = [recorded_image(picture) for picture in pictures]
    pairs = zip(window, made, strict=True)
    return all(np.abs(one.luma - other.luma).max() < 1e-5 and np.abs(one.chroma - other.chroma).max() < 1e-5 for one, other in pairs)


@pytest.mark.parametrize("cut", range(1, 7))
def test_nothing_beyond_a_cut_is_looked_at(restorer: ShownRestorer, watched: Watched, cut: int) -> None:
    pictures = [*scene(0, cut), *scene(1, 7 - cut, cut)]
    change(restorer, pictures)
    assert same(watched.window, [pictures[max(place, cut)] if cut <= 3 else pictures[min(place, cut - 1)] for place in range(7)])


def test_a_shot_between_two_cuts(restorer: ShownRestorer, watched: Watched) -> None:
    pictures = [*scene(1, 2), *scene(0, 3, 2), *scene(2, 2)]
    change(restorer, pictures)
    assert same(watched.window, [pictures[min(max(place, 2), 4)] for place in range(7)])


@pytest.mark.parametrize("count", [1, 3, 5, 7, 9])
def test_windows_of_any_length(restorer: ShownRestorer, watched: Watched, count: int) -> None:
    pictures, middle = scene(0, count), count // 2
    change(restorer, pictures)
    assert same(watched.window, [pictures[min(max(middle + step, 0), count - 1)] for step in range(-3, 4)])
    assert watched.window[3].quantiser is CELLS


def test_cuts_are_those_of_the_files_detector() -> None:
    pictures = [*scene(0, 8), *scene(1, 8), *scene(2, 8)]
    detector, eight = CutDetector(), sample_format("gray")
    smalls = [shrink(np.round(16 + 219 * picture[:, :, 1]), eight) for picture in pictures]
    for small in smalls:
        detector.add(small)
    starts = [*detector.finish(), len(pictures)]
    assert starts == [0, 8, 16, 24]
    for place in range(3, 21):
        found = same_shot([look(small) for small in smalls[place - 3 : place + 4]], 3)
        start = max(one for one in starts if one <= place)
        end = min(one for one in starts if one > place)
        assert found == (max(start - place + 3, 0), min(end - 1 - place + 3, 6))


def test_a_flash_is_no_cut() -> None:
    pictures = [*scene(0, 2), np.full((64, 96, 3), 0.98, np.float32), *scene(0, 4, 3)]
    looks = [look(shrink(255 * picture[:, :, 1], sample_format("gray"))) for picture in pictures]
    assert same_shot(looks, 3) == (0, 6)


def test_a_proxy_keeps_the_colour_that_it_has(restorer: ShownRestorer) -> None:
    rng = np.random.default_rng(3)
    pictures = [rng.random((64, 96, 3), np.float32)] * 7
    told = {"deblock": False, "depth": False, "chroma": True, "deband": 0.0}
    assert np.array_equal(change(restorer, pictures, whole=False, **told), np.zeros_like(pictures[0]))
    assert change(restorer, pictures, **told).any()


def test_what_a_host_rounded_is_as_it_was_stored() -> None:
    luma = (np.arange(256, dtype=np.float32).reshape(16, 16) - 16) / np.float32(219)
    rounded = luma + np.float32(1e-7) * np.random.default_rng(2).choice((-1, 0, 1), luma.shape).astype(np.float32)
    assert np.array_equal(as_stored(rounded, 219), luma)
    between = luma + np.float32(0.3 / 219)
    assert np.array_equal(as_stored(between, 219), between)


def test_repeated_pictures_count_by_what_they_show(restorer: ShownRestorer) -> None:
    pictures = [one for one in scene(0, 4) for _ in range(2)][:7]
    copies = [picture.copy() for picture in pictures]
    named = change(ShownRestorer(restorer.restorer), pictures, names=[str(index // 2) for index in range(7)])
    assert np.array_equal(named, change(restorer, copies))


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "KEPT_BYTES", 3 * 96 * 64 * 10)
    fresh = ShownRestorer(Restorer(device="cpu"))
    for first in range(0, 21, 7):
        change(fresh, scene(0, 7, first), names=[str(first + index) for index in range(7)])
    assert [*fresh._kept] == ["18", "19", "20"]


def test_nothing_is_kept_of_a_request_that_is_not_wanted(restorer: ShownRestorer) -> None:
    fresh, cancel, pictures = ShownRestorer(restorer.restorer), Cancel(), scene(0, 1)

    def overwritten(place: int) -> NDArray[np.float32]:
        cancel.cancel()
        return pictures[place]

    with cancellable(cancel), pytest.raises(Cancelled):
        fresh.change(Shown(1, overwritten, ["a"]), CELLS, ShotParams())
    assert not fresh._kept
