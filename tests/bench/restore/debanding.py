"""Evaluate debanding alone, beside FFmpeg's: `python -m tests.bench.restore.debanding [--quick] [--strength 0.5]`.

Bands and PSNR of the made sky, PSNR by class of clips, grain before and after, and the time of a 1080p picture. The input is the
degraded picture itself, no net at work; QPs are those the stream states.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from itertools import islice
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray

from grainlayer.inference.deband import deband
from tests.bench.material import data_root
from tests.bench.movies import double_chroma, plane_samples
from tests.bench.report import Table
from tests.bench.restore.banding import STRETCHED, cambi
from tests.bench.restore.clips import Source, clip_sources
from tests.bench.restore.degrade import ROUNDING, SOFT_ROUNDING, X264, Condition, Degraded, degrade, truth_of
from tests.bench.restore.measures import CLASSES, classify, flicker, pooled
from tests.bench.restore.methods import ffmpeg_filters
from tests.bench.restore.sky import SKY, graded, sky_only

Floats = NDArray[np.floating]

CONDITIONS = (ROUNDING, SOFT_ROUNDING, *X264[:3])
SMOOTH = ("drift-chicane", "pexels", "vid4_walk", "intotree")
"""Clips that have flat parts and gradients enough to be judged."""
THRESHOLDS = ("0.004", "0.008", "0.02")
"""Of FFmpeg's deband; the one nearest to the truth and the strongest are shown."""
SPAN = 219
BLOCK, CALM = 16, 0.15
"""Grain is measured about a plane in blocks of so many pixels, in this share of them, the calmest that hold grain at all."""
GRAINY = 1.0
"""Codes of 8 bits: least standard deviation of a block that is said to hold grain."""


def even(degraded: Degraded, place: int, strength: float) -> tuple[Floats, Floats]:
    """Return one picture without bands, its chroma interpolated linearly first."""
    luma = degraded.luma[place].astype(np.float32)
    chroma = np.stack([double_chroma(degraded.chroma[place, :, :, part].astype(np.float64)) for part in range(2)], axis=2)
    return deband(luma, chroma.astype(np.float32), degraded.quantiser[place], strength)


def peer(degraded: Degraded, place: int, threshold: str) -> Floats:
    """Return the luma of one picture after FFmpeg's deband, in 12 bits, with a threshold."""
    limits = ":".join(f"{number}thr={threshold}" for number in range(1, 5))
    return ffmpeg_filters(degraded, [place], [("deband", f"{limits}:blur=1")], 12)[0][0]


