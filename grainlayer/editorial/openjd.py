"""Write a delivery as a job of the Open Job Description, for Deadline Cloud and its kin: a task a clip, then edit and manifest."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grainlayer.editorial.deliver import Run, identity
from grainlayer.editorial.manifest import write_open
from grainlayer.editorial.order import Order
from grainlayer.editorial.plan import check_sources, make_plan
from grainlayer.editorial.timeline import read_timeline
from grainlayer.errors import MediaError, TimelineError
from grainlayer.picture.numbering import ranges

VERSION = "jobtemplate-2023-09"
LONGEST_TITLE = 128


def write_template(path: Path, timeline: Path, out: Path, order: Order, run: Run) -> dict[str, Any]:
    """Write the template of a delivery and return what it holds. Raise TimelineError or MediaError.

    Clips whose media is missing have no task; the last step names them.
    """
    if path.exists() and not run.overwrite:
        raise MediaError(f"{path} exists already; choose another name, or say --overwrite to replace it.")
    edit = read_timeline(timeline)
    plan = make_plan(edit, order)
    if not plan.jobs:
        raise TimelineError(f"No clip of {timeline.name} can be delivered: {' '.join(plan.failures.values())}")
    check_sources(plan, order, out)
    values = {"Timeline": str(timeline.resolve()), "Output": str(out.resolve()), "Name": identity(edit, run.name), "Program": program()}
    options = [*options_of(order), *(["--overwrite"] if run.overwrite else [])]
    made = template(f"GrainLayer {edit.shots.name}", sorted(plan.jobs), values, options)
    try:
        write_open(path, json.dumps(made, indent=2) + "\n")
    except OSError as error:
        raise MediaError(f"{path} cannot be written ({error.strerror}); choose another place.") from error
    return {"output": str(path), "tasks": len(plan.jobs), "failures": list(plan.failures.values()), "problems": list(plan.problems)}


def template(title: str, indices: Sequence[int], values: Mapping[str, str], options: Sequence[str]) -> dict[str, Any]:
    """Return a job template with these parameters: the step Shots, with a task for each clip, then the step Edit."""
    words = ["deliver", "{{Param.Timeline}}", "-o", "{{Param.Output}}", "--name", "{{Param.Name}}", *options]
    shots = {"name": "Index", "type": "INT", "range": ",".join(ranges(indices))}
    return {
        "specificationVersion": VERSION,
        "name": re.sub(r"[\x00-\x1f\x7f]|\{\{|\}\}", " ", title)[:LONGEST_TITLE],
        "parameterDefinitions": [{"name": name, "type": "STRING", "default": value} for name, value in values.items()],
        "steps": [
            {
                "name": "Shots",
                "parameterSpace": {"taskParameterDefinitions": [shots]},
                "script": _script([*words, "--only", "{{Task.Param.Index}}"]),
            },
            {"name": "Edit", "dependencies": [{"dependsOn": "Shots"}], "script": _script(words)},
        ],
    }


def _script(words: list[str]) -> dict[str, Any]:
    return {"actions": {"onRun": {"command": "{{Param.Program}}", "args": words}}}


def program() -> str:
    """Return the program that a task starts: the one beside this Python, or whichever the farm's machines find."""
    for name in ("grainlayer", "grainlayer.exe"):
        beside = Path(sys.executable).parent / name
        if beside.is_file():
            return str(beside)
    return "grainlayer"


def options_of(order: Order) -> list[str]:
    """Return an order as the command's options; what a machine decides for itself, the device, is left out where it is automatic."""
    template = re.sub(r"\{\{|\}\}", "", order.template)
    words = ["--layers", ",".join(order.layers), "--base-codec", order.base_codec, "--grain-format", order.grain_format]
    words += ["--handles", str(order.handles), "--template", template, "--fields", order.fields]
    chosen = (("--crf", order.crf), ("--preset", order.preset), ("--model", order.model))
    words += [word for flag, value in chosen if value is not None for word in (flag, str(value))]
    words += ["--device", order.device] if order.device != "auto" else []
    return [*words, *(["--absolute"] if order.absolute else [])]
