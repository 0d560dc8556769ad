"""Names, ranges and identifiers of deliveries."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from grainlayer.editorial.clips import Node
from grainlayer.editorial.farm import patience
from grainlayer.editorial.keys import LOOK, REMOVAL, looks_around, measures, stretches
from grainlayer.editorial.occupancy import Claim, check_standing, occupied, standing
from grainlayer.editorial.order import Order, Task, check_names, safe_part, stems_of
from grainlayer.editorial.shots import Keys, PlacedShot, Placement, Shot, Span
from grainlayer.editorial.stack import composition, timelines, titles
from grainlayer.editorial.usedrange import MediaFacts, Overlap, frames_of, rates_said, used_frames
from grainlayer.errors import MediaError, ParamError, TimelineError
from grainlayer.params import TABLE, GrainSource, Group, Quality, ShotParams
from grainlayer.picture.numbering import ranges

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
    assert ranges([1, 2, 3, 5, 8, 9]) == ["1-3", "5", "8-9"]


def task(params: ShotParams, keys: Keys, stems: dict[str, str] | None = None) -> Task:
    return Task(1, "SH", Path("a.mkv"), 10, 20, 10, None, NORMAL, Shot("uid", params=params, keys=keys), stems or {"report": "001_SH"})


DEFAULTS = ShotParams()
NO_REMOVAL = ShotParams(removal=0.0)
TEMPORAL = ShotParams(quality=Quality.TEMPORAL)


@pytest.mark.parametrize(
    ("params", "keys", "around", "measured"),
    [
        (DEFAULTS, {}, False, True),
        (TEMPORAL, {}, True, True),
        (ShotParams(quality=Quality.TEMPORAL, removal=0.0), {}, False, False),
        (ShotParams(quality=Quality.TEMPORAL, removal=0.0), {"removal": ((0, 0.0), (20, 1.0))}, True, True),
        (TEMPORAL, {"removal": ((0, 0.0),)}, False, False),
        (DEFAULTS, {"quality": ((0, Quality.DEFAULT), (5, Quality.TEMPORAL))}, True, True),
        (NO_REMOVAL, {"grain_source": ((0, GrainSource.RESYNTHESISED),)}, False, True),
    ],
)
def test_keyframes_count_where_values_do(params: ShotParams, keys: Keys, around: bool, measured: bool) -> None:
    found = task(params, keys)
    assert (looks_around(found), measures(found)) == (around, measured)


def test_stretches_cover_a_clip_without_gaps() -> None:
    keys: Keys = {"grain_seed": ((0, 1), (12, 2), (15, 2), (30, 4)), "grain_source": ((0, GrainSource.OWN), (18, GrainSource.STOCK))}
    found = stretches(task(DEFAULTS, keys))
    assert [(part.start, part.stop, part.seed, part.stock is None) for part in found] == [
        (0, 2, 1, True),
        (2, 8, 2, True),
        (8, 10, 2, False),
    ]
    assert [(part.start, part.stop) for part in stretches(task(DEFAULTS, {}))] == [(0, 10)]


def test_records_of_two_clips_never_share_a_name() -> None:
    names = ("1/2_report", "1_2/report", "1_2_report", "1/2/report")
    assert len({task(DEFAULTS, {}, {"report": name}).key for name in names}) == len(names)


def test_two_files_of_one_name_are_refused() -> None:
    check_names({1: {"base": "a", "grain": "b"}, 2: {"base": "c", "grain": "d"}})
    with pytest.raises(TimelineError, match="clip 1 and clip 2"):
        check_names({1: {"base": "a", "grain": "b"}, 2: {"base": "c", "grain": "B"}})
    with pytest.raises(TimelineError, match="two layers of clip 1"):
        check_names({1: {"base": "a", "grain": "a"}})


@pytest.mark.parametrize(
    ("place", "media", "expected"),
    [
        (placement(0, 10), MEDIA, None),
        (placement(0, 10, rate=F(24000, 1001)), MEDIA, None),
        (placement(0, 10, rate=F(25)), MEDIA, "in seconds"),
        (placement(0, 10, rate=F(25), known=Span(F(0), F(100), F(25))), MEDIA, "one by one"),
        (placement(0, 10, rate=F(25), known=Span(F(0), F(104), F(25))), MEDIA, "in seconds"),
        (placement(0, 10, rate=F(25), known=Span(F(0), F(100), F(24))), MEDIA, None),
        (placement(0, 10, rate=F(25)), MediaFacts(100, F(24), None, 1001), "one by one"),
    ],
)
def test_rates_that_do_not_match_are_said(place: Placement, media: MediaFacts, expected: str | None) -> None:
    said = rates_said(place, media)
    assert (said is None) if expected is None else (said is not None and expected in said)


def test_a_collection_is_as_many_edits_as_it_has_timelines() -> None:
    def item(schema: str, name: str, inside: list[Node] | None = None) -> Node:
        return {"OTIO_SCHEMA": f"{schema}.1", "name": name, **({} if inside is None else {"children": inside})}

    one, two, clip, track = item("Timeline", "one"), item("Timeline", "two"), item("Clip", "clip"), item("Track", "V", [])
    assert timelines(one) == [one]
    assert titles(item("SerializableCollection", "bin", [one, item("SerializableCollection", "in", [two])])) == ["one", "two"]
    mixed = item("SerializableCollection", "bin", [clip, one, track, item("MissingReference", "none")])
    assert titles(mixed) == ["one", "clips"]
    assert timelines(mixed)[1] == composition("Stack", [composition("Track", [clip]), track])


def test_a_folder_is_one_edits(tmp_path: Path) -> None:
    claim = Claim("cut", "job", ("cut_layers.otio",))
    with occupied(tmp_path, claim, overwrite=False, alone=True):
        pass
    assert (found := standing(tmp_path)) and (found.edit, found.names) == ("cut", claim.names)
    with pytest.raises(MediaError, match="delivery of cut"):
        check_standing(tmp_path, Claim("other", "job", ()), overwrite=False)
    (tmp_path / "cut_v2_layers.otio").write_text("mine")
    with pytest.raises(MediaError, match="cut_v2_layers.otio exists"):
        check_standing(tmp_path, Claim("cut", "job", ("cut_v2_layers.otio",)), overwrite=False)
    (tmp_path / ".grainlayer" / "delivery.json").write_text("{")
    with pytest.raises(MediaError, match="cannot be read"):
        check_standing(tmp_path, claim, overwrite=False)
    with occupied(tmp_path, claim, overwrite=True, alone=True):
        assert standing(tmp_path)
    file = tmp_path / "file"
    file.write_text("no folder")
    with pytest.raises(MediaError, match="no folder"), occupied(file, claim, overwrite=False, alone=True):
        pass


def test_patience_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAINLAYER_FARM_PATIENCE", "2.5")
    assert patience() == 2.5
    monkeypatch.setenv("GRAINLAYER_FARM_PATIENCE", "soon")
    with pytest.raises(ParamError, match="number of seconds"):
        patience()
