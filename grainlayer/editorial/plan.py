"""Turn an edit into tasks: for every clip that shows pictures, its media, the frames to deliver and the files to write."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from grainlayer.editorial.clips import Found, media_reference, schema_of
from grainlayer.editorial.order import HIDDEN, Order, Task, check_names, stems_of, unit_of
from grainlayer.editorial.shots import PlacedShot, Placement, Shot
from grainlayer.editorial.usedrange import MediaFacts, Overlap, Used, overlaps, rates_said, used_frames
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
    """Hold what a delivery does: jobs by the clip's number, why others fail (a sentence each), and what is worth knowing.

    clips  the numbers of all clips that show pictures, those that were not asked for included
    """

    jobs: Mapping[int, Job]
    clips: tuple[int, ...]
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


def make_plan(edit: Timeline, order: Order, only: int | None = None) -> Plan:
    """Return the tasks of an edit, or the one of a clip's number: no other media is opened then.

    Raise TimelineError if nothing of it shows pictures, or two files would have one name.
    """
    library, ends = Library(order), overlaps(edit.tree)
    jobs: dict[int, Job] = {}
    failures: dict[int, str] = {}
    stems: dict[int, dict[str, str]] = {}
    problems = [*edit.shots.problems, *map(str, edit.shots.conflicts)]
    for found, placed in zip(edit.found, edit.shots, strict=True):
        reason = passed_over(found)
        if reason:
            problems.append(f"{placed.label()} is passed over: {reason}.")
            continue
        stems[placed.index] = stems_of(placed, order.template, Path(placed.placement.media or ""))
        if only not in (None, placed.index):
            continue
        try:
            job, said = _job(placed, edit.path, stems[placed.index], order, library, ends.get(id(found.node), Overlap()))
            jobs[placed.index] = job
            problems += said
        except GrainlayerError as error:
            failures[placed.index] = f'Clip {placed.index} "{placed.name}": {str(error).rstrip(".")}.'
    if not stems:
        raise TimelineError(f"{edit.path.name} has no clip that shows pictures; there is nothing to deliver.")
    check_names(stems)
    return Plan(jobs, tuple(stems), failures, tuple(problems))


def check_sources(plan: Plan, order: Order, out: Path) -> None:
    """Raise TimelineError if a clip's media is what the delivery itself would write."""
    place = out.resolve()
    written = {place / unit_of(path) for task in plan.tasks for path in task.layers(order).values()}
    for task in plan.tasks:
        media = task.media.resolve()
        if media in written or media.parent in written or media.is_relative_to(place / HIDDEN):
            raise TimelineError(
                f'Clip {task.index} "{task.name}" shows {task.media}, which is what this delivery writes; choose another folder with -o.'
            )


def passed_over(found: Found) -> str | None:
    """Return why a clip is not delivered without that being an error, or None."""
    if not found.placement.enabled:
        return "it is disabled"
    if found.placement.source.duration <= 0:
        return "it has a length of zero"
    if schema_of(media_reference(found.node)) == "GeneratorReference":
        return "it is generated, not filmed"
    return None


def _job(
    placed: PlacedShot, edit: Path, stems: Mapping[str, str], order: Order, library: Library, overlap: Overlap
) -> tuple[Job, list[str]]:
    """Return a clip's job, and sentences on its media. Raise MediaError or TimelineError."""
    placement = placed.placement
    if placement.media is None:
        raise MediaError("it names no media; relink it")
    path = media_path(placement.media, edit)
    facts = library.facts(path, placement.source.rate)
    used = used_frames(placement, overlap, order.handles, facts)
    task = Task(
        index=placed.index,
        name=placed.name,
        media=path,
        start=used.start,
        stop=used.stop,
        number=_number(placement, facts, used),
        timecode=advanced(facts.timecode, used.start, facts.rate) if facts.timecode else None,
        rate=placement.source.rate,
        shot=replace(placed.shot or Shot(NO_GRAIN, placed.name), name=""),
        stems=stems,
    )
    return Job(task, used), _said(placed, facts, used)


def _said(placed: PlacedShot, facts: MediaFacts, used: Used) -> list[str]:
    """Return sentences on what of a clip's media needs a look."""
    said: list[str] = []
    if any(used.lacks):
        said.append(f"{placed.label()} needs {sum(used.lacks)} frames more than its media has; what is there is delivered.")
    rates = rates_said(placed.placement, facts)
    if rates:
        said.append(f"{placed.label()} {rates}.")
    if placed.placement.speed is None:
        said.append(f"{placed.label()} changes its speed as it goes, so that all of its media is delivered.")
    return said


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
