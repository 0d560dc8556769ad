"""Render clips as they are graded, hand them to `grainlayer deliver`, and bring the layers back into the project."""

import os
from typing import TYPE_CHECKING

from grain_scripts.answers import PutBack, ScriptError, need
from grain_scripts.asking import Question, ask, tell
from grain_scripts.edit import export_edit, with_renders, write_edit
from grain_scripts.export_parameters import file_name, journal_told
from grain_scripts.layering import ROADS, bring_in
from grain_scripts.looks import Look, Looks, collect, write_file
from grain_scripts.notes import at_other_frames, write_note
from grain_scripts.presets import BASES, GRAINS, LIKE_THE_RENDER, PRESETS, find_preset
from grain_scripts.program import find_program, run
from grain_scripts.rendering import Rendered, Renderer, keep_settings, use_preset
from grain_scripts.session import SCOPES, Session, clip_name, clips, is_retimed, length_of, name_of
from grain_scripts.silence import silence
from grain_scripts.telling import named, sentence

if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

    from grain_scripts.protocols import TimelineItem

TITLE = "Grain: render layers"
LAYERS = ("base", "grain", "result", "stream")
GRADED = "graded"


def _questions() -> "List[Question]":
    return [
        Question("scope", "Clips", "choice", SCOPES[0], SCOPES),
        Question("preset", "Render as", "choice", PRESETS[0].key, tuple(preset.key for preset in PRESETS)),
        Question("layers", "Layers", "several", "base,grain", LAYERS),
        Question("base_codec", "Base as", "choice", LIKE_THE_RENDER, BASES),
        Question("grain_format", "Grain as", "choice", LIKE_THE_RENDER, GRAINS),
        Question("handles", "Handles, frames", "count", "0"),
        Question("folder", "Folder", "folder", os.path.join(os.path.expanduser("~"), "GrainLayer")),
        Question("bring_in", "Bring the layers in as", "choice", ROADS[0], ROADS),
    ]


def render_layers(session: Session) -> str:
    """Render, deliver and bring in, and return what was done in a sentence. Raise ScriptError, leaving the project as it was."""
    answers = ask(TITLE, _questions(), session)
    find_program()
    folder = answers["folder"]
    items, passed = _with_media(clips(session, answers["scope"]))
    retimed = [clip_name(item) for item in items if is_retimed(item)]
    if answers["handles"] and retimed:
        raise ScriptError(f"{named(retimed)} cannot be rendered with handles because of a retime; set Handles to 0, or choose other clips.")
    edit = os.path.join(folder, file_name(name_of(session.timeline)) + ".graded.otio")
    with PutBack(tell) as back:
        _make_folder(folder, edit)
        page = need(session.resolve.GetCurrentPage(), "Resolve does not tell which page is open; open the Edit page.")
        back.always(f"Open the {page} page again.", lambda: session.resolve.OpenPage(page))
        looks = collect(items)
        for look in looks.all:
            write_note(look.noted, look.facts, back)
        bare = _write_graded(session, looks, answers, edit)
        try:
            report = run(_command(answers, edit), tell)
            road = answers["bring_in"] if set(answers["layers"]) & set(LAYERS[:3]) else ROADS[2]
            told = bring_in(session, road, delivered_edit(report, folder, edit), back)
        except ScriptError as error:
            raise ScriptError("{}; the renders are kept beside {}.".format(str(error).rstrip("."), edit)) from error
    moving = [look.name for look in looks.all if look.facts["keys"] and look.name in retimed]
    done = sentence(
        f"{len(looks.all)} clips are delivered",
        f"{len(passed)} without media were passed over ({named(passed)})" if passed else "",
        f"Resolve rendered no handles for {named(bare)}" if bare else "",
        f"the keyframes of {named(moving)} were spread over a retime evenly, so look at them" if moving else "",
        *journal_told(looks),
    )
    return f"{done} {told}"


def _command(answers: "Dict[str, Any]", edit: str) -> "List[str]":
    """Return the words that have the program deliver."""
    preset = find_preset(answers["preset"])
    base = preset.base if answers["base_codec"] == LIKE_THE_RENDER else answers["base_codec"]
    grain = preset.grain if answers["grain_format"] == LIKE_THE_RENDER else answers["grain_format"]
    formats = ["--base-codec", base, "--grain-format", grain, "--handles", str(answers["handles"])]
    return ["deliver", edit, "-o", answers["folder"], "--layers", ",".join(answers["layers"]), *formats, "--absolute", "--json"]


