"""The results of the models: their measures against known answers, what is kept, what is written, and what is said to be missing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("scipy", reason="the measures need scipy: pip install '.[train]'")

from grainlayer.errors import ModelError
from grainlayer.inference.registry import ModelCard
from models import results, results_av1, results_cards, results_cost, results_methods, results_removal, results_synthesis, results_temporal
from models.boolean import BooleanGrain
from models.kinds import Av1
from models.monte_carlo import MonteCarlo
from models.results_keep import MISSING, Absent, Keep, cards, mean_cell, rounded
from models.results_measures import (
    divergence,
    kolmogorov,
    leaks,
    marginal,
    moments,
    nss_divergence,
    psnr_by_busyness,
    similarity,
)
from models.results_page import Part
from models.results_training import read_curve
from tests.bench import cache
from tests.bench.material import Case, Still
from tests.bench.metrics import LUMA
from tests.bench.peers import Setting, StillPeer

Floats = NDArray[np.float64]


def white(shape: tuple[int, ...], seed: int) -> Floats:
    return np.random.Generator(np.random.Philox(key=seed)).standard_normal(shape)


def hills(side: int = 192) -> Floats:
    """Return a smooth picture whose left half is flat."""
    y, x = np.mgrid[:side, :side]
    waves = 0.5 + 0.3 * np.sin(x / 5) * np.cos(y / 7) * (x > side // 2)
    return np.repeat(waves[:, :, None], 3, axis=2)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep figures in a folder of the test's own, where there are none yet."""
    monkeypatch.setattr(cache, "PLACE", tmp_path / "kept")
    monkeypatch.setattr(cache, "PUBLISHED", tmp_path / "none")
    cache._published.cache_clear()
    yield tmp_path
    cache._published.cache_clear()


def test_similarity_is_that_of_the_training_loss() -> None:
    torch = pytest.importorskip("torch", reason="the twin of MS-SSIM is in torch: pip install '.[train]'")
    from models.seedlosses import ms_ssim
    from models.seedlosses import similarity as twin

    clean = hills()
    grainy = clean + 0.08 * white(clean.shape, 1)
    planes = [torch.from_numpy(p.transpose(2, 0, 1).copy())[None] for p in (grainy, clean)]
    ssim, msssim = similarity(grainy, clean)
    assert ssim == pytest.approx(float(twin(*planes)[0].mean()), abs=1e-6)
    assert msssim == pytest.approx(float(ms_ssim(*planes)), abs=1e-6)
    assert similarity(clean, clean) == pytest.approx((1, 1))


def test_error_is_told_apart_by_how_busy_the_picture_is() -> None:
    clean = hills()
    base = clean + np.where(np.arange(192)[None, :, None] > 96, 0.1, 0.01)
    assert psnr_by_busyness(base, clean) == pytest.approx((40, 20), abs=0.1)


def test_leaks_of_grain_that_is_the_pictures_slope_and_of_grain_that_is_not() -> None:
    clean = hills()
    down, across = np.gradient(clean @ LUMA)
    assert leaks(np.repeat(across[:, :, None], 3, 2), clean)[0] == pytest.approx(1)
    assert leaks(np.repeat(np.hypot(down, across)[:, :, None], 3, 2), clean) == pytest.approx((1, 1))
    signed, edges = leaks(white(clean.shape, 2), clean)
    assert signed < 0.03 and abs(edges) < 0.03
    either_sign = (white(clean.shape, 3)[:, :, :1] * np.hypot(down, across)[:, :, None]).repeat(3, 2)
    assert leaks(either_sign, clean)[0] < 0.05 < 0.5 < leaks(either_sign, clean)[1]
    assert leaks(0 * clean, clean) == (0, 0)


def test_distributions_with_and_without_their_strength() -> None:
    one, other, wider = 0.03 * white((1, 150, 150, 3), 4), 0.03 * white((1, 150, 150, 3), 5), 0.06 * white((1, 150, 150, 3), 6)
    assert kolmogorov(marginal(other), marginal(one)) < 0.01
    assert kolmogorov(marginal(wider), marginal(one)) == pytest.approx(0.161, abs=0.01)
    shapes = [marginal(part).scaled(1 / float(part.std())) for part in (wider, one)]
    assert kolmogorov(*shapes) < 0.01
    assert kolmogorov(marginal(np.zeros(10)), marginal(one)) == pytest.approx(0.5, abs=0.01)


def test_a_raster_alone_makes_no_difference_of_distributions() -> None:
    fine = 0.03 * white((300_000,), 7)
    coarse = np.round(fine / 0.003) * 0.003
    assert kolmogorov(marginal(coarse), marginal(fine)) < 0.004


