"""Write a card for each model of the manifest: what it does, takes and gives, what it cost and learnt, and what it is bad at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from grainlayer.errors import ModelError
from grainlayer.inference.registry import ModelCard
from models import results_restore
from models.results_cost import int8_file
from models.results_keep import MISSING, cards, mean_cell
from models.results_methods import ESTIMATED, INPUT, ON_LUMA, RIVALS, heading
from models.results_page import Part
from models.results_removal import CASES, Rows, mean_of, values
from models.results_synthesis import FLOOR
from models.results_temporal import AREAS, SINGLE, differences
from models.results_temporal import Rows as TemporalRows
from tests.bench.material import Case
from tests.bench.report import Table

TASKS = MappingProxyType(
    {
        "removal-grey": "predicts the grain of a grey picture that it is told the strength of",
        "temporal": "predicts the grain of a picture from it and its neighbours, told its strength",
        "removal": "predicts the grain of a picture that it is told the strength of; the picture less the grain is the base",
        "level": "estimates the strength of grain, which makes removal blind",
        "synth": "makes grain for a clean picture",
        "restore": "brings a picture that was recorded in 8 bits and 4:2:0, most often by a codec, nearer to what was filmed",
        "quantiser": "estimates how coarsely a codec quantised a picture, where its stream does not tell; restoration is told it",
    }
)
MEANINGS = MappingProxyType(
    {
        "picture": "pictures, R G B, in code value: 0 to 1 nominal, never clipped",
        "noise": "white noise of unit variance, fields of R, then of G, then of B",
        "emulsion": "natural logarithm of the disks' radius, and point spread, pixels",
        "window": "consecutive pictures, R G B, in code value: 0 to 1 nominal, never clipped; the middle one is meant",
        "strength": "standard deviation of the grain in code value, one number for each cell of 8x8 pixels",
        "grain": "grain of the (middle) picture, R G B, in code value",
        "log_deviation": "natural logarithm of the grain's standard deviation (code value, plus 0.0005), R G B of each cell of 8x8 pixels",
        "mean": "mean code value, R G B of each cell of 8x8 pixels",
        "luma": "luma of consecutive pictures, 0 black to 1 white, never clipped; the middle one is meant, the others lie along motion",
        "chroma": "Cb, Cr of the same pictures at half size, sited left, -0.5 to 0.5",
        "quantiser": "QP of H.264 over 64, one number for each cell of 8x8 pixels of the middle picture; 0 where no codec was at work",
        "restored_luma": "luma of the middle picture",
        "restored_chroma": "Cb, Cr of the middle picture at luma's size",
    }
)
"""What an input or output means, by its name in the graph."""
ESTIMATOR = MappingProxyType(
    {
        "luma": "luma of one picture, 0 black to 1 white, beginning at the corner of a codec's block",
        "quantiser": "QP of H.264 over 64, the same for every cell of 8x8 pixels; near 0 where no codec was at work",
    }
)
"""What they mean where the estimator of the quantiser has the same names."""
MARGIN = 0.05
"""dB by which a peer must be ahead to be named."""
MUCH_LEFT = 0.3
"""Share of grain left in the base from which on it is named."""
FAR_FROM, FLOORS = ("strength", "spectrum", "autocorrelation", "ks_shape", "nss"), 3.0
"""Figures of synthesis, and the multiple of their floor from which on they are named."""
FAR_OFF = 0.15
"""Error of an estimated strength from which on it is named."""


def values_table(card: ModelCard) -> Table:
    """Return what goes into the graph and what comes out of it: names, shapes, units. Raise ModelError where it cannot be loaded."""
    from grainlayer.inference.runtime import load

    session = load(card, "cpu").session
    meanings = {**MEANINGS, **(ESTIMATOR if card.task == "quantiser" else {})}
    ends = (("in", session.get_inputs()), ("out", session.get_outputs()))
    rows = [[way, value.name, _shape(value.shape), meanings.get(value.name, value.type)] for way, held in ends for value in held]
    return Table("Inputs and outputs", ["", "name", "shape", "meaning"], rows)


def _shape(axes: list[Any]) -> str:
    """Return a shape in words; an axis whose name only says where it came from is left open."""
    return " x ".join(str(axis) if isinstance(axis, int) or str(axis).endswith(("_rows", "_columns")) else "?" for axis in axes)


def removal_limits(card_id: str, rows: Rows) -> Iterator[str]:
    """Yield what a remover of single pictures is bad at, from its figures."""
    for case in CASES:
        own = mean_of(rows, card_id, case, "psnr")
        if own is None:
            continue
        peers = {peer.name: mean_of(rows, peer.name, case, "psnr") for peer in RIVALS}
        known = {name: value for name, value in peers.items() if value is not None}
        best = max(known, key=lambda name: known[name], default=None)
        if best and known[best] > own + MARGIN:
            yield f"{heading(case)}: {known[best] - own:.2f} dB behind {best}{_by_busyness(card_id, best, case, rows)}."
        yield from _worse_than_nothing(card_id, case, rows)
        left = mean_of(rows, card_id, case, "left")
        if left is not None and left > MUCH_LEFT:
            yield f"{heading(case)}: {100 * left:.0f} % of the grain stays in the base."


def _by_busyness(card_id: str, best: str, case: Case, rows: Rows) -> str:
    """Return how far a peer is ahead on flat and on busy blocks, in words; nothing where that was not measured."""
    pairs = [(mean_of(rows, best, case, key), mean_of(rows, card_id, case, key)) for key in ("flat", "busy")]
    ahead = [peer - own for peer, own in pairs if peer is not None and own is not None]
    return (
        f" ({ahead[0]:+.2f} dB for {best} on the flattest fifth of the blocks, {ahead[1]:+.2f} on the busiest)" if len(ahead) == 2 else ""
    )


def _worse_than_nothing(card_id: str, case: Case, rows: Rows) -> Iterator[str]:
    pairs = zip(values(rows, card_id, case, "psnr"), values(rows, INPUT, case, "psnr"), strict=False)
    worse = sum(1 for own, plain in pairs if own is not None and plain is not None and own < plain)
    if worse:
        yield f"{heading(case)}: {worse} of the pictures come out farther from the truth than they went in."


def temporal_limits(card_id: str, by_peak: Mapping[float, TemporalRows]) -> Iterator[str]:
    """Yield on which clips a remover with neighbouring pictures is behind the net of single ones."""
    for peak, rows in by_peak.items():
        for area in AREAS if card_id in rows else ():
            known = [value for value in differences(rows, card_id, area) if value is not None]
            behind = [value for value in known if value < -MARGIN]
            if behind:
                where = "" if area == "psnr" else f" where pictures are {area}"
                count = f"{len(behind)} of {len(known)} clips"
                yield f"Film-like grain of {peak:g}: behind the default net alone{where} on {count}, {min(behind):.2f} dB at worst."


def synthesis_limits(card_id: str, by_radius: Mapping[float, Mapping[str, Mapping[str, Any]]]) -> Iterator[str]:
    """Yield which of a net's figures are far from the floor, which is the truth's other seed."""
    for radius, rows in by_radius.items():
        for key in FAR_FROM:
            held = [(own[key], rows[FLOOR][name][key]) for name, own in rows.get(card_id, {}).items() if own and rows[FLOOR][name]]
            times = sum(own for own, _ in held) / sum(floor for _, floor in held) if held else 0.0
            if times > FLOORS:
                yield f"Disks of {radius:g} pixel: {key} at {times:.1f} times its floor."


def level_limits(ratios: Table) -> Iterator[str]:
    """Yield for which grain the estimate is far off, from its table: mean, least and most over the true strength."""
    for case, mean in zip(ratios.head[1:], ratios.rows[0][1:], strict=True):
        if mean != MISSING and abs(float(mean.split()[0]) - 1) > FAR_OFF:
            yield f"{case}: the estimate is {float(mean.split()[0]):.2f} of the true strength in the mean of the pictures."


def limits(card: ModelCard, parts: Mapping[str, Part]) -> list[str]:
    """Return what a model is bad at, a sentence each."""
    if card.task in OTHER_LIMITS:
        return list(OTHER_LIMITS[card.task](card, parts))
    if card.task == "removal" and card.frames == 1:
        return list(removal_limits(card.id, parts["removal"].facts.get("rows", {})))
    if card.frames > 1:
        return list(temporal_limits(card.id, parts["temporal"].facts.get("rows", {})))
    ratios = parts["removal"].facts.get("ratios")
    return list(level_limits(ratios)) if card.task == "level" and ratios else []


OTHER_LIMITS: Mapping[str, Callable[[ModelCard, Mapping[str, Part]], Iterable[str]]] = MappingProxyType(
    {
        "synth": lambda card, parts: synthesis_limits(card.id, parts["synthesis"].facts.get("rows", {})),
        "restore": lambda card, parts: results_restore.limits(card, parts["restoration"].facts.get("restore")),
        "quantiser": lambda card, parts: results_restore.error_limits(card),
    }
)
"""How to tell what a model is bad at, by its task, for tasks other than removal and its estimate."""


def figures(card: ModelCard, parts: Mapping[str, Part]) -> list[Table]:
    """Return a model's figures."""
    if card.task in OTHER_FIGURES:
        return OTHER_FIGURES[card.task](card, parts)
    if card.task in ("removal", "removal-grey") and card.frames == 1:
        return [_removal_figures(card, parts["removal"].facts.get("rows", {}))]
    if card.frames > 1:
        return [_temporal_figures(card.id, parts["temporal"].facts.get("rows", {}))]
    return [parts["removal"].facts["ratios"]] if "ratios" in parts["removal"].facts else []


