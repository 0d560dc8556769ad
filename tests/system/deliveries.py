"""A 12-shot edit over real clips cut very short, and a compositor that reads delivered edits as an editor would."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import opentimelineio as otio

from grainlayer.editorial.shots import Shot
from grainlayer.editorial.timeline import read_timeline, write_timeline
from grainlayer.picture.media import Frame, MediaInfo, create_media, nearest_format, open_media
from grainlayer.picture.planes import from_image, to_image
from grainlayer.types import Image

T, R, S = otio.opentime.RationalTime, otio.opentime.TimeRange, otio.schema
RATE, FRAMES, WIDTH, HEIGHT = 24, 10, 96, 80
CLIPS = ("open/sam2_01_dog", "open/sam2_02_cups", "open/sam2_03_blocks", "check/fresco_boxer", "check/pexels_8048492", "check/tokyo_walk")
OFFSET = 86400
"""First frame of media with timecode, an hour at 24 frames a second."""


def cut_media(data: Path, folder: Path, size: tuple[int, int] = (WIDTH, HEIGHT)) -> list[Path]:
    """Write short copies of real clips, (width, height) pixels of each; the last is a sequence of EXR files, one of DPX files beside."""
    made: list[Path] = []
    for number, name in enumerate(CLIPS):
        last = number == len(CLIPS) - 1
        path = folder / ("plate/plate.%04d.exr" if last else f"media{number}.mkv")
        path.parent.mkdir(exist_ok=True)
        _cut(data / "video" / f"{name}.mkv", path, size)
        made.append(path)
    _cut(data / "video" / f"{CLIPS[-1]}.mkv", folder / "plate/plate.%04d.dpx", size)
    return made


def _cut(source: Path, path: Path, size: tuple[int, int]) -> None:
    width, height = size
    with open_media(source) as reader:
        form, info = reader.info.format, reader.info
        stored = nearest_format(path, "ffv1", form)
        like = MediaInfo(path, "movie", width, height, stored, info.tags, Fraction(RATE), Fraction(1, RATE), first_number=1001)
        with create_media(path, codec="ffv1", like=like, format=stored) as writer:
            for index, frame in enumerate(reader.frames(0, FRAMES)):
                planes = tuple(np.ascontiguousarray(plane[40 : 40 + height, 60 : 60 + width]) for plane in frame.planes)
                if stored != form:
                    image = to_image(planes, form, info.tags)
                    planes = from_image(image, stored, info.tags)
                writer.write(Frame(planes, index, index, 1))


def span(start: float, frames: float) -> otio.opentime.TimeRange:
    return R(T(start, RATE), T(frames, RATE))


def reference(path: Path) -> Any:
    if path.suffix == ".mkv":
        return S.ExternalReference(path.name, span(OFFSET, FRAMES))
    made = S.ImageSequenceReference("plate/", "plate.", path.suffix, 1001, 1, RATE, 4)
    made.available_range = span(1001, FRAMES)
    return made


def clip(name: str, path: Path, start: int, frames: int, *effects: Any) -> Any:
    first = OFFSET if path.suffix == ".mkv" else 1001
    made = S.Clip(name, reference(path), span(first + start, frames))
    made.effects.extend(effects)
    return made


def twelve_shots(media: list[Path], folder: Path, plates: str = ".exr") -> Path:
    """Write the edit: gaps, retimes, a freeze, a dissolve, stacked tracks, a nested stack, shared and overlapping ranges, a sequence."""
    a, b, c, d, e, plate = (*media[:-1], media[-1].with_suffix(plates))
    v1, v2 = S.Track("V1"), S.Track("V2")
    dissolve = S.Transition("dissolve", S.TransitionTypes.SMPTE_Dissolve, T(1, RATE), T(2, RATE))
    v1.append(clip("SH010", a, 0, 6))
    v1.append(clip("SH020", a, 3, 6))
    v1.append(S.Gap(source_range=span(0, 2)))
    v1.append(clip("SH030", b, 2, 6))
    v1.append(dissolve)
    v1.append(clip("SH040", c, 2, 6))
    v1.append(clip("SH050", c, 0, 4, S.LinearTimeWarp(time_scalar=2.0)))
    v1.append(clip("SH060", d, 4, 3, S.FreezeFrame()))
    v1.append(clip("SH070", plate, 1, 7))
    v1.append(clip("SH080", a, 0, 6))
    v2.append(S.Gap(source_range=span(0, 4)))
    v2.append(clip("SH090", e, 1, 6))
    v2.append(S.Gap(source_range=span(0, 20)))
    nested = S.Stack("nest", source_range=span(0, 6))
    nested.append(S.Track("N1", [clip("SH100", d, 1, 6)]))
    nested.append(S.Track("N2", [S.Gap(source_range=span(0, 3)), clip("SH110", b, 0, 3)]))
    v2.append(nested)
    v2.append(clip("SH120", e, 4, 6))
    line = S.Timeline("twelve", global_start_time=T(OFFSET, RATE))
    line.tracks.extend([v1, v2])
    path = folder / f"twelve{plates}.otio"
    otio.adapters.write_to_file(line, str(path))
    return path


def some_shots(media: list[Path], folder: Path, name: str, count: int = 3) -> Path:
    """Write an edit of so many plain clips."""
    line = S.Timeline(name)
    line.tracks.append(S.Track("V1", [clip(f"S{number}", path, 1, 6) for number, path in enumerate(media[:count])]))
    otio.adapters.write_to_file(line, str(folder / f"{name}.otio"))
    return folder / f"{name}.otio"


def grade(path: Path, name: str, **values: Any) -> None:
    """Set one shot's grain in place."""
    edit = read_timeline(path)
    placed = edit.shots.one(name)
    shot = placed.shot or Shot(f"uid-{name}", name)
    write_timeline(edit.changed({placed.index: shot.changed(values)}), path, overwrite=True)


