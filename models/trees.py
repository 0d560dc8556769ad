"""Read trees of clean and grainy pictures in the layout of the FilmGrain dataset: org/NAME and fg/LEVEL/NAME.

Twins have the same name; their suffixes may differ (org/a.jpg, fg/05/a.png). What a level's name is worth, as the peak standard
deviation in code value (0..1): what `levels.json` beside org says; else, for a decimal number, that number ("0.05"), and for
digits alone the digits after the point, as FilmGrain writes them ("01" is 0.01, "025" 0.025, "1" 0.1); else the names in
natural order are worth 1/n, 2/n ... 1, n being how many such names there are: an order, not a measure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray
from PIL import Image

from grainlayer.errors import MediaError, ParamError

Picture = NDArray[np.float32]

SUFFIXES = frozenset((".png", ".tif", ".tiff", ".jpg", ".jpeg", ".webp"))
LEVELS_FILE = "levels.json"


@dataclass(frozen=True)
class Tree:
    """Hold a checked tree: every clean picture has a grainy twin of its size at every level.

    path    the folder that holds org and fg
    names   of the pictures, without suffix, sorted
    levels  folder name under fg to peak standard deviation (code value, 0..1), weakest first
    files   (folder relative to `path`, name) to file
    """

    path: Path
    names: tuple[str, ...]
    levels: Mapping[str, float]
    files: Mapping[tuple[str, str], Path]

    def clean(self, name: str) -> Picture:
        """Return a clean picture, (H, W, 3) float32, 0..1. Raise ParamError for an unknown name, MediaError if it is damaged."""
        return read_picture(self._file("org", name))

    def grainy(self, level_name: str, name: str) -> Picture:
        """Return the grainy twin at a level, (H, W, 3) float32, 0..1. Raise ParamError if unknown, MediaError if it is damaged."""
        if level_name not in self.levels:
            raise ParamError(f"{self.path} has no level {level_name!r}; choose one of: {', '.join(self.levels)}.")
        return read_picture(self._file(f"fg/{level_name}", name))

    def _file(self, folder: str, name: str) -> Path:
        if (folder, name) not in self.files:
            raise ParamError(f"{self.path} has no picture {name!r}; choose one of its {len(self.names)} names, such as {self.names[0]!r}.")
        return self.files[folder, name]


def read_tree(path: Path) -> Tree:
    """Read and check a tree by its files' names and headers.

    Raise MediaError if it is empty, has no fg, lacks a level that levels.json names, is mixed (a picture without its twin), or
    holds twins of unequal size or a file that is no picture.
    """
    for folder, what in (("org", "clean pictures"), ("fg", "one folder of grainy pictures a level")):
        if not (path / folder).is_dir():
            raise MediaError(f"{path} has no folder {folder}; a tree holds org with the clean pictures and fg: make {folder}, with {what}.")
    clean = picture_files(path / "org")
    if not clean:
        raise MediaError(f"{path / 'org'} holds no picture; put clean PNG, TIFF, JPEG or WebP files there.")
    levels = _levels(path)
    files = {("org", name): file for name, file in clean.items()}
    for level in levels:
        grainy = picture_files(path / "fg" / level)
        _check_twins(path, level, clean, grainy)
        files |= {(f"fg/{level}", name): file for name, file in grainy.items()}
    _check_sizes(tuple(clean), tuple(levels), files)
    return Tree(path, tuple(clean), MappingProxyType(levels), MappingProxyType(files))


def picture_files(folder: Path) -> dict[str, Path]:
    """Return the pictures right in a folder by name without suffix, sorted. Raise MediaError if two share a name."""
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() not in SUFFIXES or file.name.startswith(".") or not file.is_file():
            continue
        if file.stem in found:
            raise MediaError(f"{found[file.stem]} and {file.name} have the same name; rename or remove one of them.")
        found[file.stem] = file
    return found


def _levels(path: Path) -> dict[str, float]:
    names = sorted(entry.name for entry in (path / "fg").iterdir() if entry.is_dir() and not entry.name.startswith("."))
    stated = _stated_levels(path / LEVELS_FILE)
    for name in stated:
        if name not in names:
            raise MediaError(f"{path} lacks the level {name!r} that {LEVELS_FILE} names; make the folder fg/{name} or take out its line.")
    if not names:
        raise MediaError(f"{path / 'fg'} holds no level; make one folder a level there, with a grainy twin of every picture.")
    values = {name: stated.get(name, _value_of(name)) for name in names}
    others = sorted((name for name, value in values.items() if value is None), key=_natural)
    values |= {name: (place + 1) / len(others) for place, name in enumerate(others)}
    return dict(sorted(((name, float(value or 0)) for name, value in values.items()), key=lambda pair: (pair[1], pair[0])))


def _stated_levels(file: Path) -> dict[str, float]:
    if not file.exists():
        return {}
    advice = 'it must hold names and standard deviations, such as {"weak": 0.02}'
    try:
        held: Any = json.loads(file.read_text("utf-8"))
        values = {str(name): float(value) for name, value in held.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise MediaError(f"{file} cannot be read as levels: {advice}.") from error
    if not all(0 <= value <= 1 for value in values.values()):
        raise MediaError(f"{file} names a level beyond 0..1: {advice}.")
    return values


def _value_of(name: str) -> float | None:
    """Return what a name of digits or a decimal number is worth, None for another name."""
    if re.fullmatch(r"[0-9]+", name):
        return float(f"0.{name}")
    return float(name) if re.fullmatch(r"0?\.[0-9]+", name) else None


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts iso100 before iso1600 and iso2 before iso10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def _check_twins(path: Path, level: str, clean: Mapping[str, Path], grainy: Mapping[str, Path]) -> None:
    lacking, extra = _some(name for name in clean if name not in grainy), _some(name for name in grainy if name not in clean)
    if lacking:
        raise MediaError(
            f"{path} is a mixed tree: fg/{level} has no twin of {lacking} in org; add the grainy pictures or remove the clean ones."
        )
    if extra:
        raise MediaError(
            f"{path} is a mixed tree: org has no twin of {extra} in fg/{level}; add the clean pictures or remove the grainy ones."
        )


def _some(names: Iterable[str]) -> str:
    """Return the first name and how many more there are; nothing where there is none."""
    held = list(names)
    return "" if not held else held[0] + (f" and {len(held) - 1} more" if len(held) > 1 else "")


def _check_sizes(names: tuple[str, ...], levels: tuple[str, ...], files: Mapping[tuple[str, str], Path]) -> None:
    for name in names:
        clean = files["org", name]
        width, height = picture_size(clean)
        for level in levels:
            twin = files[f"fg/{level}", name]
            if picture_size(twin) != (width, height):
                found = "x".join(map(str, picture_size(twin)))
                raise MediaError(f"{twin} has {found} pixels and its clean twin {clean} has {width}x{height}; give both the same size.")


def picture_size(file: Path) -> tuple[int, int]:
    """Return width and height by the file's header. Raise MediaError if it is damaged."""
    try:
        with Image.open(file) as held:
            return held.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        opened: Any = oiio.ImageInput.open(str(file))
        if opened is None:
            raise _damaged(file, oiio.geterror()) from None
        spec = opened.spec()
        opened.close()
        return int(spec.width), int(spec.height)


