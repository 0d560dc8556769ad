"""Every script with each call of Resolve failing in turn: one sentence, and the project as it was."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import stage as plays

PROJECT_WIDE = ("page", "current", "settings", "format", "codec", "mode", "jobs", "presets", "running")


def parts(state: Any) -> dict[str, Any]:
    return {key: value for key, value in {**state, **state["project"]}.items() if key in PROJECT_WIDE}


@pytest.mark.parametrize("scene", plays.SCENES, ids=lambda scene: scene.__name__)
def test_each_failing_call_gives_a_sentence_and_leaves_the_project_alone(scene: Any) -> None:
    cases, failed, wrong = plays.play_all(scene)
    assert not wrong
    assert cases >= 50
    assert cases > failed > 0  # each of the others is one of plays.SURVIVED, with the result of a run without failure


@pytest.mark.parametrize("scene", plays.SCENES, ids=lambda scene: scene.__name__)
def test_a_method_that_fails_every_time_loses_nothing_and_what_it_leaves_is_told(scene: Any) -> None:
    cases, wrong = plays.play_broken(scene)
    assert not wrong
    assert cases >= 50


@pytest.mark.parametrize("scene", plays.SCENES, ids=lambda scene: scene.__name__)
def test_success_leaves_pages_timeline_render_settings_and_jobs_alone(scene: Any) -> None:
    stage, script, answers = scene()
    before = parts(plays.fake.state_of(stage.world, stage.project))
    assert stage.play(script, **answers) == 0, stage.output
    assert parts(plays.fake.state_of(stage.world, stage.project)) == before
    assert len([line for line in stage.output.splitlines() if line.startswith("Grain: ")]) == 1
    stage.close()


@pytest.mark.parametrize("scene", plays.SCENES, ids=lambda scene: scene.__name__)
def test_a_resolve_that_dies_is_told_with_what_could_not_be_put_back(scene: Any) -> None:
    calls = plays.play_happy(scene)[0]
    for number in range(1, calls + 1, 5):
        stage, script, answers = scene()
        stage.world.fail_at, stage.world.dies = number, True
        assert stage.play(script, **answers) in (0, 1)
        assert all(line.endswith(".") for line in stage.output.splitlines() if not line.startswith(("Rendering ", "working on ")))
        stage.close()


def test_a_bridge_that_raises_is_told_in_one_sentence(stage: Any) -> None:
    made = stage()
    made.timeline.GetTrackCount = lambda kind: {}["gone"]
    assert made.play("export parameters") == 1
    assert (
        made.sentence
        == "Grain: export parameters: Resolve did not answer as expected (KeyError: 'gone'); restart it and run the script again."
    )
