"""A server's place: it makes room for a newer one and for nobody else, is found whatever is removed, and can always be ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from grainlayer.params import Effect, ShotParams, View, digest
from grainlayer.server import rendezvous as meeting
from grainlayer.server.channel import Channel, Closed, connect
from grainlayer.server.client import Client, Refused
from grainlayer.server.job import pack_job
from grainlayer.server.wire import (
    DIGEST,
    GREETING_STRUCT,
    HEADER,
    MAGIC,
    NAME,
    RELEASE,
    VERSION,
    Code,
    Kind,
    Message,
    Question,
    pack,
    padded,
)
from tests.system.footage import grainy_picture
from tests.system.serving import Place, place, until

SPLIT = Effect.GRAIN_SPLIT
PICTURE = grainy_picture(96, 64, 0, 0)
ANOTHER = b"x" * DIGEST
"""A parameter table's digest that is not ours."""


@pytest.fixture
def there() -> Iterator[Place]:
    with place() as found:
        found.start()
        found.client().close()
        yield found


def meet(there: Place, version: int = VERSION, table: bytes | None = None, release: int = RELEASE) -> tuple[Channel, Message]:
    """Say HELLO and return what answers it; another version's HELLO is longer than ours."""
    token, table = bytes.fromhex(there.rendezvous().token), bytes.fromhex(digest()) if table is None else table
    body = GREETING_STRUCT.pack(version, 1, token, table, release) + bytes(16) + padded("raw", NAME) + bytes(8 * (version > VERSION))
    return greet(there, body)


def greet(there: Place, body: bytes) -> tuple[Channel, Message]:
    channel = connect(there.rendezvous().address)
    try:
        channel.send(HEADER.pack(MAGIC, Kind.HELLO, 0, len(body), 0) + body)
        received = channel.receive(5)
        assert received is not None
    except BaseException:
        channel.close()
        raise
    return channel, received[0]


def refused(there: Place, **hello: object) -> Message:
    """Return the refusal of a HELLO, after which the connection is closed."""
    channel, message = meet(there, **hello)  # type: ignore[arg-type]
    assert message.kind is Kind.FAILED
    assert message.tail.endswith(b".")
    with pytest.raises(Closed):
        channel.receive(3)
    channel.close()
    return message


def renders(there: Place) -> None:
    with closing(there.client()) as client:
        assert client.render(SPLIT, [PICTURE], ShotParams(grain_amount=0.5)).picture is not None


def long_job(client: Client) -> bytes:
    """Return a request that takes seconds."""
    pictures = [grainy_picture(384, 288, index, 0) for index in range(3)]
    return pack_job(Kind.ANALYSE, 50, client.job(SPLIT, pictures, ShotParams()))


# Room for a newer one


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        ({"version": VERSION + 1, "release": RELEASE + 1}, Code.VERSION),
        ({"table": ANOTHER, "release": RELEASE + 1}, Code.PARAMETERS),
    ],
)
def test_a_newer_plug_in_finds_the_place_free(there: Place, hello: dict[str, object], code: Code) -> None:
    idle, process = there.client(), there.process
    message = refused(there, **hello)
    assert (message["code"], message["retires"]) == (code, 1)
    assert not (there.runtime / "server").exists()
    assert not meeting.is_locked(there.runtime)
    assert process is not None
    assert process.wait(5) == 0
    with pytest.raises(Closed):
        idle.channel.receive(1)
    idle.close()
    there.start()
    renders(there)


def test_what_is_worked_on_is_answered_first_and_the_next_server_does_not_wait_for_it(there: Place) -> None:
    busy, old = there.client(), there.process
    assert old is not None
    busy.channel.send(long_job(busy))
    assert until(lambda: busy.channel.receive(1))[0].kind is Kind.ALIVE
    assert refused(there, table=ANOTHER, release=RELEASE + 1)["retires"] == 1
    there.start()
    renders(there)
    assert old.poll() is None
    assert busy.answer().kind is Kind.TEXT
    assert old.wait(5) == 0
    busy.close()
    renders(there)
    assert (there.runtime / "socket").exists()


