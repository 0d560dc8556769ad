"""Put base segments, sound and grain stream together in one file, and find the grain stream again; nothing is encoded anew.

The grain stream is an attachment in Matroska, a data track in MP4, and a file beside the movie for QuickTime.
Packets are copied as they are; only their times are set, from the exact times that stand beside each segment.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
from av.packet import Packet
from av.stream import Discard

from grainlayer.codec.base import read_times
from grainlayer.codec.framing import MAGIC
from grainlayer.errors import MediaError, StreamError
from grainlayer.picture.decoding import Damage, open_container, packets_of, picture_stream
from grainlayer.picture.matroska import set_sample_aspect
from grainlayer.picture.media import STILL_SUFFIXES, Frame, MediaInfo, checked_output, open_media, write_failure
from grainlayer.picture.moviewriter import Clock, Sound
from grainlayer.picture.probing import PICTURE_KEY

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.video.stream import VideoStream

ATTACHMENT = "grain.grainstream"
MIMETYPE = "application/x-grainlayer"
TRACK = "GrainLayer"
"""Name of the data track in MP4."""
SIDECAR = ".grain"
_MUXERS = {".mkv": "matroska", ".mp4": "mp4", ".mov": "mov"}
_HELD = {
    ".mkv": ("av1", "hevc", "h264", "vvc", "prores", "ffv1"),
    ".mp4": ("av1", "hevc", "h264", "vvc", "ffv1"),
    ".mov": ("hevc", "h264", "vvc", "prores", "dnxhd"),
}
_PLAIN_KEYS = frozenset(("title", "artist", "album", "comment", "copyright", "date", "description", "genre", "creation_time"))
_RESCUE = 1 << 24
"""Bytes at the head of a damaged movie that are searched for a grain stream."""


@dataclass(frozen=True)
class _Part:
    """Hold one segment: the times of its packets in the order of coding, in `time_base`."""

    path: Path
    times: tuple[int, ...]
    time_base: Fraction


def check_container(out: Path, codec: str) -> None:
    """Raise MediaError unless files named like `out` can hold a base in `codec` (a name of BASE_CODECS) and its grain."""
    suffix = out.suffix.lower()
    if suffix not in _HELD:
        raise MediaError(f"{out} cannot hold a base and its grain; name a file that ends in {', '.join(_HELD)}.")
    if codec not in _HELD[suffix]:
        others = " or ".join(other for other, codecs in _HELD.items() if codec in codecs)
        raise MediaError(f"{out} cannot hold a base in {codec}; name a file that ends in {others}.")


def attach(video: Path, stream: bytes, out: Path, *, overwrite: bool = False) -> None:
    """Write `out`: the pictures and sound of `video` as they are, with this grain stream in place of any other.

    Raise MediaError for what cannot be read or written; an existing output needs `overwrite`.
    """
    with open_media(video) as reader:
        info = reader.info
    assemble([video], stream, out, like=info, audio_from=video, overwrite=overwrite)


def assemble(
    segments: Sequence[Path],
    stream: bytes | None,
    out: Path,
    *,
    like: MediaInfo | None = None,
    audio_from: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Write `out` (.mkv, .mp4 or .mov): the segments one after another, and the grain stream.

    segments    encoded with equal settings, in the order of their times
    like        what the movie keeps: time base, rate, aspect, rotation, timecode, metadata; the first segment's without it
    audio_from  a movie whose audio streams are copied as they are
    Raise MediaError for segments that do not fit together, for what the container cannot hold or the disk does not take.
    """
    suffix = checked_output(out, overwrite).suffix.lower()
    if not segments:
        raise MediaError(f"There is no base to write to {out}; encode at least one shot.")
    beside = stream if suffix == ".mov" else None
    if beside is not None:
        checked_output(out.with_suffix(SIDECAR), overwrite)
    if like is None:
        with open_media(segments[0]) as reader:
            like = reader.info
    parts, codec = _checked(segments, like)
    check_container(out, codec)
    partial = out.with_name(f".{out.name}.{secrets.token_hex(4)}.partial")
    try:
        with _Assembly(partial, out, like, parts) as assembly:
            assembly.write(None if beside else stream, audio_from)
        if suffix == ".mkv" and like.sample_aspect != 1:
            set_sample_aspect(partial, like.sample_aspect)
        _place_sidecar(out, beside)
        os.replace(partial, out)
    except (av.error.FFmpegError, OSError) as error:
        raise error if isinstance(error, MediaError) else write_failure(out, OSError(error.errno, error.strerror)) from error
    finally:
        partial.unlink(missing_ok=True)


