"""Design the filters that turn white noise into grain of given spectra, as few and short separable parts as will do.

All filters of a bank are even along x and y, so each is a sum over parts r of column(f, r) times row(r), where a kernel's
half holds its taps 0..R. The rows are shared between filters. Columns and rows are found by alternating least squares
against the wanted amplitudes, weighted by 1 / amplitude^2, which is least error in decibels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from grainlayer.grain.profile import RADII

Floats = NDArray[np.float64]

GRID = 65
"""Frequencies along one axis, 0..1/2 cycle a pixel."""
REACHES = (3, 7, 11, 15, 19, 27, 39)
"""Radii of kernels that are tried, pixels; the native loop takes taps by fours, so each is one less than a multiple of 4."""
PARTS = 5
TOLERANCE_DB = 0.28
TOLERANCE_ENERGY = 0.005
SLACK = 3.6
"""How many times the tolerances the errors of extra filters may be."""
FLOOR_DB = 30.0
"""Below the peak by more than this, amplitudes only have to be small."""
LARGEST_SYSTEM = 200
THREADED = 96
"""Equations solved together from which on linear algebra libraries start threads, which wait long for busy cores."""
ROUNDS = 6
RIDGE = 1e-9
STEPS = 2.0**20
"""Coefficients are rounded to this many steps a unit, so that the last bits of a machine's linear algebra do not count."""
SOFTNESS_SIGMA = 1.5
"""Standard deviation, in pixels of the profile, of the blur that softness 1 means."""


@dataclass(frozen=True)
class Spectrum:
    """Describe one wanted power spectrum.

    level      15 decibels at RADII, relative
    direction  15 decibels at RADII, times cos(2 angle)
    scale      delivered frequency times this is the profile's frequency: above 1 the grain gets coarser
    softness   0..1, a Gaussian roll-off
    """

    level: tuple[float, ...]
    direction: tuple[float, ...]
    scale: float = 1.0
    softness: float = 0.0

    def power(self, fx: Floats, fy: Floats) -> Floats:
        """Return power at delivered frequencies, cycles a pixel, of any one shape."""
        radius = np.hypot(fx, fy) * self.scale
        lobe = (fx * fx - fy * fy) / np.maximum(fx * fx + fy * fy, 1e-12)
        level = np.interp(radius, RADII, self.level) + np.interp(radius, RADII, self.direction) * lobe
        blur = np.exp(-((2 * np.pi * SOFTNESS_SIGMA * self.softness * radius) ** 2))
        return 10 ** ((level - self._cut(radius)) / 10) * blur

    def _cut(self, radius: Floats) -> Floats:
        """Return decibels taken off near and beyond the profile's highest frequency; none unless the grain is made coarser."""
        share = np.clip((self.scale - 1) / 0.25, 0, 1)
        return share * 20 * (np.maximum(radius - 0.42, 0) / 0.35) ** 2


@dataclass(frozen=True)
class Bank:
    """Hold filters of unit power: kernel f = sum over r of outer(column[f, r], row[r]), halves of taps 0..reach.

    columns (filters, parts, reach + 1), rows (parts, reach + 1), gram (filters, filters): the filtered fields' covariance.
    """

    columns: Floats
    rows: Floats
    gram: Floats

    @property
    def reach(self) -> int:
        """Return the kernels' radius in pixels."""
        return self.rows.shape[1] - 1

    def response(self) -> Floats:
        """Return the filters' amplitudes on the quadrant of frequencies `axes()`, (filters, fy, fx)."""
        basis = _basis(self.reach)
        return (self.columns @ basis).swapaxes(1, 2) @ (self.rows @ basis)


def axes() -> tuple[Floats, Floats]:
    """Return the quadrant's frequencies (fy as a column, fx as a row), 0..1/2 cycle a pixel."""
    line = np.linspace(0, 0.5, GRID)
    return line[:, None], line[None]