@pytest.mark.parametrize(
    ("hello", "word"),
    [
        ({"version": VERSION + 1}, b"different builds"),
        ({"table": ANOTHER}, b"different builds"),
        ({"table": ANOTHER, "release": RELEASE - 1}, b"older"),
        ({"version": VERSION + 1, "release": 0}, b"older"),
        ({"version": VERSION + 1, "table": bytes(DIGEST), "release": RELEASE + 1}, b"serve --stop"),
    ],
)
def test_nobody_else_ends_it(there: Place, hello: dict[str, object], word: bytes) -> None:
    for _ in range(3):
        message = refused(there, **hello)
        assert message["retires"] == 0
        assert word in message.tail
    renders(there)
    assert there.process is not None and there.process.poll() is None


def test_a_newer_peer_that_only_has_a_wrong_secret_changes_nothing(there: Place) -> None:
    body = GREETING_STRUCT.pack(VERSION, 1, bytes(32), ANOTHER, RELEASE + 1) + bytes(16) + bytes(NAME)
    channel, message = greet(there, body)
    assert (message["code"], message["retires"]) == (Code.TOKEN, 0)
    channel.close()
    renders(there)


def test_the_first_protocol_is_told_apart_and_has_no_release(there: Place) -> None:
    token = bytes.fromhex(there.rendezvous().token)
    channel, message = greet(there, pack(Kind.HELLO, 0, 1, 1, token, ANOTHER, 2**32 - 1, b"x" * 16, padded("old", NAME))[HEADER.size : -4])
    assert (message["code"], message["retires"]) == (Code.VERSION, 0)
    assert b"older" in message.tail
    channel.close()
    renders(there)


def test_an_old_and_a_new_host_do_not_end_each_others_servers(there: Place) -> None:
    """The new host has its server; the old one is refused for as long as it tries."""
    pid = there.rendezvous().pid
    for _ in range(5):
        assert refused(there, table=ANOTHER, release=RELEASE - 1)["retires"] == 0
        renders(there)
    assert there.rendezvous().pid == pid


def test_who_names_no_parameters_may_only_ask(there: Place) -> None:
    channel, message = meet(there, table=bytes(DIGEST))
    assert message.kind is Kind.WELCOME
    channel.send(pack(Kind.ASK, 1, Question.STATUS, 0))
    answer = until(lambda: channel.receive(1))[0]
    assert json.loads(answer.tail)["pid"] == there.rendezvous().pid
    channel.send(pack(Kind.SEGMENT, 2, 1, 0, 4096, bytes(NAME)))
    answer = until(lambda: channel.receive(1))[0]
    assert (answer.kind, answer["code"]) == (Kind.FAILED, Code.PROTOCOL)
    channel.close()


def test_stop_needs_no_parameters_and_ends_it_under_steady_work(there: Place) -> None:
    renders(there)
    stopped, begun, failures = threading.Event(), threading.Semaphore(0), list[str]()

    def work() -> None:
        client = there.client()
        client.render(SPLIT, [PICTURE], ShotParams(grain_amount=1.005))
        begun.release()
        amount = 0.0
        while not stopped.is_set():
            amount += 0.01
            try:
                client.render(SPLIT, [PICTURE], ShotParams(grain_amount=amount % 1 + 1))
            except Exception as error:
                failures.append(str(error))
                break
        client.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert all(begun.acquire(timeout=30) for _ in threads)
    channel, _ = meet(there, table=bytes(DIGEST))
    channel.send(pack(Kind.ASK, 1, Question.STOP, 0))
    assert until(lambda: channel.receive(1))[0].kind is Kind.TEXT
    assert there.process is not None
    assert there.process.wait(5) == 0
    stopped.set()
    for thread in threads:
        thread.join()
    channel.close()
    assert all("ended" in failure for failure in failures)


@pytest.mark.parametrize("asks", [False, True])
def test_who_is_refused_or_only_asks_does_not_keep_it_alive(asks: bool) -> None:
    with place() as home:
        process = home.start("--idle", "2")
        home.client().close()
        deadline = time.monotonic() + 12
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
            try:
                meet(home, table=bytes(DIGEST) if asks else ANOTHER)[0].close()
            except (OSError, Closed, AssertionError):
                break
        assert process.wait(1) == 0  # less than it waits for others


