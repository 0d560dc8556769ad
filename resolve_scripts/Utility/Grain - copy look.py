"""Grain: copy look: give the look of one clip to others."""

import os
import sys


def library() -> str:
    """Return the folder of the scripts' library: beside this script's folder, else where Resolve keeps scripts."""
    here = globals().get("__file__") or library.__code__.co_filename
    home, program = os.path.expanduser("~"), os.environ.get("PROGRAMDATA", "")
    scripts = os.path.join("Blackmagic Design", "DaVinci Resolve", "Fusion", "Scripts")
    windows = os.path.join("Blackmagic Design", "DaVinci Resolve", "Support", "Fusion", "Scripts")
    roots = [
        os.environ.get("GRAINLAYER_SCRIPTS", ""),
        os.path.dirname(os.path.dirname(os.path.abspath(here))),
        os.path.join(home, ".local", "share", "DaVinciResolve", "Fusion", "Scripts"),
        os.path.join(home, "Library", "Application Support", scripts),
        os.path.join(os.environ.get("APPDATA", home), windows),
        os.path.join("/Library", "Application Support", scripts),
        os.path.join(program, windows),
        os.path.join("/opt", "resolve", "Fusion", "Scripts"),
    ]
    found = [os.path.join(root, folder, "lib") for root in roots if root for folder in ("GrainLayer", "")]
    for folder in found:
        if os.path.isdir(os.path.join(folder, "grain_scripts")):
            return folder
    raise SystemExit("The library of GrainLayer's scripts is missing; install GrainLayer again.")


sys.path.insert(0, library())

from grain_scripts.copy_look import TITLE, copy_look  # noqa: E402
from grain_scripts.shell import start  # noqa: E402

start(TITLE, copy_look, globals())
