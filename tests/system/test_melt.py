"""The bridge in a host of others: MLT's `melt`, where one with the openfx module is found.

MELT names the program, or the folder of a chroot made by tests/host/melt-chroot.sh; without it `melt` is looked for on PATH.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from grainlayer.params import Effect, Kind, Param, for_effect
from tests.host.ofx import BUILD, BUNDLE, IDS, SPLIT, Host, build_bridge
from tests.system.hosting import grainy
from tests.system.serving import Place, place

Codes = NDArray[np.uint16]

SIZE = (128, 72)
FRAMES = 8
STARTS = 12
"""On a busy machine melt now and then ends well before its consumer has begun, with any filter and with none: it is started again."""


@dataclass(frozen=True)
class Melt:
    """Run melt, in a chroot or not; `folder` is seen by both sides under `inside`."""

    words: tuple[str, ...]
    folder: Path
    inside: Path
    runtime: Path

    def run(self, *words: object, check: bool = True) -> str:
        """Run melt and return what it prints. The environment reaches the bridge."""
        told = {"OFX_PLUGIN_PATH": str(self.inside / "ofx"), "GRAINLAYER_RUNTIME": str(self.runtime), "HOME": "/tmp", "LC_ALL": "C.UTF-8"}
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"} | told
        done = subprocess.run([*self.words, *map(str, words)], env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert not check or done.returncode == 0, done.stderr[-3000:]
        return done.stdout + done.stderr

    def render(self, plugin: str, values: dict[str, object], threads: int = 1, out: str = "out.mkv") -> Codes:
        """Run `in.mkv` through a plug-in; return its frames (N, H, W, 3), 16 bit."""
        told = [f"{key}={value}" for key, value in values.items()]
        consumer = [f"avformat:{self.inside / out}", "vcodec=ffv1", "pix_fmt=gbrp16le", "an=1", "mlt_image_format=rgba64"]
        words = ["-profile", self.inside / "profile", self.inside / "in.mkv", "-filter", f"openfx.{plugin}", *told]
        said = ""
        for _ in range(STARTS):
            (self.folder / out).unlink(missing_ok=True)
            said = self.run(*words, "-consumer", *consumer, f"real_time=-{threads}")
            if (self.folder / out).stat().st_size:
                break
        else:
            pytest.fail(f"melt wrote nothing: {said[-3000:]}")
        return read(self.folder / out)


def find() -> str | None:
    """Return the chroot or the program."""
    return os.environ.get("MELT") or shutil.which("melt")


def write(path: Path, frames: Codes) -> None:
    """Write 16-bit RGB frames (N, H, W, 3) as FFV1."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "gbrp16le"
        for number, picture in enumerate(frames):
            frame = av.VideoFrame(frames.shape[2], frames.shape[1], "gbrp16le")
            frame.pts, frame.time_base = number, Fraction(1, 24)
            for plane, channel in zip(frame.planes, (1, 2, 0), strict=True):
                rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                rows[:, : 2 * plane.width] = np.ascontiguousarray(picture[:, :, channel]).view(np.uint8)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def read(path: Path) -> Codes:
    """Read 16-bit RGB frames (N, H, W, 3)."""
    frames: list[Codes] = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            assert frame.format.name == "gbrp16le"
            rows = [np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : 2 * plane.width] for plane in frame.planes]
            green, blue, red = (np.ascontiguousarray(row).view(np.uint16) for row in rows)
            frames.append(np.stack([red, green, blue], axis=2))
    return np.array(frames)


def mount(folder: Path, into: Path) -> None:
    """Show a folder inside a chroot too."""
    into.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", folder, into], check=True)


@pytest.fixture(scope="module")
def served() -> Iterator[Place]:
    """Give a place whose server runs for all tests of this file."""
    with place() as found:
        found.start()
        found.rendezvous()
        yield found


@pytest.fixture(scope="module")
def melt(served: Place) -> Iterator[Melt]:
    """Give melt with a film to work on, or skip with the reason."""
    where = find()
    if where is None:
        pytest.skip("no melt here: run make test-melt MELT=FOLDER with a chroot made by tests/host/melt-chroot.sh, or install melt")
    work = served.folder / "melt"
    work.mkdir()
    chroot = Path(where) if Path(where).is_dir() else None
    shipped = BUILD / BUNDLE
    shutil.copytree(shipped if shipped.exists() else build_bridge(sanitize=False), work / "ofx" / BUNDLE)
    (work / "profile").write_text(
        f"description=test\nframe_rate_num=24\nframe_rate_den=1\nwidth={SIZE[0]}\nheight={SIZE[1]}\nprogressive=1\nsample_aspect_num=1\n"
        f"sample_aspect_den=1\ndisplay_aspect_num=16\ndisplay_aspect_den=9\ncolorspace=709\n"
    )
    pictures = np.clip(grainy(FRAMES, SIZE), 0, 1)
    write(work / "in.mkv", np.floor(pictures[..., :3].astype(np.float64) * 65535 + 0.5).astype(np.uint16))
    if chroot:
        mount(served.folder, chroot / served.folder.relative_to("/"))
    try:
        yield Melt(("chroot", str(chroot), "melt") if chroot else (where,), work, work, served.runtime)
    finally:
        if chroot:
            subprocess.run(["umount", "-l", chroot / served.folder.relative_to("/")], check=True)


