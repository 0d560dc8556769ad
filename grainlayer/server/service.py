"""Be the server: listen, give each connection a thread, keep a few workers, end when nobody needs it."""

from __future__ import annotations

import json
import logging
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from grainlayer import __version__
from grainlayer.editorial.journal import Journal
from grainlayer.editorial.sidecars import Sidecars
from grainlayer.editorial.state import state_folder
from grainlayer.effect import Effect, Request
from grainlayer.errors import GrainlayerError, ModelError
from grainlayer.inference.runtime import device_name, loaded_models
from grainlayer.params import digest
from grainlayer.server.channel import Channel, Closed, Listener
from grainlayer.server.connection import Connection, House
from grainlayer.server.layercache import LayerCache, default_bytes
from grainlayer.server.renders import Renderer
from grainlayer.server.rendezvous import LOG as LOG_FILE
from grainlayer.server.rendezvous import Rendezvous
from grainlayer.server.sessions import Sessions
from grainlayer.server.wire import VERSION, Code, Kind, Question, pack_sentence

LOG = logging.getLogger(__name__)

TICK = 0.2
"""Seconds between two looks at whether to end."""
FAREWELL = 0.5
"""Seconds that connections are given to end."""
MOST_CONNECTIONS = 64
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
    """Serve one listener until it is idle, asked to stop, or told so by a signal."""

    def __init__(self, listener: Listener, folder: Path, settings: ServiceSettings) -> None:
        """Take what is listened to, the runtime folder, and the settings; a new secret is made."""
        self.settings = settings
        self.folder = folder
        self.listener = listener
        self.rendezvous = Rendezvous(VERSION, os.getpid(), listener.address, secrets.token_hex(32))
        self._began = self._last = time.monotonic()
        self._stop = self._stop_when_idle = False
        self._lock = threading.Lock()
        self._connections: dict[Connection, threading.Thread] = {}
        self._sessions = Sessions()
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="grainlayer-render")
        self._effect = Effect(settings.device)
        self._journal = Journal(state_folder())
        self.before_end: Callable[[], None] = lambda: None

    @cached_property
    def house(self) -> House:
        """Return what connections share."""
        renderer = Renderer(self._effect, LayerCache(self.settings.cache_bytes), self._journal, Sidecars(state_folder()), self._device())
        table = bytes.fromhex(digest())
        return House(self.rendezvous.token, table, self._sessions, renderer, self.folder / LOG_FILE, self._submit, self.answer)

    def _device(self) -> str:
        """Return where networks run; where they cannot, every render will say why."""
        try:
            return device_name(self.settings.device)
        except ModelError as error:
            LOG.error("%s", error)
            return "none"

    def _submit(self, call: Callable[[], None]) -> Future[None]:
        return self._pool.submit(call)

    def stop(self, *_: Any) -> None:
        """End soon, whatever is being done: signals do this."""
        self._stop = True

    def run(self) -> None:
        """Serve until the end. Signals that ask a process to end are heeded where this is the main thread."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self.stop)
        threading.Thread(target=self._warm_up, name="grainlayer-warm", daemon=True).start()
        while not self._is_over():
            channel = self.listener.accept(TICK)
            if channel is not None:
                self._welcome(channel)
        self._end()

    def _is_over(self) -> bool:
        with self._lock:
            busy = any(connection.is_busy for connection in self._connections)
            if self._connections:
                self._last = time.monotonic()
        idle = time.monotonic() - self._last > self.settings.idle
        return self._stop or idle or (self._stop_when_idle and not busy)

    def _welcome(self, channel: Channel) -> None:
        """Give a connection its thread, unless there are too many."""
        with self._lock:
            full = len(self._connections) >= MOST_CONNECTIONS
        if full:
            sentence = f"The server has {MOST_CONNECTIONS} connections, as many as it takes; close a host."
            try:
                channel.send(pack_sentence(Kind.FAILED, 0, sentence, Code.PROTOCOL, 0))
            except Closed:
                LOG.debug("A peer has gone")
            channel.close()
            return
        connection = Connection(self.house, channel)
        thread = threading.Thread(target=self._serve, args=(connection,), name="grainlayer-connection", daemon=True)
        with self._lock:
            self._connections[connection] = thread
        thread.start()

    def _serve(self, connection: Connection) -> None:
        connection.run()
        with self._lock:
            del self._connections[connection]
            self._last = time.monotonic()

    def _end(self) -> None:
        """Cancel what is being done, and let everybody go; first of all nobody is sent here any more."""
        self.before_end()
        self.listener.close()
        with self._lock:
            waiting = dict(self._connections)
        for connection in waiting:
            connection.stop()
        deadline = time.monotonic() + FAREWELL
        for thread in waiting.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        self._pool.shutdown(wait=False, cancel_futures=True)
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
        self._stop_when_idle = True
        return "The server ends as soon as it has answered what it is working on."

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
            "log": str(self.folder / LOG_FILE),
        }
