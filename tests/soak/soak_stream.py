"""Damage a grain stream and the files that carry it, over and over: `python -m tests.soak.soak_stream [COUNT] [SEED]`.

Each turn cuts, flips bits, overwrites or leaves out bytes. What is read must be undamaged shots, exactly as they were, a warning or
one of our errors; within 2 seconds of processor time, the whole within 1 GiB.
"""

from __future__ import annotations

import faulthandler
import json
import resource
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from grainlayer.codec import framing
from grainlayer.codec.container import assemble, read_stream
from grainlayer.codec.stream import GrainShot, pack, unpack
from grainlayer.errors import MediaError, StreamError
from grainlayer.picture.media import open_media
from tests.unit.codec.movies import even_times, make_segments, movie_info
from tests.unit.codec.shots import typical_stream

LONGEST = 2.0
"""Seconds of processor time for one turn."""
MOST_MEMORY = 1 << 30
STUCK = 300
"""Seconds after which a turn counts as hung, whatever the machine's load."""


@dataclass
class Report:
    """Count what happened; `faults` are sentences about what must not happen."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0
    memory: int = 0


def soak(count: int, seed: int = 0) -> Report:
    """Run `count` turns, a third each on the stream, in Matroska and in MP4."""
    report = Report()
    stream = typical_stream(seed, 4, 4, 320, 180)
    packed = pack(stream)
    with tempfile.TemporaryDirectory() as folder:
        files = {"stream": packed, **_containers(Path(folder), packed)}
        for turn in range(count):
            rng = np.random.default_rng((seed, turn))
            kind = tuple(files)[turn % len(files)]
            damaged, how = damage(rng, files[kind])
            faulthandler.dump_traceback_later(STUCK, exit=True)
            began = time.process_time()
            outcome = _read(kind, damaged, Path(folder))
            report.slowest = max(report.slowest, time.process_time() - began)
            faulthandler.cancel_dump_traceback_later()
            _judge(
                report, f"turn {turn}, {how} of {kind}", kind, outcome, stream.shots, _whole(packed, damaged) if kind == "stream" else set()
            )
    report.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if report.slowest > LONGEST:
        report.faults.append(f"a turn took {report.slowest:.1f} s")
    if report.memory > MOST_MEMORY:
        report.faults.append(f"{report.memory >> 20} MiB were used")
    return report


def damage(rng: np.random.Generator, data: bytes) -> tuple[bytes, str]:
    """Return damaged bytes and how they were damaged."""
    changed = bytearray(data)
    how = ("cut", "flip", "flip", "overwrite", "lose")[int(rng.integers(5))]
    place = int(rng.integers(len(data)))
    length = int(rng.integers(1, 200))
    if how == "cut":
        del changed[place:]
    elif how == "flip":
        for bit in rng.integers(0, 8 * len(data), int(rng.integers(1, 9))):
            changed[int(bit) >> 3] ^= 1 << (int(bit) & 7)
    elif how == "overwrite":
        changed[place : place + length] = rng.bytes(len(changed[place : place + length]))
    else:
        del changed[place : place + length]
    return bytes(changed), how


def _containers(folder: Path, packed: bytes) -> dict[str, bytes]:
    like = movie_info(width=64, height=48)
    segments = make_segments(folder, "h264", like, even_times(8, 8))
    made: dict[str, bytes] = {}
    for suffix in ("mkv", "mp4"):
        out = folder / f"whole.{suffix}"
        assemble(segments, packed, out, like=like)
        made[suffix] = out.read_bytes()
    return made


Outcome = tuple[tuple[GrainShot, ...], list[str], str]
"""The shots that were read, the warnings, and what became of the base."""


def _read(kind: str, damaged: bytes, folder: Path) -> Outcome:
    base = ""
    data: bytes | None = damaged
    try:
        if kind != "stream":
            path = folder / f"damaged.{kind}"
            path.write_bytes(damaged)
            base = _read_base(path)
            data = read_stream(path)
        if data is None:
            return (), ["no stream"], base
        stream, warnings = unpack(data)
        return stream.shots, warnings, base
    except (StreamError, MediaError) as error:
        return (), [str(error)], base


def _read_base(path: Path) -> str:
    try:
        with open_media(path) as reader:
            count = sum(1 for _ in reader.frames())
        return "base whole" if count == 16 else "base short"
    except MediaError:
        return "base refused"


def _whole(packed: bytes, damaged: bytes) -> set[int]:
    """Return the places of the shots whose packets stand undamaged in the data."""
    packets = [packed[packet.offset : packet.end] for packet in framing.scan(packed)]
    return {place for place, packet in enumerate(packets) if packet in damaged}


def _judge(report: Report, what: str, kind: str, outcome: Outcome, shots: tuple[GrainShot, ...], whole: set[int]) -> None:
    found, warnings, base = outcome
    report.counts[f"{kind}: {len(found)} of {len(shots)} shots"] += 1
    report.counts.update([f"{kind}: {base}"] if base else [])
    starts = {shot.start: shot for shot in shots}
    if any(starts.get(shot.start) != shot for shot in found):
        report.faults.append(f"{what}: a shot came out changed")
    if not {shots[place].start for place in whole} <= {shot.start for shot in found}:
        report.faults.append(f"{what}: an undamaged shot was lost")
    if kind == "stream" and len(found) < len(shots) and not warnings:
        report.faults.append(f"{what}: a shot was lost without a word")


if __name__ == "__main__":
    result = soak(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    told = {"counts": dict(sorted(result.counts.items())), "slowest_s": round(result.slowest, 3), "memory_mib": result.memory >> 20}
    print(json.dumps(told | {"faults": result.faults}, indent=1))
    sys.exit(bool(result.faults))
