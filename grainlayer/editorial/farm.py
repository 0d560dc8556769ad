"""Hand a delivery's clips out: one after another here, or as tasks of Dask to processes of this machine or a farm.

A worker's death costs what it was working on, which another does again; the files are the same whoever makes them.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

from grainlayer.editorial.order import Order, Site, Task
from grainlayer.editorial.stages import Outcome, make_clip
from grainlayer.errors import GrainlayerError, ParamError

Unit = tuple[Task, ...]
"""Clips that share their pictures, made one after another."""
Step = Callable[[int], None]
RETRIES = 3
"""How often a clip is tried again whose worker failed by something other than the clip."""
DEATHS = 100
"""How many workers may die over one clip before it counts as the cause."""
PATIENCE = 60.0
"""Seconds that a scheduler may take to answer, and a farm may be without workers; GRAINLAYER_FARM_PATIENCE sets another limit."""
GLANCE = 5.0
"""Seconds between two looks at whether the farm has workers."""


def units_of(tasks: Sequence[Task]) -> list[Unit]:
    """Return tasks in groups: clips of the same frames of one media share their pictures where their grain allows it."""
    groups: dict[tuple[Any, ...], list[Task]] = {}
    for task in tasks:
        groups.setdefault((task.media, task.start, task.stop), []).append(task)
    return [tuple(group) for group in groups.values()]


def make_unit(unit: Unit, order: Order, site: Site, step: Step) -> list[Outcome]:
    """Make the clips of a unit, one after another."""
    return [make_clip(task, order, site, step) for task in unit]


def here(units: Sequence[Unit], order: Order, site: Site, step: Step) -> Iterator[Outcome]:
    """Make units in this process, and yield what becomes of each clip."""
    for unit in units:
        yield from make_unit(unit, order, site, step)


def on_worker(unit: Unit, order: Order, site: Site, topic: str) -> list[Outcome]:
    """Make a unit on a worker, which tells the scheduler of every frame."""
    from distributed import get_worker

    worker = get_worker()
    return make_unit(unit, order, site, lambda count: worker.log_event(topic, count))


def on_farm(units: Sequence[Unit], order: Order, site: Site, step: Step, *, address: str, workers: int | None) -> Iterator[Outcome]:
    """Make units on a farm, 'local' or a scheduler's address, and yield what becomes of each clip as it is done.

    Raise GrainlayerError if Dask is not installed, the scheduler does not answer, or the farm has no workers for too long.
    """
    distributed = load_distributed()
    run = f"grainlayer-{secrets.token_hex(8)}"
    with client_of(distributed, address, workers) as client:
        await_worker(client, address)
        client.subscribe_topic(run, _counting(step))
        futures = {client.submit(on_worker, unit, order, site, run, key=f"{run}-{unit[0].key}", retries=RETRIES): unit for unit in units}
        for future in finished(distributed, client, list(futures), address):
            yield from _outcomes(future, futures[future])


def patience() -> float:
    """Return how many seconds a farm may keep a delivery waiting. Raise ParamError if the environment states no number."""
    said = os.environ.get("GRAINLAYER_FARM_PATIENCE", "")
    try:
        return float(said or PATIENCE)
    except ValueError as error:
        raise ParamError(f"GRAINLAYER_FARM_PATIENCE is {said!r} and must be a number of seconds.") from error


def await_worker(client: Any, address: str) -> None:
    """Wait for the farm's first worker. Raise GrainlayerError if none comes."""
    try:
        client.wait_for_workers(1, timeout=patience())
    except TimeoutError as error:
        raise GrainlayerError(_deserted(address)) from error


def finished(distributed: Any, client: Any, futures: list[Any], address: str) -> Iterator[Any]:
    """Yield futures as they are done. Raise GrainlayerError if the scheduler is lost, or the farm has had no workers for too long."""
    seen = time.monotonic()
    while futures:
        try:
            done, _ = distributed.wait(futures, timeout=GLANCE, return_when="FIRST_COMPLETED")
        except TimeoutError:
            if _has_workers(client, address):
                seen = time.monotonic()
            elif time.monotonic() - seen > patience():
                raise GrainlayerError(_deserted(address)) from None
            continue
        except CancelledError as error:
            raise GrainlayerError(_lost(address)) from error
        seen = time.monotonic()
        futures = [future for future in futures if future not in done]
        yield from done


def _has_workers(client: Any, address: str) -> bool:
    try:
        return bool(client.scheduler_info()["workers"])
    except OSError as error:
        raise GrainlayerError(_lost(address)) from error


def _lost(address: str) -> str:
    return f"The scheduler at {address} was lost; start it anew, and run again: what is finished is kept."


def _deserted(address: str) -> str:
    return (
        f"The farm at {address} has had no workers for {patience():g} seconds; start some with `dask worker {address}`, "
        "and run again: what is finished is kept."
    )


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

    configure({"distributed.scheduler.allowed-failures": DEATHS, "distributed.comm.timeouts.connect": patience()})
    if address == "local":
        with local_cluster(distributed, workers) as cluster, distributed.Client(cluster) as client:
            yield client
        return
    if workers is not None:
        raise GrainlayerError("--workers counts the processes of --farm local; a scheduler has its own.")
    _silence()
    try:
        client = distributed.Client(address, timeout=patience())
    except (OSError, ValueError) as error:
        raise GrainlayerError(
            f"No scheduler answers at {address} ({error}); start one with `dask scheduler`, or say --farm local."
        ) from error
    with client:
        yield client


def _silence() -> None:
    """Keep Dask's log, which shows its insides, off the terminal; what matters is raised."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


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
