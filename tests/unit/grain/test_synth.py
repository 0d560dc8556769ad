from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainlayer import native
from grainlayer.errors import ParamError
from grainlayer.grain.filters import retained
from grainlayer.grain.look import GrainLook
from grainlayer.grain.profile import NODES, RADII, GrainProfile, encode_profile
from grainlayer.grain.synth import Spectrum, correlation_root, local_luma, prepare, render
from grainlayer.grain.texture import TextureMap, plain_map, roots
from tests.golden.write_grain import GOLDEN, golden_base, golden_map, golden_profile, grain_digests
from tests.unit.grain.synth_twin import render_slowly

R = np.array(RADII)
PLAIN = GrainLook()


def rolled(corner: float) -> np.ndarray:
    return np.maximum(-45, -15 * np.log10(1 + (R / corner) ** 2))


def profile(corners=(0.1, 0.15, 0.2), correlation=(0.5, 0.25, 0.375), height=512, lean=0.0) -> GrainProfile:
    knots = np.arange(17) / 16
    curve = 0.01 + 0.08 * knots * (1 - knots)
    strength = np.array([curve, 0.8 * curve, 1.3 * curve])
    return encode_profile(height, strength, np.array([rolled(c) for c in corners]), np.full(15, lean), np.array(correlation))


def flat(code: float, height: int = 512, width: int = 512) -> np.ndarray:
    return np.full((height, width, 3), code, np.float32)


def map_of(vector: tuple[int, int, int, int], height: int = 512, width: int = 512) -> TextureMap:
    count = sum(1 for _ in roots(width, height))
    return TextureMap(width, height, (False,) * count, (vector,) * count)


def gradient_power(plane: np.ndarray) -> tuple[float, float]:
    return float((np.diff(plane, axis=1) ** 2).mean()), float((np.diff(plane, axis=0) ** 2).mean())


LOOKS = st.builds(
    GrainLook,
    size=st.sampled_from([0.5, 1.0, 1.7]),
    softness=st.sampled_from([0.0, 0.4]),
    saturation=st.sampled_from([0.0, 1.0, 1.4]),
    blue=st.sampled_from([1.0, 0.3]),
    shadows=st.sampled_from([1.0, 2.0]),
    hold=st.integers(1, 3),
)
CODE = st.integers(-12, 12)
VECTOR = st.one_of(st.just((0, 0, 0, 0)), st.tuples(CODE, CODE, st.just(0), st.just(0)), st.tuples(CODE, CODE, CODE, CODE))


@settings(max_examples=40)
@given(
    look=LOOKS,
    corners=st.sampled_from([(0.15, 0.15, 0.15), (0.1, 0.15, 0.2), (0.4, 0.2, 0.1)]),
    correlation=st.sampled_from([(0.5, 0.25, 0.375), (1, 1, 1), (1, 0, 0), (-0.5, -0.5, -0.5)]),
    vectors=st.lists(VECTOR, min_size=4, max_size=4),
    place=st.tuples(st.integers(0, 90), st.integers(0, 60)),
    seed=st.integers(0, 2**64 - 1),
    add=st.booleans(),
)
def test_fast_and_slow_grain_are_equal(look, corners, correlation, vectors, place, seed, add):
    height, width = 140, 190
    texture = TextureMap(width, height, (False,) * 4, tuple(vectors))
    plan = prepare(profile(corners, correlation, height), look, height, width, texture)
    base = np.random.default_rng(seed).uniform(-0.2, 1.2, (height, width, 3)).astype(np.float32)
    mean = local_luma(plan, base)
    part = np.ascontiguousarray(base[place[1] : place[1] + 70, place[0] : place[0] + 90])
    slow = render_slowly(plan, part, seed, 11, place, 0.7, add, mean)
    assert np.array_equal(render(plan, part, seed=seed, frame=11, origin=place, amount=0.7, add=add, local_luma=mean), slow)


