"""A real server process in folders of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from grainlayer.errors import GrainlayerError
from grainlayer.server.client import Client
from grainlayer.server.rendezvous import Rendezvous, read_rendezvous
from grainlayer.server.wire import SESSION

PROGRAM = (sys.executable, "-m", "grainlayer.cli")
T = TypeVar("T")


def until(look: Callable[[], T | None], seconds: float = 15) -> T:
    """Return what `look` gives once it is not None."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return found


@dataclass
class Place:
    """Hold the folders of a server, and its process."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def runtime(self) -> Path:
        return self.folder / "run"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"GRAINLAYER_RUNTIME": str(self.runtime), "GRAINLAYER_STATE": str(self.state)}

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        words = [*PROGRAM, "serve", "--device", "cpu", *options]
        self.process = subprocess.Popen(words, env=self.environment, stdout=subprocess.DEVNULL)
        return self.process

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*PROGRAM, *words], env=self.environment, capture_output=True, text=True, timeout=60, check=False)

    def rendezvous(self) -> Rendezvous:
        return until(lambda: read_rendezvous(self.runtime))

    def client(self, session: bytes = bytes(SESSION), host: str = "test") -> Client:
        """Connect, waiting for a server that starts."""

        def meet() -> Client | None:
            there = read_rendezvous(self.runtime)
            try:
                return Client(there, session, host) if there else None
            except GrainlayerError:
                return None

        return until(meet)

    def end(self) -> None:
        """Kill the process, if it still runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)


@contextmanager
def place() -> Iterator[Place]:
    """Give folders with short paths, for a socket's may not be long."""
    folder = Path(tempfile.mkdtemp(prefix="gl-"))
    found = Place(folder)
    try:
        yield found
    finally:
        found.end()
        shutil.rmtree(folder, ignore_errors=True)
