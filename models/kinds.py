"""Render grain of several kinds on clean pictures, by name: `make_kind("boolean")(clean, level, seed)` is the grain alone.

Every kind takes a clean picture (H, W, 3; code value, 0..1 nominal), a level and a seed (0 .. 2 ** 64 - 1) and returns grain of that
shape, float64, not clipped. The level is the peak standard deviation in code value: that of the grey on which the kind is strongest,
root mean square over the channels; `kind.strength(greys)` is the curve, `peak_grey(kind)` the place. The same seed gives the same grain:
numbers come from Philox, keyed by the seed; nothing global is read or changed.

white, filtered   Gaussian noise, flat or through a Gaussian of given width or one that the seed draws
boolean           the Gaussian approximation of Newson's model (models/boolean.py)
boolean-mc        Newson's model itself, rendered by Monte Carlo
av1               a table of AV1 film grain, laid by grainlayer.codec
scan              strength by code value, spectrum and channel correlation measured on film scans of the licence class `open`
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from grainlayer.codec import av1synth
from grainlayer.codec.av1grain import Av1Grain, read_table
from grainlayer.errors import MediaError, ParamError
from grainlayer.picture.encoding import decode, encode
from grainlayer.types import Encoding
from models.boolean import BooleanGrain
from models.data import data_root
from models.monte_carlo import MonteCarlo, check_request, generator
from models.trees import read_picture

Floats = NDArray[np.float64]

GREYS: Floats = np.linspace(0.0, 1.0, 129)
"""Code values at which the peak of a strength curve is sought."""


class Kind(Protocol):
    """One kind of grain."""

    def __call__(self, clean: Floats, level: float, seed: int) -> Floats:
        """Return grain (H, W, 3) for a clean picture; raise ParamError for a level below 0 or a picture of another shape."""
        ...

    def strength(self, greys: Floats) -> Floats:
        """Return the standard deviation on greys (code value), root mean square over the channels, with a peak of 1 on 0..1."""
        ...


def peak_grey(kind: Kind) -> float:
    """Return the grey (code value) on which a kind is strongest; of several the one next to the middle."""
    curve = kind.strength(GREYS)
    best = np.flatnonzero(curve > curve.max() * (1 - 1e-9))
    return float(GREYS[best[np.argmin(np.abs(GREYS[best] - 0.5))]])


def white_fields(shape: tuple[int, ...], seed: int, mix: Floats) -> Floats:
    """Return white noise (H, W, 3), unit variance, whose channels correlate as the matrix `mix` (3, 3) says."""
    white = generator(seed).standard_normal(shape)
    return white @ np.linalg.cholesky(mix).T if mix.any() and not np.array_equal(mix, np.eye(3)) else white


def even_mix(correlation: float) -> Floats:
    """Return the correlation matrix (3, 3) of channels of which any two correlate alike. Raise ParamError beyond 0..0.999."""
    if not 0 <= correlation <= 0.999:
        raise ParamError(f"The correlation of the channels must be from 0 to 0.999; got {correlation}.")
    return np.full((3, 3), correlation) + (1 - correlation) * np.eye(3)


def filtered_fields(white: Floats, amplitude: Callable[[Floats], Floats]) -> Floats:
    """Filter white noise (H, W, 3) by an amplitude of radial frequency (cycles a pixel), at unit variance; edges wrap around."""
    height, width = white.shape[:2]
    response = amplitude(np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]))
    response = response / np.sqrt(np.mean(response**2))
    waves = np.fft.rfft2(white, axes=(0, 1)) * response[:, : width // 2 + 1, None]
    return np.fft.irfft2(waves, s=(height, width), axes=(0, 1))


@dataclass(frozen=True)
class Noise:
    """Gaussian noise.

    width        standard deviation of the filter in pixels: 0 is white; None draws 0.25 to 2.2, evenly in the logarithm, by the seed
    correlation  of any two channels, 0..0.999
    curve        strength at evenly spaced code values from 0 to 1, in any unit; one number is the same strength everywhere
    """

    width: float | None = 0.0
    correlation: float = 0.0
    curve: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if not self.curve or min(self.curve) < 0 or max(self.curve) <= 0 or (self.width is not None and not 0 <= self.width <= 50):
            raise ParamError("Noise takes a width of 0 to 50 pixels and a curve of numbers from 0, one of them above 0; correct them.")

    def strength(self, greys: Floats) -> Floats:
        return np.interp(greys, np.linspace(0, 1, len(self.curve)), np.array(self.curve) / max(self.curve))

    def __call__(self, clean: Floats, level: float, seed: int) -> Floats:
        check_request(clean, level, seed)
        width = self.width if self.width is not None else float(np.exp(generator(seed, 0, 0, 1).uniform(np.log(0.25), np.log(2.2))))
        field = white_fields(clean.shape, seed, even_mix(self.correlation))
        if width:
            field = filtered_fields(field, lambda frequency: np.exp(-2 * np.pi**2 * width**2 * frequency**2))
        return field * self.strength(clean) * level


@dataclass(frozen=True)
class Boolean:
    """Newson's model in its Gaussian approximation; `radius` and point spread `psf` in pixels, `correlation` of any two channels."""

    radius: float = 0.5
    psf: float = 0.8
    correlation: float = 0.3

    @cached_property
    def _grain(self) -> BooleanGrain:
        return BooleanGrain(self.radius, self.psf)

    def strength(self, greys: Floats) -> Floats:
        return self._grain.strength(greys, 1.0)

    def __call__(self, clean: Floats, level: float, seed: int) -> Floats:
        check_request(clean, level, seed)
        return self._grain.render(clean, level, seed, self.correlation)


