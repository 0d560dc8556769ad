"""What a host sees when the server is missing, wrong, hung, killed or out of resources: the source, a sentence, a failed status."""

from __future__ import annotations

import os
import random
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grainlayer.server import wire
from grainlayer.server.rendezvous import read_rendezvous
from tests.host.ofx import SPLIT, SYNTH, Host
from tests.system.hosting import SIZE, Floats, grainy, prepare, rendered
from tests.system.serving import Place, place

LONG = bool(os.environ.get("GRAINLAYER_SOAK"))
KILLS = 200 if LONG else 2
NOBODY = 2**22 - 1
"""A process id that no process has."""


def program(folder: Path, *words: str) -> Path:
    """Write a program that a host can start as its server."""
    path = folder / "grainlayer-test-server"
    quoted = " ".join(f"'{word}'" for word in words)
    path.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def there() -> Iterator[Place]:
    """Give folders for a server that the bridge starts itself."""
    with place() as found:
        yield found
        there = read_rendezvous(found.runtime)
        if there is not None:
            kill(there.pid)


def kill(pid: int) -> None:
    """Kill a process that may have gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def starting(there: Place) -> dict[str, str]:
    """Return an environment in which the bridge starts a real server."""
    return there.environment | {"GRAINLAYER_SERVER": str(program(there.folder, sys.executable, "-m", "grainlayer.cli"))}


def assert_source(facts: dict[str, Any], out: Floats, pictures: Floats, *words: str) -> None:
    """Hold a failed frame against the rule: source, message, status."""
    assert facts["status"] == 1
    np.testing.assert_array_equal(out, pictures[0])
    for word in words:
        assert word in facts["persistent"]["text"], facts["persistent"]


def test_the_bridge_starts_the_server_and_one_server_serves_all(there: Place, tmp_path: Path) -> None:
    pictures = grainy()
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with Host(tmp_path / "first", starting(there)) as first, Host(tmp_path / "second", starting(there)) as second:
        for host in (first, second):
            host.load()
            prepare(host, SPLIT, pictures, view="Base")
            host.tell("render", "a", 0, f"out={host.folder}/a.raw")
        for host in (first, second):
            assert host.hear()["status"] == 0
            np.testing.assert_array_equal(host.render("a", 0, SIZE)[1], rendered(pictures, view="Base"))
        with closing(there.client()) as client:
            assert client.ask(wire.Question.STATUS)


def test_no_server_to_be_found(there: Place, tmp_path: Path) -> None:
    pictures = grainy()
    with Host(tmp_path, there.environment | {"PATH": "/nowhere", "GRAINLAYER_SERVER": ""}) as host:
        host.load()
        prepare(host, SPLIT, pictures)
        assert host.render("a", 0, SIZE)[0]["status"] == 0  # what changes nothing needs no server
        host.send("set", "a", "view", "Base")
        assert_source(*host.render("a", 0, SIZE), pictures, "install GrainLayer")


@pytest.mark.parametrize("words", [("/bin/false",), ("/nowhere/grainlayer",)])
def test_a_server_that_does_not_start(there: Place, tmp_path: Path, words: tuple[str, ...]) -> None:
    pictures = grainy()
    named = str(program(there.folder, *words)) if words[0] == "/bin/false" else words[0]
    with Host(tmp_path, there.environment | {"GRAINLAYER_SERVER": named}) as host:
        host.load()
        prepare(host, SPLIT, pictures, view="Base")
        assert_source(*host.render("a", 0, SIZE), pictures, named)


OLD = """
import sys
from grainlayer.server import greeting, wire
wire.RELEASE = greeting.RELEASE = 1
wire.VERSION = greeting.VERSION = 1
from grainlayer.cli import main
sys.exit(main())
"""


def test_an_old_server_makes_room_for_a_new_one(there: Place, tmp_path: Path) -> None:
    """After an update the server of the old program still runs; the plug-in needs no restart of anything."""
    pictures = grainy()
    old = subprocess.Popen([sys.executable, "-c", OLD, "serve", "--device", "cpu"], env=there.environment)
    first = there.rendezvous()
    assert first.pid == old.pid
    with Host(tmp_path, starting(there)) as host:
        host.load()
        prepare(host, SPLIT, pictures, view="Base")
        facts, out = host.render("a", 0, SIZE)
        assert facts["status"] == 0, facts
        np.testing.assert_array_equal(out, rendered(pictures, view="Base"))
        assert there.rendezvous().pid != old.pid
    assert old.wait(10) == 0


def test_a_program_older_than_the_plug_in_is_started_once(there: Place, tmp_path: Path) -> None:
    script = tmp_path / "old.py"
    script.write_text(OLD)
    with Host(tmp_path, there.environment | {"GRAINLAYER_SERVER": str(program(tmp_path, sys.executable, str(script)))}) as host:
        host.load()
        pictures = grainy()
        prepare(host, SPLIT, pictures, view="Base")
        assert_source(*host.render("a", 0, SIZE), pictures, "older", "install")
        facts, _ = host.render("a", 0, SIZE)
        assert facts["status"] == 1
        assert facts["ms"] < 500


def test_a_broken_server_delays_no_frame_but_the_first(there: Place, tmp_path: Path) -> None:
    """It is tried a few times for all frames together, then once in two seconds."""
    pictures = grainy(8)
    with Host(tmp_path, there.environment | {"GRAINLAYER_SERVER": str(program(tmp_path, "false"))}) as host:
        host.load()
        prepare(host, SPLIT, pictures, view="Base")
        facts, _ = host.render("a", 0, SIZE)
        assert "ended while starting" in facts["persistent"]["text"]
        found = host.send("parallel", "a", *range(8), "threads=4")
        assert all(frame["status"] == 1 for frame in found["frames"])
        assert found["ms"] < facts["ms"]


def test_what_a_host_needs_for_itself_does_not_reach_the_server(there: Place, tmp_path: Path) -> None:
    """Hosts carry a Python and libraries of their own."""
    environment = starting(there) | {"PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere", "LD_LIBRARY_PATH": "/nowhere"}
    with Host(tmp_path, environment) as host:
        host.load()
        prepare(host, SPLIT, grainy(), view="Base")
        assert host.render("a", 0, SIZE)[0]["status"] == 0


def test_a_runtime_folder_that_cannot_be_made_is_named(there: Place, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Host(tmp_path, there.environment | {"GRAINLAYER_RUNTIME": str(tmp_path / "file" / "run")}) as host:
        host.load()
        prepare(host, SPLIT, grainy(), view="Base")
        assert "cannot be made" in host.render("a", 0, SIZE)[0]["persistent"]["text"]


def test_a_runtime_folder_open_to_others_is_refused(there: Place, tmp_path: Path) -> None:
    there.runtime.mkdir()
    there.runtime.chmod(0o755)
    pictures = grainy()
    with Host(tmp_path, starting(there)) as host:
        host.load()
        prepare(host, SPLIT, pictures, view="Base")
        assert_source(*host.render("a", 0, SIZE), pictures, "closed to others")


@contextmanager
def false_server(there: Place, answer: Callable[[socket.socket], None]) -> Iterator[None]:
    """Listen where the bridge looks, and answer every connection in a way of one's own."""
    there.runtime.mkdir(mode=0o700)
    address = str(there.runtime / "false.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(16)
        (there.runtime / "server").write_text(f"{wire.VERSION} {NOBODY}\n{address}\n{'00' * 32}\n")
        ended = threading.Event()

        def serve() -> None:
            listener.settimeout(0.1)
            held: list[socket.socket] = []
            while not ended.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                held.append(connection)
                try:
                    answer(connection)
                except OSError:
                    continue
            for connection in held:
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def read_hello(connection: socket.socket) -> None:
    """Take HELLO."""
    connection.settimeout(5)
    connection.recv(4096)


WELCOME = wire.pack(wire.Kind.WELCOME, 0, wire.VERSION, 1, b"s" * 16, b"cpu".ljust(64, b"\0"))


def wrong_version(connection: socket.socket) -> None:
    read_hello(connection)
    connection.sendall(wire.pack_sentence(wire.Kind.FAILED, 0, "Of another version; reinstall GrainLayer.", wire.Code.VERSION, 0))


def noise(connection: socket.socket) -> None:
    connection.sendall(random.Random(1).randbytes(70_000))


def noise_after_welcome(connection: socket.socket) -> None:
    read_hello(connection)
    connection.sendall(WELCOME + random.Random(2).randbytes(5_000))


def too_long(connection: socket.socket) -> None:
    read_hello(connection)
    connection.sendall(WELCOME + struct.pack("<IHHII", wire.MAGIC, wire.Kind.DONE, 0, 0xFFFFFFF0, 1))


def ends_within(connection: socket.socket) -> None:
    read_hello(connection)
    connection.sendall(WELCOME[:-9])
    connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("answer", [wrong_version, noise, noise_after_welcome, too_long, ends_within])
def test_a_peer_that_is_no_server_of_ours(there: Place, tmp_path: Path, answer: Callable[[socket.socket], None]) -> None:
    pictures = grainy()
    environment = there.environment | {"GRAINLAYER_SERVER": str(program(there.folder, "/bin/false"))}
    with false_server(there, answer), Host(tmp_path, environment) as host:
        host.load()
        prepare(host, SPLIT, pictures, view="Base")
        for _ in range(2 if LONG else 1):
            facts, out = host.render("a", 0, SIZE)
            assert_source(facts, out, pictures)
            assert facts["persistent"]["text"].endswith(".")
            assert facts["ms"] < 10_000


def test_a_hung_server_is_given_up_and_replaced(there: Place, tmp_path: Path) -> None:
    pictures = grainy()
    with Host(tmp_path, starting(there)) as host:
        host.load()
        prepare(host, SPLIT, pictures, view="Base")
        assert host.render("a", 0, SIZE)[0]["status"] == 0
        before = there.rendezvous().pid
        os.kill(before, signal.SIGSTOP)
        host.send("set", "a", "level", 0.05)
        facts, out = host.render("a", 0, SIZE)
        assert facts["status"] == 0, facts
        assert 4_500 < facts["ms"] < 12_000
        np.testing.assert_array_equal(out, rendered(pictures, view="Base", level=0.05))
        assert there.rendezvous().pid != before


def test_a_server_out_of_memory_fails_the_frame_and_lives(there: Place, tmp_path: Path) -> None:
    size = (1600, 1200)
    pictures = grainy(size=size)
    with Host(tmp_path, starting(there)) as host:
        host.load()
        prepare(host, SPLIT, grainy(), name="small", view="Base")
        assert host.render("small", 0, SIZE)[0]["status"] == 0
        pid = there.rendezvous().pid
        used = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        subprocess.run(["prlimit", "--pid", str(pid), f"--as={used + (60 << 20)}"], check=True)
        prepare(host, SPLIT, pictures, name="large", view="Base")
        facts, out = host.render("large", 0, size)
        assert_source(facts, out, pictures)
        host.send("set", "small", "level", 0.04)
        facts, out = host.render("small", 0, SIZE)
        assert facts["status"] == 0, facts
        np.testing.assert_array_equal(out, rendered(grainy(), view="Base", level=0.04))


def fill(path: Path) -> None:
    """Write until the disk is full."""
    try:
        with path.open("wb", buffering=0) as filler:
            while filler.write(bytes(4096)) == 4096:
                pass
    except OSError:
        return


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_stops_nothing(tmp_path: Path) -> None:
    pictures = grainy()
    with place() as there:
        there.folder.joinpath("run").mkdir(mode=0o700)
        there.folder.joinpath("state").mkdir()
        mounted = [
            path
            for path in (there.runtime, there.state)
            if subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", path], capture_output=True, check=False
            ).returncode
            == 0
        ]
        try:
            if len(mounted) < 2:
                pytest.skip("this system lets nobody mount a small disk")
            there.start()
            there.rendezvous()
            for path in mounted:
                fill(path / "filler")
            with Host(tmp_path, there.environment) as host:
                host.load()
                prepare(host, SPLIT, pictures, view="Base", shot_uid="shot-1")
                facts, out = host.render("a", 0, SIZE)
                assert facts["status"] == 0, facts
                np.testing.assert_array_equal(out, rendered(pictures, view="Base"))
        finally:
            there.end()
            for path in mounted:
                subprocess.run(["umount", "-l", path], check=False)


