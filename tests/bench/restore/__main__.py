"""Evaluate restoration: `python -m tests.bench.restore [--quick] [--model PATH ...] [--clips WORD ...]`.

The nets are those of the manifest's task "restore". With --model or --clips the report is written into build/bench/results, as that
of --quick is; else into tests/bench/results. Figures are kept one by one, so that a run that was cut off goes on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.bench.cache import publish
from tests.bench.report import write
from tests.bench.restore.bench import run


def main(words: list[str]) -> int:
    """Write and print the report."""
    parser = argparse.ArgumentParser(prog="tests.bench.restore", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three clips and the sky, two QPs and rounding")
    parser.add_argument("--model", action="append", default=[], type=Path, metavar="PATH", help="an ONNX file to evaluate as well")
    parser.add_argument("--clips", nargs="+", default=[], metavar="WORD", help="only clips whose names hold one of these words")
    asked = parser.parse_args(words)
    aside = bool(asked.quick or asked.model or asked.clips)
    report = run(asked.quick, asked.model, asked.clips, lambda line: print(line, file=sys.stderr, flush=True))
    path = write(report, quick=aside)
    if not aside:
        publish()
    print(report.markdown())
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
