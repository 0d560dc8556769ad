"""Kinds of grain: strength, spectrum, seeds; the Monte-Carlo renderer against the closed form and the approximation."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from grainlayer.codec.av1grain import Av1Grain, read_table
from grainlayer.codec.av1synth import scaling
from grainlayer.errors import MediaError, ParamError
from grainlayer.types import Encoding
from models.boolean import BooleanGrain, coverage_covariance
from models.fine_boolean import FineBoolean
from models.kinds import KINDS, TO_YCC, Av1, Encoded, Kind, Noise, Scan, fit_scan, make_kind, open_files, peak_grey
from models.monte_carlo import MonteCarlo

Floats = NDArray[np.float64]

WITHOUT_DATA = ("white", "filtered", "boolean", "boolean-mc")
TABLE = Av1Grain(
    points=(((0, 40), (128, 120), (255, 60)), ((0, 60), (255, 60)), ((0, 50), (255, 50))),
    lag=1,
    coefficients=((5, 10, 5, 30), (0, 10, 0, 20, 10), (0, 10, 0, 20, 10)),
    scaling_shift=10,
    multipliers=((192, 128, 256), (192, 128, 256)),
)


def flat(grey: float, side: int = 128) -> Floats:
    return np.full((side, side, 3), grey)


def rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2)))


@cache
def small(name: str) -> Kind:
    """Return a kind that needs no data."""
    if name == "boolean-mc":
        return MonteCarlo(samples=32)
    return Av1(TABLE) if name == "av1" else make_kind(name)


@pytest.mark.parametrize("name", [*WITHOUT_DATA, "av1"])
def test_the_level_is_the_peak_deviation(name: str) -> None:
    kind = small(name)
    grain = kind(flat(peak_grey(kind)), 0.05, 11)
    assert rms(grain) == pytest.approx(0.05, rel=0.05)
    assert abs(grain.mean()) < 0.003
    assert float(kind.strength(np.linspace(0, 1, 129)).max()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", [*WITHOUT_DATA, "av1"])
def test_seeds_decide_and_nothing_else(name: str) -> None:
    kind, clean = small(name), flat(0.4, 48)
    first = kind(clean, 0.05, 3)
    np.random.seed(9)
    assert np.array_equal(first, kind(clean, 0.05, 3))
    other = kind(clean, 0.05, 4)
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.12
    assert np.allclose(kind(clean, 0.1, 3), 2 * first, atol=1e-12) and not kind(clean, 0.0, 3).any()


@pytest.mark.parametrize("name", [*WITHOUT_DATA, "av1"])
def test_impossible_requests_are_refused(name: str) -> None:
    for clean, level, seed in ((np.zeros((4, 4)), 0.1, 0), (flat(0.5, 8), -0.1, 0), (flat(0.5, 8), 0.1, -1)):
        with pytest.raises(ParamError):
            small(name)(clean, level, seed)


@pytest.mark.parametrize("name", WITHOUT_DATA)
def test_odd_and_tiny_pictures_have_grain(name: str) -> None:
    for shape in ((1, 1, 3), (7, 13, 3)):
        grain = small(name)(np.full(shape, 0.5), 0.05, 1)
        assert grain.shape == shape and np.isfinite(grain).all()


def test_names_and_options_are_checked() -> None:
    with pytest.raises(ParamError, match="choose one of: white, filtered"):
        make_kind("pink")
    with pytest.raises(ParamError, match="does not take colour"):
        make_kind("white", colour=1)
    for width, curve in ((-1.0, (1.0,)), (0.0, ()), (0.0, (0.0,))):
        with pytest.raises(ParamError, match="width of 0 to 50"):
            Noise(width, curve=curve)
    with pytest.raises(ParamError, match="radius of 0.1 to 8"):
        MonteCarlo(radius=0)
    with pytest.raises(ParamError, match="correlation of the channels"):
        Noise(correlation=1.5)(flat(0.5, 8), 0.1, 0)
    with pytest.raises(ParamError, match="lays no grain on luma"):
        Av1(Av1Grain())


def test_noise_follows_its_curve_and_correlation() -> None:
    kind = Noise(width=1.0, correlation=0.6, curve=(1, 3, 2))
    assert rms(kind(flat(0.5), 0.06, 1)) == pytest.approx(0.06, rel=0.05)
    assert rms(kind(flat(0.0), 0.06, 1)) == pytest.approx(0.02, rel=0.05)
    pairs = np.corrcoef(Noise(correlation=0.6)(flat(0.5, 256), 0.1, 2).reshape(-1, 3).T)[np.triu_indices(3, 1)]
    assert np.abs(pairs - 0.6).max() < 0.02
    boolean = np.corrcoef(make_kind("boolean", correlation=0.5)(flat(0.5, 256), 0.1, 2).reshape(-1, 3).T)
    assert np.abs(boolean[np.triu_indices(3, 1)] - 0.5).max() < 0.06


def test_a_filter_gives_its_gaussian_correlation() -> None:
    grain = Noise(width=1.0)(flat(0.5, 256), 0.1, 5)
    lag = np.mean(grain[:, 1:] * grain[:, :-1]) / np.mean(grain**2)
    assert lag == pytest.approx(np.exp(-1 / 4), abs=0.02)


LAGS = ((0, 0), (0, 1), (1, 1), (0, 2), (3, 0), (0, 8))


def covariances(grain: Floats, lag: tuple[int, int]) -> tuple[float, float]:
    """Return the covariance at a lag (y, x) and its standard error, from blocks of 32 pixels and channels that are independent."""
    down, across = lag
    height, width = grain.shape[0] - down, grain.shape[1] - across
    products = grain[:height, :width] * grain[down:, across:]
    parts = [products[y : y + 32, x : x + 32].mean(axis=(0, 1)) for y in range(0, height - 31, 32) for x in range(0, width - 31, 32)]
    return float(products.mean()), float(np.std(parts) / np.sqrt(np.size(parts)))


@pytest.mark.parametrize(("radius", "spread", "coverage"), [(0.5, 0.0, 0.2), (0.5, 0.0, 0.8), (1.2, 0.0, 0.5), (0.6, 0.35, 0.5)])
def test_monte_carlo_has_the_closed_form_covariance(radius: float, spread: float, coverage: float) -> None:
    kind = MonteCarlo(radius, spread, samples=24, shared=0.0)
    grain = kind(flat(coverage, 192), 1.0, 17)
    unit = kind.strength(np.array([coverage]))[0] ** 2 / kind.covariance((0, 0), coverage)
    for lag in LAGS:
        found, error = covariances(grain, lag)
        expected = unit * kind.covariance(lag, coverage)
        assert abs(found - expected) < 4.5 * error, (lag, found, expected, error)
    assert abs(grain.mean()) < 0.045


@pytest.mark.parametrize("coverage", [0.1, 0.5, 0.9])
def test_the_samples_stand_for_the_gaussian_point_spread(coverage: float) -> None:
    kind = MonteCarlo(0.5)
    step = 0.05
    y, x = np.mgrid[-7 : 7 + step : step, -7 : 7 + step : step]
    weight = np.exp(-(y**2 + x**2) / (4 * kind.psf**2))
    weight /= weight.sum()
    for lag in (0, 1, 2):
        exact = float((weight * coverage_covariance(np.hypot(y, x + lag), 0.5, coverage)).sum())
        assert kind.covariance((0, lag), coverage) == pytest.approx(exact, rel=0.07, abs=0.0002)


def test_monte_carlo_agrees_with_the_gaussian_approximation() -> None:
    exact, near = MonteCarlo(0.5, samples=200), BooleanGrain(0.5, 0.8)
    greys = np.array([0.08, 0.2, 0.35, 0.5, 0.65, 0.8, 0.92])
    assert np.abs(exact.strength(greys) / near.strength(greys, 1.0) - 1).max() < 0.04
    first, second = MonteCarlo(0.5, samples=48)(flat(0.5, 160), 0.05, 2), near.render(flat(0.5, 160), 0.05, 2)
    assert rms(first) == pytest.approx(rms(second), rel=0.04)
    ring = np.round(np.hypot(np.fft.fftfreq(160)[:, None], np.fft.fftfreq(160)[None]) * 16).astype(int)
    powers = [np.bincount(ring.ravel(), (np.abs(np.fft.fft2(g, axes=(0, 1))) ** 2).mean(axis=2).ravel()) for g in (first, second)]
    assert np.abs(10 * np.log10(powers[0] / powers[1]))[:6].max() < 1.0


def test_disks_that_channels_share_correlate_them() -> None:
    kind = MonteCarlo(0.5, samples=24, shared=0.5)
    grain = kind(flat(0.5, 160), 1.0, 4)
    expected = kind.covariance((0, 0), 0.5, share=0.5) / kind.covariance((0, 0), 0.5)
    assert np.abs(np.corrcoef(grain.reshape(-1, 3).T)[np.triu_indices(3, 1)] - expected).max() < 0.06


def test_a_part_has_the_grain_of_the_whole() -> None:
    kind = MonteCarlo(0.5, samples=16)
    ramp = np.repeat(np.linspace(0, 1, 96)[None, :, None], 80, axis=0) * np.array([1.0, 0.8, 0.6])
    whole, part = kind(ramp, 0.1, 8), kind(ramp[20:70, 30:90], 0.1, 8, origin=(20, 30))
    edge = kind.margin
    assert np.allclose(part[edge:-edge, edge:-edge], whole[20:70, 30:90][edge:-edge, edge:-edge], atol=1e-12)


def test_the_grain_carries_no_edges_of_the_picture() -> None:
    kind = MonteCarlo(0.9, samples=8, shared=0.0)
    clean = np.full((96, 20, 3), 0.2)
    clean[:, 10:] = 0.8
    columns = np.array([kind(clean, 1.0, seed).mean(axis=0).T for seed in range(50)]).reshape(150, 20)
    assert np.abs(columns.mean(axis=0) / (columns.std(axis=0) / np.sqrt(150))).max() < 4
    assert not kind(np.zeros((8, 8, 3)), 1.0, 0).any()


def test_av1_grain_follows_the_tables_luma_scaling() -> None:
    kind, curve = Av1(TABLE), scaling(TABLE.points[0], 10)
    spread = [float((kind(flat(grey), 0.05, 6) @ TO_YCC[0]).std()) for grey in (0.1, 0.5, 0.9)]
    places = [round(grey * 1023) for grey in (0.1, 0.5, 0.9)]
    wanted = [float(curve[place]) for place in places]
    assert np.array(spread) / spread[1] == pytest.approx(np.array(wanted) / wanted[1], rel=0.02)


def test_grain_of_another_encoding_keeps_its_level() -> None:
    for encoding in (Encoding.LINEAR, Encoding.DAVINCI_INTERMEDIATE):
        kind = make_kind("boolean", encoding)
        assert isinstance(kind, Encoded)
        for grey in (0.3, 0.7):
            wanted = 0.01 * float(kind.strength(np.array([grey]))[0])
            assert rms(kind(flat(grey), 0.01, 3)) == pytest.approx(wanted, rel=0.06)
    plain, linear = make_kind("white"), make_kind("white", Encoding.LINEAR)
    assert float(linear.strength(np.array([0.2]))[0]) > 2 * float(linear.strength(np.array([0.8]))[0])
    assert make_kind("white", Encoding.SRGB) == plain
    with pytest.raises(ParamError, match="more than sRGB can hold"):
        make_kind("white", Encoding.SRGB, Encoding.LOGC4)(flat(0.5, 8), 0.6, 0)


@pytest.mark.parametrize("number", [1, 4, 8, 14])
def test_published_tables_make_grain_of_the_level(data_root: Path, number: int) -> None:
    kind = make_kind("av1", table=data_root / "grain" / "tables" / f"libaom_test{number:02}.tbl")
    assert rms(kind(flat(peak_grey(kind), 256), 0.05, 5)) == pytest.approx(0.05, rel=0.05)


def test_a_table_without_grain_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.tbl").write_text("filmgrn1\n")
    assert read_table(tmp_path / "none.tbl") == ()
    with pytest.raises(MediaError, match="lays no grain; choose another"):
        make_kind("av1", table=tmp_path / "none.tbl")


def test_scanned_grain_is_that_of_the_open_scans(data_root: Path) -> None:
    kind = make_kind("scan", root=data_root)
    assert isinstance(kind, Scan) and kind is fit_scan(data_root.resolve())
    grain = kind(flat(peak_grey(kind), 256), 0.05, 5)
    assert rms(grain) == pytest.approx(0.05, rel=0.05)
    codes = kind.curve * 255
    assert codes.max() < 10 and 4 < np.median(codes[:, 11]) < 7 and np.all(codes[:, 16] < codes.max(axis=1))
    assert np.corrcoef(grain.reshape(-1, 3).T) == pytest.approx(kind.correlation, abs=0.05)
    lag = float(np.mean(grain[:, 1:] * grain[:, :-1]) / np.mean(grain**2))
    assert 0.05 < lag < 0.3
    assert np.array_equal(grain, kind(flat(peak_grey(kind), 256), 0.05, 5))


def test_only_open_rows_are_read(data_root: Path, tmp_path: Path) -> None:
    names = [file.name for file in open_files(data_root, "grain/scans", ".jpg")]
    assert "negpy_20251012_008.jpg" not in names and "fymmot_abt.jpg" in names
    with pytest.raises(MediaError, match=r"manifest\.csv cannot be read"):
        open_files(tmp_path, "grain/scans", ".jpg")
    (tmp_path / "manifest.csv").write_text("file,licence_class\ngrain/scans/a.jpg,check\n")
    with pytest.raises(MediaError, match="licence class is open"):
        fit_scan(tmp_path)


def test_every_kind_has_a_name() -> None:
    assert tuple(KINDS) == ("white", "filtered", "boolean", "boolean-mc", "av1", "scan")


@pytest.mark.parametrize("radius", [0.3, 0.8])
def test_the_fine_renderer_sees_the_same_disks_through_the_whole_point_spread(radius: float) -> None:
    ramp = np.broadcast_to(np.linspace(0.05, 0.95, 28)[None, :, None], (20, 28, 3)).copy()
    fine, sampled = FineBoolean(radius), MonteCarlo(radius, samples=250)
    one, other = fine(ramp, 1.0, 5), sampled(ramp, 1.0, 5)
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.93
    assert one.std() == pytest.approx(other.std(), rel=0.03)


def test_the_fine_renderer_holds_the_closed_form() -> None:
    fine, greys = FineBoolean(0.5, shared=0.0), np.array([0.2, 0.5, 0.8])
    assert np.allclose(fine.strength(greys), BooleanGrain(0.5, 0.8).strength(greys, 1.0), atol=0.02)
    grain = fine(flat(0.5, 160), 1.0, 3)
    assert grain.std() == pytest.approx(float(fine.strength(np.array([0.5]))[0]), rel=0.03)
    assert abs(grain.mean()) < 0.02
    with pytest.raises(ParamError, match="0.25"):
        FineBoolean(psf=0.1)
