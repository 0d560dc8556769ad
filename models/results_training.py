"""Tell how each model was trained for models.results: steps, batch, time and data, and the losses of all."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from grainlayer.inference.registry import ModelCard
from models.results_keep import Keep, cards
from models.results_page import Part, Plot
from tests.bench.report import Table

RUNS = Path(__file__).parent / "runs"
BATCHES = MappingProxyType(
    {
        "quantiser-default": "8 of 160x160",
        "restore-default": "16 of 64x64; from 75 % of the steps on 4 of 128x128",
        "restore-quality": "16 of 64x64; from 75 % of the steps on 4 of 128x128",
        "restore-single": "16 of 64x64; from 75 % of the steps on 4 of 128x128",
        "level-default": "32 of 64x64; from 80 % of the steps on 16 of 128x128",
        "removal-default": "16 of 64x64; from 58 % of the first stage on, and from half of the second, 8 of 128x128",
        "removal-default-grey": "16 of 64x64",
        "removal-quality": "16 of 64x64; unfinished",
        "removal-real-time": "16 of 64x64; from 75 % of the steps on 8 of 128x128",
        "removal-real-time-int8": "16 of 64x64",
    }
)
"""What a step saw, by model: the recipes of docs/training.md; the curves do not hold it."""
STILLS = "data/train/open: 286 open-licensed photographs"
CLIPS = "; data/video/open: clips"
UNKNOWN = "not recorded"
COLOURS = 10
"""Colours after which matplotlib begins anew: further lines are dashed."""
COLUMNS = ("step", "seconds", "loss")
"""What is read of a curve."""
WORDS = (
    "From the curves models/runs/ID.csv, of later stages ID-2.csv and so on, and the recipes of docs/training.md. Seconds are those of the "
    "run as it counted them, on the cores and beside whatever ran there. Losses compare only where the task is the same: the estimator's "
    "is a mean absolute error of the logarithm of the strength, a remover's the Charbonnier norm of the error in units of the strength, "
    "which late in a run changes its width: the step down. That of restoration is the square error over the recording's, that of the "
    "quantiser's estimator the mean absolute error of the QP.",
)


def data_of(card: ModelCard) -> str:
    """Return what a model was trained on, in words."""
    return STILLS + (CLIPS if card.frames > 1 or card.task in ("restore", "quantiser") else "")


Curve = dict[str, list[float]]
"""Step, seconds and loss by name; steps and seconds go on from stage to stage."""


def read_curve(paths: Sequence[Path]) -> Curve | None:
    """Return the curve of a model that was trained in stages, a file each; None where there is no file, or no whole row."""
    curve: Curve = {name: [] for name in COLUMNS}
    for path in paths:
        before = {"step": curve["step"][-1], "seconds": curve["seconds"][-1]} if curve["step"] else {}
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [row for row in csv.DictReader(stream) if None not in row.values()]
        for name, values in curve.items():
            values += [before.get(name, 0.0) + float(row[name]) for row in rows]
    return curve if curve["step"] else None


def curves(folder: Path = RUNS) -> dict[str, Curve | None]:
    """Return the curves of the manifest's models by id: of ID.csv and, where training went on, ID-2.csv and so on."""
    return {card.id: read_curve([*folder.glob(f"{card.id}.csv"), *sorted(folder.glob(f"{card.id}-[2-9].csv"))]) for card in cards()}


def facts(card: ModelCard, curve: Curve | None) -> dict[str, str]:
    """Return a model's training in words, by heading."""
    steps, seconds = (f"{curve[name][-1]:,.0f}" if curve else UNKNOWN for name in ("step", "seconds"))
    batch = BATCHES.get(card.id, UNKNOWN)
    return {"steps": steps, "batch": batch, "seconds": seconds, "data": data_of(card), "code at": card.training_commit}


def loss_plot(held: dict[str, Curve | None]) -> Plot:
    """Return the losses of all models by step."""

    def draw(figure: Any) -> None:
        panel = figure.subplots()
        for place, (name, curve) in enumerate((name, curve) for name, curve in held.items() if curve):
            dashes = "-" if place < COLOURS else "--"
            panel.plot(curve["step"], curve["loss"], dashes, label=name, linewidth=1)
        panel.set(xlabel="step", ylabel="loss", yscale="log")
        panel.grid(alpha=0.3)
        if panel.lines:
            panel.legend(fontsize=8)

    return Plot("training.png", "Losses of all models by step", draw, (9.0, 4.0))


def part(keep: Keep, every: int = 1) -> Part:
    """Return the section; nothing in it is measured."""
    del keep, every
    held = curves()
    known = {card.id: facts(card, held[card.id]) for card in cards()}
    head = list(next(iter(known.values()), {}))
    table = Table("Training", ["", *head], [[name, *row.values()] for name, row in known.items()])
    return Part("Training", list(WORDS), [table], [loss_plot(held)], {"training": known})
