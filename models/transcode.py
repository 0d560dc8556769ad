"""Record pictures as cheap cameras do, in 8 bits, 4:2:0, H.264 or HEVC, and read back what the decoder tells of its quantiser.

A clip is (F, 3, H, W) float32: Y 0..1, Cb and Cr -0.5..0.5, all of one size, H and W multiples of 16. A code c of 8 bits in video
range stands for (c - 16) / 219 in luma and (c - 128) / 224 in chroma, one of n bits for the same with 2 ** (n - 8) times these numbers.
Chroma of 4:2:0 is sited left: on every second luma sample of a line, between two lines.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import av
import numpy as np
from av.video.frame import PictureType
from numpy.typing import NDArray

from grainlayer.picture.chroma import downsample
from grainlayer.picture.decoding import read_planes
from grainlayer.picture.quantiser import BLOCK as BLOCK
from grainlayer.picture.quantiser import CELL, OPTION, told_quantiser
from grainlayer.picture.samples import sample_format

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Kind = Literal["libx264", "libx265", "rounding", "rounding-444"]
KINDS: tuple[Kind, ...] = ("libx264", "libx265", "rounding", "rounding-444")
SHARES = (0.6, 0.2, 0.12, 0.08)
PRESETS: dict[str, tuple[str, ...]] = {
    "libx264": ("ultrafast", "veryfast", "fast", "medium", "slow"),
    "libx265": ("ultrafast", "veryfast", "fast", "medium"),
}
SOFTENED = 0.75
"""Share of the recordings whose chroma was made smaller by a mean, as most cameras and converters do."""
GOPS = (1, 3, 5, 12, 250)
"""Pictures from one key picture to the next."""
QUANTISERS = (17, 42)
"""Least and largest QP or CRF."""
BITS = (0.01, 2.5)
"""Bits per pixel and frame of the recordings made, as far as QUANTISERS reach."""
STEP = 4
"""Change of the quantiser where a recording came out beyond BITS."""
BY_TYPE = {"I": -3, "P": 0, "B": 2}
"""What x265 adds to its QP by the kind of picture, which its streams do not tell through FFmpeg."""
LEFT = 1


@dataclass(frozen=True)
class Recipe:
    """Say how a clip is recorded.

    kind      the encoder; 'rounding': 4:2:0 in 8 bits without one; 'rounding-444': rounded to 8 bits before chroma is made smaller too
    preset    the encoder's
    quantiser QP, or CRF where the encoder may vary the QP from block to block (`adaptive`)
    gop       pictures from one key picture to the next
    soft      whether chroma is made smaller by a mean, which blurs, or by the partner of linear interpolation
    """

    kind: Kind
    preset: str = ""
    quantiser: int = 0
    adaptive: bool = False
    gop: int = 250
    soft: bool = False

    @property
    def coded(self) -> bool:
        """Say whether an encoder takes part."""
        return self.kind in PRESETS


@dataclass(frozen=True, eq=False)
class Recording:
    """Hold what a player gets of a clip.

    luma (F, H, W) and chroma (F, 2, H/2, W/2)  8-bit codes in video range
    quantiser (F, H/8, W/8)                     QP by cell, 0 where nothing but rounding took place
    bits                                        per pixel and frame, those of the pictures alone, without headers
    told                                        whether the decoder told the QP of each block; else it is the encoder's setting
    """

    recipe: Recipe
    luma: Bytes
    chroma: Bytes
    quantiser: Bytes
    bits: float
    told: bool


def to_codes(values: Floats, bits: int, *, chroma: bool) -> NDArray[np.uint16]:
    """Return normalised values as codes of `bits` bits in video range, rounded half up and held within the codes."""
    unit = 2.0 ** (bits - 8)
    offset, span = (128, 224) if chroma else (16, 219)
    codes = np.floor(values * np.float64(span * unit) + (offset * unit + 0.5))
    return np.clip(codes, 0, 2**bits - 1).astype(np.uint16)


def from_codes(codes: NDArray[np.integer], bits: int, *, chroma: bool) -> Floats:
    """Return what codes of `bits` bits in video range stand for, float32."""
    unit = 2.0 ** (bits - 8)
    offset, span = (128, 224) if chroma else (16, 219)
    return (codes.astype(np.float32) - np.float32(offset * unit)) / np.float32(span * unit)


def smaller(plane: Floats, *, soft: bool) -> Floats:
    """Return a chroma plane (H, W) at half the size (H/2, W/2), sited left.

    `soft`: means of 1-2-1 across and 1-1 down; else the house's filter, which keeps what linear interpolation can give back.
    """
    if not soft:
        return downsample(plane, (1, 1), LEFT)
    wide = np.pad(plane, ((0, 0), (1, 1)), "edge")
    across = 0.5 * plane[:, 0::2] + 0.25 * (wide[:, 0:-2:2] + wide[:, 2::2])
    return 0.5 * (across[0::2] + across[1::2])


def in_eight_bits(clip: Floats, recipe: Recipe) -> tuple[Bytes, Bytes]:
    """Return luma (F, H, W) and chroma (F, 2, H/2, W/2) of a clip as codes of 8 bits."""
    luma = to_codes(clip[:, 0], 8, chroma=False).astype(np.uint8)
    full = from_codes(to_codes(clip[:, 1:], 8, chroma=True), 8, chroma=True) if recipe.kind == "rounding-444" else clip[:, 1:]
    halves = np.stack([np.stack([smaller(plane, soft=recipe.soft) for plane in frame]) for frame in full])
    return luma, to_codes(halves, 8, chroma=True).astype(np.uint8)


def draw_recipe(rng: np.random.Generator) -> Recipe:
    """Return a random recipe."""
    kind = KINDS[int(rng.choice(len(KINDS), p=SHARES))]
    soft = bool(rng.random() < SOFTENED)
    presets = PRESETS.get(kind, ("",))
    preset, gop = presets[int(rng.integers(len(presets)))], GOPS[int(rng.integers(len(GOPS)))]
    quantiser = int(rng.integers(QUANTISERS[0], QUANTISERS[1] + 1))
    adaptive = bool(rng.random() < 0.5) and kind == "libx264"
    return Recipe(kind, preset, quantiser, adaptive, gop, soft) if kind in PRESETS else Recipe(kind, soft=soft)


def record(clip: Floats, recipe: Recipe) -> Recording:
    """Return a clip's recording; where it came out beyond BITS, the one with the next quantiser of QUANTISERS within."""
    luma, chroma = in_eight_bits(clip, recipe)
    if not recipe.coded:
        height, width = luma.shape[1:]
        flat = np.zeros((len(luma), height // CELL, width // CELL), np.uint8)
        return Recording(recipe, luma, chroma, flat, 8 * (luma.size + chroma.size) / luma.size, told=True)
    made = _transcode(luma, chroma, recipe)
    way = STEP if made.bits > BITS[1] else -STEP
    while not BITS[0] <= made.bits <= BITS[1]:
        following = min(QUANTISERS[1], max(QUANTISERS[0], made.recipe.quantiser + way))
        if following == made.recipe.quantiser:
            break
        made = _transcode(luma, chroma, replace(made.recipe, quantiser=following))
    return made


def _options(recipe: Recipe) -> dict[str, str]:
    if recipe.kind == "libx265":
        numbers = f"qp={recipe.quantiser}:keyint={recipe.gop}:pools=1:frame-threads=1:log-level=none"
        return {"preset": recipe.preset, "x265-params": numbers}
    return {"preset": recipe.preset, "g": str(recipe.gop), "crf" if recipe.adaptive else "qp": str(recipe.quantiser)}


def _transcode(luma: Bytes, chroma: Bytes, recipe: Recipe) -> Recording:
    """Encode and decode planes in memory."""
    height, width = luma.shape[1:]
    held = io.BytesIO()
    size = 0
    with av.open(held, "w", format="matroska") as container:
        stream: Any = container.add_stream(recipe.kind, rate=Fraction(24))
        stream.width, stream.height, stream.pix_fmt, stream.options = width, height, "yuv420p", _options(recipe)
        stream.codec_context.thread_count = 1
        pictures: list[VideoFrame | None] = [*(_frame(y, c) for y, c in zip(luma, chroma, strict=True)), None]
        for picture in pictures:
            for packet in stream.encode(picture):
                size += picture_bytes(bytes(packet), hevc=recipe.kind == "libx265")
                container.mux(packet)
    planes, maps = decode(held.getvalue(), (width, height))
    quantiser = np.stack([_settled(one, kind, recipe, (height, width)) for kind, one in maps])
    told = all(one is not None for _, one in maps)
    codes = np.stack([p[0] for p in planes]), np.stack([np.stack(p[1:]) for p in planes])
    return Recording(recipe, *codes, quantiser, 8 * size / luma.size, told)


def _frame(luma: Bytes, chroma: Bytes) -> VideoFrame:
    height, width = luma.shape
    packed = np.concatenate([luma, chroma.reshape(height // 2, width)])
    return av.VideoFrame.from_ndarray(packed, format="yuv420p")


def picture_bytes(packet: bytes, *, hevc: bool) -> int:
    """Return how many bytes of an encoder's packet are pictures: parameters and the encoder's words about itself do not count."""
    units = [unit for unit in re.split(rb"\x00\x00\x01", packet)[1:] if unit]
    kinds = [unit[0] >> 1 & 63 if hevc else unit[0] & 31 for unit in units]
    return sum(len(unit) + 3 for unit, kind in zip(units, kinds, strict=True) if (kind < 32 if hevc else 1 <= kind <= 5))


Map = tuple[str, Bytes | None]
"""A picture's kind, I, P or B, and its QP by cell (H/8, W/8), None where the decoder does not tell it."""


def decode(movie: bytes, size: tuple[int, int]) -> tuple[list[Sequence[NDArray[Any]]], list[Map]]:
    """Return the planes of a movie's pictures, cropped to `size` (width, height), and their quantisers."""
    format = sample_format("yuv420p")
    planes: list[Sequence[NDArray[Any]]] = []
    maps: list[Map] = []
    with av.open(io.BytesIO(movie)) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = dict(OPTION)
        stream.codec_context.thread_count = 1
        for picture in container.decode(stream):
            planes.append(read_planes(picture, format, size))
            maps.append((PictureType(picture.pict_type).name, told_quantiser(picture)))
    return planes, maps


def _settled(found: Bytes | None, kind: str, recipe: Recipe, size: tuple[int, int]) -> Bytes:
    """Return the map that the decoder told, else one of the encoder's setting for pictures of this kind."""
    rows, columns = size[0] // CELL, size[1] // CELL
    if found is not None:
        return found[:rows, :columns]
    return np.full((rows, columns), recipe.quantiser + BY_TYPE.get(kind, 0), np.uint8)
