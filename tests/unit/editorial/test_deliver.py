"""Names, ranges and identifiers of deliveries."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from grainlayer.editorial.keys import LOOK, REMOVAL
from grainlayer.editorial.openjd import ranges
from grainlayer.editorial.order import Order, safe_part, stems_of
from grainlayer.editorial.shots import PlacedShot, Placement, Span
from grainlayer.editorial.usedrange import MediaFacts, Overlap, frames_of, used_frames
from grainlayer.errors import ParamError, TimelineError
from grainlayer.params import TABLE, Group

F = Fraction


NORMAL, SPEED = F(24), F(1)


def placement(start: float, length: float, rate: Fraction = NORMAL, speed: Fraction | None = SPEED, known: Span | None = None) -> Placement:
    source = Span(F(start), F(length), rate)
    return Placement("SH", 0, "V1", 0, Span(F(0), F(length), rate), source, "a.mkv", available=known, speed=speed)


def used(place: Placement, media: MediaFacts, handles: int = 0, overlap: Overlap | None = None) -> tuple[int, int]:
    found = used_frames(place, overlap or Overlap(), handles, media)
    return found.start, found.stop


MEDIA = MediaFacts(100, F(24))


@pytest.mark.parametrize(
    ("place", "handles", "expected"),
    [
        (placement(10, 20), 0, (10, 30)),
        (placement(10, 20), 5, (5, 35)),
        (placement(2, 90), 20, (0, 100)),
        (placement(10, 20, speed=F(2)), 0, (10, 50)),
        (placement(10, 20, speed=F(-1)), 0, (10, 30)),
        (placement(10, 20, speed=F(0)), 0, (10, 11)),
        (placement(10, 20, speed=None), 0, (0, 100)),
        (placement(10.5, 3, speed=F(1, 2)), 0, (10, 12)),
        (placement(1010, 20, known=Span(F(1000), F(100), F(24))), 0, (10, 30)),
        (placement(24, 12, rate=F(48)), 0, (12, 18)),
        (placement(25, 25, rate=F(25), known=Span(F(0), F(100), F(25))), 0, (25, 50)),
    ],
)
def test_frames_used(place: Placement, handles: int, expected: tuple[int, int]) -> None:
    assert used(place, MEDIA, handles) == expected


def test_a_transition_needs_frames_beyond_the_cut() -> None:
    overlap = Overlap(head=F(3, 24), tail=F(5, 24))
    assert used(placement(10, 20), MEDIA, 4, overlap) == (6, 35)
    assert used_frames(placement(1, 20), overlap, 0, MEDIA).lacks == (2, 0)


def test_timecode_of_the_media_is_taken_off_where_the_edit_knows_no_range() -> None:
    media = MediaFacts(100, F(24), "01:00:00:00")
    assert used(placement(86410, 20), media) == (10, 30)
    assert frames_of("00:01:00;02", F(30000, 1001)) == 1800
    sequence = MediaFacts(100, F(24), None, 1001)
    assert used(placement(1011, 20), sequence) == (10, 30)


def test_a_range_beyond_the_media_is_refused() -> None:
    with pytest.raises(TimelineError, match="100"):
        used(placement(200, 20), MEDIA)


def test_every_parameter_that_alters_pictures_belongs_to_one_stage() -> None:
    pictures = {p.key for p in TABLE if p.group is not Group.RESTORE} - {"view", "shot_uid", "follow"}
    assert pictures == set(REMOVAL) | set(LOOK)
    assert not set(REMOVAL) & set(LOOK)


def test_names_are_safe_on_any_system() -> None:
    assert safe_part("../SH 010: a/b?") == "SH_010_a_b"
    stems = stems_of(PlacedShot(7, placement(0, 1)), "{layer}/{index:03d}_{name}", Path("plate.%04d.exr"))
    assert stems["grain"] == "grain/007_SH"
    for bad in ("../{layer}", "/tmp/{layer}", "{nothing}", "{index:x%}", ""):
        with pytest.raises(TimelineError):
            stems_of(PlacedShot(7, placement(0, 1)), bad, Path("a.mkv"))


@pytest.mark.parametrize(
    "wrong", [{"layers": ("gloss",)}, {"layers": ()}, {"base_codec": "mp3"}, {"base_codec": "exr", "grain_format": "ffv1"}]
)
def test_orders_that_cannot_be_filled_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ParamError):
        Order(**wrong)  # pyright: ignore[reportArgumentType]


def test_ranges_of_tasks() -> None:
    assert ranges([1, 2, 3, 5, 8, 9]) == "1-3,5,8-9"
