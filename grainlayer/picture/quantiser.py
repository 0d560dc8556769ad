"""Tell how coarsely a picture was quantised before it was stored: by what its decoder says, or by a codec that loses nothing.

Only H.264 decoders tell a QP that means the same in every stream; the numbers of other codecs are not used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from av.sidedata.encparams import VideoEncParamsType
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from grainlayer.picture.media import Frame, MediaInfo

OPTION = {"export_side_data": "venc_params"}
"""What a decoder must be told before it tells the quantiser. Without frame threads: with them FFmpeg copies maps that are not whole yet."""
TELLING = frozenset(("h264",))
"""Codecs whose decoders tell it."""
CELL, BLOCK = 8, 16
"""Sides of a cell of the map and of H.264's macroblock, pixels."""
SCALE = 64
"""A map's number is the QP divided by it."""
OCTAVES_OF_A_BIT = 6
"""QP that each bit beyond 8 adds: a step of the quantiser then means the same share of the range."""

_LOSSLESS = frozenset(
    (
        *("ffv1", "huffyuv", "ffvhuff", "utvideo", "magicyuv", "lagarith", "cllc", "qtrle", "png", "tiff", "dpx", "exr", "bmp", "targa"),
        *("rawvideo", "v210", "v210x", "v308", "v408", "v410", "r210", "r10k", "avrp", "avui", "y41p", "yuv4", "wrapped_avframe"),
        *("tif", "cin"),
    )
)
_LOSSY_COMPRESSIONS = ("dwaa", "dwab", "b44", "b44a", "pxr24", "jpeg", "lossy")


def told_quantiser(picture: VideoFrame, bits: int = 8) -> NDArray[np.uint8] | None:
    """Return a decoded picture's QP by cell of 8x8 pixels (rows, columns), whole macroblocks, as at 8 bits, never under 0.

    None where the decoder tells none, or in another codec's numbers. `bits`: of the stream's samples.
    """
    side: Any = picture.side_data.get("VIDEO_ENC_PARAMS")
    blocks = -(-picture.width // BLOCK) * -(-picture.height // BLOCK)
    if side is None or side.nb_blocks != blocks or side.codec_type != VideoEncParamsType.H264:
        return None
    found = np.clip(side.qp_map() - OCTAVES_OF_A_BIT * (bits - 8), 0, 255).astype(np.uint8)
    return found.repeat(BLOCK // CELL, 0).repeat(BLOCK // CELL, 1)


def as_map(told: NDArray[np.uint8] | None, width: int, height: int) -> NDArray[np.float32] | None:
    """Return QP by cell as the map of a picture, QP / 64, (ceil(height/8), ceil(width/8))."""
    if told is None:
        return None
    rows, columns = -(-height // CELL), -(-width // CELL)
    return told[:rows, :columns].astype(np.float32) / np.float32(SCALE)


def lossless(info: MediaInfo) -> bool:
    """Say whether a movie or still is stored without loss, so that no codec has damaged it since it was decoded last."""
    if str(info.attributes.get("compression", "")).startswith(_LOSSY_COMPRESSIONS):
        return False
    return info.codec in _LOSSLESS


def quantiser_of(frame: Frame, info: MediaInfo) -> NDArray[np.float32] | None:
    """Return a frame's map, QP / 64 by cell: the one told, 0 for what is stored without loss, None where it is not known."""
    if frame.quantiser is None and lossless(info):
        return np.zeros((-(-info.height // CELL), -(-info.width // CELL)), np.float32)
    return frame.quantiser
