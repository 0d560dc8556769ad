"""Turn the parameter table into command-line options, read those that several commands have, and print what was done."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import click

from grainlayer.errors import ParamError
from grainlayer.params import TABLE, Effect, Group, Kind, Param, ShotParams, defaults_for, find, for_effect, plain

Command = TypeVar("Command", bound=Callable[..., Any])

SKIPPED = ("view", "shot_uid", "follow", "profile_data")
"""Parameters that only a host needs."""


class ParamType(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]
    """Let the parameter table read and check an option."""

    def __init__(self, param: Param) -> None:
        """Take the table's row."""
        self.param = param
        self.name = {Kind.FLOAT: "number", Kind.INT: "integer", Kind.BOOL: "on|off"}.get(param.kind, "text")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the checked value, or fail as click's own types do (exit 2)."""
        try:
            return self.param.parse(value) if isinstance(value, str) else self.param.check(value)
        except ParamError as error:
            self.fail(str(error), param, ctx)


def param_options(effect: Effect, groups: tuple[Group, ...], hints: Mapping[str, str] | None = None) -> Callable[[Command], Command]:
    """Return a decorator that adds an option for every parameter of these groups; `hints` says by key what else one means here."""

    def decorate(command: Command) -> Command:
        for param in reversed(for_effect(effect)):
            if param.group in groups and param.key not in SKIPPED:
                command = _option(replace(param, hint=(hints or {}).get(param.key, param.hint)))(command)
        return command

    return decorate


def every_param_option(command: Command) -> Command:
    """Add an option for every parameter of every effect."""
    for param in reversed(TABLE):
        if param.key not in SKIPPED:
            command = _option(param)(command)
    return command


def _option(param: Param) -> Callable[[Command], Command]:
    return click.option(param.flag, param.key, type=ParamType(param), default=None, help=_help(param))


def _help(param: Param) -> str:
    span = f"{plain(param.low)} to {plain(param.high)}" if param.kind in (Kind.FLOAT, Kind.INT) else ", ".join(param.menu)
    shown = f"{'on' if param.default else 'off'}" if isinstance(param.default, bool) else str(param.default)
    return f"{param.hint} [{'; '.join(part for part in (span, f'default {shown}' if shown else '') if part)}]"


def restore_first(command: Command) -> Command:
    """Add --restore-first, and the parameters of the restoration."""
    command = param_options(Effect.ARTIFACT_RESTORE, (Group.RESTORE,))(command)
    return click.option("--restore-first", is_flag=True, help="Undo compression damage in SOURCE first; see `grainlayer restore`.")(command)


def check_restore_first(values: Mapping[str, Any]) -> None:
    """Raise UsageError for parameters of a restoration that does not take place."""
    given = [param.flag for param in TABLE if param.group is Group.RESTORE and values.get(param.key) is not None]
    if given and not values["restore_first"]:
        raise click.UsageError(f"{given[0]} says how to restore SOURCE; add --restore-first, or leave it out.")


def read_params(effect: Effect, values: Mapping[str, Any]) -> ShotParams:
    """Return an effect's parameters, with those given on the command line."""
    given = {key: value for key, value in values.items() if value is not None}
    for key in given:
        find(key)
    return replace(defaults_for(effect), **given)


def common(command: Command) -> Command:
    """Add the options that every command has."""
    for option in (
        click.option("--overwrite", is_flag=True, help="Replace outputs that exist."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line of stdout."),
        click.option(
            "--device", default="auto", show_default=True, help="Where networks run: auto, cpu, cuda, tensorrt, coreml, directml."
        ),
        click.option("--model", default=None, help="A model by its id; see `grainlayer models`."),
        click.option(
            "--fields", type=click.Choice(["refuse", "progressive"]), default="refuse", help="How interlaced material is treated."
        ),
        click.option("--shots", default=None, help="First frames of the shots, as 0,48,120; found by themselves otherwise."),
    ):
        command = option(command)
    return command


def read_shots(text: str | None) -> tuple[int, ...] | None:
    """Return the first frames that --shots names."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise click.UsageError(f"--shots takes frame numbers separated by commas, as 0,48,120; got {text!r}.") from error


def read_range(text: str | None) -> tuple[int, int] | None:
    """Return --frames A-B, both included, as a half-open range."""
    if text is None:
        return None
    first, _, last = text.partition("-")
    if not first.isdigit() or (last and not last.isdigit()) or (last and int(last) < int(first)):
        raise click.UsageError(f"--frames takes a range such as 24-47, or one frame; got {text!r}.")
    return int(first), int(last or first) + 1


def show(report: Mapping[str, Any], as_json: bool) -> None:
    """Print what was done: a line a fact, or one JSON object."""
    if as_json:
        print(json.dumps(report))
        return
    for key, value in report.items():
        if value not in (None, [], {}):
            print(f"{key.replace('_', ' '):>16}  {_in_lines(value)}")


def _in_lines(value: Any) -> str:
    """Return a list as one entry a line, anything else as it is."""
    return f"\n{'':18}".join(str(entry) for entry in value) if isinstance(value, list) else str(value)
