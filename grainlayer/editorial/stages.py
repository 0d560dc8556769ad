"""Make the files of one clip, stage by stage; a finished stage is not done again, and an interrupted one leaves nothing.

split   base and own grain, and the measured profile: the only stage that runs a network or encodes a base
stream  the grain stream, and the container of a base that carries it
result  the picture with its grain as the parameters ask for it
report  what was done and measured
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from grainlayer.editorial import keys
from grainlayer.editorial.manifest import (
    Record,
    check_free,
    files_under,
    forget,
    holds,
    read_record,
    seal,
    write_open,
    write_record,
)
from grainlayer.editorial.order import HIDDEN, Order, Task, unit_of
from grainlayer.editorial.splitting import make_result, make_stream, split
from grainlayer.editorial.workplace import clear_dead, link_or_copy, put_in_place, workplace
from grainlayer.errors import GrainlayerError

Make = Callable[[Path], Mapping[str, Path]]
"""Makes a stage's files in a folder and returns them by the paths of their places."""


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


def make_clip(task: Task, order: Order, out: Path, step: Callable[[int], None], *, overwrite: bool = False) -> Outcome:
    """Make what is missing or out of date of a clip's files. Errors of the clip are told in the outcome."""
    began = time.monotonic()
    os.environ.setdefault("GRAINLAYER_THREADS", THREADS)
    outcome = Outcome(task.index, task.name, task.frames)
    try:
        clear_dead(out)
        work = ClipWork(task, order, out, step, overwrite, outcome)
        work.run()
        outcome.facts = work.record.facts.get("split", {})
    except GrainlayerError as error:
        outcome.error = str(error)
    except OSError as error:
        outcome.error = f"{error.filename or out} could not be used ({error.strerror or error}); check the path and the disk."
    outcome.seconds = round(time.monotonic() - began, 2)
    return outcome


def steps_of(task: Task, order: Order) -> int:
    """Return how many steps a clip's progress has."""
    return task.frames * (1 + ("result" in order.layers))


