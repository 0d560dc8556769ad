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

from grainlayer.errors import GrainlayerError
from grainlayer.picture.media import open_media
from grainlayer.picture.planes import to_image
from tests.demo.clip import DEMO, make_clip
from tests.demo.sheet import Panel, Picture, cut, draw, save

PLACE = Path("build/demo")
STRENGTHS = (0, 0.5, 1, 2)
LUMA = np.array([0.2126, 0.7152, 0.0722])
CRF, FINE_CRF = 35, 15
"""The base's quality, and one at which an encoder keeps grain."""
BASE = PLACE / "base.mkv"
PLACES = ((0.42, 0.33), (0.83, 0.3))
"""What the sheet shows of each shot of the made clip: a cheek with hair, a headlight before shelves."""


Films = Mapping[Path, list[Picture]]
"""The frames of each movie that the sheet and the table look at."""


@dataclass(frozen=True)
class Clip:
    """Name a clip, its twin without grain where it was made, and what the sheet shows of it: (frame, place) for every block."""

    source: Path
    clean: Path | None
    spots: tuple[tuple[int, tuple[float, float]], ...]
    seconds: float


def grainlayer(*words: str | Path | float) -> dict[str, Any]:
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
        return Clip(given, None, ((count // 2, (0.5, 0.5)),), 0.0)
    began, clean, source = time.monotonic(), PLACE / "clean.mkv", PLACE / "source.mkv"
    say("Making a clip of two shots from photographs, with film grain ...")
    make_clip(DEMO, clean, source, os.cpu_count() or 1)
    middles, start = [], 0
    for shot in DEMO.shots:
        middles.append(start + shot.frames // 2)
        start += shot.frames
    return Clip(source, clean, tuple(zip(middles, PLACES, strict=True)), time.monotonic() - began)


def say(sentence: str) -> None:
    """Print a sentence at once, to stderr."""
    print(sentence, file=sys.stderr, flush=True)


def decoded(strength: float) -> Path:
    """Return where the picture decoded at a strength lies."""
    return PLACE / f"decoded_{strength:g}.mkv"


def kept(crf: int) -> Path:
    """Return where the encode that keeps the grain in the picture lies."""
    return PLACE / f"kept_{crf}.mkv"


def pictures(path: Path, frames: list[int]) -> list[Picture]:
    """Return some frames of a movie as Images."""
    with open_media(path) as reader:
        return [to_image(frame.planes, reader.info.format, reader.info.tags) for at in frames for frame in reader.frames(at, at + 1)]


def panels(clip: Clip, films: Films) -> list[list[Panel]]:
    """Return the sheet's rows: two of four panels for each spot of the clip."""
    rows: list[list[Panel]] = []
    for index, (_, place) in enumerate(clip.spots):
        source, base = films[clip.source][index], films[BASE][index]
        again = films[decoded(1)][index] - films[decoded(0)][index]
        upper = {"source": source, "base": base, "grain x4": 0.5 + 4 * (source - base), "decoded grain x4": 0.5 + 4 * again}
        lower = {f"decoded at {strength:g}": films[decoded(strength)][index] for strength in STRENGTHS}
        rows += [[(label, cut(picture, place)) for label, picture in row.items()] for row in (upper, lower)]
    return rows


def luma(films: Films, path: Path, below: Path) -> Picture:
    """Return the luma of one movie minus another, in steps of 1/255, over the frames that were read."""
    return 255 * np.concatenate([((a - b) @ LUMA).ravel() for a, b in zip(films[path], films[below], strict=True)])


def run(clip: Clip) -> dict[str, Any]:
    """Split, encode, decode at every strength, and encode with the grain kept in; return the reports."""
    say("Splitting the clip into base and grain ...")
    reports: dict[str, Any] = {"split": grainlayer("split", clip.source, "--base", BASE, "--grain", PLACE / "grain.mkv")}
    say("Encoding: the base in AV1, the grain as a stream ...")
    reports["encode"] = grainlayer("encode", clip.source, "-o", PLACE / "film.mkv", "--crf", CRF)
    for strength in STRENGTHS:
        say(f"Decoding with grain at {strength:g} ...")
        reports[f"decode {strength:g}"] = grainlayer("decode", PLACE / "film.mkv", "-o", decoded(strength), "--grain", strength)
    for crf in (CRF, FINE_CRF):
        say(f"For comparison, encoding at crf {crf} with the grain kept in the picture ...")
        reports[f"kept {crf}"] = grainlayer("encode", clip.source, "-o", kept(crf), "--crf", crf, "--removal", 0)
    return reports


def table(clip: Clip, films: Films, reports: Mapping[str, Any]) -> str:
    """Return the table that the demonstration prints."""
    film, below = reports["encode"], clip.clean or BASE
    grain = luma(films, clip.source, below)
    rows = [("clip", f"{film['frames']} frames, {film['shots']} shots ({clip.source})")]
    rows.append(("base + grain against the source", f"{reports['split']['recombination']['worst_steps']:9g} code values at worst"))
    for crf in (CRF, FINE_CRF):
        report = reports[f"kept {crf}"]
        survives = luma(films, kept(crf), below) @ grain / (grain @ grain)
        rate = f"{report['kbps'] - report['grain_kbps']:9.1f} kb/s, {survives:4.0%} of the grain survives"
        rows.append((f"AV1 at crf {crf}, grain in the picture", rate))
    rows.append((f"AV1 at crf {CRF}, base", f"{film['kbps'] - film['grain_kbps']:9.1f} kb/s"))
    rows.append(("grain stream", f"{film['grain_kbps']:9.2f} kb/s ({film['grain_bytes']} bytes)"))
    if clip.clean is not None:
        rows.append(("grain rendered on the clip, std, 8-bit", f"{grain.std():9.2f}"))
    rows.append(("grain split from it", f"{luma(films, clip.source, BASE).std():9.2f}"))
    rows += [(f"grain decoded at {s:g}", f"{luma(films, decoded(s), decoded(0)).std():9.2f}") for s in STRENGTHS[1:]]
    rows += [("making the clip", f"{clip.seconds:9.1f} s")] if clip.seconds else []
    rows += [(name, f"{reports[name]['seconds']:9.1f} s") for name in ("split", "encode")]
    rows.append(("decode, each", f"{np.mean([reports[f'decode {s:g}']['seconds'] for s in STRENGTHS]):9.1f} s"))
    return "\n".join(f"{label:<42}{value}" for label, value in rows)


def main(words: list[str]) -> None:
    """Run the demonstration; `words` holds the user's clip or nothing."""
    began = time.monotonic()
    PLACE.mkdir(parents=True, exist_ok=True)
    clip = prepare(Path(words[0]) if words else None)
    reports = run(clip)
    paths = (clip.source, *([clip.clean] if clip.clean else []), BASE, kept(CRF), kept(FINE_CRF), *map(decoded, STRENGTHS))
    films = {path: pictures(path, [frame for frame, _ in clip.spots]) for path in paths}
    text = table(clip, films, reports)
    save(draw(panels(clip, films)), PLACE / "contact-sheet.png", PLACE / "contact-sheet.jpg")
    (PLACE / "table.txt").write_text(text + "\n", "utf-8")
    print(f"{text}\n\nThe pictures: {PLACE / 'contact-sheet.png'} ({time.monotonic() - began:.0f} s in all)")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except GrainlayerError as error:
        sys.exit(f"{error}")
