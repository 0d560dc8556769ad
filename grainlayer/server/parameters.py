"""Carry parameters as the protocol does: numbers in the table's order, then texts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from grainlayer.errors import ParamError
from grainlayer.params import Effect, Kind, Param, ShotParams, Value, for_effect
from grainlayer.server.job import Job

EFFECTS: tuple[Effect, ...] = tuple(Effect)
"""Effects by their number in a job."""


@cache
def rows(effect: Effect) -> tuple[tuple[Param, ...], tuple[Param, ...]]:
    """Return an effect's parameters that are numbers, and those that are texts."""
    every = for_effect(effect)
    return tuple(p for p in every if p.kind is not Kind.TEXT), tuple(p for p in every if p.kind is Kind.TEXT)


COUNTS: Mapping[int, tuple[int, int]] = {number: (len(rows(e)[0]), len(rows(e)[1])) for number, e in enumerate(EFFECTS)}
"""Numbers and texts of each effect."""


def read_params(job: Job) -> ShotParams:
    """Return a job's parameters. Raise ParamError, naming key, value and range, for the first that is not legal."""
    numbers, texts = rows(EFFECTS[job.effect])
    values: dict[str, Any] = {param.key: _value(param, number) for param, number in zip(numbers, job.numbers, strict=True)}
    values |= {param.key: param.check(text) for param, text in zip(texts, job.texts, strict=True)}
    return ShotParams(**values)


def _value(param: Param, number: float) -> Value:
    whole = int(number) if number.is_integer() else None
    if param.kind is Kind.CHOICE:
        if whole is None or not 0 <= whole < len(param.menu):
            raise ParamError(f"{param.key} must be {param.range_text()}; got entry {number:g}.")
        return param.menu[whole]
    if param.kind is Kind.BOOL:
        return param.check(bool(whole) if whole in (0, 1) else number)
    return param.check(number if param.kind is Kind.FLOAT or whole is None else whole)


def write_params(effect: Effect, params: ShotParams) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Return parameters as a job carries them. Raise ParamError for what the effect's menus do not have."""
    numbers, texts = rows(effect)
    return tuple(_number(p, getattr(params, p.key)) for p in numbers), tuple(str(getattr(params, p.key)) for p in texts)


def _number(param: Param, value: Value) -> float:
    checked = param.check(value)
    return float(param.menu.index(str(checked)) if param.kind is Kind.CHOICE else checked)
