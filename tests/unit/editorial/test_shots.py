"""Shots, their keyframes, and how clips are selected."""

from __future__ import annotations

import copy
import pickle
from fractions import Fraction

import pytest
from hypothesis import given

from grainlayer.editorial.shots import PlacedShot, Placement, Shot, ShotList, Span, differing, new_uid, shorten
from grainlayer.errors import ParamError, TimelineError
from grainlayer.params import NOT_A_LOOK, TABLE, Effect, GrainSource, Quality, ShotParams, Stock, View, defaults_for
from grainlayer.types import Encoding
from tests.strategies import shots

SOURCE = Span(Fraction(100), Fraction(48), Fraction(24))


def listed(*rows: tuple[str, str]) -> ShotList:
    """Return a list of clips by name and uid; without a uid a clip has no grain."""
    clips = [
        PlacedShot(index, Placement(name, 0, "V1", index - 1, SOURCE, SOURCE), Shot(uid, name) if uid else None)
        for index, (name, uid) in enumerate(rows, 1)
    ]
    return ShotList("cut", Fraction(24), Fraction(0), tuple(clips))


@given(shots())
def test_numbers_have_fifteen_digits_and_shots_survive_copies(shot: Shot) -> None:
    for key in ("grain_amount", "level", "deband"):
        assert float(f"{getattr(shot.params, key):.15g}") == getattr(shot.params, key)
    assert shot.params.shot_uid == shot.uid
    assert pickle.loads(pickle.dumps(shot)) == copy.deepcopy(shot) == shot
    assert hash(copy.deepcopy(shot)) == hash(shot)


def test_keyframes_are_linear_for_floats_and_stepped_otherwise() -> None:
    shot = Shot("a", keys={"grain_amount": ((24, 0.5), (0, 1)), "grain_hold": ((10, 1), (20, 3)), "stock": ((5, Stock.F8_50),)})
    assert shot.keys["grain_amount"] == ((0, 1.0), (24, 0.5))
    assert [shot.at(frame).grain_amount for frame in (-5, 0, 12, 24, 99)] == [1.0, 1.0, 0.75, 0.5, 0.5]
    assert [shot.at(frame).grain_hold for frame in (0, 10, 19, 20, 50)] == [1, 1, 1, 3, 3]
    assert shot.at(0).stock is Stock.F8_50
    assert Shot("a").at(3) == ShotParams(shot_uid="a")


@pytest.mark.parametrize(
    "keys",
    [
        {"grain_amount": ((0, 9.0),)},
        {"grain_amount": ((0.5, 1.0),)},
        {"grain_amount": ((True, 1.0),)},
        {"grain_amount": ((0, 1.0), (0, 2.0))},
        {"shot_uid": ((0, "x"),)},
        {"profile_data": ((0, "x"),)},
        {"grain": ((0, 1.0),)},
    ],
)
def test_wrong_keyframes_are_one_sentence(keys: dict[str, tuple[tuple[int, float]]]) -> None:
    with pytest.raises(ParamError, match=r"[.;?]"):
        Shot("a", keys=keys)


def test_a_shot_needs_a_uid() -> None:
    with pytest.raises(ParamError, match="uid"):
        Shot("")
    with pytest.raises(ParamError, match="shot_uid"):
        Shot("x" * 65)
    assert len({new_uid() for _ in range(100)}) == 100


def test_a_value_that_is_set_loses_its_keyframes_and_an_effect_brings_its_defaults() -> None:
    shot = Shot("a", params=ShotParams(grain_amount=0.6), keys={"grain_size": ((0, 2.0),), "grain_amount": ((0, 1.0),)})
    assert shot.changed({"grain_amount": 0.5}).keys == {"grain_size": ((0, 2.0),)}
    assert shot.changed({}, {"grain_size": ((5, 1.5),)}).keys["grain_size"] == ((5, 1.5),)
    synth = shot.changed({"stock": Stock.F8_50}, effect=Effect.GRAIN_SYNTH)
    usual = defaults_for(Effect.GRAIN_SYNTH)
    assert (synth.params.removal, synth.params.grain_source) == (usual.removal, usual.grain_source)
    assert synth.params.grain_amount == 0.6
    with pytest.raises(ParamError, match="deblock"):
        shot.changed({"deblock": False})
    with pytest.raises(ParamError, match="grain_source"):
        synth.changed({"grain_source": GrainSource.OWN})


