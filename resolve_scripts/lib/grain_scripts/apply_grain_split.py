"""Put Grain Split on clips by their Fusion compositions, or read its inputs back into the clips' markers."""

from typing import TYPE_CHECKING

from grain_scripts.answers import PutBack, ScriptError
from grain_scripts.asking import Question, ask, tell
from grain_scripts.grain_split import our_tools, put_tool, read_inputs, set_inputs
from grain_scripts.notes import read_notes, save_sidecar, with_params, write_note
from grain_scripts.session import SCOPES, Session, clip_name, clips

if TYPE_CHECKING:
    from typing import List

    from grain_scripts.notes import Noted
    from grain_scripts.parameters import Params

TITLE = "Grain: apply Grain Split"
ACTIONS = ("apply", "read back")


def _questions(session: Session) -> "List[Question]":
    return [
        Question("scope", "Clips", "choice", default_scope(session), SCOPES),
        Question("action", "Do", "choice", ACTIONS[0], ACTIONS),
        Question("follow", "Obey the sidecar", "switch", "off"),
    ]


def default_scope(session: Session) -> str:
    """Return the scope that is offered: the selection where this Resolve tells it."""
    return SCOPES[1] if session.version >= (21, 0, 4) else SCOPES[2]


def apply_grain_split(session: Session) -> str:
    """Apply or read back, and return what was done in a sentence. Raise ScriptError, leaving every clip as it was."""
    answers = ask(TITLE, _questions(session), session)
    with PutBack(tell) as back:
        notes = read_notes(clips(session, answers["scope"]))
        if answers["action"] == ACTIONS[0]:
            for noted in notes:
                _apply(noted, answers["follow"], back)
            return f"Grain Split is in the Fusion composition of {len(notes)} clips."
        return _read_back(notes, back)


def _apply(noted: "Noted", follow: bool, back: PutBack) -> None:
    write_note(noted, noted.facts, back)
    if follow:
        save_sidecar(noted.facts, back)
    set_inputs(put_tool(noted.item, back), inputs_of(noted, noted.params, follow), clip_name(noted.item), back)


def inputs_of(noted: "Noted", params: "Params", follow: bool) -> "Params":
    """Return what the tool of a shot is set to: its parameters, its uid, and whether it follows."""
    found = dict(params, shot_uid=noted.uid)
    return dict(found, follow=True) if follow else found


def _read_back(notes: "List[Noted]", back: PutBack) -> str:
    """Write what the tools hold now into the markers. Raise ScriptError if no clip has the tool."""
    done = 0
    for noted in notes:
        tools = our_tools(noted.item)
        if tools:
            params = read_inputs(tools[0], clip_name(noted.item))
            write_note(noted, with_params(noted.facts, params), back)
            done += 1
    if not done:
        raise ScriptError("None of these clips has Grain Split on its Fusion page; apply it first.")
    return f"The values of {done} clips are read back into their markers."
