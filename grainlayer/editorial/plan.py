"""Turn an edit into tasks: for every clip that shows pictures, its media, the frames to deliver and the files to write."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from grainlayer.editorial.clips import Found, media_reference, schema_of
from grainlayer.editorial.order import Order, Task, check_names, stems_of
from grainlayer.editorial.shots import PlacedShot, Placement, Shot
from grainlayer.editorial.usedrange import MediaFacts, Overlap, Used, overlaps, used_frames
from grainlayer.errors import GrainlayerError, MediaError, TimelineError
from grainlayer.picture.media import is_sequence, open_media
from grainlayer.picture.timecode import advanced

if TYPE_CHECKING:
    from grainlayer.editorial.timeline import Timeline

NO_GRAIN = "none"
"""The uid of clips without grain of their own; it alters no picture."""


@dataclass(frozen=True)
class Job:
    """Hold a clip that is delivered: its task, and how the edit counts the delivered frames."""

    task: Task
    used: Used


@dataclass(frozen=True)
class Plan:
    """Hold what a delivery does: jobs by the clip's number, why others fail (a sentence each), and what is worth knowing."""

    jobs: Mapping[int, Job]
    failures: Mapping[int, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Return the tasks in the edit's order."""
        return tuple(job.task for job in self.jobs.values())


class Library:
    """Look up each media once."""

    def __init__(self, order: Order) -> None:
        """Begin empty."""
        self._order = order
        self._known: dict[tuple[Path, Fraction], MediaFacts | GrainlayerError] = {}

    def facts(self, path: Path, rate: Fraction) -> MediaFacts:
        """Return what ranges depend on; `rate` is that of sequences that state none. Raise MediaError."""
        if (path, rate) not in self._known:
            try:
                self._known[path, rate] = self._look(path, rate)
            except GrainlayerError as error:
                self._known[path, rate] = error
        found = self._known[path, rate]
        if isinstance(found, GrainlayerError):
            raise found
        return found

    def _look(self, path: Path, rate: Fraction) -> MediaFacts:
        with open_media(path, fields=self._order.fields, rate=rate) as reader:
            info = reader.info
            numbered = info.first_number if info.kind == "sequence" else None
            return MediaFacts(reader.count(), info.rate, info.timecode, numbered)


def make_plan(edit: Timeline, order: Order) -> Plan:
    """Return the tasks of an edit. Raise TimelineError if nothing of it shows pictures, or two files would have one name."""
    library, ends = Library(order), overlaps(edit.tree)
    jobs: dict[int, Job] = {}
    failures: dict[int, str] = {}
    problems = list(edit.shots.problems)
    for found, placed in zip(edit.found, edit.shots, strict=True):
        reason = passed_over(found)
        if reason:
            problems.append(f"{placed.label()} is passed over: {reason}.")
            continue
        try:
            job, said = _job(placed, edit.path, order, library, ends.get(id(found.node), Overlap()))
            jobs[placed.index] = job
            problems += said
        except GrainlayerError as error:
            failures[placed.index] = f'Clip {placed.index} "{placed.name}": {str(error).rstrip(".")}.'
    if not jobs and not failures:
        raise TimelineError(f"{edit.path.name} has no clip that shows pictures; there is nothing to deliver.")
    check_names(tuple(job.task for job in jobs.values()))
    return Plan(jobs, failures, tuple(problems))


def passed_over(found: Found) -> str | None:
    """Return why a clip is not delivered without that being an error, or None."""
    if not found.placement.enabled:
        return "it is disabled"
    if found.placement.source.duration <= 0:
        return "it has a length of zero"
    if schema_of(media_reference(found.node)) == "GeneratorReference":
        return "it is generated, not filmed"
    return None


def _job(placed: PlacedShot, edit: Path, order: Order, library: Library, overlap: Overlap) -> tuple[Job, list[str]]:
    """Return a clip's job, and sentences on what its media lacks. Raise MediaError or TimelineError."""
    placement = placed.placement
    if placement.media is None:
        raise MediaError("it names no media; relink it")
    path = media_path(placement.media, edit)
    facts = library.facts(path, placement.source.rate)
    used = used_frames(placement, overlap, order.handles, facts)
    timecode = advanced(facts.timecode, used.start, facts.rate) if facts.timecode else None
    shot = placed.shot or Shot(NO_GRAIN, placed.name)
    task = Task(
        index=placed.index,
        name=placed.name,
        media=path,
        start=used.start,
        stop=used.stop,
        number=_number(placement, facts, used),
        timecode=timecode,
        rate=placement.source.rate,
        shot=replace(shot, name=""),
        stems=stems_of(placed, order.template, path),
    )
    said = (
        [f"{placed.label()} needs {sum(used.lacks)} frames more than its media has; what is there is delivered."] if any(used.lacks) else []
    )
    if placement.speed is None:
        said.append(f"{placed.label()} changes its speed as it goes, so that all of its media is delivered.")
    return Job(task, used), said


def _number(placement: Placement, facts: MediaFacts, used: Used) -> int:
    """Return the number of the first delivered file: the sequence's own, else its time in the edit's count of the media."""
    if facts.first_number is not None:
        return facts.first_number + used.start
    return max(0, int(used.origin / used.unit)) + used.start


def media_path(media: str, edit: Path) -> Path:
    """Return where a clip's media lies: absolute, or from the edit's folder. Raise MediaError for what is no file."""
    if "://" in media:
        raise MediaError(f"{media} is no file on this machine; copy it here and relink the clip")
    path = Path(os.path.normpath(edit.resolve().parent / media))
    if not is_sequence(path) and not path.exists():
        raise MediaError(f"the media {path} is missing; mount or relink it")
    return path
