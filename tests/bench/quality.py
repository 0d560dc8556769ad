"""Judge movies by FFmpeg's filters, with one clock on both inputs: frame n is compared with frame n, whatever the times say."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

CLOCK = "settb=1/24,setpts=N"
AVERAGE = {
    "psnr": re.compile(r"PSNR .*average:([\d.]+|inf)"),
    "ssim": re.compile(r"SSIM .*All:([\d.]+)"),
    "xpsnr": re.compile(r"XPSNR +y: ([\d.]+|inf)"),
}
"""What is read from each filter's closing line: PSNR over all planes, SSIM over all planes, XPSNR of the luma; psnr and xpsnr in dB."""


def ffmpeg() -> str:
    """Return the ffmpeg of imageio-ffmpeg, which carries libvmaf."""
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_exe())


def run_ffmpeg(*words: str | Path, folder: Path | None = None) -> str:
    """Run ffmpeg and return what it printed. Raise RuntimeError with its last words if it fails."""
    command = [ffmpeg(), "-hide_banner", "-nostdin", "-y", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    if done.returncode:
        raise RuntimeError(f"ffmpeg failed: {' '.join(command)}\n{done.stderr[-2000:]}")
    return done.stderr


def _inputs(movies: Sequence[Path], film_grain: bool) -> list[str]:
    first: list[str] = [] if film_grain else ["-c:v", "libdav1d", "-filmgrain", "0"]
    return [*first, *(word for movie in movies for word in ("-i", str(movie.resolve())))]


def vmaf(movie: Path, references: Sequence[Path], *, film_grain: bool = True) -> list[float]:
    """Return the mean VMAF (vmaf_v0.6.1) of a movie against each reference; `film_grain` off leaves out AV1's own film grain."""
    count = len(references)
    parts = [f"[0:v]{CLOCK},split={count}{''.join(f'[d{i}]' for i in range(count))}"]
    parts += [f"[{i + 1}:v]{CLOCK}[r{i}]" for i in range(count)]
    parts += [f"[d{i}][r{i}]libvmaf=log_fmt=json:log_path=vmaf{i}.json:n_threads=2" for i in range(count)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_ffmpeg(
            "-v", "error", *_inputs([movie, *references], film_grain), "-filter_complex", ";".join(parts), "-f", "null", "-", folder=folder
        )
        logs = [json.loads((folder / f"vmaf{i}.json").read_text("utf-8")) for i in range(count)]
    return [float(log["pooled_metrics"]["vmaf"]["mean"]) for log in logs]


def similarity(movie: Path, reference: Path, measure: str, *, film_grain: bool = True) -> float:
    """Return the 'psnr', 'ssim' or 'xpsnr' of a movie against a reference."""
    graph = f"[0:v]{CLOCK}[d];[1:v]{CLOCK}[r];[d][r]{measure}"
    text = run_ffmpeg(*_inputs([movie, reference], film_grain), "-filter_complex", graph, "-f", "null", "-")
    found = AVERAGE[measure].findall(text)
    if not found:
        raise RuntimeError(f"ffmpeg printed no {measure}")
    return float(found[-1])


def decode_ffv1(movie: Path, out: Path, *, film_grain: bool) -> None:
    """Decode an AV1 movie, with its film grain or without, into 10-bit 4:2:0 FFV1."""
    partial = out.with_name(f".partial-{out.name}")
    words = ["-v", "error", *_inputs([movie], film_grain), "-vf", CLOCK, "-c:v", "ffv1", "-pix_fmt", "yuv420p10le", partial.resolve()]
    run_ffmpeg(*words)
    partial.replace(out)
