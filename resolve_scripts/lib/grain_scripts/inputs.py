"""Set the inputs of a Grain Split on the Fusion page from a shot's values and keyframes, and read them again."""

import math
from typing import TYPE_CHECKING, NamedTuple

from grain_scripts.answers import PutBack, ScriptError, need
from grain_scripts.grain_split import Mounted
from grain_scripts.keyframes import UNKEYED, check_keys, fewest, same, value_at
from grain_scripts.parameters import TABLE, check, check_all, value_of
from grain_scripts.session import first_frame, is_retimed, length_of

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence

    from grain_scripts.keyframes import Keys, Row
    from grain_scripts.parameters import Params, Value
    from grain_scripts.protocols import Socket

KEYS = tuple(key for key, row in TABLE.items() if "S" in row["effects"])
"""The parameters of Grain Split, in order."""
SPLINE = "BezierSpline"


class Clock(NamedTuple):
    """Say which frames of a composition show its clip, how many these are ahead of the pictures' indices in the media, and the current."""

    frames: range
    ahead: int
    now: int


class Held(NamedTuple):
    """Hold what a tool's inputs say; unread: parameters that something drives which cannot be told frame by frame."""

    params: "Params"
    keys: "Keys"
    unread: "List[str]"


class Done(NamedTuple):
    """Say what became of keyframes: parameters whose keyframes Fusion does not take, and those where it had others, now gone."""

    lost: "List[str]"
    replaced: "List[str]"


