"""Where clips lie in an edit, found on plain JSON."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from grainlayer.editorial.clips import exact, exact_rate, find_clips, path_of, speed_of, unknown_schemas
from grainlayer.editorial.shots import Placement, Span
from grainlayer.errors import TimelineError
from tests.edits import Node, clip, gap, span, stack, timeline, track


def placements(tree: Node) -> list[Placement]:
    return [found.placement for found in find_clips(tree)[2]]


def frames(placement: Placement) -> tuple[Fraction, Fraction]:
    return placement.record.start, placement.record.duration


def test_clips_follow_one_another_and_transitions_take_no_time() -> None:
    transition = {"OTIO_SCHEMA": "Transition.1", "name": "", "in_offset": {}, "out_offset": {}}
    tree = timeline(track([clip("a", 0, 10), transition, gap(5), clip("b", 100, 20)]), track([gap(3), clip("c", 7, 4)], "V2"))
    rate, start, found, problems = find_clips(tree)
    assert (rate, start, problems) == (24, 86400, [])
    a, b, c = (clip.placement for clip in found)
    assert [frames(a), frames(b), frames(c)] == [(0, 10), (15, 20), (3, 4)]
    assert [(p.track, p.track_name, p.place) for p in (a, b, c)] == [(0, "V1", 0), (0, "V1", 3), (1, "V2", 1)]
    assert b.source == Span(Fraction(100), Fraction(20), Fraction(24))


def test_sound_is_left_out_but_its_tracks_count() -> None:
    tree = timeline(track([clip("a", 0, 5)]), track([clip("s", 0, 5)], "A1", "Audio"), track([clip("b", 0, 5)], "V2"))
    assert [(p.name, p.track) for p in placements(tree)] == [("a", 0), ("b", 2)]


def test_rates_may_differ_and_stay_exact() -> None:
    tree = timeline(track([clip("a", 0, 24, rate=23.976), clip("b", 50, 25, rate=25.0)]), rate=24000 / 1001)
    a, b = placements(tree)
    assert a.source.rate == a.record.rate == Fraction(24000, 1001)
    assert frames(a) == (0, 24)
    assert frames(b) == (24, Fraction(24000, 1001))


@pytest.mark.parametrize(
    ("stated", "rate"),
    [
        *[(23.976, "24000/1001"), (23.98, "24000/1001"), (24000 / 1001, "24000/1001"), (29.97, "30000/1001"), (59.94005994, "60000/1001")],
        *[(24, "24"), (24.0, "24"), (25.0, "25"), (59.999999999999, "60"), (12.5, "25/2"), (119.88, "120000/1001")],
    ],
)
def test_rates_are_understood(stated: float, rate: str) -> None:
    assert exact_rate(stated) == Fraction(rate)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), None, "24", True, 1e9])
def test_a_rate_that_is_none_is_one_sentence(value: Any) -> None:
    with pytest.raises(TimelineError, match=r"export it again.*\.$"):
        exact_rate(value)


def test_fractional_times_stay_as_written() -> None:
    assert exact(33.1) == Fraction(331, 10)
    assert exact(1e22) == 10**22


def test_bare_clips_collections_tracks_and_stacks() -> None:
    assert [p.name for p in placements(clip("a", 0, 5))] == ["a"]
    several = {"OTIO_SCHEMA": "SerializableCollection.1", "metadata": {}, "name": "", "children": [clip("a", 0, 5), clip("b", 0, 5)]}
    assert [(p.name, p.place, frames(p)[0]) for p in placements(several)] == [("a", 0, 0), ("b", 1, 0)]
    assert [p.name for p in placements(track([clip("a", 0, 5)]))] == ["a"]
    assert [p.name for p in placements(stack([clip("a", 0, 5), track([clip("b", 0, 5)])]))] == ["a", "b"]


def test_nested_compositions_are_entered_and_their_trim_counts() -> None:
    inner = stack([track([clip("a", 0, 10), clip("b", 0, 10)])], name="nest", source_range=span(4, 12))
    tree = timeline(track([clip("x", 0, 100), inner, clip("y", 0, 1)]))
    found = {p.name: p for p in placements(tree)}
    assert [frames(found[name])[0] for name in "xaby"] == [0, 96, 106, 112]
    assert found["b"].nested == ("nest", "V1")
    assert (found["b"].track, found["b"].place) == (0, 1)


def test_disabled_clips_and_tracks() -> None:
    tree = timeline(track([clip("a", 0, 5), clip("b", 0, 5) | {"enabled": False}]), track([clip("c", 0, 5)], enabled=False))
    assert [p.enabled for p in placements(tree)] == [True, False, False]


def effect(schema: str, **more: Any) -> Node:
    return {"OTIO_SCHEMA": schema, "metadata": {}, "name": "", "effect_name": "", **more}


def test_speeds() -> None:
    warp = effect("LinearTimeWarp.1", time_scalar=-2.5)
    assert speed_of(clip("a", 0, 5, effects=[warp])) == Fraction(-5, 2)
    assert speed_of(clip("a", 0, 5, effects=[warp, warp | {"enabled": False}])) == Fraction(-5, 2)
    assert speed_of(clip("a", 0, 5, effects=[effect("FreezeFrame.1")])) == 0
    assert speed_of(clip("a", 0, 5, effects=[effect("TimeEffect.1")])) is None
    assert speed_of(clip("a", 0, 5, effects=None)) == 1


def test_media_sequences_and_reels() -> None:
    sequence = {"OTIO_SCHEMA": "ImageSequenceReference.1", "target_url_base": "C:\\shots\\", "name_prefix": "a.", "name_suffix": ".exr"}
    sequence |= {"start_frame": 1001, "frame_zero_padding": 4, "available_range": span(0, 99), "metadata": {}}
    found = placements(clip("a", 10, 5, media_references={"DEFAULT_MEDIA": sequence}))[0]
    assert (found.media, found.first_number, found.first_frame) == ("C:\\shots\\a.%04d.exr", 1001, 10)
    old = clip("a", 1010, 5, metadata={"cmx_3600": {"reel": "A001"}})
    old |= {"OTIO_SCHEMA": "Clip.1", "media_reference": old.pop("media_references")["DEFAULT_MEDIA"]}
    found = placements(old)[0]
    assert (found.media, found.reel, found.first_frame) == ("/media/A.mov", "A001", 10)
    missing = placements(clip("a", 0, 5, media=None))[0]
    assert (missing.media, missing.available) == (None, None)


def test_a_clip_without_a_range_takes_its_medias_and_an_empty_one_is_reported() -> None:
    assert frames(placements(clip("a", 0, 5) | {"source_range": None})[0]) == (0, 2000)
    problems = find_clips(timeline(track([clip("a", 0, 0), clip("b", 0, 1, media=None) | {"source_range": None}])))[3]
    assert ['"a" has a length of zero' in problems[0], '"b" states no range' in problems[1]] == [True, True]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        *[("file:///a/b%20c.mov", "/a/b c.mov"), ("file:///C:/a.mov", "C:/a.mov"), ("file://server/a.mov", "//server/a.mov")],
        *[("file://localhost/a.mov", "/a.mov"), ("C:\\a.mov", "C:\\a.mov"), ("/a.mov", "/a.mov"), ("http://x/a.mov", "http://x/a.mov")],
    ],
)
def test_paths(url: str, path: str) -> None:
    assert path_of(url) == path


def test_unknown_schemas_are_reported_once_each() -> None:
    tree = timeline(track([clip("a", 0, 5, effects=[effect("OurGrain.1"), effect("OurGrain.1"), effect("Effect.7")])]))
    tree["metadata"]["x"] = {"OTIO_SCHEMA": "Anything.1"}
    assert sorted(sentence.split(";")[0] for sentence in unknown_schemas(tree)) == [
        "Objects of the unknown schema Effect.7 (1) are kept as they are",
        "Objects of the unknown schema OurGrain.1 (2) are kept as they are",
    ]


def test_too_many_nests_are_one_sentence() -> None:
    tree = clip("a", 0, 5)
    for _ in range(200):
        tree = stack([track([tree])])
    with pytest.raises(TimelineError, match="flatten"):
        find_clips(timeline(track([tree])))
