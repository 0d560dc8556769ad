"""Write what is derived from the tables of parameters, messages and formats: three pages of docs, two headers of the native plug-in.

Run from the root of a checkout by `make generate`, that is `python -m grainlayer.codegen`; the results are committed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from enum import IntEnum
from pathlib import Path

from grainlayer.editorial.formats import FORMATS, Format
from grainlayer.params import TABLE, Effect, Group, Kind, Param, Value, digest, for_effect, plain
from grainlayer.server import wire

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


PROTOCOL_HEAD = """# Protocol between bridge and server

<!-- Written by `make generate` from grainlayer/server/wire.py; edits here are lost. -->

The bridge, a plug-in inside a host, sends pictures to one server a user and gets them back. Control messages of a fixed layout go
through a local stream: a Unix socket, or a named pipe on Windows. Pixels never do: they lie in shared memory that the bridge makes,
hands over once and uses again.

## How they meet

- The folder is `GRAINLAYER_RUNTIME`, else `$XDG_RUNTIME_DIR/grainlayer`, else `/tmp/grainlayer-UID`. It belongs to the user and nobody
  else may enter it (0700); both sides refuse any other. On Windows it is `%LOCALAPPDATA%\\GrainLayer\\run`, which Windows keeps for the
  user; there neither side looks at who may enter.
- The server holds a lock on the file `lock` there, so there is one a user. It writes `server`: three lines, protocol version and process
  id, the socket's or pipe's name, and a secret of 64 hexadecimal digits, new for every server. Five times a second it looks whether
  folder, lock, socket and file are still there, and puts back what is missing; where another server has the lock by then, it ends.
- The bridge reads `server`, connects and sends HELLO. Where there is no server it starts one, with the arguments `serve --spawned`: the
  program named by `GRAINLAYER_SERVER`; else the first that is there and may be run of these: the one named by the first line of the
  bundle's `Contents/Resources/server.path` (written by `make bridge`), `Contents/Resources/server/grainlayer` in the bundle, and
  `grainlayer` in the absolute entries of `PATH`, in their order. On Windows the name is `grainlayer.exe`.
- The server checks that the peer is the same user (peer credentials on Unix) and knows the secret.

## When versions differ

- A HELLO with the right secret but another protocol version is answered by FAILED 1, one with another digest by FAILED 2. The first
  five fields of HELLO are the same in every version, so both sides can always be told apart.
- Only where the peer's `release` is higher than the server's does the server end for it: it withdraws `server`, listens no more and
  lets the lock go, then answers with `retires` 1. A bridge that reads this may start its own server at once. The old one answers
  what it is working on, closes its other connections, and ends.
- A peer of the same or a lower release is refused with `retires` 0 and changes nothing: its sentence says which side to restart. So an
  old and a new host cannot end each other's servers in turn; the newest server stays.
- A bridge whose own, freshly started server answers `retires` 1 has found an old program, and must not start it again.
- A peer whose digest is all zeros may ask (ASK), whatever its parameters are, and nothing else; it never makes a server end this way.
- Refused peers, and those who only ask, do not count as use: an idle server ends in spite of them.

## Rules

- Numbers are little-endian; there is no padding. A message is a header and a body: magic (u32, `0x{magic:08x}`), kind (u16), 0 (u16),
  length of the body (u32, at most {longest}), request number (u32, chosen by the bridge, 0 where there is none).
- A connection carries one request at a time. A host that renders four frames at once opens four connections, joined into one session.
- A session has at most {segments} segments; a request may name any of them. Pictures are float32, R G B, row 0 on top, rows without gaps.
- The server has {connections} connections. One more costs that which has been idle for longest, if possible not a session's last: it is
  closed without a word, and the peer opens another when it needs one. Only where all are at work the new one is answered by FAILED 4.
- While a request is worked on, whatever it is, ALIVE comes every {heartbeat} ms. A bridge that hears nothing for {silence} ms gives
  the server up; there is no limit on the whole time.
- A connection that closes cancels its request. A session ends with its last connection; its segments are unmapped then.
- The digest in HELLO covers every parameter's key, kind, range, default and menu: bridge and server of different tables never talk.
- An unknown kind, a wrong length, a reserved field that is not 0 or a number beyond its limits is answered by FAILED 4, and the
  connection is closed.

