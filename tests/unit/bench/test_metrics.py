"""The benchmarks' own measures, against grain whose figures are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.bench.ladder import Point, clean_at, next_crf, rate_at
from tests.bench.metrics import (
    autocorrelation,
    autocorrelation_error,
    channel_covariance,
    compare_grain,
    frame_correlation,
    grain_left,
    luma_power,
    psnr,
    radial_spectrum,
    repetition,
    spectrum_error,
    strength_by_intensity,
)
from tests.bench.movies import planes_to_rgb, read_planes, rgb_to_planes, write_planes
from tests.bench.quality import similarity, vmaf

Floats = NDArray[np.float64]


def white(shape: tuple[int, ...], seed: int) -> Floats:
    return np.random.Generator(np.random.Philox(key=seed)).standard_normal(shape)


def blurred(grain: Floats) -> Floats:
    """Filter 1 2 1 both ways, circular."""
    for axis in (1, 2):
        grain = (np.roll(grain, 1, axis) + 2 * grain + np.roll(grain, -1, axis)) / 4
    return grain


def test_psnr_of_a_known_error() -> None:
    truth = np.zeros((8, 8, 3))
    assert psnr(truth + 0.1, truth) == pytest.approx(20)
    assert psnr(truth, truth) == float("inf")


def test_grain_left_is_the_share_kept() -> None:
    clean, grain = white((16, 16, 3), 1), white((16, 16, 3), 2)
    assert grain_left(clean + 0.25 * grain, clean, grain) == pytest.approx(0.25)
    assert grain_left(clean, clean, grain) == pytest.approx(0)


def test_strength_follows_intensity() -> None:
    clean = np.broadcast_to(np.linspace(0, 0.999, 128)[None, None, :, None], (4, 128, 128, 3))
    grain = white((4, 128, 128, 3), 3) * (0.02 + 0.1 * clean)
    middles = (np.arange(16) + 0.5) / 16
    assert np.allclose(strength_by_intensity(grain, clean), 0.02 + 0.1 * middles, rtol=0.05)


def test_bins_with_too_few_pixels_do_not_count() -> None:
    clean = np.full((1, 64, 64, 3), 0.4)
    table = strength_by_intensity(white((1, 64, 64, 3), 4), clean)
    assert np.isfinite(table[:, 6]).all() and np.isnan(np.delete(table, 6, axis=1)).all()


def test_spectrum_of_a_known_filter() -> None:
    grain = blurred(white((8, 128, 128, 3), 5))
    fy, fx = np.fft.fftfreq(128)[:, None], np.fft.fftfreq(128)[None]
    response = (np.cos(np.pi * fy) * np.cos(np.pi * fx)) ** 4
    assert spectrum_error(luma_power(grain), response) < 0.5
    assert spectrum_error(luma_power(grain), np.ones((128, 128))) > 5
    assert radial_spectrum(np.ones((128, 128))) == pytest.approx(np.ones(32))


def test_autocorrelation_of_a_known_filter() -> None:
    table = autocorrelation(luma_power(blurred(white((8, 128, 128, 3), 6))))
    assert table[0, 0] == 1
    assert table[0, 1] == pytest.approx(2 / 3, abs=0.02)
    assert table[0, 2] == pytest.approx(1 / 6, abs=0.02)
    assert abs(table[0, 8]) < 0.02


def test_autocorrelation_error_between_white_and_blurred() -> None:
    plain, soft = white((4, 128, 128, 3), 7), blurred(white((4, 128, 128, 3), 8))
    assert autocorrelation_error(luma_power(soft), luma_power(plain)) == pytest.approx(2 / 3, abs=0.05)


def test_covariance_of_tied_channels() -> None:
    shared, own = white((2, 64, 64, 1), 9), white((2, 64, 64, 3), 10)
    covariance = channel_covariance(np.sqrt(0.5) * shared + np.sqrt(0.5) * own)
    assert np.allclose(covariance, 0.5 * np.eye(3) + 0.5, atol=0.06)


def test_a_held_frame_is_noticed() -> None:
    grain = white((6, 64, 64, 3), 11)
    assert abs(frame_correlation(grain)) < 0.02
    assert frame_correlation(np.repeat(grain, 2, axis=0)) > 0.4
    assert frame_correlation(grain[:1]) == 0


def test_a_repeated_template_is_noticed() -> None:
    grain = white((2, 128, 128, 3), 12)
    tiled = np.tile(grain[:, :64, :64], (1, 2, 2, 1))
    assert repetition(grain) < 0.1
    assert repetition(tiled) > 0.9


def test_a_report_of_grain_like_the_truth_and_unlike_it() -> None:
    clean = np.broadcast_to(np.linspace(0.1, 0.9, 160)[None, None, :, None], (8, 160, 160, 3))
    true, other = (0.02 * blurred(white(clean.shape, seed)) for seed in (13, 14))
    floor = compare_grain(other, true, clean)
    assert floor.strength < 0.05 and floor.spectrum < 0.5 and floor.autocorrelation < 0.03 and floor.covariance < 0.05
    assert abs(floor.frame_correlation) < 0.01 and floor.repetition == pytest.approx(1, abs=0.2)
    louder = compare_grain(1.5 * other, true, clean)
    assert louder.strength == pytest.approx(0.5, abs=0.1)
    assert louder.covariance == pytest.approx(1.25, abs=0.2)
    assert louder.spectrum == pytest.approx(floor.spectrum)


def test_planes_keep_colour_and_mean() -> None:
    smooth = np.linspace(0.2, 0.8, 64)[:, None, None] * np.array([1.0, 0.8, 0.6]) + np.zeros((64, 96, 3))
    again = planes_to_rgb(rgb_to_planes(smooth))
    assert np.abs(again - smooth).max() < 0.006
    assert [plane.shape for plane in rgb_to_planes(smooth)] == [(64, 96), (32, 48), (32, 48)]


@pytest.fixture(scope="module")
def movies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("movies")
    y, x = np.mgrid[0:144, 0:192]
    scenes = [0.5 + 0.3 * np.sin((x + 9 * t) / 7)[:, :, None] * np.cos(y / 11)[:, :, None] + np.zeros(3) for t in range(8)]
    paths = (folder / "clean.mkv", folder / "grainy.mkv")
    write_planes(paths[0], (rgb_to_planes(s) for s in scenes), 24)
    write_planes(paths[1], (rgb_to_planes(s + 0.05 * white(s.shape, t)) for t, s in enumerate(scenes)), 24)
    return paths


def test_planes_come_back_from_a_file(movies: tuple[Path, Path]) -> None:
    frames = list(read_planes(movies[0]))
    assert len(frames) == 8
    again = list(read_planes(movies[0], 2, 3))
    assert all(np.array_equal(a, b) for got, kept in zip(again, frames[2:5], strict=True) for a, b in zip(got, kept, strict=True))


def test_vmaf_compares_each_frame_with_its_own(movies: tuple[Path, Path]) -> None:
    same, grainy = vmaf(movies[0], [movies[0], movies[1]])
    assert same > 95
    assert grainy < same - 1
    assert similarity(movies[0], movies[0], "ssim") == 1


def points(*rows: tuple[float, float, float]) -> list[Point]:
    return [Point(crf, kbps, own, own - 2) for crf, kbps, own in rows]


def test_rate_at_a_quality_is_read_between_two_encodes() -> None:
    found = rate_at(points((50, 100, 80), (40, 400, 100)))
    assert (found.kbps, found.bound) == (pytest.approx(200), "")
    assert rate_at(points((60, 100, 92), (50, 200, 95))).bound == "<"
    assert str(rate_at(points((60, 100, 50), (10, 900, 85)))) == ">900"
    assert clean_at(points((50, 100, 80), (40, 400, 100)), 200) == (pytest.approx(88), "")
    assert clean_at(points((50, 100, 80), (40, 400, 100)), 50)[1] == "<"


def test_the_next_encode_narrows_the_interval() -> None:
    assert next_crf(points((63, 50, 60), (50, 100, 80), (37, 300, 98))) == 43
    assert next_crf(points((63, 50, 60), (50, 100, 89.7), (49, 110, 90.2))) is None
    assert next_crf(points((63, 50, 92))) is None
    assert next_crf(points((37, 300, 70))) == 27
    assert next_crf(points((8, 3000, 70))) is None
