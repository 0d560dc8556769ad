"""Restored pictures behind a Reader: the same on every road, never across a cut, of any size and kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from grainlayer.errors import MediaError
from grainlayer.inference.restore import Recorded, Restored, Restorer
from grainlayer.jobs.restored import RestoredReader, wider
from grainlayer.params import ShotParams
from grainlayer.picture.media import Frame, MediaInfo, Reader
from grainlayer.picture.planes import to_image
from grainlayer.picture.samples import ColourTags, sample_format
from grainlayer.types import Encoding
from tests.unit.picture.clips import noise


class Held(Reader):
    """Read frames from memory, quantised by `qp`; from the frame `broken` on they are damaged."""

    def __init__(self, pix_fmt: str, size: tuple[int, int], pictures: list[int], broken: int | None = None, qp: int = 32) -> None:
        form = sample_format(pix_fmt)
        tags = ColourTags(form.kind != "yuv", 1, 1, 0 if form.kind == "rgb" else 1, 0)
        self.info = MediaInfo(Path("held"), "movie", *size, form, tags, Fraction(24), Fraction(1, 24), codec="h264")
        told = np.full((-(-size[1] // 8), -(-size[0] // 8)), qp / 64, np.float32)
        self.held = [Frame(self._planes(seed), index, 2 * index, 2, quantiser=told) for index, seed in enumerate(pictures)]
        self.broken = broken

    def _planes(self, seed: int) -> tuple[np.ndarray, ...]:
        form = self.info.format
        if form.floating:
            rng = np.random.default_rng(seed)
            return tuple(rng.uniform(0, 1, form.plane_shape(*self.size, i)).astype(form.dtype) for i in range(form.plane_count))
        if form.name != "yuv420p":
            return noise(form, self.size, seed)
        y, x = np.mgrid[: self.size[1], : self.size[0]]
        luma = np.uint8(120 + 60 * np.sin((x + seed) / 3) * np.cos((y - seed) / 4))
        return luma, *(np.ascontiguousarray(255 - luma[::2, ::2]),) * 2

    @property
    def size(self) -> tuple[int, int]:
        return self.info.width, self.info.height

    def count(self) -> int:
        return len(self.held)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        for frame in self.held[start:stop]:
            if self.broken is not None and frame.index >= self.broken:
                raise MediaError(f"held is damaged at frame {frame.index}.")
            yield frame


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return Restorer(device="cpu")


def planes(reader: Reader, start: int = 0, stop: int | None = None) -> list[tuple[np.ndarray, ...]]:
    return [frame.planes for frame in reader.frames(start, stop)]


def equal(one: list[tuple[np.ndarray, ...]], other: list[tuple[np.ndarray, ...]]) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(a, b) for left, right in zip(one, other, strict=True) for a, b in zip(left, right, strict=True)
    )


def test_any_range_gives_the_pictures_of_the_whole(restorer: Restorer) -> None:
    reader = RestoredReader(Held("yuv420p", (32, 24), list(range(9))), restorer, ShotParams(), [(0, 5), (5, 9)])
    whole = planes(reader)
    for start, stop in ((0, 1), (1, 3), (4, 6), (5, 9), (8, 9), (7, None), (9, None)):
        assert equal(planes(reader, start, stop), whole[start:stop])


class Watching(Restorer):
    """Restore, and note which pictures each window holds."""

    def __init__(self, held: Held) -> None:
        super().__init__(device="cpu")
        self.numbers = {one[1].luma.tobytes(): one[0].index for one in RestoredReader(held, self, ShotParams(), []).read(0, held.count())}
        self.windows: list[list[int]] = []

    def restore(self, window: Sequence[Recorded], params: ShotParams) -> Restored:
        self.windows.append([self.numbers[one.luma.tobytes()] for one in window])
        return super().restore(window, params)


def test_a_window_ends_at_the_cuts() -> None:
    held = Held("yuv420p", (32, 24), list(range(7)))
    watching = Watching(held)
    reader = RestoredReader(held, watching, ShotParams(), [(0, 2), (2, 3), (3, 7)])
    planes(reader)
    assert watching.windows[:4] == [[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1], [2] * 7, [3, 3, 3, 3, 4, 5, 6]]
    assert watching.windows[6] == [3, 4, 5, 6, 6, 6, 6]
    whole, watching.windows = watching.windows, []
    for start in range(7):
        planes(reader, start, start + 1)
    assert watching.windows == whole


def test_nothing_is_seen_across_a_cut(restorer: Restorer) -> None:
    shots = [(0, 3), (3, 4), (4, 7)]
    one = planes(RestoredReader(Held("yuv420p", (32, 24), [0, 1, 2, 3, 4, 5, 6]), restorer, ShotParams(), shots))
    other = planes(RestoredReader(Held("yuv420p", (32, 24), [0, 1, 2, 13, 4, 5, 6]), restorer, ShotParams(), shots))
    assert equal(one[:3], other[:3]) and equal(one[4:], other[4:])
    assert not equal(one[3:4], other[3:4])


def test_a_lone_picture_is_a_shot_of_its_own(restorer: Restorer) -> None:
    """In 16 bits: coarser codes are dithered, each picture in its own way."""
    finest = sample_format("yuv422p16le")
    lone = planes(RestoredReader(Held("yuv420p", (32, 24), [5]), restorer, ShotParams(), [(0, 1)], finest))
    still = planes(RestoredReader(Held("yuv420p", (32, 24), [5] * 7), restorer, ShotParams(), [(0, 7)], finest), 3, 4)
    assert equal(lone, still)


def test_all_before_a_damage_comes_out(restorer: Restorer) -> None:
    shots = [(0, 9)]
    reader = RestoredReader(Held("yuv420p", (32, 24), list(range(9)), broken=5), restorer, ShotParams(), shots)
    frames = reader.frames()
    assert [next(frames).index for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(MediaError, match="damaged at frame 5"):
        next(frames)
    assert equal(
        planes(reader, 4, 5), planes(RestoredReader(Held("yuv420p", (32, 24), list(range(5))), restorer, ShotParams(), [(0, 5)]), 4)
    )


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 5), (33, 19), (130, 94)])
def test_small_and_odd_sizes(restorer: Restorer, width: int, height: int) -> None:
    reader = RestoredReader(Held("yuv420p", (width, height), [0, 1]), restorer, ShotParams(), [(0, 2)])
    for frame in reader.frames():
        assert [plane.shape for plane in frame.planes] == [(height, width), (height, -(-width // 2)), (height, -(-width // 2))]
        assert frame.pts == 2 * frame.index and frame.duration == 2


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("yuv420p", "yuv422p10le"),
        ("yuv422p", "yuv422p10le"),
        ("yuv411p", "yuv422p10le"),
        ("yuv440p", "yuv444p10le"),
        ("yuv444p", "yuv444p10le"),
        ("yuva420p", "yuva422p10le"),
        ("yuv420p10le", "yuv422p10le"),
        ("yuv444p12le", "yuv444p12le"),
        ("gbrp", "gbrp10le"),
        ("gbrap16le", "gbrap16le"),
        ("gray", "gray10le"),
        ("ya8", "ya16le"),
        ("gbrpf16le", "gbrpf16le"),
    ],
)
def test_every_kind_becomes_wider(restorer: Restorer, given: str, made: str) -> None:
    assert wider(sample_format(given)).name == made
    source = Held(given, (24, 16), [3])
    frame = next(RestoredReader(source, restorer, ShotParams(), [(0, 1)]).frames())
    form = sample_format(made)
    assert [(plane.shape, plane.dtype) for plane in frame.planes] == [
        (form.plane_shape(24, 16, i), form.dtype) for i in range(form.plane_count)
    ]
    if form.alpha:
        share = source.held[0].planes[-1] / source.info.format.peak
        assert np.abs(frame.planes[-1] / form.peak - share).max() <= 0.5 / form.peak + 1e-9


@pytest.mark.parametrize("given", ["yuv420p", "yuv422p10le", "gbrp", "gray", "yuv420p16le"])
@pytest.mark.parametrize("encoding", [Encoding.REC709, Encoding.LOGC3])
def test_at_strength_zero_nothing_changes(restorer: Restorer, given: str, encoding: Encoding) -> None:
    source = Held(given, (24, 16), [3])
    params = replace(ShotParams(), restore=0.0, deband=0.0, encoding=encoding)
    reader = RestoredReader(source, restorer, params, [(0, 1)], sample_format(given))
    assert equal(planes(reader), [source.held[0].planes])


@pytest.mark.parametrize("encoding", [Encoding.LINEAR, Encoding.PQ, Encoding.HLG])
def test_light_goes_through_a_curve_and_back(restorer: Restorer, encoding: Encoding) -> None:
    source = Held("gbrpf32le", (24, 16), [3])
    params = replace(ShotParams(), restore=0.0, deband=0.0, encoding=encoding)
    [made] = planes(RestoredReader(source, restorer, params, [(0, 1)]))
    given = to_image(source.held[0].planes, source.info.format, source.info.tags)
    assert np.abs(to_image(made, source.info.format, source.info.tags) - given).max() < 2e-4


def test_grey_stays_grey(restorer: Restorer) -> None:
    source = Held("gray", (24, 16), [3])
    [made] = planes(RestoredReader(source, restorer, ShotParams(), [(0, 1)], sample_format("yuv422p10le"), ColourTags(False, matrix=1)))
    assert all((plane == 512).all() for plane in made[1:])


def test_a_lossless_source_of_ten_bits_stays_within_half_a_step(restorer: Restorer) -> None:
    source = Held("yuv422p10le", (32, 24), [3, 4], qp=0)
    made = planes(RestoredReader(source, restorer, replace(ShotParams(), deband=0.0), [(0, 2)], sample_format("yuv422p10le")))
    for given, found in zip(source.held, made, strict=True):
        assert np.abs(given.planes[0].astype(int) - found[0]).max() <= 1
