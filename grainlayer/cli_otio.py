"""The commands `grainlayer otio`: the grain of an edit's shots, shown, set, copied and compared."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from grainlayer.errors import GrainlayerError, ParamError
from grainlayer.options import every_param_option
from grainlayer.params import TABLE, Effect, Value, find

if TYPE_CHECKING:
    from grainlayer.editorial.shots import PlacedShot, Shot, ShotList
    from grainlayer.editorial.timeline import Timeline, Written

Command = TypeVar("Command", bound=Callable[..., Any])
FILE = click.Path(path_type=Path)


class KeyframesType(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]
    """Read `grain_amount=0:1,24:0.5`: frames, counted from the media's first, with values."""

    name = "KEY=FRAME:VALUE,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the parameter's key and its keyframes, or fail as click's own types do (exit 2)."""
        key, _, rest = str(value).partition("=")
        key = key.strip().removeprefix("--").replace("-", "_")
        try:
            row = find(key)
            return key, tuple((int(frame), row.parse(text)) for frame, _, text in (part.partition(":") for part in rest.split(",")))
        except ParamError as error:
            self.fail(str(error), param, ctx)
        except ValueError:
            self.fail(f"Keyframes are written as grain_amount=0:1,24:0.5; got {value!r}.", param, ctx)


class RateType(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]
    """Read frames a second: 25, 23.976, 24000/1001."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the exact rate, or fail as click's own types do (exit 2)."""
        from grainlayer.editorial.clips import exact_rate

        try:
            number = Fraction(str(value))
            return number if "/" in str(value) and 0 < number < 1000 else exact_rate(float(number))
        except (ValueError, ArithmeticError, GrainlayerError):
            self.fail(f"A rate is frames a second, as 25, 23.976 or 24000/1001; got {value!r}.", param, ctx)


def reading(command: Command) -> Command:
    """Add the options with which an edit is read."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line of stdout."),
        click.option("--rate", type=RateType(), default=None, help="Frames a second, for EDL [the sidecar's, or 24]."),
        click.option("--prefer", type=click.Choice(["sidecar", "file"]), default="sidecar", help="Which is used where the two differ."),
        click.option("--sidecar", type=FILE, default=None, help="The grain of the shots [FILE's name with .grain.json]."),
    ):
        command = option(command)
    return command


def writing(command: Command) -> Command:
    """Add the options with which an edit is written."""
    command = click.option("--overwrite", is_flag=True, help="Replace an edit and a sidecar that exist.")(command)
    return click.option("-o", "--output", type=FILE, required=True, help="The edit to write; its suffix says in which format.")(command)


@click.group()
def otio() -> None:
    """Show, set, copy and compare the grain of an edit's shots: OTIO, FCP XML, EDL, AAF, ALE."""
    gc.disable()  # a fifth of the time would go into looking for cycles among objects that are kept until the command ends
    click.get_current_context().call_on_close(gc.enable)


def _read(file: Path, sidecar: Path | None, prefer: str, rate: Fraction | None) -> Timeline:
    from grainlayer.editorial.timeline import read_timeline

    return read_timeline(file, sidecar=sidecar, prefer="file" if prefer == "file" else "sidecar", rate=rate)


def _tell(problems: Iterable[object]) -> None:
    for problem in problems:
        click.echo(f"grainlayer: {problem}", err=True)


def _concerns(shots: ShotList) -> tuple[object, ...]:
    return (*shots.problems, *shots.conflicts)


@otio.command("show")
@click.argument("file", type=FILE)
@reading
def show_command(file: Path, sidecar: Path | None, prefer: str, rate: Fraction | None, as_json: bool) -> None:
    """List the shots of FILE with their grain: number, name, uid, source range, media, and values that differ from the defaults."""
    from grainlayer.editorial.jsonform import list_to_json

    edit = _read(file, sidecar, prefer, rate)
    _tell(_concerns(edit.shots))
    if as_json:
        click.echo(json.dumps({"file": str(file), "format": edit.format.key, **list_to_json(edit.shots)}))
        return
    rows = [("#", "name", "uid", "frames", "media", "grain"), *map(_row, edit.shots)]
    widths = [min(max(len(row[column]) for row in rows), 40) for column in range(5)]
    for row in rows:
        click.echo("  ".join(f"{_cut(cell):<{width}}" for cell, width in zip(row[:5], widths, strict=True)) + "  " + row[5])


