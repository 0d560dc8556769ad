"""Debanding: stairs become slopes, grain, texture and edges stay, and the kernels do what their slow twins say."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from grainlayer.errors import ParamError
from grainlayer.inference.deband import COARSEST, LUMA_STEP, RESTORED, Limits, chroma_quantiser, deband, deband_plane

Floats = NDArray[np.floating]
HALF = LUMA_STEP / 2
NEAREST = ((0, 0, 0.5625), (0, 1, 0.1875), (1, 0, 0.1875), (1, 1, 0.0625))


def sky(height: int, width: int, rise: float = 0.03) -> Floats:
    """Return luma that rises by `rise` codes of 8 bits a row, and half as much across."""
    down, across = np.mgrid[0:height, 0:width]
    return (100 + rise * down + 0.5 * rise * across) * LUMA_STEP


def rounded(luma: Floats) -> NDArray[np.float32]:
    return (np.round(luma / LUMA_STEP) * LUMA_STEP).astype(np.float32)


def even(luma: Floats, quantiser: float = 0.0, strength: float = 0.5) -> NDArray[np.float32]:
    """Return luma without bands, with grey chroma beside it."""
    given = luma.astype(np.float32)
    cells = np.full((-(-luma.shape[0] // 8), -(-luma.shape[1] // 8)), quantiser / 64, np.float32)
    return deband(given, np.zeros((*luma.shape, 2), np.float32), cells, strength)[0]


def noise(height: int, width: int, deviation: float, seed: int = 3) -> Floats:
    """Return white noise of a deviation in codes of 8 bits."""
    return deviation * LUMA_STEP * np.random.Generator(np.random.Philox(key=seed)).standard_normal((height, width))


def rms(difference: Floats) -> float:
    """Return the root of the mean square in codes of 8 bits."""
    return float(np.sqrt(np.mean((difference / LUMA_STEP) ** 2)))


@pytest.mark.parametrize("rise", [0.02, 0.06, 0.15])
def test_stairs_become_a_slope(rise: float) -> None:
    truth = sky(250, 330, rise)
    given = rounded(truth)
    assert rms(even(given) - truth) < 0.5 * rms(given - truth)


@pytest.mark.parametrize(("quantiser", "height"), [(32, 2), (38, 3)])
def test_higher_stairs_of_coarse_quantisers_become_a_slope(quantiser: float, height: int) -> None:
    truth = sky(250, 330, 0.1)
    given = (np.round(truth / (height * LUMA_STEP)) * height * LUMA_STEP).astype(np.float32)
    assert rms(even(given, quantiser) - truth) < 0.5 * rms(given - truth)


def test_a_slope_without_stairs_stays() -> None:
    truth = sky(250, 330, 0.08)
    assert rms(even(truth) - truth) < 0.05


@pytest.mark.parametrize("deviation", [1.5, 4.0])
@pytest.mark.parametrize("quantiser", [0.0, 30.0])
def test_grain_keeps_its_strength(deviation: float, quantiser: float) -> None:
    slope = sky(250, 330)
    given = rounded(slope + noise(250, 330, deviation))
    assert rms(even(given, quantiser) - slope) == pytest.approx(rms(given - slope), rel=0.01)


@pytest.mark.parametrize("deviation", [0.3, 0.5, 0.7])
def test_of_grain_finer_than_codes_only_what_rounding_added_goes(deviation: float) -> None:
    slope = sky(250, 330)
    given = rounded(slope + noise(250, 330, deviation))
    assert deviation <= rms(even(given) - slope) < rms(given - slope)


@pytest.mark.parametrize("height", [3.0, 10.0, 60.0])
def test_edges_stay(height: float) -> None:
    truth = np.full((120, 160), 0.4)
    truth[:, 80:] += height * LUMA_STEP
    truth[60:] += 2 * height * LUMA_STEP
    found = even(rounded(truth))
    assert np.abs(found - rounded(truth)).max() < 0.1 * LUMA_STEP


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_what_was_only_rounded_keeps_its_codes(strength: float) -> None:
    source = rounded(sky(130, 170, 0.07) + noise(130, 170, 0.2))
    restored = source + np.float32(0.4) * noise(130, 170, 0.3).astype(np.float32)
    found = deband(restored, np.zeros((130, 170, 2), np.float32), np.zeros((17, 22), np.float32), strength, source)[0]
    assert np.abs(found - source).max() <= HALF * 1.0001


def test_no_strength_changes_no_bit() -> None:
    luma, chroma = rounded(sky(40, 40)), np.full((40, 40, 2), 0.1, np.float32)
    found = deband(luma, chroma, np.zeros((5, 5), np.float32), 0.0)
    assert np.array_equal(found[0], luma)
    assert np.array_equal(found[1], chroma)


@pytest.mark.parametrize("strength", [1e-12, 0.1, 0.3])
def test_strength_scales_the_largest_change(strength: float) -> None:
    given = rounded(sky(120, 150, 0.05))
    assert np.abs(even(given, strength=strength) - given).max() <= 2 * strength * HALF + 1e-7


def test_small_pictures_are_left_alone() -> None:
    given = rounded(sky(15, 90))
    assert np.array_equal(even(given), given)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_does_not_spread(value: float) -> None:
    given = rounded(sky(250, 330, 0.06))
    given[120, 200] = given[0, 329] = value
    found = even(given, 30)
    sound = np.isfinite(given)
    assert np.array_equal(np.isfinite(found), sound)
    assert np.abs(found[sound] - given[sound]).max() <= 4 * HALF
    assert rms((found - sky(250, 330, 0.06))[:, :60]) < 0.25


def test_chroma_loses_its_bands_too() -> None:
    step = 1 / 224
    slope = np.stack([0.04 * np.mgrid[0:250, 0:330][0] * step, 0.1 - 0.03 * np.mgrid[0:250, 0:330][1] * step], axis=2)
    given = (np.round(slope / step) * step).astype(np.float32)
    found = deband(np.full((250, 330), 0.5, np.float32), given, np.zeros((32, 42), np.float32), 0.5)[1]
    assert np.std(found - slope) < 0.5 * np.std(given - slope)
    assert np.abs(found - given).max() <= step / 2 * 1.001


def test_grain_does_not_switch_decisions_from_picture_to_picture() -> None:
    slope = sky(130, 170, 0.05)
    pictures = [rounded(slope + noise(130, 170, 0.5, seed)) for seed in range(4)]
    changes = np.diff([even(picture) for picture in pictures], axis=0)
    assert rms(changes) < 1.01 * rms(np.diff(pictures, axis=0))


def test_wrong_shapes_are_refused() -> None:
    luma, chroma, cells = np.zeros((40, 40), np.float32), np.zeros((40, 40, 2), np.float32), np.zeros((5, 5), np.float32)
    for given in ((luma, chroma[:20], cells), (luma, chroma, cells[:4])):
        with pytest.raises(ParamError, match="do not belong"):
            deband(*given, 0.5)
    with pytest.raises(ParamError, match="not of the size"):
        deband(luma, chroma, cells, 0.5, luma[:30])


def test_chroma_is_quantised_less_than_luma() -> None:
    given = np.array([[0, 24, 30, 40]], np.float32) / 64
    assert 64 * chroma_quantiser(given) == pytest.approx(np.array([[0, 24, 30, 34.5]]))


@pytest.mark.parametrize("size", [(16, 16), (37, 53), (90, 121), (176, 240)])
@pytest.mark.parametrize("lossy", [False, True])
@pytest.mark.parametrize("restored", [False, True])
def test_kernels_do_what_their_slow_twins_say(size: tuple[int, int], lossy: bool, restored: bool) -> None:
    height, width = size
    given = sky(height, width, 0.3) + noise(height, width, 1.0) * (np.mgrid[0:height, 0:width][1] > width // 2)
    given[height // 2 :, : width // 3] += 8 * LUMA_STEP
    plane = rounded(given)
    cells = HALF * (1 + np.arange((-(-height // 8)) * (-(-width // 8))) % 5).reshape(-(-height // 8), -1) if lossy else None
    limits = Limits(HALF, None if cells is None else cells.astype(np.float32), 3, HALF, 0.7)
    source = rounded(plane + noise(height, width, 0.5, seed=8)) if restored else None
    assert np.abs(deband_plane(plane, limits, source) - slow(plane, limits, source)).max() < 2e-6


# The slow twins, in double precision and without a thought for speed.


def slow(plane: Floats, limits: Limits, source: Floats | None) -> Floats:
    """Return a plane without bands."""
    owns, trusts = slow_pyramid(plane.astype(np.float64), source, limits.quiet)
    allowed = slow_limits(limits, [own.shape for own in owns])
    filled = owns[-1]
    for number in reversed(range(1, len(owns))):
        own, trust, limit = owns[number], trusts[number], allowed[number]
        limit = np.minimum(limit, limits.half) + 0.5 ** max(number - 2, 0) * np.maximum(limit - limits.half, 0)
        if number + 1 < len(owns):
            filled = own + slow_raise(own, filled, trusts[number + 1], limit)
        once = filled + slow_change(filled, trust, limit)
        once = own + slow_held(once - own, own, limit)
        twice = once - 1.5 * slow_change(once, trust, limit)
        filled = own + slow_held(twice - own, own, limit)
    most = np.minimum(allowed[0], limits.half) + trusts[0] * np.maximum(allowed[0] - limits.half, 0)
    change = limits.amount * trusts[0] * slow_raise(owns[0], filled, np.ones_like(filled), allowed[0], most)
    return (
        owns[0] + change
        if limits.cells is not None or source is None
        else np.clip(owns[0] + change, source - limits.half, source + limits.half)
    )


def slow_pyramid(plane: Floats, source: Floats | None, quiet: float) -> tuple[list[Floats], list[Floats]]:
    """Return all levels, the picture first, and how smooth they are."""
    trust = slow_trust(plane, quiet) if source is None else np.minimum(slow_trust(plane, quiet * RESTORED), slow_trust(source, quiet))
    owns = [plane, slow_mean(plane, "edge")]
    owns.append(slow_mean(owns[1], "straight"))
    half = slow_double(trust, owns[1].shape)
    trusts = [slow_double(half, plane.shape), half, trust]
    while min(owns[-1].shape) >= 2 * COARSEST:
        weight = slow_grow(trusts[-1], "edge") + 1e-3
        total = slow_grow(owns[-1], "straight") * weight
        rows, columns = ((size + 1) // 2 for size in owns[-1].shape)
        sums = [part[1 : 1 + 2 * rows, 1 : 1 + 2 * columns].reshape(rows, 2, columns, 2).mean((1, 3)) for part in (total, weight)]
        owns.append(sums[0] / sums[1])
        trusts.append(sums[1] - 1e-3)
    return owns, trusts


def slow_trust(plane: Floats, quiet: float) -> Floats:
    """Return by cell of 4x4 how far the absolute differences of neighbours do not exceed the differences."""
    rows, columns = (-(-size // 4) for size in plane.shape)
    wide = np.pad(plane, ((0, 4 * rows - plane.shape[0] + 1), (0, 4 * columns - plane.shape[1] + 1)), mode="edge")
    across, down = np.diff(wide, axis=1)[:-1], np.diff(wide, axis=0)[:, :-1]
    down[:, plane.shape[1] :], across[plane.shape[0] :] = 0, 0
    excess = np.zeros((rows, columns))
    for part in (across, down):
        for sign, values in ((1, np.abs(part)), (-1, part)):
            cells = np.pad(values.reshape(rows, 4, columns, 4).mean((1, 3)), 2, mode="edge")
            taps = np.array([1, 4, 6, 4, 1]) / 16
            mean = sum(taps[y] * taps[x] * cells[y : y + rows, x : x + columns] for y in range(5) for x in range(5))
            excess += np.abs(mean) * sign
    return 1 / (1 + (excess / quiet) ** 2)


def slow_limits(limits: Limits, sizes: list[tuple[int, ...]]) -> list[Floats]:
    """Return the limit by sample of all levels."""
    if limits.cells is None:
        return [np.full(size, limits.half) for size in sizes]
    planes = [limits.cells.astype(np.float64)]
    for level in reversed(range(limits.across)):
        planes.insert(0, slow_double(planes[0], tuple(-(-size // 2**level) for size in sizes[0])))
    while len(planes) < len(sizes):
        planes.append(slow_mean(planes[-1], "edge"))
    return planes


def slow_grow(plane: Floats, how: str) -> Floats:
    return np.pad(plane, 1, mode="edge") if how == "edge" else np.pad(plane, 1, mode="reflect", reflect_type="odd")


def slow_mean(plane: Floats, how: str) -> Floats:
    """Return means of 2x2 samples."""
    rows, columns = ((size + 1) // 2 for size in plane.shape)
    return slow_grow(plane, how)[1 : 1 + 2 * rows, 1 : 1 + 2 * columns].reshape(rows, 2, columns, 2).mean((1, 3))


def slow_near(plane: Floats, size: tuple[int, ...], down: int, across: int, how: str) -> Floats:
    """Return by sample of a plane twice as large the one at (0) or beside (1) it."""
    places = [
        np.arange(count) // 2 + 1 + other * np.where(np.arange(count) % 2, 1, -1) for count, other in zip(size, (down, across), strict=True)
    ]
    return slow_grow(plane, how)[places[0]][:, places[1]]


def slow_double(plane: Floats, size: tuple[int, ...]) -> Floats:
    return np.add.reduce([part * slow_near(plane, size, y, x, "edge") for y, x, part in NEAREST])


def slow_close(difference: Floats, limit: Floats) -> Floats:
    return 1 / (1 + (difference / limit) ** 4)


def slow_held(change: Floats, own: Floats, limit: Floats, most: Floats | None = None) -> Floats:
    """Return a change held to the limit, or to what is given as the most, less where the level is steep."""
    wide = slow_grow(own, "straight")
    slope = np.hypot(wide[1:-1, 2:] - wide[1:-1, :-2], wide[2:, 1:-1] - wide[:-2, 1:-1]) / 2
    room = (limit if most is None else most) * slow_close(slope, 1.5 * limit)
    return np.clip(change, -room, room)


def slow_raise(own: Floats, coarse: Floats, trust: Floats, limit: Floats, most: Floats | None = None) -> Floats:
    """Return the change that the coarser level asks for, held."""
    total, mass = np.zeros(own.shape), np.full(own.shape, 0.05)
    for down, across, part in NEAREST:
        gap = slow_near(coarse, own.shape, down, across, "straight") - own
        weight = part * slow_near(trust, own.shape, down, across, "edge") * slow_close(gap, 2 * limit)
        total, mass = total + weight * gap, mass + weight
    return slow_held(total / mass, own, limit, most)


def slow_change(plane: Floats, trust: Floats, limit: Floats) -> Floats:
    """Return what a mean of 3x3 similar samples would change."""
    rows, columns = plane.shape
    values, weights = slow_grow(plane, "straight"), slow_grow(trust, "edge")
    total, mass = np.zeros(plane.shape), 4 * trust + 1e-3
    for down, across in np.ndindex(3, 3):
        if (down, across) != (1, 1):
            there = np.s_[down : down + rows, across : across + columns]
            gap = values[there] - plane
            weight = (2 if 1 in (down, across) else 1) * weights[there] * slow_close(gap, 2 * limit)
            total, mass = total + weight * gap, mass + weight
    return total / mass
