"""Compute what each stage of a clip depends on, as digests: a stage whose digest is the same is not done again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from grainlayer.editorial.order import Order, Task
from grainlayer.effect import MADE_AGAIN
from grainlayer.errors import MediaError
from grainlayer.inference.registry import model_root, read_manifest
from grainlayer.params import TABLE, GrainSource, Group, ProfileSource, Quality, Value
from grainlayer.picture.media import is_sequence

RENDERING = 2
"""Raised whenever the same task would give other bytes than the version before."""
REMOVAL = ("quality", "encoding", *(param.key for param in TABLE if param.group is Group.REMOVAL))
"""Parameters that base and own grain depend on."""
LOOK = tuple(param.key for param in TABLE if param.group is Group.GRAIN)
"""Parameters that only the result depends on, but for those that stand in the stream too."""
IN_STREAM = ("grain_seed", "grain_hold", "grain_source", "stock")


def digest(facts: Any) -> str:
    """Return 64 hexadecimal digits of JSON."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class Keys:
    """Hold the digests of what each of a clip's files depends on; those of base, grain and result are empty where none is rendered.

    measure  the profile and strength measured of its grain
    base     the picture without grain, as its codec holds it
    grain    the difference of source and base as delivered
    result   the base with its grain as the parameters ask for it
    stream   what was measured with seed, hold and stock; and with it the container of a base that carries it
    """

    measure: str
    base: str
    grain: str
    result: str
    stream: str

    def of(self, layer: str) -> str:
        """Return a layer's digest."""
        return {"base": self.base, "grain": self.grain, "result": self.result, "stream": self.stream}[layer]


def keys_of(task: Task, order: Order) -> Keys:
    """Return what a clip's files depend on. Raise MediaError or ModelError."""
    measure = measure_key(task, order)
    base = digest([measure, order.base_codec, order.crf, order.preset, order.twins]) if order.needs_base else ""
    grain = digest([base, order.grain_format]) if base else ""
    result = digest([base, _values(task, LOOK), order.result_codec]) if base else ""
    stream = digest([base if order.movie_base else measure, stretches(task), order.movie_base])
    return Keys(measure, base, grain, result, stream)


def measure_key(task: Task, order: Order) -> str:
    """Return what a clip's removal and measured profile depend on."""
    shot = task.shot
    facts: dict[str, Any] = {"rendering": RENDERING, "source": identity(task), "range": [task.start, task.stop]}
    facts |= {"first": [task.number, task.timecode, task.rate], "values": _values(task, REMOVAL), "models": _models()}
    facts |= {"profile": shot.profile.to_json() if shot.profile else None, "named": _named(task), "measured": measures(task)}
    return digest(facts | {"model": order.model, "fields": order.fields})


@dataclass(frozen=True)
class Stretch:
    """Hold frames of a clip, counted from its first, whose grain stream says the same: seed, hold, and the stock if it is one's."""

    start: int
    stop: int
    seed: int
    hold: int
    stock: str | None


def stretches(task: Task) -> list[Stretch]:
    """Return the stretches of a clip, one after another: one alone unless seed, hold, source or stock have keyframes."""
    found: list[Stretch] = []
    keyed = {frame for key in IN_STREAM for frame, _ in task.shot.keys.get(key, ()) if task.start < frame < task.stop}
    bounds = [task.start, *sorted(keyed), task.stop]
    for start, stop in pairwise(bounds):
        params = task.shot.at(start)
        stock = str(params.stock) if params.grain_source is GrainSource.STOCK else None
        here = Stretch(start - task.start, stop - task.start, params.grain_seed, params.grain_hold, stock)
        same = found and replace(found[-1], stop=here.stop) == replace(here, start=found[-1].start)
        found[-1:] = [replace(found[-1], stop=here.stop)] if same else [*found[-1:], here]
    return found


def values_of(task: Task, key: str) -> list[Value]:
    """Return the values that a parameter has in a clip: those of its keyframes, else the one of the shot."""
    return [value for _, value in task.shot.keys.get(key, ())] or [getattr(task.shot.params, key)]


def removes(task: Task) -> bool:
    """Say whether grain is removed from any of a clip's pictures."""
    return any(float(value) > 0 for value in values_of(task, "removal"))


def looks_around(task: Task) -> bool:
    """Say whether removal looks at the pictures before and after, in any of a clip's pictures."""
    return removes(task) and Quality.TEMPORAL in values_of(task, "quality")


def measures(task: Task) -> bool:
    """Say whether a clip's own grain must be measured: to remove it, or to make it again."""
    return removes(task) or any(source in MADE_AGAIN for source in values_of(task, "grain_source"))


def _values(task: Task, keys: Iterable[str]) -> dict[str, Any]:
    shot = task.shot
    values = {key: getattr(shot.params, key) for key in keys}
    return {"params": values, "keys": {key: shot.keys[key] for key in keys if key in shot.keys}, "effect": str(shot.effect)}


def _named(task: Task) -> str | None:
    """Return what stands behind the name of a profile: the digest of its file, or the stock."""
    params = task.shot.params
    if params.profile is ProfileSource.STOCK:
        return str(params.stock)
    if params.profile is not ProfileSource.FILE or not params.profile_file:
        return None
    try:
        return hashlib.sha256(Path(params.profile_file).read_bytes()).hexdigest()
    except OSError as error:
        raise MediaError(
            f"The grain profile {params.profile_file} cannot be read ({error.strerror}); make one with `grainlayer analyze`."
        ) from error


@cache
def _models() -> list[str]:
    """Return the digests of all installed models."""
    return sorted(card.sha256 for card in read_manifest(model_root()).values())


def identity(task: Task) -> list[Any]:
    """Return what tells a media from another: name, size and time of its files, those of the range for a sequence. Raise MediaError."""
    try:
        stats = [(path.name, path.stat()) for path in files_of(task)]
    except OSError as error:
        raise MediaError(f"{task.media} cannot be read ({error.strerror}); check the path.") from error
    return [str(task.media), [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]]


def files_of(task: Task) -> list[Path]:
    """Return the files that hold a clip's frames. Raise MediaError."""
    if not is_sequence(task.media):
        return [task.media]
    from grainlayer.picture.numbering import find_sequence

    _, files = find_sequence(task.media)
    return list(files.values())[task.start : task.stop]


def date_of(task: Task) -> str:
    """Return when a clip's first file was written, as picture files state dates. Raise MediaError."""
    try:
        written = files_of(task)[0].stat().st_mtime
    except (OSError, IndexError) as error:
        raise MediaError(f"{task.media} cannot be read; check the path.") from error
    return datetime.fromtimestamp(int(written), UTC).strftime("%Y:%m:%d %H:%M:%S")
