"""Find the tool Grain Split in a clip's Fusion compositions, or put it there."""

from typing import TYPE_CHECKING, NamedTuple

from grain_scripts.answers import PutBack, ScriptError, need
from grain_scripts.session import clip_name

if TYPE_CHECKING:
    from typing import Iterator, List

    from grain_scripts.protocols import Composition, TimelineItem, Tool

TOOL = "ofx.org.grainlayer.GrainSplit"


class Mounted(NamedTuple):
    """Hold a Grain Split of Fusion: its clip and that one's name, its composition, and the tool itself."""

    item: "TimelineItem"
    name: str
    comp: "Composition"
    tool: "Tool"


def our_tools(item: "TimelineItem") -> "List[Mounted]":
    """Return the Grain Splits in all of a clip's compositions. Raise ScriptError."""
    name = clip_name(item)
    return [Mounted(item, name, comp, tool) for comp in _compositions(item) for tool in _tools(comp, TOOL, name)]


def _compositions(item: "TimelineItem") -> "Iterator[Composition]":
    advice = f"The Fusion compositions of {clip_name(item)} cannot be read; open the Fusion page once."
    for index in range(1, need(item.GetFusionCompCount(), advice) + 1):
        yield need(item.GetFusionCompByIndex(index), advice)


def _tools(comp: "Composition", kind: str, name: str) -> "List[Tool]":
    found = need(comp.GetToolList(False, kind), f"The Fusion composition of {name} cannot be read; open the Fusion page once.")
    return [found[key] for key in sorted(found)]


def put_tool(item: "TimelineItem", back: PutBack) -> Mounted:
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
    return Mounted(item, name, comp, tool)


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
