"""Write movies by PyAV: beside the output's place first, with frame times, tags, timecode and sound kept."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
import numpy as np

from grainlayer.errors import MediaError
from grainlayer.picture.decoding import open_container, plane_views
from grainlayer.picture.encoders import closest, encoder_for, encoder_format, formats_of, padded_size, size_options
from grainlayer.picture.mastering import hdr_parameters
from grainlayer.picture.matroska import set_sample_aspect
from grainlayer.picture.media import FULL_DISK, Frame, MediaInfo, Plane, Writer, check_planes, checked_output, write_failure
from grainlayer.picture.probing import CHROMA_LOCATIONS, PICTURE_KEY
from grainlayer.picture.samples import ColourTags, SampleFormat

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_MUXERS = {".mkv": "matroska", ".mp4": "mp4", ".mov": "mov", ".avi": "avi", ".nut": "nut"}
_PLAIN_KEYS = frozenset(
    ("title", "artist", "album", "album_artist", "comment", "copyright", "date", "description", "genre", "creation_time")
)
"""Metadata that MP4 and QuickTime have fields for; other keys need their general table."""
_PACKED = {"bgr0": (2, 1, 0), "bgra": (2, 1, 0, 3)}
"""Where R, G, B and A stand in a pixel."""
_COARSE = Fraction(1, 2000)
"""Time bases as coarse as Matroska's millisecond, in which even frame times look uneven."""
_LARGEST_BASE = 1 << 24


@dataclass(frozen=True)
class Plan:
    """Hold what a movie is to be; see `create_movie`."""

    codec: str
    like: MediaInfo
    format: SampleFormat
    tags: ColourTags
    size: tuple[int, int]
    options: Mapping[str, str]


def nearest_movie_format(codec: str, format: SampleFormat) -> SampleFormat:
    """Return the format closest to `format` that a codec holds; see `nearest_format`."""
    return closest(format, list(formats_of(codec)))


