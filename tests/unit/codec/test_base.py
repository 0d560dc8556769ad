from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from grainlayer.codec.base import BASE_CODECS, VvcSegment, base_format, open_segment, read_times, times_path
from grainlayer.errors import MediaError, ParamError
from grainlayer.picture.media import open_media
from grainlayer.picture.samples import sample_format
from tests.unit.codec.movies import even_times, make_segments, movie_info, pictures, read_frames

FORMATS = [
    ("av1", "yuv422p12le", "yuv420p10le"),
    ("av1", "gbrp16le", "yuv420p10le"),
    ("hevc", "yuv420p", "yuv420p10le"),
    ("hevc", "yuv422p16le", "yuv422p10le"),
    ("hevc", "gbrpf32le", "yuv444p10le"),
    ("hevc", "gray10le", "yuv420p10le"),
    ("h264", "yuv444p", "yuv444p10le"),
    ("h264", "yuv411p", "yuv420p10le"),
    ("vvc", "yuv444p10le", "yuv420p10le"),
    ("prores", "yuv420p", "yuv422p10le"),
    ("prores", "gbrp12le", "yuv444p10le"),
    ("prores", "yuva444p10le", "yuva444p10le"),
    ("ffv1", "yuv422p10le", "yuv422p10le"),
    ("ffv1", "yuv411p", "yuv411p"),
]


@pytest.mark.parametrize(("codec", "source", "base"), FORMATS)
def test_formats_keep_what_the_encoder_can(codec: str, source: str, base: str) -> None:
    assert base_format(codec, sample_format(source)).name == base


def test_eight_bits_when_asked() -> None:
    assert base_format("h264", sample_format("yuv422p10le"), bits=8).name == "yuv422p"
    with pytest.raises(ParamError, match="8 bits"):
        base_format("av1", sample_format("yuv420p"), bits=8)
    with pytest.raises(ParamError, match="av1, hevc"):
        base_format("mpeg2", sample_format("yuv420p"))


@pytest.mark.parametrize("codec", list(BASE_CODECS))
def test_every_codec_comes_back_near_and_the_same_each_time(tmp_path: Path, codec: str) -> None:
    like = movie_info("yuv422p10le", 64, 48)
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        make_segments(folder, codec, like, even_times(9))
    got = read_frames(first / "shot-0.mkv")
    format = base_format(codec, like.format)
    error = max(
        abs(plane.astype(int) - true.astype(int)).mean()
        for frame, planes in zip(got, pictures(format, 64, 48, 9, 0), strict=True)
        for plane, true in zip(frame.planes, planes, strict=True)
    )
    assert error < (0.01 if codec == "ffv1" else 30)
    assert digest(read_frames(second / "shot-0.mkv")) == digest(got)
    with open_media(first / "shot-0.mkv") as reader:
        assert reader.info.format == format
        assert reader.info.tags == like.tags
    assert read_times(first / "shot-0.mkv") == even_times(9)[0]


def digest(frames: list[object]) -> str:
    return hashlib.sha256(b"".join(plane.tobytes() for frame in frames for plane in frame.planes)).hexdigest()  # pyright: ignore


@pytest.mark.parametrize("codec", ["av1", "hevc", "h264", "vvc"])
def test_quality_and_bitrate_change_the_size(tmp_path: Path, codec: str) -> None:
    like = movie_info(width=128, height=96)
    sizes: list[int] = []
    for place, settings in enumerate(({"crf": 15}, {"crf": 50}, {"bitrate_kbps": 400}, {"bitrate_kbps": 40})):
        folder = tmp_path / str(place)
        folder.mkdir()
        (segment,) = make_segments(folder, codec, like, even_times(24), **settings)
        sizes.append(segment.stat().st_size)
    assert sizes[0] > 1.3 * sizes[1]
    assert sizes[2] > 1.3 * sizes[3]


