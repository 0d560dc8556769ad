"""Hold the cut detector to real clips joined at known places, to the oracle, and to what is no cut."""

import os
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from grainlayer.errors import ParamError
from grainlayer.picture.cuts import CutDetector, distance, look, shrink
from grainlayer.picture.samples import sample_format

Small = NDArray[np.float32]

VIDEO = Path(os.environ.get("GRAINLAYER_DATA", "../shared/data")) / "video"
needs_video = pytest.mark.skipif(not VIDEO.is_dir(), reason="the clips of GRAINLAYER_DATA are not here")
SAME_SHOT = {("vimeo90k_00002_0001", "vimeo90k_00002_0003"), ("vimeo90k_00001_0003", "vimeo90k_00001_0004")}
"""Clips that are two pieces of one shot, or of one place in the same light."""
SIX = (
    *("open/sam2_01_dog", "check/tokyo_walk", "open/sam2_bedroom"),
    *("research_only/davis_goat", "research_only/davis_scooter-black", "research_only/davis_car-shadow"),
)
GREY16 = sample_format("gray16le")


def starts(pictures: NDArray[Any] | list[Small], minimum: int = 6) -> list[int]:
    detector = CutDetector(minimum)
    for picture in pictures:
        detector.add(np.asarray(picture, np.float32))
    return detector.finish()


@cache
def clip(name: str, deviation: float = 6.0) -> NDArray[np.float32]:
    """Return a clip's small pictures (frames, 36, 64), of its first plane (luma or green) under white grain of 6 of 255."""
    rng = np.random.default_rng(0)
    found: list[Small] = []
    grain: list[Small] = []
    with av.open(VIDEO / f"{name}.mkv") as container:
        for frame in container.decode(video=0):
            format = sample_format(frame.format.name)
            plane = np.frombuffer(bytes(frame.planes[0]), format.dtype).reshape(frame.height, -1)[:, : frame.width]
            if not grain:
                fields = (rng.standard_normal(plane.shape, np.float32) * np.float32(257 * deviation) + 32768 for _ in range(8))
                grain = [shrink(field.astype(np.uint16), GREY16) - np.float32(32768 / 65535) for field in fields]
            found.append(shrink(plane, format) + grain[int(rng.integers(len(grain)))])
    return np.array(found)


def every_clip() -> list[str]:
    return sorted(f"{path.parent.name}/{path.stem}" for path in VIDEO.glob("*/*.mkv"))


def scene(seed: int, length: int = 24, speed: float = 0.7) -> NDArray[np.float32]:
    """Return a made shot: blurred shapes that move by `speed` small pixels a picture, with grain."""
    rng = np.random.default_rng(seed)
    wide = ndimage.gaussian_filter(rng.standard_normal((36, 64 + int(length * speed) + 2)), 3)
    wide = 0.45 + 0.12 * wide / wide.std() + rng.uniform(-0.15, 0.15)
    pictures = [ndimage.shift(wide, (0, -speed * i), order=1, mode="nearest")[:, :64] for i in range(length)]
    return (np.array(pictures) + rng.normal(0, 0.003, (length, 36, 64))).astype(np.float32)


@needs_video
def test_no_false_cut_in_any_clip():
    found = {name: starts(clip(name)) for name in every_clip()}
    assert {name: cuts for name, cuts in found.items() if cuts != [0]} == {}
    assert len(found) >= 39


@needs_video
def test_every_clip_beside_every_other_is_a_cut():
    names, missed = every_clip(), list[tuple[str, str]]()
    for i, one in enumerate(names):
        for other in (names[(i + step) % len(names)] for step in (1, 5, 14)):
            if tuple(sorted((Path(one).name, Path(other).name))) in SAME_SHOT:
                continue
            ends = np.concatenate([clip(one)[-7:], clip(other)[:7]])
            missed += [(one, other)] if starts(ends) != [0, 7] else []
    assert missed == []


@needs_video
def test_six_clips_give_five_cuts_as_the_oracle_finds_them(tmp_path: Path):
    scenedetect = pytest.importorskip("scenedetect")
    lengths = [len(clip(name)) for name in SIX]
    wanted = np.cumsum([0, *lengths[:-1]]).tolist()
    assert starts(np.concatenate([clip(name) for name in SIX])) == wanted
    joined = tmp_path / "joined.mkv"
    _join(joined)
    for detector in (scenedetect.ContentDetector(), scenedetect.AdaptiveDetector()):
        oracle = [start.frame_num for start, _ in scenedetect.detect(str(joined), detector)]
        assert set(wanted) <= set(oracle)