def contents(out: Path) -> dict[str, str]:
    """Return the digest of every delivered file."""
    files = sorted(path for path in out.rglob("*") if path.is_file() and ".grainlayer" not in path.parts)
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def times(out: Path) -> dict[str, int]:
    """Return when every delivered file was written."""
    files = sorted(path for path in out.rglob("*") if path.is_file() and ".grainlayer" not in path.parts)
    return {str(path.relative_to(out)): path.stat().st_mtime_ns for path in files}


def manifest(out: Path) -> dict[str, Any]:
    return json.loads((out / "manifest.json").read_text())


@dataclass(frozen=True)
class Pick:
    """Hold what a track shows at a time: a clip, the time of its media, and its share in a dissolve."""

    clip: Any
    time: float
    share: float = 1.0


def picks(item: Any, time: float) -> list[Pick]:
    """Return what an item shows `time` frames after its beginning; nothing in gaps."""
    if isinstance(item, S.Clip):
        return [Pick(item, _media_time(item, time))]
    begin = item.source_range.start_time.value if item.source_range else 0.0
    if isinstance(item, S.Stack):
        return next((found for child in reversed(item) if child.enabled and (found := picks(child, time + begin))), [])
    return _in_track(item, time + begin) if isinstance(item, S.Track) else []


def _media_time(item: Any, time: float) -> float:
    speed = next((effect.time_scalar for effect in item.effects if isinstance(effect, S.LinearTimeWarp)), 1.0)
    return item.trimmed_range().start_time.value + time * speed


def _in_track(track: Any, time: float) -> list[Pick]:
    start = 0.0
    for place, child in enumerate(track):
        if isinstance(child, S.Transition):
            head, tail = child.in_offset.value, child.out_offset.value
            if start - head <= time < start + tail:
                mix = (time - start + head) / (head + tail)
                before = track[place - 1]
                left = picks(before, time - start + before.duration().value)
                return [Pick(p.clip, p.time, 1 - mix) for p in left] + [
                    Pick(p.clip, p.time, mix) for p in picks(track[place + 1], time - start)
                ]
            continue
        following = track[place + 1] if place + 1 < len(track) else None
        lead = following.in_offset.value if isinstance(following, S.Transition) else 0.0
        length = child.duration().value
        if start <= time < start + length - lead:
            return picks(child, time - start)
        start += length
    return []


