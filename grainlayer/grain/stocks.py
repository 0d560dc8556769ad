"""Hand out film stocks as profiles. Their numbers lie in stocks.json, with their origin, fitted to real scans."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from grainlayer.errors import ParamError
from grainlayer.grain.profile import GrainProfile


@cache
def _library() -> dict[str, dict[str, Any]]:
    return json.loads(files("grainlayer.grain").joinpath("stocks.json").read_text("utf-8"))


def stock_names() -> tuple[str, ...]:
    """Return the ids of the stocks that are there, in the menu's order."""
    return tuple(_library())


def stock_origin(stock: str) -> str:
    """Return where a stock's numbers come from, in a sentence."""
    return str(_entry(stock)["origin"])


def stock_profile(stock: str) -> GrainProfile:
    """Return a stock's profile. Raise ParamError, naming those that are there, if it has not been fitted yet."""
    return GrainProfile.from_json(json.dumps(_entry(stock)["profile"]))


def _entry(stock: str) -> dict[str, Any]:
    found = _library().get(str(stock))
    if found is None:
        raise ParamError(f"The stock {stock!s} has no measured grain yet; choose one of {', '.join(stock_names())}.")
    return found
