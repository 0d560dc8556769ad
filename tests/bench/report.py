"""Write what a benchmark found: tables in Markdown, everything in JSON, with versions, machine and seeds. Losses are printed too."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.bench.cache import PLACE
from tests.bench.material import CLIP_SEED, FILM, OTHER_SEED, SHARED, STILL_SEED
from tests.bench.quality import ffmpeg

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("numpy", "av", "imageio-ffmpeg", "onnxruntime", "OpenImageIO", "scipy", "bm3d", "zstandard", "pillow")


@dataclass(frozen=True)
class Table:
    """Hold one table: a title, the head and the rows, all text."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Return the table in Markdown, padded so that it reads as plain text too."""
        lines = [list(self.head), *[list(row) for row in self.rows]]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.head))]
        padded = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines]
        rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
        return "\n".join([f"### {self.title}", "", padded[0], rule, *padded[1:]])


@dataclass
class Report:
    """Hold one benchmark's result. `losses` are the targets missed, `gains` those met; both are printed. `text` is a table of its own.

    pictures  captions by path, as seen from the report's folder
    """

    name: str
    title: str
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    gains: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    pictures: dict[str, str] = field(default_factory=dict[str, str])

    def check(self, met: bool, sentence: str) -> None:
        """Note a target as met or missed."""
        (self.gains if met else self.losses).append(sentence)

    def markdown(self) -> str:
        """Return the whole report in Markdown."""
        parts = [f"# {self.title}", *([f"```\n{self.text}\n```"] if self.text else []), *(table.markdown() for table in self.tables)]
        parts += [f"![{caption}]({path})" for path, caption in self.pictures.items()]
        for title, lines in (("Missed", self.losses), ("Met", self.gains), ("Notes", self.notes)):
            if lines:
                parts.append("\n".join([f"### {title}", "", *(f"- {line}" for line in lines)]))
        parts.append("### Where and with what\n\n" + "\n".join(f"- {key}: {value}" for key, value in environment().items()))
        return "\n\n".join(parts) + "\n"


def environment() -> dict[str, str]:
    """Return versions, machine and seeds."""
    from grainlayer import __version__

    versions = {name: metadata.version(name) for name in PACKAGES if _installed(name)}
    return {
        "grainlayer": f"{__version__} ({_revision()})",
        "python": platform.python_version(),
        "packages": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "encoders": _encoders(),
        "machine": f"{_processor()}, {len(os.sched_getaffinity(0))} processors, {platform.system()} {platform.machine()}",
        "film-like grain": f"Boolean model, radius {FILM.radius:g} px, point spread {FILM.psf:g} px, channel correlation {SHARED:g}",
        "seeds": f"stills {STILL_SEED} + n; clips {CLIP_SEED} + 1000 n + frame; floors {OTHER_SEED} + 1000 n + frame",
    }


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _revision() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=RESULTS.parent)
    return done.stdout.strip() or "no repository"


def _encoders() -> str:
    """Return the versions of FFmpeg's libraries that PyAV carries and of the ffmpeg that runs VMAF."""
    import av

    libraries = ", ".join(f"{name} {'.'.join(map(str, av.library_versions[name]))}" for name in ("libavcodec", "libavfilter"))
    program = subprocess.run([ffmpeg(), "-version"], capture_output=True, text=True, check=True).stdout.split()[2]
    return f"PyAV's {libraries}, SVT-AV1 within; ffmpeg {program} for VMAF (vmaf_v0.6.1)"


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", path.read_text("utf-8")) if path.exists() else None
    return found.group(1) if found else platform.processor() or "unknown processor"


def write(report: Report, *, quick: bool) -> Path:
    """Write a report as NAME.md and NAME.json and return the Markdown's path; a quick run's lie in the cache, not to be committed."""
    folder = PLACE / "results" if quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    stem = report.name
    facts: Mapping[str, Any] = {"environment": environment(), "losses": report.losses, "gains": report.gains, "figures": report.figures}
    (folder / f"{stem}.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    path = folder / f"{stem}.md"
    path.write_text(report.markdown(), "utf-8")
    return path
