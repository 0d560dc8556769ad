"""Write the golden digests of noise and grain: `python -m tests.golden.write_grain`. Only when grain is meant to change."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from grainlayer.grain.look import GrainLook
from grainlayer.grain.noise import white
from grainlayer.grain.profile import NODES, RADII, STRENGTH_KNOTS, GrainProfile
from grainlayer.grain.synth import prepare, render
from grainlayer.grain.texture import TextureMap

GOLDEN = Path(__file__).with_name("grain.json")
HEIGHT, WIDTH = 120, 260


def golden_profile() -> GrainProfile:
    """Return a profile that uses every field, made of whole numbers."""
    return GrainProfile(
        120,
        tuple(tuple(260 - (knot - 6) ** 2 + 9 * channel for knot in range(STRENGTH_KNOTS)) for channel in range(3)),
        tuple(tuple(-radius * radius * (3 + node) // 12 for radius in range(len(RADII))) for node in range(len(NODES))),
        tuple(min(radius, 6) for radius in range(len(RADII))),
        (30, 20, 25),
    )


def golden_map() -> TextureMap:
    """Return a map of six whole blocks."""
    return TextureMap(WIDTH, HEIGHT, (False,) * 3, ((3, 2, 0, 0), (-4, 0, 5, -3), (0, 0, -4, 6)))


def golden_base() -> np.ndarray:
    """Return ramps in three directions, from -1/8 to 9/8."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = (x / WIDTH, y / HEIGHT, (x + y) / (WIDTH + HEIGHT))
    return (np.stack(planes, axis=2) * 1.25 - 0.125).astype(np.float32)


def noise_digest() -> str:
    """Return the digest of a window of noise."""
    return _digest(white(0x0123456789ABCDEF, 7, 2, 301, 45, (-77, -20)))


def grain_digests() -> dict[str, str]:
    """Return digests of rendered grain by what was asked for."""
    look = GrainLook(size=1.5, softness=0.3, saturation=0.6, shadows=0.5, highlights=1.5, hold=2)
    cases = {"plain": (GrainLook(), None), "look": (look, None), "texture": (GrainLook(), golden_map())}
    base = golden_base()
    plans = {name: prepare(golden_profile(), chosen, HEIGHT, WIDTH, texture) for name, (chosen, texture) in cases.items()}
    return {name: _digest(render(plan, base, seed=99, frame=5)) for name, plan in plans.items()}


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:32]


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({"noise": noise_digest(), "grain": grain_digests()}, indent=2) + "\n")
