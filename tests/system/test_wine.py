"""The Windows build of the plug-ins in the Windows build of the test host, under Wine, where both can be had."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.host.ofx import BUNDLE, IDS, ROOT, SPLIT, Host, build
from tests.host.windows import complaints
from tests.system.hosting import SIZE, code, grainy, prepare

COMPILER = "x86_64-w64-mingw32-g++-posix"
TOOLCHAIN = f"-DCMAKE_TOOLCHAIN_FILE={ROOT / 'ofx_bridge' / 'mingw.cmake'}"
HARMLESS = "-DCMAKE_CXX_FLAGS=-Wno-error=maybe-uninitialized"
"""GCC 12 sees in std::variant what is not there."""

pytestmark = [
    pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"no {COMPILER} here: install Debian's g++-mingw-w64-x86-64-posix"),
    pytest.mark.skipif(shutil.which("wine") is None, reason="no Wine here: install Debian's wine64"),
]


@pytest.fixture(scope="module")
def built() -> tuple[list[Path | str], Path]:
    """Return the command of the host and the bundle."""
    bundle = build(ROOT / "ofx_bridge", "bridge-windows", TOOLCHAIN) / BUNDLE
    program = build(ROOT / "tests" / "host", "host-windows", TOOLCHAIN, HARMLESS) / "ofx_host.exe"
    return ["wine", program], bundle / "Contents" / "Win64" / "GrainLayer.ofx"


@pytest.fixture
def windows(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a Windows of our own, without a server."""
    told = {"WINEPREFIX": str(ROOT / "build" / "wine"), "WINEDEBUG": "-all", "GRAINLAYER_RUNTIME": f"Z:{tmp_path}/run", "DISPLAY": ""}
    return os.environ | told | {"GRAINLAYER_SERVER": "C:\\nowhere\\grainlayer.exe"}


def test_it_exports_and_imports_what_it_must(built: tuple[list[Path | str], Path]) -> None:
    assert not complaints(built[1])


@pytest.mark.parametrize("depth", ["float", "half", "short", "byte"])
def test_what_changes_nothing_passes_through(
    built: tuple[list[Path | str], Path], windows: dict[str, str], tmp_path: Path, depth: str
) -> None:
    pictures = code(grainy(), depth)
    with Host(tmp_path, windows, built=built) as host:
        assert [plugin["id"] for plugin in host.load()["plugins"]] == list(IDS)
        prepare(host, SPLIT, pictures, options={"depth": depth})
        host.send("layout", "a", "*", "origin=-7,11", "pad=8", "negative=1")
        facts, out = host.render("a", 0, SIZE)
        assert facts["status"] == facts["outside"] == 0, facts
        np.testing.assert_array_equal(out, pictures[0])


def test_without_a_server_the_source_is_shown_with_a_sentence(
    built: tuple[list[Path | str], Path], windows: dict[str, str], tmp_path: Path
) -> None:
    pictures = grainy()
    with Host(tmp_path, windows, built=built) as host:
        host.load()
        prepare(host, SPLIT, pictures, view="Base")
        facts, out = host.render("a", 0, SIZE)
        assert facts["status"] == 1
        assert "cannot be started" in facts["persistent"]["text"]
        np.testing.assert_array_equal(out, pictures[0])
