"""Say what is to be delivered, and how the files are named."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

from grainlayer.editorial.shots import PlacedShot, Shot
from grainlayer.errors import ParamError, TimelineError
from grainlayer.picture.media import Fields

LAYERS = ("base", "grain", "result", "stream")
BASE_SUFFIXES = {"av1": ".mp4", "hevc": ".mp4", "vvc": ".mp4", "prores": ".mov", "exr": ".exr", "ffv1": ".mkv"}
"""Codecs of the base, and what each is written into."""
GRAIN_SUFFIXES = {"exr": ".exr", "prores4444": ".mov", "ffv1": ".mkv"}
RESULT_CODECS = {"exr": "exr", "ffv1": "ffv1"}
"""In what a result is written, by the codec of its base: ProRes for all others."""
TEMPLATE = "{index:03d}_{name}_{layer}"
FIELDS_OF_NAMES = ("index", "name", "layer", "uid", "track", "media")
HIDDEN = ".grainlayer"
"""The folder, in that of a delivery, for what is no deliverable."""
NUMBER = "%08d"
"""How the files of a sequence are numbered."""
LONGEST_NAME = 100


@dataclass(frozen=True)
class Order:
    """Say which layers of a timeline are wanted, and in what. Raise ParamError for what does not go together.

    handles   pictures before and after the used range, in frames of the source
    template  names the files, without suffix; fields are those of FIELDS_OF_NAMES
    absolute  whether the delivered timeline names its media by absolute paths
    """

    layers: tuple[str, ...] = LAYERS
    base_codec: str = "av1"
    grain_format: str = "exr"
    handles: int = 0
    template: str = TEMPLATE
    crf: float | None = None
    preset: str | None = None
    device: str = "auto"
    model: str | None = None
    fields: Fields = "refuse"
    absolute: bool = False

    def __post_init__(self) -> None:
        """Check the names and what must fit together."""
        unknown = [layer for layer in self.layers if layer not in LAYERS]
        if unknown or not self.layers:
            raise ParamError(f"There is no layer {', '.join(unknown) or 'named'}; choose among {', '.join(LAYERS)}.")
        for what, value, known in (("base codec", self.base_codec, BASE_SUFFIXES), ("grain format", self.grain_format, GRAIN_SUFFIXES)):
            if value not in known:
                raise ParamError(f"There is no {what} {value!r}; choose one of {', '.join(known)}.")
        if self.grain_format == "ffv1" and self.base_codec == "exr" and "grain" in self.layers:
            raise ParamError("Grain in FFV1 needs a base of whole numbers, and EXR holds floats; choose --grain-format exr.")
        if self.handles < 0:
            raise ParamError(f"Handles are counted in frames, 0 or more; got {self.handles}.")

    @property
    def needs_base(self) -> bool:
        """Say whether a base is rendered: all but the stream are made from it."""
        return bool({"base", "grain", "result"} & set(self.layers))

    @property
    def twins(self) -> bool:
        """Say whether base and grain are stored alike and without loss: the base then takes up what its grain cannot hold."""
        return self.base_codec == self.grain_format

    @property
    def movie_base(self) -> bool:
        """Say whether the base is delivered as a movie, which carries the grain stream or has it beside it."""
        return "base" in self.layers and self.base_codec != "exr"

    @property
    def result_codec(self) -> str:
        """Return in what results are written."""
        return RESULT_CODECS.get(self.base_codec, "prores")

    def facts(self) -> dict[str, Any]:
        """Return the order as JSON holds it."""
        return asdict(self) | {"layers": list(self.layers)}


@dataclass(frozen=True)
class Site:
    """Say where layers go.

    edit       what the delivery is known by: the edit's path, or a name that the user chose
    overwrite  whether files that are none of this delivery may be replaced
    """

    out: Path
    edit: str
    overwrite: bool = False


@dataclass(frozen=True)
class Task:
    """Hold all that the layers of one clip depend on, the order apart.

    media        path of the movie, still or sequence
    start, stop  frames delivered, indices in the media
    number       number of the first delivered picture: a sequence's own, else its place in the media's timecode
    timecode     of the first delivered picture, None where the media has none
    rate         frames a second of a sequence whose files do not say
    stems        relative path of each layer, without suffix
    """

    index: int
    name: str
    media: Path
    start: int
    stop: int
    number: int
    timecode: str | None
    rate: Fraction
    shot: Shot
    stems: Mapping[str, str]

    def __hash__(self) -> int:
        """Hash by what identifies the task."""
        return hash((self.index, self.media, self.start, self.stop))

    @property
    def frames(self) -> int:
        """Return how many pictures are delivered."""
        return self.stop - self.start

    @property
    def key(self) -> str:
        """Return the name of this clip's records, which no other clip has: what its files are called."""
        stem = self.stems["report"]
        plain = re.sub(r"[^\w.+-]", "_", stem)
        return plain if plain == stem else f"{plain}-{hashlib.sha256(stem.encode()).hexdigest()[:8]}"

    def base(self, order: Order) -> str:
        """Return the base's path as a deliverable."""
        return file_of(self.stems["base"], BASE_SUFFIXES[order.base_codec])

    def hidden_base(self, order: Order) -> str:
        """Return the base's path where it is needed but not asked for: among the hidden files."""
        return file_of(f"{HIDDEN}/bases/{self.key}", BASE_SUFFIXES[order.base_codec])

    def grain(self, order: Order) -> str:
        """Return the grain's path."""
        return file_of(self.stems["grain"], GRAIN_SUFFIXES[order.grain_format])

    def result(self, order: Order) -> str:
        """Return the result's path."""
        return file_of(self.stems["result"], BASE_SUFFIXES[order.result_codec])

    def stream(self, order: Order) -> str:
        """Return the grain stream's path: beside a base that is a movie, under its name, where players look for it."""
        return self.stems["base" if order.movie_base else "stream"] + ".grain"

    def layers(self, order: Order) -> dict[str, str]:
        """Return the paths of the layers asked for."""
        paths = {"base": self.base, "grain": self.grain, "result": self.result, "stream": self.stream}
        return {layer: path(order) for layer, path in paths.items() if layer in order.layers}

    @property
    def report(self) -> str:
        """Return the report's path."""
        return self.stems["report"] + ".json"

    @property
    def measure(self) -> str:
        """Return the path of what was measured of the clip's grain."""
        return f"{HIDDEN}/measures/{self.key}.grain"


