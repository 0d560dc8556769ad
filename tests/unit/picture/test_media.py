"""Movies out: what is written comes back, with times, tags and sound; and nothing half-written stays."""

from __future__ import annotations

import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainlayer.errors import MediaError
from grainlayer.picture.encoders import ENCODERS, formats_of
from grainlayer.picture.matroska import set_sample_aspect
from grainlayer.picture.media import Frame, MediaInfo, create_media, create_movie, is_sequence, nearest_format, open_media
from grainlayer.picture.samples import ColourTags, SampleFormat, sample_format
from tests.unit.picture.clips import RATE, frames, like, movie

LOSSLESS = sorted(formats_of("ffv1"), key=lambda format: format.name)


def _round_trip(path: Path, info: MediaInfo, given_frames: list[Frame], codec: str = "ffv1") -> tuple[MediaInfo, list[Frame]]:
    with create_movie(path, codec=codec, like=info) as writer:
        for frame in given_frames:
            writer.write(frame)
    with open_media(path) as reader:
        return reader.info, list(reader.frames())


def _same(one: list[Frame], other: list[Frame]) -> bool:
    return all(np.array_equal(a, b) for f, g in zip(one, other, strict=True) for a, b in zip(f.planes, g.planes, strict=True))


@pytest.mark.parametrize("format", LOSSLESS, ids=lambda format: format.name)
def test_every_lossless_format_comes_back_exactly(tmp_path: Path, format: SampleFormat) -> None:
    source = frames(format, (35, 17), range(3))
    info, got = _round_trip(tmp_path / "clip.mkv", like(format, (35, 17)), source)
    assert info.format == format and (info.width, info.height) == (35, 17) and _same(source, got)


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (16, 9), (15, 9), (33, 17), (1, 300), (360, 3)])
@pytest.mark.parametrize("codec", sorted(ENCODERS))
def test_every_codec_takes_every_size(tmp_path: Path, codec: str, size: tuple[int, int]) -> None:
    wanted = sample_format("yuv420p10le")
    suffix = ".mov" if codec == "dnxhr" else ".mkv"
    format = nearest_format(tmp_path / f"clip{suffix}", codec, wanted)
    flat = [
        Frame(tuple(np.full(format.plane_shape(*size, k), 400, format.dtype) for k in range(format.plane_count)), i, i) for i in range(2)
    ]
    info, got = _round_trip(tmp_path / f"clip{suffix}", like(format, size), flat, codec)
    assert (info.width, info.height) == size and len(got) == 2
    for plane in (plane for frame in got for plane in frame.planes):
        assert np.abs(plane.astype(int) - 400 * (1 << (info.format.bits - 10))).max() <= 8 << (info.format.bits - 10)


KEPT = [
    ("ffv1", ".mkv"),
    ("prores", ".mov"),
    ("prores", ".mkv"),
    ("dnxhr", ".mov"),
    ("h264", ".mkv"),
    ("h264", ".mp4"),
    ("h265", ".mov"),
    ("av1", ".mkv"),
]