def read_stream(path: Path) -> bytes | None:
    """Return the grain stream that a movie carries, or a file beside a movie or sequence; None where there is none.

    `path` may also be a .grain file. Raise MediaError if the movie cannot be opened, StreamError if a file beside it cannot be read.
    """
    if path.suffix.lower() != SIDECAR:
        is_pictures = path.is_dir() or path.suffix.lower() in STILL_SUFFIXES
        found = None if is_pictures else _embedded(path)
        if found is not None:
            return found
        path = path.with_suffix(SIDECAR)
        if not path.is_file():
            return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise StreamError(f"The grain stream {path} cannot be read ({error.strerror}).") from error


def _place_sidecar(out: Path, stream: bytes | None) -> None:
    """Write the grain stream beside a QuickTime movie; a stale one goes."""
    place = out.with_suffix(SIDECAR)
    if stream is None:
        if out.suffix.lower() == ".mov":
            place.unlink(missing_ok=True)
        return
    partial = place.with_name(f".{place.name}.partial")
    try:
        partial.write_bytes(stream)
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)


def _checked(segments: Sequence[Path], like: MediaInfo) -> tuple[list[_Part], str]:
    """Return the segments' times, and their codec. Raise MediaError where two overlap or are encoded with other settings."""
    parts: list[_Part] = []
    first: tuple[str, object] | None = None
    for path in segments:
        with open_container(path) as container:
            video = picture_stream(path, container)
            facts = _facts(video)
            parts.append(_part(path, container, video, like))
        if first is not None and facts != first:
            raise MediaError(f"{path} was encoded with other settings than {segments[0]}; encode the shots again with equal ones.")
        first = facts
    for before, after in pairwise(parts):
        if min(after.times) * after.time_base <= max(before.times) * before.time_base:
            raise MediaError(f"{after.path} starts before {before.path} ends; give the segments in the order of their times.")
    return parts, first[0] if first else ""


def _facts(video: VideoStream) -> tuple[str, object]:
    """Return what must be equal in all segments; AV1 repeats its header in the stream, where small differences do no harm."""
    context = video.codec_context
    header = None if context.codec.canonical_name == "av1" else context.extradata
    return context.codec.canonical_name, (context.width, context.height, context.pix_fmt, header)


def _part(path: Path, container: InputContainer, video: VideoStream, like: MediaInfo) -> _Part:
    """Return a segment's times: the exact ones beside it, or those of its container."""
    try:
        stored = [packet.pts for packet in packets_of(container, video) if packet.size and packet.pts is not None]
    except Damage as damage:
        raise MediaError(f"{path} is damaged: {damage}; encode this shot again.") from damage
    if not stored:
        raise MediaError(f"{path} holds no picture; encode this shot again.")
    exact = read_times(path)
    if exact is None or len(exact) != len(stored):
        return _Part(path, tuple(stored), video.time_base or Fraction(1, 1000))
    rank = {pts: place for place, pts in enumerate(sorted(stored))}
    return _Part(path, tuple(exact[rank[pts]] for pts in stored), like.time_base)


