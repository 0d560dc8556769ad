from __future__ import annotations

import os

import pytest

from tests.soak.soak_wire import soak


@pytest.mark.soak
def test_no_peer_can_hurt_the_server() -> None:
    """1,000,000 messages under `make soak`, 10,000 otherwise."""
    count = 1_000_000 if os.environ.get("GRAINLAYER_SOAK") else 10_000
    found = soak(count)
    print(dict(found.counts))
    assert found.faults == []
    assert found.messages >= count