def file_of(stem: str, suffix: str) -> str:
    """Return a layer's path: a movie, or the pattern of a sequence in a folder of its own."""
    return f"{stem}/{PurePosixPath(stem).name}.{NUMBER}{suffix}" if suffix == ".exr" else stem + suffix


def unit_of(path: str) -> str:
    """Return what is put in place at once: a movie, or the folder of a sequence."""
    return str(PurePosixPath(path).parent) if path.endswith(f".{NUMBER}.exr") else path


def stems_of(placed: PlacedShot, template: str, media: Path) -> dict[str, str]:
    """Return the paths of a clip's layers without suffix. Raise TimelineError if the template is none."""
    values = {
        "index": placed.index,
        "name": safe_part(placed.name) or "clip",
        "uid": safe_part(placed.uid) or "none",
        "track": placed.placement.track + 1,
        "media": safe_part(re.sub(r"[.]?%0?\d*d|[.]?#+", "", media.stem)) or "media",
    }
    return {layer: _stem(template, values | {"layer": layer}) for layer in (*LAYERS, "report")}


def _stem(template: str, values: Mapping[str, Any]) -> str:
    try:
        text = template.format_map(values)
    except (KeyError, ValueError, IndexError, AttributeError, TypeError) as error:
        fields = ", ".join(FIELDS_OF_NAMES)
        raise TimelineError(f"The template {template!r} cannot be used ({error}); its fields are {fields}, as in {TEMPLATE}.") from error
    parts = PurePosixPath(text).parts
    if not parts or PurePosixPath(text).is_absolute() or any(part.startswith(".") or "\\" in part for part in parts):
        raise TimelineError(f"The template {template!r} gives the name {text!r}, which is none inside the delivery; begin with {TEMPLATE}.")
    return "/".join(parts)


def safe_part(text: str) -> str:
    """Return a text as part of a file's name on any system."""
    return re.sub(r"[^\w+-]+", "_", text).strip("_")[:LONGEST_NAME]


def check_names(stems: Mapping[int, Mapping[str, str]]) -> None:
    """Raise TimelineError if two files of a delivery would have one name; `stems` are the clips' by their numbers."""
    seen: dict[str, tuple[int, str]] = {}
    for index, layers in stems.items():
        for layer, stem in layers.items():
            other, first = seen.setdefault(stem.casefold(), (index, layer))
            if (other, first) != (index, layer):
                named = f"clip {other} and clip {index}" if other != index else f"two layers of clip {index} ({first}, {layer})"
                raise TimelineError(f"The template gives the name {stem!r} to {named}; put {{index}} and {{layer}} into it.")
