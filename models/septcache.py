"""Keep septuplets on the disk: groups of successive pictures, each recorded in several ways, with their truth in 16 bits.

A group is three files. NAME.bin holds, one after the other, the truth (F - 6, 3, H, W) of its frames 3 .. F - 4, which have three
neighbours on either side, as codes of 16 bits in video range (Y, Cb, Cr at 4:4:4), and then of each recording luma (F, H, W), chroma
(F, 2, H/2, W/2) and QP by cell of 8x8 pixels (F, H/8, W/8), one byte each. NAME.motion holds of each recording and each of these
middle frames the motion to it and its three neighbours on either side (recordings, F - 6, 7, H/8, W/8, 2), quarters of a pixel, 16
bits. NAME.json says what they are, and is written last, so that a group without it does not count. Files are mapped, not read: a
crop costs what it holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainlayer.inference.blocksearch import code_pyramid, find_motions
from grainlayer.inference.motion import align
from models.shell import reason
from models.transcode import CELL, Floats, Recipe, Recording, from_codes, to_codes

SIDES = 3
"""Neighbours on either side of a frame whose truth is kept: a septuplet is the frame and these."""
LEAST = 2 * SIDES + 1
CARD, MOTION = "cache.json", ".motion"
TAUGHT, HELD = "taught", "held"


@dataclass(frozen=True, eq=False)
class Crop:
    """Hold what a net sees of a group, and the truth of its middle frame, float32.

    luma (T, S, S) and chroma (T, 2, S/2, S/2)  of the recording, normalised, moved to where the middle frame shows the same
    quantiser (S/8, S/8)                        QP / 64 of the middle frame
    truth (3, S, S)                             Y, Cb, Cr at 4:4:4, normalised
    """

    luma: Floats
    chroma: Floats
    quantiser: Floats
    truth: Floats


@dataclass(frozen=True)
class Group:
    """Describe a group: its files, its source and the `part` it belongs to, 'taught' or 'held', frames, size and recordings."""

    path: Path
    source: str
    part: str
    frames: int
    height: int
    width: int
    recordings: tuple[Mapping[str, Any], ...]

    @property
    def centres(self) -> range:
        """Return the frames whose truth is kept."""
        return range(SIDES, self.frames - SIDES)

    def recipe(self, recording: int) -> Recipe:
        """Return how a recording was made."""
        return Recipe(**self.recordings[recording]["recipe"])

    def shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of a recording's parts."""
        count, height, width = self.frames, self.height, self.width
        return [(count, height, width), (count, 2, height // 2, width // 2), (count, height // CELL, width // CELL)]

    def bytes(self) -> int:
        """Return how long the file must be."""
        return 6 * len(self.centres) * self.height * self.width + len(self.recordings) * self._each()

    def _each(self) -> int:
        return sum(int(np.prod(shape)) for shape in self.shapes())

    def truth(self) -> NDArray[np.uint16]:
        """Return the truth's codes (F - 6, 3, H, W), mapped."""
        return np.memmap(self.path, np.uint16, "r", 0, (len(self.centres), 3, self.height, self.width))

    def parts(self, recording: int) -> list[NDArray[np.uint8]]:
        """Return luma, chroma and quantiser of a recording, mapped."""
        place = 6 * len(self.centres) * self.height * self.width + recording * self._each()
        found: list[NDArray[np.uint8]] = []
        for shape in self.shapes():
            found.append(np.memmap(self.path, np.uint8, "r", place, shape))
            place += int(np.prod(shape))
        return found

    def motion(self, recording: int, middle: int) -> NDArray[np.int16]:
        """Return the motion (7, H/8, W/8, 2) from a middle frame to it and its neighbours, quarters of a pixel, mapped."""
        each = (LEAST, self.height // CELL, self.width // CELL, 2)
        place = (recording * len(self.centres) + middle - SIDES) * int(np.prod(each)) * 2
        return np.memmap(self.path.with_suffix(MOTION), np.int16, "r", place, each)

    def crop(self, recording: int, frames: Sequence[int], middle: int, place: tuple[int, int], size: tuple[int, int]) -> Crop:
        """Return a part of some frames, of which `middle` is to be restored; `place` (row, column) and `size` in pixels, multiples of 8."""
        (y, x), (rows, columns) = place, size
        blocks = (y // CELL, (y + rows) // CELL, x // CELL, (x + columns) // CELL)
        luma, chroma, quantiser = self.parts(recording)
        motion = self.motion(recording, middle) if len(set(frames)) > 1 else None
        seen: list[Floats] = []
        for frame in frames:
            planes = from_codes(luma[frame], 8, chroma=False), *from_codes(chroma[frame], 8, chroma=True)
            if frame == middle or motion is None:
                seen += [
                    planes[0][y : y + rows, x : x + columns],
                    *(p[y // 2 : (y + rows) // 2, x // 2 : (x + columns) // 2] for p in planes[1:]),
                ]
            else:
                moved = motion[frame - middle + SIDES].astype(np.float32) / 4
                seen += [align(plane, moved, blocks) for plane in planes]
        told = quantiser[middle, y // CELL : (y + rows) // CELL, x // CELL : (x + columns) // CELL]
        codes = self.truth()[middle - SIDES, :, y : y + rows, x : x + columns]
        true = np.concatenate([from_codes(codes[:1], 16, chroma=False), from_codes(codes[1:], 16, chroma=True)])
        tinted = np.stack([np.stack(seen[place : place + 2]) for place in range(1, len(seen), 3)])
        return Crop(np.stack(seen[::3]), tinted, told.astype(np.float32) / 64, true)


def motions(luma: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return the motion (F - 6, 7, H/8, W/8, 2) from each middle frame of a recording (F, H, W) to it and its neighbours, quarters of a
    pixel, as the runtime finds it."""
    seen = [code_pyramid(from_codes(frame, 8, chroma=False)) for frame in luma]
    found = [find_motions(seen[middle - SIDES : middle + SIDES + 1]) for middle in range(SIDES, len(luma) - SIDES)]
    return np.round(4 * np.stack(found)).astype(np.int16)


def write_group(path: Path, source: str, part: str, clip: Floats, recordings: Sequence[Recording]) -> None:
    """Write a group beside its place and move it there; `path` ends in .bin. Exits with a sentence where it cannot be written."""
    frames, _, height, width = clip.shape
    middle = clip[SIDES : frames - SIDES]
    true = np.concatenate([to_codes(middle[:, :1], 16, chroma=False), to_codes(middle[:, 1:], 16, chroma=True)], 1)
    notes = [{"recipe": asdict(one.recipe), "bits": one.bits, "told": one.told} for one in recordings]
    card = {"source": source, "part": part, "frames": frames, "height": height, "width": width, "recordings": notes}
    part_file = path.with_suffix(".part")
    try:
        with part_file.open("wb") as stream:
            true.tofile(stream)
            for one in recordings:
                for plane in (one.luma, one.chroma, one.quantiser):
                    plane.tofile(stream)
        part_file.replace(path)
        np.stack([motions(one.luma) for one in recordings]).tofile(part_file)
        part_file.replace(path.with_suffix(MOTION))
        write_card(path.with_suffix(".json"), card)
    except OSError as error:
        part_file.unlink(missing_ok=True)
        raise SystemExit(f"{path} cannot be written ({reason(error)}): make room, and the same command goes on there.") from error


def write_card(path: Path, card: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(card) + "\n", "utf-8")
    part.replace(path)


def read_groups(folder: Path) -> list[Group]:
    """Return the groups of a cache by name. Exits with a sentence where there is none, or one is damaged."""
    groups = [_read(path) for path in sorted(folder.glob("*.json")) if path.name != CARD]
    if not groups:
        raise SystemExit(f"{folder} holds no septuplets: make them by python -m models.data septuplets --out {folder}.")
    return groups


def _read(path: Path) -> Group:
    remedy = f"remove {path.stem}.* there, and python -m models.data septuplets makes them again"
    try:
        card = json.loads(path.read_text("utf-8"))
        group = Group(path.with_suffix(".bin"), **{**card, "recordings": tuple(card["recordings"])})
        found, moving = group.path.stat().st_size, group.path.with_suffix(MOTION).stat().st_size
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SystemExit(f"{path} or one of its files is missing or damaged: {remedy}.") from error
    if moving != 4 * LEAST * len(group.recordings) * len(group.centres) * (group.height // CELL) * (group.width // CELL):
        raise SystemExit(f"{group.path.with_suffix(MOTION)} is not whole: {remedy}.")
    if found != group.bytes():
        raise SystemExit(f"{group.path} has {found} bytes, not {group.bytes()}: {remedy}.")
    return group
