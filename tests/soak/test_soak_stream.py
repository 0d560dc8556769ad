from __future__ import annotations

import os

import pytest

from tests.soak.soak_stream import soak


@pytest.mark.soak
def test_damage_costs_what_it_touches_and_nothing_more() -> None:
    """20,000 turns under `make soak`, 200 otherwise."""
    count = 20_000 if os.environ.get("GRAINLAYER_SOAK") else 200
    assert soak(count).faults == []
