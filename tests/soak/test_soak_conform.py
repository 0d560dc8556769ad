from __future__ import annotations

import os

import pytest

from grainlayer.editorial.matching import Evidence
from tests.soak.soak_conform import recall, soak


@pytest.mark.soak
@pytest.mark.parametrize("part", range(4))
def test_no_clip_gets_another_shots_grain(part: int) -> None:
    """10,000 edits of 200 clips under `make soak`, 100 otherwise."""
    count = 2500 if os.environ.get("GRAINLAYER_SOAK") else 25
    result = soak(count, first=part * count)
    found = recall(result.counts)
    print(found)
    assert result.faults == []
    assert found["with grain and uid: uid"] > 90
    assert sum(found[f"with grain: {evidence}"] for evidence in Evidence if f"with grain: {evidence}" in found) > 50
