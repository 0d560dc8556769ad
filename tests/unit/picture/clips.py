"""Make small real movies and frames for the tests, by PyAV alone, so that the reader is checked against another writer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from grainlayer.picture.media import Frame, MediaInfo
from grainlayer.picture.samples import ColourTags, SampleFormat, sample_format

RATE = Fraction(24000, 1001)
QUIET = {"libx265": {"x265-params": "log-level=none"}}


def noise(format: SampleFormat, size: tuple[int, int], seed: int) -> tuple[np.ndarray, ...]:
    """Return random planes that use every code of the format."""
    rng = np.random.default_rng(seed)
    shapes = [format.plane_shape(*size, index) for index in range(format.plane_count)]
    if format.floating:
        return tuple(rng.normal(0.5, 1, shape).astype(format.dtype) for shape in shapes)
    return tuple(rng.integers(0, 1 << format.bits, shape).astype(format.dtype) for shape in shapes)


def frames(format: SampleFormat, size: tuple[int, int], times: Sequence[int], step: int = 1) -> list[Frame]:
    """Return frames of noise at the given times."""
    return [Frame(noise(format, size, index), index, pts, step) for index, pts in enumerate(times)]


def like(format: str | SampleFormat = "yuv420p10le", size: tuple[int, int] = (34, 18), **changes: object) -> MediaInfo:
    """Return a MediaInfo with much to keep."""
    form = sample_format(format) if isinstance(format, str) else format
    located = 3 if form.chroma_shift == (1, 1) else 0
    tags = ColourTags(form.kind != "yuv", 9, 16, 0 if form.kind == "rgb" else 9, located)
    fields: dict[str, object] = {"rate": RATE, "time_base": 1 / RATE, "tags": tags} | changes
    return MediaInfo(path=Path("source"), kind="movie", width=size[0], height=size[1], format=form, **fields)  # pyright: ignore


def pictures(count: int, size: tuple[int, int], pix_fmt: str = "yuv420p") -> Iterator[av.VideoFrame]:
    """Yield pictures that differ and that encoders find neither trivial nor hard."""
    for index in range(count):
        picture = av.VideoFrame(*size, pix_fmt)
        for number, plane in enumerate(picture.planes):
            data = np.frombuffer(plane, np.uint8 if picture.format.components[0].bits == 8 else np.uint16)  # pyright: ignore
            data[:] = np.random.default_rng(7 * index + number).integers(0, 60, data.size) + 2 * index
        picture.pts = index
        yield picture


def movie(
    path: Path,
    codec: str = "libx264",
    count: int = 24,
    size: tuple[int, int] = (64, 48),
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    time_base: Fraction = 1 / RATE,
    sound: str | None = None,
    muxer: dict[str, str] | None = None,
) -> Path:
    """Write a movie with FFmpeg's own means, with a tone where `sound` names an audio codec."""
    with av.open(str(path), "w", options=muxer or {}) as container:
        stream = container.add_stream(codec, rate=RATE, options={**QUIET.get(codec, {}), **(options or {})})
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.time_base = time_base
        voice = container.add_stream(sound, rate=48000) if sound else None
        if voice is not None:
            for block in range(count * 2):
                tone = av.AudioFrame.from_ndarray(_tone(voice.codec_context.format.name, block), voice.codec_context.format.name, "stereo")
                tone.sample_rate, tone.pts = 48000, 1024 * block
                container.mux(voice.encode(tone))
            container.mux(voice.encode(None))
        for index, picture in enumerate(pictures(count, size, pix_fmt)):
            picture.pts = times[index] if times else index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def _tone(name: str, block: int) -> np.ndarray:
    wave = 0.2 * np.sin(np.arange(1024) / 9 + block)
    if name == "fltp":
        return np.stack([wave, -wave]).astype(np.float32)
    return np.repeat((wave * 2**15).astype(np.int16), 2)[None]


def decoded(path: Path) -> list[tuple[bytes, ...]]:
    """Return every picture's planes as FFmpeg gives them to a plain reader, in one thread."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_count = 1
        return [
            tuple(bytes(np.ascontiguousarray(_rows(p))) for p in picture.planes) for picture in container.decode(container.streams.video[0])
        ]


def _rows(plane: av.video.plane.VideoPlane) -> np.ndarray:
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]  # pyright: ignore
