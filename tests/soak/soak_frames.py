"""Render frame after frame, as a long session does, and look at what is held: `python -m tests.soak.soak_frames [COUNT]`.

A host with the bridge, which starts the server itself, renders pictures of 320x180: four instances, four threads, every fourth frame
new, the others views of layers at hand. Memory and descriptors of both processes must stay as they were after the first tenth, and
nothing may be left once both have ended.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count as endless
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.host.ofx import SPLIT, SYNTH, Host
from tests.system.serving import Place, place

SIZE = (320, 180)
THREADS = 4
CACHE_MB = 40
"""Megabytes of layers that the server keeps: full long before the first tenth is over, so that all growth is a fault."""
IDLE = 2
"""Seconds without a host after which the server ends."""
LEAST_WARM = 96
"""Frames before the first sample, at least; else it is a tenth of all."""
MOST_DRIFT = 0.02
LEFT = {"lock", "server.log", "server.log.1", "server.out"}
"""What may stay in the runtime folder."""
INSTANCES: dict[str, tuple[str, dict[str, str], tuple[dict[str, str], ...]]] = {
    "split": (
        SPLIT,
        {"level_mode": "manual", "level": "0.03"},
        ({"view": "Base"}, {"view": "Grain x4"}, {"view": "Result", "grain_amount": "0.5"}, {"view": "Result", "grain_amount": "0.2"}),
    ),
    "synth": (
        SYNTH,
        {"grain_source": "stock"},
        ({"view": "Result"}, {"view": "Grain x4"}, {"grain_amount": "0.5", "view": "Result"}, {"grain_amount": "1"}),
    ),
}
"""Plug-in, values, and the four looks that a frame gets; layers are made for the first."""


@dataclass
class Report:
    """Hold samples, one after each bundle of frames once all is warm, and sentences about what must not happen."""

    frames: int = 0
    seconds: float = 0.0
    samples: dict[str, list[int]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def tenth(self, name: str, which: int) -> list[int]:
        """Return the samples of the first tenth, 0, to the last, 9."""
        found = self.samples[name]
        return found[len(found) * which // 10 : len(found) * (which + 1) // 10]

    def drift(self, name: str) -> float:
        """Return by which share the median of the last tenth is over that of the first."""
        return median(self.tenth(name, 9)) / median(self.tenth(name, 0)) - 1

    def facts(self) -> dict[str, Any]:
        """Return what is worth telling."""
        told: dict[str, Any] = {"frames": self.frames, "seconds": round(self.seconds, 1)}
        for name in self.samples:
            told[name] = [median(self.tenth(name, 0)), median(self.tenth(name, 9)), round(100 * self.drift(name), 2)]
        return told


def program(folder: Path) -> Path:
    """Write the program that the bridge starts: a server that keeps little and ends soon."""
    path = folder / "server"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m grainlayer.cli "$@" --device cpu --cache-mb {CACHE_MB} --idle {IDLE}\n')
    path.chmod(0o755)
    return path


def pictures() -> Iterator[NDArray[np.float32]]:
    """Yield four grainy pictures at a time, none of them twice."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.linspace(0, 1, SIZE[0]), np.linspace(0, 1, SIZE[1]))
    clean = np.stack([0.2 + 0.6 * x, 0.8 - 0.5 * y, 0.5 + 0.2 * np.sin(3 * x), np.ones_like(x)], axis=-1)
    kept = (clean + rng.normal(0, 0.03, (THREADS, SIZE[1], SIZE[0], 4)) * (1, 1, 1, 0)).astype(np.float32)
    for turn in endless(1):
        kept[:, turn % SIZE[1], :, :3] += np.float32(0.001) * (1 + turn % 7)
        yield np.clip(kept, 0, 1)


