"""Declare the protocol between bridge and server, once: messages, fields, limits. The bridge's header and docs/protocol.md follow.

Every message is a header of 16 bytes and a body of a fixed layout, little-endian, without padding; four kinds end in a tail of a
stated length. Nothing that arrives is used before its length, kind and every field have been checked. The first fields of HELLO stay
as they are in every version, so that peers of different versions can tell which of them is the older one.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from grainlayer import __version__
from grainlayer.errors import WireError

VERSION = 2
MAGIC = 0x314C5247
"""The bytes G R L 1."""
HEADER = struct.Struct("<IHHII")
LONGEST_BODY = 1 << 17
"""Bytes of a body, at most."""
MOST_PICTURES = 9
LARGEST_SIDE = 32_768
"""Pixels across or down a picture, at most."""
LARGEST_SEGMENT = 1 << 34
"""Bytes of a shared segment, at most."""
MOST_SEGMENTS = 256
"""Segments of one session, at most."""
MOST_CONNECTIONS = 64
"""Connections of one server, at most; idle ones make room for others."""
LONGEST_TEXT = 16_384
"""Bytes of one text parameter, UTF-8, at most; also of a sentence or a report."""
HEARTBEAT_MS = 250
SILENCE_MS = 5_000
"""The bridge gives a server up so long after its last sign of life."""

TOKEN, DIGEST, SESSION, MARK, NAME = 32, 32, 16, 16, 64


def release_of(version: str) -> int:
    """Return a version of GrainLayer as a number that grows with it: 1.2.3 is 1002003. Only its first three numbers count."""
    numbers = [min(int(number), 999) for number in re.findall(r"\d+", version)[:3]]
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return 1_000_000 * major + 1_000 * minor + patch


RELEASE = release_of(__version__)
"""This GrainLayer as a number: of two that do not understand each other, the higher one stays."""


class Kind(IntEnum):
    """Number the messages."""

    HELLO = 1
    WELCOME = 2
    FAILED = 3
    SEGMENT = 4
    READY = 5
    DROP = 6
    RENDER = 7
    ANALYSE = 8
    ALIVE = 9
    DONE = 10
    TEXT = 11
    CANCEL = 12
    ASK = 13


class Code(IntEnum):
    """Say why something failed; the sentence beside it is for people."""

    VERSION = 1
    PARAMETERS = 2
    TOKEN = 3
    PROTOCOL = 4
    VALUE = 5
    MODEL = 6
    MEMORY = 7
    CANCELLED = 8
    INTERNAL = 9
    MEDIA = 10


class Question(IntEnum):
    """Say what is asked of the server beside pictures."""

    STATUS = 1
    DOCTOR = 2
    STOP = 3


class Outcome(IntEnum):
    """Say where a rendered picture is."""

    WRITTEN = 0
    SOURCE = 1


@dataclass(frozen=True)
class Field:
    """Describe one field: its type (u32, u64, i64, f64, or bytesN), and what it holds, with unit and limits."""

    name: str
    type: str
    text: str

    @property
    def code(self) -> str:
        """Return the struct module's letter for it."""
        plain = {"u32": "I", "u64": "Q", "i64": "q", "f64": "d"}
        return plain.get(self.type) or f"{self.type.removeprefix('bytes')}s"


@dataclass(frozen=True)
class Layout:
    """Describe a message's body: who sends it, its fields in order, and what its tail holds, if it has one."""

    kind: Kind
    sender: str
    text: str
    fields: tuple[Field, ...] = ()
    tail: str = ""

    @property
    def struct(self) -> struct.Struct:
        """Return the packed layout of the fixed part."""
        return struct.Struct("<" + "".join(field.code for field in self.fields))


PICTURE = (
    Field("segment", "u32", "the segment that holds it, from its first byte on"),
    Field("zero", "u32", "0"),
    Field("mark", f"bytes{MARK}", "digest of its pixels: equal marks of one session are equal pictures"),
)
PICTURE_STRUCT = struct.Struct("<" + "".join(field.code for field in PICTURE))