def test_a_look_leaves_what_describes_the_picture() -> None:
    one = Shot(
        "a", params=ShotParams(grain_amount=0.6, level=0.1, profile_data="mine"), keys={"grain_size": ((10, 2.0),), "level": ((0, 0.1),)}
    )
    other = Shot("b", params=ShotParams(level=0.05), keys={"level": ((1, 0.2),)}).with_look_of(one, shift=-4)
    assert (other.uid, other.params.shot_uid) == ("b", "b")
    assert (other.params.grain_amount, other.params.level, other.params.profile_data) == (0.6, 0.05, "")
    assert other.keys == {"grain_size": ((6, 2.0),), "level": ((1, 0.2),)}


def test_a_look_leaves_how_a_shot_is_handled() -> None:
    one = Shot("a", params=ShotParams(grain_amount=0.6, view=View.BASE, quality=Quality.TEMPORAL, follow=True, encoding=Encoding.LOGC3))
    other = Shot("b", keys={"quality": ((0, Quality.QUALITY),)}).with_look_of(one)
    assert other.params == ShotParams(shot_uid="b", grain_amount=0.6)
    assert list(other.keys) == ["quality"]
    assert set(NOT_A_LOOK) <= {param.key for param in TABLE}


def test_clips_are_found_by_uid_name_number_and_pattern() -> None:
    clips = listed(("SH010", "u1"), ("SH020", "u2"), ("A[1-9].tif", "u3"), ("other", ""))
    assert [placed.index for placed in clips.find("u2")] == [2]
    assert [placed.index for placed in clips.find("SH010")] == [1]
    assert [placed.index for placed in clips.find("3")] == [3]
    assert [placed.index for placed in clips.find("SH0*")] == [1, 2]
    assert [placed.index for placed in clips.find("A[1-9].tif")] == [3]
    assert clips.one("other").shot is None
    assert len(clips.with_grain()) == 3
    for text in ("nothing", "sh0*", "9", ""):
        with pytest.raises(TimelineError, match="No clip"):
            clips.find(text)
    with pytest.raises(TimelineError, match="selects 2"):
        clips.one("SH0*")


def test_two_clips_of_one_name_are_an_error_that_names_both() -> None:
    clips = listed(("SH010", "u1"), ("SH010", "u2"), ("3", "u3"), ("x", "u4"))
    with pytest.raises(TimelineError, match=r'1 "SH010" \(uid u1\), 2 "SH010" \(uid u2\)'):
        clips.find("SH010")
    assert clips.one("u2").index == 2
    assert len(clips.find("SH*")) == 2
    twice = listed(("a", "u1"), ("b", "u1"), ("2", "u2"))
    with pytest.raises(TimelineError, match="names 2 clips"):
        twice.find("u1")
    with pytest.raises(TimelineError, match="names 2 clips"):
        twice.find("2")


def test_ranges() -> None:
    assert SOURCE.end == 148
    assert SOURCE.seconds == (Fraction(100, 24), Fraction(148, 24))
    assert SOURCE.at_rate(Fraction(48)) == Span(Fraction(200), Fraction(96), Fraction(48))
    assert str(SOURCE) == "100-147"
    assert str(Span(Fraction(1, 2), Fraction(0), Fraction(24))) == "0.5, empty"
    placement = Placement("a", 0, "", 0, SOURCE, SOURCE, available=Span(Fraction(90), Fraction(90), Fraction(24)))
    assert placement.first_frame == 10
    assert shorten(0.1 + 0.2) == 0.3


def test_what_differs_is_named() -> None:
    one = Shot("a", params=ShotParams(grain_amount=0.5))
    assert differing(one, Shot("b", effect=Effect.GRAIN_SYNTH, keys={"grain_size": ((0, 2.0),)})) == (
        "uid",
        "effect",
        "grain_amount",
        "grain_size",
    )
    assert differing(one, one) == ()
