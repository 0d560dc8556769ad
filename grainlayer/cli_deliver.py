"""The command `grainlayer deliver`: an edit rendered into layers."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from grainlayer.errors import TimelineError

if TYPE_CHECKING:
    from grainlayer.editorial.deliver import Run
    from grainlayer.editorial.order import Order

FILE = click.Path(path_type=Path)
SHOWN = ("output", "timeline", "manifest", "clips", "frames", "worst_steps", "seconds")


@click.command()
@click.argument("timeline", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="The folder for layers, edit, reports and manifest.")
@click.option("--layers", default="base,grain,result,stream", show_default=True, help="Which layers are delivered, separated by commas.")
@click.option("--base-codec", type=click.Choice(["av1", "hevc", "vvc", "prores", "exr", "ffv1"]), default="av1", show_default=True)
@click.option("--grain-format", type=click.Choice(["exr", "prores4444", "ffv1"]), default="exr", show_default=True)
@click.option("--handles", type=click.IntRange(0), default=0, show_default=True, help="Frames before and after what each clip shows.")
@click.option("--template", default="{index:03d}_{name}_{layer}", show_default=True, help="Names the files.")
@click.option("--crf", type=float, default=None, help="Constant quality of the base, in its codec's scale.")
@click.option("--preset", default=None, help="Speed preset of the base's encoder.")
@click.option("--name", default=None, help="What this delivery is known by, over versions of the edit under other paths [the edit's path].")
@click.option("--absolute", is_flag=True, help="Name the layers in the edit by absolute paths, as Resolve wants them.")
@click.option("--farm", default=None, help="Hand shots to processes: local, or a Dask scheduler as tcp://ADDRESS.")
@click.option("--workers", type=click.IntRange(1), default=None, help="Processes of --farm local [one for each processor].")
@click.option("--openjd", type=FILE, default=None, help="Only write the job as an Open Job Description template into this file.")
@click.option("--only", type=click.IntRange(1), default=None, help="Only make the files of the clip of this number, as a farm's task.")
@click.option("--watch", is_flag=True, help="TIMELINE is a folder: deliver what arrives in it, until interrupted.")
@click.option("--poll", type=click.FloatRange(0.05), default=5.0, show_default=True, help="Seconds between two looks of --watch.")
@click.option("--device", default="auto", show_default=True, help="Where networks run: auto, cpu, cuda, tensorrt, coreml, directml.")
@click.option("--model", default=None, help="A removal model by its id; see `grainlayer models`.")
@click.option("--fields", type=click.Choice(["refuse", "progressive"]), default="refuse", help="How interlaced material is treated.")
@click.option("--overwrite", is_flag=True, help="Replace files that are none of an earlier delivery's.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line of stdout.")
def deliver(timeline: Path, output: Path, as_json: bool, **values: Any) -> None:
    """Render the clips of TIMELINE into layers, with an edit that stacks them: base below, grain above, the result switched off.

    Run again, it does only what is missing or has changed: new grain parameters rewrite grain streams, results and the edit, never the
    base. A clip that fails is named at the end (exit 1), and the rest is whole.
    """
    _check_modes(values)
    from grainlayer.editorial.deliver import Run, deliver_one

    order, run = _order(values), Run(values["farm"], values["workers"], values["overwrite"], values["name"])
    if values["watch"]:
        _watch(timeline, output, order, run, values["poll"])
    elif values["only"]:
        _show(deliver_one(timeline, output, order, run, values["only"]), as_json)
    elif values["openjd"]:
        from grainlayer.editorial.openjd import write_template

        _show(write_template(values["openjd"], timeline, output, order, run), as_json)
    else:
        _deliver(timeline, output, order, run, as_json)


def _check_modes(values: dict[str, Any]) -> None:
    """Raise UsageError for options that exclude each other."""
    modes = [f"--{name}" for name in ("openjd", "only", "watch") if values[name]]
    if len(modes) > 1:
        raise click.UsageError(f"{' and '.join(modes)} exclude each other; give one of them.")
    if values["farm"] and modes and modes != ["--watch"]:
        raise click.UsageError(f"{modes[0]} and --farm exclude each other; give one of them.")
    if values["name"] and values["watch"]:
        raise click.UsageError("--name and --watch exclude each other: each arrival is known by its path.")
    if values["workers"] and values["farm"] != "local":
        raise click.UsageError("--workers counts the processes of --farm local; say that too, or leave it out.")


def _order(values: dict[str, Any]) -> Order:
    from grainlayer.editorial.order import Order

    names = ("base_codec", "grain_format", "handles", "template", "crf", "preset", "device", "model", "fields", "absolute")
    layers = dict.fromkeys(part.strip() for part in values["layers"].split(",") if part.strip())
    return Order(layers=tuple(layers), **{name: values[name] for name in names})


def _deliver(timeline: Path, output: Path, order: Order, run: Run, as_json: bool) -> None:
    from grainlayer.editorial.deliver import deliver

    report = deliver(timeline, output, order, run)
    _show(report, as_json)
    if report["failures"]:
        raise TimelineError(f"{len(report['failures'])} of {report['clips']} clips were not delivered. {' '.join(report['failures'])}")


def _watch(timeline: Path, output: Path, order: Order, run: Run, poll: float) -> None:
    from grainlayer.editorial.watch import watch

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # services are ended so, and where SIGINT is ignored, as in the background
    count = watch(timeline, output, order, run, poll=poll, say=lambda sentence: print(sentence, file=sys.stderr, flush=True))
    print(json.dumps({"deliveries": count}))


def _show(report: dict[str, Any], as_json: bool) -> None:
    """Print one JSON object, or a line a fact; problems go to stderr."""
    if as_json:
        print(json.dumps(report))
        return
    for problem in report.get("problems", []):
        print(f"grainlayer: {problem}", file=sys.stderr)
    for key, value in report.items():
        if key in SHOWN and value is not None:
            print(f"{key.replace('_', ' '):>16}  {value}")
