"""Hold a shot's grain, where the shot lies in an edit, and lists of both.

Nothing here reads or writes files; `jsonform` has the JSON of these classes, `timeline` finds them in edits.
"""

from __future__ import annotations

import bisect
import fnmatch
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from grainlayer.errors import ParamError, TimelineError
from grainlayer.grain.profile import GrainProfile
from grainlayer.params import NOT_A_LOOK, TABLE, Effect, Kind, ShotParams, Value, defaults_for, find, for_effect

Keyframe = tuple[int, Value]
"""A frame, as index in the source media, and the value there."""
Keys = Mapping[str, tuple[Keyframe, ...]]
"""Keyframes by parameter key."""

DIGITS = 15
"""Significant digits of our numbers: what every program's doubles keep."""
LATEST_FRAME = 1 << 31
UNKEYED = ("shot_uid", "follow", "profile_data")
"""Parameters that cannot change inside a shot."""

DEFAULTS = ShotParams()
FLOATS = tuple(param.key for param in TABLE if param.kind is Kind.FLOAT)


def new_uid() -> str:
    """Return a uid that no other shot has: 16 hexadecimal digits."""
    return secrets.token_hex(8)


@dataclass(frozen=True)
class Shot:
    """Hold one shot's grain. Raise ParamError if uid, a keyframe or its value is not legal.

    uid      1..64 characters; also put into params.shot_uid
    name     what people call it; no part of `grain()`, so a renamed clip keeps its grain
    params   values without keyframes; floats are rounded to 15 digits, which any program keeps
    keys     keyframes by parameter, sorted by frame; they stand before the value in `params`
    """

    uid: str
    name: str = ""
    effect: Effect = Effect.GRAIN_SPLIT
    params: ShotParams = DEFAULTS
    keys: Keys = field(default_factory=dict)
    profile: GrainProfile | None = None

    def __post_init__(self) -> None:
        """Bring numbers to 15 digits and keyframes into order."""
        if not self.uid:
            raise ParamError("A shot needs a uid of 1 to 64 characters; leave it out and one is made.")
        given = ((key, getattr(self.params, key)) for key in FLOATS if getattr(self.params, key) is not getattr(DEFAULTS, key))
        rounded: dict[str, Any] = {key: shorten(value) for key, value in given} | {"shot_uid": self.uid}
        if any(getattr(self.params, key) != value for key, value in rounded.items()):
            object.__setattr__(self, "params", replace(self.params, **rounded))
        ordered = {key: _checked_keys(key, self.keys[key]) for key in sorted(self.keys) if self.keys[key]}
        object.__setattr__(self, "keys", ordered)

    def __hash__(self) -> int:
        """Hash by what identifies the shot."""
        return hash((self.uid, self.name, self.effect, self.params))

    def grain(self) -> tuple[Effect, ShotParams, Mapping[str, tuple[Keyframe, ...]]]:
        """Return what a carrier without room for profiles holds, for comparison."""
        return self.effect, self.params, dict(self.keys)

    def at(self, frame: int) -> ShotParams:
        """Return the values at a frame of the source media: floats linear between keyframes, others stepped, constant beyond the ends."""
        if not self.keys:
            return self.params
        values: dict[str, Any] = {key: _value_at(key, keys, frame) for key, keys in self.keys.items()}
        return replace(self.params, **values)

    def changed(self, values: Mapping[str, Value], keys: Keys | None = None, effect: Effect | None = None) -> Shot:
        """Return the shot with other values; one that is set loses its keyframes, unless `keys` gives new ones. Raise ParamError."""
        chosen = effect or self.effect
        kept = {key: row for key, row in self.keys.items() if key not in values}
        given: dict[str, Any] = {key: find(key).for_effect(chosen).check(value) for key, value in values.items()}
        params = replace(_moved(self.params, self.effect, chosen), **given)
        return replace(self, effect=chosen, params=params, keys={**kept, **(keys or {})}).fitting()

    def with_look_of(self, other: Shot, shift: int = 0) -> Shot:
        """Return the shot with another's look: all but its own picture and handling; keyframes move by `shift` frames."""
        own: dict[str, Any] = {key: getattr(self.params, key) for key in NOT_A_LOOK}
        kept = {key: row for key, row in self.keys.items() if key in NOT_A_LOOK}
        moved = {key: tuple((at + shift, value) for at, value in row) for key, row in other.keys.items() if key not in NOT_A_LOOK}
        return replace(self, effect=other.effect, params=replace(other.params, **own), keys=kept | moved)

    def fitting(self) -> Shot:
        """Return the shot itself. Raise ParamError for a value that its effect's menus do not have."""
        for param in for_effect(self.effect):
            param.check(getattr(self.params, param.key))
            for _, value in self.keys.get(param.key, ()):
                param.check(value)
        return self


