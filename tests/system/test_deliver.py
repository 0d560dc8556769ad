"""Editors' timelines rendered into layers: exact stacks, re-grading, interruptions, strange edits."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import opentimelineio as otio
import pytest

from grainlayer.codec.container import read_stream
from grainlayer.codec.stream import unpack
from grainlayer.editorial.order import Order
from grainlayer.editorial.plan import make_plan
from grainlayer.editorial.shots import Shot
from grainlayer.editorial.timeline import read_timeline, write_timeline
from grainlayer.params import Quality, ShotParams
from tests.system import deliveries as d
from tests.system.footage import fails, report, run

EXR = ("--base-codec", "exr", "--grain-format", "exr")
FFV1 = ("--base-codec", "ffv1", "--grain-format", "ffv1")
FAST = ("--preset", "12")
"""The default codecs, AV1 and EXR, at the encoder's highest speed."""
COMMAND = (sys.executable, "-m", "grainlayer.cli", "deliver")
KILLS = 20 if os.environ.get("GRAINLAYER_SOAK") else 2


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


def compare_stacks(twelve: Path, out: Path) -> tuple[float, float]:
    """Hold the delivered edit against the original, picture by picture.

    Return the worst difference in half steps of half float at the source's own value, and the share of values beyond one: those
    of which both layers are larger than their sum, so that no half floats add up to them; there the layers' own half step counts.
    """
    original, layers = timeline_at(twelve), timeline_at(out / f"{twelve.stem}_layers.otio")
    worst, beyond, pictures = 0.0, 0.0, 0
    length = int(max(track.duration().value for track in original.video_tracks()))
    assert max(track.duration().value for track in layers.video_tracks()) == length
    for moment in range(length):
        wanted = d.original_picture(original, twelve.parent, moment)
        again = d.stacked_picture(layers, out, moment)
        assert (wanted is None) == (again is None)
        if wanted is None or again is None:
            continue
        gap = np.abs(wanted.astype(np.float64) - again.image)
        own = d.half_step(wanted)
        assert np.all(gap <= np.maximum(own, again.allowed) * (1 + 1e-6) + 2**-26)
        worst, beyond, pictures = max(worst, float((gap / own).max())), beyond + float((gap > own * (1 + 1e-6)).mean()), pictures + 1
    assert pictures > 40
    return worst, beyond / pictures


def test_float_layers_stack_back_to_the_source(twelve: Path, float_layers: Path) -> None:
    """At nearly every value within half a step; 6 of 100,000 lie in blacks that no two half floats as large as these add up to."""
    _, beyond = compare_stacks(twelve, float_layers)
    assert beyond < 1e-3
    for clip in d.manifest(float_layers)["clips"]:
        facts = json.loads((float_layers / clip["report"]).read_text())
        assert facts["recombination"]["worst_steps"] <= 0.5
        assert facts["frames"] == clip["range"][1] - clip["range"][0]


def test_lossless_layers_stack_back_to_the_source_exactly(media: list[Path], folder: Path, tmp_path: Path) -> None:
    out, twelve = tmp_path / "out", d.twelve_shots(media, folder, ".dpx")
    facts = report("deliver", twelve, "-o", out, *FFV1, "--layers", "base,grain,stream")
    assert facts["worst_steps"] <= 0.5
    assert compare_stacks(twelve, out) == (0.0, 0.0)
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


@pytest.mark.parametrize(("words", "movie"), [(FFV1, "mkv"), (FAST, "mov")], ids=["ffv1", "av1 and exr"])
def test_regrading_renders_only_what_depends_on_it(edit: Path, tmp_path: Path, words: tuple[str, ...], movie: str) -> None:
    out = tmp_path / "out"
    report("deliver", edit, "-o", out, *words)
    before, digests = d.times(out), [clip["digests"] for clip in d.manifest(out)["clips"]]
    d.grade(edit, "S1", grain_amount=0.5)
    facts = report("deliver", edit, "-o", out, *words)
    assert facts["done"] == {"split": 0, "grain": 0, "stream": 0, "result": 1}
    after = d.times(out)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"002_S1_result.{movie}", "002_S1_report.json", "edit_layers.otio", "manifest.json"}
    now = [clip["digests"] for clip in d.manifest(out)["clips"]]
    assert [a == b for a, b in zip(digests, now, strict=True)] == [True, False, True]
    assert {key for key in now[1] if now[1][key] != digests[1][key]} == {"result", "report"}

    graded = read_timeline(out / "edit_layers.otio").shots.with_grain()
    assert [(placed.name, placed.shot.params.grain_amount) for placed in graded if placed.shot] == [("S1", 0.5)]

    d.grade(edit, "S1", grain_seed=7)
    facts = report("deliver", edit, "-o", out, *words)
    assert facts["done"] == {"split": 0, "grain": 0, "stream": 1, "result": 1}
    d.grade(edit, "S2", removal=0.5)
    assert report("deliver", edit, "-o", out, *words)["done"] == {"split": 1, "grain": 1, "stream": 1, "result": 1}
    fresh = tmp_path / "fresh"
    report("deliver", edit, "-o", fresh, *words)
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
    assert facts["done"] == {"split": 0, "grain": 1, "stream": 0, "result": 1}
    assert d.contents(out) == wanted
    (out / "001_S0_base.mkv").unlink()
    assert report("deliver", edit, "-o", out, *FFV1)["done"] == {"split": 1, "grain": 0, "stream": 1, "result": 0}
    assert d.contents(out) == wanted


