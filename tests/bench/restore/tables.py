"""Turn the figures into tables, and hold them against the targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from tests.bench.report import Report, Table
from tests.bench.restore.gather import Figures, Found
from tests.bench.restore.measures import CLASSES, DEPTHS, PLANES
from tests.bench.restore.methods import BILINEAR, LANCZOS, PEERS
from tests.bench.restore.sky import SKY

SCARCE = 0.01
"""Share of a clip's samples under which a class has no figure."""
NONE = "-"
FACTS = "facts"
"""Where `facts` lie among a report's figures."""
Rows = dict[str, dict[str, Figures]]
"""Figures by source and method."""


def clips_of(rows: Rows) -> Rows:
    """Return the rows of clips, without the made sky."""
    return {source: methods for source, methods in rows.items() if source != SKY.name}


def column(rows: Rows, method: str, value: Callable[[Figures], float | None]) -> list[float]:
    """Return one figure of a method by clip, those that are missing left out."""
    values = (value(methods[method]) for methods in rows.values() if method in methods)
    return [number for number in values if number is not None]


def area_psnr(figures: Figures, name: str) -> float | None:
    """Return the PSNR of a class of area, dB, or None where it is too small."""
    squares, count = figures[name]
    whole = sum(figures[kind][1] for kind in CLASSES)
    return None if count < max(1, SCARCE * whole) or not squares else float(-10 * np.log10(squares / count))


def flicker_ratio(figures: Figures) -> float | None:
    """Return the change of still areas from picture to picture over the truth's."""
    own, wanted = figures["flicker"]
    return own / wanted if wanted > 0.02 else None


def cell(values: Sequence[float], form: str) -> str:
    """Return a mean in text."""
    return format(fmean(values), form) if values else NONE


def names_of(rows: Rows) -> list[str]:
    """Return the methods that have figures, in the order of the first clip."""
    return list(next(iter(rows.values()))) if rows else []


def gains(rows: Rows, method: str, than: str = BILINEAR) -> list[float]:
    """Return by clip how far a method's luma is ahead of another's, dB."""
    return [found[method]["psnr y"] - found[than]["psnr y"] for found in rows.values()]


def main_table(title: str, rows: Rows) -> Table:
    """Return the means over clips under one condition."""
    head = ["", *(f"PSNR {name}" for name in PLANES), "worst clip", *CLASSES, "chroma edges", *(f"SSIM {name}" for name in PLANES)]
    body: list[list[str]] = []
    for method in names_of(rows):
        whole = [cell(column(rows, method, lambda f, n=name: f[f"psnr {n}"]), ".2f") for name in PLANES]
        areas = [cell(column(rows, method, lambda f, n=name: area_psnr(f, n)), ".2f") for name in (*CLASSES, "edges")]
        alike = [cell(column(rows, method, lambda f, n=name: f[f"ssim {n}"]), ".4f") for name in PLANES]
        body.append([method, *whole, f"{min(gains(rows, method)):+.2f}", *areas, *alike])
    bits = cell(column(rows, BILINEAR, lambda f: f["bits"]), ".2f")
    return Table(f"{title}, {bits} bits a pixel: means of {len(rows)} clips, dB", head, body)


def steady_table(found: Found) -> Table:
    """Return by condition and method the change of still areas over the truth's, mean and greatest, CAMBI, and what left the cell."""
    head = ["", "", "flicker", "greatest", "CAMBI", "truth's", "outside the cell"]
    body: list[list[str]] = []
    for condition, every in found.items():
        rows = clips_of(every)
        for place, method in enumerate(names_of(rows)):
            ratios = column(rows, method, flicker_ratio)
            seen = [cell(column(rows, method, lambda f, i=index: f["cambi"][i]), ".2f") for index in range(2)]
            out = cell(column(rows, method, lambda f: 100 * f["outside"]), ".1f") + " %"
            most = f"{max(ratios):.3f}" if ratios else NONE
            body.append(["" if place else condition, method, cell(ratios, ".3f"), most, *seen, out])
    return Table("Still areas: change from picture to picture over the truth's; bands; luma outside the input's cell", head, body)