BITS = 10
TO_YCC: Floats = np.array([[0.2126, 0.7152, 0.0722], [-0.2126 / 1.8556, -0.7152 / 1.8556, 0.5], [0.5, -0.7152 / 1.5748, -0.0722 / 1.5748]])
"""BT.709's Y, Cb, Cr of R, G, B."""


@dataclass(frozen=True)
class Av1:
    """AV1's film grain: laid on 10-bit planes of the clean picture (BT.709, full range, 4:4:4), brought back to RGB and scaled.

    The table's own strength only shapes the curve; near black and white the 10-bit planes clip, as in a decoder.
    """

    table: Av1Grain

    def __post_init__(self) -> None:
        if not any(scaling for _, scaling in self.table.points[0]):
            raise ParamError("This AV1 table lays no grain on luma; choose another.")

    def strength(self, greys: Floats) -> Floats:
        return self._curve(self._seeded(0), greys) / self._curve(self._seeded(0), GREYS).max()

    def _seeded(self, seed: int) -> Av1Grain:
        state = int(np.random.SeedSequence(seed).generate_state(1)[0] & 0xFFFF) or 1
        return replace(self.table, seed=state, limited=False)

    def _curve(self, grain: Av1Grain, greys: Floats) -> Floats:
        """Return the standard deviation on greys, root mean square of R, G, B, from the seed's own patterns and the scaling."""
        patterns = np.stack([pattern[9:, 9:].ravel() for pattern in av1synth.patterns(grain, BITS, (0, 0))]).astype(np.float64)
        luma = np.round(np.clip(greys, 0, 1) * 1023).astype(np.int32)
        rows = [av1synth.scaling(grain.points[0], BITS)[luma]]
        for plane, (own, of_luma, offset) in enumerate(grain.multipliers, 1):
            place = np.clip(((luma * (of_luma - 128) + 512 * (own - 128)) >> 6) + (offset - 256) * 4, 0, 1023)
            points = grain.points[0] if grain.from_luma else grain.points[plane]
            rows.append(av1synth.scaling(points, BITS)[luma if grain.from_luma else place])
        scale = np.linalg.inv(TO_YCC)[None] * (np.stack(rows, axis=-1) / 2.0**grain.scaling_shift)[..., None, :]
        power = np.einsum("gij,jk,gik->g", scale, np.cov(patterns), scale) / 3
        return np.sqrt(power) / 1023

    def __call__(self, clean: Floats, level: float, seed: int) -> Floats:
        check_request(clean, level, seed)
        grain = self._seeded(seed)
        codes = np.clip(clean, 0, 1) @ TO_YCC.T * 1023 + np.array([0, 512, 512])
        planes = [np.clip(np.round(codes[:, :, plane]), 0, 1023).astype(np.uint16) for plane in range(3)]
        laid = av1synth.lay(grain, planes, BITS, (0, 0))
        added = np.stack([new.astype(np.float64) - old for new, old in zip(laid, planes, strict=True)], axis=-1) / 1023
        return added @ np.linalg.inv(TO_YCC).T * (level / self._curve(grain, GREYS).max())


ROLL = "fymmot_201805-001"
"""The scans of one roll of 35mm colour negative, 2000 pixels along 36 mm; every patch comes from it."""
SKY = f"{ROLL}-013"
"""The scan whose patches are sky: grain alone."""
BINS = 64


