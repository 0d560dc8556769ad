"""The values that flow between rooms, and the shape checks used at every border."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from grainlayer.errors import ParamError

Image = NDArray[np.float32]
"""(H, W, 3), C-contiguous, row 0 on top, R G B, code values 0..1 nominal, never clipped."""
Window = NDArray[np.float32]
"""(T, H, W, 3), T odd; the picture being rendered is T // 2."""


class Encoding(StrEnum):
    """What code values mean. Order and spelling are for ever: menus are append-only."""

    REC709 = "Rec.709"
    SRGB = "sRGB"
    GAMMA24 = "Gamma 2.4"
    DAVINCI_INTERMEDIATE = "DaVinci Intermediate"
    ACESCCT = "ACEScct"
    ACESCC = "ACEScc"
    LOGC3 = "LogC3"
    LOGC4 = "LogC4"
    SLOG3 = "S-Log3"
    VLOG = "V-Log"
    LOG3G10 = "Log3G10"
    CANON_LOG2 = "Canon Log 2"
    CANON_LOG3 = "Canon Log 3"
    BMD_FILM5 = "BMD Film Gen 5"
    CINEON = "Cineon"
    HLG = "HLG"
    PQ = "PQ"
    LINEAR = "Linear"


@dataclass(frozen=True)
class Layers:
    """Hold additive layers of one picture in the host's encoding; those not asked for are None.

    source = base + grain for Grain Split; `detail` is restored - source; `regrain` is synthesised grain.
    """

    base: Image | None = None
    grain: Image | None = None
    detail: Image | None = None
    regrain: Image | None = None


def check_image(name: str, value: NDArray[np.float32]) -> None:
    """Raise ParamError unless `value` is an Image: float32, (H, W, 3), C-contiguous."""
    if value.dtype != np.float32 or value.ndim != 3 or value.shape[2] != 3 or not value.flags.c_contiguous:
        raise ParamError(f"{name} must be float32 of shape (H, W, 3), C-contiguous; got {value.dtype} of shape {value.shape}.")


def check_window(name: str, value: NDArray[np.float32]) -> None:
    """Raise ParamError unless `value` is a Window: float32, (T, H, W, 3) with T odd, C-contiguous."""
    fits = value.dtype == np.float32 and value.ndim == 4 and value.shape[3] == 3 and value.shape[0] % 2 == 1
    if not fits or not value.flags.c_contiguous:
        raise ParamError(f"{name} must be float32 of shape (T, H, W, 3) with T odd; got {value.dtype} of shape {value.shape}.")
