"""The clips that restoration is judged on, none of which a net has learnt from, as the truth: luma and chroma as floats.

Clips of 10 bits and 4:4:4 are taken at their own size and depth. Those of 8 bits, and those whose chroma is stored smaller than the luma,
are halved: every sample is the mean of 2x2 (chroma of 4:2:0 as it is, of 4:2:2 the mean of two rows), which gives chroma for every
pixel and finer steps than the file's. All are read as BT.709 in video range, luma 0..1 from black to white, chroma -0.5..0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tests.bench.material import data_root
from tests.bench.movies import BLUE, RED, plane_samples

if TYPE_CHECKING:
    from av import VideoFrame

Floats = NDArray[np.floating]

FOLDERS = ("research_only", "check")
LEAST = 7
"""Pictures that a clip must have."""
READ, JUDGED = 15, 5
"""Pictures encoded of a clip, from its first on, and those judged: consecutive ones in their middle."""
HEIGHT, WIDTH = 320, 424
SOFT = 1.5
"""Standard deviation in pixels of the Gaussian that takes noise and grain out of a clip."""
QUICK = ("davis_car-shadow", "svt_intotree_10bit", "vimeo90k_00001_0003")


@dataclass(frozen=True, eq=False)
class Truth:
    """Hold a clip as it should be.

    luma      (T, H, W), 0 black, 1 white
    chroma    (T, H, W, 2): Cb, Cr, -0.5..0.5
    depth     bits of its codes; 0 where it has finer steps than any code (halved, softened, made)
    """

    name: str
    luma: Floats
    chroma: Floats
    depth: int

    @property
    def places(self) -> list[int]:
        """Return the pictures judged."""
        first = (len(self.luma) - min(JUDGED, len(self.luma))) // 2
        return list(range(first, first + min(JUDGED, len(self.luma))))


@dataclass(frozen=True)
class Source:
    """Name where a truth comes from: a movie, or the made sky where `path` is None; `softened` takes out its noise."""

    name: str
    path: Path | None
    softened: bool = False

    @property
    def key(self) -> list[object]:
        """Return what its figures are kept under."""
        return [self.name, None if self.path is None else digest(self.path), self.softened]


@cache
def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def clip_sources(every: int = 1, names: tuple[str, ...] = ()) -> list[Source]:
    """Return the clips with enough pictures, in sorted order: every n-th, or those whose names hold one of the words."""
    paths = [path for folder in FOLDERS for path in sorted((data_root() / "video" / folder).glob("*.mkv"))]
    found = [path for path in paths if not names or any(name in path.stem for name in names)]
    return [Source(path.stem, path) for path in found if _frame_count(path) >= LEAST][::every]


@cache
def _frame_count(path: Path) -> int:
    import av

    with av.open(str(path)) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)


@lru_cache(maxsize=2)
def read_truth(source: Source) -> Truth:
    """Return the first pictures of a source, cut to the middle of at most 424x320, sides multiples of 8."""
    if source.path is None:
        from tests.bench.restore.sky import make_sky

        return make_sky()
    import av

    with av.open(str(source.path)) as container:
        frames = [_planes(frame) for frame in islice(container.decode(video=0), READ)]
    depth = frames[0][2]
    luma, chroma = (np.stack([_middle(plane) for plane in planes]) for planes in ([f[0] for f in frames], [f[1] for f in frames]))
    return _soften(Truth(source.name, luma, chroma, depth)) if source.softened else Truth(source.name, luma, chroma, depth)


def _soften(truth: Truth) -> Truth:
    luma = ndimage.gaussian_filter(truth.luma, (0, SOFT, SOFT), mode="nearest")
    chroma = ndimage.gaussian_filter(truth.chroma, (0, SOFT, SOFT, 0), mode="nearest")
    return Truth(truth.name, luma, chroma, 0)


def _planes(frame: VideoFrame) -> tuple[Floats, Floats, int]:
    """Return a frame's luma (H, W), chroma (H, W, 2) and depth."""
    if frame.format.name.startswith(("bgr", "rgb", "gbr", "0rgb")):
        rgb = frame.to_ndarray(format="rgb24").astype(np.float32) / 255
        luma, chroma = rgb_to_video(_halve_down(_halve_across(rgb)))
        return luma, chroma, 0
    planes = [plane_samples(frame, index).astype(np.float32) / 4 for index in range(3)]
    own = planes[1].shape == planes[0].shape
    luma = planes[0] if own else _halve_down(_halve_across(planes[0]))
    pair = np.stack(planes[1:], axis=2)
    chroma = _halve_down(pair) if pair.shape[0] > luma.shape[0] else pair
    return (luma - 16) / 219, (chroma - 128) / 224, 10 if own else 0


def _halve_down(plane: Floats) -> Floats:
    whole = plane[: len(plane) // 2 * 2]
    return (whole[0::2] + whole[1::2]) / 2


def _halve_across(plane: Floats) -> Floats:
    whole = plane[:, : plane.shape[1] // 2 * 2]
    return (whole[:, 0::2] + whole[:, 1::2]) / 2


def _middle(plane: Floats) -> Floats:
    height, width = (min(size, limit) // 8 * 8 for size, limit in zip(plane.shape[:2], (HEIGHT, WIDTH), strict=True))
    top, left = (plane.shape[0] - height) // 2, (plane.shape[1] - width) // 2
    return plane[top : top + height, left : left + width]


def rgb_to_video(rgb: Floats) -> tuple[Floats, Floats]:
    """Return the luma (..., H, W) and chroma (..., H, W, 2) of pictures (..., H, W, 3), BT.709."""
    red, green, blue = (rgb[..., channel] for channel in range(3))
    luma = RED * red + (1 - RED - BLUE) * green + BLUE * blue
    return luma, np.stack([(blue - luma) / (2 - 2 * BLUE), (red - luma) / (2 - 2 * RED)], axis=-1)


def video_to_rgb(luma: Floats, chroma: Floats) -> Floats:
    """Return pictures (..., H, W, 3) of luma and chroma, never clipped."""
    blue, red = luma + (2 - 2 * BLUE) * chroma[..., 0], luma + (2 - 2 * RED) * chroma[..., 1]
    green = (luma - RED * red - BLUE * blue) / (1 - RED - BLUE)
    return np.stack([red, green, blue], axis=-1)
