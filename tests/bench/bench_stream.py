"""How many bits a grain stream takes, by the length of shots, and what zstd would make of the same symbols."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.bench.cache import PLACE
from tests.bench.material import CLIP_SEED, FILM, RATE, SHARED, Floats
from tests.bench.movies import Planes, rgb_to_planes, write_planes
from tests.bench.product import grainlayer
from tests.bench.report import Report, Table

SHOTS = {2: ("astronaut", "coffee", "rocket", "chelsea"), 4: ("motorcycle", "astronaut"), 8: ("coffee",)}
"""Shot length in seconds and the photographs of the clip's shots: eight seconds each."""
HEIGHT, WIDTH = 720, 1280
STD = 5
PEAK = STD / 255
TARGETS = {2: 5.0, 4: 2.5, 8: 2.5}
SMALLER = 0.2
NOTES = (
    "720p at 24 frames a second from scikit-image's photographs, moved; a clip of eight seconds for each shot length.",
    f"Film-like grain of peak standard deviation {STD} 8-bit steps, a new seed a frame.",
    "zstd: level 19, all shots' symbols in one frame at one byte each (two for strengths), as a plain coder would get them.",
)


def frames(seconds: int) -> Iterator[Planes]:
    """Yield the frames of the clip whose shots last some seconds."""
    from tests.demo.clip import Film, Shot, photograph

    shots: list[Shot] = []
    for name in SHOTS[seconds]:
        height, width = photograph(name).shape[:2]
        span = 0.78 * min(width, height * WIDTH / HEIGHT)
        shots.append(Shot(name, (4, 4, span), (0.15 * width, 12, span * 0.9), seconds * RATE))
    film = Film(tuple(shots), WIDTH, HEIGHT)
    for number in range(film.frames):
        clean = film.clean_frame(number)
        yield rgb_to_planes(clean + grain(clean, CLIP_SEED + 50_000 + number))


def grain(clean: Floats, seed: int) -> Floats:
    """Return a frame's grain."""
    return FILM.render(np.clip(clean, 0, 1), PEAK, seed, SHARED)


def source(seconds: int) -> Path:
    """Return the clip, written on first sight."""
    path = PLACE / "clips" / f"stream-{seconds}s.mkv"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_planes(path, frames(seconds), RATE)
    return path


def measure(seconds: int) -> dict[str, float]:
    """Encode a clip, its shots given, and weigh its stream."""
    import zstandard

    from grainlayer.codec.container import read_stream
    from grainlayer.codec.stream import packet_size, symbols, unpack

    path = source(seconds)
    film = path.with_name(f"{path.stem}-film.mkv")
    starts = ",".join(str(index * seconds * RATE) for index in range(len(SHOTS[seconds])))
    report = grainlayer("encode", path, "-o", film, "--shots", starts, "--preset", "12", "--crf", "50")
    data = read_stream(film)
    if data is None:
        raise RuntimeError(f"{film} carries no grain stream")
    stream, warnings = unpack(data)
    if warnings:
        raise RuntimeError(f"{film}: {warnings[0]}")
    length = float(stream.frames / stream.rate)
    plain = b"".join(symbols(shot) for shot in stream.shots)
    packed = zstandard.ZstdCompressor(level=19).compress(plain)
    shots = sum(packet_size(shot, stream.rate) for shot in stream.shots)
    leaves = sum(len(shot.texture.codes) for shot in stream.shots)
    return {
        "shots": len(stream.shots),
        "bytes": len(data),
        "shot_bytes": shots,
        "kbps": len(data) * 8 / 1000 / length,
        "symbols": len(plain),
        "zstd": len(packed),
        "blocks": leaves,
        "file_kbps": float(report["kbps"]),
    }


def run(quick: bool = False) -> Report:
    """Weigh streams; quick: shots of two seconds only."""
    report = Report("stream", "The grain stream's size")
    results = {seconds: measure(seconds) for seconds in ((2,) if quick else SHOTS)}
    rows: list[list[str]] = []
    for seconds, found in results.items():
        saved = 1 - found["bytes"] / found["zstd"]
        report.check(found["kbps"] <= TARGETS[seconds], f"shots of {seconds} s: {found['kbps']:.2f} kb/s (target {TARGETS[seconds]:g})")
        report.check(saved >= SMALLER, f"shots of {seconds} s: {100 * saved:.0f} % smaller than zstd-19 (target 20 %)")
        numbers = (f"{found[key]:.0f}" for key in ("shots", "blocks", "bytes", "symbols", "zstd"))
        rows.append([f"{seconds} s", f"{found['kbps']:.2f}", *numbers, f"{100 * saved:.0f} %"])
    head = ["shots of", "kb/s", "shots", "blocks", "stream, bytes", "symbols, bytes", "zstd-19, bytes", "smaller by"]
    report.tables, report.notes = [Table("Grain stream, 720p24", head, rows)], list(NOTES)
    report.figures = {f"{seconds} s": found for seconds, found in results.items()}
    return report
