"""What a decoder tells of the quantiser, and what is known of codecs that lose nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from grainlayer.picture.media import Frame, create_media, open_media
from grainlayer.picture.quantiser import lossless, quantiser_of
from grainlayer.picture.samples import sample_format
from tests.unit.picture.clips import like, movie, noise


def frames(path: Path, *, quantiser: bool = True) -> list[Frame]:
    with open_media(path, quantiser=quantiser) as reader:
        return list(reader.frames())


def maps(path: Path) -> list[np.ndarray]:
    return [frame.quantiser for frame in frames(path) if frame.quantiser is not None]


def test_a_constant_quantiser_is_told_by_cell(tmp_path: Path) -> None:
    path = movie(tmp_path / "m.mp4", count=3, size=(70, 50), options={"qp": "30", "bf": "0", "g": "1"})
    found = maps(path)
    assert len(found) == 3
    assert all(one.shape == (7, 9) and one.dtype == np.float32 for one in found)
    assert all((one == 27 / 64).all() for one in found)  # a picture that needs no other is finer by 3


def test_bits_beyond_eight_are_taken_off(tmp_path: Path) -> None:
    path = movie(tmp_path / "m.mp4", count=2, pix_fmt="yuv422p10le", options={"qp": "42", "bf": "0", "g": "1"})
    assert all((one == (42 - 3 - 12) / 64).all() for one in maps(path))


def test_none_is_told_unless_it_is_asked_for(tmp_path: Path) -> None:
    path = movie(tmp_path / "m.mp4", count=2)
    assert all(frame.quantiser is None for frame in frames(path, quantiser=False))


@pytest.mark.parametrize("codec", ["mpeg2video", "libx265", "mjpeg", "prores_ks", "libvpx-vp9"])
def test_other_codecs_tell_none(tmp_path: Path, codec: str) -> None:
    pix_fmt = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le"}.get(codec, "yuv420p")
    path = movie(tmp_path / "m.mkv", codec, 2, pix_fmt=pix_fmt)
    with open_media(path, quantiser=True) as reader:
        assert all(quantiser_of(frame, reader.info) is None for frame in reader.frames())
        assert not lossless(reader.info)


@pytest.mark.parametrize(("codec", "options"), [("ffv1", {}), ("huffyuv", {}), ("rawvideo", {}), ("libx264", {"qp": "0"})])
def test_what_is_stored_without_loss_has_zero(tmp_path: Path, codec: str, options: dict[str, str]) -> None:
    path = movie(tmp_path / "m.avi", codec, 2, (34, 18), "yuv422p" if codec == "huffyuv" else "yuv420p", options)
    with open_media(path, quantiser=True) as reader:
        found = [quantiser_of(frame, reader.info) for frame in reader.frames()]
    assert all(one is not None and one.shape == (3, 5) and not one.any() for one in found)


def test_maps_are_those_of_one_thread_and_of_any_start(tmp_path: Path) -> None:
    form, path = sample_format("yuv420p"), tmp_path / "m.mp4"
    with create_media(path, codec="h264", like=like(form, (160, 96)), options={"crf": "20", "bf": "3", "g": "12"}) as writer:
        for index in range(40):
            planes = noise(form, (160, 96), index)
            planes[0][:, 4 * index :] = 100 + index
            writer.write(Frame(planes, index, index, 1))
    whole = maps(path)
    assert len({one.tobytes() for one in whole}) > 20
    with open_media(path, quantiser=True) as reader:
        for start in (1, 13, 30):
            part = list(reader.frames(start, start + 5))
            assert all(np.array_equal(one.quantiser, whole[start + place]) for place, one in enumerate(part))
