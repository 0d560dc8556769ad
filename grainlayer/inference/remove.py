"""Take the grain out of pictures: the Grain Isolation Module and the estimator that makes it blind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainlayer.errors import ParamError
from grainlayer.inference.registry import find_model
from grainlayer.inference.runtime import Model, load
from grainlayer.picture.tiling import tiles
from grainlayer.types import Image, check_image

Floats = NDArray[np.float32]

CELL = 8
"""Pixels across a cell of the strength map."""
TILE = 1024
"""Pictures of more than WHOLE pixels are run in tiles of this size, halo beside it, so that memory stays bounded."""
WHOLE = 2_300_000
KNOTS = 17
"""Strength by code value is estimated at 0, 1/16 ... 1."""
SPOTS = 8
"""Squares of 256 pixels on which a large picture's level is estimated."""
SPOT = 256
QUALITIES = {
    "default": "removal-default",
    "real-time": "removal-real-time",
    "quality": "removal-quality",
    "temporal": "removal-default",
}
"""Model by the `quality` parameter; `temporal` sees neighbouring pictures too, by inference/temporal.py."""
GREY = {"removal-default": "removal-default-grey"}
"""Model for pictures without colour, by the one for others."""

ROUNDED = {"removal-real-time": "removal-real-time-int8"}
"""Model in 8-bit integers that stands in on processors, which run it faster, by the one for accelerators."""


@dataclass(frozen=True, eq=False)
class LevelEstimate:
    """Hold the strength of grain by code value, `curve` (3, 17) standard deviation in code value per channel."""

    curve: Floats

    @property
    def level(self) -> float:
        """Return the peak standard deviation, code value, of the channels' mean."""
        return float(np.sqrt((self.curve**2).mean(0)).max())

    def map(self, image: Image) -> Floats:
        """Return the strength of each cell of 8x8 pixels, (ceil(H/8), ceil(W/8)): root mean square over the channels."""
        return self.lookup(cell_means(image))

    def lookup(self, means: Floats) -> Floats:
        """Return the strength (rows, columns) at mean code values (rows, columns, 3)."""
        knots = np.linspace(0, 1, KNOTS)
        squares = [np.interp(means[:, :, c], knots, self.curve[c]) ** 2 for c in range(3)]
        return np.sqrt(sum(squares) / 3).astype(np.float32)


Strength = float | Floats | LevelEstimate
"""One level for all, a map of pixels (H, W), or an estimate; standard deviation in code value."""


