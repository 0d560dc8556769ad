"""Keep sessions: what the connections of one host share, for as long as one of them is open."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field

from grainlayer.errors import WireError
from grainlayer.server.segments import Segments
from grainlayer.server.wire import SESSION


@dataclass(eq=False)
class Session:
    """Hold a session's name, its host, its shared memory and how many connections it has."""

    name: bytes
    host: str
    segments: Segments = field(default_factory=Segments)
    connections: int = 0


class Sessions:
    """Begin, join and end sessions. Calls may come from any thread."""

    def __init__(self) -> None:
        """Begin without any."""
        self._lock = threading.Lock()
        self._all: dict[bytes, Session] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._all)

    def join(self, name: bytes, host: str) -> Session:
        """Return the session of that name, a new one for zeros. Raise WireError if it has ended."""
        with self._lock:
            if name == bytes(SESSION):
                name = secrets.token_bytes(SESSION)
                self._all[name] = Session(name, host)
            session = self._all.get(name)
            if session is None:
                raise WireError("This session has ended; the next picture begins a new one.")
            session.connections += 1
            return session

    def leave(self, session: Session) -> bool:
        """Take a connection away; with the last one the session ends and True is returned."""
        with self._lock:
            session.connections -= 1
            ended = session.connections == 0
            if ended:
                del self._all[session.name]
        if ended:
            session.segments.close()
        return ended
