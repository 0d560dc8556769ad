"""Stills and sequences: codes kept exactly, everything beside the picture passed on, one sentence for bad input."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainlayer.errors import MediaError
from grainlayer.picture.media import Frame, create_stills, nearest_format, open_media
from grainlayer.picture.samples import SampleFormat, sample_format
from grainlayer.picture.stills import picture_channels
from grainlayer.picture.stillwriter import still_formats
from grainlayer.picture.timecode import advanced, from_bcd, to_bcd
from tests.unit.picture.clips import RATE, frames, like, noise

KINDS = [(suffix, format) for suffix in (".exr", ".dpx", ".tif", ".png") for format in still_formats(Path("a" + suffix))]


def _write(path: Path, source: list[Frame], info: Any, **options: Any) -> None:
    with create_stills(path, like=info, **options) as writer:
        for frame in source:
            writer.write(frame)


def _exr(path: Path, pixels: np.ndarray, names: tuple[str, ...], kinds: tuple[str, ...], **attributes: Any) -> None:
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], len(names), "float")
    spec.channelnames = names
    spec.channelformats = tuple(oiio.TypeDesc(kind) for kind in kinds)
    spec.x, spec.y, spec.full_x, spec.full_y, spec.full_width, spec.full_height = 3, -2, 0, 0, 40, 30
    for name, value in attributes.items():
        spec.attribute(name, value)
    output: Any = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec) and output.write_image(pixels) and output.close()


@pytest.mark.parametrize(("suffix", "format"), KINDS, ids=lambda value: getattr(value, "name", value))
def test_every_code_comes_back(tmp_path: Path, suffix: str, format: SampleFormat) -> None:
    size = (67, 64)
    source = frames(format, size, range(2))
    for frame in source:
        if not format.floating:
            frame.planes[0].flat[: 1 << format.bits] = np.arange(min(1 << format.bits, frame.planes[0].size), dtype=format.dtype)
    info = like(format, size, sample_aspect=Fraction(2), timecode="01:00:00:00", first_number=998)
    _write(tmp_path / f"a.%04d{suffix}", source, info)
    with open_media(tmp_path / f"a.####{suffix}") as reader:
        read = list(reader.frames())
        kept = reader.info
    assert (kept.format, kept.first_number, kept.kind, kept.sample_aspect) == (format, 998, "sequence", 2)
    if suffix in (".exr", ".dpx"):
        assert (kept.rate, kept.timecode) == (RATE, "01:00:00:00")
    _write(tmp_path / f"b.%04d{suffix}", read, kept)
    with open_media(tmp_path / f"b.%04d{suffix}") as reader:
        again = list(reader.frames())
        assert reader.info.attributes == kept.attributes
    for one, two, three in zip(source, read, again, strict=True):
        assert all((a == b).all() and (a == c).all() for a, b, c in zip(one.planes, two.planes, three.planes, strict=True))


def test_what_an_exr_holds_beside_its_picture_is_passed_on(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    pixels = rng.normal(size=(12, 20, 6)).astype(np.float16).astype(np.float64)
    pixels[:, :, 4] = rng.normal(size=(12, 20)).astype(np.float32)
    ids = rng.integers(0, 5000, (12, 20)).astype(np.uint32)
    pixels[:, :, 5] = ids / (2.0**32 - 1)
    path = tmp_path / "in.exr"
    _exr(path, pixels, ("R", "G", "B", "A", "Z", "id"), ("half",) * 4 + ("float", "uint"), shot="me", compression="zips")
    with open_media(path) as reader:
        frame = next(reader.frames())
        info = reader.info
    assert info.format.name == "gbrapf32le" or info.format.name == "gbrapf16le"
    darker = Frame(tuple(plane / 2 for plane in frame.planes), 0, 0, 1, frame.sidecar)
    _write(tmp_path / "out.exr", [darker], info)
    opened: Any = oiio.ImageInput.open(str(tmp_path / "out.exr"))
    spec = opened.spec()
    assert spec.channelnames == ("R", "G", "B", "A", "Z", "id") and [str(k) for k in spec.channelformats] == ["half"] * 4 + [
        "float",
        "uint",
    ]
    assert (spec.x, spec.y, spec.full_width, spec.full_height) == (3, -2, 40, 30)
    assert spec.getattribute("shot") == "me" and spec.getattribute("compression") == "zips"
    assert np.array_equal(opened.read_image(0, 0, 0, 4, "half"), (pixels[:, :, :4] / 2).astype(np.float16))
    assert np.array_equal(opened.read_image(0, 0, 4, 5, "float")[:, :, 0], pixels[:, :, 4].astype(np.float32))
    assert np.array_equal(opened.read_image(0, 0, 5, 6, "uint")[:, :, 0], ids)


def test_parts_of_an_exr_are_passed_on(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    depth, beauty = rng.normal(size=(8, 9, 1)).astype(np.float32), rng.normal(size=(8, 9, 3)).astype(np.float16)
    specs = (oiio.ImageSpec(9, 8, 1, "float"), oiio.ImageSpec(9, 8, 3, "half"))
    specs[0].channelnames = ("depth.Z",)
    for spec, name in zip(specs, ("depth", "beauty"), strict=True):
        spec.attribute("oiio:subimagename", name)
    output: Any = oiio.ImageOutput.create("in.exr")
    output.open(str(tmp_path / "in.exr"), specs)
    output.write_image(depth)
    output.open(str(tmp_path / "in.exr"), specs[1], "AppendSubimage")
    output.write_image(beauty)
    output.close()
    with open_media(tmp_path / "in.exr") as reader:
        frame = next(reader.frames())
        assert np.array_equal(np.stack(frame.planes, 2), beauty)
        _write(tmp_path / "out.exr", [Frame(tuple(-p for p in frame.planes), 0, 0, 1, frame.sidecar)], reader.info)
    opened: Any = oiio.ImageInput.open(str(tmp_path / "out.exr"))
    assert np.array_equal(opened.read_image(0, 0, 0, 1, "float"), depth) and np.array_equal(opened.read_image(1, 0, 0, 3, "half"), -beauty)
    assert [opened.spec(part).getattribute("name") for part in (0, 1)] == ["depth", "beauty"]


def test_a_lossy_source_is_written_without_loss(tmp_path: Path) -> None:
    pixels = np.random.default_rng(5).normal(size=(32, 32, 3)).astype(np.float32)
    _exr(tmp_path / "in.exr", pixels, ("R", "G", "B"), ("half",) * 3, compression="dwaa")
    with open_media(tmp_path / "in.exr") as reader:
        _write(tmp_path / "out.exr", list(reader.frames()), reader.info)
        source = next(reader.frames())
    with open_media(tmp_path / "out.exr") as reader:
        got = next(reader.frames())
    assert all(np.array_equal(a, b) for a, b in zip(source.planes, got.planes, strict=True))


def test_a_folder_is_a_sequence(tmp_path: Path) -> None:
    info = like("gbrp", (4, 3))
    _write(tmp_path / "x_%d.png", frames(info.format, (4, 3), range(11)), info)
    with open_media(tmp_path) as reader:
        assert reader.count() == 11 and [frame.index for frame in reader.frames(8)] == [8, 9, 10]
        assert np.array_equal(next(reader.frames(10)).planes[0], noise(info.format, (4, 3), 10)[0])
    with open_media(tmp_path / "x_3.png") as reader:
        assert reader.info.kind == "still" and reader.count() == 1


@pytest.mark.parametrize(
    ("names", "channels"),
    [
        (("R", "G", "B"), (0, 1, 2)),
        (("B", "G", "R", "A"), (2, 1, 0, 3)),
        (("Z", "beauty.R", "beauty.G", "beauty.B"), (1, 2, 3)),
        (("Y", "A"), (0, 1)),
        (("Y", "RY", "BY"), ()),
        (("Z", "N.x"), ()),
        (("a.R", "a.G", "a.B", "R", "G", "B"), (3, 4, 5)),
    ],
)
def test_picture_channels(names: tuple[str, ...], channels: tuple[int, ...]) -> None:
    assert picture_channels(names) == channels


@pytest.mark.parametrize(
    ("name", "format", "nearest"),
    [
        ("a.dpx", "yuv422p10le", "gbrp10le"),
        ("a.png", "yuv420p10le", "gbrp16le"),
        ("a.exr", "gbrp10le", "gbrpf16le"),
        ("a.tif", "gbrpf16le", "gbrpf32le"),
        ("a.dpx", "gbrap10le", "gbrap12le"),
    ],
)
def test_nearest_format(name: str, format: str, nearest: str) -> None:
    assert nearest_format(name, "", sample_format(format)).name == nearest


@given(
    st.integers(0, 2_600_000),
    st.integers(0, 2_000_000),
    st.sampled_from([(Fraction(24), ":"), (Fraction(30000, 1001), ";"), (Fraction(60), ":"), (Fraction(60000, 1001), ";")]),
)
def test_timecode_counts_one_by_one(start: int, step: int, kind: tuple[Fraction, str]) -> None:
    # One step and two steps meet, whatever was dropped between.
    rate, mark = kind
    zero = f"00:00:00{mark}00"
    one = advanced(zero, start, rate)
    assert one is not None and advanced(one, step, rate) == advanced(zero, start + step, rate)
    word = to_bcd(one)
    assert word is None or from_bcd(word) == one
    assert (word is None) == (int(one[-2:]) >= 40)


def test_timecode_drops_two_frames_a_minute_but_not_the_tenth() -> None:
    ntsc = Fraction(30000, 1001)
    assert advanced("00:00:59;29", 1, ntsc) == "00:01:00;02" and advanced("00:09:59;29", 1, ntsc) == "00:10:00;00"
    assert advanced("23:59:59;29", 1, ntsc) == "00:00:00;00" and advanced("no timecode", 1, ntsc) is None


# Bad input.


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none(tmp_path: Path, value: float) -> None:
    pixels = np.zeros((6, 8, 3), np.float32)
    _exr(tmp_path / "a.0000.exr", pixels, ("R", "G", "B"), ("float",) * 3)
    pixels[4, 7, 1] = value
    _exr(tmp_path / "a.0001.exr", pixels, ("R", "G", "B"), ("float",) * 3)
    with open_media(tmp_path) as reader:
        every = reader.frames()
        assert next(every).index == 0
        with pytest.raises(MediaError, match=r"Frame 1 of .*a\.0001\.exr holds -?(nan|inf) in channel G at pixel \(7, 4\)"):
            next(every)


def _numbered(folder: Path, numbers: tuple[int, ...], size: tuple[int, int] = (4, 3), name: str = "gbrp") -> None:
    for number in numbers:
        info = like(name, size)
        _write(folder / f"s.{number:04d}.png", frames(info.format, size, [0]), info)


def test_missing_numbers(tmp_path: Path) -> None:
    _numbered(tmp_path, (1, 2, 4, 7))
    with pytest.raises(MediaError, match=r"lacks the frames 3, 5-6 of 1-7"):
        open_media(tmp_path / "s.%04d.png")


def test_folders_that_are_no_sequence(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="without numbered pictures"):
        open_media(tmp_path)
    _numbered(tmp_path, (1,))
    (tmp_path / "t.0001.png").write_bytes(b"")
    with pytest.raises(MediaError, match="several sequences"):
        open_media(tmp_path)
    with pytest.raises(MediaError, match="no file"):
        open_media(tmp_path / "u.%04d.png")
    with pytest.raises(MediaError, match="does not exist"):
        open_media(tmp_path / "nowhere" / "u.%04d.png")


@pytest.mark.parametrize(
    ("size", "name", "words"), [((5, 3), "gbrp", "4x3 to 5x3 at frame 1"), ((4, 3), "gbrp16le", "gbrp to gbrp16le at frame 1")]
)
def test_a_sequence_that_changes(tmp_path: Path, size: tuple[int, int], name: str, words: str) -> None:
    _numbered(tmp_path, (1,))
    _numbered(tmp_path, (2,), size, name)
    with open_media(tmp_path) as reader, pytest.raises(MediaError, match=words):
        list(reader.frames())


@pytest.mark.parametrize("suffix", [".exr", ".dpx", ".tif", ".png"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.95])
def test_a_cut_file_names_its_frame(tmp_path: Path, suffix: str, share: float) -> None:
    format = still_formats(Path("a" + suffix))[0]
    _write(tmp_path / f"a.%04d{suffix}", frames(format, (64, 64), range(2)), like(format, (64, 64)))
    path = tmp_path / f"a.0001{suffix}"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with open_media(tmp_path) as reader:
        every = reader.frames()
        assert next(every).index == 0
        with pytest.raises(MediaError, match=r"a\.0001\.\w+ \(frame 1\)") as caught:
            next(every)
    assert "\n" not in str(caught.value)


def test_outputs_are_not_replaced_unasked(tmp_path: Path) -> None:
    _numbered(tmp_path, (1, 2))
    before = {entry: entry.read_bytes() for entry in tmp_path.iterdir()}
    info = like("gbrp", (4, 3), first_number=2)
    with pytest.raises(MediaError, match="--overwrite"):
        create_stills(tmp_path / "s.%04d.png", like=info)
    with pytest.raises(MediaError, match="--overwrite"):
        create_stills(tmp_path / "s.0001.png", like=info)
    writer = create_stills(tmp_path / "s.%04d.png", like=info, overwrite=True)
    writer.write(frames(info.format, (4, 3), range(9))[8])
    writer.abort()
    assert {entry: entry.read_bytes() for entry in tmp_path.iterdir()} == before


def test_one_still_takes_one_frame(tmp_path: Path) -> None:
    info = like("gbrp", (4, 3))
    with create_stills(tmp_path / "one.png", like=info) as writer:
        writer.write(frames(info.format, (4, 3), [0])[0])
        with pytest.raises(MediaError, match=r"one\.####\.png"):
            writer.write(frames(info.format, (4, 3), [0])[0])


@pytest.mark.parametrize(
    ("name", "format", "words"),
    [("a.jpg", "gbrp", "cannot be written"), ("a.dpx", "yuv422p10le", "cannot hold"), ("no/a.exr", "gbrpf16le", "folder")],
)
def test_what_cannot_be_created(tmp_path: Path, name: str, format: str, words: str) -> None:
    with pytest.raises(MediaError, match=words):
        create_stills(tmp_path / name, like=like(format))