class _Assembly(ExitStack):
    """Write one file beside its place; a context manager that closes all it opened, whatever fails."""

    def __init__(self, partial: Path, out: Path, like: MediaInfo, parts: list[_Part]) -> None:
        super().__init__()
        self._out, self._like, self._parts = out, like, parts
        self._suffix = out.suffix.lower()
        self._clock = Clock(like, out)
        self._time(min(parts[0].times), parts[0].time_base)
        first = self.enter_context(open_container(parts[0].path))
        tags = dict(like.metadata) | {key: value for key, value in first.metadata.items() if key.lower() == PICTURE_KEY}
        options = {} if self._suffix == ".mkv" else {"movie_timescale": str(self._clock.base.denominator)}
        if options and not {key.lower() for key in tags} <= _PLAIN_KEYS:
            options["movflags"] = "use_metadata_tags"
        file = self.enter_context(partial.open("xb"))
        self._output: OutputContainer = self.enter_context(closing(av.open(file, "w", format=_MUXERS[self._suffix], options=options)))
        self._output.metadata.update(tags)
        self._video = self._add_video(picture_stream(parts[0].path, first))

    def _add_video(self, source: VideoStream) -> VideoStream:
        """Add the pictures' stream, as the first segment has it, with what the movie keeps."""
        like = self._like
        video: Any = self._output.add_stream_from_template(source, opaque=True)
        video.time_base = self._clock.base
        coder = video.codec_context
        coder.framerate, coder.sample_aspect_ratio = like.rate, like.sample_aspect
        if coder.codec.canonical_name == "hevc" and self._suffix != ".mkv":
            coder.codec_tag = "hvc1"
        if coder.codec.canonical_name == "prores" and self._suffix == ".mov":
            coder.codec_tag = "ap4h" if "444" in str(source.codec_context.pix_fmt) else "apch"
        if like.display_matrix:
            video.set_display_matrix(like.display_matrix)
        elif like.rotation:
            video.set_display_rotation(like.rotation)
        if like.timecode:
            video.metadata["timecode"] = like.timecode
        return video

    def write(self, stream: bytes | None, audio_from: Path | None) -> None:
        """Write the grain stream, the pictures and the sound. Raise MediaError, OSError or what FFmpeg raises."""
        sound = self.enter_context(closing(Sound(audio_from, self._output))) if audio_from is not None else None
        grain = self._grain(stream) if stream is not None else None
        self._output.start_encoding()
        if grain is not None:
            self._output.mux_one(grain)
        for packet in self._pictures():
            self._output.mux_one(packet)
            if sound is not None and packet.dts is not None:
                sound.copy(packet.dts * packet.time_base)
        if sound is not None:
            sound.copy(None)
        self._output.close()

    def _grain(self, stream: bytes) -> Packet[Any] | None:
        """Add the grain stream; return the packet that carries it where it is no attachment."""
        if self._suffix == ".mkv":
            self._output.add_attachment(ATTACHMENT, MIMETYPE, stream)
            return None
        track = self._output.add_data_stream("bin_data")
        track.time_base = self._clock.base
        track.metadata["handler_name"] = TRACK
        first, last = self._parts[0], self._parts[-1]
        packet: Packet[Any] = Packet(stream)
        packet.stream, packet.time_base, packet.is_keyframe = track, self._clock.base, True
        packet.pts = packet.dts = self._time(min(first.times), first.time_base)[0]
        packet.duration = max(1, self._time(max(last.times), last.time_base)[0] - packet.pts)
        return packet

    def _time(self, time: int, time_base: Fraction) -> tuple[int, int]:
        """Return time of display and usual duration in the clock's base."""
        exact = time * time_base / self._like.time_base
        return self._clock.times(Frame((), 0, round(exact)))

    def _pictures(self) -> Iterator[Packet[Any]]:
        """Yield the pictures' packets with their times: decoding goes by the times of display, as late as each picture allows."""
        shown = [self._time(time, part.time_base)[0] for part in self._parts for time in part.times]
        order = sorted(shown)
        rank = {time: place for place, time in enumerate(order)}
        delay = max(place - rank[time] for place, time in enumerate(shown))
        usual = self._time(self._parts[-1].times[0], self._parts[-1].time_base)[1]
        early = [order[0] - usual * step for step in range(delay, 0, -1)]
        last = order[-1] + usual
        for packet, time, decoded in zip(self._packets(), shown, chain(early, order), strict=False):
            packet.stream, packet.time_base = self._video, self._clock.base
            packet.pts, packet.dts = time, decoded
            after = rank[time] + 1
            packet.duration = (order[after] if after < len(order) else last) - time
            yield packet

    def _packets(self) -> Iterator[Packet[Any]]:
        for part in self._parts:
            with open_container(part.path) as container:
                for packet in packets_of(container, picture_stream(part.path, container)):
                    if packet.size and packet.pts is not None:
                        yield packet


def _embedded(path: Path) -> bytes | None:
    """Return the grain stream inside a movie; of one whose container is damaged, what its head still holds."""
    try:
        with open_container(path) as container:
            found = _attached(container) or _tracked(container)
    except av.error.FFmpegError:
        found = None
    return found or _rescued(path)


def _attached(container: InputContainer) -> bytes | None:
    for stream in container.streams:
        attachment: Any = stream
        if stream.type == "attachment" and (stream.name == ATTACHMENT or attachment.mimetype == MIMETYPE):
            return attachment.data
    return None


def _tracked(container: InputContainer) -> bytes | None:
    tracks = [stream for stream in container.streams if stream.type == "data"]
    for stream in container.streams:
        stream.discard = Discard.default if stream in tracks else Discard.all
    for packet in container.demux(tracks) if tracks else ():
        data = bytes(packet)
        if data.startswith(MAGIC) or (data and packet.stream.metadata.get("handler_name") == TRACK):
            return data
    return None


def _rescued(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            head = file.read(_RESCUE)
    except OSError:
        return None
    place = head.find(MAGIC)
    return head[place:] if place >= 0 else None
