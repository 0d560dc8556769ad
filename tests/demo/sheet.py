"""Draw a contact sheet: labelled crops side by side, enlarged without smoothing so that grain can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.float32]
Panel = tuple[str, Picture]
"""A label and a crop, (H, W, 3), 0..1 nominal."""

CROP = (160, 108)
"""Width and height of a crop, in pixels of the picture."""
ENLARGED, GAP, STRIP, PAPER, INK = 2, 8, 24, (24, 24, 24), (230, 230, 230)
LARGEST = 400_000
"""Bytes of the JPEG that a README shows."""


def cut(picture: Picture, place: tuple[float, float]) -> Picture:
    """Return the crop around `place`, fractions of width and height, moved inside the picture; smaller if the picture is."""
    starts = [round(p * full - size / 2) for p, full, size in zip(place, (picture.shape[1], picture.shape[0]), CROP, strict=True)]
    left, top = (max(min(s, full - size), 0) for s, full, size in zip(starts, (picture.shape[1], picture.shape[0]), CROP, strict=True))
    return picture[top : top + CROP[1], left : left + CROP[0]]


def draw(rows: Sequence[Sequence[Panel]]) -> Image.Image:
    """Return the sheet; all rows have as many panels."""
    width, height = CROP[0] * ENLARGED, CROP[1] * ENLARGED
    size = (len(rows[0]) * (width + GAP) + GAP, len(rows) * (height + STRIP + GAP) + GAP)
    sheet = Image.new("RGB", size, PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=15)
    for y, row in enumerate(rows):
        for x, (label, crop) in enumerate(row):
            corner = (GAP + x * (width + GAP), GAP + y * (height + STRIP + GAP))
            pen.text((corner[0] + 2, corner[1] + 2), label, INK, font)
            sheet.paste(_enlarge(crop), (corner[0], corner[1] + STRIP))
    return sheet


def _enlarge(crop: Picture) -> Image.Image:
    """Return an 8-bit picture with every pixel drawn as a square; what lies outside 0..1 is clipped, for display only."""
    codes = np.round(np.clip(crop, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(codes.repeat(ENLARGED, 0).repeat(ENLARGED, 1))


def save(sheet: Image.Image, png: Path, jpeg: Path) -> None:
    """Write the sheet whole as PNG, and as the best JPEG of at most 400 kB."""
    sheet.save(png)
    for quality in range(92, 10, -4):
        sheet.save(jpeg, quality=quality, optimize=True)
        if jpeg.stat().st_size <= LARGEST:
            return
