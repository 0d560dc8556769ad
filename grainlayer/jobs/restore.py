"""Restore a whole file: undo compression damage, and store the pictures with more depth and more colour than they had."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from grainlayer import __version__
from grainlayer.errors import ParamError
from grainlayer.inference.registry import model_root, read_manifest
from grainlayer.inference.restore import Restorer
from grainlayer.jobs.ahead import ahead
from grainlayer.jobs.outputs import check_output
from grainlayer.jobs.progress import Bar, progress
from grainlayer.jobs.restored import RestoredReader, open_coded, source_shots
from grainlayer.jobs.restoreparts import MovieParts, StillParts, check_pictures
from grainlayer.jobs.restoreplan import beyond, codec_for, counted, done_in_words, stored_format, stored_tags, told_by, warnings_for
from grainlayer.jobs.resume import Workplace, fingerprint
from grainlayer.params import ShotParams
from grainlayer.picture.media import Fields, Frame, MediaInfo, Reader, is_sequence
from grainlayer.picture.samples import SampleFormat
from grainlayer.picture.timecode import advanced

Shots = list[tuple[int, int]]


@dataclass(frozen=True)
class RestoreSettings:
    """Say how to restore.

    to      FFmpeg's name of the sample format to store; None: 10 bits and 4:2:2, or finer where the source is
    shots   the first frames of shots; None: found by the cut detector
    frames  a half-open range; None: all
    model   a restoration model by its id, instead of that of `params.quality`
    """

    params: ShotParams = field(default_factory=ShotParams)
    device: str = "auto"
    model: str | None = None
    shots: tuple[int, ...] | None = None
    frames: tuple[int, int] | None = None
    fields: Fields = "refuse"
    codec: str | None = None
    to: str | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class _Order:
    """Hold what is decided before the first picture is restored: the range of frames, the shots, how the output is stored."""

    start: int
    stop: int
    shots: Shots
    codec: str | None
    format: SampleFormat
    quantiser: str


def restore(source: Path, out: Path, settings: RestoreSettings) -> dict[str, Any]:
    """Restore `source` into `out` and return what was done. Raise GrainlayerError; what is finished serves the next run."""
    check_output(out, overwrite=settings.overwrite)
    codec_for(out, settings.codec)
    began = time.monotonic()
    restorer = Restorer(settings.params.quality, settings.device, settings.model)
    with open_coded(source, settings.fields) as reader:
        order = _order(source, out, settings, reader)
        digest = _digest(source, settings, restorer, order)
        moving = Workplace.is_whole(out, digest)
        check_pictures(out, count=order.stop - order.start, overwrite=settings.overwrite or moving)
        like = _like(reader.info, order)
        restored = RestoredReader(reader, restorer, settings.params, order.shots, like.format, like.tags)
        work = Workplace.open(out, digest)
        parts = MovieParts(out, order.codec, like, work) if order.codec else StillParts(out, like, work)
        warnings = beyond(settings.frames, settings.shots, order.shots[-1][1])
        warnings += warnings_for(reader.info, order.format, order.codec, order.quantiser)
        with progress("Restoring", order.stop - order.start) as bar:
            for sentence in warnings:
                bar.say(sentence)
            if not moving:
                _write_parts(restored, parts, order, bar)
        sound = source if reader.info.audio_streams and settings.frames is None and not is_sequence(source) else None
    parts.finish(range(order.start, order.stop, parts.frames), sound, overwrite=settings.overwrite)
    work.remove()
    report = {"output": str(out), "frames": order.stop - order.start, "shots": len(order.shots), "format": order.format.name}
    report |= {"codec": order.codec or out.suffix[1:].lower(), "done": done_in_words(reader.info, settings.params, order.quantiser)}
    return report | {"quantiser": order.quantiser, "warnings": warnings, "seconds": round(time.monotonic() - began, 2)}


def _order(source: Path, out: Path, settings: RestoreSettings, reader: Reader) -> _Order:
    """Decide how to restore. Raise ParamError for frames that are not there or a format that the output cannot hold."""
    codec = codec_for(out, settings.codec)
    format = stored_format(out, codec, reader.info, settings.to)
    shots = source_shots(source, settings.fields, settings.shots)
    total = shots[-1][1]
    start, stop = settings.frames or (0, total)
    if start >= total:
        asked = f"{start}" if stop == start + 1 else f"{start}-{stop - 1}"
        raise ParamError(f"{source.name} has {counted(total)}; --frames {asked} holds none of them.")
    return _Order(start, min(stop, total), shots, codec, format, told_by(reader))


def _digest(source: Path, settings: RestoreSettings, restorer: Restorer, order: _Order) -> str:
    """Return a digest of all that the pictures depend on, so that parts of other pictures are never mixed in."""
    facts = asdict(settings) | {"params": settings.params.to_dict(), "overwrite": None, "order": asdict(order), "version": __version__}
    estimators = sorted(card.sha256 for card in read_manifest(model_root()).values() if card.task == "quantiser")
    return fingerprint(source, facts | {"models": [restorer.model.card.sha256, *estimators]})


def _like(info: MediaInfo, order: _Order) -> MediaInfo:
    """Return what the output is to be like: the source with the stored format, and a timecode that begins at its first frame."""
    code = advanced(info.timecode, order.start, info.rate) if info.timecode and order.codec else info.timecode
    return replace(info, format=order.format, tags=stored_tags(info, order.format, order.codec), timecode=code)


def _write_parts(restored: RestoredReader, parts: MovieParts | StillParts, order: _Order, bar: Bar) -> None:
    """Restore what no earlier run has finished, run by run of parts that are missing."""
    missing: list[tuple[int, int]] = []
    for start in range(order.start, order.stop, parts.frames):
        stop = min(start + parts.frames, order.stop)
        if parts.whole(start, stop):
            bar.step(stop - start)
        elif missing and missing[-1][1] == start:
            missing[-1] = (missing[-1][0], stop)
        else:
            missing.append((start, stop))
    for first, last in missing:
        with closing(ahead(restored.frames(first, last))) as frames:
            for start in range(first, last, parts.frames):
                stop = min(start + parts.frames, last)
                parts.write(start, _stepped(islice(frames, stop - start), bar), stop - start)


def _stepped(frames: Iterator[Frame], bar: Bar) -> Iterator[Frame]:
    for frame in frames:
        yield frame
        bar.step()
