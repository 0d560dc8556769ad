"""End a command of the training code in one sentence, whatever goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from grainlayer.errors import GrainlayerError


def short_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory could not be had, as NumPy, torch on the CPU and torch on a GPU put it."""
    texts = ("allocate memory", "not enough memory", "out of memory")
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(text in str(error) for text in texts))


def reason(error: OSError) -> str:
    """Return why a file could not be read or written, without its name, such as "No space left on device"."""
    return error.strerror or " ".join(str(error).split()).rstrip(".")


@contextmanager
def sentences(remedy: str) -> Iterator[None]:
    """Turn our errors, too little memory (for which `remedy` helps) and Ctrl-C into SystemExit with one sentence; mistakes stay."""
    try:
        yield
    except GrainlayerError as error:
        raise SystemExit(str(error)) from error
    except (MemoryError, RuntimeError) as error:
        if not short_of_memory(error):
            raise
        raise SystemExit(f"There is too little memory for this: use {remedy}, or a machine with more.") from error
    except KeyboardInterrupt as error:
        raise SystemExit("Stopped at once; what was written before is kept.") from error
