"""Restore a source before its grain is split, measured or encoded, in the same pass.

Grain is measured on a few pictures before all of them are split, and layers are compared with the source at the end. So what has been
restored once is kept in a hidden folder beside the output until it is no longer needed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from grainlayer.effect import Effect
from grainlayer.jobs.restored import RestoredReader, open_coded, source_shots
from grainlayer.params import ShotParams
from grainlayer.picture.media import Fields, Frame, Reader, write_failure


class KeptReader(Reader):
    """Read restored pictures, each of which is restored only once. Closing it removes what it kept."""

    def __init__(self, reader: RestoredReader, folder: Path, *, forever: bool) -> None:
        """Keep the pictures of a reader in a folder; unless `forever`, those of a shot go when a later one is read."""
        self.info, self.shots = reader.info, reader.shots
        self._reader, self._folder, self._forever = reader, folder, forever
        self._kept: dict[int, Frame] = {}

    def count(self) -> int:
        """Return the number of frames; see `Reader.count`."""
        return self._reader.count()

    def close(self) -> None:
        """Remove what was kept, and close the reader within."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._reader.close()

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield restored frames; see `Reader.frames`. Raise MediaError where they cannot be kept."""
        end = self.shots[-1][1]
        stop = end if stop is None else min(stop, end)
        self._forget(start)
        index = start
        while index < stop:
            if index in self._kept:
                yield self._load(index)
                index += 1
                continue
            following = next((later for later in range(index + 1, stop) if later in self._kept), stop)
            for frame in self._reader.frames(index, following):
                self._keep(frame)
                yield frame
            index = following

    def _path(self, index: int) -> Path:
        return self._folder / f"{index:08d}.npz"

    def _keep(self, frame: Frame) -> None:
        path = self._path(frame.index)
        try:
            np.savez(path, *frame.planes)
        except OSError as error:
            raise write_failure(path, error) from error
        self._kept[frame.index] = replace(frame, planes=())

    def _load(self, index: int) -> Frame:
        with np.load(self._path(index)) as planes:
            return replace(self._kept[index], planes=tuple(planes[f"arr_{number}"] for number in range(self.info.format.plane_count)))

    def _forget(self, start: int) -> None:
        """Remove the pictures of the shots before that of a frame."""
        first = max((shot[0] for shot in self.shots if shot[0] <= start), default=0)
        for index in [] if self._forever else [old for old in self._kept if old < first]:
            self._path(index).unlink(missing_ok=True)
            del self._kept[index]


@contextmanager
def restored_source(
    effect: Effect, source: Path, params: ShotParams, shots: tuple[int, ...] | None, fields: Fields, beside: Path, *, forever: bool = False
) -> Generator[KeptReader]:
    """Open a source whose pictures are restored as the parameters ask, shot by shot.

    shots    the first frames of the shots; None: found by the cut detector
    beside   the output beside which pictures are kept; forever  keep all of them until the end
    Raise MediaError for a source without pictures or a damaged one, or where nothing can be written beside the output.
    """
    found = source_shots(source, fields, shots)
    restorer = effect.restorer(params.quality)
    restored = RestoredReader(open_coded(source, fields), restorer, params, found)
    try:
        folder = Path(tempfile.mkdtemp(".restored", f".{beside.name}.", beside.parent))
    except OSError as error:
        restored.close()
        raise write_failure(beside, error) from error
    with KeptReader(restored, folder, forever=forever) as reader:
        yield reader
