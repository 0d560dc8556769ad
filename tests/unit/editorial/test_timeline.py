"""Edits with their grain: reading, changing, writing, and what contradicts itself."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from grainlayer.editorial.compare import compare
from grainlayer.editorial.formats import dump, load
from grainlayer.editorial.shots import Shot
from grainlayer.editorial.timeline import Timeline, read_timeline, write_timeline
from grainlayer.errors import TimelineError
from grainlayer.params import ShotParams
from tests.edits import Node, clip, long_edit, opened, timeline, track, write
from tests.golden.write_shots import PROFILE


def graded(folder: Path, clips: int = 3, name: str = "graded.otio") -> Timeline:
    """Return an edit of which every clip has grain, written and read again."""
    edit = opened(folder, long_edit(clips), "plain.otio")
    changes = {p.index: edit.shot_of(p).changed({"grain_amount": p.index / 10}, {"grain_size": ((0, 1.0), (9, 2.0))}) for p in edit.shots}
    write_timeline(edit.changed(changes), folder / name)
    return read_timeline(folder / name)


def edited(path: Path, change: Callable[[Node], object]) -> None:
    """Change the first clip of an edit's file."""
    tree = json.loads(path.read_text("utf-8"))
    change(tree["tracks"]["children"][0]["children"][0])
    path.write_text(json.dumps(tree), "utf-8")


def set_effect(clip_: Node, amount: float) -> None:
    clip_["effects"][0]["metadata"]["grainlayer"]["params"]["grain_amount"] = amount


def test_grain_comes_back_with_and_without_the_sidecar(tmp_path: Path) -> None:
    edit = graded(tmp_path)
    assert [placed.shot.params.grain_amount for placed in edit.shots if placed.shot] == [0.1, 0.2, 0.3]
    (tmp_path / "graded.grain.json").unlink()
    again = read_timeline(tmp_path / "graded.otio")
    assert again.shots.shots == edit.shots.shots
    assert not edit.shots.problems + again.shots.problems


def test_only_what_is_set_changes_and_the_first_edit_stays(tmp_path: Path) -> None:
    edit = graded(tmp_path)
    placed = edit.shots.one("SH0001")
    changed = edit.changed({placed.index: edit.shot_of(placed).changed({"grain_amount": 2.0})})
    assert edit.shots.one("SH0001").shot != changed.shots.one("SH0001").shot
    write_timeline(changed, tmp_path / "other.otio")
    rows = compare(edit.shots, read_timeline(tmp_path / "other.otio").shots)
    assert [(row.label(), row.lines) for row in rows] == [(placed.label(), ("grain_amount: 0.2 -> 2",))]


def test_the_marker_alone_brings_parameters_and_keyframes(tmp_path: Path) -> None:
    edit = graded(tmp_path)
    tree = json.loads((tmp_path / "graded.otio").read_text())
    for item in tree["tracks"]["children"][0]["children"]:
        item |= {"effects": [], "metadata": {"Resolve_OTIO": {}}}
    alone = opened(tmp_path, tree, "resolve.otio")
    assert alone.shots.shots == edit.shots.shots


def test_a_note_that_is_too_long_needs_the_sidecar(tmp_path: Path) -> None:
    edit = opened(tmp_path, timeline(track([clip("a", 0, 5)])))
    long = edit.shot_of(edit.shots.one("a")).changed({"profile_data": "x" * 4000})
    write_timeline(edit.changed({1: long}), tmp_path / "long.otio")
    edited(tmp_path / "long.otio", lambda item: item.update(effects=[], metadata={}))
    assert read_timeline(tmp_path / "long.otio").shots.one("a").shot == long
    (tmp_path / "long.grain.json").unlink()
    bare = read_timeline(tmp_path / "long.otio")
    assert bare.shots.one("a").shot is None
    assert "only in the sidecar" in bare.shots.problems[0]


def test_profiles_come_from_whoever_has_them(tmp_path: Path) -> None:
    edit = opened(tmp_path, timeline(track([clip("a", 0, 5)])))
    write_timeline(edit.changed({1: Shot("u1", profile=PROFILE)}), tmp_path / "p.otio")
    edited(tmp_path / "p.otio", lambda item: item.update(effects=[], metadata={}))
    found = read_timeline(tmp_path / "p.otio", prefer="file").shots
    assert found.one("a").shot == Shot("u1", "a", profile=PROFILE)
    assert not found.conflicts