OTHER_FIGURES: Mapping[str, Callable[[ModelCard, Mapping[str, Part]], list[Table]]] = MappingProxyType(
    {
        "synth": lambda card, parts: [_synthesis_figures(card.id, parts["synthesis"].facts.get("rows", {}))],
        "restore": lambda card, parts: results_restore.figures(card, parts["restoration"].facts.get("restore")),
        "quantiser": lambda card, parts: results_restore.error_tables(card),
    }
)
"""The same for figures."""


def _removal_figures(card: ModelCard, rows: Rows) -> Table:
    own = card.id + ON_LUMA if card.task == "removal-grey" else card.id
    names = [INPUT, own, *([ESTIMATED] if own == "removal-default" else []), *(peer.name for peer in RIVALS)]
    names = [INPUT + ON_LUMA, own] if own != card.id else names
    body = [[name, *(mean_cell(values(rows, name, case, "psnr"), ".2f") for case in CASES)] for name in names]
    body.append(["grain left, %", *(_percent(values(rows, own, case, "left")) for case in CASES)])
    return Table("PSNR of the base by grain, dB, and grain left in it", ["", *(heading(case) for case in CASES)], body)


def _percent(shares: list[float | None]) -> str:
    return mean_cell([None if share is None else 100 * share for share in shares], ".0f")


