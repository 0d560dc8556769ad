"""Call the native kernels of planes: the arithmetic of planes.py, row by row on a few threads, the same bits."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainlayer.native import address, kernel, members, run_rows
from grainlayer.picture.samples import SampleFormat
from grainlayer.types import Image

Plane = NDArray[np.generic]
Planes = tuple[Plane, ...]

LEAST_CHROMA_ROWS = 16
"""Chroma rows a part has at least: at its ends a part works out a few rows that its neighbour does too."""


@dataclass(frozen=True)
class Scale:
    """Hold the numbers of a format: luma = (code - luma_offset) / luma_range, chroma (-0.5..0.5) likewise, Kr and Kb of the matrix."""

    luma_offset: float
    luma_range: float
    chroma_offset: float
    chroma_range: float
    peak: float
    kr: float
    kb: float

    def chroma_gains(self) -> tuple[float, float, float, float]:
        """Return what codes of chroma add: V to red, U to blue, and take from green, U and V."""
        red, blue, kg = 2 * (1 - self.kr) / self.chroma_range, 2 * (1 - self.kb) / self.chroma_range, 1 - self.kr - self.kb
        return red, blue, blue * self.kb / kg, red * self.kr / kg

    def difference_gains(self) -> tuple[float, float]:
        """Return the codes of U for each unit of blue - luma, and of V for red - luma."""
        return self.chroma_range / (2 * (1 - self.kb)), self.chroma_range / (2 * (1 - self.kr))


class Layout(ctypes.Structure):
    """Mirror `Layout` of native/planes.cpp. Strides are in samples."""

    _fields_ = members(
        (ctypes.c_void_p * 3, "planes"),
        (ctypes.c_int64 * 3, "strides"),
        (ctypes.c_int32, "width height bytes count across down on_across on_down"),
        (ctypes.c_float, "luma_offset luma_range chroma_offset peak"),
        (ctypes.c_float * 4, "gains"),
    )


def fit(format: SampleFormat) -> bool:
    """Say whether the kernels serve a format: integers, chroma halved or whole."""
    return not format.floating and max(format.chroma_shift) < 2


def _layout(planes: Planes, size: tuple[int, int], numbers: Scale, shift: tuple[int, int], on: tuple[bool, bool]) -> Layout:
    layout = Layout()
    for index, plane in enumerate(planes):
        layout.planes[index] = plane.ctypes.data
        layout.strides[index] = plane.strides[0] // plane.itemsize
    layout.height, layout.width = size
    layout.bytes, layout.count = planes[0].itemsize, len(planes)
    layout.across, layout.down = shift
    layout.on_across, layout.on_down = on
    layout.luma_offset, layout.luma_range = numbers.luma_offset, numbers.luma_range
    layout.chroma_offset, layout.peak = numbers.chroma_offset, numbers.peak
    return layout


def _rows_in_order(plane: Plane) -> Plane:
    """Return a plane whose rows are dense and a whole number of samples apart, the same one where it is."""
    dense = plane.strides[1] == plane.itemsize and plane.strides[0] >= 0 and plane.strides[0] % plane.itemsize == 0
    return plane if dense and plane.dtype.isnative else np.ascontiguousarray(plane, plane.dtype.newbyteorder("="))


def yuv_to_image(planes: Planes, shift: tuple[int, int], on: tuple[bool, bool], numbers: Scale, threads: int | None) -> Image:
    """Return Y, U, V planes as an Image; `on`: whether chroma lies on luma samples, across and down."""
    height, width = planes[0].shape
    planes = tuple(_rows_in_order(plane) for plane in planes)
    layout = _layout(planes, (height, width), numbers, shift, on)
    layout.gains[:] = numbers.chroma_gains()
    return _to_image("grainlayer_yuv_to_image", layout, 4 * (width + 16), threads)


def codes_to_image(planes: Planes, numbers: Scale, threads: int | None) -> Image:
    """Return R, G, B planes as an Image."""
    planes = tuple(_rows_in_order(plane) for plane in planes)
    layout = _layout(planes, planes[0].shape, numbers, (0, 0), (False, False))
    return _to_image("grainlayer_codes_to_image", layout, 1, threads)


def _to_image(name: str, layout: Layout, scratch: int, threads: int | None) -> Image:
    image = np.empty((layout.height, layout.width, 3), np.float32)
    call = kernel(name, ctypes.POINTER(Layout), *[ctypes.c_void_p] * 2, *[ctypes.c_int32] * 2)

    def part(first: int, end: int) -> None:
        rows = np.empty(scratch, np.float32)
        call(layout, address(image), address(rows), first, end)

    run_rows(part, layout.height, threads)
    return image


def image_to_yuv(
    image: Image, format: SampleFormat, shift: tuple[int, int], on: tuple[bool, bool], numbers: Scale, threads: int | None
) -> Planes:
    """Return an Image as Y, U, V planes, or as Y alone for a grey format."""
    height, width = image.shape[:2]
    count = 1 if format.kind == "grey" else 3
    planes = tuple(np.empty(format.plane_shape(width, height, index), format.dtype) for index in range(count))
    layout = _layout(planes, (height, width), numbers, shift, on)
    layout.gains[:] = (numbers.kr, numbers.kb, *numbers.difference_gains())
    call = kernel("grainlayer_image_to_yuv", ctypes.POINTER(Layout), *[ctypes.c_void_p] * 2, *[ctypes.c_int32] * 2)

    def part(first: int, end: int) -> None:
        rows = np.empty(20 * (width + 16), np.float32)
        call(layout, address(image), address(rows), first, end)

    run_rows(part, -(-height >> shift[1]), threads, LEAST_CHROMA_ROWS)
    return planes


def image_to_codes(image: Image, format: SampleFormat, numbers: Scale, threads: int | None) -> Planes:
    """Return an Image as R, G, B planes."""
    planes = tuple(np.empty(image.shape[:2], format.dtype) for _ in range(3))
    layout = _layout(planes, (image.shape[0], image.shape[1]), numbers, (0, 0), (False, False))
    call = kernel("grainlayer_image_to_codes", ctypes.POINTER(Layout), ctypes.c_void_p, *[ctypes.c_int32] * 2)
    run_rows(lambda first, end: call(layout, address(image), first, end), image.shape[0], threads)
    return planes


def split_codes(source: Plane, base: Plane, middle: int, peak: int) -> tuple[Plane, Plane]:
    """Return (base, grain) of one integer plane; see planes.split_planes."""
    source, base = np.ascontiguousarray(source), np.ascontiguousarray(base)
    rest, grain = np.empty_like(source), np.empty_like(source)
    call = kernel("grainlayer_split_codes", *[ctypes.c_void_p] * 4, ctypes.c_int64, *[ctypes.c_int32] * 3)
    call(address(source), address(base), address(rest), address(grain), source.size, middle, peak, source.itemsize)
    return rest, grain
