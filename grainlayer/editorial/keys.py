"""Compute what each stage of a clip depends on, as digests: a stage whose digest is the same is not done again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from grainlayer.editorial.order import Order, Task
from grainlayer.errors import MediaError
from grainlayer.inference.registry import model_root, read_manifest
from grainlayer.params import TABLE, GrainSource, Group, ProfileSource
from grainlayer.picture.media import is_sequence

RENDERING = 1
"""Raised whenever the same task would give other bytes than the version before."""
REMOVAL = ("quality", "encoding", *(param.key for param in TABLE if param.group is Group.REMOVAL))
"""Parameters that base and own grain depend on."""
LOOK = tuple(param.key for param in TABLE if param.group is Group.GRAIN)
"""Parameters that only the result depends on, but for seed and hold, which stand in the stream too."""


def digest(facts: Any) -> str:
    """Return 64 hexadecimal digits of JSON."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def split_key(task: Task, order: Order) -> str:
    """Return what a clip's base, own grain and measured profile depend on. Raise MediaError or ModelError."""
    shot = task.shot
    facts: dict[str, Any] = {"rendering": RENDERING, "source": identity(task), "range": [task.start, task.stop]}
    facts |= {"first": [task.number, task.timecode, task.rate], "values": _values(task, REMOVAL), "models": _models()}
    facts |= {"profile": shot.profile.to_json() if shot.profile else None, "named": _named(task), "measured": measures(task)}
    facts |= {"layers": [order.needs_base, "grain" in order.layers, order.movie_base and "stream" in order.layers]}
    facts |= {"base": [order.base_codec, order.crf, order.preset], "grain": order.grain_format}
    return digest(facts | {"model": order.model, "fields": order.fields})


def stream_key(task: Task, order: Order, split: str) -> str:
    """Return what a clip's grain stream depends on, and with it the container of a base that carries it."""
    params = task.shot.params
    stock = params.stock if params.grain_source is GrainSource.STOCK else None
    return digest([split, params.grain_seed, params.grain_hold, stock, order.movie_base])


def result_key(task: Task, order: Order, split: str) -> str:
    """Return what a clip's result depends on."""
    return digest([split, _values(task, LOOK), order.result_codec])


def measures(task: Task) -> bool:
    """Say whether a clip's own grain must be measured: to remove it, to make it again, or because nothing else is known of it."""
    shot = task.shot
    removes = shot.params.removal > 0 or "removal" in shot.keys
    return removes or shot.params.grain_source is GrainSource.RESYNTHESISED


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
