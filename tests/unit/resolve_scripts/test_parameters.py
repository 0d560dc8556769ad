"""Parameters between markers, journal, sidecars and files: what the scripts write, GrainLayer reads, and the other way round."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainlayer.editorial.carriers import parse_text, text_of
from grainlayer.editorial.companion import Companion, companion_to_json, read_companion
from grainlayer.editorial.jsonform import shot_digest, shot_from_json
from grainlayer.editorial.shots import Shot
from grainlayer.editorial.sidecars import read_sidecar, sidecar_path
from grainlayer.editorial.state import safe_name, state_folder
from grainlayer.errors import ParamError
from grainlayer.params import TABLE, Kind, ShotParams
from tests.fakes import stage as plays

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6), st.sampled_from([e for p in TABLE for e in p.menu])
)


@given(st.sampled_from(TABLE), SCALARS)
def test_a_value_is_legal_here_where_it_is_there(param: Any, value: Any) -> None:
    from grain_scripts.answers import ScriptError
    from grain_scripts.parameters import check

    if param.kind is Kind.INT and isinstance(value, float):
        return  # a host may hold whole numbers as floats
    try:
        expected: Any = param.check(value)
    except ParamError:
        with pytest.raises(ScriptError):
            check(param.key, value)
    else:
        assert check(param.key, value) == expected


@pytest.mark.parametrize("uid", ["aaaa", "a.b", "-x", ".hidden", "ä", "a/b", "x" * 65, "\ud800"])
def test_names_and_folders_are_the_servers(uid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from grain_scripts import state

    assert state.safe_name(uid) == safe_name(uid)
    for chosen in ("/somewhere", ""):
        monkeypatch.setenv("GRAINLAYER_STATE", chosen)
        assert state.state_folder() == str(state_folder())


def test_export_writes_what_the_program_reads() -> None:
    stage, script, answers = plays.export()
    assert stage.play(script, **answers) == 0, stage.output
    companion = read_companion(Path(stage.file))
    assert list(companion.shots) == ["aaaa", "uid0001"]
    assert companion.shots["aaaa"].params.grain_amount == 2.0
    assert companion.shots["aaaa"].name == "SH010"
    assert [(kept.source, kept.shot.params.grain_amount) for kept in companion.kept] == [("the marker", 0.5)]
    note = stage.items[0].markers[1]["note"]
    assert note.startswith('For Ann: {"grainlayer"')
    facts, _ = parse_text(note)
    assert shot_from_json(facts).params == companion.shots["aaaa"].params
    assert stage.items[1].markers[0]["note"] == "keep"
    stage.close()


def test_an_existing_file_is_replaced_on_demand_only_and_keeps_what_it_alone_knows(stage: Any) -> None:
    made = stage()
    other = Shot(uid="elsewhere", name="SH999", params=ShotParams(grain_seed=3))
    os.makedirs(made.out)
    Path(made.file).write_text(companion_to_json(Companion({"elsewhere": other}), "Cut 1"))
    assert made.play("export parameters") == 1
    assert "exists; choose another file" in made.sentence
    assert made.play("export parameters", overwrite="on") == 0
    assert list(read_companion(Path(made.file)).shots) == ["uid0001", "uid0002", "elsewhere"]


def test_a_shot_that_follows_is_exported_with_its_sidecars_values(stage: Any) -> None:
    made = stage()
    made.note(made.items[0], "aaaa", {"grain_amount": 0.5})
    made.journal("aaaa", {"grain_amount": 3.0, "follow": True})
    made.sidecar("aaaa", {"grain_amount": 1.5})
    Path(made.state_folder, "journal", "torn.json").write_text('{"uid": ')
    assert made.play("export parameters") == 0, made.output
    assert read_companion(Path(made.file)).shots["aaaa"].params.grain_amount == 1.5
    assert "1 damaged files of the journal were passed over" in made.sentence


def test_a_copied_clip_gets_a_uid_of_its_own_with_the_same_look(stage: Any) -> None:
    made = stage()
    for item in made.items:
        made.note(item, "aaaa", {"grain_amount": 0.5})
    assert made.play("export parameters") == 0, made.output
    assert [(made.noted(item)[0]["uid"], made.noted(item)[0]["params"]) for item in made.items] == [
        ("aaaa", {"grain_amount": 0.5}),
        ("uid0001", {"grain_amount": 0.5}),
    ]


def test_the_medias_own_metadata_stands_in_for_a_marker(stage: Any) -> None:
    made = stage()
    made.items[0].media.third = {"grainlayer": text_of(Shot(uid="media", params=ShotParams(grain_size=2.0)))}
    assert made.play("export parameters") == 0, made.output
    assert made.noted(made.items[0])[0]["params"] == {"grain_size": 2.0}
    assert made.noted(made.items[0])[0]["uid"] == "uid0001"


def test_import_writes_sidecars_and_markers_that_the_program_reads() -> None:
    stage, script, answers = plays.import_file()
    assert stage.play(script, **answers) == 0, stage.output
    for uid, item, params in (("aaaa", stage.items[0], {"grain_size": 2.0}), ("bbbb", stage.items[1], {"grain_seed": 7})):
        sidecar = read_sidecar(sidecar_path(Path(stage.state_folder), uid))
        assert (sidecar.uid, sidecar.params.to_dict()) == (uid, params)
        assert [(facts["uid"], facts["params"]) for facts in stage.noted(item)] == [(uid, params)]
    stage.close()


def test_what_markers_said_before_an_import_is_named_and_kept_for_the_next_export() -> None:
    stage, script, answers = plays.import_file()
    assert stage.play(script, **answers) == 0, stage.output
    assert "1 marker said otherwise (SH010: grain_amount 0.5 instead of 1 and grain_size 1 instead of 2)" in stage.sentence
    assert "kept for the next export" in stage.sentence
    before = stage.files()
    assert stage.play(script, **answers) == 0, stage.output
    assert "said otherwise" not in stage.sentence
    assert stage.files() == before
    assert stage.play("export parameters", overwrite="on") == 0, stage.output
    companion = read_companion(Path(stage.file))
    assert [(kept.source, kept.shot.uid, kept.shot.params.to_dict()) for kept in companion.kept] == [
        ("the marker", "aaaa", {"grain_amount": 0.5, "shot_uid": "aaaa"})
    ]
    stage.close()


def test_keyframes_and_effects_of_markers_are_kept_too(stage: Any) -> None:
    made = stage()
    made.note(made.items[0], "old", {}, keys={"grain_amount": [[10, 0.5], [12, 1.0]]}, effect="GrainSynth")
    made.write(made.file, {"schema": 1, "shots": [{"schema": 1, "uid": "new", "name": "SH010", "params": {}}]})
    assert made.play("import parameters", scope="clip under the playhead") == 0, made.output
    assert "(SH010: GrainSynth instead of GrainSplit and other keyframes of grain_amount)" in made.sentence
    assert made.play("export parameters", overwrite="on") == 0, made.output
    (kept,) = read_companion(Path(made.file)).kept
    assert (kept.shot.uid, kept.shot.effect, kept.shot.keys) == ("old", "GrainSynth", {"grain_amount": ((10, 0.5), (12, 1.0))})


def test_a_marker_that_says_what_is_not_legal_is_mended_by_an_import(stage: Any) -> None:
    made = stage()
    made.note(made.items[0], "aaaa", {"grain_amount": 99})
    made.write(made.file, {"schema": 1, "shots": [{"schema": 1, "uid": "aaaa", "name": "SH010", "params": {"grain_amount": 2}}]})
    assert made.play("export parameters", overwrite="on") == 1
    assert "grain_amount must be a number from 0 to 4; got 99" in made.sentence
    assert made.play("import parameters") == 0, made.output
    assert made.noted(made.items[0])[0]["params"] == {"grain_amount": 2.0}


def test_names_that_two_clips_share_are_reported_and_not_guessed(stage: Any) -> None:
    made = stage(shots=((1, "SH010", 0, 4), (2, "SH010", 2, 3)))
    made.write(made.file, {"schema": 1, "shots": [{"schema": 1, "uid": "aaaa", "name": "SH010", "params": {}}]})
    assert made.play("import parameters") == 0, made.output
    assert "more than one clip could be SH010" in made.sentence
    assert not made.noted(made.items[0])


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"schema": 2, "shots": []}, "newer GrainLayer"),
        ({"shots": []}, "holds no grain parameters"),
        ([], "holds no grain parameters"),
        ({"schema": 1, "shots": [{"uid": "a", "schema": 1, "params": {"grain_amount": 9}}]}, "must be a number from 0 to 4; got 9"),
        ({"schema": 1, "shots": [{"uid": "a", "schema": 1, "params": {"grane": 1}}]}, "There is no parameter 'grane'"),
        ({"schema": 1, "shots": [{"name": "a"}]}, "holds no shots"),
        ({"schema": 1, "shots": [{"uid": "a", "schema": 1, "keys": {"grain_amount": [[0, 9]]}}]}, "must be a number from 0 to 4; got 9"),
        ({"schema": 1, "shots": [{"uid": "a", "schema": 1, "keys": {"grain_amount": [0, 1]}}]}, "must be pairs of a whole frame number"),
        ({"schema": 1, "shots": [{"uid": "a", "schema": 1, "keys": {"follow": [[0, True]]}}]}, "follow cannot have keyframes"),
        ({"schema": 1, "shots": [{"uid": "a", "schema": 1, "keys": {"removal": [[0, 1], [0, 0]]}}]}, "two keyframes at one frame"),
    ],
)
def test_a_file_that_cannot_be_used_changes_nothing(stage: Any, facts: Any, words: str) -> None:
    made = stage()
    made.write(made.file, facts)
    before = made.state(), made.files()
    assert made.play("import parameters") == 1
    assert words in made.sentence
    assert (made.state(), made.files()) == before


def test_a_look_too_long_for_a_marker_lies_in_the_sidecar(stage: Any) -> None:
    made = stage()
    params = {"profile_data": "p" * 3000, "grain_amount": 0.5}
    made.write(made.file, {"schema": 1, "shots": [{"schema": 1, "uid": "aaaa", "name": "SH010", "effect": "GrainSplit", "params": params}]})
    assert made.play("import parameters") == 0, made.output
    note = made.items[0].markers[0]["note"]
    facts, _ = parse_text(note)
    assert facts == {"schema": 1, "uid": "aaaa", "digest": shot_digest(Shot(uid="aaaa", params=ShotParams(**params)))}
    os.unlink(made.file)
    assert made.play("export parameters") == 0, made.output
    assert read_companion(Path(made.file)).shots["aaaa"].params.profile_data == "p" * 3000


def test_a_marker_whose_sidecar_is_elsewhere_is_told_and_not_emptied(stage: Any) -> None:
    made = stage()
    params = {"profile_data": "p" * 3000}
    made.write(made.file, {"schema": 1, "shots": [{"schema": 1, "uid": "aaaa", "name": "SH010", "params": params}]})
    assert made.play("import parameters") == 0, made.output
    os.unlink(Path(made.state_folder, "shots", "aaaa.grain.json"))
    before = made.state()
    for script in ("export parameters", "apply Grain Split", "copy look"):
        assert made.play(script, overwrite="on", scope="selected clips") == 1
        assert "The values of SH010 lie in a sidecar that is not on this machine; run Grain: import parameters first" in made.sentence
        assert made.state() == before
    assert made.play("import parameters") == 0, made.output
    assert made.state() == before
    assert made.play("export parameters", overwrite="on") == 0, made.output
    assert read_companion(Path(made.file)).shots["aaaa"].params.profile_data == "p" * 3000


def test_keyframes_and_foreign_effects_come_through(stage: Any) -> None:
    made = stage()
    shot = Shot(uid="aaaa", name="SH010", params=ShotParams(removal=0.5), keys={"grain_amount": ((0, 0.0), (9, 1.0))})
    os.makedirs(made.out)
    Path(made.file).write_text(companion_to_json(Companion({"aaaa": shot}), "Cut 1"))
    assert made.play("import parameters") == 0, made.output
    os.unlink(made.file)
    assert made.play("export parameters") == 0, made.output
    assert read_companion(Path(made.file)).shots["aaaa"] == shot
