"""Write the grain of a timeline's clips into a file and into their markers."""

import os
from typing import TYPE_CHECKING

from grain_scripts.answers import PutBack, ScriptError
from grain_scripts.asking import Question, ask, tell
from grain_scripts.looks import Looks, collect, write_file
from grain_scripts.notes import write_note
from grain_scripts.session import SCOPES, Session, clips, name_of
from grain_scripts.telling import keyframes_stand, markers_said, sentence

if TYPE_CHECKING:
    from typing import List

TITLE = "Grain: export parameters"


def _questions(name: str) -> "List[Question]":
    path = os.path.join(os.path.expanduser("~"), file_name(name) + ".grain.json")
    return [
        Question("scope", "Clips", "choice", SCOPES[0], SCOPES),
        Question("file", "File", "new file", path),
        Question("overwrite", "Replace an existing file", "switch", "off"),
    ]


def file_name(name: str) -> str:
    """Return a timeline's name as a file's: letters that some system refuses become underscores."""
    return "".join("_" if letter in '<>:"/\\|?*' or ord(letter) < 32 else letter for letter in name).strip(" .") or "timeline"


def export_parameters(session: Session) -> str:
    """Export, and return what was done in a sentence. Raise ScriptError, leaving file and markers as they were."""
    name = name_of(session.timeline)
    answers = ask(TITLE, _questions(name), session)
    path = answers["file"]
    if os.path.exists(path) and not answers["overwrite"]:
        raise ScriptError(f"{path} exists; choose another file, or switch on replacing.")
    with PutBack(tell) as back:
        looks = collect(clips(session, answers["scope"]))
        for look in looks.all:
            write_note(look.noted, look.facts, back)
        write_file(path, name, looks, back)
    done = f"{len(looks.all)} shots are in {path}, {looks.journaled} of them with the values that the host rendered"
    return sentence(done, *journal_told(looks))


def journal_told(looks: Looks) -> "List[str]":
    """Return what the journal changed, for a sentence on looks whose file keeps what gave way."""
    return [
        markers_said(looks.replaced) + ", and these values are kept in the file" if looks.replaced else "",
        keyframes_stand((look.name, look.doubtful) for look in looks.all),
        f"{looks.damaged} damaged files of the journal were passed over" if looks.damaged else "",
    ]
