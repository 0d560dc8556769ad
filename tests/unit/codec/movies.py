"""Small movies to test with: pictures that move, base segments made of them, a source with sound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from grainlayer.codec.base import base_format, open_segment
from grainlayer.picture.media import Frame, MediaInfo, Plane, open_media
from grainlayer.picture.samples import ColourTags, SampleFormat, sample_format

BASE = Fraction(1, 24000)
STEP = 1001


def movie_info(pix_fmt: str = "yuv420p10le", width: int = 48, height: int = 32, **changes: Any) -> MediaInfo:
    """Return what a movie of 24000/1001 frames a second is like."""
    facts: dict[str, Any] = {"rate": Fraction(24000, 1001), "time_base": BASE, "tags": ColourTags(False, 9, 16, 9, 1)} | changes
    return MediaInfo(Path("made.mkv"), "movie", width, height, sample_format(pix_fmt), **facts)


def pictures(format: SampleFormat, width: int, height: int, count: int, seed: int) -> Iterator[tuple[Plane, ...]]:
    """Yield pictures of one texture that slides: waves and a little noise."""
    rng = np.random.default_rng(seed)
    texture: list[Plane] = []
    for index in range(format.plane_count):
        rows, columns = np.indices(format.plane_shape(width, height, index))
        waves = 0.5 + 0.3 * np.sin(0.4 * columns + 0.2 * (index + seed) * rows)
        texture.append(np.round(format.peak * (waves + rng.normal(0, 0.01, waves.shape))))
    for place in range(count):
        yield tuple(np.roll(plane, 2 * place, 1).astype(format.dtype) for plane in texture)


def make_segments(folder: Path, codec: str, like: MediaInfo, times: Sequence[Sequence[int]], **settings: Any) -> list[Path]:
    """Encode one segment for each row of times."""
    format = base_format(codec, like.format)
    made: list[Path] = []
    for number, row in enumerate(times):
        made.append(folder / f"shot-{number}.mkv")
        with open_segment(made[-1], codec, like=like, format=format, tags=like.tags, **settings) as writer:
            for planes, pts in zip(pictures(format, like.width, like.height, len(row), number), row, strict=True):
                writer.write(planes, pts)
    return made


def even_times(*counts: int, start: int = 0) -> list[list[int]]:
    """Return rows of even times, one after another."""
    rows: list[list[int]] = []
    for count in counts:
        rows.append([start + STEP * place for place in range(count)])
        start += STEP * count
    return rows


def uneven_times(*counts: int) -> list[list[int]]:
    """Return rows of times with steps of 8 to 120 ms."""
    rng = np.random.default_rng(4)
    steps = np.cumsum(rng.integers(200, 2900, sum(counts))).tolist()
    return [[steps.pop(0) for _ in range(count)] for count in counts]


def read_frames(*paths: Path) -> list[Frame]:
    """Return all frames of movies."""
    found: list[Frame] = []
    for path in paths:
        with open_media(path) as reader:
            found += list(reader.frames())
    return found


def same_pictures(first: list[Frame], second: list[Frame]) -> bool:
    """Say whether two lists of frames hold the same planes."""
    pairs = zip(first, second, strict=True)
    return all(np.array_equal(a, b) for one, other in pairs for a, b in zip(one.planes, other.planes, strict=True))


def write_sound(path: Path, seconds: float = 1.0) -> None:
    """Write a movie of grey pictures with a stream of PCM and one of AAC or FLAC."""
    with av.open(str(path), "w") as output:
        video: Any = output.add_stream("libx264", rate=24)
        video.width, video.height, video.pix_fmt = 16, 16, "yuv420p"
        streams: list[Any] = [output.add_stream("aac", rate=48000, layout="stereo"), output.add_stream("flac", rate=44100, layout="mono")]
        for place in range(int(24 * seconds)):
            picture = av.VideoFrame(16, 16, "yuv420p")
            picture.pts = place
            output.mux(video.encode(picture))
        output.mux(video.encode(None))
        for stream in streams:
            _encode_tone(output, stream, int(stream.codec_context.sample_rate * seconds))


def _encode_tone(output: Any, stream: Any, samples: int) -> None:
    planar = stream.codec_context.format.name
    channels = len(stream.codec_context.layout.channels)
    for start in range(0, samples - 1023, 1024):
        tone = np.sin(np.arange(start, start + 1024) * 0.05)
        shape = (channels, 1024) if planar.endswith("p") else (1, 1024 * channels)
        values = np.broadcast_to(tone, (channels, 1024)).T.reshape(shape) if shape[0] == 1 else np.broadcast_to(tone, shape)
        kind = {"f": np.float32, "s": np.int16}[planar[0]]
        scaled = values if kind is np.float32 else values * 8000
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(scaled.astype(kind)), format=planar, layout=stream.codec_context.layout.name
        )
        frame.sample_rate, frame.pts = stream.codec_context.sample_rate, start
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def sound_packets(path: Path) -> list[list[bytes]]:
    """Return the bytes of each audio stream's packets."""
    with av.open(str(path)) as container:
        found: list[list[bytes]] = [[] for _ in container.streams.audio]
        places = {stream.index: place for place, stream in enumerate(container.streams.audio)}
        for packet in container.demux(*container.streams.audio):
            if packet.size:
                found[places[packet.stream_index]].append(bytes(packet))
    return found
