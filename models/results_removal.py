"""Measure removal from stills for models.results: every removal model, the peers, and the seed's tasks where they were trained.

The pictures are the 256x256 middles of data/val, with the benchmarks' white and film-like grain (tests/bench/material.py) and two kinds
more of models/kinds.py. Grainy pictures are floats, neither clipped nor rounded.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np

from grainlayer.inference.registry import find_model
from models.results_keep import MISSING, Figures, Keep, digest, mean_cell
from models.results_measures import leaks, psnr_by_busyness, similarity
from models.results_methods import INPUT, ON_LUMA, RIVALS, TRUTH, Method, Picture, case_key, grey, heading, own_methods, peer_method, still
from models.results_page import Part, Plot
from tests.bench.bench_removal import score
from tests.bench.material import FILM, Case, Still, still_paths
from tests.bench.report import Table

CASES = (
    *(Case("white", sigma / 255) for sigma in (5, 15, 25, 50)),
    *(Case("film", peak) for peak in (0.01, 0.025, 0.05, 0.075, 0.1)),
    Case("scan", 0.03),
    Case("av1", 0.03),
)
SLOW = "CBM3D"
WORDS = (
    "256x256 middles of the pictures of data/val. White noise of 5 to 50 (8-bit steps), film-like grain of the benchmarks by its peak "
    "standard deviation in code value, and at a peak of .03 the grain of a 35mm scan and AV1's of libaom's first test vector "
    "(models/kinds.py). Means of the pictures' figures. Our nets are told the peak; peers the true RMS on each picture, and get the best "
    "of their settings in hindsight, by kind and level. Nets of the seed are told the peak where their task is told one.",
    "Grain left is <base - clean, grain> / <grain, grain>. SSIM and MS-SSIM are means over R, G, B for a range of 1.",
    "The **leak** is the greatest absolute correlation of the removed grain's luma with the clean picture's slopes: with their length, "
    "with the slope down and with the slope across, by differences of the pixels on either side. The second table has the correlation of "
    "the grain's absolute value with the slope's length, which sees the smoothed edges too: these leave both signs. True grain whose "
    "strength follows the picture has some of either on its own, and so has any grain by chance on so few pixels: the figure in brackets "
    "is the removed grain's less the true one's.",
)


def measure(base: Picture, at: Still) -> Figures:
    """Return the figures of one base: psnr and those of its flattest and busiest blocks (dB), ssim, msssim, left, leak, edge."""
    ssim, msssim = similarity(base, at.clean)
    flat, busy = psnr_by_busyness(base, at.clean)
    leak, edge = leaks(at.grainy - base, at.clean)
    return score(at, base) | {"ssim": ssim, "msssim": msssim, "flat": flat, "busy": busy, "leak": leak, "edge": edge}


def figures(keep: Keep, method: Method, case: Case, index: int) -> Figures | None:
    """Return a method's figures on one picture."""
    key = [*case_key(case), *method.key, digest(still_paths()[index])]

    def compute() -> Figures:
        at = grey(still(case, index)) if method.luma else still(case, index)
        return measure(method.base(at, case), at)

    return keep.figures("removal", key, compute)


def level_figures(keep: Keep, case: Case, index: int) -> Figures | None:
    """Return the RMS that the estimator makes of a picture's grain over the true one."""
    from grainlayer.inference.remove import estimate_level

    def compute() -> Figures:
        at = still(case, index)
        guess = estimate_level(at.grainy, "cpu").map(at.grainy)
        return {"ratio": float(np.sqrt(np.mean(guess.astype(np.float64) ** 2))) / at.strength}

    model = find_model("level-default", "level").sha256
    return keep.figures("level", [*case_key(case), model, digest(still_paths()[index])], compute)


def level_table(keep: Keep, indices: Sequence[int]) -> Table:
    """Return what the estimator makes of the grain, over the truth: mean, least and most of the pictures."""
    held = [[level_figures(keep, case, index) for index in indices] for case in CASES]
    ratios = [[None if found is None else float(found["ratio"]) for found in row] for row in held]
    ends = [[value for value in row if value is not None] for row in ratios]
    rows = [["mean", *(mean_cell(row, ".2f") for row in ratios)]]
    rows += [[name, *(f"{end(row):.2f}" if row else MISSING for row in ends)] for name, end in (("least", min), ("most", max))]
    return Table("level-default: estimated RMS over the true one", ["", *(heading(case) for case in CASES)], rows)


Rows = dict[str, dict[Case, list[Figures | None]]]
"""Figures by method, case and picture."""


def gather(keep: Keep, every: int) -> tuple[Rows, list[list[str]]]:
    """Return all figures, and the settings of the peers by case; what is slow comes last, after everything else of all cases."""
    indices = range(0, len(still_paths()), every)
    rows: Rows = {}
    settings = [[heading(case), *([MISSING] * len(RIVALS))] for case in CASES]
    own = own_methods()
    for slow in (False, True):
        able = keep if not slow or importlib.util.find_spec("bm3d") else Keep()
        for place, case in enumerate(CASES):
            able.say(f"removal: {heading(case)}{', ' + SLOW if slow else ''}")
            methods = [] if slow else list(own)
            for column, peer in enumerate(RIVALS, 1):
                found = peer_method(able, peer, case, indices) if (peer.name == SLOW) == slow else None
                if found:
                    methods.append(found)
                    settings[place][column] = found.note
            for method in methods:
                rows.setdefault(method.name, {})[case] = [figures(able, method, case, index) for index in indices]
    return {name: rows.get(name, {}) for name in dict.fromkeys([*rows, *(peer.name for peer in RIVALS)])}, settings


