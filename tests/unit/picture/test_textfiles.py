"""Small text files are read whole or refused at once, whatever lies at the path."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from grainlayer.errors import MediaError
from grainlayer.picture.textfiles import read_text


def read(path: Path, most: int = 100) -> str:
    return read_text(path, most, what="The note", advice="write it again")


def test_a_file_is_read_up_to_its_longest(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for text in ("", "é", "x" * 100):
        (tmp_path / "file").write_text(text, "utf-8")
        assert read(tmp_path / "file") == read(tmp_path / "link") == text


@pytest.mark.parametrize("kind", ["pipe", "endless", "folder", "long", "absent", "terminal", "no name"])
def test_what_is_no_small_file_is_refused_at_once_with_a_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "it"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "endless":
        path = Path("/dev/zero")
    elif kind == "terminal":
        path = Path("/dev/ptmx")
    elif kind == "folder":
        path.mkdir()
    elif kind == "long":
        path.write_text("x" * 101)
    elif kind == "no name":
        path = Path("a\0b")
    before, began = len(os.listdir("/proc/self/fd")), time.monotonic()
    with pytest.raises(MediaError, match=r"^The note .* cannot be read \(.*\); write it again\.$"):
        read(path)
    assert time.monotonic() - began < 1
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_is_no_text_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\xff\xfe")
    with pytest.raises(UnicodeDecodeError):
        read(tmp_path / "file")
