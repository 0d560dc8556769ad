"""The protocol's bytes: what is packed is read back, and nothing else is."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainlayer.errors import WireError
from grainlayer.server.job import Job, Picture, pack_job, read_job
from grainlayer.server.parameters import COUNTS
from grainlayer.server.wire import (
    BY_KIND,
    GREETING_STRUCT,
    HEADER,
    LAYOUTS,
    LONGEST_BODY,
    LONGEST_TEXT,
    MAGIC,
    VERSION,
    Code,
    Field,
    Kind,
    Layout,
    Message,
    pack,
    pack_sentence,
    padded,
    read_body,
    read_header,
    release_of,
    unpadded,
)

NUMBERS = {"u32": st.integers(0, 2**32 - 1), "u64": st.integers(0, 2**64 - 1), "i64": st.integers(-(2**63), 2**63 - 1)}


def values(field: Field) -> st.SearchStrategy[Any]:
    if field.name == "zero":
        return st.just(0)
    if field.type == "f64":
        return st.floats(allow_nan=False)
    size = int(field.type.removeprefix("bytes")) if field.type.startswith("bytes") else 0
    return st.binary(min_size=size, max_size=size) if size else NUMBERS[field.type]


@st.composite
def messages(draw: st.DrawFn) -> tuple[Layout, int, list[Any], bytes]:
    layout = draw(st.sampled_from(LAYOUTS))
    tail = draw(st.binary(max_size=300)) if layout.tail else b""
    return layout, draw(st.integers(0, 2**32 - 1)), [draw(values(field)) for field in layout.fields], tail


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    effect = draw(st.sampled_from(sorted(COUNTS)))
    numbers, texts = COUNTS[effect]
    picture = st.builds(Picture, st.integers(0, 2**32 - 1), st.binary(min_size=16, max_size=16))
    side = st.integers(1, 32_768)
    text = st.text(st.characters(exclude_categories=("Cs",)), max_size=50)
    return Job(
        effect,
        tuple(draw(picture) for _ in range(draw(st.sampled_from((1, 3, 5, 7, 9))))),
        draw(st.integers(-(1 << 40), 1 << 40)),
        draw(side),
        draw(side),
        draw(st.floats(0, 1, exclude_min=True)),
        draw(st.integers(0, 2**32 - 1)),
        tuple(draw(st.lists(st.floats(allow_nan=False), min_size=numbers, max_size=numbers))),
        tuple(draw(st.lists(text, min_size=texts, max_size=texts))),
    )


def unpack(data: bytes) -> Message:
    kind, length, request = read_header(data[: HEADER.size])
    assert length == len(data) - HEADER.size
    return read_body(kind, request, data[HEADER.size :])


@given(messages())
def test_messages_come_back(case: tuple[Layout, int, list[Any], bytes]) -> None:
    layout, request, fields, tail = case
    message = unpack(pack(layout.kind, request, *fields, tail=tail))
    assert (message.kind, message.request, message.tail) == (layout.kind, request, tail)
    named = {field.name: value for field, value in zip(layout.fields, fields, strict=True) if field.name != "zero"}
    assert dict(message.fields) == named


@given(jobs())
def test_jobs_come_back(job: Job) -> None:
    assert read_job(unpack(pack_job(Kind.RENDER, 5, job)), COUNTS) == job


@given(jobs(), st.data())
def test_a_job_cut_or_lengthened_is_refused(job: Job, data: st.DataObject) -> None:
    message = unpack(pack_job(Kind.ANALYSE, 5, job))
    cut = data.draw(st.integers(0, len(message.tail) - 1))
    for tail in (message.tail[:cut], message.tail + b"\0"):
        with pytest.raises(WireError):
            read_job(Message(message.kind, 5, message.fields, tail), COUNTS)


@given(st.binary(min_size=16, max_size=16))
def test_random_headers_are_legal_or_refused(data: bytes) -> None:
    try:
        kind, length, _ = read_header(data)
    except WireError:
        return
    assert kind in BY_KIND
    assert length <= LONGEST_BODY


@given(st.sampled_from(list(Kind)), st.binary(max_size=400))
def test_random_bodies_are_read_or_refused(kind: Kind, body: bytes) -> None:
    sentence = "It is legal."
    try:
        message = read_body(kind, 1, body)
        if kind in (Kind.RENDER, Kind.ANALYSE):
            read_job(message, COUNTS)
    except WireError as error:
        sentence = str(error)
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    "header",
    [
        (MAGIC + 1, 1, 0, 0, 0),
        (MAGIC, 1, 1, 0, 0),
        (MAGIC, 0, 0, 0, 0),
        (MAGIC, 99, 0, 0, 0),
        (MAGIC, 1, 0, LONGEST_BODY + 1, 0),
        (MAGIC, 1, 0, 2**32 - 1, 0),
    ],
)
def test_illegal_headers(header: tuple[int, ...]) -> None:
    with pytest.raises(WireError, match=r"\.$"):
        read_header(HEADER.pack(*header))


def test_reserved_fields_must_be_zero() -> None:
    with pytest.raises(WireError, match="reserved"):
        read_body(Kind.DROP, 0, struct.pack("<II", 1, 1))


@given(jobs(), st.data())
def test_reserved_fields_of_pictures_must_be_zero(job: Job, data: st.DataObject) -> None:
    message = unpack(pack_job(Kind.RENDER, 5, job))
    tail, at = bytearray(message.tail), 24 * data.draw(st.integers(0, len(job.pictures) - 1)) + data.draw(st.integers(4, 7))
    tail[at] = 1
    with pytest.raises(WireError, match="reserved"):
        read_job(Message(message.kind, 5, message.fields, bytes(tail)), COUNTS)


@given(st.integers(0, 2**32 - 1), st.binary(max_size=200))
def test_the_beginning_of_every_versions_hello_is_read(version: int, rest: bytes) -> None:
    body = GREETING_STRUCT.pack(version, 7, b"t" * 32, b"d" * 32, 1_002_003) + rest
    whole = len(body) == BY_KIND[Kind.HELLO].struct.size
    if version == VERSION and not whole:
        with pytest.raises(WireError, match="length"):
            read_body(Kind.HELLO, 0, body)
        return
    message = read_body(Kind.HELLO, 0, body)
    assert (message["version"], message["token"], message["digest"]) == (version, b"t" * 32, b"d" * 32)
    assert message["release"] == (0 if version < 2 else 1_002_003)


def test_the_place_of_what_every_version_needs_never_changes() -> None:
    kinds = [(field.name, field.type) for field in BY_KIND[Kind.HELLO].fields[:5]]
    assert kinds == [("version", "u32"), ("pid", "u32"), ("token", "bytes32"), ("digest", "bytes32"), ("release", "u32")]
    assert int.from_bytes(b"GRL1", "little") == MAGIC
    assert (Kind.HELLO, Kind.FAILED, Code.VERSION, Code.PARAMETERS) == (1, 3, 1, 2)
    assert [(field.name, field.type) for field in BY_KIND[Kind.FAILED].fields] == [("code", "u32"), ("retires", "u32")]


@pytest.mark.parametrize(
    ("version", "number"), [("0.1.0", 1_000), ("1.2.3", 1_002_003), ("0.2.0rc1", 2_000), ("3", 3_000_000), ("1.2.3.dev4", 1_002_003)]
)
def test_a_release_is_a_number_that_grows(version: str, number: int) -> None:
    assert release_of(version) == number


@given(st.text(max_size=200))
def test_texts_of_fixed_size(text: str) -> None:
    data = padded(text, 64)
    assert len(data) == 64
    assert text.encode("utf-8", "replace").startswith(unpadded(data).encode()) or "\0" in text


def test_sentences_are_cut_between_letters() -> None:
    message = unpack(pack_sentence(Kind.FAILED, 1, "é" * LONGEST_TEXT, Code.VALUE, 0))
    assert message.tail.decode() == "é" * (LONGEST_TEXT // 2)


def test_the_longest_job_fits() -> None:
    numbers, texts = COUNTS[0]
    pictures = tuple(Picture(1, bytes(16)) for _ in range(9))
    job = Job(0, pictures, 0, 1, 1, 1.0, 1, (0.0,) * numbers, ("x" * LONGEST_TEXT,) * texts)
    assert len(pack_job(Kind.RENDER, 1, job)) - HEADER.size <= LONGEST_BODY
