"""The Grain Isolation Module: what it removes, on any size, in tiles as in one piece, blind and told."""

from __future__ import annotations

import numpy as np
import pytest

from grainlayer.errors import ModelError, ParamError
from grainlayer.grain.look import GrainLook
from grainlayer.grain.stocks import stock_profile
from grainlayer.grain.synth import prepare, render
from grainlayer.inference import remove as module
from grainlayer.inference.registry import find_model, model_root, read_manifest
from grainlayer.inference.remove import LevelEstimate, Remover, cell_means, estimate_level
from grainlayer.inference.runtime import Model, choose_providers
from grainlayer.types import Image


def clean(height: int = 160, width: int = 208) -> Image:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    wave = 0.5 + 0.06 * np.sin(x / 23) * np.cos(y / 17)
    return np.ascontiguousarray(np.stack((wave, 0.9 * wave, 1 - wave), axis=2), np.float32)


def grainy(base: Image) -> Image:
    return base + render(prepare(stock_profile("35mm 500 colour"), GrainLook(), 1080, base.shape[1]), base, seed=3)


@pytest.fixture(scope="module")
def remover() -> Remover:
    return Remover(device="cpu")


def test_most_of_the_grain_goes_told_or_blind(remover: Remover) -> None:
    base = clean()
    picture = grainy(base)
    noise = np.mean((picture - base) ** 2)
    for strength in (0.025, estimate_level(picture)):
        left = picture - remover.grain(picture, strength) - base
        assert np.mean(left**2) < 0.2 * noise


def test_no_strength_means_no_change(remover: Remover) -> None:
    assert not remover.grain(grainy(clean()), 0.0).any()


def test_tiles_give_the_whole_picture(remover: Remover, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = grainy(clean(296, 331))
    whole = remover.grain(picture, 0.03)
    monkeypatch.setattr(module, "WHOLE", 1)
    monkeypatch.setattr(module, "TILE", 96)
    assert np.abs(remover.grain(picture, 0.03) - whole).max() < 1e-5


@pytest.mark.parametrize(("height", "width"), [(1, 1), (16, 9), (7, 250), (33, 65)])
def test_any_size(remover: Remover, height: int, width: int) -> None:
    picture = np.full((height, width, 3), 0.4, np.float32)
    grain = remover.grain(picture, estimate_level(picture))
    assert grain.shape == picture.shape
    assert np.abs(grain).max() < 0.05


def test_the_estimate_is_near_the_truth() -> None:
    base = clean(384, 384)
    noise = np.random.Generator(np.random.Philox(key=1)).standard_normal(base.shape).astype(np.float32)
    assert estimate_level(base + 0.04 * noise).level == pytest.approx(0.04, rel=0.25)
    assert estimate_level(base).level < 0.006


def test_a_map_of_strengths_acts_where_it_is(remover: Remover) -> None:
    picture = grainy(clean())
    strength = np.zeros(picture.shape[:2], np.float32)
    strength[:, 104:] = 0.025
    grain = remover.grain(picture, strength)
    assert np.abs(grain[:, :64]).max() < 0.002
    assert np.std(grain[:, 140:]) > 0.01


def test_cells_average_what_lies_in_them() -> None:
    picture = np.arange(16 * 8 * 3, dtype=np.float32).reshape(16, 8, 3)
    assert np.allclose(cell_means(picture)[1, 0], picture[8:].mean(axis=(0, 1)))


def test_an_estimate_is_looked_up_by_channel() -> None:
    curve = np.zeros((3, 17), np.float32)
    curve[1] = 0.03
    assert LevelEstimate(curve).lookup(np.full((2, 2, 3), 0.5, np.float32)) == pytest.approx(0.03 / 3**0.5)


@pytest.mark.parametrize("strength", [-0.1, 2.0, np.zeros((2, 2), np.float32)])
def test_a_wrong_strength_is_refused(remover: Remover, strength: float) -> None:
    with pytest.raises(ParamError):
        remover.grain(clean(), strength)


def test_a_wrong_picture_is_refused(remover: Remover) -> None:
    with pytest.raises(ParamError, match="float32"):
        remover.grain(np.zeros((8, 8, 3)), 0.1)  # pyright: ignore[reportArgumentType]


def test_a_graph_fed_with_a_wrong_shape_says_which_model_failed() -> None:
    with pytest.raises(ModelError, match="removal-default"):
        Model(find_model("removal-default", "removal"), "cpu").run(np.zeros((8, 8, 2), np.float32), np.zeros((1, 1), np.float32))


def test_an_unknown_model_and_device_name_what_there_is() -> None:
    with pytest.raises(ModelError, match="removal-default"):
        find_model("nothing", "removal")
    with pytest.raises(ModelError, match="cpu"):
        choose_providers("toaster")


def test_every_card_is_complete() -> None:
    for card in read_manifest(model_root()).values():
        assert card.path.exists()
        assert card.licence == "Apache-2.0"
        assert card.halo % card.multiple_of == 0


def test_a_grey_picture_goes_through_the_grey_model(remover: Remover) -> None:
    base = np.repeat(clean()[:, :, :1], 3, axis=2)
    noise = np.random.Generator(np.random.Philox(key=1)).standard_normal(base.shape[:2]).astype(np.float32)
    picture = base + 0.03 * noise[:, :, None]
    grain = remover.grain(picture, 0.03)
    assert np.ptp(grain, axis=2).max() == 0
    assert np.mean((picture - grain - base) ** 2) < 0.1 * np.mean((picture - base) ** 2)
    tinted = picture.copy()
    tinted[5, 7, 1] += 0.001
    assert np.ptp(remover.grain(tinted, 0.03), axis=2).max() > 0


def test_processors_run_the_real_time_model_in_8_bits_which_answers_nearly_alike() -> None:
    fast, precise = Remover("real-time", "cpu"), Remover(device="cpu", model_id="removal-real-time")
    assert (fast.model.card.id, precise.model.card.id) == ("removal-real-time-int8", "removal-real-time")
    picture = np.random.Generator(np.random.Philox(key=3)).normal(0.5, 0.05, (64, 96, 3)).astype(np.float32)
    one, other = fast.grain(picture, 0.05), precise.grain(picture, 0.05)
    assert 0 < float(np.std(one - other)) < 0.15 * float(np.std(other))
