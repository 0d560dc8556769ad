"""*Grain: render layers*: what Resolve is asked for, what is handed over, what comes back, and every trap on the way."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import stage as plays


def play(scene: Any) -> Any:
    stage, script, answers = scene()
    assert stage.play(script, **answers) == 0, stage.output
    return stage


def graded(stage: Any) -> Any:
    return json.loads((Path(stage.out) / "Cut 1.graded.otio").read_text("utf-8"))


def test_each_clip_is_rendered_alone_from_under_the_others() -> None:
    stage = play(plays.render_on_tracks)
    for path in Path(stage.out, "graded").rglob("*.mov"):
        seen = json.loads(path.read_text())
        assert path.parent.name.startswith(seen["clip"])
        assert seen["size"] == [64, 48]
        assert len(list(path.parent.iterdir())) == 1
    assert stage.world.calls.count("Project.AddRenderJob") == 3
    stage.close()


def test_the_edit_shows_the_renders_and_carries_every_uid(stage: Any) -> None:
    found = play(plays.render_as_timeline)
    tracks = graded(found)["tracks"]["children"]
    clips = [child for track in tracks for child in track["children"] if child["OTIO_SCHEMA"] == "Clip.2"]
    references = [clip["media_references"]["DEFAULT_MEDIA"] for clip in clips]
    assert [reference["OTIO_SCHEMA"] for reference in references] == ["ImageSequenceReference.1"] * 2
    assert [(r["start_frame"], r["frame_zero_padding"], r["available_range"]["duration"]["value"]) for r in references] == [
        (1001, 8, 4),
        (1001, 8, 3),
    ]
    assert all(Path(r["target_url_base"], f"{r['name_prefix']}{1001:08d}.exr").is_file() for r in references)
    assert "aaaa" in clips[0]["markers"][0]["metadata"]["Resolve_OTIO"]["Note"]
    beside = json.loads((Path(found.out) / "Cut 1.graded.grain.json").read_text())
    assert [shot["uid"] for shot in beside["shots"]] == ["aaaa", "uid0001"]
    found.close()


def test_clips_that_are_not_chosen_become_gaps_and_transitions_go(stage: Any) -> None:
    made = stage()
    made.timeline.selected = [made.items[1]]
    assert made.play("render layers", scope="selected clips", bring_in="nothing") == 0, made.output
    kinds = [[child["OTIO_SCHEMA"] for child in track["children"]] for track in graded(made)["tracks"]["children"]]
    assert kinds == [["Gap.1"], ["Gap.1", "Clip.2"]]


def test_a_retime_that_is_rendered_in_is_taken_out_of_the_edit(stage: Any) -> None:
    made = stage()
    made.items[0].source_length = 8
    assert made.play("render layers", bring_in="nothing") == 0, made.output
    assert graded(made)["tracks"]["children"][0]["children"][0]["effects"] == []


def test_clips_of_another_rate_lie_where_the_timeline_has_them(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = stage(shots=((1, "SH010", 0, 4), (1, "SH020", 4, 2)))
    plain = plays.fake.Timeline.as_otio

    def doubled(self: Any) -> Any:
        tree = plain(self)
        for time in tree["tracks"]["children"][0]["children"][0]["source_range"].values():
            if isinstance(time, dict):
                time.update(rate=48.0, value=time["value"] * 2)
        return tree

    monkeypatch.setattr(plays.fake.Timeline, "as_otio", doubled)
    assert made.play("render layers", bring_in="nothing") == 0, made.output
    spans = [child["source_range"]["duration"] for child in graded(made)["tracks"]["children"][0]["children"]]
    assert [(span["rate"], span["value"]) for span in spans] == [(24.0, 4), (24.0, 2)]


def test_new_tracks_hold_a_layer_each_where_the_shots_lie() -> None:
    stage = play(plays.render_on_tracks)
    rows = stage.timeline.tracks[2:]
    assert [row["name"] for row in rows] == ["base", "grain", "result"] * 2
    assert [row["on"] for row in rows] == [True, True, False] * 2
    assert [[(item.name, item.start - 86400, item.length) for item in row["items"]] for row in rows[:2]] == [
        [("SH010_base.mov", 0, 4), ("SH030_base.mov", 6, 3)],
        [("SH010_grain.mov", 0, 4), ("SH030_grain.mov", 6, 3)],
    ]
    stage.close()


def test_a_new_timeline_gets_a_name_of_its_own_and_the_old_one_stays_open() -> None:
    stage = play(plays.render_as_timeline)
    assert [timeline.name for timeline in stage.project.timelines] == ["Cut 1", "Cut 1 layers", "Cut 1 layers 2"]
    assert stage.project.current.name == "Cut 1"
    stage.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"render_ends": "Failed"}, "ended without a picture (The disk is full)"),
        ({"render_ends": "Cancelled"}, "ended without a picture"),
        ({"render_lacks": 1}, "has 3 frames instead of 4"),
        ({"render_lacks": 9}, "is empty"),
        ({"imports_as": 2}, "became 2 clips instead of one"),
        ({"drops": 1}, "Resolve dropped a layer"),
    ],
)
def test_what_goes_wrong_without_a_failing_call_is_found(stage: Any, change: dict[str, Any], words: str) -> None:
    made = stage()
    vars(made.world).update(change)
    before = made.state()
    assert made.play("render layers", bring_in="new tracks") == 1
    assert words in made.sentence
    assert made.state() == before


def test_a_missing_media_refuses_the_new_timeline_and_keeps_the_renders(stage: Any) -> None:
    made = stage()
    made.world.media_here = False
    before = made.state()
    assert made.play("render layers") == 1
    assert made.sentence.endswith(f"the renders are kept beside {os.path.join(made.out, 'Cut 1.graded.otio')}.")
    assert made.state() == before
    assert list(Path(made.out, "graded").rglob("*.exr"))


def test_a_job_that_never_begins_is_given_up(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = stage()
    monkeypatch.setattr(plays.fake.Project, "GetRenderJobStatus", lambda self, job: {"JobStatus": "Ready"})
    assert made.play("render layers") == 1
    assert "does not begin" in made.sentence
    assert not made.project.jobs


def test_an_unknown_codec_a_busy_queue_and_a_used_folder_are_refused(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = stage()
    made.project.running = "job-of-another"
    assert made.play("render layers") == 1
    assert "Resolve is rendering" in made.sentence
    made.project.running = None
    monkeypatch.setitem(plays.fake.CODECS, "exr", {"RGB half (PIZ)": "RGBHalfPIZ"})
    assert made.play("render layers") == 1
    assert "offers no EXR, half float" in made.sentence
    monkeypatch.undo()
    assert made.play("render layers", bring_in="nothing") == 0
    assert made.play("render layers") == 1
    assert "holds layers of this timeline already" in made.sentence


def test_clips_without_media_are_passed_over_by_name(stage: Any) -> None:
    made = stage()
    made.items[1].media = None
    assert made.play("render layers", bring_in="nothing") == 0, made.output
    assert "1 without media were passed over (SH020)" in made.sentence
    made.items[0].media = None
    assert made.play("render layers", folder=os.path.join(made.folder, "other")) == 1
    assert "has media of its own" in made.sentence


def test_our_effects_are_off_while_rendering_and_on_again() -> None:
    stage = play(plays.render_as_timeline)  # the fake program refuses files that were rendered with one of them on
    assert [node["enabled"] for node in stage.items[0].versions["Version 1"]] == [True, True]
    assert list(stage.items[0].versions) == ["Version 1"]
    assert [tool.bypassed for tool in stage.items[1].comps[0].tools] == [False] * 4
    stage.close()


@pytest.mark.parametrize("preset", ["exr half", "exr float", "prores 422 hq", "prores 4444 xq", "h264", "h265"])
def test_every_preset_renders(stage: Any, preset: str) -> None:
    made = stage()
    assert made.play("render layers", preset=preset, bring_in="nothing") == 0, made.output


def test_before_21_0_4_the_selection_is_not_asked_for(stage: Any) -> None:
    made = stage()
    made.world.version = [20, 3, 2, 9, ""]
    assert made.play("render layers", scope="selected clips") == 1
    assert "clip under the playhead instead" in made.sentence
    assert made.play("render layers", scope="clip under the playhead", bring_in="nothing") == 0, made.output
    assert "Timeline.GetSelectedClips" not in made.world.calls
    made.world.version = [18, 6, 4, 0, ""]
    assert made.play("render layers") == 1
    assert "need 19.1 or later" in made.sentence