## Messages
"""


def protocol_page() -> str:
    """Return docs/protocol.md."""
    parts = [
        PROTOCOL_HEAD.format(
            magic=wire.MAGIC,
            longest=wire.LONGEST_BODY,
            segments=wire.MOST_SEGMENTS,
            connections=wire.MOST_CONNECTIONS,
            heartbeat=wire.HEARTBEAT_MS,
            silence=wire.SILENCE_MS,
        )
    ]
    for layout in wire.LAYOUTS:
        parts.append(f"\n### {layout.kind.value} {layout.kind.name}, from the {layout.sender}\n\n{layout.text}\n")
        if layout.fields:
            parts.append("\n| field | type | what it holds |\n|---|---|---|\n")
            parts += [f"| `{field.name}` | {field.type} | {field.text} |\n" for field in layout.fields]
        if layout.tail:
            parts.append(f"\nTail: {layout.tail}.\n")
    return "".join(parts)


WIRE_HEAD = """// Written by `make generate` from grainlayer/server/wire.py; edits here are lost.
// Include it inside a namespace, after <cstdint>. Layouts are packed and little-endian.
"""


def wire_header() -> str:
    """Return ofx_bridge/generated/wire.inc: limits, kinds and packed structures of the protocol."""
    limits = {
        "Version": wire.VERSION,
        "Release": wire.RELEASE,
        "Magic": wire.MAGIC,
        "LongestBody": wire.LONGEST_BODY,
        "LongestText": wire.LONGEST_TEXT,
        "MostPictures": wire.MOST_PICTURES,
        "LargestSide": wire.LARGEST_SIDE,
        "MostSegments": wire.MOST_SEGMENTS,
        "SilenceMs": wire.SILENCE_MS,
    }
    parts = [WIRE_HEAD, *(f"inline constexpr std::uint32_t k{name} = {value}u;\n" for name, value in limits.items())]
    parts.append("inline constexpr std::uint64_t kLargestSegment = " + f"{wire.LARGEST_SEGMENT}u;\n")
    parts += [_enumeration("Kind", wire.Kind, "std::uint16_t"), _enumeration("Code", wire.Code, "std::uint32_t")]
    parts += [_enumeration("Question", wire.Question, "std::uint32_t"), _enumeration("Outcome", wire.Outcome, "std::uint32_t")]
    parts.append("#pragma pack(push, 1)\n")
    header = [wire.Field("magic", "u32", ""), wire.Field("kind", "u16", ""), wire.Field("zero", "u16", "")]
    parts.append(_structure("Header", (*header, wire.Field("length", "u32", ""), wire.Field("request", "u32", ""))))
    parts.append(_structure("Picture", wire.PICTURE))
    seen = {wire.JOB: "Job"}
    parts.append(_structure("Job", wire.JOB))
    parts += [_structure(_title(row.kind.name), row.fields) for row in wire.LAYOUTS if row.fields and row.fields not in seen]
    return "".join([*parts, "#pragma pack(pop)\n"])


def _title(name: str) -> str:
    return name.capitalize()


def _enumeration(name: str, numbers: type[IntEnum], base: str) -> str:
    entries = ", ".join(f"{_title(entry.name)} = {entry.value}" for entry in numbers)
    return f"enum class {name} : {base} {{ {entries} }};\n"


def _structure(name: str, rows: tuple[wire.Field, ...]) -> str:
    plain_types = {"u16": "std::uint16_t", "u32": "std::uint32_t", "u64": "std::uint64_t", "i64": "std::int64_t", "f64": "double"}
    lines: list[str] = []
    for row in rows:
        array = "" if row.type in plain_types else f"[{row.type.removeprefix('bytes')}]"
        lines.append(f"    {plain_types.get(row.type, 'unsigned char')} {row.name}{array};\n")
    sizes = {"u16": 2, "u32": 4, "u64": 8, "i64": 8, "f64": 8}
    size = sum(sizes.get(row.type) or int(row.type.removeprefix("bytes")) for row in rows)
    return f"struct {name} {{\n{''.join(lines)}}};\nstatic_assert(sizeof({name}) == {size});\n"


OTIO_HEAD = """# Grain in edits

<!-- Written by `make generate` from grainlayer/editorial/formats.py; edits here are lost. -->

`grainlayer otio set` and OpenTimelineIO itself, by our hooks, put a shot's grain where each format keeps it. Beside every edit lies a
sidecar, `cut.grain.json` for `cut.otio`: the canonical copy of all shots, with keyframes and measured profiles. Every format below
keeps uid, effect, all parameters and all keyframes of every clip: [measured](../tests/bench/results/roundtrip.md) on edits of 200 clips.

| format | suffixes | where grain lies | what it loses | remarks |
|---|---|---|---|---|
"""

OTIO_TAIL = """
The sidecar is used first, then the effect, the clip's metadata, the marker's note, other programs' comments; `--prefer file` puts the
sidecar last. Where two of them differ both are kept, the one that is not used in the sidecar, and the difference is reported.
A note holds at most 2,048 bytes; one that would be longer holds the uid and a digest, and the sidecar has the values.
What people wrote before or after our text in a note or a comment stays. Copies of a clip share its uid until one of them is set; then
the others keep what they have, under uids of their own.

`grainlayer otio conform OLD NEW -o OUT` carries the grain of a cut over to a later one, also through a program or a format that kept
nothing of ours: by uid where media and timecode bear it out, else by media and source timecode, by name and range, by record timecode.
Trims, slips, splits, copies, retimes, renamed clips and relinked media are followed, keyframes stay on their pictures, splits and
copies get uids of their own. What is not certain is reported, in words and with `--json`, and left without grain; shots that the new cut
lacks stay in its sidecar. A list that does not state its rate is read at the other cut's, which is reported too.

Formats other than OpenTimelineIO and its bundles need adapters: `pip install 'grainlayer[otio]'`.

OpenTimelineIO's own `write_to_file` and `read_from_file` do the same, once GrainLayer is installed beside it. `write_to_string` cannot
know its format: say `hook_function_argument_map={"grainlayer": "fcp_xml"}`; `"off"` leaves our part out.
"""


def otio_page() -> str:
    """Return docs/otio.md."""
    return "".join([OTIO_HEAD, *map(_format_row, FORMATS), OTIO_TAIL])


def _format_row(form: Format) -> str:
    suffixes = ", ".join(f"`{suffix}`" for suffix in form.suffixes)
    return f"| {form.label} | {suffixes} | {form.carrier} | {form.loses or 'nothing'} | {form.remarks} |\n"


FILES: Mapping[str, Callable[[], str]] = {
    "docs/parameters.md": parameters_page,
    "ofx_bridge/generated/params.inc": native_table,
    "docs/protocol.md": protocol_page,
    "ofx_bridge/generated/wire.inc": wire_header,
    "docs/otio.md": otio_page,
}
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
