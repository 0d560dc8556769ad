"""Say in part of a sentence which clips something befell, and what their markers said before."""

from typing import TYPE_CHECKING

from grain_scripts.notes import grain_of
from grain_scripts.parameters import TABLE, value_of

if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Sequence, Tuple

    Facts = Dict[str, Any]
    Replaced = List[Tuple[str, Facts, Facts]]
    """Clips of which the marker said one thing and another holds now: name, what the marker said, what holds."""
    Rows = Iterable[Tuple[str, Sequence[str]]]
    """Names of clips, each with parameters."""

MOST_CLIPS, MOST_SAID, MOST_VALUES = 24, 6, 3
"""How many clips a sentence names, how many with what their markers said, and how many values of each."""


def named(names: "Iterable[str]", most: int = MOST_CLIPS) -> str:
    """Return names, each once, as a sentence lists them: A, B and 3 more."""
    found = list(dict.fromkeys(names))
    more = f"{len(found) - most} more"
    parts = found[:most] + ([more] if len(found) > most else [])
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else "".join(parts)


def differences(before: "Facts", now: "Facts") -> str:
    """Return what a marker said where it differs from what holds now: grain_amount 0.5 instead of 2."""
    (effect, params, keys), (new_effect, new_params, new_keys) = grain_of(before), grain_of(now)
    found = [f"{effect} instead of {new_effect}"] if effect != new_effect else []
    for key in TABLE:
        one, other = (_short(value_of(values, key)) for values in (params, new_params))
        if keys.get(key) != new_keys.get(key):
            found.append(f"other keyframes of {key}")
        elif params.get(key) != new_params.get(key):
            found.append(f"{key} {one} instead of {other}" if one != other else f"another {key}")
    return named(found, MOST_VALUES)


def _short(value: "Any") -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.10g}"
    text = str(value)
    return text if len(text) <= 24 else text[:20] + "..."


def markers_said(replaced: "Replaced") -> str:
    """Return which markers said otherwise, and what: 1 marker said otherwise (SH010: grain_amount 0.5 instead of 2)."""
    rows = [f"{name}: {differences(before, now)}" for name, before, now in replaced]
    more = [f"and {len(rows) - MOST_SAID} more"] if len(rows) > MOST_SAID else []
    count = "1 marker" if len(rows) == 1 else f"{len(rows)} markers"
    return "{} said otherwise ({})".format(count, "; ".join(rows[:MOST_SAID] + more))


def keyframes_stand(rows: "Rows") -> str:
    """Return which clips' keyframes stand before the one value that the journal has; empty for none."""
    found = _clips(rows)
    return f"the keyframes of {found} stand before the one value that the host rendered last" if found else ""


def not_carried(rows: "Rows") -> str:
    """Return which clips' keyframes Fusion does not take; empty if it takes all."""
    found = _clips(rows)
    return f"the keyframes of {found} are not carried to Fusion, so set them there by hand" if found else ""


def gave_way(rows: "Rows") -> str:
    """Return which clips' keyframes in Fusion gave way; empty for none."""
    found = _clips(rows)
    return f"what drove inputs on the Fusion page of {found} gave way" if found else ""


def not_read(rows: "Rows") -> str:
    """Return which clips' keyframes in Fusion cannot be read; empty if all can."""
    found = _clips(rows)
    return f"what drives inputs on the Fusion page of {found} cannot be read, because these clips are retimed" if found else ""


def _clips(rows: "Rows") -> str:
    return named(f"{name} ({named(keys, MOST_VALUES)})" for name, keys in rows if keys)


def sentence(*parts: str) -> str:
    """Return the parts that are not empty as one sentence."""
    return "; ".join(part for part in parts if part) + "."
