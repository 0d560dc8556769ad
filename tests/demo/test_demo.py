"""The demonstration's own parts: the camera, the grain, the sheet."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("skimage", reason="the photographs come with scikit-image")

from tests.demo import clip, sheet


@given(st.integers(1, 60), st.floats(-2, 30), st.floats(0.1, 1.5))
def test_sampling_keeps_lines_straight(count: int, start: float, step: float) -> None:
    matrix = clip.sampling(count, start, step, 40)
    place = start + step * (np.arange(count) + 0.5)
    inside = (place > 2) & (place < 38)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose((matrix @ (np.arange(40) + 0.5))[inside], place[inside], atol=1e-9)


def test_the_camera_stays_on_the_photographs() -> None:
    for shot in clip.DEMO.shots:
        height, width = clip.photograph(shot.photograph).shape[:2]
        for left, top, seen in (shot.start, shot.end):
            assert 0 <= left <= left + seen <= width
            assert 0 <= top <= top + seen * clip.DEMO.height / clip.DEMO.width <= height


def test_frames_move_and_carry_grain_of_the_stated_strength() -> None:
    first, second = clip.DEMO.clean_frame(0), clip.DEMO.clean_frame(6)
    assert np.abs(first - second).mean() > 0.005
    clean, grainy = clip.DEMO.frame_pair(0)
    strength = (grainy.astype(float) - clean).std() / 65535
    assert 0.4 * clip.PEAK < strength < clip.PEAK
    np.testing.assert_array_equal(clip.DEMO.frame_pair(0)[1], grainy)


def test_the_clip_is_a_tagged_movie(tmp_path: Path) -> None:
    still = clip.Shot("astronaut", (0, 0, 64), (8, 4, 64), 2)
    clip.make_clip(clip.Film((still, still), 64, 36), tmp_path / "clean.mkv", tmp_path / "source.mkv", 1)
    with av.open(str(tmp_path / "source.mkv")) as container:
        frames = list(container.decode(video=0))
        assert container.streams.video[0].average_rate == clip.RATE
    assert len(frames) == 4
    assert {(f.width, f.height, f.format.name, f.color_range, f.colorspace) for f in frames} == {(64, 36, "yuv420p10le", 1, 1)}


@given(st.integers(1, 300), st.integers(1, 200), st.floats(0, 1), st.floats(0, 1))
def test_crops_lie_inside(width: int, height: int, x: float, y: float) -> None:
    crop = sheet.cut(np.zeros((height, width, 3), np.float32), (x, y))
    assert crop.shape == (min(height, sheet.CROP[1]), min(width, sheet.CROP[0]), 3)


def test_the_sheet_is_a_png_and_a_small_jpeg(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).random((108, 160, 3)).astype(np.float32)
    drawn = sheet.draw([[("grain x4", noise)] * 4] * 4)
    sheet.save(drawn, tmp_path / "a.png", tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").stat().st_size <= sheet.LARGEST
    assert np.asarray(drawn)[sheet.GAP + sheet.STRIP :, sheet.GAP :][:2, :2].std(axis=(0, 1)).max() == 0
