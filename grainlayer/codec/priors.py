"""What a shot's numbers are like before any is read: probabilities in 65536ths, learned from measured and made shots.

They are part of version 1 of the grain stream and never change. A row of a number's model says how probable 0 is, then how
probable it is that the magnitude goes on after 1, 2 ...; a sign's prior says how probable the side is that neighbours do not point to.
"""

from __future__ import annotations

Rows = tuple[tuple[int, ...], ...]

GAINS_GIVEN = 4000
GAINS: Rows = ((40000, 30000, 25000, 20000, 20000, 20000, 20000), (30000, 30000, 25000, 20000, 20000, 20000, 20000))
"""By whether the frame before changed its gain."""
USUAL_HEIGHT = 60000
PLAIN_MAP = 40000
STRENGTH: Rows = (
    (11000, 40500, 31500, 36000, 41000, 31500, 39000),
    (8500, 52500, 45500, 39500, 46500, 42500, 40500),
    (2500, 62000, 60000, 56000, 56000, 52000, 55000),
    (3000, 62000, 62000, 62000, 62000, 61000, 62000),
    (3500, 52000, 57500, 55000, 51500, 52000, 53000),
)
"""Green from knot to knot: by the size of the last difference (0..1, ..4, ..9, more), and at the second knot."""
STRENGTH_SIGN = 6000
STRENGTH_OUTER: Rows = (
    (15000, 34000, 33000, 32500, 32000, 35000, 50500),
    (8500, 44000, 45000, 43500, 43500, 52500, 49500),
    (5000, 57000, 58000, 55000, 49000, 54500, 55500),
    (2500, 59500, 56500, 60000, 53500, 58000, 56000),
)
"""Red and blue against green's step: by the size of the last difference (0..1, ..4, more), and at the first knot."""
STRENGTH_OUTER_SIGN = 33500
SPECTRUM: Rows = (
    (24000, 55000, 54500, 56000, 56000, 58500, 49500),
    (52500, 17500, 24000, 21000, 26000, 26000, 26000),
    (20500, 34000, 38500, 38000, 23500, 28500, 34000),
    (6500, 42500, 40000, 43500, 36500, 26000, 36000),
    (3000, 60000, 59000, 51000, 52000, 44000, 40000),
    (2500, 62000, 62000, 62000, 62000, 62000, 62000),
    (6500, 55000, 50000, 51000, 54000, 50000, 54500),
)
"""The middle node from radius to radius: first radius, second and third, fourth, then by the last difference (0..2, ..6, more), last."""
SPECTRUM_SIGN = 9000
SPECTRUM_OUTER: Rows = (
    (36000, 26000, 33000, 45000, 49500, 30000, 43000),
    (50500, 24000, 27000, 11500, 26000, 26000, 26000),
    (24000, 23500, 27000, 33500, 21000, 21000, 26000),
    (22500, 24500, 24000, 30500, 27000, 19000, 43000),
    (14500, 46500, 38500, 35500, 41000, 43500, 45000),
    (10000, 46000, 46000, 21000, 34000, 21000, 26000),
    (9000, 43500, 39500, 36000, 44500, 35000, 39000),
)
"""The outer nodes against the middle one's step, by the same."""
SPECTRUM_OUTER_SIGN = 39500
DIRECTION: Rows = (
    (6500, 55000, 42500, 41000, 38500, 43500, 33500),
    (44500, 47500, 34500, 21500, 24000, 34000, 21000),
    (6000, 47500, 46000, 39500, 53000, 45000, 33000),
    (22500, 30000, 40000, 37000, 34500, 24500, 29500),
    (10000, 47000, 44500, 43000, 40500, 45500, 39500),
)
"""First radius, second and third, fourth to sixth, then by whether the last difference was more than 1."""
CORRELATION: Rows = ((6500, 49000, 40000, 34500, 37500, 37500, 39000),)
"""Differences from the first pair."""
FEATURE: Rows = (
    (59000, 26000, 22500, 21500, 14500, 35500, 33500),
    (22500, 23500, 26500, 14500, 17500, 26000, 26000),
    (10500, 35000, 17000, 20000, 7500, 26000, 26000),
    (33500, 35000, 24500, 25000, 15000, 14000, 19000),
    (15000, 29000, 35000, 15000, 20500, 24000, 21000),
    (10500, 38000, 27000, 24500, 17000, 25000, 24000),
    (29500, 30500, 23000, 26000, 26000, 26000, 26000),
    (18500, 17500, 32000, 20000, 24000, 16500, 15000),
    (16000, 31000, 23000, 26000, 23000, 28000, 27000),
)
"""A texture code against the mean of two neighbours: by how much they differ (0, 1, more) and the mean's size (0, 1, more)."""
FEATURE_SIGN = 29000
SPLIT = (16500, 16000, 32000, 44000, 39500, 55000, 10000, 8500, 14500, 27000, 23500, 51000, 2500, 2500, 3500, 2500, 16000, 16000)
"""A block is split: by its size (128, 64, 32), how many of two neighbours are smaller, and whether one is not plain."""
PLAIN = (58000, 54500, 46000, 27000, 47000, 39500, 23500, 10500, 33500, 24500, 16500, 5000, 33000, 19500, 20500, 4500)
"""A block is plain: by its size (128, 64, 32, 16) and how many of three neighbours are not."""
