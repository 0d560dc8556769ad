"""Pictures with grain in a real host that has loaded the bridge, and what the effect itself makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainlayer.effect import Effect, Request
from grainlayer.params import Quality, ShotParams
from tests.host.ofx import RESTORE, Host

Floats = NDArray[np.float32]

SIZE = (53, 37)


def grainy(count: int = 1, size: tuple[int, int] = SIZE, seed: int = 0) -> Floats:
    """Return pictures (N, H, W, 4) with grain and some alpha."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    x, y = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    clean = np.stack([0.2 + 0.6 * x, 0.8 - 0.5 * y, 0.5 + 0.2 * np.sin(3 * x + 2 * y), np.round(0.4 + 0.6 * x, 2)], axis=-1)
    noise = rng.normal(0, 0.03, (count, *clean.shape)) * (1, 1, 1, 0)
    return (clean + noise).astype(np.float32)


def rendered(pictures: Floats, frame: int = 0, profile: Any = None, **values: Any) -> Floats:
    """Return what the effect itself makes of a frame: RGB as float32, alpha as it was."""
    params = ShotParams(**({"level_mode": "manual", "level": 0.03} | values))
    rgb = np.ascontiguousarray(pictures[..., :3])
    window = rgb[frame : frame + 1]
    if params.quality is Quality.TEMPORAL:
        last = len(pictures) - 1
        places = [frame + step for step in range(-2, 3)]
        window = np.ascontiguousarray(rgb[[-p if p < 0 else 2 * last - p if p > last else p for p in places]])
    result = Effect("cpu").result(Request(window, frame, params, profile))
    return np.concatenate([result, pictures[frame, ..., 3:]], axis=2)


def prepare(host: Host, plugin: str, pictures: Floats, name: str = "a", options: dict[str, object] | None = None, **values: object) -> None:
    """Create an instance on pictures and set its values; the level is told, so that it is quick."""
    size = (pictures.shape[2], pictures.shape[1])
    host.create(name, plugin, size, pictures, frames=f"0-{len(pictures) - 1}", **(options or {}))
    told = {"level_mode": "manual", "level": 0.03} if plugin != RESTORE else {}
    for key, value in (told | values).items():
        host.send("set", name, key, value)


def code(value: Floats, depth: str) -> Floats:
    """Return values as a host of that depth holds them."""
    if depth == "float":
        return value.astype(np.float32)
    if depth == "half":
        return value.astype(np.float16).astype(np.float32)
    white = {"byte": 255, "short": 65535}[depth]
    return np.floor(np.clip(value, 0, 1).astype(np.float64) * white + 0.5).astype(np.float32) / np.float32(white)
