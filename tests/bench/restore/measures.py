"""Measure restored pictures against the truth: PSNR and SSIM, by class of area, on chroma edges, over time, and by the seed's Table 1.

PSNR and SSIM of Y, Cb and Cr are those of codes, peak 255, as codecs are compared; rounding an even spread to 8 bits gives 58.92 dB.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tests.bench.metrics import psnr
from tests.bench.restore.clips import Truth, video_to_rgb
from tests.bench.restore.degrade import SCALES, Degraded

Floats = NDArray[np.floating]
Mask = NDArray[np.bool_]

BLOCK = 16
CLASSES = ("flat", "gradient", "texture")
RUGGED, RISE = 1.0, 2.0
"""Codes of 8 bits: deviation about its plane from which on a block is texture; rise across a block from which on it is gradient."""
EDGE = 4.0
"""Change of Cb or Cr, codes of 8 bits a pixel, from which on a pixel lies on a chroma edge."""
STILL, SPREAD = 4.0, 5
"""Codes of 8 bits, mean over 5x5 pixels of the truth, below which a pixel does not change from one picture to the next."""
DEPTHS = (10, 11, 12)
CHANCE_SEED = 500_000
PLANES = ("y", "cb", "cr", "rgb")


def planes(luma: Floats, chroma: Floats) -> dict[str, Floats]:
    """Return Y, Cb and Cr (N, H, W) as codes over 255, offsets left out, and RGB (N, H, W, 3) as it is."""
    ranges = [span / 255 for _, span in SCALES]
    return {"y": luma * ranges[0], "cb": chroma[..., 0] * ranges[1], "cr": chroma[..., 1] * ranges[1], "rgb": video_to_rgb(luma, chroma)}


def ssim(picture: Floats, truth: Floats) -> float:
    """Return the SSIM of one plane (H, W), range 1: Gaussian window of 1.5 pixels (Wang et al., 2004)."""
    one, two = picture.astype(np.float64), truth.astype(np.float64)
    means = [_blurred(one), _blurred(two)]
    varied = [_blurred(one**2) - means[0] ** 2, _blurred(two**2) - means[1] ** 2]
    together = _blurred(one * two) - means[0] * means[1]
    bright = (2 * means[0] * means[1] + 0.01**2) / (means[0] ** 2 + means[1] ** 2 + 0.01**2)
    return float(np.mean(bright * (2 * together + 0.03**2) / (varied[0] + varied[1] + 0.03**2)))


def _blurred(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    return ndimage.gaussian_filter(plane, 1.5, truncate=3.5)


def classify(luma: Floats) -> dict[str, Mask]:
    """Return where a picture of the truth (H, W) is flat, gradient or texture, by blocks of 16x16; what is left at the edges is nothing.

    A plane is fitted to every block. Texture: the standard deviation about it is one 8-bit code or more. Of the others, gradient: the
    plane rises by two codes or more across the block; flat: by less.
    """
    rows, columns = (size // BLOCK for size in luma.shape)
    codes = luma[: rows * BLOCK, : columns * BLOCK].astype(np.float64) * SCALES[0][1]
    blocks = codes.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)
    ramp = np.arange(BLOCK) - (BLOCK - 1) / 2
    power = BLOCK * np.sum(ramp**2)
    down, across = np.sum(blocks * ramp[:, None], axis=(2, 3)) / power, np.sum(blocks * ramp, axis=(2, 3)) / power
    rest = np.maximum(blocks.var(axis=(2, 3)) - (down**2 + across**2) * np.mean(ramp**2), 0)
    rise = (np.abs(down) + np.abs(across)) * (BLOCK - 1)
    smooth, steep = rest < RUGGED**2, rise >= RISE
    kinds = {"flat": smooth & ~steep, "gradient": smooth & steep, "texture": ~smooth}
    return {name: _spread(kind, luma.shape) for name, kind in kinds.items()}


def _spread(blocks: Mask, shape: tuple[int, ...]) -> Mask:
    whole = np.zeros(shape, np.bool_)
    grown = np.kron(blocks, np.ones((BLOCK, BLOCK), np.bool_))
    whole[: grown.shape[0], : grown.shape[1]] = grown
    return whole


def chroma_edges(chroma: Floats) -> Mask:
    """Return where Cb or Cr (H, W, 2) of the truth changes by 4 codes of 8 bits a pixel or more."""
    down, across = (np.gradient(chroma * float(SCALES[1][1]), axis=axis) for axis in range(2))
    return np.hypot(down, across).max(axis=2) >= EDGE


def pooled(error: NDArray[Any], mask: Mask) -> list[float]:
    """Return the sum of squares of an error under a mask and the number of samples."""
    chosen = error[mask].astype(np.float64)
    return [float(np.sum(chosen**2)), float(chosen.size)]


def flicker(luma: Floats, truth: Floats) -> list[float]:
    """Return the mean difference of luma (N, H, W) from picture to picture where the truth stands still, and the truth's, 8-bit codes."""
    span = SCALES[0][1]
    own, wanted = np.abs(np.diff(luma, axis=0)) * span, np.abs(np.diff(truth, axis=0)) * span
    still = np.stack([ndimage.uniform_filter(picture, SPREAD) for picture in wanted]) < STILL
    return [float(own[still].mean()), float(wanted[still].mean())] if still.any() else [0.0, 0.0]


