"""Keep the figures of models.results, so that a run which was cut off goes on, and say which figures there are not.

They lie where the benchmarks keep theirs (tests/bench/cache.py), each under what it was made from: a model's digest, a picture's,
the settings. Removing them costs time and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from grainlayer.errors import ModelError
from grainlayer.inference.registry import ModelCard, model_root, read_manifest
from tests.bench.cache import recall

Figures = dict[str, Any]

DIGITS = 6
"""Significant digits that are kept."""
MISSING = "not measured"


class Absent(LookupError):
    """Say that a figure is not kept, to those who only read, or, with a sentence, that it cannot be measured now."""


@dataclass(frozen=True)
class Keep:
    """Hand out figures: if `fill`, computed on first sight and kept; else those that are kept already."""

    fill: bool = False

    def figures(self, kind: str, key: Sequence[Any], compute: Callable[[], Figures]) -> Figures | None:
        """Return the figures of a key (JSON-able), rounded to 6 digits; None if they are not kept, or cannot be measured."""
        try:
            return recall(f"results-{kind}", list(key), (lambda: rounded(compute())) if self.fill else _absent)
        except (Absent, ModelError) as error:
            _say_once(str(error))
            return None

    def say(self, line: str) -> None:
        """Print a line of progress where something may be computed."""
        if self.fill:
            print(line, flush=True)


def _absent() -> Figures:
    raise Absent


@cache
def _say_once(text: str) -> None:
    if text:
        print(f"  {text}", flush=True)


def rounded(value: Any) -> Any:
    """Return figures with their numbers rounded to 6 significant digits."""
    if isinstance(value, dict):
        return {key: rounded(held) for key, held in value.items()}
    if isinstance(value, list):
        return [rounded(held) for held in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


@cache
def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digest_code(*modules: Any) -> str:
    """Return one SHA-256 for the sources of some modules: what they compute may change with any of them."""
    return hashlib.sha256("".join(digest(Path(module.__file__)) for module in modules).encode()).hexdigest()


def cards(task: str | None = None) -> list[ModelCard]:
    """Return the manifest's models of a task, or all, by id. Raise ModelError where there is no manifest."""
    return sorted((card for card in read_manifest(model_root()).values() if task in (None, card.task)), key=lambda card: card.id)


def mean_cell(values: Sequence[float | None], form: str) -> str:
    """Return the mean of what was measured, with the number where that is not all: '31.20', '31.20 (3 of 23)', 'not measured'."""
    there = [value for value in values if value is not None]
    if not there:
        return MISSING
    text = format(sum(there) / len(there), form)
    return text if len(there) == len(values) else f"{text} ({len(there)} of {len(values)})"
