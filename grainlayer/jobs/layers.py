"""Split whole files into layers, and lay new grain on whole files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainlayer.effect import MADE_AGAIN, Effect, Request, names_profile, view
from grainlayer.errors import MediaError
from grainlayer.jobs.outputs import check_output, open_output, target
from grainlayer.jobs.progress import progress
from grainlayer.jobs.restorefirst import restored_source
from grainlayer.jobs.shots import ShotGrain, find_shots, given_shots, measure_shot, windows
from grainlayer.params import ShotParams
from grainlayer.picture.media import Fields, Frame, MediaInfo, Reader, Writer, open_media
from grainlayer.picture.planes import from_image, join_planes, split_planes, to_image
from grainlayer.picture.samples import SampleFormat
from grainlayer.types import Image, Layers

GRAIN_NOTE = {"grainlayer": "grain plus half the range; recombine with the base by Linear Light at 50 %"}
FLOAT_NOTE = {"grainlayer": "signed grain; recombine with the base by Add"}


@dataclass(frozen=True)
class LayerSettings:
    """Say how to split or regrain. `restore_first`: see RestoredReader."""

    params: ShotParams = field(default_factory=ShotParams)
    device: str = "auto"
    model: str | None = None
    shots: tuple[int, ...] | None = None
    fields: Fields = "refuse"
    codec: str | None = None
    overwrite: bool = False
    restore_first: bool = False


@dataclass
class Error:
    """Follow the difference between base + grain and the source, in code steps of the format."""

    worst: float = 0.0
    total: float = 0.0
    samples: int = 0

    def add(self, source: NDArray[np.generic], again: NDArray[np.generic], step: float) -> None:
        """Add one plane."""
        gap = np.abs(source.astype(np.float64) - again.astype(np.float64)) / step
        self.worst = max(self.worst, float(gap.max(initial=0)))
        self.total += float((gap**2).sum())
        self.samples += gap.size

    def summary(self) -> dict[str, float]:
        """Return the worst and the root-mean-square difference."""
        return {"worst_steps": round(self.worst, 4), "rms_steps": round((self.total / max(self.samples, 1)) ** 0.5, 5)}


def shots_of(reader: Reader, settings: LayerSettings) -> list[tuple[int, int]]:
    """Return the file's shots: given, or found; stills are one shot a picture."""
    if settings.shots is not None:
        return given_shots(list(settings.shots), reader.count())
    shots = find_shots(reader)
    if not shots:
        raise MediaError(f"{reader.info.path} holds no pictures; choose another file.")
    return shots


def rendered(effect: Effect, reader: Reader, settings: LayerSettings) -> Iterator[tuple[Frame, Request, Layers]]:
    """Yield each frame with its request and its layers, shot by shot."""
    for start, stop in shots_of(reader, settings):
        grain = measure_for(effect, reader, start, stop, settings.params)
        for frame, window in windows(reader, start, stop, settings.params):
            profile, texture, level = (grain.profile, grain.texture, grain.level) if grain else (None, None, None)
            request = Request(window, frame.index, settings.params, profile, texture, level)
            yield frame, request, effect.layers(request)


def measure_for(effect: Effect, reader: Reader, start: int, stop: int, params: ShotParams) -> ShotGrain | None:
    """Measure a shot, unless the parameters name a profile or nothing that is asked for depends on it."""
    if names_profile(params):
        return None
    needs_level = params.removal > 0
    needs_profile = params.grain_source in MADE_AGAIN
    return measure_shot(effect, reader, start, stop, params) if needs_level or needs_profile else None


class LayerWriter:
    """Write base and grain so that they recombine: exactly in lossless files, against the base as stored in lossy ones."""

    def __init__(self, info: MediaInfo, base: tuple[Writer, SampleFormat], grain: tuple[Writer, SampleFormat]) -> None:
        """Take the two writers with their sample formats, which must be the same. Raise MediaError."""
        (self.base, self.base_format), (self.grain, self.grain_format) = base, grain
        self.info = info
        if self.base_format != self.grain_format:
            raise MediaError(
                f"Base and grain must be stored alike to recombine, but would be {self.base_format.name} and {self.grain_format.name}; "
                "give both the same suffix."
            )

    def write(self, frame: Frame, source: Image, base: Image) -> None:
        """Write one frame's layers; the source is taken as the base's format stores it."""
        stored = stored_planes(frame, source, self.info, self.base_format)
        rounded = from_image(base, self.base_format, self.info.tags, like=stored)
        kept, grain = split_planes(stored, rounded, self.base_format, self.info.tags)
        self.base.write(replace(frame, planes=kept))
        self.grain.write(replace(frame, planes=grain))


