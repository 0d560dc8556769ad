"""Parameters on the wire: every legal value comes back, every other one is refused by its key."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainlayer.errors import ParamError
from grainlayer.params import Effect, ShotParams, defaults_for, for_effect
from grainlayer.server.job import Job, Picture
from grainlayer.server.parameters import COUNTS, EFFECTS, read_params, rows, write_params
from tests.strategies import shot_params, values


def job(effect: Effect, params: ShotParams) -> Job:
    numbers, texts = write_params(effect, params)
    return Job(EFFECTS.index(effect), (Picture(1, bytes(16)),), 0, 8, 8, 1.0, 2, numbers, texts)


@given(shot_params())
def test_grain_split_comes_back(params: ShotParams) -> None:
    kept = {param.key: getattr(params, param.key) for param in for_effect(Effect.GRAIN_SPLIT)}
    assert read_params(job(Effect.GRAIN_SPLIT, params)) == ShotParams(**kept)


@given(st.data(), st.sampled_from(EFFECTS))
def test_every_effect_comes_back(data: st.DataObject, effect: Effect) -> None:
    params = ShotParams(**{param.key: data.draw(values(param)) for param in for_effect(effect)})  # pyright: ignore[reportArgumentType]
    assert read_params(job(effect, params)) == params


@pytest.mark.parametrize("effect", EFFECTS)
def test_defaults_come_back(effect: Effect) -> None:
    asked = job(effect, defaults_for(effect))
    assert (len(asked.numbers), len(asked.texts)) == COUNTS[asked.effect]
    assert read_params(asked) == defaults_for(effect)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("view", 7.0),
        ("view", -1.0),
        ("view", 0.5),
        ("follow", 2.0),
        ("follow", 0.5),
        ("grain_hold", 1.5),
        ("grain_hold", 6.0),
        ("removal", float("nan")),
        ("removal", 1.01),
        ("view", float("inf")),
        ("grain_seed", float("nan")),
    ],
)
def test_what_is_not_legal_is_named(key: str, value: float) -> None:
    asked = job(Effect.GRAIN_SPLIT, ShotParams())
    place = [param.key for param in rows(Effect.GRAIN_SPLIT)[0]].index(key)
    numbers = (*asked.numbers[:place], value, *asked.numbers[place + 1 :])
    with pytest.raises(ParamError, match=key):
        read_params(replace(asked, numbers=numbers))


def test_a_text_too_long_is_named() -> None:
    asked = job(Effect.GRAIN_SPLIT, ShotParams())
    with pytest.raises(ParamError, match="shot_uid"):
        read_params(replace(asked, texts=("x" * 65, *asked.texts[1:])))
