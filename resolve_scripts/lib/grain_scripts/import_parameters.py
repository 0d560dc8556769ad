"""Read a file of grain parameters: write the sidecars that shots with Follow on obey, and the clips' markers."""

import os
from typing import TYPE_CHECKING

from grain_scripts.answers import PutBack
from grain_scripts.asking import Question, ask, tell
from grain_scripts.export_parameters import file_name
from grain_scripts.looks import read_file
from grain_scripts.notes import Noted, read_notes, save_sidecar, write_note
from grain_scripts.session import SCOPES, Session, clip_name, clips, name_of

if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

    Facts = Dict[str, Any]

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
        for noted, facts in pairs:
            write_note(noted, facts, back)
        for facts in shots.values():
            save_sidecar(facts, back)
    return _sentence(len(shots), len(pairs), unsure)


def match(notes: "List[Noted]", shots: "Dict[str, Facts]") -> "Tuple[List[Tuple[Noted, Facts]], List[str]]":
    """Return which clip is which shot: by uid, else by a name that one clip and one shot alone have; and the names that were not clear."""
    pairs = [(noted, shots[noted.uid]) for noted in notes if noted.uid in shots]
    taken = {noted.uid for noted, _ in pairs}
    rest = [shot for uid, shot in shots.items() if uid not in taken and shot.get("name")]
    unsure: List[str] = []
    free = [(noted, clip_name(noted.item)) for noted in notes if noted.uid not in taken]
    for noted, name in free:
        named = [shot for shot in rest if shot["name"] == name]
        alone = sum(other == name for _, other in free) == 1
        if len(named) == 1 and alone:
            pairs.append((noted, named[0]))
        elif named:
            unsure.append(name)
    return pairs, sorted(set(unsure))


def _sentence(shots: int, clips_found: int, unsure: "List[str]") -> str:
    done = f"{shots} shots are imported and {clips_found} clips are marked; switch Follow on where a clip shall obey"
    if unsure:
        done += "; more than one clip could be {}, so give these the right uid by hand".format(", ".join(unsure))
    return done + "."
