"""AV1's grain: tables, what decoders export, and the synthesis bit for bit against dav1d."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainlayer.codec.av1grain import MOST_POINTS, Av1Grain, Entry, Points, from_side_data, read_table, table_text
from grainlayer.codec.av1synth import draws, lay, patterns, scaling
from grainlayer.errors import MediaError, ParamError

BYTES = st.integers(-128, 127)


def points(most: int) -> st.SearchStrategy[Points]:
    values = st.lists(st.integers(0, 255), unique=True, max_size=most).map(sorted)
    return values.flatmap(lambda found: st.tuples(*(st.tuples(st.just(value), st.integers(0, 255)) for value in found)))


@st.composite
def grains(draw: st.DrawFn) -> Av1Grain:
    lag = draw(st.integers(0, 3))
    counts = [2 * lag * (lag + 1) + (plane > 0) for plane in range(3)]
    rows = tuple(tuple(draw(st.lists(BYTES, min_size=count, max_size=count))) for count in counts)
    triple = st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 511))
    return Av1Grain(
        seed=draw(st.integers(0, 65535)),
        points=(draw(points(MOST_POINTS[0])), draw(points(MOST_POINTS[1])), draw(points(MOST_POINTS[2]))),
        lag=lag,
        coefficients=rows,
        ar_shift=draw(st.integers(6, 9)),
        grain_shift=draw(st.integers(0, 3)),
        scaling_shift=draw(st.integers(8, 11)),
        from_luma=draw(st.booleans()),
        overlap=draw(st.booleans()),
        multipliers=(draw(triple), draw(triple)),
    )


@given(st.lists(st.tuples(st.integers(0, 10**9), st.none() | grains()), max_size=3))
def test_any_table_comes_back(rows: list[tuple[int, Av1Grain | None]]) -> None:
    import tempfile

    entries = tuple(Entry(start, start + 1, grain) for start, grain in rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grain.tbl"
        path.write_text(table_text(entries))
        assert read_table(path) == entries


def test_real_tables_are_read(data_root: Path) -> None:
    paths = sorted((data_root / "grain" / "tables").glob("*.tbl"))
    assert len(paths) >= 16
    for path in paths:
        found = read_table(path)
        assert found and all(entry.grain for entry in found), path


DAMAGED = ("", "filmgrn2", "filmgrn1 E 0 1", "filmgrn1 E 0 1 1 5 1 p 9 6 0 8 0 1 0 0 0 0 0 0 sY 0 sCb 0 sCr 0 cY cCb 0 cCr 0", "filmgrn1 X")


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_table_is_one_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "grain.tbl"
    path.write_text(text)
    with pytest.raises(MediaError, match=r"grain table.*\.$"):
        read_table(path)
    with pytest.raises(MediaError, match="cannot be read"):
        read_table(tmp_path / "none.tbl")


@pytest.mark.parametrize(
    "wrong", [{"lag": 4}, {"lag": 1}, {"seed": 65536}, {"points": (((5, 1), (4, 1)), (), ())}, {"scaling_shift": 7}, {"ar_shift": 5}]
)
def test_what_no_bitstream_can_hold_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParamError):
        Av1Grain(**wrong)


def test_side_data_that_is_cut_short_is_refused() -> None:
    with pytest.raises(MediaError, match="cut short"):
        from_side_data(bytes(100))
    assert from_side_data(bytes(400)) is None


def decoded(path: Path, options: dict[str, str]) -> Iterator[av.VideoFrame]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder = av.CodecContext.create("libdav1d", "r")
        decoder.extradata = stream.codec_context.extradata
        decoder.options = options
        for packet in container.demux(stream):
            for frame in decoder.decode(packet):
                assert isinstance(frame, av.VideoFrame)
                yield frame


def planes_of(frame: av.VideoFrame) -> list[Any]:
    kind = np.dtype("<u2" if frame.format.components[0].bits > 8 else "u1")
    rows = [np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // kind.itemsize) for plane in frame.planes]
    return [row[:, : plane.width] for row, plane in zip(rows, frame.planes, strict=True)]


def test_the_synthesis_is_a_decoders_bit_for_bit(data_root: Path) -> None:
    paths = sorted((data_root / "grain" / "av1_filmgrain").glob("*.ivf"))
    assert len(paths) == 8
    for path in paths:
        count = 0
        for bare, grainy in zip(decoded(path, {"export_side_data": "film_grain"}), decoded(path, {"filmgrain": "1"}), strict=True):
            exported: Any = bare.side_data.get("FILM_GRAIN_PARAMS")
            grain = from_side_data(bytes(exported))
            assert grain is not None
            planes, wanted = planes_of(bare), planes_of(grainy)
            halved = (int(planes[1].shape[1] < planes[0].shape[1]), int(planes[1].shape[0] < planes[0].shape[0]))
            made = lay(grain, planes, bare.format.components[0].bits, halved)
            assert all(np.array_equal(one, other) for one, other in zip(made, wanted, strict=True)), (path.name, count)
            count += 1
            if count == 6:
                break
        assert count == 6


def test_the_pattern_one_sample_at_a_time() -> None:
    """The slow twin: the filter in the specification's own order."""
    grain = Av1Grain(seed=4711, points=(((0, 60), (255, 90)), (), ()), lag=2, coefficients=(tuple(range(-6, 6)), (0,) * 13, (0,) * 13))
    plain = Av1Grain(seed=4711, points=grain.points, lag=2, coefficients=((0,) * 12, (0,) * 13, (0,) * 13))
    field = patterns(plain, 10, (1, 1))[0].copy()
    taps = [(y, x) for y in range(-2, 1) for x in range(-2, 3) if (y, x) < (0, 0)]
    for y in range(3, 73):
        for x in range(3, 79):
            total = sum(weight * int(field[y + dy, x + dx]) for weight, (dy, dx) in zip(grain.coefficients[0], taps, strict=True))
            field[y, x] = min(511, max(-512, int(field[y, x]) + ((total + 64) >> 7)))
    np.testing.assert_array_equal(patterns(grain, 10, (1, 1))[0], field)


@given(st.integers(1, 65535), st.integers(1, 11))
def test_draws_are_those_of_the_shift_register(seed: int, bits: int) -> None:
    state, wanted = seed, []
    for _ in range(40):
        bit = (state ^ (state >> 1) ^ (state >> 3) ^ (state >> 12)) & 1
        state = (state >> 1) | (bit << 15)
        wanted.append(state >> (16 - bits))
    assert draws(seed, 40, bits).tolist() == wanted


def test_scaling_meets_its_points_and_is_flat_outside() -> None:
    table = scaling(((16, 20), (32, 40), (48, 10)), 8)
    assert table[[0, 15, 16, 24, 32, 48, 255]].tolist() == [20, 20, 20, 30, 40, 10, 10]
    assert scaling(((0, 0), (255, 255)), 10)[[0, 2, 511, 1020]].tolist() == [0, 1, 128, 255]
    assert not scaling((), 12).any()


def test_depths_that_av1_lacks_are_refused() -> None:
    with pytest.raises(ParamError, match="8, 10 or 12"):
        lay(Av1Grain(), [np.zeros((8, 8), np.uint16)], 16, (0, 0))
