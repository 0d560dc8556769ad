"""Hold planes to coming back as they were, the kernels to their reference, and layers to adding up."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from grainlayer.errors import MediaError, ParamError
from grainlayer.picture.planes import (
    Planes,
    from_image,
    from_image_plain,
    join_planes,
    matrix_number,
    midpoints,
    split_codes_plain,
    split_planes,
    to_image,
    to_image_plain,
)
from grainlayer.picture.samples import ColourTags, SampleFormat, sample_format

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import colour

DEPTHS = ("", "9le", "10le", "12le", "14le", "16le")
NAMES = [
    *[f"yuv{chroma}p{depth}" for chroma in ("420", "422", "444") for depth in DEPTHS],
    *["yuv440p", "yuv440p12le", "yuv411p", "yuv410p", "yuva420p10le", "yuva444p16le"],
    *["gbrp", "gbrp10le", "gbrp16le", "gbrap12le", "gray", "gray10le", "gray16le", "ya16le"],
]
FLOATS = ["gbrpf32le", "gbrapf16le", "grayf32le"]

sizes = st.integers(1, 40)
every_tags = st.builds(
    ColourTags,
    full_range=st.booleans(),
    matrix=st.sampled_from([0, 1, 2, 5, 6, 7, 9]),
    chroma_location=st.integers(0, 6),
)


def random_planes(format: SampleFormat, width: int, height: int, seed: int) -> Planes:
    """Return planes of random codes, every fourth at an end of the range: mostly colours that no RGB can show."""
    rng = np.random.default_rng(seed)
    planes: list[NDArray[Any]] = []
    for index in range(format.plane_count):
        codes = rng.integers(0, int(format.peak) + 1, format.plane_shape(width, height, index))
        ends = rng.integers(0, 2, codes.shape) * int(format.peak)
        planes.append(np.where(rng.integers(0, 4, codes.shape) == 0, ends, codes).astype(format.dtype))
    return tuple(planes)


def equal(one: Planes, other: Planes) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(width=sizes, height=sizes, tags=every_tags, seed=st.integers(0, 2**32 - 1))
def test_every_code_comes_back(name: str, width: int, height: int, tags: ColourTags, seed: int):
    format = sample_format(name)
    planes = random_planes(format, width, height, seed)
    image = to_image(planes, format, tags, threads=1)
    assert image.shape == (height, width, 3)
    assert equal(from_image(image, format, tags, like=planes, threads=1), planes)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15, deadline=None)
@given(width=sizes, height=sizes, tags=every_tags, seed=st.integers(0, 2**32 - 1))
def test_kernels_give_the_bits_of_the_reference(name: str, width: int, height: int, tags: ColourTags, seed: int):
    format = sample_format(name)
    planes = random_planes(format, width, height, seed)
    assert np.array_equal(to_image(planes, format, tags), to_image_plain(planes, format, tags))
    image = np.random.default_rng(seed).normal(0.5, 0.5, (height, width, 3)).astype(np.float32)
    opaque = (np.full((height, width), format.peak, format.dtype),) if format.alpha else ()
    assert equal(from_image(image, format, tags), from_image_plain(image, format, tags) + opaque)


@pytest.mark.parametrize("name", ["yuv420p10le", "yuv422p16le", "gbrp16le", "gray"])
@pytest.mark.parametrize("location", [0, 2, 3])
def test_threads_change_no_bit(name: str, location: int):
    format, tags = sample_format(name), ColourTags(matrix=1, chroma_location=location)
    planes = random_planes(format, 75, 397, 5)
    image = to_image(planes, format, tags, threads=1)
    other = np.random.default_rng(1).normal(0.5, 0.5, image.shape).astype(np.float32)
    for threads in (2, 3, 7):
        assert np.array_equal(to_image(planes, format, tags, threads=threads), image)
        assert equal(from_image(other, format, tags, threads=threads), from_image(other, format, tags, threads=1))


def test_all_luma_codes_of_16_bits_come_back_beside_extreme_chroma():
    format = sample_format("yuv444p16le")
    luma = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    for matrix in (1, 5, 7, 9):
        for u, v in [(0, 0), (65535, 0), (0, 65535), (65535, 65535), (32768, 32767)]:
            planes = (luma, np.full_like(luma, u), np.full_like(luma, v))
            tags = ColourTags(matrix=matrix)
            assert equal(from_image(to_image(planes, format, tags), format, tags), planes)


@pytest.mark.parametrize("name", ["yuv420p10le", "yuv422p12le", "yuv411p"])
def test_luma_is_true(name: str):
    format, tags = sample_format(name), ColourTags(matrix=1)
    planes = random_planes(format, 62, 34, 3)
    image = to_image(planes, format, tags).astype(np.float64)
    unit = 2.0 ** (format.bits - 8)
    luma = (planes[0].astype(np.float64) - 16 * unit) / (219 * unit)
    assert np.abs(image @ np.array([0.2126, 0.7152, 0.0722]) - luma).max() < 1e-6


@pytest.mark.parametrize(("matrix", "name"), [(1, "ITU-R BT.709"), (6, "ITU-R BT.601"), (9, "ITU-R BT.2020"), (7, "")])
@pytest.mark.parametrize("full", [False, True])
def test_rgb_agrees_with_the_oracle(matrix: int, name: str, full: bool):
    format = sample_format("yuv444p10le")
    planes = random_planes(format, 20, 20, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weights = colour.WEIGHTS_YCBCR[name] if name else np.array([0.212, 0.087])
        stacked = np.stack(planes, axis=-1)
        wanted = colour.YCbCr_to_RGB(stacked, weights, in_bits=10, in_legal=not full, in_int=True, out_legal=False, clamp_int=False)
    assert np.abs(to_image(planes, format, ColourTags(full, matrix=matrix)) - wanted).max() < 2e-6


def test_black_and_white_of_video_are_0_and_1():
    format = sample_format("yuv420p10le")
    planes = (np.array([[64, 940]], np.uint16), np.full((1, 1), 512, np.uint16), np.full((1, 1), 512, np.uint16))
    assert to_image(planes, format, ColourTags(matrix=1)).tolist() == [[[0.0] * 3, [1.0] * 3]]
    grey = sample_format("gray")
    assert to_image((np.array([[0, 255]], np.uint8),), grey, ColourTags(True)).tolist() == [[[0.0] * 3, [1.0] * 3]]


def test_codes_are_rounded_half_up_and_held():
    format, tags = sample_format("gray"), ColourTags(True)
    values = np.array([-1, 0.49 / 255, 0.5 / 255, 1.499 / 255, 1.5 / 255, 2, np.nan], np.float32)
    image = np.repeat(values[None, :, None], 3, axis=2)
    assert from_image(np.ascontiguousarray(image), format, tags)[0].tolist() == [[0, 0, 1, 1, 2, 255, 0]]


@pytest.mark.parametrize("name", FLOATS)
def test_floats_pass_as_they_are(name: str):
    format = sample_format(name)
    rng = np.random.default_rng(2)
    planes = tuple(rng.normal(0, 5, format.plane_shape(9, 7, i)).astype(format.dtype) for i in range(format.plane_count))
    for tags in (ColourTags(), ColourTags(True, matrix=0)):
        assert equal(from_image(to_image(planes, format, tags), format, tags, like=planes), planes)


def test_too_bright_for_half_floats_is_held():
    format = sample_format("gbrapf16le")
    image = np.full((1, 1, 3), 1e6, np.float32)
    assert [float(plane[0, 0]) for plane in from_image(image, format, ColourTags())] == [65504, 65504, 65504, 1]


def test_untagged_pictures_get_the_matrix_that_players_assume():
    assert matrix_number(ColourTags(), 480) == matrix_number(ColourTags(), 576) == 6
    assert matrix_number(ColourTags(), 720) == 1
    assert matrix_number(ColourTags(matrix=9), 480) == 9


def test_planes_may_lie_in_wider_rows():
    format, tags = sample_format("yuv420p10le"), ColourTags(matrix=1)
    planes = random_planes(format, 31, 17, 4)
    wide = tuple(np.pad(plane, ((0, 0), (0, 13)))[:, : plane.shape[1]] for plane in planes)
    every_other = tuple(np.repeat(plane, 2, axis=1)[:, ::2] for plane in planes)
    upside_down = tuple(np.ascontiguousarray(plane[::-1])[::-1] for plane in planes)
    for other in (wide, every_other, upside_down):
        assert np.array_equal(to_image(other, format, tags), to_image(planes, format, tags))


def test_alpha_goes_through():
    format, tags = sample_format("yuva420p10le"), ColourTags(matrix=1)
    planes = random_planes(format, 6, 5, 8)
    assert np.array_equal(from_image(to_image(planes, format, tags), format, tags, like=planes)[3], planes[3])
    assert (from_image(np.zeros((5, 6, 3), np.float32), format, tags)[3] == 1023).all()
    with pytest.raises(MediaError, match="does not fit"):
        from_image(np.zeros((5, 7, 3), np.float32), format, tags, like=planes)


def test_wrong_planes_are_refused():
    format, tags = sample_format("yuv420p10le"), ColourTags()
    planes = random_planes(format, 8, 8, 0)
    for wrong in (planes[:2], (planes[0], planes[0], planes[2]), tuple(plane.astype(np.uint8) for plane in planes)):
        with pytest.raises(MediaError):
            to_image(wrong, format, tags)
    with pytest.raises(ParamError):
        from_image(np.zeros((8, 8, 3)), format, tags)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10, deadline=None)
@given(width=sizes, height=sizes, seed=st.integers(0, 2**32 - 1), full=st.booleans())
def test_integer_layers_add_up_exactly(name: str, width: int, height: int, seed: int, full: bool):
    format, tags = sample_format(name), ColourTags(full_range=full)
    middles = midpoints(height, format, tags)
    source, wanted = random_planes(format, width, height, seed), random_planes(format, width, height, seed + 1)
    base, grain = split_planes(source, wanted, format, tags)
    assert equal(join_planes(base, grain, format, tags), source)
    for s, b, g, middle in zip(source, base, grain, middles, strict=True):
        assert np.array_equal(b.astype(np.int64) + g.astype(np.int64) - middle, s)
    for s, w, b, g, middle in list(zip(source, wanted, base, grain, middles, strict=True))[: 1 if format.kind == "grey" else 3]:
        plain = split_codes_plain(s, w, middle, int(format.peak))
        assert equal((b, g), plain)
        fits = np.abs(s.astype(np.int64) - w.astype(np.int64)) < min(middle, int(format.peak) - middle)
        assert np.array_equal(b[fits], w[fits])


def test_alpha_stays_with_the_base():
    format = sample_format("yuva444p16le")
    source, base = random_planes(format, 7, 5, 1), random_planes(format, 7, 5, 2)
    rest, grain = split_planes(source, base, format, ColourTags())
    assert np.array_equal(rest[3], source[3])
    assert (grain[3] == 1 << 15).all()


@pytest.mark.parametrize(
    ("name", "full", "codes"),
    [
        ("yuv420p10le", False, (502, 512, 512)),
        ("yuv420p10le", True, (512, 512, 512)),
        ("yuv420p", False, (126, 128, 128)),
        ("gbrp16le", True, (32768, 32768, 32768)),
        ("gbrpf32le", True, (0, 0, 0)),
    ],
)
def test_no_grain_is_shown_as_the_middle_between_black_and_white(name: str, full: bool, codes: tuple[int, ...]):
    format, tags = sample_format(name), ColourTags(full_range=full)
    assert midpoints(1080, format, tags) == codes
    shown = to_image(tuple(np.full(format.plane_shape(2, 2, i), code, format.dtype) for i, code in enumerate(codes)), format, tags)
    assert np.allclose(shown, 0 if format.floating else 0.5, atol=0.5 / 219)


@pytest.mark.parametrize("name", FLOATS)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), strength=st.floats(1e-4, 0.5))
def test_float_layers_add_up_within_half_a_step(name: str, seed: int, strength: float):
    format, rng = sample_format(name), np.random.default_rng(seed)
    clean = [rng.gamma(1, 0.2, (11, 13)) for _ in range(format.plane_count)]
    bases = tuple(values.astype(format.dtype) for values in clean)
    source = tuple((values * (1 + strength * rng.normal(size=values.shape))).astype(format.dtype) for values in clean)
    rest, grain = split_planes(source, bases, format, ColourTags())
    for s, b, g in zip(source, rest, grain, strict=True):
        error = missed(s, b, g)
        assert (error <= 0.5 * np.minimum(step(b), step(g))).all()
        shallow = np.abs(g) <= np.abs(s)
        assert (error <= 0.5 * step(s))[shallow].all()
    for s, b, g in zip(source, *split_planes(source, bases, format, ColourTags(), wide=True), strict=True):
        assert g.dtype == np.float32
        if format.bits == 16:
            assert (missed(s, b, g) <= 0.5 * step(s)).all()
            assert np.array_equal(b, bases[0]) or s is not source[0]


def missed(source: NDArray[Any], base: NDArray[Any], grain: NDArray[Any]) -> NDArray[np.float64]:
    return np.abs(base.astype(np.float64) + grain.astype(np.float64) - source.astype(np.float64))


def step(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.spacing(np.abs(values)).astype(np.float64)
