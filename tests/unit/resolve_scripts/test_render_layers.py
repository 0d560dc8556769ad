"""*Grain: render layers*: what Resolve is asked for, what is handed over, what comes back, and every trap on the way."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import program
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


def test_the_users_settings_stay_in_their_preset_until_they_are_loaded_again(stage: Any) -> None:
    made = stage()
    settings = dict(made.project.settings)
    made.world.broken, made.world.failure = ("Project.LoadRenderPreset", 2), False
    assert made.play("render layers", bring_in="nothing") == 0, made.output
    assert "Load the render preset 'GrainLayer before' on the Deliver page, for it holds your settings; then delete it." in made.output
    assert made.project.presets["GrainLayer before"] == settings
    assert sorted(made.project.presets) == ["GrainLayer before", "H.264 Master"]


def test_settings_that_an_interrupted_script_left_behind_are_never_dropped(stage: Any) -> None:
    made = stage()
    made.project.presets["GrainLayer before"] = {"CustomName": "theirs"}
    before = made.state()
    assert made.play("render layers") == 1
    assert "'GrainLayer before' holds your settings from before a script that was cut off; load it on the Deliver page" in made.sentence
    assert made.state() == before


def test_a_users_preset_of_our_name_is_not_touched_and_a_leftover_of_our_own_goes(stage: Any) -> None:
    made = stage()
    made.project.presets["GrainLayer EXR half"] = {"CustomName": "theirs"}
    made.project.presets["GrainLayer render"] = {}
    assert made.play("render layers", bring_in="nothing") == 0, made.output
    assert made.project.presets == {"H.264 Master": {"SelectAllFrames": True}, "GrainLayer EXR half": {"CustomName": "theirs"}}


@pytest.mark.parametrize(
    ("preset", "formats"),
    [
        ("exr half", ("exr", "exr")),
        ("exr float", ("exr", "exr")),
        ("prores 422 hq", ("prores", "prores4444")),
        ("prores 4444 xq", ("prores", "prores4444")),
        ("h264", ("hevc", "exr")),
        ("h265", ("hevc", "exr")),
    ],
)
def test_layers_are_in_a_format_like_the_renders_unless_told_otherwise(stage: Any, preset: str, formats: tuple[str, str]) -> None:
    made = stage()
    program.ORDERED.clear()
    assert made.play("render layers", preset=preset, bring_in="nothing") == 0, made.output
    choices = {"base_codec": "av1", "grain_format": "prores4444", "handles": "2", "folder": os.path.join(made.folder, "again")}
    assert made.play("render layers", preset=preset, bring_in="nothing", **choices) == 0, made.output
    asked = program.ORDERED
    assert asked == [(*formats, "0"), ("av1", "prores4444", "2")]


def test_formats_that_are_offered_are_those_of_the_program() -> None:
    from grain_scripts.presets import BASES, GRAINS, LIKE_THE_RENDER, PRESETS

    from grainlayer.editorial.order import LAYERS, Order

    for base in {*BASES, *(preset.base for preset in PRESETS)} - {LIKE_THE_RENDER}:
        for grain in {*GRAINS, *(preset.grain for preset in PRESETS)} - {LIKE_THE_RENDER}:
            assert Order(LAYERS, base_codec=base, grain_format=grain).base_codec == base


def test_handles_are_rendered_as_far_as_the_media_goes(stage: Any) -> None:
    made = stage(shots=((1, "SH010", 0, 4), (1, "SH020", 4, 3)))
    made.items[0].first = 1
    made.items[1].media.frames = 15
    assert made.play("render layers", bring_in="nothing", handles="5") == 0, made.output
    clips = graded(made)["tracks"]["children"][0]["children"]
    ranges = [clip["media_references"]["DEFAULT_MEDIA"]["available_range"]["duration"]["value"] for clip in clips]
    assert ranges == [1 + 4 + 5, 5 + 3 + 2]
    spans = [clip["source_range"] for clip in clips]
    assert [(span["start_time"]["value"], span["duration"]["value"]) for span in spans] == [(1, 4), (5, 3)]
    assert "handles" not in made.sentence


def test_handles_that_do_not_come_are_told_and_those_of_a_retime_refused(stage: Any) -> None:
    made = stage()
    made.world.handles = False
    assert made.play("render layers", bring_in="nothing", handles="5") == 0, made.output
    assert "Resolve rendered no handles for SH010 and SH020" in made.sentence
    made.items[0].source_length = 8
    before = made.state()
    assert made.play("render layers", handles="5", folder=os.path.join(made.folder, "again")) == 1
    assert "SH010 cannot be rendered with handles because of a retime; set Handles to 0" in made.sentence
    assert made.play("render layers", handles="many") == 1
    assert "Handles, frames must be a whole number from 0 to 9999; got 'many'" in made.sentence
    assert made.state() == before


def blends(rows: list[Any]) -> list[Any]:
    return [[(item.properties["CompositeMode"], item.properties["Opacity"]) for item in row["items"]] for row in rows]


@pytest.mark.parametrize("road", ["new tracks", "new timeline"])
@pytest.mark.parametrize(("grain", "blend"), [("exr", (1, 100)), ("prores4444", (21, 50))])
def test_grain_lies_over_the_base_as_it_adds_up(stage: Any, road: str, grain: str, blend: tuple[int, int]) -> None:
    made = stage(shots=((1, "SH010", 0, 4), (1, "SH020", 6, 3)))
    assert made.play("render layers", bring_in=road, grain_format=grain, layers="base,grain,result") == 0, made.output
    rows = made.project.timelines[-1].tracks[-3:]
    assert blends(rows) == [[(0, 100.0)] * 2, [blend] * 2, [(0, 100.0)] * 2]
    assert "by hand" not in made.sentence


@pytest.mark.parametrize("road", ["new tracks", "new timeline"])
def test_grain_that_resolve_does_not_blend_is_to_be_set_by_hand(stage: Any, road: str) -> None:
    made = stage()
    made.world.composites = False
    assert made.play("render layers", bring_in=road, preset="prores 422 hq") == 0, made.output
    tracks = "grain: Linear Light at 50 %, grain: Linear Light at 50 %"
    assert made.sentence.endswith(f"; set how these lie over the others by hand ({tracks}).")


def test_what_the_journal_overrules_is_named(stage: Any) -> None:
    made = stage()
    made.note(made.items[0], "aaaa", {"grain_amount": 0.5})
    made.journal("aaaa", {"grain_amount": 2.0})
    assert made.play("render layers", bring_in="nothing") == 0, made.output
    assert "1 marker said otherwise (SH010: grain_amount 0.5 instead of 2), and these values are kept in the file" in made.sentence


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
