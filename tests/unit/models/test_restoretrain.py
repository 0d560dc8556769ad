"""Training of restoration: batches are what they say, losses weigh as they should, runs resume, and what is wrong is said in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install '.[train]'")

from models import export, restoredata, septuplets, train
from models.restoredata import Septuplets, hold, together, turned
from models.restorelosses import LUMA, as_given, gains, loss_of, typical_error, whole
from models.restorenet import RestoreNet
from models.restoretasks import TASKS
from models.restoretrain import load_net
from models.runfolder import read_log
from models.septcache import read_groups
from tests.train_smoke import make_tree
from tests.unit.models.runs import refusal_of, untimed

pytestmark = pytest.mark.usefixtures("settings_of_torch")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache of three photographs in motion, 64x64, one of them held out."""
    folder = tmp_path_factory.mktemp("material")
    make_tree(folder / "tree", 3, 64, {})
    numbers = ("--photographs", 3, "--frames", 8, "--width", 64, "--height", 64, "--recordings", 3)
    given = (*numbers, "--out", folder / "cache", "--pictures", folder / "tree" / "org", "--clips")
    septuplets.main([str(word) for word in given])
    return folder / "cache"


def teach(cache: Path, out: Path, task: str = "restore-1", *given: object) -> None:
    """Train four steps, a row of the log each, checked at the second; `given` has the last word."""
    numbers = ("--steps", 4, "--batch", 2, "--size", 16, "--late", 0.5, "--every", 1, "--validate", 2, "--save", 2)
    train.main([str(word) for word in ("--task", task, "--data", cache, "--out", out, *numbers, *given)])


def refusal(*given: Any) -> str:
    """Return the one sentence with which a training ends."""
    return refusal_of(teach, *given)


def test_batches_follow_from_the_step_and_learn_from_no_held_source(cache: Path) -> None:
    material = Septuplets(cache, 5, 1)
    held = {group.source for group in read_groups(cache) if group.part == "held"}
    assert held and not held & {group.source for group in material.groups}
    one, two, other = material.batch(3, 4, 32), material.batch(3, 4, 32), material.batch(4, 4, 32)
    assert torch.equal(one.luma, two.luma) and torch.equal(one.truth, two.truth) and not torch.equal(one.luma, other.luma)
    assert one.luma.shape == (4, 5, 32, 32) and one.chroma.shape == (4, 10, 16, 16) and one.quantiser.shape == (4, 1, 4, 4)
    assert one.truth.shape == (4, 3, 32, 32) and (one.luma[:, 2] - one.truth[:, 0]).abs().mean() < 0.05
    assert torch.equal(one.told == 0, one.quantiser == 0)


def test_missing_neighbours_are_stood_in_for(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoredata, "REPEATED", 1.0)
    material, rng = Septuplets(cache, 7, 1), np.random.default_rng(0)
    drawn = {tuple(material._frames(3, rng)) for _ in range(200)}
    assert (3, 3, 3, 3, 4, 5, 6) in drawn and (0, 1, 2, 3, 4, 4, 4) in drawn and len(drawn) == 6


def test_a_crop_upside_down_keeps_its_siting(cache: Path) -> None:
    crop = read_groups(cache)[0].crop(0, range(7), 3, (0, 0), (32, 32))
    over = together([turned(crop, over=True, back=True)])
    straight = together([crop])
    assert torch.allclose(as_given(over).flip(2), as_given(straight), atol=1e-6)
    assert torch.allclose(whole(over).flip(1).flip(3), whole(straight), atol=1e-6)


def test_fine_recordings_count_as_much_as_coarse_ones(cache: Path) -> None:
    values = typical_error(torch.tensor([0.0, 22 / 64, 37 / 64]).reshape(3, 1, 1, 1), LUMA).flatten()
    assert torch.allclose(values, torch.tensor([0.0013, 0.0073, 0.0192]), atol=2e-4)
    for name in ("qp22", "qp37"):
        batch = hold(cache, 1)[name][0]
        right, colour = loss_of("restore", batch.truth, batch, 0.3)
        same, _ = loss_of("restore", as_given(batch), batch, 0.0)
        half, _ = loss_of("restore", 0.5 * (as_given(batch) + batch.truth), batch, 0.0)
        assert float(right) == 0 == float(colour) and 0.5 < same < 1 and half == pytest.approx(float(same) / 4)
    assert loss_of("quantiser", batch.quantiser + 1 / 64, batch, 0.3)[0] == pytest.approx(1, abs=1e-3)


