"""Deliver an edit as layers: every clip's used pictures as base, grain, result and grain stream, and an edit that stacks them.

Rule: grain is computed against the base as delivered. Parameters changed afterwards rewrite streams, results and the edit only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grainlayer.editorial.farm import Unit, here, on_farm, units_of
from grainlayer.editorial.formats import dump
from grainlayer.editorial.manifest import MANIFEST, read_record, seal, write_manifest, write_open
from grainlayer.editorial.order import HIDDEN, LAYERS, Order, Task
from grainlayer.editorial.plan import Plan, make_plan
from grainlayer.editorial.stack import delivered
from grainlayer.editorial.stages import Outcome, facts_of, make_clip, steps_of
from grainlayer.editorial.timeline import Timeline, read_timeline
from grainlayer.errors import MediaError, TimelineError
from grainlayer.jobs.progress import progress

MARK = "layers"
"""Stands in the name of delivered edits: cut_layers.otio for cut.otio."""


@dataclass(frozen=True)
class Run:
    """Say how a delivery runs: here or on which farm, and whether files that are not its own may be replaced."""

    farm: str | None = None
    workers: int | None = None
    overwrite: bool = False


@dataclass
class Delivery:
    """Hold what became of a delivery."""

    edit: Timeline
    plan: Plan
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    @property
    def failures(self) -> dict[int, str]:
        """Return why clips failed, a sentence each, by the clip's number."""
        found = dict(self.plan.failures)
        for outcome in self.outcomes.values():
            if outcome.error:
                found[outcome.index] = f'Clip {outcome.index} "{outcome.name}": {outcome.error.rstrip(".")}.'
        return dict(sorted(found.items()))


def deliver(timeline: Path, out: Path, order: Order, run: Run) -> dict[str, Any]:
    """Deliver an edit into a folder and return what was done; clips that fail are named under `failures`, and the rest is whole.

    Raise GrainlayerError if nothing can be done: no edit, no clips, a template that gives two files one name, a farm that is not there.
    """
    began = time.monotonic()
    edit = read_timeline(timeline)
    plan = make_plan(edit, order)
    prepare(out, edit, overwrite=run.overwrite)
    delivery = Delivery(edit, plan)
    with progress("Delivering", sum(steps_of(task, order) for task in plan.tasks)) as bar:
        for outcome in outcomes(units_of(plan.tasks), order, out, run, bar.step):
            delivery.outcomes[outcome.index] = outcome
    written = write_edit(delivery, order, out)
    manifest = write_manifest(out, manifest_of(delivery, order, out, written))
    return report(delivery, out, written, manifest, time.monotonic() - began)


def outcomes(units: Sequence[Unit], order: Order, out: Path, run: Run, step: Callable[[int], None]) -> Iterator[Outcome]:
    """Make all units, wherever the run says."""
    if run.farm is None:
        return here(units, order, out, run.overwrite, step)
    return on_farm(units, order, out.resolve(), run.overwrite, step, address=run.farm, workers=run.workers)


def deliver_one(timeline: Path, out: Path, order: Order, index: int, *, overwrite: bool) -> dict[str, Any]:
    """Make the files of one clip alone, as a task of a farm does; edit and manifest are left to the last. Raise GrainlayerError."""
    edit = read_timeline(timeline)
    plan = make_plan(edit, order)
    if index in plan.failures:
        raise MediaError(plan.failures[index])
    if index not in plan.jobs:
        raise TimelineError(f"There is no clip {index} to deliver; the clips are {', '.join(map(str, plan.jobs)) or 'none'}.")
    prepare(out, edit, overwrite=overwrite)
    task = plan.jobs[index].task
    with progress("Delivering", steps_of(task, order)) as bar:
        outcome = make_clip(task, order, out, bar.step, overwrite=overwrite)
    if outcome.error:
        raise MediaError(f'Clip {index} "{outcome.name}": {outcome.error}')
    return facts_of(outcome)


