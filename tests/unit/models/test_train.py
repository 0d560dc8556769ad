"""Training by its front door: every task has a program, runs go on where they stopped, and what is wrong is said in a sentence."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="training needs torch: pip install '.[train]'")

from models import seedtasks, train
from models.export import load_net
from models.int8 import Rounded
from models.nets import RemovalNet
from models.runfolder import Rows, read_log
from models.shell import sentences
from models.tasks import INT8, TASKS
from tests.train_smoke import make_clip, make_tree, waves
from tests.unit.models.runs import refusal_of, untimed

pytestmark = pytest.mark.usefixtures("settings_of_torch")


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with pictures, clips and a tree."""
    folder = tmp_path_factory.mktemp("material")
    (folder / "pictures").mkdir()
    for number in range(2):
        picture = waves(np.random.default_rng(number), 48)
        Image.fromarray(np.round(picture * 255).astype(np.uint8)).save(folder / "pictures" / f"{number}.png")
    make_clip(folder / "clips" / "clip.mkv", 48)
    make_tree(folder / "tree", 3, 64, {"05": 0.05})
    return folder


def teach(material: Path, out: Path, task: str = "level", *given: object) -> None:
    """Train four steps of a task, a row of the log each, checked at the second; `given` has the last word."""
    numbers = ("--steps", 4, "--batch", 2, "--size", 16, "--every", 1, "--validate", 2)
    folders = ("--data", material / "pictures", "--held", material / "pictures", "--clips", material / "clips", "--out", out)
    train.main([str(word) for word in ("--task", task, *numbers, *folders, *given)])


def refusal(*given: Any) -> str:
    """Return the one sentence with which a training ends."""
    return refusal_of(teach, *given)


def rows(out: Path, name: str = "log.csv") -> Rows:
    return untimed(out / name)


def alter(path: Path, **changes: Any) -> Path:
    """Write another checkpoint beside one, with changes; None takes a key out."""
    state = torch.load(path, weights_only=True) | changes
    torch.save({key: value for key, value in state.items() if value is not None}, path.parent / "altered.pt")
    return path.parent / "altered.pt"


def test_every_task_has_a_program(material: Path, tmp_path: Path) -> None:
    assert set(train.PROGRAMS) >= set(seedtasks.TASKS) and not set(train.PROGRAMS) & set(TASKS)
    assert all(callable(importlib.import_module(program).main) for program in train.PROGRAMS.values())
    text = refusal(material, tmp_path, "removal_case_5")
    assert text.startswith(
        "There is no task 'removal_case_5': use one of removal, quality, fast, removal-int8, fast-int8, grey, temporal, level"
    )
    assert all(name in text for name in (*TASKS, *train.PROGRAMS))


