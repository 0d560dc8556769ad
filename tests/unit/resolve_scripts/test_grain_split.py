"""*Grain: apply Grain Split*: the Fusion composition of a clip, its tool's inputs, and the way back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import stage as plays
from tests.fakes.fusion import GRAIN_SPLIT


def play(scene: Any) -> Any:
    stage, script, answers = scene()
    assert stage.play(script, **answers) == 0, stage.output
    return stage


def tool_of(item: Any) -> Any:
    return next(tool for tool in item.comps[0].tools if tool.kind == GRAIN_SPLIT)


def test_the_tool_stands_between_media_in_and_media_out() -> None:
    stage = play(plays.apply)
    assert stage.items[0].comps[0].shows() == ["MediaOut", GRAIN_SPLIT, "MediaIn"]
    assert stage.items[1].comps[0].shows() == ["MediaOut", GRAIN_SPLIT, "Blur", "MediaIn"]
    assert len(stage.items[1].comps) == 1
    stage.close()


def test_inputs_are_set_from_the_parameters_and_the_uid() -> None:
    stage = play(plays.apply)
    inputs = tool_of(stage.items[0]).inputs
    assert (inputs["grain_source"], inputs["stock"], inputs["follow"]) == (3, 7, 1)
    assert inputs["shot_uid"] == "aaaa"
    assert tool_of(stage.items[1]).inputs["shot_uid"] == stage.noted(stage.items[1])[0]["uid"]
    assert "Composition.Lock" not in stage.world.calls
    stage.close()


def test_a_second_time_no_second_tool_is_added() -> None:
    stage = play(plays.apply)
    before = stage.state()
    assert stage.play("apply Grain Split", follow="on") == 0, stage.output
    assert stage.state() == before
    stage.close()


def test_values_set_in_fusion_are_read_back_without_the_noise_of_single_precision() -> None:
    stage = play(plays.read_back)
    assert stage.noted(stage.items[0])[0]["params"] == {"grain_amount": 0.7, "stock": "8mm 50 colour"}
    assert stage.noted(stage.items[0])[0]["keys"] == {"grain_size": [[10, 0.5], [12, 1.5]]}
    stage.close()


def test_values_that_fusion_still_holds_keep_all_their_digits(stage: Any) -> None:
    made = stage()
    made.note(made.items[0], "aaaa", {"grain_amount": 0.123456789012})
    for action in ("apply", "read back"):
        assert made.play("apply Grain Split", scope="clip under the playhead", action=action) == 0, made.output
    assert made.noted(made.items[0])[0]["params"] == {"grain_amount": 0.123456789012}


def test_nothing_to_read_back_and_missing_plug_ins_are_told(stage: Any) -> None:
    made = stage()
    before = made.state()
    assert made.play("apply Grain Split", action="read back") == 1
    assert "apply it first" in made.sentence
    made.world.plugins = False
    assert made.play("apply Grain Split") == 1
    assert "Fusion does not know Grain Split; install the GrainLayer plug-ins" in made.sentence
    assert made.state() == before


@pytest.mark.parametrize(("key", "value"), [("grain_amount", 9.0), ("stock", 99), ("grain_hold", 2.5), ("shot_uid", "x" * 65)])
def test_an_input_that_the_table_does_not_allow_is_named(stage: Any, key: str, value: Any) -> None:
    made = stage()
    plays.with_fusion_tool(made.items[0], **{key: value})
    assert made.play("apply Grain Split", action="read back") == 1
    assert f"{key} must be" in made.sentence


def test_menus_that_fusion_holds_as_text_stay_text(stage: Any) -> None:
    made = stage()
    made.note(made.items[0], "aaaa", {"grain_source": "stock"})
    tool = plays.with_fusion_tool(made.items[0], grain_source="own")
    assert made.play("apply Grain Split", scope="clip under the playhead") == 0, made.output
    assert tool.inputs["grain_source"] == "stock"
    assert made.play("apply Grain Split", scope="clip under the playhead", action="read back") == 0, made.output
    assert made.noted(made.items[0])[0]["params"] == {"grain_source": "stock"}


def test_a_media_out_that_shows_nothing_is_told(stage: Any) -> None:
    made = stage()
    plays.with_user_comp(made.items[0]).tools[1].feeds.clear()
    before = made.state()
    assert made.play("apply Grain Split") == 1
    assert "MediaOut of SH010 shows nothing" in made.sentence
    assert made.state() == before
