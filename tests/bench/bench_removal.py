"""Removal of noise and grain from stills, ours and the peers': PSNR over RGB and the grain left in the base."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from tests.bench.cache import digest_array, recall
from tests.bench.material import CASES, CROP, FILM, SHARED, Case, Still, make_still, make_stills, still_paths
from tests.bench.metrics import grain_left, psnr
from tests.bench.peers import STILL_PEERS, Floats, Picture, Setting, StillPeer, Told
from tests.bench.report import Report, Table

TUNING = 4
"""Settings are chosen in hindsight on every fourth picture; the best then runs on all."""
INPUT, TOLD, BLIND = "input", "ours, told", "ours, blind"
RIVALS = ("fftdnoiz", "nlmeans", "CBM3D")
SPECTRUM_SEED = 700_000
SPECTRUM_RENDERS = 8
NOTES = (
    "Grainy pictures are floats, neither clipped nor rounded; means of the pictures' PSNR.",
    "Peers are told the true RMS of the grain on each picture; scale and options are chosen in hindsight per kind and level.",
    "Ours is told the peak standard deviation of the kind, one number, or nothing (blind).",
    "fftdnoiz and nlmeans run on single planes, in RGB or an orthonormal opponent space, whichever is better; nlmeans reads 8 bit only.",
    "CBM3D told the spectrum knows the expected power spectrum of the grain on that very picture: more than any user has; no rival here.",
)


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
    return mean([score(still, still.grainy) for still in make_stills(case, crop, every)])


def run_ours(case: Case, crop: int | None, every: int, *, blind: bool) -> Figures:
    """Return the default model's figures: told the level as a user would set it, the peak one, or estimating it."""
    from grainlayer.inference.remove import Remover, estimate_level

    remover = Remover(device="cpu")
    rows: list[dict[str, float]] = []
    for still in make_stills(case, crop, every):
        strength = estimate_level(still.grainy, "cpu") if blind else case.level
        rows.append(score(still, still.grainy - remover.grain(still.grainy, strength)))
    return mean(rows)


def measure(case: Case, crop: int | None, every: int, peers: Sequence[StillPeer]) -> dict[str, Figures]:
    """Return every method's figures on a case, by name."""
    found = {INPUT: run_input(case, crop, every)} | {peer.name: run_peer(peer, case, crop, every) for peer in peers}
    return found | {TOLD: run_ours(case, crop, every, blind=False), BLIND: run_ours(case, crop, every, blind=True)}


def judge(report: Report, case: Case, found: dict[str, Figures]) -> None:
    """Hold one case against the targets."""
    told, blind = found[TOLD].psnr, found[BLIND].psnr
    peers = {name: figures.psnr for name, figures in found.items() if name in RIVALS}
    name, best = max(peers.items(), key=lambda item: item[1])
    margin = {"film": 1.0, "white": -0.2}[case.kind]
    light = case.kind == "white" and case.level < 10 / 255
    target = "no target" if light else f"target {margin:+.1f}"
    report.check(
        light or told >= best + margin, f"{case.name}: told {told:.2f} dB, best peer ({name}) {best:.2f} dB, {told - best:+.2f} ({target})"
    )
    report.check(blind >= told - 0.3, f"{case.name}: blind {blind - told:+.2f} dB against told (target -0.3)")
    report.check(min(told, blind) > found[INPUT].psnr, f"{case.name}: input {found[INPUT].psnr:.2f} dB, ours never below it")
    left = max(found[TOLD].left, found[BLIND].left)
    report.check(left < 0.3, f"{case.name}: {100 * left:.0f} % of the grain left (target less than 30 %)")


def tables(title: str, results: dict[Case, dict[str, Figures]]) -> list[Table]:
    """Return the PSNR and the grain left of every method and case."""
    names = list(next(iter(results.values())))
    psnrs = [[case.name, *(f"{found[name].psnr:.2f}" for name in names)] for case, found in results.items()]
    lefts = [[case.name, *(f"{100 * found[name].left:.0f}" for name in names)] for case, found in results.items()]
    return [Table(f"{title}: PSNR, dB", ["grain", *names], psnrs), Table(f"{title}: grain left in the base, %", ["grain", *names], lefts)]


def settings_table(results: dict[Case, dict[str, Figures]]) -> Table:
    """Return the settings chosen in hindsight."""
    names = [name for name, figures in next(iter(results.values())).items() if figures.setting]
    rows = [[case.name, *(found[name].setting for name in names)] for case, found in results.items()]
    return Table("Settings chosen in hindsight; x scales the strength told", ["grain", *names], rows)


def run(quick: bool = False) -> Report:
    """Compare removal on the pictures of data/val; quick: every fourth picture, the peers without CBM3D."""
    every = TUNING if quick else 1
    report = Report("removal", "Removal from stills: PSNR over RGB and grain left")
    fast = STILL_PEERS[:2]
    crops = {case: measure(case, CROP, every, fast if quick else STILL_PEERS) for case in CASES}
    for case, found in crops.items():
        judge(report, case, found)
    report.tables = [*tables(f"{CROP}x{CROP} middles", crops), settings_table(crops)]
    whole: dict[Case, dict[str, Figures]] = {}
    if not quick:
        whole = {case: measure(case, None, every, fast) for case in CASES}
        report.tables += tables("Whole pictures", whole)
    report.notes = list(NOTES)
    parts = (("crops", crops), ("whole", whole))
    report.figures = {part: {c.name: {n: asdict(f) for n, f in row.items()} for c, row in cases.items()} for part, cases in parts}
    return report


def warm(say: Callable[[str], None]) -> None:
    """Fill the cache with the peers' figures on crops: the strength told first, on few pictures, on all, then the whole grid."""
    plain = Setting(1.0, "white")
    for every in (TUNING, 1):
        for case in CASES:
            figures = mean([peer_score(STILL_PEERS[2], plain, case, still) for still in make_stills(case, CROP, every)])
            say(f"CBM3D as told, every {every}: {case.name:10} {figures.psnr:6.2f} dB {100 * figures.left:5.1f} % left")
    for peer in STILL_PEERS:
        for case in CASES:
            figures = run_peer(peer, case, CROP, 1)
            say(f"{peer.name:26} {case.name:10} {figures.psnr:6.2f} dB {100 * figures.left:5.1f} % left  {figures.setting}")


if __name__ == "__main__":
    warm(lambda line: print(line, file=sys.stdout, flush=True))
