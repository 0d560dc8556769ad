"""A delivery's folder: whose it is, who may work there at once, and what stays when other layers are asked for."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import opentimelineio as otio
import pytest

from grainlayer.editorial.deliver import job_of
from grainlayer.editorial.occupancy import Claim, occupied
from grainlayer.editorial.order import Order
from tests.system import deliveries as d
from tests.system.footage import fails, report

FFV1 = ("--base-codec", "ffv1", "--grain-format", "ffv1")
BASE = (*FFV1, "--layers", "base")
COMMAND = (sys.executable, "-m", "grainlayer.cli", "deliver")


def edit_at(path: Path, media: Sequence[Path], names: Sequence[str] = ("SH010",)) -> Path:
    """Write an edit of one clip a media, of four frames each."""
    path.parent.mkdir(exist_ok=True)
    for source in media[: len(names)]:
        link = path.with_name(source.name)
        if not link.exists():
            link.hardlink_to(source)
    line = otio.schema.Timeline(path.stem)
    line.tracks.append(otio.schema.Track("V1", [d.clip(name, source, 1, 4) for name, source in zip(names, media, strict=False)]))
    otio.adapters.write_to_file(line, str(path))
    return path


def test_another_edit_is_refused_and_touches_nothing(media: list[Path], tmp_path: Path) -> None:
    one, two = edit_at(tmp_path / "a" / "reel1.otio", media), edit_at(tmp_path / "b" / "reel2.otio", media[1:])
    out = tmp_path / "out"
    report("deliver", one, "-o", out, *BASE)
    before, times = d.contents(out), d.times(out)
    said = fails("deliver", two, "-o", out, *BASE)
    assert str(one) in said and "--overwrite" in said and "--name" in said
    assert "reel1" in fails("deliver", two, "-o", out, *BASE, "--only", "1")
    assert (d.contents(out), d.times(out)) == (before, times)

    facts = report("deliver", two, "-o", out, *BASE, "--overwrite")
    assert facts["done"]["split"] == 1
    assert [problem for problem in facts["problems"] if str(one) in problem]
    assert d.manifest(out)["identity"] == str(two)
    assert (out / "reel1_layers.otio").exists()
    assert str(two) in fails("deliver", one, "-o", out, *BASE)


def test_a_new_version_goes_on_where_the_last_one_was(media: list[Path], tmp_path: Path) -> None:
    """The same path is the same edit; another path is, by its name. What only the old version had is kept, listed and said."""
    out, path = tmp_path / "out", tmp_path / "edits" / "cut.otio"
    report("deliver", edit_at(path, media, ("SH010", "SH020")), "-o", out, *BASE)
    facts = report("deliver", edit_at(path, media, ("SH010",)), "-o", out, *BASE)
    assert facts["done"]["split"] == 0
    assert d.manifest(out)["kept"] == ["002_SH020_base.mkv", "002_SH020_report.json"]
    assert (out / "002_SH020_base.mkv").exists()
    assert [problem for problem in facts["problems"] if "002_SH020_base.mkv" in problem]

    later = edit_at(tmp_path / "edits" / "cut_v2.otio", media, ("SH010", "SH020"))
    assert "--name" in fails("deliver", later, "-o", out, *BASE)
    facts = report("deliver", later, "-o", out, *BASE, "--name", path)
    assert facts["done"]["split"] == 0
    assert d.manifest(out)["kept"] == ["cut_layers.otio"]
    assert set(d.manifest(out)["files"]) == set(d.contents(out)) - {"manifest.json"}


@pytest.mark.parametrize("words", [(), ("--overwrite",), ("--only", "1", "--overwrite"), ("--openjd", "job.json")])
def test_a_delivery_is_never_made_of_its_own_layers(media: list[Path], tmp_path: Path, words: tuple[str, ...]) -> None:
    out = tmp_path / "out"
    report("deliver", edit_at(tmp_path / "edit" / "cut.otio", media), "-o", out, "--layers", "base", "--base-codec", "exr")
    before = d.contents(out)
    given = [tmp_path / word if word.endswith(".json") else word for word in words]
    said = fails("deliver", out / "cut_layers.otio", "-o", out, "--layers", "base", "--base-codec", "exr", *given)
    assert "another folder" in said
    assert d.contents(out) == before
    assert not (tmp_path / "job.json").exists()


def test_fewer_layers_delete_nothing_and_render_nothing(media: list[Path], tmp_path: Path) -> None:
    out, edit = tmp_path / "out", edit_at(tmp_path / "edit" / "cut.otio", media)
    report("deliver", edit, "-o", out, *FFV1, "--layers", "base,grain,result,stream")
    before, times = d.contents(out), d.times(out)
    for layers, kept in (("result", ("base", "grain")), ("grain", ("base", "result")), ("base,result", ("grain",))):
        facts = report("deliver", edit, "-o", out, *FFV1, "--layers", layers)
        assert facts["done"] == {"split": 0, "grain": 0, "stream": 0, "result": 0}
        assert {f"001_SH010_{layer}.mkv" for layer in kept} <= set(d.manifest(out)["kept"])
        media_files = {name: sha for name, sha in d.contents(out).items() if name.endswith((".mkv", ".grain"))}
        assert media_files.items() <= before.items() and all(times[name] == d.times(out)[name] for name in media_files)
        assert len(media_files) == 4
        assert set(d.manifest(out)["files"]) == set(d.contents(out)) - {"manifest.json"}
    assert report("deliver", edit, "-o", out, *FFV1)["done"] == {"split": 0, "grain": 0, "stream": 0, "result": 0}
    assert d.contents(out) == before


def test_more_layers_render_only_those(media: list[Path], tmp_path: Path) -> None:
    """A base made for results alone is the one delivered later, and grain, stream and result need no network."""
    out, edit = tmp_path / "out", edit_at(tmp_path / "edit" / "cut.otio", media)
    report("deliver", edit, "-o", out, *FFV1, "--layers", "result")
    assert report("deliver", edit, "-o", out, *FFV1, "--layers", "stream")["done"]["split"] == 0
    assert list((out / ".grainlayer" / "bases").iterdir())
    for layers, done in (("base,result", {}), ("base,result,grain", {"grain": 1}), ("base,result,grain,stream", {"stream": 1})):
        facts = report("deliver", edit, "-o", out, *FFV1, "--layers", layers)
        assert facts["done"] == {"split": 0, "grain": 0, "stream": 0, "result": 0} | done
    assert not list((out / ".grainlayer" / "bases").iterdir())
    whole = tmp_path / "whole"
    report("deliver", edit, "-o", whole, *FFV1, "--layers", "base,result,grain,stream")
    del (wanted := d.contents(whole))["manifest.json"]
    assert wanted.items() <= d.contents(out).items()
    assert d.manifest(out)["kept"] == ["001_SH010_stream.grain"]


def test_other_codecs_and_names_keep_what_is_there(media: list[Path], tmp_path: Path) -> None:
    out, edit = tmp_path / "out", edit_at(tmp_path / "edit" / "cut.otio", media)
    report("deliver", edit, "-o", out, *BASE)
    sums = d.contents(out)
    facts = report("deliver", edit, "-o", out, "--base-codec", "exr", "--layers", "base")
    assert d.manifest(out)["kept"] == ["001_SH010_base.mkv"]
    assert d.contents(out)["001_SH010_base.mkv"] == sums["001_SH010_base.mkv"]
    assert [problem for problem in facts["problems"] if "001_SH010_base.mkv" in problem]
    facts = report("deliver", edit, "-o", out, *BASE, "--template", "{name}/{layer}")
    assert facts["done"]["split"] == 0
    assert "001_SH010_base.mkv" in d.manifest(out)["kept"]
    assert d.contents(out)["SH010/base.mkv"] == sums["001_SH010_base.mkv"]
    assert set(d.manifest(out)["files"]) == set(d.contents(out)) - {"manifest.json"}
    facts = report("deliver", edit, "-o", out, *BASE)
    assert facts["done"]["split"] == 0
    assert len(d.manifest(out)["kept"]) == 4 + 2


def test_a_base_of_another_codec_is_replaced_only_when_asked(media: list[Path], tmp_path: Path) -> None:
    """AV1 and HEVC lie under one name; a hidden base, made for results alone, is no deliverable."""
    out, edit = tmp_path / "out", edit_at(tmp_path / "edit" / "cut.otio", media)
    report("deliver", edit, "-o", out, "--preset", "12", "--layers", "base,stream")
    before = d.contents(out)
    other = ("--base-codec", "hevc", "--preset", "ultrafast", "--layers", "base,stream")
    said = fails("deliver", edit, "-o", out, *other)
    assert "001_SH010_base.mp4 is a base in av1" in said and "--overwrite" in said
    assert {name: sha for name, sha in before.items() if "001" in name}.items() <= d.contents(out).items()
    assert report("deliver", edit, "-o", out, *other, "--overwrite")["done"]["split"] == 1
    assert d.contents(out)["001_SH010_base.mp4"] != before["001_SH010_base.mp4"]
    for codec in (("av1", "--preset", "12"), ("hevc", "--preset", "ultrafast")):
        facts = report("deliver", edit, "-o", tmp_path / "results", "--layers", "result", "--base-codec", *codec)
        assert facts["done"]["split"] == 1


def test_what_an_interruption_left_is_kept_whatever_is_asked_for_next(media: list[Path], tmp_path: Path) -> None:
    """A base that was about to be replaced when the run was killed is neither deleted nor lost from the manifest."""
    out, edit = tmp_path / "out", edit_at(tmp_path / "edit" / "cut.otio", media)
    report("deliver", edit, "-o", out, *BASE)
    record = next((out / ".grainlayer" / "clips").iterdir())
    facts = json.loads(record.read_text())
    facts["claimed"] = ["001_SH010_base.mkv"]
    for known in (facts["files"], facts["units"]):
        del known["001_SH010_base.mkv"]
    record.write_text(json.dumps(facts))
    report("deliver", edit, "-o", out, *FFV1, "--layers", "stream")
    assert d.manifest(out)["kept"] == ["001_SH010_base.mkv"]
    assert (out / "001_SH010_base.mkv").exists()


def test_two_deliveries_at_once_are_refused_and_a_killed_one_leaves_no_lock(media: list[Path], tmp_path: Path) -> None:
    edit = edit_at(tmp_path / "edit" / "cut.otio", media, ("A", "B", "C"))
    for number in range(5):  # a busy machine may let a delivery end before it is stopped
        out = tmp_path / f"out{number}"
        process = subprocess.Popen([*COMMAND, edit, "-o", out, *BASE], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_for(out / ".grainlayer" / "delivery.json")
        process.send_signal(signal.SIGSTOP)
        if process.poll() is None:
            break
    with process:
        assert process.poll() is None
        assert "at work" in fails("deliver", edit, "-o", out, *BASE)
        assert "at work" in fails("deliver", edit, "-o", out, *BASE, "--only", "2")
        process.kill()
    assert len(report("deliver", edit, "-o", out, *BASE)["outcomes"]) == 3


def test_tasks_of_one_job_work_side_by_side_and_no_others(media: list[Path], tmp_path: Path) -> None:
    out, edit = tmp_path / "out", edit_at(tmp_path / "edit" / "cut.otio", media, ("A", "B"))
    tasks = [
        subprocess.Popen([*COMMAND, edit, "-o", out, *BASE, "--only", str(index), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for index in (1, 2, 1, 2)
    ]
    found = [(task.communicate(timeout=120), task.returncode) for task in tasks]
    assert [code for _, code in found] == [0] * 4, found
    done = [json.loads(output.splitlines()[-1])["done"] for (output, _), _ in found]
    assert sorted(done) == [[], [], ["split", "report"], ["split", "report"]]

    order = Order(layers=("base",), base_codec="ffv1", grain_format="ffv1")
    with occupied(out, Claim(str(edit), job_of(str(edit), order), ("cut_layers.otio",)), overwrite=False, alone=False):
        report("deliver", edit, "-o", out, *BASE, "--only", "1")
        assert "at work" in fails("deliver", edit, "-o", out, *FFV1, "--layers", "result", "--only", "1")
        assert "at work" in fails("deliver", edit, "-o", out, *BASE)
    report("deliver", edit, "-o", out, *BASE)


def wait_for(path: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert path.exists()
