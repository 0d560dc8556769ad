"""Name the files of a sequence: 'shot.%04d.exr', 'shot.####.exr', or a folder that holds one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from grainlayer.errors import MediaError
from grainlayer.picture.media import NUMBER_FIELD, STILL_SUFFIXES

_NUMBERED = re.compile(r"(.*?)(\d+)(\.[A-Za-z]+)")


@dataclass(frozen=True)
class Numbering:
    """Hold how a sequence's files are named: `before`, the number in at least `digits` digits, `after`."""

    folder: Path
    before: str
    digits: int
    after: str

    def path(self, number: int) -> Path:
        """Return the file of a number."""
        return self.folder / f"{self.before}{number:0{self.digits}d}{self.after}"

    def files(self) -> dict[int, Path]:
        """Return the files that are there, by number, in order."""
        digits = rf"\d{{{self.digits}}}|[1-9]\d{{{self.digits},}}" if self.digits > 1 else r"\d+"
        name = re.compile(f"{re.escape(self.before)}({digits}){re.escape(self.after)}")
        found = {int(match[1]): entry for entry in self.folder.iterdir() if (match := name.fullmatch(entry.name))}
        return dict(sorted(found.items()))

    @property
    def pattern(self) -> Path:
        """Return the name with '%04d' for the number."""
        return self.folder / f"{self.before}%0{self.digits}d{self.after}"


def numbering_of(pattern: Path) -> Numbering | None:
    """Return how a name with '%04d' or '####' numbers its files; None for a name without."""
    matches = list(NUMBER_FIELD.finditer(pattern.name))
    if not matches:
        return None
    field = matches[-1]
    digits = len(field[2]) if field[2] else int(field[1] or 1)
    return Numbering(pattern.parent, pattern.name[: field.start()], digits, pattern.name[field.end() :])


def find_sequence(path: Path) -> tuple[Numbering, dict[int, Path]]:
    """Return the sequence that a folder or a pattern stands for, and its files by number.

    Raise MediaError if there is none or more than one, and for numbers that are missing in between.
    """
    numbering = _in_folder(path) if path.is_dir() else numbering_of(path)
    if numbering is None or not numbering.folder.is_dir():
        raise MediaError(f"{path} does not exist.")
    files = numbering.files()
    if not files:
        raise MediaError(f"There is no file {path}.")
    first, last = min(files), max(files)
    if len(files) < last - first + 1:
        missing = _in_words(sorted(set(range(first, min(last, first + 10 * len(files) + 100))) - files.keys()))
        raise MediaError(f"{numbering.pattern} lacks the frames {missing} of {first}-{last}; add them, or read the parts one by one.")
    return numbering, files


def _in_folder(folder: Path) -> Numbering:
    found: dict[tuple[str, str], list[str]] = {}
    for entry in folder.iterdir():
        match = _NUMBERED.fullmatch(entry.name)
        if match and match[3].lower() in STILL_SUFFIXES and not entry.name.startswith("."):
            found.setdefault((match[1], match[3]), []).append(match[2])
    if not found:
        raise MediaError(f"{folder} is a folder without numbered pictures; name a movie, a still or a folder with one sequence.")
    if len(found) > 1:
        names = ", ".join(sorted(f"{before}####{after}" for before, after in found))
        raise MediaError(f"{folder} holds several sequences; name one of them: {names}.")
    (before, after), numbers = found.popitem()
    return Numbering(folder, before, min(len(number) for number in numbers), after)


def ranges(numbers: Iterable[int]) -> list[str]:
    """Return '5' and '7-9' for 5 7 8 9, which must rise."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return [str(low) if low == high else f"{low}-{high}" for low, high in parts]


def _in_words(numbers: Iterable[int]) -> str:
    """Return the ranges of numbers, at most ten of them."""
    parts = ranges(numbers)
    return ", ".join(parts[:10]) + (" and more" if len(parts) > 10 else "")
