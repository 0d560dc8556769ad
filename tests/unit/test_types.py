"""The shape checks used at every border, and the encodings."""

from __future__ import annotations

import numpy as np
import pytest

from grainlayer.errors import ParamError
from grainlayer.types import Encoding, Layers, check_image, check_window


def test_images_and_windows_pass() -> None:
    check_image("image", np.zeros((1, 1, 3), np.float32))
    check_window("window", np.zeros((5, 4, 6, 3), np.float32))


@pytest.mark.parametrize(
    "value",
    [
        np.zeros((4, 6, 3), np.float64),
        np.zeros((4, 6, 4), np.float32),
        np.zeros((4, 6), np.float32),
        np.zeros((4, 6, 3), np.float32)[:, ::2],
        np.zeros((3, 4, 6), np.float32).transpose(1, 2, 0),
    ],
)
def test_what_is_no_image_is_refused(value: np.ndarray) -> None:
    with pytest.raises(ParamError, match=r"^source must be float32 of shape \(H, W, 3\).*got"):
        check_image("source", value)


@pytest.mark.parametrize(
    "value",
    [
        np.zeros((2, 4, 6, 3), np.float32),
        np.zeros((4, 6, 3), np.float32),
        np.zeros((3, 4, 6, 3), np.float16),
        np.zeros((3, 4, 6, 3), np.float32)[:, ::-1],
    ],
)
def test_what_is_no_window_is_refused(value: np.ndarray) -> None:
    with pytest.raises(ParamError, match=r"^window must be float32 of shape \(T, H, W, 3\)"):
        check_window("window", value)


def test_layers_not_asked_for_are_none() -> None:
    layers = Layers(base=np.zeros((1, 1, 3), np.float32))
    assert layers.base is not None
    assert layers.grain is None and layers.detail is None and layers.regrain is None


def test_encodings_are_for_ever() -> None:
    """Append to this list; never change what is there."""
    names = "Rec.709, sRGB, Gamma 2.4, DaVinci Intermediate, ACEScct, ACEScc, LogC3, LogC4, S-Log3, V-Log, Log3G10"
    names += ", Canon Log 2, Canon Log 3, BMD Film Gen 5, Cineon, HLG, PQ, Linear"
    assert ", ".join(Encoding) == names