# Found whatever is removed


def remove_file(runtime: Path) -> None:
    (runtime / "server").unlink()


def damage_file(runtime: Path) -> None:
    (runtime / "server").write_text("1 1\nnowhere\n")


def remove_socket(runtime: Path) -> None:
    (runtime / "socket").unlink()


def remove_lock(runtime: Path) -> None:
    (runtime / "lock").unlink()


def remove_all(runtime: Path) -> None:
    shutil.rmtree(runtime)


@pytest.mark.parametrize("remove", [remove_file, damage_file, remove_socket, remove_lock, remove_all])
def test_what_somebody_removes_is_put_back(there: Place, remove: Callable[[Path], None]) -> None:
    before = there.rendezvous()
    with closing(there.client()) as client:
        remove(there.runtime)
        until(
            lambda: (
                True
                if set(os.listdir(there.folder)) >= {"run"} and {"lock", "server", "socket"} <= set(os.listdir(there.runtime))
                else None
            )
        )
        until(lambda: True if there.rendezvous() == before else None)
        assert client.render(SPLIT, [PICTURE], ShotParams(grain_amount=0.5)).picture is not None
    until(lambda: True if meeting.is_locked(there.runtime) else None)
    renders(there)
    assert there.runtime.stat().st_mode & 0o777 == 0o700
    assert "gone" in (there.runtime / "server.log").read_text("utf-8") or remove is remove_lock
    assert there.run("serve", "--stop").returncode == 0
    assert there.process is not None
    assert there.process.wait(5) == 0


def test_of_two_servers_in_one_place_the_one_without_the_lock_goes(there: Place) -> None:
    first = there.process
    assert first is not None
    first.send_signal(signal.SIGSTOP)
    shutil.rmtree(there.runtime)
    second = there.start()
    until(lambda: meeting.read_rendezvous(there.runtime))
    first.send_signal(signal.SIGCONT)
    assert first.wait(5) == 0
    assert second.poll() is None
    renders(there)


# Ended whatever it does


def test_a_stopped_server_is_named_and_ended(there: Place) -> None:
    process = there.process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    status = there.run("serve", "--status")
    assert status.returncode == 1
    findings = json.loads(there.run("doctor", "--json").stdout)["findings"]
    said = next(finding for finding in findings if finding["name"] == "server")
    assert said["state"] == "FAIL"
    for words in (status.stderr, said["text"]):
        assert f"process {process.pid}" in words
        assert "serve --stop" in words
    stopped = there.run("serve", "--stop")
    assert stopped.returncode == 0
    assert f"process {process.pid}" in stopped.stdout
    assert process.wait(1) == -signal.SIGKILL
    assert not (there.runtime / "server").exists()
    there.start()
    renders(there)


def test_no_other_process_is_ended_for_a_server(there: Place) -> None:
    """A rendezvous file that names another process, while a stopped server holds the lock."""
    assert there.process is not None
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
        there.process.send_signal(signal.SIGSTOP)
        lines = (there.runtime / "server").read_text().splitlines()
        (there.runtime / "server").write_text("\n".join([f"{VERSION} {other.pid}", *lines[1:], ""]))
        done = there.run("serve", "--stop")
        assert done.returncode == 1
        assert f"process {other.pid}" in done.stderr
        assert other.poll() is None
        other.kill()


def test_of_a_server_that_is_gone_nothing_is_left(there: Place) -> None:
    assert there.process is not None
    there.process.kill()
    there.process.wait(5)
    done = there.run("serve", "--stop")
    assert done.returncode == 0
    assert "No server runs" in done.stdout
    assert not (there.runtime / "server").exists()


def test_views_of_a_newer_build_are_a_refusal_in_words(there: Place) -> None:
    """Our own client meets a server of another build: what it is told is a sentence, and Status is asked all the same."""
    with closing(Client(there.rendezvous(), only_asks=True)) as client:
        assert json.loads(client.ask(Question.STATUS))["running"] is True
        with pytest.raises(Refused, match="only ask"):
            client.render(SPLIT, [np.zeros((8, 8, 3), np.float32)], ShotParams(view=View.BASE))
