"""A real server process on a real socket: it renders what the effect renders, and no peer can hurt it."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from grainlayer.editorial.sidecars import Sidecar, sidecar_path, write_sidecar
from grainlayer.effect import Effect, Request, view
from grainlayer.errors import WireError
from grainlayer.grain.profile import GrainProfile
from grainlayer.grain.stocks import stock_profile
from grainlayer.params import Effect as EffectName
from grainlayer.params import GrainSource, ProfileSource, Quality, ShotParams, View, defaults_for, digest
from grainlayer.picture.media import open_media
from grainlayer.picture.planes import from_image, to_image
from grainlayer.server.channel import Closed, connect
from grainlayer.server.client import Client, Refused, make_memory
from grainlayer.server.job import pack_job
from grainlayer.server.wire import HEADER, MAGIC, NAME, RELEASE, VERSION, Code, Kind, Outcome, Question, pack, padded
from grainlayer.types import Image
from tests.system.footage import grainy_picture, report, write_movie
from tests.system.serving import PROGRAM, Place, place, until

SPLIT, SYNTH, RESTORER = EffectName
PICTURE = grainy_picture(96, 64, 0, 0)
PROFILE = stock_profile("35mm 500 colour")


@pytest.fixture(scope="module")
def served() -> Iterator[Place]:
    with place() as found:
        found.start()
        found.client().close()
        yield found


@pytest.fixture
def client(served: Place) -> Iterator[Client]:
    found = served.client()
    yield found
    found.close()


def refused(call: object, *values: object) -> Refused:
    """Return the refusal that a call ends in; its text is a sentence."""
    with pytest.raises(Refused) as caught:
        call(*values)  # type: ignore[operator]
    assert str(caught.value).endswith(".")
    return caught.value


def shown(params: ShotParams, picture: Image = PICTURE, scale: float = 1.0, frame: int = 0) -> Image:
    return Effect("cpu").result(Request(picture[None], frame, params, scale=scale))


def hello(served: Place, **changes: object) -> bytes:
    there = served.rendezvous()
    fields = {"version": VERSION, "pid": 1, "token": bytes.fromhex(there.token), "digest": bytes.fromhex(digest())}
    fields |= {"release": RELEASE, "session": bytes(16), "host": padded("raw", NAME)}
    return pack(Kind.HELLO, 0, *(fields | changes).values())


def raw(served: Place, data: bytes) -> tuple[int, bytes]:
    """Send bytes on a new connection; return the code of the FAILED that comes back and what follows: nothing, for it is closed."""
    channel = connect(served.rendezvous().address)
    channel.send(data)
    received = channel.receive(3)
    assert received is not None
    assert received[0].kind is Kind.FAILED
    with pytest.raises(Closed):
        channel.receive(3)
    channel.close()
    return received[0]["code"], received[0].tail


# Who may talk


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"token": bytes(32)}, Code.TOKEN),
        ({"version": VERSION + 1}, Code.VERSION),
        ({"version": VERSION + 1, "token": bytes(32)}, Code.TOKEN),
        ({"digest": b"x" * 32}, Code.PARAMETERS),
        ({"session": b"x" * 16}, Code.PROTOCOL),
    ],
)
def test_strangers_are_refused_with_a_sentence(served: Place, changes: dict[str, object], code: Code) -> None:
    found, sentence = raw(served, hello(served, **changes))
    assert found == code
    assert sentence.endswith(b".")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(range(190, 254)),
        HEADER.pack(MAGIC, Kind.HELLO, 0, 2**32 - 1, 1),
        HEADER.pack(MAGIC, 99, 0, 0, 1),
        HEADER.pack(MAGIC, Kind.HELLO, 0, 3, 1) + b"abc",
        pack(Kind.ASK, 1, 1, 0),
        pack(Kind.WELCOME, 1, 1, 1, bytes(16), bytes(64)),
    ],
)
def test_what_is_no_greeting_is_refused(served: Place, data: bytes) -> None:
    assert raw(served, data)[0] == Code.PROTOCOL


def test_a_truncated_message_holds_nobody_up(served: Place, client: Client) -> None:
    channels = [connect(served.rendezvous().address) for _ in range(5)]
    for channel in channels:
        channel.send(hello(served)[:50])
    assert client.render(SPLIT, [PICTURE], ShotParams(grain_amount=0.5)).picture is not None
    for channel in channels:
        channel.close()


def test_idle_connections_make_room_for_others(served: Place) -> None:
    """Four hosts that keep sixteen connections each do not shut out a fifth, and lose no session by it."""
    hosts = [[served.client()] for _ in range(4)]
    for clients in hosts:
        clients += [served.client(clients[0].session) for _ in range(15)]
    fifth = served.client()
    assert fifth.render(SPLIT, [PICTURE], ShotParams(grain_amount=0.5)).picture is not None
    assert json.loads(fifth.ask(Question.STATUS))["connections"] == 64
    with pytest.raises(WireError):
        hosts[0][0].ask(Question.STATUS)  # idle for longest
    for clients in hosts:
        again = served.client(clients[0].session)
        assert again.session == clients[0].session
        clients.append(again)
    for client in (fifth, *(client for clients in hosts for client in clients)):
        client.close()
    until(lambda: True if status(served)["connections"] == 1 else None)


def test_where_all_are_at_work_the_next_is_refused_with_a_sentence(served: Place) -> None:
    first = served.client()
    workers = [first, *(served.client(first.session) for _ in range(63))]
    job = long_job(first)
    for client in workers:
        client.channel.send(job)
    for client in workers:
        assert until(lambda: client.channel.receive(3))[0].kind is Kind.ALIVE  # noqa: B023
    channel = connect(served.rendezvous().address)
    received = until(lambda: channel.receive(3))
    assert (received[0].kind, received[0]["code"]) == (Kind.FAILED, Code.PROTOCOL)
    channel.close()
    for client in workers:
        client.close()
    until(lambda: True if status(served)["connections"] == 1 else None)


def status(served: Place) -> dict[str, object]:
    client = served.client()
    found = json.loads(client.ask(Question.STATUS))
    client.close()
    return found


# Shared memory


def add_segment(client: Client, number: int, size: int, descriptor: int | None) -> object:
    return client.exchange(Kind.SEGMENT, number, 0, size, bytes(64), descriptor=descriptor)


def memory(size: int, seals: int) -> int:
    descriptor = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


@pytest.mark.parametrize("case", ["none", "small", "unsealed", "file", "zero", "huge", "read-only"])
def test_memory_that_could_fail_is_refused(client: Client, tmp_path: Path, case: str) -> None:
    (tmp_path / "file").write_bytes(bytes(4096))
    given = {
        "none": (1, 4096, None),
        "small": (1, 8192, memory(4096, fcntl.F_SEAL_SHRINK)),
        "unsealed": (1, 4096, memory(4096, 0)),
        "file": (1, 4096, os.open(tmp_path / "file", os.O_RDWR)),
        "zero": (0, 4096, memory(4096, fcntl.F_SEAL_SHRINK)),
        "huge": (1, 1 << 62, memory(4096, fcntl.F_SEAL_SHRINK)),
        "read-only": (1, 4096, memory(4096, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_WRITE)),
    }[case]
    assert refused(add_segment, client, *given).code == Code.PROTOCOL
    with pytest.raises((WireError, Refused)):
        client.ask(Question.STATUS)


def test_a_session_has_at_most_256_segments(client: Client) -> None:
    for number in range(1, 257):
        add_segment(client, number, 16, make_memory(number, 16).descriptor)
    client.channel.send(pack(Kind.DROP, 0, 7, 0))
    add_segment(client, 300, 16, make_memory(300, 16).descriptor)
    assert refused(add_segment, client, 301, 16, make_memory(301, 16).descriptor).code == Code.PROTOCOL


def test_segments_belong_to_the_session_and_no_other(served: Place, client: Client) -> None:
    job = client.job(SPLIT, [PICTURE], ShotParams(grain_amount=0.5))
    friend, stranger = served.client(client.session), served.client()
    assert friend.send(pack_job(Kind.RENDER, 9, job)).kind is Kind.DONE
    assert refused(stranger.send, pack_job(Kind.RENDER, 9, job)).code == Code.PROTOCOL
    friend.close()
    stranger.close()


@pytest.mark.parametrize("change", [{"width": 97}, {"height": 32_768, "width": 32_768}, {"out": 99}, {"effect": 3}, {"scale": 2.0}])
def test_jobs_that_do_not_fit_are_refused(client: Client, change: dict[str, object]) -> None:
    job = replace(client.job(SPLIT, [PICTURE], ShotParams()), **change)  # type: ignore[arg-type]
    assert refused(client.send, pack_job(Kind.RENDER, 9, job)).code == Code.PROTOCOL


# Pictures


def test_defaults_cost_messages_only(client: Client) -> None:
    for name in (View.RESULT, View.SPLIT, View.STATUS):
        answer = client.render(SPLIT, [PICTURE], ShotParams(view=name))
        assert (answer.outcome, answer.picture) == (Outcome.SOURCE, None)


@pytest.mark.parametrize(
    "params",
    [
        *(ShotParams(view=name, grain_amount=0.5) for name in View),
        ShotParams(grain_saturation=0.3, removal_chroma=0.5),
        ShotParams(grain_size=2.0, profile=ProfileSource.STOCK),
        ShotParams(grain_source=GrainSource.STOCK, grain_hold=2, grain_seed=4),
        ShotParams(grain_source=GrainSource.RESYNTHESISED, profile_data=PROFILE.to_json(), grain_seed=4),
        ShotParams(removal=0.4, view=View.BASE, level_mode="manual", level=0.05),  # type: ignore[arg-type]
        ShotParams(view=View.BASE, profile=ProfileSource.BOX, box_width=0.5, box_height=0.5, box_x=0.1, box_y=0.1),
    ],
)
def test_the_server_renders_what_the_effect_renders(client: Client, params: ShotParams) -> None:
    answer = client.render(SPLIT, [PICTURE], params, frame=7)
    assert answer.picture is not None
    assert np.array_equal(answer.picture, shown(params, frame=7))


def test_proxies_and_grain_synth(client: Client) -> None:
    for params in (ShotParams(view=View.BASE, profile_data=PROFILE.to_json()), ShotParams(view=View.BASE, level_mode="manual")):  # type: ignore[arg-type]
        answer = client.render(SPLIT, [PICTURE], params, scale=0.5)
        assert answer.picture is not None
        assert np.array_equal(answer.picture, shown(params, scale=0.5))
    synth = replace(defaults_for(SYNTH), grain_amount=0.5)
    answer = client.render(SYNTH, [PICTURE], synth)
    assert answer.picture is not None
    assert np.array_equal(answer.picture, shown(synth))


def test_neighbours_count(client: Client) -> None:
    pictures = [grainy_picture(96, 64, index, 0) for index in range(3)]
    params = ShotParams(view=View.BASE, quality=Quality.TEMPORAL)
    answer = client.render(SPLIT, pictures, params)
    expected = Effect("cpu").result(Request(np.stack(pictures), 0, params))
    assert answer.picture is not None
    assert np.array_equal(answer.picture, expected)
    assert client.render(SPLIT, [pictures[0], pictures[1], pictures[0]], params).cached is False


def test_amount_and_view_cost_a_sum(served: Place, client: Client) -> None:
    assert not client.render(SPLIT, [PICTURE], ShotParams(view=View.BASE)).cached
    other = served.client()
    for params in (ShotParams(grain_amount=0.25), ShotParams(view=View.DIFFERENCE, grain_amount=3.0), ShotParams(view=View.GRAIN_X4)):
        again, fresh = client.render(SPLIT, [PICTURE], params), other.render(SPLIT, [PICTURE + np.float32(0)], params)
        assert again.cached
        assert again.picture is not None
        assert fresh.picture is not None
        assert np.array_equal(again.picture, fresh.picture)
        assert np.array_equal(again.picture, shown(params))
    other.close()
    assert not client.render(SPLIT, [PICTURE], ShotParams(view=View.BASE, removal=0.5)).cached
    assert not client.render(SPLIT, [PICTURE + np.float32(0.01)], ShotParams(view=View.BASE)).cached


def test_a_profile_file_that_changes_is_read_again(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "profile.json"
    params = ShotParams(view=View.BASE, profile=ProfileSource.FILE, profile_file=str(file))
    assert refused(client.render, SPLIT, [PICTURE], params).code == Code.MEDIA
    pictures: list[Image] = []
    weaker = replace(PROFILE, strength=tuple(tuple(max(code - 64, 0) for code in row) for row in PROFILE.strength))
    for profile in (PROFILE, weaker):
        file.write_text(profile.to_json() + " " * len(pictures))
        answer = client.render(SPLIT, [PICTURE], params)
        assert answer.picture is not None
        pictures.append(answer.picture)
    assert not np.array_equal(*pictures)


@pytest.mark.parametrize("kind", ["pipe", "endless", "folder", "long", "no text"])
def test_a_profile_file_that_is_none_holds_nobody_up(served: Place, client: Client, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "profile.json"
    {
        "pipe": lambda: os.mkfifo(path),
        "endless": lambda: path.symlink_to("/dev/zero"),
        "folder": path.mkdir,
        "long": lambda: path.write_text(PROFILE.to_json() + " " * 70_000),
        "no text": lambda: path.write_bytes(b"\xff" * 100),
    }[kind]()
    params = ShotParams(view=View.BASE, profile=ProfileSource.FILE, profile_file=str(path))
    began = time.monotonic()
    others = [served.client() for _ in range(3)]
    for other in (client, *others):
        assert refused(other.render, SPLIT, [PICTURE], params).code == (Code.VALUE if kind == "no text" else Code.MEDIA)
    assert client.render(SPLIT, [PICTURE], ShotParams(grain_amount=0.5)).picture is not None
    assert time.monotonic() - began < 5
    for other in others:
        other.close()


def test_every_road_gives_the_same_picture(client: Client, tmp_path: Path) -> None:
    movie = write_movie(tmp_path / "in.mkv", shots=(2,), pix_fmt="gbrp16le")
    (tmp_path / "p.json").write_text(PROFILE.to_json())
    named = ["--profile", "file", "--profile-file", str(tmp_path / "p.json"), "--grain-amount", "0.5"]
    out = tmp_path / "out.mkv"
    report("split", movie, "--base", tmp_path / "base.mkv", "--grain", tmp_path / "grain.mkv", "--result", out, *named)
    params = ShotParams(profile=ProfileSource.FILE, profile_file=str(tmp_path / "p.json"), grain_amount=0.5)
    with open_media(movie) as reader, open_media(out) as written:
        info = reader.info
        for frame, result in zip(reader.frames(), written.frames(), strict=True):
            source = to_image(frame.planes, info.format, info.tags)
            answer = client.render(SPLIT, [source], params, frame=frame.index)
            assert answer.picture is not None
            assert np.array_equal(answer.picture, shown(params, source))
            stored = from_image(answer.picture, written.info.format, info.tags, like=frame.planes)
            assert all(np.array_equal(ours, theirs) for ours, theirs in zip(stored, result.planes, strict=True))


def test_status_says_what_was_done(client: Client) -> None:
    lines = client.render(SPLIT, [PICTURE], ShotParams(view=View.STATUS, grain_amount=0.9)).note.split("\n")
    assert 3 <= len(lines) <= 6
    assert "cpu" in lines[0]
    assert "removal-default" in lines[1]
    assert "level" in lines[3]
    assert client.render(SPLIT, [PICTURE], ShotParams(grain_amount=0.9)).note == ""


def test_a_result_may_be_written_over_its_source(client: Client) -> None:
    params = ShotParams(view=View.SPLIT, grain_amount=0.0)
    job = client.job(SPLIT, [PICTURE], params)
    job = replace(job, out=job.middle.segment)
    assert client.send(pack_job(Kind.RENDER, 9, job)).kind is Kind.DONE
    assert np.array_equal(client.shared(1, 1).image(64, 96), shown(params))


def test_artifact_restore_looks_at_all_its_pictures_and_keeps_them(client: Client) -> None:
    pictures = [np.ascontiguousarray(np.roll(PICTURE, 2 * index, 1)) for index in range(7)]
    for turn, amount in enumerate((0.25, 1.0)):
        params = ShotParams(restore=amount)
        answer = client.render(RESTORER, pictures, params)
        assert answer.cached == (turn > 0)
        assert answer.picture is not None
        assert np.array_equal(answer.picture, Effect("cpu").result(Request(np.stack(pictures), 0, params, restores=True)))
    pictures[0] = np.ascontiguousarray(pictures[0][::-1])
    assert not client.render(RESTORER, pictures, ShotParams()).cached
    assert not client.render(RESTORER, pictures, ShotParams(deblock=False)).cached


def test_the_status_of_artifact_restore(client: Client) -> None:
    told = ShotParams(view=View.STATUS)
    lines = client.render(RESTORER, [PICTURE] * 7, told).note.split("\n")
    assert lines[1] == "model restore-default with neighbouring frames"
    assert lines[2].startswith("estimated QP ") or lines[2] == "no lossy compression found"
    assert lines[3].startswith("layers ")
    lines = client.render(RESTORER, [PICTURE] * 7, replace(told, quality=Quality.REAL_TIME)).note.split("\n")
    assert lines[1].startswith("model restore-")


def test_artifact_restore_that_is_cancelled_stops(client: Client) -> None:
    wide = np.tile(PICTURE, (8, 8, 1))
    job = client.job(RESTORER, [wide] * 7, ShotParams())
    client.channel.send(pack_job(Kind.RENDER, 77, job))
    client.channel.send(pack(Kind.CANCEL, 77))
    began = time.monotonic()
    with pytest.raises(Refused) as caught:
        client.answer()
    assert caught.value.code == Code.CANCELLED
    assert time.monotonic() - began < 5


def test_artifact_restore_of_what_is_no_number_is_a_sentence(client: Client) -> None:
    broken = PICTURE.copy()
    broken[3, 4, 1] = np.nan
    assert "NaN" in str(refused(client.render, RESTORER, [PICTURE, PICTURE, broken], ShotParams()))


@pytest.mark.parametrize("name", View)
def test_artifact_restore_at_nothing_shows_the_source_or_no_difference(client: Client, name: View) -> None:
    answer = client.render(RESTORER, [PICTURE], ShotParams(deblock=False, chroma=False, depth=False, deband=0.0, view=name))
    if name in (View.RESULT, View.SPLIT):
        assert client.render(RESTORER, [PICTURE], ShotParams(restore=0.0, view=name)).outcome is Outcome.SOURCE
    if name in (View.GRAIN, View.GRAIN_X4, View.DIFFERENCE):
        assert answer.picture is not None
        assert np.array_equal(answer.picture, np.full_like(PICTURE, 0.5))
    else:
        assert answer.outcome is Outcome.SOURCE
    lines = answer.note.split("\n")
    assert (lines[0].endswith("on cpu") and "passes through" in lines[1]) if name is View.STATUS else lines == [""]


@pytest.mark.parametrize(
    "params",
    [
        ShotParams(grain_source=GrainSource.NEURAL, profile=ProfileSource.FILE),
        ShotParams(view=View.BASE, profile=ProfileSource.BOX, box_width=0.0),
        ShotParams(view=View.BASE, profile=ProfileSource.BOX, box_x=1.0),
        ShotParams(view=View.BASE, profile=ProfileSource.FILE),
        ShotParams(view=View.BASE, profile_data="{}"),
    ],
)
def test_values_that_cannot_be_are_a_sentence(client: Client, params: ShotParams) -> None:
    wide = np.concatenate([PICTURE, PICTURE], axis=1)  # a thumbnail would be shown as it is
    assert refused(client.render, SPLIT, [wide], params).code == Code.VALUE
    assert client.render(SPLIT, [PICTURE], ShotParams()).outcome is Outcome.SOURCE


def test_analyse_measures_pictures_or_a_box(client: Client) -> None:
    pictures = [grainy_picture(128, 96, index, 0) for index in range(3)]
    text = client.analyse(SPLIT, pictures, ShotParams())
    assert len(text) <= 4096
    whole = GrainProfile.from_json(text)
    assert whole.height == 96
    assert np.median(whole.strength_curve()[1]) == pytest.approx(np.median(PROFILE.strength_curve()[1]), rel=0.5)
    boxed = ShotParams(profile=ProfileSource.BOX, box_x=0.0, box_y=0.0, box_width=0.6, box_height=0.8)
    assert GrainProfile.from_json(client.analyse(SPLIT, pictures[:1], boxed)) != whole
    tight = replace(boxed, box_width=0.1)
    assert refused(client.analyse, SPLIT, pictures[:1], tight).code == Code.VALUE


# Many at once, and none


def test_sessions_do_not_disturb_each_other(served: Place) -> None:
    wrong: list[int] = []

    def work(number: int) -> None:
        picture = grainy_picture(96, 64, number, number)
        client = served.client()
        for amount in (0.5, 0.25, 2.0):
            params = ShotParams(grain_amount=amount)
            answer = client.render(SPLIT, [picture], params)
            if answer.picture is None or not np.array_equal(answer.picture, shown(params, picture)):
                wrong.append(number)
        client.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@cache
def long_pictures() -> tuple[Image, ...]:
    return tuple(grainy_picture(384, 288, index, 0) for index in range(9))


def long_job(client: Client) -> bytes:
    """Return a request that takes a few seconds."""
    return pack_job(Kind.ANALYSE, 50, client.job(SPLIT, long_pictures(), ShotParams()))


def test_work_shows_signs_of_life_and_can_be_cancelled(served: Place) -> None:
    clients = [served.client() for _ in range(3)]
    jobs = [long_job(client) for client in clients]
    for client, job in zip(clients, jobs, strict=True):
        client.channel.send(job)
    alive = clients[0].channel.receive(2)
    assert alive is not None
    assert (alive[0].kind, alive[0].request) == (Kind.ALIVE, 50)
    for client in reversed(clients):
        began = time.monotonic()
        client.channel.send(pack(Kind.CANCEL, 50))
        assert refused(client.answer).code == Code.CANCELLED
        assert time.monotonic() - began < 1
        assert client.render(SPLIT, [PICTURE], ShotParams()).outcome is Outcome.SOURCE
        client.close()


def test_a_connection_that_closes_cancels_its_work(served: Place) -> None:
    clients = [served.client() for _ in range(4)]
    jobs = [long_job(client) for client in clients]
    for client, job in zip(clients, jobs, strict=True):
        client.channel.send(job)
    time.sleep(0.1)
    for client in clients:
        client.close()
    assert until(lambda: s if (s := status(served))["sessions"] == s["connections"] == 1 else None, 5)["working"] == 0
    other = served.client()
    began = time.monotonic()
    assert other.render(SPLIT, [PICTURE], ShotParams(grain_amount=0.7)).picture is not None
    assert time.monotonic() - began < 2
    other.close()


def test_one_request_at_a_time(client: Client) -> None:
    client.channel.send(long_job(client))
    assert refused(client.ask, Question.STATUS).code == Code.PROTOCOL


def test_segments_may_go_while_they_are_worked_on(client: Client) -> None:
    job = client.job(SPLIT, [PICTURE], ShotParams(grain_source=GrainSource.RESYNTHESISED))
    client.channel.send(pack_job(Kind.RENDER, 60, job))
    client.channel.send(pack(Kind.DROP, 0, job.out, 0))
    assert client.answer().kind is Kind.DONE
    assert refused(client.send, pack_job(Kind.RENDER, 61, job)).code == Code.PROTOCOL


# Shots


def test_the_journal_follows_what_is_rendered(served: Place, client: Client) -> None:
    client.render(SPLIT, [PICTURE], ShotParams(shot_uid="shot-1", grain_amount=0.5), frame=12)
    path = served.state / "journal" / "shot-1.json"
    entry = json.loads(until(lambda: path.read_text("utf-8") if path.exists() else None))
    assert (entry["uid"], entry["effect"], entry["frame"], entry["host"]) == ("shot-1", "GrainSplit", 12, "test")
    assert ShotParams.from_dict(entry["params"]) == ShotParams(shot_uid="shot-1", grain_amount=0.5)


def test_a_shot_that_follows_obeys_its_sidecar(served: Place, client: Client) -> None:
    asked = ShotParams(shot_uid="a shot", follow=True, grain_amount=0.5)
    alone = client.render(SPLIT, [PICTURE], asked)
    assert "no sidecar" in alone.note
    assert alone.picture is not None
    assert np.array_equal(alone.picture, shown(ShotParams(grain_amount=0.5)))
    write_sidecar(served.state, Sidecar("a shot", ShotParams(grain_amount=2.0, grain_red=0.5), PROFILE))
    obeyed = client.render(SPLIT, [PICTURE], asked)
    request = Request(PICTURE[None], 0, ShotParams(grain_amount=2.0, grain_red=0.5), PROFILE)
    effect = Effect("cpu")
    assert obeyed.picture is not None
    assert np.array_equal(obeyed.picture, view(request, effect.layers(request)))
    assert obeyed.note == ""
    sidecar_path(served.state, "a shot").write_text("{")
    assert refused(client.render, SPLIT, [PICTURE], asked).code == Code.VALUE


# Life


def test_one_server_a_user_and_its_words() -> None:
    with place() as home:
        assert json.loads(home.run("serve", "--status", "--json").stdout)["running"] is False
        process = home.start("--cache-mb", "1")
        client = home.client()
        second = home.run("serve", "--json")
        assert second.returncode == 0
        assert json.loads(second.stdout)["pid"] == process.pid
        facts = json.loads(home.run("serve", "--status", "--json").stdout)
        assert (facts["running"], facts["pid"], facts["cache_most"]) == (True, process.pid, 1_000_000)
        assert "The server ends" in home.run("serve", "--stop").stdout
        assert process.wait(10) == 0
        assert {path.name for path in home.runtime.iterdir()} == {"lock", "server.log"}
        client.close()


def test_a_killed_server_leaves_nothing_that_stops_the_next() -> None:
    with place() as home:
        first = home.start()
        client = home.client()
        token = home.rendezvous().token
        first.kill()
        first.wait(10)
        with pytest.raises(WireError):
            client.ask(Question.STATUS)
        assert (home.runtime / "socket").exists()
        process = home.start("--spawned", "--idle", "1")
        again = until(lambda: there if (there := home.rendezvous()).token != token else None)
        fresh = Client(again)
        assert fresh.render(SPLIT, [PICTURE], ShotParams(grain_amount=0.5)).picture is not None
        fresh.close()
        client.close()
        assert process.wait(10) == 0
        assert not (home.runtime / "server").exists()


def test_a_signal_ends_it_cleanly_whatever_it_does() -> None:
    with place() as home:
        process = home.start()
        client = home.client()
        client.channel.send(long_job(client))
        time.sleep(0.2)
        process.terminate()
        assert process.wait(5) == 0
        assert not (home.runtime / "server").exists()
        client.close()


def test_the_next_server_waits_for_one_that_ends() -> None:
    with place() as home:
        first = home.start()
        client, token = home.client(), home.rendezvous().token
        client.channel.send(long_job(client))
        first.terminate()
        until(lambda: True if not (home.runtime / "server").exists() else None)
        home.start()
        assert home.rendezvous().token != token
        home.client().close()
        assert first.wait(5) == 0
        client.close()


def test_a_spawned_server_takes_nothing_over() -> None:
    with place() as home:
        inherited, ours = os.pipe()
        os.set_inheritable(ours, True)
        command = [*PROGRAM, "serve", "--spawned", "--idle", "60"]
        home.process = subprocess.Popen(command, env=home.environment, pass_fds=(ours,))
        os.close(ours)
        client = home.client()
        os.set_blocking(inherited, False)
        assert os.read(inherited, 1) == b""
        os.close(inherited)
        client.close()


def test_doctor_renders_through_a_server() -> None:
    with place() as home:
        done = home.run("doctor", "--json")
        findings = json.loads(done.stdout)["findings"]
        states = {finding["name"]: finding["state"] for finding in findings}
        assert (states["runtime"], states["models"], states["render"]) == ("OK", "OK", "OK")
        client = home.client()
        assert "models" in client.ask(Question.DOCTOR)
        client.close()
        assert home.run("serve", "--stop").returncode == 0


def test_an_open_folder_is_refused() -> None:
    with place() as home:
        home.runtime.mkdir(mode=0o755)
        done = home.run("serve")
        assert done.returncode == 1
        assert done.stderr.startswith("grainlayer: The folder")
