"""Put every failure of a request into a code and a sentence."""

from __future__ import annotations

import logging
from pathlib import Path

from grainlayer.errors import GrainlayerError, MediaError, ModelError, ParamError, WireError
from grainlayer.inference.runtime import Cancelled
from grainlayer.server.wire import Code

LOG = logging.getLogger(__name__)

MEMORY = "There is not enough memory for this picture; close other programs or use a smaller picture."


class TooLarge(Exception):
    """Say that a picture can never fit into this machine's memory: a signal between modules, shown as MEMORY."""


CODES = ((ParamError, Code.VALUE), (ModelError, Code.MODEL), (MediaError, Code.MEDIA), (WireError, Code.PROTOCOL))
EXHAUSTED = ("Failed to allocate memory", "bad_alloc", "bad allocation", "out of memory")
"""What the network's runtime says when memory runs out."""


def failure(error: BaseException, log_file: Path) -> tuple[Code, str]:
    """Return what the peer is told; what is not the user's doing is logged with its trace."""
    if isinstance(error, Cancelled):
        return Code.CANCELLED, "The request was cancelled."
    if isinstance(error, MemoryError | TooLarge) or (isinstance(error, ModelError) and any(word in str(error) for word in EXHAUSTED)):
        LOG.error("Memory ran out: %s", error)
        return Code.MEMORY, MEMORY
    for kind, code in CODES:
        if isinstance(error, kind):
            LOG.info("%s: %s", code.name, error)
            return code, str(error)
    LOG.error("An internal error", exc_info=error)
    if isinstance(error, GrainlayerError):
        return Code.INTERNAL, str(error)
    return Code.INTERNAL, f"GrainLayer met an internal error; render again, and if it comes back send {log_file} with a report."
