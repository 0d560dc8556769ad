"""Restoration of unusual sources and orders: JPEG files, odd sizes, HDR, other matrices, frames and shots that are not there."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from grainlayer import __version__
from grainlayer.errors import ParamError
from grainlayer.jobs import restore as job
from grainlayer.jobs.restore import restore
from grainlayer.jobs.restoreplan import ESTIMATED
from grainlayer.jobs.resume import Workplace
from grainlayer.params import ShotParams
from grainlayer.picture.media import Frame, create_media
from grainlayer.picture.planes import from_image, to_image
from grainlayer.picture.samples import ColourTags, sample_format
from grainlayer.types import Encoding, Image
from tests.system.footage import clean_picture, info_for, run
from tests.system.test_restore import PLAIN, facts, frames, recorded
from tests.unit.picture.clips import movie as small_movie
from tests.unit.picture.test_jpegs import jpeg

MASTERING = struct.pack("=22i", *(1, 50000) * 8, 1, 10000, 1000, 1, 1, 1)


def shown(path: Path) -> list[Image]:
    info = facts(path)
    return [to_image(frame.planes, info.format, info.tags) for frame in frames(path)]


def gap(one: list[Image], other: list[Image]) -> float:
    return float(np.mean([np.square(a - b).mean() for a, b in zip(one, other, strict=True)]))


def coded(path: Path, tags: ColourTags, pix_fmt: str, codec: str, hdr: dict[str, bytes] | None = None) -> Path:
    """Write a clip of four pictures whose codes mean what the tags say."""
    form = sample_format(pix_fmt)
    like = replace(info_for(96, 64, form, path), tags=tags, hdr=hdr or {})
    with create_media(path, codec=codec, like=like, options={} if codec == "ffv1" else {"crf": "32"}) as writer:
        for index in range(4):
            writer.write(Frame(from_image(photograph(index), form, tags), index, index, 1))
    return path


def photograph(index: int) -> Image:
    """Return a part of a photograph (64, 96, 3) that moves by a few pixels."""
    return np.ascontiguousarray(data.chelsea()[60 + index : 124 + index, 100 + 2 * index : 196 + 2 * index] * np.float32(0.75 / 255))


def test_jpeg_files_are_restored_from_their_own_planes(tmp_path: Path) -> None:
    for index in range(3):
        jpeg(tmp_path / f"a.{index}.jpg", size=(96, 64), quality=25, index=index)
    done = restore(tmp_path / "a.%d.jpg", tmp_path / "b.%d.tif", PLAIN)
    assert "colour brought to the size of luma" in done["done"]
    assert done["warnings"] == [] and done["quantiser"] == ESTIMATED
    truth = [np.clip(clean_picture(96, 64, index, 0), 0, 1) for index in range(3)]
    assert gap(shown(tmp_path / "b.%d.tif"), truth) < gap(shown(tmp_path / "a.%d.jpg"), truth)
    restore(tmp_path / "a.%d.jpg", tmp_path / "b.mov", PLAIN)
    assert facts(tmp_path / "b.mov").tags.matrix == 6 and not facts(tmp_path / "b.mov").tags.full_range
    assert gap(shown(tmp_path / "b.mov"), shown(tmp_path / "b.%d.tif")) < 2e-5


def test_jpeg_of_whole_colour_is_named(tmp_path: Path) -> None:
    done = restore(jpeg(tmp_path / "a.jpg", "4:4:4"), tmp_path / "a.tif", PLAIN)
    assert any("finer than 4:2:0" in sentence for sentence in done["warnings"])


def test_odd_sizes_are_named_where_the_codec_makes_them_even(tmp_path: Path) -> None:
    source = small_movie(tmp_path / "odd.mkv", "ffv1", 2, (97, 65))
    said = restore(source, tmp_path / "a.mov", PLAIN)["warnings"]
    assert any("97x65 as 98x65" in sentence for sentence in said)
    assert facts(tmp_path / "a.mov").width == 97
    assert not any("97x65" in sentence for sentence in restore(source, tmp_path / "a.mkv", PLAIN)["warnings"])


def test_frames_and_shots_that_are_not_there_are_named(tmp_path: Path) -> None:
    source = recorded(tmp_path / "s.mp4", (40, 24), (4,))
    done = restore(source, tmp_path / "a.mkv", replace(PLAIN, frames=(2, 41), shots=(0, 50, 3, 60)))
    assert (done["frames"], done["shots"]) == (2, 2)
    assert any("4 frames, counted from 0: --frames ends with frame 3, not 40" in sentence for sentence in done["warnings"])
    assert any("no shot begins at 50, 60" in sentence for sentence in done["warnings"])
    with pytest.raises(ParamError, match=r"4 frames, counted from 0; --frames 4 holds none of them\."):
        restore(source, tmp_path / "b.mkv", replace(PLAIN, frames=(4, 5)))
    one = recorded(tmp_path / "one.mp4", (40, 24), (1,))
    with pytest.raises(ParamError, match="has 1 frame, counted from 0; --frames 3-8"):
        restore(one, tmp_path / "b.mkv", replace(PLAIN, frames=(3, 9)))


def test_formats_that_are_none_are_refused_with_the_choices(tmp_path: Path) -> None:
    source = recorded(tmp_path / "s.mp4", (40, 24), (1,))
    with pytest.raises(ParamError, match=r"no sample format nonsense; prores takes one of yuv422p10, yuv444p10, yuva444p10 with --to"):
        restore(source, tmp_path / "a.mov", replace(PLAIN, to="nonsense"))
    with pytest.raises(ParamError, match=r"prores cannot hold yuv420p; prores takes"):
        restore(source, tmp_path / "a.mov", replace(PLAIN, to="yuv420p"))
    with pytest.raises(ParamError, match=r"\.tif takes one of gbrp, gbrp16"):
        restore(source, tmp_path / "a.tif", replace(PLAIN, to="yuv422p10"))


def test_the_command_speaks_in_lines_and_of_restoration(tmp_path: Path) -> None:
    source = recorded(tmp_path / "s.mp4", (40, 24), (1,))
    said = run("restore", source, "-o", tmp_path / "a.mkv", "--shots", "0", "--device", "cpu").stdout
    assert "[" not in said and "            done  blocks and ringing repaired\n                  colour brought" in said
    shown = " ".join(run("restore", "--help").stdout.split())
    assert "sees each picture by itself" in shown and "restored through a log curve" in shown


@pytest.mark.parametrize(("transfer", "encoding"), [(16, Encoding.PQ), (18, Encoding.HLG)])
@pytest.mark.parametrize(("pix_fmt", "codec"), [("yuv420p", "h264"), ("yuv420p10le", "h265")])
def test_hdr_keeps_its_tags_and_is_not_harmed(tmp_path: Path, transfer: int, encoding: Encoding, pix_fmt: str, codec: str) -> None:
    hdr = {"mastering_display": MASTERING, "content_light": struct.pack("=2I", 1000, 400)} if transfer == 16 else {}
    source = coded(tmp_path / "s.mp4", ColourTags(False, 9, transfer, 9, 1), pix_fmt, codec, hdr)
    truth = [photograph(index) for index in range(4)]
    for said in (Encoding.REC709, encoding):
        out = tmp_path / f"{said.name}.mov"
        done = restore(source, out, replace(PLAIN, params=replace(ShotParams(), encoding=said)))
        tags = facts(out).tags
        assert (tags.primaries, tags.transfer, tags.matrix, tags.full_range) == (9, transfer, 9, False)
        assert any("mastering display" in sentence for sentence in done["warnings"]) == bool(facts(source).hdr)
        assert gap(shown(out), truth) < gap(shown(source), truth)


@pytest.mark.parametrize("encoding", [Encoding.REC709, Encoding.LINEAR])
def test_a_file_is_restored_by_its_own_matrix_and_siting(tmp_path: Path, encoding: Encoding) -> None:
    """Waves of strong colour show it: read by BT.709, or with chroma between the pixels as the source has it, they are further off."""
    form, tags = sample_format("yuv420p"), ColourTags(False, 6, 6, 6, 2)
    waves = 0.5 + 0.3 * np.sin(np.arange(96, dtype=np.float32)[:, None] / 4 + np.float32([0, 2, 4]))
    picture = np.ascontiguousarray(np.broadcast_to(waves, (64, 96, 3)), np.float32)
    with create_media(tmp_path / "s.mkv", codec="ffv1", like=replace(info_for(96, 64, form, tmp_path), tags=tags)) as writer:
        writer.write(Frame(from_image(picture, form, tags), 0, 0, 1))
    params = replace(ShotParams(), encoding=encoding, deblock=False, chroma=False, depth=False, deband=0.0)
    restore(tmp_path / "s.mkv", tmp_path / "a.mov", replace(PLAIN, params=params))
    info, [made], source = facts(tmp_path / "a.mov"), frames(tmp_path / "a.mov"), shown(tmp_path / "s.mkv")
    assert (info.tags.matrix, info.tags.chroma_location) == (6, 0)
    right, *wrong = (
        gap([to_image(made.planes, info.format, read)], source)
        for read in (info.tags, replace(info.tags, matrix=1), replace(info.tags, chroma_location=2))
    )
    assert right < 1e-4 and min(wrong) > 3 * right, (right, wrong)


def test_parts_of_another_version_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stops each run is a folder that has the name of the second picture."""
    source = recorded(tmp_path / "s.mp4", (40, 24), (3,))
    digests = set[str]()
    (tmp_path / "a.1.png").mkdir()
    for version in (__version__, __version__, "99.0"):
        monkeypatch.setattr(job, "__version__", version)
        with pytest.raises(OSError, match="cannot be written"):
            restore(source, tmp_path / "a.%d.png", replace(PLAIN, overwrite=True))
        digests.add((Workplace.at(tmp_path / "a.%d.png") / "settings").read_text())
    assert len(digests) == 2
