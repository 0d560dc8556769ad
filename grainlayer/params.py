"""Declare every user-facing parameter of one shot, once.

Command-line options, effect descriptors, edit metadata, docs/parameters.md and the tests' strategies are derived from TABLE.
Keys are for ever; a new parameter's default means "no change"; menu entries are append-only.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from numbers import Integral, Real
from typing import Any, cast

from grainlayer.errors import ParamError
from grainlayer.types import Encoding

Value = float | int | bool | str
"""A parameter's value; a choice is the text of its menu entry."""


class Effect(StrEnum):
    """The effects that a host lists."""

    GRAIN_SPLIT = "GrainSplit"
    GRAIN_SYNTH = "GrainSynth"
    ARTIFACT_RESTORE = "ArtifactRestore"


class Kind(StrEnum):
    """What a parameter holds."""

    FLOAT = "float"
    INT = "int"
    BOOL = "bool"
    CHOICE = "choice"
    TEXT = "text"


class Group(StrEnum):
    """The headings under which parameters are shown."""

    GENERAL = "General"
    REMOVAL = "Removal"
    GRAIN = "Grain"
    RESTORE = "Restore"


class View(StrEnum):
    """What a render shows."""

    RESULT = "Result"
    BASE = "Base"
    GRAIN = "Grain"
    GRAIN_X4 = "Grain x4"
    DIFFERENCE = "Difference"
    SPLIT = "Split"
    STATUS = "Status"


class Quality(StrEnum):
    """Which network removes the grain."""

    DEFAULT = "default"
    REAL_TIME = "real-time"
    QUALITY = "quality"
    TEMPORAL = "temporal"


class LevelMode(StrEnum):
    """Where the grain's strength comes from."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class ProfileSource(StrEnum):
    """Where the grain profile comes from."""

    THIS_SHOT = "this shot"
    BOX = "box"
    FILE = "file"
    STOCK = "stock"


class GrainSource(StrEnum):
    """Which grain is added to the base."""

    OWN = "own"
    RESYNTHESISED = "resynthesised"
    NEURAL = "neural"
    STOCK = "stock"


class Stock(StrEnum):
    """Film stocks by gauge, speed and kind; the text is id and label."""

    F8_50 = "8mm 50 colour"
    F8_200 = "8mm 200 colour"
    F8_500 = "8mm 500 colour"
    F8_BW = "8mm black-and-white"
    F16_50 = "16mm 50 colour"
    F16_100_BW = "16mm 100 black-and-white"
    F16_250 = "16mm 250 colour"
    F16_500 = "16mm 500 colour"
    F35_50 = "35mm 50 colour"
    F35_100_BW = "35mm 100 black-and-white"
    F35_200 = "35mm 200 colour"
    F35_250 = "35mm 250 colour"
    F35_400_BW = "35mm 400 black-and-white"
    F35_500 = "35mm 500 colour"
    F35_800 = "35mm 800 colour"
    F65_50 = "65mm 50 colour"
    F65_250 = "65mm 250 colour"
    F65_500 = "65mm 500 colour"


SPLIT, SYNTH, RESTORER = Effect.GRAIN_SPLIT, Effect.GRAIN_SYNTH, Effect.ARTIFACT_RESTORE
SHOWN_IN: Mapping[Group, frozenset[Effect]] = {
    Group.GENERAL: frozenset(Effect),
    Group.REMOVAL: frozenset({SPLIT, SYNTH}),
    Group.GRAIN: frozenset({SPLIT, SYNTH}),
    Group.RESTORE: frozenset({RESTORER}),
}
"""The effects that show each group."""

SWITCH_WORDS: Mapping[str, bool] = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}


@dataclass(frozen=True, kw_only=True)
class Param:
    """Describe one parameter.

    key        its name for ever; `flag` is the same for a command line
    low, high  the legal range, inclusive; for text, `high` is the greatest length in characters
    shown      the range of a slider, inside the legal one
    menu       the entries of a choice, in the order in which hosts number them
    synth_default, synth_menu  what Grain Synth has instead, where it differs
    """

    key: str
    kind: Kind
    group: Group
    label: str
    hint: str
    default: Value
    low: float
    high: float
    shown: tuple[float, float]
    unit: str
    menu: tuple[str, ...]
    synth_default: Value | None
    synth_menu: tuple[str, ...]

    @property
    def flag(self) -> str:
        """Return the command-line spelling: `--grain-amount` for grain_amount."""
        return "--" + self.key.replace("_", "-")

    @property
    def effects(self) -> frozenset[Effect]:
        """Return the effects that show this parameter."""
        return SHOWN_IN[self.group]

    def for_effect(self, effect: Effect) -> Param:
        """Return the parameter as `effect` shows it: with its default and menu. Raise ParamError if it does not show it."""
        if effect not in self.effects:
            raise ParamError(f"{effect} has no parameter {self.key}; use one of {', '.join(p.key for p in for_effect(effect))}.")
        if effect is not SYNTH or self.synth_default is None:
            return self
        return replace(self, default=self.synth_default, menu=self.synth_menu or self.menu)

    def range_text(self) -> str:
        """Return the legal values in words, without a full stop."""
        if self.kind is Kind.BOOL:
            return "on or off"
        if self.kind is Kind.CHOICE:
            return "one of " + ", ".join(self.menu)
        if self.kind is Kind.TEXT:
            return f"text of at most {plain(self.high)} characters"
        return f"{'a whole number' if self.kind is Kind.INT else 'a number'} from {plain(self.low)} to {plain(self.high)}"

    def check(self, value: object) -> Value:
        """Return `value` in the parameter's own type. Raise ParamError, naming key, value and range, if it is not legal."""
        result = _convert(self, value)
        if result is None:
            raise ParamError(f"{self.key} must be {self.range_text()}; got {_excerpt(value)}.")
        return result

    def parse(self, text: str) -> Value:
        """Return the value that `text` spells, as on a command line; menus and switches ignore case. Raise ParamError."""
        word = text.strip().casefold()
        if self.kind is Kind.BOOL:
            return self.check(SWITCH_WORDS.get(word, text))
        if self.kind is Kind.CHOICE:
            return self.check(next((entry for entry in self.menu if entry.casefold() == word), text))
        if self.kind is Kind.TEXT:
            return self.check(text)
        return self.check(_number(text, whole=self.kind is Kind.INT))


