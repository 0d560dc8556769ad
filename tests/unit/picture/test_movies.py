"""Movies in: exact planes, exact places after a seek, and one sentence for everything that cannot be read."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from grainlayer.errors import MediaError
from grainlayer.picture.decoding import read_planes
from grainlayer.picture.media import Frame, open_media
from grainlayer.picture.samples import planar_name, sample_format
from tests.unit.picture.clips import RATE, decoded, movie

SEEKS = [
    ("libx264", "mp4", {"x264-params": "keyint=8:bframes=3:open-gop=1:scenecut=0"}),
    ("libx264", "mkv", {"x264-params": "keyint=8:bframes=3:open-gop=1:scenecut=0"}),
    ("libx264", "ts", {"x264-params": "keyint=9:bframes=2:scenecut=0"}),
    ("libx264", "avi", {"x264-params": "keyint=8:bframes=0:scenecut=0"}),
    ("libx265", "mkv", {"x265-params": "log-level=none:keyint=8:min-keyint=8:bframes=3:open-gop=1:scenecut=0"}),
    ("mpeg2video", "mkv", {"g": "8", "bf": "2"}),
    ("libsvtav1", "mp4", {"preset": "12", "g": "8"}),
    ("prores_ks", "mov", {}),
    ("ffv1", "mkv", {}),
    ("ffv1", "nut", {}),
]
FORMATS = {"prores_ks": "yuv422p10le", "libsvtav1": "yuv420p"}


def _bytes(planes: tuple[np.ndarray, ...]) -> tuple[bytes, ...]:
    return tuple(plane.view(np.uint8).tobytes() for plane in planes)


@pytest.mark.parametrize(("codec", "suffix", "options"), SEEKS)
def test_any_range_is_the_same_as_reading_from_the_start(tmp_path: Path, codec: str, suffix: str, options: dict[str, str]) -> None:
    path = movie(tmp_path / f"clip.{suffix}", codec, options=options, pix_fmt=FORMATS.get(codec, "yuv420p"))
    with open_media(path) as reader:
        whole = list(reader.frames())
        assert [frame.index for frame in whole] == list(range(24)) and reader.count() == 24
        for start, stop in ((0, 3), (1, 2), (5, 9), (8, 8), (13, None), (23, None), (24, None), (40, 50)):
            part = list(reader.frames(start, stop))
            assert [frame.index for frame in part] == list(range(24))[start:stop]
            for frame in part:
                assert _bytes(frame.planes) == _bytes(whole[frame.index].planes) and frame.pts == whole[frame.index].pts


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", "mp4"), ("ffv1", "mkv")])
def test_pictures_are_those_of_a_plain_decoder(tmp_path: Path, codec: str, suffix: str) -> None:
    path = movie(tmp_path / f"clip.{suffix}", codec)
    with open_media(path) as reader:
        assert [_bytes(frame.planes) for frame in reader.frames()] == decoded(path)


def test_a_file_that_starts_inside_an_open_group_counts_what_can_be_decoded(tmp_path: Path) -> None:
    whole = movie(tmp_path / "whole.mkv", "libx264", options={"x264-params": "keyint=8:bframes=3:open-gop=1:scenecut=0"})
    cut = tmp_path / "cut.mkv"
    with av.open(str(whole)) as source, av.open(str(cut), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        started = 0
        for packet in source.demux(source.streams.video[0]):
            started += packet.is_keyframe and packet.size > 0
            if started > 1 and packet.size:
                packet.stream = stream
                target.mux(packet)
    with open_media(cut) as reader:
        frames = list(reader.frames())
        assert reader.count() == len(frames) == len(decoded(cut))
        assert [f.index for f in reader.frames(3)] == [f.index for f in frames[3:]]


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    times = [0, 1, 5, 6, 7, 20, 30, 31]
    path = movie(tmp_path / "clip.mp4", count=8, times=times, time_base=Fraction(1, 100))
    with open_media(path) as reader:
        assert reader.info.variable_rate
        assert [frame.pts * reader.info.time_base for frame in reader.frames()] == [Fraction(time, 100) for time in times]
        assert next(reader.frames(5)).pts * reader.info.time_base == Fraction(20, 100)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_even_times_are_not_taken_for_uneven(tmp_path: Path, suffix: str) -> None:
    with open_media(movie(tmp_path / f"clip.{suffix}")) as reader:
        assert not reader.info.variable_rate and reader.info.rate == RATE


@pytest.mark.parametrize(
    ("packed", "planar"), [("nv12", "yuv420p"), ("p010le", "yuv420p10le"), ("rgb24", "gbrp"), ("bgr0", "gbrp"), ("rgb48le", "gbrp16le")]
)
@pytest.mark.parametrize("span", [1, 2])
def test_packed_pictures_keep_their_codes(packed: str, planar: str, span: int) -> None:
    assert planar_name(packed) == planar
    format = sample_format(packed)
    picture = av.VideoFrame(34, 18, packed)
    picture.color_range = span
    rng = np.random.default_rng(1)
    parts = []
    for plane in picture.planes:
        data = np.frombuffer(plane, np.uint8 if format.bits == 8 else np.uint16)  # pyright: ignore
        data[:] = rng.integers(0, 1 << format.bits, data.size) << (6 if packed == "p010le" else 0)
        parts.append(data.reshape(plane.height, -1))
    if packed in ("nv12", "p010le"):
        parts = [part >> (6 if packed == "p010le" else 0) for part in parts]
        wanted = (parts[0][:, :34], parts[1][:, 0:34:2], parts[1][:, 1:34:2])
    else:
        step = 4 if packed == "bgr0" else 3
        wanted = tuple(parts[0][:, offset : 34 * step : step] for offset in ((2, 1, 0) if packed == "bgr0" else (0, 1, 2)))
    assert all(np.array_equal(got, want) for got, want in zip(read_planes(picture, format, (34, 18)), wanted, strict=True))


def test_what_was_read_is_a_copy(tmp_path: Path) -> None:
    with open_media(movie(tmp_path / "clip.mkv", "ffv1", 2)) as reader:
        first = next(reader.frames())
    first.planes[0][:] = 7
    assert first.planes[0].flags.owndata and (first.planes[0] == 7).all()


# Everything below cannot be read.


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.mp4", b"just some words, no pictures\n" * 40, "not a movie"),
        ("notes.txt", b"just some words, no pictures\n" * 40, "not a movie"),
        ("empty.mkv", b"", "is empty"),
        ("noise.mkv", bytes(range(256)) * 20, "not a movie"),
    ],
)
def test_no_movie(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MediaError, match=words) as caught:
        open_media(tmp_path / name)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="does not exist"):
        open_media(tmp_path / "nowhere.mov")


def test_sound_alone(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "tone.mp4"), "w") as container:
        voice = container.add_stream("aac", rate=48000)
        tone = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        tone.sample_rate = 48000
        container.mux(voice.encode(tone))
        container.mux(voice.encode(None))
    with pytest.raises(MediaError, match="only sound"):
        open_media(tmp_path / "tone.mp4")


CUTS = [("libx264", "mp4"), ("libx264", "mkv"), ("libx265", "mkv"), ("ffv1", "mkv"), ("prores_ks", "mov"), ("ffv1", "nut"), ("ffv1", "avi")]


@pytest.mark.parametrize(("codec", "suffix"), CUTS)
@pytest.mark.parametrize("share", [0.35, 0.6, 0.9])
def test_a_cut_file_gives_its_whole_frames_and_then_an_error(tmp_path: Path, codec: str, suffix: str, share: float) -> None:
    muxer = {"movflags": "faststart"} if suffix in ("mp4", "mov") else {}
    whole = movie(tmp_path / f"whole.{suffix}", codec, pix_fmt=FORMATS.get(codec, "yuv420p"), muxer=muxer)
    cut = tmp_path / f"cut.{suffix}"
    data = whole.read_bytes()
    cut.write_bytes(data[: int(len(data) * share)])
    with open_media(whole) as reader:
        intact = {frame.pts: _bytes(frame.planes) for frame in reader.frames()}
    got: list[Frame] = []
    with open_media(cut) as reader, pytest.raises(MediaError, match=r"at frame \d+") as caught:
        got.extend(reader.frames())
    assert 0 < len(got) < 24 and f"at frame {len(got)}" in str(caught.value)
    assert all(intact[frame.pts] == _bytes(frame.planes) for frame in got)


def test_a_movie_without_its_index(tmp_path: Path) -> None:
    data = movie(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(MediaError, match="cut off|index is missing"):
        open_media(tmp_path / "cut.mp4")


@pytest.mark.parametrize(("codec", "spot"), [("ffv1", 200), ("prores_ks", 0)])
def test_damage_in_the_middle_names_its_frame(tmp_path: Path, codec: str, spot: int) -> None:
    options = {"level": "3", "slicecrc": "1"} if codec == "ffv1" else {}
    suffix = "mkv" if codec == "ffv1" else "mov"
    path = movie(tmp_path / f"clip.{suffix}", codec, pix_fmt=FORMATS.get(codec, "yuv420p"), options=options)
    with av.open(str(path)) as container:
        packet = [p for p in container.demux(video=0) if p.size][13]
    data = bytearray(path.read_bytes())
    at = data.find(bytes(packet))
    data[at + spot : at + spot + 100] = bytes(100)
    path.write_bytes(data)
    got: list[int] = []
    with open_media(path) as reader, pytest.raises(MediaError, match="damaged at frame 13"):
        got.extend(frame.index for frame in reader.frames())
    assert got == list(range(13))
    with open_media(path) as reader:
        assert [frame.index for frame in reader.frames(2, 13)] == list(range(2, 13))


def test_a_size_that_changes(tmp_path: Path) -> None:
    parts = [movie(tmp_path / f"{number}.ts", "mpeg2video", 12, size) for number, size in enumerate(((64, 48), (80, 48)))]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_media(joined) as reader, pytest.raises(MediaError, match=r"changes from 64x48 yuv420p to 80x48 yuv420p at frame 1[012]"):
        list(reader.frames())


def test_interlaced(tmp_path: Path) -> None:
    path = movie(tmp_path / "clip.mov", "prores_ks", 3, pix_fmt="yuv422p10le", options={"field_order": "tt"})
    with pytest.raises(MediaError, match="interlaced.*--fields"):
        open_media(path)
    with open_media(path, fields="progressive") as reader:
        assert reader.info.interlaced and len(list(reader.frames())) == 3
