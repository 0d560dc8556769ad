from __future__ import annotations

import os

import pytest

from tests.soak.soak_bridge import soak


@pytest.mark.soak
def test_no_server_can_hurt_the_bridge() -> None:
    """1,000,000 damaged or misplaced messages under `make soak`, 10,000 otherwise."""
    count = 1_000_000 if os.environ.get("GRAINLAYER_SOAK") else 10_000
    found = soak(count)
    print(found)
    assert found["fuzzed"] >= count
