"""The parameters: legal values, refusals, and what is derived from the table."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainlayer import params
from grainlayer.errors import ParamError
from grainlayer.params import TABLE, Effect, GrainSource, Group, Kind, Param, ShotParams, Stock
from grainlayer.types import Encoding
from tests.strategies import shot_params, values

SPLIT, SYNTH, RESTORER = Effect


@given(shot_params())
def test_a_dictionary_and_back(shot: ShotParams) -> None:
    stored = shot.to_dict()
    assert ShotParams.from_dict(json.loads(json.dumps(stored))) == shot
    assert all(type(value) in (bool, int, float, str) for value in stored.values())
    assert stored.keys() == {p.key for p in TABLE if getattr(shot, p.key) != p.default}


@given(shot_params())
def test_values_have_their_own_types_and_pickle(shot: ShotParams) -> None:
    for param in TABLE:
        value = getattr(shot, param.key)
        assert type(value) is type(param.default)
    assert hash(pickle.loads(pickle.dumps(shot))) == hash(shot)


@given(st.data(), st.sampled_from([p for p in TABLE if p.kind is not Kind.TEXT]))
def test_what_is_written_is_parsed(data: st.DataObject, param: Param) -> None:
    value = data.draw(values(param))
    written = ("on" if value else "off") if param.kind is Kind.BOOL else str(value)
    assert param.parse(written.upper()) == param.check(value)


@given(st.sampled_from(TABLE), st.one_of(st.none(), st.binary(), st.lists(st.integers()), st.just(math.nan), st.just(math.inf)))
def test_what_is_no_value_is_refused(param: Param, value: object) -> None:
    with pytest.raises(ParamError, match=param.key):
        ShotParams.from_dict({param.key: value})


@given(st.sampled_from([p for p in TABLE if p.kind in (Kind.FLOAT, Kind.INT)]), st.integers(1, 10**6))
def test_numbers_beyond_the_range_are_refused(param: Param, beyond: int) -> None:
    for value in (param.low - beyond, param.high + beyond):
        with pytest.raises(ParamError, match=f"^{param.key} must be a .*number from .* to .*; got -?[0-9]"):
            ShotParams.from_dict({param.key: int(value) if param.kind is Kind.INT else value})


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("grain_amount", 9, "grain_amount must be a number from 0 to 4; got 9."),
        ("grain_amount", True, "grain_amount must be a number from 0 to 4; got True."),
        ("grain_hold", 1.5, "grain_hold must be a whole number from 1 to 5; got 1.5."),
        ("level_mode", "guess", "level_mode must be one of automatic, manual; got 'guess'."),
        ("deblock", 1, "deblock must be on or off; got 1."),
        ("shot_uid", "x" * 65, f"shot_uid must be text of at most 64 characters; got '{'x' * 65}'."),
        ("shot_uid", "a\0b", "shot_uid must be text of at most 64 characters; got 'a\\x00b'."),
        ("shot_uid", "\udc80", "shot_uid must be text of at most 64 characters; got '\\udc80'."),
        ("grain_ammount", 1, "There is no parameter 'grain_ammount'; did you mean grain_amount?"),
    ],
)
def test_a_refusal_names_key_value_and_range(key: str, value: object, sentence: str) -> None:
    with pytest.raises(ParamError) as caught:
        ShotParams.from_dict({key: value})
    assert str(caught.value) == sentence


def test_a_long_value_is_cut_in_the_sentence() -> None:
    with pytest.raises(ParamError) as caught:
        ShotParams(profile_data="x" * 5000)
    assert len(str(caught.value)) < 200


def test_an_unlike_key_lists_them_all() -> None:
    with pytest.raises(ParamError, match="the parameters are view, quality, .*deband"):
        params.find("zzz")


def test_a_list_is_no_set_of_parameters() -> None:
    with pytest.raises(ParamError, match="keys with values"):
        ShotParams.from_dict(["view"])  # pyright: ignore[reportArgumentType]


def test_numpy_scalars_become_plain_numbers() -> None:
    shot = ShotParams(level=np.float32(0.125), grain_seed=np.int64(7))  # pyright: ignore[reportArgumentType]
    assert shot.to_dict() == {"level": 0.125, "grain_seed": 7}
    assert type(shot.grain_seed) is int


def test_defaults_change_nothing_and_are_legal() -> None:
    shot = ShotParams()
    assert shot.to_dict() == {}
    assert shot.removal == 1 and shot.grain_source is GrainSource.OWN and shot.grain_amount == 1
    assert all(param.check(param.default) == param.default for param in TABLE)


def test_params_are_frozen_and_replaced_with_checks() -> None:
    with pytest.raises(FrozenInstanceError):
        ShotParams().level = 0.1  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ParamError):
        replace(ShotParams(), level=1)


def test_the_table_is_the_class() -> None:
    assert [param.key for param in TABLE] == [f.name for f in fields(ShotParams)]
    assert all(p.low <= p.shown[0] < p.shown[1] <= p.high for p in TABLE if p.kind in (Kind.FLOAT, Kind.INT))
    assert all(p.label and p.hint.endswith(".") for p in TABLE)
    assert len({p.label for p in TABLE}) == len(TABLE)


def test_menus_are_for_ever() -> None:
    """Append to these lists; never change what is there: projects store the entries' numbers."""
    assert params.find("encoding").menu == tuple(Encoding)
    assert params.find("view").menu == ("Result", "Base", "Grain", "Grain x4", "Difference", "Split", "Status")
    assert params.find("quality").menu == ("default", "real-time", "quality", "temporal")
    assert params.find("profile").menu == ("this shot", "box", "file", "stock")
    assert params.find("grain_source").menu == ("own", "resynthesised", "neural", "stock")
    assert params.find("stock").menu == tuple(Stock)
    assert len(Stock) == 18
    assert params.find("stock").default == "35mm 500 colour"


def test_each_effect_has_its_groups() -> None:
    groups = {effect: {p.group for p in params.for_effect(effect)} for effect in Effect}
    assert groups[SPLIT] == groups[SYNTH] == {Group.GENERAL, Group.REMOVAL, Group.GRAIN}
    assert groups[RESTORER] == {Group.GENERAL, Group.RESTORE}
    with pytest.raises(ParamError, match="ArtifactRestore has no parameter grain_amount"):
        params.find("grain_amount").for_effect(RESTORER)


def test_grain_synth_starts_with_a_stock_and_has_no_own_grain() -> None:
    shot = params.defaults_for(SYNTH)
    assert shot.to_dict() == {"removal": 0.0, "grain_source": "stock"}
    assert "own" not in params.find("grain_source").for_effect(SYNTH).menu
    assert params.defaults_for(SPLIT) == ShotParams() == params.defaults_for(RESTORER)


def test_flags_are_keys_with_dashes() -> None:
    assert params.find("grain_amount").flag == "--grain-amount"
    assert len({p.flag for p in TABLE}) == len(TABLE)


def test_the_digest_is_pinned() -> None:
    """It changes when a key, kind, range, default or menu does: bridge and server compare it. Words may change freely."""
    assert params.digest() == "bc941de3ea19e7423a92406d345873bf583914f6446b203d17bc559045043326"
