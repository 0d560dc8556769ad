"""Run the main job as a user does, on a made clip or on one's own: `make demo`, `make demo CLIP=path`.

Leaves build/demo with every file, a contact sheet and a table. Everything goes through the command line of GrainLayer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grainlayer.picture.media import open_media
from grainlayer.picture.planes import to_image
from tests.demo.clip import DEMO, make_clip
from tests.demo.sheet import Panel, Picture, cut, draw, save

PLACE = Path("build/demo")
STRENGTHS = (0, 0.5, 1, 2)
LUMA = np.array([0.2126, 0.7152, 0.0722])
CRF = 35
PLACES = ((0.42, 0.33), (0.83, 0.3))
"""What the sheet shows of each shot of the made clip: a cheek with hair, a headlight before shelves."""


@dataclass(frozen=True)
class Clip:
    """Name a clip and what the sheet shows of it: (frame, place) for every block of the sheet."""

    source: Path
    spots: tuple[tuple[int, tuple[float, float]], ...]
    seconds: float


def grainlayer(*words: str | Path) -> dict[str, Any]:
    """Run one command of GrainLayer and return its report; leave with its sentence if it fails."""
    command = [str(Path(sys.executable).with_name("grainlayer")), *map(str, words), "--overwrite", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"`{' '.join(command[1:])}` failed with exit code {done.returncode}.")
    return json.loads(done.stdout.splitlines()[-1])


def prepare(given: Path | None) -> Clip:
    """Return the user's clip, or make one."""
    if given is not None:
        with open_media(given) as reader:
            count = reader.count()
        return Clip(given, ((count // 2, (0.5, 0.5)),), 0.0)
    began, source = time.monotonic(), PLACE / "source.mkv"
    say("Making a clip of two shots from photographs, with film grain ...")
    make_clip(DEMO, PLACE / "clean.mkv", source, os.cpu_count() or 1)
    middles, start = [], 0
    for shot in DEMO.shots:
        middles.append(start + shot.frames // 2)
        start += shot.frames
    return Clip(source, tuple(zip(middles, PLACES, strict=True)), time.monotonic() - began)


def say(sentence: str) -> None:
    """Print a sentence at once, to stderr."""
    print(sentence, file=sys.stderr, flush=True)


def decoded(strength: float) -> Path:
    """Return where the picture decoded at a strength lies."""
    return PLACE / f"decoded_{strength:g}.mkv"


def pictures(path: Path, frames: list[int]) -> list[Picture]:
    """Return some frames of a movie as Images."""
    with open_media(path) as reader:
        return [to_image(frame.planes, reader.info.format, reader.info.tags) for at in frames for frame in reader.frames(at, at + 1)]


def panels(clip: Clip) -> list[list[Panel]]:
    """Return the sheet's rows: two of four panels for each spot of the clip."""
    frames = [frame for frame, _ in clip.spots]
    source = pictures(clip.source, frames)
    shown = {strength: pictures(decoded(strength), frames) for strength in STRENGTHS}
    rows: list[list[Panel]] = []
    for index, (_, place) in enumerate(clip.spots):
        first, base, again = source[index], shown[0][index], shown[1][index]
        upper = {"source": first, "base": base, "grain x4": 0.5 + 4 * (first - base), "decoded grain x4": 0.5 + 4 * (again - base)}
        lower = {f"decoded at {strength:g}": shown[strength][index] for strength in STRENGTHS}
        rows += [[(label, cut(picture, place)) for label, picture in row.items()] for row in (upper, lower)]
    return rows


def strength_of(path: Path, base: Path, frames: list[int]) -> float:
    """Return the standard deviation of the luma of `path` minus `base`, in steps of 1/255, over some frames."""
    gaps = [(a - b) @ LUMA for a, b in zip(pictures(path, frames), pictures(base, frames), strict=True)]
    return 255 * float(np.sqrt(np.mean([gap.var() for gap in gaps])))


def run(clip: Clip) -> dict[str, Any]:
    """Encode, decode at every strength, and encode once more with the grain kept in; return the reports."""
    say("Encoding: the base in AV1, the grain as a stream ...")
    reports: dict[str, Any] = {"encode": grainlayer("encode", clip.source, "-o", PLACE / "film.mkv", "--crf", f"{CRF}")}
    for strength in STRENGTHS:
        say(f"Decoding with grain at {strength:g} ...")
        reports[f"decode {strength:g}"] = grainlayer("decode", PLACE / "film.mkv", "-o", decoded(strength), "--grain", f"{strength:g}")
    say("For comparison, encoding with the grain kept in the picture ...")
    reports["kept"] = grainlayer("encode", clip.source, "-o", PLACE / "kept.mkv", "--crf", f"{CRF}", "--removal", "0")
    return reports


def table(clip: Clip, reports: Mapping[str, Any]) -> str:
    """Return the table that the demonstration prints."""
    film, kept = reports["encode"], reports["kept"]
    whole, base = kept["kbps"] - kept["grain_kbps"], film["kbps"] - film["grain_kbps"]
    rows = [
        ("clip", f"{film['frames']} frames, {film['shots']} shots ({clip.source})"),
        (f"AV1 at crf {CRF}, grain kept in the picture", f"{whole:9.1f} kb/s"),
        (f"AV1 at crf {CRF}, base", f"{base:9.1f} kb/s"),
        ("grain stream", f"{film['grain_kbps']:9.2f} kb/s, {film['grain_bytes']} bytes"),
        ("saved", f"{100 * (1 - film['kbps'] / whole):9.1f} %"),
    ]
    frames = [frame for frame, _ in clip.spots]
    reference = decoded(0)
    rows.append(("grain in the source (std, 8-bit steps)", f"{strength_of(clip.source, reference, frames):9.2f}"))
    rows += [(f"grain decoded at {s:g}", f"{strength_of(decoded(s), reference, frames):9.2f}") for s in STRENGTHS[1:]]
    rows += [("making the clip", f"{clip.seconds:9.1f} s")] if clip.seconds else []
    rows.append(("encode", f"{film['seconds']:9.1f} s"))
    rows.append(("decode, each", f"{np.mean([reports[f'decode {s:g}']['seconds'] for s in STRENGTHS]):9.1f} s"))
    return "\n".join(f"{label:<42}{value}" for label, value in rows)


def main(words: list[str]) -> None:
    """Run the demonstration; `words` holds the user's clip or nothing."""
    began = time.monotonic()
    PLACE.mkdir(parents=True, exist_ok=True)
    clip = prepare(Path(words[0]) if words else None)
    reports = run(clip)
    text = table(clip, reports)
    save(draw(panels(clip)), PLACE / "contact-sheet.png", PLACE / "contact-sheet.jpg")
    (PLACE / "table.txt").write_text(text + "\n", "utf-8")
    print(f"{text}\n\nThe pictures: {PLACE / 'contact-sheet.png'} ({time.monotonic() - began:.0f} s in all)")


if __name__ == "__main__":
    main(sys.argv[1:])
