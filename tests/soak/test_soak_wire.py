from __future__ import annotations

import os

import pytest

from tests.soak.soak_wire import soak


@pytest.mark.soak
def test_no_peer_can_hurt_the_server() -> None:
    """20,000 turns under `make soak`, 200 otherwise."""
    count = 20_000 if os.environ.get("GRAINLAYER_SOAK") else 200
    assert soak(count).faults == []
