"""Every model of the manifest does what its card says: how far it looks, by what it moves, which sizes it takes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from grainlayer.inference.registry import ModelCard, model_root, read_manifest
from grainlayer.inference.runtime import Model

Floats = NDArray[np.float32]
EVERY = list(read_manifest(model_root()).values())
CARDS = [card for card in EVERY if card.task not in ("restore", "quantiser")]
RESTORE = [card for card in EVERY if card.task == "restore"]


def inputs(card: ModelCard, height: int, width: int, seed: int = 1) -> list[Floats]:
    """Return what a model of the card's task takes for a picture of this size."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    picture = (0.5 + 0.1 * rng.standard_normal((height, width, 3))).astype(np.float32)
    if card.task == "level":
        return [picture]
    if card.task == "synth":
        return [rng.standard_normal((height, width, 6)).astype(np.float32), picture, np.array([-0.7, 0.8], np.float32)]
    picture = np.ascontiguousarray(picture[:, :, :1]) if card.task == "removal-grey" else picture
    shown = np.stack([picture] * card.frames) if card.frames > 1 else picture
    return [shown, np.full((height // 8, width // 8), 0.05, np.float32)]


def pictures(card: ModelCard, outputs: list[Floats]) -> list[Floats]:
    """Return those outputs of a model that are pictures."""
    return outputs[:1] if card.task == "synth" else outputs


def turned(values: list[Floats], card: ModelCard, place: tuple[int, int]) -> list[Floats]:
    """Return the inputs with one pixel altered in each of them that has pixels."""
    y, x = place
    out = [value.copy() for value in values]
    for value in out:
        if value.ndim == 4:
            value[:, y, x] += 0.4
        elif value.ndim == 3:
            value[y, x] += 0.4
        elif value.ndim == 2:
            value[y // 8, x // 8] += 0.05
    return out


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
def test_no_pixel_reaches_beyond_the_halo(card: ModelCard) -> None:
    model = Model(card, "cpu")
    side = 8 * ((2 * card.halo + 120) // 8)
    values = inputs(card, side, side)
    cell = 8 if card.task == "level" else 1
    for place in ((side // 2, side // 2), (side // 2 + 7, side // 2 + 5), (side // 2 - 1, side // 2 + 2)):
        before, after = (pictures(card, model.run(*given)) for given in (values, turned(values, card, place)))
        apart = [np.abs(a - b).max(axis=-1) for a, b in zip(before, after, strict=True)]
        for change in apart:
            rows, columns = np.nonzero(change > 1e-6)
            far = max(np.abs(rows * cell - place[0]).max(initial=0), np.abs(columns * cell - place[1]).max(initial=0))
            assert far <= card.halo
    assert rows.size


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
def test_it_moves_along_with_its_input_by_its_multiple(card: ModelCard) -> None:
    model, step = Model(card, "cpu"), max(card.multiple_of, 8)
    side = 8 * ((2 * card.halo + 96) // 8)
    values = inputs(card, side + step, side + step)
    cells = step // 8
    moved = [cut(value, step, cells) for value in values]
    cell = 8 if card.task == "level" else 1
    edge, shift = -(-(card.halo + step) // cell), step // cell
    for a, b in zip(pictures(card, model.run(*values)), pictures(card, model.run(*moved)), strict=True):
        inner = b[edge:-edge, edge:-edge]
        there = a[shift + edge : shift + edge + inner.shape[0], shift + edge : shift + edge + inner.shape[1]]
        assert inner.size
        assert np.abs(inner - there).max() < 2e-5


def cut(value: Floats, step: int, cells: int) -> Floats:
    """Return an input without its first rows and columns."""
    if value.ndim == 4:
        return np.ascontiguousarray(value[:, step:, step:])
    if value.ndim == 3:
        return np.ascontiguousarray(value[step:, step:])
    return np.ascontiguousarray(value[cells:, cells:]) if value.ndim == 2 else value


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 9), (6, 2)])
def test_it_takes_any_multiple(card: ModelCard, rows: int, columns: int) -> None:
    height, width = rows * card.multiple_of, columns * card.multiple_of
    values = inputs(card, max(height, 8) if card.task != "synth" else height, max(width, 8) if card.task != "synth" else width)
    for out in pictures(card, Model(card, "cpu").run(*values)):
        assert np.isfinite(out).all()
        assert out.shape[-1] == (1 if card.task == "removal-grey" else 3)


def recorded(card: ModelCard, height: int, width: int) -> list[Floats]:
    """Return what a restoration net takes for a picture of this size: luma, chroma and the quantiser, 0 in part of it."""
    rng = np.random.Generator(np.random.Philox(key=2))
    luma = 0.5 + 0.1 * rng.standard_normal((card.frames, height, width))
    chroma = 0.05 * rng.standard_normal((card.frames, height // 2, width // 2, 2))
    quantiser = np.full((height // 8, width // 8), 0.5)
    quantiser[: height // 24] = 0
    return [value.astype(np.float32) for value in (luma, chroma, quantiser)]


@pytest.mark.parametrize("card", RESTORE, ids=lambda card: card.id)
def test_no_pixel_of_a_recording_reaches_beyond_the_halo(card: ModelCard) -> None:
    model, side = Model(card, "cpu"), 8 * ((2 * card.halo + 120) // 8)
    values = recorded(card, side, side)
    for y, x in ((side // 2, side // 2), (side // 2 + 7, side // 2 + 5), (side // 2 - 1, side // 2 + 2)):
        altered = [value.copy() for value in values]
        altered[0][:, y, x] += 0.4
        altered[1][:, y // 2, x // 2] += 0.2
        altered[2][y // 8, x // 8] += 0.1
        for before, after in zip(model.run(*values), model.run(*altered), strict=True):
            change = np.abs(before - after).reshape(side, side, -1).max(2)
            rows, columns = np.nonzero(change > 1e-6)
            assert rows.size and max(np.abs(rows - y).max(), np.abs(columns - x).max()) <= card.halo


@pytest.mark.parametrize("card", RESTORE, ids=lambda card: card.id)
def test_a_restoration_net_moves_along_by_eight(card: ModelCard) -> None:
    model, side = Model(card, "cpu"), 8 * ((2 * card.halo + 96) // 8)
    values = recorded(card, side + 8, side + 8)
    moved = [np.ascontiguousarray(value) for value in (values[0][:, 8:, 8:], values[1][:, 4:, 4:], values[2][1:, 1:])]
    edge = card.halo + 8
    for whole, part in zip(model.run(*values), model.run(*moved), strict=True):
        inner = part[edge:-edge, edge:-edge]
        assert inner.size and np.abs(inner - whole[8 + edge :, 8 + edge :][: inner.shape[0], : inner.shape[1]]).max() < 2e-5


@pytest.mark.parametrize("card", RESTORE, ids=lambda card: card.id)
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 9), (6, 2)])
def test_a_restoration_net_takes_any_multiple_of_eight(card: ModelCard, rows: int, columns: int) -> None:
    luma, chroma = Model(card, "cpu").run(*recorded(card, 8 * rows, 8 * columns))
    assert luma.shape == (8 * rows, 8 * columns) and chroma.shape == (8 * rows, 8 * columns, 2)
    assert np.isfinite(luma).all() and np.isfinite(chroma).all()