def read_picture(file: Path) -> Picture:
    """Return a picture of 8 or 16 bits as (H, W, 3) float32, 0..1; grey is repeated, alpha left out. Raise MediaError if it is damaged.

    TIFF and PNG are read by OpenImageIO, which keeps 16 bits, the others by Pillow, which notices where a JPEG was cut off.
    """
    if file.suffix.lower() in {".png", ".tif", ".tiff"}:
        return _by_openimageio(file)
    try:
        with Image.open(file) as held:
            return np.asarray(held.convert("RGB"), np.float32) / np.float32(255)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _damaged(file, str(error)) from error


def _by_openimageio(file: Path) -> Picture:
    hint = oiio.ImageSpec()
    hint.attribute("oiio:UnassociatedAlpha", 1)
    opened: Any = oiio.ImageInput.open(str(file), hint)
    if opened is None:
        raise _damaged(file, oiio.geterror())
    try:
        kind = str(opened.spec().format)
        steps = {"uint8": 255, "uint16": 65535}.get(kind, 1)
        pixels = opened.read_image(0, 0, 0, opened.spec().nchannels, kind if steps > 1 else "float")
        if pixels is None:
            raise _damaged(file, opened.geterror())
    finally:
        opened.close()
    if not np.isfinite(pixels).all():
        raise _damaged(file, "it holds numbers that are not finite")
    pixels = (np.asarray(pixels, np.float32) / np.float32(steps)).reshape(pixels.shape[0], pixels.shape[1], -1)
    colours = pixels[:, :, :3] if pixels.shape[2] > 2 else np.repeat(pixels[:, :, :1], 3, axis=2)
    return np.ascontiguousarray(colours)


def write_picture(file: Path, picture: NDArray[np.floating]) -> None:
    """Write (H, W, 3), 0..1, as a 16-bit PNG or TIFF, clipped and rounded. Raise MediaError if it cannot be written."""
    codes = np.round(np.clip(picture, 0, 1) * 65535).astype(np.uint16)
    output: Any = oiio.ImageOutput.create(str(file))
    spec = oiio.ImageSpec(codes.shape[1], codes.shape[0], codes.shape[2], "uint16")
    if output is None or not output.open(str(file), spec):
        raise MediaError(f"{file} cannot be written; check the folder and the space on the disk.")
    done = output.write_image(codes)
    if not output.close() or not done:
        raise MediaError(f"{file} cannot be written whole; check the space on the disk.")


def _damaged(file: Path, why: str) -> MediaError:
    reason = " ".join(why.split()).rstrip(".") or "its content is not what its name says"
    return MediaError(f"{file} cannot be read as a picture ({reason}); replace it, or remove it with its twins.")
