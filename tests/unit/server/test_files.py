"""What a server leaves in its runtime folder: rendezvous and lock."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainlayer.errors import MediaError
from grainlayer.server.rendezvous import Lock, Rendezvous, check_folder, publish, read_rendezvous, runtime_folder, socket_path, withdraw

HERE = Rendezvous(1, 77, "/somewhere/socket", "ab" * 32)


def test_the_folder_is_named_made_and_closed_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAINLAYER_RUNTIME", str(tmp_path / "run"))
    folder = check_folder(runtime_folder(), create=True)
    assert folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.delenv("GRAINLAYER_RUNTIME")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert runtime_folder() == Path("/run/user/7/grainlayer")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert runtime_folder() == Path(f"/tmp/grainlayer-{os.getuid()}")


def test_folders_that_others_could_use_are_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path / "open")
    (tmp_path / "file").write_text("")
    for name in ("open", "link", "file"):
        with pytest.raises(MediaError, match=r"\.$"):
            check_folder(tmp_path / name, create=True)
    with pytest.raises(MediaError, match="GRAINLAYER_RUNTIME"):
        check_folder(tmp_path / "absent", create=False)
    with pytest.raises(MediaError, match="shorter"):
        socket_path(tmp_path / ("x" * 120))


def test_the_rendezvous_comes_back_and_only_its_owner_removes_it(tmp_path: Path) -> None:
    assert read_rendezvous(tmp_path) is None
    publish(tmp_path, HERE)
    assert (tmp_path / "server").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "server").read_text() == f"1 77\n/somewhere/socket\n{'ab' * 32}\n"
    assert read_rendezvous(tmp_path) == HERE
    withdraw(tmp_path, Rendezvous(1, 77, "/somewhere/socket", "cd" * 32))
    assert read_rendezvous(tmp_path) == HERE
    withdraw(tmp_path, HERE)
    assert list(tmp_path.iterdir()) == []


@given(st.binary(max_size=120))
def test_any_file_is_a_rendezvous_or_none(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "server").write_bytes(data)
        found = read_rendezvous(Path(folder))
        assert found is None or len(bytes.fromhex(found.token)) == 32


def test_one_lock_a_folder(tmp_path: Path) -> None:
    first, second = Lock(tmp_path), Lock(tmp_path)
    assert first.take()
    assert not second.take()
    first.close()
    assert second.take()
    second.close()
