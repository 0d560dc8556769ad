"""One connection of the server: signs of life whatever is asked, and room for others where threads or places run out."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from grainlayer.params import digest
from grainlayer.server.channel import Closed, SocketChannel, connect
from grainlayer.server.connection import Connection, House
from grainlayer.server.door import Door
from grainlayer.server.rendezvous import Lock, check_folder
from grainlayer.server.service import Service, ServiceSettings
from grainlayer.server.sessions import Sessions
from grainlayer.server.wire import NAME, RELEASE, VERSION, Code, Kind, Question, pack, padded

TOKEN = bytes(range(32))


def hello(token: bytes = TOKEN) -> bytes:
    return pack(Kind.HELLO, 0, VERSION, 1, token, bytes.fromhex(digest()), RELEASE, bytes(16), padded("test", NAME))


def slow(question: Question) -> str:
    time.sleep(0.8)
    return question.name


@contextmanager
def connected(**changes: Any) -> Iterator[SocketChannel]:
    """Give a peer's channel to a connection that answers slowly."""
    pool = ThreadPoolExecutor(1)
    renderer: Any = SimpleNamespace(device="cpu", cache=SimpleNamespace(forget=lambda session: None))
    fields: dict[str, Any] = {
        "submit": pool.submit,
        "look_up": pool.submit,
        "ask": slow,
        "leave": lambda: True,
        "is_leaving": lambda: False,
    }
    house = House(TOKEN.hex(), bytes.fromhex(digest()), Sessions(), renderer, Path("log"), **(fields | changes))
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=Connection(house, SocketChannel(theirs)).run)
    thread.start()
    with closing(SocketChannel(ours)) as channel:
        channel.send(hello())
        assert kind_of(channel) is Kind.WELCOME
        yield channel
        channel.hang_up()
    thread.join(5)
    pool.shutdown()


def kind_of(channel: SocketChannel) -> Kind | None:
    received = channel.receive(3)
    return received[0].kind if received else None


def test_a_slow_report_shows_signs_of_life() -> None:
    with connected() as channel:
        channel.send(pack(Kind.ASK, 7, Question.DOCTOR, 0))
        kinds: list[Kind | None] = []
        while Kind.TEXT not in kinds:
            kinds.append(kind_of(channel))
        assert kinds.count(Kind.ALIVE) >= 2
        assert kinds[-1] is Kind.TEXT


def test_a_question_that_waits_for_its_turn_can_be_cancelled() -> None:
    pool = ThreadPoolExecutor(1)
    release = threading.Event()
    pool.submit(release.wait, 5)
    with connected(look_up=pool.submit) as channel:
        channel.send(pack(Kind.ASK, 7, Question.DOCTOR, 0))
        channel.send(pack(Kind.CANCEL, 7))
        received = channel.receive(3)
        while received and received[0].kind is Kind.ALIVE:
            received = channel.receive(3)
        assert received is not None
        assert received[0]["code"] == Code.CANCELLED
    release.set()
    pool.shutdown()


def test_a_question_that_fails_is_answered_by_a_sentence() -> None:
    def fail(question: Question) -> str:
        raise OSError("no disk")

    with connected(ask=fail) as channel:
        for question in (Question.STATUS, Question.DOCTOR):
            channel.send(pack(Kind.ASK, 7, question, 0))
            received = channel.receive(3)
            assert received is not None
            assert (received[0].kind, received[0]["code"]) == (Kind.FAILED, Code.INTERNAL)


def test_a_server_that_leaves_takes_no_further_request() -> None:
    leaving = threading.Event()
    with connected(is_leaving=leaving.is_set) as channel:
        leaving.set()
        channel.send(pack(Kind.ASK, 7, Question.STATUS, 0))
        with pytest.raises(Closed):
            channel.receive(3)


def test_a_thread_that_cannot_be_started_costs_its_connection_alone(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = check_folder(tmp_path_factory.mktemp("d", numbered=True) / "r", create=True)
    monkeypatch.setenv("GRAINLAYER_STATE", str(folder))
    lock = Lock(folder)
    assert lock.take()
    door = Door(folder, lock)
    door.publish()
    service = Service(door, ServiceSettings(idle=60, cache_bytes=0, device="cpu"))
    start, failed = threading.Thread.start, list[str]()

    def starting(thread: threading.Thread) -> None:
        if thread.name == "grainlayer-connection" and not failed:
            failed.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", starting)
    running = threading.Thread(target=service.run)
    running.start()
    with closing(connect(door.rendezvous.address)) as first:
        received = first.receive(3)
        assert received is not None
        assert (received[0].kind, received[0].tail[-1:]) == (Kind.FAILED, b".")
    with closing(connect(door.rendezvous.address)) as second:
        second.send(hello(bytes.fromhex(door.rendezvous.token)))
        received = second.receive(3)
        assert received is not None
        assert received[0].kind is Kind.WELCOME
    service.stop()
    running.join(5)
    assert not running.is_alive()
    assert failed
