"""Serve one connection: greet the peer, take its messages in turn, say that work goes on, answer."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from grainlayer.errors import WireError
from grainlayer.inference.runtime import Cancelled, cancellable
from grainlayer.server.channel import Channel, Closed
from grainlayer.server.failures import failure
from grainlayer.server.greeting import Refusal, check_peer, only_asks
from grainlayer.server.job import read_job
from grainlayer.server.renders import Answer, Errand, Renderer, Work
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
    unpadded,
)

LOG = logging.getLogger(__name__)

GREETING = 5.0
"""Seconds within which HELLO must come."""
BEAT = HEARTBEAT_MS / 1000


@dataclass(frozen=True)
class House:
    """Hold what all connections share.

    submit, look_up  have work on pictures, and slow answers to questions, done on other threads
    leave            take nobody in any more and end once all is answered; True once nobody is sent here
    is_leaving       whether that has been asked for
    """

    token: str
    digest: bytes
    sessions: Sessions
    renderer: Renderer
    log_file: Path
    submit: Callable[[Callable[[], None]], Future[None]]
    look_up: Callable[[Callable[[], None]], Future[None]]
    ask: Callable[[Question], str]
    leave: Callable[[], bool]
    is_leaving: Callable[[], bool]


class Connection:
    """Serve one connection on the thread that calls `run`; work is done on others."""

    def __init__(self, house: House, channel: Channel) -> None:
        """Take what is shared, and the channel, which `run` closes at its end."""
        self.house = house
        self.channel = channel
        self.is_served = False  # let in for more than questions: only such a peer keeps an idle server alive
        self.last_used = time.monotonic()
        self._session: Session | None = None
        self._errand: Errand | None = None
        self._future: Future[None] | None = None
        self._lock = threading.Lock()
        self._beaten = 0.0
        self._is_speaking = False

    @property
    def is_busy(self) -> bool:
        """Say whether anything of this connection is not answered yet, or an answer not wholly sent."""
        return self._is_speaking or self._is_asked

    @property
    def _is_asked(self) -> bool:
        errand = self._errand  # other threads look, too, while this one ends
        return errand is not None and not errand.answered

    @property
    def is_working(self) -> bool:
        """Say whether a request for pictures is not answered yet."""
        errand = self._errand
        return isinstance(errand, Work) and not errand.answered

    @property
    def is_alone(self) -> bool:
        """Say whether a session ends with this connection."""
        session = self._session
        return session is not None and session.connections == 1

    def run(self) -> None:
        """Serve until the peer goes, breaks the protocol, or `stop` is called. Never raises."""
        try:
            self._session = self._greet()
            while True:
                self._step(self._session)
        except Closed:
            LOG.debug("A peer has gone")
        except Refusal as refusal:
            self._is_speaking = True
            self._refuse(refusal.code, str(refusal), retires=refusal.retires and self.house.leave())
        except WireError as error:
            self._refuse(Code.PROTOCOL, str(error))
        except Exception as error:
            self._refuse(*failure(error, self.house.log_file))
        finally:
            self._end()

    def stop(self) -> None:
        """End the connection from another thread."""
        errand = self._errand
        if errand is not None:
            errand.cancel.cancel()
        self.channel.hang_up()

    def _refuse(self, code: Code, sentence: str, *, retires: bool = False) -> None:
        LOG.warning("Refused a peer: %s %s", code.name, sentence)
        request = self._errand.number if self._errand and self._is_asked else 0
        try:
            self.channel.send(pack_sentence(Kind.FAILED, request, sentence, code, int(retires)))
        except Closed:
            return

    def _end(self) -> None:
        if self._errand is not None:
            self._errand.cancel.cancel()
            with self._lock:
                self._errand.answered = True
        self._is_speaking = False
        if self._session is not None:
            session, self._session = self._session, None
            if self.house.sessions.leave(session):
                self.house.renderer.cache.forget(session.name)
        self._errand = None
        self.channel.close()

    def _greet(self) -> Session:
        """Return the peer's session once it has proved who it is. Raise Refusal, WireError, Closed."""
        if not self.channel.is_own_user():
            raise Refusal(Code.TOKEN, "This server works for another user; start one of your own with `grainlayer serve`.")
        received = self.channel.receive(GREETING)
        if received is None or received[0].kind is not Kind.HELLO:
            _close(received[1] if received else None)
            raise WireError("The first message must be HELLO, within 5 seconds; restart the host.")
        message = received[0]
        check_peer(message, self.house.token, self.house.digest)
        session = self.house.sessions.join(message["session"], unpadded(message["host"]))
        welcome = (VERSION, os.getpid(), session.name, padded(self.house.renderer.device, NAME))
        try:
            self.channel.send(pack(Kind.WELCOME, message.request, *welcome))
        except Closed:
            self.house.sessions.leave(session)
            raise
        self.is_served = not only_asks(message)
        LOG.info("A connection of %s, process %s", session.host or "a host", message["pid"])
        return session

    def _step(self, session: Session) -> None:
        """Take one message, if one comes before the next sign of life is due."""
        due = self._beaten + BEAT - time.monotonic() if self._is_asked else GREETING
        received = self.channel.receive(max(due, 0.001))
        if received is not None:
            self.last_used = time.monotonic()
            self._take(session, *received)
        if self._is_asked and time.monotonic() - self._beaten >= BEAT:
            self._beat()

    def _beat(self) -> None:
        self._beaten = time.monotonic()
        with self._lock:
            if self._errand is not None and not self._errand.answered:
                self.channel.send(pack(Kind.ALIVE, self._errand.number, -1.0))

    def _take(self, session: Session, message: Message, descriptor: int | None) -> None:
        """Meet one message. Raise WireError, Closed."""
        if message.kind is Kind.CANCEL:
            self._cancel(message.request)
        elif message.kind is Kind.DROP:
            session.segments.drop(message["id"])
        elif self._is_asked:
            _close(descriptor)
            raise WireError(f"A {message.kind.name} message came while a request is worked on; open another connection for it.")
        elif self.house.is_leaving():
            _close(descriptor)
            raise Closed
        elif message.kind is Kind.ASK:
            self._ask(message)
        elif not self.is_served:
            _close(descriptor)
            raise WireError(f"A {message.kind.name} message came from a peer that may only ask; its HELLO named no parameter table.")
        else:
            self._begin(session, message, descriptor)

    def _begin(self, session: Session, message: Message, descriptor: int | None) -> None:
        """Meet a message about pictures. Raise WireError, Closed."""
        if message.kind is Kind.SEGMENT:
            session.segments.add(message["id"], message["size"], unpadded(message["name"]), descriptor)
            self.channel.send(pack(Kind.READY, message.request))
        elif message.kind in (Kind.RENDER, Kind.ANALYSE):
            self._start(session, message)
        else:
            raise WireError(f"A {message.kind.name} message is none that a bridge sends now; bridge and server must be of one version.")

    def _ask(self, message: Message) -> None:
        """Answer a question; one that takes time is looked up on another thread, so that signs of life go on."""
        try:
            question = Question(message["question"])
        except ValueError as error:
            raise WireError(f"There is no question {message['question']}; bridge and server must be of one version.") from error
        errand = self._errand = Errand(message.request)
        self._beaten = time.monotonic()

        def answer() -> None:
            self._do(errand, lambda: pack_sentence(Kind.TEXT, errand.number, self.house.ask(question)))

        if question is Question.DOCTOR:
            self._future = self.house.look_up(answer)
        else:
            answer()

    def _start(self, session: Session, message: Message) -> None:
        """Begin a job on another thread. Raise WireError if it is not legal."""
        from grainlayer.server.parameters import COUNTS

        job = read_job(message, COUNTS)
        size = (job.height, job.width)
        pictures = [session.segments.picture(picture.segment, *size) for picture in job.pictures]
        renders = message.kind is Kind.RENDER
        out = session.segments.picture(job.out, *size) if renders else None
        work = self._errand = Work(message.request, session, job, pictures, out)
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

    def _do(self, errand: Errand, make: Callable[[], bytes]) -> None:
        """Work on a request and answer it. Never raises."""
        try:
            with cancellable(errand.cancel):
                data = make()
        except Exception as error:
            data = self._failed(errand, error)
        self._answer(errand, data)

    def _failed(self, errand: Errand, error: Exception) -> bytes:
        code, sentence = failure(error, self.house.log_file)
        return pack_sentence(Kind.FAILED, errand.number, sentence, code, 0)

    def _answer(self, errand: Errand, data: bytes) -> None:
        """Send a request's answer, unless it has one; no sign of life comes after it."""
        with self._lock:
            if errand.answered:
                return
            self.last_used = time.monotonic()
            self._is_speaking = errand.answered = True
            errand.let_go()
            try:
                self.channel.send(data)
            except Closed:
                self.channel.hang_up()
            self._is_speaking = False

    def _cancel(self, request: int) -> None:
        """Stop the request of that number; one that waits for its turn is answered at once."""
        errand = self._errand
        if errand is None or errand.number != request:
            return
        errand.cancel.cancel()
        if self._future is not None and self._future.cancel():
            self._answer(errand, self._failed(errand, Cancelled()))


def _done(work: Work, answer: Answer) -> bytes:
    return pack_sentence(Kind.DONE, work.number, answer.note, answer.outcome, int(answer.cached), work.microseconds)


def _close(descriptor: int | None) -> None:
    """Close the descriptor of a message that is not taken."""
    if descriptor is not None:
        os.close(descriptor)
