"""Write a clip's layers and read them back: base, grain against the base as delivered, and what their sum misses of the source."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainlayer.codec.base import base_format, open_segment
from grainlayer.editorial.keys import date_of
from grainlayer.editorial.order import Order, Task
from grainlayer.errors import MediaError
from grainlayer.jobs.layers import FLOAT_NOTE, GRAIN_NOTE, Error
from grainlayer.picture.media import Frame, MediaInfo, Reader, create_media, create_stills, nearest_format, open_media
from grainlayer.picture.planes import from_image, join_planes, midpoints, split_planes, to_image
from grainlayer.picture.samples import BT709, MATRIX_RGB, ColourTags, SampleFormat, sample_format
from grainlayer.types import Image

Planes = tuple[NDArray[Any], ...]
Write = Callable[[Frame], None]
FLOAT_STEP = 1 / 1024
"""What counts as a code step of pictures in floats."""


def open_source(task: Task, order: Order) -> Reader:
    """Open a clip's media. Raise MediaError."""
    return open_media(task.media, fields=order.fields, rate=task.rate)


def info_of(info: MediaInfo, task: Task) -> MediaInfo:
    """Return what delivered files are like: the media, beginning with the clip's first frame."""
    return replace(info, first_number=task.number, timecode=task.timecode, frames=task.frames, audio_streams=0)


def own_count(task: Task) -> Callable[[Frame], Frame]:
    """Return what counts a clip's frames, given in order, as its files do: from 0, at times from 0."""
    first: int | None = None

    def moved(frame: Frame) -> Frame:
        nonlocal first
        first = frame.pts if first is None else first
        return replace(frame, index=frame.index - task.start, pts=frame.pts - first)

    return moved


def own_frames(reader: Reader, task: Task) -> Iterator[tuple[Frame, Frame]]:
    """Yield a clip's frames as the media counts them, and as its files do."""
    moved = own_count(task)
    for frame in reader.frames(task.start, task.stop):
        yield frame, moved(frame)


def film_tags(codec: str, tags: ColourTags) -> ColourTags:
    """Return the tags of a layer: those of the source, but that ProRes is never RGB nor of full range."""
    if codec != "prores":
        return tags
    return replace(tags, full_range=False, matrix=BT709 if tags.matrix == MATRIX_RGB else tags.matrix)


def format_in(codec: str, info: MediaInfo) -> SampleFormat:
    """Return in what samples a codec holds the source's pictures. Raise MediaError for floats in FFV1, which FFmpeg damages at times."""
    if codec == "ffv1" and info.format.floating:
        raise MediaError(
            f"{info.path} holds floats, which FFV1 does not keep reliably; deliver it with --base-codec exr --grain-format exr."
        )
    return nearest_format(Path("layer.exr"), "", info.format) if codec == "exr" else base_format(codec, info.format)


def planes_in(image: Image, frame: Frame, info: MediaInfo, form: SampleFormat, tags: ColourTags) -> Planes:
    """Return an image as planes of a format, with the source's alpha where the format has room for it."""
    if form == info.format:
        return from_image(image, form, tags, like=frame.planes)
    planes = from_image(image, form, tags)
    if form.alpha and info.format.alpha:
        alpha = frame.planes[-1].astype(np.float64) / info.format.peak * form.peak
        planes = (*planes[:-1], (alpha if form.floating else np.floor(alpha + 0.5)).astype(form.dtype))
    return planes


def source_in(frame: Frame, info: MediaInfo, form: SampleFormat, tags: ColourTags) -> Planes:
    """Return a source frame as planes of a format: as they are where it is the source's own."""
    if form == info.format and tags == info.tags:
        return frame.planes
    return planes_in(to_image(frame.planes, info.format, info.tags), frame, info, form, tags)


@dataclass(frozen=True)
class Medium:
    """Hold in what a layer is written."""

    codec: str
    format: SampleFormat
    tags: ColourTags


def base_medium(order: Order, info: MediaInfo) -> Medium:
    """Return in what the base is written."""
    return Medium(order.base_codec, format_in(order.base_codec, info), film_tags(order.base_codec, info.tags))


def result_medium(order: Order, info: MediaInfo) -> Medium:
    """Return in what the result is written."""
    return Medium(order.result_codec, format_in(order.result_codec, info), film_tags(order.result_codec, info.tags))


def grain_medium(order: Order, info: MediaInfo, base: Medium) -> Medium:
    """Return in what the grain is written: FFV1 in the samples of the base."""
    match order.grain_format:
        case "ffv1":
            return Medium("ffv1", base.format, base.tags)
        case "prores4444":
            return Medium("prores", sample_format("yuv444p10le"), film_tags("prores", info.tags))
        case _:
            return Medium("exr", format_in("exr", info), info.tags)


