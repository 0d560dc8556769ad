"""How near the decoded grain is to the true grain: encode, decode at 1, 0.5 and 0 by the command line, and compare statistics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.bench.cache import PLACE
from tests.bench.material import CLIPS, RATE, STRENGTHS, Clip, Footage, make_footage
from tests.bench.metrics import GrainReport, compare_grain
from tests.bench.movies import encode_planes, planes_to_rgb, read_planes
from tests.bench.product import grainlayer
from tests.bench.quality import decode_ffv1
from tests.bench.report import Report, Table

FRAMES, LARGE_FRAMES, LARGE = 24, 10, 500_000
"""Frames compared of a clip, and of one of more pixels than LARGE."""
SVT_GRAIN = 50
QUICK = ("car-shadow",)
OURS, FLOOR, SVT = "ours", "floor (another seed)", "SVT film grain 50"
NOTES = (
    "The grain compared is decoded - base (ours: --grain 1 minus --grain 0), in RGB, against grainy - clean, both from stored planes.",
    "strength: RMS relative error over 16 intensity bins and 3 channels; spectrum: RMS dB over 32 rings, strengths made equal;",
    "autocorrelation: greatest difference over lags +-5; covariance: relative error of the channel covariance (Frobenius);",
    "frames: correlation with the next frame; repetition: greatest autocorrelation beyond 16 px over the true grain's own.",
    "half: RMS of the grain decoded at 0.5 over that at 1.",
)

Frames = NDArray[np.float32]


@dataclass(frozen=True)
class Fidelity:
    """Hold one clip's figures: ours, the floor, SVT-AV1's own film grain, and what --grain 0.5 leaves of the strength."""

    clip: Clip
    std: int
    ours: GrainReport
    floor: GrainReport
    svt: GrainReport
    half: float

    @property
    def name(self) -> str:
        """Return the rows' title."""
        return f"{self.clip.name} std {self.std}"


def load(path: Path, count: int) -> Frames:
    """Return the first frames of a 10-bit 4:2:0 movie in RGB code values, (T, H, W, 3)."""
    return np.stack([planes_to_rgb(planes).astype(np.float32) for planes in read_planes(path, 0, count)])


def decode_ours(footage: Footage, count: int) -> tuple[Frames, float]:
    """Encode and decode by the command line; return the decoded grain and RMS at 0.5 over RMS at 1."""
    stem = _stem(footage, "ours")
    film = stem.with_suffix(".mkv")
    grainlayer("encode", footage.grainy, "-o", film)
    paths = {strength: stem.with_name(f"{stem.name}-{strength:g}.mkv") for strength in (0.0, 0.5, 1.0)}
    for strength, path in paths.items():
        grainlayer("decode", film, "-o", path, "--grain", strength, "--codec", "ffv1")
    base = load(paths[0.0], count)
    whole = load(paths[1.0], count) - base
    half = load(paths[0.5], count) - base
    return whole, rms(half) / rms(whole)


def rms(values: Frames) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def decode_svt(footage: Footage, count: int) -> Frames:
    """Return the grain that SVT-AV1's film grain draws: decoded with it minus decoded without."""
    stem = _stem(footage, "svt")
    film = stem.with_suffix(".mkv")
    options = {"preset": "8", "crf": "35", "svtav1-params": f"film-grain={SVT_GRAIN}:film-grain-denoise=1"}
    encode_planes(film, read_planes(footage.grainy), RATE, "libsvtav1", options)
    paths = [stem.with_name(f"{stem.name}-{word}.mkv") for word in ("with", "without")]
    for path, film_grain in zip(paths, (True, False), strict=True):
        decode_ffv1(film, path, film_grain=film_grain)
    return load(paths[0], count) - load(paths[1], count)


def _stem(footage: Footage, method: str) -> Path:
    folder = PLACE / "fidelity"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{footage.clip.name}-{footage.std}-{method}"


def measure(clip: Clip, std: int) -> Fidelity:
    """Return one clip's figures."""
    footage = make_footage(clip, std)
    first = next(iter(read_planes(footage.clean, 0, 1)))
    count = LARGE_FRAMES if first[0].size > LARGE else FRAMES
    clean = load(footage.clean, count)
    true = load(footage.grainy, count) - clean
    floor = compare_grain(load(footage.other, count) - clean, true, clean)
    svt = compare_grain(decode_svt(footage, count), true, clean)
    grain, half = decode_ours(footage, count)
    return Fidelity(clip, std, compare_grain(grain, true, clean), floor, svt, half)


def judge(report: Report, found: Fidelity) -> None:
    """Hold one clip against the targets."""
    ours, floor = found.ours, found.floor
    for title, value, least, target in (
        ("strength", ours.strength, floor.strength, 0.05),
        ("spectrum, dB", ours.spectrum, floor.spectrum, 1.0),
        ("autocorrelation", ours.autocorrelation, floor.autocorrelation, 0.03),
        ("channel covariance", ours.covariance, floor.covariance, 0.05),
        ("correlation of frames", abs(ours.frame_correlation), abs(floor.frame_correlation), 0.01),
        ("repetition", ours.repetition, floor.repetition, 1.5),
    ):
        report.check(value <= target, f"{found.name}: {title} {value:.3f} (target {target:g}, floor {least:.3f})")
    report.check(abs(found.half - 0.5) <= 0.005, f"{found.name}: --grain 0.5 leaves {found.half:.4f} (target 0.5 within 1 %)")


def row(name: str, method: str, figures: GrainReport, half: str = "") -> list[str]:
    """Return one line of the table."""
    numbers = (
        f"{100 * figures.strength:.1f} %",
        f"{figures.spectrum:.2f} dB",
        f"{figures.autocorrelation:.3f}",
        f"{100 * figures.covariance:.1f} %",
    )
    return [name, method, *numbers, f"{figures.frame_correlation:+.4f}", f"{figures.repetition:.2f}", half]


def run(quick: bool = False) -> Report:
    """Compare grain on every clip at hand; quick: one small clip at std 6."""
    report = Report("fidelity", "Fidelity of the decoded grain")
    clips = [clip for clip in CLIPS if clip.available and (not quick or clip.name in QUICK)]
    results = [measure(clip, std) for std in (STRENGTHS[1:] if quick else STRENGTHS) for clip in clips]
    rows: list[list[str]] = []
    for found in results:
        judge(report, found)
        rows += [row(found.name, OURS, found.ours, f"{found.half:.4f}"), row("", FLOOR, found.floor), row("", SVT, found.svt)]
    head = ["clip", "grain", "strength", "spectrum", "autocorrelation", "covariance", "frames", "repetition", "half"]
    report.tables, report.notes = [Table("Decoded grain against the true grain", head, rows)], list(NOTES)
    report.figures = {f.name: {OURS: f.ours.to_dict(), FLOOR: f.floor.to_dict(), SVT: f.svt.to_dict(), "half": f.half} for f in results}
    return report
