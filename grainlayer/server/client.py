"""Ask the server for pictures and facts, as the bridge does: `doctor`, `serve --status` and the tests use it."""

from __future__ import annotations

import mmap
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from grainlayer.errors import MediaError, WireError
from grainlayer.params import Effect, ShotParams, digest
from grainlayer.server.channel import Channel, Closed, connect
from grainlayer.server.job import Job, Picture, pack_job
from grainlayer.server.parameters import EFFECTS, write_params
from grainlayer.server.rendezvous import Rendezvous, check_folder, read_rendezvous, runtime_folder
from grainlayer.server.wire import (
    DIGEST,
    MARK,
    NAME,
    RELEASE,
    SESSION,
    SILENCE_MS,
    VERSION,
    Code,
    Kind,
    Message,
    Outcome,
    Question,
    pack,
    padded,
    unpadded,
)
from grainlayer.types import Image

GONE = "The GrainLayer server ended the connection; start it again with `grainlayer serve`."


class Refused(Exception):
    """Carry a FAILED answer: its code, the sentence for people as text, and whether the server ends so that a newer one may start."""

    def __init__(self, code: Code, sentence: str, retires: bool = False) -> None:
        """Take all."""
        super().__init__(sentence)
        self.code = code
        self.retires = retires


class Silent(WireError):
    """Say that a server gives no sign of life."""


@dataclass(frozen=True, eq=False)
class Rendered:
    """Hold a render's answer; `picture` is None where the result is the source itself."""

    outcome: Outcome
    cached: bool
    note: str
    microseconds: int
    picture: Image | None


@dataclass(eq=False)
class Shared:
    """Hold shared memory: its number in the session, its mapping, what names it for the server."""

    number: int
    memory: mmap.mmap
    descriptor: int | None
    name: str

    def image(self, height: int, width: int) -> Image:
        """Return the picture at its start."""
        return np.frombuffer(self.memory, np.float32, height * width * 3).reshape(height, width, 3)


def make_memory(number: int, size: int) -> Shared:
    """Return new shared memory that can never shrink. Raise OSError."""
    if sys.platform == "win32":
        name = rf"Local\GrainLayer-{secrets.token_hex(16)}"
        named: Any = mmap.mmap
        return Shared(number, named(-1, size, tagname=name), None, name)
    if sys.platform == "linux":
        import fcntl

        descriptor = os.memfd_create("grainlayer", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(descriptor, size)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, size)
    return Shared(number, mmap.mmap(descriptor, size), descriptor, "")


def server_here() -> Rendezvous | None:
    """Return the rendezvous of this user's server, whether it still lives or not; None if there is none. Raise MediaError."""
    folder = runtime_folder()
    return read_rendezvous(check_folder(folder, create=False)) if folder.exists() else None


def _code(number: int) -> Code:
    """Return a failure's code; one that this version does not know is internal."""
    try:
        return Code(number)
    except ValueError:
        return Code.INTERNAL