def precision_table(found: Found) -> Table:
    """Return the seed's Table 1 with chance beside it, over clips whose truth has the depth."""
    head = ["", "", *(f"{bits} bits: {word}" for bits in DEPTHS for word in ("right", "added", "chance"))]
    body: list[list[str]] = []
    for condition, every in found.items():
        rows = clips_of(every)
        for place, method in enumerate(names_of(rows)):
            numbers = [_share(rows, method, str(bits), index) for bits in DEPTHS for index in range(3)]
            body.append(["" if place else condition, method, *numbers])
    return Table("The seed's Table 1 for luma, % of pixels: right, other than the 8-bit input, and right by chance", head, body)


def _share(rows: Rows, method: str, bits: str, index: int) -> str:
    """Return one mean of Table 1 in percent, over the clips whose truth has the depth."""
    return cell(column(rows, method, lambda f: 100 * f["precision"][bits][index] if bits in f["precision"] else None), ".1f")


def sky_table(found: Found) -> Table | None:
    """Return bands and PSNR of the made sky."""
    head = ["", "", "CAMBI", "truth's", "CAMBI graded", "truth's", "PSNR y", *CLASSES]
    body: list[list[str]] = []
    for condition, every in found.items():
        for place, (method, figures) in enumerate(every.get(SKY.name, {}).items()):
            seen = [f"{value:.2f}" for value in (*figures["cambi"], *figures["graded"])]
            areas = [NONE if (value := area_psnr(figures, name)) is None else f"{value:.2f}" for name in CLASSES]
            body.append(["" if place else condition, method, *seen, f"{figures['psnr y']:.2f}", *areas])
    return Table("The made sky: bands as it is and with its contrast times 4, dB", head, body) if body else None


def clip_table(found: Found) -> Table:
    """Return the input's luma by clip and condition, and what each net, or the best peer, gains over it."""
    names = list(found)
    sources = list(clips_of(found[names[0]]))
    body = [[source, *(_clip_cell(found[name][source]) for name in names)] for source in sources]
    return Table("By clip: PSNR of the input's luma, then the gain of every net (without nets: of the best peer), dB", ["", *names], body)


def _clip_cell(methods: dict[str, Figures]) -> str:
    own = methods[BILINEAR]["psnr y"]
    nets = [name for name in methods if name not in (BILINEAR, *PEERS)]
    ahead = [methods[name]["psnr y"] - own for name in nets] or [max(methods[name]["psnr y"] for name in methods) - own]
    return f"{own:.2f} " + " ".join(f"{value:+.2f}" for value in ahead)


def facts(found: Found, weights: Mapping[str, str]) -> dict[str, Any]:
    """Return what other pages quote of the figures, as numbers.

    weights     the SHA-256 of every net's file, by the net's name
    conditions  by name: `clips`, their names, and `methods` by name, dB, means of the clips:
        psnr     of Y, Cb and Cr
        areas    PSNR by class of area, None where no clip has such areas
        worst    the clip on which luma gains least over the input: that gain and the clip's name
        below    on how many clips luma is below the input
        flicker  change of still areas over the truth's, mean and greatest, None where nothing stands still
    """
    conditions = {name: clips_of(every) for name, every in found.items()}
    told = {name: {"clips": list(rows), "methods": {m: _facts_of(rows, m) for m in names_of(rows)}} for name, rows in conditions.items()}
    return {"weights": dict(weights), "conditions": told}


def _facts_of(rows: Rows, method: str) -> dict[str, Any]:
    """Return the figures of one method under a condition."""
    areas = {name: column(rows, method, lambda f, n=name: area_psnr(f, n)) for name in (*CLASSES, "edges")}
    ahead = gains(rows, method)
    least, clip = min(zip(ahead, rows, strict=True))
    ratios = column(rows, method, flicker_ratio)
    return {
        "psnr": [_short(fmean(column(rows, method, lambda f, n=name: f[f"psnr {n}"]))) for name in PLANES[:3]],
        "areas": {name: _short(fmean(values)) if values else None for name, values in areas.items()},
        "worst": [_short(least), clip],
        "below": sum(value < 0 for value in ahead),
        "flicker": [_short(fmean(ratios)), _short(max(ratios))] if ratios else None,
    }


def _short(value: float) -> float:
    return round(value, 4)