@pytest.mark.soak
def test_a_killed_delivery_goes_on_to_the_same_bytes(edit: Path, tmp_path: Path) -> None:
    """Every kill hits work: half of the deliveries begin afresh, the others have lost finished files, and each was making one."""
    whole, out = tmp_path / "whole", tmp_path / "out"
    began = time.monotonic()
    report("deliver", edit, "-o", whole, *FAST)
    lasted, dice, kills = time.monotonic() - began, random.Random(7), 0
    for _ in range(5 * KILLS):
        lose(out, whole, dice)
        process = subprocess.Popen([*COMMAND, edit, "-o", out, *FAST], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        time.sleep(dice.uniform(0.2, 0.9) * lasted)
        process.kill()
        process.wait()
        kills += process.returncode == -signal.SIGKILL and any((out / ".grainlayer" / "work").glob(f"*.{process.pid}"))
        if kills == KILLS:
            break
    assert kills == KILLS
    report("deliver", edit, "-o", out, *FAST)
    assert d.contents(out) == d.contents(whole)
    assert not (out / ".grainlayer" / "work").exists()


def lose(out: Path, whole: Path, dice: random.Random) -> None:
    """Remove a delivery, or some of its files with one base at least, so that there is work."""
    if dice.random() < 0.5:
        shutil.rmtree(out, ignore_errors=True)
        return
    names = [name for name in d.contents(whole) if "base" in name]
    for name in {*dice.sample(sorted(d.contents(whole)), 5), *dice.sample(names, 2)}:
        (out / name).unlink(missing_ok=True)


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


def test_both_versions_of_a_conflict_are_delivered(edit: Path, tmp_path: Path) -> None:
    """The sidecar's is rendered and the other kept in the delivered sidecar, and a sentence says so."""
    d.grade(edit, "S0", grain_amount=0.25)
    sidecar = edit.with_name("edit.grain.json")
    mine = sidecar.read_text()
    d.grade(edit, "S0", grain_amount=0.75)
    sidecar.write_text(mine)
    facts = report("deliver", edit, "-o", tmp_path / "out", *FFV1, "--layers", "base")
    assert [problem for problem in facts["problems"] if "differ in grain_amount" in problem]
    assert d.manifest(tmp_path / "out")["problems"] == facts["problems"]
    delivered = read_timeline(tmp_path / "out" / "edit_layers.otio")
    assert [placed.shot.params.grain_amount for placed in delivered.shots.with_grain() if placed.shot] == [0.25]
    assert [kept.shot.params.grain_amount for kept in delivered.companion.kept] == [0.75]
    assert "edit_layers.grain.json" in d.manifest(tmp_path / "out")["files"]


def test_each_timeline_of_a_collection_is_an_edit_of_its_own(edit: Path, media: list[Path], tmp_path: Path) -> None:
    reels = [otio.adapters.read_from_file(str(edit)) for _ in range(2)]
    for number, reel in enumerate(reels, 1):
        reel.name = f"Reel {number}"
        del reel.tracks[0][number:]
    loose = [d.clip("LOOSE", media[2], 0, 3), d.clip("LAST", media[2], 3, 3)]
    otio.adapters.write_to_file(otio.schema.SerializableCollection("bin", [*reels, *loose]), str(edit))
    facts = report("deliver", edit, "-o", tmp_path / "out", *EXR, "--layers", "base,grain")
    names = ["edit_01_Reel_1_layers.otio", "edit_02_Reel_2_layers.otio", "edit_03_clips_layers.otio"]
    assert [Path(path).name for path in facts["timelines"]] == names
    for name, count in zip(names, (1, 2, 2), strict=True):
        line = timeline_at(tmp_path / "out" / name)
        assert isinstance(line, otio.schema.Timeline)
        assert [len(track) for track in line.video_tracks()] == [count, count]
        assert all((tmp_path / "out" / clip.media_reference.target_url_base).is_dir() for clip in line.find_clips())
    assert set(names) <= set(d.manifest(tmp_path / "out")["files"])


def test_rates_that_do_not_match_are_said(edit: Path) -> None:
    line = timeline_at(edit)
    for clip, frames in zip(line.tracks[0], (20, 10, 10), strict=True):
        spans = [
            otio.opentime.TimeRange(otio.opentime.RationalTime(*pair[0]), otio.opentime.RationalTime(*pair[1]))
            for pair in (((0, 25), (frames, 25)), ((0, 25), (5, 25)))
        ]
        clip.media_reference.available_range, clip.source_range = spans
    line.tracks[0][2].media_reference.available_range = d.span(0, 10)
    line.tracks[0][2].source_range = d.span(0, 5)
    otio.adapters.write_to_file(line, str(edit))
    plan = make_plan(read_timeline(edit), Order())
    said = [problem for problem in plan.problems if "frames a second" in problem]
    assert len(said) == 2 and not plan.failures
    assert "25 frames a second and its media has 24" in said[0] and "in seconds" in said[0]
    assert "one by one" in said[1]


def test_a_task_opens_no_media_but_its_own(edit: Path, tmp_path: Path) -> None:
    for name in ("media1.mkv", "media2.mkv"):
        (tmp_path / name).unlink()
        (tmp_path / name).write_bytes(b"not a movie")
    facts = report("deliver", edit, "-o", tmp_path / "out", *FFV1, "--layers", "base", "--only", "1")
    assert facts["done"] == ["split", "report"]
    plan = make_plan(read_timeline(edit), Order(), only=1)
    assert (list(plan.jobs), plan.failures, plan.clips) == ([1], {}, (1, 2, 3))
    assert "the clips are 1, 2, 3" in fails("deliver", edit, "-o", tmp_path / "out", "--only", "9")


def test_keyframes_of_seed_and_hold_stand_in_the_stream(edit: Path, tmp_path: Path) -> None:
    """The clip shows frames 1 to 6 of its media; a stretch without a keyframe of its own goes on as the one before."""
    timeline = read_timeline(edit)
    shot = Shot("keyed", params=ShotParams(grain_seed=3), keys={"grain_seed": ((0, 5), (3, 9)), "grain_hold": ((0, 1), (4, 1), (5, 2))})
    write_timeline(timeline.changed({1: shot}), edit, overwrite=True)
    report("deliver", edit, "-o", tmp_path / "out", "--layers", "stream")
    stream, warnings = unpack((tmp_path / "out" / "001_S0_stream.grain").read_bytes())
    assert not warnings
    assert [(part.start, part.frames, part.seed, part.hold) for part in stream.shots] == [(0, 2, 5, 1), (2, 2, 9, 1), (4, 2, 9, 2)]
    assert stream.frames == 6


def test_keyed_removal_and_quality_look_at_neighbours(edit: Path, tmp_path: Path) -> None:
    """Keyframes of a removal of 1 and of the temporal quality give the very base of a shot that has them throughout."""
    plain = ShotParams(quality=Quality.TEMPORAL)
    shots = {
        "plain": Shot("plain", params=plain),
        "removal": Shot("keyed", params=replace(plain, removal=0.0), keys={"removal": ((0, 1.0),)}),
        "quality": Shot("keyed", params=ShotParams(), keys={"quality": ((0, Quality.TEMPORAL),)}),
        "default": Shot("default"),
    }
    bases: dict[str, list[np.ndarray]] = {}
    for name, shot in shots.items():
        path = tmp_path / f"{name}.otio"
        write_timeline(read_timeline(edit).changed({1: shot}), path)
        report("deliver", path, "-o", tmp_path / name, *FFV1, "--layers", "base", "--only", "1")
        bases[name] = [frame.planes[0] for frame in d.read(tmp_path / name / "001_S0_base.mkv", 0)[1]]
    same = {name: all(np.array_equal(a, b) for a, b in zip(bases["plain"], found, strict=True)) for name, found in bases.items()}
    assert same == {"plain": True, "removal": True, "quality": True, "default": False}
