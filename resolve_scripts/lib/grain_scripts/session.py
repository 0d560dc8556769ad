"""Meet Resolve: from its own menu, where it hands itself over, or from outside by its scripting module."""

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from grain_scripts.answers import ScriptError, need

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Tuple

    from grain_scripts.protocols import MediaPool, Project, ResolveApp, Timeline, TimelineItem

OLDEST = (19, 1)
WITH_SELECTION = (21, 0, 4)
"""The first version that tells which clips are selected."""
SCOPES = ("whole timeline", "selected clips", "clip under the playhead")


class Session(NamedTuple):
    """Hold what a script works with: Resolve, the open project and timeline, and Fusion with its windows where there are any."""

    resolve: "ResolveApp"
    version: "Tuple[int, ...]"
    project: "Project"
    pool: "MediaPool"
    timeline: "Timeline"
    fusion: "Any"
    bmd: "Any"


def connect(names: "Dict[str, Any]") -> Session:
    """Return the session with the Resolve that `names`, a script's globals, holds, or the one that runs outside. Raise ScriptError."""
    resolve: ResolveApp = names.get("resolve") or _from_outside()
    boss = need(resolve.GetProjectManager(), "Resolve does not answer; restart it and run the script again.")
    need(boss.GetCurrentDatabase(), "Resolve has no project library open; open one and run the script again.")
    version = _version(need(resolve.GetVersion(), "Resolve does not tell its version; install Resolve 19.1 or later."))
    if version < OLDEST:
        raise ScriptError("This is Resolve {}; these scripts need 19.1 or later.".format(".".join(map(str, version[:2]))))
    project = need(boss.GetCurrentProject(), "No project is open; open one and run the script again.")
    pool = need(project.GetMediaPool(), "The project's media pool does not answer; open the project again.")
    timeline = need(project.GetCurrentTimeline(), "No timeline is open; open one and run the script again.")
    fusion = names.get("fusion") or names.get("fu") or resolve.Fusion()
    return Session(resolve, version, project, pool, timeline, fusion, names.get("bmd"))


def _version(parts: "List[Any]") -> "Tuple[int, ...]":
    """Return the leading numbers of a version: [19, 1, 3, 7, ""] is (19, 1, 3, 7)."""
    try:
        return tuple(int(part) for part in parts if not isinstance(part, str))
    except (TypeError, ValueError) as error:
        raise ScriptError("Resolve does not tell its version; install Resolve 19.1 or later.") from error


def _from_outside() -> "ResolveApp":
    """Return the Resolve that runs beside this program. Raise ScriptError."""
    folder = os.environ.get("RESOLVE_SCRIPT_API") or _api_folder()
    sys.path.append(os.path.join(folder, "Modules"))
    advice = "Start Resolve Studio, allow external scripting in its preferences, and run the script again."
    try:
        import DaVinciResolveScript  # pyright: ignore[reportMissingImports]
    except Exception as error:  # its own loader raises anything
        raise ScriptError("Resolve's scripting module is not here: " + advice) from error
    return need(DaVinciResolveScript.scriptapp("Resolve"), "Resolve does not run: " + advice)


def _api_folder() -> str:
    if sys.platform == "darwin":
        return "/Library/Application Support/Blackmagic Design/DaVinci Resolve/Developer/Scripting"
    if sys.platform == "win32":
        data = os.environ.get("PROGRAMDATA", "C:\\ProgramData")
        return os.path.join(data, "Blackmagic Design", "DaVinci Resolve", "Support", "Developer", "Scripting")
    return "/opt/resolve/Developer/Scripting"


def name_of(timeline: "Timeline") -> str:
    """Return a timeline's name. Raise ScriptError."""
    return need(timeline.GetName(), "The timeline does not tell its name; open it again.")


def clip_name(item: "TimelineItem") -> str:
    """Return a clip's name. Raise ScriptError."""
    return need(item.GetName(), "A clip does not tell its name; save the project, restart Resolve and run the script again.")


def clips(session: Session, scope: str) -> "List[TimelineItem]":
    """Return the video clips of a scope, in the order of tracks and time. Raise ScriptError if there are none."""
    found = _SCOPES[scope](session)
    if not found:
        raise ScriptError(f"There is no video clip in the {scope}; choose another scope or add clips.")
    return found


def _all(session: Session) -> "List[TimelineItem]":
    timeline = session.timeline
    count = need(timeline.GetTrackCount("video"), "The timeline does not tell how many tracks it has; open it again.")
    found: List[TimelineItem] = []
    for track in range(1, count + 1):
        found += need(timeline.GetItemListInTrack("video", track), f"Video track {track} cannot be read; open the timeline again.")
    return found


def _selected(session: Session) -> "List[TimelineItem]":
    if session.version < WITH_SELECTION:
        raise ScriptError("Before Resolve 21.0.4 scripts cannot see what is selected; choose the clip under the playhead instead.")
    items = need(session.timeline.GetSelectedClips(), "Resolve does not tell which clips are selected; select them on the Edit page.")
    return [item for item in items if _track(item)[0] == "video"]


def _under_playhead(session: Session) -> "List[TimelineItem]":
    return [need(session.timeline.GetCurrentVideoItem(), "There is no clip under the playhead; move it onto one.")]


_SCOPES: "Dict[str, Callable[[Session], List[TimelineItem]]]" = dict(zip(SCOPES, (_all, _selected, _under_playhead)))


def _track(item: "TimelineItem") -> "Tuple[str, int]":
    kind, index = need(item.GetTrackTypeAndIndex(), "A clip does not tell its track; open the timeline again.")
    return kind, int(index)


def default_scope(session: Session) -> str:
    """Return the scope that is offered for clips one by one: the selection where this Resolve tells it."""
    return SCOPES[1] if session.version >= WITH_SELECTION else SCOPES[2]


def first_frame(item: "TimelineItem") -> int:
    """Return the index in its media of the first picture that a clip shows. Raise ScriptError."""
    return int(need(item.GetSourceStartFrame(), f"{clip_name(item)} does not tell its source range; open the timeline again."))


def source_frames(item: "TimelineItem") -> int:
    """Return how many pictures of its media a clip passes over: as many as it shows, unless it is retimed. Raise ScriptError."""
    last = need(item.GetSourceEndFrame(), f"{clip_name(item)} does not tell its source range; open the timeline again.")
    return int(last) - first_frame(item)


def length_of(item: "TimelineItem") -> int:
    """Return how many frames of the timeline a clip has. Raise ScriptError."""
    return int(need(item.GetDuration(), f"{clip_name(item)} does not tell its length; open the timeline again."))


def is_retimed(item: "TimelineItem") -> bool:
    """Say whether a clip shows its media slower or faster than it is; some versions count its last picture, some do not."""
    return abs(source_frames(item) - length_of(item)) > 1


def track_of(item: "TimelineItem") -> int:
    """Return the number of a clip's track, from 1. Raise ScriptError."""
    return _track(item)[1]
