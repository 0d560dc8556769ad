"""Training and evaluating the seed's tasks: losses fall, runs resume, and what is wrong is said in a sentence."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs `pip install -e .[train]`")

from models import seedevaluate, seedtrain
from models.seedtasks import TASKS
from models.seedtrain import Config, Options, Pairs, Run, read_config, read_log
from models.shell import sentences
from models.trees import read_picture, write_picture

CONFIG = Config(epochs=1, batch=1, input_dim=64, rate_generator=1e-3, rate_critic=1e-4, beta1=0.5, levels=())
OPTIONS = Options(steps=3, width=8, every=1, validate=1)
TIMED = "seconds"


@pytest.fixture(autouse=True)
def one_core():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass
class FakeTree:
    """A tree in memory, of waves and white noise; `bad` is the name of a picture that is not a number."""

    names: tuple[str, ...] = ("a", "b", "c")
    levels: dict[str, float] = field(default_factory=lambda: {"05": 0.05, "1": 0.1})
    size: tuple[int, int] = (64, 80)
    bad: str = ""

    def clean(self, name: str) -> np.ndarray:
        y, x = np.meshgrid(*(np.linspace(0, 5, n) for n in self.size), indexing="ij")
        phase = ord(name[0])
        return np.stack([0.5 + 0.3 * np.sin(y + phase + c) * np.cos(x + c) for c in range(3)], axis=2).astype(np.float32)

    def grainy(self, level_name: str, name: str) -> np.ndarray:
        noise = np.random.default_rng(ord(name[0])).standard_normal((*self.size, 3))
        made = self.clean(name) + self.levels[level_name] * noise
        return (made * (np.nan if name == self.bad else 1)).astype(np.float32)


def rows(out: Path) -> list[dict[str, str]]:
    return [{key: value for key, value in row.items() if key != TIMED} for row in read_log(out / "log.csv")]


@pytest.mark.parametrize("name", TASKS)
def test_every_task_trains_three_steps(name, tmp_path, capsys):
    Run(name, FakeTree(), tmp_path, CONFIG, OPTIONS).train()
    assert [row["step"] for row in rows(tmp_path)] == ["1", "2", "3"]
    assert all(np.isfinite(float(row["loss"])) and 0 < float(row["psnr"]) < 60 for row in rows(tmp_path))
    assert (float(rows(tmp_path)[0]["critic"]) > 0) == (TASKS[name].loss == "adversarial")
    assert f"{name}  step 3 of 3 (100 %)" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["removal_case_1", "removal_case_2", "synthesis_case_1"])
def test_the_loss_on_one_pair_falls(name, tmp_path):
    tree = FakeTree(names=("a", "b"), levels={"05": 0.05}, size=(64, 64))
    Run(name, tree, tmp_path, CONFIG, replace(OPTIONS, steps=30, validate=30)).train()
    losses = [float(row["loss"]) for row in rows(tmp_path)]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


@pytest.mark.parametrize("name", ["removal_case_1", "synthesis_case_3"])
def test_a_stopped_run_resumes_to_the_same_curve(name, tmp_path):
    six = replace(OPTIONS, steps=6)
    Run(name, FakeTree(), tmp_path / "straight", CONFIG, six).train()
    Run(name, FakeTree(), tmp_path / "halves", CONFIG, OPTIONS).train()
    Run(name, FakeTree(), tmp_path / "halves", CONFIG, six).train()
    assert rows(tmp_path / "halves") == rows(tmp_path / "straight")
    nets = [torch.load(tmp_path / out / "last.pt", weights_only=True)["net"] for out in ("straight", "halves")]
    assert all(torch.equal(nets[0][key], nets[1][key]) for key in nets[0])


def test_a_killed_run_repeats_what_came_after_its_checkpoint(tmp_path, monkeypatch):
    options = replace(OPTIONS, steps=6, save=3, every=2)
    Run("removal_case_1", FakeTree(), tmp_path / "straight", CONFIG, options).train()
    run = Run("removal_case_1", FakeTree(), tmp_path / "killed", CONFIG, options)
    step = run.one_step

    def killed_in_the_sixth() -> tuple[float, float, float]:
        if run.step == 5:
            raise KeyboardInterrupt
        return step()

    monkeypatch.setattr(run, "one_step", killed_in_the_sixth)
    with pytest.raises(KeyboardInterrupt):
        run.train()
    with (tmp_path / "killed" / "log.csv").open("a") as stream:
        stream.write("5,1,0.")
    assert torch.load(tmp_path / "killed" / "last.pt", weights_only=True)["step"] == 3
    Run("removal_case_1", FakeTree(), tmp_path / "killed", CONFIG, options).train()
    assert rows(tmp_path / "killed") == rows(tmp_path / "straight")


def test_a_run_that_is_asked_to_stop_saves_and_goes_on_to_the_same_curve(tmp_path, monkeypatch):
    options = replace(OPTIONS, steps=4, every=2)
    Run("removal_case_1", FakeTree(), tmp_path / "straight", CONFIG, options).train()
    run = Run("removal_case_1", FakeTree(), tmp_path / "stopped", CONFIG, options)
    step = run.one_step

    def asked_in_the_third() -> tuple[float, float, float]:
        if run.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return step()

    monkeypatch.setattr(run, "one_step", asked_in_the_third)
    with pytest.raises(SystemExit, match=r"Stopped at step 3 of 4, which .*last.pt holds: the same command goes on there"):
        run.train()
    Run("removal_case_1", FakeTree(), tmp_path / "stopped", CONFIG, options).train()
    assert rows(tmp_path / "stopped") == rows(tmp_path / "straight")


def test_a_checkpoint_of_another_task_or_setting_is_refused(tmp_path):
    Run("removal_case_1", FakeTree(), tmp_path, CONFIG, replace(OPTIONS, steps=1)).train()
    with pytest.raises(SystemExit, match="was trained for removal_case_1, not for removal_case_2: give another folder as --out"):
        Run("removal_case_2", FakeTree(), tmp_path, CONFIG, OPTIONS)
    with pytest.raises(SystemExit, match="was trained with another width, rate_generator: go back"):
        Run("removal_case_1", FakeTree(), tmp_path, replace(CONFIG, rate_generator=1.0), replace(OPTIONS, width=16))
    (tmp_path / "last.pt").write_bytes(b"no checkpoint")
    with pytest.raises(SystemExit, match="is damaged or not a checkpoint"):
        Run("removal_case_1", FakeTree(), tmp_path, CONFIG, OPTIONS)


@pytest.mark.parametrize("name", ["removal_case_1", "synthesis_case_3"])
def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(name, tmp_path):
    one = FakeTree(levels={"05": 0.05})
    Run(name, one, tmp_path, CONFIG, replace(OPTIONS, steps=2)).train()
    kept = (tmp_path / "last.pt").read_bytes()
    run = Run(name, one, tmp_path, CONFIG, OPTIONS)
    one.bad = run.pairs.chosen(2)[0][1]
    with pytest.raises(
        SystemExit, match=rf"not a number at step 3 \({one.bad} at level 05\); the checkpoint of step 2 is kept in .*last.pt"
    ):
        run.train()
    assert (tmp_path / "last.pt").read_bytes() == kept


def test_an_epoch_draws_every_taught_pair_once_and_none_held_out():
    pairs = Pairs(FakeTree(names=tuple("abcdef")), TASKS["removal_case_1"], CONFIG, 1)
    drawn = [pair for step in range(pairs.epoch) for pair in pairs.chosen(step)]
    assert sorted(drawn) == sorted((level, name) for level in ("05", "1") for name in pairs.taught)
    assert set(pairs.held) | set(pairs.taught) == set("abcdef") and not set(pairs.held) & set(pairs.taught)
    assert drawn != [pair for step in range(pairs.epoch) for pair in pairs.chosen(pairs.epoch + step)]


@pytest.mark.parametrize(
    ("tree", "config", "message"),
    [
        (FakeTree(), replace(CONFIG, levels=(0.05, 0.075)), r"no grain of level 0.075 \(it has 0.05, 0.1\): add it"),
        (FakeTree(names=("a",)), CONFIG, "at least two pictures"),
        (FakeTree(size=(48, 80)), CONFIG, "is 80x48, smaller than a crop: take it out, or set input_dim"),
    ],
)
def test_trees_that_do_not_fit_are_refused(tree, config, message, tmp_path):
    with pytest.raises(SystemExit, match=message):
        Run("removal_case_1", tree, tmp_path, config, OPTIONS).train()


def test_the_config_has_the_seeds_values_unless_a_file_changes_them(tmp_path):
    assert read_config(None) == Config(5, 1, 256, 3e-4, 1e-4, 0.5, (0.01, 0.025, 0.05, 0.075, 0.1))
    own = tmp_path / "own.toml"
    own.write_text("batch = 4\nlevels = [0.2]\n")
    assert read_config(own) == replace(read_config(None), batch=4, levels=(0.2,))
    for text, message in (
        ("rate = 1", "has rate, which is not known: use epochs, batch"),
        ("input_dim = 100", "a multiple of 32, 64 or more, not 100"),
        ("levels = 3", "must give numbers, and a list"),
        ("epochs = ", "cannot be read as TOML"),
        ("beta1 = 2", "beta1 from 0"),
    ):
        own.write_text(text)
        with pytest.raises(SystemExit, match=message):
            read_config(own)


def write_tree(path: Path) -> None:
    tree = FakeTree()
    for folder in ("org", "fg/05", "fg/1"):
        (path / folder).mkdir(parents=True)
        for name in tree.names:
            write_picture(path / folder / f"{name}.png", tree.clean(name) if folder == "org" else tree.grainy(folder[3:], name))


def command(module, monkeypatch, *arguments: object) -> None:
    monkeypatch.setattr("sys.argv", [module.__name__, *map(str, arguments)])
    module.main()


def test_the_commands_train_on_a_folder_and_write_pictures(tmp_path, monkeypatch):
    write_tree(tmp_path / "tree")
    config, out = tmp_path / "own.toml", tmp_path / "run"
    config.write_text("input_dim = 64\nlevels = [0.05, 0.1]\n")
    options = ("--path", tmp_path / "tree", "--out", out, "--config", config, "--steps", 2, "--width", 8)
    command(seedtrain, monkeypatch, "--task", "removal_case_3_gray", *options)
    assert {"last.pt", "log.csv"} <= {file.name for file in out.iterdir()}

    given = ("--checkpoint", out / "last.pt", "--input_path")
    command(seedevaluate, monkeypatch, *given, tmp_path / "tree/fg/05/a.png", "--output_path", tmp_path / "one", "--level", 0.05)
    assert read_picture(tmp_path / "one" / "a.png").shape == (64, 80, 3)
    command(seedevaluate, monkeypatch, *given, tmp_path / "tree/fg/05", "--output_path", tmp_path / "all")
    written = {str(file.relative_to(tmp_path / "all")) for file in (tmp_path / "all").rglob("*.png")}
    assert written == {f"{level}/{name}.png" for level in ("0.05", "0.1") for name in "abc"}
    assert not np.array_equal(read_picture(tmp_path / "all/0.05/a.png"), read_picture(tmp_path / "all/0.1/a.png"))

    with pytest.raises(SystemExit, match="no picture and no folder with pictures"):
        command(seedevaluate, monkeypatch, *given, tmp_path / "absent", "--output_path", tmp_path / "one")
    with pytest.raises(SystemExit, match="from 0 to 1"):
        command(seedevaluate, monkeypatch, *given, tmp_path / "tree/org", "--output_path", tmp_path / "one", "--level", 5)
    with pytest.raises(SystemExit, match="written over the picture"):
        command(seedevaluate, monkeypatch, *given, tmp_path / "tree/org", "--output_path", tmp_path / "tree/org", "--level", 0.1)
    with pytest.raises(SystemExit, match="does not exist: give the last.pt"):
        command(seedevaluate, monkeypatch, "--checkpoint", out / "no.pt", *given[2:], tmp_path, "--output_path", tmp_path / "one")


def test_the_commands_say_what_is_wrong_in_a_sentence(tmp_path, monkeypatch):
    options = ("--task", "removal_case_1", "--path", tmp_path, "--out", tmp_path / "run")
    with pytest.raises(SystemExit, match="has no folder org"):
        command(seedtrain, monkeypatch, *options)
    with pytest.raises(SystemExit, match="1 or more"):
        command(seedtrain, monkeypatch, *options, "--steps", 0)
    with pytest.raises(SystemExit, match="too little memory for this: use smaller pictures, or a machine"), sentences("smaller pictures"):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")


@pytest.mark.parametrize("size", [(1, 1), (33, 70)])
def test_evaluation_takes_any_size(size):
    task = TASKS["synthesis_case_1"]
    picture = np.full((*size, 3), 0.4, np.float32)
    assert seedevaluate.apply(task, task.generator(8).eval(), picture, 0.05).shape == (*size, 3)
