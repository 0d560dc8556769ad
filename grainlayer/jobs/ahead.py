"""Let the next item be made while the one before is worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

Item = TypeVar("Item")

DEPTH = 2
"""Items made ahead."""


def ahead(items: Generator[Item]) -> Generator[Item]:
    """Yield items, which a thread makes up to DEPTH ahead. What making one raises is raised where it would have been yielded.

    Closing the generator waits for the item in the making, and closes `items`.
    """
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Future[Item | None]] = deque(pool.submit(copy_context().run, next, items, None) for _ in range(DEPTH))
        try:
            while (item := waiting.popleft().result()) is not None:
                waiting.append(pool.submit(copy_context().run, next, items, None))
                yield item
        finally:
            for future in waiting:
                future.cancel()
            pool.shutdown()
            items.close()
