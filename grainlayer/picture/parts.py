"""Choose the part of a picture on which its grain is measured."""

from __future__ import annotations

import numpy as np

from grainlayer.errors import ParamError
from grainlayer.params import ShotParams
from grainlayer.types import Image

MEASURED = 512
"""Side of the square in the middle of a picture on which its grain is measured where nothing else is known of it."""
LEAST_SIDE, LEAST_MEASURED = 16, 64
"""Pixels across the smallest part in which grain's strength, and all of its profile, can be measured."""


class TooSmallError(ParamError):
    """A picture, or the part of it that is asked for, is too small for its grain to be measured."""


def box_of(image: Image, params: ShotParams, least: int) -> Image:
    """Return the part of a picture inside the parameters' box. Raise ParamError if it has fewer than `least` pixels a side."""
    height, width = image.shape[:2]
    top, left = round(params.box_y * height), round(params.box_x * width)
    bottom = min(height, round((params.box_y + params.box_height) * height))
    right = min(width, round((params.box_x + params.box_width) * width))
    if bottom - top < least or right - left < least:
        raise TooSmallError(
            f"The box holds {max(right - left, 0)}x{max(bottom - top, 0)} pixels of this picture and must hold {least}x{least}; "
            "enlarge it with box_width and box_height, or move it into the picture."
        )
    return np.ascontiguousarray(image[top:bottom, left:right])


def middle_of(image: Image) -> Image:
    """Return the square in the middle of a picture on which its grain is measured; all of a small picture."""
    height, width = image.shape[:2]
    top, left = max(0, height - MEASURED) // 2, max(0, width - MEASURED) // 2
    return np.ascontiguousarray(image[top : top + MEASURED, left : left + MEASURED])
