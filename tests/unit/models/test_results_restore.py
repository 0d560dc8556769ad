"""What the page of results and the cards say of restoration: read from the benchmark's report, of the weights that ship, or missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("scipy", reason="the benchmark of restoration needs scipy: pip install '.[train]'")

from grainlayer.inference.registry import ModelCard
from grainlayer.inference.runtime import load
from models import results, results_cards, results_cost, results_restore, results_training
from models.results_keep import MISSING, Keep, cards
from models.results_page import Part
from tests.bench import cache, report
from tests.bench.report import Report
from tests.bench.restore import tables
from tests.bench.restore.methods import BILINEAR, DEBAND, LANCZOS, PRODUCT

DEFAULT, SINGLE = "restore-default (7)", "restore-single (1)"
CODED = ("x264 QP 27", "x264 QP 37")


def card(name: str) -> ModelCard:
    return next(card for card in cards() if card.id == name)


def row(luma: float, *, flat: float = 40.0, edges: float = 36.0) -> dict[str, Any]:
    """Return figures of a method on a clip: PSNR of luma, of its flat areas, and on chroma edges; all else the same for all."""
    squares = {name: [1000 * 10 ** (-value / 10), 1000.0] for name, value in (("flat", flat), ("gradient", 42.0), ("edges", edges))}
    planes = {"psnr y": luma, "psnr cb": 40.0, "psnr cr": 41.0}
    return planes | squares | {"texture": [0.0, 0.0], "flicker": [0.9, 1.0], "outside": 0.0}


def coded(ahead: float) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the figures of two clips: the default net is `ahead` dB on the first and half a dB behind on the second."""
    gains = {"one": ahead, "two": -0.5}
    return {
        clip: {
            BILINEAR: row(35.0),
            LANCZOS: row(35.0, edges=36.5),
            DEBAND: row(35.1, flat=41.0),
            DEFAULT: row(35.0 + gain, flat=40.5, edges=38.0),
            SINGLE: row(35.2, flat=41.5, edges=38.0),
            PRODUCT: row(35.0 + gain, flat=40.5, edges=38.0),
        }
        for clip, gain in gains.items()
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a report of two clips with the nets of the manifest."""
    return write(tmp_path, monkeypatch, {DEFAULT: card("restore-default").sha256, SINGLE: card("restore-single").sha256})


def write(place: Path, monkeypatch: pytest.MonkeyPatch, weights: dict[str, str]) -> Path:
    found = {CODED[0]: coded(1.5), CODED[1]: coded(0.8)}
    told = Report("restore", "Restoration")
    tables.judge(told, found, [DEFAULT, SINGLE])
    told.figures[tables.FACTS] = tables.facts(found, weights | {PRODUCT: weights[DEFAULT]})
    monkeypatch.setattr(report, "RESULTS", place)
    report.write(told, quick=False)
    return place


@pytest.fixture
def nothing_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(cache, "PLACE", tmp_path / "kept")
    monkeypatch.setattr(cache, "PUBLISHED", tmp_path / "none")
    cache._published.cache_clear()
    yield
    cache._published.cache_clear()


def test_figures_are_means_of_clips_and_name_the_worst() -> None:
    found = tables.facts({CODED[0]: coded(1.5)}, {DEFAULT: "digest"})
    assert found["weights"] == {DEFAULT: "digest"}
    own = found["conditions"][CODED[0]]["methods"][DEFAULT]
    assert found["conditions"][CODED[0]]["clips"] == ["one", "two"]
    assert own["psnr"] == [35.5, 40.0, 41.0] and own["worst"] == [-0.5, "two"] and own["below"] == 1
    assert own["areas"] == {"flat": 40.5, "gradient": 42.0, "texture": None, "edges": 38.0} and own["flicker"] == [0.9, 0.9]


def test_the_section_shows_what_is_gained_over_the_input(folder: Path, tmp_path: Path) -> None:
    part = results_restore.part(Keep(), folder=folder)
    luma, areas, chroma = part.tables[:3]
    rows = {name: cells for name, *cells in luma.rows}
    assert luma.head == ["", *CODED] and [*rows] == [BILINEAR, LANCZOS, DEBAND, DEFAULT, SINGLE, PRODUCT]
    assert rows[BILINEAR][0] == "35.00" and rows[DEFAULT] == ["+0.50 (-0.50)", "+0.15 (-0.50)"]
    assert [DEFAULT, *2 * ["+0.50 / +0.00 / -"]] in areas.rows and [LANCZOS, *2 * ["+0.00 / +0.00 / +0.50"]] in chroma.rows
    assert any("2 clips" in words for words in part.words) and "2 clips" in part.write(tmp_path / "page")


def test_a_card_names_targets_missed_clips_below_the_input_and_peers_ahead(folder: Path) -> None:
    facts = results_restore.read_facts(folder)
    assert list(results_restore.limits(card("restore-default"), facts)) == [
        "x264 QP 27: luma below the input's on 1 of 2 clips, -0.50 dB at worst (two).",
        "x264 QP 27: luma where it is flat 0.50 dB behind 'ffmpeg deblock + deband'.",
        "x264 QP 37: luma +0.15 dB over the input (target +0.5).",
        "x264 QP 37: luma of restore-default (7) -0.05 dB against restore-single (1) (target: above).",
        "x264 QP 37: luma below the input's on 1 of 2 clips, -0.50 dB at worst (two).",
        "x264 QP 37: luma where it is flat 0.50 dB behind 'ffmpeg deblock + deband'.",
    ]
    (table,) = results_restore.figures(card("restore-default"), facts)
    assert table.rows[0] == [CODED[0], "35.00", "+0.50", "-0.50", "+0.10", "+0.50", "+0.00", "-", "+0.00", "+0.00", "+2.00", "0.900"]


def test_figures_of_other_weights_are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write(tmp_path, monkeypatch, {DEFAULT: "0" * 64, SINGLE: card("restore-single").sha256})
    part = results_restore.part(Keep(), folder=place)
    facts = part.facts["restore"]
    assert DEFAULT in part.words[-1] and MISSING in part.words[-1] and SINGLE not in part.words[-1]
    assert [name for name, *_ in part.tables[0].rows] == [BILINEAR, LANCZOS, DEBAND, SINGLE]
    assert not any(DEFAULT in line or PRODUCT in line for line in facts["missed"])
    assert list(results_restore.limits(card("restore-single"), facts)) == ["x264 QP 37: luma +0.20 dB over the input (target +0.5)."]
    assert "tests.bench.restore" in next(results_restore.limits(card("restore-default"), facts))
    assert not results_restore.figures(card("restore-default"), facts)


def test_without_a_report_the_section_says_which_command_makes_it(tmp_path: Path) -> None:
    part = results_restore.part(Keep(), folder=tmp_path / "none")
    assert "python -m tests.bench.restore" in part.words[0] and MISSING in part.words[0] and not part.plots
    (tmp_path / "restore.json").write_text('{"losses": [], "figures": {}}', "utf-8")
    assert results_restore.read_facts(tmp_path) is None


def test_the_plot_is_small_and_left_out_where_there_is_nothing(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need matplotlib: pip install '.[plot]'")
    plot = results_restore.gain_plot(results_restore.read_facts(folder))
    assert plot.save(tmp_path / "page") and (tmp_path / "page" / "restore.png").stat().st_size < 60_000
    assert not results_restore.gain_plot(None).save(tmp_path / "empty")


def test_the_error_of_the_estimator_is_that_at_the_end_of_its_run(tmp_path: Path) -> None:
    own = card("quantiser-default")
    assert not results_restore.read_errors(own, tmp_path) and not results_restore.error_tables(own, tmp_path)
    (tmp_path / f"{own.id}-check.csv").write_text("step,qp22,qp27,rounding,chroma\n10,9,9,9,0\n20,4.11,2.7,4.6,0\n30,1", "utf-8")
    (table,) = results_restore.error_tables(own, tmp_path)
    assert table.head == ["QP 22", "QP 27", "rounding alone"] and table.rows == [["4.1", "2.7", "4.6"]]
    first, second = results_restore.error_limits(own, tmp_path)
    assert first == "QP 22: the estimate is 4.1 QP off in the mean of held-out septuplets." and second.startswith("rounding alone")


def test_what_the_estimator_is_quoted_with_is_kept_beside_its_curve() -> None:
    errors = results_restore.read_errors(card("quantiser-default"))
    assert list(errors) == ["QP 22", "QP 27", "QP 32", "QP 37", "rounding alone"] and all(0 < error < 6 for error in errors.values())


@pytest.mark.usefixtures("nothing_kept")
def test_cards_say_what_goes_in_and_out(folder: Path) -> None:
    parts = {
        "restoration": results_restore.part(Keep(), folder=folder),
        "training": results_training.part(Keep()),
        "speed": Part("Cost", facts={"costs": {}}),
    }
    texts = {name: results_cards.text(card(name), parts) for name in ("restore-default", "restore-single", "quantiser-default")}
    assert all("tensor(" not in text and "see docs" not in text for text in texts.values())
    assert "7 x luma_rows x luma_columns" in texts["restore-default"] and "worst clip" in texts["restore-default"]
    assert "same for every cell" in texts["quantiser-default"] and "QP off" in texts["quantiser-default"]


@pytest.mark.parametrize(("name", "frames"), [("restore-default", 7), ("restore-single", 1)])
def test_nets_that_restore_are_fed_in_their_shapes(name: str, frames: int) -> None:
    given = results_cost.feeds(load(card(name), "cpu").session, (64, 96))
    assert {name: value.shape for name, value in given.items()} == {
        "luma": (frames, 64, 96),
        "chroma": (frames, 32, 48, 2),
        "quantiser": (8, 12),
    }
    assert np.ptp(given["quantiser"]) == 0 < np.ptp(given["luma"])


def test_nets_that_restore_cost_what_their_widths_say() -> None:
    pytest.importorskip("onnx", reason="graphs are read by onnx: pip install '.[train]'")
    torch = pytest.importorskip("torch", reason="the twin is in torch: pip install '.[train]'")
    from models.restorenet import RestoreNet, kmac_per_pixel

    shapes = (1, 1, 64, 96), (1, 2, 32, 48), (1, 1, 8, 12)
    net = RestoreNet(1)
    twin = kmac_per_pixel(net, tuple(torch.zeros(shape) for shape in shapes), 64 * 96)
    path = card("restore-single").path
    assert results_cost.count_macs(path, (64, 96)) / 1000 == pytest.approx(twin, rel=1e-3)
    assert results_cost.count_parameters(path) == pytest.approx(sum(value.numel() for value in net.parameters()), rel=0.01)
    estimator = card("quantiser-default").path
    assert results_cost.count_macs(estimator, (64, 96)) > 0 and results_cost.count_parameters(estimator) > 36_000


def test_a_section_that_is_only_read_cannot_be_measured_alone() -> None:
    with pytest.raises(SystemExit):
        results.chosen(["--only", "restoration"])
    assert [*results.SECTIONS].index("restoration") < [*results.SECTIONS].index("speed")