def quadrant_mean(values: Floats) -> Floats:
    """Return the mean over all frequencies of values (..., fy, fx) on the quadrant."""
    line = np.ones(GRID)
    line[[0, -1]] = 0.5
    line /= line.sum()
    return values @ line @ line


def amplitudes(spectra: tuple[Spectrum, ...]) -> Floats:
    """Return wanted amplitudes (spectra, fy, fx), each of unit power."""
    fy, fx = axes()
    power = np.array([s.power(np.broadcast_to(fx, (GRID, GRID)), np.broadcast_to(fy, (GRID, GRID))) for s in spectra])
    return np.sqrt(power / np.maximum(quadrant_mean(power), 1e-30)[:, None, None])


def retained(spectrum: Spectrum, ratio: float) -> float:
    """Return the share of power that lies within the frequencies of a picture `ratio` times as high; 1 for larger pictures."""
    if ratio >= 1:
        return 1.0
    fy, fx = (np.broadcast_to(axis, (GRID, GRID)) for axis in axes())
    kept, whole = quadrant_mean(spectrum.power(fx * ratio, fy * ratio)), quadrant_mean(spectrum.power(fx, fy))
    return float(kept * ratio**2 / whole)


@lru_cache(64)
def design(spectra: tuple[Spectrum, ...], extra: tuple[Spectrum, ...] = ()) -> Bank:
    """Return the cheapest bank whose spectra are within 0.28 dB RMS where they matter, or the best one there is.

    Filters of `extra` spectra come last and may be out by 1 dB.
    """
    wanted = amplitudes(spectra + extra)
    slack = np.array([1.0] * len(spectra) + [SLACK] * len(extra))
    weights = _weights(wanted) / slack[:, None, None] ** 2
    found: dict[tuple[int, int], tuple[float, Bank]] = {}

    def error(reach: int, parts: int) -> float:
        if (reach, parts) not in found:
            bank = _fit(wanted, weights, reach, parts)
            found[reach, parts] = float((_errors(wanted, bank) / slack).max()), bank
        return found[reach, parts][0]

    _search(error)
    good = {size: bank for size, (miss, bank) in found.items() if miss <= 1}
    if good:
        return good[min(good, key=_cost)]
    return min(found.values(), key=lambda entry: entry[0])[1]


