"""Encode a file: a grain-free base and a grain stream of a few kilobits a second, in one file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from grainlayer.codec.base import base_format, open_segment
from grainlayer.codec.container import assemble
from grainlayer.codec.stream import GrainShot, GrainStream, pack
from grainlayer.effect import Effect, Request, read_profile
from grainlayer.errors import MediaError
from grainlayer.grain.profile import no_grain
from grainlayer.jobs.outputs import check_output
from grainlayer.jobs.progress import Bar, progress
from grainlayer.jobs.restorefirst import restored_source
from grainlayer.jobs.resume import Workplace, fingerprint
from grainlayer.jobs.shots import GainMeter, ShotGrain, find_shots, given_shots, measure_shot, plain_shot, shot_packet, windows
from grainlayer.params import ProfileSource, ShotParams
from grainlayer.picture.media import Fields, Frame, MediaInfo, Reader, open_media
from grainlayer.picture.planes import from_image
from grainlayer.picture.samples import SampleFormat
from grainlayer.types import Image


@dataclass(frozen=True)
class EncodeSettings:
    """Say how to encode. `shots` are the first frames of shots; None: found by the cut detector. `restore_first`: see RestoredReader."""

    codec: str = "av1"
    crf: float | None = None
    bitrate: int | None = None
    preset: str | None = None
    params: ShotParams = field(default_factory=ShotParams)
    device: str = "auto"
    model: str | None = None
    shots: tuple[int, ...] | None = None
    fields: Fields = "refuse"
    overwrite: bool = False
    restore_first: bool = False


def encode(source: Path, out: Path, settings: EncodeSettings) -> dict[str, Any]:
    """Encode `source` into `out` and return what was done and measured. Raise GrainlayerError; nothing half-written stays."""
    check_output(out, overwrite=settings.overwrite, movie=True)
    began = time.monotonic()
    facts = asdict(settings) | {"params": settings.params.to_dict(), "overwrite": None}
    effect = Effect(settings.device, settings.model)
    with _opened(effect, source, out, settings) as reader:
        shots = given_shots(list(settings.shots), reader.count()) if settings.shots is not None else find_shots(reader)
        if not shots:
            raise MediaError(f"{source} holds no pictures; choose another file.")
        work = Workplace.open(out, fingerprint(source, facts))
        done = _encode_shots(effect, reader, shots, settings, work)
        info = reader.info
    stream = _stream(info, done)
    data = pack(stream)
    assemble([work.segment(shot.start) for shot in done], data, out, like=info, audio_from=source, overwrite=settings.overwrite)
    work.remove()
    return _report(out, stream, data, time.monotonic() - began)


def _opened(effect: Effect, source: Path, out: Path, settings: EncodeSettings) -> AbstractContextManager[Reader]:
    if settings.restore_first:
        return restored_source(effect, source, settings.params, settings.shots, settings.fields, out)
    return open_media(source, fields=settings.fields)


def _encode_shots(
    effect: Effect, reader: Reader, shots: list[tuple[int, int]], settings: EncodeSettings, work: Workplace
) -> list[GrainShot]:
    done: list[GrainShot] = []
    with progress("Encoding", shots[-1][1]) as bar:
        for start, stop in shots:
            shot = work.finished(start, stop)
            if shot is None:
                grain = _measure(effect, reader, start, stop, settings.params)
                shot = _encode_shot(effect, reader, grain, settings, work, bar)
                work.keep(shot, _stream(reader.info, [shot]))
            else:
                bar.step(stop - start)
            done.append(shot)
    return done


def _measure(effect: Effect, reader: Reader, start: int, stop: int, params: ShotParams) -> ShotGrain:
    if params.profile in (ProfileSource.FILE, ProfileSource.STOCK) or params.profile_data:
        given = read_profile(Path(params.profile_file)) if params.profile is ProfileSource.FILE else None
        dummy = Request(np.zeros((1, 1, 1, 3), np.float32), 0, params)
        return plain_shot(reader.info, start, stop, given or effect.profile(dummy))
    if params.removal == 0:
        return plain_shot(reader.info, start, stop, no_grain(reader.info.height))
    return measure_shot(effect, reader, start, stop, params)


def split_frames(
    effect: Effect, reader: Reader, grain: ShotGrain, params: ShotParams, start: int, stop: int
) -> Iterator[tuple[Frame, Image, Image]]:
    """Yield (frame, base, grain) of a shot's frames start..stop, as Images."""
    for frame, window in windows(reader, start, stop, params):
        request = Request(window, frame.index, params, grain.profile, grain.texture, grain.level)
        layers = effect.layers(request)
        if layers.base is not None and layers.grain is not None:
            yield frame, layers.base, layers.grain


def _encode_shot(effect: Effect, reader: Reader, grain: ShotGrain, settings: EncodeSettings, work: Workplace, bar: Bar) -> GrainShot:
    info, meter = reader.info, GainMeter(grain.profile)
    target: SampleFormat = base_format(settings.codec, info.format)
    writer = open_segment(
        work.segment(grain.start),
        settings.codec,
        like=info,
        format=target,
        tags=info.tags,
        crf=settings.crf,
        bitrate_kbps=settings.bitrate,
        preset=settings.preset,
    )
    try:
        for frame, base, layer in split_frames(effect, reader, grain, settings.params, grain.start, grain.stop):
            meter.add(base, layer)
            writer.write(from_image(base, target, info.tags, like=frame.planes), frame.pts)
            bar.step()
        writer.finish()
    except BaseException:
        writer.abort()
        raise
    return shot_packet(grain, meter.codes(), settings.params)


def _stream(info: MediaInfo, shots: list[GrainShot]) -> GrainStream:
    frames = max(shot.start + shot.frames for shot in shots)
    return GrainStream(width=info.width, height=info.height, rate=info.rate, frames=frames, shots=tuple(shots))


def _report(out: Path, stream: GrainStream, data: bytes, seconds: float) -> dict[str, Any]:
    length = float(stream.frames / stream.rate)
    total = out.stat().st_size
    return {
        "output": str(out),
        "frames": stream.frames,
        "shots": len(stream.shots),
        "bytes": total,
        "kbps": round(total * 8 / 1000 / length, 2),
        "grain_bytes": len(data),
        "grain_kbps": round(len(data) * 8 / 1000 / length, 3),
        "seconds": round(seconds, 2),
    }
