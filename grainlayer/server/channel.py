"""Carry messages of one connection over a Unix socket: whole ones, of legal length, with at most one descriptor each."""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path

from grainlayer.errors import WireError
from grainlayer.server.wire import HEADER, SILENCE_MS, Kind, Message, read_body, read_header

PATIENCE = SILENCE_MS / 1000
"""Seconds within which a peer must take what it is sent, and finish a message that it has begun."""
MOST_DESCRIPTORS = 4
"""Descriptors that are taken in with one read, so that those too many can be closed."""
Received = tuple[Message, int | None]


class Closed(Exception):
    """Say that the peer has gone: a signal between modules, never shown to a user."""


class Channel(ABC):
    """Carry messages both ways. One thread receives; any thread may send."""

    @abstractmethod
    def receive(self, timeout: float) -> Received | None:
        """Return a message with the descriptor that came with it, or None after `timeout` seconds. Raise WireError, Closed."""

    @abstractmethod
    def send(self, data: bytes, descriptor: int | None = None) -> None:
        """Send a message. Raise Closed if the peer has gone or takes nothing for PATIENCE seconds."""

    @abstractmethod
    def hang_up(self) -> None:
        """End the connection from any thread: the receiving one is told that the peer has gone."""

    @abstractmethod
    def close(self) -> None:
        """Free what the channel holds; the receiving thread does it last."""

    @abstractmethod
    def is_own_user(self) -> bool:
        """Say whether the peer is a process of the same user."""


class Listener(ABC):
    """Wait for connections."""

    address: str

    @abstractmethod
    def accept(self, timeout: float) -> Channel | None:
        """Return a new connection's channel, or None after `timeout` seconds."""

    @abstractmethod
    def renew(self) -> bool:
        """Listen anew, at the same address, if somebody has removed or replaced it; True if so. Raise OSError."""

    @abstractmethod
    def close(self) -> None:
        """Stop listening and remove the address."""


class SocketChannel(Channel):
    """Carry messages over a connected Unix socket. Holds no more of a message than its stated length."""

    def __init__(self, connection: socket.socket) -> None:
        """Take a connected socket."""
        connection.setblocking(False)
        self._socket = connection
        self._buffer = bytearray()
        self._descriptors: list[int] = []
        self._began = 0.0
        self._sending = threading.Lock()

    def receive(self, timeout: float) -> Received | None:
        """Return a message with the descriptor that came with it, or None after `timeout` seconds. Raise WireError, Closed."""
        deadline = time.monotonic() + timeout
        while (whole := self._whole()) is None:
            left = deadline - time.monotonic()
            if left < 0 or not self._ready(select.POLLIN, left):
                self._check_pace()
                return None
            self._read()
        return whole

    def _check_pace(self) -> None:
        if self._buffer and time.monotonic() - self._began > PATIENCE:
            raise WireError("The peer began a message and did not finish it; restart the host.")

    def _ready(self, event: int, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._socket, event)
        return bool(poll.poll(max(0, round(seconds * 1000))))

    def _wanted(self) -> int:
        """Return how long the buffer is once its message is whole, or its header."""
        if len(self._buffer) < HEADER.size:
            return HEADER.size
        return HEADER.size + read_header(bytes(self._buffer[: HEADER.size]))[1]

    def _read(self) -> None:
        """Read what is there, up to the end of the message and no further."""
        size = self._wanted() - len(self._buffer)
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, size, MOST_DESCRIPTORS)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            raise Closed from error
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        self._descriptors += descriptors
        if not data:
            raise Closed
        if not self._buffer:
            self._began = time.monotonic()
        self._buffer += data
        if len(self._descriptors) > 1:
            raise WireError("More than one descriptor came with a message; bridge and server must be of one version.")

    def _whole(self) -> Received | None:
        if len(self._buffer) < HEADER.size or len(self._buffer) < self._wanted():
            return None
        data = bytes(self._buffer)
        self._buffer.clear()
        kind, _, request = read_header(data[: HEADER.size])
        message = read_body(kind, request, data[HEADER.size :])
        if kind is not Kind.SEGMENT and self._descriptors:
            raise WireError(f"A descriptor came with a {kind.name} message, which takes none.")
        return message, self._descriptors.pop() if self._descriptors else None

    def send(self, data: bytes, descriptor: int | None = None) -> None:
        """Send a message. Raise Closed if the peer has gone or takes nothing for PATIENCE seconds."""
        rest = memoryview(data)
        with self._sending:
            while rest:
                try:
                    passed = [descriptor] if descriptor is not None else []
                    sent = socket.send_fds(self._socket, [rest], passed) if passed else self._socket.send(rest)
                    rest, descriptor = rest[sent:], None
                except (BlockingIOError, InterruptedError):
                    self._await_room()
                except OSError as error:
                    raise Closed from error

    def _await_room(self) -> None:
        if not self._ready(select.POLLOUT, PATIENCE):
            self.hang_up()
            raise Closed

    def hang_up(self) -> None:
        """End the connection from any thread: the receiving one is told that the peer has gone."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        """Close the socket, and descriptors that no message took."""
        with self._sending:
            self._socket.close()
        while self._descriptors:
            os.close(self._descriptors.pop())

    def is_own_user(self) -> bool:
        """Say whether the peer is a process of the same user, as the system tells it."""
        return peer_user(self._socket) == os.getuid()


def listening_process(address: str) -> int:
    """Return the id of the process that listens at a Unix socket, even if it is stopped; -1 if the system does not tell it."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(address)
            if sys.platform == "linux":
                return struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
            local, peer_process = 0, 2
            return struct.unpack("i", connection.getsockopt(local, peer_process, 4))[0]
    except (OSError, AttributeError, struct.error):
        return -1


