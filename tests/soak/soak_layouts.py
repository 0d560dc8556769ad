"""Render pictures of 8192x4320 in random layouts of memory: `python -m tests.soak.soak_layouts [ROUNDS [WIDTH HEIGHT]]`.

Each round draws depth, components, origin, padding, the sign of the rows and the window, and renders twice: Grain Split in the view
Split, which travels to the server and comes back as it was, and Grain Synth, held against the effect itself. The test host watches every
byte outside of the window; it, the bridge and their copies run under AddressSanitizer.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainlayer.effect import Effect, Request
from grainlayer.params import Effect as EffectName
from grainlayer.params import defaults_for
from tests.host.ofx import SPLIT, SYNTH, Host
from tests.system.serving import place

Floats = NDArray[np.float32]
Box = tuple[int, int, int, int]

LARGE = (8192, 4320)
ALIGNED = {"float": 4, "half": 2, "short": 2, "byte": 1}
WHITE = {"byte": 255, "short": 65535}


@dataclass(frozen=True)
class Layout:
    """Hold one draw: what a host might have in memory, and the window that it asks for (x1, y1, x2, y2), y from below."""

    depth: str
    components: str
    origin: tuple[int, int]
    pads: tuple[int, int]
    negative: tuple[bool, bool]
    window: Box


@dataclass
class Report:
    """Count renders; keep sentences about what must not happen."""

    renders: int = 0
    layouts: list[Layout] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def draw(rng: random.Random, size: tuple[int, int]) -> Layout:
    """Draw a layout; every fourth window is the whole picture."""
    depth = rng.choice(tuple(ALIGNED))
    pads = tuple(rng.randrange(5000) // ALIGNED[depth] * ALIGNED[depth] for _ in range(2))
    x1, y1 = rng.randrange(size[0]), rng.randrange(size[1])
    window = (x1, y1, rng.randint(x1 + 1, size[0]), rng.randint(y1 + 1, size[1]))
    return Layout(
        depth,
        rng.choice(("RGBA", "RGB")),
        (rng.randint(-9000, 9000), rng.randint(-9000, 9000)),
        (pads[0], pads[1]),
        (rng.random() < 0.5, rng.random() < 0.5),
        (0, 0, *size) if rng.random() < 0.25 else window,
    )


def stored(value: Floats, depth: str) -> Floats:
    """Return values as a host of that depth holds them."""
    if depth == "float":
        return value.copy()
    if depth == "half":
        return value.astype(np.float16).astype(np.float32)
    return np.floor(np.clip(value, 0, 1) * np.float64(WHITE[depth]) + 0.5).astype(np.float32) / np.float32(WHITE[depth])


def picture(size: tuple[int, int]) -> Floats:
    """Return a picture (H, W, 4) in which no two rows and no two columns are the same."""
    x, y = np.meshgrid(np.linspace(0, 1, size[0], dtype=np.float32), np.linspace(0, 1, size[1], dtype=np.float32))
    return np.stack([0.1 + 0.8 * x, 0.9 - 0.8 * y, 0.5 + 0.4 * np.sin(40 * x + 31 * y), 0.2 + 0.6 * y], axis=-1).astype(np.float32)


def expected(source: Floats, plugin: str, layout: Layout) -> Floats:
    """Return the window (h, w, 4), row 0 on top, that must arrive."""
    seen = source.copy()
    if plugin == SYNTH:
        rgb = np.ascontiguousarray(seen[None, ..., :3])
        seen[..., :3] = Effect("cpu").result(Request(rgb, 0, defaults_for(EffectName.GRAIN_SYNTH)))
        seen = stored(seen, layout.depth)
    if layout.components == "RGB":
        seen[..., 3] = 1
    x1, y1, x2, y2 = layout.window
    return seen[len(seen) - y2 : len(seen) - y1, x1:x2]


def render(host: Host, plugin: str, layout: Layout, source: Floats) -> tuple[dict[str, Any], Floats]:
    """Let the host render the layout's window."""
    size = (source.shape[1], source.shape[0])
    host.create("a", plugin, size, depth=layout.depth, components=layout.components)
    host.send("source", "a", "Source", host.folder / "source.raw", "frames=1")
    if plugin == SPLIT:
        host.send("set", "a", "view", "Split")
    x, y = layout.origin
    host.send("layout", "a", "*", f"origin={x},{y}")
    for clip, pad, negative in zip(("Source", "Output"), layout.pads, layout.negative, strict=True):
        host.send("layout", "a", clip, f"pad={pad}", f"negative={int(negative)}")
    x1, y1, x2, y2 = layout.window
    found = host.render("a", 0, (x2 - x1, y2 - y1), f"window={x + x1},{y + y1},{x + x2},{y + y2}")
    host.send("destroy", "a")
    return found


def soak(rounds: int, size: tuple[int, int] = LARGE, seed: int = 0) -> Report:
    """Draw so many layouts and hold every picture to what it must be."""
    report, rng, whole = Report(), random.Random(seed), picture(size)
    with place() as there, tempfile.TemporaryDirectory() as folder:
        there.start()
        there.rendezvous()
        with Host(Path(folder), there.environment) as host:
            host.load()
            for _ in range(rounds):
                layout = draw(rng, size)
                report.layouts.append(layout)
                source = stored(whole, layout.depth)
                source.tofile(Path(folder) / "source.raw")
                for plugin in (SPLIT, SYNTH):
                    facts, got = render(host, plugin, layout, source)
                    report.renders += 1
                    same = np.array_equal(got, expected(source, plugin, layout))
                    if facts["status"] != 0 or facts["outside"] or not same:
                        report.faults.append(f"{plugin}, {layout}: same picture {same}, {facts}")
    return report


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    done = soak(numbers[0] if numbers else 12, (numbers[1], numbers[2]) if len(numbers) > 2 else LARGE)
    print(json.dumps({"renders": done.renders, "size": numbers[1:3] or LARGE}), *done.layouts, *done.faults, sep="\n")
    sys.exit(bool(done.faults))