def _temporal_figures(card_id: str, by_peak: Mapping[float, Mapping[str, list[Any]]]) -> Table:
    def cell(held: list[Any], area: str) -> str:
        return mean_cell([None if found is None else found[area] for found in held], ".2f")

    body = [
        [f"{peak:g}", name, *(cell(rows.get(name, []), area) for area in AREAS)]
        for peak, rows in by_peak.items()
        for name in (SINGLE, card_id)
    ]
    return Table("PSNR of the base by film-like grain, dB", ["peak", "", "all", "moving", "static"], body)


def _synthesis_figures(card_id: str, by_radius: Mapping[float, Mapping[str, Mapping[str, Any]]]) -> Table:
    keys = {"strength": ".3f", "spectrum": ".2f", "autocorrelation": ".3f", "ks_shape": ".4f", "nss": ".2g"}

    def cell(held: Mapping[str, Any], key: str, form: str) -> str:
        return mean_cell([None if found is None else found[key] for found in held.values()], form)

    body = [
        [f"{radius:g}", name, *(cell(rows.get(name, {}), key, form) for key, form in keys.items())]
        for radius, rows in by_radius.items()
        for name in (FLOOR, card_id)
    ]
    heads = ["strength", "spectrum, dB", "autocorrelation", "KS of shape", "JSD-NSS"]
    return Table("Distance from the Boolean model by radius", ["radius", "", *heads], body)


def cost_lines(card: ModelCard, cost: Mapping[str, Any] | None) -> list[str]:
    """Return the lines of a model's cost."""
    known = cost or {}
    parameters, kmac, ms, fast = (known.get(key) for key in ("parameters", "kmac", "ms", "ms_int8"))
    small = int8_file(card)
    return [
        f"- Parameters: {MISSING if parameters is None else format(parameters, ',d')}; "
        f"{MISSING if kmac is None else format(kmac, '.2f')} kMAC a pixel; file of {card.path.stat().st_size:,} bytes",
        f"- 1080p on the CPU: {MISSING if ms is None else format(ms, '.0f') + ' ms'}"
        + (f"; in 8 bits {MISSING if fast is None else format(fast, '.0f') + ' ms'}" if small else "; no form in 8 bits"),
    ]


def text(card: ModelCard, parts: Mapping[str, Part]) -> str:
    """Return a model's card in Markdown."""
    training = parts["training"].facts["training"][card.id]
    cost = parts["speed"].facts["costs"].get(card.id)
    bad = limits(card, parts) or ["None that these figures show, as far as they are measured."]
    lines = [
        f"- Task: {card.task}: {TASKS.get(card.task, 'see docs/training.md')}",
        f"- Pictures it sees: {card.frames}",
        f"- Encoding: {card.encoding}",
        f"- Halo: {card.halo} pixels around a tile that the graph must see; height and width are multiples of {card.multiple_of}",
        *cost_lines(card, cost),
        f"- Trained on {training['data']}; code at {card.training_commit}",
        f"- Steps: {training['steps']}; batch: {training['batch']}; seconds: {training['seconds']}",
        f"- Licence: {card.licence}",
        f"- SHA-256: {card.sha256}",
    ]
    tables = [_tables_of(card), *(table.markdown() for table in figures(card, parts))]
    limited = "\n".join(["### Limits", "", *(f"- {line}" for line in bad)])
    return "\n\n".join([f"# {card.id}", "\n".join(lines), *tables, limited]) + "\n"


def _tables_of(card: ModelCard) -> str:
    try:
        return values_table(card).markdown()
    except ModelError as error:
        return str(error)


def write(folder: Path, parts: Mapping[str, Part]) -> list[Path]:
    """Write the cards into `folder`/cards, and remove those of models that the manifest has no more; return the files."""
    place = folder / "cards"
    place.mkdir(parents=True, exist_ok=True)
    written = [place / f"{card.id}.md" for card in cards()]
    for card, path in zip(cards(), written, strict=True):
        path.write_text(text(card, parts), "utf-8")
    for path in set(place.glob("*.md")) - set(written):
        path.unlink()
    return written
