"""Passing pictures through models: bases, grain layers, levels, checkpoints, and the table of the validation pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="training needs torch: pip install '.[train]'")

from models import evaluate, train
from models.evaluate import load_remover
from models.nets import LevelNet, RemovalNet
from models.trees import read_picture, write_picture
from tests.train_smoke import make_tree, waves

HALF_A_STEP = 0.51 / 65535


@pytest.fixture
def grainy(tmp_path: Path) -> Path:
    """Return a folder of two pictures with white noise of .05."""
    rng = np.random.default_rng(1)
    folder = tmp_path / "grainy"
    folder.mkdir()
    for name in "ab":
        write_picture(folder / f"{name}.png", waves(rng, 60)[:, :50] + 0.05 * rng.standard_normal((60, 50, 3)))
    return folder


def apply(grainy: Path, out: Path, *given: object) -> set[str]:
    """Pass a folder's pictures through a model and return what was written."""
    evaluate.main([str(word) for word in ("--input_path", grainy, "--output_path", out, *given)])
    return {str(file.relative_to(out)) for file in out.rglob("*.png")}


def rms(picture: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(picture**2)))


def test_bases_and_grain_of_a_shipped_model(grainy: Path, tmp_path: Path) -> None:
    assert apply(grainy, tmp_path / "blind", "--grain") == {"a.png", "b.png", "grain/a.png", "grain/b.png"}
    assert apply(grainy / "a.png", tmp_path / "told", "--level", 0.05) == {"a.png"}
    source, base, told = (read_picture(folder / "a.png") for folder in (grainy, tmp_path / "blind", tmp_path / "told"))
    grain = read_picture(tmp_path / "blind" / "grain" / "a.png") - 0.5
    assert np.abs(base + grain - source).max() <= HALF_A_STEP
    clean = waves(np.random.default_rng(1), 60)[:, :50]
    assert all(rms(made - clean) < 0.5 * rms(source - clean) for made in (base, told)) and not np.array_equal(base, told)


def test_several_levels_have_folders(grainy: Path, tmp_path: Path) -> None:
    assert apply(grainy / "a.png", tmp_path / "out", "--level", 0.02, 0.1, "--grain") == {
        "0.02/a.png",
        "0.02/grain/a.png",
        "0.1/a.png",
        "0.1/grain/a.png",
    }
    weak, strong = (read_picture(tmp_path / "out" / level / "a.png") for level in ("0.02", "0.1"))
    source = read_picture(grainy / "a.png")
    assert rms(source - weak) < rms(source - strong)


def test_a_checkpoint_answers_as_its_net(grainy: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = RemovalNet().eval()
    torch.save({"average": net.state_dict()}, tmp_path / "last.pt")
    picture = read_picture(grainy / "a.png")
    taken = load_remover(str(tmp_path / "last.pt")).grain(picture, 0.05)
    padded = torch.from_numpy(np.pad(picture, ((0, 4), (0, 6), (0, 0)), mode="edge").transpose(2, 0, 1))[None].contiguous()
    with torch.no_grad():
        made = net(padded, torch.full((1, 1, 64, 56), 0.05))[0, :, :60, :50].numpy().transpose(1, 2, 0)
    assert taken.shape == picture.shape and np.abs(taken - made).max() < 1e-5 * np.abs(made).max()


def test_a_checkpoint_of_a_seeds_task(grainy: Path, tmp_path: Path) -> None:
    make_tree(tmp_path / "tree", 2, 64, {"05": 0.05, "1": 0.1})
    (tmp_path / "own.toml").write_text("input_dim = 64\nlevels = [0.05, 0.1]\n")
    given = ("--path", tmp_path / "tree", "--out", tmp_path / "run", "--config", tmp_path / "own.toml", "--steps", 1, "--width", 8)
    train.main([str(word) for word in ("--task", "removal_case_1", *given)])
    model = ("--model", tmp_path / "run" / "last.pt")
    assert apply(grainy, tmp_path / "out", *model) == {f"{level}/{name}.png" for level in ("0.05", "0.1") for name in "ab"}
    with pytest.raises(SystemExit, match="gives pictures without a grain layer: leave --grain out"):
        apply(grainy, tmp_path / "out", *model, "--grain")
    with pytest.raises(SystemExit, match="holds removal_case_1, which takes no grain out of single pictures"):
        evaluate.main([str(word) for word in model])


def test_what_is_wrong_is_said_in_a_sentence(grainy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    torch.save({"average": LevelNet().state_dict()}, tmp_path / "level.pt")
    for given, words in (
        (("--model", "nothing"), "There is no removal model called 'nothing'; installed are: .*removal-default"),
        (("--model", "level-default"), "There is no removal model called 'level-default'"),
        (("--model", tmp_path / "no.pt"), "no.pt does not exist: give the last.pt of a run"),
        (("--model", tmp_path / "level.pt"), "holds level, which takes no grain out of single pictures"),
        (("--model", grainy / "a.png"), "a.png is damaged or not a checkpoint"),
        (("--level", 2), "from 0 to 1, such as 0.05"),
        (("--input_path", tmp_path / "absent"), "is no picture and no folder with pictures"),
        (("--output_path", grainy), "would be written over the picture it is made from"),
        (("--output_path", grainy / "a.png"), "a.png cannot be made a folder"),
    ):
        with pytest.raises(SystemExit, match=words):
            apply(grainy, out, *given)
    with pytest.raises(SystemExit, match="would be written over"):
        apply(grainy, tmp_path, "--output_path", tmp_path, "--input_path", write_grain(tmp_path), "--grain")
    for given, words in (
        (("--input_path", "x"), "both or neither"),
        (("--level", "0.1"), "go with --input_path and --output_path"),
        (("--every", "0"), "--every 1 or more"),
        (("--input", str(tmp_path / "absent")), "is no folder"),
    ):
        with pytest.raises(SystemExit, match=words):
            evaluate.main(given)


def write_grain(folder: Path) -> Path:
    """Return a picture that lies where the grain of its own base would go."""
    (folder / "grain").mkdir()
    write_picture(folder / "grain" / "a.png", np.full((16, 16, 3), 0.5))
    return folder / "grain" / "a.png"


def test_the_table_of_clean_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "abc":
        write_picture(tmp_path / f"{name}.png", waves(np.random.default_rng(2), 48))
    evaluate.main(["--input", str(tmp_path), "--every", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(evaluate.CASES) and all("told" in line and "blind" in line for line in lines)
