"""Tell what restoration gains for models.results: nothing is measured here, all is read from the report of tests.bench.restore.

A net's figures count only while its weights are those that the report was made with.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from grainlayer.inference.registry import ModelCard
from grainlayer.inference.restore import QUALITIES
from models.results_keep import MISSING, Keep, cards
from models.results_page import Part, Plot
from models.results_training import RUNS
from tests.bench.report import RESULTS, Table
from tests.bench.restore.degrade import QPS, X264
from tests.bench.restore.measures import CLASSES
from tests.bench.restore.methods import BILINEAR, PEERS, PRODUCT, TASK
from tests.bench.restore.tables import FACTS, NONE

COMMAND = "python -m tests.bench.restore"
TITLE = "Restoration"
LESS = 0.005
"""dB by which a peer must be ahead to be named: what is left of it when it is rounded."""
FAR_OFF = 4.0
"""Mean error of an estimated quantiser, QP, from which on it is named."""
RECORDINGS = MappingProxyType({**{f"qp{qp}": f"QP {qp}" for qp in QPS}, "rounding": "rounding alone"})
"""Recordings of held-out septuplets by their column in a run's check.csv, in words."""
WORST, AHEAD = "luma on the worst clip", "over the best peer"
"""What is found in the sentences of targets that a card says in words of its own."""
WORDS = (
    f"Read from [the report](../tests/bench/results/restore.md) that `{COMMAND}` writes. Clips that no net has learnt anything from are "
    "brought to 8 bits and 4:2:0, then coded by x264 or x265 at constant QP, or only rounded; 'noise-free': the truth has no noise. The "
    "report says more of how it is done, and has flicker, bands, the targets and each clip.",
    f"Nets have the number of pictures that they see in brackets; `{PRODUCT}` is the default net with what the command does after it. "
    "Peers get the best of their settings in hindsight on every clip, and chroma by Lanczos.",
)

Facts = dict[str, Any]
"""What `tests.bench.restore.tables.facts` returns, and the sentences of targets that were missed, as `missed`."""
Found = Mapping[str, Facts]
"""A condition's figures by method."""


def read_facts(folder: Path = RESULTS) -> Facts | None:
    """Return what a folder's report says of the nets as they are, and of all else; None where there is no report, or an older one."""
    path = folder / "restore.json"
    if not path.exists():
        return None
    told: Facts = json.loads(path.read_text("utf-8"))
    facts: Facts | None = told["figures"].get(FACTS)
    if facts is None:
        return None
    return _without(stale(facts), facts | {"missed": told["losses"]})


def stale(facts: Facts) -> set[str]:
    """Return the names of methods whose net is another one by now, or is gone."""
    held = cards(TASK)
    known = {name_of(card): card.sha256 for card in held}
    default = next((card.sha256 for card in held if card.id == QUALITIES["default"]), None)
    return {name for name, digest in facts["weights"].items() if digest != (default if name == PRODUCT else known.get(name))}


def _without(gone: set[str], facts: Facts) -> Facts:
    """Return facts without some methods, and without the sentences of targets that name them."""
    kept = {
        condition: {"clips": held["clips"], "methods": {name: row for name, row in held["methods"].items() if name not in gone}}
        for condition, held in facts["conditions"].items()
    }
    return facts | {"conditions": kept, "missed": [line for line in facts["missed"] if not any(name in line for name in gone)]}


def name_of(card: ModelCard) -> str:
    """Return a model's name in the report: its id, and how many pictures it sees."""
    return f"{card.id} ({card.frames})"


def methods_of(facts: Facts) -> dict[str, Found]:
    """Return the figures by condition and method."""
    return {condition: held["methods"] for condition, held in facts["conditions"].items()}


def names_of(facts: Facts) -> list[str]:
    """Return all methods, those without a codec alone too, in the report's order: the input, the peers, the nets, the product."""
    return sorted({name: None for found in methods_of(facts).values() for name in found}, key=_place)


def _place(name: str) -> tuple[int, str]:
    order = (BILINEAR, *PEERS)
    return (order.index(name), "") if name in order else (len(order) + (name == PRODUCT), name)


def luma_gain(found: Found, name: str) -> float | None:
    """Return how far a method's luma is ahead of the input's in the mean of the clips, dB; None where it has no figures."""
    return found[name]["psnr"][0] - found[BILINEAR]["psnr"][0] if name in found else None


def area_gain(found: Found, name: str, area: str, than: str = BILINEAR) -> float | None:
    """Return how far a method is ahead of another in a class of area, dB; None where either has no figure."""
    own, other = (found[method]["areas"][area] if method in found else None for method in (name, than))
    return None if own is None or other is None else own - other


