"""Bring delivered layers into the project: on new tracks of the timeline, or as a timeline of their own."""

import os
from typing import TYPE_CHECKING

from grain_scripts.answers import PutBack, ScriptError, need
from grain_scripts.edit import Placed, placed_clips, unique_name
from grain_scripts.session import Session, name_of

if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

    from grain_scripts.protocols import MediaPoolItem, Timeline, TimelineItem

ADD, LINEAR_LIGHT = "Add", "Linear Light"
ROADS = ("new timeline", "new tracks", "nothing")


def bring_in(session: Session, road: str, edit: str, back: PutBack) -> str:
    """Import the delivered edit by one of ROADS; return a sentence. Raise ScriptError."""
    if road == "new timeline":
        return _as_timeline(session, edit, back)
    if road == "new tracks":
        return _on_tracks(session, edit, back)
    return f"The layered edit is {edit}."


def _as_timeline(session: Session, edit: str, back: PutBack) -> str:
    project, current = session.project, session.timeline
    name = unique_name(name_of(current) + " layers", _timeline_names(session))
    back.always(f"Open the timeline {name_of(current)} again.", lambda: project.SetCurrentTimeline(current))
    options: Dict[str, Any] = {"timelineName": name, "importSourceClips": True, "sourceClipsPath": os.path.dirname(edit)}
    advice = f"Resolve does not import {edit}; import it by hand from the File menu."
    made = need(session.pool.ImportTimelineFromFile(os.path.abspath(edit), options), advice)
    back.on_failure(f"Delete the timeline {name}.", lambda: session.pool.DeleteTimelines([made]))
    return _told(f"The layers are in the timeline {name}", _blend_timeline(session, made, placed_clips(edit)))


def _timeline_names(session: Session) -> "Dict[str, Timeline]":
    count = need(session.project.GetTimelineCount(), "The project's timelines cannot be counted; open the project again.")
    found: Dict[str, Timeline] = {}
    for index in range(1, count + 1):
        timeline = need(session.project.GetTimelineByIndex(index), f"Timeline {index} cannot be read; open the project again.")
        found[name_of(timeline)] = timeline
    return found


def _on_tracks(session: Session, edit: str, back: PutBack) -> str:
    clips = placed_clips(edit)
    if not clips:
        raise ScriptError(f"{edit} holds no layers; deliver them again.")
    media = _import(session, clips, back)
    first = need(session.timeline.GetTrackCount("video"), "The timeline does not tell how many tracks it has; open it again.")
    start = need(session.timeline.GetStartFrame(), "The timeline does not tell where it begins; open it again.")
    numbers = sorted({clip.track for clip in clips})
    by_hand: List[Placed] = []
    for place, number in enumerate(numbers, first + 1):
        layer = [clip for clip in clips if clip.track == number]
        _add_track(session, place, layer[0].track_name or f"GrainLayer {number}", back)
        lying = _append(session, place, start, [(clip, media[clip.media]) for clip in layer])
        if not _blend(session, lying, layer[0]):
            by_hand.append(layer[0])
        if not layer[0].shown:
            _hide(session, place)
    return _told(f"The layers are on {len(numbers)} new tracks", by_hand)


def _blend_timeline(session: Session, timeline: "Timeline", clips: "List[Placed]") -> "List[Placed]":
    """Have the clips of a new timeline lie over those below as its edit says; return one for each track that does not."""
    by_hand: List[Placed] = []
    count = timeline.GetTrackCount("video") or timeline.GetTrackCount("video")
    whole = count == max((clip.track for clip in clips), default=0)
    for number in sorted({clip.track for clip in clips}):
        layer = [clip for clip in clips if clip.track == number]
        lying = timeline.GetItemListInTrack("video", number) or timeline.GetItemListInTrack("video", number) or []
        if not _blend(session, lying if whole and len(lying) == len(layer) else [], layer[0]):
            by_hand.append(layer[0])
    return by_hand


def _blend(session: Session, lying: "List[TimelineItem]", clip: Placed) -> bool:
    """Have clips lie over those below as one of their edit does; say whether all do. No clips are none that do."""
    if clip.blend not in (ADD, LINEAR_LIGHT):
        return True
    mode = session.resolve.COMPOSITE_ADD if clip.blend == ADD else session.resolve.COMPOSITE_LINEAR_LIGHT
    if not isinstance(mode, (int, float)):
        return False  # the bridge invents what a Resolve does not have
    done = [_lies(item, mode, clip.opacity) or _lies(item, mode, clip.opacity) for item in lying]
    return bool(done) and all(done)


