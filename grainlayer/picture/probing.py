"""Find out what a movie is: its first picture, and what container and codec state about it."""

from __future__ import annotations

import re
import struct
import threading
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av.logging
from av.sidedata.sidedata import Type as SideType

from grainlayer.errors import MediaError
from grainlayer.picture.decoding import Damage, Decoder, open_container, packets_of, picture_stream
from grainlayer.picture.media import MediaInfo
from grainlayer.picture.samples import BT709, BT2020, MATRIX_RGB, UNSPECIFIED, ColourTags, SampleFormat, sample_format

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

PICTURE_KEY = "grainlayer_picture"
"""Metadata of movies whose pictures were padded for their codec: the true size, as '15x9'."""

CHROMA_LOCATIONS = ("unspecified", "left", "center", "topleft", "top", "bottomleft", "bottom")
_FIELD_ORDERS = ("progressive", "progressive", "tt", "bb", "tb", "bt")
_TECHNICAL = frozenset(("major_brand", "minor_version", "compatible_brands", "encoder", "software", "duration", "timecode", PICTURE_KEY))
"""Metadata that belongs to the file, not to its content."""
_HDR = {"mastering_display": SideType.MASTERING_DISPLAY_METADATA, "content_light": SideType.CONTENT_LIGHT_LEVEL}
_PROBE_BYTES, _PROBE_PACKETS = 32 << 20, 120
_log_lock = threading.Lock()


def describe(path: Path) -> tuple[MediaInfo, tuple[int, int]]:
    """Return a movie's MediaInfo and the size of its stored pictures; raise MediaError if no picture can be decoded."""
    with open_container(path) as container:
        stream = picture_stream(path, container)
        picture = _first_picture(path, container, stream)
        info = _info(path, container, stream, picture)
        info = replace(info, tags=_tags(container, stream, picture, info.format))
    with open_container(path) as container:
        info = replace(info, variable_rate=_uneven(container, picture_stream(path, container)))
    return info, (picture.width, picture.height)


