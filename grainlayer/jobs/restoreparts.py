"""Write an output part by part, so that an interrupted run goes on after the last whole part.

Parts lie in the output's hidden folder. A movie's are short movies, put together at the end without encoding anything anew; those of a
sequence are its pictures. As parts begin at the same frames on every run, an interrupted run and one in one go give the same file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from grainlayer.codec.base import MovieSegment, times_path
from grainlayer.codec.container import assemble
from grainlayer.errors import MediaError
from grainlayer.jobs.resume import Workplace
from grainlayer.picture.media import STILL_SUFFIXES, Frame, MediaInfo, create_movie, create_stills, is_sequence, write_failure
from grainlayer.picture.numbering import numbering_of

PART = 24
"""Frames of a movie's part: what an interruption costs, at most."""


class MovieParts:
    """Write a movie in parts. Its codec must keep every picture by itself."""

    frames = PART

    def __init__(self, out: Path, codec: str, info: MediaInfo, work: Workplace) -> None:
        """Take the movie's place, its codec, and what it is to be like: `info.format` and `info.tags` are those of the frames to come."""
        self._out, self._codec, self._info, self._work = out, codec, info, work
        self._bare = replace(info, timecode=None, display_matrix=None, rotation=0, metadata={})

    def _path(self, start: int) -> Path:
        return self._work.part(start, self._out.suffix)

    def whole(self, start: int, stop: int) -> bool:
        """Say whether the part of frames `start` to `stop` was finished by an earlier run."""
        return self._path(start).exists() and times_path(self._path(start)).exists()

    def write(self, start: int, frames: Iterable[Frame], count: int) -> None:
        """Write a part of `count` frames. Raise MediaError; nothing of the part then stays."""
        path, written = self._path(start), 0
        with MovieSegment(path, create_movie(path, codec=self._codec, like=self._bare, overwrite=True)) as part:
            for frame in frames:
                part.write(frame.planes, frame.pts)
                written += 1
            _check_length(self._info, start + written, written, count)

    def finish(self, starts: Iterable[int], audio_from: Path | None, *, overwrite: bool) -> None:
        """Put the parts together at the movie's place. Raise MediaError."""
        paths = [self._path(start) for start in starts]
        assemble(paths, None, self._out, like=self._info, audio_from=audio_from, overwrite=overwrite)


class StillParts:
    """Write a sequence, or one still: every picture is a part."""

    frames = 1

    def __init__(self, out: Path, info: MediaInfo, work: Workplace) -> None:
        """Take the sequence's place and what its pictures are like."""
        self._out, self._info, self._work = out, info, work
        self._numbering = numbering_of(out) if is_sequence(out) else None

    def _name(self, index: int) -> str:
        return self._numbering.path(self._info.first_number + index).name if self._numbering else self._out.name

    def whole(self, start: int, stop: int) -> bool:
        """Say whether a picture was finished by an earlier run."""
        return (self._work.folder / self._name(start)).exists()

    def write(self, start: int, frames: Iterable[Frame], count: int) -> None:
        """Write a picture. Raise MediaError; nothing of it then stays."""
        written = 0
        with create_stills(self._work.folder / self._out.name, like=self._info, overwrite=True) as part:
            for frame in frames:
                part.write(frame)
                written += 1
            _check_length(self._info, start + written, written, count)

    def finish(self, starts: Iterable[int], audio_from: Path | None, *, overwrite: bool) -> None:
        """Move the pictures to their places; a run interrupted while they are moved goes on with the rest. Raise MediaError."""
        self._work.mark_whole()
        for start in starts:
            made, place = self._work.folder / self._name(start), self._out.parent / self._name(start)
            try:
                if made.exists():
                    os.replace(made, place)
            except OSError as error:
                raise write_failure(place, error) from error


def _check_length(info: MediaInfo, reached: int, written: int, count: int) -> None:
    if written < count:
        raise MediaError(f"{info.path} ended at frame {reached}, earlier than before; copy or export it again.")


def check_pictures(out: Path, *, count: int, overwrite: bool) -> None:
    """Raise MediaError where pictures of a sequence exist already, or one still is to hold several pictures. Movies pass."""
    if out.suffix.lower() not in STILL_SUFFIXES:
        return
    numbering = numbering_of(out) if is_sequence(out) else None
    if numbering is None:
        if count > 1:
            raise MediaError(f"{out} is one picture for {count}; name a sequence like {out.stem}.####{out.suffix}.")
        return
    files = numbering.files()
    if files and not overwrite:
        raise MediaError(f"{next(iter(files.values()))} exists; add --overwrite to replace frames, or name another sequence.")
