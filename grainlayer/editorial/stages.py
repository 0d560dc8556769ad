"""Make the files of one clip, stage by stage; a finished file is not made again, and an interrupted stage leaves nothing.

split   the base and the measured profile: the only stage that runs a network or encodes a base
grain   the difference of source and base as delivered
stream  the grain stream, and the container of a base that carries it
result  the picture with its grain as the parameters ask for it
report  what was done and measured

Files of earlier orders that this one does not ask for stay as they are.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from grainlayer.editorial.keys import Keys, digest, keys_of
from grainlayer.editorial.manifest import UNKNOWN, Record, check_free, holds, read_record, write_open, write_record
from grainlayer.editorial.occupancy import clip_held
from grainlayer.editorial.order import HIDDEN, Order, Site, Task, unit_of
from grainlayer.editorial.splitting import make_grain, make_result, make_stream, split
from grainlayer.editorial.workplace import clear_dead, link_or_copy, put_in_place, workplace
from grainlayer.errors import GrainlayerError, MediaError

STAGES = ("split", "grain", "stream", "result", "report")


@dataclass(frozen=True)
class New:
    """Hold a unit that is made and not yet in its place: where it is, the digest of what it depends on, what was measured."""

    path: Path
    key: str
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


Make = Callable[[Path], Mapping[str, New]]
"""Makes a stage's units in a folder and returns them by the paths of their places."""


@dataclass
class Outcome:
    """Hold what became of a clip: the stages done, those that were finished already, and why it failed, if it did."""

    index: int
    name: str
    frames: int
    done: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


THREADS = "2"
"""Threads of a network, wherever it runs: their number tells in the last bits. GRAINLAYER_THREADS sets another for all."""


def make_clip(task: Task, order: Order, site: Site, step: Callable[[int], None]) -> Outcome:
    """Make what is missing or out of date of a clip's files. Errors of the clip are told in the outcome."""
    began = time.monotonic()
    os.environ.setdefault("GRAINLAYER_THREADS", THREADS)
    outcome = Outcome(task.index, task.name, task.frames)
    try:
        clear_dead(site.out)
        with clip_held(site.out, task.key):
            ClipWork(task, order, site, step, outcome).run()
    except GrainlayerError as error:
        outcome.error = str(error)
    except OSError as error:
        outcome.error = f"{error.filename or site.out} could not be used ({error.strerror or error}); check the path and the disk."
    outcome.seconds = round(time.monotonic() - began, 2)
    return outcome


def steps_of(task: Task, order: Order) -> int:
    """Return how many steps a clip's progress has."""
    return task.frames * (1 + ("result" in order.layers))


