"""Deliver an edit as layers: every clip's used pictures as base, grain, result and grain stream, and an edit that stacks them.

Rule: grain is computed against the base as delivered. Parameters changed afterwards rewrite streams, results and the edit only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grainlayer.editorial.companion import Companion, companion_path, companion_to_json
from grainlayer.editorial.farm import Unit, here, on_farm, units_of
from grainlayer.editorial.formats import dump
from grainlayer.editorial.keys import digest
from grainlayer.editorial.manifest import Record, delivered_files, read_record, records_of, seal, write_manifest, write_open
from grainlayer.editorial.occupancy import Claim, occupied, other_delivery, standing
from grainlayer.editorial.order import Order, Site, Task, safe_part, unit_of
from grainlayer.editorial.plan import Plan, check_sources, make_plan
from grainlayer.editorial.stack import delivered, titles
from grainlayer.editorial.stages import STAGES, Outcome, facts_of, make_clip, steps_of
from grainlayer.editorial.timeline import Timeline, read_timeline, remember
from grainlayer.errors import MediaError, TimelineError
from grainlayer.jobs.progress import progress

MARK = "layers"
"""Stands in the name of delivered edits: cut_layers.otio for cut.otio."""
NAMED = 4
"""Files that a sentence names, at most."""


@dataclass(frozen=True)
class Run:
    """Say how a delivery runs.

    farm, workers  on which farm, None for here
    overwrite      whether files that are not its own may be replaced
    name           what the delivery is known by, the edit's path if None; a new version under another path has the same name
    """

    farm: str | None = None
    workers: int | None = None
    overwrite: bool = False
    name: str | None = None


@dataclass
class Delivery:
    """Hold what became of a delivery."""

    edit: Timeline
    plan: Plan
    order: Order
    site: Site
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    @property
    def failures(self) -> dict[int, str]:
        """Return why clips failed, a sentence each, by the clip's number."""
        found = dict(self.plan.failures)
        for outcome in self.outcomes.values():
            if outcome.error:
                found[outcome.index] = f'Clip {outcome.index} "{outcome.name}": {outcome.error.rstrip(".")}.'
        return dict(sorted(found.items()))

    @property
    def problems(self) -> list[str]:
        """Return what is worth knowing, a sentence each."""
        return [*self.plan.problems, *self.said]

    @property
    def tasks(self) -> list[Task]:
        """Return the clips that are delivered."""
        return [task for task in self.plan.tasks if task.index not in self.failures]


def deliver(timeline: Path, out: Path, order: Order, run: Run) -> dict[str, Any]:
    """Deliver an edit into a folder and return what was done; clips that fail are named under `failures`, and the rest is whole.

    Raise GrainlayerError if nothing can be done: no edit, no clips, a template that gives two files one name, a folder with another
    edit's delivery, a farm that is not there.
    """
    return deliver_edit(read_timeline(timeline), out, order, run)


def deliver_edit(edit: Timeline, out: Path, order: Order, run: Run) -> dict[str, Any]:
    """Deliver an edit that was read; see `deliver`."""
    began = time.monotonic()
    plan = make_plan(edit, order)
    site = Site(out, identity(edit, run.name), run.overwrite)
    delivery = Delivery(edit, plan, order, site)
    check_sources(plan, order, out)
    replaced = other_delivery(out, site.edit) if run.overwrite else None
    with _occupied(edit, order, site, alone=True):
        with progress("Delivering", sum(steps_of(task, order) for task in plan.tasks)) as bar:
            for outcome in outcomes(units_of(plan.tasks), order, site, run, bar.step):
                delivery.outcomes[outcome.index] = outcome
        edits = write_edits(delivery)
        if replaced:
            delivery.said.append(f"{out} held the delivery of {replaced}; those of its files that were not replaced lie there still.")
        manifest = write_manifest(out, manifest_of(delivery, edits))
    return report(delivery, edits, manifest, time.monotonic() - began)


def identity(edit: Timeline, name: str | None) -> str:
    """Return what a delivery is known by: the name that the user chose, else the edit's path."""
    return name or str(edit.path.resolve())


def job_of(edit: str, order: Order) -> str:
    """Return what tells one job from another: whose delivery it is, and what is ordered, wherever it is made."""
    return digest([edit, _told(order)])


def _occupied(edit: Timeline, order: Order, site: Site, *, alone: bool) -> AbstractContextManager[None]:
    names = edit_names(edit)
    claim = Claim(site.edit, job_of(site.edit, order), (*names, *(companion_path(Path(name)).name for name in names)))
    return occupied(site.out, claim, overwrite=site.overwrite, alone=alone)


def outcomes(units: Sequence[Unit], order: Order, site: Site, run: Run, step: Callable[[int], None]) -> Iterator[Outcome]:
    """Make all units, wherever the run says."""
    if run.farm is None or not units:
        return here(units, order, site, step)
    there = Site(site.out.resolve(), site.edit, site.overwrite)
    return on_farm(units, order, there, step, address=run.farm, workers=run.workers)


