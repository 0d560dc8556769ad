"""Layers at hand: made once, kept within bounds, never for a cancelled request."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainlayer.inference.runtime import Cancel, Cancelled
from grainlayer.server.layercache import LayerCache, Made, physical_memory
from grainlayer.types import Layers

SIZE = 4 * 4 * 3 * 4


def made() -> Made:
    return Made(Layers(base=np.zeros((4, 4, 3), np.float32)), 0.5)


def fail() -> Made:
    raise Cancelled


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(0, 5))
def test_the_last_used_are_kept(keys: list[int], room: int) -> None:
    cache, kept = LayerCache(room * SIZE), list[int]()
    for key in keys:
        _, cached = cache.get((b"s", key), made, Cancel())
        assert cached == (key in kept)
        kept = [*(k for k in kept if k != key), key][-room:] if room else []
        assert cache.size == len(kept) * SIZE <= cache.most
    assert cache.hits + cache.misses == len(keys)


def test_a_session_is_forgotten() -> None:
    cache = LayerCache(100 * SIZE)
    for session in (b"a", b"b"):
        cache.get((session, 1), made, Cancel())
    cache.forget(b"a")
    assert cache.size == SIZE
    assert cache.get((b"b", 1), made, Cancel())[1]
    assert not cache.get((b"a", 1), made, Cancel())[1]


def test_two_threads_make_one() -> None:
    cache, count = LayerCache(100 * SIZE), list[int]()

    def slow() -> Made:
        count.append(1)
        time.sleep(0.1)
        return made()

    found: list[Made] = []
    threads = [threading.Thread(target=lambda: found.append(cache.get((b"s", 1), slow, Cancel())[0])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(count) == 1
    assert len({id(one) for one in found}) == 1


def test_a_failure_is_not_kept_and_lets_others_try() -> None:
    cache = LayerCache(100 * SIZE)
    with pytest.raises(Cancelled):
        cache.get((b"s", 1), fail, Cancel())
    assert not cache.get((b"s", 1), made, Cancel())[1]


def test_what_was_made_for_a_cancelled_request_is_not_kept() -> None:
    cache, cancel = LayerCache(100 * SIZE), Cancel()

    def late() -> Made:
        cancel.cancel()
        return made()

    with pytest.raises(Cancelled):
        cache.get((b"s", 1), late, cancel)
    assert cache.size == 0


def test_a_cancelled_request_does_not_wait_for_another() -> None:
    cache, cancel, begun, end = LayerCache(100 * SIZE), Cancel(), threading.Event(), threading.Event()

    def held() -> Made:
        begun.set()
        end.wait(5)
        return made()

    thread = threading.Thread(target=lambda: cache.get((b"s", 1), held, Cancel()))
    thread.start()
    begun.wait(5)
    cancel.cancel()
    with pytest.raises(Cancelled):
        cache.get((b"s", 1), made, cancel)
    end.set()
    thread.join()


def test_the_machine_has_memory() -> None:
    assert physical_memory() > 1 << 27
