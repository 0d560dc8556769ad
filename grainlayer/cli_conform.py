"""The command `grainlayer otio conform`: the grain of one cut, carried over to the next."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import click

from grainlayer.cli_otio import FILE, RateType, writing


@click.command("conform")
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@click.option("--rate", type=RateType(), default=None, help="Frames a second, for EDL [the sidecar's, or 24].")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line of stdout.")
@writing
def conform_command(old: Path, new: Path, output: Path, rate: Fraction | None, overwrite: bool, as_json: bool) -> None:
    """Write NEW, a later cut, with the grain of OLD: by uid, media and timecode, name and range; what is not certain is reported."""
    from grainlayer.editorial.companion import companion_path
    from grainlayer.editorial.conform import conform_files

    report = conform_files(old, new, output, overwrite=overwrite, rate=rate)
    if as_json:
        click.echo(json.dumps({"output": str(output), "sidecar": str(companion_path(output)), **report.to_json()}))
        return
    click.echo(report.in_words(), nl=False)