def file_of(item: Any, folder: Path) -> Path:
    media = item.media_reference
    if isinstance(media, S.ImageSequenceReference):
        number = f"%0{media.frame_zero_padding}d"
        return folder / media.target_url_base / f"{media.name_prefix}{number}{media.name_suffix}"
    return folder / media.target_url


@cache
def read(path: Path, stamp: int) -> tuple[MediaInfo, list[Frame]]:
    with open_media(path) as reader:
        return reader.info, list(reader.frames())


def frame_of(pick: Pick, folder: Path) -> tuple[MediaInfo, Frame]:
    """Return the stored frame that a pick shows, which the reference's range must hold."""
    path = file_of(pick.clip, folder)
    stamp = path.stat().st_mtime_ns if path.exists() else 0
    info, frames = read(path, stamp)
    known = pick.clip.media_reference.available_range
    index = int(np.floor(pick.time - known.start_time.value))
    assert 0 <= index < len(frames) == known.duration.value
    return info, frames[index]


def shown(pick: Pick, folder: Path) -> Image:
    info, frame = frame_of(pick, folder)
    return to_image(frame.planes, info.format, info.tags)


@dataclass(frozen=True)
class Seen:
    """Hold a picture, and by how much half floats may miss it: half a step of the smaller of the two layers."""

    image: Image
    allowed: Image


def half_step(image: Image) -> Image:
    """Return half the distance from each value to the next half float."""
    return np.spacing(np.abs(image).astype(np.float16)).astype(np.float32) / 2


def added(lower: Pick, upper: Pick, folder: Path) -> Seen:
    """Return base and grain added as the grain's metadata asks for: floats plainly, codes around the middle between black and white."""
    (info, base), (above, grain) = frame_of(lower, folder), frame_of(upper, folder)
    blend = upper.clip.metadata["grainlayer_layer"]["blend"]
    assert above.format == info.format
    if above.format.floating:
        assert blend == "Add"
        low, up = to_image(base.planes, info.format, info.tags), to_image(grain.planes, above.format, above.tags)
        return Seen(low + up, half_step(np.minimum(np.abs(low), np.abs(up))))
    assert blend == "Linear Light"
    half = 1 << (info.format.bits - 1)
    grey = half if info.tags.full_range else -(-((16 + 235) << (info.format.bits - 8)) // 2)
    middles = [half if info.format.kind == "yuv" and plane else grey for plane in range(len(base.planes))]
    sums = [b.astype(np.int64) + g.astype(np.int64) - middle for b, g, middle in zip(base.planes, grain.planes, middles, strict=True)]
    assert all(total.min() >= 0 and total.max() < 1 << info.format.bits for total in sums)
    image = to_image(tuple(total.astype(info.format.dtype) for total in sums), info.format, info.tags)
    return Seen(image, np.zeros_like(image))


def original_picture(line: Any, folder: Path, time: float) -> Image | None:
    """Return what the edit shows: the uppermost track that shows something."""
    for track in reversed(line.video_tracks()):
        found = picks(track, time) if track.enabled else []
        if found:
            return np.sum([pick.share * shown(pick, folder) for pick in found], axis=0, dtype=np.float32)
    return None


def stacked_picture(line: Any, folder: Path, time: float) -> Seen | None:
    """Return what the delivered edit shows: base tracks cover what is below, each with the grain track above it added."""
    canvas: Seen | None = None
    tracks = [track for track in line.video_tracks() if track.enabled]
    for base, grain in zip(tracks[::2], tracks[1::2], strict=True):
        assert base.metadata["grainlayer_layer"]["layer"] == "base"
        assert grain.metadata["grainlayer_layer"]["layer"] == "grain"
        lower, upper = picks(base, time), picks(grain, time)
        if lower:
            parts = [(below.share, added(below, above, folder)) for below, above in zip(lower, upper, strict=True)]
            image = np.sum([share * seen.image for share, seen in parts], axis=0, dtype=np.float32)
            canvas = Seen(image, np.sum([share * seen.allowed for share, seen in parts], axis=0, dtype=np.float32))
    return canvas