def _moved(params: ShotParams, old: Effect, new: Effect) -> ShotParams:
    """Return values for another effect: those that were the old one's defaults become the new one's."""
    if old is new:
        return params
    before, after = defaults_for(old), defaults_for(new)
    stale = (p.key for p in TABLE if getattr(params, p.key) == getattr(before, p.key))
    values: dict[str, Any] = {key: getattr(after, key) for key in stale}
    return replace(params, **values)


def shorten(value: Value) -> Value:
    """Return a float rounded to 15 significant digits; anything else as it is."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _checked_keys(key: str, row: Iterable[Keyframe]) -> tuple[Keyframe, ...]:
    param = find(key)
    if key in UNKEYED:
        raise ParamError(f"{key} cannot have keyframes; set it once for the shot.")
    checked = sorted((_checked_frame(key, frame), shorten(param.check(value))) for frame, value in row)
    if len({frame for frame, _ in checked}) != len(checked):
        raise ParamError(f"{key} has two keyframes at one frame; keep one of them.")
    return tuple(checked)


def _checked_frame(key: str, frame: object) -> int:
    if isinstance(frame, bool) or not isinstance(frame, int) or not -LATEST_FRAME < frame < LATEST_FRAME:
        raise ParamError(f"A keyframe of {key} must lie at a whole frame number; got {frame!r}.")
    return frame


def _value_at(key: str, row: tuple[Keyframe, ...], frame: int) -> Value:
    after = bisect.bisect_right([at for at, _ in row], frame)
    if after == 0:
        return row[0][1]
    (start, before) = row[after - 1]
    if after == len(row) or find(key).kind is not Kind.FLOAT:
        return before
    end, following = row[after]
    share = (frame - start) / (end - start)
    return float(before) * (1 - share) + float(following) * share


@dataclass(frozen=True)
class Span:
    """Hold a range of frames, exactly: start and duration may be fractions of a frame, rate is frames a second (24000/1001)."""

    start: Fraction
    duration: Fraction
    rate: Fraction

    def __str__(self) -> str:
        """Return first and last frame as people count: 100-147, with a fraction where there is one."""
        first, last = (f"{float(number):.2f}".rstrip("0").rstrip(".") for number in (self.start, self.end - 1))
        return f"{first}-{last}" if self.duration > 0 else f"{first}, empty"

    @property
    def end(self) -> Fraction:
        """Return the first frame after the range."""
        return self.start + self.duration

    @property
    def seconds(self) -> tuple[Fraction, Fraction]:
        """Return start and end in seconds."""
        return self.start / self.rate, self.end / self.rate

    def at_rate(self, rate: Fraction) -> Span:
        """Return the same time counted at another rate."""
        if rate == self.rate:
            return self
        factor = rate / self.rate
        return Span(self.start * factor, self.duration * factor, rate)


@dataclass(frozen=True)
class Placement:
    """Say where a clip lies in an edit, and which pictures it shows.

    track      index of the track among all of the timeline's, bottom first; 0 for a bare clip
    place      index among the track's items: clips, gaps and transitions
    record     where it lies in the timeline, in frames of the timeline's rate, 0 at its beginning; ShotList.start comes on top
    source     which pictures it shows, in frames of the source's rate and in the media's own timecode, as the edit states it:
               its duration is that of the clip in the edit; at speed 2 twice as many pictures are passed over
    media      path or URL of the media, a sequence as shot.%04d.exr, or None
    available  the media's whole range, in the same timecode as `source`, or None
    first_number  number of the first picture's file, for a sequence
    speed      1 normal, negative reversed, 0 a still, None a ramp
    nested     names of the compositions between track and clip
    """

    name: str
    track: int
    track_name: str
    place: int
    record: Span
    source: Span
    media: str | None = None
    reel: str | None = None
    available: Span | None = None
    first_number: int | None = None
    speed: Fraction | None = Fraction(1)
    enabled: bool = True
    nested: tuple[str, ...] = ()

    @property
    def first_frame(self) -> Fraction:
        """Return the index, in the media, of the first picture shown; where the media's range is unknown it begins at 0."""
        return self.source.start - (self.available.at_rate(self.source.rate).start if self.available else 0)


