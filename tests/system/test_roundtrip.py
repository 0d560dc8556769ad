"""The main job on whole files: split, encode, decode, info, analyze, regrain."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grainlayer.jobs.inspect import describe
from grainlayer.picture.media import Frame, open_media
from tests.system.footage import clean_luma, report, run, write_movie


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_movie(tmp_path_factory.mktemp("source") / "grainy.mkv")


@pytest.fixture(scope="module")
def encoded(movie: Path) -> Path:
    out = movie.with_name("encoded.mkv")
    facts = report("encode", movie, "-o", out, "--preset", "10")
    assert facts["frames"] == 16
    assert facts["shots"] == 2
    assert facts["grain_bytes"] < 600
    return out


def frames(path: Path) -> list[Frame]:
    with open_media(path) as reader:
        return list(reader.frames())


def luma(path: Path) -> np.ndarray:
    return np.stack([frame.planes[0].astype(np.float64) for frame in frames(path)])


@pytest.mark.parametrize(
    ("base", "grain"),
    [
        ("base.mkv", "grain.mkv"),
        ("base.%04d.exr", "grain.%04d.exr"),
        ("base.%04d.dpx", "grain.%04d.dpx"),
        ("base.%04d.tif", "grain.%04d.tif"),
        ("base.%04d.png", "grain.%04d.png"),
    ],
)
def test_base_and_grain_are_the_source(movie: Path, tmp_path: Path, base: str, grain: str) -> None:
    facts = report("split", movie, "--base", tmp_path / base, "--grain", tmp_path / grain)
    assert facts["frames"] == 16
    assert facts["recombination"]["worst_steps"] <= 0.5


def test_neighbours_help_and_the_sum_stays_exact(movie: Path, tmp_path: Path) -> None:
    left: dict[str, float] = {}
    for quality in ("default", "temporal"):
        base = tmp_path / f"{quality}.mkv"
        facts = report("split", movie, "--base", base, "--grain", tmp_path / "grain.mkv", "--quality", quality, "--overwrite")
        assert facts["recombination"]["worst_steps"] == 0
        gaps = [luma(base)[index] - luma(base)[index + 1] for index in range(6)]
        left[quality] = float(np.mean([np.diff(gap, axis=1).var() for gap in gaps]))
    assert left["temporal"] < left["default"]


def test_a_lossy_split_prints_its_error(movie: Path, tmp_path: Path) -> None:
    facts = report("split", movie, "--base", tmp_path / "base.mov", "--grain", tmp_path / "grain.mov")
    assert 0 < facts["recombination"]["rms_steps"] < 8


def test_untouched_parameters_give_the_source_back(movie: Path, tmp_path: Path) -> None:
    report("split", movie, "--base", tmp_path / "b.mkv", "--grain", tmp_path / "g.mkv", "--result", tmp_path / "r.mkv")
    for left, right in zip(frames(movie), frames(tmp_path / "r.mkv"), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(left.planes, right.planes, strict=True))


def test_grain_zero_is_the_base_alone(encoded: Path, tmp_path: Path) -> None:
    report("decode", encoded, "-o", tmp_path / "zero.mkv", "--grain", "0")
    assert np.array_equal(luma(tmp_path / "zero.mkv"), luma(encoded))


def test_strength_is_a_factor(encoded: Path, tmp_path: Path) -> None:
    for grain in ("0.5", "1", "2"):
        report("decode", encoded, "-o", tmp_path / f"{grain}.mkv", "--grain", grain)
    base = luma(encoded)
    half, one, two = (np.std(luma(tmp_path / f"{grain}.mkv") - base) for grain in ("0.5", "1", "2"))
    assert half / one == pytest.approx(0.5, rel=0.02)
    assert two / one == pytest.approx(2, rel=0.02)


def test_grain_that_stays_in_the_picture_is_not_added_again(movie: Path, tmp_path: Path) -> None:
    report("encode", movie, "-o", tmp_path / "kept.mkv", "--preset", "10", "--removal", "0")
    report("decode", tmp_path / "kept.mkv", "-o", tmp_path / "one.mkv")
    assert np.array_equal(luma(tmp_path / "kept.mkv"), luma(tmp_path / "one.mkv"))


def test_any_threads_and_any_range_give_the_same_pictures(encoded: Path, tmp_path: Path) -> None:
    report("decode", encoded, "-o", tmp_path / "all.mkv", env={"GRAINLAYER_THREADS": "1"})
    report("decode", encoded, "-o", tmp_path / "again.mkv", env={"GRAINLAYER_THREADS": "3"})
    report("decode", encoded, "-o", tmp_path / "part.mkv", "--frames", "5-11")
    whole = luma(tmp_path / "all.mkv")
    assert np.array_equal(whole, luma(tmp_path / "again.mkv"))
    assert np.array_equal(whole[5:12], luma(tmp_path / "part.mkv"))


def test_decoded_grain_is_as_strong_as_it_was(movie: Path, encoded: Path, tmp_path: Path) -> None:
    report("decode", encoded, "-o", tmp_path / "one.mkv")
    true = luma(movie) - clean_luma()
    assert np.std(luma(tmp_path / "one.mkv") - luma(encoded)) == pytest.approx(np.std(true), rel=0.08)


def test_info_names_shots_and_draws_them(encoded: Path, tmp_path: Path) -> None:
    facts = report("info", encoded, "--plot", tmp_path / "plot.png")
    assert [(shot["first"], shot["frames"]) for shot in facts["shots"]] == [(0, 8), (8, 8)]
    assert (tmp_path / "plot.png").stat().st_size > 10_000
    words = run("info", encoded)
    assert "strength up to" in words.stdout


def test_a_profile_is_measured_and_laid_on_another_clip(movie: Path, encoded: Path, tmp_path: Path) -> None:
    report("analyze", movie, "-o", tmp_path / "p.json", "--frames", "0-7")
    assert json.loads((tmp_path / "p.json").read_text())["grainlayer_profile"] == 1
    report("decode", encoded, "-o", tmp_path / "base.mkv", "--grain", "0")
    report("regrain", tmp_path / "base.mkv", "-o", tmp_path / "r.mkv", "--profile", tmp_path / "p.json", "--amount", "2")
    assert np.std(luma(tmp_path / "r.mkv") - luma(tmp_path / "base.mkv")) > 4


def test_a_stock_is_laid(encoded: Path, tmp_path: Path) -> None:
    report("regrain", encoded, "-o", tmp_path / "s.mkv", "--stock", "16mm 500 colour")
    assert np.std(luma(tmp_path / "s.mkv") - luma(encoded)) > 2


@pytest.mark.parametrize("codec", ["hevc", "h264", "vvc", "prores", "ffv1"])
def test_every_base_codec(movie: Path, tmp_path: Path, codec: str) -> None:
    out = tmp_path / "out.mkv"
    facts = report("encode", movie, "-o", out, "--base-codec", codec, "--shots", "0,8")
    assert facts["frames"] == 16
    assert report("info", out)["shots"]
    assert len(frames(out)) == 16


@pytest.mark.parametrize("name", ["out.mp4", "out.mov"])
def test_every_container_carries_the_stream(movie: Path, tmp_path: Path, name: str) -> None:
    codec = "prores" if name.endswith("mov") else "hevc"
    report("encode", movie, "-o", tmp_path / name, "--base-codec", codec, "--shots", "0")
    assert report("info", tmp_path / name)["shots"]


@pytest.mark.parametrize(("width", "height", "count"), [(1, 1, 1), (16, 9, 3), (67, 35, 2)])
def test_small_and_odd_pictures(tmp_path: Path, width: int, height: int, count: int) -> None:
    source = write_movie(tmp_path / "s.mkv", width, height, (count,), "yuv444p10le")
    report("split", source, "--base", tmp_path / "b.mkv", "--grain", tmp_path / "g.mkv")
    report("encode", source, "-o", tmp_path / "e.mkv", "--base-codec", "ffv1")
    report("decode", tmp_path / "e.mkv", "-o", tmp_path / "d.mkv")
    assert len(frames(tmp_path / "d.mkv")) == count


def test_models_are_listed_and_verified() -> None:
    rows = report("models")["models"]
    assert {row["id"] for row in rows} >= {"removal-default", "level-default"}
    assert all(row["state"] == "verified" for row in rows)


@pytest.mark.parametrize("name", ["a_%04d.png", "."])
def test_info_knows_sequences(tmp_path: Path, name: str) -> None:
    for number in (7, 8, 9):
        with Image.fromarray(np.full((9, 16, 3), 10 * number, np.uint8)) as picture:
            picture.save(tmp_path / f"a_{number:04d}.png")
    report, profiles = describe(tmp_path / name)
    assert (report["base"]["frames"], report["base"]["width"], report["base"]["height"]) == (3, 16, 9)
    assert profiles == []
