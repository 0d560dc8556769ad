"""Write what is derived from the parameter table: docs/parameters.md and the native plug-in's table, params.inc.

Run from the root of a checkout by `make generate`, that is `python -m grainlayer.codegen`; the results are committed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from grainlayer.params import TABLE, Effect, Group, Kind, Param, Value, digest, for_effect, plain

PAGE_HEAD = """# Parameters

<!-- Written by `make generate` from grainlayer/params.py; edits here are lost. -->

Every user-facing value of one shot, for every road: command line, hosts, edit metadata. A command takes each parameter of its
effect as an option: `grain_amount` is `--grain-amount`. With every default the result is the source. Effects: S is Grain Split,
Y is Grain Synth, R is Artifact Restore.
"""

TABLE_HEAD = """| key | default | range | effects | what it does |
|---|---|---|---|---|
"""

INC_HEAD = """// Written by `make generate` from grainlayer/params.py; edits here are lost.
// Include it inside a namespace. It needs nothing before it and holds constants only.
enum class Kind : unsigned char { Float, Int, Bool, Choice, Text };
inline constexpr unsigned kGrainSplit = 1, kGrainSynth = 2, kArtifactRestore = 4;

// A key stands once for all effects that show it alike, and once more where Grain Synth differs.
// `number` is the default: of a switch 0 or 1, of a choice the index in its menu; `text` is the default of a text.
// `low` and `high` bound a number, or `high` the length of a text in characters; sliders go from `shown_low` to `shown_high`.
struct Param {
    const char *key, *label, *hint, *group, *unit, *text;
    double number, low, high, shown_low, shown_high;
    const char *const *menu;
    unsigned menu_size, effects;
    Kind kind;
};
"""


def parameters_page() -> str:
    """Return docs/parameters.md."""
    parts = [PAGE_HEAD]
    for group in Group:
        parts.append(f"\n## {group}\n\n{TABLE_HEAD}")
        parts += [_page_row(param) for param in TABLE if param.group is group]
    return "".join(parts)


def _page_row(param: Param) -> str:
    default, choices = _in_words(param.default), param.range_text()
    if param.synth_default is not None:
        default += f" (Y: {_in_words(param.synth_default)})"
    if param.synth_menu:
        choices += f" (Y: {', '.join(param.synth_menu)})"
    if param.unit:
        choices += f" ({param.unit})"
    letters = "".join(letter for letter, effect in zip("SYR", Effect, strict=True) if effect in param.effects)
    return f"| `{param.key}` | {default} | {choices} | {letters} | {param.hint} |\n"


def _in_words(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return plain(value) if isinstance(value, int | float) else value or "empty"


def native_table() -> str:
    """Return ofx_bridge/generated/params.inc: C++20 constants of every parameter, and the table's digest."""
    rows = _native_rows()
    menus = dict.fromkeys(param.menu for param, _ in rows if param.menu)
    names = {menu: f"kMenu{number}" for number, menu in enumerate(menus)}
    parts = [INC_HEAD, f'\ninline constexpr const char *kParamsDigest = "{digest()}";\n\n']
    parts += [_menu_line(name, menu) for menu, name in names.items()]
    parts.append("\ninline constexpr Param kParams[] = {\n")
    parts += [_native_row(param, mask, names) for param, mask in rows]
    return "".join([*parts, "};\n"])


def _native_rows() -> list[tuple[Param, int]]:
    """Return parameters with the mask of the effects that show them so; one that an effect shows otherwise comes twice."""
    masks: dict[Param, int] = {}
    for bit, effect in enumerate(Effect):
        for param in for_effect(effect):
            masks[param] = masks.get(param, 0) | 1 << bit
    order = {param.key: place for place, param in enumerate(TABLE)}
    return sorted(masks.items(), key=lambda row: (order[row[0].key], row[1]))


def _menu_line(name: str, menu: tuple[str, ...]) -> str:
    return f"inline constexpr const char *{name}[] = {{{', '.join(_quote(entry) for entry in menu)}}};\n"


def _native_row(param: Param, mask: int, names: Mapping[tuple[str, ...], str]) -> str:
    text = str(param.default) if param.kind is Kind.TEXT else ""
    words = (param.key, param.label, param.hint, param.group, param.unit, text)
    numbers = (_native_default(param), param.low, param.high, *param.shown)
    fields = [_quote(word) for word in words] + [f"{number!r}" for number in map(float, numbers)]
    fields += [names.get(param.menu, "nullptr"), f"{len(param.menu)}u", f"{mask}u", f"Kind::{param.kind.capitalize()}"]
    return f"    {{{', '.join(fields)}}},\n"


def _native_default(param: Param) -> float:
    if param.kind is Kind.CHOICE:
        return param.menu.index(str(param.default))
    return 0 if isinstance(param.default, str) else param.default


def _quote(text: str) -> str:
    """Return a C string literal."""
    return json.dumps(text)


FILES: Mapping[str, Callable[[], str]] = {"docs/parameters.md": parameters_page, "ofx_bridge/generated/params.inc": native_table}
"""What is generated: the path in a checkout, and what makes its text."""


def write_all(root: Path) -> list[Path]:
    """Write the generated files under `root` that differ; return those written."""
    written: list[Path] = []
    for name, make in FILES.items():
        path, text = root / name, make()
        if not path.exists() or path.read_text("utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            written.append(path)
    return written


def stale_files(root: Path) -> list[str]:
    """Return the generated files under `root` that are missing or not what the table says."""
    paths = {name: root / name for name in FILES}
    return [name for name, path in paths.items() if not path.exists() or path.read_text("utf-8") != FILES[name]()]


if __name__ == "__main__":
    for changed in write_all(Path.cwd()):
        sys.stdout.write(f"wrote {changed.relative_to(Path.cwd())}\n")
