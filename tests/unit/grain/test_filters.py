from __future__ import annotations

import numpy as np
import pytest

from grainlayer.grain.filters import PARTS, REACHES, Spectrum, amplitudes, axes, design, quadrant_mean, retained
from grainlayer.grain.profile import RADII

R = np.array(RADII)
FLAT = (0.0,) * len(RADII)


def soft(sigma: float) -> tuple[float, ...]:
    return tuple(np.maximum(-45, -4.343 * (2 * np.pi * sigma * R) ** 2).tolist())


def rolled(corner: float) -> tuple[float, ...]:
    return tuple(np.maximum(-45, -15 * np.log10(1 + (R / corner) ** 2)).tolist())


def dipped() -> tuple[float, ...]:
    return tuple(np.minimum(rolled(0.2), np.interp(R, [0, 0.04, 0.1], [-10, -5, 0])).tolist())


LEANING = tuple((2.5 * np.minimum(1, R / 0.2)).tolist())
CASES = {
    "white": ((FLAT, FLAT),),
    "soft": ((soft(1.0), FLAT),),
    "rolled": ((rolled(0.12), FLAT),),
    "leaning": ((rolled(0.15), LEANING),),
    "dipped": ((dipped(), FLAT),),
    "three nodes": ((rolled(0.1), LEANING), (rolled(0.15), LEANING), (rolled(0.2), LEANING)),
    "unlike nodes": ((soft(0.7), FLAT), (rolled(0.2), FLAT), (soft(1.3), FLAT)),
}


@pytest.mark.parametrize("scale", [0.5, 1, 1.3, 2, 4])
@pytest.mark.parametrize("case", CASES)
def test_realised_spectra_are_the_wanted_ones(case, scale):
    spectra = tuple(Spectrum(level, direction, scale, 0.2) for level, direction in CASES[case])
    bank = design(spectra)
    wanted, made = amplitudes(spectra), np.abs(bank.response())
    fy, fx = axes()
    for one, other in zip(wanted, made, strict=True):
        counts = np.where(one > one.max() * 10 ** (-30 / 20), 1 / (np.hypot(fx, fy) + 0.03), 0)
        decibels = 20 * np.log10(other / one)
        assert np.sqrt((counts * decibels**2).sum() / counts.sum()) < 0.3
        assert quadrant_mean((one - other) ** 2) < 0.005
    assert np.allclose(np.diagonal(bank.gram), 1, atol=1e-4)
    assert bank.reach in REACHES
    assert len(bank.rows) <= PARTS


def test_the_gram_matrix_is_that_of_the_responses():
    bank = design(tuple(Spectrum(level, direction) for level, direction in CASES["unlike nodes"]))
    made = bank.response()
    assert np.allclose(quadrant_mean(made[:, None] * made[None]), bank.gram, atol=1e-12)


def test_white_grain_costs_one_part():
    bank = design((Spectrum(FLAT, FLAT),))
    assert len(bank.rows) == 1
    assert np.allclose(bank.columns[0, 0, 1:], 0, atol=1e-5)


def test_smaller_pictures_keep_what_they_can_show():
    assert retained(Spectrum(FLAT, FLAT), 0.5) == pytest.approx(0.25, abs=1e-9)
    assert retained(Spectrum(FLAT, FLAT), 2) == 1
    gaussian = Spectrum(soft(2.0), FLAT)
    assert retained(gaussian, 0.5) > 0.99
    shares = [retained(Spectrum(rolled(0.1), FLAT), ratio) for ratio in (0.2, 0.4, 0.6, 0.8, 0.999)]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1, abs=0.01)


def test_making_grain_coarser_starts_without_a_step():
    exact, beyond = (amplitudes((Spectrum(rolled(0.3), FLAT, scale),)) for scale in (1.0, 1.0001))
    assert np.abs(exact - beyond).max() < 1e-3
