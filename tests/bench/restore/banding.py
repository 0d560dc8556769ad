"""CAMBI, the measure of bands (Tandon et al., 2021), by libvmaf in the ffmpeg of imageio-ffmpeg: 0 is none, about 5 begins to annoy."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.bench.quality import run_ffmpeg

Floats = NDArray[np.floating]

PLAIN, STRETCHED = 2, 5
"""CAMBI's max_log_contrast: steps up to 2 ** n codes of 10 bits are seen; 2 is its default, 5 for pictures whose contrast was raised."""


def cambi(luma: Floats, contrast: int = PLAIN) -> float:
    """Return the mean CAMBI of pictures (N, H, W), luma 0..1, rounded to 10 bits and clipped; sides must be even."""
    height, width = luma.shape[1:]
    codes = np.clip(np.floor(luma.astype(np.float64) * 876 + 64.5), 0, 1023).astype("<u2")
    grey = np.full(height * width // 2, 512, "<u2").tobytes()
    given = ["-f", "rawvideo", "-pix_fmt", "yuv420p10le", "-s", f"{width}x{height}", "-r", "24", "-i", "luma.yuv"]
    words = f"libvmaf=log_fmt=json:log_path=found.json:feature=name=cambi\\\\:max_log_contrast={contrast}:model="
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "luma.yuv").write_bytes(b"".join(picture.tobytes() + grey for picture in codes))
        run_ffmpeg("-v", "error", *given, *given, "-lavfi", words, "-f", "null", "-", folder=folder)
        means = json.loads((folder / "found.json").read_text("utf-8"))["pooled_metrics"]
    return next(float(entry["mean"]) for key, entry in means.items() if key.startswith("cambi"))
