"""The one set of test grain for all benchmarks: renderers, levels, seeds, pictures and clips.

Stills   white Gaussian noise at 8-bit sigma 5, 15, 25, 50, and film-like grain at peak standard deviation .025, .05, .1 of
         code value, on the pictures of data/val. Grainy pictures are floats, neither clipped nor rounded.
Film     Newson's Boolean model in its Gaussian approximation: strength and spectrum vary with intensity. Disks of 0.5 pixel
         and a point spread of 0.8 pixel give a lag-1 autocorrelation of 0.70: a scan near its sampling limit (real scans: 0.63 in
         black and white, 0.1 to 0.27 in colour at 2000 pixels); any two channels' fields correlate by 0.3.
Clips    40 to 48 frames of clean moving pictures, played at 24 frames a second. Grain of RMS standard deviation 3 and 6 (8-bit
         steps, over the clip and its channels) is rendered in RGB at full resolution, a new seed for every frame, added, and
         both clips are stored as 10-bit 4:2:0, BT.709, video range, FFV1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.boolean import BooleanGrain
from tests.bench.cache import PLACE
from tests.bench.movies import Planes, read_rgb, rgb_to_planes, write_planes

Floats = NDArray[np.float64]

FILM = BooleanGrain(radius=0.5, psf=0.8)
SHARED = 0.3
"""The correlation between any two channels' white fields."""
STILL_SEED = 1000
"""The grain of the n-th picture of data/val, in sorted order, has seed STILL_SEED + n."""
CLIP_SEED, OTHER_SEED = 100_000, 900_000
"""Frame f of the n-th clip has seed CLIP_SEED + 1000 n + f; OTHER_SEED gives grain of the same kind for the floors."""
CROP = 256
FRAMES = 48
RATE = 24
STRENGTHS = (3, 6)
"""RMS standard deviation of the clips' grain in 8-bit steps."""


@dataclass(frozen=True)
class Case:
    """Name one kind and level of grain on stills; `level` is a standard deviation in code value, the peak one for film."""

    kind: str
    level: float

    @property
    def name(self) -> str:
        """Return the row's title: 'white 25', 'film 0.05'."""
        return f"white {self.level * 255:.0f}" if self.kind == "white" else f"film {self.level:g}"


CASES = (*(Case("white", sigma / 255) for sigma in (5, 15, 25, 50)), *(Case("film", peak) for peak in (0.025, 0.05, 0.1)))


@dataclass(frozen=True, eq=False)
class Still:
    """Hold one picture without and with grain, (H, W, 3) float32 in code value, unclipped."""

    name: str
    clean: NDArray[np.float32]
    grainy: NDArray[np.float32]

    @property
    def grain(self) -> NDArray[np.float32]:
        """Return the true grain."""
        return self.grainy - self.clean

    @property
    def strength(self) -> float:
        """Return the true RMS of the grain, code value: what peers are told."""
        return float(np.sqrt(np.mean(self.grain.astype(np.float64) ** 2)))


def data_root() -> Path:
    """Return the folder of GRAINLAYER_DATA, or ../shared/data."""
    return Path(os.environ.get("GRAINLAYER_DATA", "../shared/data"))


def render_grain(case: Case, clean: Floats, seed: int) -> Floats:
    """Return the grain (H, W, 3) of a case for a clean picture (H, W, 3), code value."""
    if case.kind == "white":
        return case.level * np.random.Generator(np.random.Philox(key=seed)).standard_normal(clean.shape)
    return FILM.render(clean, case.level, seed, SHARED)


@cache
def still_paths() -> tuple[Path, ...]:
    """Return the pictures of data/val in sorted order."""
    return tuple(sorted(path for path in (data_root() / "val").rglob("*") if path.suffix.lower() in {".webp", ".png", ".jpg"}))