@pytest.mark.soak
def test_kills_at_random_moments(there: Place, tmp_path: Path) -> None:
    """Every frame is right, or the source with a message; and the service comes back by itself."""
    pictures = grainy(6)
    with Host(tmp_path, starting(there)) as host:
        host.load()
        values = {"view": "Grain x4", "grain_source": "stock", "grain_size": 1.2}
        prepare(host, SPLIT, pictures, **values)
        found = host.send("parallel", "a", *range(6), f"out={tmp_path}/expected")
        assert all(frame["status"] == 0 for frame in found["frames"]), found
        told = ",".join(f'"{key}:{value}"' if " " in str(value) else f"{key}:{value}" for key, value in values.items())
        told += ",level_mode:manual,level:0.03"
        words = (f"plugin={SPLIT}", f"file={tmp_path}/a-Source.raw", f"expect={tmp_path}/expected", f"width={SIZE[0]}", f"height={SIZE[1]}")
        host.tell("storm", *words, "frames=0-5", "threads=8", "instances=3", "seconds=100000", f"params={told}")
        rng, killed, last = random.Random(7), 0, 0
        deadline = time.monotonic() + 4 * KILLS + 20
        while killed < KILLS and time.monotonic() < deadline:
            time.sleep(rng.uniform(0.2, 2.5))
            alive = read_rendezvous(there.runtime)
            if alive is not None and alive.pid != last:
                kill(alive.pid)
                killed, last = killed + 1, alive.pid
        time.sleep(3)
        host.tell("stop")
        facts = host.hear()
        while facts.get("progress"):
            facts = host.hear()
        print(killed, facts)
        assert killed == KILLS
        assert facts["wrong"] == facts["silent_failures"] == 0, facts
        assert facts["ok"] > 20 * KILLS
        assert facts["longest_gap_ms"] < 3_000, facts


def test_synth_needs_no_network_and_runs_where_models_are_missing(there: Place, tmp_path: Path) -> None:
    pictures = grainy()
    environment = starting(there) | {"GRAINLAYER_MODELS": str(tmp_path / "nothing")}
    with Host(tmp_path, environment) as host:
        host.load()
        prepare(host, SYNTH, pictures)
        facts, _ = host.render("a", 0, SIZE)
        assert facts["status"] == 0, facts
        prepare(host, SPLIT, pictures, name="b", view="Base")
        assert_source(*host.render("b", 0, SIZE), pictures, "model")
