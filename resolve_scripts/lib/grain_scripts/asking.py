"""Ask for a script's settings: in a window of Resolve where it has them, on the console where not, or not at all.

GRAINLAYER_SCRIPT_YES=1 asks nothing; GRAINLAYER_SCRIPT_<KEY> is the answer then, and the preset answer otherwise.
"""

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from grain_scripts.answers import ScriptError
from grain_scripts.window import ask_in_window

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

    from grain_scripts.session import Session

    Answers = Dict[str, Any]

PREFIX = "GRAINLAYER_SCRIPT_"


class Question(NamedTuple):
    """Hold one question. kind: choice, several (of the choices), switch, count, text, folder, file, new file."""

    key: str
    label: str
    kind: str
    default: str
    choices: "Tuple[str, ...]" = ()


def ask(title: str, questions: "List[Question]", session: "Session") -> "Answers":
    """Return the answers by key. Raise ScriptError if one is not legal, or if the user gives up."""
    asked = [question._replace(default=os.environ.get(PREFIX + question.key.upper(), question.default)) for question in questions]
    texts = _texts(title, asked, session)
    return {question.key: read_answer(question, texts[question.key]) for question in asked}


def _texts(title: str, questions: "List[Question]", session: "Session") -> "Dict[str, str]":
    if os.environ.get(PREFIX + "YES"):
        return {question.key: question.default for question in questions}
    found = ask_in_window(title, questions, session.fusion, session.bmd)
    return found if found is not None else _ask_on_console(title, questions)


def _ask_on_console(title: str, questions: "List[Question]") -> "Dict[str, str]":
    sys.stdout.write(title + "\n")
    return {question.key: _console_answer(question) for question in questions}


def _console_answer(question: Question) -> str:
    of = " ({})".format(", ".join(question.choices)) if question.choices else ""
    try:
        return input(f"{question.label}{of} [{question.default}]: ").strip() or question.default
    except (EOFError, OSError, RuntimeError) as error:
        advice = f"There is no window and no console to ask in; set {PREFIX}YES=1 and answers such as {PREFIX}{question.key.upper()}."
        raise ScriptError(advice) from error


def read_answer(question: Question, text: str) -> "Any":
    """Return the answer that a text spells. Raise ScriptError."""
    return _READ.get(question.kind, _text)(question, text.strip())


def _choice(question: Question, text: str) -> str:
    for choice in question.choices:
        if choice.lower() == text.lower():
            return choice
    raise ScriptError("{} must be one of {}; got {!r}.".format(question.label, ", ".join(question.choices), text))


def _several(question: Question, text: str) -> "List[str]":
    found = [_choice(question, part.strip()) for part in text.split(",") if part.strip()]
    if not found:
        raise ScriptError("{}: choose at least one of {}.".format(question.label, ", ".join(question.choices)))
    return [choice for choice in question.choices if choice in found]


def _switch(question: Question, text: str) -> bool:
    words = {"on": True, "yes": True, "true": True, "1": True, "off": False, "no": False, "false": False, "0": False}
    if text.lower() not in words:
        raise ScriptError(f"{question.label} must be on or off; got {text!r}.")
    return words[text.lower()]


def _count(question: Question, text: str) -> int:
    if not (text.isdigit() and len(text) < 5):
        raise ScriptError(f"{question.label} must be a whole number from 0 to 9999; got {text!r}.")
    return int(text)


def _path(question: Question, text: str) -> str:
    path = os.path.expanduser(text)
    if not os.path.isabs(path):
        raise ScriptError(f"{question.label} must be a full path, from the root on; got {text!r}.")
    return os.path.normpath(path)


def _file(question: Question, text: str) -> str:
    path = _path(question, text)
    if not os.path.isfile(path):
        raise ScriptError(f"There is no file {path}; choose one that exists.")
    return path


def _text(question: Question, text: str) -> str:
    return text


_READ: "Dict[str, Callable[[Question, str], Any]]" = {
    "choice": _choice,
    "several": _several,
    "switch": _switch,
    "count": _count,
    "folder": _path,
    "new file": _path,
    "file": _file,
}


def tell(sentence: "Optional[str]") -> None:
    """Print a sentence where Resolve's console, or a terminal, shows it."""
    if sentence:
        sys.stdout.write(sentence + "\n")
        sys.stdout.flush()
