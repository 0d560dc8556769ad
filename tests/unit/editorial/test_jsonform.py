"""The JSON of shots: schemas, upgrades, damage."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainlayer.editorial.companion import Companion, Kept, companion_from_json, companion_path, companion_to_json, read_companion
from grainlayer.editorial.jsonform import SCHEMA, STEPS, indented, shot_digest, shot_from_json, shot_to_json, upgraded
from grainlayer.editorial.shots import Shot
from grainlayer.errors import TimelineError
from grainlayer.params import ShotParams
from tests.golden.write_shots import GOLDEN, golden_shots
from tests.strategies import shots


@given(shots())
def test_any_shot_comes_back_and_numbers_are_short(shot: Shot) -> None:
    text = json.dumps(shot_to_json(shot))
    assert shot_from_json(json.loads(text)) == shot
    floats = [number for number in re.findall(r"(?<![\w\"])-?\d+\.\d+", json.dumps(shot_to_json(shot)["params"]))]
    assert all(len(number.replace("-", "").replace(".", "").strip("0")) <= 15 for number in floats if '"' not in text)


def test_the_golden_shots_of_schema_1_are_read() -> None:
    facts = json.loads(GOLDEN.read_text("utf-8"))
    assert [row["schema"] for row in facts] == [1, 1, 1]
    assert [shot_from_json(row) for row in facts] == golden_shots()


def test_the_golden_shots_are_still_written_so() -> None:
    if SCHEMA == 1:
        assert [shot_to_json(shot) for shot in golden_shots()] == json.loads(GOLDEN.read_text("utf-8"))


def test_every_older_schema_has_a_step() -> None:
    assert sorted(STEPS) == list(range(1, SCHEMA))


def test_older_schemas_are_upgraded_step_by_step() -> None:
    def renamed(facts: dict[str, Any]) -> dict[str, Any]:
        return facts | {"params": {"grain_" + key: value for key, value in facts["params"].items()}}

    def halved(facts: dict[str, Any]) -> dict[str, Any]:
        return facts | {"params": {key: value / 2 for key, value in facts["params"].items()}}

    old = {"schema": -1, "uid": "a", "params": {"amount": 1.0}}
    found = upgraded(old, {-1: renamed, 0: halved}, newest=1)
    assert found == {"schema": 1, "uid": "a", "params": {"grain_amount": 0.5}}
    assert old == {"schema": -1, "uid": "a", "params": {"amount": 1.0}}
    assert shot_from_json(found).params.grain_amount == 0.5
    with pytest.raises(TimelineError, match="cannot be read any more"):
        upgraded(old, {0: halved}, newest=1)


DAMAGED = (
    None,
    3,
    [],
    {},
    {"schema": "1", "uid": "a"},
    {"schema": True, "uid": "a"},
    {"schema": 1},
    {"schema": 1, "uid": ""},
    {"schema": 1, "uid": "a", "params": 3},
    {"schema": 1, "uid": "a", "params": {"no": 1}},
    {"schema": 1, "uid": "a", "params": {"removal": 9}},
    {"schema": 1, "uid": "a", "keys": {"removal": [[0]]}},
    {"schema": 1, "uid": "a", "keys": {"removal": 5}},
    {"schema": 1, "uid": "a", "effect": "Other"},
    {"schema": 1, "uid": "a", "profile": 3},
)


@pytest.mark.parametrize("facts", DAMAGED, ids=str)
def test_damage_is_one_sentence(facts: object) -> None:
    with pytest.raises(TimelineError, match=r"again\.$"):
        shot_from_json(facts)


def test_what_is_newer_is_refused() -> None:
    with pytest.raises(TimelineError, match=r"schema 2, this program reads up to 1: update"):
        shot_from_json({"schema": 2, "uid": "a", "params": {}})


def test_whole_numbers_that_a_program_made_floats_are_whole_again() -> None:
    shot = shot_from_json({"schema": 1, "uid": "a", "params": {"grain_hold": 3.0, "removal": 1}, "keys": {"grain_seed": [[4.0, 5.0]]}})
    assert (shot.params.grain_hold, shot.keys) == (3, {"grain_seed": ((4, 5),)})


def test_the_digest_is_of_grain_alone() -> None:
    one = Shot("a", "x", params=ShotParams(grain_amount=0.5))
    assert shot_digest(one) == shot_digest(Shot("a", "y", params=ShotParams(grain_amount=0.5)))
    assert shot_digest(one) != shot_digest(Shot("a", params=ShotParams(grain_amount=0.6)))
    assert len(shot_digest(one)) == 16


def test_sidecars_come_back(tmp_path: Any) -> None:
    written = golden_shots()
    companion = Companion({shot.uid: shot for shot in written}, (Kept("the effect", written[1]),))
    assert companion_from_json(companion_to_json(companion, "cut.otio")) == companion
    assert companion_path(tmp_path / "cut.v2.otio").name == "cut.v2.grain.json"
    assert read_companion(tmp_path / "absent") == Companion()


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "[" * 100_000, '{"schema": 1}', '{"schema": 1, "shots": [3]}', "\xff"])
def test_a_damaged_sidecar_is_one_sentence_that_names_it(tmp_path: Any, text: str) -> None:
    path = tmp_path / "cut.grain.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(TimelineError, match=r"cut\.grain\.json .*\.$"):
        read_companion(path)


def test_a_newer_sidecar_is_refused(tmp_path: Any) -> None:
    path = tmp_path / "cut.grain.json"
    path.write_text('{"schema": 9, "shots": "unknown"}')
    with pytest.raises(TimelineError, match=r"schema 9, .* update GrainLayer\.$"):
        read_companion(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4),
)


@given(value=JSON, indent=st.integers(1, 5), ascii_only=st.booleans())
def test_indented_json_is_that_of_the_library(value: object, indent: int, ascii_only: bool) -> None:
    assert indented(value, indent, ascii_only=ascii_only) == json.dumps(value, indent=indent, ensure_ascii=ascii_only) + "\n"
