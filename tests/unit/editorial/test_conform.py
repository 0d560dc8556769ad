"""Grain carried over to a new cut: each kind of evidence, splits and copies, what is reported instead of guessed, and whole files."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from grainlayer.cli_conform import conform_command
from grainlayer.editorial import sightings
from grainlayer.editorial.conform import conform, conform_files
from grainlayer.editorial.conform_report import Report
from grainlayer.editorial.matching import Evidence, Outcome
from grainlayer.editorial.shots import PlacedShot, Placement, Shot, ShotList, Span
from grainlayer.editorial.sightings import Sighting, overlap, plain_path
from grainlayer.editorial.timeline import read_timeline, write_timeline
from grainlayer.errors import TimelineError
from grainlayer.params import ShotParams
from tests.edits import Node, clip, gap, opened, span, timeline, track, write

DAY = 86400
"""Frames of an hour at 24 a second."""


def shot(uid: str, **more: Any) -> Shot:
    return Shot(uid, params=ShotParams(grain_seed=sum(uid.encode())), **more)


def seen(name: str, start: int, length: int, media: str | None = "/m/A.mov", uid: str = "", **more: Any) -> PlacedShot:
    """Return a clip; `at` is where it lies in the edit, `rate` that of its source."""
    at, rate = more.pop("at", 0), Fraction(more.pop("rate", 24))
    record, source = Span(Fraction(at), Fraction(length) / rate * 24, Fraction(24)), Span(Fraction(start), Fraction(length), rate)
    grain = more.pop("shot", shot(uid) if uid else None)
    placement = Placement(name, more.pop("track", 0), "V1", 0, record, source, media, **more)
    return PlacedShot(0, placement, grain)


def cut(*clips: PlacedShot) -> ShotList:
    return ShotList("cut", Fraction(24), Fraction(0), tuple(replace(one, index=index) for index, one in enumerate(clips, 1)))


def outcomes(report: Report) -> list[str]:
    return [str(row.evidence or row.outcome) for row in report.rows]


def uids(report: Report) -> list[str]:
    return [placed.uid for placed in report.shots]


def matched(old: ShotList, new: ShotList, claims: dict[int, tuple[str, ...]] | None = None) -> Report:
    """Conform with uids new1, new2 ..."""
    numbers = itertools.count(1)
    return conform(old, new, claims, lambda: f"new{next(numbers)}")


OLD = cut(
    seen("SH010", DAY, 100, "/m/A.mov", "a", at=0, reel="R1"),
    seen("SH020", DAY + 500, 100, "/m/A.mov", "b", at=100, reel="R1"),
    seen("SH030", DAY, 50, "/m/C.mov", "c", at=200),
    seen("SH040", 0, 120, None, "d", at=250),
)


def test_an_unchanged_cut_keeps_everything_with_and_without_uids() -> None:
    same = matched(OLD, OLD)
    assert outcomes(same) == ["uid"] * 4
    assert same.shots.shots == tuple(replace(one, shot=replace(one.shot, name=one.name)) for one in OLD if one.shot)
    assert not any(row.changes for row in same.rows)
    lost = matched(OLD, cut(*(replace(one, shot=None) for one in OLD)))
    assert outcomes(lost) == [Evidence.MEDIA, Evidence.MEDIA, Evidence.MEDIA, Evidence.NAME]
    assert uids(lost) == ["a", "b", "c", "d"]


def test_a_trim_a_slip_a_retime_and_a_new_rate_are_followed() -> None:
    new = cut(
        seen("SH010", DAY + 40, 30),
        seen("SH020", DAY + 520, 100, speed=Fraction(2)),
        seen("SH030", DAY // 24 * 25, 52, "/m/C.mov", rate=25),
    )
    report = matched(OLD, new)
    assert uids(report) == ["a", "b", "c"]
    assert [row.changes for row in report.rows] == [("trimmed",), ("moved", "retimed"), ("moved", "trimmed")]
    assert [one.uid for one in report.deleted] == ["d"]


def test_keyframes_stay_on_their_pictures_when_media_begins_elsewhere() -> None:
    keys = {"grain_amount": ((10, 0.5), (60, 1.0))}
    whole, handles = (Span(Fraction(first), Fraction(2000), Fraction(24)) for first in (DAY, DAY + 400))
    old = cut(seen("SH1", DAY + 405, 90, "/m/A.mov", shot=shot("a", keys={"grain_amount": ((410, 0.5), (460, 1.0))}), available=whole))
    new = cut(seen("SH1", DAY + 420, 50, "/consolidated/A.mov", available=handles))
    report = matched(old, new)
    assert report.shots.shots[0].shot == shot("a", keys=keys, name="SH1")
    unknown = replace(new.shots[0], placement=replace(new.shots[0].placement, available=None))
    assert "check the keyframes" in matched(old, cut(unknown)).in_words()
    faster = replace(old.shots[0], placement=replace(old.shots[0].placement, available=None, speed=Fraction(3)))
    kept = matched(old, cut(faster)).shots.shots[0].shot
    assert kept is not None
    assert kept.keys == {"grain_amount": ((410, 0.5), (460, 1.0))}


@pytest.mark.parametrize(
    ("media", "reel", "evidence"),
    [("/elsewhere/A.mov", None, Evidence.MEDIA), ("/proxy/1.mp4", "R1", Evidence.REEL), ("/proxy/1.mp4", None, Outcome.AMBIGUOUS)],
)
def test_relinked_media_is_followed_by_file_name_or_reel(media: str, reel: str | None, evidence: str) -> None:
    report = matched(OLD, cut(seen("SH010", DAY + 10, 50, media, reel=reel)))
    assert outcomes(report) == [evidence]
    assert [one.uid for one in report.doubtful] == ([] if reel or "A.mov" in media else ["a"])


def test_one_uid_tells_where_all_of_its_media_went() -> None:
    new = cut(seen("SH010", DAY, 100, "/proxy/1.mp4", "a"), seen("other", DAY + 510, 20, "/proxy/1.mp4"))
    report = matched(OLD, new)
    assert outcomes(report) == ["uid", Evidence.MEDIA]
    assert uids(report) == ["a", "b"]


def test_record_time_counts_only_without_media_and_name_and_never_after_a_swap() -> None:
    old = cut(seen("one", 5, 50, None, "a"), seen("two", 9, 50, None, "b", at=50))
    assert outcomes(matched(old, cut(seen("", 5, 50, None), seen("", 9, 50, None, at=50)))) == [Evidence.RECORD] * 2
    swapped = matched(old, cut(seen("", 9, 50, None), seen("", 5, 50, None, at=50)))
    assert outcomes(swapped) == [Outcome.AMBIGUOUS] * 2
    alike = cut(seen("one", 0, 50, None, "a"), seen("two", 0, 50, None, "b", at=50))
    assert outcomes(matched(alike, cut(seen("", 0, 50, None), seen("", 0, 50, None, at=50)))) == [Outcome.AMBIGUOUS] * 2
    assert outcomes(matched(OLD, cut(seen("", DAY + 501, 40), seen("", DAY, 100, at=500)))) == [Evidence.MEDIA] * 2


def test_a_split_keeps_the_uid_where_most_of_the_shot_is() -> None:
    new = cut(seen("SH010", DAY, 30, uid="a"), seen("SH010", DAY + 30, 70, uid="a", at=30), seen("SH010", DAY, 100, at=200))
    report = matched(OLD, new)
    assert uids(report) == ["new1", "a", "new2"]
    grains = [placed.shot.params.grain_seed for placed in report.shots if placed.shot]
    assert grains == [97] * 3
    assert "split or copy" in report.rows[0].note
    equal = matched(OLD, cut(seen("SH010", DAY, 100, uid="a", at=300), seen("SH010", DAY, 100, uid="a", at=20)))
    assert uids(equal) == ["new1", "a"]


def test_minted_uids_are_new() -> None:
    taken = iter(["b", "x", "x", "y"])
    new = cut(*(seen("SH010", DAY, 100, uid="a", at=100 * number) for number in range(3)))
    assert uids(conform(OLD, new, None, lambda: next(taken))) == ["a", "x", "y"]


def test_two_shots_of_the_same_pictures_are_not_guessed() -> None:
    old = cut(seen("take", DAY, 100, uid="a"), seen("take", DAY + 50, 100, uid="b"), seen("take", DAY + 130, 100))
    report = matched(old, cut(seen("take", DAY + 60, 30), seen("take", DAY + 155, 60), seen("take", DAY + 10, 20)))
    assert outcomes(report) == [Outcome.AMBIGUOUS, Evidence.MEDIA, Evidence.MEDIA]
    assert [one.uid for one in report.rows[0].candidates] == ["a", "b"]
    assert report.rows[1].outcome is Outcome.BARE
    assert uids(report) == ["", "", "a"]
    assert outcomes(matched(old, cut(seen("take", DAY + 60, 30, uid="b")))) == ["uid"]


def test_name_and_range_together_decide_between_shots_of_the_same_pictures() -> None:
    old = cut(seen("one", DAY, 100, uid="a"), seen("two", DAY + 50, 100, uid="b"))
    assert uids(matched(old, cut(seen("two", DAY + 50, 100)))) == ["b"]
    assert uids(matched(old, cut(seen("two", DAY + 50, 90)))) == [""]
    assert uids(matched(old, cut(seen("one", DAY + 50, 100)))) == [""]


def test_shots_of_the_same_pictures_with_the_same_grain_are_no_question() -> None:
    grain = shot("a")
    old = cut(seen("take", DAY, 100, shot=grain), seen("take", DAY + 50, 100, shot=replace(grain, uid="b")))
    report = matched(old, cut(seen("take", DAY + 60, 30)))
    assert uids(report) == ["new1"]
    assert "all with this grain" in report.rows[0].note


def test_a_marker_copied_onto_another_shot_is_a_conflict() -> None:
    copied = cut(seen("SH010", DAY, 100, uid="a"), seen("SH030", DAY, 50, "/m/C.mov", "a"), seen("SH020", DAY + 500, 100, uid="a"))
    report = matched(OLD, copied)
    assert outcomes(report) == ["uid", Outcome.CONFLICT, Outcome.CONFLICT]
    assert [one.uid for one in report.rows[1].candidates] == ["a", "c"]
    assert uids(report) == ["a", "", ""]
    fresh = matched(OLD, cut(seen("SH010", DAY, 100, uid="a"), seen("new", DAY + 5, 50, "/m/new.mov", "a")))
    assert outcomes(fresh) == ["uid", Outcome.CONFLICT]


def test_a_second_uid_is_passed_over_where_the_media_says_so() -> None:
    new = cut(seen("SH010", DAY, 100, uid="c"), seen("SH020", DAY + 490, 30, uid="b"))
    report = matched(OLD, new, {1: ("c", "a"), 2: ("b",)})
    assert uids(report) == ["a", "b"]
    assert "passed over" in report.rows[0].note
    both = matched(cut(seen("x", 0, 90, uid="a"), seen("x", 10, 90, uid="b")), cut(seen("x", 20, 50, uid="a")), {1: ("a", "b")})
    assert outcomes(both) == [Outcome.CONFLICT]


def test_a_uid_holds_through_a_slip_to_pictures_of_nobody() -> None:
    assert outcomes(matched(OLD, cut(seen("SH010", DAY + 200, 100, uid="a")))) == ["uid"]
    assert outcomes(matched(OLD, cut(seen("SH010", DAY + 510, 80, uid="a")))) == [Outcome.CONFLICT]


def test_a_copied_uid_among_overlapping_takes_is_reported_unless_the_range_tells() -> None:
    old = cut(seen("take", DAY, 100, uid="a"), seen("take", DAY + 50, 100, uid="b"))
    report = matched(old, cut(seen("take", DAY, 100, uid="a"), seen("take", DAY + 60, 30, uid="a"), seen("take", DAY + 50, 100, uid="a")))
    assert outcomes(report) == ["uid", Outcome.AMBIGUOUS, Outcome.CONFLICT]


def test_a_marker_copied_onto_an_unused_part_of_the_media_is_no_slip() -> None:
    report = matched(OLD, cut(seen("SH010", DAY, 100, uid="a"), seen("SH010", DAY + 9000, 50, uid="a")))
    assert outcomes(report) == ["uid", Outcome.CONFLICT]
    assert outcomes(matched(OLD, cut(seen("renamed", DAY + 9000, 50, uid="a")))) == [Outcome.CONFLICT]


def test_a_carrier_of_unknown_media_contests_a_uid_too() -> None:
    old = cut(seen("Clip", DAY, 100, uid="a"), seen("Clip", DAY, 100, uid="b"))
    report = matched(old, cut(seen("Clip", DAY, 100, uid="a"), seen("Clip", DAY, 120, "/proxy/5.mp4", "a")))
    assert outcomes(report) == [Outcome.AMBIGUOUS, Outcome.CONFLICT]


def test_a_file_name_by_accident_relinks_nothing() -> None:
    old = cut(seen("x", DAY, 100, "/m/1.mxf", "a"), seen("y", 9 * DAY, 100, "/m/2.mxf", "b"))
    report = matched(old, cut(seen("z", 9 * DAY, 100, "/proxy/1.mp4", "a"), seen("y", 9 * DAY, 100, "/m/2.mxf", "b")))
    assert outcomes(report) == [Outcome.CONFLICT, "uid"]
    cards = cut(seen("x", DAY, 100, "/card1/A001.mov", "a"), seen("y", DAY, 100, "/card2/A001.mov", "b"))
    assert outcomes(matched(cards, cut(seen("z", DAY + 5, 50, "/moved/A001.mov", "a")))) == [Outcome.CONFLICT]


def test_a_ramp_bears_out_no_uid_by_pictures_that_are_not_stated() -> None:
    old = cut(seen("x", DAY, 100, "/card1/A001.mov", "a", speed=None))
    assert outcomes(matched(old, cut(seen("z", 5 * DAY, 50, "/moved/A001.mov", "a")))) == [Outcome.CONFLICT]


def test_what_a_ramp_shows_is_not_guessed() -> None:
    old = cut(seen("one", DAY, 100, uid="a", speed=None))
    report = matched(old, cut(seen("x", DAY + 50, 20), seen("x", DAY + 5000, 20)))
    assert outcomes(report) == [Evidence.MEDIA, Outcome.AMBIGUOUS]


def test_grain_that_only_the_new_cut_has_stays() -> None:
    report = matched(OLD, cut(seen("late", 7, 50, "/m/new.mov", "own"), seen("late", 7, 50, "/m/new.mov", "own", at=50)))
    assert outcomes(report) == [Outcome.OWN] * 2
    assert uids(report) == ["own", "new1"]


def test_values_changed_in_the_new_cut_are_named() -> None:
    new = cut(seen("SH010", DAY, 100, shot=Shot("a", params=ShotParams(grain_seed=1))))
    assert "differ in grain_seed" in matched(OLD, new).rows[0].note


def test_paths_are_compared_in_one_spelling() -> None:
    assert plain_path("D:\\Rushes\\A.MOV") == plain_path("d:/rushes/a.mov")
    assert plain_path("/m/Cafe\u0301.mov") == plain_path("/m/Caf\u00e9.mov")
    assert plain_path("/m/A.mov") != plain_path("/m/a.mov")
    assert plain_path("") is None


def test_zero_lengths_and_an_empty_cut_are_no_trouble() -> None:
    assert uids(matched(OLD, cut(seen("SH010", DAY + 5, 0)))) == ["a"]
    assert matched(OLD, cut()).in_words().startswith("0 of 0 clips")
    assert outcomes(matched(cut(), OLD)) == [Outcome.OWN] * 4


@pytest.mark.parametrize("kind", ["usual", "one media", "all alike", "nested"])
def test_work_grows_no_faster_than_the_cut(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0

    def counted(one: Sighting, other: Sighting) -> Fraction:
        nonlocal compared
        compared += 1
        return overlap(one, other)

    def one(number: int, carries: bool) -> PlacedShot:
        uid = f"u{number}" if carries else ""
        if kind == "all alike":
            return seen("x", 0, 50, uid=uid, at=number)
        if kind == "nested":
            return seen("x", DAY if number % 2 else DAY + number * 50, 300_000 if number % 2 else 40, uid=uid, at=number)
        return seen(f"SH{number}", DAY + number * 60, 50, "/m/A.mov" if kind == "one media" else f"/m/{number}.mov", uid, at=number)

    monkeypatch.setattr(sightings, "overlap", counted)
    old = cut(*(one(number, True) for number in range(1000)))
    report = matched(old, cut(*(one(number, number % 3 == 0) for number in range(1000))))
    assert len(report.of(Outcome.MATCHED)) == (1000 if kind in ("usual", "one media") else 334)
    assert compared < 1000 * 110


def test_the_report_is_whole_in_words_and_in_json() -> None:
    new = cut(seen("SH010", DAY, 50, uid="a"), seen("new", 3, 9, "/m/new.mov"), seen("SH030", DAY, 50, "/m/C.mov", "a"))
    report = matched(OLD, new)
    words = report.in_words()
    assert "1 of 3 clips have their grain: 1 by uid." in words
    assert 'Not certain, and left without grain (1):\n  3 "SH030"; its uid is that of one shot' in words
    assert "New, or changed beyond recognition" in words
    assert "Shots that are gone; the sidecar keeps their grain (2):" in words
    facts = json.loads(json.dumps(report.to_json()))
    assert facts["counts"] == {"matched": 1, "matched, without grain": 0, "own grain": 0, "ambiguous": 0, "conflict": 1, "new": 1}
    assert facts["rows"][0] == {
        "index": 1,
        "name": "SH010",
        "outcome": "matched",
        "evidence": "uid",
        "old": {"index": 1, "name": "SH010", "uid": "a"},
        "uid": "a",
        "changes": ["trimmed"],
        "candidates": [],
        "note": "",
    }
    assert [one["uid"] for one in facts["deleted"]] == ["b", "d"]


def graded(folder: Path, items: list[Node], name: str = "old.otio", **where: float) -> Path:
    """Write an edit of which every clip has grain, and its sidecar."""
    edit = opened(folder, timeline(track(items), **where), f"plain_{name}")
    changes = {p.index: replace(edit.shot_of(p), uid=f"uid{p.index}").changed({"grain_amount": p.index / 10}) for p in edit.shots}
    return write_timeline(edit.changed(changes), folder / name).path


def test_files_are_conformed_and_nothing_foreign_is_touched(tmp_path: Path) -> None:
    items = [clip("SH010", 1100, 50), clip("SH020", 1300, 50), clip("SH030", 1000, 20, None)]
    old = graded(tmp_path, items)
    tree = json.loads(old.read_text("utf-8"))
    first, second, _ = tree["tracks"]["children"][0]["children"]
    foreign = {"Resolve_OTIO": {"Keywords": ["keep"], "value": 0.1}}
    inserted = clip("inserted", 1800, 20, "/media/new.mov", metadata=foreign, markers=[first["markers"][0]])
    tree["tracks"]["children"][0]["children"] = [gap(7), second, inserted, clip("SH010", 1110, 20)]
    new = write(tmp_path / "new.otio", tree)
    out = tmp_path / "out.otio"
    report = conform_files(old, new, out)
    assert uids(report) == ["uid2", "", "uid1"]
    assert outcomes(report) == ["uid", Outcome.CONFLICT, Evidence.MEDIA]
    again = read_timeline(out)
    assert again.shots.shots == report.shots.shots
    assert not again.shots.problems
    assert set(again.companion.shots) == {"uid1", "uid2", "uid3"}
    written = json.loads(out.read_text("utf-8"))["tracks"]["children"][0]["children"]
    assert written[0] == gap(7)
    assert written[2]["metadata"] == foreign
    assert written[2]["markers"] == []
    (tmp_path / "out.grain.json").unlink()
    assert [placed.uid for placed in read_timeline(out).shots] == ["uid2", "", "uid1"]


def test_the_new_cuts_own_values_are_kept_in_the_sidecar(tmp_path: Path) -> None:
    old = graded(tmp_path, [clip("SH010", 1100, 50)])
    edit = read_timeline(old)
    placed = edit.shots.one("SH010")
    new = write_timeline(edit.changed({1: edit.shot_of(placed).changed({"grain_amount": 3.0})}), tmp_path / "new.otio").path
    report = conform_files(old, new, tmp_path / "out.otio")
    assert "differ in grain_amount" in report.rows[0].note
    again = read_timeline(tmp_path / "out.otio")
    assert [one.shot.params.grain_amount for one in again.shots if one.shot] == [0.1]
    assert [kept.shot.params.grain_amount for kept in again.companion.kept] == [3.0]
    assert not again.shots.conflicts


def test_copies_in_a_file_get_uids_of_their_own(tmp_path: Path) -> None:
    old = graded(tmp_path, [clip("SH010", 1100, 50)])
    tree = json.loads(old.read_text("utf-8"))
    items = tree["tracks"]["children"][0]["children"]
    items.append({**items[0], "effects": [{"OTIO_SCHEMA": "LinearTimeWarp.1", "time_scalar": 2.0}, *items[0]["effects"]]})
    report = conform_files(old, write(tmp_path / "new.otio", tree), tmp_path / "out.otio")
    assert report.rows[1].changes == ("moved", "retimed")
    assert not report.problems
    again = read_timeline(tmp_path / "out.otio").shots
    assert not again.problems
    assert len({placed.uid for placed in again}) == 2


def test_two_uids_on_one_clip_are_both_seen(tmp_path: Path) -> None:
    old = graded(tmp_path, [clip("SH010", 1100, 50), clip("SH020", 1100, 50, "/media/B.mov")])
    tree = json.loads(old.read_text("utf-8"))
    one, two = tree["tracks"]["children"][0]["children"]
    two["markers"] = one["markers"]
    report = conform_files(old, write(tmp_path / "new.otio", tree), tmp_path / "out.otio")
    assert uids(report) == ["uid1", "uid2"]
    assert "passed over" in report.rows[1].note
    assert not read_timeline(tmp_path / "out.otio").shots.conflicts


def test_the_command_writes_reports_and_refuses(tmp_path: Path) -> None:
    old = graded(tmp_path, [clip("SH010", 1100, 50)])
    new = write(tmp_path / "new.otio", timeline(track([clip("SH010", 1110, 20), clip("late", 0, 9, "/media/Z.mov")])))
    args = [str(old), str(new), "-o", str(tmp_path / "out.otio")]
    first = CliRunner().invoke(conform_command, [*args, "--json"], catch_exceptions=False)
    facts = json.loads(first.output.splitlines()[-1])
    assert facts["sidecar"] == str(tmp_path / "out.grain.json")
    assert facts["rows"][0]["evidence"] == "media and source timecode"
    with pytest.raises(TimelineError, match="exists already"):
        CliRunner().invoke(conform_command, args, catch_exceptions=False)
    again = CliRunner().invoke(conform_command, [*args, "--overwrite"], catch_exceptions=False)
    assert again.output.startswith("1 of 2 clips have their grain")


@pytest.mark.parametrize("rate", ["24000/1001", "25", "30"])
@pytest.mark.parametrize("first", ["old", "new"])
def test_a_cut_that_states_no_rate_is_read_at_the_other_ones(rate: str, first: str, tmp_path: Path) -> None:
    """Clips of one tape, all of one name, as editors' lists have them: at a wrong rate each would be its neighbour."""
    number = float(Fraction(rate))
    start = round(number) * 3600
    items = [clip("A001", start + 40 * n, 40, "/media/A001.mov", number) for n in range(6)]
    for item in items:
        item["media_references"]["DEFAULT_MEDIA"]["available_range"] = span(start, 1000, number)
        item["metadata"] = {"cmx_3600": {"reel": "A001"}}
    (tmp_path / "a").mkdir()
    whole = graded(tmp_path, items, start=start, rate=number)
    edl = write_timeline(opened(tmp_path, timeline(track(items), start=start, rate=number), "plain.otio"), tmp_path / "a" / "cut.edl").path
    (tmp_path / "a" / "cut.grain.json").unlink()
    if first == "old":
        report = conform_files(whole, edl, tmp_path / "out.otio")
        assert uids(report) == [f"uid{n}" for n in range(1, 7)]
    else:
        report = conform_files(edl, whole, tmp_path / "out.otio")
        assert outcomes(report) == [Outcome.OWN] * 6
    assert any("cut.edl does not state its rate" in problem and f"{number:g}" in problem for problem in report.problems)


def test_what_was_strange_in_either_cut_is_reported(tmp_path: Path) -> None:
    old = graded(tmp_path, [clip("SH010", 1100, 50), clip("SH020", 1300, 50)])
    new = write_timeline(read_timeline(old), tmp_path / "new.otio").path
    for path, amount in ((old, 2.5), (new, 3.5)):
        tree = json.loads(path.read_text("utf-8"))
        tree["tracks"]["children"][0]["children"][0]["effects"][0]["metadata"]["grainlayer"]["params"]["grain_amount"] = amount
        tree["tracks"]["children"][0]["children"].append({"OTIO_SCHEMA": f"Strange{amount:g}.1".replace(".5", "")})
        path.write_text(json.dumps(tree), "utf-8")
    report = conform_files(old, new, tmp_path / "out.otio")
    assert [sum(word in problem for problem in report.problems) for word in ("Strange2", "Strange3", "differ in grain_amount")] == [1, 1, 2]
