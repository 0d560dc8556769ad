"""Write what the scripts carry: parameter table and menu files by `make generate`, that is `python resolve_scripts/generate.py`.

The parameter table comes from grainlayer/params.py, the menu files from MENU. With a FOLDER behind the command the render presets are
written too: those that Resolve exported into FOLDER, with a few fields of their text changed.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any

from grainlayer.params import NOT_A_LOOK, TABLE, Effect, Param, Value, digest

HERE = Path(__file__).resolve().parent
NAMESPACE = uuid.UUID("5d9f4c5e-7c0c-4f0e-9a56-3d2f5b1c7e10")
SHARED = {"RecordClipUniqueName": "false", "RecordAudioEnabled": "false", "NumFramesOfHandles": "0"}
EXR_HALF, EXR_FLOAT, MOVIE = "EXR_RGB_half_(DWAA)", "EXR_RGB_float_(ZIP)", "QuickTime_"
PRESETS: dict[str, tuple[str, dict[str, str]]] = {
    "GrainLayer EXR half": (EXR_HALF, {"RecordFormatSubType": "ZIP", "RecordBitDepth": "16", "RecordAsFloat": "false"}),
    "GrainLayer EXR float": (EXR_FLOAT, {"RecordFormatSubType": "ZIP", "RecordBitDepth": "32", "RecordAsFloat": "true"}),
    "GrainLayer ProRes 422 HQ": (MOVIE + "Prores422Hq", {"RecordFormatSubType": "apch", "RecordBitDepth": "10"}),
    "GrainLayer ProRes 4444 XQ": (MOVIE + "ProresXQ", {"RecordFormatSubType": "ap4x", "RecordBitDepth": "16"}),
    "GrainLayer H264": (MOVIE + "H264", {"RecordFormatSubType": "avc1"}),
    "GrainLayer H265": (MOVIE + "H265", {"RecordFormatSubType": "hvc1_enc"}),
}
"""Our presets: the one of Resolve's that each is made from, and the fields that differ."""

SCRIPTS: dict[str, tuple[str, str]] = {
    "Utility/Grain - render layers": ("render_layers", "render clips as they are graded, split them into layers, and bring these back"),
    "Deliver/Grain - render layers": ("render_layers", "render clips as they are graded, split them into layers, and bring these back"),
    "Utility/Grain - export parameters": ("export_parameters", "write every clip's grain into a file and into markers"),
    "Utility/Grain - import parameters": (
        "import_parameters",
        "read such a file into markers, and into the sidecars that shots with Follow on obey",
    ),
    "Utility/Grain - apply Grain Split": ("apply_grain_split", "put the effect on clips through Fusion, or read its values back"),
    "Utility/Grain - copy look": ("copy_look", "give the look of one clip to others"),
}
"""The menu files: the module of the library that each starts, and what it does."""
MENU = '''"""{title}: {does}."""

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

start("{module}", globals())
'''


def menu_file(name: str) -> str:
    """Return the text of a menu file."""
    module, does = SCRIPTS[name]
    return MENU.format(title=name.partition("/")[2].replace(" - ", ": "), does=does, module=module)


def parameter_table() -> str:
    """Return the parameters as JSON, a line each."""
    rows = ",\n  ".join(json.dumps(_row(param)) for param in TABLE)
    return f'{{\n "digest": "{digest()}",\n "parameters": [\n  {rows}\n ]\n}}\n'


def _row(param: Param) -> dict[str, Any]:
    effects = "".join(letter for letter, effect in zip("SYR", Effect, strict=True) if effect in param.effects)
    facts = {"key": param.key, "kind": str(param.kind), "default": _plain(param.default), "low": param.low, "high": param.high}
    return facts | {"menu": [str(entry) for entry in param.menu], "effects": effects, "look": param.key not in NOT_A_LOOK}


def _plain(value: Value) -> Value:
    return str(value) if isinstance(value, str) else value


def preset_text(sample: str, name: str, fields: dict[str, str]) -> str:
    """Return a preset's text: Resolve's, with an id of our own and other values in some fields; the rest is set when it is used."""
    text = re.sub(r'DbId="[^"]*"', f'DbId="{uuid.uuid5(NAMESPACE, name)}"', sample, count=1)
    for field, value in {**SHARED, "RecordPrefix": name, **fields}.items():
        text, count = re.subn(rf"<{field}>[^<]*</{field}>", f"<{field}>{value}</{field}>", text, count=1)
        if count != 1:
            raise SystemExit(f"The preset for {name} has no field {field}; export it from Resolve 20 again.")
    return text


def texts() -> dict[str, str]:
    """Return what is generated without Resolve's own presets: paths in this folder, and their texts."""
    menus = {f"{name}.py": menu_file(name) for name in SCRIPTS}
    return {"lib/grain_scripts/parameters.json": parameter_table(), **menus}


def stale() -> list[str]:
    """Return the paths of generated files that are missing or not what they should be."""
    return [name for name, text in texts().items() if not (HERE / name).exists() or (HERE / name).read_text("utf-8") != text]


def main(arguments: list[str]) -> None:
    """Write what is stale, and the presets where their samples are given."""
    for name in stale():
        (HERE / name).write_text(texts()[name], "utf-8")
        sys.stdout.write(f"wrote resolve_scripts/{name}\n")
    for folder in arguments:
        for name, (sample, fields) in PRESETS.items():
            text = preset_text((Path(folder) / f"{sample}.xml").read_text("utf-8"), name, fields)
            (HERE / "presets" / f"{name}.xml").write_text(text, "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
