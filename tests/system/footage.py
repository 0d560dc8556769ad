"""Small grainy movies for whole-file tests, written by the product's own writer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from grainlayer.grain.look import GrainLook
from grainlayer.grain.stocks import stock_profile
from grainlayer.grain.synth import prepare, render
from grainlayer.picture.media import Frame, MediaInfo, create_media
from grainlayer.picture.planes import from_image
from grainlayer.picture.samples import ColourTags, SampleFormat, sample_format
from grainlayer.types import Image

TAGS = ColourTags(full_range=False, primaries=1, transfer=1, matrix=1)


def clean_picture(width: int, height: int, index: int, shot: int) -> Image:
    """Return a soft moving picture; each shot has colours of its own."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    wave = 0.5 + 0.3 * np.sin((x + 2 * index) / (9 + 4 * shot)) * np.cos((y - index) / 13)
    tint = np.array(((1.0, 0.8, 0.6), (0.3, 0.6, 0.9), (0.7, 0.3, 0.4))[shot % 3], np.float32)
    return np.ascontiguousarray(wave[:, :, None] * tint, np.float32)


def grainy_picture(width: int, height: int, index: int, shot: int) -> Image:
    """Return the picture with film grain of its frame."""
    base = clean_picture(width, height, index, shot)
    return base + render(prepare(stock_profile("35mm 500 colour"), GrainLook(), 1080, width), base, seed=5, frame=index)


def info_for(width: int, height: int, form: SampleFormat, path: Path) -> MediaInfo:
    return MediaInfo(path, "movie", width, height, form, TAGS, Fraction(24), Fraction(1, 24))


def write_movie(path: Path, width: int = 96, height: int = 64, shots: tuple[int, ...] = (8, 8), pix_fmt: str = "yuv420p10le") -> Path:
    """Write a grainy movie of shots of so many frames."""
    form = sample_format(pix_fmt)
    with create_media(path, codec="ffv1", like=info_for(width, height, form, path), format=form) as writer:
        index = 0
        for shot, frames in enumerate(shots):
            for _ in range(frames):
                planes = from_image(grainy_picture(width, height, index, shot), form, TAGS)
                writer.write(Frame(planes, index, index, 1))
                index += 1
    return path


def clean_luma(width: int = 96, height: int = 64, shots: tuple[int, ...] = (8, 8), pix_fmt: str = "yuv420p10le") -> np.ndarray:
    """Return the luma (T, H, W) of what `write_movie` writes, without its grain."""
    numbers = enumerate(shot for shot, frames in enumerate(shots) for _ in range(frames))
    form = sample_format(pix_fmt)
    return np.stack([from_image(clean_picture(width, height, i, shot), form, TAGS)[0].astype(np.float64) for i, shot in numbers])


def run(*words: object, env: dict[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "grainlayer.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env=os.environ | (env or {}), **options)


def report(*words: object, env: dict[str, str] | None = None) -> dict[str, Any]:
    """Run a command with --json and return its object; the command must succeed."""
    done = run(*words, "--json", env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def fails(*words: object, env: dict[str, str] | None = None, **options: Any) -> str:
    """Run a command that must fail with exit 1 and one sentence; return the sentence."""
    done = run(*words, env=env, **options)
    lines = [line for line in done.stderr.splitlines() if line.startswith("grainlayer: ")]
    assert done.returncode == 1, (done.returncode, done.stderr)
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]