def values(rows: Rows, name: str, case: Case, key: str) -> list[float | None]:
    """Return one figure of a method on all pictures."""
    return [None if found is None else float(found[key]) for found in rows.get(name, {}).get(case, [])]


def mean_of(rows: Rows, name: str, case: Case, key: str) -> float | None:
    """Return the mean of a figure, None unless all pictures were measured."""
    held = values(rows, name, case, key)
    there = [value for value in held if value is not None]
    return float(np.mean(there)) if held and len(there) == len(held) else None


def plain_table(rows: Rows, title: str, key: str, form: str, factor: float = 1.0) -> Table:
    """Return the table of one figure: a row a method, a column a case."""
    names = [name for name in rows if name != TRUTH]

    def cell(name: str, case: Case) -> str:
        return mean_cell([None if v is None else factor * v for v in values(rows, name, case, key)], form)

    return Table(title, ["", *(heading(case) for case in CASES)], [[name, *(cell(name, case) for case in CASES)] for name in names])


def leak_table(rows: Rows, title: str, key: str) -> Table:
    """Return the table of a correlation with the picture: of what was removed and, in brackets, how much more than the true grain's."""

    def cell(name: str, case: Case) -> str:
        own, true = values(rows, name, case, key), values(rows, TRUTH, case, key)
        more = [None if a is None or b is None else a - b for a, b in zip(own, true, strict=False)]
        text = mean_cell(own, ".3f")
        return text if name == TRUTH or text == MISSING else f"{text} ({mean_cell(more, '+.3f')})"

    names = [TRUTH, *(name for name in rows if name != TRUTH and not name.startswith(INPUT))]
    return Table(title, ["", *(heading(case) for case in CASES)], [[name, *(cell(name, case) for case in CASES)] for name in names])


def gain_plot(rows: Rows) -> Plot:
    """Return the gain over the input by level, one panel for white noise and one for film-like grain."""

    def draw(figure: Any) -> None:
        panels = figure.subplots(1, 2, sharey=True)
        for panel, kind in zip(panels, ("white", "film"), strict=True):
            cases = [case for case in CASES if case.kind == kind]
            for name in (name for name in rows if name not in (TRUTH, INPUT) and not name.endswith(ON_LUMA)):
                pairs = [(case.level, _gain(rows, name, case)) for case in cases]
                known = [(level, gain) for level, gain in pairs if gain is not None]
                if known:
                    panel.plot(*zip(*known, strict=True), marker="o", markersize=3, label=name)
            panel.set(title=kind, xlabel="standard deviation, code value", xscale="log")
            panel.set_xticks([case.level for case in cases], [f"{case.level:.2g}" for case in cases])
            panel.minorticks_off()
            panel.grid(alpha=0.3)
        panels[0].set_ylabel("dB over the input")
        if panels[0].lines:
            panels[0].legend(fontsize=7)

    return Plot("removal.png", "Gain over the input by level", draw)


def _gain(rows: Rows, name: str, case: Case) -> float | None:
    own, plain = mean_of(rows, name, case, "psnr"), mean_of(rows, INPUT, case, "psnr")
    return None if own is None or plain is None else own - plain


def part(keep: Keep, every: int = 1) -> Part:
    """Return the section; `keep` decides whether what is missing is measured, on every `every`-th picture."""
    if not still_paths():
        return Part("Removal from stills", [f"{MISSING}: there are no pictures of data/val here."])
    ratios = level_table(keep, range(0, len(still_paths()), every))
    rows, settings = gather(keep, every)
    tables = [
        plain_table(rows, "PSNR, dB", "psnr", ".2f"),
        plain_table(rows, "PSNR on the flattest fifth of the blocks of 16x16, dB", "flat", ".2f"),
        plain_table(rows, "PSNR on the busiest fifth of the blocks of 16x16, dB", "busy", ".2f"),
        plain_table(rows, "SSIM", "ssim", ".4f"),
        plain_table(rows, "MS-SSIM", "msssim", ".4f"),
        plain_table(rows, "Grain left in the base, %", "left", ".0f", 100),
        leak_table(rows, "Leak: greatest correlation of the removed grain with the picture's slopes", "leak"),
        leak_table(rows, "Correlation of the removed grain's absolute value with the slope's length", "edge"),
        ratios,
        Table("Settings of the peers; x scales the strength told", ["", *(peer.name for peer in RIVALS)], settings),
    ]
    used = len(range(0, len(still_paths()), every))
    film = f"Film-like: Boolean model, radius {FILM.radius:g} px, point spread {FILM.psf:g} px. {used} of {len(still_paths())} pictures."
    return Part("Removal from stills", [*WORDS, film], tables, [gain_plot(rows)], {"rows": rows, "ratios": ratios})
