"""Restoration of pictures: what a net is shown, what each switch keeps to, tiles, and the quantiser that is estimated."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
import pytest

from grainlayer.errors import ParamError
from grainlayer.inference import restore
from grainlayer.inference.registry import model_root, read_manifest
from grainlayer.inference.restore import STEP, Recorded, Restorer, aligned, as_image, recorded_image, recorded_planes
from grainlayer.params import ShotParams
from grainlayer.picture.planes import from_image, to_image
from grainlayer.picture.samples import ColourTags, SampleFormat, sample_format
from tests.unit.inference.test_motion import texture

LEFT = ColourTags(False, 1, 1, 1, 1)
JOBS = replace(ShotParams(), deband=0.0)
SIZES = [(64, 96), (37, 51), (9, 8), (1, 1)]


def picture(height: int, width: int, seed: int = 1) -> np.ndarray:
    """Return a soft R, G, B picture (H, W, 3) within 0..1, coloured."""
    image = np.stack([texture(max(height, 16), max(width, 16), seed + part)[:height, :width] for part in range(3)], axis=2)
    return np.ascontiguousarray(np.clip(image, 0.05, 0.95), np.float32)


def stored(height: int, width: int, name: str = "yuv420p", tags: ColourTags = LEFT, seed: int = 1) -> tuple[np.ndarray, ...]:
    return from_image(picture(height, width, seed), sample_format(name), tags)


def map_of(height: int, width: int, qp: float) -> np.ndarray:
    return np.full((-(-height // 8), -(-width // 8)), qp / 64, np.float32)


def shown(height: int, width: int, qp: float, name: str = "yuv420p", tags: ColourTags = LEFT) -> list[Recorded]:
    """Return a window of seven pictures, quantised by `qp`."""
    pictures = [stored(height, width, name, tags, seed) for seed in (1, 1, 1, 1, 1, 4, 4)]
    return [recorded_planes(planes, sample_format(name), tags, map_of(height, width, qp)) for planes in pictures]


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return Restorer(device="cpu")


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_planes_are_taken_as_they_are_stored(height: int, width: int) -> None:
    planes = stored(height, width)
    found = recorded_planes(planes, sample_format("yuv420p"), LEFT)
    assert np.abs(found.luma * 219 + 16 - planes[0]).max() < 1e-4
    assert np.abs(found.chroma * 224 + 128 - np.stack(planes[1:], axis=2)).max() < 1e-4
    assert found.given is None and found.halved and found.quantiser is None
    assert found.step == pytest.approx(STEP)
    assert [plane.shape for plane in found.planes] == [tuple(-(-side // 8) * 8 // part for side in (height, width)) for part in (1, 2, 2)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_host_s_picture_is_seen_as_the_planes_it_came_from(height: int, width: int) -> None:
    planes, form = stored(height, width), sample_format("yuv420p")
    one, other = recorded_planes(planes, form, LEFT), recorded_image(to_image(planes, form, LEFT))
    assert np.abs(one.luma - other.luma).max() < 1e-6 and np.abs(one.chroma - other.chroma).max() < 1e-6
    assert np.abs(one.colour - other.colour).max() < 1e-6 and other.halved and other.step == STEP


@pytest.mark.parametrize(
    ("name", "tags", "halved", "step"),
    [
        ("yuv420p", replace(LEFT, chroma_location=2), True, 1 / 219),
        ("yuv420p", replace(LEFT, full_range=True), True, 1 / 255),
        ("yuv420p10le", LEFT, True, 1 / 876),
        ("yuv422p", LEFT, False, 1 / 219),
        ("yuv444p", LEFT, False, 1 / 219),
        ("yuv444p12le", replace(LEFT, matrix=9), False, 1 / 3504),
        ("gbrp", ColourTags(True, matrix=0), False, 1 / 255),
        ("gbrpf32le", ColourTags(True, matrix=0), False, 0.0),
        ("gray10le", LEFT, False, 1 / 876),
    ],
)
def test_every_format_shows_the_same_picture(name: str, tags: ColourTags, halved: bool, step: float) -> None:
    form, image = sample_format(name), picture(48, 63)
    found = recorded_planes(from_image(image, form, tags), form, tags)
    assert found.halved == halved and found.step == pytest.approx(step)
    assert found.chroma.shape == (24, 32, 2) and found.colour.shape == (48, 63, 2)
    whole = as_image(restore.Restored(found.luma, found.colour), tags.matrix)
    assert np.abs(whole - to_image(from_image(image, form, tags), form, tags)).max() < 2e-5
    if form.kind != "grey" and tags.matrix != 9:
        assert np.abs(found.luma - recorded_image(image).luma).max() < 0.01
        assert np.abs(found.chroma - recorded_image(image).chroma).max() < 0.02


@pytest.mark.parametrize("switches", list(itertools.product((False, True), repeat=3)))
@pytest.mark.parametrize("name", ["yuv420p", "yuv422p", "yuv420p10le"])
def test_without_a_codec_luma_stays_within_half_a_code(restorer: Restorer, name: str, switches: tuple[bool, bool, bool]) -> None:
    window = shown(40, 56, 0, name)
    here, params = window[3], replace(JOBS, deblock=switches[0], chroma=switches[1], depth=switches[2])
    made = restorer.restore(window, params)
    change = np.abs(made.luma - here.luma)
    assert change.max() <= here.step / 2 + 1e-6
    assert (change.max() > 0) == params.depth


def test_depth_alone_stays_within_half_a_code(restorer: Restorer) -> None:
    window = shown(40, 56, 36)
    made = restorer.restore(window, replace(JOBS, deblock=False))
    assert 0 < np.abs(made.luma - window[3].luma).max() <= STEP / 2 + 1e-6
    assert np.abs(restorer.restore(window, JOBS).luma - window[3].luma).max() > STEP


@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le"])
def test_deblocking_alone_keeps_to_whole_codes(restorer: Restorer, name: str) -> None:
    window = shown(40, 56, 36, name)
    steps = (restorer.restore(window, replace(JOBS, depth=False)).luma - window[3].luma) / window[3].step
    assert np.abs(steps - np.round(steps)).max() < 1e-3 and np.abs(steps).max() > 0.5


def test_cells_without_a_quantiser_are_not_deblocked(restorer: Restorer) -> None:
    window = shown(64, 96, 36)
    cells = map_of(64, 96, 36)
    cells[:, :6] = 0
    window[3] = replace(window[3], quantiser=cells)
    for params in (JOBS, replace(JOBS, depth=False)):
        change = np.abs(restorer.restore(window, params).luma - window[3].luma)
        assert change[:, :48].max() <= (STEP / 2 if params.depth else 0) + 1e-6
        assert change[:, 48:].max() > STEP / 2


def test_colour_alone_leaves_luma(restorer: Restorer) -> None:
    window = shown(40, 56, 30)
    made = restorer.restore(window, replace(JOBS, deblock=False, depth=False))
    assert np.array_equal(made.luma, window[3].luma) and not np.array_equal(made.chroma, window[3].colour)


def test_fine_colour_gets_only_what_is_coarse(restorer: Restorer) -> None:
    """Both what is stored whole, and what is not to be made finer: its change is that of a chroma of half the size."""
    for name, params in (("yuv444p", JOBS), ("yuv420p", replace(JOBS, chroma=False))):
        window = shown(40, 56, 34, name)
        change = restorer.restore(window, params).chroma - window[3].colour
        again = restore.larger(restore.smaller(np.ascontiguousarray(change)), 40, 56)
        assert np.abs(change).max() > 1e-4 and np.abs(again - change).max() < 1e-6
        if name == "yuv444p":
            untouched = restorer.restore(window, replace(JOBS, deblock=False, depth=False))
            assert np.array_equal(untouched.chroma, window[3].colour)


def test_centred_chroma_keeps_what_lies_between_its_samples(restorer: Restorer) -> None:
    window = shown(40, 56, 0, tags=replace(LEFT, chroma_location=2))
    made = restorer.restore(window, replace(JOBS, restore=0.0))
    assert np.array_equal(made.chroma, window[3].colour) and window[3].given is not None
    assert np.abs(restorer.restore(window, JOBS).chroma - window[3].colour).max() < 0.1


def test_strength_is_a_share_of_the_change(restorer: Restorer) -> None:
    window, params = shown(48, 64, 34), ShotParams()
    none, half, whole = (restorer.restore(window, replace(params, restore=share)) for share in (0.0, 0.5, 1.0))
    assert np.array_equal(none.luma, window[3].luma) and np.array_equal(none.chroma, window[3].colour)
    assert np.abs((none.luma + whole.luma) / 2 - half.luma).max() < 1e-6
    assert np.abs((none.chroma + whole.chroma) / 2 - half.chroma).max() < 1e-6
    assert not np.array_equal(none.luma, whole.luma)


def test_nothing_to_do_changes_nothing(restorer: Restorer) -> None:
    window = shown(48, 64, 34)
    made = restorer.restore(window, replace(JOBS, deblock=False, chroma=False, depth=False))
    assert np.array_equal(made.luma, window[3].luma) and np.array_equal(made.chroma, window[3].colour)


def test_debanding_is_by_its_strength(restorer: Restorer) -> None:
    """A slope of 0.03 codes a row, stored in whole codes, by debanding alone."""
    slope = (100 + 0.03 * np.arange(160))[:, None] * np.ones((1, 96))
    luma = np.round(slope).astype(np.uint8)
    grey = np.full((80, 48), 128, np.uint8)
    here = recorded_planes((luma, grey, grey), sample_format("yuv420p"), LEFT, map_of(160, 96, 0))
    gaps = list[float]()
    for strength in (0.0, 0.25, 0.5):
        made = restorer.restore([here] * 7, replace(JOBS, deblock=False, chroma=False, depth=False, deband=strength))
        gaps.append(float(np.sqrt(np.mean((made.luma * 219 + 16 - slope) ** 2))))
        assert np.abs(made.luma - here.luma).max() <= STEP / 2 + 1e-6
    assert gaps[0] > gaps[1] > gaps[2] and gaps[2] < 0.7 * gaps[0]


@pytest.mark.parametrize(("height", "width"), [*SIZES, (130, 94)])
def test_every_size_comes_back_as_large_as_it_was(restorer: Restorer, height: int, width: int) -> None:
    made = restorer.restore(shown(height, width, 30), ShotParams())
    assert made.luma.shape == (height, width) and made.chroma.shape == (height, width, 2)
    assert as_image(made).shape == (height, width, 3) and np.isfinite(as_image(made)).all()


def test_tiles_are_the_whole(restorer: Restorer, monkeypatch: pytest.MonkeyPatch) -> None:
    window = shown(188, 330, 34)
    whole = restorer.restore(window, ShotParams())
    monkeypatch.setattr(restore, "WHOLE", 1000)
    monkeypatch.setattr(restore, "TILE", 64)
    parts = restorer.restore(window, ShotParams())
    assert np.abs(parts.luma - whole.luma).max() < 1e-5 and np.abs(parts.chroma - whole.chroma).max() < 1e-5


def test_neighbours_are_shown_where_they_show_the_same() -> None:
    """A picture moved by whole pixels, more from one to the next."""
    wide = picture(120, 200)
    moves = [(0, 6), (0, 4), (0, 2), (0, 0), (2, 0), (4, 0), (6, 0)]
    form = sample_format("yuv420p")
    planes = [from_image(np.ascontiguousarray(wide[12 + y : 108 + y, 12 + x : 172 + x]), form, LEFT) for y, x in moves]
    window = [recorded_planes(one, form, LEFT) for one in planes]
    luma, chroma = aligned(window)
    inner = (slice(24, -24), slice(24, -24))
    for place in range(7):
        assert np.mean(np.abs(luma[place] - luma[3])[inner] < 1.5 * STEP) > 0.98
        assert np.mean(np.abs(chroma[place] - chroma[3])[12:-12, 12:-12] < 0.02) > 0.98
    assert np.array_equal(luma[3], window[3].planes[0]) and np.array_equal(chroma[3, :, :, 1], window[3].planes[2])
    assert np.mean(np.abs(window[0].luma - window[3].luma)[inner]) > 4 * np.mean(np.abs(luma[0] - luma[3])[inner])


def coded(planes: tuple[np.ndarray, ...], form: SampleFormat, qp: int) -> np.ndarray:
    """Return the luma codes of a picture after x264 at a QP."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, form.name)
    for plane, codes in zip(frame.planes, planes, strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        rows[:, : codes.shape[1]] = codes
    file = BytesIO()
    with av.open(file, "w", "matroska") as container:
        stream = container.add_stream("libx264", rate=Fraction(24), options={"qp": str(qp), "x264-params": "ipratio=1"})
        stream.width, stream.height, stream.pix_fmt = width, height, form.name
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        return next(container.decode(video=0)).to_ndarray()[:height]


@pytest.mark.skipif("quantiser-default" not in read_manifest(model_root()), reason="the model that estimates quantisers is not installed")
def test_the_quantiser_is_estimated(restorer: Restorer) -> None:
    image = picture(192, 192)
    grain = np.random.Generator(np.random.Philox(key=8)).standard_normal((192, 192, 1)).astype(np.float32)
    form = sample_format("yuv420p")
    planes = from_image(image + np.float32(0.02) * grain, form, LEFT)
    told = restorer.estimate(((coded(planes, form, 32).astype(np.float32)) - 16) / 219)
    assert told.shape == (24, 24) and np.abs(64 * told - 32).max() < 6
    assert (restorer.estimate((planes[0].astype(np.float32) - 16) / 219) == 0).all()


@pytest.mark.skipif("quantiser-default" not in read_manifest(model_root()), reason="the model that estimates quantisers is not installed")
def test_what_is_not_told_is_estimated(restorer: Restorer) -> None:
    window = shown(61, 83, 0)
    told = restorer.estimate(window[3].luma)
    assert told.shape == (8, 11)
    wanted = restorer.restore([replace(one, quantiser=told) for one in window], ShotParams())
    found = restorer.restore([replace(one, quantiser=None) for one in window], ShotParams())
    assert np.array_equal(found.luma, wanted.luma) and np.array_equal(found.chroma, wanted.chroma)


@pytest.mark.parametrize("count", [0, 1, 6, 8])
def test_windows_of_a_wrong_length_are_refused(restorer: Restorer, count: int) -> None:
    with pytest.raises(ParamError):
        restorer.restore([shown(24, 32, 30)[3]] * count, ShotParams())


def test_pictures_that_do_not_fit_are_refused(restorer: Restorer) -> None:
    window = shown(24, 32, 30)
    window[6] = shown(32, 24, 30)[6]
    with pytest.raises(ParamError):
        restorer.restore(window, ShotParams())
    with pytest.raises(ParamError):
        recorded_image(np.zeros((8, 8), np.float32))
    with pytest.raises(ParamError, match="quality"):
        Restorer("finest")