def plain(number: float) -> str:
    """Write a bound as people do: 4, 0.25."""
    return str(int(number)) if number == int(number) else f"{number:g}"


def _excerpt(value: object) -> str:
    text = repr(str(value)) if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _number(text: str, *, whole: bool) -> float | int | str:
    """Return the number that `text` spells, or `text` itself where it spells none."""
    try:
        return int(text) if whole else float(text)
    except ValueError:
        return text


def _convert(param: Param, value: object) -> Value | None:
    """Return `value` as the parameter's own type, or None if it is not legal. NaN and infinities are not."""
    if isinstance(value, bool):
        return value if param.kind is Kind.BOOL else None
    if param.kind is Kind.FLOAT and isinstance(value, Real):
        return _within(param, float(value))
    if param.kind is Kind.INT and isinstance(value, Integral):
        return _within(param, int(value))
    if param.kind is Kind.CHOICE and isinstance(value, str):
        return next((entry for entry in param.menu if entry == value), None)
    if param.kind is Kind.TEXT and isinstance(value, str):
        return value if len(value) <= param.high and _storable(value) else None
    return None


def _within(param: Param, number: float) -> float | None:
    return number if math.isfinite(number) and param.low <= number <= param.high else None


def _storable(text: str) -> bool:
    """Say whether both a C string and a UTF-8 file can hold `text`."""
    return not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text)


KINDS: Mapping[type, Kind] = {bool: Kind.BOOL, int: Kind.INT, float: Kind.FLOAT, str: Kind.TEXT}


def _param(
    group: Group,
    label: str,
    default: Value,
    hint: str,
    *,
    low: float = 0,
    high: float = 1,
    shown: tuple[float, float] | None = None,
    unit: str = "",
    synth_default: Value | None = None,
    synth_menu: tuple[str, ...] = (),
) -> Any:
    """Declare a field of ShotParams; its kind follows from the default's type, a choice's menu is the default's enumeration."""
    menu = tuple(type(default)) if isinstance(default, StrEnum) else ()
    param = Param(
        key="",
        kind=Kind.CHOICE if menu else KINDS[type(default)],
        group=group,
        label=label,
        hint=hint,
        default=default,
        low=low,
        high=high,
        shown=shown or (low, high),
        unit=unit,
        menu=menu,
        synth_default=synth_default,
        synth_menu=synth_menu,
    )
    return field(default=default, metadata={"param": param})


