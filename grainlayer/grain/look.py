"""What a user may change about grain before it is synthesised."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from grainlayer.errors import ParamError
from grainlayer.params import GrainSource, ShotParams

RANGES: dict[str, tuple[float, float]] = {
    "amount": (0, 4),
    "size": (0.25, 4),
    "softness": (0, 1),
    "saturation": (0, 2),
    "red": (0, 2),
    "green": (0, 2),
    "blue": (0, 2),
    "shadows": (0, 2),
    "mids": (0, 2),
    "highlights": (0, 2),
    "hold": (1, 5),
    "seed": (0, 2**64 - 1),
}
"""Lowest and highest value by key."""
WHOLE = ("hold", "seed")
"""Keys whose values are whole numbers."""


@dataclass(frozen=True)
class GrainLook:
    """Hold the user's changes; every default means no change.

    amount      scales the grain; composition applies it, synthesis does not unless told
    size        above 1 coarser, below 1 finer, at the same strength
    softness    takes the finest part away, at the same strength
    saturation  0 makes the grain one of luma alone, 2 doubles its colour
    red green blue            scale a channel's grain
    shadows mids highlights   scale the grain by the base's code value, blending smoothly
    hold        frames for which a pattern stays
    seed        chooses the pattern
    """

    amount: float = 1.0
    size: float = 1.0
    softness: float = 0.0
    saturation: float = 1.0
    red: float = 1.0
    green: float = 1.0
    blue: float = 1.0
    shadows: float = 1.0
    mids: float = 1.0
    highlights: float = 1.0
    hold: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise ParamError, naming key, value and range, unless every value is in its range."""
        for field in fields(self):
            _check(field.name, getattr(self, field.name))

    def channel_gains(self) -> tuple[float, float, float]:
        """Return the gains of R, G and B."""
        return self.red, self.green, self.blue

    def tonal_gain(self, code: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the gain at base code values (any shape; 0..1, clamped outside)."""
        dark, middle, bright = tonal_weights(code)
        return self.shadows * dark + self.mids * middle + self.highlights * bright


def tonal_weights(code: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the weights of shadows, mids and highlights at code values; they are smooth, 0..1, and sum to 1."""
    bright = _smooth(2 * code - 1)
    dark = 1 - _smooth(2 * code)
    return dark, 1 - dark - bright, bright


def _smooth(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 3 v^2 - 2 v^3 of the value clamped to 0..1."""
    inside = np.clip(value, 0, 1)
    return inside * inside * (3 - 2 * inside)


def _check(key: str, value: object) -> None:
    low, high = RANGES[key]
    kind = "a whole number" if key in WHOLE else "a number"
    fits = isinstance(value, int if key in WHOLE else int | float | np.floating) and not isinstance(value, bool)
    if not fits or not low <= value <= high:  # pyright: ignore[reportOperatorIssue]
        raise ParamError(f"{key} must be {kind} of {low}..{high}; got {value!r}.")


def look_of(params: ShotParams) -> GrainLook:
    """Return the look that a shot's parameters ask of its grain."""
    return GrainLook(
        amount=params.grain_amount,
        size=params.grain_size,
        softness=params.grain_softness,
        saturation=params.grain_saturation,
        red=params.grain_red,
        green=params.grain_green,
        blue=params.grain_blue,
        shadows=params.grain_shadows,
        mids=params.grain_mids,
        highlights=params.grain_highlights,
        hold=params.grain_hold,
        seed=params.grain_seed,
    )


def is_own_plain(params: ShotParams) -> bool:
    """Say whether the grain asked for is the shot's own, unchanged but for its amount."""
    plain = GrainLook(amount=params.grain_amount, hold=params.grain_hold, seed=params.grain_seed)
    return params.grain_source is GrainSource.OWN and look_of(params) == plain
