"""Send a server what no bridge would, over and over: `python -m tests.soak.soak_wire [COUNT] [SEED]`.

Each turn makes a legal conversation and mutates it: bytes flipped, cut, repeated or left out, descriptors where none belong, ends in
the middle. The readers must refuse or read; a real server must go on rendering for others, in bounded memory.
"""

from __future__ import annotations

import faulthandler
import os
import random
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from grainlayer.errors import WireError
from grainlayer.params import Effect, ShotParams, digest
from grainlayer.server.client import Client, make_memory
from grainlayer.server.parameters import COUNTS, write_params
from grainlayer.server.rendezvous import Rendezvous
from grainlayer.server.wire import HEADER, NAME, VERSION, Job, Kind, Picture, pack, pack_job, padded, read_body, read_header, read_job
from tests.system.serving import Place, place

MOST_GROWTH = 256 << 20
"""Bytes by which the server's memory may grow over the whole soak."""
LONGEST = 3.0
"""Seconds within which the server must render for an honest peer, whatever others send."""
CHECKED = 50
"""Turns between two looks at the server."""
STUCK = 300


@dataclass
class Report:
    """Count what happened; `faults` are sentences about what must not happen."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def hello(token: bytes) -> bytes:
    return pack(Kind.HELLO, 0, VERSION, 1, token, bytes.fromhex(digest()), bytes(16), padded("soak", NAME))


def conversation(rng: random.Random) -> list[bytes]:
    """Return legal messages, mostly, after the greeting."""
    numbers, texts = write_params(Effect.GRAIN_SPLIT, ShotParams(grain_amount=rng.choice((1.0, 0.5))))
    side = rng.choice((1, 16, 64, 32_768))
    pictures = tuple(Picture(rng.randrange(3), rng.randbytes(16)) for _ in range(rng.choice((1, 3, 9))))
    job = Job(rng.randrange(3), pictures, rng.randrange(100), side, side, rng.choice((1.0, 0.5)), rng.randrange(3), numbers, texts)
    size = rng.choice((1, 4096, 1 << 20, 1 << 40))
    every = (
        lambda: pack(Kind.SEGMENT, 1, rng.randrange(3), 0, size, bytes(NAME)),
        lambda: pack(Kind.DROP, 0, rng.randrange(3), 0),
        lambda: pack(Kind.CANCEL, rng.randrange(5)),
        lambda: pack(Kind.ASK, 2, rng.choice((1, 1, 2, 77)), 0),
        lambda: pack_job(rng.choice((Kind.RENDER, Kind.ANALYSE)), 3, job),
        lambda: pack(Kind.ALIVE, 3, 0.5),
        lambda: rng.randbytes(rng.randrange(200)),
    )
    return [rng.choice(every)() for _ in range(rng.randrange(1, 6))]


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


def read(data: bytes, report: Report) -> None:
    """Give bytes to the readers themselves."""
    try:
        kind, length, request = read_header(data[: HEADER.size].ljust(HEADER.size, b"\0"))
        message = read_body(kind, request, data[HEADER.size : HEADER.size + length])
        if kind in (Kind.RENDER, Kind.ANALYSE):
            read_job(message, COUNTS)
        report.counts["read"] += 1
    except WireError:
        report.counts["refused"] += 1


def attack(there: Rendezvous, rng: random.Random, report: Report) -> None:
    """Hold one damaged conversation with the server and go, politely or not."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.settimeout(2)
    peer.connect(there.address)
    memory = make_memory(1, 1 << 20)
    greeting = hello(bytes.fromhex(there.token))
    try:
        peer.sendall(mutated(greeting, rng) if rng.random() < 0.2 else greeting)
        for data in conversation(rng):
            spoilt = mutated(data, rng) if rng.random() < 0.6 else data
            read(spoilt, report)
            passed = [memory.descriptor] * rng.choice((0, 1, 1, 1, 2, 5)) if memory.descriptor is not None else []
            if passed and spoilt and rng.random() < 0.5:
                socket.send_fds(peer, [spoilt], passed)
            else:
                peer.sendall(spoilt)
        if rng.random() < 0.3:
            peer.recv(4096)
    except OSError:
        report.counts["hung up"] += 1
    finally:
        peer.close()
        if memory.descriptor is not None:
            os.close(memory.descriptor)


def resident(pid: int) -> int:
    """Return a process's resident bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def honest(home: Place, report: Report) -> None:
    """Render as a bridge does and look at how long that takes."""
    picture = np.random.default_rng(0).random((16, 24, 3), dtype=np.float32)
    began = time.monotonic()
    client = Client(home.rendezvous())
    if client.render(Effect.GRAIN_SPLIT, [picture], ShotParams(grain_amount=0.5)).picture is None:
        report.faults.append("an honest peer got no picture")
    client.close()
    if time.monotonic() - began > LONGEST:
        report.faults.append(f"an honest peer waited {time.monotonic() - began:.1f} s")


def soak(count: int, seed: int = 0) -> Report:
    """Run so many turns against a server of its own."""
    rng, report = random.Random(seed), Report()
    faulthandler.dump_traceback_later(STUCK, repeat=False, exit=True)
    with place() as home:
        process = home.start()
        home.client().close()
        honest(home, report)
        before, there = resident(process.pid), home.rendezvous()
        for turn in range(count):
            attack(there, rng, report)
            if turn % CHECKED == CHECKED - 1:
                faulthandler.dump_traceback_later(STUCK, repeat=False, exit=True)
                honest(home, report)
        grown = resident(process.pid) - before
        if process.poll() is not None or grown > MOST_GROWTH:
            report.faults.append(f"the server ended or grew by {grown >> 20} MiB")
        report.counts["MiB grown"] = grown >> 20
        log = (home.runtime / "server.log").read_text("utf-8")
        report.faults += sorted({line for line in log.splitlines() if "internal error" in line})[:5]
    faulthandler.cancel_dump_traceback_later()
    return report


if __name__ == "__main__":
    done = soak(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(dict(done.counts), *done.faults, sep="\n")
    sys.exit(bool(done.faults))
