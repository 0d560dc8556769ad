from __future__ import annotations

import zlib
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from grainlayer.codec import framing
from grainlayer.codec.shotcode import decode_shot, encode_shot
from grainlayer.codec.stream import MAX_FRAMES, GrainShot, GrainStream, pack, packet_size, shot_at, symbols, unpack
from grainlayer.errors import ParamError, StreamError
from grainlayer.grain.texture import plain_map
from tests.golden.write_stream import GOLDEN, golden_stream
from tests.unit.codec.shots import profiles, random_map, streams, texture_maps, typical_stream


@given(streams())
@settings(max_examples=60)
def test_a_stream_comes_back(stream: GrainStream) -> None:
    assert unpack(pack(stream)) == (stream, [])


@given(profiles, texture_maps(200, 137), st.integers(0, 200))
@settings(max_examples=60)
def test_a_cut_shot_is_an_error_or_ends_within_its_size(profile: object, texture: object, cut: int) -> None:
    coded = encode_shot(profile, (), texture)  # pyright: ignore[reportArgumentType]
    try:
        _, gains, found = decode_shot(coded[: max(len(coded) - cut, 0)], 10, (200, 137))
    except StreamError:
        return
    assert gains == ()
    assert len(found.codes) <= 130


@given(st.binary(max_size=3000))
@settings(max_examples=100)
def test_any_bytes_are_a_shot_or_an_error(data: bytes) -> None:
    with suppress(StreamError):
        assert len(decode_shot(data, 48, (500, 300))[2].codes) <= 32 * 19


@given(st.binary(max_size=300))
def test_any_bytes_are_no_stream(data: bytes) -> None:
    with pytest.raises(StreamError, match="no grain stream"):
        unpack(data)


@given(st.data())
@settings(max_examples=150)
def test_damage_costs_only_the_shots_it_touches(data: st.DataObject) -> None:
    packed = pack(STREAM)
    place = data.draw(st.integers(0, len(packed) - 1))
    width = data.draw(st.integers(1, 40))
    noise = data.draw(st.binary(min_size=width, max_size=width))
    damaged = packed[:place] + noise + packed[place + width :]
    stream, warnings = unpack(damaged)
    spans = zip(STREAM.shots, packet_spans(packed), strict=True)
    touched = {shot.start for shot, (start, end) in spans if start < place + width and place < end}
    assert {shot.start: shot for shot in stream.shots} | touched_shots(touched) == touched_shots({shot.start for shot in STREAM.shots})
    assert bool(warnings) == (damaged[: len(packed)] != packed)


def touched_shots(starts: set[int]) -> dict[int, GrainShot]:
    return {shot.start: shot for shot in STREAM.shots if shot.start in starts}


def packet_spans(packed: bytes) -> list[tuple[int, int]]:
    return [(packet.offset, packet.end) for packet in framing.scan(packed)]


STREAM = typical_stream(1, 5, width=320, height=180)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.7, 0.99])
def test_a_cut_stream_keeps_its_first_shots(keep: float) -> None:
    packed = pack(STREAM)
    first = packet_spans(packed)[0][0]
    cut = first + int(keep * (len(packed) - first))
    stream, warnings = unpack(packed[:cut])
    whole = sum(end <= cut for _, end in packet_spans(packed))
    assert stream.shots == STREAM.shots[:whole]
    assert len(warnings) == len(STREAM.shots) - whole
    assert all("plays as base" in warning and "frames" in warning and "byte" in warning for warning in warnings)


def test_bytes_put_in_or_left_out_lose_one_shot() -> None:
    packed = pack(STREAM)
    inside = packet_spans(packed)[2][0] + 40
    for damaged in (packed[:inside] + b"xyz" + packed[inside:], packed[:inside] + packed[inside + 5 :]):
        stream, warnings = unpack(damaged)
        assert stream.shots == STREAM.shots[:2] + STREAM.shots[3:]
        assert "Shot 3 of 5" in " ".join(warnings)


def test_shots_are_found_without_header_and_index() -> None:
    packed = pack(STREAM)
    stream, warnings = unpack(packed[packet_spans(packed)[0][0] :])
    assert stream == STREAM
    assert "looked for" in warnings[0]


def test_a_header_alone_without_shots_is_an_error_that_names_shot_and_byte() -> None:
    with pytest.raises(StreamError, match=r"shot 1.*byte 9"):
        unpack(pack(STREAM)[:9])


def test_a_stream_of_a_later_version_asks_for_an_update() -> None:
    packed = bytearray(pack(STREAM))
    packed[8] = 2
    length = int.from_bytes(packed[10:14], "little")
    packed[length - 4 : length] = zlib.crc32(packed[: length - 4]).to_bytes(4, "little")
    with pytest.raises(StreamError, match=r"version 2.*update GrainLayer"):
        unpack(bytes(packed))


def test_a_shot_of_a_later_version_plays_as_base(monkeypatch: pytest.MonkeyPatch) -> None:
    later = replace(STREAM, shots=STREAM.shots[:1])
    monkeypatch.setattr(framing, "MAJOR", 2)
    body = pack(later)
    monkeypatch.undo()
    whole = next(framing.scan(body))
    packed = pack(STREAM)
    stream, warnings = unpack(packed[packet_spans(packed)[1][0] :] + body[whole.offset :])
    assert stream.shots == STREAM.shots[1:]
    assert "update GrainLayer" in " ".join(warnings)


