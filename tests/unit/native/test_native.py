from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainlayer import native
from grainlayer.errors import GrainlayerError


@given(st.integers(0, 9000), st.integers(1, 64), st.integers(1, 200))
def test_parts_cover_every_row_once_in_order(height, threads, least):
    parts = native.row_parts(height, threads, least)
    assert [row for first, end in parts for row in range(first, end)] == list(range(height))
    assert len(parts) <= 1 or min(end - first for first, end in parts) >= least


@pytest.mark.parametrize("threads", [None, 1, 2, 5])
def test_run_rows_covers_every_row_once(threads):
    seen = [0] * 1000

    def visit(first, end):
        for row in range(first, end):
            seen[row] += 1

    native.run_rows(visit, 1000, threads)
    assert seen == [1] * 1000


def test_run_rows_inside_run_rows_does_not_wait_for_itself():
    count, lock = [0], threading.Lock()

    def inner(first, end):
        with lock:
            count[0] += end - first

    native.run_rows(lambda first, end: native.run_rows(inner, end - first, 2), 400, 2)
    assert count == [400]


def test_run_rows_raises_what_a_part_raised():
    def fail(first, end):
        if first > 0:
            raise ValueError(f"row {first}")

    with pytest.raises(ValueError, match="row"):
        native.run_rows(fail, 400, 2)


def test_threads_follow_the_environment(monkeypatch):
    monkeypatch.setenv("GRAINLAYER_THREADS", "3")
    assert native.default_threads() == 3
    monkeypatch.setenv("GRAINLAYER_THREADS", "many")
    assert native.default_threads() >= 1


@pytest.mark.parametrize(("content", "sentence"), [(None, "not built"), (b"no library", "cannot be loaded")])
def test_a_missing_or_broken_library_is_one_clear_sentence(monkeypatch, tmp_path, content, sentence):
    path = tmp_path / "kernels.so"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("GRAINLAYER_KERNELS", str(path))
    native.library.cache_clear()
    with pytest.raises(GrainlayerError, match=sentence):
        native.library()
    native.library.cache_clear()


def test_an_array_with_gaps_is_refused():
    import numpy as np

    with pytest.raises(GrainlayerError, match="contiguous"):
        native.address(np.zeros((4, 4))[:, ::2])
