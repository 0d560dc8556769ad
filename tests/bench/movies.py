"""Read, convert and write the benchmarks' clips without the product's own code, so that it is judged from outside.

Planes are 10-bit 4:2:0 of BT.709 in video range, chroma sited left: (Y, U, V) uint16. Sides must be even.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import OutputContainer
    from av.video.stream import VideoStream

Floats = NDArray[np.float64]
Plane = NDArray[np.uint16]
Planes = tuple[Plane, Plane, Plane]

RED, BLUE = 0.2126, 0.0722
"""Luma weights of BT.709."""


def rgb_to_planes(picture: Floats) -> Planes:
    """Return a picture (H, W, 3), code values, as planes: chroma filtered 1 2 1 across and 1 1 down, rounded, held in 0..1023."""
    red, green, blue = (picture[:, :, channel] for channel in range(3))
    luma = RED * red + (1 - RED - BLUE) * green + BLUE * blue
    u, v = (blue - luma) / (2 - 2 * BLUE), (red - luma) / (2 - 2 * RED)
    return _codes(876 * luma + 64), _codes(896 * halve_chroma(u) + 512), _codes(896 * halve_chroma(v) + 512)


def planes_to_rgb(planes: Planes) -> Floats:
    """Return planes as a picture (H, W, 3), code values, never clipped; chroma is interpolated linearly."""
    luma = (planes[0] - 64.0) / 876
    u, v = (double_chroma((plane - 512.0) / 896) for plane in planes[1:])
    red, blue = luma + (2 - 2 * RED) * v, luma + (2 - 2 * BLUE) * u
    green = (luma - RED * red - BLUE * blue) / (1 - RED - BLUE)
    return np.stack([red, green, blue], axis=2)


def _codes(values: Floats) -> Plane:
    return np.clip(np.floor(values + 0.5), 0, 1023).astype(np.uint16)


def halve_chroma(full: Floats) -> Floats:
    """Return a plane of half the size, sited left: filtered 1 2 1 across and 1 1 down."""
    wide = np.pad(full, ((0, 0), (1, 1)), mode="edge")
    across = (wide[:, 0:-2:2] + 2 * wide[:, 1:-1:2] + wide[:, 2::2]) / 4
    return (across[0::2] + across[1::2]) / 2


def double_chroma(half: Floats) -> Floats:
    """Return a plane, sited left, at twice the size, interpolated linearly."""
    after = np.concatenate([half[:, 1:], half[:, -1:]], axis=1)
    across = np.stack([half, (half + after) / 2], axis=2).reshape(half.shape[0], -1)
    padded = np.pad(across, ((1, 1), (0, 0)), mode="edge")
    upper, lower = 0.75 * across + 0.25 * padded[:-2], 0.75 * across + 0.25 * padded[2:]
    return np.stack([upper, lower], axis=1).reshape(-1, across.shape[1])


def read_rgb(path: Path, limit: int) -> Iterator[Floats]:
    """Yield at most `limit` pictures of a movie of any format, (H, W, 3) code values, through swscale at 16 bit."""
    import av

    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index == limit:
                return
            yield np.asarray(frame.reformat(format="rgb48le").to_ndarray(), np.float64) / 65535


def read_planes(path: Path, start: int = 0, count: int | None = None) -> Iterator[Planes]:
    """Yield the stored planes of a 10-bit 4:2:0 movie, frames start to start + count."""
    import av

    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if count is not None and index >= start + count:
                return
            if index >= start:
                yield frame_planes(frame)


def frame_planes(frame: VideoFrame) -> Planes:
    """Return a frame's planes, copied. Raise ValueError unless it is yuv420p10le."""
    if frame.format.name != "yuv420p10le":
        raise ValueError(f"a frame of yuv420p10le is needed; got {frame.format.name}")
    return plane_samples(frame, 0), plane_samples(frame, 1), plane_samples(frame, 2)


def plane_samples(frame: VideoFrame, index: int, kind: str = "<u2") -> Plane:
    """Return a copy of one plane of a frame, (rows, columns), of a sample type."""
    plane = frame.planes[index]
    samples = np.frombuffer(memoryview(cast(Any, plane)), kind)
    return samples.reshape(plane.height, -1)[:, : plane.width].copy()


def fill_plane(frame: VideoFrame, index: int, samples: NDArray[Any]) -> None:
    """Copy samples (rows, columns) into one plane of a frame."""
    target = frame.planes[index]
    padded = np.zeros((target.height, target.line_size // samples.itemsize), samples.dtype)
    padded[:, : samples.shape[1]] = samples
    target.update(padded.tobytes())


def planes_frame(planes: Planes, index: int, rate: int) -> VideoFrame:
    """Return planes as a frame tagged BT.709, video range."""
    import av

    frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], "yuv420p10le")
    for place, plane in enumerate(planes):
        fill_plane(frame, place, plane)
    frame.pts, frame.time_base = index, Fraction(1, rate)
    frame.colorspace = frame.color_primaries = frame.color_trc = 1
    frame.color_range = 1
    return frame


def write_planes(path: Path, frames: Iterable[Planes], rate: int) -> None:
    """Write planes as FFV1 in Matroska, beside its place first."""
    partial = path.with_name(f".{os.getpid()}-{path.name}")
    encode_planes(partial, frames, rate, "ffv1", {"level": "3", "slices": "4"})
    partial.replace(path)


def encode_planes(path: Path, frames: Iterable[Planes], rate: int, codec: str, options: dict[str, str]) -> int:
    """Write planes by an encoder of PyAV and return the bytes of its packets."""
    import av

    total = 0
    with av.open(str(path), "w") as container:
        stream: VideoStream | None = None
        for index, planes in enumerate(frames):
            frame = planes_frame(planes, index, rate)
            stream = stream or _add_stream(container, frame, rate, codec, options)
            total += _mux(container, stream.encode(frame))
        total += _mux(container, stream.encode(None)) if stream else 0
    return total


def _mux(container: OutputContainer, packets: Iterable[Packet[Any]]) -> int:
    """Write packets and return their bytes."""
    total = 0
    for packet in packets:
        total += packet.size
        container.mux(packet)
    return total


def _add_stream(container: OutputContainer, frame: VideoFrame, rate: int, codec: str, options: dict[str, str]) -> VideoStream:
    stream = cast("VideoStream", container.add_stream(codec, Fraction(rate), options=options))
    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p10le"
    stream.time_base = Fraction(1, rate)
    context = stream.codec_context
    context.color_range = context.colorspace = context.color_primaries = context.color_trc = 1
    return stream
