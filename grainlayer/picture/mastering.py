"""Hand HDR10's mastering display and content light to the encoders that can carry them."""

from __future__ import annotations

import struct
from collections.abc import Mapping

_MASTERING = struct.Struct("=22i")
"""FFmpeg's AVMasteringDisplayMetadata: x and y of R, G, B and white, least and greatest luminance as fractions, two flags."""


def hdr_parameters(encoder: str, hdr: Mapping[str, bytes]) -> dict[str, str]:
    """Return the parameters of libx265, libx264 or libsvtav1 for `MediaInfo.hdr`; others carry none in their stream.

    The keys are for the encoder's own list ('x265-params' and its kin); luminance in candela a square metre.
    """
    display, light = hdr.get("mastering_display", b""), hdr.get("content_light", b"")
    names = {"libx265": ("master-display", "max-cll"), "libx264": ("mastering-display", "cll")}
    names |= {"libsvtav1": ("mastering-display", "content-light")}
    found: dict[str, str] = {}
    if encoder not in names:
        return found
    if len(display) >= _MASTERING.size:
        found[names[encoder][0]] = _display(_MASTERING.unpack_from(display), whole=encoder != "libsvtav1")
    if len(light) >= 8:
        most, average = struct.unpack_from("=2I", light)
        found[names[encoder][1]] = f"{most},{average}"
    return found


def _display(fields: tuple[int, ...], whole: bool) -> str:
    """Return 'G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)': whole numbers in 1/50000 and 1/10000, or decimals."""
    values = [top / bottom if bottom else 0.0 for top, bottom in zip(fields[0:20:2], fields[1:20:2], strict=True)]
    red, green, blue, white = (values[i : i + 2] for i in (0, 2, 4, 6))
    low, high = values[8:10]

    def pair(first: float, second: float, scale: int) -> str:
        return f"({round(first * scale)},{round(second * scale)})" if whole else f"({first:.5f},{second:.5f})"

    colours = (f"{name}{pair(point[0], point[1], 50000)}" for name, point in (("G", green), ("B", blue), ("R", red), ("WP", white)))
    return "".join(colours) + f"L{pair(high, low, 10000)}"
