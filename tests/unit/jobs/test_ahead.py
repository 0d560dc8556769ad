"""Items made ahead come out as they would have."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from grainlayer.jobs.ahead import DEPTH, ahead


def counted(made: list[int], stop: int, broken: int = -1) -> Generator[int]:
    try:
        for number in range(1, stop):
            if number == broken:
                raise ValueError(number)
            made.append(number)
            yield number
    finally:
        made.append(0)


def test_all_come_out_in_order() -> None:
    made: list[int] = []
    assert list(ahead(counted(made, 20))) == list(range(1, 20))
    assert list(ahead(counted(made, 1))) == []


def test_an_error_comes_in_its_place() -> None:
    items = ahead(counted([], 20, broken=5))
    assert [next(items) for _ in range(4)] == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="5"):
        next(items)


def test_closing_stops_the_thread_and_the_items() -> None:
    made: list[int] = []
    before = threading.active_count()
    items = ahead(counted(made, 1000))
    assert next(items) == 1
    items.close()
    assert made[-1] == 0 and len(made) <= DEPTH + 3
    assert threading.active_count() == before