def test_a_sidecar_and_a_file_that_differ_are_both_kept(tmp_path: Path) -> None:
    path = tmp_path / "graded.otio"
    graded(tmp_path)
    edited(path, lambda item: set_effect(item, 3.0))
    edit = read_timeline(path)
    first = edit.shots.shots[0]
    assert first.shot is not None
    assert first.shot.params.grain_amount == 0.1
    assert "the sidecar and the effect differ in grain_amount" in str(edit.shots.conflicts[0])
    other = read_timeline(path, prefer="file").shots.shots[0].shot
    assert other is not None
    assert other.params.grain_amount == 3.0
    write_timeline(edit.changed({2: edit.shot_of(edit.shots.shots[1])}), tmp_path / "next.otio")
    unsettled = read_timeline(tmp_path / "next.otio")
    assert len(unsettled.shots.conflicts) == 1
    assert [kept.shot.params.grain_amount for kept in unsettled.companion.kept] == [3.0]
    settled = unsettled.changed({1: unsettled.shot_of(unsettled.shots.shots[0]).changed({"grain_amount": 0.7})})
    write_timeline(settled, tmp_path / "last.otio")
    last = read_timeline(tmp_path / "last.otio")
    assert not last.shots.conflicts
    assert [kept.shot.params.grain_amount for kept in last.companion.kept] == [3.0]


def test_carriers_that_contradict_each_other_are_reported_without_a_sidecar(tmp_path: Path) -> None:
    path = tmp_path / "graded.otio"
    graded(tmp_path)
    (tmp_path / "graded.grain.json").unlink()
    edited(path, lambda item: set_effect(item, 3.0))
    found = read_timeline(path).shots
    assert [(conflict.used_from, conflict.other_from) for conflict in found.conflicts] == [("the effect", "the clip's metadata")]


def test_copies_get_a_uid_of_their_own_when_set(tmp_path: Path) -> None:
    graded(tmp_path)
    tree = json.loads((tmp_path / "graded.otio").read_text())
    items = tree["tracks"]["children"][0]["children"]
    items.append(items[0])
    edit = opened(tmp_path, json.loads(json.dumps(tree)), "copied.otio")
    assert "shares its uid with 1" in edit.shots.problems[0]
    copied = edit.shots.shots[3]
    own = edit.shot_of(copied).changed({"grain_amount": 2.0})
    assert own.uid != copied.uid
    write_timeline(edit.changed({4: own}), tmp_path / "own.otio")
    assert not read_timeline(tmp_path / "own.otio").shots.problems


def test_shots_of_clips_that_are_gone_stay_in_the_sidecar(tmp_path: Path) -> None:
    edit = graded(tmp_path)
    path = write(tmp_path / "shorter.otio", long_edit(1))
    shorter = read_timeline(path, sidecar=tmp_path / "graded.grain.json")
    assert write_timeline(shorter, tmp_path / "s.otio").sidecar == tmp_path / "s.grain.json"
    assert set(read_timeline(tmp_path / "s.otio").companion.shots) == {placed.uid for placed in edit.shots}


def test_a_damaged_carrier_is_passed_over_and_named(tmp_path: Path) -> None:
    path = tmp_path / "graded.otio"
    graded(tmp_path)
    edited(path, lambda item: item["effects"][0]["metadata"].update(grainlayer={"schema": 1, "uid": "x", "params": {"no": 1}}))
    found = read_timeline(path).shots
    assert found.shots[0].shot is not None
    assert '"SH0000": the effect is passed over. This grain metadata is damaged' in found.problems[0]


def test_what_is_newer_than_the_program_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "graded.otio"
    graded(tmp_path)
    edited(path, lambda item: item["effects"][0]["metadata"].update(grainlayer={"schema": 2}))
    with pytest.raises(TimelineError, match=r'"SH0000" is of schema 2, .* update GrainLayer\.$'):
        read_timeline(path)


def test_outputs_are_not_replaced_and_nothing_is_left_half_written(tmp_path: Path) -> None:
    edit = graded(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(TimelineError, match="--overwrite"):
        write_timeline(edit, tmp_path / "graded.otio")
    (tmp_path / "new.grain.json").write_text("theirs")
    with pytest.raises(TimelineError, match=r"new\.grain\.json exists"):
        write_timeline(edit, tmp_path / "new.otio")
    with pytest.raises(TimelineError, match="suffix"):
        write_timeline(edit, tmp_path / "new.doc")
    with pytest.raises(TimelineError, match="cannot be written"):
        write_timeline(edit, tmp_path / "absent" / "new.otio")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "new.grain.json"])
    write_timeline(edit, tmp_path / "graded.otio", overwrite=True)
    assert read_timeline(tmp_path / "graded.otio").shots.shots == edit.shots.shots


