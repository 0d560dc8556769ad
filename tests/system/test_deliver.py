"""Editors' timelines rendered into layers: exact stacks, re-grading, interruptions, farms."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import opentimelineio as otio
import pytest

from grainlayer.codec.container import read_stream
from grainlayer.codec.stream import unpack
from grainlayer.editorial.order import Order
from grainlayer.editorial.plan import make_plan
from grainlayer.editorial.timeline import read_timeline
from tests.system import deliveries as d
from tests.system.footage import fails, report, run

EXR = ("--base-codec", "exr", "--grain-format", "exr")
FFV1 = ("--base-codec", "ffv1", "--grain-format", "ffv1")
COMMAND = (sys.executable, "-m", "grainlayer.cli", "deliver")
KILLS = 20 if os.environ.get("GRAINLAYER_SOAK") else 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("edit")


@pytest.fixture(scope="module")
def media(data_root: Path, folder: Path) -> list[Path]:
    return d.cut_media(data_root, folder)


@pytest.fixture(scope="module")
def twelve(media: list[Path], folder: Path) -> Path:
    return d.twelve_shots(media, folder)


@pytest.fixture(scope="module")
def float_layers(twelve: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("float") / "out"
    facts = report("deliver", twelve, "-o", out, *EXR)
    assert facts["clips"] == 12 and not facts["failures"], facts
    return out


@pytest.fixture
def edit(media: list[Path], folder: Path, tmp_path: Path) -> Path:
    """Return a small edit of its own, its media beside it."""
    for path in folder.iterdir():
        if path.suffix == ".mkv":
            os.link(path, tmp_path / path.name)
    return d.some_shots(media, tmp_path, "edit")


def timeline_at(path: Path) -> Any:
    return otio.adapters.read_from_file(str(path))


def compare_stacks(twelve: Path, out: Path, tolerance: float) -> float:
    """Hold the delivered edit against the original, picture by picture; return the worst difference."""
    original, layers = timeline_at(twelve), timeline_at(out / f"{twelve.stem}_layers.otio")
    worst, pictures = 0.0, 0
    length = int(max(track.duration().value for track in original.video_tracks()))
    assert max(track.duration().value for track in layers.video_tracks()) == length
    for moment in range(length):
        wanted = d.original_picture(original, twelve.parent, moment)
        again = d.stacked_picture(layers, out, moment)
        assert (wanted is None) == (again is None)
        if wanted is not None and again is not None:
            worst, pictures = max(worst, float(np.abs(wanted - again).max())), pictures + 1
    assert pictures > 40
    assert worst <= tolerance
    return worst


def test_float_layers_stack_back_to_the_source(twelve: Path, float_layers: Path) -> None:
    """Half a step of half floats below 1, and as much for the source's own way into half floats."""
    compare_stacks(twelve, float_layers, 2 * 2**-12)
    for clip in d.manifest(float_layers)["clips"]:
        facts = json.loads((float_layers / clip["report"]).read_text())
        assert facts["recombination"]["worst_steps"] <= 0.5
        assert facts["frames"] == clip["range"][1] - clip["range"][0]


def test_lossless_layers_stack_back_to_the_source_exactly(media: list[Path], folder: Path, tmp_path: Path) -> None:
    out, twelve = tmp_path / "out", d.twelve_shots(media, folder, ".dpx")
    facts = report("deliver", twelve, "-o", out, *FFV1, "--layers", "base,grain,stream")
    assert facts["worst_steps"] <= 0.5
    compare_stacks(twelve, out, 2**-12)
    stream, warnings = unpack(read_stream(out / "001_SH010_base.mkv") or b"")
    assert not warnings and stream.frames == 6


def test_the_delivered_edit_is_one_that_editors_open(float_layers: Path) -> None:
    layers = timeline_at(float_layers / "twelve.exr_layers.otio")
    names = [track.name for track in layers.video_tracks()]
    assert names == ["V1 base", "V1 grain", "V1 result", "V2 base", "V2 grain", "V2 result"]
    assert [track.enabled for track in layers.video_tracks()] == [True, True, False] * 2
    retimed = next(clip for clip in layers.find_clips() if clip.name == "SH050")
    assert retimed.effects[0].time_scalar == 2.0
    assert retimed.media_reference.available_range.duration.value == 8
    plate = next(clip for clip in layers.find_clips() if clip.name == "SH070")
    assert plate.media_reference.start_frame == 1002
    assert layers.global_start_time.value == d.OFFSET


def test_ranges_hold_transitions_retimes_and_handles(float_layers: Path, twelve: Path) -> None:
    ranges = {clip["name"]: clip["range"] for clip in d.manifest(float_layers)["clips"]}
    assert ranges["SH010"] == ranges["SH080"] == [0, 6]
    assert ranges["SH030"] == [2, 10]
    assert ranges["SH040"] == [1, 8]
    assert ranges["SH050"] == [0, 8]
    assert ranges["SH060"] == [4, 5]
    plan = make_plan(read_timeline(twelve), Order(handles=3))
    held = {task.name: (task.start, task.stop) for task in plan.tasks}
    assert not plan.failures
    assert (held["SH010"], held["SH030"], held["SH060"]) == ((0, 9), (0, 10), (1, 8))


