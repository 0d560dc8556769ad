"""What the synthesiser is held against: Newson's model, by Monte Carlo and in closed form, on greys and on photographs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special

from models.boolean import coverage_covariance
from models.data import Bytes
from models.monte_carlo import MonteCarlo

Floats = NDArray[np.float64]

RADII = (0.25, 0.35, 0.5, 0.7, 0.95, 1.2)
SPREADS = (0.3, 0.55, 0.8, 1.1)
GREYS = (0.03, 0.06, 0.1, 0.15, 0.2, 0.26, 0.33, 0.41, 0.5, 0.6, 0.7, 0.8, 0.88, 0.94, 0.97)
PHOTOGRAPHS = 3
"""Parts of photographs rendered for every radius and spread."""
SIZE = 96
SAMPLES = 64
"""Points of the point spread at which a pixel looks."""
PROBABILITIES = (np.arange(64) + 0.5) / 64
"""Ranks whose values are compared: the marginal distribution."""


@dataclass(frozen=True)
class Bank:
    """Hold rendered grain of unit strength.

    grain, picture (K, SIZE, SIZE) float16; emulsion (K, 2) log radius and spread; the greys come first
    ranks (6, 4, 15, 64)   values at PROBABILITIES on every grey
    """

    grain: torch.Tensor
    picture: torch.Tensor
    emulsion: torch.Tensor
    ranks: torch.Tensor


def build_bank(path: Path, pictures: list[Bytes]) -> Bank:
    """Return the bank kept at `path`, rendered on first sight and when it is to hold something else: some minutes of one core."""
    recipe = f"{RADII} {SPREADS} {GREYS} {PHOTOGRAPHS} {SIZE} {SAMPLES} {len(pictures)}"
    if not path.exists() or str(np.load(path)["recipe"]) != recipe:
        made = _render(pictures)
        part = path.with_suffix(".part")
        with part.open("wb") as stream:
            np.savez(stream, recipe=np.array(recipe), **made)
        os.replace(part, path)
    with np.load(path) as kept:
        return Bank(*(torch.from_numpy(kept[name]) for name in ("grain", "picture", "emulsion", "ranks")))


def _render(pictures: list[Bytes]) -> dict[str, NDArray[np.floating]]:
    rng = np.random.Generator(np.random.Philox(key=5))
    grain: list[Floats] = []
    shown: list[Floats] = []
    emulsion: list[tuple[float, float]] = []
    ranks = np.empty((len(RADII), len(SPREADS), len(GREYS), len(PROBABILITIES)), np.float32)
    for place in np.ndindex(len(RADII), len(SPREADS)):
        radius, spread = RADII[place[0]], SPREADS[place[1]]
        model = MonteCarlo(radius, 0.0, spread, SAMPLES, 0.0)
        flats = [np.full((SIZE, SIZE, 3), grey) for grey in GREYS]
        parts = flats + [_part(pictures, rng) for _ in range(PHOTOGRAPHS)]
        for number, clean in enumerate(parts):
            unit = model(clean, 1.0, 1000 * int(np.ravel_multi_index(place, ranks.shape[:2])) + number) / model.strength(clean)
            if number < len(GREYS):
                ranks[(*place, number)] = np.quantile(unit, PROBABILITIES)
            grain += list(unit.transpose(2, 0, 1))
            shown += list(clean.transpose(2, 0, 1))
            emulsion += [(np.log(radius), spread)] * 3
    held = {"grain": np.array(grain, np.float16), "picture": np.array(shown, np.float16)}
    return held | {"emulsion": np.array(emulsion, np.float32), "ranks": ranks}


def _part(pictures: list[Bytes], rng: np.random.Generator) -> Floats:
    picture = pictures[int(rng.integers(len(pictures)))]
    y, x = (int(rng.integers(0, n - SIZE + 1)) for n in picture.shape[:2])
    return np.clip(picture[y : y + SIZE, x : x + SIZE].astype(np.float64) / 255, 0.02, 0.98)


@cache
def _spectra() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return log radii (24,), greys (25,), frequencies (129,) and the unfiltered power there, (24, 25, 129)."""
    radii, greys, frequencies = np.exp(np.linspace(np.log(0.25), np.log(1.2), 24)), np.linspace(0.02, 0.98, 25), np.linspace(0, 1.6, 129)
    power = np.empty((24, 25, 129))
    for row, radius in enumerate(radii):
        x = np.linspace(0, 2 * radius, 401)
        kernel = special.j0(2 * np.pi * frequencies[:, None] * x) * x
        for column, grey in enumerate(greys):
            power[row, column] = np.maximum(
                2 * np.pi * np.trapezoid(kernel * coverage_covariance(x, float(radius), float(grey)), x, axis=1), 1e-12
            )
    logs = np.log(power).astype(np.float32)
    return (
        torch.from_numpy(np.log(radii).astype(np.float32)),
        torch.from_numpy(greys.astype(np.float32)),
        torch.from_numpy(frequencies.astype(np.float32)),
        torch.from_numpy(logs),
    )


