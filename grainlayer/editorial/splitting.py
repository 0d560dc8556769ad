"""Make the pictures and streams of one clip, in a folder for unfinished files."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from grainlayer.codec.base import times_path, write_times
from grainlayer.codec.container import assemble
from grainlayer.codec.stream import GrainShot, GrainStream, pack, unpack
from grainlayer.editorial import layerfiles
from grainlayer.editorial.keys import looks_around, measures, stretches
from grainlayer.editorial.matroskaids import settle_identifiers
from grainlayer.editorial.order import Order, Task
from grainlayer.editorial.workplace import link_or_copy
from grainlayer.effect import Effect, Request, named_profile, profile_level
from grainlayer.errors import MediaError, StreamError
from grainlayer.grain.profile import no_grain
from grainlayer.grain.stocks import stock_profile
from grainlayer.grain.texture import plain_map
from grainlayer.jobs.regrade import Regrader
from grainlayer.jobs.shots import GainMeter, ShotGrain, measure_shot, plain_shot, windows
from grainlayer.picture.media import Frame, MediaInfo, Reader, open_media
from grainlayer.picture.planes import to_image
from grainlayer.types import Image

Step = Callable[[], None]


@dataclass(frozen=True)
class Made:
    """Hold where the split has put its files, None for a base not asked for, and the frames' times."""

    base: Path | None
    measure: Path
    times: list[int]


@cache
def effect_on(device: str, model: str | None) -> Effect:
    """Return the effect of this process."""
    return Effect(device, model)


@cache
def regrader_on(device: str) -> Regrader:
    """Return what makes results in this process."""
    return Regrader(device)


def measure(effect: Effect, reader: Reader, task: Task) -> ShotGrain:
    """Return a clip's grain: the one its parameters name, the one its shot has stored, or what is measured of it."""
    info, shot = reader.info, task.shot
    named = named_profile(shot.params)
    if named is not None:
        return plain_shot(info, task.start, task.stop, named)
    if shot.profile is not None:
        level = profile_level(shot.profile, shot.params.encoding)
        return ShotGrain(task.start, task.stop, level, shot.profile, plain_map(info.width, info.height))
    if not measures(task):
        return plain_shot(info, task.start, task.stop, no_grain(info.height))
    return measure_shot(effect, reader, task.start, task.stop, shot.params)


def split_frames(effect: Effect, reader: Reader, task: Task, grain: ShotGrain) -> Iterator[tuple[Frame, Image, Image]]:
    """Yield each frame of a clip as the media counts it, its base and its grain."""
    for frame, window in windows(reader, task.start, task.stop, task.shot.params, around=looks_around(task)):
        request = Request(window, frame.index, task.shot.at(frame.index), grain.profile, grain.texture, grain.level)
        layers = effect.layers(request)
        base = request.source if layers.base is None else layers.base
        yield frame, base, request.source - base


def fresh(folder: Path, path: str) -> Path:
    """Return where a layer is made: under the name that it will have, in a new folder."""
    folder.mkdir()
    return folder / Path(path).name


def split(task: Task, order: Order, base: str | None, name: str, folder: Path, step: Step) -> Made:
    """Make base and measured profile: the only work of a network. `name` identifies the base's content. Raise GrainlayerError."""
    out = fresh(folder / "base", base) if base else None
    segment = None if out is None else out if order.base_codec == "exr" else folder / "segment.mkv"
    effect = effect_on(order.device, order.model)
    with layerfiles.open_source(task, order) as reader:
        info = reader.info
        found = measure(effect, reader, task)
        meter, times, moved = GainMeter(found.profile), list[int](), layerfiles.own_count(task)
        with _base_writer(segment, task, order, info) as write:
            for frame, lower, upper in split_frames(effect, reader, task, found):
                meter.add(lower, upper)
                mine = moved(frame)
                write(frame, mine, lower)
                times.append(mine.pts)
                step()
    if len(times) != task.frames:
        raise MediaError(f"{task.media} ended after {len(times)} of {task.frames} frames; check the file.")
    if out is not None and segment is not None and out != segment:
        assemble([segment], None, out, like=layerfiles.info_of(info, task))
        settle(out, name)
    return Made(out, _write_measure(folder, task, info, found, meter), times)


Written = Callable[[Frame, Frame, Image], None]


