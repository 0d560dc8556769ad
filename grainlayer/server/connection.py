"""Serve one connection: greet the peer, take its messages in turn, say that work goes on, answer."""

from __future__ import annotations

import hmac
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from grainlayer import __version__
from grainlayer.errors import WireError
from grainlayer.inference.runtime import Cancelled, cancellable
from grainlayer.server.channel import Channel, Closed
from grainlayer.server.failures import failure
from grainlayer.server.renders import Answer, Renderer, Work
from grainlayer.server.sessions import Session, Sessions
from grainlayer.server.wire import (
    HEARTBEAT_MS,
    NAME,
    VERSION,
    Code,
    Kind,
    Message,
    Question,
    pack,
    pack_sentence,
    padded,
    read_job,
    unpadded,
)

LOG = logging.getLogger(__name__)

GREETING = 5.0
"""Seconds within which HELLO must come."""
BEAT = HEARTBEAT_MS / 1000
CLOSING = (Code.VERSION, Code.PARAMETERS, Code.TOKEN, Code.PROTOCOL)
"""Codes after which the connection is closed."""


@dataclass(frozen=True)
class House:
    """Hold what all connections share."""

    token: str
    digest: bytes
    sessions: Sessions
    renderer: Renderer
    log_file: Path
    submit: Callable[[Callable[[], None]], Future[None]]
    ask: Callable[[Question], str]


class Refusal(Exception):
    """Carry a code and a sentence to the peer, after which the connection is closed: a signal inside this module."""

    def __init__(self, code: Code, sentence: str) -> None:
        """Take both."""
        super().__init__(sentence)
        self.code = code


