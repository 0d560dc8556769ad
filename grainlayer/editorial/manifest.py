"""Keep account of what is delivered: a hidden record a clip, so that finished files are not made again, and the manifest of the whole."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from grainlayer.editorial.order import HIDDEN
from grainlayer.errors import MediaError

MANIFEST = "manifest.json"
SCHEMA = 2
UNKNOWN = ""
"""The digest of a unit that was found after an interruption: it is ours and whole, and may be of any version."""


@dataclass(frozen=True)
class Seal:
    """Hold a delivered file's size, time and SHA-256."""

    size: int
    mtime_ns: int
    sha256: str


@dataclass
class Record:
    """Hold what is known of one clip's files, those of earlier orders included.

    edit     whose delivery they belong to
    units    the digest of what each finished unit depended on, by its path: a movie, or the folder of a sequence
    files    seals by relative path
    claimed  units that are about to be written: they are ours, whatever lies there after an interruption
    facts    what was measured, by unit
    """

    edit: str
    units: dict[str, str] = field(default_factory=dict)
    files: dict[str, Seal] = field(default_factory=dict)
    claimed: list[str] = field(default_factory=list)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def files_in(self, unit: str) -> list[str]:
        """Return the sealed files of a unit."""
        return [name for name in self.files if is_in(name, unit)]

    def drop(self, unit: str) -> None:
        """Forget a unit, its files and facts."""
        self.units.pop(unit, None)
        self.facts.pop(unit, None)
        for name in self.files_in(unit):
            del self.files[name]

    def claim(self, units: Iterable[str]) -> None:
        """Forget units that are about to be written; they stay ours."""
        for unit in units:
            self.drop(unit)
            self.claimed = sorted({*self.claimed, unit})

    def keep(self, out: Path, unit: str, key: str, facts: Mapping[str, Any]) -> None:
        """Seal a unit that is in its place. Raise MediaError."""
        self.drop(unit)
        self.files |= {name: seal(out, name) for name in files_under(out, unit)}
        self.units[unit] = key
        self.facts |= {unit: dict(facts)} if facts else {}
        self.claimed = [claimed for claimed in self.claimed if claimed != unit]


def is_in(name: str, unit: str) -> bool:
    """Say whether a file is a unit, or lies in its folder."""
    return name == unit or name.startswith(unit + "/")


def record_path(out: Path, key: str) -> Path:
    """Return where a clip's record lies."""
    return out / HIDDEN / "clips" / f"{key}.json"


def read_record(out: Path, key: str, edit: str) -> Record:
    """Return a clip's record; an empty one where there is none, it is damaged, or another edit's."""
    return _read(record_path(out, key), edit) or Record(edit)


def records_of(out: Path, edit: str) -> Iterator[Record]:
    """Yield the records of all clips of a delivery, those that this edit or order has no more included."""
    for path in sorted((out / HIDDEN / "clips").glob("*.json")):
        record = _read(path, edit)
        if record is not None:
            yield record


def _read(path: Path, edit: str) -> Record | None:
    try:
        facts = json.loads(path.read_text("utf-8"))
        if facts["edit"] != edit:
            return None
        files = {name: Seal(**seal) for name, seal in facts["files"].items()}
        return Record(edit, dict(facts["units"]), files, list(facts["claimed"]), dict(facts["facts"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_record(out: Path, key: str, record: Record) -> None:
    """Write a clip's record whole, for every user of a farm. Raise MediaError."""
    try:
        write_open(record_path(out, key), json.dumps(asdict(record), sort_keys=True))
    except OSError as error:
        raise MediaError(f"{out} cannot be written ({error.strerror}); free some space or choose another folder.") from error


def files_under(out: Path, unit: str) -> list[str]:
    """Return the relative paths of what a deliverable consists of: itself, or the files of its folder."""
    place = out / unit
    return sorted(f"{unit}/{path.name}" for path in place.iterdir() if path.is_file()) if place.is_dir() else [unit]


def seal(out: Path, name: str) -> Seal:
    """Return a file's seal. Raise MediaError if it cannot be read."""
    try:
        with (out / name).open("rb") as file:
            total = hashlib.file_digest(file, "sha256").hexdigest()
            stat = os.fstat(file.fileno())
    except OSError as error:
        raise MediaError(f"{out / name} cannot be read ({error.strerror}); run the delivery again.") from error
    return Seal(stat.st_size, stat.st_mtime_ns, total)


def holds(out: Path, record: Record, unit: str, key: str) -> bool:
    """Say whether a unit is finished: made for the same digest, all its files there and unaltered. Seals of touched files are renewed."""
    names = record.files_in(unit)
    return record.units.get(unit) == key and bool(names) and all(intact(out, record, name) for name in names)


def intact(out: Path, record: Record, name: str) -> bool:
    """Say whether a file is as it was sealed."""
    known = record.files[name]
    try:
        stat = (out / name).stat()
    except OSError:
        return False
    if stat.st_size != known.size:
        return False
    if stat.st_mtime_ns != known.mtime_ns:
        fresh = seal(out, name)
        if fresh.sha256 != known.sha256:
            return False
        record.files[name] = fresh
    return True


def delivered_files(out: Path, record: Record) -> dict[str, Seal]:
    """Return a record's files that are no hidden ones and still there as they were sealed."""
    return {name: known for name, known in record.files.items() if not name.startswith(HIDDEN) and intact(out, record, name)}


def check_free(out: Path, record: Record, units: Iterable[str], *, overwrite: bool) -> None:
    """Raise MediaError if a file that this delivery did not write stands where one of its own is to be."""
    for unit in units:
        if overwrite or unit in record.claimed or unit.startswith(HIDDEN):
            continue
        strange = [name for name in files_under(out, unit) if os.path.lexists(out / name) and name not in record.files]
        if strange:
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
    """Write a file for everybody whole: beside its place, then renamed; its folder is made. Raise OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            with suppress(OSError):
                os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
