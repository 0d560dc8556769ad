"""Measure the grain of a shot: strength, spectrum and correlation from flat places, then corrected by synthesis.

What a remover leaves in the base, and the detail it takes, bias every figure. So the measured profile is synthesised onto
the base, removed again and measured again with the same eyes; the difference to the first measurement corrects the profile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from grainlayer.grain.look import GrainLook
from grainlayer.grain.profile import NODES, RADII, STRENGTH_KNOTS, GrainProfile, encode_profile
from grainlayer.grain.synth import prepare, render
from grainlayer.types import Image, Window

Floats = NDArray[np.float64]
Remove = Callable[[Window], Image]
"""Takes grainy pictures (T, H, W, 3) that follow one another, returns the grain of the middle one."""
Deliver = Callable[[Image], Image]
"""Takes a picture through the file's sampling and code steps and back."""

LUMA = np.array([0.2126, 0.7152, 0.0722])
CELL = 16
"""Pixels across a cell of the strength measurement."""
BLOCK = 64
"""Pixels across a block of the spectrum measurement; blocks overlap by half."""
FLAT = 0.006
"""Standard deviation of the base, code value, at which a place counts half."""
FLOOR = 2.0**-14
BENDS, STEPS, RATIO = 6e-4, 1e-5, 1e-6
"""Weights of a ratio's bends, steps and distance from 1 over the code values, against the weight of all cells."""
LAID = 5
"""Samples at most on which the profile's own grain is laid and measured again."""
UNSEEN = 2
"""Radii of the profile too low for a block to tell from its slope; they take the next one's power."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Hold one picture of the shot, or a part of it, in code values: the `source`, and where (y, x) it lies.

    around   the pictures before and after with the source in the middle, (T, H, W, 3), where there are any
    """

    source: Image
    frame: int = 0
    origin: tuple[int, int] = (0, 0)
    around: Window | None = None

    @property
    def window(self) -> Window:
        """Return the pictures around the source, or it alone, (T, H, W, 3)."""
        return self.source[None] if self.around is None else self.around


@dataclass(frozen=True, eq=False)
class Split(Sample):
    """Hold a sample with its `base`."""

    base: Image = field(kw_only=True)


