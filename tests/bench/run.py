"""Run benchmarks and write their results: `python -m tests.bench.run [NAME ...] [--quick]`.

Without names all run. Results go to tests/bench/results (Markdown and JSON), those of --quick to build/bench/results.
Exit 0 when all ran, whatever they found; 1 when one could not run.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import traceback

from tests.bench.cache import publish
from tests.bench.report import Report, write

NAMES = ("split", "synth", "stream", "recombination", "bridge", "roundtrip", "conform", "farm", "removal", "fidelity", "rate", "restore")


def measure(name: str, *, quick: bool) -> Report:
    """Run one benchmark: a module's `run(quick)`, or its `table()`, plain text."""
    module = importlib.import_module(f"tests.bench.bench_{name}")
    if hasattr(module, "run"):
        return module.run(quick)
    text = str(module.table())
    return Report(name, text.splitlines()[0], text=text)


def run_one(name: str, *, quick: bool) -> bool:
    """Run one benchmark and print its report; return whether it ran."""
    began = time.monotonic()
    print(f"== {name} ==", flush=True)
    try:
        report = measure(name, quick=quick)
    except Exception:
        traceback.print_exc()
        return False
    path = write(report, quick=quick)
    publish()
    print(report.markdown())
    print(f"{name}: {len(report.gains)} targets met, {len(report.losses)} missed; {time.monotonic() - began:.0f} s; {path}\n", flush=True)
    return True


def main(words: list[str]) -> int:
    """Run the benchmarks named, or all."""
    parser = argparse.ArgumentParser(prog="tests.bench.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one or more of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="a small part of each, to see that it runs")
    asked = parser.parse_args(words)
    unknown = [name for name in asked.names if name not in NAMES]
    if unknown:
        parser.error(f"there is no benchmark called {unknown[0]}; choose from {', '.join(NAMES)}")
    ran = [run_one(name, quick=asked.quick) for name in asked.names or NAMES]
    return 0 if all(ran) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
