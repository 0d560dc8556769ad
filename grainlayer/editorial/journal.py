"""Write down the parameters of every shot that is rendered: on some pages of a host no script can read them."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

from grainlayer.editorial.state import safe_name, write_whole
from grainlayer.params import Effect, ShotParams

LOG = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds between two writes."""
REMEMBERED = 4096
"""Shots whose last values are remembered, so that only changes are written."""


class Journal:
    """Keep one file a shot, `<folder>/journal/<uid>.json`. A failure is logged once, tried again later, and never stops a render."""

    def __init__(self, folder: Path) -> None:
        """Take the state folder, and begin to write on a thread of its own."""
        self.folder = folder / "journal"
        self._lock = threading.Lock()
        self._due = threading.Event()
        self._seen: OrderedDict[str, tuple[Effect, ShotParams]] = OrderedDict()
        self._pending: dict[str, dict[str, Any]] = {}
        self._complained = False
        threading.Thread(target=self._run, name="grainlayer-journal", daemon=True).start()

    def add(self, effect: Effect, params: ShotParams, frame: int, host: str) -> None:
        """Note a render; shots without a uid, and values that did not change, are passed over."""
        uid = params.shot_uid
        if not uid:
            return
        with self._lock:
            if self._seen.get(uid) == (effect, params):
                return
            self._seen[uid] = (effect, params)
            self._seen.move_to_end(uid)
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
            facts = {"uid": uid, "effect": str(effect), "params": params.to_dict()}
            self._pending[uid] = facts | {"frame": frame, "host": host, "time": round(time.time(), 3)}
        self._due.set()

    def _run(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            self.flush()
            time.sleep(PAUSE)

    def flush(self) -> None:
        """Write what is pending."""
        with self._lock:
            pending, self._pending = self._pending, {}
        for uid, entry in pending.items():
            self._write(uid, entry)

    def _write(self, uid: str, entry: dict[str, Any]) -> None:
        try:
            write_whole(self.folder / f"{safe_name(uid)}.json", json.dumps(entry, ensure_ascii=False))
        except OSError as error:
            with self._lock:
                self._seen.pop(uid, None)  # the shot's next render tries again
            if not self._complained:
                LOG.warning("The journal in %s cannot be written (%s); parameters cannot be exported.", self.folder, error)
            self._complained = True
