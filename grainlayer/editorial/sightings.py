"""See clips as matching does: which pictures each shows, in exact seconds of its media, and find those that show the same."""

from __future__ import annotations

import bisect
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePosixPath
from typing import TypeVar

from grainlayer.editorial.shots import LATEST_FRAME, PlacedShot, Placement

FAR = Fraction(LATEST_FRAME)
"""Seconds beyond which no picture lies: what a ramp shows cannot be known, so it may show any picture of its media."""
MOST = 32
"""Clips that a search returns at most, and one more to say that there are more."""
NO_REELS = frozenset({"AX", "BL", "BLACK", "NONE", "UNKNOWN", "UNTITLED"})
"""Reels that say nothing: CMX 3600's auxiliary source and black, and what programs write where there is none."""

Range = tuple[Fraction, Fraction, bool]
"""Begin and end in seconds, and whether a ramp lies between."""
Key = TypeVar("Key")


@dataclass(frozen=True, eq=False)
class Sighting:
    """Hold a clip as matching sees it.

    begin, end  which pictures it shows, in seconds of the media's own timecode; retimes count, so at speed 2 twice as many
    exact       the same for comparison; a ramp's is the range that the edit states
    frame       how long one picture lasts, in seconds
    """

    placed: PlacedShot
    name: str
    media: str | None
    stem: str | None
    reel: str | None
    begin: Fraction
    end: Fraction
    exact: Range
    frame: Fraction

    @property
    def place(self) -> tuple[int, Fraction, Fraction]:
        """Return track and record range in seconds."""
        return (self.placed.placement.track, *self.placed.placement.record.seconds)


def sight(placed: PlacedShot) -> Sighting:
    """Return a clip as matching sees it."""
    placement = placed.placement
    media = plain_path(placement.media)
    begin, end = _shown(placement)
    ramp = placement.speed is None
    return Sighting(
        placed=placed,
        name=placement.name.strip(),
        media=media,
        stem=PurePosixPath(media).stem.casefold() if media else None,
        reel=_telling_reel(placement.reel),
        begin=-FAR if ramp else begin,
        end=FAR if ramp else end,
        exact=(begin, end, ramp),
        frame=1 / placement.source.rate,
    )


def _shown(placement: Placement) -> tuple[Fraction, Fraction]:
    """Return begin and end of the pictures shown, at least one of them."""
    speed = Fraction(1) if placement.speed is None else abs(placement.speed)
    start = placement.source.start
    return start / placement.source.rate, (start + max(placement.source.duration * speed, Fraction(1))) / placement.source.rate


def plain_path(path: str | None) -> str | None:
    """Return a path in one spelling: forward slashes, composed accents, and lower case where it is Windows'."""
    if not path:
        return None
    plain = unicodedata.normalize("NFC", path).replace("\\", "/")
    return plain.lower() if re.match(r"[A-Za-z]:/|//", plain) else plain


def _telling_reel(reel: str | None) -> str | None:
    plain = (reel or "").strip().upper()
    return None if not plain or plain in NO_REELS else plain


def overlap(one: Sighting, other: Sighting) -> Fraction:
    """Return how many seconds of pictures two clips share, were they of one media; below 0 is how far they are apart."""
    return min(one.end, other.end) - max(one.begin, other.begin)


def touches(one: Sighting, other: Sighting) -> bool:
    """Say whether two clips share more than half a picture, were they of one media; less is rounding."""
    return overlap(one, other) * 2 > min(one.frame, other.frame)


def states(one: Sighting, other: Sighting) -> bool:
    """Say whether the ranges that two edits state share more than half a picture: for ramps, whose pictures are not known."""
    return (min(one.exact[1], other.exact[1]) - max(one.exact[0], other.exact[0])) * 2 > min(one.frame, other.frame)


class Lane:
    """Find clips that show pictures of a range, among many that may overlap each other: a tree of latest ends over sorted begins."""

    def __init__(self, sightings: Iterable[Sighting]) -> None:
        """Take the clips."""
        self.sightings = sorted(sightings, key=lambda sighting: sighting.begin)
        self._begins = [sighting.begin for sighting in self.sightings]
        self._latest: dict[tuple[int, int], Fraction] = {}
        self._measure(0, len(self.sightings))

    def _measure(self, low: int, high: int) -> Fraction:
        """Return the latest end of a part, having noted it and those of its halves."""
        if high - low == 1:
            return self.sightings[low].end
        middle = (low + high) // 2
        latest = max(self._measure(low, middle), self._measure(middle, high))
        self._latest[low, high] = latest
        return latest

    def touching(self, sighting: Sighting) -> list[Sighting]:
        """Return the clips that share pictures with this one, earliest first; MOST + 1 of them if there are more than MOST."""
        found: list[Sighting] = []
        self._collect(0, len(self.sightings), bisect.bisect_left(self._begins, sighting.end), sighting, found)
        return found

    def _collect(self, low: int, high: int, until: int, sighting: Sighting, found: list[Sighting]) -> None:
        """Add what touches in a part of the lane, of which only what lies before `until` begins early enough."""
        if low >= until or len(found) > MOST:
            return
        if high - low == 1:
            found.extend([self.sightings[low]] if touches(self.sightings[low], sighting) else [])
        elif self._latest[low, high] > sighting.begin:
            middle = (low + high) // 2
            self._collect(low, middle, until, sighting, found)
            self._collect(middle, high, until, sighting, found)


class Catalogue:
    """Hold the clips of the old edit, to be found by uid, media, reel, name, range and place."""

    def __init__(self, sightings: Sequence[Sighting]) -> None:
        """Take the clips."""
        self.all = sightings
        self.by_uid = grouped((sighting.placed.uid, sighting) for sighting in sightings)
        self.by_range = grouped((sighting.exact, sighting) for sighting in sightings)
        self.by_place = grouped((sighting.place, sighting) for sighting in sightings)
        self.by_stem = {stem: {one.media for one in group if one.media} for stem, group in grouped((s.stem, s) for s in sightings).items()}
        self.named_in = grouped(((s.media, s.name) if s.media and s.name else None, s) for s in sightings)
        self.media = _lanes((sighting.media, sighting) for sighting in sightings)
        self.reels = _lanes((sighting.reel, sighting) for sighting in sightings)
        self.offline_reels = _lanes((sighting.reel, sighting) for sighting in sightings if not sighting.media)
        self.names = _lanes((sighting.name, sighting) for sighting in sightings)
        self._looks: dict[object, int] = {}
        self.look = {id(sighting): self._look(sighting) for sighting in sightings}

    def _look(self, sighting: Sighting) -> int:
        """Return a number that clips of equal grain share; -1 for none."""
        shot = sighting.placed.shot
        if shot is None:
            return -1
        effect, params, keys = shot.grain()
        values = tuple(getattr(params, key) for key in params.__dataclass_fields__ if key != "shot_uid")
        return self._looks.setdefault((effect, values, tuple(keys.items()), shot.profile), len(self._looks))


def grouped(pairs: Iterable[tuple[Key, Sighting]]) -> dict[Key, list[Sighting]]:
    """Return clips by key, in order; those whose key is empty are left out."""
    found: dict[Key, list[Sighting]] = {}
    for key, sighting in pairs:
        if key:
            found.setdefault(key, []).append(sighting)
    return found


def _lanes(pairs: Iterable[tuple[str | None, Sighting]]) -> dict[str | None, Lane]:
    return {key: Lane(group) for key, group in grouped(pairs).items()}
