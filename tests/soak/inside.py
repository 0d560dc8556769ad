"""Lead damaged conversations with a connection of the server in this process: exact counts, and answers held against the protocol."""

from __future__ import annotations

import faulthandler
import logging
import os
import random
import socket
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from grainlayer.errors import ParamError, WireError
from grainlayer.params import digest
from grainlayer.server.channel import Received, SocketChannel
from grainlayer.server.client import make_memory
from grainlayer.server.connection import Connection, House
from grainlayer.server.renders import Answer
from grainlayer.server.sessions import Sessions
from grainlayer.server.wire import HEADER, LONGEST_BODY, Code, Kind, Outcome, Question, read_body, read_header
from tests.soak.messages import Report, talk

MOST_HELD = 8 * LONGEST_BODY
"""Bytes that one conversation may hold at a time: a message in its few shapes."""
LONGEST = 3.0
"""Seconds for one conversation."""
WEIGHED = 1000
"""Conversations whose memory is measured; that is slow."""
CHECKED = 500
"""Conversations that must not take STUCK seconds together."""
STUCK = 300
TOKEN = bytes(range(32))


def descriptors(pid: int) -> int:
    """Return how many descriptors a process holds open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


class Counted(SocketChannel):
    """Count what is met."""

    met = 0

    def receive(self, timeout: float) -> Received | None:
        try:
            received = super().receive(timeout)
        except WireError:
            self.met += 1
            raise
        self.met += received is not None
        return received


class Stub:
    """Answer jobs at once: with the source, with a refusal, or as a worker does."""

    device = "cpu"

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.cache = SimpleNamespace(forget=lambda session: None)

    def plan(self, work: Any) -> Answer | None:
        if self.rng.random() < 0.2:
            raise ParamError("A value is beyond its limits; choose another.")
        return Answer(Outcome.SOURCE) if self.rng.random() < 0.5 else None

    def render(self, work: Any, plan: None) -> Answer:
        work.out[:] = work.pictures[0]
        return Answer(Outcome.WRITTEN, note="a note")

    def analyse(self, work: Any) -> str:
        return "{}"


class Inside:
    """Serve one false peer after the other on this thread: all that it says is there before it is read."""

    def __init__(self, rng: random.Random, report: Report) -> None:
        self.rng = rng
        self.report = report
        self.sessions = Sessions()
        renderer: Any = Stub(rng)
        self.house = House(
            token=TOKEN.hex(),
            digest=bytes.fromhex(digest()),
            sessions=self.sessions,
            renderer=renderer,
            log_file=Path("log"),
            submit=self._submit,
            look_up=self._submit,
            ask=self._ask,
            leave=lambda: True,
            is_leaving=lambda: False,
        )

    def _submit(self, call: Callable[[], None]) -> Future[None]:
        done: Future[None] = Future()
        if self.rng.random() < 0.8:
            call()
            done.set_result(None)
        return done  # else it waits for its turn, and may be cancelled

    def _ask(self, question: Question) -> str:
        return f"about {question.name}"

    def run(self, count: int) -> None:
        """Lead conversations until so many messages have been met."""
        memory = make_memory(1, 1 << 20)
        before, turn = descriptors(os.getpid()), 0
        logging.disable(logging.CRITICAL)
        try:
            while self.report.counts["through a connection"] < count:
                if turn % CHECKED == 0:
                    faulthandler.dump_traceback_later(STUCK, repeat=False, exit=True)
                self._lead(memory.descriptor, weigh=turn < WEIGHED)
                turn += 1
        finally:
            logging.disable(logging.NOTSET)
        if len(self.sessions) or descriptors(os.getpid()) > before:
            self.report.faults.append(f"{len(self.sessions)} sessions and {descriptors(os.getpid()) - before} descriptors were left")
        memory.memory.close()
        if memory.descriptor is not None:
            os.close(memory.descriptor)

    def _lead(self, descriptor: int | None, *, weigh: bool) -> None:
        """Lead one conversation."""
        theirs, ours = socket.socketpair()
        with theirs:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            theirs.setblocking(False)
            try:
                talk(theirs, TOKEN, descriptor, self.rng)
            except BlockingIOError:
                self.report.counts["cut short"] += 1
            theirs.shutdown(socket.SHUT_WR)
            channel = Counted(ours)
            began = time.monotonic()
            if weigh:
                tracemalloc.start()
            Connection(self.house, channel).run()
            if weigh:
                self._weigh()
            if time.monotonic() - began > LONGEST:
                self.report.faults.append(f"a conversation took {time.monotonic() - began:.1f} s")
            self.report.counts["through a connection"] += channel.met
            self._judge(_all_of(theirs))

    def _weigh(self) -> None:
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        self.report.counts["KiB held"] = max(self.report.counts["KiB held"], held >> 10)
        if held > MOST_HELD:
            self.report.faults.append(f"a conversation held {held} bytes")

    def _judge(self, answers: bytes) -> None:
        """Hold what came back against the protocol: whole messages, and no internal error."""
        while answers:
            kind, length, request = read_header(answers[: HEADER.size])
            message = read_body(kind, request, answers[HEADER.size : HEADER.size + length])
            answers = answers[HEADER.size + length :]
            self.report.counts[f"answered by {kind.name}"] += 1
            if kind is Kind.FAILED and message["code"] == Code.INTERNAL:
                self.report.faults.append("an internal error")


def _all_of(peer: socket.socket) -> bytes:
    found = bytearray()
    try:
        while data := peer.recv(1 << 16):
            found += data
    except ConnectionResetError:
        pass  # the connection was closed with messages unread; what it had answered has been read
    return bytes(found)
