"""Keep account of what is delivered: a hidden record a clip, so that finished stages are not done again, and the manifest of the whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from grainlayer.editorial.order import HIDDEN
from grainlayer.editorial.state import write_whole
from grainlayer.errors import MediaError

MANIFEST = "manifest.json"
SCHEMA = 1


@dataclass(frozen=True)
class Seal:
    """Hold a delivered file's size, time and SHA-256, and the stage that made it."""

    stage: str
    size: int
    mtime_ns: int
    sha256: str


@dataclass
class Record:
    """Hold what is known of one clip's files.

    stages   the digest of what each finished stage depended on
    files    seals by relative path
    claimed  paths that are about to be written: they are ours, whatever lies there after an interruption
    facts    what was measured, by stage
    """

    stages: dict[str, str] = field(default_factory=dict)
    files: dict[str, Seal] = field(default_factory=dict)
    claimed: list[str] = field(default_factory=list)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)


def record_path(out: Path, key: str) -> Path:
    """Return where a clip's record lies."""
    return out / HIDDEN / "clips" / f"{key}.json"


def read_record(out: Path, key: str) -> Record:
    """Return a clip's record; an empty one where there is none or it is damaged."""
    try:
        facts = json.loads(record_path(out, key).read_text("utf-8"))
        files = {name: Seal(**seal) for name, seal in facts["files"].items()}
        return Record(dict(facts["stages"]), files, list(facts["claimed"]), dict(facts["facts"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Record()


def write_record(out: Path, key: str, record: Record) -> None:
    """Write a clip's record whole. Raise MediaError."""
    try:
        write_whole(record_path(out, key), json.dumps(asdict(record), sort_keys=True))
    except OSError as error:
        raise MediaError(f"{out} cannot be written ({error.strerror}); free some space or choose another folder.") from error


def files_under(out: Path, unit: str) -> list[str]:
    """Return the relative paths of what a deliverable consists of: itself, or the files of its folder."""
    place = out / unit
    return sorted(f"{unit}/{path.name}" for path in place.iterdir() if path.is_file()) if place.is_dir() else [unit]


def seal(out: Path, name: str, stage: str) -> Seal:
    """Return a file's seal. Raise MediaError if it cannot be read."""
    try:
        with (out / name).open("rb") as file:
            total = hashlib.file_digest(file, "sha256").hexdigest()
            stat = os.fstat(file.fileno())
    except OSError as error:
        raise MediaError(f"{out / name} cannot be read ({error.strerror}); run the delivery again.") from error
    return Seal(stage, stat.st_size, stat.st_mtime_ns, total)


def holds(out: Path, record: Record, stage: str, key: str, units: Iterable[str]) -> bool:
    """Say whether a stage is finished: done for the same digest, all its files there and unaltered. Seals of touched files are renewed."""
    if record.stages.get(stage) != key:
        return False
    names = [name for name, known in record.files.items() if known.stage == stage]
    missing = {unit for unit in units if not any(name == unit or name.startswith(unit + "/") for name in names)}
    return not missing and all(_intact(out, record, name) for name in names)


def _intact(out: Path, record: Record, name: str) -> bool:
    known = record.files[name]
    try:
        stat = (out / name).stat()
    except OSError:
        return False
    if stat.st_size != known.size:
        return False
    if stat.st_mtime_ns != known.mtime_ns:
        fresh = seal(out, name, known.stage)
        record.files[name] = fresh
        return fresh.sha256 == known.sha256
    return True


def forget(record: Record, stage: str) -> None:
    """Take a stage out of a record; its files stay claimed."""
    record.stages.pop(stage, None)
    record.facts.pop(stage, None)
    gone = [name for name, known in record.files.items() if known.stage == stage]
    record.claimed = sorted({*record.claimed, *gone})
    for name in gone:
        del record.files[name]


def check_free(out: Path, record: Record, units: Iterable[str], *, overwrite: bool) -> None:
    """Raise MediaError if a file that this delivery did not write stands where one of its own is to be."""
    ours = {*record.files, *record.claimed}
    for unit in units:
        strange = [name for name in files_under(out, unit) if (out / name).exists() and name not in ours and unit not in ours]
        if strange and not overwrite:
            raise MediaError(f"{out / strange[0]} exists and is none of this delivery; choose another folder, or say --overwrite.")


def write_manifest(out: Path, facts: Mapping[str, Any]) -> Path:
    """Write the manifest whole and return its path. Raise MediaError."""
    path = out / MANIFEST
    try:
        write_open(path, json.dumps({"schema": SCHEMA, **facts}, indent=1, sort_keys=True) + "\n")
    except OSError as error:
        raise MediaError(f"{path} cannot be written ({error.strerror}); free some space and run again.") from error
    return path


def write_open(path: Path, text: str) -> None:
    """Write a file for everybody whole: beside its place, then renamed. Raise OSError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            with suppress(OSError):
                os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