class ClipWork:
    """Take one clip through its stages."""

    def __init__(self, task: Task, order: Order, site: Site, step: Callable[[int], None], outcome: Outcome) -> None:
        """Read the clip's record. Raise GrainlayerError if what its files depend on cannot be read."""
        self.task, self.order, self.out, self.overwrite, self.step, self.outcome = task, order, site.out, site.overwrite, step, outcome
        self.record: Record = read_record(site.out, task.key, site.edit)
        self.keys: Keys = keys_of(task, order)
        self.base = self._base()

    def run(self) -> None:
        """Do what is not finished. Raise GrainlayerError or OSError."""
        self._split()
        if "grain" in self.order.layers:
            self._grain()
        if "stream" in self.order.layers:
            self._stream()
        if "result" in self.order.layers:
            self._result()
        self._report()
        self._tidy()
        self.outcome.facts = self._measured()

    def _base(self) -> str:
        """Return the path of the base, or nothing: a delivered one serves, asked for or not; else it is made where it is wanted."""
        if not self.order.needs_base:
            return ""
        shown = self.task.base(self.order)
        if "base" in self.order.layers or self._has(shown, self.keys.base):
            return shown
        return self.task.hidden_base(self.order)

    def _has(self, path: str, key: str) -> bool:
        return holds(self.out, self.record, unit_of(path), key)

    def _facts(self, path: str) -> Mapping[str, Any]:
        return self.record.facts.get(unit_of(path), {})

    def _make(self, stage: str, units: Iterable[str], make: Make) -> None:
        """Make a stage's units and put them in place; the record says before which are about to be replaced."""
        check_free(self.out, self.record, units, overwrite=self.overwrite)
        with workplace(self.out, self.task.key) as folder:
            made = make(folder)
            self.record.claim(made)
            self._write()
            for unit, new in made.items():
                put_in_place(new.path, self.out / unit, folder / "old")
        for unit, new in made.items():
            self.record.keep(self.out, unit, new.key, new.facts)
        self._write()
        self.outcome.done.append(stage)

    def _write(self) -> None:
        write_record(self.out, self.task.key, self.record)

    def _one(self) -> None:
        self.step(1)

    def _split(self) -> None:
        """Have base and measured profile."""
        wanted = {self.task.measure: self.keys.measure} | ({unit_of(self.base): self.keys.base} if self.base else {})
        missing = {unit: key for unit, key in wanted.items() if not self._has(unit, key)}
        if not missing:
            self.outcome.kept.append("split")
            self.step(self.task.frames)
            return
        self._check_codec()
        with workplace(self.out, f"{self.task.key} copies") as folder:
            copies = {unit: self._borrowed(key, unit, folder / str(place)) for place, (unit, key) in enumerate(missing.items())}
            found = {unit: new for unit, new in copies.items() if new is not None}
            if len(found) == len(missing):
                self._make("copied", found, lambda _: found)
                self.step(self.task.frames)
                return
        self._make("split", wanted, self._pictures)

    def _check_codec(self) -> None:
        """Raise MediaError if the base would replace a deliverable of another codec that has its name."""
        codec = self._facts(self.base).get("codec", self.order.base_codec)
        allowed = self.overwrite or self.base.startswith(HIDDEN)
        if codec != self.order.base_codec and (self.out / self.base).exists() and not allowed:
            raise MediaError(f"{self.out / self.base} is a base in {codec}; choose another folder or template, or say --overwrite.")

    def _pictures(self, folder: Path) -> Mapping[str, New]:
        made = split(self.task, self.order, self.base, self.keys.base, folder, self._one)
        self._index(self.keys.measure, self.task.measure)
        found = {self.task.measure: New(made.measure, self.keys.measure, {"times": made.times})}
        if made.base:
            self._index(self.keys.base, unit_of(self.base))
            found[unit_of(self.base)] = New(_unit(made.base), self.keys.base, {"codec": self.order.base_codec})
        return found

    def _grain(self) -> None:
        """Have the grain."""
        path, key = self.task.grain(self.order), self.keys.grain
        unit = unit_of(path)

        def make(folder: Path) -> Mapping[str, New]:
            new = self._borrowed(key, unit, folder / "copy")
            if new is None:
                grain, found = make_grain(self.task, self.order, self.out / self.base, key, folder)
                new = New(_unit(grain), key, {"recombination": found})
                self._index(key, unit)
            return {unit: new}

        if self._has(unit, key):
            self.outcome.kept.append("grain")
        else:
            self._make("grain", [unit], make)

    def _stream(self) -> None:
        """Have the grain stream, and the base around it where its container carries one."""
        path, key = self.task.stream(self.order), self.keys.stream
        base = self.base if self.order.movie_base and not self.base.endswith(".mov") else ""

        def make(folder: Path) -> Mapping[str, New]:
            times = self._facts(self.task.measure).get("times", [])
            below = self.out / base if base else None
            stream, movie = make_stream(self.task, self.order, self.out / self.task.measure, below, key, times, folder)
            around = {**self._facts(base), "carried": key}
            return {path: New(stream, key)} | ({base: New(movie, self.keys.base, around)} if movie else {})

        if self._has(path, key) and (not base or self._facts(base).get("carried") == key):
            self.outcome.kept.append("stream")
        else:
            self._make("stream", [path], make)

    def _result(self) -> None:
        """Have the result."""
        path, key = self.task.result(self.order), self.keys.result

        def make(folder: Path) -> Mapping[str, New]:
            below, measured = self.out / self.base, self.out / self.task.measure
            made = make_result(self.task, self.order, below, measured, key, folder, self._one)
            return {unit_of(path): New(_unit(made), key)}

        if self._has(path, key):
            self.outcome.kept.append("result")
            self.step(self.task.frames)
        else:
            self._make("result", [unit_of(path)], make)

    def _report(self) -> None:
        """Have the report."""
        facts = self.report()
        path, key = self.task.report, digest(facts)

        def make(folder: Path) -> Mapping[str, New]:
            made = folder / "report.json"
            made.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", "utf-8")
            return {path: New(made, key)}

        if self._has(path, key):
            self.outcome.kept.append("report")
        else:
            self._make("report", [path], make)

    def report(self) -> dict[str, Any]:
        """Return what the clip's report says: nothing that differs from run to run."""
        task, order = self.task, self.order
        facts: dict[str, Any] = {"index": task.index, "name": task.name, "uid": task.shot.uid, "media": str(task.media)}
        facts |= {"frames": task.frames, "range": [task.start, task.stop], "first_number": task.number, "timecode": task.timecode}
        facts |= {"layers": list(order.layers), "base_codec": order.base_codec, "grain_format": order.grain_format}
        return facts | self._measured() | {"digests": {layer: self.keys.of(layer) for layer in order.layers}}

    def _measured(self) -> dict[str, Any]:
        return dict(self._facts(self.task.grain(self.order))) if "grain" in self.order.layers else {}

    def _index(self, key: str, unit: str) -> None:
        """Say where what was made for a digest lies, for clips that show the same pictures."""
        write_open(self._index_of(key), json.dumps({"clip": self.task.key, "unit": unit}))

    def _index_of(self, key: str) -> Path:
        return self.out / HIDDEN / "splits" / f"{key[:32]}.json"

    def _borrowed(self, key: str, unit: str, place: Path) -> New | None:
        """Return a copy of what another clip, or this one at another place, has made for a digest; None if there is none."""
        try:
            theirs: dict[str, str] = json.loads(self._index_of(key).read_text("utf-8"))
            there, own = theirs["unit"], theirs["clip"] == self.task.key
            other = self.record if own else read_record(self.out, theirs["clip"], self.record.edit)
            facts = other.facts.get(there, {})
            foreign = "carried" in facts and "stream" not in self.order.layers and not unit.startswith(HIDDEN)
            if there == unit or foreign or not holds(self.out, other, there, key):
                return None
            _copy(self.out / there, place, Path(there).name, Path(unit).name)
        except (OSError, ValueError, KeyError, MediaError):
            return None
        if own:
            self._index(key, unit)
        return New(place, key, facts)

    def _tidy(self) -> None:
        """Remove hidden bases of earlier orders; what an interruption left of deliverables that this order has not is kept."""
        before = asdict(self.record)
        hidden = {unit for unit in (*self.record.units, *self.record.claimed) if self.base and unit.startswith(f"{HIDDEN}/bases/")}
        for unit in hidden - {unit_of(self.base)}:
            self.record.drop(unit)
            if (self.out / unit).is_dir():
                shutil.rmtree(self.out / unit, ignore_errors=True)
            else:
                (self.out / unit).unlink(missing_ok=True)
        for unit in self.record.claimed:
            if not unit.startswith(HIDDEN) and (self.out / unit).exists():
                self.record.keep(self.out, unit, UNKNOWN, {})
        self.record.claimed = []
        if asdict(self.record) != before:
            self._write()


def _unit(made: Path) -> Path:
    """Return what is put in place at once: a movie, or all of a sequence's folder."""
    return made.parent if made.suffix == ".exr" else made


def _copy(theirs: Path, ours: Path, their_name: str, our_name: str) -> None:
    """Copy a file, or a sequence's folder whose files bear its name."""
    if not theirs.is_dir():
        link_or_copy(theirs, ours)
        return
    for path in sorted(theirs.iterdir()):
        link_or_copy(path, ours / (our_name + path.name.removeprefix(their_name)))


def facts_of(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON holds it."""
    return asdict(outcome)
