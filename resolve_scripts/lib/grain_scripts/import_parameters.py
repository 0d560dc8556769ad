"""Read a file of grain parameters: write the sidecars that shots with Follow on obey, and the clips' markers."""

import os
from typing import TYPE_CHECKING

from grain_scripts.answers import PutBack, ScriptError
from grain_scripts.asking import Question, ask, tell
from grain_scripts.export_parameters import file_name
from grain_scripts.looks import keep_replaced, read_file
from grain_scripts.notes import Noted, grain_of, read_notes, save_sidecar, write_note
from grain_scripts.session import SCOPES, Session, clip_name, clips, name_of
from grain_scripts.telling import markers_said, named, sentence

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from grain_scripts.telling import Replaced

    Facts = Dict[str, Any]
    Pairs = List[Tuple[Noted, Facts]]

TITLE = "Grain: import parameters"


def _questions(name: str) -> "List[Question]":
    path = os.path.join(os.path.expanduser("~"), file_name(name) + ".grain.json")
    return [Question("file", "File", "file", path), Question("scope", "Clips", "choice", SCOPES[0], SCOPES)]


def import_parameters(session: Session) -> str:
    """Import, and return what was done in a sentence. Raise ScriptError, leaving sidecars and markers as they were."""
    answers = ask(TITLE, _questions(name_of(session.timeline)), session)
    shots: Dict[str, Facts] = {shot["uid"]: shot for shot in read_file(answers["file"])["shots"]}
    with PutBack(tell) as back:
        pairs, unsure = match(read_notes(clips(session, answers["scope"])), shots)
        replaced: Replaced = []
        for noted, facts in pairs:
            before = _said_otherwise(noted, facts)
            if before:
                replaced.append((before["name"], before, facts))
                keep_replaced(facts["uid"], before, back)
            write_note(noted, facts, back)
        for facts in shots.values():
            save_sidecar(facts, back)
    return sentence(
        f"{len(shots)} shots are imported and {len(pairs)} clips are marked; switch Follow on where a clip shall obey",
        markers_said(replaced) + ", and these values are kept for the next export" if replaced else "",
        f"more than one clip could be {named(unsure)}, so give these the right uid by hand" if unsure else "",
    )


def _said_otherwise(noted: Noted, facts: "Facts") -> "Optional[Facts]":
    """Return what a clip's marker said, if that is legal and not what the file says."""
    try:
        if noted.frame is None or not noted.whole or grain_of(noted.facts) == grain_of(facts):
            return None
    except ScriptError:
        return None
    return dict(noted.facts, name=clip_name(noted.item))


def match(notes: "List[Noted]", shots: "Dict[str, Facts]") -> "Tuple[Pairs, List[str]]":
    """Return which clip is which shot: by uid, else by a name that one clip and one shot alone have; and the names that were not clear."""
    pairs = [(noted, shots[noted.uid]) for noted in notes if noted.uid in shots]
    taken = {noted.uid for noted, _ in pairs}
    rest = [shot for uid, shot in shots.items() if uid not in taken and shot.get("name")]
    unsure: List[str] = []
    free = [(noted, clip_name(noted.item)) for noted in notes if noted.uid not in taken]
    for noted, name in free:
        named_so = [shot for shot in rest if shot["name"] == name]
        alone = sum(other == name for _, other in free) == 1
        if len(named_so) == 1 and alone:
            pairs.append((noted, named_so[0]))
        elif named_so:
            unsure.append(name)
    return pairs, sorted(set(unsure))
