"""Render clips, as they are graded, each into files of its own; every file is probed before it counts."""

import os
import re
import tempfile
import time
from typing import TYPE_CHECKING, NamedTuple

from grain_scripts.answers import PutBack, ScriptError, need
from grain_scripts.presets import RENDER, Preset, preset_path, write_preset
from grain_scripts.program import run
from grain_scripts.session import Session, clip_name, first_frame, is_retimed, length_of, source_frames, track_of

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Set, Tuple

    from grain_scripts.protocols import TimelineItem

NUMBERED = re.compile(r"(.*?)([0-9]+)(\.[A-Za-z]+)")
BEFORE = "GrainLayer before"
"""Name of the preset that keeps the user's own render settings while we render."""
PAUSE = 0.5
"""Seconds between two questions how a render goes."""
PATIENCE = 120
"""Questions after which a job that has not begun is given up."""
WAITING, BUSY, DONE = "Ready", "Rendering", "Complete"


class Rendered(NamedTuple):
    """Hold what was rendered of a clip: its folder, the files' names in order, and what `grainlayer info` found in them.

    head  how many of the frames lie before the first that the clip shows
    """

    item: "TimelineItem"
    folder: str
    files: "List[str]"
    head: int
    frames: int
    width: int
    height: int

    def moved(self) -> "Callable[[int], int]":
        """Return what says where in the render a picture of the media lies; retimed clips pass over theirs evenly. Raise ScriptError."""
        first, span = first_frame(self.item), source_frames(self.item)
        pace = self.frames / span if is_retimed(self.item) and self.frames < abs(span) else 1
        return lambda frame: self.head + round((frame - first) * pace)


def keep_settings(session: Session, back: PutBack) -> None:
    """Keep the user's render settings, format, codec and mode, and put them back at the end. Raise ScriptError.

    The preset that holds them goes only once it was loaded again; one that a script left behind is somebody's only copy.
    """
    project = session.project
    need(session.project.IsRenderingInProgress() is False or None, "Resolve is rendering; wait until it has finished.")
    if BEFORE in _preset_names(session):
        raise ScriptError(
            f"The render preset {BEFORE!r} holds your settings from before a script that was cut off; "
            "load it on the Deliver page if you want them back, delete it, and run the script again."
        )
    format_codec = need(project.GetCurrentRenderFormatAndCodec(), "The render format cannot be read; open the Deliver page once.")
    mode = need(project.GetCurrentRenderMode(), "The render mode cannot be read; open the Deliver page once.")
    loaded: List[bool] = []

    def load() -> bool:
        if project.LoadRenderPreset(BEFORE):
            loaded.append(True)
        return bool(loaded)

    back.always(f"Delete the render preset {BEFORE!r}.", lambda: not loaded or project.DeleteRenderPreset(BEFORE))
    need(project.SaveAsNewRenderPreset(BEFORE), f"Your render settings cannot be kept; delete the render preset {BEFORE!r}.")
    back.always("Choose your render mode again on the Deliver page.", lambda: project.SetCurrentRenderMode(mode))
    if format_codec.get("format"):
        form, codec = format_codec["format"], format_codec.get("codec", "")
        advice = f"Choose your format {form} and codec {codec} again on the Deliver page."
        back.always(advice, lambda: project.SetCurrentRenderFormatAndCodec(form, codec))
    back.always(f"Load the render preset {BEFORE!r} on the Deliver page, for it holds your settings; then delete it.", load)


def _preset_names(session: Session) -> "List[str]":
    return need(session.project.GetRenderPresetList(), "The render presets cannot be listed; open the Deliver page once.")


def use_preset(session: Session, preset: Preset, handles: int, back: PutBack) -> None:
    """Load one of our presets, with its format and codec. Raise ScriptError."""
    project, path = session.project, preset_path(preset)
    if not _drop_render_preset(session):
        raise ScriptError(f"The render preset {RENDER!r} cannot be deleted; delete it yourself.")
    back.always(f"Delete the render preset {RENDER!r}.", lambda: _drop_render_preset(session))
    with tempfile.TemporaryDirectory() as folder:
        advice = f"The render preset {path} cannot be imported; install the scripts again."
        need(session.resolve.ImportRenderPreset(write_preset(preset, handles, folder)), advice)
    need(project.LoadRenderPreset(RENDER), f"The render preset {preset.name!r} cannot be loaded; choose another one.")
    need(project.SetCurrentRenderMode(0), "Resolve does not render individual clips here; open the Deliver page once.")
    codec = _codec(session, preset)
    advice = f"Resolve refuses {preset.label} ({codec}); choose another preset."
    need(project.SetCurrentRenderFormatAndCodec(preset.extension, codec), advice)


def _drop_render_preset(session: Session) -> bool:
    """Delete the preset that only a running script has; say whether it is gone."""
    return RENDER not in _preset_names(session) or bool(session.project.DeleteRenderPreset(RENDER))