def sky_rows(strength: float) -> Iterator[list[str]]:
    """Yield, by condition and way, CAMBI of the graded sky and PSNR by class, dB."""
    for condition in CONDITIONS:
        if condition.softened:
            continue
        truth, degraded = truth_of(SKY, condition), degrade(SKY, condition)
        place = truth.places[len(truth.places) // 2]
        found = {"truth": truth.luma[place], "input": degraded.luma[place], "deband": even(degraded, place, strength)[0]}
        peers = [peer(degraded, place, threshold) for threshold in THRESHOLDS]
        found["ffmpeg deband, strongest"] = peers[-1]
        found["ffmpeg deband, nearest"] = min(peers, key=lambda luma: float(np.mean((luma - truth.luma[place]) ** 2)))
        for name, luma in found.items():
            bands = cambi(graded(sky_only(luma[None])), STRETCHED)
            areas = class_psnr(luma[None], truth.luma[place][None]) if name != "truth" else {}
            yield [condition.name, name, f"{bands:.2f}", *(f"{areas[kind]:.2f}" if kind in areas else "-" for kind in CLASSES)]


def class_psnr(luma: Floats, truth: Floats) -> dict[str, float]:
    """Return the PSNR of pictures (N, H, W) by class of the truth, dB, where a class holds 1 % of the samples or more."""
    kinds = [classify(picture) for picture in truth]
    found: dict[str, float] = {}
    for kind in CLASSES:
        mask = np.stack([one[kind] for one in kinds])
        squares, count = pooled((luma - truth) * (SPAN / 255), mask)
        if count >= 0.01 * mask.size and squares:
            found[kind] = float(-10 * np.log10(squares / count))
    return found


def clip_rows(sources: list[Source], strength: float) -> Iterator[list[str]]:
    """Yield by condition what debanding adds to the PSNR of luma by class and of chroma, mean and least over clips, and flicker."""
    for condition in CONDITIONS:
        gains: dict[str, list[float]] = {kind: [] for kind in (*CLASSES, "chroma", "flicker")}
        for source in sources:
            for kind, value in clip_gains(source, condition, strength).items():
                gains[kind].append(value)
        yield [condition.name, *(f"{fmean(values):+.3f} ({min(values):+.3f})" if values else "-" for values in gains.values())]


def clip_gains(source: Source, condition: Condition, strength: float) -> dict[str, float]:
    """Return the gains of one clip over the input, dB, and the change of still areas over the input's less 1."""
    truth, degraded = truth_of(source, condition), degrade(source, condition)
    pairs = [even(degraded, place, strength) for place in truth.places]
    luma, wanted, given = np.stack([pair[0] for pair in pairs]), truth.luma[truth.places], degraded.luma[truth.places]
    before, after = class_psnr(given, wanted), class_psnr(luma, wanted)
    found = {kind: after[kind] - before[kind] for kind in before if kind in after}
    plain = np.stack([even(degraded, place, 0)[1] for place in truth.places]) - truth.chroma[truth.places]
    tinted = np.stack([pair[1] for pair in pairs]) - truth.chroma[truth.places]
    found["chroma"] = float(10 * np.log10(np.mean(plain**2) / np.mean(tinted**2)))
    still = flicker(given, wanted)[0]
    return found | ({"flicker": flicker(luma, wanted)[0] / still - 1} if still else {})


def grain_pictures(quick: bool) -> Iterator[tuple[str, Floats]]:
    """Yield luma in codes of 8 bits, whole numbers, of footage with grain."""
    import av
    import OpenImageIO as oiio

    root = data_root() / "grain"
    movies = [root / "oldfilm_003_house.mkv", *sorted((root / "av1_filmgrain").glob("*_8bit.ivf"))]
    for path in movies[: 2 if quick else None]:
        with av.open(str(path)) as container:
            frame = next(islice(container.decode(video=0), 3, None))
        deep = frame.format.components[0].bits > 8
        yield path.stem, np.round(plane_samples(frame, 0, "<u2" if deep else "u1") / (4 if deep else 1)) - 16
    for path in sorted((root / "scans").glob("*.jpg"))[: 1 if quick else None]:
        whole = np.asarray(oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT))
        top, left = (max(0, size // 2 - 500) for size in whole.shape[:2])
        yield path.stem, np.round(whole[top : top + 1000, left : left + 1000, :3] @ np.array([0.2126, 0.7152, 0.0722]) * SPAN)


def grain_rows(strength: float, quick: bool) -> Iterator[list[str]]:
    """Yield by picture the grain's standard deviation in calm blocks, codes of 8 bits, before and after, rounded alone and at QP 32."""
    for name, codes in grain_pictures(quick):
        luma = (codes / SPAN).astype(np.float32)
        before = deviations(luma)
        kept = np.argsort(before)[np.searchsorted(np.sort(before), GRAINY / SPAN) :][: max(8, int(CALM * before.size))]
        row = [name, f"{SPAN * before[kept].mean():.3f}"]
        for quantiser in (0, 32):
            cells = np.full([-(-size // 8) for size in luma.shape], quantiser / 64, np.float32)
            after = deviations(deband(luma, np.zeros((*luma.shape, 2), np.float32), cells, strength)[0])
            row.append(f"{100 * (after[kept].mean() / before[kept].mean() - 1):+.2f} %")
        yield row


def deviations(luma: Floats) -> NDArray[np.float64]:
    """Return by block the standard deviation about a fitted plane."""
    rows, columns = (size // BLOCK for size in luma.shape)
    cut = luma[: rows * BLOCK, : columns * BLOCK].astype(np.float64)
    blocks = cut.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2).reshape(-1, BLOCK, BLOCK)
    ramp = np.arange(BLOCK) - (BLOCK - 1) / 2
    power = BLOCK * np.sum(ramp**2)
    down, across = (np.sum(blocks * one, axis=(1, 2)) / power for one in (ramp[:, None], ramp))
    return np.sqrt(np.maximum(blocks.var(axis=(1, 2)) - (down**2 + across**2) * np.mean(ramp**2), 0))


def speed_rows() -> Iterator[list[str]]:
    """Yield the time of a 1080p picture, luma and chroma, milliseconds: median of 9 after 2."""
    luma = np.tile(truth_of(SKY, ROUNDING).luma[0], (3, 3))[:1080, :1920].astype(np.float32)
    chroma = np.zeros((1080, 1920, 2), np.float32)
    for name, quantiser in (("rounded alone", 0), ("QP 32", 32)):
        cells = np.full((135, 240), quantiser / 64, np.float32)
        spent = [_timed(luma, chroma, cells) for _ in range(11)][2:]
        yield [name, *(f"{1000 * median(values):.1f}" for values in zip(*spent, strict=True))]


def _timed(luma: Floats, chroma: Floats, cells: Floats) -> tuple[float, float]:
    """Return the seconds passed, and those of processors."""
    start = time.perf_counter(), time.process_time()
    deband(luma.astype(np.float32, copy=False), chroma.astype(np.float32, copy=False), cells.astype(np.float32, copy=False), 0.5)
    return time.perf_counter() - start[0], time.process_time() - start[1]


def main(words: list[str]) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="tests.bench.restore.debanding", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one clip, and grain of three pictures")
    parser.add_argument("--strength", type=float, default=0.5, help="the parameter deband, 0 to 1")
    asked = parser.parse_args(words)
    sources = clip_sources(names=SMOOTH[:1] if asked.quick else SMOOTH)
    heads = ["", "", "CAMBI graded", *CLASSES], ["gain (least)", *CLASSES, "chroma", "flicker"]
    print(Table("The made sky, its contrast times 4", heads[0], list(sky_rows(asked.strength))).markdown() + "\n", flush=True)
    print(
        Table(
            "Clips: dB over the input, least clip; flicker over the input's", heads[1], list(clip_rows(sources, asked.strength))
        ).markdown()
        + "\n"
    )
    grain = ["", "deviation", "rounded alone", "QP 32"]
    print(
        Table("Grain in calm blocks, codes of 8 bits", grain, list(grain_rows(asked.strength, asked.quick))).markdown() + "\n", flush=True
    )
    print(Table("A 1080p picture, ms", ["", "passed", "of processors"], list(speed_rows())).markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
