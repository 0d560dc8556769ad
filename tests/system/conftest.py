"""Media and edits that several files of tests deliver."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system import deliveries as d


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for the edits of one file of tests."""
    return tmp_path_factory.mktemp("edit")


@pytest.fixture(scope="module")
def media(data_root: Path, folder: Path) -> list[Path]:
    """Return short copies of real clips, in the folder."""
    return d.cut_media(data_root, folder)


@pytest.fixture(scope="module")
def twelve(media: list[Path], folder: Path) -> Path:
    """Return the edit of twelve shots over them."""
    return d.twelve_shots(media, folder)
