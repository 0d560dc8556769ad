"""Name the render presets that come with the scripts."""

import os
import re
import uuid
from typing import TYPE_CHECKING, NamedTuple

from grain_scripts.answers import ScriptError
from grain_scripts.program import root_folder
from grain_scripts.state import write_whole

if TYPE_CHECKING:
    from typing import Any, Dict, Tuple


class Preset(NamedTuple):
    """Hold one preset. name: its own and its file's; words: those of the codec's description; settings: what it needs besides.

    base, grain  in what `grainlayer deliver` writes the layers of such renders, unless told otherwise
    """

    key: str
    name: str
    label: str
    extension: str
    words: "Tuple[str, ...]"
    settings: "Dict[str, Any]"
    base: str
    grain: str

    def fits(self, description: str) -> bool:
        """Say whether a codec's description in Resolve has all of the preset's words."""
        return set(self.words) <= set(re.findall("[a-z]+|[0-9]+", description.lower()))


BEST: "Dict[str, Any]" = {"VideoQuality": "Best"}
MAIN_10: "Dict[str, Any]" = {"VideoQuality": "Best", "EncodingProfile": "Main10"}
HQ, XQ = ("prores", "422", "hq"), ("prores", "4444", "xq")
PRESETS = (
    Preset("exr half", "GrainLayer EXR half", "EXR, half float (ZIP)", "exr", ("half", "zip"), {}, "exr", "exr"),
    Preset("exr float", "GrainLayer EXR float", "EXR, float (ZIP)", "exr", ("float", "zip"), {}, "exr", "exr"),
    Preset("prores 422 hq", "GrainLayer ProRes 422 HQ", "ProRes 422 HQ", "mov", HQ, {}, "prores", "prores4444"),
    Preset("prores 4444 xq", "GrainLayer ProRes 4444 XQ", "ProRes 4444 XQ", "mov", XQ, {}, "prores", "prores4444"),
    Preset("h264", "GrainLayer H264", "H.264", "mov", ("h", "264"), BEST, "hevc", "exr"),
    Preset("h265", "GrainLayer H265", "H.265, 10 bits", "mov", ("h", "265"), MAIN_10, "hevc", "exr"),
)
RENDER = "GrainLayer render"
"""Name under which a preset is in Resolve while a script renders, so that no preset of the user's is touched."""
LIKE_THE_RENDER = "like the render"
BASES = (LIKE_THE_RENDER, "exr", "prores", "hevc", "av1")
GRAINS = (LIKE_THE_RENDER, "exr", "prores4444")
"""The formats of `grainlayer deliver` that Resolve reads."""


def find_preset(key: str) -> Preset:
    """Return the preset of that key."""
    return next(preset for preset in PRESETS if preset.key == key)


def preset_path(preset: Preset) -> str:
    """Return the file of a preset. Raise ScriptError if it is missing."""
    path = os.path.join(root_folder(), "presets", preset.name + ".xml")
    if not os.path.isfile(path):
        raise ScriptError(f"The render preset {path} is missing; install the scripts again.")
    return path


def write_preset(preset: Preset, handles: int, folder: str) -> str:
    """Write a preset's file as it is used for a while: named RENDER, with so many frames more at both ends; return its path.

    Handles are in the preset's text because before 21.0.4 no call sets them. Raise ScriptError.
    """
    with open(preset_path(preset), encoding="utf-8") as file:
        text = file.read()
    fields = {"RecordPrefix": RENDER, "NumFramesOfHandles": str(handles)}
    for field, value in fields.items():
        text, count = re.subn(f"<{field}>[^<]*</{field}>", f"<{field}>{value}</{field}>", text)
        if not count:
            raise ScriptError(f"The render preset {preset_path(preset)} has no field {field}; install the scripts again.")
    path = os.path.join(folder, RENDER + ".xml")
    write_whole(path, re.sub('DbId="[^"]*"', f'DbId="{uuid.uuid4()}"', text, count=1))
    return path
