"""What no bridge would send: legal conversations at random, damaged at random."""

from __future__ import annotations

import random
import socket
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cache

from grainlayer.params import defaults_for, digest
from grainlayer.server.job import Job, Picture, pack_job
from grainlayer.server.parameters import EFFECTS, write_params
from grainlayer.server.wire import GREETING_STRUCT, HEADER, LONGEST_BODY, MAGIC, NAME, RELEASE, VERSION, Kind, Question, pack, padded


@dataclass
class Report:
    """Count what happened; `faults` are sentences about what must not happen."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def messages(self) -> int:
        """Return how many messages were met: of a conversation with the real server the first alone, for it may have ended with it."""
        return sum(self.counts[name] for name in ("read", "refused", "through a connection", "conversations with a server"))


def hello(token: bytes) -> bytes:
    return pack(Kind.HELLO, 0, VERSION, 1, token, bytes.fromhex(digest()), RELEASE, bytes(16), padded("soak", NAME))


@cache
def values(effect: int, amount: float) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Return an effect's parameters as a job carries them."""
    return write_params(EFFECTS[effect], replace(defaults_for(EFFECTS[effect]), grain_amount=amount))


def one_job(rng: random.Random) -> Job:
    """Return a job that may be beyond what it names."""
    effect, side = rng.randrange(3), rng.choice((1, 16, 64, 64, 32_768))
    pictures = tuple(Picture(rng.choice((1, 1, 1, 1, 1, 1, 1, 2, 0)), rng.randbytes(16)) for _ in range(rng.choice((1, 1, 3, 9))))
    numbers, texts = values(rng.choice((effect, effect, effect, 0)), rng.choice((1.0, 0.5)))
    return Job(effect, pictures, rng.randrange(100), side, side, rng.choice((1.0, 0.5)), rng.choice((1, 1, 1, 2, 0)), numbers, texts)


def long_one(rng: random.Random) -> bytes:
    """Return a message of the longest body, or one that says more than it has."""
    length = rng.choice((LONGEST_BODY, LONGEST_BODY, LONGEST_BODY + 1, 1 << 31, (1 << 32) - 1))
    return HEADER.pack(MAGIC, rng.randrange(15), 0, length, 1) + rng.randbytes(min(length, LONGEST_BODY))


def conversation(rng: random.Random) -> list[bytes]:
    """Return legal messages, mostly, after the greeting."""
    size = rng.choice((1, 4096, 1 << 20, 1 << 40))
    every = (
        lambda: pack(Kind.SEGMENT, 1, rng.randrange(3), 0, size, bytes(NAME)),
        lambda: pack(Kind.DROP, 0, rng.randrange(3), 0),
        lambda: pack(Kind.CANCEL, rng.randrange(5)),
        lambda: pack(Kind.ASK, 2, rng.choice((1, 1, 2, 77)), 0),
        lambda: pack_job(rng.choice((Kind.RENDER, Kind.ANALYSE)), 3, one_job(rng)),
        lambda: pack(Kind.ALIVE, 3, 0.5),
        lambda: rng.randbytes(rng.randrange(200)),
        lambda: long_one(rng) if rng.random() < 0.25 else pack_job(Kind.RENDER, 3, one_job(rng)),
    )
    first = [pack(Kind.SEGMENT, 1, number, 0, 1 << 20, bytes(NAME)) for number in range(1, rng.randrange(1, 4))]
    return first + [rng.choice(every)() for _ in range(rng.randrange(1, 6))]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return bytes with a few faults."""
    found = bytearray(data)
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(found) + 1)
        match rng.randrange(4):
            case 0 if at < len(found):
                found[at] ^= 1 << rng.randrange(8)
            case 1:
                del found[at : at + rng.randrange(1, 9)]
            case 2:
                found[at:at] = rng.randbytes(rng.randrange(1, 9))
            case _:
                found[at : at + 4] = rng.choice((b"\0" * 4, b"\xff" * 4, b"\0\0\0\x80"))
    return bytes(found)


def ends_a_server(data: bytes) -> bool:
    """Say whether bytes may by chance be a legal wish that a server should end: to stop, or to make room for a newer one."""
    kind, body = data[4:6], data[HEADER.size :]
    if kind == bytes((Kind.ASK, 0)):
        return body[:4] == bytes((Question.STOP, 0, 0, 0))
    if kind != bytes((Kind.HELLO, 0)) or len(body) < GREETING_STRUCT.size:
        return False
    return GREETING_STRUCT.unpack_from(body)[4] > RELEASE


def say(peer: socket.socket, data: bytes, descriptor: int | None, rng: random.Random) -> None:
    """Send bytes, with a descriptor where one belongs, mostly."""
    belongs = data[4:6] == bytes((Kind.SEGMENT, 0))
    passed = rng.choice((1,) * 12 + (0, 2, 5)) if belongs else int(rng.random() < 0.02)
    if descriptor is not None and passed and data:
        socket.send_fds(peer, [data], [descriptor] * passed)
    else:
        peer.sendall(data)


def talk(peer: socket.socket, token: bytes, descriptor: int | None, rng: random.Random) -> None:
    """Hold one damaged conversation. Raise OSError once the other side has gone."""
    rate = rng.choice((0.02, 0.1, 0.5))
    for data in (hello(token), *conversation(rng)):
        sent = mutated(data, rng) if rng.random() < rate else data
        if not ends_a_server(sent):
            say(peer, sent, descriptor, rng)
