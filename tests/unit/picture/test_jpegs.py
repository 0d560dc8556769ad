"""JPEG files in their own planes: the sampling they have, what they show, and what is left to the reader of RGB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from grainlayer.errors import MediaError
from grainlayer.picture.jpegs import JpegReader, in_planes
from grainlayer.picture.media import Reader, open_media
from grainlayer.picture.planes import to_image
from tests.system.footage import clean_picture


def jpeg(
    path: Path, sampling: str = "4:2:0", size: tuple[int, int] = (50, 34), quality: int = 90, index: int = 0, grey: bool = False
) -> Path:
    """Write a soft coloured picture."""
    pixels = np.clip(clean_picture(*size, index, 0), 0, 1)[:, :, : 1 if grey else 3]
    spec = oiio.ImageSpec(*size, pixels.shape[2], "uint8")
    spec.attribute("Compression", f"jpeg:{quality}")
    spec.attribute("jpeg:subsampling", sampling)
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec) and output.write_image(np.ascontiguousarray(pixels)) and output.close()
    return path


def opened(path: Path) -> Reader:
    return in_planes(open_media(path), path)


@pytest.mark.parametrize(("sampling", "name"), [("4:2:0", "yuv420p"), ("4:2:2", "yuv422p"), ("4:4:4", "yuv444p")])
@pytest.mark.parametrize("size", [(50, 34), (33, 17)])
def test_planes_show_what_the_rgb_shows(tmp_path: Path, sampling: str, name: str, size: tuple[int, int]) -> None:
    path = jpeg(tmp_path / "a.jpg", sampling, size)
    reader, plain = opened(path), open_media(path)
    assert reader.info.format.name == name and reader.info.tags.full_range and reader.count() == 1
    [made], [given] = reader.frames(), plain.frames()
    gap = to_image(made.planes, reader.info.format, reader.info.tags) - to_image(given.planes, plain.info.format, plain.info.tags)
    assert np.abs(gap).mean() < 0.003 and np.abs(gap).max() < 0.02


def test_a_sequence_keeps_its_numbers(tmp_path: Path) -> None:
    for index in range(3):
        jpeg(tmp_path / f"a.{index + 7:03d}.jpg", index=index)
    reader = opened(tmp_path / "a.%03d.jpg")
    assert (reader.info.kind, reader.info.first_number, reader.count()) == ("sequence", 7, 3)
    assert [frame.index for frame in reader.frames(1, 3)] == [1, 2]


def test_other_files_stay_as_they_are_read(tmp_path: Path) -> None:
    grey = open_media(jpeg(tmp_path / "grey.jpg", grey=True))
    assert in_planes(grey, tmp_path / "grey.jpg") is grey
    assert not isinstance(opened(jpeg(tmp_path / "a.png")), JpegReader)


def test_damage_and_change_are_named(tmp_path: Path) -> None:
    for index in range(2):
        jpeg(tmp_path / f"a.{index}.jpg")
    data = (tmp_path / "a.1.jpg").read_bytes()
    (tmp_path / "a.1.jpg").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(MediaError, match=r"a\.1\.jpg \(frame 1\) is damaged"):
        list(opened(tmp_path / "a.%d.jpg").frames())
    (tmp_path / "one.jpg").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(MediaError, match=r"one\.jpg is damaged; copy or export it again"):
        opened(tmp_path / "one.jpg")
    jpeg(tmp_path / "a.1.jpg", "4:4:4")
    with pytest.raises(MediaError, match="changes from 50x34 yuv420p to 50x34 yuv444p at frame 1"):
        list(opened(tmp_path / "a.%d.jpg").frames())
