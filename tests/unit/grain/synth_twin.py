"""The slow twin of native/synth.cpp: whole planes in NumPy, float32, in the same order of sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grainlayer.grain.noise import white_slowly
from grainlayer.grain.synth import Arrays, SynthPlan
from grainlayer.types import Image

Plane = NDArray[np.float32]
F = np.float32


def render_slowly(
    plan: SynthPlan, base: Image, seed: int, frame: int, origin: tuple[int, int], amount: float, add: bool, mean: Plane | None = None
) -> Image:
    """Return what `render` returns for all rows of the base; `mean` are the local means where the texture map tilts."""
    arrays = Arrays(plan, mean).held
    index = np.where(base > 0, np.minimum(base, F(1)), F(0)).astype(np.float32) * F(1024) + F(0.5)
    index = index.astype(np.int32)
    channels = []
    for c in range(3):
        fields = _fields(plan, arrays, c, base.shape[:2], seed, frame // plan.look.hold, origin)
        value = arrays["gain"][c, 0][index[..., c]] * fields[0]
        for f in range(1, plan.fields):
            value = value + arrays["gain"][c, f][index[..., c]] * fields[f]
        channels.append(_textured(plan, arrays, c, index[..., c], value, fields, base, origin))
    grain = _saturated(channels, F(plan.look.saturation))
    return base + F(amount) * grain if add else F(amount) * grain


def _fields(plan, arrays, c, shape, seed, frame, origin) -> list[Plane]:
    reach, parts = plan.bank.reach, len(plan.bank.rows)
    height, width = shape
    corner = (origin[0] - reach, origin[1] - reach)
    noise = [white_slowly(seed, frame, k, width + 2 * reach, height + 2 * reach, corner) for k in range(3)]
    m = arrays["mix"][c]
    mixed = (m[0] * noise[0] + m[1] * noise[1]) + m[2] * noise[2]
    across = []
    for r in range(parts):
        total = None
        for k in range(reach + 1):
            pair = mixed[:, reach - k : reach - k + width] + mixed[:, reach + k : reach + k + width]
            total = arrays["rows"][r, k] * pair if total is None else total + arrays["rows"][r, k] * pair
        across.append(total)
    return [_along(across, column, reach, height) for column in arrays["columns"]]


def _along(across: list[Plane], column: Plane, reach: int, height: int) -> Plane:
    total = None
    for r, rows in enumerate(across):
        for k in range(reach + 1):
            pair = rows[reach - k : reach - k + height] + rows[reach + k : reach + k + height]
            total = column[r, k] * pair if total is None else total + column[r, k] * pair
    return total


def _expand(cells: Plane, shape: tuple[int, int], origin: tuple[int, int]) -> Plane:
    rows, columns = cells.shape
    place = 2 * (origin[1] + np.arange(shape[0])) + 1 - 16
    part = ((place & 31).astype(np.float32) / F(32))[:, None]
    above, below = cells[np.clip(place >> 5, 0, rows - 1)], cells[np.clip((place >> 5) + 1, 0, rows - 1)]
    lines = above + part * (below - above)
    place = 2 * (origin[0] + np.arange(shape[1])) + 1 - 16
    part = (place & 31).astype(np.float32) / F(32)
    left, right = lines[:, np.clip(place >> 5, 0, columns - 1)], lines[:, np.clip((place >> 5) + 1, 0, columns - 1)]
    return left + part * (right - left)


def _luma(red: Plane, green: Plane, blue: Plane) -> Plane:
    return (F(0.2126) * red + F(0.7152) * green) + F(0.0722) * blue


def _textured(plan, arrays, c, index, value, fields, base, origin) -> Plane:
    if plan.texture is None:
        return value
    maps = [_expand(cells, value.shape, origin) for cells in arrays["maps"]]
    scale = maps[0]
    if plan.texture.tilted:
        tilt = F(4) * (_luma(*np.moveaxis(base, 2, 0)) - _expand(arrays["mean"], value.shape, origin))
        scale = scale * (F(1) + maps[1] * np.clip(tilt, F(-1), F(1)))
    extras = len(maps) - 3
    if extras > 0:
        own, weights = maps[2], maps[3:]
        norm = own * own
        for e in range(extras):
            for g in range(e, extras):
                norm = norm + (F(1 if e == g else 2) * arrays["extra_gram"][e, g]) * (weights[e] * weights[g])
        total = F(0)
        for e in range(extras):
            total = total + weights[e] * fields[plan.fields + e]
            norm = norm + (F(2) * own) * (weights[e] * arrays["cross"][e][index])
        blend = own * value + arrays["strength"][c][index] * total
        value = blend / np.sqrt(np.maximum(norm, F(1e-3)))
    return value * scale


def _saturated(channels: list[Plane], saturation: F) -> Image:
    if saturation == 1:
        return np.stack(channels, axis=2)
    grey = _luma(*channels)
    return np.stack([grey + saturation * (channel - grey) for channel in channels], axis=2)