JOB = (
    Field("effect", "u32", "0 Grain Split, 1 Grain Synth, 2 Artifact Restore"),
    Field(
        *("pictures", "u32"),
        f"pictures in the tail, odd, 1 to {MOST_PICTURES}; the middle one is rendered. Artifact Restore looks at 7, the quality "
        "temporal at 5; fewer do, and the last of a clip may stand in for those beyond",
    ),
    Field("frame", "i64", "index of that picture in the source media"),
    Field("width", "u32", f"pixels, 1 to {LARGEST_SIDE}"),
    Field("height", "u32", f"pixels, 1 to {LARGEST_SIDE}"),
    Field("scale", "f64", "render scale, down; over 0, at most 1: a proxy of half the height has 0.5"),
    Field("out", "u32", "segment that takes the result: height x width x 3 floats, row 0 on top, R G B"),
    Field("numbers", "u32", "parameters that are numbers: as many as the effect has"),
    Field("texts", "u32", "parameters that are texts: as many as the effect has"),
    Field("zero", "u32", "0"),
)
JOB_TAIL = (
    "`pictures` times segment (u32), 0 (u32), mark (16 bytes); `numbers` times a value (f64; a switch 0 or 1, a choice the index in its "
    f"menu), in the table's order; `texts` times length (u32, bytes, at most {LONGEST_TEXT}) and UTF-8"
)
SENTENCE = f"one sentence, UTF-8, at most {LONGEST_TEXT} bytes"

GREETING = (
    Field("version", "u32", f"protocol version, {VERSION}"),
    Field("pid", "u32", "process id of the host"),
    Field("token", f"bytes{TOKEN}", "the secret of the rendezvous file"),
    Field("digest", f"bytes{DIGEST}", "SHA-256 of the parameter table; zeros for a peer that will only ask"),
    Field("release", "u32", "the GrainLayer that the peer belongs to, as a number: 1002003 is 1.2.3"),
)
"""The fields of HELLO that every version begins with; protocol 1 had no release."""
GREETING_STRUCT = struct.Struct("<" + "".join(field.code for field in GREETING))

LAYOUTS: tuple[Layout, ...] = (
    Layout(
        Kind.HELLO,
        "bridge",
        "The first message of every connection. Its first five fields are those of every later version.",
        (
            *GREETING,
            Field("session", f"bytes{SESSION}", "zeros for a new session, or the session that this connection joins"),
            Field("host", f"bytes{NAME}", "name of the host program, UTF-8, padded with zeros"),
        ),
    ),
    Layout(
        Kind.WELCOME,
        "server",
        "Answers HELLO.",
        (
            Field("version", "u32", f"protocol version, {VERSION}"),
            Field("pid", "u32", "process id of the server"),
            Field("session", f"bytes{SESSION}", "names the session; segments belong to it and are known on all of its connections"),
            Field("device", f"bytes{NAME}", "where networks run, UTF-8, padded with zeros"),
        ),
    ),
    Layout(
        Kind.FAILED,
        "server",
        "Answers any request that could not be met. After codes 1 to 4, and whatever answers HELLO, the server closes the connection.",
        (
            Field("code", "u32", ", ".join(f"{code.value} {code.name.lower()}" for code in Code)),
            Field("retires", "u32", "1 where the server ends for this peer's sake: nobody is sent to it any more; else 0"),
        ),
        SENTENCE,
    ),
    Layout(
        Kind.SEGMENT,
        "bridge",
        "Hands over shared memory: on Unix its descriptor comes with the message, on Windows the mapping's name is in it.",
        (
            Field("id", "u32", "a number not yet used in this session, not 0"),
            Field("zero", "u32", "0"),
            Field("size", "u64", f"bytes, 1 to {LARGEST_SEGMENT}"),
            Field("name", f"bytes{NAME}", "name of the mapping, ASCII, padded with zeros; zeros on Unix"),
        ),
    ),
    Layout(Kind.READY, "server", "Answers SEGMENT: the segment is mapped."),
    Layout(
        Kind.DROP,
        "bridge",
        "The segment is no longer used; there is no answer.",
        (Field("id", "u32", "the segment"), Field("zero", "u32", "0")),
    ),
    Layout(Kind.RENDER, "bridge", "Asks for a picture. Answered by DONE or FAILED; until then ALIVE comes every 250 ms.", JOB, JOB_TAIL),
    Layout(
        Kind.ANALYSE,
        "bridge",
        "Asks for the profile of a shot's grain, measured on these pictures. Answered by TEXT or FAILED; until then ALIVE comes.",
        JOB,
        JOB_TAIL,
    ),
    Layout(
        Kind.ALIVE,
        "server",
        "The request is being worked on.",
        (Field("progress", "f64", "share done, 0 to 1, or -1 where it is not known"),),
    ),
    Layout(
        Kind.DONE,
        "server",
        "Answers RENDER.",
        (
            Field("outcome", "u32", "0 the result is in `out`; 1 the result is the middle picture itself and nothing was written"),
            Field("cached", "u32", "1 if the layers were at hand"),
            Field("microseconds", "u64", "time spent on the request"),
        ),
        f"a note to show, UTF-8, often empty, at most {LONGEST_TEXT} bytes",
    ),
    Layout(Kind.TEXT, "server", "Answers ANALYSE (a profile, JSON) and ASK (a report).", (), f"UTF-8, at most {LONGEST_TEXT} bytes"),
    Layout(Kind.CANCEL, "bridge", "The request of this number is no longer wanted; it is answered all the same, by FAILED 8 or in full."),
    Layout(
        Kind.ASK,
        "bridge",
        "Asks something beside pictures. Answered by TEXT or FAILED; until then ALIVE comes every 250 ms.",
        (
            Field("question", "u32", "1 status (JSON), 2 doctor's report, 3 end once what is worked on is answered"),
            Field("zero", "u32", "0"),
        ),
    ),
)
BY_KIND: Mapping[Kind, Layout] = {layout.kind: layout for layout in LAYOUTS}


