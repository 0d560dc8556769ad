"""Dither: means are kept, codes stay, every picture has its own noise, which repeats nowhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grainlayer.inference.restore import Restorer
from grainlayer.jobs import restored
from grainlayer.jobs.dither import dithered, noise
from grainlayer.jobs.restored import RestoredReader
from grainlayer.params import ShotParams
from grainlayer.picture.planes import from_image
from grainlayer.picture.samples import ColourTags, SampleFormat, sample_format
from tests.unit.jobs.test_restored import Held, equal, planes

VIDEO = ColourTags(False, 1, 1, 1, 1)
FULL = replace(VIDEO, full_range=True)


def flat(form: SampleFormat, code: float, tags: ColourTags = VIDEO) -> np.ndarray:
    """Return a grey picture (96, 128, 3) whose luma lies at a code of the format."""
    unit = 2.0 ** (form.bits - 8)
    value = code / form.peak if tags.full_range or form.kind == "rgb" else (code - 16 * unit) / (219 * unit)
    return np.full((96, 128, 3), value, np.float32)


@pytest.mark.parametrize("tags", [VIDEO, FULL])
@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "yuv444p9le", "gbrp10le", "gray10le"])
@pytest.mark.parametrize("share", [0.0, 0.125, 0.5, 0.8])
def test_the_mean_is_kept_and_a_code_stays(name: str, tags: ColourTags, share: float) -> None:
    form = sample_format(name)
    tags = replace(tags, full_range=True) if form.kind == "rgb" else tags
    found = dithered(flat(form, 100 + share, tags), form, tags, 7)
    assert [plane.dtype for plane in found] == [form.dtype] * form.plane_count
    assert set(np.unique(found[0])) <= ({100} if share == 0 else {99, 100, 101, 102})
    assert found[0].mean() == pytest.approx(100 + share, abs=0.03)
    assert share == 0 or found[0].var() == pytest.approx(0.25, rel=0.05)
    if form.kind == "yuv":
        assert all((plane == 1 << (form.bits - 1)).all() for plane in found[1:])


@pytest.mark.parametrize("name", ["yuv422p16le", "gbrp16le", "gbrpf16le", "yuv422p12le"])
def test_fine_formats_are_rounded(name: str) -> None:
    form, image = sample_format(name), np.random.default_rng(1).random((16, 24, 3), np.float32)
    assert equal([dithered(image, form, VIDEO, 0)], [from_image(image, form, VIDEO)])


def test_ends_of_the_codes_hold() -> None:
    form = sample_format("gbrp10le")
    for value, code in ((-0.5, 0), (0.0, 0), (1.0, 1023), (1.5, 1023)):
        found = dithered(np.full((16, 64, 3), value, np.float32), form, ColourTags(True, matrix=0), 0)
        assert all((plane == code).all() for plane in found)


@pytest.mark.parametrize("tags", [VIDEO, FULL])
def test_planes_that_nothing_changed_are_rounded(tags: ColourTags) -> None:
    form, image = sample_format("yuv422p10le"), np.random.default_rng(2).random((32, 48, 3), np.float32)
    plain, both = from_image(image, form, tags), dithered(image, form, tags, 0)
    luma, colour = (dithered(image, form, tags, 0, which) for which in ((True, False), (False, True)))
    assert equal([dithered(image, form, tags, 0, (False, False))], [plain])
    assert equal([luma, colour], [(both[0], *plain[1:]), (plain[0], *both[1:])])
    assert not any(np.array_equal(one, other) for one, other in zip(plain, both, strict=True))


def test_noise_is_white_and_of_its_frame_and_plane() -> None:
    fields = [noise(frame, plane, 270, 480, 5) - 15.5 for frame, plane in ((0, 0), (1, 0), (0, 1), (2**32 - 1, 2))]
    assert np.array_equal(fields[0] + 15.5, noise(0, 0, 270, 480, 5))
    bound = 5 / np.sqrt(fields[0].size)
    for index, one in enumerate(fields):
        assert np.var(one) == pytest.approx(32**2 / 6, rel=0.02)
        assert all(abs(np.mean(one * other)) / np.var(one) < bound for other in fields[:index])
    power = np.abs(np.fft.fft2(fields[0])) ** 2 / fields[0].size / np.var(fields[0])
    assert power.max() < np.log(power.size) + 8
    alike = np.fft.ifft2(power).real.ravel()[1:]
    assert np.abs(alike).max() < 10 / np.sqrt(power.size)


def test_a_part_of_wide_and_tall_noise_is_its_beginning() -> None:
    assert np.array_equal(noise(3, 1, 8, 70_000, 5)[:, :50], noise(3, 1, 8, 50, 5))
    assert np.array_equal(noise(3, 1, 40, 50, 7)[:8], noise(3, 1, 8, 50, 7))


def test_a_gradient_finer_than_the_codes_keeps_its_slope() -> None:
    """Averages of 32 pixels across and 96 down: bands would be off by half a code."""
    form = sample_format("yuv422p10le")
    codes = 400 + np.arange(512) / 256
    image = np.ascontiguousarray(np.broadcast_to(((codes - 64) / 876)[None, :, None], (96, 512, 3)), np.float32)
    for rounded, most in ((from_image(image, form, VIDEO)[0], 0.6), (dithered(image, form, VIDEO, 5)[0], 0.05)):
        gap = np.abs((rounded - codes).reshape(96, 16, 32).mean(axis=(0, 2))).max()
        assert gap < most and (most < 0.1 or gap > 0.4)


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return Restorer(device="cpu")


@pytest.mark.parametrize("given", ["yuv420p", "yuv444p", "gbrp", "gray"])
@pytest.mark.parametrize("params", [replace(ShotParams(), restore=0.0), replace(ShotParams(), deblock=False, chroma=False, depth=False)])
def test_nothing_to_do_is_not_dithered(restorer: Restorer, monkeypatch: pytest.MonkeyPatch, given: str, params: ShotParams) -> None:
    """In full range, where codes of 8 bits lie between those of 10."""
    source = Held(given, (48, 32), [3])
    source.info = replace(source.info, tags=replace(source.info.tags, full_range=True))
    reader = RestoredReader(source, restorer, replace(params, deband=0.0), [(0, 1)])
    made = planes(reader)
    monkeypatch.setattr(restored, "dithered", lambda image, form, tags, *_: from_image(image, form, tags))
    assert equal(made, planes(reader))


@pytest.mark.parametrize("given", ["yuv444p", "gbrp", "gray"])
def test_colour_that_is_fine_enough_is_not_dithered(restorer: Restorer, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    source = Held(given, (48, 32), [3])
    source.info = replace(source.info, tags=replace(source.info.tags, full_range=True))
    reader = RestoredReader(source, restorer, replace(ShotParams(), deblock=False, depth=False, deband=0.0), [(0, 1)])
    made = planes(reader)
    monkeypatch.setattr(restored, "dithered", lambda image, form, tags, *_: from_image(image, form, tags))
    assert equal(made, planes(reader))


def test_what_is_restored_is_dithered_by_its_number(restorer: Restorer, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Held("yuv420p", (48, 32), [3, 3])
    reader = RestoredReader(source, restorer, ShotParams(), [(0, 1), (1, 2)])
    first, second = planes(reader)
    assert not any(np.array_equal(one, other) for one, other in zip(first, second, strict=True))
    assert equal(planes(reader, 1, 2), [second])
    monkeypatch.setattr(restored, "dithered", lambda image, form, tags, *_: from_image(image, form, tags))
    for made, plain in zip((first, second), planes(reader), strict=True):
        assert all(0 < np.abs(one.astype(int) - other).max() <= 1 for one, other in zip(made, plain, strict=True))