def test_impossible_values_under_a_right_crc_cost_one_shot() -> None:
    packets = [framing.packet(packet.body) for packet in framing.scan(pack(STREAM))]
    packets[1] = framing.packet(next(framing.scan(packets[1])).body[:40])
    packets[3] = framing.packet(b"\xff" * 12)
    stream, warnings = unpack(b"".join(packets))
    assert stream.shots == (STREAM.shots[0], STREAM.shots[2], STREAM.shots[4])
    assert len(warnings) == 3


def test_twice_the_same_shot_counts_once() -> None:
    packed = pack(STREAM)
    shots = packed[packet_spans(packed)[0][0] :]
    stream, warnings = unpack(shots + shots)
    assert stream == STREAM
    assert sum("does not belong" in warning for warning in warnings) == 5


def test_a_part_decodes_alone() -> None:
    stream, warnings = unpack(pack(STREAM), range(50, 97))
    assert stream == replace(STREAM, shots=STREAM.shots[1:3])
    assert not warnings


def test_frames_find_their_shots() -> None:
    stream = golden_stream()
    found = [shot_at(stream, frame) for frame in (0, 47, 48, 147, 148, 999, 1000, 1000 + (1 << 30))]
    assert found == [stream.shots[0], stream.shots[0], stream.shots[1], stream.shots[1], None, None, stream.shots[2], None]
    assert stream.shots[0].gain(47) == stream.shots[0].gains[47]
    assert stream.shots[1].gain(50) == 0


def test_version_1_is_read_and_written_for_ever() -> None:
    """Changed on purpose? Then it is a new version; a golden file is written by `python -m tests.golden.write_stream`."""
    assert unpack(GOLDEN.read_bytes()) == (golden_stream(), [])
    assert pack(golden_stream()) == GOLDEN.read_bytes()


@pytest.mark.parametrize(("frames", "limit"), [(96, 2500), (48, 5000)])
@pytest.mark.parametrize("plain", [False, True])
def test_a_typical_720p_clip_stays_in_its_budget(frames: int, limit: int, plain: bool) -> None:
    stream = typical_stream(3, 10, frames)
    if plain:
        stream = replace(stream, shots=tuple(replace(shot, texture=plain_map(1280, 720)) for shot in stream.shots))
    packed = pack(stream)
    assert len(packed) * 8 / (stream.frames / stream.rate) <= limit
    other = zstandard.ZstdCompressor(level=19).compress(b"".join(symbols(shot) for shot in stream.shots))
    assert len(packed) <= 0.8 * len(other)
    sizes = [packet_size(shot) for shot in stream.shots]
    assert 0 < len(packed) - sum(sizes) < 34 + 10 * len(sizes)


def test_a_stream_has_a_limit_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes under a right CRC cannot ask for more blocks than a stream may have."""
    monkeypatch.setattr("grainlayer.codec.stream.MAX_STREAM_LEAVES", 1500)
    shots = tuple(replace(STREAM.shots[0], start=48 * place, texture=plain_map(4000, 4000)) for place in range(2))
    stream, warnings = unpack(pack(GrainStream(4000, 4000, Fraction(24), 96, shots)))
    assert stream.shots == shots[:1]
    assert "blocks" in warnings[0]


def test_no_memory_goes_to_unchecked_counts() -> None:
    fields = b"".join(framing.varint(number) for number in (65535, 65535, 24, 1, 1 << 31, 1 << 62, 1 << 62))
    with pytest.raises(StreamError):
        unpack(framing.header(fields))
    long = replace(STREAM.shots[0], frames=40, gains=(1,) * 40)
    packed = pack(GrainStream(320, 180, Fraction(24), MAX_FRAMES, (long,)))
    body = next(framing.scan(packed)).body
    stretched = framing.packet(body[:1] + framing.varint(1 << 30) + body[2:])
    stream, warnings = unpack(stretched)
    assert stream.shots == ()
    assert "gains" in warnings[-1]


def test_wrong_shots_are_refused() -> None:
    shot = STREAM.shots[0]
    for change in (
        {"seed": -1},
        {"seed": 1 << 64},
        {"hold": 9},
        {"frames": 0},
        {"gains": (1, 2)},
        {"extras": {-1: b""}},
        {"start": MAX_FRAMES},
    ):
        with pytest.raises(ParamError):
            replace(shot, **change)
    for change in ({"shots": STREAM.shots[::-1]}, {"width": 321}, {"frames": 3}, {"rate": Fraction(0)}, {"version": 2}):
        with pytest.raises(ParamError):
            replace(STREAM, **change)


def test_a_map_of_too_many_blocks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grainlayer.codec.shotcode.MAX_LEAVES", 1000)
    huge = random_map(np.random.default_rng(0), 1600, 1600, 1.0, 0.0)
    with pytest.raises(ParamError, match="blocks"):
        encode_shot(STREAM.shots[0].profile, (), huge)