def best_peer(found: Found, area: str = "") -> str | None:
    """Return the peer that is best in luma as a whole, or in a class of area; None where none has a figure."""
    known = {peer: area_gain(found, peer, area) if area else luma_gain(found, peer) for peer in PEERS}
    there = {peer: value for peer, value in known.items() if value is not None}
    return max(there, key=lambda peer: there[peer], default=None)


def _cell(value: float | None) -> str:
    return NONE if value is None else f"{value:+.2f}"


def luma_table(facts: Facts) -> Table:
    """Return by method and condition what luma gains over the input, in the mean and on the worst clip; for the input its PSNR."""

    def cell(found: Found, name: str) -> str:
        if name == BILINEAR or name not in found:
            return f"{found[name]['psnr'][0]:.2f}" if name in found else NONE
        return f"{_cell(luma_gain(found, name))} ({found[name]['worst'][0]:+.2f})"

    return _table("Luma: PSNR of the input; what others gain over it, mean of the clips (worst clip), dB", facts, cell)


def area_table(facts: Facts) -> Table:
    """Return by method and condition what luma gains over the input where it is flat, has a gradient, or has texture."""

    def cell(found: Found, name: str) -> str:
        return " / ".join(_cell(area_gain(found, name, area)) for area in CLASSES) if name in found else NONE

    return _table(f"Luma over the input by class of area: {' / '.join(CLASSES)}, dB", facts, cell, skip=BILINEAR)


def chroma_table(facts: Facts) -> Table:
    """Return by method and condition what chroma gains over linear interpolation: Cb, Cr, and both where chroma has edges."""

    def cell(found: Found, name: str) -> str:
        if name not in found:
            return NONE
        planes = (own - given for own, given in zip(found[name]["psnr"][1:], found[BILINEAR]["psnr"][1:], strict=True))
        return " / ".join(_cell(value) for value in (*planes, area_gain(found, name, "edges")))

    return _table("Chroma over the input's, interpolated linearly: Cb / Cr / both on chroma edges, dB", facts, cell, skip=BILINEAR)


def _table(title: str, facts: Facts, cell: Callable[[Found, str], str], skip: str = "") -> Table:
    """Return a table of methods by conditions."""
    by_condition = methods_of(facts)
    rows = [[name, *(cell(found, name) for found in by_condition.values())] for name in names_of(facts) if name != skip]
    return Table(title, ["", *by_condition], rows)


def gain_plot(facts: Facts | None) -> Plot:
    """Return what luma gains over the input by the QP of x264: each net, the product, and at each QP the best peer."""
    found = methods_of(facts) if facts else {}
    coded = {condition.qp: found[condition.name] for condition in X264 if condition.name in found}

    def draw(figure: Any) -> None:
        panel = figure.subplots()
        for name in (name for name in names_of(facts) if name not in (BILINEAR, *PEERS)) if facts else ():
            style = "s--" if name == PRODUCT else "o-"
            panel.plot(list(coded), [luma_gain(rows, name) for rows in coded.values()], style, markersize=4, label=name)
        peers = {qp: peer for qp, rows in coded.items() if (peer := best_peer(rows))}
        if peers:
            panel.plot(list(peers), [luma_gain(coded[qp], peer) for qp, peer in peers.items()], "k:", label="best peer")
        panel.set(xlabel="QP of x264", ylabel="luma, dB over the input", xticks=list(coded))
        panel.grid(alpha=0.3)
        if panel.lines:
            panel.legend(fontsize=7)

    return Plot("restore.png", "Luma over the input by QP of x264: nets and the best peer", draw, (6.0, 3.6))


def limits(card: ModelCard, facts: Facts | None) -> Iterator[str]:
    """Yield what a net that restores is bad at: targets missed, clips below the input, classes of area where a peer is ahead."""
    name = name_of(card)
    known = methods_of(facts) if facts else {}
    if facts is None or not any(name in found for found in known.values()):
        yield f"Not measured with these weights: `{COMMAND}` does it."
        return
    for condition, found in known.items():
        yield from _missed(name, condition, facts["missed"])
        yield from _below(name, condition, found, len(facts["conditions"][condition]["clips"]))
        yield from _behind(name, condition, found)


def _missed(name: str, condition: str, missed: list[str]) -> Iterator[str]:
    """Yield the targets missed that are not told of elsewhere."""
    for line in missed:
        if line.startswith(f"{name}, {condition}: ") and WORST not in line and AHEAD not in line:
            yield f"{line.removeprefix(f'{name}, ')}."
        if line.startswith(f"{condition}: luma of {name} "):
            yield f"{line}."


