"""The bridge's overhead: an identity job and a cached slider at 3840x2160 RGBA float, beside two bare copies in the same run."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from grainlayer.effect import Weights, compose
from grainlayer.types import Layers
from tests.bench.report import Report, Table
from tests.host.ofx import IDS, SPLIT, Floats, Host
from tests.system.serving import place

SIZE = (3840, 2160)
ROUNDS = 15
MIB = 1024
NOTES = (
    "identity: Grain Split with View Split and every other value at its default goes to the server and back; nothing is to be computed.",
    "slider: Amount changes, the layers are at hand; the sum alone is what effect.compose takes for the same layers, in this run.",
    "bare copies: the source's bytes copied into a warm buffer and from it to the output, between the renders, with two threads.",
    "extra memory: what the host's resident anonymous memory grew by when frames went to the server, after as many that did not.",
)


def picture() -> Floats:
    """Return one picture (1, H, W, 4)."""
    rng = np.random.Generator(np.random.Philox(key=5))
    row = rng.normal(0.5, 0.1, (1, 270, SIZE[0], 4)).astype(np.float32)
    return np.tile(row, (1, SIZE[1] // 270, 1, 1))


def sum_ms(rounds: int) -> float:
    """Return the median of a weighted sum of two layers, ms."""
    layers = [np.full((SIZE[1], SIZE[0], 3), value, np.float32) for value in (0.5, 0.01)]
    out = np.empty_like(layers[0])
    times: list[float] = []
    for _ in range(rounds + 2):
        began = time.perf_counter()
        compose(Layers(base=layers[0], grain=layers[1]), Weights(base=1, grain=0.7), out)
        times.append(1000 * (time.perf_counter() - began))
    return median(times[2:])


def steady(facts: dict[str, Any], name: str) -> float:
    """Return the median of what comes after two rounds to warm up."""
    return median(facts[name][2:])


def run(quick: bool = False) -> Report:
    """Measure on a real server; quick: fewer rounds."""
    rounds = 5 if quick else ROUNDS
    report = Report("bridge", "What the bridge adds, 3840x2160 RGBA float")
    with place() as there, tempfile.TemporaryDirectory() as folder:
        there.start()
        there.rendezvous()
        with Host(Path(folder), there.environment, sanitize=False) as host:
            host.load()
            lives = {plugin: host.send("lifecycle", plugin, "rounds=300") for plugin in IDS}
            host.create("a", SPLIT, SIZE, picture(), frames="0-0")
            host.send("bench", "a", 0, f"rounds={rounds + 2}")  # passed through in the bridge: what the host itself needs
            before = host.send("memory")
            host.send("set", "a", "view", "Split")
            identity = host.send("bench", "a", 0, f"rounds={rounds + 2}")
            after = host.send("memory")
            host.send("set", "a", "view", "Result")
            host.send("set", "a", "level_mode", "manual")
            slider = host.send("bench", "a", 0, f"rounds={rounds + 2}", "edit=grain_amount:0.5/0.7/0.9")
            host.send("set", "a", "grain_amount", 1)
            same = host.send("bench", "a", 0, f"rounds={rounds + 2}", "edit=view:Split/Split")
    judge(report, identity, slider, same, sum_ms(rounds))
    extra = (after["RssAnon"] - before["RssAnon"]) / MIB
    report.check(extra <= 64, f"extra memory beside the slots {extra:.0f} MiB (target at most 64)")
    for plugin, life in lives.items():
        name = plugin.rsplit(".", 1)[1]
        report.check(
            life["create_destroy_us"] < 50, f"{name}: CreateInstance and DestroyInstance {life['create_destroy_us']:.1f} us (target 50)"
        )
        report.check(life["load_describe_ms"] < 2, f"{name}: load and describe {life['load_describe_ms']:.2f} ms (target 2)")
    report.notes = list(NOTES)
    report.figures = {"identity": identity, "slider": slider, "identity after": same, "before": before, "after": after, "lives": lives}
    return report


def judge(report: Report, identity: dict[str, Any], slider: dict[str, Any], same: dict[str, Any], total: float) -> None:
    """Hold the times against the targets."""
    found = {"identity": identity, "slider": slider, "identity, after": same}
    times = {name: steady(facts, "render_ms") for name, facts in found.items()}
    copies = {name: steady(facts, "copies_2_threads_ms") for name, facts in found.items()}
    single = steady(identity, "copies_1_thread_ms")
    rows = [[name, f"{times[name]:.1f}", f"{copies[name]:.1f}", f"{times[name] / copies[name]:.2f}"] for name in times]
    rows += [["two bare copies, one thread", f"{single:.1f}", "", ""], ["the sum alone", f"{total:.1f}", "", ""]]
    report.tables = [Table("One frame, ms", ["what", "render", "two bare copies", "ratio"], rows)]
    ratio = times["identity"] / copies["identity"]
    report.check(ratio <= 1.5, f"identity job: {ratio:.2f} times the two bare copies (target 1.5)")
    limit = 1.3 * (times["identity, after"] + total)
    report.check(times["slider"] <= limit, f"slider: {times['slider']:.1f} ms, 1.3 times identity and sum {limit:.1f} ms")
