"""Restoration of whole files: every output, what passes through, interrupted runs, bad input, and restoration before other jobs."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from grainlayer.errors import GrainlayerError, MediaError, ParamError
from grainlayer.jobs.restore import RestoreSettings, restore
from grainlayer.jobs.restoreplan import ESTIMATED, NONE, TOLD
from grainlayer.params import ShotParams
from grainlayer.picture.media import Frame, MediaInfo, create_media, open_media
from grainlayer.picture.planes import from_image, to_image
from grainlayer.picture.samples import sample_format
from grainlayer.types import Encoding, Image
from tests.system.footage import TAGS, clean_picture, fails, info_for, report, run
from tests.unit.picture.clips import movie as small_movie

PLAIN = RestoreSettings(shots=(0,), device="cpu")


def clean(width: int, height: int, index: int, shot: int) -> Image:
    """Return a moving picture with edges, which a coarse quantiser rings around."""
    base = clean_picture(width, height, index, shot)
    base[height // 4 : height // 2, (3 * index) % 20 : width // 2 + (3 * index) % 20] *= np.float32(0.3)
    return base


def recorded(path: Path, size: tuple[int, int] = (96, 64), shots: tuple[int, ...] = (10,), crf: int = 34, sound: bool = False) -> Path:
    """Write a clip in 8 bits, 4:2:0, H.264, as cheap cameras do."""
    form = sample_format("yuv420p")
    like = replace(info_for(*size, form, path), timecode="01:00:00:00", metadata={"title": "a shot"})
    if path.suffix == ".mov":
        like = replace(like, rotation=90)
    tone = small_movie(path.with_name("tone.mkv"), count=2, sound="pcm_s16le") if sound else None
    with create_media(path, codec="h264", like=like, options={"crf": str(crf), "bf": "2"}, audio_from=tone) as writer:
        index = 0
        for shot, count in enumerate(shots):
            for _ in range(count):
                writer.write(Frame(from_image(clean(*size, index, shot), form, TAGS), index, index, 1))
                index += 1
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("source") / "clip.mov", sound=True)


def frames(path: Path) -> list[Frame]:
    with open_media(path) as reader:
        return list(reader.frames())


def facts(path: Path) -> MediaInfo:
    with open_media(path) as reader:
        return reader.info


def same(one: Path, other: Path) -> bool:
    pairs = zip(frames(one), frames(other), strict=True)
    return all(a.pts == b.pts and all(np.array_equal(x, y) for x, y in zip(a.planes, b.planes, strict=True)) for a, b in pairs)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_command_restores_and_says_what_it_did(clip: Path, tmp_path: Path) -> None:
    done = report("restore", clip, "-o", tmp_path / "out.mov", "--device", "cpu")
    assert (done["frames"], done["format"], done["codec"], done["quantiser"]) == (10, "yuv422p10le", "prores", TOLD)
    assert len(done["done"]) == 4 and done["warnings"] == []
    assert left_in(tmp_path) == ["out.mov"]


def test_restored_pictures_are_nearer_to_the_truth(clip: Path, tmp_path: Path) -> None:
    restore(clip, tmp_path / "out.mkv", replace(PLAIN, to="yuv444p10"))
    gaps = dict[str, float]()
    for path in (clip, tmp_path / "out.mkv"):
        info = facts(path)
        images = [to_image(frame.planes, info.format, info.tags) for frame in frames(path)]
        gaps[path.name] = float(np.mean([np.square(image - clean(96, 64, i, 0)).mean() for i, image in enumerate(images)]))
    assert gaps["out.mkv"] < gaps["clip.mov"]


@pytest.mark.parametrize(
    ("name", "codec", "to", "stored"),
    [
        ("out.mov", "dnxhr", None, "yuv422p10le"),
        ("out.mov", None, "yuv444p10", "yuv444p10le"),
        ("out.mkv", None, "yuv422p12", "yuv422p12le"),
        ("out.mkv", "prores", None, "yuv422p10le"),
        ("out.####.tif", None, None, "gbrp16le"),
        ("out.####.png", None, None, "gbrp16le"),
        ("out.####.exr", None, None, "gbrpf16le"),
        ("out.####.dpx", None, "gbrp12", "gbrp12le"),
    ],
)
def test_every_output(clip: Path, tmp_path: Path, name: str, codec: str | None, to: str | None, stored: str) -> None:
    done = restore(clip, tmp_path / name, replace(PLAIN, codec=codec, to=to, frames=(0, 3)))
    info = facts(tmp_path / name)
    found = stored.replace("444p10", "444p12") if name == "out.mov" else stored  # ProRes 4444, which FFmpeg reads as 12 bits
    assert (done["format"], info.format.name, info.width, info.height) == (stored, found, 96, 64)
    own, again = facts(clip), frames(tmp_path / name)
    assert len(again) == 3
    for given, made in zip(frames(clip), again, strict=False):
        gap = to_image(given.planes, own.format, own.tags) - to_image(made.planes, info.format, info.tags)
        assert np.abs(gap).mean() < 0.03


def test_what_belongs_to_the_movie_is_kept(clip: Path, tmp_path: Path) -> None:
    restore(clip, tmp_path / "out.mov", PLAIN)
    given, made = facts(clip), facts(tmp_path / "out.mov")
    for name in ("rate", "timecode", "rotation", "audio_streams", "sample_aspect"):
        assert getattr(given, name) == getattr(made, name), name
    assert made.audio_streams == 1 and made.timecode == "01:00:00:00"
    assert made.metadata["title"] == "a shot"
    assert (made.tags.primaries, made.tags.transfer, made.tags.matrix, made.tags.full_range) == (1, 1, 1, False)
    restore(clip, tmp_path / "part.mov", replace(PLAIN, frames=(4, 6)))
    assert facts(tmp_path / "part.mov").timecode == "01:00:00:04"
    assert facts(tmp_path / "part.mov").audio_streams == 0


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    times = [0, 1, 2, 5, 6, 10]
    source = small_movie(tmp_path / "uneven.mkv", count=6, times=times, time_base=Fraction(1, 50))
    restore(source, tmp_path / "out.mkv", PLAIN)
    info = facts(tmp_path / "out.mkv")
    assert info.variable_rate
    assert [round(frame.pts * info.time_base * 50) for frame in frames(tmp_path / "out.mkv")] == times


def test_ten_bits_and_whole_colour_are_named(tmp_path: Path) -> None:
    source = small_movie(tmp_path / "fine.mp4", count=2, pix_fmt="yuv444p10le")
    done = restore(source, tmp_path / "out.mov", PLAIN)
    assert done["format"] == "yuv444p10le"
    assert any("10 bits already" in sentence for sentence in done["warnings"])
    assert any("finer than 4:2:0" in sentence for sentence in done["warnings"])
    said = run("restore", source, "-o", tmp_path / "again.mov", "--shots", "0")
    assert said.returncode == 0 and "10 bits already" in said.stderr


def test_a_lossless_source_has_no_quantiser(tmp_path: Path) -> None:
    source = small_movie(tmp_path / "raw.mkv", "ffv1", 1, (16, 10))
    done = restore(source, tmp_path / "out.mkv", PLAIN)
    assert done["quantiser"] == NONE and any("without loss" in sentence for sentence in done["warnings"])
    assert not any("blocks" in words for words in done["done"])


def test_alpha_is_kept_or_named(tmp_path: Path) -> None:
    source = small_movie(tmp_path / "alpha.mkv", "ffv1", 2, (32, 18), "yuva420p")
    restore(source, tmp_path / "out.mov", PLAIN)
    assert facts(tmp_path / "out.mov").format.name.startswith("yuva444p") and b"ap4h" in (tmp_path / "out.mov").read_bytes()
    restore(source, tmp_path / "out.mkv", PLAIN)
    for given, made in zip(frames(source), frames(tmp_path / "out.mkv"), strict=True):
        assert np.abs(made.planes[3] / 1023 - given.planes[3] / 255).max() < 0.001
    done = restore(source, tmp_path / "flat.mkv", replace(PLAIN, to="yuv422p10"))
    assert any("alpha" in sentence for sentence in done["warnings"])


@pytest.mark.parametrize(("name", "full"), [("out.mov", False), ("out.mkv", True)])
def test_full_range_keeps_its_levels(tmp_path: Path, name: str, full: bool) -> None:
    form, tags = sample_format("yuv420p"), replace(TAGS, full_range=True)
    source = tmp_path / "full.mkv"
    like = replace(info_for(96, 64, form, source), tags=tags)
    with create_media(source, codec="ffv1", like=like) as writer:
        writer.write(Frame(from_image(clean(96, 64, 0, 0), form, tags), 0, 0, 1))
    restore(source, tmp_path / name, PLAIN)
    assert facts(source).tags.full_range and facts(tmp_path / name).tags.full_range is full
    given, made = (to_image(frames(path)[0].planes, facts(path).format, facts(path).tags) for path in (source, tmp_path / name))
    assert np.abs(given.mean((0, 1)) - made.mean((0, 1))).max() < 0.003


def test_pictures_become_a_movie_and_stay_numbered(clip: Path, tmp_path: Path) -> None:
    restore(clip, tmp_path / "a.%03d.png", replace(PLAIN, frames=(2, 5)))
    assert left_in(tmp_path) == ["a.002.png", "a.003.png", "a.004.png"]
    done = restore(tmp_path / "a.%03d.png", tmp_path / "b.%03d.tif", PLAIN)
    assert done["quantiser"] == NONE
    assert [path.name for path in sorted(tmp_path.glob("b.*"))] == ["b.002.tif", "b.003.tif", "b.004.tif"]
    restore(tmp_path / "a.%03d.png", tmp_path / "c.mov", replace(PLAIN, to="yuv422p10"))
    assert facts(tmp_path / "c.mov").tags.full_range is False
    restore(tmp_path / "a.003.png", tmp_path / "d.tif", PLAIN)
    assert same(tmp_path / "d.tif", tmp_path / "d.tif")


def test_light_is_restored_through_a_curve(clip: Path, tmp_path: Path) -> None:
    restore(clip, tmp_path / "a.%03d.exr", replace(PLAIN, frames=(0, 2)))
    params = replace(ShotParams(), encoding=Encoding.LINEAR)
    restore(tmp_path / "a.%03d.exr", tmp_path / "b.%03d.exr", replace(PLAIN, params=params))
    for given, made in zip(frames(tmp_path / "a.%03d.exr"), frames(tmp_path / "b.%03d.exr"), strict=True):
        gap = np.abs(given.planes[1].astype(np.float32) - made.planes[1].astype(np.float32))
        assert gap.mean() < 0.01


def start(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "grainlayer.cli", *map(str, words)], stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("name", "pattern", "how"),
    [
        ("out.mov", "part-*.times", signal.SIGKILL),
        ("out.mkv", "part-*.times", signal.SIGINT),
        ("out.%03d.tif", "out.*.tif", signal.SIGKILL),
    ],
)
def test_an_interrupted_run_goes_on_to_the_same_pictures(tmp_path: Path, name: str, pattern: str, how: signal.Signals) -> None:
    source = recorded(tmp_path / "s.mp4", (160, 112), (30, 30))
    (tmp_path / "whole").mkdir()
    words = ("restore", source, "--device", "cpu", "--shots", "0,30", "-o")
    child = start(*words, tmp_path / name)
    parts, deadline = tmp_path / f".{name}.parts", time.monotonic() + 200
    while not list(parts.glob(pattern)) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)  # the part is at its place, and is noted as such
    child.send_signal(how)
    _, said = child.communicate(timeout=120)
    assert child.returncode != 0 and (how is signal.SIGKILL or "Interrupted" in said)
    assert not list(tmp_path.glob("out.*"))
    kept = {path: path.stat().st_mtime_ns for path in parts.glob(pattern)}
    assert kept
    child = start(*words, tmp_path / name)
    while child.poll() is None:
        assert all(not path.exists() or path.stat().st_mtime_ns == when for path, when in kept.items())
        time.sleep(0.05)
    assert child.returncode == 0
    child.communicate()
    restore(source, tmp_path / "whole" / name, replace(PLAIN, shots=(0, 30)))
    assert same(tmp_path / name, tmp_path / "whole" / name)
    if name.endswith(".mov"):  # Matroska holds a random number
        assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not parts.exists()


def test_other_settings_begin_afresh(clip: Path, tmp_path: Path) -> None:
    parts = tmp_path / ".out.%03d.png.parts"
    restore(clip, tmp_path / "out.%03d.png", replace(PLAIN, frames=(0, 1)))
    parts.mkdir()
    (parts / "settings").write_text("another run's")
    (parts / "whole").touch()
    with pytest.raises(MediaError, match="exists; add --overwrite"):
        restore(clip, tmp_path / "out.%03d.png", replace(PLAIN, frames=(0, 2)))
    restore(clip, tmp_path / "out.%03d.png", replace(PLAIN, frames=(0, 2), overwrite=True))
    assert len(frames(tmp_path / "out.%03d.png")) == 2 and not parts.exists()


def test_pictures_that_were_being_moved_are_not_restored_again(clip: Path, tmp_path: Path) -> None:
    """What stops the moving is a folder that has the name of the second picture."""
    (tmp_path / "out.001.png").mkdir()
    with pytest.raises(MediaError, match="cannot be written"):
        restore(clip, tmp_path / "out.%03d.png", replace(PLAIN, frames=(0, 3), overwrite=True))
    (tmp_path / "out.001.png").rmdir()
    first = (tmp_path / "out.000.png").stat()
    restore(clip, tmp_path / "out.%03d.png", replace(PLAIN, frames=(0, 3)))
    assert left_in(tmp_path) == ["out.000.png", "out.001.png", "out.002.png"]
    assert (tmp_path / "out.000.png").stat() == first


def refused(source: Path, out: Path, kind: type[GrainlayerError], **changes: object) -> str:
    """Restore, which must fail with one sentence and leave nothing."""
    before = left_in(out.parent)
    with pytest.raises(kind) as caught:
        restore(source, out, replace(PLAIN, **changes))
    assert left_in(out.parent) == before
    assert str(caught.value).count("\n") == 0
    return str(caught.value)


def test_outputs_that_cannot_be(clip: Path, tmp_path: Path) -> None:
    assert "yuv422p10, yuv444p10, yuva444p10" in refused(clip, tmp_path / "out.mov", ParamError, to="yuv420p10")
    assert "gbrp16" in refused(clip, tmp_path / "out.tif", ParamError, to="yuv422p10", frames=(0, 1))
    assert ".mov or .mkv" in refused(clip, tmp_path / "out.mp4", MediaError)
    assert "prores, dnxhr, ffv1" in refused(clip, tmp_path / "out.mov", MediaError, codec="h264")
    assert "name it .mov" in refused(clip, tmp_path / "out.mkv", MediaError, codec="dnxhr")
    assert "one picture for 10" in refused(clip, tmp_path / "out.tif", MediaError)
    assert "counted from 0" in refused(clip, tmp_path / "out.mov", ParamError, frames=(20, 30))
    assert "suffix" in refused(clip, tmp_path / "out.txt", MediaError)
    (tmp_path / "out.mov").write_text("precious")
    assert "--overwrite" in refused(clip, tmp_path / "out.mov", MediaError)


def test_sources_that_cannot_be_read(clip: Path, tmp_path: Path) -> None:
    data = clip.read_bytes()
    long = small_movie(tmp_path / "long.mkv", count=30, size=(160, 120))
    (tmp_path / "cut.mkv").write_bytes(long.read_bytes()[: long.stat().st_size // 2])
    assert "cut.mkv" in refused(tmp_path / "cut.mkv", tmp_path / "out.mov", MediaError, shots=None)
    (tmp_path / "head.mov").write_bytes(data[: len(data) // 2])
    assert "head.mov" in refused(tmp_path / "head.mov", tmp_path / "out.mov", MediaError)
    woven = small_movie(tmp_path / "woven.mkv", "mpeg2video", 4, options={"flags": "+ildct+ilme", "top": "1", "field_order": "tt"})
    assert "interlaced" in refused(woven, tmp_path / "out.mov", MediaError)
    restore(clip, tmp_path / "a.%03d.png", replace(PLAIN, frames=(0, 4)))
    (tmp_path / "a.002.png").unlink()
    assert "lacks the frames 2" in refused(tmp_path / "a.%03d.png", tmp_path / "out.mov", MediaError)


def limit_files() -> None:
    """Let no file of the process grow beyond 4 kB: the system then says what it says of a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))


