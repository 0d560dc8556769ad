"""Check parameters against the table that `make generate` writes from the program's own."""

import json
import math
import os
from typing import TYPE_CHECKING, TypeVar

from grain_scripts.answers import ScriptError

if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Union

    Value = Union[float, int, bool, str]
    Params = Dict[str, Value]
    Row = Dict[str, Any]

T = TypeVar("T")
OF_THE_HOST = ("view", "shot_uid", "follow")
"""Parameters that say how a host shows a shot, not how the shot looks."""


def _table() -> "Dict[str, Row]":
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "parameters.json")
    with open(path, encoding="utf-8") as file:
        rows: List[Row] = json.load(file)["parameters"]
    return {row["key"]: row for row in rows}


TABLE = _table()
OF_THE_SHOT = tuple(key for key, row in TABLE.items() if not row["look"])
"""Parameters that describe a shot's own picture or how it is handled; a look that is copied leaves them alone."""


def check(key: str, value: object) -> "Value":
    """Return a legal value in its own type. Raise ScriptError, naming key, value and range."""
    if key not in TABLE:
        raise ScriptError(f"There is no parameter {key!r}; use a file of the same GrainLayer version.")
    row = TABLE[key]
    result = _CONVERT[row["kind"]](row, value)
    if result is None:
        raise ScriptError(f"{key} must be {_range(row)}; got {value!r}.")
    return result


def check_all(values: object) -> "Params":
    """Return checked values without those that are at their default. Raise ScriptError."""
    if not isinstance(values, dict):
        raise ScriptError("Parameters must be keys with values; export them again.")
    pairs = {str(key): check(str(key), value) for key, value in values.items()}
    return {key: value for key, value in pairs.items() if value != TABLE[key]["default"]}


def value_of(params: "Mapping[str, Value]", key: str) -> "Value":
    """Return a parameter's value, its default where it is not given."""
    return params[key] if key in params else TABLE[key]["default"]


def look_of(params: "Mapping[str, T]") -> "Dict[str, T]":
    """Return the part that makes a look, of parameters or of keyframes: what may go from one shot to another."""
    return {key: value for key, value in params.items() if key not in OF_THE_SHOT}


def without_host(params: "Mapping[str, T]") -> "Dict[str, T]":
    """Return parameters, or keyframes, without those that only a host needs."""
    return {key: value for key, value in params.items() if key not in OF_THE_HOST}


def _range(row: "Row") -> str:
    words = {
        "bool": "on or off",
        "choice": "one of {}".format(", ".join(row["menu"])),
        "text": "text of at most {:g} characters".format(row["high"]),
    }
    return words.get(row["kind"], "a number from {:.10g} to {:.10g}".format(row["low"], row["high"]))


def _float(row: "Row", value: object) -> "Union[Value, None]":
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) and row["low"] <= value <= row["high"] else None


def _int(row: "Row", value: object) -> "Union[Value, None]":
    number = _float(row, value)
    return int(number) if number is not None and number == int(number) else None


def _bool(row: "Row", value: object) -> "Union[Value, None]":
    return value if isinstance(value, bool) else None


def _choice(row: "Row", value: object) -> "Union[Value, None]":
    return value if isinstance(value, str) and value in row["menu"] else None


def _text(row: "Row", value: object) -> "Union[Value, None]":
    if not isinstance(value, str) or len(value) > row["high"]:
        return None
    return None if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value) else value


_CONVERT = {"float": _float, "int": _int, "bool": _bool, "choice": _choice, "text": _text}
