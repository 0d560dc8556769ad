"""Watch a render folder: deliver every edit, movie and sequence in it once its files have stopped growing, again when they change."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from grainlayer.editorial.companion import Companion
from grainlayer.editorial.deliver import Run, deliver_edit
from grainlayer.editorial.formats import NATIVE
from grainlayer.editorial.order import HIDDEN, Order, safe_part
from grainlayer.editorial.plan import media_path
from grainlayer.editorial.stack import LAYER
from grainlayer.editorial.timeline import Timeline, read_timeline, understand
from grainlayer.errors import GrainlayerError, MediaError
from grainlayer.picture.media import MOVIE_SUFFIXES, STILL_SUFFIXES, open_media

EDITS = (".otio",)
NUMBERED = re.compile(r"(.*?)(\d+)(\.[A-Za-z]+)")
PATTERN = re.compile(r"(.*)\.%0(\d+)d")
"""The name of a sequence as most programs write it, without suffix."""
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
        files = sorted(arrived(self.folder, self.out))
        named: set[Path] = set()
        for path in files:
            if path.suffix.lower() in EDITS:
                media = media_of(path)
                named |= media
                yield path, signature_of([path, *sorted(media)])
        for pattern, parts in sources(files):
            if pattern not in named and not named & set(parts):
                yield pattern, signature_of(parts)

    def _deliver(self, path: Path, signature: Signature, say: Say) -> dict[str, Any] | None:
        """Deliver one edit or media into a folder of its own; what fails is told once, until a file changes."""
        self.delivered[path] = signature
        place = self.out / place_of(path.relative_to(self.folder))
        try:
            edit = read_timeline(path) if path.suffix.lower() in EDITS else one_clip(path)
            report = deliver_edit(edit, place, self.order, replace(self.run, name=str(path)))
        except GrainlayerError as error:
            say(f"{path.name}: {error}")
            return None
        except OSError as error:
            say(f"{path.name}: {error.filename or place} could not be used ({error.strerror}); check the disk.")
            return None
        say(f"{path.name}: {report['clips']} clips delivered into {place}.")
        for sentence in (*report["failures"], *report["problems"]):
            say(f"{path.name}: {sentence}")
        return report


def watch(folder: Path, out: Path, order: Order, run: Run, *, poll: float, say: Say) -> int:
    """Watch a folder until interrupted, and return how many deliveries were made.

    Raise GrainlayerError if it is no folder, lies in what is delivered, or is a delivery itself.
    """
    if not folder.is_dir():
        raise GrainlayerError(f"{folder} is no folder; --watch takes the folder in which renders arrive.")
    if (folder / HIDDEN).exists():
        raise GrainlayerError(f"{folder} holds a delivery, whose files are no renders; watch the folder in which renders arrive.")
    if folder.resolve().is_relative_to(out.resolve()):
        raise GrainlayerError(f"{out} is or holds the watched folder, so that deliveries would arrive as renders; choose another with -o.")
    try:
        out.mkdir(exist_ok=True)
    except OSError as error:
        raise MediaError(f"{out} cannot be made ({error.strerror}); choose another folder with -o.") from error
    watched, count = Watch(folder.resolve(), out.resolve(), order, run), 0
    say(f"Watching {folder} every {poll:g} seconds; interrupt or terminate it to end.")
    try:
        while True:
            count += len(watched.look(say))
            time.sleep(poll)
    except KeyboardInterrupt:
        return count


def arrived(folder: Path, out: Path) -> Iterator[Path]:
    """Yield all files under a folder but hidden and unfinished ones, and those of deliveries."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and not _is_delivery(Path(place) / name, out)]
        for name in names:
            path = Path(place) / name
            if not name.startswith(".") and path.suffix != ".partial" and path.is_file():
                yield path


def _is_delivery(folder: Path, out: Path) -> bool:
    return folder == out or (folder / HIDDEN).exists()


def place_of(path: Path) -> str:
    """Return the name of the folder into which an arrival is delivered: its own, which no other arrival and no later run has.

    A001.mov and A001.mp4 go to A001_mov and A001_mp4, the sequence A001.%04d.exr to A001_4d_exr; where a name must be changed to
    be a folder's, as for sub/A001.mov, eight digits of its digest follow.
    """
    stem, suffix = str(path.with_suffix("")), path.suffix[1:]
    sequence = PATTERN.fullmatch(stem)
    stem, suffix = (sequence[1], f"{sequence[2]}d_{suffix}") if sequence else (stem, suffix)
    plain = safe_part(stem)
    if plain == stem:
        return f"{plain}_{suffix}"
    return f"{plain}_{suffix}_{hashlib.sha256(str(path).encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


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


def sources(files: Iterable[Path]) -> Iterator[tuple[Path, list[Path]]]:
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


def one_clip(media: Path) -> Timeline:
    """Return an edit that holds all of a media as one clip. Raise MediaError."""
    with open_media(media) as reader:
        rate, count = float(reader.info.rate), reader.count()
    name = safe_part(re.sub(r"[.]?%0\d+d", "", media.stem)) or "clip"
    start = {"OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": 0.0}
    span = {"OTIO_SCHEMA": "TimeRange.1", "start_time": start, "duration": {**start, "value": float(count)}}
    clip: dict[str, Any] = {"OTIO_SCHEMA": "Clip.1", "metadata": {}, "name": name, "source_range": span}
    clip |= {"media_reference": {"OTIO_SCHEMA": "ExternalReference.1", "target_url": str(media), "available_range": span}}
    return understand(clip, NATIVE, media.with_name(f"{name}.otio"), Companion())