def test_divergence_and_moments_of_known_distributions() -> None:
    assert divergence(np.array([1.0, 1, 0]), np.array([2.0, 2, 0])) == pytest.approx(0)
    assert divergence(np.array([1.0, 0]), np.array([0, 1.0])) == pytest.approx(np.log(2))
    skewness, kurtosis = moments(-np.log(np.random.Generator(np.random.Philox(key=8)).random(200_000)))
    assert skewness == pytest.approx(2, abs=0.1) and kurtosis == pytest.approx(6, abs=0.8)


def test_statistics_of_neighbours_tell_spectra_apart() -> None:
    fields = [0.5 + 0.03 * white((512, 512, 3), seed) for seed in (9, 10)]
    soft = (fields[1] + np.roll(fields[1], 1, 1)) / 2
    floor = nss_divergence(*fields)
    assert 0.5e-4 < floor < 2e-4
    assert nss_divergence(fields[0], soft) > 20 * floor


def test_figures_are_computed_once_and_only_where_asked(place: Path) -> None:
    calls: list[int] = []

    def compute() -> dict[str, Any]:
        calls.append(1)
        return {"value": 1 / 3, "rows": [2 / 3, None]}

    assert Keep().figures("test", ["a"], compute) is None and not calls
    assert Keep(True).figures("test", ["a"], compute) == {"value": 0.333333, "rows": [0.666667, None]}
    assert Keep(True).figures("test", ["a"], compute) == Keep().figures("test", ["a"], compute)
    assert len(calls) == 1 and list((place / "kept").rglob("*.json"))


