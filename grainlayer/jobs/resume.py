"""Keep finished shots of an interrupted encode, so that the next run goes on after the last of them."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from grainlayer.codec.stream import GrainShot, GrainStream, pack, unpack
from grainlayer.errors import MediaError, StreamError
from grainlayer.picture.media import is_sequence
from grainlayer.picture.numbering import find_sequence


def fingerprint(source: Path, settings: dict[str, Any]) -> str:
    """Return a digest of what an encode depends on: the source's name, size and time, and every setting."""
    try:
        stats = [path.stat() for path in _files(source)]
    except OSError as error:
        raise MediaError(f"{source} cannot be read ({error.strerror}); check the path.") from error
    facts = [str(source.resolve()), [(stat.st_size, stat.st_mtime_ns) for stat in stats], settings]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _files(source: Path) -> list[Path]:
    """Return the files behind a source: itself, or those of its sequence. Raise MediaError for a sequence that lacks some."""
    return list(find_sequence(source)[1].values()) if is_sequence(source) else [source]


@dataclass(frozen=True)
class Workplace:
    """Own the hidden folder beside an output that holds finished shots until the whole is assembled."""

    folder: Path
    WHOLE: ClassVar[str] = "whole"
    """Name of the file that says that all parts are finished."""

    @staticmethod
    def at(out: Path) -> Path:
        """Return where the folder of an output lies, whether it is there or not."""
        return out.with_name(f".{out.name}.parts")

    @staticmethod
    def is_whole(out: Path, digest: str) -> bool:
        """Say whether an earlier run of the same work had finished all parts of an output, and was moving them to their places."""
        folder = Workplace.at(out)
        try:
            return (folder / Workplace.WHOLE).exists() and (folder / "settings").read_text() == digest
        except OSError:
            return False

    @staticmethod
    def open(out: Path, digest: str) -> Workplace:
        """Return the folder of an output; what another source or other settings left there is removed."""
        folder = Workplace.at(out)
        mark = folder / "settings"
        try:
            if folder.exists() and (not mark.exists() or mark.read_text() != digest):
                shutil.rmtree(folder)
            folder.mkdir(exist_ok=True)
            mark.write_text(digest)
        except OSError as error:
            raise MediaError(f"Nothing can be written beside {out} ({error.strerror}); choose another place with -o.") from error
        return Workplace(folder)

    def segment(self, start: int) -> Path:
        """Return the path of a shot's encoded base."""
        return self.folder / f"shot-{start:08d}.mkv"

    def part(self, start: int, suffix: str) -> Path:
        """Return the path of the part that begins at a frame, of an output that is no encode."""
        return self.folder / f"part-{start:08d}{suffix}"

    def mark_whole(self) -> None:
        """Note that all parts are finished, so that moving them to their places can go on if it is interrupted."""
        try:
            (self.folder / self.WHOLE).touch()
        except OSError as error:
            raise MediaError(f"{self.folder} cannot be written ({error.strerror}); free some disk space and run again.") from error

    def _grain(self, start: int) -> Path:
        return self.folder / f"shot-{start:08d}.grain"

    def finished(self, start: int, stop: int) -> GrainShot | None:
        """Return a shot that an earlier run finished, or None."""
        path = self._grain(start)
        if not path.exists() or not self.segment(start).exists():
            return None
        try:
            stream, warnings = unpack(path.read_bytes())
        except (OSError, StreamError):
            return None
        shots = [s for s in stream.shots if s.start == start and s.frames == stop - start]
        return shots[0] if shots and not warnings else None

    def keep(self, shot: GrainShot, stream: GrainStream) -> None:
        """Mark a shot as finished, its segment being whole: write its grain beside its place, then rename."""
        path = self._grain(shot.start)
        partial = path.with_suffix(".tmp")
        try:
            partial.write_bytes(pack(stream))
            partial.replace(path)
        except OSError as error:
            raise MediaError(f"{self.folder} cannot be written ({error.strerror}); free some disk space and run again.") from error

    def remove(self) -> None:
        """Remove the folder, the output being whole."""
        shutil.rmtree(self.folder, ignore_errors=True)
