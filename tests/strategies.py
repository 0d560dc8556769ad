"""Random legal values of every parameter, derived from the table."""

from __future__ import annotations

from hypothesis import strategies as st

from grainlayer.editorial.shots import UNKEYED, Keys, Shot
from grainlayer.params import TABLE, Kind, Param, ShotParams, Value

LETTERS = st.characters(exclude_categories=("Cs",), exclude_characters="\0")


def values(param: Param) -> st.SearchStrategy[Value]:
    """Return the legal values of one parameter; its default and its bounds are as likely as the rest."""
    if param.kind is Kind.BOOL:
        return st.booleans()
    if param.kind is Kind.CHOICE:
        return st.sampled_from(param.menu)
    if param.kind is Kind.TEXT:
        return st.text(LETTERS, max_size=min(int(param.high), 100))
    corners = st.sampled_from((param.default, param.low, param.high))
    if param.kind is Kind.INT:
        return st.one_of(corners.map(int), st.integers(int(param.low), int(param.high)))
    return st.one_of(corners.map(float), st.floats(param.low, param.high))


def shot_params() -> st.SearchStrategy[ShotParams]:
    """Return legal ShotParams."""
    return st.builds(ShotParams, **{param.key: values(param) for param in TABLE})


def keyframes() -> st.SearchStrategy[Keys]:
    """Return keyframes of up to three parameters."""
    rows = [st.tuples(st.just(p.key), _row(p)) for p in TABLE if p.key not in UNKEYED]
    return st.lists(st.one_of(rows), max_size=3).map(dict)


def _row(param: Param) -> st.SearchStrategy[tuple[tuple[int, Value], ...]]:
    pairs = st.tuples(st.integers(-1000, 1 << 30), values(param))
    return st.lists(pairs, min_size=1, max_size=4, unique_by=lambda pair: pair[0]).map(lambda row: tuple(sorted(row)))


def shots() -> st.SearchStrategy[Shot]:
    """Return shots without a profile, each with a uid of its own."""
    uids = st.uuids().map(lambda uid: uid.hex)
    return st.builds(Shot, uid=uids, name=st.just(""), params=shot_params(), keys=keyframes())
