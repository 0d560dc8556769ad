"""Trees of clean and grainy pictures: reading, building, and every sentence for a tree that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from grainlayer.errors import MediaError, ParamError
from grainlayer.types import Encoding
from models.build_tree import Plan, build, grain_seed, level_name, main, parse
from models.kinds import make_kind
from models.trees import read_picture, read_tree, write_picture

Floats = NDArray[np.float64]


def picture(seed: int = 0, height: int = 24, width: int = 32) -> Floats:
    return np.random.Generator(np.random.Philox(key=seed)).random((height, width, 3)) * 0.8 + 0.1


def make_tree(path: Path, levels: tuple[str, ...] = ("01", "1"), names: tuple[str, ...] = ("a", "b")) -> Path:
    for folder in ("org", *(f"fg/{level}" for level in levels)):
        (path / folder).mkdir(parents=True)
        for number, name in enumerate(names):
            write_picture(path / folder / f"{name}.png", picture(number))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(MediaError) as caught:
        read_tree(path)
    text = str(caught.value)
    assert text.endswith(".") and "\n" not in text
    return text


def test_a_tree_gives_names_levels_and_pictures(tmp_path: Path) -> None:
    tree = read_tree(make_tree(tmp_path, ("1", "025", "01", "05", "075")))
    assert tree.names == ("a", "b") and dict(tree.levels) == {"01": 0.01, "025": 0.025, "05": 0.05, "075": 0.075, "1": 0.1}
    assert list(tree.levels) == ["01", "025", "05", "075", "1"]
    for held in (tree.clean("b"), tree.grainy("025", "b")):
        assert held.dtype == np.float32 and held.shape == (24, 32, 3)
        assert np.abs(held - picture(1)).max() <= 0.51 / 65535


def test_levels_of_any_name(tmp_path: Path) -> None:
    path = make_tree(tmp_path, ("0.03", "iso100", "iso1600", "iso400", "05"))
    third = 1 / 3
    assert dict(read_tree(path).levels) == pytest.approx({"0.03": 0.03, "05": 0.05, "iso100": third, "iso400": 2 * third, "iso1600": 1.0})
    (path / "levels.json").write_text('{"iso100": 0.02, "iso400": 0.04, "05": 0.06}')
    assert dict(read_tree(path).levels) == {"0.03": 0.03, "iso100": 0.02, "iso400": 0.04, "05": 0.06, "iso1600": 1.0}


@pytest.mark.parametrize(("suffix", "most"), [(".png", 0.51 / 65535), (".tif", 0.51 / 65535), (".webp", 0.51 / 255), (".jpg", 0.03)])
def test_formats_keep_their_depth_and_twins_may_differ_in_format(tmp_path: Path, suffix: str, most: float) -> None:
    path = make_tree(tmp_path, ("1",), ("a",))
    (path / "org" / "a.png").unlink()
    smooth = np.repeat(np.linspace(0, 1, 24 * 32).reshape(24, 32, 1), 3, axis=2)
    file = path / "org" / f"a{suffix}"
    if suffix in {".png", ".tif"}:
        write_picture(file, smooth)
    else:
        Image.fromarray(np.round(smooth * 255).astype(np.uint8)).save(
            file, **({"lossless": True} if suffix == ".webp" else {"quality": 98})
        )
    assert np.abs(read_tree(path).clean("a") - smooth).max() <= most


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P"])
def test_grey_palettes_and_alpha_become_three_channels(tmp_path: Path, mode: str) -> None:
    held = Image.new("RGB", (8, 6), (60, 60, 60))
    held = held.quantize(4) if mode == "P" else held.convert(mode)
    if "A" in mode:
        held.putalpha(0)
    held.save(tmp_path / "a.png")
    found = read_picture(tmp_path / "a.png")
    assert found.shape == (6, 8, 3) and np.abs(found - 60 / 255).max() < 1e-6


def test_an_empty_tree_is_refused(tmp_path: Path) -> None:
    assert "no folder org" in refusal(tmp_path)
    (tmp_path / "org").mkdir()
    assert "no folder fg" in refusal(tmp_path)
    (tmp_path / "fg").mkdir()
    assert "holds no picture" in refusal(tmp_path)
    write_picture(tmp_path / "org" / "a.png", picture())
    assert "holds no level" in refusal(tmp_path)


def test_a_missing_level_is_named(tmp_path: Path) -> None:
    tree = read_tree(make_tree(tmp_path))
    with pytest.raises(ParamError, match=r"no level '05'; choose one of: 01, 1\.$"):
        tree.grainy("05", "a")
    with pytest.raises(ParamError, match="no picture 'c'"):
        tree.clean("c")
    (tmp_path / "levels.json").write_text('{"strong": 0.2}')
    assert "lacks the level 'strong'" in refusal(tmp_path)


@pytest.mark.parametrize("text", ["[1]", "{", '{"01": "much"}', '{"01": 7}'])
def test_damaged_levels_are_refused(tmp_path: Path, text: str) -> None:
    (make_tree(tmp_path) / "levels.json").write_text(text)
    assert "levels.json" in refusal(tmp_path) and "standard deviations" in refusal(tmp_path)


def test_a_mixed_tree_is_refused(tmp_path: Path) -> None:
    path = make_tree(tmp_path)
    (path / "fg" / "1" / "b.png").unlink()
    assert "fg/1 has no twin of b in org" in refusal(path)
    write_picture(path / "fg" / "1" / "b.png", picture(1))
    write_picture(path / "fg" / "01" / "c.png", picture(1))
    assert "org has no twin of c in fg/01" in refusal(path)


def test_unequal_sizes_are_refused(tmp_path: Path) -> None:
    path = make_tree(tmp_path)
    write_picture(path / "fg" / "1" / "b.png", picture(1, 24, 30))
    text = refusal(path)
    assert "30x24" in text and "32x24" in text and "b.png" in text


def test_two_pictures_of_one_name_are_refused(tmp_path: Path) -> None:
    path = make_tree(tmp_path)
    write_picture(path / "org" / "a.tif", picture())
    assert "have the same name" in refusal(path)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
def test_corrupt_pictures_are_named(tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = make_tree(tmp_path, ("1",), ("a",))
    (path / "org" / "a.png").unlink()
    file = path / "org" / f"a{suffix}"
    Image.fromarray(np.round(picture() * 255).astype(np.uint8)).save(file)
    whole = file.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"no picture at all"):
        file.write_bytes(damaged)
        with pytest.raises(MediaError) as caught:
            read_tree(path).clean("a")
        assert str(file) in str(caught.value) and str(caught.value).endswith(".") and "\n" not in str(caught.value)


def clean_folder(path: Path) -> Path:
    path.mkdir()
    for number, name in enumerate(("one", "two")):
        Image.fromarray(np.round(picture(number) * 255).astype(np.uint8)).save(path / f"{name}.webp", lossless=True)
    return path


def test_a_built_tree_reads_back(tmp_path: Path) -> None:
    plan = Plan(clean_folder(tmp_path / "in"), tmp_path / "new" / "out", "boolean", (0.01, 0.025), seed=5)
    tree = read_tree(build(plan))
    assert dict(tree.levels) == {"01": 0.01, "025": 0.025} and tree.names == ("one", "two")
    clean = tree.clean("two").astype(np.float64)
    assert np.array_equal(tree.clean("two"), read_picture(tmp_path / "in" / "two.webp"))
    grain = make_kind("boolean")(clean, 0.025, grain_seed(5, "two", 0.025))
    assert np.abs(tree.grainy("025", "two") - np.clip(clean + grain, 0, 1)).max() <= 0.51 / 65535
    card = json.loads((plan.out / "card.json").read_text())
    assert card["kind"] == "boolean" and card["seed"] == 5 and "licence" in card["licence"]
    assert [entry.name for entry in plan.out.parent.iterdir()] == ["out"]


def test_building_is_deterministic_and_its_seeds_differ(tmp_path: Path) -> None:
    folder = clean_folder(tmp_path / "in")
    trees = [read_tree(build(Plan(folder, tmp_path / str(n), "white", (0.05,), seed))) for n, seed in enumerate((1, 1, 2))]
    first, again, other = (tree.grainy("05", "one") for tree in trees)
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert len({grain_seed(seed, name, level) for seed in (0, 1) for name in ("a", "b") for level in (0.01, 0.02)}) == 8


def test_the_command_builds_and_refuses_an_existing_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = clean_folder(tmp_path / "in")
    words = ["--pictures", str(folder), "--out", str(tmp_path / "out"), "--kind", "filtered", "--levels", "0.1", "--width", "1"]
    main([*words, "--encoding", "Linear", "--seed", "3"])
    assert "The tree is in" in capsys.readouterr().out
    assert parse([*words, "--encoding", "Linear"]).encoding is Encoding.LINEAR
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit, match="exists; remove it or name another folder"):
        main(words)
    assert sorted(tmp_path.rglob("*")) == before


def test_no_half_tree_is_left(tmp_path: Path) -> None:
    folder = clean_folder(tmp_path / "in")
    (folder / "z.png").write_bytes(b"no picture")
    with pytest.raises(MediaError, match=r"z\.png cannot be read"):
        build(Plan(folder, tmp_path / "out", "white"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["in"]


def test_bad_plans_are_refused(tmp_path: Path) -> None:
    folder = clean_folder(tmp_path / "in")
    (tmp_path / "bare").mkdir()
    with pytest.raises(MediaError, match="holds no picture"):
        build(Plan(tmp_path / "bare", tmp_path / "out"))
    for levels in ((), (0.1, 0.1)):
        with pytest.raises(ParamError, match="one level or more, each once"):
            build(Plan(folder, tmp_path / "out", levels=levels))
    with pytest.raises(ParamError, match="does not take samples"):
        build(Plan(folder, tmp_path / "out", "white", options={"samples": 3}))
    for level in (0.0, 1.0, -0.1, 0.12345678, 0.99999999, float("nan")):
        with pytest.raises(ParamError, match="above 0 and below 1"):
            level_name(level)
    assert level_name(0.075) == "075" and level_name(0.1) == "1"
    assert not (tmp_path / "out").exists()
