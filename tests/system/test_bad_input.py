"""Bad input: one clear sentence, exit 1, and nothing half-written."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import OpenImageIO as oiio
import pytest

from grainlayer.inference.registry import model_root
from grainlayer.picture.media import open_media
from tests.system.footage import fails, report, run, write_movie


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_movie(tmp_path_factory.mktemp("source") / "grainy.mkv", shots=(6, 6, 6))


@pytest.fixture(scope="module")
def encoded(movie: Path) -> Path:
    report("encode", movie, "-o", movie.with_name("encoded.mkv"), "--base-codec", "ffv1", "--shots", "0,6,12")
    return movie.with_name("encoded.mkv")


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "text.mkv").write_text("this is no video " * 100)
    assert "text.mkv" in fails("encode", tmp_path / "text.mkv", "-o", tmp_path / "out.mkv")
    assert left_in(tmp_path) == ["text.mkv"]


def test_an_empty_and_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "empty.mkv").touch()
    assert "empty" in fails("decode", tmp_path / "empty.mkv", "-o", tmp_path / "out.mkv")
    assert "none.mkv" in fails("info", tmp_path / "none.mkv")


def test_audio_only(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=48000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 48000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    assert "sound.mkv" in fails("encode", tmp_path / "sound.mkv", "-o", tmp_path / "out.mkv")
    assert left_in(tmp_path) == ["sound.mkv"]


def test_a_movie_truncated_in_the_middle(movie: Path, tmp_path: Path) -> None:
    data = movie.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 2])
    sentence = fails("split", tmp_path / "cut.mkv", "--base", tmp_path / "b.mkv", "--grain", tmp_path / "g.mkv")
    assert "cut.mkv" in sentence
    assert left_in(tmp_path) == ["cut.mkv"]


def test_nan_in_an_exr(tmp_path: Path) -> None:
    pixels = np.full((32, 32, 3), 0.5, np.float32)
    pixels[3, 4, 1] = np.nan
    writer = oiio.ImageOutput.create("bad.0001.exr")
    writer.open(str(tmp_path / "bad.0001.exr"), oiio.ImageSpec(32, 32, 3, "half"))
    writer.write_image(pixels)
    writer.close()
    sentence = fails("split", tmp_path / "bad.%04d.exr", "--base", tmp_path / "b.%04d.exr", "--grain", tmp_path / "g.%04d.exr")
    assert "channel G" in sentence
    assert left_in(tmp_path) == ["bad.0001.exr"]


def test_an_existing_output_is_kept(movie: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mkv").write_text("precious")
    assert "--overwrite" in fails("encode", movie, "-o", tmp_path / "out.mkv")
    assert (tmp_path / "out.mkv").read_text() == "precious"


def test_a_missing_folder_and_a_wrong_suffix(movie: Path, tmp_path: Path) -> None:
    assert "does not exist" in fails("encode", movie, "-o", tmp_path / "none" / "out.mkv")
    assert "suffix" in fails("encode", movie, "-o", tmp_path / "out.txt")


def test_a_missing_and_an_altered_model(movie: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(model_root(), models, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    model = next(models.rglob("removal-default.onnx"))
    model.write_bytes(model.read_bytes()[:-100] + bytes(100))
    words = ("encode", movie, "-o", tmp_path / "out.mkv")
    assert "altered" in fails(*words, env={"GRAINLAYER_MODELS": str(models)})
    model.unlink()
    assert "missing" in fails(*words, env={"GRAINLAYER_MODELS": str(models)})
    assert "no removal model" in fails(*words, "--model", "nothing")


def test_an_unknown_device(movie: Path, tmp_path: Path) -> None:
    assert "--device" in fails("encode", movie, "-o", tmp_path / "out.mkv", "--device", "coreml")


def test_wrong_usage_is_exit_2(movie: Path, tmp_path: Path) -> None:
    done = run("encode", movie, "-o", tmp_path / "out.mkv", "--grain-size", "9")
    assert done.returncode == 2
    assert "0.25 to 4" in done.stderr
    assert run("decode", movie, "-o", tmp_path / "out.mkv", "--frames", "9-2").returncode == 2


def limit_files() -> None:
    """Let no file of the process grow beyond 40 kB: the system then says what it says of a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))


