"""What all tests share: hypothesis profiles and the folder of real material."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("default-run", deadline=None, derandomize=True)
settings.register_profile("soak", deadline=None, max_examples=10_000)
settings.load_profile("soak" if os.environ.get("GRAINLAYER_SOAK") else "default-run")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in jobs of the background; what tests start would ignore it too
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Return the folder of pictures, film scans and clips: GRAINLAYER_DATA or ../shared/data; skip where there is none."""
    root = Path(os.environ.get("GRAINLAYER_DATA", ROOT.parent / "shared" / "data"))
    if not root.is_dir():
        pytest.skip("real material is absent: set GRAINLAYER_DATA to a folder that holds it")
    return root