_ALL, _OUT, _IN, _FIX = Group.GENERAL, Group.REMOVAL, Group.GRAIN, Group.RESTORE


@dataclass(frozen=True, kw_only=True)
class ShotParams:
    """Hold every user-facing value of one shot; ParamError if one is not legal. With every default, nothing is changed."""

    view: View = _param(_ALL, "View", View.RESULT, "Shows the result, one layer, the difference to the source, or a split picture.")
    quality: Quality = _param(
        _ALL, "Quality", Quality.DEFAULT, "Chooses the network: faster, finer, or one that looks at neighbouring frames."
    )
    encoding: Encoding = _param(_ALL, "Input encoding", Encoding.REC709, "Says what the code values mean; hosts do not tell.")
    shot_uid: str = _param(_ALL, "Shot", "", "Names the shot; never alters a picture.", high=64)
    follow: bool = _param(_ALL, "Follow sidecar", False, "Takes this shot's values from its sidecar file.")

    removal: float = _param(_OUT, "Removal", 1.0, "Says how much of the grain is taken out of the picture.", synth_default=0.0)
    removal_chroma: float = _param(_OUT, "Removal, chroma", 1.0, "Scales the removal of coloured grain only.")
    level_mode: LevelMode = _param(_OUT, "Level", LevelMode.AUTOMATIC, "Measures how strong the grain is, or takes the level below.")
    level: float = _param(
        _OUT, "Manual level", 0.03, "Says how strong the grain is.", high=0.2, shown=(0, 0.1), unit="peak standard deviation in code value"
    )
    profile: ProfileSource = _param(_OUT, "Profile", ProfileSource.THIS_SHOT, "Says where the grain's description comes from.")
    profile_file: str = _param(_OUT, "Profile file", "", "Names a profile written by `grainlayer analyze`.", high=4096)
    box_x: float = _param(_OUT, "Box, left", 0.4, "Places the box in which grain is measured.", unit="picture widths from the left")
    box_y: float = _param(_OUT, "Box, top", 0.4, "Places the box in which grain is measured.", unit="picture heights from the top")
    box_width: float = _param(_OUT, "Box, width", 0.2, "Sizes the box in which grain is measured.", unit="picture widths")
    box_height: float = _param(_OUT, "Box, height", 0.2, "Sizes the box in which grain is measured.", unit="picture heights")
    profile_data: str = _param(_OUT, "Profile data", "", "Holds the profile that Analyse measured for this shot.", high=4096)

    grain_source: GrainSource = _param(
        _IN,
        "Grain",
        GrainSource.OWN,
        "Adds the shot's own grain, the same made again, grain made by a network, or a stock's.",
        synth_default=GrainSource.STOCK,
        synth_menu=(GrainSource.RESYNTHESISED, GrainSource.NEURAL, GrainSource.STOCK),
    )
    grain_amount: float = _param(_IN, "Amount", 1.0, "Scales the grain: 0 none, 1 as it was.", high=4, shown=(0, 2))
    grain_size: float = _param(_IN, "Size", 1.0, "Makes grain coarser above 1, finer below.", low=0.25, high=4, shown=(0.5, 2))
    grain_softness: float = _param(_IN, "Softness", 0.0, "Takes the finest part of the grain away.")
    grain_saturation: float = _param(_IN, "Saturation", 1.0, "Scales the grain's colour: 0 is black-and-white grain.", high=2)
    grain_red: float = _param(_IN, "Red", 1.0, "Scales the grain in the red channel.", high=2)
    grain_green: float = _param(_IN, "Green", 1.0, "Scales the grain in the green channel.", high=2)
    grain_blue: float = _param(_IN, "Blue", 1.0, "Scales the grain in the blue channel.", high=2)
    grain_shadows: float = _param(_IN, "Shadows", 1.0, "Scales the grain in dark parts.", high=2)
    grain_mids: float = _param(_IN, "Mids", 1.0, "Scales the grain in middle tones.", high=2)
    grain_highlights: float = _param(_IN, "Highlights", 1.0, "Scales the grain in bright parts.", high=2)
    grain_hold: int = _param(_IN, "Hold", 1, "Keeps each pattern for so many frames.", low=1, high=5, unit="frames")
    grain_seed: int = _param(_IN, "Seed", 0, "Chooses the pattern; equal seeds give equal grain.", high=2**31 - 1, shown=(0, 9999))
    stock: Stock = _param(_IN, "Stock", Stock.F35_500, "Chooses the film whose grain is added when Grain is stock.")

    restore: float = _param(_FIX, "Restore", 1.0, "Says how much compression damage is repaired.")
    deblock: bool = _param(_FIX, "Deblock", True, "Repairs block edges and ringing.")
    chroma: bool = _param(_FIX, "Chroma", True, "Repairs colour that was stored at a lower resolution.")
    depth: bool = _param(_FIX, "Bit depth", True, "Restores steps between the levels of an 8-bit picture.")
    deband: float = _param(_FIX, "Deband", 0.5, "Says how strongly bands in smooth gradients are evened out.")

    def __post_init__(self) -> None:
        """Bring every value to its own type. Raise ParamError, naming key, value and range, for the first that is not legal."""
        for param in TABLE:
            value = getattr(self, param.key)
            if value is not param.default:
                object.__setattr__(self, param.key, param.check(value))

    def to_dict(self) -> dict[str, Value]:
        """Return the values that differ from ShotParams(), as JSON can hold them."""
        pairs = ((param, getattr(self, param.key)) for param in TABLE)
        given = ((param, value) for param, value in pairs if value is not param.default and value != param.default)
        return {param.key: str(value) if isinstance(value, str) else value for param, value in given}

    @staticmethod
    def from_dict(values: Mapping[str, object]) -> ShotParams:
        """Read what `to_dict` wrote. Raise ParamError for a key that does not exist or a value that is not legal."""
        if not isinstance(values, Mapping):
            raise ParamError(f"Parameters must be keys with values; got {_excerpt(values)}.")
        for key in values:
            find(key)
        return ShotParams(**cast(dict[str, Any], dict(values)))


