"""Keep figures that took long, by the content of what they were made from, so that running again is cheap.

Everything lies under build/bench (GRAINLAYER_BENCH_CACHE overrides); removing it costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PLACE = Path(os.environ.get("GRAINLAYER_BENCH_CACHE", "build/bench"))


def digest_array(array: NDArray[Any]) -> str:
    """Return the SHA-256 of an array's shape, type and values."""
    head = f"{array.shape}{array.dtype}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def recall(kind: str, key: object, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of `key` (JSON-able), computed on first sight and read from disk afterwards."""
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    path = PLACE / "figures" / kind / name[:2] / f"{name}.json"
    if path.exists():
        return json.loads(path.read_text("utf-8"))
    figures = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(figures), "utf-8")
    partial.replace(path)
    return figures
