"""Run a script from a menu: say in one sentence what was done, or what failed and what to do."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from grain_scripts.answers import ScriptError
from grain_scripts.asking import tell
from grain_scripts.session import connect
from grain_scripts.window import show_message

if TYPE_CHECKING:
    from typing import Any, Callable, Dict

    from grain_scripts.session import Session


def start(name: str, names: "Dict[str, Any]") -> int:
    """Run the function of a module, both of that name, with the Resolve of a menu file's globals; return 0, or 1 if it failed.

    Outside Resolve's menu a failure ends the program.
    """
    module = import_module("grain_scripts." + name)
    code, sentence = _run(getattr(module, name), names)
    tell(f"{module.TITLE}: {sentence}")
    if code and names.get("resolve"):
        show_message(module.TITLE, sentence, names.get("fusion") or names.get("fu"), names.get("bmd"))
    if code and not names.get("resolve"):
        sys.exit(code)
    return code


def _run(script: "Callable[[Session], str]", names: "Dict[str, Any]") -> "tuple[int, str]":
    try:
        return 0, script(connect(names))
    except ScriptError as error:
        return 1, str(error)
    except KeyboardInterrupt:
        return 1, "Stopped; the project is as it was."
    except MemoryError:
        return 1, "There is not enough memory; close other programs and run the script again."
    except Exception as error:  # the bridge raises anything once Resolve has gone or lacks a call
        text = " ".join(str(error).split())[:200]
        return 1, f"Resolve did not answer as expected ({type(error).__name__}: {text}); restart it and run the script again."
