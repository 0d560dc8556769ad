"""Draw restored pictures beside input and truth, with their errors, 10-bit histograms and a graded crop, and the gains by QP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tests.bench.restore.clips import Source, video_to_rgb
from tests.bench.restore.degrade import X264, Condition, degrade, truth_of
from tests.bench.restore.gather import Found
from tests.bench.restore.methods import Method, Restored
from tests.bench.restore.sky import GRADE
from tests.bench.restore.tables import clips_of, gains, names_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.floating]

DOTS = 80
CROP = 80
"""Side of the graded crop."""
ERROR_SPANS = (2, 16)
"""Codes of 8 bits from grey to white in the drawing of errors: of rounding, of a codec."""


def flattest(luma: Floats) -> tuple[slice, slice]:
    """Return where in a picture (H, W) the crop lies that grading shows bands in: the smoothest that is not black or white."""
    side = min(CROP, *luma.shape)
    places = [(top, left) for top in range(0, luma.shape[0] - side + 1, 8) for left in range(0, luma.shape[1] - side + 1, 8)]

    def roughness(place: tuple[int, int]) -> float:
        part = luma[place[0] : place[0] + side, place[1] : place[1] + side]
        steps = sum(float(np.abs(np.diff(part, axis=axis)).mean()) for axis in range(2))
        mean = float(part.mean())
        return steps + 10 * abs(min(max(mean, 0.1), 0.8) - mean)

    top, left = min(places, key=roughness)
    return slice(top, top + side), slice(left, left + side)


def stretched(rgb: Floats, pivot: Floats) -> Floats:
    """Return a crop with its contrast times 4 about a colour."""
    return np.clip((rgb - pivot) * GRADE + 0.5, 0, 1)


def histogram(luma: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the 10-bit codes and how often each occurs."""
    codes = np.clip(np.floor(luma * 876 + 64.5), 0, 1023).astype(np.int64)
    return np.arange(1024), np.bincount(codes.ravel(), minlength=1024)


def compare(figure: Figure, source: Source, condition: Condition, rows: Sequence[tuple[Method, str]]) -> None:
    """Draw one picture: a column for every method, given with its setting, and the truth; lines for picture, error, crop, histogram."""
    truth, degraded = truth_of(source, condition), degrade(source, condition)
    place = truth.places[len(truth.places) // 2]
    shown: dict[str, Restored] = {}
    for method, setting in rows:
        luma, chroma = method.run(degraded, [place], setting)
        shown[method.name] = (luma[0], chroma[0])
    shown["truth"] = (truth.luma[place], truth.chroma[place])
    area = flattest(shown["truth"][0])
    panels = figure.subplots(4, len(shown), squeeze=False)
    for column, (name, (luma, chroma)) in enumerate(shown.items()):
        _draw_column(panels[:, column], name, (luma, chroma), shown["truth"], area, ERROR_SPANS[condition.lossy])
    figure.suptitle(f"{source.name}, {condition.name}", fontsize=9)


def _draw_column(panels: Any, name: str, own: Restored, truth: Restored, area: tuple[slice, slice], span: int) -> None:
    rgb, wanted = video_to_rgb(*own), video_to_rgb(*truth)
    for panel in panels[:3]:
        panel.set_axis_off()
    panels[0].imshow(np.clip(rgb, 0, 1))
    panels[0].set_title(name, fontsize=8)
    panels[1].imshow(np.clip((rgb - wanted) * (255 / span / 2) + 0.5, 0, 1))
    panels[1].set_title(f"error, {span} of 255 from grey to white", fontsize=6)
    panels[2].imshow(stretched(rgb[area], wanted[area].mean(axis=(0, 1))), interpolation="nearest")
    panels[2].set_title(f"crop, contrast x{GRADE:g}", fontsize=6)
    codes, counts = histogram(own[0][area])
    held = histogram(truth[0][area])[1].cumsum()
    first, last = (int(np.searchsorted(held, held[-1] * share)) for share in (0.02, 0.98))
    held_codes = slice(max(first - 4, 0), min(max(last + 5, first + 40), 1024))
    panels[3].bar(codes[held_codes], counts[held_codes], width=1.0)
    panels[3].tick_params(labelsize=5)
    panels[3].set_title("luma of the crop, 10-bit codes", fontsize=6)


def draw_gains(figure: Figure, found: Found) -> None:
    """Draw the mean gain of every method's luma over the input by the QP of x264."""
    panel = figure.subplots()
    coded = {condition.qp: clips_of(found[condition.name]) for condition in X264 if condition.name in found}
    for name in names_of(next(iter(coded.values()))) if coded else []:
        panel.plot(list(coded), [fmean(gains(rows, name)) for rows in coded.values()], "o-", markersize=4, label=name)
    panel.set(xlabel="QP of x264", ylabel="luma, dB over the input", xticks=list(coded))
    panel.grid(alpha=0.3)
    if panel.lines:
        panel.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1))


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG that does not change with the day."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DOTS, metadata={"Software": None})


def draw_all(folder: Path, found: Found, asked: Sequence[tuple[Source, Condition]], methods: Sequence[Method]) -> dict[str, str]:
    """Write the gains by QP and a comparison for every clip and condition asked for; return captions by file name."""
    from matplotlib.figure import Figure

    lines = Figure(figsize=(6, 3.6), layout="constrained")
    draw_gains(lines, found)
    save(lines, folder / "gains.png")
    captions = {"gains.png": "Luma over the input by QP"}
    for source, condition in asked:
        kept = found[condition.name][source.name]
        rows = [(method, str(kept[method.name]["setting"])) for method in methods if method.name in kept]
        figure = Figure(figsize=(2.5 * (len(rows) + 1), 7.4), layout="constrained")
        compare(figure, source, condition, rows)
        name = f"{source.name}-{condition.name}".replace(" ", "-").replace(",", "") + ".png"
        save(figure, folder / name)
        captions[name] = f"{source.name}, {condition.name}: pictures, errors, a crop with more contrast, 10-bit histograms"
    return captions
