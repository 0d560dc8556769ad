"""Be the server: listen, give each connection a thread, keep a few workers, end when nobody needs it."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from grainlayer import __version__
from grainlayer.editorial.journal import Journal
from grainlayer.editorial.sidecars import Sidecars
from grainlayer.editorial.state import state_folder
from grainlayer.effect import Effect, Request
from grainlayer.errors import GrainlayerError
from grainlayer.inference.runtime import loaded_models
from grainlayer.params import digest
from grainlayer.server.channel import Channel, Closed
from grainlayer.server.connection import Connection, House
from grainlayer.server.door import Door
from grainlayer.server.layercache import LayerCache, default_bytes
from grainlayer.server.renders import Renderer
from grainlayer.server.sessions import Sessions
from grainlayer.server.wire import MOST_CONNECTIONS, VERSION, Code, Kind, Question, pack_sentence

LOG = logging.getLogger(__name__)

TICK = 0.2
"""Seconds between two looks at whether to end, and at what lies in the runtime folder."""
LEAVING = 0.02
"""Seconds between two looks at whether all is answered, once the server ends."""
SHUTTING = 2.0
"""Seconds in which nobody is sent to a server any more that is to end."""
FAREWELL = 0.5
"""Seconds that connections are given to end."""
FULL = f"The server works on {MOST_CONNECTIONS} requests at once, as many as it takes; render with fewer hosts, or wait for one."
THREADLESS = "The system gives the server no more threads; close other programs and render the frame again."
ENDS = "The server ends as soon as it has answered what it is working on."
WARM = (64, 64)
"""Size of the picture on which the networks are warmed up."""


@dataclass(frozen=True)
class ServiceSettings:
    """Say how to serve: seconds without connections after which to end, bytes of layers kept, device, pictures made at once."""

    idle: float = 900.0
    cache_bytes: int = field(default_factory=default_bytes)
    device: str = "auto"
    workers: int = 2


class Service:
    """Serve at one door until it is idle, asked to stop, not needed any more, or told to end by a signal."""

    def __init__(self, door: Door, settings: ServiceSettings) -> None:
        """Take where bridges come in, and the settings."""
        self.settings = settings
        self.door = door
        self._began = self._last = time.monotonic()
        self._stop = self._leaving = False
        self._shut = threading.Event()
        self._lock = threading.Lock()
        self._connections: dict[Connection, threading.Thread] = {}
        self._sessions = Sessions()
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="grainlayer-render")
        self._desk = ThreadPoolExecutor(1, thread_name_prefix="grainlayer-ask")
        self._effect = Effect(settings.device)
        self._journal = Journal(state_folder())

    @cached_property
    def house(self) -> House:
        """Return what connections share."""
        return House(
            token=self.door.rendezvous.token,
            digest=bytes.fromhex(digest()),
            sessions=self._sessions,
            renderer=Renderer(self._effect, LayerCache(self.settings.cache_bytes), self._journal, Sidecars(state_folder())),
            log_file=self.door.log_file,
            submit=self._submit,
            look_up=self._look_up,
            ask=self.answer,
            leave=self.leave,
            is_leaving=lambda: self._leaving,
        )

    def _submit(self, call: Callable[[], None]) -> Future[None]:
        return self._pool.submit(call)

    def _look_up(self, call: Callable[[], None]) -> Future[None]:
        return self._desk.submit(call)

    def stop(self, *_: Any) -> None:
        """End soon, whatever is being done: signals do this."""
        self._stop = True

    def leave(self) -> bool:
        """Take nobody in any more and end once what is worked on is answered; True once nobody is sent here. Any thread but `run`'s."""
        self._leaving = True
        return self._shut.wait(SHUTTING)

    def run(self) -> None:
        """Serve until the end. Signals that ask a process to end are heeded where this is the main thread."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self.stop)
        threading.Thread(target=self._warm_up, name="grainlayer-warm", daemon=True).start()
        while not self._is_over():
            if self._leaving:
                self._send_home()
                continue
            channel = self.door.accept(TICK)
            if channel is not None:
                self._welcome(channel)
            if not self.door.mend():
                LOG.warning("Another server has taken this one's place")
                self._leaving = True
        self._end()

    def _is_over(self) -> bool:
        with self._lock:
            busy = any(connection.is_busy for connection in self._connections)
            if any(connection.is_served for connection in self._connections):
                self._last = time.monotonic()
        idle = time.monotonic() - self._last > self.settings.idle
        return self._stop or ((idle or (self._leaving and self._shut.is_set())) and not busy)

    def _shut_door(self) -> None:
        self.door.close()
        self._shut.set()

    def _send_home(self) -> None:
        """Let nobody in, and let those go who wait for nothing."""
        if not self._shut.is_set():
            self._shut_door()
        with self._lock:
            idle = [connection for connection in self._connections if not connection.is_busy]
        for connection in idle:
            connection.stop()
        time.sleep(LEAVING)

    def _welcome(self, channel: Channel) -> None:
        """Give a connection its thread; where there are too many, at the cost of one that nobody uses."""
        if not self._make_room():
            _turn_away(channel, FULL)
            return
        connection = Connection(self.house, channel)
        thread = threading.Thread(target=self._serve, args=(connection,), name="grainlayer-connection", daemon=True)
        with self._lock:
            self._connections[connection] = thread
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:
            LOG.error("A connection's thread cannot be started: %s", error)
            with self._lock:
                del self._connections[connection]
            _turn_away(channel, THREADLESS)

    def _make_room(self) -> bool:
        """End the connection that has been idle for longest, if there are too many; False if all are at work.

        A session's last connection stays for as long as there are others: with it the session's pictures and layers would go.
        """
        with self._lock:
            if len(self._connections) < MOST_CONNECTIONS:
                return True
            idle = [connection for connection in self._connections if not connection.is_busy]
            if not idle:
                return False
            chosen = min(idle, key=lambda connection: (connection.is_alone, connection.last_used))
            del self._connections[chosen]
        chosen.stop()
        return True

    def _serve(self, connection: Connection) -> None:
        connection.run()
        with self._lock:
            self._connections.pop(connection, None)
            if connection.is_served:
                self._last = time.monotonic()

    def _end(self) -> None:
        """Cancel what is being done, and let everybody go; first of all nobody is sent here any more."""
        self._shut_door()
        with self._lock:
            waiting = dict(self._connections)
        for connection in waiting:
            connection.stop()
        deadline = time.monotonic() + FAREWELL
        for thread in waiting.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._desk.shutdown(wait=False, cancel_futures=True)
        self._journal.flush()
        LOG.info("The server ends")

    def _warm_up(self) -> None:
        """Load the usual networks and run each once, so that the first picture is quick."""
        try:
            picture = np.full((1, *WARM, 3), 0.5, np.float32)
            self._effect.layers(Request(picture, 0))
            LOG.info("Networks are warm")
        except GrainlayerError as error:
            LOG.error("%s", error)
        except Exception as error:
            LOG.error("Networks could not be warmed up", exc_info=error)

    def answer(self, question: Question) -> str:
        """Return the text that answers a question."""
        if question is Question.STATUS:
            return json.dumps(self.status())
        if question is Question.DOCTOR:
            from grainlayer.server.doctor import as_text, server_findings

            return as_text(server_findings(self.settings.device, self.status()))
        self.leave()
        return ENDS

    def status(self) -> dict[str, Any]:
        """Return what the server is doing, as JSON can carry it."""
        renderer, cache = self.house.renderer, self.house.renderer.cache
        with self._lock:
            connections, working = len(self._connections), sum(connection.is_working for connection in self._connections)
        return {
            "running": True,
            "version": __version__,
            "protocol": VERSION,
            "pid": os.getpid(),
            "device": renderer.device,
            "uptime": round(time.monotonic() - self._began, 1),
            "sessions": len(self._sessions),
            "connections": connections,
            "working": working,
            "frames": renderer.tally.frames,
            "cache_bytes": cache.size,
            "cache_most": cache.most,
            "cache_hits": cache.hits,
            "cache_misses": cache.misses,
            "models": loaded_models(),
            "log": str(self.door.log_file),
        }


def _turn_away(channel: Channel, sentence: str) -> None:
    try:
        channel.send(pack_sentence(Kind.FAILED, 0, sentence, Code.PROTOCOL, 0))
    except Closed:
        LOG.debug("A peer has gone")
    channel.close()
