"""Removal of noise and grain from stills, ours and the peers': PSNR over RGB and the grain left in the base."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.bench.cache import digest_array, recall
from tests.bench.material import CASES, CROP, FILM, SHARED, Case, Still, make_still, still_paths
from tests.bench.metrics import grain_left, psnr
from tests.bench.peers import STILL_PEERS, Floats, Picture, Setting, StillPeer, Told

TUNING = 4
"""Settings are chosen in hindsight on every fourth picture; the best then runs on all."""
SPECTRUM_SEED = 700_000
SPECTRUM_RENDERS = 8


@dataclass(frozen=True)
class Figures:
    """Hold the means of one method over pictures: PSNR in dB, share of grain left, and the setting chosen."""

    psnr: float
    left: float
    setting: str = ""


def score(still: Still, base: Picture) -> dict[str, float]:
    """Return the figures of one base."""
    return {"psnr": psnr(base, still.clean), "left": grain_left(base, still.clean, still.grain)}


def mean(rows: list[dict[str, float]], setting: str = "") -> Figures:
    """Average the figures of several pictures."""
    return Figures(float(np.mean([r["psnr"] for r in rows])), float(np.mean([r["left"] for r in rows])), setting)


def power_spectrum(case: Case, still: Still) -> Floats:
    """Return the expected power spectrum (H, W) of a channel's grain on a picture, from grain of other seeds."""
    size = still.clean.shape[:2]
    if case.kind == "white":
        return np.full(size, case.level**2 * size[0] * size[1])
    total = np.zeros(size)
    for turn in range(SPECTRUM_RENDERS):
        grain = FILM.render(still.clean.astype(np.float64), case.level, SPECTRUM_SEED + turn, SHARED)
        total += np.mean(np.abs(np.fft.fft2(grain, axes=(0, 1))) ** 2, axis=2)
    return total / SPECTRUM_RENDERS


def peer_score(peer: StillPeer, setting: Setting, case: Case, still: Still) -> dict[str, float]:
    """Return a peer's figures on one picture, from the cache where it has them."""
    key = [peer.name, peer.version, setting.name, digest_array(still.clean), digest_array(still.grainy)]

    def compute() -> dict[str, float]:
        told: Told = power_spectrum(case, still) if setting.space == "coloured" else still.strength
        return score(still, peer.run(still.grainy, told, setting))

    return recall("removal", key, compute)


def run_peer(peer: StillPeer, case: Case, crop: int | None, every: int) -> Figures:
    """Return a peer's best in hindsight on a case."""
    indices = range(0, len(still_paths()), every)
    stills = {index: make_still(case, index, crop) for index in indices}
    best = peer.grid[0]
    if len(peer.grid) > 1:
        few = [stills[index] for index in indices if index % max(TUNING, every) == 0]
        best = max(peer.grid, key=lambda s: mean([peer_score(peer, s, case, still) for still in few]).psnr)
    return mean([peer_score(peer, best, case, still) for still in stills.values()], best.name)


def run_input(case: Case, crop: int | None, every: int) -> Figures:
    """Return the figures of doing nothing."""
    return mean([score(still, still.grainy) for still in (make_still(case, i, crop) for i in range(0, len(still_paths()), every))])


def warm(say: Callable[[str], None] = print) -> None:
    """Fill the cache with the peers' figures on crops, the slow ones last."""
    for peer in STILL_PEERS:
        for case in CASES:
            figures = run_peer(peer, case, CROP, 1)
            say(f"{peer.name:26} {case.name:10} {figures.psnr:6.2f} dB {100 * figures.left:5.1f} % left  {figures.setting}")


if __name__ == "__main__":
    warm(lambda line: print(line, file=sys.stdout, flush=True))