def statm(pid: int) -> int:
    """Return a process's resident bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Session:
    """Render in a host and take samples."""

    def __init__(self, host: Host, there: Place, report: Report) -> None:
        self.host = host
        self.there = there
        self.report = report
        self.pictures = pictures()
        self.server = 0
        self.warm = LEAST_WARM
        for name, (plugin, values, _) in INSTANCES.items():
            for number in range(2):
                host.create(f"{name}{number}", plugin, SIZE, frames=f"0-{THREADS - 1}")
                for key, value in values.items():
                    host.send("set", f"{name}{number}", key, value)

    def run(self, count: int) -> None:
        """Render at least so many frames."""
        began, self.warm = time.monotonic(), max(LEAST_WARM, count // 10)
        for turn in endless():
            if self.report.frames >= count:
                break
            name = tuple(INSTANCES)[turn % 2]
            self._look(f"{name}{turn // 2 % 2}", INSTANCES[name][2])
        self.report.seconds = time.monotonic() - began

    def _look(self, instance: str, looks: tuple[dict[str, str], ...]) -> None:
        """Render four new pictures in four ways."""
        self.host.bind(instance, "Source", next(self.pictures))
        for look in looks:
            for key, value in look.items():
                self.host.send("set", instance, key, value)
            found = self.host.send("parallel", instance, *range(THREADS), f"threads={THREADS}")["frames"]
            bad = [frame for frame in found if frame.get("status") != 0 or frame.get("persistent")]
            if bad and len(self.report.faults) < 5:
                self.report.faults.append(f"a frame failed: {bad[0]}")
            self.report.frames += len(found)
            if self.report.frames > self.warm:
                self._sample()

    def _sample(self) -> None:
        pid = self.server = self.server or self.there.rendezvous().pid  # that of the first, for it must not be replaced
        memory = self.host.send("memory")
        values = {
            "host memory, KiB": memory["VmRSS"],
            "host descriptors": memory["descriptors"],
            "server memory, KiB": statm(pid) >> 10,
            "server descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        }
        for name, value in values.items():
            self.report.samples.setdefault(name, []).append(value)


def using(folder: Path) -> list[str]:
    """Return the names of the processes that were started with this runtime folder."""
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if f"GRAINLAYER_RUNTIME={folder}\0".encode() in (path / "environ").read_bytes():
                found.append((path / "comm").read_text().strip())
        except OSError:
            continue
    return found


def shared_memory() -> set[str]:
    """Return what lies in the system's shared memory under a name of ours."""
    folder = Path("/dev/shm")
    return {path.name for path in folder.iterdir() if path.name.startswith(("gl", "grainlayer"))} if folder.is_dir() else set()


def check_drift(report: Report, most_drift: float) -> None:
    """Hold memory and descriptors to what they were."""
    for name in report.samples:
        drift = report.drift(name)
        if abs(drift) > (0 if "descriptors" in name else most_drift):
            report.faults.append(f"{name}: {median(report.tenth(name, 0))} at first, {median(report.tenth(name, 9))} at last")


def check_end(there: Place, before: set[str], report: Report) -> None:
    """Hold both processes to leave nothing."""
    deadline = time.monotonic() + IDLE + 15
    while using(there.runtime) and time.monotonic() < deadline:
        time.sleep(0.1)
    left = {path.name for path in there.runtime.iterdir()} - LEFT
    for what, found in (("processes", using(there.runtime)), ("shared memory", shared_memory() - before), ("files", left)):
        if found:
            report.faults.append(f"left behind: {what} {sorted(found)}")


def soak(count: int, most_drift: float = MOST_DRIFT) -> Report:
    """Render so many frames."""
    report, before = Report(), shared_memory()
    with place() as there, tempfile.TemporaryDirectory() as folder:
        environment = there.environment | {"GRAINLAYER_SERVER": str(program(there.folder))}
        with Host(Path(folder), environment, sanitize=False) as host:
            host.load()
            Session(host, there, report).run(count)
        check_end(there, before, report)
    check_drift(report, most_drift)
    return report


if __name__ == "__main__":
    done = soak(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
    print(json.dumps(done.facts(), indent=1), *done.faults, sep="\n")
    sys.exit(bool(done.faults))
