"""Shared memory: pictures outlive a drop, limits hold, and names are those of a bridge."""

from __future__ import annotations

import os

import pytest

from grainlayer.errors import WireError
from grainlayer.server import segments as shared
from grainlayer.server.client import make_memory
from grainlayer.server.segments import NAME, Segments
from grainlayer.server.sessions import Sessions


def add(found: Segments, number: int, size: int) -> None:
    made = make_memory(number, size)
    found.add(number, size, "", made.descriptor)


def test_a_picture_is_the_memory_itself_and_outlives_its_segment() -> None:
    found, made = Segments(), make_memory(1, 2 * 3 * 12)
    assert made.descriptor is not None
    found.add(1, 72, "", os.dup(made.descriptor))
    picture = found.picture(1, 2, 3)
    made.image(2, 3)[:] = 0.25
    assert (picture == 0.25).all()
    found.drop(1)
    picture[:] = 0.5
    assert (made.image(2, 3) == 0.5).all()
    os.close(made.descriptor)
    with pytest.raises(WireError):
        found.picture(1, 2, 3)
    with pytest.raises(WireError):
        found.drop(1)


def test_pictures_must_fit() -> None:
    found = Segments()
    add(found, 1, 72)
    for height, width in ((3, 3), (1, 7), (32_768, 32_768)):
        with pytest.raises(WireError):
            found.picture(1, height, width)
    assert found.picture(1, 1, 6).flags.c_contiguous
    found.close()


def test_numbers_are_used_once_and_bytes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Segments()
    add(found, 1, 4096)
    with pytest.raises(WireError, match="once"):
        add(found, 1, 4096)
    monkeypatch.setattr(shared, "MOST_BYTES", 8192)
    add(found, 2, 4096)
    with pytest.raises(WireError, match="together"):
        add(found, 3, 1)
    assert len(found) == 2
    found.close()


@pytest.mark.parametrize("name", ["Local\\GrainLayer-" + "0" * 31, "Global\\GrainLayer-" + "0" * 32, "", "Local\\GrainLayer-" + "G" * 32])
def test_other_names_are_refused(name: str) -> None:
    assert not NAME.fullmatch(name)
    assert NAME.fullmatch("Local\\GrainLayer-" + "0a" * 16)


def test_a_session_ends_with_its_last_connection() -> None:
    sessions = Sessions()
    session = sessions.join(bytes(16), "host")
    assert sessions.join(session.name, "host") is session
    assert not sessions.leave(session)
    assert sessions.leave(session)
    with pytest.raises(WireError, match="ended"):
        sessions.join(session.name, "host")
    assert len(sessions) == 0
