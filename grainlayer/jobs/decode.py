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
from grainlayer.jobs.encode import check_output
from grainlayer.jobs.progress import Bar, progress
from grainlayer.params import ShotParams
from grainlayer.picture.media import Frame, MediaInfo, create_media, open_media
from grainlayer.picture.planes import from_image, to_image


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

    def __init__(self, stream: GrainStream, settings: DecodeSettings, info: MediaInfo) -> None:
        """Take the stream, the look and the picture's format."""
        self.stream, self.settings, self.info = stream, settings, info
        self.plans: dict[int, SynthPlan] = {}

    def _plan(self, shot: GrainShot) -> SynthPlan:
        if shot.start not in self.plans:
            params = self.settings.params
            look = look_of(params)
            look = replace(look, hold=max(look.hold, shot.hold))
            self.plans[shot.start] = prepare(shot.profile, look, self.info.height, self.info.width, shot.texture)
        return self.plans[shot.start]

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with its grain; a frame without a shot, or at strength 0, is returned as it is."""
        shot = shot_at(self.stream, frame.index)
        amount = self.settings.grain * self.settings.params.grain_amount
        if shot is None or amount == 0:
            return frame
        gain = shot.gains[frame.index - shot.start] if shot.gains else 0
        image = to_image(frame.planes, self.info.format, self.info.tags)
        seed = self.settings.params.grain_seed or shot.seed
        done = render(self._plan(shot), image, seed=seed, frame=frame.index, amount=amount * 2 ** (gain / 16), add=True)
        return replace(frame, planes=from_image(done, self.info.format, self.info.tags, like=frame.planes))


def decode(source: Path, out: Path, settings: DecodeSettings, bar: Bar | None = None) -> dict[str, Any]:
    """Decode `source` into `out` and return what was done. Raise GrainlayerError; a damaged shot only costs its grain."""
    check_output(out, overwrite=settings.overwrite)
    began = time.monotonic()
    stream, warnings = open_stream(source)
    with open_media(source) as reader:
        start, stop = settings.frames or (0, None)
        grainer = Grainer(stream, settings, reader.info) if stream else None
        count = 0
        whole = settings.frames is None
        with (
            create_media(
                out, codec=settings.codec, like=reader.info, audio_from=source if whole else None, overwrite=settings.overwrite
            ) as writer,
            progress("Decoding", (stop or reader.count()) - start) as shown,
        ):
            for warning in warnings:
                shown.say(f"Warning: {warning}")
            for frame in reader.frames(start, stop):
                writer.write(grainer.apply(frame) if grainer else frame)
                count += 1
                (bar or shown).step()
            if count == 0:
                raise ParamError(f"{source.name} has {reader.count()} frames; --frames {start}-{(stop or 1) - 1} holds none of them.")
    seconds = time.monotonic() - began
    return {"output": str(out), "frames": count, "grain": settings.grain, "warnings": warnings, "seconds": round(seconds, 2)}