def deliver_one(timeline: Path, out: Path, order: Order, run: Run, index: int) -> dict[str, Any]:
    """Make the files of one clip alone, as a task of a farm does; edit and manifest are left to the last. Raise GrainlayerError."""
    edit = read_timeline(timeline)
    plan = make_plan(edit, order, only=index)
    if index in plan.failures:
        raise MediaError(plan.failures[index])
    if index not in plan.jobs:
        raise TimelineError(f"There is no clip {index} to deliver; the clips are {', '.join(map(str, plan.clips)) or 'none'}.")
    site, task = Site(out, identity(edit, run.name), run.overwrite), plan.jobs[index].task
    check_sources(plan, order, out)
    with _occupied(edit, order, site, alone=False), progress("Delivering", steps_of(task, order)) as bar:
        outcome = make_clip(task, order, site, bar.step)
    if outcome.error:
        raise MediaError(f'Clip {index} "{outcome.name}": {outcome.error}')
    return facts_of(outcome)


def edit_names(edit: Timeline) -> list[str]:
    """Return the names of the delivered edits: one, but for a collection of timelines."""
    inside = titles(edit.tree)
    if len(inside) == 1:
        return [f"{edit.path.stem}_{MARK}.otio"]
    return [f"{edit.path.stem}_{number:02d}_{safe_part(title) or 'timeline'}_{MARK}.otio" for number, title in enumerate(inside, 1)]


def write_edits(delivery: Delivery) -> list[str]:
    """Write the edits that stack the layers, with the versions of grain that lost a conflict beside them, and return their names.

    Raise MediaError.
    """
    edit, out, failed = delivery.edit, delivery.site.out, delivery.failures
    kept = remember(edit.companion.kept, edit.shots.conflicts)
    trees = delivered(edit, delivery.plan, delivery.order, out, failed.__contains__)
    names = edit_names(edit)
    for name, tree in zip(names, trees, strict=True):
        try:
            write_open(out / name, dump(tree).decode("utf-8"))
            if kept:
                write_open(companion_path(out / name), companion_to_json(Companion(kept=kept, rate=edit.shots.rate), name))
        except OSError as error:
            raise MediaError(f"{out / name} cannot be written ({error.strerror}); free some space and run again.") from error
    return names


def manifest_of(delivery: Delivery, edits: list[str]) -> dict[str, Any]:
    """Return the manifest: every delivered file with its size and SHA-256, and what each clip's files depended on.

    Files of earlier versions and orders, which this one does not make, stay; they are listed too, and named under `kept`.
    """
    out, order = delivery.site.out, delivery.order
    own = {name for name in (*edits, *(companion_path(Path(name)).name for name in edits)) if (out / name).exists()}
    found = standing(out)
    files = {name: seal(out, name) for name in (found.names if found else ()) if (out / name).exists()}
    for record in records_of(out, delivery.site.edit):
        files |= delivered_files(out, record)
    units, planned = _units(delivery.tasks, order), _units(delivery.plan.tasks, order)
    kept = [name for name in sorted(files) if name not in own and not {name, _folder(name)} & units]
    left = [name for name in kept if not {name, _folder(name)} & planned]
    if left:
        named = ", ".join(left[:NAMED]) + (f" and {len(left) - NAMED} more" if len(left) > NAMED else "")
        delivery.said.append(f"Files of earlier deliveries that this one does not make are kept as they were: {named}.")
    clips = [_clip(task, order, read_record(out, task.key, delivery.site.edit)) for task in delivery.tasks]
    facts: dict[str, Any] = {"timeline": delivery.edit.path.name, "identity": delivery.site.edit, "edits": edits, "order": _told(order)}
    facts |= {"clips": clips, "kept": kept, "files": {name: {"size": known.size, "sha256": known.sha256} for name, known in files.items()}}
    return facts | {"failures": list(delivery.failures.values()), "problems": delivery.problems}


def _units(tasks: Iterable[Task], order: Order) -> set[str]:
    """Return what clips are delivered as: movies and other files, and the folders of sequences."""
    return {unit_of(path) for task in tasks for path in (*task.layers(order).values(), task.report)}


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _told(order: Order) -> dict[str, Any]:
    """Return what of an order decides the files, not where they are made."""
    return {key: value for key, value in order.facts().items() if key != "device"}


def _clip(task: Task, order: Order, record: Record) -> dict[str, Any]:
    layers = task.layers(order)
    digests = {layer: record.units.get(unit_of(path)) for layer, path in (layers | {"report": task.report}).items()}
    files = sorted(name for path in (*layers.values(), task.report) for name in record.files_in(unit_of(path)))
    facts: dict[str, Any] = {"index": task.index, "name": task.name, "uid": task.shot.uid, "media": str(task.media)}
    facts |= {"range": [task.start, task.stop], "layers": layers, "report": task.report}
    return facts | {"digests": digests, "files": files}


def report(delivery: Delivery, edits: list[str], manifest: Path, seconds: float) -> dict[str, Any]:
    """Return what the command tells."""
    out = delivery.site.out
    found = [delivery.outcomes[index] for index in sorted(delivery.outcomes)]
    worst = [outcome.facts["recombination"]["worst_steps"] for outcome in found if "recombination" in outcome.facts]
    made = {stage: sum(stage in outcome.done for outcome in found) for stage in STAGES[:-1]}
    facts: dict[str, Any] = {"output": str(out), "timeline": str(out / edits[0]), "timelines": [str(out / name) for name in edits]}
    facts |= {"manifest": str(manifest), "clips": len(delivery.plan.jobs) + len(delivery.plan.failures)}
    facts |= {"frames": sum(outcome.frames for outcome in found), "done": made, "worst_steps": max(worst, default=None)}
    facts |= {"outcomes": [facts_of(outcome) for outcome in found]}
    facts |= {"failures": list(delivery.failures.values()), "problems": delivery.problems}
    return facts | {"seconds": round(seconds, 2)}