def _write_graded(session: Session, looks: Looks, answers: "Dict[str, Any]", edit: str) -> "List[str]":
    """Render the clips and write the edit that shows the renders; return the names of those that have no handles, though some were asked.

    Frame 0 of a render is its first picture, so the keyframes of its shot move. Raise ScriptError, leaving no file.
    """
    with PutBack(tell) as files:
        files.on_failure(f"Delete {edit}.", lambda: _delete(edit))
        tree = export_edit(session, edit)
        renders = _render_all(session, looks.all, answers, files)
        rendered = [_rendered(look, render) for look, render in zip(looks.all, renders)]
        write_edit(with_renders(tree, session, [(render, look.facts) for render, look in zip(renders, rendered)]), edit)
        write_file(edit[: -len("otio")] + "grain.json", os.path.basename(edit), looks._replace(all=rendered), files)
    return [clip_name(render.item) for render in renders if answers["handles"] and render.frames == length_of(render.item)]


def _rendered(look: Look, render: Rendered) -> Look:
    """Return a look with its keyframes at the frames of a render."""
    move = render.moved()
    replaced = at_other_frames(look.replaced, move) if look.replaced else None
    return look._replace(facts=at_other_frames(look.facts, move), replaced=replaced)


def _with_media(items: "List[TimelineItem]") -> "Tuple[List[TimelineItem], List[str]]":
    """Return the clips that have media, and the names of those that have none: titles, generators, compositions."""
    kept: List[TimelineItem] = []
    passed: List[str] = []
    for item in items:
        if item.GetMediaPoolItem():
            kept.append(item)
        else:
            passed.append(clip_name(item))
    if not kept:
        raise ScriptError("None of these clips has media of its own; choose others.")
    return kept, passed


def _make_folder(folder: str, edit: str) -> None:
    try:
        if not os.path.isdir(folder):
            os.makedirs(folder)
        if os.path.exists(edit) or os.path.exists(os.path.join(folder, GRADED)):
            raise ScriptError(f"{folder} holds layers of this timeline already; choose another folder, or empty it.")
    except OSError as error:
        raise ScriptError(f"The folder {folder} cannot be made ({error.strerror}); choose another one.") from error


def _delete(path: str) -> bool:
    if os.path.exists(path):
        os.unlink(path)
    return True


def _render_all(session: Session, looks: "List[Look]", answers: "Dict[str, Any]", back: PutBack) -> "List[Rendered]":
    """Render every clip into a folder of its own. Settings, tracks and grades are put back before this returns."""
    preset, graded = find_preset(answers["preset"]), os.path.join(answers["folder"], GRADED)
    back.on_failure(f"Delete the folder {graded}.", lambda: _drop_folder(graded))
    with PutBack(tell) as settings:
        keep_settings(session, settings)
        use_preset(session, preset, answers["handles"], settings)
        renderer = Renderer(session, preset, answers["handles"], settings, tell)
        for look in looks:
            silence(look.noted.item, settings)
        return [renderer.render(look.noted.item, _own_folder(graded, look), back) for look in looks]


def _own_folder(graded: str, look: Look) -> str:
    return os.path.join(graded, "{}_{}".format(file_name(look.facts["name"]), look.facts["uid"][:8]))


def _drop_folder(folder: str) -> bool:
    """Delete a folder, if it is empty."""
    if os.path.isdir(folder) and not os.listdir(folder):
        os.rmdir(folder)
    return True


def delivered_edit(report: "Dict[str, Any]", folder: str, edit: str) -> str:
    """Return the layered edit that the program names, else the one other OTIO file in the folder. Raise ScriptError."""
    for key in ("otio", "timeline", "output"):
        path = report.get(key)
        if isinstance(path, str) and path.lower().endswith(".otio"):
            return os.path.abspath(os.path.join(folder, path))
    others = [name for name in sorted(os.listdir(folder)) if name.lower().endswith(".otio") and name != os.path.basename(edit)]
    if len(others) != 1:
        raise ScriptError(f"grainlayer deliver named no edit of its layers; import the files in {folder} by hand.")
    return os.path.abspath(os.path.join(folder, others[0]))
