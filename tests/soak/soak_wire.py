"""Send a server what no bridge would, over and over: `python -m tests.soak.soak_wire [COUNT] [SEED]`.

Legal conversations are mutated: bytes flipped, cut, repeated or left out, lengths that lie, descriptors where none belong, ends in the
middle. Most messages go to the readers, three in ten through a connection in this process, and for every fifty messages there is one
damaged conversation with a real server, which must go on rendering for others, in bounded memory.
"""

from __future__ import annotations

import faulthandler
import os
import random
import socket
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np

from grainlayer.effect import Effect as Renderer
from grainlayer.effect import Request
from grainlayer.errors import WireError
from grainlayer.params import Effect, ShotParams
from grainlayer.server.client import Client, make_memory
from grainlayer.server.job import read_job
from grainlayer.server.parameters import COUNTS
from grainlayer.server.rendezvous import Rendezvous
from grainlayer.server.wire import HEADER, Kind, read_body, read_header
from tests.soak.inside import Inside, descriptors
from tests.soak.messages import Report, conversation, mutated, talk
from tests.system.serving import Place, place

MOST_GROWTH = 96 << 20
"""Bytes by which the server's memory may grow over the whole soak."""
LONGEST = 3.0
"""Seconds within which the server must render for an honest peer, whatever others send."""
CHECKED = 50
"""Turns between two looks at the server."""
STUCK = 300


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


def read_many(count: int, rng: random.Random, report: Report) -> None:
    """Give the readers so many messages."""
    for turn in range(count):
        if turn % 10_000 == 0:
            faulthandler.dump_traceback_later(STUCK, repeat=False, exit=True)
        read(mutated(rng.choice(conversation(rng)), rng), report)


def attack(there: Rendezvous, rng: random.Random, report: Report) -> None:
    """Talk to a server and go, politely or not."""
    memory = make_memory(1, 1 << 20)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(2)
        peer.connect(there.address)
        try:
            talk(peer, bytes.fromhex(there.token), memory.descriptor, rng)
            if rng.random() < 0.3:
                peer.recv(4096)
        except OSError:
            report.counts["hung up"] += 1
    report.counts["conversations with a server"] += 1
    memory.memory.close()
    if memory.descriptor is not None:
        os.close(memory.descriptor)


def resident(pid: int) -> int:
    """Return a process's resident bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


PICTURE = np.random.default_rng(0).random((16, 24, 3), dtype=np.float32)


@cache
def expected() -> bytes:
    """Return what an honest peer must get."""
    return Renderer("cpu").result(Request(PICTURE[None], 0, ShotParams(grain_amount=0.5))).tobytes()


def honest(home: Place, report: Report) -> None:
    """Render as a bridge does and look at how long that takes."""
    began = time.monotonic()
    client = Client(home.rendezvous())
    found = client.render(Effect.GRAIN_SPLIT, [PICTURE], ShotParams(grain_amount=0.5)).picture
    client.close()
    if found is None or found.tobytes() != expected():
        report.faults.append("an honest peer got no picture, or a wrong one")
    if time.monotonic() - began > LONGEST:
        report.faults.append(f"an honest peer waited {time.monotonic() - began:.1f} s")


def settled(pid: int, open_before: int) -> int:
    """Return how many descriptors a server holds once its last connections have ended."""
    deadline = time.monotonic() + 15
    while descriptors(pid) > open_before and time.monotonic() < deadline:
        time.sleep(0.05)
    return descriptors(pid)


def attack_server(turns: int, rng: random.Random, report: Report) -> None:
    """Hold so many damaged conversations with a server of its own."""
    with place() as home:
        process = home.start()
        home.client().close()
        honest(home, report)
        time.sleep(0.5)
        before, there = resident(process.pid), home.rendezvous()
        open_before = descriptors(process.pid)
        for turn in range(turns):
            attack(there, rng, report)
            if turn % CHECKED == CHECKED - 1:
                faulthandler.dump_traceback_later(STUCK, repeat=False, exit=True)
                honest(home, report)
        honest(home, report)
        grown, left = resident(process.pid) - before, settled(process.pid, open_before)
        if process.poll() is not None or grown > MOST_GROWTH:
            report.faults.append(f"the server ended or grew by {grown >> 20} MiB")
        if left > open_before:
            report.faults.append(f"the server held {open_before} descriptors before and {left} after")
        report.counts["MiB at the start"], report.counts["MiB grown"], report.counts["descriptors"] = before >> 20, grown >> 20, left
        log = (home.runtime / "server.log").read_text("utf-8")
        report.faults += sorted({line for line in log.splitlines() if "internal error" in line})[:5]


def soak(count: int, seed: int = 0) -> Report:
    """Send so many messages."""
    rng, report = random.Random(seed), Report()
    try:
        attack_server(count // 50, rng, report)
        Inside(rng, report).run(3 * count // 10)
        read_many(count - report.messages, rng, report)
    finally:
        faulthandler.cancel_dump_traceback_later()
    return report


if __name__ == "__main__":
    began = time.monotonic()
    done = soak(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(dict(done.counts), f"{done.messages} messages in {time.monotonic() - began:.0f} s", *done.faults, sep="\n")
    sys.exit(bool(done.faults))
