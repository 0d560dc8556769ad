"""Motion between pictures and the average along it, against slow twins."""

from __future__ import annotations

import numpy as np
import pytest

from grainlayer.inference.motion import BLOCK, MARGIN, align, find_motion, fuse, pyramid

WINDOW = 2 * BLOCK


def texture(height: int, width: int, seed: int = 1) -> np.ndarray:
    """Return a soft random plane, code values."""
    waves = np.fft.rfft2(np.random.Generator(np.random.Philox(key=seed)).standard_normal((height, width)))
    distance = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    plane = np.fft.irfft2(waves * np.exp(-((distance / 0.08) ** 2)), s=(height, width))
    return (0.5 + 0.1 * plane / plane.std()).astype(np.float32)


def shifted(plane: np.ndarray, y: float, x: float) -> np.ndarray:
    """Move a plane's content by (y, x) pixels, its ends meeting."""
    fy, fx = np.fft.fftfreq(plane.shape[0])[:, None], np.fft.rfftfreq(plane.shape[1])[None]
    turned = np.fft.rfft2(plane) * np.exp(-2j * np.pi * (fy * y + fx * x))
    return np.fft.irfft2(turned, s=plane.shape).astype(np.float32)


@pytest.mark.parametrize("move", [(0, 0), (3, -5), (-13, 18), (1.5, 0.25), (-0.75, 9.5)])
def test_a_moved_picture_is_found(move: tuple[float, float]) -> None:
    plane = texture(232, 312)
    found = find_motion(pyramid(plane), pyramid(shifted(plane, *move)))
    inner = found.motion[5:-5, 5:-5]
    assert np.mean(np.abs(inner - np.array(move)).max(axis=2) <= 0.25) > 0.98
    assert np.median(found.apart[5:-5, 5:-5]) < 2e-5


def test_apart_is_the_mean_square_difference_of_the_windows() -> None:
    here, there = texture(70, 90), texture(70, 90, seed=2)
    found = find_motion(pyramid(here), pyramid(there))
    a, b = (np.pad(plane, MARGIN, mode="edge").astype(np.float64) for plane in (here, there))
    for row, column in ((0, 0), (3, 5), (8, 11)):
        y, x = row * BLOCK - BLOCK // 2 + MARGIN, column * BLOCK - BLOCK // 2 + MARGIN
        dy, dx = found.motion[row, column]
        iy, ix = int(np.floor(dy)), int(np.floor(dx))
        fy, fx = dy - iy, dx - ix
        part = b[y + iy : y + iy + WINDOW + 1, x + ix : x + ix + WINDOW + 1]
        down = (1 - fy) * part[:-1] + fy * part[1:]
        moved = (1 - fx) * down[:, :-1] + fx * down[:, 1:]
        assert found.apart[row, column] == pytest.approx(np.mean((a[y : y + WINDOW, x : x + WINDOW] - moved) ** 2), rel=1e-4)


def test_grain_alone_does_not_move_a_flat_picture() -> None:
    rng = np.random.Generator(np.random.Philox(key=4))
    here, there = (np.float32(0.4) + rng.standard_normal((160, 240)).astype(np.float32) * np.float32(0.005) for _ in range(2))
    assert np.mean(np.abs(find_motion(pyramid(here), pyramid(there)).motion)) < 2.5


