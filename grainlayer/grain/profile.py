"""Describe grain by numbers: strength, spectrum, and how the channels move together.

Every number lives on a fixed grid of integer codes, so that what an encoder measured and what a decoder reads are equal.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainlayer.errors import ParamError

Floats = NDArray[np.float64]

STRENGTH_KNOTS = 17
"""Strength is given at code values 0, 1/16 ... 1; linear between them, constant beyond."""
STRENGTH_STEPS = 32
"""Strength codes per octave: code k > 0 means 2 ** (k / 32 - 14), code 0 means none."""
STRENGTH_CODES = 448
"""Codes 0..447: up to 2 ** -0.03, a standard deviation of nearly the whole range."""
RADII: tuple[float, ...] = (0.0, 0.02, 0.04, 0.0625, 0.09, 0.125, 0.1768, 0.22, 0.25, 0.3, 0.3536, 0.42, 0.5, 0.6, 0.7071)
"""Radial frequencies of the spectrum's knots, cycles a pixel: octaves and half octaves, closer where films roll off."""
SPECTRUM_STEP_DB = 0.5
SPECTRUM_CODES = (-120, 40)
"""Spectrum codes in half decibels against white grain of the same strength: -60 dB to +20 dB."""
SHAPE_CODES = (-24, 24)
"""Directionality codes, quarter decibels: power along x minus power along y at a radius, halved and signed."""
NODES: tuple[float, ...] = (0.2, 0.5, 0.8)
"""Code values at which the spectrum is given; between them amplitudes blend."""
CORRELATION_STEPS = 64
"""Correlation codes per unit, -64..64, for the pairs RG, RB, GB."""

VERSION = 1


@dataclass(frozen=True)
class GrainProfile:
    """Hold one shot's grain in integer codes.

    height     picture height in pixels at which it was measured
    strength   3 rows (R, G, B) of 17 codes, standard deviation against code value of that channel
    spectrum   3 rows (one a node) of 15 codes, radial power in half decibels; relative: renderers normalise to the strength
    direction  15 codes, quarter decibels, how much more power lies along horizontal than along vertical frequencies
    correlation  3 codes, RG, RB, GB
    """

    height: int
    strength: tuple[tuple[int, ...], ...]
    spectrum: tuple[tuple[int, ...], ...]
    direction: tuple[int, ...]
    correlation: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raise ParamError unless every code is in its range."""
        _check("height", (self.height,), 1, 1, 65535)
        _check_rows("strength", self.strength, 3, STRENGTH_KNOTS, (0, STRENGTH_CODES - 1))
        _check_rows("spectrum", self.spectrum, len(NODES), len(RADII), SPECTRUM_CODES)
        _check("direction", self.direction, len(RADII), *SHAPE_CODES)
        _check("correlation", self.correlation, 3, -CORRELATION_STEPS, CORRELATION_STEPS)

    def strength_curve(self) -> Floats:
        """Return standard deviations in code value, (3, 17)."""
        codes = np.array(self.strength, np.float64)
        return np.where(codes > 0, np.exp2(codes / STRENGTH_STEPS - 14), 0.0)

    def spectrum_db(self) -> Floats:
        """Return radial power in decibels, (3, 15); only its shape counts."""
        return np.array(self.spectrum, np.float64) * SPECTRUM_STEP_DB

    def direction_db(self) -> Floats:
        """Return the directional part in decibels, (15,): added times cos(2 angle), angle 0 along horizontal frequencies."""
        return np.array(self.direction, np.float64) * 0.25

    def correlation_matrix(self) -> Floats:
        """Return the channels' correlation matrix (3, 3), as coded; it may be slightly indefinite."""
        rg, rb, gb = (value / CORRELATION_STEPS for value in self.correlation)
        return np.array([[1, rg, rb], [rg, 1, gb], [rb, gb, 1]], np.float64)

    def to_json(self) -> str:
        """Return the profile as JSON of at most 4 kB."""
        fields = {"grainlayer_profile": VERSION, "height": self.height, "strength": self.strength}
        fields |= {"spectrum": self.spectrum, "direction": self.direction, "correlation": self.correlation}
        return json.dumps(fields, separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> GrainProfile:
        """Read what `to_json` wrote. Raise ParamError if the text is no profile or too new."""
        try:
            fields: dict[str, Any] = json.loads(text)
            version = fields["grainlayer_profile"]
            if version != VERSION:
                raise ParamError(f"This grain profile is of version {version}; this program reads version {VERSION}: update it.")
            return GrainProfile(
                height=int(fields["height"]),
                strength=_rows(fields["strength"]),
                spectrum=_rows(fields["spectrum"]),
                direction=tuple(int(v) for v in fields["direction"]),
                correlation=tuple(int(v) for v in fields["correlation"]),
            )
        except (KeyError, TypeError, AttributeError, OverflowError, json.JSONDecodeError) as error:
            raise ParamError("This is no grain profile; make one with `grainlayer analyze`.") from error
        except ValueError as error:
            raise error if isinstance(error, ParamError) else ParamError(f"This grain profile holds a wrong number: {error}.") from error


def encode_profile(height: int, strength: Floats, spectrum_db: Floats, direction_db: Floats, correlation: Floats) -> GrainProfile:
    """Round measured values to a profile.

    strength (3, 17) standard deviation in code value; spectrum_db (3, 15); direction_db (15,); correlation (3,) RG RB GB.
    Values beyond the codes' range are moved to its ends.
    """
    codes = np.round(STRENGTH_STEPS * (np.log2(np.maximum(strength, 2.0**-20)) + 14))
    rounded = np.clip(codes, 0, STRENGTH_CODES - 1).astype(int)
    power = np.clip(np.round(spectrum_db / SPECTRUM_STEP_DB), *SPECTRUM_CODES).astype(int)
    direction = np.clip(np.round(direction_db / 0.25), *SHAPE_CODES).astype(int)
    pairs = np.clip(np.round(correlation * CORRELATION_STEPS), -CORRELATION_STEPS, CORRELATION_STEPS).astype(int)
    return GrainProfile(height, _rows(rounded.tolist()), _rows(power.tolist()), tuple(direction.tolist()), tuple(pairs.tolist()))


def no_grain(height: int) -> GrainProfile:
    """Return the profile of a picture without grain."""
    knots = len(RADII)
    return encode_profile(height, np.zeros((3, STRENGTH_KNOTS)), np.zeros((len(NODES), knots)), np.zeros(knots), np.zeros(3))


def _rows(value: Any) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(v) for v in row) for row in value)


def _check(name: str, values: tuple[int, ...], count: int, low: int, high: int) -> None:
    if len(values) != count or not all(low <= value <= high for value in values):
        raise ParamError(f"A grain profile's {name} must be {count} numbers of {low}..{high}; got {values}.")


def _check_rows(name: str, rows: tuple[tuple[int, ...], ...], count: int, length: int, span: tuple[int, int]) -> None:
    if len(rows) != count:
        raise ParamError(f"A grain profile's {name} must have {count} rows; got {len(rows)}.")
    for row in rows:
        _check(name, row, length, *span)