class MovieWriter(Writer):
    """Write one movie; see `create_movie` and `Writer`."""

    def __init__(self, path: Path, plan: Plan, audio_from: Path | None, metadata: dict[str, str], overwrite: bool) -> None:
        """Open the encoder, the container beside its place and the sound; raise MediaError, and leave nothing, where one cannot."""
        _check_container(path, plan)
        self.path, self._plan, self._overwrite = path, plan, overwrite
        self._stored = padded_size(plan.codec, plan.format, plan.size)
        self._pix_fmt = encoder_format(plan.codec, plan.format)
        self._clock = Clock(plan.like, path)
        self._place = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
        self._done, self._last, self._frames = False, None, 0
        self._container: OutputContainer | None = None
        self._sound: Sound | None = None
        try:
            with self._explained("cannot be created"):
                self._file = self._place.open("xb")
                self._open(metadata, audio_from)
        except BaseException:
            self.abort()
            raise

    def _open(self, metadata: dict[str, str], audio_from: Path | None) -> None:
        tags = {**self._plan.like.metadata, **metadata}
        if self._stored != self._plan.size:
            if self.path.suffix.lower() == ".avi":
                raise MediaError(
                    f"{self.path} cannot hold pictures of {_by(self._plan.size)} as {self._plan.codec}; use .mkv or --base-codec ffv1."
                )
            tags[PICTURE_KEY] = _by(self._plan.size)
        suffix = self.path.suffix.lower()
        general = suffix in (".mp4", ".mov") and not {key.lower() for key in tags} <= _PLAIN_KEYS
        options = {"movflags": "use_metadata_tags"} if general else {}
        self._container = av.open(self._file, "w", format=_MUXERS[suffix], options=options, buffer_size=1 << 20)
        self._container.metadata.update(tags)
        self._stream = self._video_stream(self._container)
        self._sound = Sound(audio_from, self._container) if audio_from is not None else None
        self._container.start_encoding()

    def _video_stream(self, container: OutputContainer) -> VideoStream:
        plan, like, encoder = self._plan, self._plan.like, encoder_for(self._plan.codec)
        if encoder.name == "libsvtav1":
            os.environ.setdefault("SVT_LOG", "1")
        stream: Any = container.add_stream(encoder.name, rate=like.rate, options=_encoder_options(plan))
        stream.width, stream.height = self._stored
        stream.pix_fmt = self._pix_fmt
        coder = stream.codec_context
        coder.time_base = self._clock.base
        coder.framerate = like.rate
        coder.sample_aspect_ratio = like.sample_aspect
        coder.thread_type, coder.thread_count = "AUTO", 0
        coder.color_range = 2 if plan.tags.full_range else 1
        coder.color_primaries, coder.color_trc, coder.colorspace = plan.tags.primaries, plan.tags.transfer, plan.tags.matrix
        if like.display_matrix:
            stream.set_display_matrix(like.display_matrix)
        elif like.rotation:
            stream.set_display_rotation(like.rotation)
        if like.timecode:
            stream.metadata["timecode"] = like.timecode
        return stream

    def write(self, frame: Frame) -> None:
        """Encode a frame; see `Writer.write`."""
        check_planes(self.path, frame, self._plan.format, self._plan.size)
        picture = self._picture(frame)
        if self._last is not None and (picture.pts or 0) <= self._last:
            raise MediaError(f"Frame {frame.index} of {self.path} is not later than the one before it; its times are wrong.")
        self._last, self._frames = picture.pts, self._frames + 1
        with self._explained(f"cannot be written at frame {frame.index}"):
            self._output()
            self._mux(self._stream.encode(picture))
            if self._sound is not None:
                self._sound.copy(frame.pts * self._plan.like.time_base)

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            self._output().mux_one(packet)

    def _mux_rest(self) -> None:
        """Write what the encoder still holds.

        libx265 4.2 leaves the decoding times of a movie of one or two frames undefined; so few are never decoded out of their order.
        """
        rest = self._stream.encode(None)
        if self._plan.codec == "h265" and self._frames <= 2:
            for packet in rest:
                packet.dts = packet.pts
        self._mux(rest)

    def _output(self) -> OutputContainer:
        if self._container is None:
            raise MediaError(f"{self.path} is finished; no frame can be added.")
        return self._container

    def _picture(self, frame: Frame) -> VideoFrame:
        """Return the frame as FFmpeg's picture, its last row and column repeated up to the stored size."""
        picture = av.VideoFrame(*self._stored, self._pix_fmt)
        format, tags = self._plan.format, self._plan.tags
        for index, (view, plane) in enumerate(zip(_writable(picture, format), frame.planes, strict=True)):
            rows, columns = format.plane_shape(*self._stored, index)
            view[: plane.shape[0], : plane.shape[1]] = plane
            view[: plane.shape[0], plane.shape[1] : columns] = plane[:, -1:]
            view[plane.shape[0] : rows, :columns] = view[plane.shape[0] - 1, :columns]
        picture.pts, picture.duration = self._clock.times(frame)
        picture.time_base = self._clock.base
        picture.color_range = 2 if tags.full_range else 1
        picture.color_primaries, picture.color_trc, picture.colorspace = tags.primaries, tags.transfer, tags.matrix
        return picture

    def finish(self) -> None:
        """Complete the movie and move it to its place; see `Writer.finish`."""
        if self._done or self._container is None:
            return
        with self._explained("cannot be finished"):
            self._mux_rest()
            if self._sound is not None:
                self._sound.copy(None)
            container, self._container = self._container, None
            container.close()
            self._file.close()
            if self.path.suffix.lower() == ".mkv" and self._plan.like.sample_aspect != 1:
                self._state_aspect(self._plan.like.sample_aspect)
            checked_output(self.path, self._overwrite)
            os.replace(self._place, self.path)
        self._close_sound()
        self._done = True

    def _state_aspect(self, aspect: Fraction) -> None:
        if not set_sample_aspect(self._place, aspect):
            raise MediaError(f"{self.path} has no room to state its sample aspect {aspect}; write .mov or .mp4 instead.")

    def abort(self) -> None:
        """Remove what was written; see `Writer.abort`."""
        if self._done:
            return
        self._done = True
        self._close_sound()
        container, self._container = self._container, None
        if container is not None:
            with suppress(Exception):
                container.close()
        if hasattr(self, "_file"):
            with suppress(OSError):
                self._file.close()
        self._place.unlink(missing_ok=True)

    def _close_sound(self) -> None:
        if self._sound is not None:
            self._sound.close()

    @contextmanager
    def _explained(self, what: str) -> Generator[None]:
        """Turn what FFmpeg or the system says into one MediaError."""
        try:
            yield
        except MediaError:
            raise
        except (av.error.FFmpegError, OSError) as error:
            if error.errno in FULL_DISK:
                raise write_failure(self.path, OSError(error.errno, error.strerror)) from error
            size, name = _by(self._plan.size), self._plan.format.name
            raise MediaError(f"{self.path} {what} ({self._plan.codec}, {size}, {name}): {error.strerror or error}.") from error
        except ValueError as error:
            raise MediaError(f"{self.path} {what}: {error}.") from error