def precision(luma: Floats, truth: Floats, given: Floats, bits: int) -> list[float]:
    """Return the seed's Table 1 for luma at a depth: share right, share that is not the 8-bit input's code, and what chance gets right.

    Chance is the truth with Gaussian errors of the same RMS. The input's own code is its 8-bit one, shifted.
    """
    wanted = _deep(truth, bits)
    error = float(np.sqrt(np.mean((luma.astype(np.float64) - truth) ** 2)))
    noise = np.random.Generator(np.random.Philox(key=CHANCE_SEED)).standard_normal(truth.shape)
    lucky = _deep(truth + error * noise, bits)
    found = _deep(luma, bits)
    return [float(np.mean(found == wanted)), float(np.mean(found != _deep(given, 8) << (bits - 8))), float(np.mean(lucky == wanted))]


def _deep(luma: NDArray[Any], bits: int) -> NDArray[np.int64]:
    offset, span = SCALES[0]
    return np.floor((luma.astype(np.float64) * span + offset) * 2 ** (bits - 8) + 0.5).astype(np.int64)


def outside_cell(luma: Floats, given: Floats) -> float:
    """Return the share of luma that lies further than half a code, and a thousandth, from the 8-bit input."""
    return float(np.mean(np.abs(luma - given) * SCALES[0][1] > 0.501))


def measure(done: tuple[Floats, Floats], truth: Truth, degraded: Degraded) -> dict[str, Any]:
    """Return all figures of the judged pictures of a clip: means of the pictures' PSNR and SSIM, sums of squares by class."""
    places = truth.places
    luma, chroma = truth.luma[places], truth.chroma[places]
    own, wanted = planes(*done), planes(luma, chroma)
    found: dict[str, Any] = {}
    for name in PLANES:
        found[f"psnr {name}"] = float(np.mean([psnr(one, two) for one, two in zip(own[name], wanted[name], strict=True)]))
        found[f"ssim {name}"] = float(np.mean([_ssim(one, two) for one, two in zip(own[name], wanted[name], strict=True)]))
    kinds = [classify(picture) for picture in luma]
    for name in CLASSES:
        found[name] = pooled(own["y"] - wanted["y"], np.stack([kind[name] for kind in kinds]))
    edges = np.stack([chroma_edges(picture) for picture in chroma])
    found["edges"] = [float(part) for part in np.sum([pooled(own[name] - wanted[name], edges) for name in ("cb", "cr")], axis=0)]
    found["flicker"] = flicker(done[0], luma)
    given = degraded.luma[places]
    found["precision"] = {str(bits): precision(done[0], luma, given, bits) for bits in _depths(truth.depth)}
    found["outside"] = outside_cell(done[0], given)
    return found


def _depths(depth: int) -> Sequence[int]:
    """Return the depths at which a truth of so many bits can be judged."""
    return [bits for bits in DEPTHS if depth in (0, bits) or bits < depth]


def _ssim(picture: Floats, truth: Floats) -> float:
    if picture.ndim == 2:
        return ssim(picture, truth)
    return float(np.mean([ssim(picture[:, :, channel], truth[:, :, channel]) for channel in range(3)]))
