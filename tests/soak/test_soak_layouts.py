from __future__ import annotations

import os

import pytest

from tests.soak.soak_layouts import LARGE, soak


@pytest.mark.soak
def test_layouts_of_large_pictures() -> None:
    """24 renders of 8192x4320 under `make soak`, 4 of a sixty-fourth of that otherwise."""
    whole = bool(os.environ.get("GRAINLAYER_SOAK"))
    found = soak(12, LARGE) if whole else soak(2, (LARGE[0] // 8, LARGE[1] // 8))
    assert found.renders == (24 if whole else 4)
    assert found.faults == []
