"""Turn code values into scene-linear light and back, and into the code values that models are run on.

One table holds every curve as segments of four shapes (line, logarithm, power, PQ) with the constants as their makers publish
them. Where a maker's formula ends (light below zero, beyond PQ's peak) the segment goes on along its tangent or mirrored, so
that nothing is ever clipped and every curve stays monotonic. Light 1.0 is the maker's own unit: a white reflector of 100 % for
camera curves, the reference white of a display for Rec.709, sRGB and gamma 2.4, the peak for HLG, 10 000 cd/m2 for PQ.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from grainlayer.errors import ParamError
from grainlayer.types import Encoding

Floats = NDArray[np.float64]
Codes = NDArray[np.float32]
Shape = Callable[[Floats], Floats]
Cuts = tuple[float, ...] | list[float]

BLOCK = 1 << 16
"""Values worked on at once in double precision."""


class Segment(Protocol):
    """One shape of a curve: `encode` takes light to code value, `decode` takes it back; both in float64."""

    def encode(self, light: Floats) -> Floats:
        """Return code values."""
        ...

    def decode(self, code: Floats) -> Floats:
        """Return light."""
        ...


@dataclass(frozen=True)
class Line:
    """code = slope * light + offset."""

    slope: float
    offset: float = 0.0

    def encode(self, light: Floats) -> Floats:
        """Return code values."""
        return self.slope * light + self.offset

    def decode(self, code: Floats) -> Floats:
        """Return light."""
        return (code - self.offset) / self.slope


@dataclass(frozen=True)
class Log:
    """code = scale * log10(gain * light + lift) + offset."""

    scale: float
    gain: float
    lift: float
    offset: float

    def encode(self, light: Floats) -> Floats:
        """Return code values."""
        return self.scale * np.log10(self.gain * light + self.lift) + self.offset

    def decode(self, code: Floats) -> Floats:
        """Return light."""
        return (np.power(10.0, (code - self.offset) / self.scale) - self.lift) / self.gain


@dataclass(frozen=True)
class Power:
    """code = scale * light ** exponent + offset, light from 0."""

    exponent: float
    scale: float = 1.0
    offset: float = 0.0

    def encode(self, light: Floats) -> Floats:
        """Return code values."""
        return self.scale * np.power(light, self.exponent) + self.offset

    def decode(self, code: Floats) -> Floats:
        """Return light."""
        return np.power(np.maximum((code - self.offset) / self.scale, 0.0), 1 / self.exponent)


@dataclass(frozen=True)
class Quantizer:
    """SMPTE ST 2084, light 1.0 is 10 000 cd/m2: code = ((c1 + c2 y) / (1 + c3 y)) ** m2 with y = light ** m1."""

    m1: float = 2610 / 16384
    m2: float = 2523 / 32
    c1: float = 3424 / 4096
    c2: float = 2413 / 128
    c3: float = 2392 / 128

    def encode(self, light: Floats) -> Floats:
        """Return code values."""
        power = np.power(light, self.m1)
        return np.power((self.c1 + self.c2 * power) / (1 + self.c3 * power), self.m2)

    def decode(self, code: Floats) -> Floats:
        """Return light."""
        root = np.power(code, 1 / self.m2)
        return np.power(np.maximum(root - self.c1, 0.0) / (self.c2 - self.c3 * root), 1 / self.m1)


@dataclass(frozen=True)
class Curve:
    """Hold a curve: segments from dark to bright and the light at which each but the first begins.

    `centre`: where not None, the code value of black about which the curve is mirrored: code(-x) = 2 * centre - code(x).
    """

    segments: tuple[Segment, ...]
    cuts: tuple[float, ...] = ()
    centre: float | None = None

    def code_cuts(self) -> list[float]:
        """Return the code values at which each segment but the first begins."""
        return [_at(s.encode, cut) for s, cut in zip(self.segments[1:], self.cuts, strict=True)]

    def encode(self, light: Floats) -> Floats:
        """Return code values of light, float64."""
        shapes = [s.encode for s in self.segments]
        return _mirrored(light, 0.0, self.centre, shapes, self.cuts, self.code_cuts())

    def decode(self, code: Floats) -> Floats:
        """Return light of code values, float64."""
        shapes = [s.decode for s in self.segments]
        return _mirrored(code, self.centre, 0.0, shapes, self.code_cuts(), self.cuts)


def _at(shape: Shape, value: float) -> float:
    return float(shape(np.array([value]))[0])


def _mirrored(values: Floats, start: float | None, end: float | None, shapes: list[Shape], cuts: Cuts, ends: Cuts) -> Floats:
    """Evaluate a curve; values below `start` give the mirror image about (start, end). None: no mirror."""
    if start is None or end is None:
        return _pieces(values, shapes, cuts, ends)
    offset = values - start
    result = _pieces(start + np.abs(offset), shapes, cuts, ends)
    return np.where(offset < 0, 2 * end - result, result)


def _pieces(values: Floats, shapes: list[Shape], cuts: Cuts, ends: Cuts) -> Floats:
    """Evaluate each value by its segment; results stay between the segment's ends, so rounded constants keep the order."""
    if len(shapes) == 1:
        return shapes[0](values)
    place = np.searchsorted(np.asarray(cuts), values, side="right")
    result = np.empty_like(values)
    bounds = [-math.inf, *ends, math.inf]
    for index, shape in enumerate(shapes):
        chosen = place == index
        if chosen.any():
            result[chosen] = np.clip(shape(values[chosen]), bounds[index], bounds[index + 1])
    return result


