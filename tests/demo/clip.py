"""Make a short clip for the demonstration: photographs moved under a camera, with film grain rendered on top.

The photographs come with scikit-image. The camera pans and zooms smoothly at sub-pixel steps (Catmull-Rom sampling); the
grain is the Boolean model's Gaussian approximation, new on every frame. 720p, 24 frames a second, 10 bit 4:2:0, Rec.709, FFV1.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray
from skimage import data

from models.boolean import BooleanGrain

Floats = NDArray[np.float64]
Codes = NDArray[np.uint16]

RATE = 24
PEAK = 5 / 255
"""The grain's greatest standard deviation, in code value."""
GRAIN = BooleanGrain(radius=0.5, psf=0.7)
SHARED = 0.15
"""The correlation between any two channels' grain."""

Camera = tuple[float, float, float]
"""Left, top and width of what the camera sees, in the photograph's pixels."""


@dataclass(frozen=True)
class Shot:
    """Move the camera over a photograph from `start` to `end` in `frames` frames."""

    photograph: str
    start: Camera
    end: Camera
    frames: int


@cache
def photograph(name: str) -> Floats:
    """Return one of scikit-image's photographs, (H, W, 3) in 0..1."""
    picture = data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(data, name)()
    return np.asarray(picture, np.float64) / 255


def sampling(count: int, start: float, step: float, length: int) -> Floats:
    """Return the matrix (count, length) that samples a line at start + step * (0.5 + i) by Catmull-Rom; ends are repeated."""
    place = start + step * (np.arange(count) + 0.5) - 0.5
    first = np.floor(place).astype(int)
    t = place - first
    weights = np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3]) / 2
    matrix = np.zeros((count, length))
    for offset, weight in enumerate(weights, -1):
        np.add.at(matrix, (np.arange(count), np.clip(first + offset, 0, length - 1)), weight)
    return matrix


@dataclass(frozen=True)
class Film:
    """Describe a clip: its shots, and the size of its pictures."""

    shots: tuple[Shot, ...]
    width: int
    height: int

    @property
    def frames(self) -> int:
        """Return the number of frames."""
        return sum(shot.frames for shot in self.shots)

    def clean_frame(self, number: int) -> Floats:
        """Return frame `number` without grain, (H, W, 3), 0..1 but for small overshoots."""
        index, shot = number, self.shots[0]
        for shot in self.shots:
            if index < shot.frames:
                break
            index -= shot.frames
        t = index / max(shot.frames - 1, 1)
        ease = t * t * (3 - 2 * t)
        left, top, width = (a + (b - a) * ease for a, b in zip(shot.start, shot.end, strict=True))
        source, step = photograph(shot.photograph), width / self.width
        rows = sampling(self.height, top, step, source.shape[0])
        columns = sampling(self.width, left, step, source.shape[1])
        return 0.02 + 0.96 * np.stack([rows @ source[:, :, channel] @ columns.T for channel in range(3)], axis=2)

    def frame_pair(self, number: int) -> tuple[Codes, Codes]:
        """Return frame `number` without and with grain, (H, W, 3) of 16 bit; the grain's seed is the number."""
        clean = self.clean_frame(number)
        grain = GRAIN.render(np.clip(clean, 0, 1), PEAK, number, SHARED)
        return _codes(clean), _codes(clean + grain)


def _codes(picture: Floats) -> Codes:
    return np.round(np.clip(picture, 0, 1) * 65535).astype(np.uint16)


DEMO = Film((Shot("astronaut", (14, 8, 440), (58, 22, 400), 24), Shot("motorcycle", (4, 40, 640), (70, 66, 660), 24)), 1280, 720)
"""The demonstration's clip."""


def make_clip(film: Film, clean: Path, source: Path, workers: int) -> None:
    """Write the film without grain to `clean` and with grain to `source`, both FFV1 in Matroska."""
    with ProcessPoolExecutor(workers) as pool, av.open(str(clean), "w") as first, av.open(str(source), "w") as second:
        writers = [(container, _add_stream(container, film)) for container in (first, second)]
        for number, pair in enumerate(pool.map(film.frame_pair, range(film.frames))):
            for (container, stream), picture in zip(writers, pair, strict=True):
                container.mux(stream.encode(_frame(picture, number)))
        for container, stream in writers:
            container.mux(stream.encode(None))


def _add_stream(container: av.container.OutputContainer, film: Film) -> av.VideoStream:
    stream = container.add_stream("ffv1", Fraction(RATE), options={"level": "3", "slices": "4"})
    stream.width, stream.height, stream.pix_fmt, stream.time_base = film.width, film.height, "yuv420p10le", Fraction(1, RATE)
    context = stream.codec_context
    context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
    context.color_primaries = context.color_trc = 1
    return stream


def _frame(picture: Codes, number: int) -> av.VideoFrame:
    """Return a 10-bit 4:2:0 frame of Rec.709, video range."""
    ranges = {"src_color_range": ColorRange.JPEG, "dst_color_range": ColorRange.MPEG}
    frame = av.VideoFrame.from_ndarray(picture, "rgb48le").reformat(format="yuv420p10le", dst_colorspace=Colorspace.ITU709, **ranges)
    frame.pts, frame.time_base = number, Fraction(1, RATE)
    frame.color_primaries = frame.color_trc = 1
    return frame
