"""What several files of tests share: media and edits that they deliver, a server, and a host with the bridge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.ofx import Host, build_bridge
from tests.system import deliveries as d
from tests.system.serving import Place, place


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


@pytest.fixture(scope="module")
def served() -> Iterator[Place]:
    """Build the bridge, and give a place whose server runs for all tests of a file."""
    build_bridge()
    with place() as found:
        found.start()
        found.rendezvous()
        yield found


@pytest.fixture
def host(served: Place, tmp_path: Path) -> Iterator[Host]:
    """Return a test host with the bridge loaded."""
    with Host(tmp_path, served.environment) as found:
        found.load()
        yield found