def peer_user(connection: socket.socket) -> int:
    """Return the user id of a Unix socket's peer, -1 if the system does not tell it."""
    try:
        if sys.platform == "linux":
            return struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
        local, peer_credentials = 0, 1
        return struct.unpack("2I", connection.getsockopt(local, peer_credentials, 8 + 4 + 16 * 4)[:8])[1]
    except (OSError, struct.error):
        return -1


class SocketListener(Listener):
    """Wait for connections to a Unix socket; whoever makes one holds the runtime folder's lock, so a socket left there is stale."""

    def __init__(self, path: Path) -> None:
        """Listen at `path`. Raise OSError."""
        self.address = str(path)
        self._open()

    def _open(self) -> None:
        path = Path(self.address)
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.bind(self.address)
            path.chmod(0o600)
            self._socket.listen(128)
            self._place = self._there()
        except OSError:
            self._socket.close()
            raise

    def _there(self) -> tuple[int, int, int] | None:
        """Return what tells the file at the address from any other."""
        try:
            facts = os.lstat(self.address)
        except OSError:
            return None
        return facts.st_dev, facts.st_ino, facts.st_mtime_ns

    def renew(self) -> bool:
        """Listen anew if the socket has been removed or replaced; True if so. Raise OSError."""
        if self._there() == self._place:
            return False
        self._socket.close()
        self._open()
        return True

    def accept(self, timeout: float) -> Channel | None:
        """Return a new connection's channel, or None after `timeout` seconds."""
        try:
            self._socket.settimeout(timeout)
            return SocketChannel(self._socket.accept()[0])
        except OSError as error:
            if not isinstance(error, TimeoutError):
                time.sleep(timeout)
            return None

    def close(self) -> None:
        """Stop listening and remove the socket, unless another lies in its place."""
        self._socket.close()
        if self._place is not None and self._there() == self._place:
            Path(self.address).unlink(missing_ok=True)
        self._place = None


def listen(folder_socket: Path) -> Listener:
    """Return a listener at this system's kind of address: a Unix socket at the path, or on Windows a named pipe."""
    if sys.platform == "win32":
        from grainlayer.server.pipes import PipeListener

        return PipeListener()
    return SocketListener(folder_socket)


def connect(address: str) -> Channel:
    """Return a channel to a server's address. Raise OSError if nobody listens there."""
    if sys.platform == "win32":
        from grainlayer.server.pipes import connect_pipe

        return connect_pipe(address)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(PATIENCE)
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return SocketChannel(connection)
