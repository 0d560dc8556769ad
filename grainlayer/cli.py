"""Parse the command line and print: no work is done here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from grainlayer import __version__
from grainlayer.cli_conform import conform_command
from grainlayer.cli_deliver import deliver
from grainlayer.cli_otio import otio
from grainlayer.cli_restore import restore
from grainlayer.errors import GrainlayerError
from grainlayer.options import (
    ParamType,
    check_restore_first,
    common,
    param_options,
    read_params,
    read_range,
    read_shots,
    restore_first,
    show,
)
from grainlayer.params import Effect as EffectName
from grainlayer.params import Group, find

if TYPE_CHECKING:
    from grainlayer.jobs.layers import LayerSettings


def layer_settings(effect: EffectName, values: dict[str, Any]) -> LayerSettings:
    """Return the settings of `split`, `regrain` and `analyze` from all of a command's options."""
    from grainlayer.jobs.layers import LayerSettings

    check_restore_first(values)
    kept = {key: values.pop(key) for key in ("device", "model", "fields", "overwrite", "codec", "restore_first")}
    return LayerSettings(shots=read_shots(values.pop("shots")), params=read_params(effect, values), **kept)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="grainlayer")
def cli() -> None:
    """Split film grain from a picture, keep it as a few kilobits a second, put it back at any strength."""


@cli.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--base", type=click.Path(path_type=Path), required=True, help="The picture without grain.")
@click.option("--grain", type=click.Path(path_type=Path), required=True, help="The grain alone.")
@click.option("--result", type=click.Path(path_type=Path), default=None, help="The picture with its grain re-graded.")
@click.option("--codec", default=None, help="Codec of movies written: ffv1, prores, dnxhr, h264, h265, av1; by the suffix otherwise.")
@param_options(EffectName.GRAIN_SPLIT, (Group.GENERAL, Group.REMOVAL, Group.GRAIN))
@restore_first
@common
def split(source: Path, base: Path, grain: Path, result: Path | None, as_json: bool, **values: Any) -> None:
    """Write the layers of SOURCE: a movie, a still, or a sequence such as shot.%04d.exr."""
    from grainlayer.jobs.layers import split as run

    show(run(source, base, grain, result, layer_settings(EffectName.GRAIN_SPLIT, values)), as_json)


@cli.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option("--base-codec", type=click.Choice(["av1", "hevc", "h264", "vvc", "prores", "ffv1"]), default="av1", show_default=True)
@click.option("--crf", type=float, default=None, help="Constant quality of the base, in its codec's scale.")
@click.option("--bitrate", type=int, default=None, help="Bitrate of the base, kb/s, instead of --crf.")
@click.option("--preset", default=None, help="Speed preset of the base's encoder.")
@param_options(EffectName.GRAIN_SPLIT, (Group.GENERAL, Group.REMOVAL, Group.GRAIN))
@restore_first
@common
def encode(
    source: Path, output: Path, base_codec: str, as_json: bool, crf: float | None, bitrate: int | None, preset: str | None, **values: Any
) -> None:
    """Encode SOURCE into a grain-free base and a grain stream, in one file. An interrupted encode goes on where it stopped."""
    from grainlayer.jobs.encode import EncodeSettings
    from grainlayer.jobs.encode import encode as run

    if crf is not None and bitrate is not None:
        raise click.UsageError("--crf and --bitrate exclude each other; give one of them.")
    check_restore_first(values)
    kept = {key: values.pop(key) for key in ("device", "model", "fields", "overwrite", "restore_first")}
    shots = read_shots(values.pop("shots"))
    params = read_params(EffectName.GRAIN_SPLIT, values)
    settings = EncodeSettings(codec=base_codec, crf=crf, bitrate=bitrate, preset=preset, params=params, shots=shots, **kept)
    show(run(source, output, settings), as_json)


@cli.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option("--grain", type=click.FloatRange(0, 16), default=1.0, show_default=True, help="Strength of the grain; 0 is the base alone.")
@click.option("--frames", default=None, help="Only these frames, as 24-47.")
@click.option("--codec", default=None, help="Codec of the movie written: ffv1, prores, dnxhr, h264, h265, av1; by the suffix otherwise.")
@click.option("--overwrite", is_flag=True, help="Replace an output that exists.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line of stdout.")
@param_options(EffectName.GRAIN_SPLIT, (Group.GRAIN,))
def decode(
    source: Path, output: Path, grain: float, frames: str | None, codec: str | None, overwrite: bool, as_json: bool, **values: Any
) -> None:
    """Decode SOURCE, a file of ours, with its grain at any strength."""
    from grainlayer.jobs.decode import DecodeSettings
    from grainlayer.jobs.decode import decode as run

    params = read_params(EffectName.GRAIN_SPLIT, values)
    show(run(source, output, DecodeSettings(grain, read_range(frames), params, codec, overwrite)), as_json)


@cli.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line of stdout.")
@click.option("--plot", type=click.Path(path_type=Path), default=None, help="Draw each shot's strength curve and spectrum into this PNG.")
@click.option("--overwrite", is_flag=True, help="Replace a plot that exists.")
def info(source: Path, as_json: bool, plot: Path | None, overwrite: bool) -> None:
    """Tell what is inside SOURCE: base, shots, bytes of each, profile. SOURCE may also be a profile (JSON)."""
    from grainlayer.jobs.inspect import describe, draw, in_words

    report, profiles = describe(source)
    if plot is not None:
        draw(profiles, plot, overwrite=overwrite)
        report["plot"] = str(plot)
    if as_json:
        print(json.dumps(report))
    else:
        print(in_words(report))


