"""The quick search for motion on 8 bits, against a slow twin."""

from __future__ import annotations

import numpy as np
import pytest

from grainlayer.inference.blocksearch import Codes, Quarters, code_pyramid, find_motion, find_motions
from grainlayer.inference.motion import BLOCK, MARGIN, RANGE, REFINE, align
from tests.unit.inference.test_motion import shifted, texture

PRICE, SCALE, ENOUGH = 13, 8, 16
"""Of a quarter of a pixel from the guess, beside differences times SCALE; and the difference from which on a window is found."""


def between(one: np.ndarray, after: np.ndarray, part: int) -> np.ndarray:
    """Return what lies `part` quarters of the way, by rounded means of two."""
    half = (one + after + 1) >> 1
    return (one, (one + half + 1) >> 1, half, (half + after + 1) >> 1)[part]


class SlowSearch:
    """Search a block as the kernel does, place by place."""

    def __init__(self, here: Codes, there: Codes, row: int, column: int) -> None:
        self.here, self.there = here.astype(int), there.astype(int)
        self.y, self.x = (BLOCK * place - BLOCK // 2 + MARGIN for place in (row, column))
        self.guess: tuple[int, int] = (0, 0)
        self.best: tuple[int, int] = (0, 0)
        self.least = self.apart = 1 << 40

    def inside(self, move: tuple[int, int]) -> bool:
        places = [start + (by >> 2) for start, by in zip((self.y, self.x), move, strict=True)]
        return all(place >= 2 and place + 2 * BLOCK <= size - 2 for place, size in zip(places, self.here.shape, strict=True))

    def difference(self, move: tuple[int, int]) -> int:
        rows, columns = (slice(start, start + 2 * BLOCK) for start in (self.y, self.x))
        top, left = self.y + (move[0] >> 2), self.x + (move[1] >> 2)
        part = self.there[top : top + 2 * BLOCK + 1, left : left + 2 * BLOCK + 1]
        lines = between(part[:-1], part[1:], move[0] & 3)
        other = between(lines[:, :-1], lines[:, 1:], move[1] & 3)
        return int(np.abs(self.here[rows, columns] - other)[::2].sum())

    def weigh(self, move: tuple[int, int]) -> int:
        apart = self.difference(move)
        cost = SCALE * apart + PRICE * (abs(move[0] - self.guess[0]) + abs(move[1] - self.guess[1]))
        if cost < self.least:
            self.least, self.apart, self.best = cost, apart, move
        return apart

    def around(self, step: int) -> list[int]:
        y, x = self.best
        return [self.weigh(move) if self.inside(move) else 0 for move in ((y - step, x), (y, x - step), (y + step, x), (y, x + step))]

    def descend(self) -> None:
        for _ in range(REFINE):
            before = self.best
            if self.apart <= ENOUGH or not self.around(4) or self.best == before:
                return

    def refine(self) -> None:
        if self.apart <= ENOUGH:
            return
        (y, x), here = self.best, self.apart
        above, left, below, right = self.around(2)
        part = quarters(above, here, below), quarters(left, here, right)
        if part[0] & 1 or part[1] & 1 or (part[0] and part[1]):
            self.weigh((y + part[0], x + part[1]))


def quarters(before: int, here: int, after: int) -> int:
    """Return the quarters to where the difference is least."""
    rise = max(before, after) - here
    if rise <= 0:
        return -2 if before < after else 2
    return int(np.clip(np.floor(np.float32(before - after) / np.float32(rise) + np.float32(0.5)), -2, 2))


def doubled(motion: np.int16) -> int:
    """Return quarters at half the size as whole pixels, in quarters."""
    return (2 * int(motion) + 2) & ~3


def slow_level(here: Codes, there: Codes, guess: Quarters | None, *, fine: bool) -> Quarters:
    """Return the motion of a level's blocks."""
    rows, columns = (-(-(size - 2 * MARGIN) // BLOCK) for size in here.shape)
    found = np.zeros((rows, columns, 2), np.int16)
    for row, column in np.ndindex(rows, columns):
        search = SlowSearch(here, there, row, column)
        if guess is None:
            span = range(-RANGE, RANGE + 1)
            places = [(0, 0), *((4 * y, 4 * x) for y in span for x in span)]
        else:
            beside = [(row // 2, row // 2 + (1 if row & 1 else -1)), (column // 2, column // 2 + (1 if column & 1 else -1))]
            at = [np.clip(np.array((r, c)), 0, np.array(guess.shape[:2]) - 1) for c in beside[1] for r in beside[0]]
            places = [*((doubled(guess[r, c, 0]), doubled(guess[r, c, 1])) for r, c in at), (0, 0)]
            search.guess = search.best = places[0]
        for place in places:
            if search.inside(place):
                search.weigh(place)
        if guess is not None:
            search.descend()
        if fine:
            search.refine()
        found[row, column] = search.best
    return found


def slow_motion(here: list[Codes], there: list[Codes]) -> Quarters:
    """Return the motion from one pyramid to another."""
    found = None
    for level in reversed(range(len(here))):
        found = slow_level(here[level], there[level], found, fine=level == 0)
    assert found is not None
    return found


@pytest.mark.parametrize("size", [(1, 9), (8, 8), (7, 200), (40, 56), (61, 77), (192, 200)])
@pytest.mark.parametrize("noise", [0, 0.02])
def test_the_search_is_its_slow_twin(size: tuple[int, int], noise: float) -> None:
    plane = texture(*size)
    rough = np.random.Generator(np.random.Philox(key=8)).standard_normal(size).astype(np.float32)
    one, other = code_pyramid(plane), code_pyramid(shifted(plane, 3.25, -1.5) + np.float32(noise) * rough)
    assert len(one) == (2 if size[0] >= 192 else 1)
    assert np.array_equal(find_motion(one, other), slow_motion(one, other))


def test_the_pyramid_holds_rounded_codes_and_their_means() -> None:
    plane = texture(192, 203)
    levels = code_pyramid(plane)
    codes = np.clip(np.floor(plane * np.float32(219) + np.float32(16.5)), 0, 255).astype(np.uint8)
    assert len(levels) == 2 and np.array_equal(levels[0], np.pad(codes, MARGIN, mode="edge"))
    wide = codes[:, :202].astype(int)
    half = (wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2] + 2) >> 2
    assert np.array_equal(levels[1], np.pad(half.astype(np.uint8), MARGIN, mode="edge"))


def test_values_beyond_8_bits_stay_within_them() -> None:
    plane = np.array([[-9.0, -0.08, 1.1, 9.0] * 8] * 32, np.float32)
    assert code_pyramid(plane)[0][MARGIN, MARGIN : MARGIN + 4].tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize("move", [(0, 0), (3, -5), (-7, 10), (1.5, 0.25), (-0.75, 6.5)])
def test_a_quick_search_brings_a_moved_plane_back(move: tuple[float, float]) -> None:
    plane = texture(192, 192)
    moved = shifted(plane, *move)
    found = np.multiply(find_motion(code_pyramid(plane), code_pyramid(moved)), 0.25, dtype=np.float32)
    inner = found[4:-4, 4:-4]
    assert np.mean(np.abs(inner - np.array(move)).max(axis=2) <= 0.5) > 0.95
    gap = (align(moved, found) - plane)[32:-32, 32:-32]
    assert np.sqrt(np.mean(gap**2)) < 0.01


def test_motion_through_a_window_is_found() -> None:
    """The camera moves evenly; on one side the last picture stands in for the one beyond."""
    plane = texture(192, 192)
    moves = [(2.5 * far, -3.0 * far) for far in (-3, -2, -1, 0, 1, 2, 2)]
    window = [plane if move == (0, 0) else shifted(plane, *move) for move in moves]
    found = find_motions([code_pyramid(one) for one in window])
    assert found.shape == (7, 24, 24, 2) and found.dtype == np.float32 and not found[3].any()
    assert np.array_equal(found[5], found[6])
    for place, move in enumerate(moves):
        assert np.mean(np.abs(found[place, 4:-4, 4:-4] - np.array(move)).max(axis=2) <= 0.5) > 0.95
        gap = (align(window[place], found[place]) - plane)[32:-32, 32:-32]
        assert np.sqrt(np.mean(gap**2)) < 0.01


def test_a_window_of_one_picture_does_not_move() -> None:
    one = code_pyramid(texture(64, 80))
    assert not find_motions([one] * 7).any() and find_motions([one]).shape == (1, 8, 10, 2)
    again = [level.copy() for level in one]
    assert not find_motions([again, one, again]).any()


def test_threads_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    plane = texture(200, 264)
    results = []
    for threads in ("1", "3"):
        monkeypatch.setenv("GRAINLAYER_THREADS", threads)
        results.append(find_motions([code_pyramid(shifted(plane, *move)) for move in ((-1, 2), (0, 0), (2.25, -3))]))
    assert np.array_equal(*results)
