"""How runs of a training end, and what they log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from models.runfolder import Rows, read_log


def refusal_of(train: Callable[..., object], *given: object) -> str:
    """Return the one sentence with which a training ends."""
    with pytest.raises(SystemExit) as caught:
        train(*given)
    text = caught.value.code
    assert isinstance(text, str) and text.endswith(".") and "\n" not in text and ". " not in text.replace("last.pt", "")
    return text


def untimed(path: Path) -> Rows:
    """Return the rows of a log without the seconds, which no two runs share."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in read_log(path)]
