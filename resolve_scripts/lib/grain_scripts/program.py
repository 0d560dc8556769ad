"""Find the program `grainlayer` and run it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from grain_scripts.answers import ScriptError

if TYPE_CHECKING:
    from typing import IO, Any, Callable, Dict, List

OF_RESOLVE = ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Variables that Resolve sets for itself and that would lead another program astray."""
NO_WINDOW = 0x08000000
"""CREATE_NO_WINDOW of Windows."""


def root_folder() -> str:
    """Return the folder that holds `lib` and `presets`."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def find_program() -> str:
    """Return the program: GRAINLAYER_PROGRAM, else the first line of a file `grainlayer.path` beside the scripts, else from PATH."""
    named = os.environ.get("GRAINLAYER_PROGRAM") or _from_file(root_folder()) or _from_file(os.path.dirname(root_folder()))
    found = shutil.which(named or "grainlayer")
    if found:
        return found
    if named:
        raise ScriptError(f"The program {named} cannot be run; correct GRAINLAYER_PROGRAM or the file grainlayer.path.")
    raise ScriptError(f"The program grainlayer is not found; install it, or write its path into {_path_file(root_folder())}.")


def _path_file(folder: str) -> str:
    return os.path.join(folder, "grainlayer.path")


def _from_file(folder: str) -> str:
    try:
        with open(_path_file(folder), encoding="utf-8-sig") as file:
            return file.readline().strip()
    except OSError:
        return ""


def run(arguments: "List[str]", tell: "Callable[[str], None]") -> "Dict[str, Any]":
    """Run the program to its end and return its report, the last line of its output; `tell` gets its progress. Raise ScriptError."""
    command = [find_program(), *arguments]
    environment = {key: value for key, value in os.environ.items() if key not in OF_RESOLVE}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        try:
            code, last = _run(command, environment, output, tell)
        except OSError as error:
            raise ScriptError(f"{command[0]} cannot be run ({error.strerror}); install it again.") from error
        if code != 0:
            raise ScriptError(_sentence(last, arguments[0]))
        output.seek(0)
        return _report(output.read(), arguments[0])


def _run(command: "List[str]", environment: "Dict[str, str]", output: "IO[str]", tell: "Callable[[str], None]") -> "tuple[int, str]":
    flags = NO_WINDOW if sys.platform == "win32" else 0
    last = ""
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        creationflags=flags,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            last = line.strip() or last
            tell(line.rstrip())
    return process.returncode, last


def _sentence(last: str, command: str) -> str:
    start = "grainlayer: "
    if last.startswith(start):
        return last[len(start) :]
    return "grainlayer {} failed{}; run it in a terminal to see why.".format(command, " (" + last + ")" if last else "")


def _report(text: str, command: str) -> "Dict[str, Any]":
    lines = text.strip().splitlines()
    try:
        report = json.loads(lines[-1]) if lines else None
    except ValueError:
        report = None
    if not isinstance(report, dict):
        raise ScriptError(f"grainlayer {command} gave no report; install the version that belongs to these scripts.")
    return report