@pytest.mark.parametrize(("codec", "suffix"), KEPT)
def test_tags_times_and_metadata_are_kept(tmp_path: Path, codec: str, suffix: str) -> None:
    format = nearest_format(f"clip{suffix}", codec, sample_format("yuv420p10le"))
    kept = {"sample_aspect": Fraction(4, 3), "rotation": 90, "timecode": "01:02:03:04", "metadata": {"comment": "take 3", "reel": "A7"}}
    source = like(format, (64, 48), time_base=Fraction(1, 24000), **kept)
    times = [0, 1001, 3003, 4004, 9009]
    info, got = _round_trip(tmp_path / f"clip{suffix}", source, frames(format, (64, 48), times, 1001), codec)
    assert info.sample_aspect == Fraction(4, 3) and info.rotation == 90 and info.timecode == "01:02:03:04"
    assert {key.lower(): value for key, value in info.metadata.items()} == {"comment": "take 3", "reel": "A7"}
    located = source.tags.chroma_location if codec in ("ffv1", "h264", "h265", "av1") else info.tags.chroma_location
    assert info.tags == ColourTags(False, 9, 16, 9, located)
    slack = Fraction(1, 2000) if suffix == ".mkv" else Fraction(0)
    seconds = [frame.pts * info.time_base for frame in got]
    assert all(abs(second - Fraction(time, 24000)) <= slack for second, time in zip(seconds, times, strict=True))


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(
    ("codec", "suffix"), [("h264", ".mkv"), ("h264", ".mov"), ("h265", ".mkv"), ("h265", ".mp4"), ("h265", ".mov"), ("av1", ".mkv")]
)
def test_movies_of_very_few_frames_keep_their_times(tmp_path: Path, codec: str, suffix: str, count: int) -> None:
    source = like("yuv420p10le", (64, 64), rate=Fraction(25), time_base=Fraction(1, 25))
    path = tmp_path / f"clip{suffix}"
    for take in range(4):
        with create_movie(path, codec=codec, like=source, overwrite=take > 0) as writer:
            for frame in frames(source.format, (64, 64), range(count)):
                writer.write(frame)
        with av.open(str(path)) as container:
            got = [(p.pts * p.time_base, p.dts is None or p.dts <= p.pts) for p in container.demux(video=0) if p.size and p.pts is not None]
        assert sorted(got) == [(Fraction(index, 25), True) for index in range(count)]


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(60000, 1001), Fraction(12)])
def test_milliseconds_become_even_times_again(tmp_path: Path, rate: Fraction) -> None:
    rounded = [round(1000 * index / rate) for index in range(40)]
    source = like("yuv422p10le", (32, 16), rate=rate, time_base=Fraction(1, 1000))
    info, got = _round_trip(tmp_path / "clip.mov", source, frames(source.format, (32, 16), rounded, 41), "prores")
    assert info.rate == rate and not info.variable_rate
    assert [frame.pts * info.time_base for frame in got] == [index / rate for index in range(40)]


@pytest.mark.parametrize(
    ("voice", "suffix"), [("aac", ".mp4"), ("aac", ".mkv"), ("pcm_s16le", ".mov"), ("flac", ".mkv"), ("libopus", ".mkv")]
)
def test_sound_is_copied_bit_for_bit(tmp_path: Path, voice: str, suffix: str) -> None:
    source = movie(tmp_path / f"source{'.mkv' if voice in ('flac', 'libopus') else '.mov'}", sound=voice)
    with open_media(source) as reader, create_movie(tmp_path / f"out{suffix}", codec="h264", like=reader.info, audio_from=source) as writer:
        assert reader.info.audio_streams == 1
        for frame in reader.frames():
            writer.write(frame)

    def packets(path: Path) -> list[tuple[Fraction, bytes]]:
        with av.open(str(path)) as container:
            return [(p.pts * p.time_base, bytes(p)) for p in container.demux(audio=0) if p.size and p.pts is not None]

    before, after = packets(source), packets(tmp_path / f"out{suffix}")
    assert b"".join(data for _, data in before) == b"".join(data for _, data in after) and before
    assert abs((before[0][0] - _first_picture(source)) - (after[0][0] - _first_picture(tmp_path / f"out{suffix}"))) <= Fraction(1, 500)


def _first_picture(path: Path) -> Fraction:
    with open_media(path) as reader:
        return next(reader.frames()).pts * reader.info.time_base


def test_hdr_is_handed_to_the_encoders(tmp_path: Path) -> None:
    points = (34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450)
    fields = [value for point in points for value in (point, 50000)] + [50, 10000, 10000000, 10000, 1, 1]
    hdr = {"mastering_display": struct.pack("=22i", *fields), "content_light": struct.pack("=2I", 1000, 400)}
    source = like("yuv420p10le", (64, 64), hdr=hdr)
    for codec in ("h264", "h265", "av1"):
        info, _ = _round_trip(tmp_path / f"{codec}.mkv", source, frames(source.format, (64, 64), range(3)), codec)
        assert struct.unpack_from("=2I", info.hdr["content_light"]) == (1000, 400)
        got = struct.unpack_from("=22i", info.hdr["mastering_display"])
        ratios = [(got[i] / got[i + 1], fields[i] / fields[i + 1]) for i in range(0, 20, 2)]
        assert all(abs(one - other) <= 1e-4 * max(1, other) for one, other in ratios)