@pytest.mark.parametrize("texture", [None, golden_map()])
def test_tiles_threads_rows_and_order_change_nothing(texture):
    base = golden_base()
    height, width = base.shape[:2]
    plan = prepare(golden_profile(), PLAIN, height, width, texture)
    whole = render(plan, base, seed=4, frame=9, threads=1)
    mean = local_luma(plan, base)
    assert np.array_equal(render(plan, base, seed=4, frame=9, threads=3), whole)
    assert np.array_equal(render(plan, base, seed=4, frame=9, rows=(17, 90)), whole[17:90])
    for y, x, size in ((0, 0, 64), (50, 100, 33), (119, 259, 1)):
        tile = np.ascontiguousarray(base[y : y + size, x : x + size])
        assert np.array_equal(render(plan, tile, seed=4, frame=9, origin=(x, y), local_luma=mean), whole[y : y + size, x : x + size])


def test_wide_pictures_are_made_in_strips_without_seams():
    base = np.random.default_rng(3).random((24, 2000, 3), dtype=np.float32)
    plan = prepare(profile(height=24), PLAIN, 24, 2000)
    whole = render(plan, base, seed=1)
    part = np.ascontiguousarray(base[:, 401:1333])
    assert np.array_equal(render(plan, part, seed=1, origin=(401, 0)), whole[:, 401:1333])


def test_amount_scales_and_add_adds_in_the_same_pass():
    base = golden_base()
    plan = prepare(golden_profile(), PLAIN, *base.shape[:2])
    grain = render(plan, base, seed=4)
    assert np.array_equal(render(plan, base, seed=4, amount=0.5), np.float32(0.5) * grain)
    added = base.copy()
    assert render(plan, added, seed=4, add=True, amount=0.25, out=added) is added
    assert np.array_equal(added, base + np.float32(0.25) * grain)