def test_a_full_disk(movie: Path, tmp_path: Path) -> None:
    words = ("split", movie, "--base", tmp_path / "b.mkv", "--grain", tmp_path / "g.mkv")
    assert "full" in fails(*words, preexec_fn=limit_files)
    assert left_in(tmp_path) == []


def start(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "grainlayer.cli", *map(str, words)], stderr=subprocess.PIPE, text=True)


def wait_for(folder: Path, pattern: str) -> None:
    """Wait until an encode has finished a first shot."""
    deadline = time.monotonic() + 60
    while not list(folder.glob(pattern)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(folder.glob(pattern))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_encode_resumes_after_its_last_finished_shot(tmp_path: Path, how: signal.Signals) -> None:
    source = write_movie(tmp_path / "s.mkv", 160, 120, (12, 12, 12))
    words = ("encode", source, "-o", tmp_path / "out.mkv", "--base-codec", "ffv1", "--shots", "0,12,24")
    child = start(*words)
    wait_for(tmp_path, ".out.mkv.parts/shot-00000000.grain")
    child.send_signal(how)
    _, words_said = child.communicate(timeout=60)
    assert not (tmp_path / "out.mkv").exists()
    assert child.returncode != 0
    assert how is signal.SIGKILL or "Interrupted" in words_said
    first = tmp_path / ".out.mkv.parts" / "shot-00000000.mkv"
    stamp = first.stat().st_mtime_ns
    os.link(first, tmp_path / "witness.mkv")
    report(*words)
    assert (tmp_path / "witness.mkv").stat().st_mtime_ns == stamp
    assert left_in(tmp_path) == ["out.mkv", "s.mkv", "witness.mkv"]
    with open_media(tmp_path / "out.mkv") as reader:
        assert reader.count() == 36


def test_an_interrupted_split_leaves_nothing(tmp_path: Path) -> None:
    source = write_movie(tmp_path / "s.mkv", 320, 240, (24,))
    child = start("split", source, "--base", tmp_path / "b.mkv", "--grain", tmp_path / "g.mkv")
    wait_for(tmp_path, ".*")
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    assert child.returncode == 130
    assert left_in(tmp_path) == ["s.mkv"]


def damaged(encoded: Path, out: Path, start: int) -> Path:
    """Return a copy of a file whose grain stream has wrong bytes from `start` on."""
    data = bytearray(encoded.read_bytes())
    from grainlayer.codec.container import read_stream

    stream = read_stream(encoded)
    assert stream is not None
    place = bytes(data).find(stream)
    assert place >= 0
    for offset in range(start, min(start + 8, len(stream))):
        data[place + offset] ^= 0xFF
    out.write_bytes(bytes(data))
    return out


def test_a_damaged_shot_plays_as_base_and_the_others_as_ever(encoded: Path, tmp_path: Path) -> None:
    from grainlayer.codec.container import read_stream

    stream = read_stream(encoded)
    assert stream is not None
    report("decode", encoded, "-o", tmp_path / "whole.mkv")
    broken = damaged(encoded, tmp_path / "broken.mkv", len(stream) - 20)
    facts = report("decode", broken, "-o", tmp_path / "out.mkv")
    assert len(facts["warnings"]) == 1
    with open_media(tmp_path / "whole.mkv") as whole, open_media(tmp_path / "out.mkv") as other, open_media(encoded) as base:
        for index, (a, b, c) in enumerate(zip(whole.frames(), other.frames(), base.frames(), strict=True)):
            assert np.array_equal(b.planes[0], (a if index < 12 else c).planes[0])


def test_a_file_without_a_stream_plays_as_it_is(movie: Path, tmp_path: Path) -> None:
    facts = report("decode", movie, "-o", tmp_path / "out.mkv")
    assert "no grain stream" in facts["warnings"][0]
