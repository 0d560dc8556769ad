"""Build the test host and the bridge, and drive the host as tests need it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
BUNDLE = Path("GrainLayer.ofx.bundle")
IDS = ("org.grainlayer.GrainSplit", "org.grainlayer.GrainSynth", "org.grainlayer.ArtifactRestore")
SPLIT, SYNTH, RESTORE = IDS
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=1:exitcode=99:handle_segv=1", "UBSAN_OPTIONS": "print_stacktrace=1"}

Floats = NDArray[np.float32]


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Let one process at a time build."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def tool(name: str) -> str:
    """Return the path of cmake or ninja, of this environment or of the system."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is missing: run `make test`, which installs it")
    return found


def build(source: Path, name: str, *options: str) -> Path:
    """Build a CMake project into build/NAME and return that folder; what is fresh is not built again."""
    folder = BUILD / name
    with _alone(name):
        configure = [tool("cmake"), "-S", source, "-B", folder, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}", *options]
        for command in ([] if (folder / "build.ninja").exists() else [configure]) + [[tool("cmake"), "--build", folder]]:
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{name} does not build:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return folder


def build_host(*, sanitize: bool = True) -> Path:
    """Return the test host's program."""
    name = "host-asan" if sanitize else "host"
    return build(ROOT / "tests" / "host", name, f"-DHOST_SANITIZE={'ON' if sanitize else 'OFF'}") / "ofx_host"


def build_bridge(*, sanitize: bool = True) -> Path:
    """Return a bundle, built for tests."""
    name = "bridge-asan" if sanitize else "bridge-plain"
    return build(ROOT / "ofx_bridge", name, f"-DBRIDGE_SANITIZE={'ON' if sanitize else 'OFF'}") / BUNDLE


class HostError(Exception):
    """The host could not do what it was told, or died."""


class Host:
    """Run the test host and send it commands; at the end it must be free of violations, leaks and sanitizers' complaints."""

    def __init__(
        self, folder: Path, env: dict[str, str] | None = None, *, sanitize: bool = True, built: tuple[list[Path | str], Path] | None = None
    ) -> None:
        """Start it; its pictures go to `folder`. `built` is the command of a host and a bundle, where they are not to be built."""
        self.folder = folder
        command, self.bundle = built or ([build_host(sanitize=sanitize)], build_bridge(sanitize=sanitize))
        self._errors = (folder / "host.err").open("w+")
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=os.environ | SANITIZERS | (env or {}),
        )
        self.expect_violations = False

    def __enter__(self) -> Host:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            end = self.send("quit") if self.process.poll() is None else {}
            self.process.communicate(timeout=30)
            self._errors.seek(0)
            words = self._errors.read()
            if kind is None:
                assert self.process.returncode == 0, words[-6000:]
                assert self.expect_violations or end.get("count") == 0, end
                assert not end.get("leaks"), end
        finally:
            if self.process.poll() is None:
                self.process.kill()
            self._errors.close()

    def tell(self, *words: object) -> None:
        """Send a command without waiting for its answer."""
        assert self.process.stdin
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Return the next answer. Raise HostError if there is none."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            self.process.wait(10)
            self._errors.seek(0)
            raise HostError(f"The host died with {self.process.returncode}: {self._errors.read()[-6000:]}")
        return json.loads(line)

    def send(self, *words: object) -> dict[str, Any]:
        """Send a command and return its answer. Raise HostError."""
        self.tell(*words)
        answer = self.hear()
        if "error" in answer:
            raise HostError(f"{' '.join(map(str, words))}: {answer['error']}")
        return answer

    def load(self) -> dict[str, Any]:
        """Load the bridge."""
        return self.send("load", self.bundle)

    def create(self, name: str, plugin: str, size: tuple[int, int], pictures: NDArray[Any] | None = None, **options: object) -> None:
        """Create an instance of `size` (width, height); `pictures` (N, H, W, 4) are bound to its source."""
        words = [f"{key}={value}" for key, value in options.items()]
        self.send("create", name, plugin, f"width={size[0]}", f"height={size[1]}", *words)
        if pictures is not None:
            self.bind(name, "Source", pictures)

    def bind(self, name: str, clip: str, pictures: NDArray[Any], *options: str) -> None:
        """Bind pictures (N, H, W, 4), float32 or uint16, row 0 on top, to a clip."""
        path = self.folder / f"{name}-{clip}.raw"
        pictures.tofile(path)
        self.send("source", name, clip, path, f"frames={len(pictures)}", *(["raw16=1"] if pictures.dtype == np.uint16 else []), *options)

    def render(self, name: str, time: float, size: tuple[int, int], *options: object) -> tuple[dict[str, Any], Floats]:
        """Render a frame; return the host's facts and the window's pixels (H, W, 4), row 0 on top."""
        path = self.folder / f"{name}-out.raw"
        facts = self.send("render", name, time, f"out={path}", *options)
        return facts, np.fromfile(path, np.float32).reshape(size[1], size[0], 4)
