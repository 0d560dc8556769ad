"""Make a cache of septuplets to learn restoration from: `python -m models.data septuplets --out CACHE`.

Sources are good movies and image sequences, and photographs in synthetic motion. Each gives groups of successive pictures, each of which
is recorded several times by models/transcode.py; models/septcache.py keeps them. A group's truth, and how it is recorded, follow from the
seed and its name alone, so that a run that stopped goes on by the same command. Whole sources are held out to check on, by their names,
and so is all that lies in a folder called research_only or check: that may only evaluate.
"""

from __future__ import annotations

import argparse
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from grainlayer.errors import MediaError
from grainlayer.picture.cuts import CutDetector, shrink
from grainlayer.picture.media import MOVIE_SUFFIXES, STILL_SUFFIXES, Reader, is_sequence, open_media
from grainlayer.picture.planes import LUMA_WEIGHTS, matrix_number, to_image
from grainlayer.picture.samples import BT709
from models.data import data_root, find_pictures, read_rgb
from models.motion import move
from models.septcache import CARD, HELD, LEAST, TAUGHT, write_card, write_group
from models.shell import reason, sentences
from models.transcode import BLOCK, SOFTENED, Floats, Recipe, draw_recipe, record

OTHER_MOVIES = frozenset((".webm", ".mxf", ".m4v", ".ts"))
"""Movies that are read beside those that grainlayer writes."""
ONLY_EVALUATE = {"research_only", "check"}
SHARES = {"clip": 4, "photograph": 16}
"""One source in so many is held out, at least one where there are two."""
SMALLEST, LARGE = 64, 160
"""Least width and height of a coded picture, smaller ones damage libx265, and of one made half as large."""
CHECKED = (22, 27, 32, 37)
"""QPs of the recordings of held-out groups, to which one of rounding alone is added."""
FLAT, SOFT, BLURS = 0.35, 0.25, (0.7, 4.0)
"""Shares of the groups with the low contrast of LOG footage, and of those out of focus, without noise, where bit depth shows; and the
standard deviation of the latter's blur, pixels."""
HALVED = 0.7
"""Share of the groups made half as large, by the mean of 2x2 pixels: as sharp as pictures can be, after any motion. Of pictures that
were only moved, interpolated, a net learns to make others soft."""
FLUTTERING, SHAKEN = 0.25, 0.35
"""Shares of the photographs' shots in which parts move for themselves, as leaves do, and in which the camera shakes, so that some
pictures are blurred by its motion and others not: what neighbours show must not be trusted blindly."""
NOISY, NOISE = 0.4, (0.3, 2.5)
"""Share of the groups that are not soft with the noise of a camera, new in each picture, and its deviation, codes of 8 bits."""


@dataclass(frozen=True)
class Plan:
    """Say what a cache is made of; `windows` groups of `frames` pictures, `width` by `height` at most, from each clip, `shots` from each
    of `photographs` photographs, `recordings` of each group."""

    clips: tuple[str, ...]
    pictures: str
    photographs: int
    windows: int
    shots: int
    frames: int
    width: int
    height: int
    recordings: int
    seed: int


@dataclass(frozen=True)
class Source:
    """Name a clip or photograph, and the part its groups belong to."""

    path: Path
    kind: str
    part: str

    @property
    def name(self) -> str:
        """Return a name for files, without any folder."""
        return "".join(c if c.isalnum() or c in "-_" else "_" for c in self.path.stem) or "sequence"


def find_clips(path: Path) -> list[Path]:
    """Return the movies and numbered sequences that a path stands for: itself, or all below a folder. Raise MediaError for none."""
    if path.is_file() or (is_sequence(path) and not path.is_dir()):
        return [path]
    files = [p for p in sorted(path.rglob("*")) if p.is_file()]
    movies = [p for p in files if p.suffix.lower() in MOVIE_SUFFIXES | OTHER_MOVIES]
    stills = [p.parent for p in files if p.suffix.lower() in STILL_SUFFIXES]
    found = movies + sorted({folder for folder in stills if stills.count(folder) >= LEAST})
    if not found:
        what = f"holds no movie and no sequence of {LEAST} pictures" if path.is_dir() else "does not exist"
        raise MediaError(f"{path} {what}: name a movie, a sequence, or a folder of these by --clips.")
    return found