def _below(name: str, condition: str, found: Found, count: int) -> Iterator[str]:
    if name in found and found[name]["below"]:
        least, clip = found[name]["worst"]
        yield f"{condition}: luma below the input's on {found[name]['below']} of {count} clips, {least:+.2f} dB at worst ({clip})."


def _behind(name: str, condition: str, found: Found) -> Iterator[str]:
    for area, where in {"": "", **{area: f" where it is {area}" for area in CLASSES}, "edges": " where it has edges"}.items():
        peer = best_peer(found, area)
        if peer is None or name not in found:
            continue
        own, other = (area_gain(found, method, area) if area else luma_gain(found, method) for method in (name, peer))
        if own is not None and other is not None and other > own + LESS:
            plane = "chroma" if area == "edges" else "luma"
            yield f"{condition}: {plane}{where} {other - own:.2f} dB behind '{peer}'."


def figures(card: ModelCard, facts: Facts | None) -> list[Table]:
    """Return a net's figures by condition, beside the best peer's; none where they are not there."""
    name = name_of(card)
    rows = [_row(name, condition, found) for condition, found in (methods_of(facts) if facts else {}).items() if name in found]
    head = ["", "input", "luma", "worst clip", "best peer", *CLASSES, "Cb", "Cr", "chroma edges", "flicker"]
    return [Table("PSNR of the input's luma, and what is gained over the input, means of clips, dB", head, rows)] if rows else []


def _row(name: str, condition: str, found: Found) -> list[str]:
    own, given = found[name], found[BILINEAR]
    peer = best_peer(found)
    colour = [_cell(own["psnr"][plane] - given["psnr"][plane]) for plane in (1, 2)]
    areas = [_cell(area_gain(found, name, area)) for area in (*CLASSES, "edges")]
    steady = f"{own['flicker'][0]:.3f}" if own["flicker"] else NONE
    luma = [f"{given['psnr'][0]:.2f}", _cell(luma_gain(found, name)), f"{own['worst'][0]:+.2f}", _cell(luma_gain(found, peer or ""))]
    return [condition, *luma, *areas[:-1], *colour, areas[-1], steady]


def read_errors(card: ModelCard, folder: Path = RUNS) -> dict[str, float]:
    """Return by how many QP an estimator is wrong on held-out recordings, in the mean, from the last row of ID-check.csv; {} without."""
    path = folder / f"{card.id}-check.csv"
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if None not in row.values()]
    return {words: float(rows[-1][key]) for key, words in RECORDINGS.items() if rows[-1].get(key)} if rows else {}


def error_tables(card: ModelCard, folder: Path = RUNS) -> list[Table]:
    """Return an estimator's errors by recording; none where they are not there."""
    errors = read_errors(card, folder)
    title = f"{card.id}: mean error of the QP on held-out septuplets by recording, at the end of its training"
    return [Table(title, list(errors), [[f"{value:.1f}" for value in errors.values()]])] if errors else []


def error_limits(card: ModelCard, folder: Path = RUNS) -> Iterator[str]:
    """Yield for which recordings an estimated quantiser is far off."""
    for words, error in read_errors(card, folder).items():
        if error >= FAR_OFF:
            yield f"{words}: the estimate is {error:.1f} QP off in the mean of held-out septuplets."


def part(keep: Keep, every: int = 1, folder: Path = RESULTS) -> Part:
    """Return the section, from the report in `folder`; nothing in it is measured."""
    del keep, every
    facts = read_facts(folder)
    estimates = [table for card in cards("quantiser") for table in error_tables(card)]
    if facts is None:
        return Part(TITLE, [f"{MISSING}: `{COMMAND}` makes the report that this section is read from."], estimates)
    tables = [luma_table(facts), area_table(facts), chroma_table(facts), *estimates]
    return Part(TITLE, [*WORDS, *_asides(facts)], tables, [gain_plot(facts)], {"restore": facts})


def _asides(facts: Facts) -> Iterator[str]:
    """Yield how many clips there are and targets are missed, and which nets the report does not know."""
    clips = max((len(held["clips"]) for held in facts["conditions"].values()), default=0)
    yield f"{clips} clips; {len(facts['missed'])} targets are missed: the report names them."
    known = {name for found in methods_of(facts).values() for name in found}
    lacking = [name_of(card) for card in cards(TASK) if name_of(card) not in known]
    if lacking:
        yield f"{', '.join(lacking)}: {MISSING} with the weights of the manifest; `{COMMAND}` does it."