def _join(path: Path) -> None:
    """Write the six clips as one movie of 320x180."""
    with av.open(path, "w") as target:
        stream = target.add_stream("mpeg4", rate=24, width=320, height=180, pix_fmt="yuv420p", options={"qscale": "3"})
        stream.thread_count = 1
        count = 0
        for name in SIX:
            with av.open(VIDEO / f"{name}.mkv") as source:
                for frame in source.decode(video=0):
                    picture = frame.reformat(width=320, height=180, format="yuv420p", threads=1)
                    picture.pts, picture.time_base = count, Fraction(1, 24)
                    count += 1
                    target.mux(stream.encode(picture))
        target.mux(stream.encode())


def test_made_shots_are_parted():
    assert starts(np.concatenate([scene(seed) for seed in range(6)])) == [0, 24, 48, 72, 96, 120]


def test_nothing_and_one_picture():
    assert starts([]) == []
    assert starts(scene(1, 1)) == [0]


@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("level", ["white", "black", "brighter"])
def test_a_flash_is_no_cut(length: int, level: str):
    pictures = np.concatenate([scene(1), scene(2)])
    flashes = {"white": 0.95, "black": 0.06, "brighter": np.clip(pictures[12:14] * 1.8, 0, 1)[:length]}
    pictures[12 : 12 + length] = flashes[level]
    assert starts(pictures) == [0, 24]


def test_a_flash_beside_a_cut_leaves_one_cut():
    pictures = np.concatenate([scene(1), scene(2)])
    pictures[24] = 0.9
    assert len(starts(pictures)) == 2


@pytest.mark.parametrize("gap", [4, 12])
def test_fades_through_black_are_one_cut_in_the_dark(gap: int):
    down, dark = np.linspace(1, 0, 12)[:, None, None], np.float32(0.06)
    one, other = scene(1), scene(2)
    one[12:] = dark + (one[12:] - dark) * down
    other[:12] = dark + (other[:12] - dark) * down[::-1]
    found = starts(np.concatenate([one, np.full((gap, 36, 64), dark), other]))
    assert len(found) == 2
    assert 22 <= found[1] <= 26 + gap


def test_fading_light_is_no_cut():
    assert starts(scene(3, 40) * np.linspace(1, 0.4, 40)[:, None, None]) == [0]
    assert starts(np.clip(scene(4, 24) + np.linspace(0, 0.4, 24)[:, None, None], 0, 1)) == [0]


def test_a_fast_pan_is_no_cut():
    assert starts(scene(5, 30, speed=8)) == [0]


def test_short_shots_are_joined():
    pictures = np.concatenate([scene(1, 12), scene(2, 4), scene(3, 12)])
    assert starts(pictures, minimum=4) == [0, 12, 16]
    assert len(starts(pictures, minimum=6)) == 2
    assert starts(np.concatenate([scene(1, 3), scene(2, 12), scene(3, 3)]), minimum=6) == [0]


def test_what_was_added_before_does_not_depend_on_what_follows():
    pictures = np.concatenate([scene(seed, 20) for seed in range(3)])
    assert starts(pictures[:34])[:2] == starts(pictures)[:2] == [0, 20]


@pytest.mark.parametrize("name", ["gray", "gray10le", "gray16le", "grayf32le", "grayf16le"])
@pytest.mark.parametrize("shape", [(1, 1), (9, 16), (36, 64), (240, 426), (1080, 1920)])
def test_shrinking_keeps_the_mean(name: str, shape: tuple[int, int]):
    format = sample_format(name)
    ramp = np.linspace(0.2, 0.8, shape[1])[None] * np.ones(shape)
    small = shrink((ramp * format.peak).astype(format.dtype), format)
    assert small.shape == (36, 64)
    assert small.dtype == np.float32
    values = small**2 if format.floating else small
    assert abs(float(values.mean()) - float(ramp.mean())) < 0.01


def test_distance_knows_a_picture_from_another():
    one, other = scene(1, 2), scene(2, 2)
    assert distance(look(one[0]), look(one[0])) == 0
    assert distance(look(one[0]), look(one[1])) < 0.2
    assert distance(look(one[0]), look(other[0])) > 0.7


def test_wrong_use_is_refused():
    with pytest.raises(ParamError, match="shape"):
        CutDetector().add(np.zeros((36, 63), np.float32))
    with pytest.raises(ParamError, match="at least 1"):
        CutDetector(0)
