"""Say how the grain of two edits differs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from grainlayer.editorial.jsonform import placed_to_json
from grainlayer.editorial.shots import PlacedShot, Shot, ShotList, differing
from grainlayer.params import Value


@dataclass(frozen=True)
class Difference:
    """Hold one clip of two edits: as it is in either, None where it is missing, and what changed, a line each."""

    before: PlacedShot | None
    after: PlacedShot | None
    lines: tuple[str, ...]

    def label(self) -> str:
        """Return how people name the clip."""
        placed = self.after or self.before
        return placed.label() if placed else ""


def compare(before: ShotList, after: ShotList) -> tuple[Difference, ...]:
    """Return the clips that differ in grain or range, or are in one edit only.

    Clips are paired by uid; those left by name and source range, by name alone, or by name and place,
    each time only where one clip in either edit answers to it.
    """
    pairs: list[tuple[PlacedShot | None, PlacedShot | None]] = []
    old, new = list(before), list(after)
    for key in (_by_uid, _by_range, _by_name, _by_place):
        pairs += _paired(old, new, key)
    pairs += [(placed, None) for placed in old] + [(None, placed) for placed in new]
    found = [Difference(one, other, tuple(_lines(one, other))) for one, other in pairs]
    return tuple(sorted((row for row in found if row.lines), key=lambda row: (row.after or row.before or before.shots[0]).index))


def _by_uid(placed: PlacedShot) -> Any:
    return placed.uid or None


def _by_range(placed: PlacedShot) -> Any:
    return placed.name, placed.placement.source


def _by_name(placed: PlacedShot) -> Any:
    return placed.name


def _by_place(placed: PlacedShot) -> Any:
    return placed.name, placed.placement.track, placed.placement.record.start


def _paired(old: list[PlacedShot], new: list[PlacedShot], key: Any) -> list[tuple[PlacedShot, PlacedShot]]:
    """Take from both lists the clips whose key is one of a kind in either, as pairs."""
    ones, others = _single(old, key), _single(new, key)
    pairs = [(placed, others[mark]) for mark, placed in ones.items() if mark in others]
    for one, other in pairs:
        old.remove(one)
        new.remove(other)
    return pairs


def _single(clips: Iterable[PlacedShot], key: Any) -> dict[Any, PlacedShot]:
    found: dict[Any, list[PlacedShot]] = {}
    for placed in clips:
        found.setdefault(key(placed), []).append(placed)
    return {mark: row[0] for mark, row in found.items() if mark is not None and len(row) == 1}


def _lines(one: PlacedShot | None, other: PlacedShot | None) -> Iterable[str]:
    if one is None or other is None:
        yield "only in the first edit" if other is None else "only in the second edit"
        return
    yield from _placement_lines(one, other)
    if one.shot is None or other.shot is None:
        if one.shot is not other.shot:
            yield "has grain only in the " + ("second edit" if one.shot is None else "first edit")
        return
    for key in differing(one.shot, other.shot):
        yield f"{key}: {said(one.shot, key)} -> {said(other.shot, key)}"
    if one.shot.profile != other.shot.profile:
        yield "another measured profile"


def _placement_lines(one: PlacedShot, other: PlacedShot) -> Iterable[str]:
    before, after = one.placement, other.placement
    if one.name != other.name:
        yield f'name: "{one.name}" -> "{other.name}"'
    for key in ("record", "source"):
        spans = getattr(before, key), getattr(after, key)
        if spans[0] != spans[1]:
            yield f"{key}: {spans[0]} -> {spans[1]}"
    if before.speed != after.speed:
        yield f"speed: {_speed(before.speed)} -> {_speed(after.speed)}"


def _speed(speed: Any) -> str:
    return "a ramp" if speed is None else f"{float(speed):g}"


def said(shot: Shot, key: str) -> str:
    """Return a shot's value as people read it; keyframes as 0:1, 24:0.5."""
    if key in shot.keys:
        return "keyframes " + ", ".join(f"{frame}:{_plain(value)}" for frame, value in shot.keys[key])
    return _plain(getattr(shot, key) if key in ("uid", "effect") else getattr(shot.params, key))


def _plain(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def difference_to_json(row: Difference) -> dict[str, Any]:
    """Return a difference for programs."""
    before, after = (placed_to_json(placed) if placed else None for placed in (row.before, row.after))
    return {"clip": row.label(), "changes": list(row.lines), "before": before, "after": after}