def test_a_full_disk_loses_nothing(clip: Path, tmp_path: Path) -> None:
    words = ("restore", clip, "--device", "cpu", "--shots", "0", "-o", tmp_path / "out.mov")
    assert "full" in fails(*words, preexec_fn=limit_files)
    assert not (tmp_path / "out.mov").exists()
    report(*words)
    assert left_in(tmp_path) == ["out.mov"]


@pytest.mark.parametrize("count", [1, 2])
def test_shots_of_one_picture(tmp_path: Path, count: int) -> None:
    source = recorded(tmp_path / "s.mkv", (40, 24), (count,))
    done = restore(source, tmp_path / "out.mov", replace(PLAIN, shots=(0, 1)))
    assert (done["frames"], done["shots"]) == (count, count)


def test_the_quantiser_of_other_codecs_is_estimated(tmp_path: Path) -> None:
    from grainlayer.inference.registry import model_root, read_manifest

    if "quantiser-default" not in read_manifest(model_root()):
        pytest.skip("the model that estimates quantisers is not installed")
    source = small_movie(tmp_path / "s.mkv", "libx265", 3, (64, 64))
    assert restore(source, tmp_path / "out.mov", PLAIN)["quantiser"] == ESTIMATED


def test_a_split_takes_the_restored_picture(tmp_path: Path) -> None:
    source = recorded(tmp_path / "s.mp4", (96, 64), (6,))
    done = report("split", source, "--base", tmp_path / "b.mkv", "--grain", tmp_path / "g.mkv", "--restore-first", "--shots", "0")
    assert done["recombination"]["worst_steps"] == 0
    assert facts(tmp_path / "b.mkv").format.name == "yuv422p10le"
    restore(source, tmp_path / "r.mkv", PLAIN)
    for base, grain, whole in zip(frames(tmp_path / "b.mkv"), frames(tmp_path / "g.mkv"), frames(tmp_path / "r.mkv"), strict=True):
        assert np.array_equal(base.planes[0].astype(int) + grain.planes[0] - 502, whole.planes[0])
    assert left_in(tmp_path) == ["b.mkv", "g.mkv", "r.mkv", "s.mp4"]