@pytest.mark.parametrize("suffix", [".avi", ".nut"])
def test_plain_containers(tmp_path: Path, suffix: str) -> None:
    source = like("yuv420p", (32, 16))
    info, got = _round_trip(tmp_path / f"clip{suffix}", source, frames(source.format, (32, 16), range(4)))
    assert info.rate == RATE and [frame.pts * info.time_base for frame in got] == [index / RATE for index in range(4)]
    with pytest.raises(MediaError, match="sample aspect"):
        create_movie(tmp_path / f"other{suffix}", codec="ffv1", like=like("yuv420p", sample_aspect=Fraction(2)))


def test_avi_refuses_uneven_times(tmp_path: Path) -> None:
    source = like("yuv420p", (32, 16), time_base=Fraction(1, 1000))
    with pytest.raises(MediaError, match="uneven"):
        _round_trip(tmp_path / "clip.avi", source, frames(source.format, (32, 16), (0, 42, 60)))
    assert not list(tmp_path.iterdir())


def test_large_picture_in_bounded_memory(tmp_path: Path) -> None:
    code = (
        "import resource, sys, numpy as np\n"
        "from tests.unit.picture.clips import like\n"
        "from grainlayer.picture.media import Frame, create_movie, open_media\n"
        "info = like('yuv420p10le', (8192, 4320))\n"
        "planes = tuple(np.full(info.format.plane_shape(8192, 4320, k), 300 + k, np.uint16) for k in range(3))\n"
        "with create_movie(sys.argv[1], codec='ffv1', like=info) as writer:\n"
        "    for index in range(2): writer.write(Frame(planes, index, index))\n"
        "with open_media(sys.argv[1]) as reader:\n"
        "    for frame in reader.frames(): assert all((a == b).all() for a, b in zip(frame.planes, planes))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "big.mkv")], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 4000


# What cannot be written, and what it leaves.


def _broken_off(path: Path) -> None:
    source = like("yuv420p10le")
    with create_movie(path, codec="h264", like=source, overwrite=True) as writer:
        writer.write(frames(source.format, (34, 18), [0])[0])
        raise KeyboardInterrupt


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _broken_off(tmp_path / "clip.mkv")
    assert not list(tmp_path.iterdir())


def test_an_existing_output_is_kept(tmp_path: Path) -> None:
    (tmp_path / "clip.mkv").write_bytes(b"mine")
    with pytest.raises(MediaError, match="--overwrite"):
        create_movie(tmp_path / "clip.mkv", codec="ffv1", like=like())
    source = like("yuv420p10le")
    with pytest.raises(KeyboardInterrupt):
        _broken_off(tmp_path / "clip.mkv")
    assert (tmp_path / "clip.mkv").read_bytes() == b"mine" and len(list(tmp_path.iterdir())) == 1
    with create_movie(tmp_path / "clip.mkv", codec="ffv1", like=source, overwrite=True) as writer:
        writer.write(frames(source.format, (34, 18), [0])[0])
    assert open_media(tmp_path / "clip.mkv").count() == 1


@pytest.mark.parametrize(
    ("name", "codec", "format", "words"),
    [
        ("clip.mp4", "ffv1", "yuv420p", "cannot hold ffv1"),
        ("clip.webm", "ffv1", "yuv420p", "cannot hold ffv1"),
        ("clip.mkv", "vp8", "yuv420p", "no codec vp8"),
        ("clip.mkv", "av1", "yuv444p", "cannot hold yuv444p"),
        ("nowhere/clip.mkv", "ffv1", "yuv420p", "folder .* does not exist"),
    ],
)
def test_what_cannot_be_created(tmp_path: Path, name: str, codec: str, format: str, words: str) -> None:
    with pytest.raises(MediaError, match=words):
        create_movie(tmp_path / name, codec=codec, like=like(format))
    assert not list(tmp_path.iterdir())


def test_frames_that_do_not_fit(tmp_path: Path) -> None:
    source = like("yuv420p10le")
    with create_movie(tmp_path / "clip.mkv", codec="ffv1", like=source) as writer:
        first, second = frames(source.format, (34, 18), [5, 4])
        writer.write(first)
        with pytest.raises(MediaError, match="not later"):
            writer.write(second)
        with pytest.raises(MediaError, match="code 1024, more than 10 bits"):
            writer.write(Frame(tuple(plane + np.uint16(1024 - plane.max()) for plane in second.planes), 2, 9))
        with pytest.raises(MediaError, match="does not fit"):
            writer.write(frames(sample_format("yuv420p"), (34, 18), [9])[0])


def test_no_room_left_on_the_disk(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys\n"
        "from tests.unit.picture.clips import like, frames\n"
        "from grainlayer.picture.media import create_media\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000))\n"
        "info = like(sys.argv[2], (128, 96))\n"
        "with create_media(sys.argv[1], like=info) as writer:\n"
        "    for frame in frames(info.format, (128, 96), range(30)): writer.write(frame)\n"
    )
    for name, format in (("clip.mkv", "yuv420p10le"), ("a.####.exr", "gbrpf32le"), ("a.####.dpx", "gbrp16le"), ("a.####.tif", "gbrpf32le")):
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path / name), format], capture_output=True, text=True)
        said = done.stderr.splitlines()[-1]
        assert done.returncode == 1 and "MediaError" in said and ("disk is full" in said or "cannot be written" in said)
        assert not list(tmp_path.iterdir())


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(LOSSLESS), st.sampled_from(sorted(ENCODERS)))
def test_nearest_format_is_one_the_codec_holds(format: SampleFormat, codec: str) -> None:
    nearest = nearest_format("clip.mov", codec, format)
    assert nearest in formats_of(codec)
    assert nearest == format or format not in formats_of(codec)