def stated_duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Return the seconds the container states for the pictures, None where it does not."""
    if match := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", _lower(stream.metadata).get("duration", "")):
        hours, minutes, seconds = match.groups()
        return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)
    if stream.duration is not None and stream.time_base is not None:
        return stream.duration * stream.time_base
    return None if container.duration is None else Fraction(container.duration, 1_000_000)


def _first_picture(path: Path, container: InputContainer, stream: VideoStream) -> VideoFrame:
    try:
        picture = next(Decoder(stream, False, False).run(packets_of(container, stream)), None)
    except Damage as damage:
        raise MediaError(f"{path} is damaged at frame 0: {damage}.") from damage
    if picture is None:
        raise MediaError(f"{path} holds no picture that can be decoded; it may have been cut off: copy or export it again.")
    return picture


def _info(path: Path, container: InputContainer, stream: VideoStream, picture: VideoFrame) -> MediaInfo:
    tagged = {**_lower(container.metadata), **_lower(stream.metadata)}
    width, height = _picture_size(tagged, picture)
    order = _FIELD_ORDERS[stream.codec_context.field_order]
    return MediaInfo(
        path=path,
        kind="movie",
        width=width,
        height=height,
        format=sample_format(picture.format.name),
        tags=ColourTags(),
        rate=stream.average_rate or stream.guessed_rate or Fraction(24),
        time_base=stream.time_base or Fraction(1, 1000),
        frames=stream.frames or None,
        sample_aspect=stream.sample_aspect_ratio or Fraction(1),
        rotation=picture.rotation % 360,
        display_matrix=_display_matrix(picture),
        field_order="tt" if order == "progressive" and picture.interlaced_frame else order,
        timecode=tagged.get("timecode") or _timecode_track(container),
        codec=stream.codec_context.codec.canonical_name,
        audio_streams=len(container.streams.audio),
        metadata={key: value for key, value in container.metadata.items() if key.lower() not in _TECHNICAL},
        hdr=_hdr(picture),
    )


def _lower(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key.lower(): value for key, value in metadata.items()}


def _picture_size(metadata: Mapping[str, str], picture: VideoFrame) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", metadata.get(PICTURE_KEY, ""))
    if not match:
        return picture.width, picture.height
    return min(picture.width, int(match[1])), min(picture.height, int(match[2]))


def _timecode_track(container: InputContainer) -> str | None:
    codes = (_lower(stream.metadata).get("timecode") for stream in container.streams if stream.type == "data")
    return next((code for code in codes if code), None)


def _side_data(picture: VideoFrame, kind: SideType) -> bytes | None:
    every: Any = picture.side_data
    return next((bytes(every[index]) for index in range(len(every)) if every[index].type == kind), None)


def _display_matrix(picture: VideoFrame) -> tuple[int, ...] | None:
    data = _side_data(picture, SideType.DISPLAYMATRIX)
    return struct.unpack("=9i", data[:36]) if data else None


def _hdr(picture: VideoFrame) -> dict[str, bytes]:
    found = {name: _side_data(picture, kind) for name, kind in _HDR.items()}
    return {name: data for name, data in found.items() if data}


def _tags(container: InputContainer, stream: VideoStream, picture: VideoFrame, format: SampleFormat) -> ColourTags:
    """Return the picture's tags, the stream's where it has none; RGB and grey count as full range unless tagged."""
    decoder = stream.codec_context
    span = picture.color_range or decoder.color_range
    full = span == 2 if span else format.kind != "yuv" or picture.format.name.startswith("yuvj")
    primaries, transfer, matrix = (
        own if own != UNSPECIFIED else stated
        for own, stated in (
            (int(picture.color_primaries), int(decoder.color_primaries)),
            (int(picture.color_trc), int(decoder.color_trc)),
            (int(picture.colorspace), int(decoder.colorspace)),
        )
    )
    if decoder.codec.canonical_name == "dnxhd" and primaries == BT2020 and matrix == BT709:
        matrix = BT2020  # DNxHR's own header says BT.709 whatever the container says
    location = _chroma_location(container, stream) if any(format.chroma_shift) else 0
    return ColourTags(full, primaries, transfer, MATRIX_RGB if format.kind == "rgb" else matrix, location)


def _chroma_location(container: Any, stream: VideoStream) -> int:
    """Return where chroma samples lie; PyAV only tells in its listing of the container."""
    with _log_lock:
        level, repeats = av.logging.get_level(), av.logging.get_skip_repeated()
        av.logging.set_level(av.logging.VERBOSE)
        av.logging.set_libav_level(av.logging.VERBOSE)
        av.logging.set_skip_repeated(False)
        try:
            listing: str = container.dumps_format()
        finally:
            av.logging.set_libav_level(av.logging.INFO)
            av.logging.set_skip_repeated(repeats)
            av.logging.set_level(level)
    line = next((text for text in listing.splitlines() if re.match(rf"\s*Stream #\d+:{stream.index}\D", text)), "")
    names = re.findall(r"[a-z]+", " ".join(re.findall(r"\(([^()]*)\)", line)))
    return next((index for index, name in enumerate(CHROMA_LOCATIONS) if index and name in names), 0)


def _uneven(container: InputContainer, stream: VideoStream) -> bool:
    """Say whether the times of the container's index, or of the first packets, lie unevenly."""
    entries = stream.index_entries
    if stream.frames and len(entries) == stream.frames:
        times = [entry.timestamp for entry in islice(entries, 1 << 20)]
    else:
        times = _first_times(container, stream)
    steps = [after - before for before, after in pairwise(times)]
    tick = 1 if (stream.time_base or 1) >= Fraction(1, 1000) else 0
    return bool(steps) and max(steps) - min(steps) > 2 * tick


def _first_times(container: InputContainer, stream: VideoStream) -> list[int]:
    """Return the sorted times of the first packets, less the last few, among which some may be missing yet."""
    times: list[int] = []
    read = 0
    try:
        for packet in islice(packets_of(container, stream), _PROBE_PACKETS):
            read += packet.size
            if packet.pts is not None:
                times.append(packet.pts)
            if read > _PROBE_BYTES:
                break
    except Damage:
        pass
    times.sort()
    return times[:-16] if len(times) > 32 else times
