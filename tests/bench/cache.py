"""Keep figures that took long, by the content of what they were made from, so that running again is cheap.

Everything lies under build/bench (GRAINLAYER_BENCH_CACHE overrides) and, once a benchmark has ended, in results/figures.txt, which
is committed; removing either costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PLACE = Path(os.environ.get("GRAINLAYER_BENCH_CACHE", "build/bench"))
PUBLISHED = Path(__file__).with_name("results") / "figures.txt"


def digest_array(array: NDArray[Any]) -> str:
    """Return the SHA-256 of an array's shape, type and values."""
    head = f"{array.shape}{array.dtype}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()


def digest_movie(path: Path) -> str:
    """Return the SHA-256 of a movie's packets: containers carry random numbers."""
    import av

    found = hashlib.sha256()
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            found.update(bytes(packet))
    return found.hexdigest()


@cache
def _published() -> dict[str, str]:
    """Return the figures that are committed, as JSON, by kind and name."""
    lines = PUBLISHED.read_text("utf-8").splitlines() if PUBLISHED.exists() else []
    return {name: text for name, text in (line.split(" ", 1) for line in lines)}


def publish() -> None:
    """Write all figures kept here to the committed file, beside those it has."""
    kept = {f"{path.parent.parent.name}/{path.stem}": path.read_text("utf-8") for path in (PLACE / "figures").glob("*/*/*.json")}
    lines = [f"{name} {text}" for name, text in sorted((_published() | kept).items())]
    PUBLISHED.write_text("\n".join(lines) + "\n", "utf-8")


def recall(kind: str, key: object, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of `key` (JSON-able), computed on first sight and read from disk afterwards."""
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    path = PLACE / "figures" / kind / name[:2] / f"{name}.json"
    if path.exists():
        return json.loads(path.read_text("utf-8"))
    if f"{kind}/{name}" in _published():
        return json.loads(_published()[f"{kind}/{name}"])
    figures = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(figures), "utf-8")
    partial.replace(path)
    return figures