def _between(knots: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the lower knot's number and the share of the next, for values within evenly spaced knots."""
    place = ((values - knots[0]) / (knots[1] - knots[0])).clamp(0, len(knots) - 1.001)
    low = place.floor().long()
    return low, place - low


def power_spectrum(emulsion: torch.Tensor, grey: torch.Tensor, size: int) -> torch.Tensor:
    """Return the power (N, size, size // 2 + 1) of unit-variance grain on greys (N,): closed form, folded by sampling."""
    total, variance = _coverage_power(emulsion, grey, size)
    return total / variance[:, None, None]


def value_limits(emulsion: torch.Tensor, grey: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the values that unit-variance grain on greys (N,) has where no disk lies and where all is covered, (N,) each."""
    deviation = torch.sqrt(_coverage_power(emulsion, grey, 64)[1])
    return -grey / deviation, (1 - grey) / deviation


def _coverage_power(emulsion: torch.Tensor, grey: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the power of coverage (N, size, size // 2 + 1) and its variance (N,)."""
    radii, greys, frequencies, table = _spectra()
    row, across = _between(radii, emulsion[:, 0])
    column, along = _between(greys, grey)
    across, along = across[:, None], along[:, None]
    upper = table[row, column] * (1 - along) + table[row, column + 1] * along
    lower = table[row + 1, column] * (1 - along) + table[row + 1, column + 1] * along
    logs = upper * (1 - across) + lower * across
    logs = logs - 4 * np.pi**2 * emulsion[:, 1:] ** 2 * frequencies**2
    fy, fx = torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None]
    total = torch.zeros(len(grey), size, size // 2 + 1)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            distance = torch.sqrt((fy + down) ** 2 + (fx + right) ** 2).clamp(max=float(frequencies[-1]) - 1e-3)
            place = distance / float(frequencies[1])
            low = place.floor().long()
            total += torch.exp(logs[:, low] * (1 - (place - low)) + logs[:, low + 1] * (place - low))
    twice = torch.full((total.shape[-1],), 2.0)
    twice[0], twice[-1] = 1.0, 1.0
    return total, (total * twice).sum((1, 2)) / size**2


def ranked_values(bank: Bank, emulsion: torch.Tensor, grey: torch.Tensor) -> torch.Tensor:
    """Return the values of unit grain at PROBABILITIES, (N, 64): between the bank's radii, spreads and greys, linearly."""
    axes = (torch.log(torch.tensor(RADII)), torch.tensor(SPREADS), torch.tensor(GREYS))
    lows: list[torch.Tensor] = []
    shares: list[torch.Tensor] = []
    for knots, values in zip(axes, (emulsion[:, 0], emulsion[:, 1], grey), strict=True):
        low = (torch.searchsorted(knots, values.contiguous()) - 1).clamp(0, len(knots) - 2)
        lows.append(low)
        shares.append(((values - knots[low]) / (knots[low + 1] - knots[low])).clamp(0, 1))
    total = torch.zeros(len(grey), len(PROBABILITIES))
    for corner in np.ndindex(2, 2, 2):
        weight = torch.ones(len(grey))
        for share, upper in zip(shares, corner, strict=True):
            weight = weight * (share if upper else 1 - share)
        total += weight[:, None] * bank.ranks[tuple(low + upper for low, upper in zip(lows, corner, strict=True))]
    return total
