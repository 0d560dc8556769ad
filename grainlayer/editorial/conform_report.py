"""Tell in words and in JSON what became of every clip of a new cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from grainlayer.editorial.matching import Evidence, Outcome
from grainlayer.editorial.shots import PlacedShot, ShotList

SCHEMA = 1
UNSURE = (Outcome.AMBIGUOUS, Outcome.CONFLICT)
NAMED = 8
"""Candidates that a sentence names, at most."""


@dataclass(frozen=True)
class Row:
    """Hold what became of one clip of the new edit.

    old         the old clip whose grain it takes, or that it was without having grain
    uid         the uid of its grain now, or nothing
    changes     what was done to it since: moved, trimmed, slipped, retimed, renamed, relinked
    candidates  the old clips that it may have been, where that is not certain
    """

    index: int
    name: str
    outcome: Outcome
    old: PlacedShot | None
    evidence: Evidence | None
    uid: str
    changes: tuple[str, ...]
    candidates: tuple[PlacedShot, ...]
    note: str

    @property
    def old_uid(self) -> str:
        """Return the uid of the shot whose grain the clip takes, or nothing."""
        return self.old.uid if self.old else ""

    def __str__(self) -> str:
        """Say it in one line."""
        parts = [f'{self.index} "{self.name}"']
        if self.old:
            parts.append(f"is {self.old.label()} by {self.evidence}")
        if self.uid and self.uid != self.old_uid:
            parts.append(f"has the uid {self.uid}")
        parts += [", ".join(self.changes)] if self.changes else []
        parts += [self.note] if self.note else []
        if self.candidates:
            labels = [one.label() for one in self.candidates[:NAMED]]
            more = len(self.candidates) - NAMED
            parts.append("it may be " + " or ".join(labels) + (f" or {more} more" if more > 0 else ""))
        return "; ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Return it for programs."""
        facts: dict[str, Any] = {"index": self.index, "name": self.name, "outcome": str(self.outcome)}
        facts |= {"evidence": str(self.evidence) if self.evidence else None, "old": _short(self.old) if self.old else None}
        facts |= {"uid": self.uid or None, "changes": list(self.changes), "candidates": [_short(one) for one in self.candidates]}
        return facts | {"note": self.note}


def _short(placed: PlacedShot) -> dict[str, Any]:
    return {"index": placed.index, "name": placed.name, "uid": placed.uid or None}


@dataclass(frozen=True)
class Report:
    """Hold what became of a whole edit.

    rows      one for each clip of the new edit, in order
    shots     the new edit's clips with their grain
    deleted   old shots with grain that no new clip is, nor may be
    doubtful  old shots with grain that only a clip may be that is not certain
    """

    rows: tuple[Row, ...]
    shots: ShotList
    deleted: tuple[PlacedShot, ...]
    doubtful: tuple[PlacedShot, ...]
    problems: tuple[str, ...] = ()

    def of(self, *outcomes: Outcome) -> tuple[Row, ...]:
        """Return the rows of these outcomes."""
        return tuple(row for row in self.rows if row.outcome in outcomes)

    @property
    def unsure(self) -> tuple[Row, ...]:
        """Return the clips that need a decision."""
        return self.of(*UNSURE)

    def in_words(self) -> str:
        """Return a text to read: the sum, then what needs a decision, then the rest."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        counts = Counter(row.outcome for row in self.rows)
        kinds = Counter(row.evidence for row in self.of(Outcome.MATCHED))
        by = ", ".join(f"{kinds[kind]} by {kind}" for kind in Evidence if kinds[kind])
        yield f"{counts[Outcome.MATCHED]} of {len(self.rows)} clips have their grain" + (f": {by}." if by else ".")
        yield from _section("Not certain, and left without grain", [str(row) for row in self.unsure])
        yield from _section("New, or changed beyond recognition, and without grain", [str(row) for row in self.of(Outcome.NEW)])
        yield from _section("Without grain before and now", [str(row) for row in self.of(Outcome.BARE)])
        yield from _section("With grain of their own", [str(row) for row in self.of(Outcome.OWN)])
        yield from _section("Shots that are gone; the sidecar keeps their grain", [one.label() for one in self.deleted])
        yield from _section("Shots that may be among those not certain", [one.label() for one in self.doubtful])
        changed = [row for row in self.of(Outcome.MATCHED) if row.changes or row.note or row.uid != row.old_uid]
        yield from _section("Matched, and changed", [str(row) for row in changed])
        yield from _section("Also", list(self.problems))

    def to_json(self) -> dict[str, Any]:
        """Return the report for programs."""
        counts = Counter(str(row.outcome) for row in self.rows)
        facts: dict[str, Any] = {"schema": SCHEMA, "clips": len(self.rows), "counts": {str(one): counts[one] for one in Outcome}}
        facts |= {"rows": [row.to_json() for row in self.rows], "deleted": [_short(one) for one in self.deleted]}
        return facts | {"doubtful": [_short(one) for one in self.doubtful], "problems": list(self.problems)}


def _section(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield f"{title} ({len(lines)}):"
        yield from (f"  {line}" for line in lines)