def _lies(item: "TimelineItem", mode: float, opacity: float) -> bool:
    """Set how a clip lies over those below; say whether it does: some versions say yes and leave it as it was."""
    item.SetProperty("CompositeMode", mode)
    item.SetProperty("Opacity", opacity)
    found = item.GetProperty("Opacity")
    return item.GetProperty("CompositeMode") == mode and isinstance(found, (int, float)) and abs(found - opacity) < 0.5


def _told(done: str, by_hand: "List[Placed]") -> str:
    """Return what is done, and which tracks are to be set by hand."""
    tracks = ", ".join(f"{clip.track_name or clip.track}: {clip.blend} at {clip.opacity:g} %" for clip in by_hand)
    return f"{done}; set how these lie over the others by hand ({tracks})." if tracks else done + "."


def _import(session: Session, clips: "List[Placed]", back: PutBack) -> "Dict[str, MediaPoolItem]":
    """Return the pool's new clip for each media."""
    found: Dict[str, MediaPoolItem] = {}
    pool = session.pool
    for path in sorted({clip.media for clip in clips}):
        made = need(pool.ImportMedia([_import_info(path)]), f"{path} cannot be imported; look whether Resolve reads this format.")
        back.on_failure(f"Delete {path} from the media pool.", lambda made=made: pool.DeleteClips(made))
        if len(made) != 1:
            raise ScriptError(f"{path} became {len(made)} clips instead of one; switch off Show Individual Frames.")
        found[path] = made[0]
    return found


def _import_info(path: str) -> "Any":
    """Return what ImportMedia takes: a path, or a sequence with the numbers of its files."""
    folder, name = os.path.split(path)
    if "%" not in name:
        return path
    before, after = name[: name.index("%")], name[name.index("d", name.index("%")) + 1 :]
    inside = [
        entry[len(before) : len(entry) - len(after)] for entry in os.listdir(folder) if entry.startswith(before) and entry.endswith(after)
    ]
    numbers = sorted(int(text) for text in inside if text.isdigit())
    if not numbers:
        raise ScriptError(f"The files of {path} are missing; deliver them again.")
    return {"FilePath": path, "StartIndex": numbers[0], "EndIndex": numbers[-1]}


def _add_track(session: Session, place: int, name: str, back: PutBack) -> None:
    timeline = session.timeline
    need(timeline.AddTrack("video"), "No track can be added; unlock the timeline.")
    back.on_failure(f"Delete video track {place}.", lambda: timeline.DeleteTrack("video", place))
    count = need(timeline.GetTrackCount("video"), "The timeline does not tell how many tracks it has; open it again.")
    if count != place:
        raise ScriptError("The new track is not on top; add it by hand and run the script again.")
    need(timeline.SetTrackName("video", place, name), f"Video track {place} cannot be named; unlock it.")


def _hide(session: Session, place: int) -> None:
    """Switch a track off, as the delivered edit has it; only the Edit page lets it be done."""
    need(session.resolve.OpenPage("edit"), "The Edit page cannot be opened; close what is open over it.")
    need(session.timeline.SetTrackEnable("video", place, False), f"Video track {place} cannot be switched off; unlock it.")


def _append(session: Session, place: int, start: int, layer: "List[Tuple[Placed, MediaPoolItem]]") -> "List[TimelineItem]":
    """Put a layer's clips onto a track and return them. Raise ScriptError if one is missing: Resolve drops what overlaps silently."""
    infos: List[Dict[str, Any]] = [
        {
            "mediaPoolItem": media,
            "startFrame": clip.first,
            "endFrame": clip.first + clip.length - 1,
            "mediaType": 1,
            "trackIndex": place,
            "recordFrame": start + clip.start,
        }
        for clip, media in layer
    ]
    made = need(session.pool.AppendToTimeline(infos), f"The layers cannot be put onto video track {place}; unlock it.")
    lying = need(session.timeline.GetItemListInTrack("video", place), f"Video track {place} cannot be read; open the timeline again.")
    if len(made) != len(infos) or len(lying) != len(infos) or not all(made):
        raise ScriptError(f"Resolve dropped a layer on video track {place}; import them as a new timeline instead.")
    return lying
