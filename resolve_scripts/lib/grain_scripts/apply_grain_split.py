"""Put Grain Split on clips by their Fusion compositions, or read its inputs back into the clips' markers."""

from typing import TYPE_CHECKING

from grain_scripts.answers import PutBack, ScriptError
from grain_scripts.asking import Question, ask, tell
from grain_scripts.grain_split import our_tools, put_tool
from grain_scripts.inputs import Inputs
from grain_scripts.notes import read_notes, save_sidecar, with_values, write_note
from grain_scripts.session import SCOPES, Session, clip_name, clips, default_scope
from grain_scripts.telling import gave_way, not_carried, not_read, sentence

if TYPE_CHECKING:
    from typing import List, Tuple

    from grain_scripts.inputs import Done
    from grain_scripts.notes import Noted

TITLE = "Grain: apply Grain Split"
ACTIONS = ("apply", "read back")


def _questions(session: Session) -> "List[Question]":
    return [
        Question("scope", "Clips", "choice", default_scope(session), SCOPES),
        Question("action", "Do", "choice", ACTIONS[0], ACTIONS),
        Question("follow", "Obey the sidecar", "switch", "off"),
    ]


def apply_grain_split(session: Session) -> str:
    """Apply or read back, and return what was done in a sentence. Raise ScriptError, leaving every clip as it was."""
    answers = ask(TITLE, _questions(session), session)
    with PutBack(tell) as back:
        notes = read_notes(clips(session, answers["scope"]))
        if answers["action"] == ACTIONS[1]:
            return _read_back(notes, back)
        done = [(clip_name(noted.item), _apply(noted, answers["follow"], back)) for noted in notes]
    return sentence(
        f"Grain Split is in the Fusion composition of {len(notes)} clips",
        not_carried((name, each.lost) for name, each in done),
        gave_way((name, each.replaced) for name, each in done),
    )


def _apply(noted: "Noted", follow: bool, back: PutBack) -> "Done":
    facts = with_values(noted.facts, noted.params, noted.keys)
    write_note(noted, facts, back)
    if follow:
        save_sidecar(facts, back)
    params = dict(noted.params, shot_uid=noted.uid, follow=follow)
    return Inputs(put_tool(noted.item, back)).set(params, facts["keys"], back)


def _read_back(notes: "List[Noted]", back: PutBack) -> str:
    """Write what the tools hold now into the markers. Raise ScriptError if no clip has the tool."""
    rows: List[Tuple[str, List[str]]] = []
    for noted in notes:
        tools = our_tools(noted.item)
        if tools:
            facts = with_values(noted.facts, noted.params, noted.keys)
            held = Inputs(tools[0]).read(facts)
            write_note(noted, with_values(facts, held.params, held.keys), back)
            rows.append((clip_name(noted.item), held.unread))
    if not rows:
        raise ScriptError("None of these clips has Grain Split on its Fusion page; apply it first.")
    return sentence(f"The values of {len(rows)} clips are read back into their markers", not_read(rows))
