"""The command `grainlayer restore`: compression damage undone, in a file of more depth and more colour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from grainlayer.options import common, param_options, read_params, read_range, read_shots, show
from grainlayer.params import Effect, Group

FILE = click.Path(path_type=Path)

HINTS = {
    "quality": "Chooses the network: real-time sees each picture by itself and is faster; the others also see three before and after. "
    "quality takes several times as long as default for a little more, temporal is default here.",
    "encoding": "Says what the code values mean, whatever tags say: linear light is restored through a log curve, all others as they are.",
}
"""What parameters that every effect has mean to a restoration."""


@click.command()
@click.argument("source", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="A movie, .mov or .mkv, or a sequence such as shot.%04d.tif.")
@click.option(
    "--to",
    default=None,
    help="Sample format stored, by FFmpeg's name [yuv422p10, or finer where SOURCE is and the codec allows; stills: 16 bits].",
)
@click.option("--codec", default=None, help="Codec of the movie written: prores, dnxhr, ffv1; by the suffix otherwise.")
@click.option("--frames", default=None, help="Only these frames, as 24-47.")
@param_options(Effect.ARTIFACT_RESTORE, (Group.GENERAL, Group.RESTORE), HINTS)
@common
def restore(source: Path, output: Path, frames: str | None, as_json: bool, **values: Any) -> None:
    """Undo compression damage in SOURCE: blocks and ringing, colour at half size, the steps of 8 bits.

    An interrupted run goes on where it stopped when the same command is run again.
    """
    from grainlayer.jobs.restore import RestoreSettings
    from grainlayer.jobs.restore import restore as run

    kept = {key: values.pop(key) for key in ("device", "model", "fields", "overwrite", "codec", "to")}
    shots, span = read_shots(values.pop("shots")), read_range(frames)
    settings = RestoreSettings(params=read_params(Effect.ARTIFACT_RESTORE, values), shots=shots, frames=span, **kept)
    show(run(source, output, settings), as_json)