def slow_fuse(here: np.ndarray, there: list[np.ndarray], motion: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Average as `fuse` does, window by window in double precision."""
    height, width = here.shape[:2]
    total, mass = np.zeros(here.shape), np.zeros((height, width, 1))
    ramp = (np.minimum(np.arange(WINDOW), WINDOW - 1 - np.arange(WINDOW)) + 0.5) / BLOCK
    for row, column in np.ndindex(motion.shape[1:3]):
        ys, xs = (np.arange(WINDOW) + n * BLOCK - BLOCK // 2 for n in (row, column))
        part, sum_of = sample(here, ys, xs, (0.0, 0.0)), 1.0
        for n, picture in enumerate(there):
            part = part + weight[n, row, column] * sample(picture, ys, xs, tuple(motion[n, row, column]))
            sum_of += weight[n, row, column]
        inside = np.ix_((ys >= 0) & (ys < height), (xs >= 0) & (xs < width))
        place = np.ix_(ys[(ys >= 0) & (ys < height)], xs[(xs >= 0) & (xs < width)])
        window = np.outer(ramp, ramp)[inside][:, :, None]
        total[place] += window * (part / sum_of)[inside]
        mass[place] += window
    return total / mass


def sample(picture: np.ndarray, ys: np.ndarray, xs: np.ndarray, move: tuple[float, ...]) -> np.ndarray:
    """Read a picture at moved places by Lanczos' kernel of three lobes, its border repeated."""
    out = np.zeros((len(ys), len(xs), 3))
    parts = [(int(np.floor(m)), float(m - np.floor(m))) for m in move]
    taps = [np.sinc(f - np.arange(-2, 4)) * np.sinc((f - np.arange(-2, 4)) / 3) for _, f in parts]
    taps = [t / t.sum() for t in taps]
    for i, j in np.ndindex(6, 6):
        y = np.clip(ys + parts[0][0] + i - 2, 0, picture.shape[0] - 1)
        x = np.clip(xs + parts[1][0] + j - 2, 0, picture.shape[1] - 1)
        out += taps[0][i] * taps[1][j] * picture[np.ix_(y, x)].astype(np.float64)
    return out


@pytest.mark.parametrize(("height", "width"), [(1, 1), (9, 16), (61, 77)])
def test_fuse_is_its_slow_twin(height: int, width: int) -> None:
    rng = np.random.Generator(np.random.Philox(key=9))
    pictures = [rng.random((height, width, 3), np.float32) for _ in range(3)]
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    motion = (rng.integers(-40, 40, (2, rows, columns, 2)) / 4).astype(np.float32)
    weight = rng.random((2, rows, columns), np.float32)
    weight[1, 0] = 0
    got = fuse(pictures[0], pictures[1:], motion, weight)
    assert np.abs(got - slow_fuse(pictures[0], pictures[1:], motion, weight)).max() < 2e-6


QUARTERS = np.array(
    [
        [0, 0, 1, 0, 0, 0],
        [0.0301122854, -0.133274636, 0.892770774, 0.271010568, -0.067997263, 0.00737827086],
        [0.0244565217, -0.135869565, 0.611413043, 0.611413043, -0.135869565, 0.0244565217],
        [0.00737827086, -0.067997263, 0.271010568, 0.892770774, -0.133274636, 0.0301122854],
    ]
)
"""Taps of Lanczos' kernel of three lobes at 0, 1/4, 1/2 and 3/4 of a sample, made to add up to 1."""


def slow_align(there: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Move a plane's blocks as `align` does, in double precision, its border repeated."""
    side = there.shape[0] // motion.shape[0]
    places = np.floor(4 * motion * side / BLOCK + 0.5).astype(int).repeat(side, 0).repeat(side, 1)
    height, width = there.shape
    down, across = np.mgrid[:height, :width]
    out = np.zeros((height, width))
    for i, j in np.ndindex(6, 6):
        y = np.clip(down + (places[:, :, 0] >> 2) + i - 2, 0, height - 1)
        x = np.clip(across + (places[:, :, 1] >> 2) + j - 2, 0, width - 1)
        out += QUARTERS[places[:, :, 0] & 3, i] * QUARTERS[places[:, :, 1] & 3, j] * there[y, x].astype(np.float64)
    return out


def random_motion(rows: int, columns: int, seed: int = 5) -> np.ndarray:
    """Return motion by block in quarters of a pixel, up to 20 pixels any way."""
    return (np.random.Generator(np.random.Philox(key=seed)).integers(-80, 81, (rows, columns, 2)) / 4).astype(np.float32)


def random_plane(height: int, width: int) -> np.ndarray:
    return np.random.Generator(np.random.Philox(key=6)).random((height, width), np.float32)


def test_the_table_is_lanczos_kernel() -> None:
    for part, taps in enumerate(QUARTERS):
        away = part / 4 - np.arange(-2, 4)
        wanted = np.sinc(away) * np.sinc(away / 3)
        assert np.abs(taps - wanted / wanted.sum()).max() < 1e-6


@pytest.mark.parametrize("side", [BLOCK, BLOCK // 2])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 5), (8, 12), (23, 7)])
def test_align_is_its_slow_twin(rows: int, columns: int, side: int) -> None:
    plane, motion = random_plane(rows * side, columns * side), random_motion(rows, columns)
    found = align(plane, motion)
    assert found.dtype == np.float32 and found.shape == plane.shape
    assert np.abs(found - slow_align(plane, motion)).max() < 2e-6


@pytest.mark.parametrize("side", [BLOCK, BLOCK // 2])
def test_a_part_is_that_part_of_the_whole(side: int) -> None:
    plane, motion = random_plane(8 * side, 12 * side), random_motion(8, 12)
    whole = align(plane, motion)
    for top, bottom, left, right in ((0, 8, 0, 12), (2, 5, 3, 9), (7, 8, 0, 1), (0, 8, 11, 12)):
        part = align(plane, motion, (top, bottom, left, right))
        assert np.array_equal(part, whole[top * side : bottom * side, left * side : right * side])


def test_align_writes_where_it_is_told() -> None:
    """Into one of planes that lie beside each other, and into one of those that lie within each other."""
    plane, motion = random_plane(32, 48), random_motion(8, 12)
    whole = align(plane, motion)
    beside, within = np.full((3, 32, 48), 7, np.float32), np.full((32, 48, 2), 7, np.float32)
    assert np.shares_memory(align(plane, motion, out=beside[1]), beside)
    align(plane, motion, out=within[:, :, 1])
    assert np.array_equal(beside[1], whole) and np.array_equal(within[:, :, 1], whole)
    assert (beside[[0, 2]] == 7).all() and (within[:, :, 0] == 7).all()
    part = np.full((12, 24, 2), 7, np.float32)
    align(plane, motion, (2, 5, 3, 9), part[:, :, 0])
    assert np.array_equal(part[:, :, 0], whole[8:20, 12:36]) and (part[:, :, 1] == 7).all()


def test_without_motion_a_plane_stays() -> None:
    plane = random_plane(40, 56)
    assert np.array_equal(align(plane, np.zeros((5, 7, 2), np.float32)), plane)


def test_threads_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    plane = texture(200, 264)
    results = []
    for threads in ("1", "3"):
        monkeypatch.setenv("GRAINLAYER_THREADS", threads)
        found = find_motion(pyramid(plane), pyramid(shifted(plane, 2.25, -3)))
        picture = np.repeat(plane[:, :, None], 3, axis=2)
        results.append(fuse(picture, [picture[::-1].copy()], found.motion[None], np.ones_like(found.apart)[None]))
        results.append(align(plane, found.motion))
    for one, other in zip(results[:2], results[2:], strict=True):
        assert np.array_equal(one, other)
