"""Keep finished shots of an interrupted encode, so that the next run goes on after the last of them."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grainlayer.codec.stream import GrainShot, GrainStream, pack, unpack
from grainlayer.errors import MediaError, StreamError
from grainlayer.picture.media import is_sequence


def fingerprint(source: Path, settings: dict[str, Any]) -> str:
    """Return a digest of what an encode depends on: the source's name, size and time, and every setting."""
    try:
        stats = [path.stat() for path in _files(source)]
    except OSError as error:
        raise MediaError(f"{source} cannot be read ({error.strerror}); check the path.") from error
    facts = [str(source.resolve()), [(stat.st_size, stat.st_mtime_ns) for stat in stats], settings]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _files(source: Path) -> list[Path]:
    """Return the files behind a source: itself, or every file of the folder that holds a sequence."""
    if not is_sequence(source):
        return [source]
    folder = source if source.is_dir() else source.parent
    return sorted(path for path in folder.iterdir() if path.is_file())


@dataclass(frozen=True)
class Workplace:
    """Own the hidden folder beside an output that holds finished shots until the whole is assembled."""

    folder: Path

    @staticmethod
    def open(out: Path, digest: str) -> Workplace:
        """Return the folder of an output; what another source or other settings left there is removed."""
        folder = out.with_name(f".{out.name}.parts")
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
