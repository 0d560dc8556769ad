"""Name the ways to a base that models.results measures on stills, and the stills: pictures of data/val with grain.

Our nets are told the peak standard deviation of the grain, peers its true RMS on each picture.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainlayer.inference.registry import ModelCard, find_model
from models.kinds import make_kind
from models.results_keep import Figures, Keep, cards, digest
from tests.bench.bench_removal import TUNING, peer_score
from tests.bench.cache import digest_array
from tests.bench.material import CROP, STILL_SEED, Case, Still, make_still, still_paths
from tests.bench.metrics import LUMA
from tests.bench.peers import STILL_PEERS, Setting, StillPeer

Picture = NDArray[np.float32]

OWN_KINDS = ("scan", "av1")
"""Kinds that the benchmarks' material lacks and models/kinds.py has."""
VERSION = 1
"""To be raised when what is measured or how pictures are made changes: kept figures then count no more."""
RUNS = Path(__file__).parent / "runs"
TRUTH = "true grain"
INPUT = "input"
ON_LUMA = ", luma alone"
ESTIMATED = "removal-default, level estimated"
RIVALS = STILL_PEERS[:3]


@dataclass(frozen=True)
class Method:
    """Name a way to a base, what its figures are kept under, and the way itself: the base of a still with grain of a case.

    note  the setting of a peer
    luma  whether only the luma is given and judged, as the three channels of a grey picture
    """

    name: str
    key: tuple[str, ...]
    base: Callable[[Still, Case], Picture]
    note: str = ""
    luma: bool = False


def heading(case: Case) -> str:
    """Return a case's heading: 'white 25', 'film 0.05', 'scan 0.03'."""
    return f"{case.kind} {case.level:g}" if case.kind in OWN_KINDS else case.name


