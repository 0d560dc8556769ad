"""Keyframes on every road of the scripts: sidecars, markers, Fusion, renders; and what is told where they cannot go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainlayer.editorial.companion import Companion, companion_to_json, read_companion
from grainlayer.editorial.shots import Shot
from grainlayer.editorial.sidecars import followed, read_sidecar, sidecar_path
from grainlayer.editorial.timeline import read_timeline
from grainlayer.params import Effect, ShotParams
from tests.fakes import stage as plays
from tests.fakes.fusion import GRAIN_SPLIT

FLOAT_ROWS = st.dictionaries(st.integers(-50, 50), st.floats(0, 4), min_size=1, max_size=6).map(lambda row: sorted(row.items()))
WHOLE_ROWS = st.dictionaries(st.integers(-50, 50), st.integers(1, 5), min_size=1, max_size=6).map(lambda row: sorted(row.items()))


@given(st.one_of(st.tuples(st.just("grain_amount"), FLOAT_ROWS), st.tuples(st.just("grain_hold"), WHOLE_ROWS)), st.integers(-60, 60))
def test_a_frame_has_the_value_that_it_has_in_the_program(keyed: Any, frame: int) -> None:
    from grain_scripts.keyframes import value_at

    key, row = keyed
    shot = Shot("a", keys={key: tuple(row)})
    assert value_at(key, shot.keys[key], frame) == getattr(shot.at(frame), key)


@given(st.one_of(st.tuples(st.just("grain_amount"), FLOAT_ROWS), st.tuples(st.just("grain_hold"), WHOLE_ROWS)))
def test_the_fewest_keyframes_have_every_sample_and_are_no_more_than_there_were(keyed: Any) -> None:
    from grain_scripts.keyframes import NOISE, fewest, value_at

    key, row = keyed
    samples = [(frame, value_at(key, row, frame)) for frame in range(-55, 56)]
    found = fewest(key, samples)
    assert len(found) <= len(row) + 1
    for frame, value in samples:
        assert abs(value_at(key, found, frame) - value) <= 4 * NOISE * max(1.0, value)


@given(st.floats(0, 4), FLOAT_ROWS)
def test_one_rendered_value_contradicts_keyframes_that_never_have_it(value: float, row: Any) -> None:
    from grain_scripts.looks import passes

    values = [found for _, found in row]
    if not min(values) - 1e-4 <= value <= max(values) + 1e-4:
        assert not passes("grain_amount", row, value)
    elif min(values) <= value <= max(values):
        assert passes("grain_amount", row, value)


def keyed_file(stage: Any, keys: Any, **params: Any) -> Shot:
    """Write a file with one shot, for SH010."""
    shot = Shot("aaaa", name="SH010", effect=Effect.GRAIN_SYNTH, params=ShotParams(**params), keys=keys)
    Path(stage.out).mkdir(exist_ok=True)
    Path(stage.file).write_text(companion_to_json(Companion({"aaaa": shot}), "Cut 1"))
    return shot


def test_two_hundred_keyframes_survive_a_marker_that_cannot_hold_them(stage: Any) -> None:
    made = stage()
    keys = {"grain_amount": tuple((frame, frame / 100) for frame in range(200)), "grain_hold": ((3, 2), (7, 5))}
    shot = keyed_file(made, keys, removal=0.5)
    assert made.play("import parameters") == 0, made.output
    assert "digest" in made.items[0].markers[0]["note"]
    sidecar = json.loads(Path(made.state_folder, "shots", "aaaa.grain.json").read_text())
    assert (len(sidecar["keys"]["grain_amount"]), sidecar["effect"]) == (200, "GrainSynth")
    assert read_sidecar(sidecar_path(Path(made.state_folder), "aaaa")).params.removal == 0.5
    assert made.play("export parameters", overwrite="on") == 0, made.output
    assert read_companion(Path(made.file)).shots["aaaa"] == shot


def test_more_keyframes_than_a_sidecar_holds_are_refused(stage: Any) -> None:
    made = stage()
    keyed_file(made, {"grain_amount": tuple((frame, frame / 100000) for frame in range(90000))})
    before = made.state(), made.files()
    assert made.play("import parameters") == 1
    assert "The shot aaaa has too many keyframes for a sidecar" in made.sentence
    assert (made.state(), made.files()) == before


def test_keyframes_reach_an_effect_that_follows(stage: Any) -> None:
    """By the sidecar, as the server reads it."""
    made = stage()
    keyed_file(made, {"grain_amount": ((10, 0.0), (12, 1.0))})
    assert made.play("import parameters") == 0, made.output
    sidecar = read_sidecar(sidecar_path(Path(made.state_folder), "aaaa"))
    asked = ShotParams(follow=True)
    assert [followed(asked, sidecar, Effect.GRAIN_SPLIT, frame).grain_amount for frame in (0, 11, 20)] == [0.0, 0.5, 1.0]


def test_a_render_of_one_frame_does_not_take_the_keyframes_away(stage: Any) -> None:
    made = stage()
    made.note(made.items[0], "aaaa", {"grain_amount": 0.5}, keys={"grain_amount": [[0, 0.0], [4, 1.0]]})
    made.journal("aaaa", {"grain_amount": 0.75})  # at frame 3
    assert made.play("export parameters") == 0, made.output
    assert read_companion(Path(made.file)).shots["aaaa"].keys == {"grain_amount": ((0, 0.0), (4, 1.0))}
    assert "keyframes" not in made.sentence
    made.journal("aaaa", {"grain_amount": 0.25})
    assert made.play("export parameters", overwrite="on") == 0, made.output
    assert "the keyframes of SH010 (grain_amount) stand before the one value that the host rendered last" in made.sentence
    made.journal("aaaa", {"grain_amount": 2.0})
    assert made.play("export parameters", overwrite="on") == 0, made.output
    assert "SH010: other keyframes of grain_amount" in made.sentence
    companion = read_companion(Path(made.file))
    assert (companion.shots["aaaa"].params.grain_amount, companion.shots["aaaa"].keys) == (2.0, {})
    assert companion.kept[-1].shot.keys == {"grain_amount": ((0, 0.0), (4, 1.0))}


def tool_of(item: Any) -> Any:
    return next(tool for tool in item.comps[0].tools if tool.kind == GRAIN_SPLIT)


def shown(item: Any, key: str) -> list[Any]:
    """Return what an input is at each frame of its clip."""
    tool, first = tool_of(item), item.comps[0].first
    return [tool.GetInput(key, first + frame) for frame in range(item.length)]


@pytest.mark.parametrize("bends", [False, True], ids=["straight", "bent"])
@pytest.mark.parametrize("begins", [0, 24])
def test_keyframes_are_carried_to_fusion_at_the_pictures_that_they_belong_to(stage: Any, bends: bool, begins: int) -> None:
    made = stage(shots=((1, "SH010", 0, 9),))
    made.world.bends = bends
    plays.with_user_comp(made.items[0]).first = begins
    keys = {"grain_amount": [[12, 0.0], [16, 2.0]], "grain_hold": [[12, 1], [15, 4]], "grain_source": [[14, "stock"]]}
    made.note(made.items[0], "aaaa", {"grain_amount": 0.5}, keys=keys)
    assert made.play("apply Grain Split") == 0, made.output
    assert made.sentence == "Grain: apply Grain Split: Grain Split is in the Fusion composition of 1 clips."
    assert shown(made.items[0], "grain_amount") == pytest.approx([0, 0, 0, 0.5, 1, 1.5, 2, 2, 2])
    assert shown(made.items[0], "grain_hold") == [1, 1, 1, 1, 1, 4, 4, 4, 4]
    assert shown(made.items[0], "grain_source") == [3] * 9
    assert len(tool_of(made.items[0]).feeds["grain_amount"].keys) <= (9 if bends else 3)
    before = made.state()
    assert made.play("apply Grain Split") == 0, made.output
    assert made.state() == before
    assert made.play("apply Grain Split", action="read back") == 0, made.output
    assert made.noted(made.items[0])[0]["params"] == {"grain_amount": 0.5}
    assert made.noted(made.items[0])[0]["keys"] == keys


def test_keyframes_that_a_user_set_in_fusion_are_read_back(stage: Any) -> None:
    made = stage(shots=((1, "SH010", 0, 9),))
    made.note(made.items[0], "aaaa", {"grain_amount": 0.5}, keys={"grain_size": [[12, 1.0], [14, 2.0]]})
    assert made.play("apply Grain Split") == 0, made.output
    tool = tool_of(made.items[0])
    tool.animate("grain_amount", {2: 0.5, 6: 1.5})
    tool.animate("removal", {0: 0.25})
    tool.feeds["grain_size"].keys[4] = 1.5
    assert made.play("apply Grain Split", action="read back") == 0, made.output
    found = made.noted(made.items[0])[0]
    assert found["params"] == {"grain_amount": 0.5, "removal": 0.25}
    assert found["keys"] == {"grain_amount": [[12, 0.5], [16, 1.5]], "grain_size": [[12, 1.0], [14, 1.5]]}


def test_what_fusion_does_not_take_is_named_and_stays_in_the_marker(stage: Any) -> None:
    made = stage()
    keys = {"grain_amount": [[10, 0.0], [12, 1.0]], "deband": [[0, 1.0]]}
    made.note(made.items[0], "aaaa", {"grain_amount": 0.5}, keys=keys)
    made.world.still_inputs = ("grain_amount",)
    assert made.play("apply Grain Split") == 0, made.output
    assert made.sentence.endswith("the keyframes of SH010 (grain_amount) are not carried to Fusion, so set them there by hand.")
    assert shown(made.items[0], "grain_amount") == [0.5] * 4
    assert made.play("apply Grain Split", action="read back") == 0, made.output
    assert made.noted(made.items[0])[0]["keys"] == keys


def test_a_retimed_clips_keyframes_are_named_in_both_directions(stage: Any) -> None:
    made = stage()
    made.items[0].source_length = 8
    made.note(made.items[0], "aaaa", {"grain_amount": 0.5}, keys={"grain_amount": [[10, 0.0], [12, 1.0]]})
    assert made.play("apply Grain Split") == 0, made.output
    assert "the keyframes of SH010 (grain_amount) are not carried" in made.sentence
    tool_of(made.items[0]).animate("grain_amount", {0: 1.0, 3: 2.0})
    assert made.play("apply Grain Split", scope="clip under the playhead", action="read back") == 0, made.output
    assert "what drives inputs on the Fusion page of SH010 (grain_amount) cannot be read" in made.sentence
    assert made.noted(made.items[0])[0]["keys"] == {"grain_amount": [[10, 0.0], [12, 1.0]]}


def test_what_drove_an_input_gives_way_by_name_and_comes_back_on_failure(stage: Any) -> None:
    made = stage()
    plays.with_fusion_tool(made.items[0]).animate("grain_size", {0: 1.0, 3: 3.0})
    before = made.state()
    made.world.plugins = False  # the second clip fails
    assert made.play("apply Grain Split") == 1
    assert made.state() == before
    made.world.plugins = True
    assert made.play("apply Grain Split") == 0, made.output
    assert "what drove inputs on the Fusion page of SH010 (grain_size) gave way" in made.sentence
    assert shown(made.items[0], "grain_size") == [1.0] * 4


@pytest.mark.parametrize("handles", [0, 3])
def test_a_renders_edit_has_keyframes_at_the_renders_own_frames(stage: Any, handles: int) -> None:
    made = stage()
    keys = {"grain_amount": [[10, 0.0], [12, 1.0]]}
    made.note(made.items[0], "aaaa", {"grain_size": 2.0}, keys=keys, before="For Ann: ")
    made.items[0].markers[1]["note"] += " and Bob"
    assert made.play("render layers", bring_in="nothing", handles=str(handles)) == 0, made.output
    edit = Path(made.out, "Cut 1.graded.otio")
    expected = {"grain_amount": ((handles, 0.0), (handles + 2, 1.0))}
    assert read_companion(edit.with_suffix(".grain.json")).shots["aaaa"].keys == expected
    note = json.loads(edit.read_text())["tracks"]["children"][0]["children"][0]["markers"][0]["metadata"]["Resolve_OTIO"]["Note"]
    assert note.startswith('For Ann: {"grainlayer"')
    assert note.endswith("} and Bob")
    assert made.noted(made.items[0])[0]["keys"] == keys
    shots = read_timeline(edit).shots
    assert not shots.conflicts
    assert shots.shots[0].shot is not None
    assert shots.shots[0].shot.keys == expected


def test_keyframes_of_a_retime_that_is_rendered_in_are_spread_and_named(stage: Any) -> None:
    made = stage()
    made.items[0].source_length = 8
    made.note(made.items[0], "aaaa", {}, keys={"grain_amount": [[10, 0.0], [16, 1.0]]})
    assert made.play("render layers", bring_in="nothing") == 0, made.output
    assert "the keyframes of SH010 were spread over a retime evenly, so look at them" in made.sentence
    assert read_companion(Path(made.out, "Cut 1.graded.grain.json")).shots["aaaa"].keys == {"grain_amount": ((0, 0.0), (3, 1.0))}
