"""Put the tool Grain Split into a clip's Fusion composition, set its inputs, and read them again."""

import math
from typing import TYPE_CHECKING

from grain_scripts.answers import PutBack, ScriptError, need
from grain_scripts.parameters import TABLE, check, check_all
from grain_scripts.session import clip_name

if TYPE_CHECKING:
    from typing import Any, Iterator, List

    from grain_scripts.parameters import Params, Value
    from grain_scripts.protocols import Composition, TimelineItem, Tool

TOOL = "ofx.org.grainlayer.GrainSplit"
KEYS = tuple(key for key, row in TABLE.items() if "S" in row["effects"])
"""The parameters of Grain Split, in order."""


def our_tools(item: "TimelineItem") -> "List[Tool]":
    """Return the Grain Split tools in all of a clip's compositions. Raise ScriptError."""
    return [tool for comp in _compositions(item) for tool in _tools(comp, TOOL, clip_name(item))]


def _compositions(item: "TimelineItem") -> "Iterator[Composition]":
    advice = f"The Fusion compositions of {clip_name(item)} cannot be read; open the Fusion page once."
    for index in range(1, need(item.GetFusionCompCount(), advice) + 1):
        yield need(item.GetFusionCompByIndex(index), advice)


def _tools(comp: "Composition", kind: str, name: str) -> "List[Tool]":
    found = need(comp.GetToolList(False, kind), f"The Fusion composition of {name} cannot be read; open the Fusion page once.")
    return [found[key] for key in sorted(found)]


def put_tool(item: "TimelineItem", back: PutBack) -> "Tool":
    """Return a clip's Grain Split, put between its MediaIn and MediaOut if there was none. Raise ScriptError."""
    there = our_tools(item)
    if there:
        return there[0]
    name = clip_name(item)
    comps = list(_compositions(item))
    comp = comps[0] if comps else _new_composition(item, name, back)
    tool = need(comp.AddTool(TOOL), "Fusion does not know Grain Split; install the GrainLayer plug-ins and restart Resolve.")
    back.on_failure(f"Delete Grain Split from the Fusion composition of {name}.", lambda: _delete(comp, tool, name))
    _insert(comp, tool, name, back)
    return tool


def _delete(comp: "Composition", tool: "Tool", name: str) -> bool:
    tool.Delete()
    return not _tools(comp, TOOL, name)


def _new_composition(item: "TimelineItem", name: str, back: PutBack) -> "Composition":
    advice = f"The Fusion compositions of {name} cannot be listed; open the Fusion page once."
    before = set(need(item.GetFusionCompNameList(), advice))
    back.on_failure(f"Delete the new Fusion composition of {name}.", lambda: _drop_new(item, before))
    return need(item.AddFusionComp(), f"{name} cannot be given a Fusion composition; unlock its track.")


def _drop_new(item: "TimelineItem", before: "set[str]") -> bool:
    names = need(item.GetFusionCompNameList(), "The compositions cannot be listed.")
    return all(item.DeleteFusionCompByName(name) for name in names if name not in before)


def _insert(comp: "Composition", tool: "Tool", name: str, back: PutBack) -> None:
    """Put the tool in front of MediaOut, behind whatever fed it: MediaOut must stay downstream of MediaIn."""
    ends = _tools(comp, "MediaOut", name)
    starts = _tools(comp, "MediaIn", name)
    if not ends or not starts:
        raise ScriptError(f"The Fusion composition of {name} lacks MediaIn or MediaOut; put them back first.")
    feed = _fed_by(ends[0], name)
    advice = f"Grain Split cannot be connected in {name}; connect it by hand on the Fusion page."
    need(tool.ConnectInput("Source", feed), advice)
    back.on_failure(f"Connect MediaOut of {name} again.", lambda: ends[0].ConnectInput("Input", feed))
    need(ends[0].ConnectInput("Input", tool), advice)


def _fed_by(end: "Tool", name: str) -> "Tool":
    """Return the tool that MediaOut shows. Raise ScriptError if it shows none."""
    advice = f"MediaOut of {name} shows nothing; connect it on the Fusion page first."
    socket = need(end.FindMainInput(1), advice)
    return need(need(socket.GetConnectedOutput(), advice).GetTool(), advice)


def set_inputs(tool: "Tool", params: "Params", name: str, back: PutBack) -> None:
    """Set every input from a shot's parameters and read each again. Never inside comp.Lock(): a first SetInput is lost there."""
    for key in KEYS:
        value = params[key] if key in params else TABLE[key]["default"]
        before = _input(tool, key, name)
        wanted = _as_input(key, value, before)
        if _same(before, wanted):
            continue
        back.on_failure(f"Set {key} of Grain Split on {name} again.", lambda key=key, before=before: _set(tool, key, before))
        if not _set(tool, key, wanted):
            raise ScriptError(f"{key} cannot be set on {name}; install the plug-ins that belong to these scripts.")


def _set(tool: "Tool", key: str, value: "Any") -> bool:
    """Set an input; say whether it took."""
    tool.SetInput(key, value)
    return _same(tool.GetInput(key), value)


def _same(one: "Any", other: "Any") -> bool:
    if isinstance(one, (int, float)) and isinstance(other, (int, float)) and not isinstance(one, bool):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-6)
    return bool(one == other) and type(one) is type(other)


def _input(tool: "Tool", key: str, name: str) -> "Any":
    return need(tool.GetInput(key), f"{key} of Grain Split on {name} cannot be read; install the matching plug-ins.")


def _as_input(key: str, value: "Value", example: "Any") -> "Any":
    """Return a value as Fusion holds it: a switch as 0 or 1, a choice as its place in the menu, or as text where it is text there."""
    row = TABLE[key]
    if row["kind"] == "choice" and not isinstance(example, str):
        return row["menu"].index(value)
    return int(value) if isinstance(value, bool) else value


def read_inputs(tool: "Tool", name: str) -> "Params":
    """Return the parameters that a tool's inputs hold, without those at their default. Raise ScriptError."""
    return check_all({key: _value(key, _input(tool, key, name)) for key in KEYS})


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
