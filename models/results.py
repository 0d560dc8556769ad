"""Measure every model of the manifest and write models/RESULTS.md, its plots and a card for each: `python -m models.results`.

Figures are kept as they come (models/results_keep.py), so a run that was cut off goes on where it was. --report measures nothing and
writes the pages from what is kept. It is run in the repository's folder.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from models import (
    results_cards,
    results_cost,
    results_removal,
    results_restore,
    results_synthesis,
    results_temporal,
    results_training,
)
from models.results_keep import Keep
from models.results_page import Part
from tests.bench.report import environment

PLACE = Path(__file__).parent
SECTIONS = MappingProxyType(
    {
        "removal": results_removal.part,
        "temporal": results_temporal.part,
        "synthesis": results_synthesis.part,
        "restoration": results_restore.part,
        "speed": results_cost.part,
        "training": results_training.part,
    }
)
"""Sections by name, in their order."""
READ = ("restoration", "training")
"""Sections for which nothing is measured: they are read from what other commands wrote."""
SAYS = ("grainlayer", "python", "packages", "machine")
"""What the page tells of where it was made."""
HEAD = (
    "# Results of the models",
    "Every model of [the manifest](manifest.toml), measured by `python -m models.results` (restoration by `python -m "
    "tests.bench.restore`); how they were trained is in [docs/training.md](../docs/training.md), and [cards](cards) has a page for each. "
    "Means over few pictures: a tenth of a decibel says little.",
)


def chosen(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[name for name in SECTIONS if name not in READ], help="measure this section alone")
    parser.add_argument("--every", type=int, default=1, help="use every n-th picture of data/val")
    parser.add_argument("--report", action="store_true", help="measure nothing: write the pages from what is kept")
    parser.add_argument("--out", type=Path, default=PLACE, help="folder for RESULTS.md, results/ and cards/")
    args = parser.parse_args(words)
    if args.every < 1:
        parser.error("--every takes a number from 1")
    return args


def measure(only: str | None, every: int, *, report: bool) -> dict[str, Part]:
    """Return all sections: measured where they are asked for, the others from what is kept."""
    parts: dict[str, Part] = {}
    for name, make in SECTIONS.items():
        began = time.monotonic()
        keep = Keep(not report and only in (None, name))
        parts[name] = make(keep, every if name == "removal" else 1)
        keep.say(f"{name}: {time.monotonic() - began:.0f} s")
    return parts


def page(parts: Mapping[str, Part], folder: Path) -> str:
    """Write the plots and return the page in Markdown."""
    known = environment()
    place = "\n".join(["## Where and with what", "", *(f"- {key}: {known[key]}" for key in SAYS)])
    return "\n\n".join([*HEAD, *(part.write(folder) for part in parts.values()), place]) + "\n"


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and write the pages."""
    args = chosen(words)
    parts = measure(args.only, args.every, report=args.report)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "RESULTS.md").write_text(page(parts, args.out), "utf-8")
    written = results_cards.write(args.out, parts)
    print(f"{args.out / 'RESULTS.md'} and {len(written)} cards")


if __name__ == "__main__":
    main()
