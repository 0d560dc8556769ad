"""Measure removal with the help of neighbouring pictures for models.results, on clips that no net has learnt from.

The clips are those of data/video outside the folder open, of 7 pictures and more; film-like grain of a seed of its own for every
picture, added to floats, neither clipped nor rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from grainlayer.inference import motion, temporal
from grainlayer.inference.registry import find_model
from grainlayer.inference.remove import QUALITIES, Remover
from grainlayer.types import Image, Window
from models.results_keep import MISSING, Figures, Keep, digest, digest_code, mean_cell
from models.results_page import Part, Plot
from tests.bench.material import FILM, SHARED, data_root
from tests.bench.metrics import psnr
from tests.bench.movies import read_rgb
from tests.bench.report import Table

Floats = NDArray[np.float32]

FOLDERS = ("research_only", "check")
REACH = 2
"""Pictures before the middle one, and after it."""
LEAST = 7
"""Pictures that a clip must have."""
WINDOWS = 5
"""Windows a clip, evenly spread: fewer in a clip that has fewer pictures with all their neighbours."""
PEAKS = (0.05, 0.025)
SEED = 300_000
"""Picture f of the n-th clip has the seed SEED + 1000 n + f, at either peak."""
MOVES = 4 / 255
"""Difference to a neighbouring picture, code value, mean over 5x5 pixels and the channels, from which on a pixel moves."""
SPREAD = 5
SCARCE = 0.01
"""Share of a clip's pixels under which an area is too small to have a figure."""
VERSION = 1
INPUT, SINGLE, ALONG = "input", "single", "temporal"
AREAS = ("psnr", "moving", "static")
WORDS = (
    "Clips of data/video that were not trained on, 7 pictures or more; up to 5 windows of 5 pictures a clip, evenly spread, the middle "
    "one cleaned. Film-like grain, another seed for every picture, all told its peak. A pixel moves where the clean picture differs "
    "from either neighbour by more than 4/255, mean over 5x5 pixels and the channels. PSNR is the mean over windows, by area that of the "
    "mean square error over a clip's windows; no figure where the area is under 1 % of the clip.",
)


@dataclass(frozen=True)
class Method:
    """Name a way from a window (T, H, W, 3) and a peak to the grain (H, W, 3) of the middle picture, and what it is kept under."""

    name: str
    key: tuple[str, ...]
    grain: Callable[[Window, float], Image]


@cache
def _remover() -> temporal.TemporalRemover:
    return temporal.TemporalRemover(Remover(device="cpu"))


def temporal_grain(window: Window, strength: float) -> Image:
    """Return the grain (H, W, 3) of the middle of a window (T, H, W, 3), told the peak, code value, as `quality` temporal gives it."""
    return _remover().grain(window, strength)


