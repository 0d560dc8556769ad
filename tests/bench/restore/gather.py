"""Gather the figures of every clip, condition and method, each kept as soon as it is known, so that a run cut off goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.bench.cache import recall
from tests.bench.restore.banding import STRETCHED, cambi
from tests.bench.restore.clips import Source
from tests.bench.restore.degrade import Condition, degrade, truth_of
from tests.bench.restore.measures import measure
from tests.bench.restore.methods import Method, Restored
from tests.bench.restore.sky import SKY, graded, sky_only

VERSION = 2
"""To be raised when truth, degradation, a measure or the search for motion changes: figures kept of old are then not read."""
DIGITS = 6
"""Digits kept of a figure."""

Figures = dict[str, Any]
Found = dict[str, dict[str, dict[str, Figures]]]
"""Figures by condition, source and method."""


def fits(method: Method, condition: Condition, source: Source) -> bool:
    """Say whether a row exists: the cell of rounding only without a codec, and what has no noise is not softened."""
    return not (method.lossless_only and condition.lossy) and not (condition.softened and source is SKY)


def choose(method: Method, source: Source, condition: Condition) -> str:
    """Return the setting whose luma comes nearest to the truth on the middle picture that is judged."""
    if len(method.settings) == 1:
        return method.settings[0]
    truth, degraded = truth_of(source, condition), degrade(source, condition)
    place = truth.places[len(truth.places) // 2]

    def error(setting: str) -> float:
        return float(np.mean((method.run(degraded, [place], setting)[0][0] - truth.luma[place]) ** 2))

    return min(method.settings, key=error)


def restore(method: Method, source: Source, condition: Condition, setting: str) -> Restored:
    """Return the pictures that are judged, restored."""
    return method.run(degrade(source, condition), truth_of(source, condition).places, setting)


def compute(method: Method, source: Source, condition: Condition) -> Figures:
    """Return the figures of a method on a clip under a condition."""
    truth, degraded = truth_of(source, condition), degrade(source, condition)
    setting = choose(method, source, condition)
    done = restore(method, source, condition, setting)
    found = measure(done, truth, degraded) | {"setting": setting, "bits": degraded.bits}
    return short(found | bands(source, done[0], truth.luma[truth.places]))


def bands(source: Source, luma: Any, truth: Any) -> Figures:
    """Return CAMBI of restored luma and of the truth's; of the made sky also of the sky alone, graded."""
    if source is not SKY:
        return {"cambi": [cambi(luma), cambi(truth)]}
    own, wanted = sky_only(luma), sky_only(truth)
    return {
        "cambi": [cambi(own), cambi(wanted)],
        "graded": [cambi(graded(own), STRETCHED), cambi(graded(wanted), STRETCHED)],
    }


def short(value: Any) -> Any:
    """Return figures, in lists and dicts too, with few digits."""
    if isinstance(value, dict):
        return {key: short(part) for key, part in value.items()}
    if isinstance(value, list):
        return [short(part) for part in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def key_of(method: Method, source: Source, condition: Condition) -> list[Any]:
    """Return what a figure is kept under."""
    how = [condition.codec, condition.qp, condition.softened]
    return [VERSION, source.key, how, method.key, method.settings]


def gather(sources: Sequence[Source], conditions: Sequence[Condition], methods: Sequence[Method], say: Callable[[str], None]) -> Found:
    """Return all figures, computing those not kept yet."""
    found: Found = {condition.name: {} for condition in conditions}
    for source in sources:
        for condition in conditions:
            rows = {
                method.name: recall("restore", key_of(method, source, condition), lambda m=method, s=source, c=condition: compute(m, s, c))
                for method in methods
                if fits(method, condition, source)
            }
            if rows:
                found[condition.name][source.name] = rows
        say(f"restore: {source.name}")
    return found
