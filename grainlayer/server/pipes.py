"""Carry messages of one connection over a Windows named pipe: header and body of each are one message of the pipe."""

from __future__ import annotations

import queue
import secrets
import threading
from multiprocessing.connection import Client
from multiprocessing.connection import Listener as PipeServer
from typing import Any, Protocol

from grainlayer.errors import WireError
from grainlayer.server.channel import PATIENCE, Channel, Closed, Listener, Received
from grainlayer.server.wire import HEADER, LONGEST_BODY, read_body, read_header


class Pipe(Protocol):
    """What is used of multiprocessing's connections, whatever their class on this system."""

    @property
    def closed(self) -> bool:
        """Say whether it is closed."""
        ...

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Say whether a message has come."""
        ...

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        """Return a message."""
        ...

    def send_bytes(self, buf: Any) -> None:
        """Send a message."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class PipeChannel(Channel):
    """Carry messages over a connected pipe. Windows lets no other user open it, unless he administers the machine."""

    def __init__(self, connection: Pipe) -> None:
        """Take a connected pipe."""
        self._pipe = connection
        self._sending = threading.Lock()

    def receive(self, timeout: float) -> Received | None:
        """Return a message, or None after `timeout` seconds; no descriptor ever comes. Raise WireError, Closed."""
        try:
            if not self._pipe.poll(timeout):
                return None
            data = self._pipe.recv_bytes(HEADER.size + LONGEST_BODY)
        except (EOFError, ConnectionError) as error:
            raise Closed from error
        except OSError as error:
            if self._pipe.closed:
                raise Closed from error
            raise WireError("The peer sent a message longer than any of this protocol; restart the host.") from error
        if len(data) < HEADER.size:
            raise WireError("The peer sent less than a message's header; restart the host.")
        kind, length, request = read_header(data[: HEADER.size])
        if length != len(data) - HEADER.size:
            raise WireError(f"A {kind.name} message is not as long as its header says; restart the host.")
        return read_body(kind, request, data[HEADER.size :]), None

    def send(self, data: bytes, descriptor: int | None = None) -> None:
        """Send a message. Raise Closed if the peer has gone or takes nothing for PATIENCE seconds."""
        watch = threading.Timer(PATIENCE, self.hang_up)
        watch.daemon = True
        with self._sending:
            watch.start()
            try:
                self._pipe.send_bytes(data)
            except OSError as error:
                raise Closed from error
            finally:
                watch.cancel()

    def hang_up(self) -> None:
        """End the connection from any thread."""
        self.close()

    def close(self) -> None:
        """Close the pipe."""
        try:
            self._pipe.close()
        except OSError:
            return

    def is_own_user(self) -> bool:
        """Return True: the pipe's access list sees to it, and the token stands behind it."""
        return True


class PipeListener(Listener):
    """Wait for connections to a named pipe of a name that nobody guesses."""

    def __init__(self) -> None:
        """Listen. Raise OSError."""
        self.address = rf"\\.\pipe\grainlayer-{secrets.token_hex(16)}"
        self._server = PipeServer(self.address, "AF_PIPE", backlog=16)
        self._waiting: queue.SimpleQueue[Pipe] = queue.SimpleQueue()
        threading.Thread(target=self._collect, name="grainlayer-pipe", daemon=True).start()

    def _collect(self) -> None:
        while True:
            try:
                self._waiting.put(self._server.accept())
            except (EOFError, ConnectionError):
                continue
            except OSError:
                return

    def accept(self, timeout: float) -> Channel | None:
        """Return a new connection's channel, or None after `timeout` seconds."""
        try:
            return PipeChannel(self._waiting.get(timeout=timeout))
        except queue.Empty:
            return None

    def renew(self) -> bool:
        """Return False: a pipe's name cannot be taken away."""
        return False

    def close(self) -> None:
        """Stop listening."""
        self._server.close()


def connect_pipe(address: str) -> Channel:
    """Return a channel to a pipe. Raise OSError if nobody listens there."""
    return PipeChannel(Client(address, "AF_PIPE"))
