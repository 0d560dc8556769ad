"""Hand a delivery's clips out: one after another here, or as tasks of Dask to processes of this machine or a farm.

A worker's death costs what it was working on, which another does again; the files are the same whoever makes them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from grainlayer.editorial.order import Order, Task
from grainlayer.editorial.stages import Outcome, make_clip
from grainlayer.errors import GrainlayerError

Unit = tuple[Task, ...]
"""Clips that share their pictures, made one after another."""
Step = Callable[[int], None]
TOPIC = "grainlayer-frames"
RETRIES = 3
"""How often a clip is tried again whose worker failed by something other than the clip."""
DEATHS = 100
"""How many workers may die over one clip before it counts as the cause."""
PATIENCE = "60s"
"""How long a scheduler may take to answer at first."""


def units_of(tasks: Sequence[Task]) -> list[Unit]:
    """Return tasks in groups: clips of the same frames of one media share their pictures where their grain allows it."""
    groups: dict[tuple[Any, ...], list[Task]] = {}
    for task in tasks:
        groups.setdefault((task.media, task.start, task.stop), []).append(task)
    return [tuple(group) for group in groups.values()]


def make_unit(unit: Unit, order: Order, out: Path, overwrite: bool, step: Step) -> list[Outcome]:
    """Make the clips of a unit, one after another."""
    return [make_clip(task, order, out, step, overwrite=overwrite) for task in unit]


def here(units: Sequence[Unit], order: Order, out: Path, overwrite: bool, step: Step) -> Iterator[Outcome]:
    """Make units in this process, and yield what becomes of each clip."""
    for unit in units:
        yield from make_unit(unit, order, out, overwrite, step)


def on_worker(unit: Unit, order: Order, out: Path, overwrite: bool) -> list[Outcome]:
    """Make a unit on a worker, which tells the scheduler of every frame."""
    from distributed import get_worker

    worker = get_worker()
    return make_unit(unit, order, out, overwrite, lambda count: worker.log_event(TOPIC, count))


def on_farm(
    units: Sequence[Unit], order: Order, out: Path, overwrite: bool, step: Step, *, address: str, workers: int | None
) -> Iterator[Outcome]:
    """Make units on a farm, 'local' or a scheduler's address, and yield what becomes of each clip as it is done.

    Raise GrainlayerError if Dask is not installed, the scheduler does not answer, or workers die over one clip again and again.
    """
    distributed = load_distributed()
    with client_of(distributed, address, workers) as client:
        client.subscribe_topic(TOPIC, _counting(step))
        futures = {
            client.submit(on_worker, unit, order, out, overwrite, key=f"grainlayer-{unit[0].key}-{os.getpid()}", retries=RETRIES): unit
            for unit in units
        }
        for future in distributed.as_completed(list(futures)):
            yield from _outcomes(future, futures[future])


def _counting(step: Step) -> Callable[[Any], None]:
    """Return what takes a worker's word of frames done."""

    def count(event: Any) -> None:
        step(int(event[1]))

    return count


def _outcomes(future: Any, unit: Unit) -> list[Outcome]:
    """Return a finished unit's outcomes; a failure that is no clip's own becomes each clip's."""
    error = future.exception()
    if error is None:
        return future.result()
    reason = f"the farm gave up on it ({type(error).__name__}: {' '.join(str(error).split())[:200]}); look at the workers' logs"
    return [Outcome(task.index, task.name, task.frames, error=reason) for task in unit]


def load_distributed() -> Any:
    """Import Dask's farm. Raise GrainlayerError that says which extra to install."""
    try:
        import distributed
    except ImportError as error:
        raise GrainlayerError("--farm needs Dask, which is not installed: run `pip install 'grainlayer[farm]'`.") from error
    return distributed


@contextmanager
def client_of(distributed: Any, address: str, workers: int | None) -> Generator[Any]:
    """Connect to a scheduler, or start one with processes of this machine. Raise GrainlayerError."""
    from dask.config import set as configure

    configure({"distributed.scheduler.allowed-failures": DEATHS, "distributed.comm.timeouts.connect": PATIENCE})
    if address == "local":
        with local_cluster(distributed, workers) as cluster, distributed.Client(cluster) as client:
            yield client
        return
    if workers is not None:
        raise GrainlayerError("--workers counts the processes of --farm local; a scheduler has its own.")
    try:
        client = distributed.Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise GrainlayerError(
            f"No scheduler answers at {address} ({error}); start one with `dask scheduler`, or say --farm local."
        ) from error
    with client:
        yield client


def local_cluster(distributed: Any, workers: int | None) -> Any:
    """Start processes of this machine, one for each processor unless told.

    Each has as many threads for networks as a run without a farm, so that the files are the same.
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return distributed.LocalCluster(
        n_workers=workers or processors,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        memory_limit=0,
        silence_logs=50,
    )