@pytest.mark.parametrize(
    ("codec", "format", "nearest"),
    [
        ("prores", "yuv420p10le", "yuv422p10le"),
        ("prores", "gbrap16le", "yuva444p10le"),
        ("av1", "yuv422p12le", "yuv420p10le"),
        ("h264", "gray", "yuv420p"),
        ("ffv1", "gbrapf32le", "gbrap16le"),
    ],
)
def test_nearest_format(codec: str, format: str, nearest: str) -> None:
    assert nearest_format("clip.mov", codec, sample_format(format)).name == nearest


@settings(max_examples=40, deadline=None)
@given(st.fractions(Fraction(1, 4), 4, max_denominator=60), st.integers(1, 400), st.integers(1, 400))
def test_matroska_states_any_sample_aspect(tmp_path_factory: pytest.TempPathFactory, aspect: Fraction, width: int, height: int) -> None:
    path = tmp_path_factory.mktemp("aspect") / "clip.mkv"
    source = like("gray", (width, height))
    with create_movie(path, codec="ffv1", like=source) as writer:
        writer.write(frames(source.format, (width, height), [0])[0])
    size = path.stat().st_size
    assert set_sample_aspect(path, aspect) and path.stat().st_size == size
    with open_media(path) as reader:
        assert reader.info.sample_aspect == aspect and reader.count() == 1


def test_suffix_decides_what_is_created(tmp_path: Path) -> None:
    source = like("gbrp16le", (8, 4))
    for name in ("one.png", "clip.mkv", "many.####.tif"):
        with create_media(tmp_path / name, like=source) as writer:
            writer.write(frames(source.format, (8, 4), [0])[0])
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["clip.mkv", "many.0000.tif", "one.png"]
    assert is_sequence(tmp_path) and is_sequence(tmp_path / "many.%04d.tif") and not is_sequence(tmp_path / "one.png")