NO_EDITS = (
    (b"", "no OpenTimelineIO file"),
    (b"\xff\xfe\x00", "no OpenTimelineIO file"),
    (b"[" * 100_000, "no OpenTimelineIO file"),
    (b"[]", "names no OTIO_SCHEMA"),
    (b"{}", "names no OTIO_SCHEMA"),
    (b'{"OTIO_SCHEMA": "Gap.1"}', "neither a timeline nor a clip"),
    (b'{"OTIO_SCHEMA": "RationalTime.1", "rate": 24, "value": 1}', "neither a timeline nor a clip"),
    (dump(clip("a", 0, 5) | {"source_range": {"start_time": {"rate": 0, "value": 1}, "duration": {"rate": 24, "value": 1}}}), "rate of 0"),
    (dump(clip("a", 0, float("nan"))), "where a time must be"),
)


@pytest.mark.parametrize(("data", "said"), NO_EDITS)
def test_what_is_no_edit_is_one_sentence(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "bad.otio"
    path.write_bytes(data)
    with pytest.raises(TimelineError, match=said + r".*\.$"):
        read_timeline(path)


def test_missing_files_and_bundles_that_are_none(tmp_path: Path) -> None:
    for name in ("absent.otio", "absent.edl"):
        with pytest.raises(TimelineError, match="There is no file"):
            read_timeline(tmp_path / name)
    (tmp_path / "bad.otioz").write_bytes(b"PK")
    (tmp_path / "empty.otiod").mkdir()
    with zipfile.ZipFile(tmp_path / "without.otioz", "w") as bundle:
        bundle.writestr("other", "x")
    for name in ("bad.otioz", "empty.otiod", "without.otioz", ""):
        with pytest.raises(TimelineError, match=r"\.$"):
            read_timeline(tmp_path / name)
    with pytest.raises(TimelineError, match="no sidecar"):
        read_timeline(write(tmp_path / "a.otio", long_edit(1)), sidecar=tmp_path / "absent")


def test_json_is_written_as_it_was_read(tmp_path: Path) -> None:
    text = '{"OTIO_SCHEMA": "Clip.2", "z": 0.1, "a": [1, 1.0, 1e-300, -0.0, 12345678901234567890], "s": "ø\\ud800", "i": Infinity}'
    path = tmp_path / "a.json"
    path.write_text(text, "utf-8")
    assert json.loads(dump(load(path, None)[0])) == json.loads(text)
    assert list(json.loads(dump(load(path, None)[0]))) == list(json.loads(text))
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load(path, None)[0]["z"] == 0.1


def test_comparing_finds_clips_that_came_went_moved_and_changed(tmp_path: Path) -> None:
    old = opened(tmp_path, timeline(track([clip("a", 0, 5), clip("b", 0, 5), clip("b", 50, 5), clip("gone", 0, 5)])), "old.otio")
    new = opened(tmp_path, timeline(track([clip("b", 0, 5), clip("a", 2, 5), clip("b", 50, 5), clip("new", 0, 5)])), "new.otio")
    new = new.changed({1: Shot("u1", params=ShotParams(grain_amount=0.5))})
    rows = {row.label(): row.lines for row in compare(old.shots, new.shots)}
    assert rows['4 "gone" (no grain)'] == ("only in the first edit",)
    assert rows['4 "new" (no grain)'] == ("only in the second edit",)
    assert rows['2 "a" (no grain)'] == ("record: 0-4 -> 5-9", "source: 0-4 -> 2-6")
    assert rows['1 "b" (uid u1)'] == ("record: 5-9 -> 0-4", "has grain only in the second edit")
    assert len(rows) == 4
    assert compare(new.shots, replace(new.shots)) == ()


@pytest.mark.parametrize("which", [1, 2])
def test_a_copy_keeps_its_grain_when_the_other_is_set(which: int, tmp_path: Path) -> None:
    """Copies share a uid until one of them is set."""
    path = write_timeline(graded(tmp_path, 1), tmp_path / "one.otio").path
    tree = json.loads(path.read_text("utf-8"))
    items = tree["tracks"]["children"][0]["children"]
    items += [items[0], items[0]]
    path.write_text(json.dumps(tree), "utf-8")
    edit = read_timeline(path)
    placed = edit.shots.shots[which - 1]
    write_timeline(edit.changed({which: edit.shot_of(placed).changed({"grain_amount": 0.3})}), path, overwrite=True)
    again = read_timeline(path)
    assert not again.shots.conflicts
    amounts = [one.shot.params.grain_amount for one in again.shots if one.shot]
    assert amounts == [0.3 if number == which else 0.1 for number in (1, 2, 3)]
    assert len({one.uid for one in again.shots}) == (3 if which == 1 else 2)
