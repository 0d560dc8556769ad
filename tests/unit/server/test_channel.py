"""One connection's transport: whole messages or an error, never a hang, never more memory than a message has."""

from __future__ import annotations

import multiprocessing
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest

from grainlayer.errors import WireError
from grainlayer.server import channel as transport
from grainlayer.server.channel import Channel, Closed, SocketChannel, peer_user
from grainlayer.server.pipes import PipeChannel
from grainlayer.server.wire import HEADER, LONGEST_BODY, MAGIC, Kind, pack, pack_sentence

SEGMENT = pack(Kind.SEGMENT, 3, 1, 0, 4096, bytes(64))


@pytest.fixture
def pair() -> Iterator[tuple[SocketChannel, socket.socket]]:
    left, right = socket.socketpair()
    channel = SocketChannel(left)
    yield channel, right
    channel.close()
    right.close()


Pair = tuple[SocketChannel, socket.socket]


def test_messages_in_one_piece_many_or_bytes(pair: Pair) -> None:
    channel, peer = pair
    data = pack(Kind.READY, 1) + pack(Kind.ASK, 2, 1, 0) + pack_sentence(Kind.TEXT, 3, "x" * 500)

    def send() -> None:
        peer.sendall(data)
        for byte in data:
            peer.sendall(bytes([byte]))

    sender = threading.Thread(target=send)
    sender.start()
    found = [channel.receive(5) for _ in range(6)]
    sender.join()
    assert [one[0].request for one in found if one] == [1, 2, 3, 1, 2, 3]


def test_nothing_is_none_and_the_end_is_closed(pair: Pair) -> None:
    channel, peer = pair
    assert channel.receive(0.01) is None
    peer.sendall(SEGMENT[:20])
    assert channel.receive(0.01) is None
    peer.close()
    with pytest.raises(Closed):
        channel.receive(1)


def test_a_message_begun_and_not_finished_is_refused(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PATIENCE", 0.05)
    channel, peer = pair
    peer.sendall(SEGMENT[:20])
    assert channel.receive(0.01) is None
    time.sleep(0.06)
    with pytest.raises(WireError, match="finish"):
        channel.receive(0.01)


def test_lengths_beyond_the_limit_are_refused_at_the_header(pair: Pair) -> None:
    channel, peer = pair
    peer.sendall(HEADER.pack(MAGIC, 7, 0, LONGEST_BODY + 1, 1))
    with pytest.raises(WireError):
        channel.receive(1)


def test_a_descriptor_comes_with_its_message(pair: Pair) -> None:
    channel, peer = pair
    with open(os.devnull) as file:
        socket.send_fds(peer, [SEGMENT], [file.fileno()])
        socket.send_fds(peer, [SEGMENT + pack(Kind.READY, 4)], [file.fileno()])
    for _ in range(2):
        received = channel.receive(1)
        assert received is not None
        assert received[1] is not None
        assert not os.get_inheritable(received[1])
        os.close(received[1])
    last = channel.receive(1)
    assert last is not None
    assert last[1] is None


@pytest.mark.parametrize(("data", "count"), [(SEGMENT, 2), (SEGMENT, 20), (pack(Kind.READY, 1), 1)])
def test_descriptors_too_many_or_out_of_place_are_closed(data: bytes, count: int) -> None:
    left, right = socket.socketpair()
    channel = SocketChannel(left)
    with open(os.devnull) as file:
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        socket.send_fds(right, [data], [file.fileno()] * count)
        with pytest.raises(WireError):
            channel.receive(1)
        channel.close()
        right.close()
        assert (len(os.listdir("/proc/self/fd")) if before else -2) == before - 2


def test_a_peer_that_never_reads_does_not_hold_us(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PATIENCE", 0.1)
    channel, _ = pair
    began = time.monotonic()

    def send() -> None:
        for _ in range(1000):
            channel.send(pack_sentence(Kind.TEXT, 1, "x" * 16_000))

    with pytest.raises(Closed):
        send()
    assert time.monotonic() - began < 3


def test_hanging_up_wakes_the_receiver(pair: Pair) -> None:
    channel, _ = pair
    threading.Timer(0.05, channel.hang_up).start()
    with pytest.raises(Closed):
        channel.receive(5)


def test_the_peer_is_this_user(pair: Pair) -> None:
    channel, peer = pair
    assert channel.is_own_user()
    assert peer_user(peer) == os.getuid()


def pipe() -> tuple[Channel, Connection]:
    left, right = multiprocessing.Pipe()
    return PipeChannel(left), right


def test_pipes_carry_whole_messages() -> None:
    channel, peer = pipe()
    peer.send_bytes(pack(Kind.ASK, 2, 1, 0))
    received = channel.receive(1)
    assert received is not None
    assert (received[0].request, received[1]) == (2, None)
    channel.send(pack(Kind.READY, 2))
    assert peer.recv_bytes() == pack(Kind.READY, 2)
    assert channel.receive(0.01) is None
    peer.close()
    with pytest.raises(Closed):
        channel.receive(1)
    channel.close()


NO_MESSAGES = [b"", b"short", pack(Kind.ASK, 2, 1, 0)[:-1], bytes(LONGEST_BODY + 17), struct.pack("<IHHII", 1, 1, 0, 0, 0)]


@pytest.mark.parametrize("data", NO_MESSAGES)
def test_pipes_refuse_what_is_no_message(data: bytes) -> None:
    channel, peer = pipe()
    peer.send_bytes(data)
    with pytest.raises(WireError):
        channel.receive(1)
    channel.close()
    peer.close()