def material(case: Case, index: int) -> Still:
    """Return the `index`-th picture of data/val with grain of a case: its middle."""
    if case.kind not in OWN_KINDS:
        return make_still(case, index)
    whole = make_still(Case("white", 0.0), index, None)
    grain = _kind(case.kind)(whole.clean.astype(np.float64), case.level, STILL_SEED + index)
    top, left = ((size - CROP) // 2 for size in whole.clean.shape[:2])
    part = np.s_[top : top + CROP, left : left + CROP]
    return Still(whole.name, np.ascontiguousarray(whole.clean[part]), np.ascontiguousarray((whole.clean + grain)[part], np.float32))


_kind = cache(make_kind)
still = lru_cache(maxsize=24)(material)


def case_key(case: Case) -> list[Any]:
    """Return what the figures of a case are kept under, beside those of picture and method."""
    return [VERSION, case.kind, round(case.level, 6), CROP]


def grey(at: Still) -> Still:
    """Return a still of the luma of another, three equal channels."""
    clean, grainy = (np.repeat((p @ LUMA)[:, :, None], 3, axis=2).astype(np.float32) for p in (at.clean, at.grainy))
    return Still(at.name, clean, grainy)


def net_method(card: ModelCard) -> Method:
    """Return a removal model, told the peak."""

    def base(at: Still, case: Case) -> Picture:
        from grainlayer.inference.remove import Remover

        return at.grainy - Remover(model_id=card.id, device="cpu").grain(at.grainy, case.level)

    return Method(card.id, (card.sha256,), base)


def grey_methods() -> list[Method]:
    """Return the removal models of grey pictures, told the RMS of the luma's grain, and the input that they see; none if there are none."""
    found = [_grey_method(card) for card in cards("removal-grey")]
    return [Method(INPUT + ON_LUMA, (INPUT, ON_LUMA), lambda at, case: at.grainy, luma=True), *found] if found else []


def _grey_method(card: ModelCard) -> Method:
    def base(at: Still, case: Case) -> Picture:
        del case
        from grainlayer.inference.remove import run_by_cells, strength_cells
        from grainlayer.inference.runtime import load

        plane, cells = np.ascontiguousarray(at.grainy[:, :, :1]), strength_cells(at.grainy, at.strength)
        return at.grainy - run_by_cells(load(card, "cpu"), plane, cells)

    return Method(card.id + ON_LUMA, (card.sha256, ON_LUMA), base, luma=True)


def blind_method() -> Method:
    """Return the default model, told what the estimator makes of the picture."""

    def base(at: Still, case: Case) -> Picture:
        del case
        from grainlayer.inference.remove import Remover, estimate_level

        return at.grainy - Remover(device="cpu").grain(at.grainy, estimate_level(at.grainy, "cpu"))

    return Method(ESTIMATED, (find_model("removal-default", "removal").sha256, find_model("level-default", "level").sha256), base)


def seed_methods(folder: Path) -> list[Method]:
    """Return the trained removal tasks of the seed among a folder's checkpoints, those of grey pictures apart; none without torch."""
    checkpoints = sorted(folder.glob("*.pt"))
    if not checkpoints or importlib.util.find_spec("torch") is None:
        return []
    import torch

    from models.seedtasks import TASKS

    found: list[Method] = []
    for path in checkpoints:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        task = TASKS.get(str(state.get("task")))
        if task and task.goal == "removal" and task.channels == 3:
            found.append(_seed_method(path, f"{state['task']}, {int(state['step']):,} steps"))
    return found


def _seed_method(path: Path, name: str) -> Method:
    @cache
    def loaded() -> tuple[object, ...]:
        from models.seedevaluate import load

        return load(path)

    def base(at: Still, case: Case) -> Picture:
        from models.seedevaluate import apply

        task, net, _ = loaded()
        return apply(task, net, at.grainy, case.level)  # pyright: ignore[reportArgumentType]

    return Method(name, (digest(path),), base)


@dataclass
class Remembered:
    """Run a peer and remember the bases of its best setting, so that none that was tuned is made again to be measured."""

    peer: StillPeer
    bases: dict[tuple[str, str], Picture]

    def run(self, grainy: Picture, told: object, setting: Setting) -> Picture:
        """Return the base of a grainy picture by one setting."""
        key = (setting.name, digest_array(grainy))
        if key not in self.bases:
            self.bases[key] = self.peer.run(grainy, told, setting)  # pyright: ignore[reportArgumentType]
        return self.bases[key]

    def forget_all_but(self, setting: Setting) -> None:
        """Forget the bases of all other settings."""
        self.bases = {key: base for key, base in self.bases.items() if key[0] == setting.name}


def peer_method(keep: Keep, peer: StillPeer, case: Case, indices: Sequence[int]) -> Method | None:
    """Return a peer with the setting that is best in hindsight on every fourth picture; None where that is not known."""
    few = [index for index in indices if index % TUNING == 0] or list(indices)
    memory = Remembered(peer, {})
    again = StillPeer(peer.name, memory.run, peer.grid, peer.version)

    def tune() -> Figures:
        best, most = 0, -np.inf
        for number, setting in enumerate(peer.grid):
            mean = float(np.mean([peer_score(again, setting, case, still(case, index))["psnr"] for index in few]))
            best, most = (number, mean) if mean > most else (best, most)
            memory.forget_all_but(peer.grid[best])
        return {"setting": best}

    pictures = [digest(still_paths()[index]) for index in few]
    found = keep.figures("setting", [*case_key(case), peer.name, peer.version, *pictures], tune)
    if found is None:
        return None
    best = peer.grid[found["setting"]]
    key = (peer.name, str(peer.version), best.name)
    return Method(peer.name, key, lambda at, case: memory.run(at.grainy, at.strength, best), best.name)


def own_methods() -> list[Method]:
    """Return all but the peers: doing nothing, knowing the truth, the manifest's models of single pictures, the seed's tasks."""
    nets = [net_method(card) for card in cards("removal") if card.frames == 1]
    plain = [Method(INPUT, (INPUT,), lambda at, case: at.grainy), Method(TRUTH, (TRUTH,), lambda at, case: at.clean)]
    return [*plain, *nets, blind_method(), *seed_methods(RUNS), *grey_methods()]