@contextmanager
def base_writer(path: Path, medium: Medium, like: MediaInfo, task: Task, order: Order) -> Generator[Write]:
    """Write a base: a sequence, or a movie's segment. Raise MediaError or ParamError; nothing half-written stays."""
    if medium.codec == "exr":
        with create_stills(path, like=like, format=medium.format, metadata=dated(like, task)) as stills:
            yield stills.write
        return
    segment = open_segment(path, medium.codec, like=like, format=medium.format, tags=medium.tags, crf=order.crf, preset=order.preset)
    with segment:
        yield lambda frame: segment.write(frame.planes, frame.pts)


@contextmanager
def layer_writer(path: Path, medium: Medium, like: MediaInfo, task: Task, *, grain: bool) -> Generator[Write]:
    """Write a grain or a result."""
    note = {} if not grain else FLOAT_NOTE if medium.format.floating else GRAIN_NOTE
    note = note | (dated(like, task) if medium.codec == "exr" else {})
    with create_media(path, codec=medium.codec, like=like, format=medium.format, tags=medium.tags, metadata=note) as writer:
        yield writer.write


def dated(like: MediaInfo, task: Task) -> dict[str, str]:
    """Return the date that pictures state: the source's own, or its file's, never that of the run."""
    return {} if "DateTime" in like.attributes else {"DateTime": date_of(task)}


def base_planes(frame: Frame, base: Image, info: MediaInfo, medium: Medium, *, twins: bool) -> Planes:
    """Return a base as it is stored; one of twins takes up what its grain cannot hold, so that their sum is the source.

    Floats: the sum misses the source by at most half a step of the smaller of the two.
    """
    if not twins:
        return planes_in(base, frame, info, medium.format, medium.tags)
    if not medium.format.floating:
        stored = source_in(frame, info, medium.format, medium.tags)
        return split_planes(stored, from_image(base, medium.format, medium.tags, like=stored), medium.format, medium.tags)[0]
    source = to_image(frame.planes, info.format, info.tags)
    grain = source - as_stored(base, medium)
    return planes_in(source - as_stored(grain, medium), frame, info, medium.format, medium.tags)


def as_stored(image: Image, medium: Medium) -> Image:
    """Return an image rounded to what a medium stores."""
    return to_image(from_image(image, medium.format, medium.tags), medium.format, medium.tags)


def grain_planes(frame: Frame, lower: Frame, info: MediaInfo, base: MediaInfo, medium: Medium) -> Planes:
    """Return the grain against a base as delivered: its codes plus half the range in FFV1, else the difference of the images."""
    if medium.codec == "ffv1":
        stored = source_in(frame, info, base.format, base.tags)
        return split_planes(stored, lower.planes, base.format, base.tags)[1]
    image = to_image(frame.planes, info.format, info.tags) - to_image(lower.planes, base.format, base.tags)
    planes = from_image(image if medium.format.floating else image + np.float32(0.5), medium.format, medium.tags)
    return (
        planes
        if not medium.format.alpha
        else (*planes[:-1], np.full_like(planes[-1], midpoints(info.height, medium.format, medium.tags)[-1]))
    )


def write_grain(task: Task, order: Order, base: Path, out: Path) -> None:
    """Write the grain of a clip whose base is there, against that base. Raise MediaError."""
    with open_source(task, order) as reader, open_media(base) as below:
        medium = grain_medium(order, reader.info, Medium(order.base_codec, below.info.format, below.info.tags))
        with layer_writer(out, medium, info_of(reader.info, task), task, grain=True) as write:
            for (frame, moved), lower in zip(own_frames(reader, task), below.frames(), strict=True):
                write(replace(moved, planes=grain_planes(frame, lower, reader.info, below.info, medium)))


def recombination(task: Task, order: Order, base: Path, grain: Path, step: Callable[[], None]) -> dict[str, Any]:
    """Read base and grain back and return how far their sum is from the source, in code steps.

    Grain in FFV1 is added code by code in the base's format; any other as images, in steps of the source.
    """
    error, coded = Error(), order.grain_format == "ffv1"
    with open_source(task, order) as reader, open_media(base) as below, open_media(grain) as above:
        info, stored = reader.info, below.info.format
        unit = 1.0 if coded else FLOAT_STEP if info.format.floating else 1 / info.format.peak
        for (frame, _), lower, upper in zip(own_frames(reader, task), below.frames(), above.frames(), strict=True):
            if coded:
                wanted = source_in(frame, info, stored, below.info.tags)
                again = join_planes(lower.planes, upper.planes, stored, below.info.tags)
            else:
                wanted = (to_image(frame.planes, info.format, info.tags),)
                again = (added(lower, below.info, upper, above.info),)
            for left, right in zip(wanted, again, strict=True):
                error.add(left, right, unit)
            step()
    return error.summary() | {"step": "1/1024" if unit == FLOAT_STEP else f"one code of {(stored if coded else info.format).name}"}


def added(lower: Frame, below: MediaInfo, upper: Frame, above: MediaInfo) -> Image:
    """Return base plus grain as an editor adds them: Add for floats, Linear Light at 50 % for codes around the middle."""
    grain = to_image(upper.planes, above.format, above.tags)
    return to_image(lower.planes, below.format, below.tags) + (grain if above.format.floating else grain - np.float32(0.5))
