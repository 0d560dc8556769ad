"""Write a segment by PyAV, with decoding times that hold for any number of pictures."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grainlayer.picture.moviewriter import MovieWriter

if TYPE_CHECKING:
    from av.packet import Packet

_REORDERED = 64
"""More pictures than any encoder puts back."""


def calm_threads() -> None:
    """Give every thread of this process ordinary priority.

    SVT-AV1 run by root takes real-time priority, which other programs starve of and processes started later inherit.
    """
    if not hasattr(os, "SCHED_FIFO"):
        return
    with contextlib.suppress(OSError):
        for thread in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):
                if os.sched_getscheduler(int(thread.name)) == os.SCHED_FIFO:
                    os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))


class SegmentMovie(MovieWriter):
    """Write a movie whose decoding times only rise.

    Matroska does not keep them, and x265 gives wrong ones where a shot has but one or two pictures.
    """

    _first: int | None = None
    _count = 0

    def _open(self, metadata: dict[str, str], audio_from: Path | None) -> None:
        super()._open(metadata, audio_from)
        calm_threads()

    def _mux(self, packets: list[Packet[Any]]) -> None:
        for packet in packets:
            if self._first is None:
                self._first = packet.pts or 0
            packet.dts = self._first - _REORDERED + self._count
            self._count += 1
        super()._mux(packets)