def test_hold_keeps_a_pattern_and_seed_changes_it():
    plan = prepare(profile(), GrainLook(hold=3, seed=8), 512, 512)
    base = flat(0.5, 64, 64)
    frames = [render(plan, base, frame=frame) for frame in range(7)]
    assert all(np.array_equal(frames[k], frames[k // 3 * 3]) for k in range(7))
    assert not np.array_equal(frames[0], frames[3])
    assert np.array_equal(frames[0], render(plan, base, seed=8))
    assert not np.array_equal(frames[0], render(plan, base, seed=9))


@pytest.mark.parametrize("knot", range(17))
def test_strength_is_that_of_the_curve(knot):
    described = profile()
    plan = prepare(described, PLAIN, 512, 512)
    base = flat(knot / 16)
    made = (
        np.mean([render(plan, base, seed=knot, frame=frame).std(axis=(0, 1), dtype=np.float64) ** 2 for frame in range(6)], axis=0) ** 0.5
    )
    assert np.allclose(made, described.strength_curve()[:, knot], rtol=0.01)


@pytest.mark.parametrize("node", range(3))
def test_the_spectrum_is_that_of_the_profile(node):
    described = profile(height=512, lean=1.5)
    plan = prepare(described, PLAIN, 512, 512)
    base = flat(NODES[node])
    power = np.mean([np.abs(np.fft.fft2(render(plan, base, frame=frame)[..., 1])) ** 2 for frame in range(12)], axis=0)
    fy, fx = np.fft.fftfreq(512)[:, None], np.fft.fftfreq(512)[None]
    wanted = Spectrum(tuple(described.spectrum_db()[node]), tuple(described.direction_db())).power(fx, fy)
    power, wanted = power / power.mean(), wanted / wanted.mean()
    place = np.minimum((np.hypot(fx, fy) / 0.7072 * 32).astype(int), 31)
    radial = [10 * np.log10(power[place == k].mean() / wanted[place == k].mean()) for k in range(32)]
    assert np.sqrt(np.mean(np.square(radial))) < 0.5
    assert np.abs(radial).max() < 1
    for side in (np.abs(fy) < 0.1 + 0 * fx, np.abs(fx) < 0.1 + 0 * fy):
        assert abs(10 * np.log10(power[side].mean() / wanted[side].mean())) < 0.3


@pytest.mark.parametrize("pairs", [(0.5, 0.25, 0.375), (0, 0, 0), (1, 1, 1), (0.875, -0.25, 0.125)])
def test_channels_correlate_as_the_profile_says(pairs):
    plan = prepare(profile(correlation=pairs), PLAIN, 512, 512)
    made = np.mean([np.corrcoef(render(plan, flat(0.5), frame=k).reshape(-1, 3).T) for k in range(4)], axis=0)
    assert np.abs(made[[0, 0, 1], [1, 2, 2]] - pairs).max() < 0.02


def test_an_impossible_correlation_becomes_the_nearest_possible():
    root = correlation_root(np.array([[1, 1, -1], [1, 1, 1], [-1, 1, 1.0]]))
    assert np.allclose((root @ root.T).diagonal(), 1)
    assert np.isfinite(root).all()
    assert np.array_equal(correlation_root(np.ones((3, 3))), np.array([[1, 0, 0]] * 3))


def test_frames_are_independent_and_nothing_repeats():
    plan = prepare(profile(), PLAIN, 1024, 1024)
    first, second = (render(plan, flat(0.5, 1024, 1024), frame=frame)[..., 1].astype(np.float64) for frame in (0, 1))
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.005
    first -= first.mean()
    correlation = np.fft.irfft2(np.abs(np.fft.rfft2(first)) ** 2)
    correlation /= correlation[0, 0]
    y, x = (np.abs(np.fft.fftfreq(1024) * 1024) for _ in range(2))
    far = np.maximum(y[:, None], x[None]) > 16
    floor = np.sqrt((correlation[~far] ** 2).sum()) / 1024
    assert np.abs(correlation[far]).max() < 6 * floor


@pytest.mark.parametrize(("size", "softness"), [(0.5, 0), (2, 0), (4, 0), (1, 1)])
def test_size_and_softness_keep_the_strength(size, softness):
    plan = prepare(profile(), GrainLook(size=size, softness=softness), 512, 512)
    plain = prepare(profile(), PLAIN, 512, 512)
    made, usual = (np.mean([render(p, flat(0.5), frame=k).std() ** 2 for k in range(6)]) ** 0.5 for p in (plan, plain))
    assert made == pytest.approx(usual, rel=0.03)
    ratio = sum(gradient_power(render(plan, flat(0.5))[..., 1])) / sum(gradient_power(render(plain, flat(0.5))[..., 1]))
    assert (ratio > 1.1) if size < 1 else (ratio < 0.7)


def test_smaller_pictures_get_the_grain_they_would_keep():
    described = profile(corners=(0.15, 0.15, 0.15), height=1024)
    large = render(prepare(described, PLAIN, 1024, 1024), flat(0.5, 1024, 1024))[..., 1].astype(np.float64)
    spectrum = np.fft.fftshift(np.fft.fft2(large))[256:768, 256:768]
    reduced = np.fft.ifft2(np.fft.ifftshift(spectrum)).real / 4
    small = render(prepare(described, PLAIN, 512, 512), flat(0.5))[..., 1].astype(np.float64)
    share = retained(Spectrum(tuple(described.spectrum_db()[1]), (0.0,) * 15), 0.5)
    assert small.std() == pytest.approx(reduced.std(), rel=0.015)
    assert small.std() == pytest.approx(large.std() * share**0.5, rel=0.015)
    assert sum(gradient_power(small)) == pytest.approx(sum(gradient_power(reduced)), rel=0.03)


def test_larger_pictures_get_coarser_grain_of_the_same_strength():
    described = profile(height=512)
    small, large = (render(prepare(described, PLAIN, h, h), flat(0.5, h, h))[..., 1] for h in (512, 1024))
    assert large.std() == pytest.approx(small.std(), rel=0.015)
    halved = sum(gradient_power(large[::2, ::2]))
    assert halved == pytest.approx(sum(gradient_power(small)), rel=0.12)


def test_saturation_zero_is_grey_and_gains_scale():
    base = flat(0.5, 128, 128)
    grey = render(prepare(profile(), GrainLook(saturation=0), 128, 128), base)
    assert np.abs(grey - grey[..., :1]).max() == 0
    plain, scaled = (render(prepare(profile(), look, 128, 128), base) for look in (PLAIN, GrainLook(red=0, green=2, mids=0.5)))
    assert np.abs(scaled[..., 0]).max() == 0
    assert np.allclose(scaled[..., 1], plain[..., 1], atol=1e-7)


def test_equal_spectra_and_plain_maps_cost_nothing():
    one = prepare(profile((0.2, 0.2, 0.2), (1, 1, 1)), PLAIN, 64, 64, plain_map(64, 64))
    assert (one.fields, one.planes, one.texture) == (1, 1, None)
    assert (prepare(profile(), PLAIN, 64, 64).fields, prepare(profile(), PLAIN, 64, 64).planes) == (3, 3)


@pytest.mark.parametrize("code", [-8, 8])
def test_variance_codes_are_eighths_of_an_octave(code):
    plain, made = (render(prepare(profile(), PLAIN, 512, 512, t), flat(0.5)) for t in (None, map_of((code, 0, 0, 0))))
    assert np.allclose(made, plain * 2.0 ** (code / 8), rtol=1e-5)


@pytest.mark.parametrize("code", [-6, 8])
def test_contrast_codes_follow_the_brighter_half(code):
    base = flat(0.4)
    base[np.arange(512) // 32 % 2 == 1] = 0.6
    plain, made = (render(prepare(profile(), PLAIN, 512, 512, t), base) for t in (None, map_of((0, code, 0, 0))))
    bright = np.s_[40:56]
    dark = np.s_[8:24]
    assert made[bright].std() / plain[bright].std() == pytest.approx(1 + code / 16 * 0.4, rel=0.02)
    assert made[dark].std() / plain[dark].std() == pytest.approx(1 - code / 16 * 0.4, rel=0.05)


@pytest.mark.parametrize("corners", [(0.15, 0.15, 0.15), (0.13, 0.15, 0.17)])
@pytest.mark.parametrize("level", [0.2, 0.5, 0.7])
@pytest.mark.parametrize("code", [-8, -3, 3, 4])
def test_frequency_codes_shift_gradients_and_keep_the_strength(code, level, corners):
    described, texture = profile(corners), map_of((0, 0, code, 0))
    plain, made = (render(prepare(described, PLAIN, 512, 512, t), flat(level))[..., 1] for t in (None, texture))
    octaves = 0.5 * np.log2(sum(gradient_power(made)) / made.var() / sum(gradient_power(plain)) * plain.var())
    assert octaves * 8 == pytest.approx(code, abs=0.25 if corners[0] == corners[2] else 0.9)
    assert made.std() == pytest.approx(plain.std(), rel=0.01)


def test_finer_grain_than_a_picture_can_hold_is_as_fine_as_it_gets():
    shifts = []
    for code in (4, 8, 12):
        plain, made = (render(prepare(profile(), PLAIN, 512, 512, t), flat(0.5))[..., 1] for t in (None, map_of((0, 0, code, 0))))
        shifts.append(sum(gradient_power(made)) / made.var() / sum(gradient_power(plain)) * plain.var())
        assert made.std() == pytest.approx(plain.std(), rel=0.01)
    assert shifts == sorted(shifts)


@pytest.mark.parametrize("code", [-10, -4, 4, 10])
def test_direction_codes_lean_the_gradients_and_keep_the_strength(code):
    plain, made = (render(prepare(profile(), PLAIN, 512, 512, t), flat(0.5))[..., 1] for t in (None, map_of((0, 0, 0, code))))
    (along, across), (before_along, before_across) = gradient_power(made), gradient_power(plain)
    decibels = 10 * np.log10(along / across / before_along * before_across)
    assert decibels * 2 == pytest.approx(code, abs=0.4)
    assert made.std() == pytest.approx(plain.std(), rel=0.01)


def test_odd_pictures_and_odd_values_work():
    plan = prepare(profile(height=1080), PLAIN, 1, 1)
    assert np.isfinite(render(plan, flat(0.5, 1, 1))).all()
    base = flat(0.5, 9, 16)
    base[3, 4] = (np.nan, np.inf, -np.inf)
    made = render(prepare(profile(), PLAIN, 9, 16), base)
    assert np.isfinite(made).all()
    assert render(prepare(profile(), PLAIN, 9, 16), base, rows=(4, 4)).shape == (0, 16, 3)
    huge = GrainProfile(65535, ((447,) * 17,) * 3, ((-120, 40) * 7 + (-120,),) * 3, (24, -24) * 7 + (24,), (-64, 64, -64))
    for height in (1, 4320):
        assert np.isfinite(render(prepare(huge, GrainLook(size=4), height, 16), flat(0.5, 1, 16))).all()


def test_bad_input_is_one_clear_sentence():
    plan = prepare(profile(), PLAIN, 64, 64, map_of((0, 5, 0, 0), 64, 64))
    with pytest.raises(ParamError, match="64x64"):
        render(plan, flat(0.5, 32, 64))
    with pytest.raises(ParamError, match="rows"):
        render(plan, flat(0.5, 64, 64), rows=(3, 65))
    with pytest.raises(ParamError, match="out"):
        render(plan, flat(0.5, 64, 64), out=flat(0, 64, 63))
    with pytest.raises(ParamError, match="texture map"):
        prepare(profile(), PLAIN, 64, 65, map_of((0, 5, 0, 0), 64, 64))
    with pytest.raises(ParamError, match="seed"):
        render(plan, flat(0.5, 64, 64), seed=-1)


def test_grain_is_as_it_was():
    golden = json.loads(Path(GOLDEN).read_text())
    assert grain_digests() == golden["grain"], "grain changed: if that is meant, run `python -m tests.golden.write_grain`"


BUILDS = {
    "scalar": ["-O1"],
    "sanitised": ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
}
COMPILER = shutil.which("g++") or shutil.which("c++")


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler here")
@pytest.mark.parametrize("build", BUILDS)
def test_other_builds_give_the_same_bits(build, tmp_path):
    assert COMPILER is not None
    folder = Path(native.__file__).parent
    sources = [str(folder / name) for name in ("kernels.cpp", "noise.cpp", "synth.cpp")]
    flags = ["-std=c++20", "-ffp-contract=off", "-fno-math-errno", "-DGRAINLAYER_ONE_WIDTH", "-shared", "-fPIC", *BUILDS[build]]
    library = tmp_path / "kernels.so"
    subprocess.run([COMPILER, *flags, *sources, "-o", str(library)], check=True)
    environment = {"GRAINLAYER_KERNELS": str(library), "PYTHONPATH": ":".join(sys.path), "ASAN_OPTIONS": "detect_leaks=0"}
    if build == "sanitised":
        found = subprocess.run([COMPILER, "-print-file-name=libasan.so"], check=True, capture_output=True, text=True)
        environment["LD_PRELOAD"] = found.stdout.strip()
    program = "from tests.golden.write_grain import *; print(json.dumps({'noise': noise_digest(), 'grain': grain_digests()}))"
    run = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr[-3000:]
    assert json.loads(run.stdout) == json.loads(Path(GOLDEN).read_text())