@dataclass
class Tally:
    """Sum what was measured over samples, weighted by flatness: normal equations of the strength curves, spectra, products."""

    normal: Floats = field(default_factory=lambda: np.zeros((3, STRENGTH_KNOTS, STRENGTH_KNOTS)))
    right: Floats = field(default_factory=lambda: np.zeros((3, STRENGTH_KNOTS)))
    spectrum: Floats = field(default_factory=lambda: np.zeros((len(NODES), BLOCK, BLOCK // 2 + 1)))
    mass: Floats = field(default_factory=lambda: np.zeros(len(NODES)))
    products: Floats = field(default_factory=lambda: np.zeros((3, 3)))
    laid: Floats = field(default_factory=lambda: np.zeros((3, STRENGTH_KNOTS, STRENGTH_KNOTS)))
    slow: Floats = field(default_factory=lambda: np.zeros(2))
    flat: Floats = field(default_factory=lambda: np.zeros((3, STRENGTH_KNOTS)))
    cells: Floats = field(default_factory=lambda: np.zeros((3, STRENGTH_KNOTS)))

    def strength(self) -> Floats:
        """Return standard deviations (3, 17): the nearest of the typical curves, bent to what was seen."""
        return np.array([_fit_strength(self.normal[c], self.right[c]) for c in range(3)])

    def kept(self) -> Floats:
        """Return which share of the variance laid by synthesis was seen again, (3, 17) by code value.

        Cells do not see variation slower than they are wide; how much of it there is, is the same everywhere.
        """
        inside = self.slow[1] / self.slow[0] if self.slow[0] > 0 else 1.0
        return inside * np.array([solve_ratio(self.laid[c], self.right[c]) for c in range(3)])

    def correlation(self) -> Floats:
        """Return the correlation of R and G, R and B, G and B."""
        scale = np.sqrt(np.maximum(np.diag(self.products), 1e-20))
        matrix = self.products / np.outer(scale, scale)
        return np.clip(np.array([matrix[0, 1], matrix[0, 2], matrix[1, 2]]), -1, 1)

    def radial(self) -> tuple[Floats, Floats]:
        """Return power in decibels (3, 15) at the profile's radii, and the directional part (15,)."""
        filled = _fill_nodes(self.spectrum, self.mass)
        weights, lobe = _radial_weights()
        power = np.einsum("rk,nk->nr", weights, filled.reshape(len(NODES), -1))
        level = 10 * np.log10(np.maximum(power, 1e-20))
        total = filled.sum(0).ravel()
        along = (weights * (1 + lobe)) @ total / np.maximum((weights * (1 + lobe)).sum(1), 1e-12)
        across = (weights * (1 - lobe)) @ total / np.maximum((weights * (1 - lobe)).sum(1), 1e-12)
        return level, 10 * np.log10(np.maximum(along, 1e-20) / np.maximum(across, 1e-20))


def _fit_strength(normal: Floats, right: Floats) -> Floats:
    """Return the standard deviation at the knots, (17,), from the normal equations of the variance."""
    shapes = _typical_variances()
    scales = np.maximum(shapes @ right, 0) / np.maximum(np.einsum("sk,kl,sl->s", shapes, normal, shapes), 1e-30)
    errors = [scale**2 * shape @ normal @ shape - 2 * scale * shape @ right for shape, scale in zip(shapes, scales, strict=True)]
    best = int(np.argmin(errors))
    start = scales[best] * shapes[best] + 1e-20
    variance = start * solve_ratio(normal * start, right)
    least = 0.02 * float(np.max(variance, initial=0.0))
    return np.sqrt(np.maximum(variance, max(least, FLOOR**2)))


def solve_ratio(normal: Floats, right: Floats) -> Floats:
    """Return ratios (17,), 1/9..9, solving normal @ ratio = right; smooth, and drawn to 1 where nothing is seen."""
    size = np.eye(STRENGTH_KNOTS)
    bend, step = np.diff(size, 2, axis=0), np.diff(size, axis=0)
    prior = float(np.trace(normal)) * (BENDS * bend.T @ bend + STEPS * step.T @ step + RATIO * size) + 1e-30 * size
    return np.clip(1 + np.linalg.solve(normal + prior, right - normal.sum(axis=1)), 1 / 9, 9)


@cache
def _typical_variances() -> Floats:
    """Return shapes of variance against code value, (shapes, 17), peak 1: even, and humps as film has them, at several places."""
    value = np.linspace(0, 1, STRENGTH_KNOTS)
    humps = [value**a * (1 - value) ** b + 0.02 for a in (0.25, 0.5, 1.0) for b in (0.25, 0.5, 1.0, 1.5)]
    falls = [(1 - value) ** b + 0.02 for b in (0.25, 0.5, 1.0)]
    rises = [value**a + 0.02 for a in (0.25, 0.5, 1.0)]
    return np.array([shape / shape.max() for shape in (np.ones_like(value), *humps, *falls, *rises)])


def _fill_nodes(spectrum: Floats, mass: Floats) -> Floats:
    """Return mean spectra by node; a node seen little borrows the mean of all."""
    mean = spectrum.sum(0) / max(float(mass.sum()), 1e-12)
    prior = 0.03 * float(mass.sum()) + 1e-12
    return np.array([(spectrum[n] + prior * mean) / (mass[n] + prior) for n in range(len(NODES))])


def _radial_weights() -> tuple[Floats, Floats]:
    """Return weights (15, bins) that average a block's power around each radius, and cos(2 angle) (bins,)."""
    fy, fx = np.fft.fftfreq(BLOCK)[:, None], np.fft.rfftfreq(BLOCK)[None]
    radius = np.hypot(fy, fx).ravel()
    twice = np.where((fx == 0) | (fx == 0.5), 1.0, 2.0)
    count = np.broadcast_to(twice, (BLOCK, BLOCK // 2 + 1)).ravel()
    lobe = ((fx**2 - fy**2) / np.maximum(fx**2 + fy**2, 1e-12)).ravel()
    knots = np.array(RADII)
    step = np.maximum(np.gradient(knots), 1 / BLOCK)
    weights = np.exp(-0.5 * ((radius[None] - knots[:, None]) / (0.3 * step[:, None])) ** 2) * count * (radius > 0.01)
    return weights / np.maximum(weights.sum(1, keepdims=True), 1e-12), lobe


def flatness(base: Image) -> Floats:
    """Return how flat each cell of 16x16 pixels is, 0..1, (H//16, W//16), from the base's own variation."""
    luma = cells_of(base @ LUMA.astype(np.float32))
    variation = detrended(luma).std(axis=(2, 3))
    return 1 / (1 + (variation / FLAT) ** 4)


def cells_of(plane: NDArray[np.generic], size: int = CELL) -> Floats:
    """Return (rows, columns, size, size): the whole cells of a plane."""
    rows, columns = plane.shape[0] // size, plane.shape[1] // size
    part = plane[: rows * size, : columns * size].astype(np.float64)
    return part.reshape(rows, size, columns, size).swapaxes(1, 2)


def detrended(cells: Floats) -> Floats:
    """Remove from each cell its mean and slopes."""
    size = cells.shape[-1]
    ramp = (np.arange(size) - (size - 1) / 2) / np.sqrt((size**2 - 1) / 12)
    centred = cells - cells.mean(axis=(2, 3), keepdims=True)
    slope_x = (centred * ramp).mean(axis=(2, 3), keepdims=True) * ramp
    slope_y = (centred * ramp[:, None]).mean(axis=(2, 3), keepdims=True) * ramp[:, None]
    return centred - slope_x - slope_y


def _rows(values: Floats) -> Floats:
    """Return how much each knot counts at each cell's code value, (cells, 17), linear between knots."""
    place = np.clip(values.ravel(), 0, 1) * (STRENGTH_KNOTS - 1)
    return np.maximum(1 - np.abs(place[:, None] - np.arange(STRENGTH_KNOTS)[None]), 0)


def _open(source: NDArray[np.float32]) -> Floats:
    """Return by cell whether its pixels are free of clipping: 0 where more than 3 % stand at the channel's very ends."""
    top, bottom = float(source.max()), float(source.min())
    clipped = cells_of((source >= top - 1e-4) | (source <= bottom + 1e-4)).mean(axis=(2, 3))
    return (clipped <= 0.03).astype(np.float64)


def measure(tally: Tally, base: Image, grain: Image, laid: Image | None = None) -> None:
    """Add one picture's grain (H, W, 3) to the tally; `base` tells the code values and what is flat, `laid` the true grain."""
    if min(base.shape[:2]) < CELL:
        return
    flat = flatness(base) + 1e-9
    for channel in range(3):
        noise = grain[:, :, channel]
        value = cells_of(base[:, :, channel]).mean(axis=(2, 3))
        inside = flat * _open(base[:, :, channel] + noise)
        rows = _rows(value)
        heavy = rows * inside.ravel()[:, None]
        tally.normal[channel] += heavy.T @ rows
        tally.right[channel] += heavy.T @ cells_of(noise).var(axis=(2, 3)).ravel()
        if laid is not None:
            power = cells_of(laid[:, :, channel]).var(axis=(2, 3))
            tally.laid[channel] += heavy.T @ (rows * power.ravel()[:, None])
            tally.slow += np.array([np.mean(np.square(laid[:, :, channel], dtype=np.float64)), power.mean()])
        tally.flat[channel] += rows.T @ flat.ravel()
        tally.cells[channel] += rows.sum(axis=0)
    _measure_products(tally, grain, flat)
    _measure_spectrum(tally, base, grain, flat)


def _measure_products(tally: Tally, grain: Image, flat: Floats) -> None:
    cells = [cells_of(grain[:, :, c]) for c in range(3)]
    cells = [c - c.mean(axis=(2, 3), keepdims=True) for c in cells]
    scale = np.sqrt(sum((c**2).mean(axis=(2, 3)) for c in cells)) + 1e-6
    for i in range(3):
        for j in range(3):
            tally.products[i, j] += float(((cells[i] * cells[j]).mean(axis=(2, 3)) * flat / scale**2).sum())


def _measure_spectrum(tally: Tally, base: Image, grain: Image, flat: Floats) -> None:
    if min(base.shape[:2]) < BLOCK:
        return
    window = np.hanning(BLOCK + 1)[:BLOCK]
    window = np.outer(window, window) / np.sqrt((window**2).mean() ** 2)
    luma, value = grain @ LUMA.astype(np.float32), base @ LUMA.astype(np.float32)
    span = BLOCK // CELL
    for y in range(0, luma.shape[0] - BLOCK + 1, BLOCK // 2):
        for x in range(0, luma.shape[1] - BLOCK + 1, BLOCK // 2):
            cells = flat[y // CELL : y // CELL + span, x // CELL : x // CELL + span]
            weight = float(cells.mean()) * (float(cells.min()) + 0.01)
            if weight > 1e-5:
                _add_block(tally, luma[y : y + BLOCK, x : x + BLOCK], window, weight, float(value[y : y + BLOCK, x : x + BLOCK].mean()))


def _add_block(tally: Tally, block: NDArray[np.floating], window: Floats, weight: float, value: float) -> None:
    block = block - block.mean()
    power = np.abs(np.fft.rfft2(block * window)) ** 2 / BLOCK**2
    power /= float(block.var()) + FLOOR**2
    shares = node_shares(value)
    tally.spectrum += weight * shares[:, None, None] * power
    tally.mass += weight * shares


def node_shares(value: float) -> Floats:
    """Return how much each spectrum node counts at a code value: linear between nodes, constant beyond, sum 1."""
    return np.array([np.interp(value, NODES, np.eye(len(NODES))[n]) for n in range(len(NODES))])


def split_samples(samples: Sequence[Sample], remove: Remove) -> list[Split]:
    """Return the samples with their bases."""
    return [Split(s.source, s.frame, s.origin, s.around, base=s.source - remove(s.window)) for s in samples]


def some(samples: Sequence[Split]) -> Sequence[Split]:
    """Return the samples on which the profile's own grain is laid."""
    return samples[:: max(1, -(-len(samples) // LAID))]


def bases_of(sample: Split, remove: Remove) -> Window:
    """Return the bases of all pictures of a sample's window, (T, H, W, 3); near its ends they see the window mirrored."""
    window = sample.window
    middle, last = len(window) // 2, len(window) - 1
    bases = [sample.base if i == middle else window[i] - remove(window[mirrored(i, middle, last)]) for i in range(len(window))]
    return np.stack(bases)


def mirrored(place: int, reach: int, last: int) -> list[int]:
    """Return the places around one, folded into 0..last."""
    folded = (abs(place + step) % max(2 * last, 1) for step in range(-reach, reach + 1))
    return [inside if inside <= last else 2 * last - inside for inside in folded]


def measure_profile(
    samples: Sequence[Split],
    remove: Remove,
    height: int,
    *,
    deliver: Deliver | None = None,
    bases: Sequence[Window] | None = None,
    rounds: int = 2,
) -> GrainProfile:
    """Return the profile of a shot's grain, as code values of the samples' encoding.

    `remove` gives the grain of a window; `deliver` (identity by default) stores a picture as the source file does, so that
    chroma subsampling and code steps bias both measurements alike; `bases` are `bases_of` of `some` samples, where they are at
    hand; `rounds` corrections by synthesis follow the first look.
    """
    first = Tally()
    for sample in samples:
        measure(first, sample.base, sample.source - sample.base)
    profile = _encode(height, first.strength(), first.radial(), first.correlation())
    windows = [bases_of(sample, remove) for sample in some(samples)] if bases is None else bases
    for turn in range(rounds):
        tallies = Tally(), Tally()
        for index, window in enumerate(windows):
            for tally, clean in zip(tallies, (window, halved(window)), strict=True):
                measure(tally, *lay_again(profile, clean, index, turn, remove, deliver))
        profile = _corrected(profile, first, *tallies)
    return profile


def halved(window: Window) -> Window:
    """Return pictures at half their size: what was fine detail a remover cannot keep apart from grain is there again."""
    height, width = (max(n // 2, 1) for n in window.shape[1:3])
    if min(window.shape[1:3]) < 2:
        return window
    part = window[:, : 2 * height, : 2 * width]
    return np.ascontiguousarray(part.reshape(len(window), height, 2, width, 2, 3).mean(axis=(2, 4)), np.float32)


def lay_again(
    profile: GrainProfile, bases: Window, index: int, turn: int, remove: Remove, deliver: Deliver | None
) -> tuple[Image, Image, Image]:
    """Return (base, grain, laid) of the middle of a window of bases: the profile's own grain, `laid` on all and removed again."""
    plan = prepare(profile, GrainLook(), profile.height, bases.shape[2])
    middle = len(bases) // 2
    laid = [render(plan, base, seed=0x6A09E667 + turn, frame=index * len(bases) + step) for step, base in enumerate(bases)]
    made = np.stack([deliver(base + grain) if deliver else base + grain for base, grain in zip(bases, laid, strict=True)])
    grain = remove(made)
    return made[middle] - grain, grain, laid[middle]


def _corrected(profile: GrainProfile, wanted: Tally, same: Tally, busy: Tally) -> GrainProfile:
    """Return the profile after one look at its own grain, on the bases (`same`) and on halved ones (`busy`).

    A base has lost detail, so grain is told from it too well; a halved one holds more than the shot does. The two are
    mixed so that places are as flat as in the shot.
    """
    mixes = _mixes(wanted, same, busy)
    mix = float((mixes * wanted.cells).sum() / max(float(wanted.cells.sum()), 1e-9))
    kept = np.exp((1 - mixes) * np.log(same.kept()) + mixes * np.log(busy.kept()))
    strength = wanted.strength() / np.sqrt(kept)
    got_db, got_lobe = ((1 - mix) * a + mix * b for a, b in zip(same.radial(), busy.radial(), strict=True))
    wanted_db, wanted_lobe = wanted.radial()
    spectrum = profile.spectrum_db() + np.clip(wanted_db - got_db, -6, 6)
    lobe = profile.direction_db() + np.clip(wanted_lobe - got_lobe, -3, 3)
    tied = (1 - mix) * same.correlation() + mix * busy.correlation()
    pairs = profile.correlation_matrix()[[0, 0, 1], [1, 2, 2]] + wanted.correlation() - tied
    return _encode(profile.height, strength, (spectrum, lobe), np.clip(pairs, -1, 1))


def _mixes(wanted: Tally, same: Tally, busy: Tally) -> Floats:
    """Return by channel and knot the share of `busy`, 0..1, at which places of that code value are as flat as in the shot."""
    near = np.exp(-0.5 * (np.subtract.outer(np.arange(STRENGTH_KNOTS), np.arange(STRENGTH_KNOTS)) / 1.0) ** 2)
    shares = [np.log((tally.flat @ near + 1e-9) / (tally.cells @ near + 1e-9) + 1e-4) for tally in (wanted, same, busy)]
    span = shares[1] - shares[2]
    return np.where(span > 0.1, np.clip((shares[1] - shares[0]) / np.maximum(span, 0.1), 0, 1), 0.0)


def _encode(height: int, strength: Floats, spectrum: tuple[Floats, Floats], correlation: Floats) -> GrainProfile:
    """Round to codes; the spectrum is shifted to a peak of 0 dB and held above -45 dB, which no eye and no file keeps."""
    level, lobe = spectrum
    level[:, :UNSEEN], lobe[:UNSEEN] = level[:, UNSEEN : UNSEEN + 1], lobe[UNSEEN]
    level = np.maximum(level - level.max(axis=1, keepdims=True), -45)
    kept = np.where(strength > 2.0**-12, strength, 0.0)
    return encode_profile(height, kept, level, lobe, correlation)