def _tangent(segment: Segment, light: float, slope: float) -> Line:
    """Return the line that goes on from a segment at `light`."""
    return Line(slope, _at(segment.encode, light) - slope * light)


def _log_slope(log: Log, light: float) -> float:
    return log.scale * log.gain / (log.gain * light + log.lift) / math.log(10)


def _log2(scale: float, gain: float, lift: float, offset: float) -> Log:
    """Return scale * log2(gain * light + lift) + offset."""
    return Log(scale / math.log10(2), gain, lift, offset)


def _rec709() -> Curve:
    """ITU-R BT.709 and BT.2020 OETF, with the constants to the digits that make both parts meet (ITU-T H.273)."""
    alpha, beta = 1.09929682680944, 0.018053968510807
    return Curve((Line(4.5), Power(0.45, alpha, 1 - alpha)), (beta,))


def _srgb() -> Curve:
    """IEC 61966-2-1, with the toe's line going on below zero."""
    return Curve((Line(12.92), Power(1 / 2.4, 1.055, -0.055)), (0.0031308,))


def _gamma24() -> Curve:
    """ITU-R BT.1886 with a black of zero: a power of 2.4, mirrored below zero."""
    return Curve((Power(1 / 2.4),), centre=0.0)


def _davinci_intermediate() -> Curve:
    """Blackmagic Design, "DaVinci Resolve 17: Wide Gamut Intermediate" (2021)."""
    return Curve((Line(10.44426855), _log2(0.07329248, 1.0, 0.0075, 7 * 0.07329248)), (0.00262409,))


def _acescct() -> Curve:
    """Academy S-2016-001, ACEScct."""
    return Curve((Line(10.5402377416545, 0.0729055341958355), _log2(1 / 17.52, 1.0, 0.0, 9.72 / 17.52)), (0.0078125,))


def _acescc() -> Curve:
    """Academy S-2014-003, ACEScc; light below zero, which the standard clips, goes on along the tangent."""
    dark, bright = _log2(1 / 17.52, 0.5, 2.0**-16, 9.72 / 17.52), _log2(1 / 17.52, 1.0, 0.0, 9.72 / 17.52)
    return Curve((_tangent(dark, 0.0, _log_slope(dark, 0.0)), dark, bright), (0.0, 2.0**-15))


def _logc3() -> Curve:
    """ARRI, "ALEXA LogC Curve: Usage in VFX" (2017), EI 800, scene exposure."""
    return Curve((Line(5.367655, 0.092809), Log(0.247190, 5.555556, 0.052272, 0.385537)), (0.010591,))