@dataclass(frozen=True)
class PlacedShot:
    """Hold a clip of an edit: its number as people count, from 1, its place, and its grain where it has some."""

    index: int
    placement: Placement
    shot: Shot | None = None

    @property
    def uid(self) -> str:
        """Return the shot's uid, or nothing."""
        return self.shot.uid if self.shot else ""

    @property
    def name(self) -> str:
        """Return the clip's name."""
        return self.placement.name

    def label(self) -> str:
        """Return how a sentence names this clip: `3 "SH010" (uid 52ab...)`."""
        return f'{self.index} "{self.name}"' + (f" (uid {self.uid})" if self.shot else " (no grain)")


@dataclass(frozen=True)
class Conflict:
    """Hold two versions of one shot's grain: the one that is used, and the other, which is kept."""

    uid: str
    name: str
    used_from: str
    other_from: str
    used: Shot
    other: Shot

    def __str__(self) -> str:
        """Say in one sentence what differs and what to do."""
        keys = ", ".join(differing(self.used, self.other)) or "its profile"
        return (
            f'"{self.name}" ({self.uid}): {self.used_from} and {self.other_from} differ in {keys}; '
            f"{self.used_from} is used and the other kept: set the values that you want."
        )


@dataclass(frozen=True)
class ShotList:
    """Hold the clips of an edit's picture tracks, in order: track by track, bottom first.

    rate, start  frames a second and first frame (its timecode) of the timeline
    problems     one sentence each, for what was passed over or needs a look
    """

    name: str
    rate: Fraction
    start: Fraction
    shots: tuple[PlacedShot, ...]
    problems: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()

    def __iter__(self) -> Iterator[PlacedShot]:
        """Go through the clips."""
        return iter(self.shots)

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.shots)

    def with_grain(self) -> tuple[PlacedShot, ...]:
        """Return the clips that have grain."""
        return tuple(placed for placed in self.shots if placed.shot)

    def find(self, text: str) -> tuple[PlacedShot, ...]:
        """Return the clips that `text` selects: a uid, a name, a number from 1, or a pattern such as SH0*.

        Only a pattern selects more than one. Raise TimelineError if nothing is selected, or if two clips share that name or uid.
        """
        exact = self._exact(text)
        if len(exact) > 1:
            named = ", ".join(placed.label() for placed in exact[:4]) + (", ..." if len(exact) > 4 else "")
            raise TimelineError(f"{text!r} names {len(exact)} clips: {named}; say which by its number or uid.")
        found = exact or tuple(placed for placed in self.shots if fnmatch.fnmatchcase(placed.name, text))
        if not found:
            raise TimelineError(f"No clip is called {text!r}; `grainlayer otio show` lists the clips by number, name and uid.")
        return found

    def one(self, text: str) -> PlacedShot:
        """Return the one clip that `text` selects. Raise TimelineError if there is none or more than one."""
        found = self.find(text)
        if len(found) != 1:
            raise TimelineError(f"{text!r} selects {len(found)} clips; name one, by number or uid.")
        return found[0]

    def _exact(self, text: str) -> tuple[PlacedShot, ...]:
        """Return the clips of that uid; else those of that name or number."""
        of_uid = tuple(placed for placed in self.shots if placed.uid and placed.uid == text)
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
        return of_uid or tuple(placed for placed in self.shots if placed.name == text or placed.index == number)


def differing(one: Shot, other: Shot) -> tuple[str, ...]:
    """Return the keys in which two shots differ, `uid` and `effect` first; profiles are not compared."""
    names = ["uid"] if one.uid != other.uid else []
    names += ["effect"] if one.effect is not other.effect else []
    for param in TABLE:
        same = getattr(one.params, param.key) == getattr(other.params, param.key) and one.keys.get(param.key) == other.keys.get(param.key)
        names += [] if same or param.key == "shot_uid" else [param.key]
    return tuple(names)