def _cut(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def _row(placed: PlacedShot) -> tuple[str, ...]:
    media = (placed.placement.media or "missing").replace("\\", "/").rpartition("/")[2]
    return str(placed.index), placed.name, placed.uid, str(placed.placement.source), media, _grain(placed.shot)


def _grain(shot: Shot | None) -> str:
    """Return what differs from the effect's defaults, in words."""
    if shot is None:
        return "-"
    from grainlayer.editorial.compare import said
    from grainlayer.params import defaults_for

    usual = defaults_for(shot.effect)
    keys = [p.key for p in TABLE if p.key in shot.keys or getattr(shot.params, p.key) != getattr(usual, p.key)]
    values = [f"{key} {said(shot, key)}" for key in keys if key != "shot_uid"]
    return f"{shot.effect}: " + ", ".join([*values, *(["profile"] if shot.profile else [])] or ["as it was"])


@otio.command("set")
@click.argument("file", type=FILE)
@click.option("--clip", "clips", multiple=True, required=True, help="Which clips: a pattern such as SH0*, a name, a number or a uid.")
@click.option(
    "--effect",
    type=click.Choice([str(effect) for effect in Effect], case_sensitive=False),
    default=None,
    help="The effect that a shot has.",
)
@click.option("--key", "keyframes", type=KeyframesType(), multiple=True, help="Keyframes of a parameter, as grain_amount=0:1,24:0.5.")
@click.option("--grain-profile", type=FILE, default=None, help="A profile that `grainlayer analyze` measured for the shots.")
@every_param_option
@writing
@reading
def set_command(
    file: Path,
    output: Path,
    clips: Sequence[str],
    effect: str | None,
    keyframes: Sequence[tuple[str, Any]],
    grain_profile: Path | None,
    sidecar: Path | None,
    prefer: str,
    rate: Fraction | None,
    overwrite: bool,
    as_json: bool,
    **values: Value | None,
) -> None:
    """Write FILE with other grain for some of its clips; what is not named stays."""
    from dataclasses import replace

    given = {key: value for key, value in values.items() if value is not None}
    if not given and not keyframes and effect is None and grain_profile is None:
        raise click.UsageError("Say what to set, as --grain-amount 0.6 or --key grain_amount=0:1,24:0.5.")
    edit = _read(file, sidecar, prefer, rate)
    profile = _profile(grain_profile)
    changes: dict[int, Shot] = {}
    for placed in _selected(edit.shots, clips):
        shot = edit.shot_of(placed).changed(given, dict(keyframes), Effect(effect) if effect else None)
        changes[placed.index] = replace(shot, profile=profile or shot.profile)
    _write(edit, changes, output, overwrite=overwrite, as_json=as_json)


def _profile(path: Path | None) -> Any:
    """Return the profile in a file, or None. Raise ParamError if it is none."""
    if path is None:
        return None
    from grainlayer.grain.profile import GrainProfile

    try:
        return GrainProfile.from_json(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ParamError(f"The profile {path} cannot be read ({error}); make one with `grainlayer analyze`.") from error


def _selected(shots: ShotList, names: Iterable[str]) -> list[PlacedShot]:
    """Return the clips that any of the names selects, each once."""
    return list({placed.index: placed for name in names for placed in shots.find(name)}.values())


def _write(edit: Timeline, changes: dict[int, Shot], output: Path, *, overwrite: bool, as_json: bool) -> None:
    from grainlayer.editorial.timeline import write_timeline

    changed = edit.changed(changes)
    written = write_timeline(changed, output, overwrite=overwrite)
    problems = (*_concerns(changed.shots), *written.problems)
    _tell(problems)
    click.echo(_report(changed.shots, changes, written, problems) if as_json else f"{written.path}: {len(changes)} clips set")


def _report(shots: ShotList, changes: dict[int, Shot], written: Written, problems: Iterable[object]) -> str:
    from grainlayer.editorial.jsonform import shot_to_json

    facts: dict[str, Any] = {"output": str(written.path), "sidecar": str(written.sidecar), "clips": len(shots)}
    facts |= {"set": [{"index": index, **shot_to_json(shot, profile=False)} for index, shot in changes.items()]}
    return json.dumps(facts | {"problems": [str(problem) for problem in problems]})


@otio.command("copy")
@click.argument("file", type=FILE)
@click.option("--from", "origin", required=True, help="The clip whose look is copied: name, number or uid.")
@click.option("--to", "targets", multiple=True, required=True, help="Which clips get it: a pattern, a name, a number or a uid.")
@writing
@reading
def copy_command(
    file: Path,
    output: Path,
    origin: str,
    targets: Sequence[str],
    sidecar: Path | None,
    prefer: str,
    rate: Fraction | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write FILE with one clip's look on others; each keeps its own level, profile and encoding, and keyframes move to its range."""
    edit = _read(file, sidecar, prefer, rate)
    source = edit.shots.one(origin)
    if source.shot is None:
        raise ParamError(f"Clip {source.label()} has no look to copy; set its grain first.")
    changes: dict[int, Shot] = {}
    for placed in _selected(edit.shots, targets):
        if placed.index != source.index:
            shift = round(placed.placement.first_frame - source.placement.first_frame)
            changes[placed.index] = edit.shot_of(placed).with_look_of(source.shot, shift)
    _write(edit, changes, output, overwrite=overwrite, as_json=as_json)


@otio.command("diff")
@click.argument("first", type=FILE)
@click.argument("second", type=FILE)
@click.option("--rate", type=RateType(), default=None, help="Frames a second, for EDL [the sidecar's, or 24].")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line of stdout.")
def diff_command(first: Path, second: Path, rate: Fraction | None, as_json: bool) -> None:
    """Say how the shots of two edits differ in grain and range."""
    from grainlayer.editorial.compare import compare, difference_to_json

    edits = [_read(path, None, "sidecar", rate) for path in (first, second)]
    for edit in edits:
        _tell(_concerns(edit.shots))
    rows = compare(edits[0].shots, edits[1].shots)
    if as_json:
        click.echo(json.dumps({"first": str(first), "second": str(second), "differences": [difference_to_json(row) for row in rows]}))
        return
    for row in rows:
        click.echo(f"{row.label()}\n" + "\n".join(f"    {line}" for line in row.lines))
    if not rows:
        click.echo("The grain of both edits is the same.")