@dataclass(frozen=True, eq=False)
class Scan:
    """Grain measured on film scans: Gaussian, with their strength, spectrum and channel correlation.

    curve        standard deviation (3, 17) of R, G, B at code values 0, 1/16 ... 1, code value
    spectrum     power (64,) at radial frequencies 0 to 0.7071 cycles a pixel, any unit
    correlation  matrix (3, 3)
    """

    curve: Floats
    spectrum: Floats
    correlation: Floats

    def _channels(self, values: Floats) -> Floats:
        """Return the strength of each channel, unscaled, of values (..., 3)."""
        knots = np.linspace(0, 1, self.curve.shape[1])
        return np.stack([np.interp(values[..., c], knots, self.curve[c]) for c in range(3)], axis=-1)

    def _peak(self) -> float:
        return float(np.sqrt((self._channels(np.repeat(GREYS[:, None], 3, axis=1)) ** 2).mean(axis=1)).max())

    def strength(self, greys: Floats) -> Floats:
        channels = self._channels(np.repeat(np.asarray(greys)[..., None], 3, axis=-1))
        return np.sqrt((channels**2).mean(axis=-1)) / self._peak()

    def __call__(self, clean: Floats, level: float, seed: int) -> Floats:
        check_request(clean, level, seed)
        knots = np.linspace(0, np.sqrt(0.5), BINS)
        field = filtered_fields(white_fields(clean.shape, seed, self.correlation), lambda f: np.sqrt(np.interp(f, knots, self.spectrum)))
        return field * self._channels(clean) * (level / self._peak())


def open_files(root: Path, folder: str, suffix: str) -> list[Path]:
    """Return the files of a folder that the manifest of `root` puts in the licence class `open`, sorted. Raise MediaError if none."""
    try:
        with (root / "manifest.csv").open(encoding="utf-8", newline="") as held:
            rows = [row["file"] for row in csv.DictReader(held) if row["licence_class"] == "open"]
    except (OSError, KeyError, ValueError) as error:
        raise MediaError(f"{root / 'manifest.csv'} cannot be read; point GRAINLAYER_DATA at the folder that holds it.") from error
    found = sorted(root / row for row in rows if row.startswith(f"{folder}/") and row.endswith(suffix))
    if not found:
        raise MediaError(f"{root} holds no {suffix} file of {folder} whose licence class is open; get the data again.")
    return found


@cache
def fit_scan(root: Path) -> Scan:
    """Measure the grain of one roll: spectrum and correlation on its patches of sky, strength on the patches and the flattest
    blocks of its scans.

    Strength includes scanner and JPEG. Raise MediaError where manifest, patches or scans are missing or damaged.
    """
    patches = [read_picture(file) for file in open_files(root, "grain/patches", ".png") if file.name.startswith(SKY)]
    scans = [read_picture(file) for file in open_files(root, "grain/scans", ".jpg") if file.name.startswith(ROLL)]
    if not patches or not scans:
        raise MediaError(f"{root} lacks the patches or scans of the roll {ROLL}; get the data again.")
    residuals = [(patch.astype(np.float64) * 65535 - 32768) / 256 / 255 for patch in patches]
    correlation = np.mean([np.corrcoef(patch.reshape(-1, 3).T) for patch in residuals], axis=0)
    curve = _strengths(scans)
    for channel in range(3):
        place = [round(float(value[channel]) / 255 * 16) for value, _ in _measured(root)]
        for knot in set(place):
            curve[channel, knot] = (
                np.median([std[channel] for at, (_, std) in zip(place, _measured(root), strict=True) if at == knot]) / 255
            )
    padded = np.pad(curve, ((0, 0), (1, 1)), "edge")
    smooth = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    return Scan(smooth, _radial_power(residuals), correlation)


@cache
def _measured(root: Path) -> list[tuple[list[float], list[float]]]:
    """Return mean and standard deviation of R, G, B (8-bit codes) of each patch of sky, from patches.json."""
    file = open_files(root, "grain/patches", ".json")[0]
    try:
        held: Any = json.loads(file.read_text("utf-8"))
        return [(row["mean_rgb"], row["std_rgb"]) for row in held if Path(row["file"]).name.startswith(SKY)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MediaError(f"{file} cannot be read as a list of patches; get the data again.") from error


def _radial_power(patches: list[Floats]) -> Floats:
    """Return power by radial frequency (64,) of patches (S, S, 3); below what their detrending left, that of the first good bin."""
    size = patches[0].shape[0]
    window = np.outer(np.hanning(size), np.hanning(size))[:, :, None]
    power = np.mean([np.abs(np.fft.fft2(p * window / p.std(axis=(0, 1)), axes=(0, 1))) ** 2 for p in patches], axis=(0, 3))
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None])
    ring = np.round(frequency / np.sqrt(0.5) * (BINS - 1)).astype(int)
    rings = np.bincount(ring.ravel(), power.ravel(), BINS) / np.maximum(np.bincount(ring.ravel(), minlength=BINS), 1)
    rings[:3] = rings[3]
    return rings