def test_a_task_of_the_seed_trains_by_the_same_command(material: Path, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("input_dim = 64\nlevels = []\n")
    given = ("--path", material / "tree", "--out", tmp_path, "--config", tmp_path / "own.toml", "--steps", 1, "--width", 8)
    train.main([str(word) for word in ("--task", "synthesis_case_3_gray", *given)])
    assert torch.load(tmp_path / "last.pt", weights_only=True)["task"] == "synthesis_case_3_gray"
    assert (tmp_path / "curve.png").exists()
    assert f"{tmp_path / 'last.pt'} holds synthesis_case_3_gray, not level" in refusal(material, tmp_path)


def test_a_program_of_one_task_is_not_told_which(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []
    monkeypatch.setitem(sys.modules, "models.single", SimpleNamespace(main=told.append))
    monkeypatch.setitem(train.PROGRAMS, "single", "models.single")
    train.main(["--out", "run", "--task", "single", "--steps", "3"])
    assert told == [["--out", "run", "--steps", "3"]]


def start_of(task: str, folder: Path) -> tuple[object, ...]:
    """Return the option that names the checkpoint which a task in 8 bits starts from, and write it."""
    if task not in INT8:
        return ()
    path = folder / f"{task}-start.pt"
    torch.save({"task": INT8[task], "average": TASKS[INT8[task]].make().state_dict()}, path)
    return "--start", path


def test_nets_in_8_bits_start_from_their_own_kind(material: Path, tmp_path: Path) -> None:
    _, path = start_of("fast-int8", tmp_path)
    assert f"{path} holds fast, not removal: --start takes a checkpoint of removal for removal-int8" in refusal(
        material, tmp_path / "new", "removal-int8", "--start", path
    )
    assert "fast-int8 rounds a net that is there: give a checkpoint of fast as --start" in refusal(material, tmp_path / "new", "fast-int8")
    teach(material, tmp_path / "run", "fast-int8", "--start", path, "--teacher", start_of("removal-int8", tmp_path)[1], "--steps", 1)
    teach(material, tmp_path / "run", "fast-int8", "--start", path, "--steps", 2)
    net = load_net("fast-int8", tmp_path / "run" / "last.pt")
    assert all(float(module.log_step.detach()) > -20 for module in net.modules() if isinstance(module, Rounded))


@pytest.mark.parametrize("task", TASKS)
def test_every_task_of_ours_trains_and_is_checked(task: str, material: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    teach(material, tmp_path, task, "--every", 2, *start_of(task, tmp_path))
    assert [row["step"] for row in rows(tmp_path)] == ["2", "4"]
    assert list(read_log(tmp_path / "log.csv")[0]) == ["step", "seconds", "rate", "loss", "left"]
    checks = rows(tmp_path, "check.csv")
    assert [row["step"] for row in checks] == ["2", "4"] and all(
        np.isfinite(float(row[kind])) for row in checks for kind in ("white", "film")
    )
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    assert state["task"] == task and state["step"] == 4 and {"nets", "average", "optimisers", "seconds"} <= set(state)
    assert (tmp_path / "curve.png").exists() and "(100 %, 0.0 minutes left)" in capsys.readouterr().out


def test_checking_changes_nothing_of_what_is_learnt(material: Path, tmp_path: Path) -> None:
    teach(material, tmp_path / "checked", "removal")
    teach(material, tmp_path / "alone", "removal", "--validate", 0, "--held", "nowhere")
    assert rows(tmp_path / "checked") == rows(tmp_path / "alone") and not (tmp_path / "alone" / "check.csv").exists()


def test_the_loss_falls(material: Path, tmp_path: Path) -> None:
    teach(material, tmp_path, "removal", "--steps", 24, "--every", 6, "--rate", 0.02, "--late", 1, "--square", 1, "--validate", 0)
    losses = [float(row["loss"]) for row in rows(tmp_path)]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_stop_saves_and_goes_on_to_the_same_curve(
    number: int, material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("removal", "--every", 2)
    teach(material, tmp_path / "straight", *given)
    one_step = train.Run.one_step
    with monkeypatch.context() as patch:

        def asked_in_the_third(run: train.Run, clean: Any) -> tuple[float, float]:
            if run.step == 2:
                os.kill(os.getpid(), number)
            return one_step(run, clean)

        patch.setattr(train.Run, "one_step", asked_in_the_third)
        text = refusal(material, tmp_path / "stopped", *given)
    assert text == f"Stopped at step 3 of 4, which {tmp_path / 'stopped' / 'last.pt'} holds: the same command goes on there."
    teach(material, tmp_path / "stopped", *given)
    for name in ("log.csv", "check.csv"):
        assert rows(tmp_path / "stopped", name) == rows(tmp_path / "straight", name)


def test_a_killed_run_repeats_what_came_after_its_checkpoint(material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ("level", "--steps", 6, "--save", 2, "--seed", 7)
    teach(material, tmp_path / "straight", *given)
    one_step = train.Run.one_step

    def killed_in_the_sixth(run: train.Run, clean: Any) -> tuple[float, float]:
        if run.step == 5:
            raise KeyboardInterrupt
        return one_step(run, clean)

    with monkeypatch.context() as patch:
        patch.setattr(train.Run, "one_step", killed_in_the_sixth)
        assert refusal(material, tmp_path / "killed", *given) == "Stopped at once; what was written before is kept."
    with (tmp_path / "killed" / "log.csv").open("a") as stream:
        stream.write("6,1,0.")
    assert len(rows(tmp_path / "killed")) == 5 and torch.load(tmp_path / "killed" / "last.pt", weights_only=True)["step"] == 4
    teach(material, tmp_path / "killed", *given)
    assert rows(tmp_path / "killed") == rows(tmp_path / "straight")


def test_a_checkpoint_without_a_name_goes_on(material: Path, tmp_path: Path) -> None:
    teach(material, tmp_path / "straight", "level", "--validate", 0)
    teach(material, tmp_path / "old", "level", "--validate", 0, "--save", 2, "--steps", 2)
    teach(material, tmp_path / "old", "level", "--validate", 0, "--steps", 2)
    last = tmp_path / "old" / "last.pt"
    alter(last, task=None, sums=None).replace(last)
    assert "last.pt holds level, not removal: give another folder as --out" in refusal(material, tmp_path / "old", "removal")
    teach(material, tmp_path / "old", "level", "--validate", 0)
    assert [row["step"] for row in rows(tmp_path / "old")] == [row["step"] for row in rows(tmp_path / "straight")]
    assert torch.load(last, weights_only=True)["task"] == "level"


def test_checkpoints_that_do_not_fit_are_refused(material: Path, tmp_path: Path) -> None:
    out, bare = tmp_path / "run", tmp_path / "bare"
    teach(material, out, "level", "--steps", 1)
    last = out / "last.pt"
    assert "holds level, not removal: give another folder as --out" in refusal(material, out, "removal")
    bare.mkdir()
    small = {key: value[:1] for key, value in torch.load(last, weights_only=True)["average"].items()}
    for changes, words in (
        ({"nets": None}, "holds weights but no state to go on from: give it as --start"),
        ({"optimisers": []}, "holds weights but no state to go on from"),
        ({"average": small}, "holds a net of level of another size, not level: give another folder"),
        ({"average": small, "task": None}, "holds a net of another kind or size, not level"),
        ({"average": None, "task": None}, "holds a net of another kind or size, not level"),
    ):
        alter(last, **changes).replace(bare / "last.pt")
        assert words in refusal(material, bare)
    (bare / "last.pt").write_bytes(last.read_bytes()[:1000])
    assert "last.pt is damaged or not a checkpoint: give the last.pt of a run" in refusal(material, bare)
    torch.save(torch.zeros(2), bare / "last.pt")
    assert "last.pt is not a checkpoint" in refusal(material, bare)


def test_weights_to_begin_from_must_fit(material: Path, tmp_path: Path) -> None:
    teach(material, tmp_path / "level", "level", "--steps", 1)
    level, wide = tmp_path / "level" / "last.pt", tmp_path / "wide.pt"
    torch.save({"average": RemovalNet((80, 96, 96)).state_dict()}, wide)
    new = tmp_path / "new"
    assert "nowhere.pt does not exist" in refusal(material, new, "level", "--start", "nowhere.pt")
    assert f"{level} holds level, not removal: --start takes a checkpoint of removal" in refusal(material, new, "removal", "--start", level)
    assert "another kind or size, not removal" in refusal(material, new, "removal", "--start", wide)
    assert f"{level} holds level, not a plain removal net: --grow" in refusal(material, new, "quality", "--grow", level)
    for task in ("quality", "temporal"):
        assert f"The net of {wide} does not fit into that of {task}: --grow takes" in refusal(material, new, task, "--grow", wide)
    assert f"{level} holds level, not a plain removal net: --grow and --teacher" in refusal(material, new, "fast", "--teacher", level)
    assert "--grow is for removal, quality, grey, temporal: leave it out for fast" in refusal(material, new, "fast", "--grow", wide)
    assert "--teacher is for fast, removal-int8, fast-int8: leave it out for removal" in refusal(
        material, new, "removal", "--teacher", wide
    )
    teach(material, new, "level", "--start", level, "--steps", 1)
    teach(material, tmp_path / "taught", "fast", "--teacher", wide, "--steps", 1)


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "lower --rate, or give other pictures as --data."
    assert refusal(material, tmp_path / "new", "removal", "--rate", 1e30, "--validate", 0).startswith(
        "The loss at step 2 is not a number; no"
    )
    teach(material, tmp_path, "removal", "--steps", 2)
    kept = (tmp_path / "last.pt").read_bytes()
    text = refusal(material, tmp_path, "removal", "--rate", 1e30, "--validate", 0)
    assert text == f"The loss at step 4 is not a number; the checkpoint of step 2 is kept in {tmp_path / 'last.pt'}: {words}"

    def steep(net: Any, batch: Any, left: float, *, square: bool) -> Any:
        return torch.sqrt((net(batch.grainy, batch.hint) * 0).sum()), torch.zeros(())

    init = train.Run.__init__

    def steeply(run: train.Run, *given: Any) -> None:
        init(run, *given)
        run.loss = steep

    monkeypatch.setattr(train.Run, "__init__", steeply)
    assert "The gradient of the loss at step 3 is not a number; the checkpoint of step 2" in refusal(material, tmp_path, "removal")
    assert (tmp_path / "last.pt").read_bytes() == kept


def test_pictures_and_clips_that_cannot_be_used(material: Path, tmp_path: Path) -> None:
    empty, out = tmp_path / "empty", tmp_path / "run"
    empty.mkdir()
    assert f"{tmp_path / 'absent'} is no folder" in refusal(material, out, "level", "--data", tmp_path / "absent")
    assert f"{empty} holds no picture" in refusal(material, out, "level", "--data", empty)
    assert "are under 64 pixels a side: give larger ones, or a smaller --size" in refusal(material, out, "level", "--size", 32)
    assert "nowhere is no folder: name one" in refusal(material, out, "level", "--held", "nowhere")
    assert f"{empty} holds no clip of 5 pictures" in refusal(material, out, "temporal", "--clips", empty)
    (empty / "bad.mkv").write_bytes(b"no clip")
    text = refusal(material, out, "temporal", "--clips", empty)
    assert text.startswith(f"A clip in {empty} cannot be read") and "bad.mkv" in text
    whole = (material / "pictures" / "0.png").read_bytes()
    (empty / "cut.png").write_bytes(whole[: len(whole) // 2])
    assert f"{empty / 'cut.png'} cannot be read as a picture" in refusal(material, out, "level", "--data", empty)
    Image.new("RGB", (8, 8)).save(empty / "cut.png")
    assert f"The pictures in {empty} are too small to check a net on" in refusal(material, out, "level", "--held", empty)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--steps", 0), "1 or more"),
        (("--validate", -1), "--validate 0 or more"),
        (("--rate", 0), "--rate above 0"),
        (("--size", 12), "--size must be a multiple of 8, not 12"),
        (("--batch", 10**15), "There is too little memory for this: use a smaller --batch or --size, or a machine with more"),
    ],
)
def test_numbers_that_make_no_sense(given: tuple[object, ...], words: str, material: Path, tmp_path: Path) -> None:
    assert words in refusal(material, tmp_path, "level", *given)


def test_too_little_memory_is_told_from_mistakes() -> None:
    with pytest.raises(SystemExit, match="too little memory"), sentences("less"):
        torch.empty(10**15)
    with pytest.raises(RuntimeError, match="size"), sentences("less"):
        torch.zeros(2) @ torch.zeros(3)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_leaves_the_old_checkpoint(material: Path, tmp_path: Path) -> None:
    teach(material, tmp_path, "level", "--steps", 2)
    kept = (tmp_path / "last.pt").read_bytes()
    (tmp_path / "last.tmp").symlink_to("/dev/full")
    text = refusal(material, tmp_path)
    assert text.startswith(f"{tmp_path / 'last.pt'} cannot be written (No space left on device); the checkpoint of step 2 is kept in")
    assert (tmp_path / "last.pt").read_bytes() == kept and not (tmp_path / "last.tmp").exists()


def test_a_folder_that_cannot_be_written(material: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be made a folder" in refusal(material, tmp_path / "file")
    (tmp_path / "run" / "log.csv").mkdir(parents=True)
    assert "log.csv cannot be read as a log: move it away" in refusal(material, tmp_path / "run")
