from __future__ import annotations

import resource
import struct
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from grainlayer.codec.base import times_path
from grainlayer.codec.container import assemble, attach, check_container, read_stream
from grainlayer.codec.stream import pack, unpack
from grainlayer.errors import MediaError
from grainlayer.picture.media import open_media
from tests.golden.write_stream import golden_stream
from tests.unit.codec.movies import (
    BASE,
    even_times,
    make_segments,
    movie_info,
    read_frames,
    same_pictures,
    sound_packets,
    uneven_times,
    write_sound,
)

STREAM = pack(golden_stream())
HELD = [("av1", ".mkv"), ("av1", ".mp4"), ("hevc", ".mkv"), ("hevc", ".mp4"), ("hevc", ".mov"), ("h264", ".mkv"), ("h264", ".mp4")]
HELD += [("h264", ".mov"), ("prores", ".mkv"), ("prores", ".mov"), ("vvc", ".mkv"), ("vvc", ".mp4"), ("vvc", ".mov"), ("ffv1", ".mkv")]
HELD += [("ffv1", ".mp4")]


@pytest.mark.parametrize(("codec", "suffix"), HELD)
def test_shots_go_together_as_they_are(tmp_path: Path, codec: str, suffix: str) -> None:
    """Pictures and times of the whole are those of the shots, whatever codec and container; B-frames, single frames, uneven times."""
    like = movie_info("yuv422p10le")
    times = uneven_times(13, 1, 6)
    segments = make_segments(tmp_path, codec, like, times)
    out = tmp_path / f"whole{suffix}"
    assemble(segments, STREAM, out, like=like)
    got, pts = read_frames(out), [time for row in times for time in row]
    assert same_pictures(got, read_frames(*segments))
    assert read_stream(out) == STREAM
    with open_media(out) as reader:
        info = reader.info
        assert same_pictures(list(reader.frames(12, 15)), got[12:15])
    tick = Fraction(1, 2000) if suffix == ".mkv" else Fraction(0)
    assert all(abs(frame.pts * info.time_base - time * BASE) <= tick for frame, time in zip(got, pts, strict=True))
    assert replace(info.tags, chroma_location=0) == replace(like.tags, chroma_location=0)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_b_frames_are_there_to_be_reordered(tmp_path: Path) -> None:
    like = movie_info()
    for codec in ("h264", "hevc"):
        (segment,) = make_segments(tmp_path, codec, like, even_times(13))
        with av.open(str(segment)) as container:
            coded = [packet.pts for packet in container.demux(container.streams.video[0]) if packet.size and packet.pts is not None]
        assert coded != sorted(coded)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_what_the_movie_keeps(tmp_path: Path, suffix: str) -> None:
    matrix = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    like = movie_info(
        sample_aspect=Fraction(4, 3), timecode="01:00:00:00", display_matrix=matrix, rotation=90, metadata={"title": "Reel 7"}
    )
    segments = make_segments(tmp_path, "h264", like, even_times(5, start=24024))
    source = tmp_path / "source.mkv"
    write_sound(source)
    out = tmp_path / f"whole{suffix}"
    if suffix == ".mov":
        source = keep_aac(source)
    assemble(segments, STREAM, out, like=like, audio_from=source)
    with open_media(out) as reader:
        info = reader.info
    assert (info.sample_aspect, info.timecode, info.rate, info.tags) == (like.sample_aspect, like.timecode, like.rate, like.tags)
    assert info.metadata.get("title", info.metadata.get("TITLE")) == "Reel 7"
    assert info.rotation in (90, 270)
    assert sound_packets(out) == sound_packets(source)
    assert abs(read_frames(out)[0].pts * info.time_base - Fraction(1001, 1000)) <= Fraction(1, 1000)