def cell_means(image: Image) -> Floats:
    """Return the mean of each cell of 8x8 pixels, (ceil(H/8), ceil(W/8), 3); cells at the border average what they have."""
    rows, columns = -(-image.shape[0] // CELL), -(-image.shape[1] // CELL)
    padded = pad(image, rows * CELL, columns * CELL)
    return padded.reshape(rows, CELL, columns, CELL, -1).mean(axis=(1, 3), dtype=np.float32)


def pad(image: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Extend pictures (..., H, W, C) at the bottom and right by their last row and column; the same array if they fit."""
    down, right = height - image.shape[-3], width - image.shape[-2]
    if down == 0 and right == 0:
        return image
    return np.pad(image, ((0, 0),) * (image.ndim - 3) + ((0, down), (0, right), (0, 0)), mode="edge")


def model_of(quality: str) -> str:
    """Return the id of the model that a quality runs. Raise ParamError."""
    if quality not in QUALITIES:
        raise ParamError(f"There is no removal model of quality {quality!r}; choose one of {', '.join(QUALITIES)}.")
    return QUALITIES[quality]


def is_grey(image: Image) -> bool:
    """Return whether a picture's three channels are equal; one that is not shows it in a few rows."""
    rows = image[:: max(1, image.shape[0] // 8)]
    return all(bool((part[:, :, 0] == part[:, :, 1]).all() and (part[:, :, 0] == part[:, :, 2]).all()) for part in (rows, image))


class Remover:
    """Predict grain by a network, on any size of picture."""

    def __init__(self, quality: str = "default", device: str = "auto", model_id: str | None = None) -> None:
        """Load the model of a `quality`, or of an explicit `model_id`. Raise ModelError, ParamError."""
        name = model_id or model_of(quality)
        self.model: Model = load(find_model(name, "removal"), device)
        if model_id is None and name in ROUNDED and self.model.device == "cpu":
            self.model = load(find_model(ROUNDED[name], "removal"), device)
        self.grey: Model | None = load(find_model(GREY[name], "removal-grey"), device) if name in GREY else None

    def grain(self, image: Image, strength: Strength) -> Image:
        """Return the grain of `image`, (H, W, 3): image - grain is the base. Raise ParamError on a wrong shape."""
        check_image("The picture", image)
        return self.grain_by_cells(image, strength_cells(image, strength))

    def grain_by_cells(self, image: Image, cells: Floats) -> Image:
        """Return the grain of `image` (H, W, 3), told the strength of each cell of 8x8 pixels; of a grey one by the grey model."""
        if self.grey is None or not is_grey(image):
            return run_by_cells(self.model, image, cells)
        grain = run_by_cells(self.grey, np.ascontiguousarray(image[:, :, :1]), cells)
        return np.repeat(grain, 3, axis=2)


def run_by_cells(model: Model, picture: NDArray[np.float32], cells: Floats) -> Image:
    """Return the grain (H, W, C) of a picture (H, W, C), or of the middle of a window (T, H, W, C), told the strength of each cell.

    With the halo of the model's card, pictures that are run tile by tile give what they give whole.
    """
    height, width = picture.shape[-3:-1]
    padded = pad(picture, cells.shape[0] * CELL, cells.shape[1] * CELL)
    rows, columns = padded.shape[-3:-1]
    if rows * columns <= WHOLE:
        return np.ascontiguousarray(model.run(padded, cells)[0][:height, :width])
    out = np.empty((rows, columns, padded.shape[-1]), np.float32)
    for tile in tiles(rows, columns, TILE, model.card.halo, model.card.multiple_of):
        y0, y1, x0, x1 = tile.source
        part = np.ascontiguousarray(padded[..., y0:y1, x0:x1, :])
        strength = np.ascontiguousarray(cells[y0 // CELL : y1 // CELL, x0 // CELL : x1 // CELL])
        out[(*tile.place, slice(None))] = model.run(part, strength)[0][(*tile.inside, slice(None))]
    return np.ascontiguousarray(out[:height, :width])


def strength_cells(image: Image, strength: Strength) -> Floats:
    """Return the strength of each cell of 8x8 pixels, (ceil(H/8), ceil(W/8)). Raise ParamError if it does not fit."""
    rows, columns = -(-image.shape[0] // CELL), -(-image.shape[1] // CELL)
    if isinstance(strength, LevelEstimate):
        return strength.map(image)
    if isinstance(strength, np.ndarray):
        if strength.shape != image.shape[:2]:
            raise ParamError(f"A strength map must have the picture's size {image.shape[:2]}; got {strength.shape}.")
        return cell_means(np.ascontiguousarray(strength[:, :, None], dtype=np.float32))[:, :, 0]
    if not 0 <= strength <= 1:
        raise ParamError(f"level must lie in 0..1 of code value; got {strength}.")
    return np.full((rows, columns), strength, np.float32)


def estimate_level(images: Image | Sequence[Image], device: str = "auto") -> LevelEstimate:
    """Estimate the strength of grain by code value over one picture, or over several of one shot."""
    model = load(find_model("level-default", "level"), device)
    pictures = [images] if isinstance(images, np.ndarray) else list(images)
    spots = [spot for picture in pictures for spot in _spots(picture)]
    results = [model.run(spot) for spot in spots]
    deviation = np.concatenate([r[0].reshape(-1, 3) for r in results])
    means = np.concatenate([r[1].reshape(-1, 3) for r in results])
    return LevelEstimate(np.stack([_curve(means[:, c], deviation[:, c]) for c in range(3)]))


def _spots(picture: Image) -> list[Image]:
    """Return the whole of a small picture, or evenly spread squares of a large one; sides are multiples of 8."""
    check_image("The picture", picture)
    height, width = picture.shape[:2]
    if height * width <= SPOTS * SPOT * SPOT:
        return [pad(picture, -(-height // CELL) * CELL, -(-width // CELL) * CELL)]
    columns = max(1, min(SPOTS, round((SPOTS * width / height) ** 0.5)))
    rows = max(1, SPOTS // columns)
    tall, wide = min(SPOT, height // CELL * CELL), min(SPOT, width // CELL * CELL)
    tops = [round((height - tall) * (r + 0.5) / rows) for r in range(rows)]
    lefts = [round((width - wide) * (c + 0.5) / columns) for c in range(columns)]
    return [np.ascontiguousarray(picture[y : y + tall, x : x + wide]) for y in tops for x in lefts]


def _curve(values: Floats, logs: Floats) -> Floats:
    """Return strength at 17 knots: medians of the cells near each, drawn to the median of all where cells are few."""
    step = max(1, len(values) // 6000)
    order = np.argsort(logs[::step])
    values, logs = values[::step][order], logs[::step][order]
    overall = float(np.median(logs))
    curve = np.empty(KNOTS, np.float32)
    for knot in range(KNOTS):
        near = np.exp(-0.5 * ((values - knot / (KNOTS - 1)) / 0.05) ** 2)
        total = float(near.sum())
        middle = float(logs[min(int(np.searchsorted(np.cumsum(near), 0.5 * total)), len(logs) - 1)]) if total > 1e-3 else overall
        trust = total / (total + 12)
        curve[knot] = np.exp(trust * middle + (1 - trust) * overall)
    return curve
