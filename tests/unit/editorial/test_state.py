"""What server and scripts leave in the state folder: sidecars and journal."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainlayer.editorial.journal import Journal
from grainlayer.editorial.sidecars import Sidecar, Sidecars, followed, read_sidecar, sidecar_path, write_sidecar
from grainlayer.editorial.state import safe_name, state_folder
from grainlayer.errors import MediaError, ParamError
from grainlayer.grain.stocks import stock_profile
from grainlayer.params import Effect, ShotParams, View
from tests.strategies import shot_params
from tests.system.serving import until

PROFILE = stock_profile("35mm 500 colour")


@given(st.text(max_size=80))
def test_names_are_safe(uid: str) -> None:
    name = safe_name(uid)
    assert name
    assert not set(name) & set("/\\:\0")
    assert not name.startswith(".")
    assert len(name) <= 64


def test_plain_names_stay_and_differ() -> None:
    assert safe_name("shot_010.v2") == "shot_010.v2"
    assert len({safe_name(uid) for uid in ("a/b", "a\\b", "..", "a b", "", "x" * 65)}) == 6


def test_the_state_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAINLAYER_STATE", "/a")
    assert state_folder() == Path("/a")
    monkeypatch.delenv("GRAINLAYER_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", "/b")
    assert state_folder() == Path("/b/grainlayer")


def test_sidecars_come_back_and_are_read_again_when_they_change(tmp_path: Path) -> None:
    sidecars = Sidecars(tmp_path)
    assert sidecars.find("shot 1") is None
    written = Sidecar("shot 1", ShotParams(grain_amount=0.5, grain_size=2.0), PROFILE)
    assert write_sidecar(tmp_path, written) == sidecar_path(tmp_path, "shot 1")
    assert sidecars.find("shot 1") == written
    assert sidecars.find("shot 1") is sidecars.find("shot 1")
    write_sidecar(tmp_path, Sidecar("shot 1", ShotParams(grain_amount=0.25)))
    assert sidecars.find("shot 1") == Sidecar("shot 1", ShotParams(grain_amount=0.25))


@given(shot_params())
def test_any_parameters_come_back(params: ShotParams) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        assert read_sidecar(write_sidecar(Path(folder), Sidecar("u", params))).params == params


DAMAGED = (
    "",
    "[]",
    "{}",
    "null",
    '{"schema": 2}',
    '{"schema": 1, "uid": "a", "params": {"no": 1}}',
    '{"schema": 1, "uid": "a", "params": 3}',
    '{"schema": 1, "uid": "a", "params": {"removal": 9}}',
    '{"schema": 1, "uid": "a", "params": {}, "profile": 3}',
    "\xff\xfe",
    "[" * 100_000,
)


@pytest.mark.parametrize("text", DAMAGED)
def test_damaged_sidecars_are_one_sentence(tmp_path: Path, text: str) -> None:
    path = sidecar_path(tmp_path, "a")
    path.parent.mkdir()
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ParamError, match=r"damaged .* follow off\.$"):
        Sidecars(tmp_path).find("a")


def test_a_pipe_in_a_sidecars_place_holds_nobody_up(tmp_path: Path) -> None:
    path = sidecar_path(tmp_path, "a")
    path.parent.mkdir()
    os.mkfifo(path)
    with pytest.raises(MediaError, match=r"follow off\.$"):
        Sidecars(tmp_path).find("a")


def test_a_sidecars_keyframes_are_followed(tmp_path: Path) -> None:
    """As the frames of the source media, which a host counts from the clip's first."""
    kept = Sidecar("a", ShotParams(grain_size=2.0), keys={"grain_amount": ((10, 0.0), (20, 2.0))})
    write_sidecar(tmp_path, kept)
    found = Sidecars(tmp_path).find("a")
    assert found == kept
    assert [followed(ShotParams(), found, Effect.GRAIN_SPLIT, frame).grain_amount for frame in (0, 15, 99)] == [0.0, 1.0, 2.0]


def test_an_unreadable_sidecar_is_one_sentence(tmp_path: Path) -> None:
    sidecar_path(tmp_path, "a").mkdir(parents=True)
    with pytest.raises(MediaError, match=r"follow off\.$"):
        Sidecars(tmp_path).find("a")


def test_what_stays_the_hosts_when_a_sidecar_is_followed() -> None:
    asked = ShotParams(view=View.BASE, shot_uid="a", follow=True, removal=0.5)
    found = followed(asked, Sidecar("a", ShotParams(grain_amount=2.0)), Effect.GRAIN_SPLIT)
    assert found == ShotParams(view=View.BASE, shot_uid="a", follow=True, grain_amount=2.0)
    with pytest.raises(ParamError, match="grain_source"):
        followed(asked, Sidecar("a", ShotParams()), Effect.GRAIN_SYNTH)


def written(folder: Path, uid: str) -> dict[str, object]:
    path = folder / "journal" / f"{safe_name(uid)}.json"
    deadline = time.monotonic() + 5
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return json.loads(path.read_text("utf-8"))


def test_the_journal_holds_the_last_values(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add(Effect.GRAIN_SPLIT, ShotParams(), 3, "Host")
    journal.add(Effect.GRAIN_SPLIT, ShotParams(shot_uid="a/b", removal=0.5), 3, "Host")
    first = written(tmp_path, "a/b")
    assert {key: first[key] for key in ("uid", "effect", "params", "frame", "host")} == {
        "uid": "a/b",
        "effect": "GrainSplit",
        "params": {"shot_uid": "a/b", "removal": 0.5},
        "frame": 3,
        "host": "Host",
    }
    for amount in (0.1, 0.2, 0.3):
        journal.add(Effect.GRAIN_SPLIT, ShotParams(shot_uid="a/b", grain_amount=amount), 9, "Host")
    journal.add(Effect.GRAIN_SPLIT, ShotParams(shot_uid="a/b", grain_amount=0.3), 10, "Host")
    journal.flush()
    last = written(tmp_path, "a/b")
    assert (last["params"], last["frame"]) == ({"shot_uid": "a/b", "grain_amount": 0.3}, 9)
    assert len(list((tmp_path / "journal").iterdir())) == 1


def test_a_journal_that_cannot_be_written_complains_once_and_tries_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "journal").write_text("in the way")
    journal = Journal(tmp_path)
    for frame in range(3):
        journal.add(Effect.GRAIN_SPLIT, ShotParams(shot_uid="a", grain_amount=frame / 2), frame, "Host")
        journal.flush()
    assert (tmp_path / "journal").read_text() == "in the way"
    (tmp_path / "journal").unlink()

    def again() -> bool | None:
        journal.add(Effect.GRAIN_SPLIT, ShotParams(shot_uid="a", grain_amount=1.0), 3, "Host")
        journal.flush()
        return (tmp_path / "journal" / "a.json").exists() or None

    assert until(again)
    assert written(tmp_path, "a")["params"] == {"shot_uid": "a"}
    assert sum("cannot be written" in record.getMessage() for record in caplog.records) == 1