class ClipWork:
    """Take one clip through its stages."""

    def __init__(self, task: Task, order: Order, out: Path, step: Callable[[int], None], overwrite: bool, outcome: Outcome) -> None:
        """Read the clip's record."""
        self.task, self.order, self.out, self.step, self.overwrite = task, order, out, step, overwrite
        self.record: Record = read_record(out, task.key)
        self.outcome = outcome

    def run(self) -> None:
        """Do the stages that are not finished. Raise GrainlayerError or OSError."""
        task, order = self.task, self.order
        split_key = keys.split_key(task, order)
        base = [task.base(order)] if order.needs_base else []
        grain = [task.grain(order)] if "grain" in order.layers else []
        self._stage("split", split_key, [*base, *grain, task.measure], self._split, task.frames)
        for stage in {"stream", "result"} - set(order.layers):
            forget(self.record, stage)
        if "stream" in order.layers:
            self._stage("stream", keys.stream_key(task, order, split_key), [task.stream(order)], self._stream, 0)
        if "result" in order.layers:
            self._stage("result", keys.result_key(task, order, split_key), [task.result(order)], self._result, task.frames)
        reported = keys.digest(self.report())
        self._stage("report", reported, [task.report], self._report, 0)
        self._clear()

    def _stage(self, stage: str, key: str, paths: list[str], make: Make, steps: int) -> None:
        """Do a stage unless it is finished, and write its record."""
        units = [unit_of(path) for path in paths]
        if holds(self.out, self.record, stage, key, units):
            self.outcome.kept.append(stage)
            self.step(steps)
            return
        check_free(self.out, self.record, units, overwrite=self.overwrite)
        self._begin(stage, units)
        with workplace(self.out, self.task.key) as folder:
            for unit, made in make(folder).items():
                put_in_place(made, self.out / unit, folder / "old")
        self._finish(stage, key, units)

    def _begin(self, stage: str, units: list[str]) -> None:
        """Say in the record, before anything is put in place, which files are about to be replaced."""
        forget(self.record, stage)
        if stage == "split":
            forget(self.record, "stream")
        self.record.claimed = sorted({*self.record.claimed, *units})
        write_record(self.out, self.task.key, self.record)

    def _finish(self, stage: str, key: str, units: list[str]) -> None:
        names = [name for unit in units for name in files_under(self.out, unit)]
        self.record.files |= {name: seal(self.out, name, stage) for name in names}
        self.record.stages[stage] = key
        if stage == "stream" and self.order.movie_base:
            base = self.task.base(self.order)
            self.record.files[base] = seal(self.out, base, "split")
        write_record(self.out, self.task.key, self.record)
        self.outcome.done.append(stage)

    def _clear(self) -> None:
        """Remove what earlier orders and interrupted runs left of this clip's files."""
        if not self.record.claimed:
            return
        for name in self.record.claimed:
            place = self.out / name
            if name not in self.record.files and not place.is_dir():
                place.unlink(missing_ok=True)
                with suppress(OSError):
                    place.parent.rmdir()
        self.record.claimed = []
        write_record(self.out, self.task.key, self.record)

    def _split(self, folder: Path) -> Mapping[str, Path]:
        task, order = self.task, self.order
        key = keys.split_key(task, order)
        shared = self._shared(key, folder)
        if shared is not None:
            self.step(task.frames)
            return shared
        made = split(task, order, folder, self._one)
        self.record.facts["split"] = made.facts
        found = {task.measure: made.measure}
        found |= {unit_of(task.base(order)): _unit(made.base)} if made.base else {}
        found |= {unit_of(task.grain(order)): _unit(made.grain)} if made.grain else {}
        write_open(self._index(key), json.dumps(self._units()))
        return found

    def _one(self) -> None:
        self.step(1)

    def _index(self, key: str) -> Path:
        """Return the file that says which clip was split with a digest."""
        path = self.out / HIDDEN / "splits" / f"{key[:32]}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _units(self) -> dict[str, str]:
        task, order = self.task, self.order
        found = {"clip": task.key, "measure": task.measure}
        found |= {"base": unit_of(task.base(order))} if order.needs_base else {}
        return found | ({"grain": unit_of(task.grain(order))} if "grain" in order.layers else {})

    def _shared(self, key: str, folder: Path) -> Mapping[str, Path] | None:
        """Return copies of another clip's layers, made of the same pictures by the same parameters; None if there are none."""
        try:
            theirs: dict[str, str] = json.loads(self._index(key).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        other, ours = read_record(self.out, theirs.pop("clip")), self._units()
        clip = ours.pop("clip")
        if clip == theirs.get("clip") or theirs.keys() != ours.keys() or set(theirs.values()) & set(ours.values()):
            return None
        if not holds(self.out, other, "split", key, theirs.values()):
            return None
        found: dict[str, Path] = {}
        for layer, unit in ours.items():
            found[unit] = folder / layer
            _copy(self.out / theirs[layer], found[unit], Path(theirs[layer]).name, Path(unit).name)
        self.record.facts["split"] = other.facts.get("split", {})
        return found

    def _stream(self, folder: Path) -> Mapping[str, Path]:
        task, order = self.task, self.order
        base = self.out / task.base(order) if order.movie_base else None
        times = self.record.facts.get("split", {}).get("times", [])
        stream, movie = make_stream(task, order, self.out / task.measure, base, times, folder)
        return {task.stream(order): stream} | ({task.base(order): movie} if movie else {})

    def _result(self, folder: Path) -> Mapping[str, Path]:
        task, order = self.task, self.order
        made = make_result(task, order, self.out / task.base(order), self.out / task.measure, folder, self._one)
        return {unit_of(task.result(order)): _unit(made)}

    def _report(self, folder: Path) -> Mapping[str, Path]:
        path = folder / "report.json"
        path.write_text(json.dumps(self.report(), indent=1, sort_keys=True) + "\n", "utf-8")
        return {self.task.report: path}

    def report(self) -> dict[str, Any]:
        """Return what the clip's report says: nothing that differs from run to run."""
        task, order = self.task, self.order
        facts: dict[str, Any] = {"index": task.index, "name": task.name, "uid": task.shot.uid, "media": str(task.media)}
        facts |= {"frames": task.frames, "range": [task.start, task.stop], "first_number": task.number, "timecode": task.timecode}
        facts |= {"layers": list(order.layers), "base_codec": order.base_codec, "grain_format": order.grain_format}
        found = self.record.facts.get("split", {})
        facts |= {"recombination": found["recombination"]} if "recombination" in found else {}
        return facts | {"digests": {stage: key for stage, key in self.record.stages.items() if stage != "report"}}


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
    """Return an outcome as JSON holds it, without the times of its pictures."""
    facts = asdict(outcome)
    facts["facts"] = {key: value for key, value in facts["facts"].items() if key != "times"}
    return facts
