"""Where grain is put in a clip, and that nothing else is touched."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given

from grainlayer.editorial.carriers import (
    LONGEST_NOTE,
    Put,
    cleaned,
    parse_text,
    put_ale,
    put_all_aaf,
    put_edl,
    put_fcp7,
    put_fcpx,
    put_native,
    stated_rate,
    take,
    text_of,
    without_ours,
)
from grainlayer.editorial.clips import Found, find_clips
from grainlayer.editorial.jsonform import shot_from_json
from grainlayer.editorial.shots import Shot
from grainlayer.params import Effect, ShotParams
from tests.edits import Node, clip, span
from tests.golden.write_shots import PROFILE
from tests.strategies import shots

SHOT = Shot("u1", params=ShotParams(grain_amount=0.6), keys={"grain_size": ((0, 1.0), (24, 2.0))}, profile=PROFILE)
RESOLVE = {
    "OTIO_SCHEMA": "Marker.2",
    "metadata": {"Resolve_OTIO": {"Keywords": ["a"], "Note": '{"other": "grainlayer"}'}},
    "name": "theirs",
    "color": "GREEN",
    "marked_range": span(5, 1),
    "comment": "",
}
FOREIGN = {
    "effects": [{"OTIO_SCHEMA": "Effect.1", "metadata": {"Resolve_OTIO": {"x": 0.1}}, "name": "", "effect_name": "Resolve Effect"}],
    "markers": [RESOLVE],
    "metadata": {
        "Resolve_OTIO": {"y": [1, 2.5]},
        "fcp_xml": {"comments": {"mastercomment1": "theirs"}},
        "cmx_3600": {"comments": ["theirs"]},
    },
}


def found(node: Node) -> Found:
    return find_clips(node)[2][0]


def put(way: Put, node: Node, shot: Shot = SHOT) -> Node:
    return way(node, found(node).placement, shot)


def taken(node: Node) -> list[tuple[str, Shot]]:
    carried = take(node, found(node).placement)
    return [(one.source, shot_from_json(one.facts)) for one in carried]


def test_native_carriers_all_say_the_same() -> None:
    node = put(put_native, clip("a", 100, 10))
    assert [source for source, _ in taken(node)] == ["the effect", "the clip's metadata", "the marker"]
    assert [shot.grain() for _, shot in taken(node)] == [SHOT.grain()] * 3
    assert [shot.profile for _, shot in taken(node)] == [PROFILE, PROFILE, None]
    effect, marker = node["effects"][0], node["markers"][0]
    assert (effect["OTIO_SCHEMA"], effect["effect_name"], effect["name"]) == ("Effect.1", "org.grainlayer.GrainSplit", "Grain Split")
    assert (marker["OTIO_SCHEMA"], list(marker["metadata"]["Resolve_OTIO"])) == ("Marker.2", ["Keywords", "Note"])
    assert marker["marked_range"]["start_time"]["value"] == 100.0


def test_what_is_set_again_replaces_and_keeps_its_place() -> None:
    node = put(put_native, clip("a", 100, 10, **copy.deepcopy(FOREIGN)))
    node["effects"].append({"OTIO_SCHEMA": "Effect.1", "metadata": {}, "name": "later", "effect_name": "later"})
    node["effects"][1]["enabled"] = False
    again = put(put_native, node, Shot("u1", effect=Effect.ARTIFACT_RESTORE))
    assert [effect["effect_name"] for effect in again["effects"]] == ["Resolve Effect", "org.grainlayer.ArtifactRestore", "later"]
    assert again["effects"][1]["enabled"] is False
    assert [marker["name"] for marker in again["markers"]] == ["theirs", "GrainLayer"]
    assert {shot.effect for _, shot in taken(again)} == {Effect.ARTIFACT_RESTORE}
    assert put(put_native, again, Shot("u1", effect=Effect.ARTIFACT_RESTORE)) == again


@pytest.mark.parametrize("way", [put_native, put_fcp7, put_fcpx, put_edl, put_ale])
def test_nothing_foreign_is_touched_and_all_of_ours_comes_off(way: Put) -> None:
    node = clip("a", 100, 10, **copy.deepcopy(FOREIGN))
    before = json.dumps(node)
    other = put(way, node)
    assert json.dumps(node) == before
    assert taken(other)[0][1].grain() == SHOT.grain()
    left = cleaned(other, native=True)
    left["metadata"].pop("ALE", None)
    assert json.dumps(left) == before


@given(shots())
def test_any_grain_goes_through_a_line_of_text(shot: Shot) -> None:
    text = text_of(shot)
    assert text.isascii()
    assert text.isprintable()
    facts, at = parse_text(f"GRAINLAYER {text} and more")
    assert at is None
    assert shot_from_json(facts).grain() == shot.grain()


def test_a_long_note_holds_uid_and_digest() -> None:
    long = Shot("u1", params=ShotParams(profile_data="x" * 4000))
    facts, _ = parse_text(text_of(long, LONGEST_NOTE))
    assert facts is not None
    assert set(facts) == {"schema", "uid", "digest"}
    assert len(text_of(Shot("u1", params=ShotParams(profile_data="x" * 1800)), LONGEST_NOTE)) <= LONGEST_NOTE
    assert put(put_native, clip("a", 0, 5), long)["metadata"]["grainlayer"]["params"]["profile_data"] == "x" * 4000


@pytest.mark.parametrize("text", ['{"grainlayer"', '{"grainlayer": 3}', '{"grainlayer": ' + "[" * 100_000])
def test_a_damaged_text_says_nothing(text: str) -> None:
    assert parse_text(text)[0] is None
    assert [one.facts for one in take(clip("a", 0, 5, markers=[RESOLVE | {"comment": text}]), found(clip("a", 0, 5)).placement)] == [None]


def test_odd_shapes_are_passed_over() -> None:
    node = clip(
        "a", 0, 5, effects=None, markers=[3, {"metadata": 4}, {"metadata": {"Resolve_OTIO": "x"}}], metadata={"cmx_3600": {"comments": 5}}
    )
    assert taken(node) == []
    assert taken(put(put_native, node))[0][0] == "the effect"


def test_a_comment_that_is_taken_is_left_and_the_next_one_used() -> None:
    node = put(put_fcp7, clip("a", 0, 5, metadata={"fcp_xml": {"comments": {"mastercomment1": "theirs", "mastercomment2": ""}}}))
    comments = node["metadata"]["fcp_xml"]["comments"]
    assert comments["mastercomment1"] == "theirs"
    assert comments["mastercomment2"].startswith('{"grainlayer"')


def test_clips_of_one_master_each_find_their_own_text() -> None:
    same = {"AAF": {"MobID": "urn:1"}}
    nodes = [clip("a", 100, 10, metadata=copy.deepcopy(same)), clip("b", 200, 10, metadata=copy.deepcopy(same)), clip("c", 0, 5)]
    clips = [found(node) for node in nodes]
    put_in = put_all_aaf(clips, [Shot("u1"), Shot("u2"), None])
    assert len(put_in[0]["metadata"]["AAF"]["UserComments"]) == 2
    assert [[shot.uid for _, shot in taken(node)] for node in put_in] == [["u1"], ["u2"], []]
    again = put_all_aaf([found(node) for node in put_in], [Shot("u1"), None, None])
    assert [[shot.uid for _, shot in taken(node)] for node in again] == [["u1"], [], []]


def test_an_edl_states_its_rate_in_our_comments() -> None:
    text = put(put_edl, clip("a", 0, 5, rate=24000 / 1001))["metadata"]["cmx_3600"]["comments"][0]
    assert stated_rate(f"001 A\n* {text}\n") == Fraction(24000, 1001)
    assert stated_rate("* GRAINLAYER x") is None


def test_what_people_wrote_beside_our_text_stays() -> None:
    """In a marker's note, name and comment, and in other programs' comments; ours is replaced, and comes off alone."""
    node = put(put_native, clip("a", 100, 10))
    marker = node["markers"][0]
    marker["metadata"]["Resolve_OTIO"]["Note"] = "For Ann: " + marker["metadata"]["Resolve_OTIO"]["Note"] + " ask Bob"
    marker["name"] = f"see here {text_of(SHOT)}"
    other = replace(SHOT, params=replace(SHOT.params, grain_amount=0.125))
    again = put(put_native, node, other)
    assert all(shot.grain() == other.grain() for _, shot in taken(again))
    note = again["markers"][0]["metadata"]["Resolve_OTIO"]["Note"]
    assert note.startswith("For Ann: ask Bob {")
    assert again["markers"][0]["name"] == "see here"
    left = cleaned(again, native=True)["markers"]
    assert [(one["name"], one["metadata"]["Resolve_OTIO"]["Note"]) for one in left] == [("see here", "For Ann: ask Bob")]
    edl = put(put_edl, clip("a", 100, 10))
    edl["metadata"]["cmx_3600"]["comments"].append(f"REMEMBER {text_of(SHOT)}")
    assert cleaned(edl)["metadata"]["cmx_3600"]["comments"] == ["REMEMBER"]
    assert without_ours('{"grainlayer": damaged') == ""
    assert without_ours("nothing of ours") == "nothing of ours"