class Inputs:
    """Be the inputs of one tool. Nothing here works inside comp.Lock(): a first SetInput is lost there."""

    def __init__(self, mounted: Mounted) -> None:
        """List the inputs, and which of them something drives: keyframes, or what a user connected. Raise ScriptError."""
        self.mounted, self.tool, self.name = mounted, mounted.tool, mounted.name
        self._advice = f"The inputs of Grain Split on {self.name} cannot be listed; open the Fusion page once."
        self._sockets: Dict[str, Socket] = {}
        self._driven: List[str] = []
        for _, socket in sorted(need(self.tool.GetInputList(), self._advice).items()):
            facts = need(socket.GetAttrs(), self._advice)
            key = str(facts.get("INPS_ID"))
            self._sockets[key] = socket
            if key in KEYS and facts.get("INPB_Connected"):
                self._driven.append(key)

    def set(self, params: "Params", keys: "Keys", back: PutBack, only: "Sequence[str]" = KEYS) -> Done:
        """Set every input, or those that `only` names, and read each again. Raise ScriptError; `back` learns the way back."""
        lost: List[str] = []
        replaced: List[str] = []
        clock = self._clock() if set(keys) & set(only) else None
        for key in only:
            was_driven = key in self._driven
            if was_driven and key in keys and clock and not self._wrong(key, self._shown(key, keys[key], clock)):
                continue
            if was_driven:
                self._release(key, back)
                replaced.append(key)
            if key in keys and clock and self._animate(key, keys[key], clock, back):
                continue
            if key in keys:
                lost.append(key)
            self._set_still(key, value_of(params, key), back)
        return Done(lost, replaced)

    def read(self, facts: "Dict[str, Any]") -> Held:
        """Return what the inputs hold; where they still hold what a shot's `facts` say, these facts. Raise ScriptError."""
        old, rows = check_all(facts.get("params", {})), check_keys(facts.get("keys", {}))
        params: Params = dict(old)
        keys: Keys = {key: row for key, row in rows.items() if key not in KEYS}
        unread: List[str] = []
        clock = self._clock() if self._driven else None
        for key in KEYS:
            if key not in self._driven or key in UNKEYED:
                value = _value(key, self._input(key))
                if not same(value_of(old, key), value):
                    params[key] = value
                elif key in rows:
                    keys[key] = rows[key]
            elif clock is None:
                unread.append(key)
                keys.update({key: rows[key]} if key in rows else {})
            else:
                self._read_driven(key, rows.get(key), clock, params, keys)
        return Held(check_all(params), keys, unread)

    def _read_driven(self, key: str, row: "Optional[Row]", clock: Clock, params: "Params", keys: "Keys") -> None:
        """Put the values of a driven input, over all frames of the clip, into `keys`; into `params` if they are all one."""
        samples = [(frame - clock.ahead, _value(key, self._input(key, frame))) for frame in clock.frames]
        if row and all(same(value_at(key, row, frame), value) for frame, value in samples):
            keys[key] = row
            return
        found = fewest(key, samples)
        if len(found) > 1:
            keys[key] = found
        else:
            params[key] = found[0][1]

    def _clock(self) -> "Optional[Clock]":
        """Return the clip's frames in its composition, or None for a retimed clip: pictures and frames do not go together there."""
        item = self.mounted.item
        advice = f"The Fusion composition of {self.name} cannot be read; open the Fusion page once."
        facts = need(self.mounted.comp.GetAttrs(), advice)
        start = facts.get("COMPN_RenderStart")
        if not isinstance(start, (int, float)) or is_retimed(item):
            return None
        now = int(facts.get("COMPN_CurrentTime", start))
        return Clock(range(int(start), int(start) + length_of(item)), int(start) - first_frame(item), now)

    def _shown(self, key: str, row: "Row", clock: Clock) -> "Dict[int, Any]":
        """Return what keyframes have an input be at each frame of the clip."""
        example = self._input(key)
        return {frame: _as_input(key, value_at(key, row, frame - clock.ahead), example) for frame in clock.frames}

    def _wrong(self, key: str, wanted: "Dict[int, Any]") -> "Dict[int, Any]":
        """Return the frames at which an input is not what is wanted, though asked for twice, with what is."""
        get = self.tool.GetInput
        return {at: value for at, value in wanted.items() if not (_same(get(key, at), value) or _same(get(key, at), value))}

    def _animate(self, key: str, row: "Row", clock: Clock, back: PutBack) -> bool:
        """Give an input keyframes; say whether each frame shows the right value. If not, nothing drives the input.

        SetInput makes keyframes only where a spline drives the input; a new one begins with what the input is at the current frame. How
        it bends is Fusion's affair, so what it gets wrong between our keyframes is set frame by frame.
        """
        example = self._input(key)
        back.on_failure(f"Remove the keyframes of {key} from Grain Split on {self.name}.", lambda: self._cut(key, example))
        now = _as_input(key, value_at(key, row, clock.now - clock.ahead), example)
        begun = self._put(key, now) or self._put(key, now)
        if not begun or key not in self._sockets or not (self._add_spline(key) or self._add_spline(key)):
            return False
        shown = self._shown(key, row, clock)
        for frame, value in row:
            self.tool.SetInput(key, _as_input(key, value, example), frame + clock.ahead)
        for wanted in ({frame + clock.ahead: _as_input(key, value, example) for frame, value in row}, shown, shown):
            for frame, value in self._wrong(key, wanted).items():
                self.tool.SetInput(key, value, frame)
        if not self._wrong(key, shown):
            return True
        if not self._cut(key, example):
            raise ScriptError(f"The keyframes of {key} cannot be removed from Grain Split on {self.name}; remove them on the Fusion page.")
        return False

    def _add_spline(self, key: str) -> bool:
        """Have a spline drive an input; say whether one does."""
        self.tool.AddModifier(key, SPLINE)
        return self._is_driven(key)

    def _is_driven(self, key: str) -> bool:
        return bool(need(self._sockets[key].GetAttrs(), self._advice).get("INPB_Connected"))

    def _release(self, key: str, back: PutBack) -> None:
        """Disconnect what drives an input. Raise ScriptError."""
        advice = f"{key} of Grain Split on {self.name} cannot be disconnected; remove its keyframes on the Fusion page."
        driver = need(need(self._sockets[key].GetConnectedOutput(), advice).GetTool(), advice)
        back.on_failure(
            f"Connect {key} of Grain Split on {self.name} again with what drove it.", lambda: self.tool.ConnectInput(key, driver)
        )
        if not (self._cut(key) or self._cut(key)):
            raise ScriptError(advice)

    def _cut(self, key: str, value: "Any" = None) -> bool:
        """Let nothing drive an input, and set it to `value` where that is given; say whether it is done."""
        self.tool.ConnectInput(key, None)
        return not (key in self._sockets and self._is_driven(key)) and (value is None or self._put(key, value))

    def _set_still(self, key: str, value: "Value", back: PutBack) -> None:
        """Set an input that nothing drives. Raise ScriptError."""
        before = self._input(key)
        wanted = _as_input(key, value, before)
        if _same(before, wanted):
            return
        back.on_failure(f"Set {key} of Grain Split on {self.name} again.", lambda: self._put(key, before))
        if not self._put(key, wanted):
            raise ScriptError(f"{key} cannot be set on {self.name}; install the plug-ins that belong to these scripts.")

    def _put(self, key: str, value: "Any") -> bool:
        """Set an input; say whether it took."""
        self.tool.SetInput(key, value)
        return _same(self.tool.GetInput(key), value)

    def _input(self, key: str, *frame: int) -> "Any":
        advice = f"{key} of Grain Split on {self.name} cannot be read; install the matching plug-ins."
        return need(self.tool.GetInput(key, *frame), advice)


def _same(one: "Any", other: "Any") -> bool:
    if isinstance(one, (int, float)) and isinstance(other, (int, float)) and not isinstance(one, bool):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-6)
    return bool(one == other) and type(one) is type(other)


def _as_input(key: str, value: "Value", example: "Any") -> "Any":
    """Return a value as Fusion holds it: a switch as 0 or 1, a choice as its place in the menu, or as text where it is text there."""
    row = TABLE[key]
    if row["kind"] == "choice" and not isinstance(example, str):
        return row["menu"].index(value)
    return int(value) if isinstance(value, bool) else value


def _value(key: str, found: "Any") -> "Value":
    """Return an input as a parameter. Raise ScriptError for one that the table does not allow."""
    row, value = TABLE[key], found
    if row["kind"] == "choice" and isinstance(found, (int, float)):
        value = row["menu"][int(found)] if 0 <= int(found) < len(row["menu"]) else found
    elif row["kind"] == "bool":
        value = bool(found)
    elif row["kind"] == "float":
        value = float(f"{found:.7g}")  # hosts hold single precision, with its noise
    return check(key, value)
