"""Copy the look of the clip under the playhead to other clips."""

from typing import TYPE_CHECKING, NamedTuple

from grain_scripts.answers import PutBack, ScriptError, need
from grain_scripts.asking import Question, ask, tell
from grain_scripts.grain_split import our_tools
from grain_scripts.inputs import KEYS, Done, Inputs
from grain_scripts.looks import Look, collect, keep_replaced
from grain_scripts.notes import GRAIN_SPLIT, grain_of, save_sidecar, with_look, with_values, write_note
from grain_scripts.parameters import OF_THE_SHOT, look_of
from grain_scripts.session import SCOPES, Session, clips, default_scope, first_frame
from grain_scripts.telling import differences, gave_way, markers_said, not_carried, not_read, sentence

if TYPE_CHECKING:
    from typing import Any, Dict, List

    from grain_scripts.protocols import TimelineItem

    Facts = Dict[str, Any]

TITLE = "Grain: copy look"
SOURCES = ("clip under the playhead", "first clip")
SET = (*(key for key in KEYS if key not in OF_THE_SHOT), "shot_uid")
"""The inputs of a tool that are set: the look, and the uid of the shot."""


class Source(NamedTuple):
    """Hold the look that is copied: where it was found, the facts that hold, and what is to be told of it."""

    look: Look
    facts: "Facts"
    unread: "List[str]"

    def told(self) -> "List[str]":
        """Return where the source's marker differs, which stays as it is, and what could not be read."""
        look = self.look
        differs = look.noted.frame is not None and _look(look.noted.facts) != _look(self.facts)
        said = differences(look.noted.facts, self.facts)
        return [
            f"the marker of {look.name} says {said} and stays so, for what its host or Fusion holds was copied" if differs else "",
            not_read([(look.name, self.unread)]),
        ]


def _look(facts: "Facts") -> "Any":
    effect, params, keys = grain_of(facts)
    return effect, look_of(params), look_of(keys)


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
        item = clips(session, SCOPES[2])[0] if answers["source"] == SOURCES[0] else targets[0]
        own = _id(item)
        others = [other for other in targets if _id(other) != own]
        if not others:
            raise ScriptError("There is no other clip to copy the look to; select more clips.")
        looks = collect([item, *others]).all
        source = _source(looks[0])
        done = [(look.name, _put(look, source, back)) for look in looks[1:]]
    replaced = [(look.name, look.replaced, look.facts) for look in looks[1:] if look.replaced]
    return sentence(
        f"The look of {source.look.name} is on {len(others)} other clips; switch Follow on where it is set on the Color page",
        *source.told(),
        markers_said(replaced) + ", and these values are kept for the next export" if replaced else "",
        not_carried((name, each.lost) for name, each in done),
        gave_way((name, each.replaced) for name, each in done),
    )


def _id(item: "TimelineItem") -> str:
    return need(item.GetUniqueId(), "A clip does not tell its id; open the timeline again.")


def _source(look: Look) -> Source:
    """Return the look of a clip: that of its Fusion tool where it has one that does not follow its sidecar."""
    tools = our_tools(look.noted.item)
    if not tools:
        return Source(look, look.facts, [])
    held = Inputs(tools[0]).read(look.facts)
    if held.params.get("follow"):
        return Source(look, look.facts, [])
    return Source(look, with_values(look.facts, held.params, held.keys), held.unread)


def _put(look: Look, source: Source, back: PutBack) -> Done:
    """Give a clip another's look: marker, sidecar, and tools where there are some."""
    item, tools = look.noted.item, our_tools(look.noted.item)
    shift = first_frame(item) - first_frame(source.look.noted.item)
    facts = with_look(look.facts, source.facts, shift)
    if tools:
        facts = dict(facts, effect=GRAIN_SPLIT)
    if look.replaced:
        keep_replaced(look.noted.uid, look.replaced, back)
    write_note(look.noted, facts, back)
    save_sidecar(facts, back)
    done = [Inputs(mounted).set(dict(facts["params"], shot_uid=look.noted.uid), facts["keys"], back, SET) for mounted in tools]
    return Done([key for each in done for key in each.lost], [key for each in done for key in each.replaced])