def _strengths(scans: list[NDArray[np.float32]], side: int = 16, knots: int = 17) -> Floats:
    """Return standard deviations (3, knots) by code value: of the blocks around each knot, the second percentile: texture adds."""
    y, x = np.mgrid[:side, :side].reshape(2, -1).astype(np.float64) / side - 0.5
    basis = np.linalg.qr(np.stack((np.ones_like(x), x, y, x * y, x * x, y * y), axis=1))[0]
    curve = np.empty((3, knots))
    for channel in range(3):
        blocks = np.concatenate([_blocks(scan[:, :, channel], side) for scan in scans])
        rest = blocks - (blocks @ basis) @ basis.T
        deviation, place = np.sqrt((rest**2).sum(axis=1) / (side**2 - basis.shape[1])), np.round(blocks.mean(axis=1) * (knots - 1))
        counts = np.array([(place == knot).sum() for knot in range(knots)])
        known = np.flatnonzero(counts >= 40)
        low = [np.percentile(deviation[place == knot], 2) for knot in known]
        curve[channel] = np.interp(np.arange(knots), known, low)
    return curve


def _blocks(plane: NDArray[np.float32], side: int) -> Floats:
    rows, columns = plane.shape[0] // side, plane.shape[1] // side
    cut = plane[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return cut.transpose(0, 2, 1, 3).reshape(-1, side * side).astype(np.float64)


DARKEST = 0.1
"""Code value below which the peak of grain of another encoding is not sought: there the curves' slopes alone would decide."""


@dataclass(frozen=True)
class Encoded:
    """Grain of another kind, rendered in the code values of `encoding` and brought back to those of the picture, `own`.

    The level is the peak in the picture's code values from DARKEST up, to first order in the grain.
    """

    kind: Kind
    encoding: Encoding
    own: Encoding = Encoding.SRGB

    def _there(self, values: Floats) -> Floats:
        return encode(self.encoding, decode(self.own, values.astype(np.float32))).astype(np.float64)

    def _back(self, values: Floats) -> Floats:
        return encode(self.own, decode(self.encoding, values.astype(np.float32))).astype(np.float64)

    def _curve(self, greys: Floats) -> Floats:
        """Return the strength on greys for a level of 1 in `encoding`: by the slope between the two codes."""
        step = 1 / 512
        slope = (self._there(greys + step) - self._there(greys - step)) / (2 * step)
        return self.kind.strength(np.clip(self._there(greys), 0, 1)) / slope

    def _peak(self) -> float:
        return float(self._curve(GREYS[GREYS >= DARKEST]).max())

    def strength(self, greys: Floats) -> Floats:
        """Return the standard deviation relative to that of the strongest grey from DARKEST up; below it may be more than 1."""
        return self._curve(np.asarray(greys)) / self._peak()

    def __call__(self, clean: Floats, level: float, seed: int) -> Floats:
        check_request(clean, level, seed)
        inner, there = self._there(clean), level / self._peak()
        if there > 1:
            raise ParamError(f"A level of {level:g} is more than {self.encoding} can hold; ask for {self._peak():.3g} at most.")
        grain = self.kind(np.clip(inner, 0, 1), there, seed)
        return self._back(inner + grain) - self._back(inner)


def _filtered(width: float | None = None, correlation: float = 0.3, curve: tuple[float, ...] = (1.0,)) -> Kind:
    return Noise(width, correlation, curve)


def _av1(table: Path | None = None) -> Kind:
    """Return the kind of a table's first entry that lays grain, by default that of libaom's first test vector."""
    file = table or data_root() / "grain" / "tables" / "libaom_test01.tbl"
    for entry in read_table(file):
        if entry.grain is not None:
            return Av1(entry.grain)
    raise MediaError(f"{file} lays no grain; choose another table.")


def _scan(root: Path | None = None) -> Kind:
    return fit_scan((root or data_root()).resolve())


KINDS: Mapping[str, Callable[..., Kind]] = {
    "white": Noise,
    "filtered": _filtered,
    "boolean": Boolean,
    "boolean-mc": MonteCarlo,
    "av1": _av1,
    "scan": _scan,
}


def make_kind(name: str, encoding: Encoding | None = None, own: Encoding = Encoding.SRGB, **options: Any) -> Kind:
    """Return a kind of grain by name, with the options of its class, in another encoding where one is named.

    Raise ParamError for an unknown name or option, MediaError where the data that a kind needs are missing.
    """
    if name not in KINDS:
        raise ParamError(f"{name!r} is no kind of grain; choose one of: {', '.join(KINDS)}.")
    try:
        kind = KINDS[name](**options)
    except TypeError as error:
        raise ParamError(f"The kind of grain {name} does not take {', '.join(options)}; see models/kinds.py for what it takes.") from error
    return kind if encoding is None or encoding == own else Encoded(kind, encoding, own)
