"""Copy the look of the clip under the playhead to other clips."""

from typing import TYPE_CHECKING

from grain_scripts.answers import PutBack, ScriptError, need
from grain_scripts.apply_grain_split import default_scope, inputs_of
from grain_scripts.asking import Question, ask, tell
from grain_scripts.grain_split import our_tools, read_inputs, set_inputs
from grain_scripts.looks import Look, collect
from grain_scripts.notes import save_sidecar, with_params, write_note
from grain_scripts.parameters import with_look
from grain_scripts.session import SCOPES, Session, clip_name, clips

if TYPE_CHECKING:
    from typing import List

    from grain_scripts.parameters import Params
    from grain_scripts.protocols import TimelineItem

TITLE = "Grain: copy look"
SOURCES = ("clip under the playhead", "first clip")


def _questions(session: Session) -> "List[Question]":
    scope = default_scope(session)
    return [
        Question("source", "From", "choice", SOURCES[0], SOURCES),
        Question("scope", "To", "choice", scope if scope == SCOPES[1] else SCOPES[0], SCOPES[:2]),
    ]


def copy_look(session: Session) -> str:
    """Copy, and return what was done in a sentence. Raise ScriptError, leaving every clip as it was."""
    answers = ask(TITLE, _questions(session), session)
    with PutBack(tell) as back:
        targets = clips(session, answers["scope"])
        source = clips(session, SCOPES[2])[0] if answers["source"] == SOURCES[0] else targets[0]
        own = _id(source)
        others = [item for item in targets if _id(item) != own]
        if not others:
            raise ScriptError("There is no other clip to copy the look to; select more clips.")
        looks = collect([source, *others]).all
        params = _held(looks[0])
        write_note(looks[0].noted, with_params(looks[0].facts, params), back)
        for look in looks[1:]:
            _put(look, params, back)
    return f"The look of {looks[0].facts['name']} is on {len(others)} other clips; switch Follow on where it is set on the Color page."


def _id(item: "TimelineItem") -> str:
    return need(item.GetUniqueId(), "A clip does not tell its id; open the timeline again.")


def _held(look: Look) -> "Params":
    """Return a clip's parameters: those of its Fusion tool where it has one."""
    tools = our_tools(look.noted.item)
    return read_inputs(tools[0], clip_name(look.noted.item)) if tools else look.facts["params"]


def _put(look: Look, source: "Params", back: PutBack) -> None:
    """Give a clip another's look: marker, sidecar, and tool where there is one."""
    params = with_look(look.facts["params"], source)
    facts = with_params(look.facts, params)
    write_note(look.noted, facts, back)
    save_sidecar(facts, back)
    name = clip_name(look.noted.item)
    for tool in our_tools(look.noted.item):
        follow = bool(read_inputs(tool, name).get("follow"))
        set_inputs(tool, inputs_of(look.noted, params, follow), name, back)
