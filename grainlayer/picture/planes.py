"""Convert between the planes that a file stores and the Image that everything else works on, and split planes in layers.

Image to planes and back gives every stored code back, in gamut or out of it, and the Y of the RGB is the stored Y: chroma is
brought up and down by exact partners (see chroma.py). Nothing is clipped on the way to an Image; on the way back only what no
code can hold is. Integer formats run in the native kernels; the functions ending in `_plain` are their NumPy reference.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from grainlayer.errors import MediaError
from grainlayer.picture import kernels
from grainlayer.picture.chroma import downsample, together, upsample
from grainlayer.picture.kernels import Scale
from grainlayer.picture.samples import BT601_525, BT709, MATRIX_RGB, UNSPECIFIED, ColourTags, SampleFormat
from grainlayer.types import Image, check_image

Plane = NDArray[np.generic]
Planes = tuple[Plane, ...]

LUMA_WEIGHTS: dict[int, tuple[float, float]] = {
    BT709: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    BT601_525: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
"""Kr and Kb by matrix number, ITU-T H.273; constant luminance is treated as non-constant."""
HALF_PEAK = 65504.0
"""The largest half float."""
LARGEST_SD = 576
"""A picture without a matrix tag is BT.601 up to this height, BT.709 above, as players have it."""


def matrix_number(tags: ColourTags, height: int) -> int:
    """Return the matrix to use for YUV of a picture of `height`: the tagged one, or the one players assume."""
    if tags.matrix in LUMA_WEIGHTS or tags.matrix == MATRIX_RGB:
        return tags.matrix
    return BT709 if height > LARGEST_SD else BT601_525


@cache
def scale(format: SampleFormat, full_range: bool, matrix: int) -> Scale:
    """Return the numbers of a format; floats are taken as they are, whatever the range says."""
    kr, kb = LUMA_WEIGHTS.get(matrix, LUMA_WEIGHTS[BT709])
    if format.floating:
        return Scale(0, 1, 0, 1, HALF_PEAK if format.bits == 16 else math.inf, kr, kb)
    unit, peak, middle = 2.0 ** (format.bits - 8), float(format.peak), 2.0 ** (format.bits - 1)
    if full_range:
        return Scale(0, peak, middle, peak, peak, kr, kb)
    return Scale(16 * unit, 219 * unit, middle, 224 * unit, peak, kr, kb)


def midpoints(height: int, format: SampleFormat, tags: ColourTags) -> tuple[int, ...]:
    """Return the code of each plane that means no grain in a grain file of pictures so high: code value 0.5, 0 for floats.

    Between black and white, so 502 for 10-bit luma in video range; where it lies between two codes, the upper one. Chroma and alpha:
    half of the codes.
    """
    if format.floating:
        return (0,) * format.plane_count
    numbers, colour, _ = _prepared(height, format, tags)
    middle, half = math.floor(numbers.luma_offset + numbers.luma_range / 2 + 0.5), 1 << (format.bits - 1)
    shown = format.plane_count - format.alpha
    return (*((half if colour and plane else middle) for plane in range(shown)), *((half,) if format.alpha else ()))


def to_image(planes: Planes, format: SampleFormat, tags: ColourTags, threads: int | None = None) -> Image:
    """Return stored planes as an Image; alpha is left out. Never clips.

    Raise MediaError if the planes are not of the format. `threads`: None for all processors.
    """
    check_planes(planes, format)
    numbers, colour, swapped = _prepared(planes[0].shape[0], format, tags)
    if not kernels.fit(format):
        return to_image_plain(planes, format, tags)
    if not colour:
        return kernels.codes_to_image(_rgb_order(planes, format, swapped), numbers, threads)
    return kernels.yuv_to_image(planes[:3], format.chroma_shift, together(tags.chroma_location), numbers, threads)


def from_image(image: Image, format: SampleFormat, tags: ColourTags, *, like: Planes | None = None, threads: int | None = None) -> Planes:
    """Return an Image as planes of a format: codes rounded half up and held within the format's codes.

    Alpha is taken from `like`, the source's planes; without it, it is opaque. Raise MediaError if `like` is not of the format.
    """
    check_image("image", image)
    alpha = _alpha(image, format, like)
    if not kernels.fit(format):
        return from_image_plain(image, format, tags) + alpha
    return finer_codes(image, format, tags, 0, threads) + alpha


def finer_codes(image: Image, format: SampleFormat, tags: ColourTags, finer: int, threads: int | None = None) -> Planes:
    """Return an Image as planes of a format that the kernels serve, its codes times 2 ** finer, at most 16 bits; alpha is left out."""
    numbers, colour, swapped = _prepared(image.shape[0], format, tags)
    if finer:
        times, format = 2.0**finer, replace(format, bits=format.bits + finer)
        spans = {name: times * getattr(numbers, name) for name in ("luma_offset", "luma_range", "chroma_offset", "chroma_range", "peak")}
        numbers = replace(numbers, **spans)
    if format.kind == "grey":
        return kernels.image_to_yuv(image, format, (0, 0), (False, False), numbers, threads)
    if not colour:
        return _file_order(kernels.image_to_codes(image, format, numbers, threads), swapped)
    return kernels.image_to_yuv(image, format, format.chroma_shift, together(tags.chroma_location), numbers, threads)


def _prepared(height: int, format: SampleFormat, tags: ColourTags) -> tuple[Scale, bool, bool]:
    """Return the scale, whether planes are luma and chroma, and whether they stand as G, B, R in a format called YUV."""
    matrix = matrix_number(tags, height)
    swapped = format.kind == "yuv" and matrix == MATRIX_RGB
    if swapped and format.chroma_shift != (0, 0):
        matrix, swapped = matrix_number(ColourTags(matrix=UNSPECIFIED), height), False
    return scale(format, tags.full_range, matrix), format.kind == "yuv" and not swapped, swapped


def _rgb_order(planes: Planes, format: SampleFormat, swapped: bool) -> Planes:
    if format.kind == "grey":
        return planes[0], planes[0], planes[0]
    return (planes[2], planes[0], planes[1]) if swapped else planes[:3]


def _file_order(planes: Planes, swapped: bool) -> Planes:
    return (planes[1], planes[2], planes[0]) if swapped else planes


def _alpha(image: Image, format: SampleFormat, like: Planes | None) -> Planes:
    if not format.alpha:
        return ()
    if like is None:
        return (np.full(image.shape[:2], format.peak, format.dtype),)
    check_planes(like, format)
    if like[0].shape != image.shape[:2]:
        raise MediaError(f"Alpha of {like[0].shape[1]}x{like[0].shape[0]} does not fit a picture of {image.shape[1]}x{image.shape[0]}.")
    return (like[-1].copy(),)


def check_planes(planes: Planes, format: SampleFormat) -> None:
    """Raise MediaError unless planes have the number, type and sizes of a format."""
    if len(planes) != format.plane_count or any(plane.ndim != 2 or plane.dtype != format.dtype for plane in planes):
        raise MediaError(f"A picture of format {format.name} must have {format.plane_count} planes of {format.dtype}.")
    height, width = planes[0].shape
    for index, plane in enumerate(planes):
        if plane.shape != format.plane_shape(width, height, index) or plane.size == 0:
            raise MediaError(f"Plane {index} of a {width}x{height} picture of format {format.name} is of the wrong size, {plane.shape}.")


def to_image_plain(planes: Planes, format: SampleFormat, tags: ColourTags) -> Image:
    """Do what `to_image` does, in NumPy; the reference of the kernels."""
    numbers, colour, swapped = _prepared(planes[0].shape[0], format, tags)
    height, width = planes[0].shape
    image = np.empty((height, width, 3), np.float32)
    if not colour:
        for channel, plane in enumerate(_rgb_order(planes, format, swapped)):
            image[:, :, channel] = (plane.astype(np.float32) - np.float32(numbers.luma_offset)) / np.float32(numbers.luma_range)
        return image
    luma = (planes[0].astype(np.float32) - np.float32(numbers.luma_offset)) / np.float32(numbers.luma_range)
    chroma = [upsample(p.astype(np.float32), height, width, format.chroma_shift, tags.chroma_location) for p in planes[1:3]]
    u, v = (plane - np.float32(numbers.chroma_offset) for plane in chroma)
    red, blue, green_u, green_v = (np.float32(n) for n in numbers.chroma_gains())
    image[:, :, 0] = luma + v * red
    image[:, :, 1] = (luma - u * green_u) - v * green_v
    image[:, :, 2] = luma + u * blue
    return image


def from_image_plain(image: Image, format: SampleFormat, tags: ColourTags) -> Planes:
    """Do what `from_image` does but for alpha, in NumPy; the reference of the kernels."""
    numbers, colour, swapped = _prepared(image.shape[0], format, tags)
    gain, offset = np.float32(numbers.luma_range), np.float32(numbers.luma_offset)
    if format.kind == "rgb" or swapped:
        return _file_order(tuple(_stored(image[:, :, c] * gain + offset, format, numbers) for c in range(3)), swapped)
    red, green, blue = image[:, :, 0], image[:, :, 1], image[:, :, 2]
    luma = (green + np.float32(numbers.kr) * (red - green)) + np.float32(numbers.kb) * (blue - green)
    first = _stored(luma * gain + offset, format, numbers)
    if not colour:
        return (first,)
    u_gain, v_gain = (np.float32(n) for n in numbers.difference_gains())
    return first, *(
        _stored(downsample(plane, format.chroma_shift, tags.chroma_location) + np.float32(numbers.chroma_offset), format, numbers)
        for plane in ((blue - luma) * u_gain, (red - luma) * v_gain)
    )


def _stored(codes: NDArray[np.floating], format: SampleFormat, numbers: Scale) -> Plane:
    """Round codes half up within 0..peak; floats are held within what the type can hold. NaN in integers becomes 0."""
    if format.floating:
        return np.clip(codes, -np.float32(numbers.peak), np.float32(numbers.peak)).astype(format.dtype)
    held = np.fmin(np.fmax(codes, np.float32(0)), np.float32(numbers.peak))
    return (held + np.float32(0.5)).astype(np.int32).astype(format.dtype)


def split_planes(source: Planes, base: Planes, format: SampleFormat, tags: ColourTags, *, wide: bool = False) -> tuple[Planes, Planes]:
    """Return (base, grain) planes of the format that add up to the source; alpha goes with the base, its grain is none.

    Integers: base + grain - midpoint is the source at every pixel; where that grain would not fit its codes, the rest goes to
    the base. Floats: base + grain misses the source by at most half a step of the smaller of the two, so by half a step of the
    source but where both are larger than it (dark pixels under strong grain). `wide` gives the grain of half floats in single
    precision, which leaves no such pixels.
    """
    check_planes(source, format)
    check_planes(base, format)
    middles = midpoints(source[0].shape[0], format, tags)
    pairs = [_split(s, b, format, middle, wide) for s, b, middle in zip(source, base, middles, strict=True)]
    layers = tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
    if not format.alpha:
        return layers
    none = np.full_like(layers[1][-1], middles[-1])
    return (*layers[0][:-1], source[-1].copy()), (*layers[1][:-1], none)


def join_planes(base: Planes, grain: Planes, format: SampleFormat, tags: ColourTags) -> Planes:
    """Return the planes of the format that base and grain of `split_planes` add up to."""
    check_planes(base, format)
    if format.floating:
        return tuple((b.astype(np.float64) + g.astype(np.float64)).astype(format.dtype) for b, g in zip(base, grain, strict=True))
    check_planes(grain, format)
    middles = midpoints(base[0].shape[0], format, tags)
    sums = (b.astype(np.int32) + g.astype(np.int32) - middle for b, g, middle in zip(base, grain, middles, strict=True))
    return tuple(np.clip(total, 0, int(format.peak)).astype(format.dtype) for total in sums)


def _split(source: Plane, base: Plane, format: SampleFormat, middle: int, wide: bool) -> tuple[Plane, Plane]:
    if not format.floating:
        return kernels.split_codes(source, base, middle, int(format.peak))
    grain = (source.astype(np.float64) - base.astype(np.float64)).astype(np.float32 if wide else format.dtype)
    return (source.astype(np.float64) - grain.astype(np.float64)).astype(format.dtype), grain


def split_codes_plain(source: Plane, base: Plane, middle: int, peak: int) -> tuple[Plane, Plane]:
    """Do what the kernel of `split_planes` does to one integer plane, in NumPy."""
    wide = source.astype(np.int32)
    grain = np.clip(wide - base.astype(np.int32) + middle, 0, peak)
    return (wide - grain + middle).astype(source.dtype), grain.astype(source.dtype)