def keep_aac(source: Path) -> Path:
    """Copy the AAC stream alone, which QuickTime holds."""
    out = source.with_name("aac.mp4")
    with av.open(str(source)) as container, av.open(str(out), "w") as output:
        stream = output.add_stream_from_template(container.streams.audio[0])
        for packet in container.demux(container.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    return out


@pytest.mark.parametrize("codec", ["av1", "hevc", "h264", "vvc"])
def test_hdr_metadata_stay(tmp_path: Path, codec: str) -> None:
    colours = [34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450]
    display = struct.pack("=22i", *(part for value in colours for part in (value, 50000)), 50, 10000, 10000000, 10000, 1, 1)
    like = movie_info(hdr={"mastering_display": display, "content_light": struct.pack("=2I", 1000, 400)})
    out = tmp_path / "whole.mkv"
    assemble(make_segments(tmp_path, codec, like, even_times(3)), None, out, like=like)
    with open_media(out) as reader:
        found = reader.info.hdr
    assert found["content_light"] == like.hdr["content_light"]
    read = struct.unpack("=22i", found["mastering_display"])
    wanted = struct.unpack("=22i", display)
    for place in range(0, 20, 2):
        assert abs(read[place] / read[place + 1] - wanted[place] / wanted[place + 1]) < 1e-4 * max(1, wanted[place] / wanted[place + 1])


@pytest.mark.parametrize("codec", ["av1", "hevc", "h264", "prores", "vvc", "ffv1"])
@pytest.mark.parametrize("size", [(1, 1), (15, 9)])
def test_tiny_and_odd_pictures(tmp_path: Path, codec: str, size: tuple[int, int]) -> None:
    like = movie_info(width=size[0], height=size[1])
    segments = make_segments(tmp_path, codec, like, even_times(2, 2))
    out = tmp_path / "whole.mkv"
    assemble(segments, STREAM, out, like=like)
    with open_media(out) as reader:
        assert (reader.info.width, reader.info.height) == size
        assert len(list(reader.frames())) == 4
    assert same_pictures(read_frames(out), read_frames(*segments))


def test_grain_is_attached_to_a_finished_movie(tmp_path: Path) -> None:
    like = movie_info()
    plain, out = tmp_path / "plain.mp4", tmp_path / "grain.mkv"
    source = tmp_path / "source.mkv"
    write_sound(source)
    assemble(make_segments(tmp_path, "h264", like, even_times(7)), None, plain, like=like, audio_from=source)
    assert read_stream(plain) is None
    attach(plain, STREAM, out)
    assert read_stream(out) == STREAM
    assert same_pictures(read_frames(out), read_frames(plain))
    assert sound_packets(out) == sound_packets(source)
    attach(out, b"\x89GRAIN\r\nother", out, overwrite=True)
    assert read_stream(out) == b"\x89GRAIN\r\nother"


def test_a_sidecar_lies_beside_quicktime_and_can_be_read_itself(tmp_path: Path) -> None:
    like = movie_info()
    segments = make_segments(tmp_path, "h264", like, even_times(2))
    out, beside = tmp_path / "whole.mov", tmp_path / "whole.grain"
    assemble(segments, STREAM, out, like=like)
    assert beside.read_bytes() == read_stream(out) == read_stream(beside) == STREAM
    with pytest.raises(MediaError, match="exists"):
        assemble(segments, STREAM, out, like=like)
    assemble(segments, None, out, like=like, overwrite=True)
    assert not beside.exists()
    assert read_stream(out) is None


def test_segments_without_their_times_go_by_their_container(tmp_path: Path) -> None:
    like = movie_info()
    segments = make_segments(tmp_path, "h264", like, even_times(5, 5))
    for segment in segments:
        times_path(segment).unlink()
    out = tmp_path / "whole.mkv"
    assemble(segments, None, out)
    assert same_pictures(read_frames(out), read_frames(*segments))
    with open_media(out) as reader:
        assert reader.info.rate == like.rate


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    like = movie_info()
    segments = make_segments(tmp_path, "prores", like, even_times(2, 2))
    whole = tmp_path / "whole.mkv"
    with pytest.raises(MediaError, match=r"prores.*\.mkv or \.mov"):
        assemble(segments, STREAM, tmp_path / "whole.mp4", like=like)
    with pytest.raises(MediaError, match=r"ends in \.mkv"):
        check_container(tmp_path / "whole.avi", "av1")
    with pytest.raises(MediaError, match="order"):
        assemble(segments[::-1], STREAM, whole, like=like)
    with pytest.raises(MediaError, match="at least one shot"):
        assemble([], STREAM, whole, like=like)
    other = tmp_path / "other"
    other.mkdir()
    strange = make_segments(other, "h264", like, even_times(2, start=90000))
    with pytest.raises(MediaError, match="other settings"):
        assemble([segments[0], *strange], STREAM, whole, like=like)
    whole.write_bytes(b"here already")
    with pytest.raises(MediaError, match="exists"):
        assemble(segments, STREAM, whole, like=like)
    assert whole.read_bytes() == b"here already"


@pytest.fixture
def little_disk() -> Iterator[None]:
    """Let no file grow beyond 6000 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_nothing(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    like = movie_info(width=128, height=96)
    segments = make_segments(tmp_path, "ffv1", like, even_times(3))
    before = sorted(tmp_path.iterdir())
    request.getfixturevalue("little_disk")
    with pytest.raises(MediaError, match=r"whole\.mkv"):
        assemble(segments, STREAM, tmp_path / "whole.mkv", like=like)
    assert sorted(tmp_path.iterdir()) == before


def test_a_damaged_container_gives_what_its_head_still_holds(tmp_path: Path) -> None:
    like = movie_info()
    out = tmp_path / "whole.mkv"
    assemble(make_segments(tmp_path, "h264", like, even_times(3)), STREAM, out, like=like)
    whole = out.read_bytes()
    name = whole.find(b"grain.grainstream")
    out.write_bytes(whole[:name] + b"XXXX" + whole[name + 4 :].replace(b"application/x-grainlayer", b"application/x-xxxxxxxxxx"))
    found = read_stream(out)
    assert found is not None
    assert unpack(found) == (golden_stream(), [])
    with pytest.raises(MediaError):
        read_stream(tmp_path / "none.mkv")