def _logc4() -> Curve:
    """ARRI, "ARRI LogC4 Logarithmic Color Space Specification" (2022)."""
    a, b, c = (2**18 - 16) / 117.45, (1023 - 95) / 1023, 95 / 1023
    s = (7 * math.log(2) * 2 ** (7 - 14 * c / b)) / (a * b)
    t = (2 ** (14 * (-c / b) + 6) - 64) / a
    return Curve((Line(1 / s, -t / s), _log2(b / 14, a, 64.0, c - 6 * b / 14)), (t,))


def _slog3() -> Curve:
    """Sony, "Technical Summary for S-Gamut3.Cine/S-Log3 and S-Gamut3/S-Log3" (2014)."""
    toe = Line((171.2102946929 - 95) / 0.01125 / 1023, 95 / 1023)
    return Curve((toe, Log(261.5 / 1023, 1 / 0.19, 0.01 / 0.19, 420 / 1023)), (0.01125,))


def _vlog() -> Curve:
    """Panasonic, "V-Log/V-Gamut Reference Manual" (2014)."""
    return Curve((Line(5.6, 0.125), Log(0.241514, 1.0, 0.00873, 0.598206)), (0.01,))


def _log3g10() -> Curve:
    """RED, "White Paper on REDWideGamutRGB and Log3G10" (2017): version 3, equal to version 2 from -0.01 up."""
    return Curve((Line(15.1927, 0.151927), Log(0.224282, 155.975327, 2.55975327, 0.0)), (-0.01,))


def _canon_log2() -> Curve:
    """Canon, "Canon Log Gamma Curves" v1.2 (2020), Canon Log 2, light as reflectance; mirrored below zero."""
    return Curve((Log(0.24136077, 87.09937546 / 0.9, 1.0, 0.092864125),), centre=0.092864125)


def _canon_log3() -> Curve:
    """Canon, "Canon Log Gamma Curves" v1.2 (2020), Canon Log 3, light as reflectance; mirrored below zero."""
    middle = Line(1.9754798 / 0.9, 0.12512219)
    cut = _at(middle.decode, 0.15277891)
    return Curve((middle, Log(0.36726845, 14.98325 / 0.9, 1.0, 0.12240537)), (cut,), centre=0.12512219)


def _bmd_film5() -> Curve:
    """Blackmagic Design, "Blackmagic Generation 5 Color Science" (2021)."""
    scale = 0.08692876065491224 * math.log(10)
    return Curve((Line(8.283605932402494, 0.09246575342465753), Log(scale, 1.0, 0.005494072432257808, 0.5300133392291939)), (0.005,))


def _cineon() -> Curve:
    """Kodak, "Conversion of 10-bit Log Film Data to 8-bit Linear or Video Data" (1995): white 685, black 95, 0.002 density a code.

    Light 0 is code 95; below code 0 the tangent goes on.
    """
    black = 10 ** ((95 - 685) / 300)
    log = Log(300 / 1023, 1 - black, black, 685 / 1023)
    cut = _at(log.decode, 0.0)
    return Curve((_tangent(log, cut, _log_slope(log, cut)), log), (cut,))


