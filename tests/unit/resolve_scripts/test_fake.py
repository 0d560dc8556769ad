"""The fake has Resolve's traps: each that bit somebody bites here too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fakes import resolve
from tests.fakes import stage as plays

PRESET = str(Path(__file__).resolve().parents[3] / "resolve_scripts" / "presets" / "GrainLayer EXR half.xml")


@pytest.fixture
def made(tmp_path: Path) -> Any:
    return resolve.make(tmp_path)


def test_loading_a_preset_wipes_the_settings_and_importing_one_selects_it(made: Any) -> None:
    _, app, project = made
    project.SetRenderSettings({"CustomName": "lost"})
    assert app.ImportRenderPreset(PRESET) is True
    assert project.settings["CustomName"] == "preset"
    project.SetRenderSettings({"CustomName": "lost"})
    assert project.LoadRenderPreset("GrainLayer EXR half") is True
    assert project.settings["CustomName"] == "preset"


def test_used_names_are_refused(made: Any) -> None:
    _, app, project = made
    assert app.ImportRenderPreset(PRESET) is True
    assert app.ImportRenderPreset(PRESET) is False
    assert project.SaveAsNewRenderPreset("H.264 Master") is False
    assert project.pool.ImportTimelineFromFile(PRESET, {"timelineName": "Cut 1"}) is None
    assert project.pool.ImportTimelineFromFile("relative.otio", {"timelineName": "Cut 2"}) is None
    item = project.current.selected[0]
    assert item.AddVersion("Version 1", 0) is False
    assert item.AddMarker(1, "Blue", "a", "", 1, "") is True
    assert item.AddMarker(1, "Red", "b", "", 1, "") is False


def test_tracks_are_switched_on_the_edit_page_only(made: Any) -> None:
    _, app, project = made
    assert project.current.SetTrackEnable("video", 1, False) is True
    app.OpenPage("color")
    assert project.current.SetTrackEnable("video", 1, True) is False


def test_clips_that_overlap_are_dropped_without_a_word(made: Any) -> None:
    _, _, project = made
    media = project.pool.items[0]
    info = {"mediaPoolItem": media, "startFrame": 0, "endFrame": 3, "mediaType": 1, "trackIndex": 1, "recordFrame": 86402}
    assert project.pool.AppendToTimeline([info]) == []


def test_markers_count_from_the_clips_first_frame_and_nodes_from_1(made: Any) -> None:
    _, _, project = made
    item = project.current.selected[0]
    assert item.AddMarker(86400, "Blue", "a", "", 1, "") is False
    plays.with_color_node(item)
    graph = item.GetNodeGraph()
    assert graph.GetToolsInNode(0) is None
    assert graph.GetToolsInNode(2) == ["OFX: Grain Split"]
    item.versions["Version 1"][0]["tools"] = []
    assert graph.GetToolsInNode(1) is None


def test_renders_run_on_after_the_start_and_may_end_failed(made: Any, tmp_path: Path) -> None:
    world, _, project = made
    project.SetRenderSettings({"TargetDir": str(tmp_path), "MarkIn": 86400, "MarkOut": 86403})
    job = project.AddRenderJob()
    assert project.StartRendering([job], False) is True
    assert project.IsRenderingInProgress() is True
    assert [project.GetRenderJobStatus(job)["JobStatus"] for _ in range(2)] == ["Ready", "Rendering"]
    world.render_ends = "Failed"
    assert project.GetRenderJobStatus(job) == {"JobStatus": "Failed", "Error": "The disk is full"}


def test_a_first_input_set_inside_a_lock_is_lost(made: Any) -> None:
    comp = made[2].current.selected[0].AddFusionComp()
    tool = comp.AddTool("ofx.org.grainlayer.GrainSplit")
    comp.Lock()
    tool.SetInput("grain_amount", 0.5)
    comp.Unlock()
    assert tool.GetInput("grain_amount") == 1.0


def test_a_frame_makes_a_keyframe_only_where_a_spline_drives_the_input(made: Any) -> None:
    made[0].still_inputs = ("grain_hold",)
    tool = made[2].current.selected[0].AddFusionComp().AddTool("ofx.org.grainlayer.GrainSplit")
    tool.SetInput("grain_amount", 0.5, 3)
    assert [tool.GetInput("grain_amount", frame) for frame in (0, 3)] == [0.5, 0.5]
    assert tool.AddModifier("grain_amount", "BezierSpline") is True
    tool.SetInput("grain_amount", 2.0, 4)
    assert [tool.GetInput("grain_amount", frame) for frame in (0, 2, 4, 9)] == [0.5, 1.25, 2.0, 2.0]
    assert tool.AddModifier("grain_hold", "BezierSpline") is False


def test_a_composite_mode_that_is_not_taken_is_said_to_be(made: Any) -> None:
    item = made[2].current.selected[0]
    assert item.SetProperty("CompositeMode", "Add") is True
    assert item.GetProperty("CompositeMode") == 0
    assert item.SetProperty("Blend", 1) is False


def test_the_project_is_untitled_and_saving_it_would_hang(made: Any) -> None:
    assert made[2].GetName() == "Untitled Project"
    with pytest.raises(AssertionError, match="hangs for ever"):
        made[2].SaveProject()