def test_a_net_that_changes_nothing_gains_nothing(cache: Path) -> None:
    net = RestoreNet(3)
    torch.nn.init.zeros_(net.tail.weight)
    for batches in hold(cache, 3).values():
        assert gains("restore", net, batches) == pytest.approx((0, 0), abs=1e-3)


@pytest.mark.parametrize("task", list(TASKS))
def test_every_task_trains_and_is_checked(cache: Path, tmp_path: Path, task: str) -> None:
    teach(cache, tmp_path, task)
    rows, checks = read_log(tmp_path / "log.csv"), read_log(tmp_path / "check.csv")
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"] and [row["step"] for row in checks] == ["2", "4"]
    assert all(np.isfinite(float(checks[-1][name])) for name in ("qp22", "qp37", "rounding", "chroma"))
    assert load_net(tmp_path / "last.pt")[:2] == (task, TASKS[task].frames) and (tmp_path / "curve.png").exists()


def test_a_run_that_stopped_goes_on_to_the_same_curve(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from models import restoretrain

    teach(cache, tmp_path / "straight")
    one_step = restoretrain.Run.one_step

    def doomed(self: Any, *given: Any) -> Any:
        if self.step == 3:
            raise KeyboardInterrupt
        return one_step(self, *given)

    monkeypatch.setattr(restoretrain.Run, "one_step", doomed)
    assert "Stopped at once" in refusal(cache, tmp_path / "again")
    monkeypatch.setattr(restoretrain.Run, "one_step", one_step)
    teach(cache, tmp_path / "again")
    for name in ("log.csv", "check.csv"):
        assert untimed(tmp_path / "straight" / name) == untimed(tmp_path / "again" / name)


def test_nets_of_more_frames_start_from_one_and_are_exported(cache: Path, tmp_path: Path) -> None:
    teach(cache, tmp_path / "one")
    teach(cache, tmp_path / "three", "restore-5", "--frames", 3, "--start", tmp_path / "one" / "last.pt")
    net = export.load_net("restore", tmp_path / "three" / "last.pt")
    assert isinstance(net, RestoreNet) and net.frames == 3
    with pytest.raises(SystemExit, match="is not exported as quantiser"):
        export.load_net("quantiser", tmp_path / "three" / "last.pt")
    assert "does not fit into restore-1" in refusal(cache, tmp_path / "a", "restore-1", "--start", tmp_path / "three" / "last.pt")
    assert "does not fit into quantiser" in refusal(cache, tmp_path / "b", "quantiser", "--start", tmp_path / "one" / "last.pt")
    assert "was trained for restore-1, not for quantiser" in refusal(cache, tmp_path / "one", "quantiser")
    assert "was trained with another --seed" in refusal(cache, tmp_path / "one", "restore-1", "--seed", 7)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("restore-1", "--frames", 2), "takes 1, 3, 5, 7 as --frames"),
        (("toflow", "--frames", 5), "toflow takes 7"),
        (("restore-1", "--size", 24), "multiple of 16"),
        (("restore-1", "--steps", 0), "1 or more"),
        (("restore-1", "--size", 48), "smaller than a crop"),
        (("restore-1", "--data", "absent"), "holds no septuplets"),
        (("restore-1", "--start", "absent.pt"), "does not exist"),
    ],
)
def test_wrong_options_give_a_sentence(cache: Path, tmp_path: Path, given: tuple[object, ...], words: str) -> None:
    assert words in refusal(cache, tmp_path, *given)


def test_a_cache_of_one_source_cannot_check(cache: Path, tmp_path: Path) -> None:
    name = next(group for group in read_groups(cache) if group.part == "taught").path
    for suffix in (".bin", ".motion", ".json"):
        (tmp_path / f"one{suffix}").write_bytes(name.with_suffix(suffix).read_bytes())
    assert "no septuplets to check on" in refusal(tmp_path, tmp_path / "run")
    teach(tmp_path, tmp_path / "run", "restore-1", "--validate", 0)
    (tmp_path / "one.json").write_text((tmp_path / "one.json").read_text().replace("taught", "held"))
    assert "are held out" in refusal(tmp_path, tmp_path / "run")