def stored_planes(frame: Frame, source: Image, info: MediaInfo, target: SampleFormat) -> tuple[NDArray[Any], ...]:
    """Return the source's planes in a format: as they are where it is their own."""
    return frame.planes if target == info.format else from_image(source, target, info.tags, like=frame.planes)


def opened(effect: Effect, source: Path, out: Path, settings: LayerSettings, *, again: bool = False) -> AbstractContextManager[Reader]:
    """Open a source for the output `out`: as it is, or its pictures restored first. `again` says that it is read twice."""
    if settings.restore_first:
        return restored_source(effect, source, settings.params, settings.shots, settings.fields, out, forever=again)
    return open_media(source, fields=settings.fields)


def split(source: Path, base: Path, grain: Path, result: Path | None, settings: LayerSettings) -> dict[str, Any]:
    """Write base, grain and optionally the re-graded result of `source`, then read them back and measure the recombination.

    Where the source is restored first, that means: of the restored source.
    """
    outs = [path for path in (base, grain, result) if path is not None]
    for path in outs:
        check_output(path, overwrite=settings.overwrite)
    began = time.monotonic()
    effect = Effect(settings.device, settings.model)
    with opened(effect, source, base, settings, again=True) as reader:
        count = reader.count()
        _write_layers(effect, reader, outs, settings)
        error = recombination(reader, base, grain)
    report: dict[str, Any] = {"base": str(base), "grain": str(grain), "result": str(result) if result else None, "frames": count}
    return report | {"recombination": error, "seconds": round(time.monotonic() - began, 2)}


def _write_layers(effect: Effect, reader: Reader, outs: list[Path], settings: LayerSettings) -> None:
    """Write base, grain and, where there is a third output, the result."""
    info = reader.info
    with ExitStack() as stack:
        writers = [_open(stack, path, settings, info, info.path, index) for index, path in enumerate(outs)]
        pair = LayerWriter(info, *writers[:2])
        bar = stack.enter_context(progress("Splitting", reader.count()))
        for frame, request, layers in rendered(effect, reader, settings):
            if layers.base is None:
                continue
            pair.write(frame, request.source, layers.base)
            for writer, form in writers[2:]:
                writer.write(replace(frame, planes=from_image(view(request, layers), form, info.tags, like=frame.planes)))
            bar.step()


def _open(stack: ExitStack, path: Path, settings: LayerSettings, info: MediaInfo, source: Path, index: int) -> tuple[Writer, SampleFormat]:
    floating = target(path, info, settings.codec)[1].floating
    note = {} if index != 1 else FLOAT_NOTE if floating else GRAIN_NOTE
    audio = None if index == 1 else source
    writer, form = open_output(path, info, codec=settings.codec, audio_from=audio, metadata=note, overwrite=settings.overwrite)
    return stack.enter_context(writer), form


def recombination(reader: Reader, base: Path, grain: Path) -> dict[str, float]:
    """Read base and grain back and return how far their sum is from what was split, in steps of the base's format."""
    error, info = Error(), reader.info
    with open_media(base) as b, open_media(grain) as c, progress("Checking", reader.count()) as bar:
        stored = b.info.format
        for original, lower, upper in zip(reader.frames(), b.frames(), c.frames(), strict=True):
            image = None if stored == info.format else to_image(original.planes, info.format, info.tags)
            wanted = original.planes if image is None else stored_planes(original, image, info, stored)
            again = join_planes(lower.planes, upper.planes, stored, info.tags)
            for left, right in zip(wanted, again, strict=True):
                error.add(left, right, 1 / 1024 if stored.floating else 1.0)
            bar.step()
    return error.summary()


def regrain(source: Path, out: Path, settings: LayerSettings) -> dict[str, Any]:
    """Write `source` with the grain that the parameters ask for."""
    check_output(out, overwrite=settings.overwrite)
    began = time.monotonic()
    effect = Effect(settings.device, settings.model)
    with opened(effect, source, out, settings) as reader, ExitStack() as stack:
        info = reader.info
        count = reader.count()
        writer, form = open_output(out, info, codec=settings.codec, audio_from=source, overwrite=settings.overwrite)
        stack.enter_context(writer)
        bar = stack.enter_context(progress("Regraining", count))
        for frame, request, layers in rendered(effect, reader, settings):
            shown = from_image(view(request, layers), form, info.tags, like=frame.planes)
            writer.write(replace(frame, planes=shown))
            bar.step()
    return {"output": str(out), "frames": count, "seconds": round(time.monotonic() - began, 2)}
