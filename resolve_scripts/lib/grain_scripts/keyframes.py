"""Check, evaluate, move and thin out keyframes: by parameter [frame, value] pairs, where a frame is an index in the source media."""

from typing import TYPE_CHECKING

from grain_scripts.answers import ScriptError
from grain_scripts.parameters import TABLE, check

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Tuple

    from grain_scripts.parameters import Value

    Keyframe = Tuple[int, Value]
    Row = List[Keyframe]
    Keys = Dict[str, Row]

UNKEYED = ("shot_uid", "follow", "profile_data")
"""Parameters that cannot change inside a shot."""
LATEST = 1 << 31
NOISE = 2e-6
"""Share of a value, or of 1, by which numbers that went through a host's single precision may be off."""


def check_keys(found: object) -> "Keys":
    """Return checked keyframes in the order of their frames, without parameters that have none. Raise ScriptError."""
    if not isinstance(found, dict):
        raise ScriptError("Keyframes must be parameters with pairs of frame and value; export them again.")
    rows = {str(key): _checked(str(key), row) for key, row in found.items()}
    return {key: row for key, row in rows.items() if row}


def _checked(key: str, row: object) -> "Row":
    if key in UNKEYED:
        raise ScriptError(f"{key} cannot have keyframes; set it once for the shot.")
    pairs: List[Any] = list(row) if isinstance(row, (list, tuple)) else [row]
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 and _is_frame(pair[0]) for pair in pairs):
        raise ScriptError(f"The keyframes of {key} must be pairs of a whole frame number and a value; export them again.")
    values = {int(pair[0]): check(key, _whole(key, pair[1])) for pair in pairs}
    if len(values) != len(pairs):
        raise ScriptError(f"{key} has two keyframes at one frame; keep one of them.")
    return sorted(values.items())


def _is_frame(frame: object) -> bool:
    return isinstance(frame, (int, float)) and not isinstance(frame, bool) and frame == frame // 1 and -LATEST < frame < LATEST


def _whole(key: str, value: "Any") -> "Any":
    """Return a value; the 1.0 that a program made of a whole number becomes 1 again."""
    whole = isinstance(value, float) and value.is_integer() and TABLE.get(key, {}).get("kind") == "int"
    return int(value) if whole else value


def value_at(key: str, row: "Row", frame: int) -> "Value":
    """Return the value at a frame: floats linear between keyframes, others stepped, constant beyond the ends."""
    before = [pair for pair in row if pair[0] <= frame]
    after = [pair for pair in row if pair[0] > frame]
    if not before:
        return after[0][1]
    start, value = before[-1]
    if not after or TABLE[key]["kind"] != "float":
        return value
    end, following = after[0]
    share = (frame - start) / (end - start)
    return float(value) * (1 - share) + float(following) * share


def moved(keys: "Keys", move: "Callable[[int], int]") -> "Keys":
    """Return keyframes at other frames; of two that would fall onto one frame the later stays."""
    return {key: sorted({move(frame): value for frame, value in row}.items()) for key, row in keys.items()}


def same(one: "Value", other: "Value") -> bool:
    """Say whether two values are equal, but for the noise of single precision."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= NOISE * max(1.0, abs(one))
    return one == other


def fewest(key: str, samples: "Row") -> "Row":
    """Return the fewest keyframes from which `value_at` gives these samples again, one for each frame; one, if nothing changes."""
    found = [samples[0]]
    if TABLE[key]["kind"] == "float":
        return _lines(samples)
    for pair in samples:
        if pair[1] != found[-1][1]:
            found.append(pair)
    return found


def _lines(samples: "Row") -> "Row":
    """Return the ends of straight lines that pass by every sample, each drawn on for as long as it does; level ends are left out."""
    found = [samples[0]]
    low, high = float("-inf"), float("inf")
    for before, pair in zip(samples, samples[1:]):
        if not low <= _slope(found[-1], pair) <= high:
            found.append(before)
            low, high = float("-inf"), float("inf")
        room = NOISE * max(1.0, abs(float(pair[1]))) / (pair[0] - found[-1][0])
        slope = _slope(found[-1], pair)
        low, high = max(low, slope - room), min(high, slope + room)
    found += samples[-1:]
    while len(found) > 1 and same(found[0][1], found[1][1]):
        del found[0]
    while len(found) > 1 and same(found[-2][1], found[-1][1]):
        del found[-1]
    return found


def _slope(start: "Keyframe", end: "Keyframe") -> float:
    return (float(end[1]) - float(start[1])) / (end[0] - start[0])