@cli.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The profile, JSON.")
@click.option("--frames", default=None, help="Only these frames, as 24-47.")
@click.option("--plot", type=click.Path(path_type=Path), default=None, help="Draw the strength curve and spectrum into this PNG.")
@param_options(EffectName.GRAIN_SPLIT, (Group.GENERAL, Group.REMOVAL))
@common
def analyze(source: Path, output: Path, frames: str | None, plot: Path | None, as_json: bool, **values: Any) -> None:
    """Measure the grain of SOURCE and write its profile."""
    from grainlayer.jobs.inspect import analyze as run

    settings = layer_settings(EffectName.GRAIN_SPLIT, values | {"codec": None, "restore_first": False})
    show(run(source, output, settings, read_range(frames), plot), as_json)


@cli.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option("--profile", "profile_path", type=click.Path(path_type=Path), default=None, help="A profile written by `grainlayer analyze`.")
@click.option("--codec", default=None, help="Codec of the movie written: ffv1, prores, dnxhr, h264, h265, av1; by the suffix otherwise.")
@param_options(EffectName.GRAIN_SYNTH, (Group.GENERAL, Group.GRAIN))
@click.option("--amount", "grain_amount", type=ParamType(find("grain_amount")), default=None, help="The same as --grain-amount.")
@restore_first
@common
def regrain(source: Path, output: Path, profile_path: Path | None, as_json: bool, **values: Any) -> None:
    """Lay new grain on SOURCE: a stock's, or that of a profile."""
    from grainlayer.jobs.layers import regrain as run

    if profile_path is not None and values.get("stock") is not None:
        raise click.UsageError("--profile and --stock exclude each other; give one of them.")
    if profile_path is not None:
        values |= {"profile": "file", "profile_file": str(profile_path), "grain_source": "resynthesised"}
    show(run(source, output, layer_settings(EffectName.GRAIN_SYNTH, values)), as_json)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line of stdout.")
def models(as_json: bool) -> None:
    """List the installed models and check their files."""
    from grainlayer.jobs.inspect import list_models

    report = list_models()
    if as_json:
        print(json.dumps(report))
    else:
        for row in report["models"]:
            print(f"{row['id']:<20} {row['task']:<9} {row['bytes'] / 1e6:6.2f} MB  {row['licence']}  {row['state']}")


@cli.command()
@click.option("--idle", type=click.FloatRange(1), default=900.0, show_default=True, help="Seconds without connections before it ends.")
@click.option("--cache-mb", type=click.IntRange(0), default=None, help="Megabytes of layers kept [default: 2048, or a quarter of memory].")
@click.option("--device", default="auto", show_default=True, help="Where networks run: auto, cpu, cuda, tensorrt, coreml, directml.")
@click.option("--status", "action", flag_value="status", help="Say what the running server does.")
@click.option("--stop", "action", flag_value="stop", help="End the running server once it has answered what it works on.")
@click.option("--spawned", is_flag=True, help="Used by the plug-in: take nothing over from the process that starts it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line of stdout.")
def serve(idle: float, cache_mb: int | None, device: str, action: str | None, spawned: bool, as_json: bool) -> None:
    """Render for the plug-ins of this user's hosts; they start it themselves."""
    from grainlayer.server import life

    if action is None:
        show(life.serve(idle, cache_mb, device, spawned=spawned, announce=lambda facts: show(facts, as_json)), as_json)
    else:
        show(life.status() if action == "status" else life.stop(), as_json)


@cli.command()
@click.option("--device", default="auto", show_default=True, help="Where networks run: auto, cpu, cuda, tensorrt, coreml, directml.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line of stdout.")
def doctor(device: str, as_json: bool) -> None:
    """Check plug-in, server, models and disks, render a test picture, and say what to mend. Exit 1 if anything fails."""
    from grainlayer.server.doctor import State, examine

    findings = examine(device)
    if as_json:
        print(json.dumps({"findings": [{"state": f.state, "name": f.name, "text": f.text} for f in findings]}))
    else:
        print("\n".join(finding.line() for finding in findings))
    if any(finding.state is State.FAIL for finding in findings):
        sys.exit(_fail("Something must be mended; see the lines marked FAIL.", 1))


otio.add_command(conform_command)
cli.add_command(otio)
cli.add_command(deliver)
cli.add_command(restore)


def main() -> None:
    """Run the command line: exit 0 done, 1 one-sentence error, 2 wrong usage, 130 interrupted."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(_fail("Interrupted; run the same command again to go on.", 130))
    except KeyboardInterrupt:
        sys.exit(_fail("Interrupted; run the same command again to go on.", 130))
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except GrainlayerError as error:
        sys.exit(_fail(str(error), 1))
    except MemoryError:
        sys.exit(_fail("There is not enough memory for this picture size; close other programs or use a smaller picture.", 1))
    except OSError as error:
        sys.exit(_fail(f"{error.filename or 'A file'} could not be used ({error.strerror or error}); check the path and the disk.", 1))


def _fail(sentence: str, code: int) -> int:
    print(f"grainlayer: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
