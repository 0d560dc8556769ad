"""Encode at several rates with SVT-AV1 and read the rate at a quality.

Every encode is judged twice by VMAF: against its own source (what went into the encoder) and against the true clean picture.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from tests.bench.cache import digest_movie, recall
from tests.bench.material import RATE
from tests.bench.movies import encode_planes, read_planes
from tests.bench.quality import vmaf

PRESET = 8
TARGET = 90.0
STARTS = (63.0, 50.0, 37.0)
"""CRFs of the first encodes; then the interval that holds the target is narrowed."""
LEAST_CRF, MOST = 8.0, 6
CLOSE = 1.0
"""VMAF points between two encodes around the target at which narrowing ends."""


@dataclass(frozen=True)
class Point:
    """Hold one encode: kb/s of its packets, VMAF against its own source and against the clean picture."""

    crf: float
    kbps: float
    own: float
    clean: float


@dataclass(frozen=True)
class Rate:
    """Hold the kb/s at a quality. `bound`: '' exact, '<' every encode is better, '>' none is good enough (kb/s is then the nearest)."""

    kbps: float
    bound: str = ""

    def __str__(self) -> str:
        return f"{self.bound}{self.kbps:.0f}"


def encode_point(source: Path, own: Path, clean: Path, crf: float, params: str = "", *, film_grain: bool = True) -> Point:
    """Encode a movie at a CRF and judge it; cached by the files' content and the settings."""
    key = [digest_movie(source), digest_movie(own), digest_movie(clean), PRESET, crf, params, film_grain, RATE]

    def compute() -> dict[str, float]:
        os.environ.setdefault("SVT_LOG", "1")
        with tempfile.TemporaryDirectory() as name:
            movie = Path(name) / "base.mkv"
            options = {"preset": f"{PRESET}", "crf": f"{crf:g}"} | ({"svtav1-params": params} if params else {})
            size = encode_planes(movie, read_planes(source), RATE, "libsvtav1", options)
            frames = sum(1 for _ in read_planes(own))
            scores = vmaf(movie, [own, clean], film_grain=film_grain)
        return asdict(Point(crf, size * 8 * RATE / frames / 1000, *scores))

    return Point(**recall("rate", key, compute))


def climb(source: Path, own: Path, clean: Path, params: str = "", *, film_grain: bool = True) -> tuple[Point, ...]:
    """Return at most six encodes by rising rate, the last of them narrowing the interval that holds VMAF 90."""
    points: dict[float, Point] = {}
    for crf in STARTS:
        points[crf] = encode_point(source, own, clean, crf, params, film_grain=film_grain)
    while len(points) < MOST:
        crf = next_crf(list(points.values()))
        if crf is None:
            break
        points[crf] = encode_point(source, own, clean, crf, params, film_grain=film_grain)
    return tuple(sorted(points.values(), key=lambda point: point.kbps))


def next_crf(points: Sequence[Point]) -> float | None:
    """Return the CRF to try next, None where it would tell nothing new."""
    worse = [point for point in points if point.own < TARGET]
    better = [point for point in points if point.own >= TARGET]
    if not worse:
        return None
    low = min(worse, key=lambda point: point.crf)
    if not better:
        crf = max(LEAST_CRF, low.crf - 10)
        return crf if crf < low.crf else None
    high = max(better, key=lambda point: point.crf)
    if high.own - low.own < CLOSE:
        return None
    share = (TARGET - low.own) / (high.own - low.own)
    crf = float(round(low.crf + share * (high.crf - low.crf)))
    crf = min(max(crf, high.crf + 1), low.crf - 1)
    return crf if high.crf < crf < low.crf else None


def rate_at(points: Sequence[Point], target: float = TARGET) -> Rate:
    """Return the kb/s at an own VMAF, linear in VMAF against the logarithm of the rate between the two encodes around it."""
    ordered = sorted(points, key=lambda point: point.kbps)
    if ordered[0].own >= target:
        return Rate(ordered[0].kbps, "<")
    for low, high in pairwise(ordered):
        if low.own < target <= high.own:
            share = (target - low.own) / (high.own - low.own)
            return Rate(float(np.exp(np.log(low.kbps) + share * np.log(high.kbps / low.kbps))))
    return Rate(ordered[-1].kbps, ">")


def clean_at(points: Sequence[Point], kbps: float) -> tuple[float, str]:
    """Return the VMAF against the clean picture at a rate; beyond the encodes' span the nearest one's, marked '<' or '>'."""
    ordered = sorted(points, key=lambda point: point.kbps)
    rates = np.log([point.kbps for point in ordered])
    score = float(np.interp(np.log(kbps), rates, [point.clean for point in ordered]))
    return score, "<" if np.log(kbps) < rates[0] else ">" if np.log(kbps) > rates[-1] else ""
