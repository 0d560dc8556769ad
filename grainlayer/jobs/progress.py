"""Say on stderr how far a job is: a bar on a terminal, a line now and then elsewhere; nothing for what takes under 2 s."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

QUIET = 2.0
"""Seconds before anything is shown."""
LINES = 5.0
"""Seconds between lines where stderr is no terminal."""


class Progress(Protocol):
    """What jobs call: `step` after each frame, `say` for a sentence."""

    def step(self, count: int = 1) -> None:
        """Count `count` units as done."""
        ...

    def say(self, sentence: str) -> None:
        """Tell the user a sentence at once."""
        ...


class Bar:
    """Show one task's progress with its rate and the time left."""

    def __init__(self, label: str, total: int | None, unit: str = "frames") -> None:
        """Start counting; `total` is None where nobody knows it."""
        self.label, self.total, self.unit = label, total, unit
        self.done, self.started, self.shown = 0, time.monotonic(), 0.0
        self.live = sys.stderr.isatty()

    def step(self, count: int = 1) -> None:
        """Count `count` units as done, and show it when it is time."""
        self.done += count
        now = time.monotonic()
        whole = self.done == self.total
        if now - self.started > QUIET and (whole or now - self.shown > (0.1 if self.live else LINES)):
            self.shown = now
            self._show(now)

    def say(self, sentence: str) -> None:
        """Print a sentence on a line of its own."""
        print(("\r\x1b[K" if self.live else "") + sentence, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Remove the bar from a terminal."""
        if self.live and self.shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _show(self, now: float) -> None:
        text = self.text(now - self.started)
        print(f"\r\x1b[K{text}" if self.live else text, end="" if self.live else "\n", file=sys.stderr, flush=True)

    def text(self, seconds: float) -> str:
        """Return the line after `seconds`: label, share, rate, time left."""
        rate = self.done / max(seconds, 1e-6)
        if not self.total:
            return f"{self.label}: {self.done} {self.unit}, {rate:.1f} a second"
        share = min(1.0, self.done / self.total)
        left = (self.total - self.done) / max(rate, 1e-6)
        drawn = "=" * round(20 * share)
        return f"{self.label} [{drawn:<20}] {self.done}/{self.total} {self.unit}, {rate:.1f} a second, {clock(left)} left"


def clock(seconds: float) -> str:
    """Return a duration as 0:07, 12:30 or 1:02:03."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


@contextmanager
def progress(label: str, total: int | None, unit: str = "frames") -> Generator[Bar]:
    """Show the progress of what runs inside."""
    bar = Bar(label, total, unit)
    try:
        yield bar
    finally:
        bar.close()
