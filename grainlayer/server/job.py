"""Read and write what RENDER and ANALYSE carry: pictures by their segments, and parameters as numbers and texts."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grainlayer.errors import WireError
from grainlayer.server.wire import LARGEST_SIDE, LONGEST_TEXT, MOST_PICTURES, PICTURE_STRUCT, Kind, Message, pack


@dataclass(frozen=True)
class Picture:
    """Name a picture of a job: its segment, and the mark of its pixels."""

    segment: int
    mark: bytes


@dataclass(frozen=True)
class Job:
    """Hold what RENDER and ANALYSE ask, checked against the limits; parameters are still plain numbers and texts."""

    effect: int
    pictures: tuple[Picture, ...]
    frame: int
    width: int
    height: int
    scale: float
    out: int
    numbers: tuple[float, ...]
    texts: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Return the bytes of one picture."""
        return self.width * self.height * 12

    @property
    def middle(self) -> Picture:
        """Return the picture to be rendered."""
        return self.pictures[len(self.pictures) // 2]


def read_job(message: Message, counts: Mapping[int, tuple[int, int]]) -> Job:
    """Return the job of a RENDER or ANALYSE; `counts` gives numbers and texts by effect. Raise WireError at anything illegal."""
    f = message.fields
    _check_job(f, counts)
    rest = memoryview(message.tail)
    pictures, rest = _read_pictures(rest, f["pictures"])
    size = 8 * f["numbers"]
    if len(rest) < size:
        raise WireError("A job ends within its parameters; bridge and server must be of one version.")
    numbers = struct.unpack(f"<{f['numbers']}d", rest[:size])
    texts = _read_texts(rest[size:], f["texts"])
    return Job(f["effect"], pictures, f["frame"], f["width"], f["height"], f["scale"], f["out"], numbers, texts)


def _check_job(f: Mapping[str, Any], counts: Mapping[int, tuple[int, int]]) -> None:
    legal = (
        f["effect"] in counts and (f["numbers"], f["texts"]) == counts[f["effect"]],
        1 <= f["pictures"] <= MOST_PICTURES and f["pictures"] % 2 == 1,
        1 <= f["width"] <= LARGEST_SIDE and 1 <= f["height"] <= LARGEST_SIDE,
        0 < f["scale"] <= 1,
        -(1 << 40) <= f["frame"] <= 1 << 40,
    )
    if not all(legal):
        raise WireError("A job asks for an effect, a size, a scale or a number of values that does not exist.")


def _read_pictures(rest: memoryview, count: int) -> tuple[tuple[Picture, ...], memoryview]:
    size = count * PICTURE_STRUCT.size
    if len(rest) < size:
        raise WireError("A job ends within its list of pictures; bridge and server must be of one version.")
    rows = list(PICTURE_STRUCT.iter_unpack(rest[:size]))
    if any(zero != 0 for _, zero, _ in rows):
        raise WireError("A reserved field of a job's picture is not 0; bridge and server must be of one version.")
    return tuple(Picture(segment, bytes(mark)) for segment, _, mark in rows), rest[size:]


def _read_texts(rest: memoryview, count: int) -> tuple[str, ...]:
    texts: list[str] = []
    for _ in range(count):
        length = struct.unpack_from("<I", rest)[0] if len(rest) >= 4 else LONGEST_TEXT + 1
        if length > LONGEST_TEXT or len(rest) < 4 + length:
            raise WireError("A job ends within its texts; bridge and server must be of one version.")
        try:
            texts.append(str(rest[4 : 4 + length], "utf-8"))
        except UnicodeDecodeError as error:
            raise WireError("A text parameter is not UTF-8; type it again in the host.") from error
        rest = rest[4 + length :]
    if len(rest):
        raise WireError("A job is longer than its fields say; bridge and server must be of one version.")
    return tuple(texts)


def pack_job(kind: Kind, request: int, job: Job) -> bytes:
    """Return a RENDER or ANALYSE message, as the bridge sends it."""
    tail = b"".join(PICTURE_STRUCT.pack(picture.segment, 0, picture.mark) for picture in job.pictures)
    tail += struct.pack(f"<{len(job.numbers)}d", *job.numbers)
    for text in job.texts:
        data = text.encode()
        tail += struct.pack("<I", len(data)) + data
    fields = (job.effect, len(job.pictures), job.frame, job.width, job.height, job.scale, job.out, len(job.numbers), len(job.texts), 0)
    return pack(kind, request, *fields, tail=tail)
