"""Grain: apply Grain Split: put the effect on clips through Fusion, or read its values back."""

# Written by `make generate`: each menu file finds the library by itself, for Resolve may run it without telling where it lies.
import os
import sys

here = os.path.abspath(globals().get("__file__") or (lambda: None).__code__.co_filename)
home, maker = os.path.expanduser("~"), "/Blackmagic Design/DaVinci Resolve"
roots = [
    os.environ.get("GRAINLAYER_SCRIPTS") or here,
    os.path.dirname(os.path.dirname(here)),
    home + "/.local/share/DaVinciResolve/Fusion/Scripts",
    home + "/Library/Application Support" + maker + "/Fusion/Scripts",
    os.environ.get("APPDATA", home) + maker + "/Support/Fusion/Scripts",
    "/Library/Application Support" + maker + "/Fusion/Scripts",
    os.environ.get("PROGRAMDATA", home) + maker + "/Support/Fusion/Scripts",
    "/opt/resolve/Fusion/Scripts",
]
found = [os.path.join(root, folder, "lib") for root in roots for folder in ("GrainLayer", "")]
sys.path[:0] = [folder for folder in found if os.path.isdir(os.path.join(folder, "grain_scripts"))][:1]
try:
    from grain_scripts.shell import start
except ImportError as error:
    raise SystemExit("The library of GrainLayer's scripts is missing; install GrainLayer again.") from error

start("apply_grain_split", globals())
