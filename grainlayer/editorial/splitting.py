"""Make the pictures and streams of one clip, in a folder for unfinished files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from grainlayer.codec.base import times_path, write_times
from grainlayer.codec.container import assemble
from grainlayer.codec.stream import GrainShot, GrainStream, pack, unpack
from grainlayer.editorial import layerfiles
from grainlayer.editorial.keys import measures
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
from grainlayer.params import GrainSource
from grainlayer.picture.media import Frame, MediaInfo, Reader, open_media
from grainlayer.picture.planes import to_image
from grainlayer.types import Image

Step = Callable[[], None]


@dataclass(frozen=True)
class Made:
    """Hold where a stage has put its files, None for those not asked for, and what it measured."""

    base: Path | None
    grain: Path | None
    measure: Path
    facts: dict[str, Any]


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


def split_frames(effect: Effect, reader: Reader, task: Task, grain: ShotGrain) -> Iterator[tuple[Frame, Frame, Image, Image]]:
    """Yield each frame of a clip as the media and as its files count it, its base and its grain."""
    first: int | None = None
    for frame, window in windows(reader, task.start, task.stop, task.shot.params):
        first = frame.pts if first is None else first
        request = Request(window, frame.index, task.shot.at(frame.index), grain.profile, grain.texture, grain.level)
        layers = effect.layers(request)
        base = request.source if layers.base is None else layers.base
        moved = replace(frame, index=frame.index - task.start, pts=frame.pts - first)
        yield frame, moved, base, request.source - base


def fresh(folder: Path, path: str) -> Path:
    """Return where a layer is made: under the name that it will have, in a new folder."""
    folder.mkdir()
    return folder / Path(path).name


def split(task: Task, order: Order, folder: Path, step: Step) -> Made:
    """Make base, grain and measured profile. Raise GrainlayerError."""
    base = fresh(folder / "base", task.base(order)) if order.needs_base else None
    grain = fresh(folder / "grain", task.grain(order)) if "grain" in order.layers else None
    segment = None if base is None else base if order.base_codec == "exr" else folder / "segment.mkv"
    effect = effect_on(order.device, order.model)
    with layerfiles.open_source(task, order) as reader:
        info = reader.info
        found = measure(effect, reader, task)
        meter, times = GainMeter(found.profile), list[int]()
        with ExitStack() as stack:
            write = _writer(stack, task, order, info, segment, grain)
            for frame, moved, lower, upper in split_frames(effect, reader, task, found):
                meter.add(lower, upper)
                write(frame, moved, lower)
                times.append(moved.pts)
                step()
    if len(times) != task.frames:
        raise MediaError(f"{task.media} ended after {len(times)} of {task.frames} frames; check the file.")
    if grain is not None and segment is not None and not order.twins:
        layerfiles.write_grain(task, order, segment, grain)
    if base is not None and segment is not None and base != segment:
        assemble([segment], None, base, like=layerfiles.info_of(info, task))
    _settle(task, base, grain)
    facts = _facts(task, order, segment, grain)
    return Made(base, grain, _write_measure(folder, task, info, found, meter), facts | {"times": times})


Written = Callable[[Frame, Frame, Image], None]


def _writer(stack: ExitStack, task: Task, order: Order, info: MediaInfo, base: Path | None, grain: Path | None) -> Written:
    """Return what writes a frame's base, and its grain where both are stored alike."""
    if base is None:
        return lambda frame, moved, lower: None
    like, medium = layerfiles.info_of(info, task), layerfiles.base_medium(order, info)
    write = stack.enter_context(layerfiles.base_writer(base, medium, like, task, order))
    if not order.twins or grain is None:
        return lambda frame, moved, lower: write(
            replace(moved, planes=layerfiles.planes_in(lower, frame, info, medium.format, medium.tags))
        )
    write_grain = stack.enter_context(layerfiles.layer_writer(grain, medium, like, task, grain=True))

    def write_both(frame: Frame, moved: Frame, lower: Image) -> None:
        kept, rest = layerfiles.twin_planes(frame, lower, info, medium)
        write(replace(moved, planes=kept))
        write_grain(replace(moved, planes=rest))

    return write_both


def _settle(task: Task, *paths: Path | None) -> None:
    for path in paths:
        if path is not None and path.suffix == ".mkv":
            settle_identifiers(path, f"{task.key} {path.name}")


def _facts(task: Task, order: Order, base: Path | None, grain: Path | None) -> dict[str, Any]:
    if base is None or grain is None:
        return {}
    return {"recombination": layerfiles.recombination(task, order, base, grain, lambda: None)}


def _write_measure(folder: Path, task: Task, info: MediaInfo, grain: ShotGrain, meter: GainMeter) -> Path:
    """Write what was measured as a grain stream that no parameter of the look has touched."""
    shot = GrainShot(0, task.frames, grain.profile, grain.texture, 0, meter.codes())
    path = folder / "measure.grain"
    path.write_bytes(pack(_stream(info.width, info.height, info, shot)))
    return path


def _stream(width: int, height: int, info: MediaInfo, shot: GrainShot) -> GrainStream:
    return GrainStream(width, height, info.rate, shot.frames, (shot,))


def read_measure(path: Path) -> GrainShot:
    """Return what was measured of a clip. Raise StreamError if it is damaged."""
    stream, warnings = unpack(path.read_bytes())
    if warnings or len(stream.shots) != 1:
        raise StreamError(f"{path} is damaged; remove it and run the delivery again.")
    return stream.shots[0]


def make_stream(task: Task, order: Order, measured: Path, base: Path | None, times: list[int], folder: Path) -> tuple[Path, Path | None]:
    """Make a clip's grain stream, and its base anew around it where the container carries one. Raise GrainlayerError."""
    params, shot = task.shot.params, read_measure(measured)
    shot = replace(shot, seed=params.grain_seed, hold=params.grain_hold)
    if params.grain_source is GrainSource.STOCK:
        shot = replace(shot, profile=stock_profile(params.stock), texture=plain_map(shot.texture.width, shot.texture.height), gains=())
    with layerfiles.open_source(task, order) as reader:
        info = reader.info
    data = pack(_stream(info.width, info.height, info, shot))
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
    _settle(task, out)
    return stream, out


def make_result(task: Task, order: Order, base: Path, measured: Path, folder: Path, step: Step) -> Path:
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
    _settle(task, out)
    return out
