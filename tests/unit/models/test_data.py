"""Training pictures and the commands that see to trees: what they print, and every sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from grainlayer.errors import MediaError
from models.data import main, read_pictures
from models.trees import read_tree, write_picture


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder of two clean pictures, 24 wide and 16 high."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in "ab":
        write_picture(folder / f"{name}.png", np.random.default_rng(ord(name)).uniform(0.2, 0.8, (16, 24, 3)))
    return folder


def test_a_tree_is_built_and_listed(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = tmp_path / "tree"
    main(["build", "--pictures", str(pictures), "--out", str(tree), "--kind", "white", "--levels", "0.05", "0.1"])
    assert dict(read_tree(tree).levels) == {"05": 0.05, "1": 0.1}
    capsys.readouterr()
    main(["list", str(tree)])
    lines = [f"{tree}: 2 pictures at 2 levels", "level 05: 0.05", "level 1: 0.1", "picture a: 24x16", "picture b: 24x16"]
    assert capsys.readouterr().out.splitlines() == lines
    main(["--help"])
    assert "list TREE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["show"], "There is no command 'show': use list, build or septuplets"),
        ([], "There is no command '': use list, build or septuplets"),
        (["list"], "Name one tree, the folder that holds org and fg"),
        (["list", "a", "b"], "Name one tree"),
        (["list", "absent"], "absent has no folder org"),
        (["build", "--pictures", "absent", "--out", "tree"], "absent holds no picture"),
    ],
)
def test_wrong_commands_give_a_sentence(given: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=words) as caught:
        main(given)
    assert str(caught.value.code).endswith(".") and not list(tmp_path.iterdir())


def test_pictures_are_read_whole_or_not_at_all(pictures: Path, tmp_path: Path) -> None:
    read = read_pictures(pictures)
    assert list(read) == ["a.png", "b.png"] and read["a.png"].shape == (16, 24, 3) and read["a.png"].dtype == np.uint8
    (pictures / "c.jpg").write_bytes(b"no picture")
    with pytest.raises(MediaError, match=r"c\.jpg cannot be read as a picture"):
        read_pictures(pictures)
    with pytest.raises(MediaError, match=r"is no folder; name a folder"):
        read_pictures(tmp_path / "absent")
