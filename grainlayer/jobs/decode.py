"""Decode a file of ours: the base with its grain at any strength, any range of frames."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from grainlayer.codec.container import read_stream
from grainlayer.codec.stream import GrainShot, GrainStream, shot_at, unpack
from grainlayer.effect import look_of
from grainlayer.errors import ParamError, StreamError
from grainlayer.grain.synth import SynthPlan, prepare, render
from grainlayer.jobs.outputs import check_output, open_output
from grainlayer.jobs.progress import progress
from grainlayer.params import ShotParams
from grainlayer.picture.media import Frame, MediaInfo, open_media
from grainlayer.picture.planes import from_image, to_image
from grainlayer.picture.samples import SampleFormat


@dataclass(frozen=True)
class DecodeSettings:
    """Say how to decode: `grain` scales the grain, `frames` is a half-open range, `params` re-grade the grain."""

    grain: float = 1.0
    frames: tuple[int, int] | None = None
    params: ShotParams = field(default_factory=ShotParams)
    codec: str | None = None
    overwrite: bool = False


def open_stream(path: Path) -> tuple[GrainStream | None, list[str]]:
    """Return a file's grain stream, None where it cannot be used, and what is wrong with it, in sentences."""
    data = read_stream(path)
    if data is None:
        return None, [f"{path.name} carries no grain stream: it plays as it is."]
    try:
        return unpack(data)
    except StreamError as error:
        return None, [f"{error} The base plays without grain."]


class Grainer:
    """Lay a stream's grain on decoded frames; plans are prepared once a shot."""

    def __init__(self, stream: GrainStream | None, settings: DecodeSettings, info: MediaInfo, form: SampleFormat) -> None:
        """Take the stream (None: no grain), the look, the picture as decoded and the format to deliver."""
        self.stream, self.settings, self.info, self.form = stream, settings, info, form
        self.plans: dict[int, SynthPlan] = {}

    def _plan(self, shot: GrainShot) -> SynthPlan:
        if shot.start not in self.plans:
            look = look_of(self.settings.params)
            look = replace(look, hold=max(look.hold, min(shot.hold, 5)))
            self.plans = {shot.start: prepare(shot.profile, look, self.info.height, self.info.width, shot.texture)}
        return self.plans[shot.start]

    def apply(self, frame: Frame) -> Frame:
        """Return the frame as delivered, with its grain; a frame without a shot, or at strength 0, is the base."""
        shot = shot_at(self.stream, frame.index) if self.stream else None
        amount = self.settings.grain * self.settings.params.grain_amount
        if (shot is None or amount == 0) and self.form == self.info.format:
            return frame
        image = to_image(frame.planes, self.info.format, self.info.tags)
        if shot is not None and amount > 0:
            seed = self.settings.params.grain_seed or shot.seed
            strength = amount * 2 ** (shot.gain(frame.index) / 16)
            image = render(self._plan(shot), image, seed=seed, frame=frame.index, amount=strength, add=True)
        return replace(frame, planes=from_image(image, self.form, self.info.tags, like=frame.planes))


def decode(source: Path, out: Path, settings: DecodeSettings) -> dict[str, Any]:
    """Decode `source` into `out` and return what was done. Raise GrainlayerError; a damaged shot only costs its grain."""
    check_output(out, overwrite=settings.overwrite)
    began = time.monotonic()
    stream, warnings = open_stream(source)
    with open_media(source) as reader:
        info, total = reader.info, reader.count()
        start, stop = settings.frames or (0, total)
        if start >= total:
            raise ParamError(f"{source.name} has {total} frames, counted from 0; --frames {start}-{stop - 1} holds none of them.")
        audio = source if settings.frames is None else None
        writer, form = open_output(out, info, codec=settings.codec, audio_from=audio, overwrite=settings.overwrite)
        grainer, count = Grainer(stream, settings, info, form), min(stop, total) - start
        with writer, progress("Decoding", count) as bar:
            for warning in warnings:
                bar.say(f"Warning: {warning}")
            for frame in reader.frames(start, start + count):
                writer.write(grainer.apply(frame))
                bar.step()
    seconds = time.monotonic() - began
    return {"output": str(out), "frames": count, "grain": settings.grain, "warnings": warnings, "seconds": round(seconds, 2)}