@dataclass(frozen=True)
class Message:
    """Hold one message: kind, request number, fields by name, tail."""

    kind: Kind
    request: int
    fields: Mapping[str, Any]
    tail: bytes = b""

    def __getitem__(self, name: str) -> Any:
        """Return a field."""
        return self.fields[name]


def pack(kind: Kind, request: int, *values: Any, tail: bytes = b"") -> bytes:
    """Return a message's bytes; `values` are its fields in order."""
    body = BY_KIND[kind].struct.pack(*values) + tail
    return HEADER.pack(MAGIC, kind, 0, len(body), request) + body


def pack_sentence(kind: Kind, request: int, text: str, *values: Any) -> bytes:
    """Return a message whose tail is text, cut at the limit between letters."""
    data = text.encode("utf-8", "replace")[:LONGEST_TEXT].decode("utf-8", "ignore").encode()
    return pack(kind, request, *values, tail=data)


def read_header(data: bytes) -> tuple[Kind, int, int]:
    """Return kind, length of the body and request number. Raise WireError unless all are legal."""
    magic, number, zero, length, request = HEADER.unpack(data)
    if magic != MAGIC or zero != 0 or length > LONGEST_BODY:
        raise WireError("The peer sent something that is not a message of this protocol; restart the host.")
    try:
        return Kind(number), length, request
    except ValueError as error:
        raise WireError(f"The peer sent a message of unknown kind {number}; bridge and server must be of one version.") from error


def read_body(kind: Kind, request: int, body: bytes) -> Message:
    """Return the message of a body. Raise WireError if its length is not that of its kind or a reserved field is not 0."""
    layout = BY_KIND[kind]
    size = layout.struct.size
    if kind is Kind.HELLO and len(body) != size and len(body) >= GREETING_STRUCT.size:
        return _read_greeting(request, body)
    if len(body) < size or (len(body) > size and not layout.tail):
        raise WireError(f"A {kind.name} message of {len(body)} bytes is of the wrong length; bridge and server must be of one version.")
    fields = dict(zip((field.name for field in layout.fields), layout.struct.unpack(body[:size]), strict=True))
    if fields.pop("zero", 0) != 0:
        raise WireError(f"A reserved field of a {kind.name} message is not 0; bridge and server must be of one version.")
    return Message(kind, request, fields, body[size:])


def _read_greeting(request: int, body: bytes) -> Message:
    """Return a HELLO of another version: what every version's begins with. Raise WireError if it says that it is of this one."""
    values = GREETING_STRUCT.unpack_from(body)
    fields = dict(zip((field.name for field in GREETING), values, strict=True))
    if fields["version"] == VERSION:
        raise WireError(f"A HELLO message of {len(body)} bytes is of the wrong length; bridge and server must be of one version.")
    if fields["version"] < 2:
        fields["release"] = 0
    return Message(Kind.HELLO, request, fields)


def padded(text: str, size: int) -> bytes:
    """Return a fixed-size text field: UTF-8, cut between letters, padded with zeros."""
    return text.encode("utf-8", "replace")[: size - 1].decode("utf-8", "ignore").encode().ljust(size, b"\0")


def unpadded(data: bytes) -> str:
    """Return the text of a fixed-size field; what is not UTF-8 is replaced."""
    return data.split(b"\0", 1)[0].decode("utf-8", "replace")
