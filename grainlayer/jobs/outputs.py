"""Open a job's outputs: codec by suffix, sample format nearest to the source's, audio where it belongs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from grainlayer.errors import MediaError
from grainlayer.picture.media import MOVIE_SUFFIXES, STILL_SUFFIXES, MediaInfo, Writer, create_media, is_sequence, nearest_format
from grainlayer.picture.samples import SampleFormat

CODECS = {".mkv": "ffv1", ".avi": "ffv1", ".nut": "ffv1", ".mov": "prores", ".mp4": "h264"}
"""What a movie is written in unless --codec says otherwise."""


def check_output(out: Path, *, overwrite: bool, movie: bool = False) -> None:
    """Raise MediaError before any work is done if an output cannot be written; `movie` refuses stills."""
    check_free(out, overwrite=overwrite)
    known = MOVIE_SUFFIXES if movie else MOVIE_SUFFIXES | STILL_SUFFIXES
    if out.suffix.lower() not in known:
        names = ", ".join(sorted(known))
        raise MediaError(f"{out.name} has no suffix that can be written; end it in one of {names}.")


def check_free(out: Path, *, overwrite: bool) -> None:
    """Raise MediaError if a file cannot be put at `out`: its folder is missing, or it exists and may not be replaced."""
    if not out.parent.is_dir():
        raise MediaError(f"The folder {out.parent} does not exist; make it, or choose another place.")
    if out.exists() and not overwrite:
        raise MediaError(f"{out} exists already; choose another name, or say --overwrite to replace it.")


def target(path: Path, info: MediaInfo, codec: str | None) -> tuple[str, SampleFormat]:
    """Return the codec and the sample format in which `path` will hold pictures like `info`'s."""
    chosen = codec or CODECS.get(path.suffix.lower(), "ffv1")
    return chosen, nearest_format(path, chosen, info.format)


def open_output(
    path: Path, info: MediaInfo, *, codec: str | None, audio_from: Path | None, metadata: Mapping[str, str] | None = None, overwrite: bool
) -> tuple[Writer, SampleFormat]:
    """Create an output and return it with its sample format; audio is taken from movies only. Raise MediaError."""
    chosen, form = target(path, info, codec)
    sound = audio_from if audio_from is not None and info.audio_streams and not is_sequence(audio_from) else None
    writer = create_media(path, codec=chosen, like=info, format=form, audio_from=sound, metadata=metadata, overwrite=overwrite)
    return writer, form