def make_still(case: Case, index: int, crop: int | None = CROP) -> Still:
    """Return the `index`-th picture with grain; of a cropped one the middle, cut after the grain was rendered."""
    from PIL import Image

    path = still_paths()[index]
    clean = np.asarray(Image.open(path).convert("RGB"), np.float64) / 255
    grainy = clean + render_grain(case, clean, STILL_SEED + index)
    if crop is not None:
        top, left = (clean.shape[0] - crop) // 2, (clean.shape[1] - crop) // 2
        clean, grainy = (picture[top : top + crop, left : left + crop] for picture in (clean, grainy))
    return Still(path.stem, np.ascontiguousarray(clean, np.float32), np.ascontiguousarray(grainy, np.float32))


def make_stills(case: Case, crop: int | None = CROP, every: int = 1) -> Iterator[Still]:
    """Yield the pictures of data/val with grain of a case, every n-th."""
    for index in range(0, len(still_paths()), every):
        yield make_still(case, index, crop)


@dataclass(frozen=True)
class Clip:
    """Name a clean clip: its place among CLIPS decides its seeds; `path` is relative to data/video, None for the demo's."""

    name: str
    path: str | None
    index: int

    @property
    def available(self) -> bool:
        """Say whether its source is here."""
        return self.path is None or (data_root() / "video" / self.path).exists()


CLIP_FILES: tuple[tuple[str, str | None], ...] = (
    ("dog", "open/sam2_01_dog.mkv"),
    ("cups", "open/sam2_02_cups.mkv"),
    ("bedroom", "open/sam2_bedroom.mkv"),
    ("tokyo", "check/tokyo_walk.mkv"),
    ("rollercoaster", "research_only/davis_rollercoaster.mkv"),
    ("car-shadow", "research_only/davis_car-shadow.mkv"),
    ("horsejump", "research_only/davis_horsejump-high.mkv"),
    ("paragliding", "research_only/davis_paragliding-launch.mkv"),
    ("demo", None),
)
CLIPS = tuple(Clip(name, path, index) for index, (name, path) in enumerate(CLIP_FILES))


@dataclass(frozen=True)
class Footage:
    """Hold the paths of a clip without grain, with grain, and with other grain of the same kind (for the floors)."""

    clip: Clip
    std: int
    clean: Path
    grainy: Path
    other: Path


def clean_frames(clip: Clip) -> Iterator[Floats]:
    """Yield a clip's clean frames, (H, W, 3) RGB code values, at most FRAMES of them."""
    if clip.path is not None:
        yield from read_rgb(data_root() / "video" / clip.path, FRAMES)
        return
    from tests.demo.clip import DEMO

    yield from (DEMO.clean_frame(number) for number in range(min(FRAMES, DEMO.frames)))


def film_peak(clip: Clip, std: int) -> float:
    """Return the peak standard deviation whose RMS over a clip is `std` 8-bit steps."""
    unit = np.mean([np.mean(FILM.strength(np.clip(picture, 0, 1), 1.0) ** 2) for picture in clean_frames(clip)])
    return float(std / 255 / np.sqrt(unit))


def grainy_planes(clip: Clip, peak: float, seed: int) -> Iterator[Planes]:
    """Yield the stored planes of every frame with grain of its own seed."""
    for index, picture in enumerate(clean_frames(clip)):
        yield rgb_to_planes(picture + FILM.render(np.clip(picture, 0, 1), peak, seed + index, SHARED))


def make_footage(clip: Clip, std: int) -> Footage:
    """Return a clip's files, written on first sight."""
    folder = PLACE / "clips"
    folder.mkdir(parents=True, exist_ok=True)
    names = (f"{clip.name}-clean.mkv", f"{clip.name}-{std}.mkv", f"{clip.name}-{std}-other.mkv")
    footage = Footage(clip, std, *(folder / name for name in names))
    if not footage.clean.exists():
        write_planes(footage.clean, (rgb_to_planes(picture) for picture in clean_frames(clip)), RATE)
    for path, seed in ((footage.grainy, CLIP_SEED), (footage.other, OTHER_SEED)):
        if not path.exists():
            write_planes(path, grainy_planes(clip, film_peak(clip, std), seed + 1000 * clip.index), RATE)
    return footage
