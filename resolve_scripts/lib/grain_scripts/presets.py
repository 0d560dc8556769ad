"""Name the render presets that come with the scripts."""

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from grain_scripts.answers import ScriptError
from grain_scripts.program import root_folder

if TYPE_CHECKING:
    from typing import Any, Dict, Tuple


class Preset(NamedTuple):
    """Hold one preset. name: its own and its file's; words: those of the codec's description; settings: what it needs besides."""

    key: str
    name: str
    label: str
    extension: str
    words: "Tuple[str, ...]"
    settings: "Dict[str, Any]"

    def fits(self, description: str) -> bool:
        """Say whether a codec's description in Resolve has all of the preset's words."""
        return set(self.words) <= set(re.findall("[a-z]+|[0-9]+", description.lower()))


PRESETS = (
    Preset("exr half", "GrainLayer EXR half", "EXR, half float (ZIP)", "exr", ("half", "zip"), {}),
    Preset("exr float", "GrainLayer EXR float", "EXR, float (ZIP)", "exr", ("float", "zip"), {}),
    Preset("prores 422 hq", "GrainLayer ProRes 422 HQ", "ProRes 422 HQ", "mov", ("prores", "422", "hq"), {}),
    Preset("prores 4444 xq", "GrainLayer ProRes 4444 XQ", "ProRes 4444 XQ", "mov", ("prores", "4444", "xq"), {}),
    Preset("h264", "GrainLayer H264", "H.264", "mov", ("h", "264"), {"VideoQuality": "Best"}),
    Preset("h265", "GrainLayer H265", "H.265, 10 bits", "mov", ("h", "265"), {"VideoQuality": "Best", "EncodingProfile": "Main10"}),
)


def find_preset(key: str) -> Preset:
    """Return the preset of that key."""
    return next(preset for preset in PRESETS if preset.key == key)


def preset_path(preset: Preset) -> str:
    """Return the file of a preset. Raise ScriptError if it is missing."""
    path = os.path.join(root_folder(), "presets", preset.name + ".xml")
    if not os.path.isfile(path):
        raise ScriptError(f"The render preset {path} is missing; install the scripts again.")
    return path
