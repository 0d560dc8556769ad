"""Watching a render folder: what arrives is delivered once, into a folder of its own, and never what was delivered."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from grainlayer.editorial.deliver import Run
from grainlayer.editorial.order import Order
from grainlayer.editorial.watch import Watch, place_of
from tests.system import deliveries as d
from tests.system.footage import fails, write_movie

FFV1 = ("--base-codec", "ffv1", "--grain-format", "ffv1")
COMMAND = (sys.executable, "-m", "grainlayer.cli", "deliver")
ORDER = Order(layers=("stream",))


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what a delivery in this process sets put back."""
    monkeypatch.setenv("GRAINLAYER_THREADS", "2")


def test_a_watched_folder_is_delivered_as_it_fills(data_root: Path, tmp_path: Path) -> None:
    arriving, out = tmp_path / "renders", tmp_path / "renders" / "out"
    arriving.mkdir()
    data = d.cut_media(data_root, tmp_path)[1].read_bytes()
    words = [*COMMAND, arriving, "-o", out, *FFV1, "--watch", "--poll", "0.2", "--layers", "base,grain"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            with (arriving / "shot.mkv").open("wb") as file:
                for part in range(4):
                    file.write(data[part * len(data) // 4 : (part + 1) * len(data) // 4])
                    file.flush()
                    time.sleep(0.15)
            _wait(out / "shot_mkv" / "manifest.json")
            time.sleep(2)
        finally:
            process.terminate()
            output, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert json.loads(output) == {"deliveries": 1}, said
    assert [path.name for path in out.iterdir()] == ["shot_mkv"]
    assert d.manifest(out / "shot_mkv")["clips"][0]["range"] == [0, d.FRAMES]


def test_arrivals_of_one_stem_have_folders_of_their_own(tmp_path: Path) -> None:
    """Delivered once each; a second look, and a restart, do nothing again, and a changed file is delivered anew into its folder."""
    arriving, out = tmp_path / "renders", tmp_path / "out"
    movie = write_movie(tmp_path / "A.mkv", 96, 80, (2,))
    names = ("A.mkv", "A.nut", "a/b.mkv", "a_b.mkv", "a/b_mkv.mkv")
    for name in names:
        (arriving / name).parent.mkdir(parents=True, exist_ok=True)
        (arriving / name).hardlink_to(movie)
    said: list[str] = []
    watched = Watch(arriving, out, ORDER, Run())
    out.mkdir()
    reports = [*watched.look(said.append), *watched.look(said.append), *watched.look(said.append)]
    assert len(reports) == len(names), said
    assert len({report["output"] for report in reports}) == len(names) == len(list(out.iterdir()))
    assert {d.manifest(Path(report["output"]))["identity"] for report in reports} == {str(arriving / name) for name in names}
    again = Watch(arriving, out, ORDER, Run())
    assert again.look(said.append) == []
    reports = again.look(said.append)
    assert len(reports) == len(names) == len(list(out.iterdir()))
    assert not any(report["done"]["stream"] for report in reports)
    (arriving / "A.mkv").unlink()
    write_movie(arriving / "A.mkv", 96, 80, (3,))
    again.look(said.append)
    (changed,) = again.look(said.append)
    assert (changed["output"], changed["frames"]) == (str(out / "A_mkv"), 3)


def test_names_of_folders_are_one_to_one() -> None:
    names = ("A001.mov", "A001.mp4", "A001.otio", "A001.%04d.exr", "A001.%05d.exr", "A001_%04d.exr", "A001_4d.mov", "A001_mov.mov")
    names += ("a/b.mov", "a_b.mov", "a b.mov", "a.b.mov", "a/b.%04d.exr", "a.%04d.exr", "A001.MOV", "e\u0301.mov", "?.mov", "-.mov")
    found = [place_of(Path(name)) for name in names]
    assert found[:4] == ["A001_mov", "A001_mp4", "A001_otio", "A001_4d_exr"]
    assert len(set(found)) == len(names)
    assert all("/" not in name and not name.startswith(".") for name in found)


def test_folders_that_cannot_be_watched_are_refused(tmp_path: Path) -> None:
    arriving = tmp_path / "renders"
    arriving.mkdir()
    for out in (arriving, tmp_path, arriving / ".." / "renders"):
        said = fails("deliver", arriving, "-o", out, "--watch", "--poll", "0.1")
        assert "another with -o" in said
    assert not list(arriving.iterdir())
    assert "no folder" in fails("deliver", tmp_path / "none", "-o", tmp_path / "out", "--watch")
    assert "cannot be made" in fails("deliver", arriving, "-o", tmp_path / "no" / "out", "--watch")
    (arriving / ".grainlayer").mkdir()
    assert "holds a delivery" in fails("deliver", arriving, "-o", tmp_path / "out", "--watch")


@pytest.mark.parametrize("inside", [".grainlayer/x", "a/.hidden"])
def test_deliveries_and_hidden_folders_inside_are_passed_over(tmp_path: Path, inside: str) -> None:
    arriving = tmp_path / "renders"
    (arriving / "old" / inside).mkdir(parents=True)
    hidden = arriving / "old" / ("A_result.mkv" if "grainlayer" in inside else f"{inside}/A.mkv")
    write_movie(hidden, 96, 80, (1,))
    (tmp_path / "out").mkdir()
    watched = Watch(arriving, tmp_path / "out", ORDER, Run())
    assert [watched.look(print) for _ in range(3)] == [[], [], []]


def _wait(path: Path, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert path.exists()