@contextmanager
def _base_writer(path: Path | None, task: Task, order: Order, info: MediaInfo) -> Generator[Written]:
    """Write bases of frames, given as the media and as the file counts them; nothing where no base is asked for."""
    if path is None:
        yield lambda frame, mine, lower: None
        return
    medium = layerfiles.base_medium(order, info)
    with layerfiles.base_writer(path, medium, layerfiles.info_of(info, task), task, order) as write:
        yield lambda frame, mine, lower: write(replace(mine, planes=layerfiles.base_planes(frame, lower, info, medium, twins=order.twins)))


def settle(path: Path, name: str) -> None:
    """Give a Matroska file identifiers made from the name of its content."""
    if path.suffix == ".mkv":
        settle_identifiers(path, name)


def make_grain(task: Task, order: Order, base: Path, name: str, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Make a clip's grain against its base as delivered, and measure what their sum misses of the source. Raise GrainlayerError."""
    out = fresh(folder / "grain", task.grain(order))
    layerfiles.write_grain(task, order, base, out)
    settle(out, name)
    return out, layerfiles.recombination(task, order, base, out, lambda: None)


def _write_measure(folder: Path, task: Task, info: MediaInfo, grain: ShotGrain, meter: GainMeter) -> Path:
    """Write what was measured as a grain stream that no parameter of the look has touched."""
    shot = GrainShot(0, task.frames, grain.profile, grain.texture, 0, meter.codes())
    path = folder / "measure.grain"
    path.write_bytes(pack(_stream(info.width, info.height, info, shot)))
    return path


def _stream(width: int, height: int, info: MediaInfo, *shots: GrainShot) -> GrainStream:
    return GrainStream(width, height, info.rate, shots[-1].end, shots)


def read_measure(path: Path) -> GrainShot:
    """Return what was measured of a clip. Raise StreamError if it is damaged."""
    stream, warnings = unpack(path.read_bytes())
    if warnings or len(stream.shots) != 1:
        raise StreamError(f"{path} is damaged; remove it and run the delivery again.")
    return stream.shots[0]


def make_stream(
    task: Task, order: Order, measured: Path, base: Path | None, name: str, times: list[int], folder: Path
) -> tuple[Path, Path | None]:
    """Make a clip's grain stream, and its base anew around it where the container carries one. Raise GrainlayerError."""
    with layerfiles.open_source(task, order) as reader:
        info = reader.info
    data = pack(_stream(info.width, info.height, info, *packets(task, read_measure(measured))))
    stream = folder / "stream.grain"
    stream.write_bytes(data)
    if base is None or base.suffix == ".mov":
        return stream, None
    segment, out = folder / f"segment{base.suffix}", folder / base.name
    link_or_copy(base, segment)
    write_times(segment, times)
    assemble([segment], data, out, like=layerfiles.info_of(info, task))
    times_path(segment).unlink()
    segment.unlink()
    settle(out, name)
    return stream, out


def packets(task: Task, measured: GrainShot) -> list[GrainShot]:
    """Return a clip's grain as its stream holds it: a packet for each stretch with a seed, hold and stock of its own."""
    found: list[GrainShot] = []
    for part in stretches(task):
        shot = replace(measured, start=part.start, frames=part.stop - part.start, gains=measured.gains[part.start : part.stop])
        shot = replace(shot, seed=part.seed, hold=part.hold)
        if part.stock is not None:
            texture = plain_map(measured.texture.width, measured.texture.height)
            shot = replace(shot, profile=stock_profile(part.stock), texture=texture, gains=())
        found.append(shot)
    return found


def make_result(task: Task, order: Order, base: Path, measured: Path, name: str, folder: Path, step: Step) -> Path:
    """Make a clip's result from its source and its base as delivered: no network runs. Raise GrainlayerError."""
    shot, out = read_measure(measured), fresh(folder / "result", task.result(order))
    regrader = regrader_on(order.device)
    with layerfiles.open_source(task, order) as reader, open_media(base) as below:
        info = reader.info
        medium = layerfiles.result_medium(order, info)
        with layerfiles.layer_writer(out, medium, layerfiles.info_of(info, task), task, grain=False) as write:
            for (frame, moved), lower in zip(layerfiles.own_frames(reader, task), below.frames(), strict=True):
                source = to_image(frame.planes, info.format, info.tags)
                request = Request(source[None], frame.index, task.shot.at(frame.index), shot.profile, shot.texture)
                picture = regrader.result_on(to_image(lower.planes, below.info.format, below.info.tags), request)
                write(replace(moved, planes=layerfiles.planes_in(picture, frame, info, medium.format, medium.tags)))
                step()
    settle(out, name)
    return out
