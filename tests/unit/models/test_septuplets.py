"""Septuplets: codes round properly, recordings are what a player gets, caches are deterministic, resume, and never mix the split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install '.[train]'")

from models.data import main
from models.septcache import CARD, HELD, SIDES, TAUGHT, read_groups
from models.septuplets import divide
from models.transcode import BITS, Recipe, decode, draw_recipe, from_codes, picture_bytes, record, smaller, to_codes
from tests.train_smoke import make_tree, waves

SIZE = 64
FEW = ("--photographs", 3, "--width", SIZE, "--height", SIZE, "--frames", 7, "--recordings", 1, "--windows", 1)


def moving(frames: int, size: int = SIZE) -> np.ndarray:
    """Return a clip (F, 3, S, S) of a textured picture that moves to the left."""
    rng = np.random.default_rng(1)
    luma = waves(rng, size + frames)[:, :, 0] + 0.1 * rng.standard_normal((size + frames, size + frames))
    luma = np.clip(luma, 0, 1)
    whole = np.stack([luma, 0.2 * luma - 0.1, 0.1 - 0.2 * luma]).astype(np.float32)
    return np.stack([whole[:, :size, place : place + size] for place in range(frames)])


def write_movie(path: Path, frames: int, size: int = SIZE) -> Path:
    """Write a lossless movie of 10 bits and 4:2:2."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(2)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = size, size, "yuv422p10le"
        whole = np.round(waves(rng, size + frames) * 255).astype(np.uint8)
        for place in range(frames):
            part = np.ascontiguousarray(whole[:size, place : place + size])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(part, format="rgb24").reformat(format="yuv422p10le")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of three photographs of 64x64."""
    folder = tmp_path_factory.mktemp("material") / "tree"
    make_tree(folder, 3, SIZE, {})
    return folder / "org"


def build(photographs: Path, out: Path, *given: object) -> None:
    words = ("septuplets", "--out", out, "--pictures", photographs, *FEW, *(given if "--clips" in given else (*given, "--clips")))
    main([str(word) for word in words])


def test_codes_stand_for_the_same_at_every_depth() -> None:
    for bits in (8, 10, 16):
        codes = np.arange(0, 2**bits, max(1, 2**bits // 997)).astype(np.uint16)
        for chroma in (False, True):
            assert np.array_equal(to_codes(from_codes(codes, bits, chroma=chroma), bits, chroma=chroma), codes)
    assert from_codes(np.array([235]), 8, chroma=False) == from_codes(np.array([940]), 10, chroma=False) == 1
    ramp = np.linspace(0, 1, 10_001).astype(np.float32)
    assert np.abs(from_codes(to_codes(ramp, 8, chroma=False), 8, chroma=False) - ramp).max() <= 0.5001 / 219


def test_smaller_chroma_stays_where_it_is() -> None:
    x, y = np.meshgrid(np.arange(32), np.arange(16))
    for slope in (x, y):
        for soft in (False, True):
            made = smaller((slope * 0.01).astype(np.float32), soft=soft)
            wanted = 0.01 * (2 * np.arange(16)[None] + 0 * made if slope is x else 2 * np.arange(8)[:, None] + 0.5 + 0 * made)
            assert np.abs(made - wanted)[2:-2, 2:-2].max() < 1e-6


def test_a_recording_tells_the_quantiser_of_each_block() -> None:
    fine, coarse = (record(moving(7), Recipe("libx264", "fast", qp)) for qp in (20, 40))
    for one, qp in ((fine, 20), (coarse, 40)):
        assert one.told and one.luma.shape == (7, SIZE, SIZE) and one.chroma.shape == (7, 2, SIZE // 2, SIZE // 2)
        assert one.quantiser.shape == (7, SIZE // 8, SIZE // 8) and abs(float(one.quantiser.mean()) - qp) <= 3.5
    assert fine.bits > coarse.bits and BITS[0] <= coarse.bits
    true = to_codes(moving(7)[:, 0], 8, chroma=False).astype(float)
    assert np.abs(fine.luma - true).mean() < np.abs(coarse.luma - true).mean()


def test_hevc_does_not_tell_and_rounding_is_within_half_a_code() -> None:
    made = record(moving(7), Recipe("libx265", "ultrafast", 30))
    assert not made.told and set(np.unique(made.quantiser)) <= {27, 30, 32}
    clip = moving(7)
    for kind in ("rounding", "rounding-444"):
        plain = record(clip, Recipe(kind))
        assert plain.bits == 12 and not plain.quantiser.any()
        assert np.abs(from_codes(plain.luma, 8, chroma=False) - clip[:, 0]).max() <= 0.5001 / 219


def test_bits_come_within_their_range_where_the_quantiser_can_bring_them() -> None:
    still = np.full((7, 3, 4 * SIZE, 4 * SIZE), 0.1, np.float32)
    assert record(still, Recipe("libx264", "medium", 30)).recipe.quantiser == 17
    noise = np.random.default_rng(0).random((7, 3, SIZE, SIZE)).astype(np.float32)
    assert record(noise, Recipe("libx264", "ultrafast", 18, gop=1)).recipe.quantiser > 18


def test_only_pictures_count_as_bits() -> None:
    words = b"\x00\x00\x00\x01\x06words\x00\x00\x01\x65picture"
    assert picture_bytes(words, hevc=False) == len(b"\x00\x00\x01\x65picture")
    assert picture_bytes(b"\x00\x00\x01\x40\x01head\x00\x00\x01\x02\x01pic", hevc=True) == 8


def test_recipes_cover_every_kind() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_recipe(rng) for _ in range(300)]
    assert {one.kind for one in drawn} == {"libx264", "libx265", "rounding", "rounding-444"}
    assert all(17 <= one.quantiser <= 42 for one in drawn if one.coded) and any(one.adaptive for one in drawn)


def test_a_cache_is_made_once_goes_on_and_keeps_sources_apart(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    clip = write_movie(tmp_path / "clips" / "clip.mkv", 9, 2 * SIZE)
    write_movie(tmp_path / "research_only" / "kept.mkv", 9, 2 * SIZE)
    clips = ("--clips", clip, tmp_path / "research_only")
    build(photographs, one, *clips)
    groups = {group.source: group for group in read_groups(one)}
    assert groups["clip"].part == TAUGHT and groups["kept"].part == HELD and len(groups) == 5
    assert [group.part for group in groups.values()].count(HELD) == 2
    assert [groups["kept"].recipe(n).quantiser for n in range(5)] == [22, 27, 32, 37, 0]
    build(photographs, two, *clips)
    (two / "clip-0.json").unlink()
    (two / "clip-0.bin").write_bytes(b"half")
    capsys.readouterr()
    build(photographs, two, *clips)
    assert capsys.readouterr().out.count("bits per pixel") == 1
    for path in one.glob("*.bin"):
        assert path.read_bytes() == (two / path.name).read_bytes()
    with pytest.raises(SystemExit, match=r"was made with another clips, seed, held: go back"):
        build(photographs, two, "--seed", 5, "--clips", clip)


def test_a_crop_is_what_was_recorded(photographs: Path, tmp_path: Path) -> None:
    build(photographs, tmp_path, "--photographs", 1)
    group = read_groups(tmp_path)[0]
    crop = group.crop(0, range(7), SIDES, (16, 32), (32, 16))
    assert crop.luma.shape == (7, 32, 16) and crop.chroma.shape == (7, 2, 16, 8) and crop.quantiser.shape == (4, 2)
    assert crop.truth.shape == (3, 32, 16) and 0 < np.abs(crop.luma[3] - crop.truth[0]).mean() < 0.1


def test_shares_go_by_names() -> None:
    paths = [Path(f"/clips/{name}.mkv") for name in "abcdefgh"]
    parts = {source.path: source.part for source in divide(paths, "clip")}
    assert parts == {source.path: source.part for source in divide(paths[::-1], "clip")}
    assert list(parts.values()).count(HELD) == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--frames", 6), "Give --frames 7 to 15"),
        (("--width", 100), "multiples of 16"),
        (("--windows", 0), "1 or more"),
        (("--photographs", 0), "nothing to make septuplets of"),
        (("--pictures", "absent"), "absent is no folder"),
        (("--clips", "absent"), "absent does not exist"),
    ],
)
def test_wrong_plans_give_a_sentence(photographs: Path, tmp_path: Path, given: tuple[object, ...], words: str) -> None:
    with pytest.raises(SystemExit, match=words) as caught:
        build(photographs, tmp_path / "cache", *given)
    assert str(caught.value.code).endswith(".") and not (tmp_path / "cache").exists()


def test_bad_clips_give_a_sentence(photographs: Path, tmp_path: Path) -> None:
    short, small = write_movie(tmp_path / "short.mkv", 5), write_movie(tmp_path / "small.mkv", 9, 64)
    cut = write_movie(tmp_path / "cut.mkv", 9, 2 * SIZE)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 2 // 3])
    (tmp_path / "empty").mkdir()
    cases = {short: "no shot of 7 pictures", small: "too small", cut: "cut.mkv", tmp_path / "empty": "holds no movie and no sequence"}
    for path, words in cases.items():
        with pytest.raises(SystemExit, match=words) as caught:
            build(photographs, tmp_path / "cache" / path.stem, "--clips", path)
        assert str(caught.value.code).endswith(".")


def test_damaged_caches_give_a_sentence(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="holds no septuplets"):
        read_groups(tmp_path)
    build(photographs, tmp_path, "--photographs", 1)
    path = next(tmp_path.glob("*.bin"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SystemExit, match=rf"has \d+ bytes, not \d+: remove {path.stem}\.\* there"):
        read_groups(tmp_path)
    path.with_suffix(".motion").write_bytes(b"")
    with pytest.raises(SystemExit, match="motion is not whole: remove"):
        read_groups(tmp_path)
    (tmp_path / f"{path.stem}.json").write_text(json.dumps({"source": "a"}))
    with pytest.raises(SystemExit, match="missing or damaged"):
        read_groups(tmp_path)
    (tmp_path / CARD).write_text("no card")
    with pytest.raises(SystemExit, match="its card is damaged"):
        build(photographs, tmp_path, "--photographs", 1)


def test_a_movie_that_is_none_is_not_decoded() -> None:
    with pytest.raises(av.error.InvalidDataError):
        decode(b"no movie", (SIZE, SIZE))
