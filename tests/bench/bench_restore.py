"""What restoration gains on clips degraded as consumer cameras do, against input and peers; `python -m tests.bench.restore` for more."""

from __future__ import annotations

import sys

from tests.bench.report import Report
from tests.bench.restore.bench import run as evaluate


def run(quick: bool = False) -> Report:
    """Evaluate the nets of the manifest; quick: three clips and the sky, two QPs and rounding."""
    return evaluate(quick, say=lambda line: print(line, file=sys.stderr, flush=True))
