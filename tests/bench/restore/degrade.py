"""Degrade a truth as consumer cameras do: chroma halved both ways (sited left), 8 bits, then x264 or x265, or nothing more."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from tests.bench.movies import fill_plane, halve_chroma, plane_samples
from tests.bench.restore.clips import Source, Truth, read_truth

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av import VideoFrame

Floats = NDArray[np.floating]
Bytes = NDArray[np.uint8]

BLOCK = 8
SCALES = ((16, 219), (128, 224))
"""Code of 0 and codes of 1 at 8 bits: of luma, of chroma."""
RATE = 24
BY_KIND = {1: -3, 3: 2}
"""What x265 adds to its QP in I (1) and B (3) pictures: FFmpeg's decoder of H.265 tells no QP."""


@dataclass(frozen=True)
class Condition:
    """Name a way to degrade. `codec` is empty for rounding alone; `softened` takes the noise out of the truth first."""

    name: str
    codec: str = ""
    qp: int = 0
    softened: bool = False

    @property
    def lossy(self) -> bool:
        """Say whether a codec was at work."""
        return bool(self.codec)


QPS = (22, 27, 32, 37)
ROUNDING = Condition("rounding")
SOFT_ROUNDING = Condition("rounding, noise-free", softened=True)
X264 = tuple(Condition(f"x264 QP {qp}", "libx264", qp) for qp in QPS)
X265 = Condition("x265 QP 32", "libx265", 32)
CONDITIONS = (*X264, X265, ROUNDING, SOFT_ROUNDING)
QUICK = (X264[1], X264[3], ROUNDING, SOFT_ROUNDING)


@dataclass(frozen=True, eq=False)
class Degraded:
    """Hold what the restoration is given.

    luma       (T, H, W), code - 16 over 219
    chroma     (T, H/2, W/2, 2), code - 128 over 224
    quantiser  (T, H/8, W/8): the QP of every 8x8 block over 64, as the stream states it; 0 where no codec was at work
    lossy      whether a codec was at work
    bits       of the stream, a pixel; 12 without a codec
    """

    luma: Floats
    chroma: Floats
    quantiser: Floats
    lossy: bool
    bits: float


@lru_cache(maxsize=2)
def degrade(source: Source, condition: Condition) -> Degraded:
    """Return a source degraded; its softened truth is the one to compare with where the condition says so."""
    truth = truth_of(source, condition)
    planes = [to_codes(truth, index) for index in range(len(truth.luma))]
    if not condition.lossy:
        rows, columns = truth.luma.shape[1] // BLOCK, truth.luma.shape[2] // BLOCK
        return _degraded(planes, [np.zeros((rows, columns), np.float32)] * len(planes), False, 12.0)
    data, size = encode(planes, condition)
    frames, quantisers = zip(*decode(data, condition.qp), strict=True)
    return _degraded(list(frames), list(quantisers), True, 8 * size / truth.luma.size)


def truth_of(source: Source, condition: Condition) -> Truth:
    """Return the truth that a condition is to be compared with."""
    return read_truth(Source(source.name, source.path, condition.softened))


def to_codes(truth: Truth, index: int) -> tuple[Bytes, Bytes, Bytes]:
    """Return one picture as 8-bit planes of 4:2:0, rounded to the nearest code and held in 0..255."""
    halves = [halve_chroma(truth.chroma[index, :, :, part].astype(np.float64)) for part in range(2)]
    return _codes(truth.luma[index], 0), _codes(halves[0], 1), _codes(halves[1], 1)


def _codes(values: NDArray[Any], kind: int) -> Bytes:
    offset, span = SCALES[kind]
    return np.clip(np.floor(values * float(span) + (offset + 0.5)), 0, 255).astype(np.uint8)


def from_codes(codes: Bytes, kind: int) -> Floats:
    """Return 8-bit codes as luma (kind 0) or chroma (kind 1)."""
    offset, span = SCALES[kind]
    return (codes.astype(np.float32) - offset) / span


def _degraded(planes: list[tuple[Bytes, Bytes, Bytes]], quantisers: list[Floats], lossy: bool, bits: float) -> Degraded:
    luma = np.stack([from_codes(frame[0], 0) for frame in planes])
    chroma = np.stack([np.stack([from_codes(plane, 1) for plane in frame[1:]], axis=2) for frame in planes])
    return Degraded(luma, chroma, np.stack(quantisers), lossy, bits)


def encode(planes: list[tuple[Bytes, Bytes, Bytes]], condition: Condition) -> tuple[bytes, int]:
    """Return pictures as a Matroska file, constant QP, all else the encoder's defaults, and the bytes of its packets.

    One thread: what these encoders make depends on how many they have.
    """
    import av

    lone = f"qp={condition.qp}:frame-threads=1:pools=none:log-level=none"
    options = {"qp": str(condition.qp), "threads": "1"} if condition.codec == "libx264" else {"x265-params": lone}
    file, size = io.BytesIO(), 0
    with av.open(file, "w", format="matroska") as container:
        stream: Any = container.add_stream(condition.codec, Fraction(RATE), options=options)
        stream.height, stream.width = planes[0][0].shape
        stream.pix_fmt, stream.codec_context.color_range, stream.codec_context.colorspace = "yuv420p", 1, 1
        for frame in [*(_frame(frame, index) for index, frame in enumerate(planes)), None]:
            for packet in stream.encode(frame):
                size += packet.size
                container.mux(packet)
    return file.getvalue(), size


def _frame(planes: tuple[Bytes, ...], index: int) -> VideoFrame:
    import av

    frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], "yuv420p")
    for place, plane in enumerate(planes):
        fill_plane(frame, place, plane)
    frame.pts, frame.time_base, frame.color_range, frame.colorspace = index, Fraction(1, RATE), 1, 1
    return frame


def decode(data: bytes, stated: int) -> Iterator[tuple[tuple[Bytes, Bytes, Bytes], Floats]]:
    """Yield every picture's planes and its quantiser (H/8, W/8); `stated` is the QP where the decoder tells none (H.265)."""
    import av

    with av.open(io.BytesIO(data), "r") as container:
        container.streams.video[0].codec_context.options = {"export_side_data": "venc_params"}
        for frame in container.decode(video=0):
            planes: Any = tuple(plane_samples(frame, index, "u1") for index in range(3))
            yield planes, quantiser(frame, stated)


def quantiser(frame: VideoFrame, stated: int) -> Floats:
    """Return the QP of every 8x8 block over 64, from the decoder's side data (FFmpeg's AVVideoEncParams), or by the kind of picture."""
    by_kind = stated + BY_KIND.get(int(frame.pict_type), 0)
    found = np.full((frame.height // BLOCK, frame.width // BLOCK), by_kind, np.float32)
    for index in range(len(frame.side_data)):
        side = cast(Any, frame.side_data)[index]
        if "ENC_PARAMS" in str(side.type):
            _fill_blocks(found, bytes(side))
    return found / 64


def _fill_blocks(table: Floats, data: bytes) -> None:
    """Write the QP of a frame's blocks into a table of 8x8 ones."""
    count = int(np.frombuffer(data[:4], "<u4")[0])
    start, size = (int(number) for number in np.frombuffer(data[8:24], "<u8"))
    _, base = (int(number) for number in np.frombuffer(data[24:32], "<i4"))
    for left, top, width, height, delta in np.frombuffer(data[start : start + count * size], "<i4").reshape(count, -1)[:, :5]:
        table[top // BLOCK : (top + height) // BLOCK, left // BLOCK : (left + width) // BLOCK] = base + delta
