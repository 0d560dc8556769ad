"""Watch a render folder: deliver every edit, movie and sequence in it once its files have stopped growing, again when they change."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grainlayer.editorial.deliver import Run, deliver
from grainlayer.editorial.manifest import write_open
from grainlayer.editorial.order import HIDDEN, Order, safe_part
from grainlayer.editorial.plan import media_path
from grainlayer.editorial.stack import LAYER
from grainlayer.editorial.timeline import read_timeline
from grainlayer.errors import GrainlayerError
from grainlayer.picture.media import MOVIE_SUFFIXES, STILL_SUFFIXES, open_media

EDITS = (".otio",)
NUMBERED = re.compile(r"(.*?)(\d+)(\.[A-Za-z]+)")
Signature = tuple[tuple[str, int, int], ...]
"""Name, size and time of all files that a delivery depends on."""
Say = Callable[[str], None]


@dataclass
class Watch:
    """Hold what is known of a folder from one look to the next."""

    folder: Path
    out: Path
    order: Order
    run: Run
    seen: dict[Path, Signature] = field(default_factory=dict)
    delivered: dict[Path, Signature] = field(default_factory=dict)

    def look(self, say: Say) -> list[dict[str, Any]]:
        """Deliver what has not changed since the last look and is not delivered as it is; return the reports."""
        now = dict(self._candidates())
        ready = [path for path, signature in now.items() if self.seen.get(path) == signature != self.delivered.get(path)]
        self.seen = now
        return [report for path in ready if (report := self._deliver(path, now[path], say)) is not None]

    def _candidates(self) -> Iterator[tuple[Path, Signature]]:
        """Yield edits, then media that no edit names, each with all files it depends on."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file() and not self._is_ours(path))
        named: set[Path] = set()
        for path in files:
            if path.suffix.lower() in EDITS:
                media = media_of(path)
                named |= media
                yield path, signature_of([path, *sorted(media)])
        for pattern, parts in sources(path for path in files):
            if pattern not in named and not named & set(parts):
                yield pattern, signature_of(parts)

    def _is_ours(self, path: Path) -> bool:
        inside = path.is_relative_to(self.out) and self.out != self.folder
        return inside or any(part.startswith(".") for part in path.relative_to(self.folder).parts) or path.suffix == ".partial"

    def _deliver(self, path: Path, signature: Signature, say: Say) -> dict[str, Any] | None:
        """Deliver one edit or media into a folder of its name; what fails is told once, until a file changes."""
        self.delivered[path] = signature
        place = self.out / (safe_part(str(path.relative_to(self.folder).with_suffix(""))) or "delivery")
        try:
            place.mkdir(parents=True, exist_ok=True)
            edit = path if path.suffix.lower() in EDITS else one_clip(path, place)
            report = deliver(edit, place, self.order, self.run)
        except GrainlayerError as error:
            say(f"{path.name}: {error}")
            return None
        except OSError as error:
            say(f"{path.name}: {error.filename or place} could not be used ({error.strerror}); check the disk.")
            return None
        say(f"{path.name}: {report['clips']} clips delivered into {place}.")
        for failure in report["failures"]:
            say(f"{path.name}: {failure}")
        return report


def watch(folder: Path, out: Path, order: Order, run: Run, *, poll: float, say: Say) -> int:
    """Watch a folder until interrupted, and return how many deliveries were made. Raise GrainlayerError if it is no folder."""
    if not folder.is_dir():
        raise GrainlayerError(f"{folder} is no folder; --watch takes the folder in which renders arrive.")
    out.mkdir(exist_ok=True)
    watched, count = Watch(folder.resolve(), out.resolve(), order, run), 0
    say(f"Watching {folder} every {poll:g} seconds; interrupt to end.")
    try:
        while True:
            count += len(watched.look(say))
            time.sleep(poll)
    except KeyboardInterrupt:
        return count


def media_of(edit: Path) -> set[Path]:
    """Return the media that an edit names and that are there; none of an edit that cannot be read yet, or is a delivery's own."""
    try:
        if LAYER in edit.read_text("utf-8", "replace"):
            return set()
        shots = read_timeline(edit).shots
    except (GrainlayerError, OSError):
        return set()
    found: set[Path] = set()
    for placed in shots:
        try:
            found |= {media_path(placed.placement.media, edit)} if placed.placement.media else set()
        except GrainlayerError:
            continue
    return found


def sources(files: Iterator[Path]) -> Iterator[tuple[Path, list[Path]]]:
    """Yield movies, and sequences by their pattern with all their files."""
    sequences: dict[Path, list[Path]] = {}
    for path in files:
        match = NUMBERED.fullmatch(path.name)
        if path.suffix.lower() in MOVIE_SUFFIXES:
            yield path, [path]
        elif path.suffix.lower() in STILL_SUFFIXES and match:
            sequences.setdefault(path.with_name(f"{match[1]}%0{len(match[2])}d{match[3]}"), []).append(path)
    yield from sequences.items()


def signature_of(paths: list[Path]) -> Signature:
    """Return names, sizes and times of files; those of a sequence's pattern are its folder's."""
    found: list[tuple[str, int, int]] = []
    for path in paths:
        parts = [path] if path.is_file() else sorted(path.parent.glob(f"*{path.suffix}"))
        for part in parts:
            try:
                stat = part.stat()
            except OSError:
                continue
            found.append((str(part), stat.st_size, stat.st_mtime_ns))
    return tuple(found)


def one_clip(media: Path, place: Path) -> Path:
    """Write an edit that holds all of a media as one clip, and return it. Raise MediaError or OSError."""
    with open_media(media) as reader:
        rate, count = float(reader.info.rate), reader.count()
    name = safe_part(re.sub(r"[.]?%0\d+d", "", media.stem)) or "clip"
    start = {"OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": 0.0}
    span = {"OTIO_SCHEMA": "TimeRange.1", "start_time": start, "duration": {**start, "value": float(count)}}
    clip: dict[str, Any] = {"OTIO_SCHEMA": "Clip.1", "metadata": {}, "name": name, "source_range": span}
    clip |= {"media_reference": {"OTIO_SCHEMA": "ExternalReference.1", "target_url": str(media), "available_range": span}}
    folder = place / HIDDEN
    folder.mkdir(exist_ok=True)
    write_open(folder / f"{name}.otio", json.dumps(clip))
    return folder / f"{name}.otio"
