"""*Grain: copy look*: what goes over, what stays a shot's own, and what is told of values that differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from grainlayer.editorial.companion import read_companion
from grainlayer.editorial.jsonform import shot_from_json, shot_to_json
from grainlayer.editorial.shots import Shot
from grainlayer.editorial.sidecars import read_sidecar, sidecar_path
from grainlayer.params import NOT_A_LOOK, TABLE, Effect, Kind, ShotParams
from tests.fakes import stage as plays


def test_the_program_and_the_scripts_have_one_idea_of_a_look() -> None:
    from grain_scripts.parameters import OF_THE_HOST, OF_THE_SHOT

    assert set(OF_THE_SHOT) == set(NOT_A_LOOK)
    assert set(OF_THE_HOST) < set(NOT_A_LOOK) < {param.key for param in TABLE}
    assert {"level", "level_mode", "encoding", "quality", "view", "follow"} <= set(NOT_A_LOOK)


def values(param: Any) -> st.SearchStrategy[Any]:
    """Return legal values of a parameter, few of each."""
    if param.menu:
        return st.sampled_from(param.menu)
    if param.kind is Kind.BOOL:
        return st.booleans()
    if param.kind is Kind.TEXT:
        return st.sampled_from(["", "a", "b"])
    middle = (param.low + param.high) / 2
    return st.sampled_from([param.low, middle, param.high]).map(int if param.kind is Kind.INT else float)


PARAMS = st.fixed_dictionaries({}, optional={param.key: values(param) for param in TABLE if param.key != "shot_uid"})
FRAMES = st.integers(-20, 200)
KEYS = st.fixed_dictionaries(
    {},
    optional={
        param.key: st.dictionaries(FRAMES, values(param), min_size=1, max_size=3).map(lambda row: tuple(sorted(row.items())))
        for param in TABLE
        if param.key not in ("shot_uid", "follow", "profile_data", "view")
    },
)
SHOTS = st.builds(
    lambda uid, effect, params, keys: Shot(uid, effect=effect, params=ShotParams(**params), keys=keys),
    st.sampled_from(["one", "two"]),
    st.sampled_from(Effect),
    PARAMS,
    KEYS,
)


def as_noted(shot: Shot) -> dict[str, Any]:
    """Return a shot as markers have it: without what only a host needs."""
    return shot_to_json(replace(shot, params=replace(shot.params, view=ShotParams().view, follow=False)))


@settings(max_examples=200)
@given(SHOTS, SHOTS, st.integers(-30, 30))
def test_a_look_goes_over_as_it_does_in_the_program(target: Shot, source: Shot, shift: int) -> None:
    from grain_scripts.notes import with_look

    found = shot_from_json({**with_look(as_noted(target), as_noted(source), shift), "schema": 1})
    expected = shot_from_json(as_noted(target.with_look_of(source, shift)))
    assert found == expected


def test_what_describes_a_shots_own_picture_stays() -> None:
    stage, script, answers = plays.copy()
    assert stage.play(script, **answers) == 0, stage.output
    first, second, third = (stage.noted(item)[0] for item in stage.items)
    assert first["params"] == {"grain_amount": 0.5, "box_x": 0.1}
    assert second["params"] == {"grain_amount": 0.5, "box_x": 0.8}
    assert stage.items[2].comps[0].tools[3].inputs["grain_amount"] == 0.5
    assert stage.items[2].comps[0].tools[3].inputs["shot_uid"] == third["uid"]
    assert read_sidecar(sidecar_path(Path(stage.state_folder), third["uid"])).params.grain_amount == 0.5
    assert stage.play(script, scope="selected clips", source="first clip") == 0, stage.output
    stage.timeline.selected = stage.items[:1]
    assert stage.play(script, scope="selected clips") == 1
    assert "no other clip" in stage.sentence
    stage.close()


def test_a_tool_keeps_its_view_level_and_encoding(stage: Any) -> None:
    made = stage()
    made.note(made.items[0], "aaaa", {"grain_amount": 0.5, "level": 0.1, "level_mode": "manual"})
    tool = plays.with_fusion_tool(made.items[1], level=0.05, view=2, encoding=6, quality=1, follow=1)
    assert made.play("copy look", scope="selected clips") == 0, made.output
    assert (tool.inputs["grain_amount"], tool.inputs["level"], tool.inputs["level_mode"]) == (0.5, 0.05, 0)
    assert (tool.inputs["view"], tool.inputs["encoding"], tool.inputs["quality"], tool.inputs["follow"]) == (2, 6, 1, 1)
    assert made.noted(made.items[1])[0]["params"] == {"grain_amount": 0.5}


def test_a_source_is_not_rewritten_and_where_its_marker_differs_it_is_named(stage: Any) -> None:
    made = stage()
    made.note(made.items[0], "aaaa", {"grain_amount": 0.5})
    made.journal("aaaa", {"grain_amount": 2.0})
    before = dict(made.items[0].markers)
    assert made.play("copy look", scope="selected clips") == 0, made.output
    assert made.items[0].markers == before
    assert made.noted(made.items[1])[0]["params"] == {"grain_amount": 2.0}
    assert "the marker of SH010 says grain_amount 0.5 instead of 2 and stays so" in made.sentence
    assert "said otherwise" not in made.sentence


def test_a_targets_marker_that_the_journal_overrules_is_named_and_kept(stage: Any) -> None:
    made = stage()
    made.note(made.items[0], "aaaa", {"grain_amount": 0.5})
    made.note(made.items[1], "bbbb", {"level": 0.05, "grain_size": 2.0})
    made.journal("bbbb", {"level": 0.1})
    assert made.play("copy look", scope="selected clips") == 0, made.output
    assert made.noted(made.items[1])[0]["params"] == {"level": 0.1, "grain_amount": 0.5}
    assert "1 marker said otherwise (SH020: level 0.05 instead of 0.1 and grain_size 2 instead of 1)" in made.sentence
    Path(made.state_folder, "journal", "bbbb.json").unlink()
    assert made.play("export parameters") == 0, made.output
    (kept,) = read_companion(Path(made.file)).kept
    assert (kept.shot.uid, kept.shot.params.level, kept.shot.params.grain_size) == ("bbbb", 0.05, 2.0)


def test_keyframes_of_the_source_go_over_and_those_of_the_old_look_go(stage: Any) -> None:
    made = stage()
    made.items[1].first = 30
    made.note(made.items[0], "aaaa", {"grain_amount": 0.5}, keys={"grain_amount": [[10, 0.0], [13, 1.0]], "level": [[10, 0.1]]})
    made.note(
        made.items[1], "bbbb", {"grain_amount": 0.5}, keys={"grain_amount": [[30, 4.0]], "grain_size": [[30, 2.0]], "level": [[31, 0.2]]}
    )
    tool = plays.with_fusion_tool(made.items[1], grain_amount=0.5)
    tool.animate("grain_size", {0: 2.0, 2: 3.0})
    assert made.play("copy look", scope="selected clips") == 0, made.output
    assert made.noted(made.items[1])[0]["keys"] == {"level": [[31, 0.2]], "grain_amount": [[30, 0.0], [33, 1.0]]}
    assert made.noted(made.items[0])[0]["keys"]["grain_amount"] == [[10, 0.0], [13, 1.0]]
    assert [round(tool.feeds["grain_amount"].at(frame), 6) for frame in range(3)] == [0.0, 0.333333, 0.666667]
    assert tool.feeds["grain_size"] is None
    assert tool.inputs["grain_size"] == 1.0
    assert "what drove inputs on the Fusion page of SH020 (grain_size) gave way" in made.sentence


def test_a_look_is_read_from_a_tools_keyframes(stage: Any) -> None:
    made = stage()
    plays.with_fusion_tool(made.items[0], grain_softness=0.5).animate("grain_amount", {0: 2.0, 3: 0.5})
    assert made.play("copy look", scope="selected clips") == 0, made.output
    found = made.noted(made.items[1])[0]
    assert (found["params"], found["keys"]) == ({"grain_softness": 0.5}, {"grain_amount": [[10, 2.0], [13, 0.5]]})
    made.items[0].source_length = 8
    assert made.play("copy look", scope="selected clips") == 0, made.output
    assert "what drives inputs on the Fusion page of SH010 (grain_amount) cannot be read, because these clips are retimed" in made.sentence


def test_a_tool_that_follows_its_sidecar_is_no_source(stage: Any) -> None:
    made = stage()
    made.note(made.items[0], "aaaa", {"grain_amount": 0.5})
    plays.with_fusion_tool(made.items[0], grain_amount=2.0, follow=1)
    assert made.play("copy look", scope="selected clips") == 0, made.output
    assert made.noted(made.items[1])[0]["params"] == {"grain_amount": 0.5}