def _codec(session: Session, preset: Preset) -> str:
    """Return the id of the preset's codec in this Resolve: that of the shortest description with all of its words."""
    formats = need(session.project.GetRenderFormats(), "The render formats cannot be listed; open the Deliver page once.")
    advice = f"This Resolve offers no {preset.label}; choose another preset."
    need(preset.extension in formats.values() or None, advice)
    codecs = need(session.project.GetRenderCodecs(preset.extension), advice)
    fitting = [text for text in codecs if preset.fits(text)]
    need(fitting or None, advice)
    return codecs[min(fitting, key=len)]


class Renderer:
    """Render clip after clip. The preset, with its handles, is loaded; the page, the tracks and the jobs are put back by `back`."""

    def __init__(self, session: Session, preset: Preset, handles: int, back: PutBack, tell: "Callable[[str], None]") -> None:
        """Note which tracks are shown."""
        self.session, self.preset, self.handles, self.tell, self.back = session, preset, handles, tell, back
        count = need(session.timeline.GetTrackCount("video"), "The timeline does not tell how many tracks it has; open it again.")
        self.shown = [self._is_shown(track) for track in range(1, count + 1)]
        self.now = list(self.shown)
        self._touched: Set[int] = set()

    def _is_shown(self, track: int) -> bool:
        """Say whether a track is shown; a False is asked for twice, because a call that failed may answer it too."""
        timeline = self.session.timeline
        answer = timeline.GetIsTrackEnabled("video", track) or timeline.GetIsTrackEnabled("video", track)
        if answer is None:
            raise ScriptError(f"Video track {track} cannot be read; open the timeline again.")
        return answer

    def render(self, item: "TimelineItem", folder: str, back: PutBack) -> Rendered:
        """Render one clip into a folder that this makes, and return what is there; `back` deletes it if the rest fails."""
        name = clip_name(item)
        self._show_only(track_of(item))
        need(self.session.resolve.OpenPage("deliver"), "The Deliver page cannot be opened; close what is open over it.")
        start = need(item.GetStart(), f"{name} does not tell where it begins; open the timeline again.")
        length = length_of(item)
        size = self._size(item)
        _prepare(folder, back)
        settings = self._settings(folder, start, start + length - 1, size)
        need(
            self.session.project.SetRenderSettings(settings),
            f"Resolve refuses the render settings for {name}; choose another preset.",
        )
        self.tell(f"Rendering {name} ({length} frames)")
        self._run_job(name)
        return self._probe(item, folder, length, size)

    def _settings(self, folder: str, first: int, last: int, size: "Optional[Tuple[int, int]]") -> "Dict[str, Any]":
        settings: Dict[str, Any] = {
            "SelectAllFrames": False,
            "MarkIn": first,
            "MarkOut": last,
            "TargetDir": folder,
            "CustomName": os.path.basename(folder),
            "UseUniqueFilenames": False,
            "ExportVideo": True,
            "ExportAudio": False,
        }
        settings.update(self.preset.settings)
        if size:
            settings.update({"FormatWidth": size[0], "FormatHeight": size[1]})
        return settings

    def _size(self, item: "TimelineItem") -> "Optional[Tuple[int, int]]":
        """Return the size of a clip's media, or None where Resolve does not know it."""
        name = clip_name(item)
        media = need(item.GetMediaPoolItem(), f"{name} has no media; deselect it.")
        text = need(media.GetClipProperty("Resolution"), f"The media of {name} does not tell its size; relink it.")
        width, _, height = text.partition("x")
        return (int(width), int(height)) if width.isdigit() and height.isdigit() else None

    def _show_only(self, track: int) -> None:
        """Show this video track alone, so that nothing over or under the clip is rendered; only the Edit page lets it be done."""
        wanted = [number == track for number in range(1, len(self.now) + 1)]
        if wanted == self.now:
            return
        need(self.session.resolve.OpenPage("edit"), "The Edit page cannot be opened; close what is open over it.")
        for number, (shown, wish) in enumerate(zip(self.now, wanted), 1):
            if shown != wish:
                self._keep_track(number)
                advice = f"Video track {number} cannot be switched; unlock it."
                need(self.session.timeline.SetTrackEnable("video", number, wish), advice)
                self.now[number - 1] = wish

    def _keep_track(self, number: int) -> None:
        """Have a track shown at the end as it was at the beginning."""
        if number in self._touched:
            return
        self._touched.add(number)
        session, was = self.session, self.shown[number - 1]

        def switch() -> bool:
            return bool(session.resolve.OpenPage("edit") and session.timeline.SetTrackEnable("video", number, was))

        self.back.always("Switch video track {} {} on the Edit page.".format(number, "on" if was else "off"), switch)

    def _run_job(self, name: str) -> None:
        """Add a job, wait until it has ended, and delete it, whatever comes. Raise ScriptError unless it is complete."""
        project = self.session.project
        job = need(project.AddRenderJob() or None, f"The clip {name} cannot be queued; look at the Deliver page for the reason.")
        with PutBack(self.tell) as back:
            back.always(f"Delete the job {job} from the render queue.", lambda: project.DeleteRenderJob(job))
            need(
                project.StartRendering([job], False),
                f"The render of {name} does not start; look at the Deliver page for the reason.",
            )
            back.on_failure("Stop the render on the Deliver page.", lambda: self._stop())
            self._wait(job, name)

    def _stop(self) -> bool:
        """Stop rendering; say whether it is over."""
        self.session.project.StopRendering()
        return self.session.project.IsRenderingInProgress() is False

    def _wait(self, job: str, name: str) -> None:
        status = self._status(job, name)
        waited = 0
        while status.get("JobStatus") in (WAITING, BUSY):
            waited = waited + 1 if status["JobStatus"] == WAITING else 0
            if waited > PATIENCE:
                raise ScriptError(f"The render of {name} does not begin; look at the Deliver page for the reason.")
            time.sleep(PAUSE)
            status = self._status(job, name)
        if status.get("JobStatus") != DONE:
            reason = status.get("Error") or status.get("JobStatus") or "no reason given"
            raise ScriptError(f"The render of {name} ended without a picture ({reason}); mend that and run the script again.")

    def _status(self, job: str, name: str) -> "Dict[str, Any]":
        return need(self.session.project.GetRenderJobStatus(job), f"Resolve does not tell how the render of {name} goes; run it again.")

    def _probe(self, item: "TimelineItem", folder: str, length: int, size: "Optional[Tuple[int, int]]") -> Rendered:
        """Return what was written. Raise ScriptError if it is not the whole clip: a job may be complete without it."""
        name, files = clip_name(item), rendered_files(folder, self.preset.extension)
        if not files:
            raise ScriptError(f"Resolve says that {name} is rendered, but {folder} is empty; check the disk.")
        seen = self._seen(name, folder, files)
        heads = self._lengths(item, length)
        if seen[0] not in heads:
            raise ScriptError(f"The render of {name} has {seen[0]} frames instead of {max(heads)}; render it again.")
        found = Rendered(item, folder, files, heads[seen[0]], *seen)
        if size and (found.width, found.height) != size:
            told = "The render of {} is {}x{} instead of {}x{}; render it again."
            raise ScriptError(told.format(name, found.width, found.height, size[0], size[1]))
        return found

    def _seen(self, name: str, folder: str, files: "List[str]") -> "Tuple[int, int, int]":
        """Return frames, width and height of a movie; of a sequence by its first and last file, if none between is missing or empty."""
        bases = [self._base(name, os.path.join(folder, file)) for file in sorted({files[0], files[-1]})]
        sizes = [(int(base.get("width", 0)), int(base.get("height", 0))) for base in bases]
        parts = [numbered(file) for file in files]
        numbers = [int(part[1]) for part in parts if part]
        empty = [file for file in files if os.path.getsize(os.path.join(folder, file)) == 0]
        if empty or len(set(sizes)) > 1 or numbers != list(range(numbers[0], numbers[0] + len(files)) if numbers else []):
            raise ScriptError(f"The render of {name} has holes in {folder}; render it again.")
        return (len(files) if numbers else int(bases[0].get("frames", 0)), *sizes[0])

    def _base(self, name: str, path: str) -> "Dict[str, Any]":
        base = run(["info", path, "--json"], self.tell).get("base")
        if not isinstance(base, dict):
            raise ScriptError(f"The render of {name} cannot be read; choose another preset.")
        return base

    def _lengths(self, item: "TimelineItem", length: int) -> "Dict[int, int]":
        """Return how many frames a render may have, with how many of them come before the clip.

        As many as the timeline shows, or all that a retimed clip takes from its media, or with the handles that the media has.
        """
        if is_retimed(item):
            span = source_frames(item)
            return {span: 0, span + 1: 0, length: 0}
        if not self.handles:
            return {length: 0}
        head = min(self.handles, first_frame(item))
        media = need(item.GetMediaPoolItem(), f"{clip_name(item)} has no media; deselect it.")
        text = need(media.GetClipProperty("Frames"), f"The media of {clip_name(item)} does not tell its length; relink it.")
        after = int(text) - first_frame(item) - length if text.isdigit() else self.handles
        return {length: 0, head + length + max(0, min(self.handles, after)): head}


def _prepare(folder: str, back: PutBack) -> None:
    try:
        os.makedirs(folder)
    except OSError as error:
        raise ScriptError(f"The folder {folder} cannot be made ({error.strerror}); choose another one.") from error
    back.on_failure(f"Delete the folder {folder}.", lambda: empty_folder(folder))


def rendered_files(folder: str, extension: str) -> "List[str]":
    """Return the names of the files with that extension, in order."""
    return sorted(name for name in os.listdir(folder) if name.lower().endswith("." + extension))


def numbered(name: str) -> "Optional[Tuple[str, str, str]]":
    """Return what stands before a picture's number, the number, and what comes after; None for a movie."""
    match = NUMBERED.fullmatch(name)
    return (match.group(1), match.group(2), match.group(3)) if match and name.lower().endswith(".exr") else None


def empty_folder(folder: str) -> bool:
    """Delete a folder of ours and the files in it."""
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    os.rmdir(folder)
    return True