def judge(report: Report, found: Found, nets: Sequence[str]) -> None:
    """Hold every net against the targets, condition by condition."""
    for condition, every in found.items():
        rows = clips_of(every)
        for net in nets:
            where = f"{net}, {condition}"
            if condition.startswith("rounding"):
                _judge_rounding(report, where, rows, net, noisy="noise-free" not in condition)
            else:
                _judge_coded(report, where, rows, net, 0.5 if condition.endswith(("32", "37")) else 0.2)
            _judge_chroma(report, where, rows, net)
            _judge_sky(report, where, every, net)
        _judge_neighbours(report, condition, rows, nets)


def _judge_coded(report: Report, where: str, rows: Rows, net: str, least: float) -> None:
    gain = gains(rows, net)
    report.check(fmean(gain) >= least, f"{where}: luma {fmean(gain):+.2f} dB over the input (target {least:+.1f})")
    report.check(min(gain) >= 0, f"{where}: luma on the worst clip {min(gain):+.2f} dB (target: never below the input)")
    best = max((fmean(gains(rows, peer)), peer) for peer in names_of(rows) if peer in PEERS)
    report.check(fmean(gain) > best[0], f"{where}: luma {fmean(gain) - best[0]:+.2f} dB over the best peer, {best[1]}")
    ratios = column(rows, net, flicker_ratio)
    most = max(ratios, default=0)
    report.check(most <= 1.05, f"{where}: still areas change {most:.3f} of what the truth's do at most (target 1.05)")


def _judge_neighbours(report: Report, condition: str, rows: Rows, nets: Sequence[str]) -> None:
    """Hold the net that sees most pictures against the one that sees fewest, where they differ."""
    seen = {net: int(net[net.rindex("(") + 1 : -1]) for net in nets if net.endswith(")")}
    if len(set(seen.values())) < 2 or condition.startswith("rounding"):
        return
    most, least = max(seen, key=seen.__getitem__), min(seen, key=seen.__getitem__)
    ahead = fmean(gains(rows, most, least))
    report.check(ahead > 0, f"{condition}: luma of {most} {ahead:+.2f} dB against {least} (target: above)")


def _judge_chroma(report: Report, where: str, rows: Rows, net: str) -> None:
    values = {name: column(rows, name, lambda f: area_psnr(f, "edges")) for name in (net, BILINEAR)}
    if values[net]:
        gain = fmean(values[net]) - fmean(values[BILINEAR])
        report.check(gain >= 1.5, f"{where}: chroma edges {gain:+.2f} dB over bilinear (target +1.5)")
    least = min(found[net][f"psnr {name}"] - found[LANCZOS][f"psnr {name}"] for found in rows.values() for name in ("cb", "cr"))
    report.check(least >= 0, f"{where}: chroma on the worst clip {least:+.2f} dB against Lanczos (target: not below)")


def _judge_rounding(report: Report, where: str, rows: Rows, net: str, *, noisy: bool) -> None:
    areas = {name: fmean(column(rows, net, lambda f, n=name: area_psnr(f, n)) or [0]) for name in CLASSES}
    given = {name: fmean(column(rows, BILINEAR, lambda f, n=name: area_psnr(f, n)) or [0]) for name in CLASSES}
    if not noisy:
        for name, least in (("flat", 5.0), ("gradient", 3.0)):
            gain = areas[name] - given[name]
            report.check(gain >= least, f"{where}: {name} {gain:+.2f} dB over the input (target {least:+.0f})")
    low = min(58.9, given["texture"])
    report.check(areas["texture"] >= low, f"{where}: texture {areas['texture']:.2f} dB (target {low:.2f}: 58.9, or the input's)")
    out = max(column(rows, net, lambda f: f["outside"]))
    report.check(out == 0, f"{where}: {100 * out:.2f} % of luma outside the cell (target none)")


def _judge_sky(report: Report, where: str, every: Rows, net: str) -> None:
    if SKY.name not in every:
        return
    own, given = every[SKY.name][net], every[SKY.name][BILINEAR]
    (bands, _), (before, _) = own["graded"], given["graded"]
    report.check(bands <= before / 2, f"{where}: CAMBI of the graded sky {bands:.2f}, the input's {before:.2f} (target at most half)")
    loss = (area_psnr(own, "texture") or 0) - (area_psnr(given, "texture") or 0)
    report.check(loss >= 0, f"{where}: texture below the sky {loss:+.2f} dB against the input (target: not below)")
