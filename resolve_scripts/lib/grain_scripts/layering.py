"""Bring delivered layers into the project: on new tracks of the timeline, or as a timeline of their own."""

import os
from typing import TYPE_CHECKING

from grain_scripts.answers import PutBack, ScriptError, need
from grain_scripts.edit import Placed, placed_clips, unique_name
from grain_scripts.session import Session, name_of

if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

    from grain_scripts.protocols import MediaPoolItem, Timeline

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
    return f"The layers are in the timeline {name}; set their grain tracks to Add."


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
    for place, number in enumerate(numbers, first + 1):
        layer = [clip for clip in clips if clip.track == number]
        _add_track(session, place, layer[0].track_name or f"GrainLayer {number}", back)
        _append(session, place, start, [(clip, media[clip.media]) for clip in layer])
        if not layer[0].shown:
            _hide(session, place)
    return f"The layers are on {len(numbers)} new tracks; set those of grain to Add."


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


def _append(session: Session, place: int, start: int, layer: "List[Tuple[Placed, MediaPoolItem]]") -> None:
    """Put a layer's clips onto a track. Raise ScriptError if one is missing: Resolve drops what overlaps without a word."""
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
