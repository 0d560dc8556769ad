"""Find which frames of its media a clip needs: retimes, transitions and handles counted in, held within what the media has."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from grainlayer.editorial.clips import Node, children, exact, exact_rate, schema_of
from grainlayer.editorial.shots import Placement
from grainlayer.errors import TimelineError
from grainlayer.picture.timecode import advanced

SAME_RATE = Fraction(1, 500)
"""Rates that differ by less, as 24 and 23.976, count the same frames."""


@dataclass(frozen=True)
class MediaFacts:
    """Hold what a range depends on: how many frames a media has, their rate, timecode, and the first file's number of a sequence."""

    count: int
    rate: Fraction
    timecode: str | None = None
    first_number: int | None = None


@dataclass(frozen=True)
class Overlap:
    """Hold how long the transitions at a clip's ends go on beyond its cut, in seconds of the edit."""

    head: Fraction = Fraction(0)
    tail: Fraction = Fraction(0)


@dataclass(frozen=True)
class Used:
    """Hold the frames of a clip to be delivered, as indices in the media, and how the edit counts them.

    origin  the edit's time of the media's frame 0, in frames of `rate`
    unit    frames of `rate` that one frame of the media takes
    lacks   frames that the edit asks for and the media has not, as (before, after)
    """

    start: int
    stop: int
    origin: Fraction
    unit: Fraction
    rate: Fraction
    lacks: tuple[int, int] = (0, 0)

    def available(self) -> tuple[Fraction, Fraction]:
        """Return start and duration of the delivered frames as the edit counts them."""
        return self.origin + self.start * self.unit, (self.stop - self.start) * self.unit


def overlaps(root: Node) -> dict[int, Overlap]:
    """Return the transitions at each item's ends, by Python's id() of the item."""
    found: dict[int, Overlap] = {}
    for track in _tracks(root):
        items = children(track)
        for place, item in enumerate(items):
            before = items[place - 1] if place else {}
            after = items[place + 1] if place + 1 < len(items) else {}
            found[id(item)] = Overlap(_offset(before, "in_offset"), _offset(after, "out_offset"))
    return found


def _tracks(node: Node) -> Iterator[Node]:
    if schema_of(node) == "Track":
        yield node
    for child in children(node):
        yield from _tracks(child)


def _offset(item: Node, key: str) -> Fraction:
    """Return a transition's offset in seconds; nothing for other items."""
    time = item.get(key)
    if schema_of(item) != "Transition" or not isinstance(time, dict):
        return Fraction(0)
    return exact(time.get("value")) / exact_rate(time.get("rate"))


def used_frames(placement: Placement, overlap: Overlap, handles: int, media: MediaFacts) -> Used:
    """Return the frames that a clip needs. Raise TimelineError if its media has none of them."""
    origin, unit, rate = counted(placement, media)
    if placement.speed is None:
        return Used(0, media.count, origin, unit, rate)
    start, stop = _shown(placement, rate, origin, unit)
    pace = abs(placement.speed) * media_rate(unit, rate)
    head, tail = (max(handles, math.ceil(seconds * pace)) for seconds in (overlap.head, overlap.tail))
    first, last = max(0, start - head), min(media.count, stop + tail)
    if first >= last or start >= media.count or stop <= 0:
        raise TimelineError(f"it shows the frames {start} to {stop - 1} of its media, which has {media.count}: relink or trim it")
    needed = (start - math.ceil(overlap.head * pace), stop + math.ceil(overlap.tail * pace))
    return Used(first, last, origin, unit, rate, (max(0, -needed[0]), max(0, needed[1] - media.count)))


def media_rate(unit: Fraction, rate: Fraction) -> Fraction:
    """Return frames of the media that pass in a second of the edit at normal speed."""
    return rate / unit


def _shown(placement: Placement, rate: Fraction, origin: Fraction, unit: Fraction) -> tuple[int, int]:
    """Return the first and the end of the frames that a clip's range shows; at least one. Reversed clips show the same range."""
    source = placement.source.at_rate(rate)
    begin = (source.start - origin) / unit
    passed = source.duration * abs(placement.speed or 0) / unit
    start = math.floor(begin)
    return start, max(start + 1, math.ceil(begin + passed))


def counted(placement: Placement, media: MediaFacts) -> tuple[Fraction, Fraction, Fraction]:
    """Return how an edit counts a media's frames: the time of frame 0, frames of the edit's rate for each, and that rate.

    The edit's range of the media counts its frames one by one where it has as many; otherwise seconds are counted, unless the
    rates are nearly the same.
    """
    known = placement.available
    if known is not None and known.duration > 0:
        same = known.duration == media.count or _one_by_one(known.rate, media)
        unit = Fraction(1) if same else known.rate / media.rate
        return known.start + _missing_files(placement, media) * unit, unit, known.rate
    rate = placement.source.rate
    unit = Fraction(1) if _one_by_one(rate, media) else rate / media.rate
    return timecode_of(placement, media) * unit, unit, rate


def rates_said(placement: Placement, media: MediaFacts) -> str | None:
    """Return how a clip's range is counted where the edit's rate is not its media's, in words; None where they match."""
    known = placement.available
    stated = known.rate if known is not None and known.duration > 0 else placement.source.rate
    if abs(stated / media.rate - 1) < SAME_RATE:
        return None
    _, unit, _ = counted(placement, media)
    how = "its pictures are counted one by one" if unit == 1 else "its range is taken in seconds, so that its ends may be a picture off"
    return f"is counted at {_decimal(stated)} frames a second and its media has {_decimal(media.rate)}: {how}; conform one to the other"


def _decimal(rate: Fraction) -> str:
    return f"{float(rate):.3f}".rstrip("0").rstrip(".")


def _one_by_one(rate: Fraction, media: MediaFacts) -> bool:
    """Say whether an edit at `rate` counts each frame as one: those of sequences, and of media of nearly its rate."""
    return media.first_number is not None or abs(rate / media.rate - 1) < SAME_RATE


def _missing_files(placement: Placement, media: MediaFacts) -> int:
    """Return how many files lie between the first that the edit knows and the first on the disk."""
    if media.first_number is None or placement.first_number is None:
        return 0
    return media.first_number - placement.first_number


def timecode_of(placement: Placement, media: MediaFacts) -> int:
    """Return the number of the media's first frame where only the media says it: if the clip's range lies beyond its frames."""
    start = placement.source.start
    if start < media.count:
        return 0
    if media.first_number is not None:
        return media.first_number
    return frames_of(media.timecode, media.rate)


def frames_of(timecode: str | None, rate: Fraction) -> int:
    """Return how many frames a timecode counts from zero; 0 where there is none."""
    zero = "00:00:00" + (timecode[8] if timecode and len(timecode) == 11 else ":") + "00"
    if not timecode or advanced(timecode, 0, rate) is None:
        return 0
    hours, minutes, seconds, frame = (int(timecode[place : place + 2]) for place in (0, 3, 6, 9))
    guess = ((hours * 60 + minutes) * 60 + seconds) * round(rate) + frame
    return next((count for count in range(guess, max(-1, guess - 6000), -1) if advanced(zero, count, rate) == timecode), guess)