class Clock:
    """Turn a source's frame times into the encoder's, exactly; times rounded to milliseconds go back to the even times they come from.

    Matroska keeps the source's own time base, AVI counts frames, others get one that also divides the frame.
    """

    def __init__(self, like: MediaInfo, path: Path) -> None:
        """Choose the time base for what the container of `path` can hold."""
        self._like, self._path = like, path
        self._counted = path.suffix.lower() == ".avi"
        source = like.time_base
        fine = Fraction(1, lcm(source.denominator, like.rate.numerator))
        kept = path.suffix.lower() == ".mkv" or source.numerator != 1 or fine.denominator > _LARGEST_BASE
        self.base = 1 / like.rate if self._counted else source if kept else fine
        self._snap = source >= _COARSE and self.base != source
        self._first: Frame | None = None

    def times(self, frame: Frame) -> tuple[int, int]:
        """Return the time of display and the duration in `base`; raise MediaError for uneven times in AVI."""
        like = self._like
        self._first = self._first or frame
        duration = frame.duration * like.time_base if frame.duration > 0 else 1 / like.rate
        time = frame.pts * like.time_base
        start = self._first.pts * like.time_base
        even = start + round((time - start) * like.rate) / like.rate
        on_grid = abs(even - time) <= like.time_base
        if self._counted:
            if not on_grid:
                raise MediaError(f"{self._path} cannot hold the uneven frame times of {like.path}; write .mkv instead.")
            return round((even - start) * like.rate), 1
        if self._snap and on_grid:
            time = even
            duration = 1 / like.rate if abs(duration - 1 / like.rate) <= like.time_base else duration
        return round(time / self.base), max(1, round(duration / self.base))


class Sound:
    """Copy the audio packets of another movie as they are."""

    def __init__(self, path: Path, output: OutputContainer) -> None:
        """Add a stream to `output` for each audio stream of `path`; raise MediaError if the container cannot carry one."""
        self._output = output
        self._input: InputContainer = open_container(path)
        sources = list(self._input.streams.audio)
        try:
            self._streams = {source.index: output.add_stream_from_template(source) for source in sources}
        except (av.error.FFmpegError, ValueError) as error:
            raise MediaError(
                f"The audio of {path} ({sources[0].codec_context.name}) does not fit this container; write .mkv or .mov."
            ) from error
        for source in sources:
            self._streams[source.index].metadata.update({k: v for k, v in source.metadata.items() if k.lower() in ("language", "title")})
        self._packets = iter(self._input.demux(*sources)) if sources else iter(())
        self._waiting: Packet[Any] | None = None

    def copy(self, until: Fraction | None) -> None:
        """Copy packets up to the time `until` in seconds, None for all that are left."""
        while True:
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None:
                return
            if packet.dts is None:
                continue
            if until is not None and packet.dts * packet.time_base > until:
                self._waiting = packet
                return
            packet.stream = self._streams[packet.stream_index]
            self._output.mux_one(packet)

    def close(self) -> None:
        """Close the movie the sound comes from."""
        self._input.close()


def _check_container(path: Path, plan: Plan) -> None:
    """Raise MediaError if the suffix is none of a movie, or its container cannot hold what the plan asks for."""
    suffix, suffixes = path.suffix.lower(), encoder_for(plan.codec).suffixes
    if suffix not in suffixes:
        raise MediaError(f"{path} cannot hold {plan.codec}; name it {' or '.join(suffixes)}.")
    if suffix in (".avi", ".nut") and (plan.like.sample_aspect != 1 or plan.like.rotation):
        raise MediaError(f"{path} cannot keep the sample aspect and rotation of {plan.like.path}; write .mkv instead.")


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _encoder_options(plan: Plan) -> dict[str, str]:
    """Return the encoder's options: its setup, tags that PyAV has no field for, HDR10, then the caller's, which win."""
    encoder, like = encoder_for(plan.codec), plan.like
    options = encoder.setup(plan.format) | size_options(plan.codec, plan.size)
    if plan.tags.chroma_location and any(plan.format.chroma_shift):
        options["chroma_sample_location"] = CHROMA_LOCATIONS[plan.tags.chroma_location]
    if like.interlaced:
        options["field_order"] = like.field_order
    own = hdr_parameters(encoder.name, like.hdr)
    if encoder.name == "libx265":
        own["log-level"] = "none"
    given = dict(plan.options)
    if own and encoder.params:
        listed = ":".join(f"{key}={value}" for key, value in own.items())
        given[encoder.params] = ":".join(part for part in (listed, given.get(encoder.params, "")) if part)
    return options | given


def _writable(picture: VideoFrame, format: SampleFormat) -> list[Plane]:
    """Return views of a picture's planes to be filled, in the order of SampleFormat."""
    order = _PACKED.get(picture.format.name)
    if order is None:
        return plane_views(picture, format)
    pixels: Any = picture.planes[0]
    rows: Plane = np.frombuffer(pixels, np.uint8).reshape(-1, pixels.line_size)
    return [rows[:, offset::4] for offset in order]