def test_what_cannot_be_measured_is_missing_and_said(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def compute() -> dict[str, Any]:
        return {"grain": results_synthesis.neural_grain("synth-x", np.zeros((8, 8, 3)), 0.5, 0.8, 0.03, 1)}

    assert Keep(True).figures("test", ["b"], compute) is None
    assert "synth-x" in capsys.readouterr().out
    with pytest.raises(ModelError, match="synth-x"):
        compute()


def test_a_nets_grain_is_as_strong_as_asked() -> None:
    grain = results_synthesis.neural_grain("synth-neural", np.full((256, 256, 3), 0.5), 0.5, 0.8, 0.03, 1)
    assert grain.std() == pytest.approx(0.03 * float(MonteCarlo(0.5, psf=0.8).strength(np.array([0.5]))[0]), rel=0.05)


def test_cells_say_how_much_was_measured() -> None:
    assert mean_cell([None, None], ".1f") == MISSING == mean_cell([], ".1f")
    assert mean_cell([1.0, 2.0], ".1f") == "1.5"
    assert mean_cell([1.0, None], ".1f") == "1.0 (1 of 2)"
    assert rounded(float("inf")) == float("inf")


@pytest.fixture
def stills(place: Path, monkeypatch: pytest.MonkeyPatch) -> list[Still]:
    """Put two small stills in the place of the pictures of data/val."""
    held = [Still(f"p{n}", hills().astype(np.float32), (hills() + 0.05 * white((192, 192, 3), n)).astype(np.float32)) for n in (0, 1)]
    paths = tuple(place / f"{still.name}.png" for still in held)
    for path in paths:
        path.write_bytes(path.name.encode())
    for module in (results_methods, results_removal):
        monkeypatch.setattr(module, "still_paths", lambda: paths)
        monkeypatch.setattr(module, "still", lambda case, index: held[index])
    return held


def shrink(runs: list[str]) -> StillPeer:
    """Return a peer that takes a share of what it is given from it, best at 0.1 here, and notes its runs."""

    def run(grainy: NDArray[np.float32], told: object, setting: Setting) -> NDArray[np.float32]:
        runs.append(setting.name)
        return (grainy * np.float32(1 - setting.scale) + np.float32(0.5 * setting.scale)).astype(np.float32)

    return StillPeer("shrink", run, tuple(Setting(scale) for scale in (0.01, 0.1, 0.9)))


def test_a_peer_is_tuned_in_hindsight_and_not_run_twice(stills: list[Still]) -> None:
    runs: list[str] = []
    peer, case = shrink(runs), Case("white", 0.05)
    assert results_methods.peer_method(Keep(), peer, case, [0, 1]) is None and not runs
    method = results_methods.peer_method(Keep(True), peer, case, [0, 1])
    assert method is not None and method.note.startswith("x0.1") and len(runs) == 3
    rows = [results_removal.figures(Keep(True), method, case, index) for index in (0, 1)]
    assert len(runs) == 4, "one run of the best setting on the picture that was not tuned on"
    assert all(row is not None and row["psnr"] > 20 and row["left"] == pytest.approx(0.9, abs=0.02) for row in rows)
    again = results_methods.peer_method(Keep(), peer, case, [0, 1])
    assert again is not None and results_removal.figures(Keep(), again, case, 1) == rows[1] and len(runs) == 4


def test_the_truth_removes_all_and_leaks_as_grain_does(stills: list[Still]) -> None:
    found = results_removal.measure(stills[0].clean, stills[0])
    assert found["psnr"] == float("inf") and found["left"] == 0 and found["leak"] < 0.03
    luma = results_methods.grey(stills[0])
    assert np.ptp(luma.clean, axis=2).max() == 0 and luma.strength < 0.8 * stills[0].strength


def test_checkpoints_of_the_seeds_removal_tasks_are_found_by_their_steps(tmp_path: Path, stills: list[Still]) -> None:
    torch = pytest.importorskip("torch", reason="checkpoints are torch's: pip install '.[train]'")
    from models.seedtasks import TASKS

    assert results_methods.seed_methods(tmp_path) == []
    torch.save({"task": "removal", "average": {}}, tmp_path / "ours.pt")
    for name in ("removal_case_1", "synthesis_case_1", "removal_case_3_gray"):
        state = {"task": name, "identity": {"width": 4, "levels": [0.05]}, "step": 12_000, "seconds": 1.0, "sums": [], "optimiser": {}}
        torch.save(state | {"net": TASKS[name].generator(4).state_dict()}, tmp_path / f"{name}.pt")
    (found,) = results_methods.seed_methods(tmp_path)
    assert found.name == "removal_case_1, 12,000 steps"
    assert found.base(stills[0], Case("white", 0.05)).shape == stills[0].clean.shape


@pytest.mark.parametrize(("count", "expected"), [(7, [2, 3, 4]), (8, [2, 3, 4, 5]), (60, [2, 16, 30, 43, 57])])
def test_windows_are_whole_and_evenly_spread(count: int, expected: Sequence[int]) -> None:
    assert results_temporal.middles(count) == expected


def moving_shot() -> results_temporal.Shot:
    """Return 7 pictures in which a bright square goes right, on a grey that stands."""
    clean = {place: np.full((64, 96, 3), 0.3, np.float32) for place in range(7)}
    for place, picture in clean.items():
        picture[20:40, 10 + 4 * place : 30 + 4 * place] = 0.8
    grain = {place: white((64, 96, 3), place).astype(np.float32) for place in range(7)}
    return results_temporal.Shot(clean, grain, [2, 3, 4])


def test_what_moves_is_told_from_what_stands() -> None:
    shot = moving_shot()
    moves = shot.moving(3)
    assert moves[30, 20] and moves[30, 43] and not moves[:15].any() and not moves[30, 32]
    half = results_temporal.Method("half", ("half",), lambda window, peak: 0.5 * (window[2] - shot.clean[3]))
    only_middle = replace(shot, middles=[3])
    plain, better = (results_temporal.measure(only_middle, 0.05, m) for m in (results_temporal.methods()[0], half))
    assert plain["psnr"] == pytest.approx(26, abs=0.2)
    for area in results_temporal.AREAS:
        assert better[area] - plain[area] == pytest.approx(6.02, abs=0.01)
    assert plain["share"] == pytest.approx(moves.mean())


def test_an_area_too_small_has_no_figure() -> None:
    still = {place: np.full((32, 32, 3), 0.3, np.float32) for place in range(5)}
    shot = results_temporal.Shot(still, {place: white((32, 32, 3), place).astype(np.float32) for place in still}, [2])
    found = results_temporal.measure(shot, 0.05, results_temporal.methods()[0])
    assert found["moving"] is None and found["static"] is not None and found["share"] == 0


def test_grain_of_a_window_comes_from_the_runtime() -> None:
    window = moving_shot().window(3, 0.05)
    grain = results_temporal.temporal_grain(window, 0.05)
    assert grain.shape == window.shape[1:]
    assert np.mean((window[2] - grain - moving_shot().clean[3]) ** 2) < 0.25 * 0.05**2


def test_av1_is_fitted_to_spectrum_and_strength(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_av1, "RIDGES", (1e-2,))
    monkeypatch.setattr(results_av1, "SEEDS", range(1, 5))
    grain, knots = BooleanGrain(0.5, 0.8), np.linspace(0, 1, 17)
    greys = [grain.render(np.full((192, 192, 3), grey), 0.03, 1, 0.3) for grey in (0.2, 0.5, 0.8)]
    table = results_av1.fit_table(greys, grain.strength(knots, 0.03), knots)
    assert table.lag == 3 and results_av1.misfit(table, results_av1.relate(greys)) < 0.2
    base = np.full((192, 192, 3), 0.5)
    laid = Av1(table)(base, 0.03, 5)
    assert laid.std() == pytest.approx(0.03, rel=0.12)
    assert np.corrcoef(laid.reshape(-1, 3).T)[0, 2] == pytest.approx(0.3, abs=0.12)
    assert np.corrcoef(laid[:, 1:, 1].ravel(), laid[:, :-1, 1].ravel())[0, 1] == pytest.approx(0.7, abs=0.1)


def test_a_plane_is_no_grain() -> None:
    ramp = np.broadcast_to(np.linspace(0.1, 0.9, 64)[None, :, None], (48, 64, 3))
    grain = 0.03 * white((48, 64, 3), 11)
    found = results_synthesis.less_plane((ramp + grain)[None].astype(np.float32))
    assert np.abs(found - grain).max() < 0.01 and np.abs(results_synthesis.less_plane(ramp[None])).max() < 1e-6


def test_grain_against_itself_and_against_louder_grain() -> None:
    base = np.full((96, 96, 3), 0.5)
    true, other = 0.03 * white((2, 96, 96, 3), 12), 0.06 * white((2, 96, 96, 3), 13)
    same = results_synthesis.measure(true, true, base)
    assert all(abs(same[key]) < 1e-9 for key in ("strength", "spectrum", "autocorrelation", "ks", "ks_shape", "jsd", "nss", "covariance"))
    louder = results_synthesis.measure(other, true, base)
    assert louder["strength"] == pytest.approx(1, abs=0.05) and louder["ks"] > 0.1 > 0.02 > louder["ks_shape"]
    assert abs(louder["frames"]) < 0.05 and len(louder["radial"]) == 32 and louder["curve"][8] == pytest.approx(0.06, rel=0.05)


def test_the_truth_is_rendered_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_synthesis, "SIZE", 48)
    results_synthesis.truth.cache_clear()
    first = results_synthesis.truth(0.8, "grey 0.5")
    results_synthesis.truth.cache_clear()
    monkeypatch.setattr(results_synthesis, "FineBoolean", None)
    assert np.array_equal(results_synthesis.truth(0.8, "grey 0.5"), first) and first.shape == (2, 48, 48, 3)
    assert first.std() == pytest.approx(results_synthesis.LEVEL, rel=0.2) and not np.array_equal(*first)
    results_synthesis.truth.cache_clear()


