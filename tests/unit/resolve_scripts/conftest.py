"""Let the tests of the scripts for Resolve see their library."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "resolve_scripts" / "lib"))


@pytest.fixture
def stage() -> Iterator[Callable[..., Any]]:
    """Return a function that makes a stage; all are cleared away at the end."""
    from tests.fakes.stage import Stage

    made: list[Any] = []

    def make(**shape: Any) -> Any:
        made.append(Stage(**shape))
        return made[-1]

    yield make
    for each in made:
        each.close()