def single_grain(window: Window, strength: float) -> Image:
    """Return the grain of the middle of a window by the default model, which sees it alone."""
    return Remover(device="cpu").grain(np.ascontiguousarray(window[len(window) // 2]), strength)


def methods() -> list[Method]:
    """Return doing nothing, the default net, which sees the middle picture alone, and `quality` temporal, which uses that net."""
    default = find_model(QUALITIES["default"], "removal").sha256
    return [
        Method(INPUT, (INPUT,), lambda window, strength: np.zeros_like(window[0])),
        Method(SINGLE, (default,), single_grain),
        Method(ALONG, (default, digest_code(temporal, motion)), temporal_grain),
    ]


def clip_paths() -> list[Path]:
    """Return the clips, in sorted order: movies with enough pictures."""
    paths = [path for folder in FOLDERS for path in sorted((data_root() / "video" / folder).glob("*.mkv"))]
    return [path for path in paths if frame_count(path) >= LEAST]


@cache
def frame_count(path: Path) -> int:
    """Return how many pictures a movie holds."""
    import av

    with av.open(str(path)) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)


def middles(count: int) -> list[int]:
    """Return the middles of at most 5 windows, evenly spread, of a clip of `count` pictures, all neighbours within it."""
    whole = count - 2 * REACH
    return [int(place) for place in np.round(np.linspace(REACH, count - REACH - 1, min(WINDOWS, whole)))]


@dataclass(frozen=True, eq=False)
class Shot:
    """Hold what is measured of a clip: its windows' pictures by number, their grain at a peak of 1, and the windows' middles."""

    clean: dict[int, Floats]
    grain: dict[int, Floats]
    middles: list[int]

    def window(self, middle: int, peak: float) -> Window:
        """Return the grainy pictures around one, (5, H, W, 3)."""
        places = range(middle - REACH, middle + REACH + 1)
        return np.stack([self.clean[place] + np.float32(peak) * self.grain[place] for place in places])

    def moving(self, middle: int) -> NDArray[np.bool_]:
        """Return where a picture moves, (H, W)."""
        apart = [_blurred(self.clean[middle] - self.clean[middle + step]) for step in (-1, 1)]
        return np.maximum(*apart) > MOVES


def _blurred(difference: Floats) -> Floats:
    return ndimage.uniform_filter(np.abs(difference).mean(axis=2), SPREAD)


@lru_cache(maxsize=1)
def read_shot(path: Path, number: int) -> Shot:
    """Read the windows of the `number`-th clip and render their grain."""
    chosen = middles(frame_count(path))
    needed = {middle + step for middle in chosen for step in range(-REACH, REACH + 1)}
    clean = {place: picture.astype(np.float32) for place, picture in enumerate(read_rgb(path, max(needed) + 1)) if place in needed}
    grain = {place: _unit_grain(picture, SEED + 1000 * number + place) for place, picture in clean.items()}
    return Shot(clean, grain, chosen)


def _unit_grain(picture: Floats, seed: int) -> Floats:
    """Return the grain of a picture at a peak of 1; that at another is in proportion."""
    return FILM.render(np.clip(picture.astype(np.float64), 0, 1), 1.0, seed, SHARED).astype(np.float32)


def measure(shot: Shot, peak: float, method: Method) -> Figures:
    """Return a method's figures on a clip: psnr, that of moving and static areas (None where too small), dB, and the share that moves."""
    ratios: list[float] = []
    sums, pixels = np.zeros(2), np.zeros(2)
    for middle in shot.middles:
        window, truth = shot.window(middle, peak), shot.clean[middle]
        base = window[REACH] - method.grain(window, peak)
        ratios.append(psnr(base, truth))
        error, moves = ((base.astype(np.float64) - truth) ** 2).mean(axis=2), shot.moving(middle)
        for area, mask in enumerate((moves, ~moves)):
            sums[area] += error[mask].sum()
            pixels[area] += mask.sum()
    share = pixels / pixels.sum()
    moving, static = (float(-10 * np.log10(sums[a] / pixels[a])) if share[a] >= SCARCE else None for a in range(2))
    return {"psnr": float(np.mean(ratios)), "moving": moving, "static": static, "share": float(share[0])}


Rows = dict[str, list[Figures | None]]
"""Figures by method, a row a clip."""


def figures(keep: Keep, method: Method, clip: tuple[int, Path], peak: float) -> Figures | None:
    """Return a method's figures on a clip, given with its number, at a peak."""
    number, path = clip
    key = [VERSION, *method.key, digest(path), number, peak]
    return keep.figures("temporal", key, lambda: measure(read_shot(path, number), peak, method))


def gather(keep: Keep, clips: Sequence[tuple[int, Path]], found: Sequence[Method]) -> dict[float, Rows]:
    """Return the figures of all methods by peak, on clips that are given with their numbers."""
    by_peak: dict[float, Rows] = {peak: {method.name: [] for method in found} for peak in PEAKS}
    for clip in clips:
        keep.say(f"temporal: {clip[1].stem}")
        for peak, rows in by_peak.items():
            for method in found:
                rows[method.name].append(figures(keep, method, clip, peak))
    return by_peak


def differences(rows: Rows, name: str, area: str) -> list[float | None]:
    """Return by clip how far a method is ahead of the net of single pictures, dB."""
    pairs = zip(rows[name], rows[SINGLE], strict=True)
    return [_difference(own, single, area) for own, single in pairs]


def _difference(own: Figures | None, single: Figures | None, area: str) -> float | None:
    if own is None or single is None or own[area] is None or single[area] is None:
        return None
    return float(own[area] - single[area])


def mean_table(rows: Rows, peak: float) -> Table:
    """Return the means over clips: PSNR by area, and what a method is ahead of the net of single pictures."""
    head = ["", "PSNR", "moving", "static", "ahead", "ahead, moving", "ahead, static"]
    body = [
        [
            name,
            *(mean_cell([None if f is None else f[area] for f in rows[name]], ".2f") for area in AREAS),
            *(mean_cell(differences(rows, name, area), "+.2f") for area in AREAS),
        ]
        for name in rows
    ]
    return Table(f"Mean of the clips, film-like grain of a peak of {peak:g}, dB; ahead of {SINGLE}, the default net alone", head, body)


def clip_table(rows: Rows, peak: float, names: Sequence[str]) -> Table:
    """Return by clip the share that moves, PSNR of input and single net, and what the others are ahead: all, moving, static."""
    others = [name for name in rows if name not in (INPUT, SINGLE)]
    body = [
        [name, _share(rows[INPUT][place]), _psnr(rows[INPUT][place]), _psnr(rows[SINGLE][place])]
        + [" / ".join(_ahead(rows, other, place, area) for area in AREAS) for other in others]
        for place, name in enumerate(names)
    ]
    head = ["clip", "moving, %", INPUT, SINGLE, *(f"{other}: all / moving / static" for other in others)]
    return Table(f"By clip, peak {peak:g}, dB; the last columns: ahead of {SINGLE}", head, body)


def _share(found: Figures | None) -> str:
    return MISSING if found is None else f"{100 * found['share']:.0f}"


def _psnr(found: Figures | None) -> str:
    return MISSING if found is None else f"{found['psnr']:.2f}"


def _ahead(rows: Rows, name: str, place: int, area: str) -> str:
    if rows[name][place] is None or rows[SINGLE][place] is None:
        return MISSING
    value = _difference(rows[name][place], rows[SINGLE][place], area)
    return "-" if value is None else f"{value:+.2f}"


def motion_plot(rows: Rows, peak: float) -> Plot:
    """Return what each method is ahead of the net of single pictures, a dot a clip, by how much of the clip moves."""

    def draw(figure: Any) -> None:
        panel = figure.subplots()
        for name in (name for name in rows if name not in (INPUT, SINGLE)):
            held = zip(rows[INPUT], differences(rows, name, "psnr"), strict=True)
            dots = [(100 * plain["share"], ahead) for plain, ahead in held if plain is not None and ahead is not None]
            if dots:
                panel.plot(*zip(*dots, strict=True), "o", markersize=4, label=name)
        panel.set(xlabel="moving pixels of the clip, %", ylabel="dB ahead of the net alone", title=f"film-like grain, peak {peak:g}")
        panel.grid(alpha=0.3)
        if panel.lines:
            panel.legend(fontsize=7)
            panel.axhline(0, color="black", linewidth=0.6)

    return Plot("temporal.png", "Gain of neighbouring pictures by how much of a clip moves", draw, (6.0, 3.6))


def part(keep: Keep, every: int = 1) -> Part:
    """Return the section; `keep` decides whether what is missing is measured, on every `every`-th clip."""
    title = "Removal with neighbouring pictures"
    paths = list(enumerate(clip_paths()))[::every]
    if not paths:
        return Part(title, [f"{MISSING}: there are no clips of data/video here."])
    by_peak = gather(keep, paths, methods())
    tables = [mean_table(rows, peak) for peak, rows in by_peak.items()]
    tables += [clip_table(rows, peak, [path.stem for _, path in paths]) for peak, rows in by_peak.items()]
    return Part(title, [*WORDS, f"{len(paths)} clips."], tables, [motion_plot(by_peak[PEAKS[0]], PEAKS[0])], {"rows": by_peak})