def test_the_manifest_names_every_file(float_layers: Path) -> None:
    found = d.contents(float_layers)
    listed = d.manifest(float_layers)["files"]
    assert {name: facts["sha256"] for name, facts in listed.items()} == {
        name: sha for name, sha in found.items() if name != "manifest.json"
    }


def test_regrading_renders_only_what_depends_on_it(edit: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report("deliver", edit, "-o", out, *FFV1)
    before, digests = d.times(out), [clip["digests"] for clip in d.manifest(out)["clips"]]
    d.grade(edit, "S1", grain_amount=0.5)
    facts = report("deliver", edit, "-o", out, *FFV1)
    assert facts["done"] == {"split": 0, "result": 1, "stream": 0}
    after = d.times(out)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"002_S1_result.mkv", "002_S1_report.json", "edit_layers.otio", "manifest.json"}
    now = [clip["digests"] for clip in d.manifest(out)["clips"]]
    assert [a == b for a, b in zip(digests, now, strict=True)] == [True, False, True]
    assert {key for key in now[1] if now[1][key] != digests[1][key]} == {"result", "report"}

    graded = read_timeline(out / "edit_layers.otio").shots.with_grain()
    assert [(placed.name, placed.shot.params.grain_amount) for placed in graded if placed.shot] == [("S1", 0.5)]

    d.grade(edit, "S1", grain_seed=7)
    facts = report("deliver", edit, "-o", out, *FFV1)
    assert facts["done"] == {"split": 0, "result": 1, "stream": 1}
    d.grade(edit, "S2", removal=0.5)
    assert report("deliver", edit, "-o", out, *FFV1)["done"] == {"split": 1, "result": 1, "stream": 1}
    fresh = tmp_path / "fresh"
    report("deliver", edit, "-o", fresh, *FFV1)
    assert d.contents(fresh) == d.contents(out)


def test_results_follow_the_grade_and_untouched_ones_are_the_source(edit: Path, media: list[Path], tmp_path: Path) -> None:
    d.grade(edit, "S1", grain_amount=0.0)
    out = tmp_path / "out"
    report("deliver", edit, "-o", out, *FFV1)
    (_, source), (_, same) = d.read(media[0], 0), d.read(out / "001_S0_result.mkv", 0)
    assert all(np.array_equal(p, q) for a, b in zip(source[1:7], same, strict=True) for p, q in zip(a.planes, b.planes, strict=True))
    (_, base), (_, clean) = d.read(out / "002_S1_base.mkv", 0), d.read(out / "002_S1_result.mkv", 0)
    assert all(np.array_equal(p, q) for a, b in zip(base, clean, strict=True) for p, q in zip(a.planes, b.planes, strict=True))


