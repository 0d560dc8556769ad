"""Round pictures to codes with noise added before, so that what lies between two codes leaves no bands.

The noise is triangular, a code to either side: then neither the mean of what comes out nor its variance depends on where between two codes
a value lies (Lipshitz, Wannamaker and Vanderkooy, 1992). A value on a code stays there, so that what was stored and not changed is kept.
The noise is a function of frame, plane and place alone. Each row begins at a place of its own in a long strip, so that nothing repeats
across or down, and a picture needs little more than copies.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from grainlayer.grain.noise import philox
from grainlayer.picture import kernels
from grainlayer.picture.planes import Plane, Planes, finer_codes, from_image
from grainlayer.picture.samples import ColourTags, SampleFormat
from grainlayer.types import Image

MOST_BITS = 10
"""Bits of the finest codes that are dithered: rounding to 12 leaves no bands, even where contrast is raised fourfold."""
FINE_BITS = 15
"""Bits in which the noise is added; what is nearer to a code than to the next such step lies on it."""
PLACES = 1 << 16
"""Places in the strip where a row may begin."""
SEED = 0x6469746865720A0A
"""Key of the noise: any number, but always the same."""
_STRIP, _ROWS = 0, 1
"""Last words of the counters that make the strip, and of those that choose where rows begin."""

Noise = NDArray[np.int16]


def dithered(image: Image, format: SampleFormat, tags: ColourTags, frame: int, changed: tuple[bool, bool] = (True, True)) -> Planes:
    """Return an Image (H, W, 3) as planes of a format without its alpha, dithered where its codes have no more than MOST_BITS bits.

    frame    number of the picture: each has its own noise
    changed  whether to dither luma (or R, G and B), and chroma; planes that are not are rounded as `from_image` does
    """
    serves = kernels.fit(format) and format.bits <= MOST_BITS
    chosen = (changed[0], *((changed[0] if format.kind == "rgb" else changed[1],) * 2))
    if not serves or not any(chosen):
        return from_image(image, format, tags)[: format.plane_count - format.alpha]
    finer = FINE_BITS - format.bits
    planes = [_dithered(plane, finer, frame, index, format) for index, plane in enumerate(finer_codes(image, format, tags, finer))]
    if all(chosen):
        return tuple(planes)
    plain = from_image(image, format, tags)
    return tuple(plane if wanted else other for plane, other, wanted in zip(planes, plain, chosen, strict=False))


def _dithered(plane: Plane, finer: int, frame: int, index: int, format: SampleFormat) -> Plane:
    """Return a plane (H, W) of codes times 2 ** finer, which is overwritten, as codes of the format."""
    fine, unit = plane.view(np.uint16), 1 << finer
    added = noise(frame, index, *fine.shape, bits=finer)
    np.multiply(added, np.bitwise_and(fine, unit - 1) != 0, out=added)
    np.maximum(fine, unit // 2, out=fine)
    np.add(fine, added.view(np.uint16), out=fine)
    np.right_shift(fine, finer, out=fine)
    np.minimum(fine, int(format.peak), out=fine)
    return fine.astype(format.dtype, copy=False)


def noise(frame: int, plane: int, height: int, width: int, bits: int) -> Noise:
    """Return triangular noise (height, width) in 2 ** bits of a code, 5 to 7 bits; to be added before the fraction is cut off.

    From -1/2 to 3/2 of a code, of mean 1/2 less half of such a part.
    """
    counter = np.zeros((4, height), np.uint32)
    counter[0] = np.arange(height)
    counter[1:] = np.array([frame & 0xFFFFFFFF, plane, _ROWS], np.uint32)[:, None]
    starts = philox(counter, SEED)[0] & np.uint32(PLACES - 1)
    strip = _strip(-(-width // PLACES) + 1, bits)
    return np.lib.stride_tricks.sliding_window_view(strip, width)[starts]


@cache
def _strip(lengths: int, bits: int) -> Noise:
    """Return the strip, `lengths` times PLACES samples of noise."""
    counter = np.zeros((4, lengths * PLACES // 8), np.uint32)
    counter[0] = np.arange(counter.shape[1])
    counter[3] = _STRIP
    words = np.ascontiguousarray(philox(counter, SEED).T).astype("<u4")
    pairs = words.view(np.uint8).reshape(-1, 2).astype(np.int16)
    cut = 8 - bits
    return (pairs[:, 0] >> cut) + ((pairs[:, 1] + (1 << (cut - 1))) >> cut) - np.int16(1 << (bits - 1))