def _hlg() -> Curve:
    """ITU-R BT.2100, the HLG OETF (no OOTF), light 0..1 of scene; mirrored below zero."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * math.log(4 * a)
    return Curve((Power(0.5, math.sqrt(3)), Log(a * math.log(10), 12.0, -b, c)), (1 / 12,), centre=0.0)


def _pq() -> Curve:
    """SMPTE ST 2084; light 1.0 is 10 000 cd/m2, beyond it the tangent goes on; mirrored below zero."""
    pq = Quantizer()
    slope = pq.m1 * pq.m2 * (pq.c2 / (pq.c1 + pq.c2) - pq.c3 / (1 + pq.c3))
    return Curve((pq, _tangent(pq, 1.0, slope)), (1.0,), centre=_at(pq.encode, 0.0))


def _linear() -> Curve:
    """Light itself."""
    return Curve((Line(1.0),))


CURVES: dict[Encoding, Callable[[], Curve]] = {
    Encoding.REC709: _rec709,
    Encoding.SRGB: _srgb,
    Encoding.GAMMA24: _gamma24,
    Encoding.DAVINCI_INTERMEDIATE: _davinci_intermediate,
    Encoding.ACESCCT: _acescct,
    Encoding.ACESCC: _acescc,
    Encoding.LOGC3: _logc3,
    Encoding.LOGC4: _logc4,
    Encoding.SLOG3: _slog3,
    Encoding.VLOG: _vlog,
    Encoding.LOG3G10: _log3g10,
    Encoding.CANON_LOG2: _canon_log2,
    Encoding.CANON_LOG3: _canon_log3,
    Encoding.BMD_FILM5: _bmd_film5,
    Encoding.CINEON: _cineon,
    Encoding.HLG: _hlg,
    Encoding.PQ: _pq,
    Encoding.LINEAR: _linear,
}


@cache
def curve(encoding: Encoding) -> Curve:
    """Return the curve of an encoding. Raise ParamError for an unknown one."""
    if encoding not in CURVES:
        raise ParamError(f"encoding is {encoding!r}; choose one of: {', '.join(CURVES)}.")
    return CURVES[encoding]()


def decode(encoding: Encoding, codes: Codes) -> Codes:
    """Return the scene-linear light of code values, float32 of the same shape; never clips."""
    return codes if encoding == Encoding.LINEAR else _in_blocks(curve(encoding).decode, codes)


def encode(encoding: Encoding, light: Codes) -> Codes:
    """Return the code values of scene-linear light, float32 of the same shape; never clips."""
    return light if encoding == Encoding.LINEAR else _in_blocks(curve(encoding).encode, light)


def _pq_model() -> Curve:
    """Return a logarithm with a toe at 0.1 cd/m2 under a white of 203: PQ's shadows stay as wide as PQ has them, within a factor of 2."""
    return Curve((Log(0.18, 2000.0, 1.0, 0.0),), centre=0.0)


MODEL_WHITE: dict[Encoding, float] = {
    Encoding.LINEAR: 1.0,
    Encoding.PQ: 203 / 10000,
    Encoding.HLG: _at(_hlg().decode, 0.75),
}
"""Encodings that models do not see as they are, and the light of their diffuse white (ITU-R BT.2408 for PQ and HLG)."""


@cache
def model_curve(encoding: Encoding) -> Curve | None:
    """Return the log curve through which models see an encoding, its light 1.0 diffuse white; None where they see the codes."""
    if encoding not in MODEL_WHITE:
        return None
    return _pq_model() if encoding == Encoding.PQ else curve(Encoding.ACESCCT)


def to_model(encoding: Encoding, codes: Codes) -> Codes:
    """Return code values as models see them: `codes` itself where they are perceptual, else through light to a log curve."""
    log = model_curve(encoding)
    return codes if log is None else _in_blocks(_through(encoding, log), codes)


def from_model(encoding: Encoding, codes: Codes) -> Codes:
    """Return what `to_model` was given, within float32 rounding of the log codes (5e-5 at PQ's and HLG's very black)."""
    log = model_curve(encoding)
    if log is None:
        return codes
    host, white = curve(encoding), MODEL_WHITE[encoding]
    return _in_blocks(lambda values: host.encode(log.decode(values) * white), codes)


def slope(encoding: Encoding, codes: Codes) -> Codes:
    """Return d(model code) / d(code) at `codes`, float32, not negative: what carries a grain strength from one to the other."""
    log = model_curve(encoding)
    if log is None:
        return np.ones_like(codes)
    through = _through(encoding, log)

    def difference(values: Floats) -> Floats:
        step = 1e-6 * np.maximum(np.abs(values), 1.0)
        return (through(values + step) - through(values - step)) / (2 * step)

    return _in_blocks(difference, codes)


def _through(encoding: Encoding, log: Curve) -> Callable[[Floats], Floats]:
    host, white = curve(encoding), MODEL_WHITE[encoding]
    return lambda values: log.encode(host.decode(values) / white)


def _in_blocks(function: Callable[[Floats], Floats], values: Codes) -> Codes:
    """Run a float64 function over float32 values a block at a time; values beyond float32 become infinite."""
    flat = np.ascontiguousarray(values, np.float32).reshape(-1)
    result = np.empty_like(flat)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        for start in range(0, flat.size, BLOCK):
            result[start : start + BLOCK] = function(flat[start : start + BLOCK].astype(np.float64))
    return result.reshape(values.shape)