class Connection:
    """Serve one connection on the thread that calls `run`; work is done on others."""

    def __init__(self, house: House, channel: Channel) -> None:
        """Take what is shared, and the channel, which `run` closes at its end."""
        self.house = house
        self.channel = channel
        self._session: Session | None = None
        self._work: Work | None = None
        self._future: Future[None] | None = None
        self._lock = threading.Lock()
        self._beaten = 0.0
        self._asked = False

    @property
    def is_busy(self) -> bool:
        """Say whether anything of this connection is not answered yet."""
        return self.is_working or self._asked

    @property
    def is_working(self) -> bool:
        """Say whether a request of this connection is not answered yet."""
        return self._work is not None and not self._work.answered

    def run(self) -> None:
        """Serve until the peer goes, breaks the protocol, or `stop` is called. Never raises."""
        try:
            self._session = self._greet()
            while True:
                self._step(self._session)
        except Closed:
            LOG.debug("A peer has gone")
        except Refusal as refusal:
            self._refuse(refusal.code, str(refusal))
        except WireError as error:
            self._refuse(Code.PROTOCOL, str(error))
        except Exception as error:
            self._refuse(*failure(error, self.house.log_file))
        finally:
            self._end()

    def stop(self) -> None:
        """End the connection from another thread."""
        if self._work is not None:
            self._work.cancel.cancel()
        self.channel.hang_up()

    def _refuse(self, code: Code, sentence: str) -> None:
        LOG.warning("Refused a peer: %s %s", code.name, sentence)
        request = self._work.number if self._work and self.is_working else 0
        try:
            self.channel.send(pack_sentence(Kind.FAILED, request, sentence, code, 0))
        except Closed:
            return

    def _end(self) -> None:
        if self._work is not None:
            self._work.cancel.cancel()
            with self._lock:
                self._work.answered = True
        if self._session is not None:
            session, self._session = self._session, None
            if self.house.sessions.leave(session):
                self.house.renderer.cache.forget(session.name)
        self._work = None
        self.channel.close()

    def _greet(self) -> Session:
        """Return the peer's session once it has proved who it is. Raise Refusal, WireError, Closed."""
        if not self.channel.is_own_user():
            raise Refusal(Code.TOKEN, "This server works for another user; start one of your own with `grainlayer serve`.")
        received = self.channel.receive(GREETING)
        if received is None or received[0].kind is not Kind.HELLO:
            _close(received)
            raise WireError("The first message must be HELLO, within 5 seconds; restart the host.")
        message = received[0]
        self._check_peer(message)
        session = self.house.sessions.join(message["session"], unpadded(message["host"]))
        welcome = (VERSION, os.getpid(), session.name, padded(self.house.renderer.device, NAME))
        try:
            self.channel.send(pack(Kind.WELCOME, message.request, *welcome))
        except Closed:
            self.house.sessions.leave(session)
            raise
        LOG.info("A connection of %s, process %s", session.host or "a host", message["pid"])
        return session

    def _check_peer(self, message: Message) -> None:
        """Raise Refusal unless version, secret and parameters are the server's."""
        if message["version"] != VERSION:
            raise Refusal(
                Code.VERSION,
                f"The plug-in speaks protocol {message['version']}, the server (GrainLayer {__version__}) protocol {VERSION}; "
                "restart the host, and if that does not help reinstall GrainLayer.",
            )
        if not hmac.compare_digest(message["token"], bytes.fromhex(self.house.token)):
            raise Refusal(Code.TOKEN, "The secret is not this server's; read the rendezvous file again.")
        if message["digest"] != self.house.digest:
            theirs, ours = message["digest"].hex()[:8], self.house.digest.hex()[:8]
            raise Refusal(
                Code.PARAMETERS,
                f"The plug-in's parameters are of version {theirs}, those of the server (GrainLayer {__version__}) of version {ours}; "
                "restart the host, and if that does not help reinstall GrainLayer.",
            )

    def _step(self, session: Session) -> None:
        """Take one message, if one comes before the next sign of life is due."""
        due = self._beaten + BEAT - time.monotonic() if self.is_working else GREETING
        received = self.channel.receive(max(due, 0.001))
        if received is not None:
            self._take(session, *received)
        if self.is_working and time.monotonic() - self._beaten >= BEAT:
            self._beat()

    def _beat(self) -> None:
        self._beaten = time.monotonic()
        with self._lock:
            if self._work is not None and not self._work.answered:
                self.channel.send(pack(Kind.ALIVE, self._work.number, -1.0))

    def _take(self, session: Session, message: Message, descriptor: int | None) -> None:
        """Meet one message. Raise WireError, Closed."""
        if message.kind is Kind.CANCEL:
            self._cancel(message.request)
        elif message.kind is Kind.DROP:
            session.segments.drop(message["id"])
        elif self.is_working:
            _close((message, descriptor))
            raise WireError(f"A {message.kind.name} message came while a request is worked on; open another connection for it.")
        elif message.kind is Kind.SEGMENT:
            session.segments.add(message["id"], message["size"], unpadded(message["name"]), descriptor)
            self.channel.send(pack(Kind.READY, message.request))
        elif message.kind in (Kind.RENDER, Kind.ANALYSE):
            self._start(session, message)
        elif message.kind is Kind.ASK:
            self._ask(message)
        else:
            raise WireError(f"A {message.kind.name} message is none that a bridge sends now; bridge and server must be of one version.")

    def _ask(self, message: Message) -> None:
        try:
            question = Question(message["question"])
        except ValueError as error:
            raise WireError(f"There is no question {message['question']}; bridge and server must be of one version.") from error
        self._asked = True
        try:
            self.channel.send(pack_sentence(Kind.TEXT, message.request, self.house.ask(question)))
        finally:
            self._asked = False

    def _start(self, session: Session, message: Message) -> None:
        """Begin a job on another thread. Raise WireError if it is not legal."""
        from grainlayer.server.parameters import COUNTS

        job = read_job(message, COUNTS)
        size = (job.height, job.width)
        pictures = [session.segments.picture(picture.segment, *size) for picture in job.pictures]
        renders = message.kind is Kind.RENDER
        out = session.segments.picture(job.out, *size) if renders else None
        work = self._work = Work(session, job, message.request, pictures, out)
        self._beaten = time.monotonic()
        if renders:
            self._plan(work)
        else:
            self._submit(work, lambda: pack_sentence(Kind.TEXT, work.number, self.house.renderer.analyse(work)))

    def _plan(self, work: Work) -> None:
        """Answer a render at once where no pixel is touched; else have it done."""
        try:
            plan = self.house.renderer.plan(work)
        except Exception as error:
            self._answer(work, self._failed(work, error))
            return
        if isinstance(plan, Answer):
            self._answer(work, _done(work, plan))
        else:
            self._submit(work, lambda: _done(work, self.house.renderer.render(work, plan)))

    def _submit(self, work: Work, make: Callable[[], bytes]) -> None:
        self._future = self.house.submit(lambda: self._do(work, make))

    def _do(self, work: Work, make: Callable[[], bytes]) -> None:
        """Work on a job and answer it. Never raises."""
        try:
            with cancellable(work.cancel):
                data = make()
        except Exception as error:
            data = self._failed(work, error)
        self._answer(work, data)

    def _failed(self, work: Work, error: Exception) -> bytes:
        code, sentence = failure(error, self.house.log_file)
        return pack_sentence(Kind.FAILED, work.number, sentence, code, 0)

    def _answer(self, work: Work, data: bytes) -> None:
        """Send a job's answer, unless it has one; no sign of life comes after it."""
        with self._lock:
            if work.answered:
                return
            work.answered = True
            work.pictures, work.out = [], None
            try:
                self.channel.send(data)
            except Closed:
                self.channel.hang_up()

    def _cancel(self, request: int) -> None:
        """Stop the request of that number; one that waits for its turn is answered at once."""
        work = self._work
        if work is None or work.number != request:
            return
        work.cancel.cancel()
        if self._future is not None and self._future.cancel():
            self._answer(work, self._failed(work, Cancelled()))


def _done(work: Work, answer: Answer) -> bytes:
    return pack_sentence(Kind.DONE, work.number, answer.note, answer.outcome, int(answer.cached), work.microseconds)


def _close(received: tuple[Message, int | None] | None) -> None:
    """Close the descriptor of a message that is not taken."""
    if received is not None and received[1] is not None:
        os.close(received[1])
