"""Artifact Restore in a real host on a clip that x264 encoded: the effect's numbers, also at its ends, across cuts and without a server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grainlayer.effect import Effect, Request
from grainlayer.inference.restore import Restored, as_image, larger
from grainlayer.params import ShotParams, View
from tests.bench.restore.clips import clip_sources, read_truth
from tests.bench.restore.degrade import Condition, decode, encode, from_codes, to_codes
from tests.host.ofx import RESTORE, Host
from tests.system.hosting import Floats, prepare
from tests.system.serving import Place, place

SIZE = WIDTH, HEIGHT = 176, 112
FRAMES = 9
X264 = Condition("x264 QP 32", "libx264", 32)


@dataclass(frozen=True, eq=False)
class Clip:
    """Hold pictures (T, H, W, 4) as they were, and as a host that interpolates chroma linearly shows what x264 left of them."""

    truth: Floats
    shown: Floats


def opaque(pictures: list[Floats]) -> Floats:
    """Return pictures (H, W, 3) with alpha."""
    return np.concatenate([np.stack(pictures), np.ones((len(pictures), HEIGHT, WIDTH, 1), np.float32)], axis=3)


def encoded(name: str) -> Clip:
    """Return the middle of a real clip, encoded at QP 32 in 8 bits and 4:2:0."""
    truth = read_truth(clip_sources(names=(name,))[0])
    top, left = (truth.luma.shape[1] - HEIGHT) // 2 & ~1, (truth.luma.shape[2] - WIDTH) // 2 & ~1
    place = np.s_[:FRAMES, top : top + HEIGHT, left : left + WIDTH]
    cut = type(truth)(truth.name, truth.luma[place], truth.chroma[place], truth.depth)
    data, _ = encode([to_codes(cut, index) for index in range(FRAMES)], X264)
    shown: list[Floats] = []
    for planes, _ in decode(data, 32):
        chroma = larger(np.stack([from_codes(plane, 1) for plane in planes[1:]], axis=2).astype(np.float32), HEIGHT, WIDTH)
        shown.append(as_image(Restored(from_codes(planes[0], 0).astype(np.float32), chroma)))
    whole = [as_image(Restored(cut.luma[index].astype(np.float32), cut.chroma[index].astype(np.float32))) for index in range(FRAMES)]
    return Clip(opaque(whole), opaque(shown))


@pytest.fixture(scope="module")
def clip(data_root: Path) -> Clip:
    return encoded("davis_car-shadow")


@pytest.fixture(scope="module")
def other(data_root: Path) -> Clip:
    return encoded("svt_intotree_10bit")


def restored(pictures: Floats, frame: int, scale: float = 1.0, **values: Any) -> Floats:
    """Return what the effect itself makes of a frame of one shot, whose first and last picture stand in for those beyond."""
    rgb = np.ascontiguousarray(pictures[..., :3])
    window = rgb[np.clip(np.arange(frame - 3, frame + 4), 0, len(rgb) - 1)]
    result = Effect("cpu").result(Request(window, frame, ShotParams(**values), scale=scale, restores=True))
    return np.concatenate([result, pictures[frame, ..., 3:]], axis=2)


def psnr(picture: Floats, truth: Floats) -> float:
    return float(-10 * np.log10(np.mean((picture[..., :3].astype(np.float64) - truth[..., :3]) ** 2)))


def test_a_restored_frame_is_nearer_to_the_truth(host: Host, clip: Clip) -> None:
    prepare(host, RESTORE, clip.shown)
    assert host.send("frames", "a", 4)["frames"]["Source"] == [1, 7]
    facts, out = host.render("a", 4, SIZE)
    assert facts["status"] == 0, facts
    assert facts["unwritten"] == facts["outside"] == 0
    np.testing.assert_array_equal(out, restored(clip.shown, 4))
    assert psnr(out, clip.truth[4]) > psnr(clip.shown[4], clip.truth[4]) + 0.05


@pytest.mark.parametrize("frame", [0, FRAMES - 2, FRAMES - 1])
def test_the_last_picture_stands_in_for_those_beyond(host: Host, clip: Clip, frame: int) -> None:
    prepare(host, RESTORE, clip.shown)
    facts, out = host.render("a", frame, SIZE)
    assert facts["status"] == 0, facts
    np.testing.assert_array_equal(out, restored(clip.shown, frame))
    assert psnr(out, clip.truth[frame]) > psnr(clip.shown[frame], clip.truth[frame])


def test_nothing_beyond_a_cut_is_used(host: Host, clip: Clip, other: Clip) -> None:
    prepare(host, RESTORE, np.concatenate([clip.shown, other.shown]))
    for frame in (FRAMES - 2, FRAMES - 1):
        np.testing.assert_array_equal(host.render("a", frame, SIZE)[1], restored(clip.shown, frame))
    np.testing.assert_array_equal(host.render("a", FRAMES, SIZE)[1], restored(other.shown, 0))


def test_a_clip_of_one_picture(host: Host, clip: Clip) -> None:
    prepare(host, RESTORE, clip.shown[3:4])
    facts, out = host.render("a", 0, SIZE)
    assert facts["status"] == 0, facts
    np.testing.assert_array_equal(out, restored(clip.shown[3:4], 0))


@pytest.mark.parametrize("view", list(View)[1:-1])
def test_every_view_is_what_the_effect_makes(host: Host, clip: Clip, view: View) -> None:
    prepare(host, RESTORE, clip.shown, view=view, restore=0.4)
    facts, out = host.render("a", 4, SIZE)
    assert facts["status"] == 0, facts
    np.testing.assert_array_equal(out, restored(clip.shown, 4, view=view, restore=0.4))


def test_what_restores_nothing_is_the_source(host: Host, clip: Clip) -> None:
    prepare(host, RESTORE, clip.shown, deblock=0, chroma=0, depth=0, deband=0)
    assert host.send("identity", "a", 4)["status"] == 0
    for _ in range(2):
        facts, out = host.render("a", 4, SIZE)
        assert facts["status"] == 0, facts
        np.testing.assert_array_equal(out, clip.shown[4])
    assert host.send("identity", "a", 4)["clip"] == "Source"
    for key in ("deblock", "chroma", "depth", "deband"):
        host.send("set", "a", key, 1)
        assert host.send("identity", "a", 4)["status"] != 0
        host.send("set", "a", key, 0)


def test_a_proxy_is_restored_too(host: Host, clip: Clip) -> None:
    size = (WIDTH // 2, HEIGHT // 2)
    prepare(host, RESTORE, clip.shown, restore=0)
    small = np.stack([host.render("a", frame, size, "scale=0.5")[1] for frame in range(FRAMES)])
    host.send("set", "a", "restore", 1)
    facts, out = host.render("a", 4, size, "scale=0.5")
    assert facts["status"] == 0, facts
    np.testing.assert_array_equal(out, restored(small, 4, scale=0.5))


def test_without_a_server_the_source_is_shown_and_why(served: Place, clip: Clip, tmp_path: Path) -> None:
    with place() as nowhere, Host(tmp_path, nowhere.environment | {"PATH": "/nowhere", "GRAINLAYER_SERVER": ""}) as host:
        host.load()
        prepare(host, RESTORE, clip.shown)
        facts, out = host.render("a", 4, SIZE)
        assert facts["status"] == 1
        assert "server" in facts["persistent"]["text"]
        np.testing.assert_array_equal(out, clip.shown[4])


def test_after_a_killed_server_the_next_one_restores(clip: Clip, tmp_path: Path) -> None:
    with place() as there, Host(tmp_path, there.environment) as host:
        there.start()
        there.rendezvous()
        host.load()
        prepare(host, RESTORE, clip.shown)
        wanted = restored(clip.shown, 4)
        np.testing.assert_array_equal(host.render("a", 4, SIZE)[1], wanted)
        there.end()
        there.start()
        there.client().close()
        np.testing.assert_array_equal(host.render("a", 4, SIZE)[1], wanted)


def test_the_slider_costs_a_sum(host: Host, served: Place, clip: Clip) -> None:
    prepare(host, RESTORE, clip.shown)

    def counted() -> tuple[int, int]:
        facts = json.loads(served.run("serve", "--status", "--json").stdout.splitlines()[-1])
        return facts["cache_misses"], facts["cache_hits"]

    host.render("a", 4, SIZE)
    misses, hits = counted()
    for amount in (0.3, 0.9):
        host.send("set", "a", "restore", amount)
        np.testing.assert_array_equal(host.render("a", 4, SIZE)[1], restored(clip.shown, 4, restore=amount))
    assert counted() == (misses, hits + 2)