def test_melt_lists_every_parameter(melt: Melt) -> None:
    for plugin, effect in zip(IDS, Effect, strict=True):
        page = melt.run("-query", f"filter=openfx.{plugin}")
        found = set(re.findall(r"identifier: (\w+)", page))
        assert {param.key for param in for_effect(effect)} <= found


def value_of(param: Param) -> object:
    """Return a legal value that is not the default, as melt takes it."""
    if param.kind is Kind.BOOL:
        return int(not param.default)
    if param.kind is Kind.CHOICE:
        return next(entry for entry in reversed(param.menu) if entry != param.default)
    if param.kind is Kind.TEXT:
        return ""
    return (param.shown[0] + param.shown[1]) / 2 if param.kind is Kind.FLOAT else int(param.low + 1)


@pytest.mark.parametrize(("plugin", "effect"), list(zip(IDS, Effect, strict=True))[:2])
def test_every_parameter_may_be_set(melt: Melt, plugin: str, effect: Effect) -> None:
    told = {param.key: value_of(param) for param in for_effect(effect) if param.key not in ("view", "quality", "profile", "follow")}
    found = melt.render(plugin, told)
    assert len(found) == FRAMES
    assert np.any(found != read(melt.folder / "in.mkv"))


def as_host(served: Place, tmp_path: Path, source: Codes, values: dict[str, object]) -> Codes:
    """Return what the bridge gives in our own host, 16 bit."""
    rgba = np.concatenate([source, np.full((*source.shape[:3], 1), 65535, np.uint16)], axis=3)
    frames: list[Codes] = []
    with Host(tmp_path, served.environment) as host:
        host.load()
        host.create("a", SPLIT, SIZE, depth="short", frames=f"0-{len(source) - 1}")
        host.bind("a", "Source", rgba)
        for key, value in values.items():
            host.send("set", "a", key, value)
        for frame in range(len(source)):
            facts = host.send("render", "a", frame, f"out={tmp_path}/out.raw", "out16=1")
            assert facts["status"] == 0, facts
            frames.append(np.fromfile(tmp_path / "out.raw", np.uint16).reshape(SIZE[1], SIZE[0], 4)[..., :3])
    return np.array(frames)


def apart(a: Codes, b: Codes) -> int:
    """Return the greatest difference in steps of 1/65535."""
    return int(np.abs(a.astype(np.int64) - b.astype(np.int64)).max())


def test_the_same_picture_on_three_roads(melt: Melt, served: Place, tmp_path: Path) -> None:
    source, profile = read(melt.folder / "in.mkv"), melt.folder / "profile.json"
    film, base = melt.folder / "in.mkv", melt.folder / "base.mkv"
    assert served.run("analyze", str(film), "-o", str(profile)).returncode == 0
    words = ["split", str(film), "--base", str(base), "--grain", str(melt.folder / "grain.mkv"), "--profile", "file"]
    assert served.run(*words, "--profile-file", str(profile), "--codec", "ffv1").returncode == 0
    values: dict[str, object] = {"view": "Base", "profile": "file", "profile_file": profile}
    by_split, by_melt, by_host = read(base), melt.render(SPLIT, values), as_host(served, tmp_path, source, values)
    assert apart(by_split, source) > 1000
    assert (apart(by_split, by_host), apart(by_split, by_melt), apart(by_host, by_melt)) <= (1, 1, 1)
    assert apart(by_split, by_melt) <= 1
    assert apart(by_host, by_melt) <= 1


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_frames_in_parallel(melt: Melt, threads: int) -> None:
    told: dict[str, object] = {"grain_source": "stock", "grain_size": 1.3, "level_mode": "manual", "level": 0.03}
    np.testing.assert_array_equal(melt.render(SPLIT, told, threads), melt.render(SPLIT, told, 1, "again.mkv"))


def test_keyframes(melt: Melt) -> None:
    told: dict[str, object] = {"level_mode": "manual", "level": 0.03}
    keyed = melt.render(SPLIT, told | {"grain_amount": "0=0;7=1.4"})
    for frame, amount in ((0, 0.0), (5, 1.0), (7, 1.4)):
        still = melt.render(SPLIT, told | {"grain_amount": amount}, out="still.mkv")
        assert apart(keyed[frame], still[frame]) <= 1


def strengths(frames: Codes, source: Codes) -> Sequence[Any]:
    """Return the standard deviation of each frame's difference."""
    return [float(np.std(a.astype(np.float64) - b)) for a, b in zip(frames, source, strict=True)]


def test_restore_at_nothing_and_a_missing_server_show_the_source(melt: Melt, served: Place) -> None:
    source = read(melt.folder / "in.mkv")
    assert apart(melt.render(IDS[2], {"restore": 0}), source) <= 1
    served.end()
    served.run("serve", "--stop")
    assert strengths(melt.render(SPLIT, {"view": "Base"}), source) == [0.0] * FRAMES
