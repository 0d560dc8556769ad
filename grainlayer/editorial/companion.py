"""Read and write `<timeline>.grain.json`: the canonical copy of every shot's grain, with profiles, which no format keeps as well."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from grainlayer.editorial.jsonform import SCHEMA, indented, number_to_json, shot_from_json, shot_to_json
from grainlayer.editorial.shots import Shot
from grainlayer.errors import TimelineError

SUFFIX = ".grain.json"
LONGEST = 1 << 28
"""Bytes of a sidecar, at most."""


@dataclass(frozen=True)
class Kept:
    """Hold a version of a shot's grain that lost a conflict: where it was found, and what it said."""

    source: str
    shot: Shot


@dataclass(frozen=True)
class Companion:
    """Hold a timeline's sidecar: shots by uid, versions that lost a conflict, and the rate that formats such as EDL do not state."""

    shots: Mapping[str, Shot] = field(default_factory=dict)
    kept: tuple[Kept, ...] = ()
    rate: Fraction | None = None


def companion_path(timeline: Path) -> Path:
    """Return where a timeline's sidecar lies: beside it, cut.grain.json for cut.otio."""
    return timeline.with_name((timeline.stem or timeline.name) + SUFFIX)


def companion_to_json(companion: Companion, name: str) -> str:
    """Return a sidecar's text."""
    facts: dict[str, Any] = {"schema": SCHEMA, "timeline": name}
    facts |= {"rate": str(number_to_json(companion.rate))} if companion.rate else {}
    facts |= {"shots": [shot_to_json(shot) for shot in companion.shots.values()]}
    facts |= {"kept": [{"from": kept.source, "shot": shot_to_json(kept.shot)} for kept in companion.kept]} if companion.kept else {}
    return indented(facts, 1, ascii_only=True)


def companion_from_json(text: str) -> Companion:
    """Read what `companion_to_json` wrote. Raise TimelineError if it is none, damaged or too new."""
    try:
        facts = json.loads(text)
        schema = facts["schema"]
        if isinstance(schema, int) and schema > SCHEMA:
            raise TimelineError(f"it is of schema {schema}, this program reads up to {SCHEMA}: update GrainLayer")
        shots = [shot_from_json(shot) for shot in facts["shots"]]
        kept = tuple(Kept(str(row["from"]), shot_from_json(row["shot"])) for row in facts.get("kept", []))
        rate = Fraction(facts["rate"]) if facts.get("rate") else None
        return Companion({shot.uid: shot for shot in shots}, kept, rate)
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError) as error:
        raise TimelineError("it is damaged or no sidecar of ours: mend it, or move it away") from error


def read_companion(path: Path) -> Companion:
    """Read a sidecar; an empty one where there is none. Raise TimelineError, naming the file, if it is damaged or too new."""
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST)
        return companion_from_json(data.decode("utf-8"))
    except FileNotFoundError:
        return Companion()
    except TimelineError as error:
        raise TimelineError(f"The sidecar {path} cannot be used: {str(error).rstrip('.')}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise TimelineError(f"The sidecar {path} cannot be read ({error}); make it readable, or move it away.") from error
