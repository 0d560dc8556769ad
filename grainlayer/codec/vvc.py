"""Encode VVC by the ffmpeg program of imageio-ffmpeg, which brings libvvenc; pictures go in raw by its standard input."""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from grainlayer.codec.segment import calm_threads
from grainlayer.errors import MediaError
from grainlayer.picture.mastering import hdr_parameters
from grainlayer.picture.media import MediaInfo, Plane
from grainlayer.picture.probing import CHROMA_LOCATIONS, PICTURE_KEY
from grainlayer.picture.samples import ColourTags, SampleFormat

PATIENCE = (300.0, 100.0)
"""Seconds without any progress, and more of them a megapixel, after which a program counts as stuck."""
LEAST_SIDE = 64
"""Pictures are padded to even sides of at least this many pixels; the true size is noted in the file."""


class VvcEncoder:
    """Hold one running program that writes beside `path` until it is finished."""

    def __init__(
        self, path: Path, like: MediaInfo, format: SampleFormat, tags: ColourTags, size: tuple[int, int], options: Mapping[str, str]
    ) -> None:
        """Start the program. Raise MediaError if there is none or it does not start."""
        self._path, self._format, self._size = path, format, size
        self._padded = (max(LEAST_SIDE, size[0] + size[0] % 2), max(LEAST_SIDE, size[1] + size[1] % 2))
        self._partial = path.with_name(f".{path.name}.partial")
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        calm_threads()
        command = [_program(), *self._arguments(like, tags, options)]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._log)
        except OSError as error:
            self._log.close()
            raise MediaError(f"The VVC encoder {command[0]} does not start ({error.strerror}); install imageio-ffmpeg again.") from error
        self._given, self._busy, self._stuck = 0, False, False
        self._ended = threading.Event()
        self._watchman = threading.Thread(target=self._watch, daemon=True)
        self._watchman.start()

    def _arguments(self, like: MediaInfo, tags: ColourTags, options: Mapping[str, str]) -> list[str]:
        width, height = self._padded
        raw = ["-f", "rawvideo", "-pix_fmt", self._format.name, "-s", f"{width}x{height}", "-r", str(like.rate), "-i", "pipe:0"]
        said = (
            f"range={'pc' if tags.full_range else 'tv'}:color_primaries={tags.primaries}:color_trc={tags.transfer}:colorspace={tags.matrix}"
        )
        filters = f"setparams={said},setsar={like.sample_aspect.numerator}/{like.sample_aspect.denominator}"
        params = ":".join((options["vvenc-params"], *_hdr(like)))
        chosen = [part for name, value in {**options, "vvenc-params": params}.items() for part in (f"-{name}", value)]
        chosen += ["-chroma_sample_location", CHROMA_LOCATIONS[tags.chroma_location]]
        true_size = ["-metadata", f"{PICTURE_KEY}={self._size[0]}x{self._size[1]}"] if self._padded != self._size else []
        head = ["-hide_banner", "-loglevel", "error", "-nostdin", "-y"]
        return [*head, *raw, "-vf", filters, "-c:v", "libvvenc", *chosen, *true_size, "-f", "matroska", f"file:{self._partial}"]

    def write(self, planes: tuple[Plane, ...]) -> None:
        """Give the program a picture. Raise MediaError with what it said if it has ended."""
        if self._process.stdin is None or self._process.stdin.closed:
            raise MediaError(f"{self._path} is finished; no picture can be added.")
        shapes = [self._format.plane_shape(*self._padded, index) for index in range(self._format.plane_count)]
        self._busy = True
        try:
            for plane, (rows, columns) in zip(planes, shapes, strict=True):
                padding = ((0, rows - plane.shape[0]), (0, columns - plane.shape[1]))
                self._process.stdin.write(np.ascontiguousarray(np.pad(plane, padding, "edge")).data)
        except OSError as error:
            raise self._failure() from error
        self._given, self._busy = self._given + 1, False

    def finish(self) -> None:
        """End the input, wait for the rest and put the file at its place. Raise MediaError with what the program said."""
        self._busy = True
        try:
            if self._process.stdin is not None:
                self._process.stdin.close()
        except OSError as error:
            raise self._failure() from error
        if self._process.wait() != 0:
            raise self._failure()
        self._rest()
        self._log.close()
        self._partial.replace(self._path)

    def abort(self) -> None:
        """End the program and remove what it wrote."""
        if self._process.poll() is None:
            self._process.kill()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._process.wait()
        self._rest()
        self._log.close()
        self._partial.unlink(missing_ok=True)

    def _rest(self) -> None:
        self._ended.set()
        self._watchman.join()

    def _watch(self) -> None:
        """End a program that takes no picture and writes nothing for longer than the patience, while it is waited for."""
        patience = PATIENCE[0] + PATIENCE[1] * self._padded[0] * self._padded[1] / 1e6
        before, since = (-1, -1), time.monotonic()
        while not self._ended.wait(min(1.0, patience / 4)):
            state = (self._given, self._partial.stat().st_size if self._partial.exists() else 0)
            if state != before or not self._busy:
                before, since = state, time.monotonic()
            if time.monotonic() - since > patience and self._process.poll() is None:
                self._stuck = True
                self._process.kill()
                return

    def _failure(self) -> MediaError:
        """Return what the program said last, as one sentence."""
        self._process.wait()
        if self._stuck:
            return MediaError(f"The VVC encoder stopped answering on {self._path}; run again, or choose another base codec.")
        if self._log.closed:
            return MediaError(f"{self._path} was given up.")
        self._log.seek(0)
        said = self._log.read().decode("utf-8", "replace").strip().splitlines()
        if any("No space left" in line for line in said):
            return MediaError(f"{self._path} cannot be written because the disk is full; free some space and run again.")
        reason = said[0] if said else f"it ended with code {self._process.returncode}"
        return MediaError(f"The VVC encoder failed on {self._path}: {reason.rstrip('.')}; try another preset or base codec.")


def _hdr(like: MediaInfo) -> list[str]:
    """Return HDR10's parameters as libvvenc takes them: lists of whole numbers."""
    given = hdr_parameters("libx265", like.hdr)
    names = {"master-display": "masteringdisplaycolourvolume", "max-cll": "maxcontentlightlevel"}
    return [f"{names[key]}={','.join(re.findall('[0-9]+', value))}" for key, value in given.items()]


def _program() -> str:
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise MediaError("A base in VVC needs the package imageio-ffmpeg; install it, or choose another base codec.") from error