class Client:
    """Hold one connection, its session and the shared memory that it has handed over. For one thread."""

    def __init__(
        self, rendezvous: Rendezvous, session: bytes = bytes(SESSION), host: str = "grainlayer", *, only_asks: bool = False
    ) -> None:
        """Connect and say HELLO; one that only asks is answered by builds with other parameters too.

        Raise MediaError if nobody listens, Refused, WireError.
        """
        self.server = rendezvous.pid
        try:
            self.channel: Channel = connect(rendezvous.address)
        except OSError as error:
            raise MediaError(f"No GrainLayer server answers at {rendezvous.address}; start one with `grainlayer serve`.") from error
        self._request = 0
        self._shared: dict[int, Shared] = {}
        table = bytes(DIGEST) if only_asks else bytes.fromhex(digest())
        hello = (VERSION, os.getpid(), bytes.fromhex(rendezvous.token), table, RELEASE)
        try:
            welcome = self.exchange(Kind.HELLO, *hello, session, padded(host, NAME))
        except BaseException:
            self.channel.close()
            raise
        self.session: bytes = welcome["session"]
        self.device = unpadded(welcome["device"])

    def exchange(self, kind: Kind, *values: Any, descriptor: int | None = None) -> Message:
        """Send a message of these fields and return what answers it. Raise Refused, WireError."""
        return self.send(pack(kind, self._next(), *values), descriptor)

    def _next(self) -> int:
        self._request += 1
        return self._request

    def send(self, data: bytes, descriptor: int | None = None) -> Message:
        """Send a message's bytes and return what answers it. Raise Refused, WireError."""
        try:
            self.channel.send(data, descriptor)
        except Closed:
            return self.answer()
        return self.answer()

    def answer(self) -> Message:
        """Return the next message that is more than a sign of life. Raise Refused, and WireError after a silence."""
        heard = time.monotonic()
        while time.monotonic() - heard < SILENCE_MS / 1000:
            try:
                received = self.channel.receive(0.5)
            except Closed as error:
                raise WireError(GONE) from error
            if received is None:
                continue
            message, heard = received[0], time.monotonic()
            if message.kind is Kind.FAILED:
                raise Refused(_code(message["code"]), message.tail.decode("utf-8", "replace"), bool(message["retires"]))
            if message.kind is not Kind.ALIVE:
                return message
        raise Silent(
            f"The GrainLayer server, process {self.server}, does not answer; end it with `grainlayer serve --stop`, "
            "and the next frame starts another."
        )

    def shared(self, place: int, size: int) -> Shared:
        """Return the memory of a place, handed to the server; it is kept while it is large enough. Raise OSError, Refused, WireError."""
        known = self._shared.get(place)
        if known is not None and len(known.memory) >= size:
            return known
        made = make_memory(secrets.randbits(31) | 1, size)
        self.exchange(Kind.SEGMENT, made.number, 0, size, padded(made.name, NAME), descriptor=made.descriptor)
        self._shared[place] = made
        return made

    def job(self, effect: Effect, pictures: Sequence[Image], params: ShotParams, frame: int = 0, scale: float = 1.0) -> Job:
        """Place pictures in shared memory and return the job that names them."""
        height, width = pictures[0].shape[:2]
        named: list[Picture] = []
        for place, picture in enumerate(pictures, 1):
            shared = self.shared(place, picture.nbytes)
            shared.image(height, width)[:] = picture
            named.append(Picture(shared.number, blake2b(np.ascontiguousarray(picture).data, digest_size=MARK).digest()))
        out = self.shared(0, pictures[0].nbytes).number
        numbers, texts = write_params(effect, params)
        return Job(EFFECTS.index(effect), tuple(named), frame, width, height, scale, out, numbers, texts)

    def render(self, effect: Effect, pictures: Sequence[Image], params: ShotParams, frame: int = 0, scale: float = 1.0) -> Rendered:
        """Return the view of the middle picture, a copy. Raise Refused, WireError."""
        job = self.job(effect, pictures, params, frame, scale)
        done = self.send(pack_job(Kind.RENDER, self._next(), job))
        outcome = Outcome(done["outcome"])
        picture = self._shared[0].image(job.height, job.width).copy() if outcome is Outcome.WRITTEN else None
        return Rendered(outcome, bool(done["cached"]), done.tail.decode("utf-8"), done["microseconds"], picture)

    def analyse(self, effect: Effect, pictures: Sequence[Image], params: ShotParams, scale: float = 1.0) -> str:
        """Return the profile of the pictures' grain, JSON. Raise Refused, WireError."""
        job = self.job(effect, pictures, params, 0, scale)
        return self.send(pack_job(Kind.ANALYSE, self._next(), job)).tail.decode("utf-8")

    def ask(self, question: Question) -> str:
        """Return the server's answer to a question. Raise Refused, WireError."""
        return self.exchange(Kind.ASK, question, 0).tail.decode("utf-8")

    def close(self) -> None:
        """End the connection and free the shared memory."""
        self.channel.hang_up()
        self.channel.close()
        for shared in self._shared.values():
            if shared.descriptor is not None:
                os.close(shared.descriptor)
        self._shared.clear()
