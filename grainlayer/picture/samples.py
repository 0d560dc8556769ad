"""Say what a picture's planes hold: their sample format, and what the numbers mean.

Planes stand in the order Y, U, V[, A], or R, G, B[, A], or grey[, A], whatever order the file keeps them in.
Formats have FFmpeg's names, colour tags the numbers of ISO/IEC 23001-8 (as in FFmpeg), 2 being unspecified.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from grainlayer.errors import MediaError

Kind = Literal["yuv", "rgb", "grey"]

UNSPECIFIED = 2
BT709, BT601_625, BT601_525, BT2020 = 1, 5, 6, 9
"""Numbers shared by primaries and matrix, but for the matrix of BT.2020 (9 non-constant, 10 constant luminance)."""
MATRIX_RGB = 0
TRANSFER_LINEAR, TRANSFER_PQ, TRANSFER_HLG = 8, 16, 18

_SHIFTS = {"444": (0, 0), "422": (1, 0), "420": (1, 1), "440": (0, 1), "411": (2, 0), "410": (2, 2)}
_PLANAR_YUV = re.compile(r"yuv(a?)(444|422|420|440|411|410)p(9|10|12|14|16)?(le)?")
_PLANAR_RGB = re.compile(r"gbr(a?)p(9|10|12|14|16|f16|f32)?(le)?")
_GREY = re.compile(r"(?:gray|y(a))(8|9|10|12|14|16|f16|f32)?(le)?")


@dataclass(frozen=True)
class SampleFormat:
    """Hold the layout of a picture in planes.

    name          FFmpeg's name of the planar format: 'yuv420p10le', 'gbrp16le', 'gbrpf32le', 'gray10le', 'ya16le'
    bits          significant bits of a sample, 8..16; 16 for half and 32 for single floats
    chroma_shift  log2 of the chroma subsampling across and down, (0, 0) but for 'yuv'
    """

    name: str
    kind: Kind
    bits: int
    floating: bool = False
    chroma_shift: tuple[int, int] = (0, 0)
    alpha: bool = False

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Return the type of a plane's samples: uint8, uint16, float16 or float32, in the machine's byte order."""
        if self.floating:
            return np.dtype(np.float16 if self.bits == 16 else np.float32)
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)

    @property
    def plane_count(self) -> int:
        """Return the number of planes, 1 to 4."""
        return (1 if self.kind == "grey" else 3) + self.alpha

    @property
    def peak(self) -> float:
        """Return the largest code, 2 ** bits - 1, or 1.0 for floats."""
        return 1.0 if self.floating else float((1 << self.bits) - 1)

    def plane_shape(self, width: int, height: int, index: int) -> tuple[int, int]:
        """Return rows and columns of plane `index` of a picture; chroma rounds up, as FFmpeg does."""
        across, down = self.chroma_shift if self.kind == "yuv" and index in (1, 2) else (0, 0)
        return -(-height >> down), -(-width >> across)


@dataclass(frozen=True)
class ColourTags:
    """Hold what a picture's codes mean, in the numbers of ISO/IEC 23001-8; 2 is unspecified.

    full_range       False: 16-235 (times 2 ** (bits - 8)) for luma, as in video
    chroma_location  0 unspecified, 1 left, 2 centre, 3 top left (FFmpeg's numbers)
    """

    full_range: bool = False
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    chroma_location: int = 0

    @property
    def bt2020(self) -> bool:
        """Say whether the matrix is BT.2020's, with constant luminance or without."""
        return self.matrix in (9, 10)

    @property
    def bt601(self) -> bool:
        """Say whether the matrix is BT.601's (its 625-line and 525-line numbers mean the same)."""
        return self.matrix in (BT601_625, BT601_525)

    @property
    def hdr(self) -> bool:
        """Say whether the transfer is PQ or HLG."""
        return self.transfer in (TRANSFER_PQ, TRANSFER_HLG)


_SAME_LAYOUT = {"yuvj420p": "yuv420p", "yuvj422p": "yuv422p", "yuvj444p": "yuv444p", "yuvj440p": "yuv440p", "yuvj411p": "yuv411p"}
_REPACKED = {
    **dict.fromkeys(("nv12", "nv21"), "yuv420p"),
    **dict.fromkeys(("yuyv422", "uyvy422", "yvyu422", "nv16"), "yuv422p"),
    **dict.fromkeys(("nv24", "nv42", "vyu444", "vuyx"), "yuv444p"),
    **dict.fromkeys(("vuya", "ayuv", "uyva"), "yuva444p"),
    **dict.fromkeys(("nv20le", "p210le", "y210le"), "yuv422p10le"),
    **{"p010le": "yuv420p10le", "p012le": "yuv420p12le", "p016le": "yuv420p16le", "p212le": "yuv422p12le", "y212le": "yuv422p12le"},
    **{"p216le": "yuv422p16le", "p410le": "yuv444p10le", "xv30le": "yuv444p10le", "p412le": "yuv444p12le", "xv36le": "yuv444p12le"},
    **{"p416le": "yuv444p16le", "ayuv64le": "yuva444p16le"},
    **dict.fromkeys(("rgb24", "bgr24", "rgb0", "bgr0", "0rgb", "0bgr"), "gbrp"),
    **dict.fromkeys(("rgba", "bgra", "argb", "abgr"), "gbrap"),
    **dict.fromkeys(("x2rgb10le", "x2bgr10le"), "gbrp10le"),
    **dict.fromkeys(("rgb48le", "bgr48le", "rgb48be", "bgr48be"), "gbrp16le"),
    **dict.fromkeys(("rgba64le", "bgra64le", "rgba64be", "bgra64be"), "gbrap16le"),
}
"""Packed and half-planar formats, and the planar one that holds the same codes."""


def planar_name(pix_fmt: str) -> str:
    """Return the planar format that holds `pix_fmt`'s codes without loss; raise MediaError where there is none."""
    name = _SAME_LAYOUT.get(pix_fmt) or _REPACKED.get(pix_fmt) or pix_fmt
    if name.endswith("be"):
        name = name[:-2] + "le"
    return "gray" if name == "gray8" else name


def sample_format(pix_fmt: str) -> SampleFormat:
    """Return the planar format for FFmpeg's `pix_fmt`, packed ones included; raise MediaError for one this program cannot keep."""
    name = planar_name(pix_fmt)
    if match := _PLANAR_YUV.fullmatch(name):
        alpha, chroma, depth, _ = match.groups()
        return SampleFormat(name, "yuv", int(depth or 8), False, _SHIFTS[chroma], bool(alpha))
    match, kind = _PLANAR_RGB.fullmatch(name), "rgb"
    if not match:
        match, kind = _GREY.fullmatch(name), "grey"
    if not match:
        raise MediaError(f"Pictures of the pixel format {pix_fmt} cannot be kept exactly; convert the file to one of 8 to 16 bits first.")
    alpha, depth, _ = match.groups()
    floating = (depth or "").startswith("f")
    return SampleFormat(name, kind, int((depth or "8").lstrip("f")), floating, (0, 0), bool(alpha))
