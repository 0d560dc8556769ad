"""Deliveries handed out: to processes of this machine, to a Dask scheduler's workers, and as an Open Job Description."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.system import deliveries as d
from tests.system.footage import fails, report

EXR = ("--base-codec", "exr", "--grain-format", "exr")
FFV1 = ("--base-codec", "ffv1", "--grain-format", "ffv1")
COMMAND = (sys.executable, "-m", "grainlayer.cli", "deliver")
BIN = Path(sys.executable).parent
KILLS = 20 if os.environ.get("GRAINLAYER_SOAK") else 2
HASTY = {"GRAINLAYER_FARM_PATIENCE": "3"}


@pytest.fixture(scope="module")
def edit(media: list[Path], folder: Path) -> Path:
    return d.some_shots(media, folder, "edit")


@pytest.fixture(scope="module")
def whole(twelve: Path, edit: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Return what both edits give without a farm."""
    place = tmp_path_factory.mktemp("whole")
    report("deliver", twelve, "-o", place / "twelve", *EXR)
    report("deliver", edit, "-o", place / "edit", *FFV1)
    return {name: d.contents(place / name) for name in ("twelve", "edit")}


def dask(*words: object) -> subprocess.Popen[bytes]:
    """Start one of Dask's own programs, as a farm does."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([BIN / "dask", *map(str, words), "--no-dashboard"], **quiet)


@contextmanager
def farm(place: Path, workers: int) -> Generator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Run a scheduler and its workers, each a process on the loopback; give the address and them, the scheduler first."""
    told = place / "scheduler.json"
    with ExitStack() as stack:
        processes = [dask("scheduler", "--host", "127.0.0.1", "--port", 0, "--scheduler-file", told)]
        stack.callback(end, processes)
        deadline = time.monotonic() + 60
        while not told.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        address = json.loads(told.read_text())["address"]
        local = ("--nthreads", 1, "--no-nanny", "--local-directory", place / "workers")
        processes += [dask("worker", address, "--host", "127.0.0.1", *local) for _ in range(workers)]
        yield address, processes


def end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()
        process.wait()


def start(*words: object, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    command = [*COMMAND, *map(str, words), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | (env or {}))


def wait_for_work(out: Path, process: subprocess.Popen[str]) -> None:
    while not (out / ".grainlayer" / "work").exists() and process.poll() is None:
        time.sleep(0.02)


@pytest.mark.soak
def test_a_farm_survives_the_death_of_its_workers(twelve: Path, whole: dict[str, dict[str, str]], tmp_path: Path) -> None:
    """Deliver again and again until so many workers were killed at work; each delivery is complete, and identical."""
    dice, killed = random.Random(3), 0
    for turn in range(KILLS):
        out = tmp_path / f"out{turn}"
        with start(twelve, "-o", out, *EXR, "--farm", "local", "--workers", 2) as process:
            while process.poll() is None and killed < KILLS:
                time.sleep(dice.uniform(0.1, 0.6))
                killed += kill_a_worker(process, out, dice)
            output, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
        assert not json.loads(output.splitlines()[-1])["failures"]
        assert d.contents(out) == whole["twelve"]
        if killed == KILLS:
            break
    assert killed == KILLS


def kill_a_worker(process: subprocess.Popen[str], out: Path, dice: random.Random) -> bool:
    """Kill one of a delivery's workers that is making files, if there is one; say so."""
    try:
        workers = [child for child in psutil.Process(process.pid).children() if "spawn_main" in " ".join(child.cmdline())]
    except psutil.Error:
        return False
    busy = [worker for worker in workers if any((out / ".grainlayer" / "work").glob(f"*.{worker.pid}"))]
    if busy:
        os.kill(dice.choice(busy).pid, signal.SIGKILL)
    return bool(busy)


def test_two_deliveries_share_a_scheduler(twelve: Path, edit: Path, whole: dict[str, dict[str, str]], tmp_path: Path) -> None:
    """At once, with clips of the same numbers: each gets its own files, its own progress, and the bytes that it has without a farm."""
    with farm(tmp_path, 2) as (address, _):
        orders = {"twelve": (twelve, EXR), "edit": (edit, FFV1)}
        running = {name: start(path, "-o", tmp_path / name, *words, "--farm", address) for name, (path, words) in orders.items()}
        for name, process in running.items():
            output, said = process.communicate(timeout=300)
            assert process.returncode == 0, said
            facts = json.loads(output.splitlines()[-1])
            assert not facts["failures"] and "Traceback" not in said
            assert d.contents(tmp_path / name) == whole[name]


def test_a_farm_that_is_not_there_is_one_sentence(edit: Path, tmp_path: Path) -> None:
    said = fails("deliver", edit, "-o", tmp_path / "out", *FFV1, "--farm", "tcp://127.0.0.1:1", env=HASTY)
    assert "No scheduler answers" in said and "dask scheduler" in said
    assert "No scheduler answers" in fails("deliver", edit, "-o", tmp_path / "out", *FFV1, "--farm", "nonsense", env=HASTY)
    with farm(tmp_path, 0) as (address, _):
        said = fails("deliver", edit, "-o", tmp_path / "out", *FFV1, "--farm", address, env=HASTY)
        assert f"dask worker {address}" in said


@pytest.mark.parametrize(("victim", "expected"), [(0, "scheduler"), (1, "no workers")])
def test_a_farm_that_goes_away_is_one_sentence(
    edit: Path, whole: dict[str, dict[str, str]], tmp_path: Path, victim: int, expected: str
) -> None:
    out = tmp_path / "out"
    with farm(tmp_path, 1) as (address, processes):
        process = start(edit, "-o", out, *FFV1, "--farm", address, env=HASTY)
        wait_for_work(out, process)
        processes[victim].send_signal(signal.SIGKILL)
        _, said = process.communicate(timeout=120)
    sentences = [line for line in said.splitlines() if line.startswith("grainlayer: ")]
    assert process.returncode == 1, said
    assert len(sentences) == 1 and expected in sentences[0], said
    assert "Traceback" not in said
    report("deliver", edit, "-o", out, *FFV1)
    assert d.contents(out) == whole["edit"]


def test_an_open_job_description_is_accepted_and_run(edit: Path, whole: dict[str, dict[str, str]], tmp_path: Path) -> None:
    if not (BIN / "openjd").exists():
        pytest.skip("openjd-cli is not installed")
    out, job = tmp_path / "out", tmp_path / "job.json"
    assert report("deliver", edit, "-o", out, *FFV1, "--openjd", job)["tasks"] == 3
    for words in (["check", job], ["run", job]):
        done = subprocess.run([BIN / "openjd", *words], capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
    assert d.contents(out) == whole["edit"]
    template: dict[str, Any] = json.loads(job.read_text())
    assert {part["name"]: part["default"] for part in template["parameterDefinitions"]}["Name"] == str(edit)
