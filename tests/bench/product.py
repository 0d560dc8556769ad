"""Run the product as a user does: by its command line, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


class ProductError(RuntimeError):
    """The command failed; the text holds what it said."""


def grainlayer(*words: str | Path | float) -> dict[str, Any]:
    """Run one command of GrainLayer, replacing outputs, and return its JSON report. Raise ProductError with its sentence."""
    command = [sys.executable, "-m", "grainlayer.cli", *map(str, words), "--overwrite", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProductError(f"`grainlayer {' '.join(map(str, words))}` left with {done.returncode}: {done.stderr[-600:].strip()}")
    return json.loads(done.stdout.splitlines()[-1])