def prepare(out: Path, edit: Timeline, *, overwrite: bool) -> None:
    """Make the folder of a delivery. Raise MediaError if it cannot be, or holds an edit of that name that is none of ours."""
    try:
        out.mkdir(exist_ok=True)
        fresh = not (out / HIDDEN).is_dir()
        taken = [name for name in (edit_name(edit), MANIFEST) if (out / name).exists()]
        if fresh and taken and not overwrite:
            raise MediaError(f"{out / taken[0]} exists and is none of a delivery; choose another folder, or say --overwrite.")
        for name in ("clips", "splits", "measures", "bases"):
            (out / HIDDEN / name).mkdir(parents=True, exist_ok=True)
    except MediaError:
        raise
    except OSError as error:
        raise MediaError(f"{out} cannot be made or written ({error.strerror}); choose another folder with -o.") from error


def edit_name(edit: Timeline) -> str:
    """Return the name of the delivered edit."""
    return f"{edit.path.stem}_{MARK}.otio"


def write_edit(delivery: Delivery, order: Order, out: Path) -> str:
    """Write the edit that stacks the layers, and return its name. Raise MediaError."""
    failed = delivery.failures
    tree = delivered(delivery.edit, delivery.plan, order, out, failed.__contains__)
    name = edit_name(delivery.edit)
    try:
        write_open(out / name, dump(tree).decode("utf-8"))
    except OSError as error:
        raise MediaError(f"{out / name} cannot be written ({error.strerror}); free some space and run again.") from error
    return name


def manifest_of(delivery: Delivery, order: Order, out: Path, edit: str) -> dict[str, Any]:
    """Return the manifest: every delivered file with its size and SHA-256, and what each clip's stages depended on."""
    clips: list[dict[str, Any]] = []
    files = {edit: _entry(out, edit)}
    for task in delivery.plan.tasks:
        if task.index in delivery.failures:
            continue
        record = read_record(out, task.key)
        listed = {name: {"size": known.size, "sha256": known.sha256} for name, known in record.files.items() if HIDDEN not in name}
        files |= listed
        clips.append(_clip(task, order, record.stages, sorted(listed)))
    facts: dict[str, Any] = {"timeline": delivery.edit.path.name, "edit": edit, "order": _told(order), "clips": clips, "files": files}
    return facts | {"failures": list(delivery.failures.values()), "problems": list(delivery.plan.problems)}


def _told(order: Order) -> dict[str, Any]:
    """Return what of an order decides the files, not where they are made."""
    return {key: value for key, value in order.facts().items() if key != "device"}


def _entry(out: Path, name: str) -> dict[str, Any]:
    known = seal(out, name, "edit")
    return {"size": known.size, "sha256": known.sha256}


def _clip(task: Task, order: Order, digests: Mapping[str, str], files: list[str]) -> dict[str, Any]:
    paths = {"base": task.base, "grain": task.grain, "result": task.result, "stream": task.stream}
    layers = {layer: path(order) for layer, path in paths.items() if layer in order.layers}
    facts: dict[str, Any] = {"index": task.index, "name": task.name, "uid": task.shot.uid, "media": str(task.media)}
    facts |= {"range": [task.start, task.stop], "layers": layers, "report": task.report}
    return facts | {"digests": dict(digests), "files": files}


def report(delivery: Delivery, out: Path, edit: str, manifest: Path, seconds: float) -> dict[str, Any]:
    """Return what the command tells."""
    found = [delivery.outcomes[index] for index in sorted(delivery.outcomes)]
    worst = [outcome.facts["recombination"]["worst_steps"] for outcome in found if "recombination" in outcome.facts]
    made = {stage: sum(stage in outcome.done for outcome in found) for stage in ("split", *LAYERS[2:])}
    facts: dict[str, Any] = {"output": str(out), "timeline": str(out / edit), "manifest": str(manifest)}
    facts |= {"clips": len(delivery.plan.jobs) + len(delivery.plan.failures), "frames": sum(outcome.frames for outcome in found)}
    facts |= {"done": made, "worst_steps": max(worst, default=None), "outcomes": [facts_of(outcome) for outcome in found]}
    facts |= {"failures": list(delivery.failures.values()), "problems": list(delivery.plan.problems)}
    return facts | {"seconds": round(seconds, 2)}
