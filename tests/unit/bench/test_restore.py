"""The evaluation of restoration, against pictures whose figures are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.bench.report import Report
from tests.bench.restore import clips, degrade, linear, measures, methods, sky, tables
from tests.bench.restore.banding import PLAIN, STRETCHED, cambi
from tests.bench.restore.clips import Source, Truth
from tests.bench.restore.degrade import Condition, Degraded

Floats = NDArray[np.float32]


def smooth(height: int = 64, width: int = 96, count: int = 7) -> Truth:
    """Return a truth of slow waves, finer than 8 bits, that stands still."""
    down, across = np.mgrid[0:height, 0:width]
    luma = (0.5 + 0.05 * np.sin(down / 40) + 0.04 * np.cos(across / 50)).astype(np.float32)
    chroma = np.stack([0.05 * np.sin(across / 20), 0.03 * np.cos(down / 30)], axis=2).astype(np.float32)
    return Truth("smooth", np.stack([luma] * count), np.stack([chroma] * count), 0)


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    truth = smooth()

    def read(source: Source) -> Truth:
        return truth

    monkeypatch.setattr(degrade, "read_truth", read)
    degrade.degrade.cache_clear()
    return Source("smooth", Path("smooth"))


def test_rounding_to_8_bits_leaves_58_92_decibels(source: Source) -> None:
    truth, given = smooth(), degrade.degrade(source, degrade.ROUNDING)
    done = methods.bilinear(given, truth.places)
    found = measures.measure(done, truth, given)
    assert found["psnr y"] == pytest.approx(58.92, abs=0.4)
    assert found["outside"] == 0
    assert not given.quantiser.any()
    right, added, chance = found["precision"]["10"]
    assert right == pytest.approx(0.25, abs=0.04)
    assert added == 0
    assert 0.2 < chance < 0.4


def test_the_truth_itself_is_all_right() -> None:
    truth = smooth()
    luma = truth.luma[:2]
    given = luma + np.float32(0.3 / 219)
    right, added, chance = measures.precision(luma, luma, given, 12)
    assert right == chance == 1
    assert added > 0.9
    assert measures.ssim(luma[0], luma[0]) == pytest.approx(1)


def test_a_stream_tells_its_quantiser_and_less_of_it_is_nearer_the_truth(source: Source) -> None:
    fine, coarse = (degrade.degrade(source, Condition(f"x264 {qp}", "libx264", qp)) for qp in (22, 37))
    assert fine.luma.shape == (7, 64, 96)
    assert fine.chroma.shape == (7, 32, 48, 2)
    assert 19 <= (fine.quantiser * 64).min() < (fine.quantiser * 64).max() <= 24
    assert float(coarse.quantiser[0, 0, 0] * 64) == 34
    errors = [float(np.mean((given.luma - smooth().luma) ** 2)) for given in (fine, coarse)]
    assert errors[0] < errors[1]
    assert fine.bits > coarse.bits


def test_h265_gets_the_quantiser_that_was_set(source: Source) -> None:
    given = degrade.degrade(source, degrade.X265)
    assert set(np.unique(given.quantiser * 64)) <= {29, 32, 34}
    assert given.quantiser[0, 0, 0] * 64 == 29


def test_lanczos_and_linear_chroma_are_sited_left() -> None:
    across = np.arange(96, dtype=np.float32)[None] / 960 + np.zeros((64, 1), np.float32)
    down = across.T.copy()
    from tests.bench.movies import double_chroma, halve_chroma

    for plane in (across.astype(np.float64), down.astype(np.float64)):
        for double in (double_chroma, methods.lanczos_plane):
            inner = double(halve_chroma(plane))[12:-12, 12:-12]
            assert inner == pytest.approx(plane[12:-12, 12:-12], abs=2e-4)


def test_lanczos_keeps_the_stored_columns_of_a_plane_that_does_not_change_down() -> None:
    half = np.random.Generator(np.random.Philox(key=1)).random((1, 48)) + np.zeros((24, 1))
    assert methods.lanczos_plane(half)[:, ::2] == pytest.approx(np.repeat(half, 2, axis=0))


def test_a_blur_in_the_cell_stays_there_and_helps_where_it_is_smooth(source: Source) -> None:
    truth, given = smooth(), degrade.degrade(source, degrade.ROUNDING)
    before, after = (run(given, truth.places, "2") for run in (methods.lanczos, methods.blur_in_cell))
    assert measures.outside_cell(after[0], given.luma[truth.places]) == 0
    errors = [float(np.mean((done[0] - truth.luma[truth.places]) ** 2)) for done in (before, after)]
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize(("method", "setting"), [(methods.deblock_deband, "0.01 0.004"), (methods.nlmeans, "1")])
def test_filters_of_ffmpeg_keep_a_smooth_picture(source: Source, method: object, setting: str) -> None:
    given = degrade.degrade(source, degrade.ROUNDING)
    luma, chroma = method(given, [2, 3], setting)  # type: ignore[operator]
    assert luma.shape == (2, 64, 96)
    assert chroma.shape == (2, 64, 96, 2)
    assert np.abs(luma - given.luma[2:4]).max() < 3 / 219


def test_classes_are_told_by_the_fitted_plane() -> None:
    across = np.arange(64, dtype=np.float32)[None] + np.zeros((16, 1), np.float32)
    picture = np.concatenate([across * 0.05, across * 0.5, across * 0.5 + 3 * (across % 2)]) / 219
    kinds = measures.classify(picture.astype(np.float32))
    assert kinds["flat"][:16].all()
    assert kinds["gradient"][16:32].all()
    assert kinds["texture"][32:].all()
    assert sum(mask.sum() for mask in kinds.values()) == picture.size


def test_chroma_edges_are_where_chroma_changes() -> None:
    chroma = np.zeros((32, 32, 2), np.float32)
    chroma[:, 16:, 1] = 0.2
    edges = measures.chroma_edges(chroma)
    assert edges[:, 15:17].all()
    assert not edges[:, :14].any()


def test_flicker_sees_what_stands_still_in_the_truth() -> None:
    truth = smooth().luma[:3]
    shaken = truth + np.array([0, 2, 0], np.float32)[:, None, None] / 219
    own, wanted = measures.flicker(shaken, truth)
    assert own == pytest.approx(2, abs=1e-3)
    assert wanted == 0
    assert tables.flicker_ratio({"flicker": [own, wanted]}) is None


def test_cambi_sees_bands() -> None:
    truth = sky.sky_only(sky.make_sky().luma[:1])
    banded = np.round(truth * 219) / 219
    assert cambi(banded, PLAIN) > 5 * cambi(truth, PLAIN)
    assert cambi(sky.graded(banded), STRETCHED) > 10 > cambi(sky.graded(truth), STRETCHED)


def test_the_made_sky_can_be_graded_without_clipping() -> None:
    truth = sky.make_sky()
    seen = sky.graded(sky.sky_only(truth.luma))
    assert 0 < seen.min() < 0.2 < 0.6 < seen.max() < 1
    assert truth.luma.shape[1] % 8 == truth.luma.shape[2] % 8 == 0


def test_rgb_and_back() -> None:
    rgb = np.random.Generator(np.random.Philox(key=2)).random((4, 6, 3)).astype(np.float32)
    assert clips.video_to_rgb(*clips.rgb_to_video(rgb)) == pytest.approx(rgb, abs=1e-6)


def write_net(path: Path, frames: int) -> None:
    """Write a net that gives back the middle picture: its luma plus 1, its chroma repeated."""
    import onnx
    from onnx import TensorProto, helper

    middle = frames // 2
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["luma", "middle"], ["own"], axis=0),
            helper.make_node("Add", ["own", "one"], ["restored_luma"]),
            helper.make_node("Gather", ["chroma", "middle"], ["half"], axis=0),
            helper.make_node("Resize", ["half", "", "scales"], ["restored_chroma"], mode="nearest"),
        ],
        "net",
        [
            helper.make_tensor_value_info("luma", TensorProto.FLOAT, [frames, "h", "w"]),
            helper.make_tensor_value_info("chroma", TensorProto.FLOAT, [frames, "h2", "w2", 2]),
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("restored_luma", "restored_chroma")],
        [
            helper.make_tensor("middle", TensorProto.INT64, [], [middle]),
            helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
            helper.make_tensor("scales", TensorProto.FLOAT, [3], [2.0, 2.0, 1.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(path))


def test_a_net_given_by_path_sees_its_window_and_is_held_in_the_cell(source: Source, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="writing a net needs onnx: pip install '.[train]'")
    write_net(tmp_path / "plus.onnx", 5)
    method = next(found for found in methods.net_methods([tmp_path / "plus.onnx"]) if found.name == "plus (5)")
    rounded = degrade.degrade(source, degrade.ROUNDING)
    luma, chroma = method.run(rounded, [0, 3], "")
    assert luma == pytest.approx(rounded.luma[[0, 3]] + 0.5 / 219, abs=1e-6)
    assert chroma.shape == (2, 64, 96, 2)
    lossy = Degraded(rounded.luma, rounded.chroma, rounded.quantiser, True, 1.0)
    assert method.run(lossy, [3], "")[0] == pytest.approx(rounded.luma[[3]] + 1, abs=1e-6)


def test_targets_are_held_against_a_net() -> None:
    truth = smooth()
    given = Degraded(truth.luma, truth.chroma[:, ::2, ::2], np.zeros((7, 8, 12), np.float32), True, 1.0)
    plain = truth.luma[truth.places] + np.float32(2 / 219)
    better = truth.luma[truth.places] + np.float32(1 / 219)
    chroma = truth.chroma[truth.places]
    rows = {
        name: measures.measure((luma, chroma + np.float32(off)), truth, given) | {"cambi": [1.0, 0.0], "bits": 1.0}
        for name, luma, off in ((methods.BILINEAR, plain, 0.01), (methods.LANCZOS, plain, 0.01), ("net (7)", better, 0.001))
    }
    found = {"x264 QP 37": {"smooth": rows}}
    report = Report("restore", "")
    tables.judge(report, found, ["net (7)"])
    assert not report.losses
    assert any("+6.02 dB over the input" in line for line in report.gains)
    assert "| net (7)" in tables.main_table("x264 QP 37", found["x264 QP 37"]).markdown()
    for table in (tables.precision_table(found), tables.steady_table(found), tables.clip_table(found)):
        assert table.rows
    assert tables.sky_table(found) is None


def test_a_linear_filter_fitted_to_the_truth_says_what_neighbours_hold() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random((40, 48)).astype(np.float32)
    planes = np.stack([truth + np.float32(0.1) * rng.standard_normal((40, 48), np.float32) for _ in range(7)])
    alone, seven = linear.gain(planes[3:4], truth), linear.gain(planes, truth)
    assert 0 < alone < 1 and 7 < seven < 10  # the mean of seven leaves a seventh of the noise
    blurred = (truth + np.roll(truth, 1, 1)) / 2
    assert linear.gain(blurred[None], truth) > 3