def test_an_encode_takes_the_restored_picture(tmp_path: Path) -> None:
    source = recorded(tmp_path / "s.mp4", (96, 64), (6,))
    words = ("--base-codec", "ffv1", "--restore-first", "--shots", "0", "--removal", "0", "--deband", "0")
    report("encode", source, "-o", tmp_path / "e.mkv", *words)
    restore(source, tmp_path / "r.mkv", replace(PLAIN, params=replace(ShotParams(), deband=0.0)))
    assert same(tmp_path / "e.mkv", tmp_path / "r.mkv")
    assert left_in(tmp_path) == ["e.mkv", "r.mkv", "s.mp4"]


def test_parameters_of_a_restoration_need_one(clip: Path, tmp_path: Path) -> None:
    done = run("encode", clip, "-o", tmp_path / "out.mkv", "--deband", "1")
    assert done.returncode == 2 and "--restore-first" in done.stderr
    assert shutil.disk_usage(tmp_path).free and os.listdir(tmp_path) == []


def test_a_movie_of_ours_is_read_by_others(clip: Path, tmp_path: Path) -> None:
    restore(clip, tmp_path / "out.mov", replace(PLAIN, codec="dnxhr", frames=(0, 4)))
    with av.open(str(tmp_path / "out.mov")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.profile) == ("dnxhd", "DNXHR HQX")
        assert sum(1 for _ in container.decode(stream)) == 4