def default_card() -> ModelCard:
    return next(card for card in cards("removal") if card.id == "removal-default")


def test_multiplications_and_parameters_are_counted(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="graphs are read by onnx: pip install '.[train]'")
    from onnx import TensorProto, helper, numpy_helper

    stored = {"w": (4, 3, 3, 3), "b": (4,), "up": (4, 2, 2, 2), "m": (32, 5)}
    nodes = [
        helper.make_node("Transpose", ["picture"], ["planes"], perm=[2, 0, 1]),
        helper.make_node("Unsqueeze", ["planes", "axis"], ["one"]),
        helper.make_node("Conv", ["one", "w", "b"], ["half"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("ConvTranspose", ["half", "up"], ["whole"], strides=[2, 2]),
        helper.make_node("MatMul", ["whole", "m"], ["out"]),
    ]
    values = [numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in stored.items()]
    values.append(numpy_helper.from_array(np.array([0]), "axis"))
    given = helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["rows", "columns", 3])
    made = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "small", [given], [made], values)
    path = tmp_path / "small.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(path))
    by_pixel = 3 * 4 * 9 / 4 + 4 * 2 * 4 / 4 + 2 * 5
    assert results_cost.count_macs(path, (16, 32)) == pytest.approx(by_pixel)
    assert results_cost.count_parameters(path) == sum(int(np.prod(shape)) for shape in stored.values())


def test_the_default_remover_costs_what_its_widths_say() -> None:
    pytest.importorskip("onnx", reason="graphs are read by onnx: pip install '.[train]'")
    path = default_card().path
    assert results_cost.count_macs(path, (64, 96)) == results_cost.count_macs(path, (136, 200)) > 10_000
    assert 4 * results_cost.count_parameters(path) == pytest.approx(path.stat().st_size, rel=0.05)