TABLE: tuple[Param, ...] = tuple(replace(f.metadata["param"], key=f.name) for f in fields(ShotParams))
"""Every parameter, in the order in which it is shown."""
_BY_KEY: Mapping[str, Param] = {param.key: param for param in TABLE}

NOT_A_LOOK: tuple[str, ...] = (
    *("view", "quality", "encoding", "shot_uid", "follow"),
    *("level_mode", "level", "profile", "profile_file", "box_x", "box_y", "box_width", "box_height", "profile_data"),
)
"""Parameters that describe a shot's own picture or how it is handled; a look that goes from one shot to another leaves them alone."""


def find(key: str) -> Param:
    """Return the parameter of that key. Raise ParamError, naming the closest key, if there is none."""
    if key in _BY_KEY:
        return _BY_KEY[key]
    near = difflib.get_close_matches(str(key), [param.key for param in TABLE], 1, 0.5)
    advice = f"did you mean {near[0]}?" if near else f"the parameters are {', '.join(param.key for param in TABLE)}."
    raise ParamError(f"There is no parameter {_excerpt(key)}; {advice}")


def for_effect(effect: Effect) -> tuple[Param, ...]:
    """Return the parameters that `effect` shows, with its defaults and menus, in order."""
    return tuple(param.for_effect(effect) for param in TABLE if effect in param.effects)


def defaults_for(effect: Effect) -> ShotParams:
    """Return the values with which `effect` starts: Grain Synth removes nothing and adds a stock's grain."""
    values: dict[str, Any] = {param.key: param.default for param in for_effect(effect)}
    return ShotParams(**values)


def digest() -> str:
    """Return the table's SHA-256 in hexadecimal: of keys, kinds, ranges, defaults and menus; not of words that people read."""
    rows = [[effect, p.key, p.kind, p.default, p.low, p.high, p.menu] for effect in Effect for p in for_effect(effect)]
    return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()