def _search(error: Callable[[int, int], float]) -> None:
    """Try sizes until the cheapest good one is among them: the shortest reach that can do, then longer ones with fewer parts."""
    most, cheapest = PARTS, np.inf
    for reach in REACHES:
        most = min(most, (LARGEST_SYSTEM - 1) // (reach + 1))
        parts = min(most, 3)
        while parts <= most and error(reach, parts) > 1:
            parts += 1
        if parts > most:
            continue
        while parts > 1 and error(reach, parts - 1) <= 1:
            parts -= 1
        cheapest = min(cheapest, _cost((reach, parts)))
        most = min(parts, int(cheapest / (reach + 5)))
        if most < 1:
            return


def _cost(size: tuple[int, int]) -> int:
    """Return multiplications a sample and filter of a bank of this (reach, parts)."""
    return (size[0] + 1) * size[1]


def _basis(reach: int) -> Floats:
    """Return the response (reach + 1, GRID) of each pair of taps of an even kernel."""
    basis = 2 * np.cos(2 * np.pi * np.outer(np.arange(reach + 1), axes()[1][0]))
    basis[0] = 1
    return basis


def _weights(wanted: Floats) -> Floats:
    """Return the weight of squared amplitude errors: relative, and rings of frequency counting alike."""
    floor = wanted.max(axis=(1, 2), keepdims=True) * 10 ** (-FLOOR_DB / 20)
    return _rings() / np.maximum(wanted, floor) ** 2


def _rings() -> Floats:
    fy, fx = axes()
    line = np.ones(GRID)
    line[[0, -1]] = 0.5
    return np.outer(line, line) / (np.hypot(fx, fy) + 0.03)


def _fit(wanted: Floats, weights: Floats, reach: int, parts: int) -> Bank:
    """Return the bank of this size of least weighted error."""
    basis = _basis(reach)
    across = wanted.mean(axis=0)[np.linspace(0, GRID // 2, parts).astype(int)]
    columns = rows = np.zeros(0)
    for _ in range(ROUNDS):
        columns = np.array([_solve(basis, w, a, across[None]) for w, a in zip(weights, wanted, strict=True)])
        along = columns @ basis
        rows = _solve(basis, weights.swapaxes(1, 2), wanted.swapaxes(1, 2), along)
        across = rows @ basis
    return _bank(columns, rows)


def _solve(basis: Floats, weights: Floats, wanted: Floats, other: Floats) -> Floats:
    """Return taps (parts, reach + 1) along the first axis, the response along the second axis being `other` (filters, parts, g).

    weights and wanted are (filters, g, g) or (g, g).
    """
    weights, wanted = weights.reshape(-1, GRID, GRID), wanted.reshape(-1, GRID, GRID)
    parts, taps = other.shape[1], len(basis)
    beside = other.swapaxes(1, 2)
    products = (beside[..., :, None] * beside[..., None, :]).reshape(len(other), GRID, -1)
    pairs = (weights @ products).sum(axis=0).reshape(GRID, parts, parts)
    matrix = np.empty((parts, taps, parts, taps))
    for r in range(parts):
        for s in range(parts):
            matrix[r, :, s] = (basis * pairs[:, r, s]) @ basis.T
    matrix = matrix.reshape(parts * taps, parts * taps)
    right = (basis @ ((weights * wanted) @ beside).sum(axis=0)).T.ravel()
    matrix[np.diag_indices_from(matrix)] += RIDGE * np.trace(matrix) / len(matrix)
    solved = np.linalg.solve(matrix, right) if len(matrix) < THREADED else _eliminate(matrix, right)
    return solved.reshape(parts, taps)


def _eliminate(matrix: Floats, right: Floats) -> Floats:
    """Return the solution of a symmetric positive system by elimination, on this thread alone."""
    system = np.column_stack((matrix, right))
    for k in range(len(system)):
        system[k, k:] /= system[k, k]
        system[k + 1 :, k:] -= system[k + 1 :, k, None] * system[k, k:]
    solution = system[:, -1].copy()
    for k in range(len(system) - 1, 0, -1):
        solution[:k] -= system[:k, k] * solution[k]
    return solution


def _errors(wanted: Floats, bank: Bank) -> Floats:
    """Return the worse of each filter's spectral and energy error, in units of their tolerances."""
    made = bank.response()
    floor = wanted.max(axis=(1, 2), keepdims=True) * 10 ** (-FLOOR_DB / 20)
    counts = np.where(wanted > floor, _rings(), 0.0)
    decibels = 20 * np.log10(np.maximum(np.abs(made), 1e-9) / np.maximum(wanted, 1e-9))
    spectral = np.sqrt((counts * decibels**2).sum(axis=(1, 2)) / counts.sum(axis=(1, 2)))
    energy = quadrant_mean((made - wanted) ** 2)
    return np.maximum(spectral / TOLERANCE_DB, energy / TOLERANCE_ENERGY)


def _bank(columns: Floats, rows: Floats) -> Bank:
    """Scale the filters to unit power and round their taps."""
    size = np.abs(rows).max(axis=1, keepdims=True)
    columns, rows = columns * size, rows / size
    columns = columns / np.sqrt(np.diagonal(_gram(columns, rows)))[:, None, None]
    columns, rows = np.round(columns * STEPS) / STEPS, np.round(rows * STEPS) / STEPS
    return Bank(columns, rows, _gram(columns, rows))


def _gram(columns: Floats, rows: Floats) -> Floats:
    """Return the covariance (filters, filters) of the filtered fields."""
    root = np.full(rows.shape[1], np.sqrt(2.0))
    root[0] = 1
    kernels = ((columns * root).swapaxes(1, 2) @ (rows * root)).reshape(len(columns), -1)
    return kernels @ kernels.T
