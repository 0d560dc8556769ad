"""Another user of the same machine: the folder keeps him out, and where it is open the server does."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from grainlayer.params import Effect, ShotParams
from grainlayer.server.wire import Code
from tests.host.ofx import BUNDLE, SPLIT, Host, build_bridge, build_host
from tests.system.footage import grainy_picture
from tests.system.hosting import SIZE, grainy, prepare
from tests.system.serving import Place, place
from tests.system.test_bridge_faults import assert_source

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can act as another user"),
    pytest.mark.skipif(sys.platform == "win32", reason="users are told apart by a Unix socket's peer credentials"),
]

STRANGER = 65534
REFUSAL = "This server works for another user; start one of your own with `grainlayer serve`."
CALL = """
import json, os, sys
from grainlayer.server.client import Client, Refused
from grainlayer.server.rendezvous import Rendezvous
address, token, user = sys.argv[1:]
os.setgroups([])
os.setgid(int(user))
os.setuid(int(user))
try:
    Client(Rendezvous(2, 0, address, token)).close()
    told = ["welcome", 0, ""]
except Refused as refused:
    told = ["refused", int(refused.code), str(refused)]
except Exception as error:
    told = [type(error.__cause__ or error).__name__, 0, str(error)]
try:
    open(os.path.join(os.path.dirname(address), "server")).close()
    told.append("read")
except OSError as error:
    told.append(type(error).__name__)
print(json.dumps(told))
"""
"""Connects as another user, with the right secret; prints what came of it, and of reading the rendezvous file."""


@pytest.fixture
def there() -> Iterator[Place]:
    """Give a running server in a folder that everybody can reach, but not enter."""
    with place() as found:
        found.folder.chmod(0o755)
        found.start()
        found.client().close()
        yield found


def call_as(user: int, there: Place) -> list[Any]:
    """Return what a client of that user meets."""
    here = there.rendezvous()
    words = [sys.executable, "-c", CALL, here.address, here.token, str(user)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def open_up(there: Place) -> None:
    """Open folder and socket to all users."""
    there.runtime.chmod(0o755)
    Path(there.rendezvous().address).chmod(0o777)


def assert_serves_its_own(there: Place) -> None:
    """Hold the server to go on working for its user."""
    with closing(there.client()) as client:
        assert client.render(Effect.GRAIN_SPLIT, [grainy_picture(32, 24, 0, 0)], ShotParams(grain_amount=0.5)).picture is not None


def test_the_folder_keeps_other_users_out(there: Place) -> None:
    assert stat.S_IMODE(there.runtime.stat().st_mode) == 0o700
    assert call_as(STRANGER, there)[::3] == ["PermissionError", "PermissionError"]
    there.runtime.chmod(0o755)
    assert call_as(STRANGER, there)[::3] == ["PermissionError", "PermissionError"]  # socket and file are closed, too
    assert call_as(os.getuid(), there)[0] == "welcome"


def test_an_open_door_changes_nothing(there: Place) -> None:
    open_up(there)
    assert call_as(STRANGER, there)[:3] == ["refused", Code.TOKEN, REFUSAL]
    assert f"TOKEN {REFUSAL}" in (there.runtime / "server.log").read_text("utf-8")
    assert call_as(os.getuid(), there)[0] == "welcome"
    assert_serves_its_own(there)


def bridge_of(user: int, folder: Path, environment: dict[str, str]) -> Host:
    """Start a test host of another user, from copies that he can read, with a bridge that can start no server."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("the program setpriv is missing: install util-linux")
    program = shutil.copy(build_host(sanitize=False), folder / "ofx_host")
    bundle = shutil.copytree(build_bridge(sanitize=False), folder / BUNDLE)
    words: list[Path | str] = [setpriv, f"--reuid={user}", f"--regid={user}", "--clear-groups", program]
    return Host(folder, environment | {"GRAINLAYER_SERVER": "/bin/false", "HOME": str(folder)}, built=(words, bundle))


@pytest.fixture
def strangers(there: Place) -> Path:
    """Return a folder of the other user's."""
    folder = there.folder / "stranger"
    folder.mkdir(mode=0o755)
    os.chown(folder, STRANGER, STRANGER)
    return folder


@pytest.mark.parametrize("open_to_all", [False, True])
def test_a_bridge_enters_no_folder_of_another_user(there: Place, strangers: Path, open_to_all: bool) -> None:
    if open_to_all:
        open_up(there)
    pictures = grainy()
    with bridge_of(STRANGER, strangers, there.environment) as host:
        host.load()
        prepare(host, SPLIT, pictures, view="Base")
        assert_source(*host.render("a", 0, SIZE), pictures, "must be yours", str(there.runtime))
    assert_serves_its_own(there)


def test_a_bridge_with_another_users_secret_is_refused(there: Place, strangers: Path) -> None:
    """Even where the other user has got hold of the rendezvous file, and everything is open to him."""
    open_up(there)
    own = strangers / "run"
    own.mkdir(mode=0o700)
    shutil.copy(there.runtime / "server", own / "server")
    for path in (own, own / "server"):
        os.chown(path, STRANGER, STRANGER)
    pictures = grainy()
    with bridge_of(STRANGER, strangers, there.environment | {"GRAINLAYER_RUNTIME": str(own)}) as host:
        host.load()
        prepare(host, SPLIT, pictures, view="Base")
        assert_source(*host.render("a", 0, SIZE), pictures, "server")
    assert f"TOKEN {REFUSAL}" in (there.runtime / "server.log").read_text("utf-8")
    assert there.process is not None and there.process.poll() is None
    assert_serves_its_own(there)
