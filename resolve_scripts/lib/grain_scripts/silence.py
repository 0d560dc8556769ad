"""Switch our effects off while a clip is rendered: layers are made from the graded picture before Grain Split and its kin."""

from typing import TYPE_CHECKING

from grain_scripts.answers import PutBack, ScriptError, need
from grain_scripts.grain_split import our_tools
from grain_scripts.session import clip_name

if TYPE_CHECKING:
    from typing import List

    from grain_scripts.protocols import Graph, TimelineItem, Tool

LABELS = ("OFX: Grain Split", "OFX: Grain Synth", "OFX: Artifact Restore")
VERSION = "GrainLayer render"
LOCAL = 0
BYPASS = "TOOLB_PassThrough"


def silence(item: "TimelineItem", back: PutBack) -> None:
    """Switch our effects off on a clip's Color and Fusion pages, until `back` puts everything back. Raise ScriptError."""
    name = clip_name(item)
    graph = need(item.GetNodeGraph(), f"The nodes of {name} cannot be read; open the Color page once.")
    if _nodes(graph, name):
        _silence_nodes(item, name, back)
    for mounted in our_tools(item):
        _bypass(mounted.tool, name, back)


def _nodes(graph: "Graph", name: str) -> "List[int]":
    """Return the numbers, from 1, of the nodes that hold an effect of ours."""
    count = need(graph.GetNumNodes(), f"The nodes of {name} cannot be counted; open the Color page once.")
    return [number for number in range(1, count + 1) if set(_tools_in(graph, number, name)) & set(LABELS)]


def _tools_in(graph: "Graph", number: int, name: str) -> "List[str]":
    """Return the tools of a node; no answer is asked for twice, because an empty node gives none and neither does a call that failed."""
    answer = graph.GetToolsInNode(number) or graph.GetToolsInNode(number)
    if isinstance(answer, bool):
        raise ScriptError(f"Node {number} of {name} cannot be read; open the Color page once.")
    return answer or []


def _silence_nodes(item: "TimelineItem", name: str, back: PutBack) -> None:
    """Do it in a version of the grade of its own: whether a node was on cannot be asked."""
    advice = f"The grade of {name} cannot be given a version; open the Color page once."
    before = need(item.GetCurrentVersion(), advice)
    need(before.get("versionName") or None, advice)
    need(item.AddVersion(VERSION, LOCAL), f"{name} already has a version {VERSION!r}; delete it on the Color page.")
    back.always(f"Delete the version {VERSION!r} of {name}.", lambda: item.DeleteVersionByName(VERSION, LOCAL))
    kind = int(before.get("versionType", LOCAL))
    again = "Load the version {!r} of {} again.".format(before["versionName"], name)
    back.always(again, lambda: item.LoadVersionByName(before["versionName"], kind))
    need(item.LoadVersionByName(VERSION, LOCAL), advice)
    graph = need(item.GetNodeGraph(), advice)
    nodes = _nodes(graph, name)
    if not nodes:
        raise ScriptError(f"{name} lost its nodes in a new version; switch Grain Split off by hand and run the script again.")
    for number in nodes:
        need(graph.SetNodeEnabled(number, False), f"Node {number} of {name} cannot be switched off; switch it off by hand.")


def _bypass(tool: "Tool", name: str, back: PutBack) -> None:
    advice = f"Grain Split in Fusion of {name} cannot be bypassed; bypass it by hand."
    was = bool(need(tool.GetAttrs(), advice).get(BYPASS, False))
    if was:
        return
    back.always(f"Switch Grain Split in Fusion of {name} on again.", lambda: _set_bypass(tool, False))
    if not _set_bypass(tool, True):
        raise ScriptError(advice)


def _set_bypass(tool: "Tool", bypass: bool) -> bool:
    """Set the switch; say whether it took."""
    tool.SetAttrs({BYPASS: bypass})
    return bool((tool.GetAttrs() or {}).get(BYPASS)) is bypass
