"""Let a false server send the bridge what no server would: `python -m tests.soak.soak_bridge [COUNT] [SEED]`.

tests/host/fuzz_bridge.cpp does it, built with the bridge's own sources under sanitizers, and says what it holds the bridge to.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from tests.host.ofx import ROOT, SANITIZERS, build

LONGEST = 3600
"""Seconds after which the program counts as hung; a call of the bridge that hangs ends it much sooner."""


def soak(count: int, seed: int = 0) -> dict[str, Any]:
    """Return what was counted once so many damaged or misplaced messages have been sent. Raise AssertionError with what was wrong."""
    program = build(ROOT / "tests" / "host", "host-fuzz", "-DFUZZ_BRIDGE=ON") / "fuzz_bridge"
    with tempfile.TemporaryDirectory(prefix="gl-") as folder:
        words = [program, folder, str(count), str(seed)]
        done = subprocess.run(words, env=os.environ | SANITIZERS, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-6000:]}"
    return json.loads(done.stdout)


if __name__ == "__main__":
    print(soak(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, int(sys.argv[2]) if len(sys.argv) > 2 else 0))