def test_forms_in_eight_bits_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_cost, "FULL", (64, 96))
    monkeypatch.setattr(os, "getloadavg", lambda: (0.5, 0.5, 0.5))
    card = default_card()
    twin = tmp_path / f"{card.path.stem}-int8.onnx"
    twin.write_bytes(card.path.read_bytes())
    assert results_cost.int8_file(replace(card, id="lonely", path=tmp_path / card.file)) == twin
    found = results_cost.time_pair(card, twin)
    assert found["ms"] > 0 and found["ms_int8"] > 0 and found["load"] == 0.5
    assert results_cost.time_pair(card, None)["ms_int8"] is None
    monkeypatch.setattr(os, "getloadavg", lambda: (99.0, 1.0, 1.0))
    with pytest.raises(Absent, match="busy"):
        results_cost.time_pair(card, None)


def test_curves_are_read_but_for_a_row_cut_off(tmp_path: Path) -> None:
    first, second = tmp_path / "net.csv", tmp_path / "net-2.csv"
    assert read_curve([]) is None
    first.write_text("step,seconds,rate,loss,left\n250,10,0.1,0.5,0.4\n500,20,0.1,0.25,0.3\n750,3", "utf-8")
    second.write_text("step,seconds,loss\n250,5,0.2\n", "utf-8")
    assert read_curve([first]) == {"step": [250, 500], "seconds": [10, 20], "loss": [0.5, 0.25]}
    assert read_curve([first, second]) == {"step": [250, 500, 750], "seconds": [10, 20, 25], "loss": [0.5, 0.25, 0.2]}


def row(case: Case, **figures: float) -> dict[Case, list[dict[str, Any] | None]]:
    return {case: [{"psnr": 30.0, "left": 0.1, "flat": 35.0, "busy": 25.0} | figures]}


def test_a_card_names_what_its_model_is_bad_at() -> None:
    case = results_removal.CASES[2]
    rows = {"input": row(case, psnr=31.0), "removal-default": row(case, left=0.4), "CBM3D": row(case, psnr=30.5, flat=34.0, busy=27.0)}
    first, second, third = results_cards.removal_limits("removal-default", rows)
    assert first == "white 25: 0.50 dB behind CBM3D (-1.00 dB for CBM3D on the flattest fifth of the blocks, +2.00 on the busiest)."
    assert "1 of the pictures" in second and "40 % of the grain" in third
    assert not list(results_cards.removal_limits("removal-default", {"input": row(case)}))


def test_a_card_names_the_clips_on_which_neighbours_do_harm() -> None:
    def clip(psnr: float, static: float | None) -> dict[str, Any]:
        return {"psnr": psnr, "moving": 30.0, "static": static, "share": 0.5}

    rows = {"single": [clip(30.0, 35.0), clip(31.0, None), None], "net": [clip(32.0, 34.5), clip(30.5, None), None]}
    both = list(results_cards.temporal_limits("net", {0.05: rows}))
    assert both == [
        "Film-like grain of 0.05: behind the default net alone on 1 of 2 clips, -0.50 dB at worst.",
        "Film-like grain of 0.05: behind the default net alone where pictures are static on 1 of 1 clips, -0.50 dB at worst.",
    ]
    assert not list(results_cards.temporal_limits("other", {0.05: rows}))


def test_the_command_writes_what_it_has_and_says_what_it_lacks(place: Path) -> None:
    results.main(["--report", "--every", "30", "--out", str(place / "out")])
    page = (place / "out" / "RESULTS.md").read_text("utf-8")
    assert page.count("\n## ") == len(results.SECTIONS) + 1 and MISSING in page and "removal-default" in page
    assert not list((place / "kept").rglob("*.json")), "nothing may be measured for a report"
    for card in cards():
        text = (place / "out" / "cards" / f"{card.id}.md").read_text("utf-8")
        assert card.sha256 in text and "### Limits" in text and "Apache-2.0" in text
    (place / "out" / "cards" / "gone.md").write_text("of a model that ships no more", "utf-8")
    results_cards.write(place / "out", results.measure(None, 30, report=True))
    assert not (place / "out" / "cards" / "gone.md").exists()


def test_a_plot_is_small_and_left_out_where_there_is_nothing(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need matplotlib: pip install '.[plot]'")
    rows = {name: {case: [{"psnr": level}] for case in results_removal.CASES} for name, level in (("input", 20.0), ("net", 30.0))}
    full, empty = (Part("Removal", plots=[results_removal.gain_plot(held)]) for held in (rows, {}))
    assert "removal.png" in full.write(tmp_path) and (tmp_path / "results" / "removal.png").stat().st_size < 60_000
    assert "removal.png" not in empty.write(tmp_path / "none")


def test_the_command_line_refuses_nonsense() -> None:
    with pytest.raises(SystemExit):
        results.chosen(["--every", "0"])
    assert results.chosen(["--only", "speed"]).only == "speed"