def test_altered_and_lost_files_are_made_again(edit: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report("deliver", edit, "-o", out, *FFV1)
    wanted = d.contents(out)
    (out / "001_S0_grain.mkv").write_bytes(b"damaged")
    (out / "003_S2_result.mkv").unlink()
    (out / "002_S1_result.mkv").touch()
    facts = report("deliver", edit, "-o", out, *FFV1)
    assert facts["done"] == {"split": 1, "result": 1, "stream": 1}
    assert d.contents(out) == wanted


@pytest.mark.soak
def test_a_killed_delivery_goes_on_to_the_same_bytes(edit: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    layers = ("--base-codec", "av1", "--grain-format", "exr", "--preset", "12")
    began = time.monotonic()
    report("deliver", edit, "-o", whole, *layers)
    lasted, dice = time.monotonic() - began, random.Random(7)
    for _ in range(KILLS):
        process = subprocess.Popen([*COMMAND, edit, "-o", out, *layers], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        time.sleep(dice.uniform(0.3, 0.9) * lasted)
        process.kill()
        process.wait()
        if dice.random() < 0.5:
            shutil.rmtree(out / "001_S0_grain", ignore_errors=True)
    report("deliver", edit, "-o", out, *layers)
    assert d.contents(out) == d.contents(whole)
    assert not (out / ".grainlayer" / "work").exists()


def test_missing_media_and_strange_clips_are_named_and_the_rest_goes_on(edit: Path, tmp_path: Path) -> None:
    line = timeline_at(edit)
    track = line.tracks[0]
    track.append(otio.schema.Clip("GONE", otio.schema.ExternalReference("gone.mkv", d.span(0, 9)), d.span(0, 4)))
    track.append(otio.schema.Clip("NOTHING", None, d.span(0, 4)))
    track.append(otio.schema.Clip("BEYOND", otio.schema.ExternalReference("media0.mkv", d.span(0, 10)), d.span(40, 4)))
    track.append(otio.schema.Clip("EMPTY", otio.schema.ExternalReference("media0.mkv", d.span(0, 10)), d.span(0, 0)))
    off = otio.schema.Clip("OFF", otio.schema.ExternalReference("media0.mkv", d.span(0, 10)), d.span(0, 4))
    off.enabled = False
    track.append(off)
    otio.adapters.write_to_file(line, str(edit))
    done = run("deliver", edit, "-o", tmp_path / "out", "--layers", "base,grain", *EXR, "--json")
    facts = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1
    assert [name in done.stderr for name in ("GONE", "NOTHING", "BEYOND")] == [True] * 3
    assert len(facts["failures"]) == 3 and facts["done"]["split"] == 3
    assert any("OFF" in problem for problem in facts["problems"])
    layers = timeline_at(tmp_path / "out" / "edit_layers.otio")
    base, grain = layers.video_tracks()
    assert base.duration() == grain.duration() == track.duration()
    assert base[3].media_reference.target_url == "gone.mkv"
    assert isinstance(grain[3], otio.schema.Gap)


def test_a_bare_clip_is_delivered(media: list[Path], folder: Path, tmp_path: Path) -> None:
    path = folder / "bare.otio"
    otio.adapters.write_to_file(d.clip("ONE", media[0], 2, 4), str(path))
    report(
        "deliver",
        path,
        "-o",
        tmp_path / "out",
        "--layers",
        "base,grain",
        "--base-codec",
        "prores",
        "--grain-format",
        "prores4444",
        "--absolute",
    )
    layers = timeline_at(tmp_path / "out" / "bare_layers.otio")
    grain = layers.video_tracks()[1]
    assert grain.metadata["grainlayer_layer"]["blend"] == "Linear Light"
    assert Path(grain[0].media_reference.target_url).is_absolute()
    assert json.loads((tmp_path / "out" / "001_ONE_report.json").read_text())["recombination"]["rms_steps"] < 8


def test_foreign_files_are_never_replaced(edit: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "001_S0_result.mkv").write_bytes(b"mine")
    done = run("deliver", edit, "-o", out, *FFV1)
    assert done.returncode == 1 and "--overwrite" in done.stderr
    assert (out / "001_S0_result.mkv").read_bytes() == b"mine"
    report("deliver", edit, "-o", out, *FFV1, "--overwrite")
    assert "already" not in fails("deliver", edit, "-o", tmp_path / "other", "--template", "{name}")
    assert "template" in fails("deliver", edit, "-o", tmp_path / "other", "--template", "{nothing}_{layer}")


@pytest.mark.soak
def test_a_farm_survives_the_death_of_its_workers(twelve: Path, float_layers: Path, tmp_path: Path) -> None:
    import psutil

    out = tmp_path / "out"
    words = [*COMMAND, twelve, "-o", out, *EXR, "--farm", "local", "--workers", "2", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        dice, killed, deadline = random.Random(3), 0, time.monotonic() + 200
        while process.poll() is None and killed < KILLS and time.monotonic() < deadline:
            time.sleep(dice.uniform(0.1, 0.6))
            workers = [child for child in psutil.Process(process.pid).children() if "spawn_main" in " ".join(_words(child))]
            if len(workers) == 2 and (out / ".grainlayer" / "work").exists():
                os.kill(dice.choice(workers).pid, signal.SIGKILL)
                killed += 1
        output, said = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert killed >= min(KILLS, 2)
    assert not json.loads(output.splitlines()[-1])["failures"]
    assert d.contents(out) == d.contents(float_layers)


def _words(process: Any) -> list[str]:
    import psutil

    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_an_open_job_description_is_accepted_and_run(edit: Path, tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "openjd"
    if not program.exists():
        pytest.skip("openjd-cli is not installed")
    whole, out, job = tmp_path / "whole", tmp_path / "out", tmp_path / "job.json"
    report("deliver", edit, "-o", whole, *FFV1)
    assert report("deliver", edit, "-o", out, *FFV1, "--openjd", job)["tasks"] == 3
    for words in (["check", job], ["run", job]):
        done = subprocess.run([program, *words], capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
    assert d.contents(out) == d.contents(whole)


def test_a_watched_folder_is_delivered_as_it_fills(media: list[Path], tmp_path: Path) -> None:
    arriving, out = tmp_path / "renders", tmp_path / "out"
    arriving.mkdir()
    words = [*COMMAND, arriving, "-o", out, *FFV1, "--watch", "--poll", "0.2", "--layers", "base,grain"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            data = media[1].read_bytes()
            with (arriving / "shot.mkv").open("wb") as file:
                for part in range(4):
                    file.write(data[part * len(data) // 4 : (part + 1) * len(data) // 4])
                    file.flush()
                    time.sleep(0.15)
            _wait(out / "shot" / "manifest.json")
        finally:
            process.send_signal(signal.SIGINT)
            output, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert json.loads(output) == {"deliveries": 1}
    assert d.manifest(out / "shot")["clips"][0]["range"] == [0, d.FRAMES]


def _wait(path: Path, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert path.exists()