def test_wrong_settings_are_refused_before_any_work(tmp_path: Path) -> None:
    like = movie_info()
    for codec, settings in (
        ("mpeg2", {}),
        ("prores", {"crf": 20}),
        ("ffv1", {"bitrate_kbps": 20}),
        ("ffv1", {"preset": "fast"}),
        ("h264", {"crf": 20, "bitrate_kbps": 500}),
        ("h264", {"crf": -3}),
        ("av1", {"preset": "14"}),
        ("vvc", {"preset": "veryslow"}),
    ):
        with pytest.raises(ParamError):
            open_segment(tmp_path / "shot.mkv", codec, like=like, format=like.format, tags=like.tags, **settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("codec", list(BASE_CODECS))
def test_abort_leaves_nothing(tmp_path: Path, codec: str) -> None:
    like = movie_info()
    format = base_format(codec, like.format)
    writer = open_segment(tmp_path / "shot.mkv", codec, like=like, format=format, tags=like.tags)
    for place, planes in enumerate(pictures(format, like.width, like.height, 3, 0)):
        writer.write(planes, place)
    writer.abort()
    writer.abort()
    assert list(tmp_path.iterdir()) == []
    empty = open_segment(tmp_path / "shot.mkv", codec, like=like, format=format, tags=like.tags)
    with pytest.raises(MediaError, match="No picture"), empty:
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("codec", ["h264", "vvc"])
def test_times_must_rise(tmp_path: Path, codec: str) -> None:
    like = movie_info()
    planes = next(pictures(like.format, like.width, like.height, 1, 0))
    writer = open_segment(tmp_path / "shot.mkv", codec, like=like, format=like.format, tags=like.tags)
    writer.write(planes, 5)
    with pytest.raises(MediaError, match="not after 5"):
        writer.write(planes, 5)
    writer.abort()


def test_a_dead_encoder_is_one_sentence_and_no_zombie(tmp_path: Path) -> None:
    like = movie_info(width=256, height=256)
    writer = open_segment(tmp_path / "shot.mkv", "vvc", like=like, format=like.format, tags=like.tags)
    assert isinstance(writer, VvcSegment)
    process = writer._encoder._process  # pyright: ignore
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(MediaError, match="VVC encoder failed"):
        feed(writer, like)
    writer.abort()
    assert process.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)


def feed(writer: VvcSegment, like: object) -> None:
    (planes,) = pictures(like.format, 256, 256, 1, 0)  # pyright: ignore
    for place in range(30):
        writer.write(planes, place)
    writer.finish()


def test_what_the_program_says_is_told(tmp_path: Path) -> None:
    """A folder that vanishes meets the program, not us."""
    like = movie_info()
    folder = tmp_path / "gone"
    folder.mkdir()
    writer = open_segment(folder / "shot.mkv", "vvc", like=like, format=like.format, tags=like.tags, preset="fast")
    writer._encoder._process.stdin.write(b"half a picture")  # pyright: ignore
    with pytest.raises(MediaError, match=r"VVC encoder failed.*shot\.mkv"):
        writer._encoder.finish()  # pyright: ignore
    writer.abort()
    assert list(folder.iterdir()) == []
    with pytest.raises(MediaError, match="does not exist"):
        open_segment(tmp_path / "none" / "shot.mkv", "vvc", like=like, format=like.format, tags=like.tags)


def test_a_stuck_encoder_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grainlayer.codec.vvc.PATIENCE", (0.5, 0.0))
    like = movie_info(width=256, height=256)
    writer = open_segment(tmp_path / "shot.mkv", "vvc", like=like, format=like.format, tags=like.tags)
    process = writer._encoder._process  # pyright: ignore
    time.sleep(0.7)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(MediaError, match="stopped answering"):
        feed(writer, like)  # pyright: ignore
    writer.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "SCHED_FIFO"), reason="only Linux has real-time threads")
def test_no_encoder_takes_real_time_priority(tmp_path: Path) -> None:
    like = movie_info()
    writer = open_segment(tmp_path / "shot.mkv", "av1", like=like, format=like.format, tags=like.tags)
    for place, planes in enumerate(pictures(like.format, like.width, like.height, 3, 0)):
        writer.write(planes, place)
    policies = {os.sched_getscheduler(int(thread.name)) for thread in Path("/proc/self/task").iterdir()}
    writer.finish()
    assert policies == {os.SCHED_OTHER}


def test_no_module_that_the_shell_needs_is_heavy() -> None:
    """The table of codecs is there before any encoder is loaded."""
    code = "import sys; import grainlayer.codec.base, grainlayer.codec.stream; print('av' in sys.modules)"
    found = subprocess.run(["python", "-c", code], capture_output=True, text=True, check=True, executable=os.sys.executable)  # pyright: ignore
    assert found.stdout.strip() == "False"


def test_times_that_are_damaged_count_as_unknown(tmp_path: Path) -> None:
    segment = tmp_path / "shot.mkv"
    assert read_times(segment) is None
    times_path(segment).write_text("1 2 x")
    assert read_times(segment) is None