def divide(paths: Sequence[Path], kind: str) -> list[Source]:
    """Return sources with their parts. Those whose names hash least are held out: no order of listing takes part."""
    free = [path for path in paths if not ONLY_EVALUATE & set(path.resolve().parts)]
    ranked = sorted(free, key=lambda path: (zlib.crc32(path.stem.encode()), str(path)))
    held = set(ranked[: max(1, len(ranked) // SHARES[kind])]) if len(ranked) > 1 else set[Path]()
    return [Source(path, kind, TAUGHT if path in set(free) - held else HELD) for path in paths]


def sources_of(plan: Plan) -> list[Source]:
    """Return the sources of a plan. Raise MediaError where a folder holds none; exits with a sentence where two share a name."""
    clips = [found for path in plan.clips for found in find_clips(Path(path))]
    files = find_pictures(Path(plan.pictures)) if plan.photographs else []
    sources = divide(clips, "clip") + divide(files[:: max(1, len(files) // max(1, plan.photographs))][: plan.photographs], "photograph")
    names = [source.name for source in sources]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SystemExit(f"Two sources are called {twice[0]}: rename one, for the split goes by names.")
    if not sources:
        raise SystemExit("There is nothing to make septuplets of: name movies by --clips, or --photographs 1 or more.")
    return sources


def to_planes(image: Floats, matrix: int) -> Floats:
    """Return RGB code values (H, W, 3) as Y, Cb, Cr (3, H, W): Y 0..1, Cb and Cr -0.5..0.5, by the weights of an ITU-T H.273 matrix."""
    kr, kb = LUMA_WEIGHTS.get(matrix, LUMA_WEIGHTS[BT709])
    red, green, blue = (image[:, :, channel] for channel in range(3))
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    return np.stack([luma, (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)]).astype(np.float32)


@cache
def shots_of(path: Path) -> list[int]:
    """Return where the shots of a clip begin, and its length."""
    detector, count = CutDetector(), 0
    with open_media(path) as reader:
        for frame in reader.frames():
            detector.add(shrink(frame.planes[0], reader.info.format))
            count += 1
    return [*detector.finish(), count]


def read_window(source: Source, plan: Plan, rng: np.random.Generator) -> Floats:
    """Return successive pictures of one shot of a clip (F, 3, H, W), a part of each. Exits with a sentence where it is too short or small.

    A source whose chroma is subsampled is made half as large first, so that the truth's is not.
    """
    bounds = shots_of(source.path)
    shots = [(a, b) for a, b in pairwise(bounds) if b - a >= LEAST]
    if not shots:
        raise SystemExit(f"{source.path} has no shot of {LEAST} pictures or more, which a septuplet takes: take it out.")
    first, last = shots[int(rng.integers(len(shots)))]
    frames = min(plan.frames, last - first)
    start = int(rng.integers(first, last - frames + 1))
    with open_media(source.path) as reader:
        pictures = _pictures(reader, start, start + frames)
    if rng.random() < HALVED and min(pictures[0].shape[1:]) >= 2 * LARGE:
        pictures = [_halved(picture) for picture in pictures]
    height, width = (min(most, n // BLOCK * BLOCK) for most, n in zip((plan.height, plan.width), pictures[0].shape[1:], strict=True))
    _check_side(source, min(height, width))
    y, x = (int(rng.integers(0, n - part + 1)) for n, part in zip(pictures[0].shape[1:], (height, width), strict=True))
    return np.stack([picture[:, y : y + height, x : x + width] for picture in pictures])


def _check_side(source: Source, side: int) -> None:
    """Exit with a sentence where a source gives pictures too small to be coded."""
    if side < SMALLEST:
        raise SystemExit(f"{source.path} is too small to make septuplets of, under {SMALLEST} pixels a side: take it out.")


def _pictures(reader: Reader, start: int, stop: int) -> list[Floats]:
    info = reader.info
    matrix = matrix_number(info.tags, info.height)
    made: list[Floats] = []
    for frame in reader.frames(start, stop):
        planes = to_planes(to_image(frame.planes, info.format, info.tags, threads=1), matrix)
        made.append(_halved(planes) if any(info.format.chroma_shift) else planes)
    return made


def _halved(planes: Floats) -> Floats:
    rows, columns = (n // 2 * 2 for n in planes.shape[1:])
    return planes[:, :rows, :columns].reshape(3, rows // 2, 2, columns // 2, 2).mean((2, 4))


def move_photograph(source: Source, plan: Plan, rng: np.random.Generator) -> Floats:
    """Return a photograph in motion (F, 3, S, S). Exits with a sentence where it is too small."""
    picture = read_rgb(source.path)
    times = 2 if rng.random() < HALVED and min(picture.shape[:2]) >= 2 * LARGE else 1
    side = min(plan.height, plan.width, *(n // times // BLOCK * BLOCK for n in picture.shape[:2]))
    _check_side(source, side)
    shot = move([picture], rng, times * side, plan.frames)
    if rng.random() < FLUTTERING:
        shot = fluttering(shot, rng)
    if rng.random() < SHAKEN:
        shot = shaken(shot, rng)
    shot = functional.avg_pool2d(shot, times)
    return np.stack([to_planes(frame, BT709) for frame in shot.permute(0, 2, 3, 1).numpy()])


def fluttering(shot: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Return pictures (F, 3, H, W) each of whose parts, 8 to 32 pixels wide, moved by a pixel or so for itself."""
    frames, _, height, width = shot.shape
    wide = float(rng.uniform(8, 32))
    size = (frames, 2, int(height / wide) + 2, int(width / wide) + 2)
    coarse = torch.from_numpy(float(rng.uniform(0.2, 1.5)) * rng.standard_normal(size, np.float32))
    steps = functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=False).permute(0, 2, 3, 1)
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    places = (torch.stack((x, y), 2) + steps) * torch.tensor([2 / width, 2 / height]) - 1
    return functional.grid_sample(shot, places, "bicubic", "reflection", align_corners=False).clamp(0, 1)


def shaken(shot: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Return pictures (F, 3, H, W) blurred along a line, each by a length of its own, some pixels at most."""
    angle, length = float(rng.uniform(0, np.pi)), float(rng.uniform(1, 6))
    reach = 6
    made: list[torch.Tensor] = []
    for picture in shot:
        weights = line(angle + 0.3 * float(rng.standard_normal()), min(2.0 * reach, length * abs(float(rng.standard_normal()))), reach)
        wide = functional.pad(picture[:, None], (reach,) * 4, "reflect")
        made.append(functional.conv2d(wide, weights[None, None])[:, 0])
    return torch.stack(made)


def line(angle: float, length: float, reach: int) -> torch.Tensor:
    """Return the weights (2 reach + 1, 2 reach + 1), sum 1, of a mean along a line through the middle, `length` pixels long.

    Each of 65 points of the line counts for the four pixels around it, by linear interpolation; what lies beyond the reach is cut off.
    """
    along = np.linspace(-0.5, 0.5, 65) * length
    y, x = reach + along * np.sin(angle), reach + along * np.cos(angle)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    side = 2 * reach + 1
    weights = np.zeros((side + 2, side + 2), np.float32)
    for down in (0, 1):
        for right in (0, 1):
            share = np.abs(1 - down - (y - top)) * np.abs(1 - right - (x - left))
            np.add.at(weights, (top + down, left + right), share / 65)
    inner = weights[:side, :side]
    return torch.from_numpy(inner / inner.sum())


def blurred(clip: Floats, radius: float) -> Floats:
    """Return a clip (F, 3, H, W) behind a Gaussian blur of standard deviation `radius`, pixels: out of focus, without noise."""
    reach = min(int(3 * radius) + 1, min(clip.shape[2:]) - 1)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / radius) ** 2)
    weights = (weights / weights.sum()).expand(3, 1, 1, -1)
    across = functional.conv2d(functional.pad(torch.from_numpy(clip), (reach, reach, 0, 0), "reflect"), weights, groups=3)
    return functional.conv2d(functional.pad(across, (0, 0, reach, reach), "reflect"), weights.transpose(2, 3), groups=3).numpy()


def flattened(clip: Floats, rng: np.random.Generator) -> Floats:
    """Return a clip, in some groups with less contrast, as LOG footage has."""
    if rng.random() >= FLAT:
        return clip
    low, high = rng.uniform(0.05, 0.3), rng.uniform(0.5, 0.95)
    gains = np.array([high - low, 0.7 * (high - low), 0.7 * (high - low)], np.float32)[:, None, None]
    return clip * gains + np.array([low, 0, 0], np.float32)[:, None, None]


def noisy(clip: Floats, rng: np.random.Generator) -> Floats:
    """Return a clip with a camera's noise, that of chroma half as strong."""
    deviation = float(rng.uniform(*NOISE)) / 255 * np.array([1, 0.5, 0.5], np.float32)[:, None, None]
    return clip + deviation * rng.standard_normal(clip.shape, np.float32)


def recipes_of(part: str, count: int, rng: np.random.Generator, *, soft: bool) -> list[Recipe]:
    """Return how the recordings of a group are made: what is held out is always recorded alike, what is soft first by rounding alone."""
    if part == HELD:
        return [*(Recipe("libx264", "medium", qp, soft=True) for qp in CHECKED), Recipe("rounding", soft=True)]
    first = [Recipe("rounding", soft=bool(rng.random() < SOFTENED))] if soft else []
    return [*first, *(draw_recipe(rng) for _ in range(count - len(first)))]


def make_group(source: Source, number: int, plan: Plan, path: Path) -> str:
    """Write a source's group and return a line about it."""
    rng = np.random.Generator(np.random.Philox(key=[plan.seed, (zlib.crc32(source.name.encode()) << 16) + number]))
    clip = read_window(source, plan, rng) if source.kind == "clip" else move_photograph(source, plan, rng)
    soft = bool(rng.random() < SOFT)
    if soft:
        clip = blurred(clip, float(rng.uniform(*BLURS)))
    elif rng.random() < NOISY:
        clip = noisy(clip, rng)
    clip = flattened(clip, rng)
    made = [record(clip, recipe) for recipe in recipes_of(source.part, plan.recordings, rng, soft=soft)]
    write_group(path, source.name, source.part, clip, made)
    shown = ", ".join(f"{one.recipe.kind} {one.recipe.quantiser or ''} {one.bits:.3f}".replace("  ", " ") for one in made)
    return f"{path.stem} ({source.part}, {clip.shape[3]}x{clip.shape[2]}, {len(clip)} pictures), bits per pixel: {shown}"


def build(plan: Plan, out: Path, jobs: int) -> int:
    """Make a cache, or what of it is missing, by `jobs` processes, and return how many groups it has.

    Exits with a sentence for another plan's cache.
    """
    sources = sources_of(plan)
    _open_cache(out, {**asdict(plan), "clips": list(plan.clips), "held": sorted(s.name for s in sources if s.part == HELD)})
    groups = [(source, n) for source in sources for n in range(plan.windows if source.kind == "clip" else plan.shots)]
    paths = {(source, n): out / f"{source.name}-{n}.bin" for source, n in groups}
    missing = [group for group in groups if not paths[group].with_suffix(".json").exists()]
    with ProcessPoolExecutor(jobs, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        made = [pool.submit(make_group, source, n, plan, paths[source, n]) for source, n in missing]
        try:
            for done, group in enumerate(as_completed(made), len(groups) - len(missing) + 1):
                print(f"{done} of {len(groups)}: {group.result()}", flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return len(groups)


def _open_cache(out: Path, card: Mapping[str, Any]) -> None:
    """Make a folder the cache that a card describes, or see that it is. Exits with a sentence where it cannot be, or is another one."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        before = json.loads((out / CARD).read_text("utf-8")) if (out / CARD).exists() else None
        write_card(out / CARD, before or card)
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else "its card is damaged"
        raise SystemExit(f"{out} cannot hold a cache ({why}): give another folder as --out.") from error
    if before is not None and (changed := [key for key, value in card.items() if before.get(key) != value]):
        raise SystemExit(f"{out} was made with another {', '.join(changed)}: go back to it, or give another folder as --out.")


def parse(arguments: Sequence[str] | None = None) -> tuple[Plan, Path, int]:
    """Return what a command line asks for, the folder, and how many processes are to work.

    Exits with a sentence for numbers that make no sense.
    """
    parser = argparse.ArgumentParser(prog="python -m models.data septuplets", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the cache")
    open_clips, photographs = data_root() / "video" / "open", data_root() / "train" / "open"
    parser.add_argument("--clips", nargs="*", default=[str(open_clips)], help="movies, sequences, or folders of them; none for none")
    parser.add_argument("--pictures", default=str(photographs), help="folder of photographs")
    parser.add_argument("--photographs", type=int, default=280, help="how many of them at most, 0 for none")
    parser.add_argument("--windows", type=int, default=24, help="groups from each clip")
    parser.add_argument("--shots", type=int, default=1, help="groups from each photograph")
    parser.add_argument("--frames", type=int, default=9, help=f"pictures in a group, {LEAST} to 15")
    parser.add_argument("--width", type=int, default=480, help="of the coded pictures, at most")
    parser.add_argument("--height", type=int, default=272)
    parser.add_argument("--recordings", type=int, default=3, help="ways in which each group is recorded")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="groups made at a time")
    given = vars(parser.parse_args(arguments))
    out, jobs = given.pop("out"), given.pop("jobs")
    plan = Plan(**given | {"clips": tuple(given["clips"])})
    if min(plan.windows, plan.shots, plan.recordings, jobs) < 1 or min(plan.photographs, plan.seed) < 0:
        raise SystemExit("Give --windows, --shots, --recordings and --jobs 1 or more, --photographs and --seed 0 or more.")
    if not LEAST <= plan.frames <= 15 or min(plan.width, plan.height) < SMALLEST or plan.width % BLOCK or plan.height % BLOCK:
        raise SystemExit(f"Give --frames {LEAST} to 15, --width and --height multiples of {BLOCK}, {SMALLEST} or more.")
    return plan, out, jobs


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the cache that the command line asks for."""
    with sentences("a smaller --width and --height"):
        plan, out, jobs = parse(arguments)
        print(f"The cache in {out} has {build(plan, out, jobs)} groups.")
