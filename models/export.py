"""Export a trained checkpoint to ONNX, check it against torch, and enter it in the manifest.

`python -m models.export --task removal --checkpoint RUN/last.pt --id removal-default`
"""

from __future__ import annotations

import argparse
import hashlib
import math
import subprocess
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import nn
from torch.nn import functional

from models.fast import FastNet
from models.grow import read_removal
from models.motion import FRAMES
from models.nets import LevelNet, RemovalNet, gate
from models.quantisernet import QuantiserNet
from models.restorenet import RestoreNet
from models.restoretrain import load_net as load_restoration
from models.runfolder import read_state
from models.synthnet import FIELDS, SPREADS, SynthNet
from models.synthnet import RADII as DISKS
from models.tasks import INT8, TASKS
from models.windows import TemporalNet

WEIGHTS = Path(__file__).parent / "weights"
MANIFEST = Path(__file__).parent / "manifest.toml"
PARITY = 1e-4
"""Largest difference allowed between torch and onnxruntime, code value (removal) or log units (level)."""
ROUNDED_PARITY = 0.03
"""The same of nets in 8 bits: a value that one of the two rounds to the other side differs by a step, and later layers may widen it."""


class RemovalGraph(nn.Module):
    """Present the removal net as the runtime calls it: (H, W, C) and strengths of 8x8 cells (H/8, W/8) -> grain (H, W, C)."""

    def __init__(self, net: RemovalNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, picture: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        height, width, channels = picture.shape[0] // 2, picture.shape[1] // 2, self.net.channels
        packed = picture.reshape(height, 2, width, 2, channels).permute(4, 1, 3, 0, 2).reshape(1, 4 * channels, height, width)
        return _unpack(self.net, packed, strength, height, width)


def _unpack(net: RemovalNet, packed: torch.Tensor, strength: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return gated grain (2 height, 2 width, C) for packed pictures (1, n, height, width)."""
    scale = functional.interpolate(strength[None, None], scale_factor=4.0, mode="bilinear", align_corners=False)
    grain = net.inner(packed, scale.expand(1, 4, height, width)) * gate(scale)
    return grain.reshape(net.channels, 2, 2, height, width).permute(3, 1, 4, 2, 0).reshape(2 * height, 2 * width, net.channels)


class LevelGraph(nn.Module):
    """Present the estimator as the runtime calls it: (H, W, 3) -> (log deviation, mean code value), both (H/8, W/8, 3)."""

    def __init__(self, net: LevelNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        planes = picture.permute(2, 0, 1)[None]
        return self.net(planes)[0].permute(1, 2, 0), functional.avg_pool2d(planes, 8)[0].permute(1, 2, 0)


class TemporalGraph(nn.Module):
    """Present the temporal net as the runtime calls it: (FRAMES, H, W, 3) and strengths (H/8, W/8) -> grain of the middle (H, W, 3)."""

    def __init__(self, net: TemporalNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, window: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        height, width = window.shape[1] // 2, window.shape[2] // 2
        packed = window.reshape(FRAMES, height, 2, width, 2, 3).permute(0, 5, 2, 4, 1, 3).reshape(1, 12 * FRAMES, height, width)
        return _unpack(self.net, packed, strength, height, width)


class SynthGraph(nn.Module):
    """Present the synthesiser as the runtime calls it, for three channels at once.

    noise (H, W, 3 * FIELDS) the fields of red, then of green, then of blue; picture (H, W, 3); emulsion (2,) log radius and spread
    -> grain (H, W, 3) of about unit strength, and what it is in truth: statistics (3, 17), mean, standard deviation and the correlation
    of grain whose fields correlate by one half, at code values 0, 1/16 ... 1, measured over RADIUS_KNOTS and SPREAD_KNOTS.
    """

    def __init__(self, net: SynthNet) -> None:
        super().__init__()
        self.net = net
        self.table = measure_synth(net)

    def forward(self, noise: torch.Tensor, picture: torch.Tensor, emulsion: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        height, width = picture.shape[0], picture.shape[1]
        fields = noise.permute(2, 0, 1).reshape(3, FIELDS, height, width)
        planes = picture.permute(2, 0, 1).reshape(3, 1, height, width)
        grain = self.net(fields, planes, emulsion.reshape(1, 2, 1, 1).expand(3, 2, 1, 1))
        shares: list[torch.Tensor] = []
        for value, knots in zip((emulsion[0], emulsion[1]), (torch.log(RADIUS_KNOTS), SPREAD_KNOTS), strict=True):
            place = ((value - knots[0]) / (knots[1] - knots[0])).clamp(0, len(knots) - 1)
            shares.append(functional.relu(1 - torch.abs(place - torch.arange(len(knots)))))
        statistics = (self.table * shares[0][:, None, None, None] * shares[1][None, :, None, None]).sum((0, 1))
        return grain.reshape(3, height, width).permute(1, 2, 0), statistics


class RestoreGraph(nn.Module):
    """Present a restoration net as the runtime calls it: luma (T, H, W) 0..1, chroma (T, H/2, W/2, 2) -0.5..0.5, sited left, and the
    quantiser, QP / 64 of 8x8 cells (H/8, W/8), 0 for no lossy codec -> luma (H, W) and chroma (H, W, 2) of the middle frame."""

    def __init__(self, net: RestoreNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, luma: torch.Tensor, chroma: torch.Tensor, quantiser: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        colours = chroma.permute(0, 3, 1, 2).reshape(1, 2 * self.net.frames, chroma.shape[1], chroma.shape[2])
        bright, colour = self.net(luma[None], colours, quantiser[None, None])
        return bright[0, 0], colour[0].permute(1, 2, 0)


class QuantiserGraph(nn.Module):
    """Present the estimator of the quantiser as the runtime calls it: luma (H, W) -> QP / 64 of 8x8 cells (H/8, W/8)."""

    def __init__(self, net: QuantiserNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, luma: torch.Tensor) -> torch.Tensor:
        return self.net(luma[None, None])[0, 0]


RADIUS_KNOTS = torch.exp(torch.linspace(math.log(DISKS[0]), math.log(DISKS[1]), 8))
SPREAD_KNOTS = torch.linspace(*SPREADS, 6)
MEASURED = 208
"""Side of the grey fields on which a synthesiser's strength is measured, pixels."""


def measure_synth(net: SynthNet) -> torch.Tensor:
    """Return mean, deviation and correlation at fields correlated by 1/2 of the net's grain, (8, 6, 3, 17): by radius, spread, grey."""
    rng = torch.Generator().manual_seed(17)
    table = torch.empty(len(RADIUS_KNOTS), len(SPREAD_KNOTS), 3, 17)
    with torch.no_grad():
        for row, radius in enumerate(torch.log(RADIUS_KNOTS)):
            for column, spread in enumerate(SPREAD_KNOTS):
                emulsion = torch.stack((radius, spread)).reshape(1, 2, 1, 1).expand(2, 2, 1, 1)
                for number, grey in enumerate(torch.linspace(0, 1, 17)):
                    field = torch.randn(2, FIELDS, MEASURED, MEASURED, generator=rng)
                    field[1] = 0.5 * field[0] + 0.75**0.5 * field[1]
                    grain = net(field, grey.expand(2, 1, MEASURED, MEASURED), emulsion)[:, 0, net.halo : -net.halo, net.halo : -net.halo]
                    alike = torch.corrcoef(grain.flatten(1))[0, 1]
                    table[row, column, :, number] = torch.stack((grain.mean(), grain.std(), alike))
    return table


@dataclass(frozen=True)
class Kind:
    """Say how the nets of a training task are exported: the runtime's task, the graph, and its inputs' and outputs' names."""

    runtime: str
    graph: Callable[[Any], nn.Module]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    frames: int = 1
    multiple: int = 8


REMOVAL = Kind("removal", RemovalGraph, ("picture", "strength"), ("grain",))
KINDS = {
    "removal": REMOVAL,
    "quality": REMOVAL,
    "fast": REMOVAL,
    "removal-int8": REMOVAL,
    "fast-int8": REMOVAL,
    "grey": Kind("removal-grey", RemovalGraph, ("picture", "strength"), ("grain",)),
    "temporal": Kind("temporal", TemporalGraph, ("window", "strength"), ("grain",), FRAMES),
    "level": Kind("level", LevelGraph, ("picture",), ("log_deviation", "mean")),
    "restore": Kind("restore", RestoreGraph, ("luma", "chroma", "quantiser"), ("restored_luma", "restored_chroma")),
    "quantiser": Kind("quantiser", QuantiserGraph, ("luma",), ("quantiser",)),
    "synth": Kind("synth", SynthGraph, ("noise", "picture", "emulsion"), ("grain", "statistics"), multiple=SynthNet.multiple_of),
}
LEVEL_HALO = 40
SMALL = {"emulsion", "statistics"}
"""Inputs and outputs that are no pictures."""


def load_net(task: str, checkpoint: Path) -> Any:
    """Return a checkpoint's averaged net, of the size it was trained in; of the fast one the collapsed net."""
    if task in ("removal", "quality", "grey"):
        return read_removal(checkpoint)
    if task in INT8:
        state = read_state(checkpoint)["average"]
        rounded = TASKS[task].make()
        rounded.load_state_dict(state)
        return rounded
    if task in ("restore", "quantiser"):
        return restoration(task, checkpoint)
    module = {"fast": FastNet, "temporal": TemporalNet, "level": LevelNet, "synth": SynthNet}[task]()
    module.load_state_dict(torch.load(checkpoint, weights_only=True)["average"])
    return module.collapsed() if isinstance(module, FastNet) else module


def restoration(task: str, checkpoint: Path) -> nn.Module:
    """Return the averaged net of a checkpoint of restoration, with as many frames as it has. Exits with a sentence for another task's."""
    name, _, net = load_restoration(checkpoint)
    if not isinstance(net, RestoreNet if task == "restore" else QuantiserNet):
        raise SystemExit(f"{checkpoint} holds {name}, which is not exported as {task}: give another checkpoint, or another --task.")
    return net


def halo_of(net: nn.Module) -> int:
    """Return how far beyond a tile's edge the net looks, pixels, rounded up to whole cells.

    Head, tail and two stacks of blocks look at half size, two at a quarter, one at an eighth; those see squares of 8 pixels from any of
    their pixels, and a strength reaches a cell and a half.
    """
    if not isinstance(net, RemovalNet):
        return net.halo if isinstance(net, SynthNet | QuantiserNet) else LEVEL_HALO
    top, mid, low = (len(part) for part in (net.encode_top, net.encode_mid, net.bottom))
    reach = 2 * (2 + 4 * top) + 4 * 4 * mid + 8 * 2 * low
    return (reach + 7 + 11 + 7) // 8 * 8


def example(task: str, height: int, width: int, frames: int = 1) -> tuple[torch.Tensor, ...]:
    """Return random inputs of a graph; `frames` is the number that a restoration net sees."""
    rng = torch.Generator().manual_seed(7)
    if task in ("restore", "quantiser"):
        luma, chroma = torch.rand(frames, height, width, generator=rng), torch.rand(frames, height // 2, width // 2, 2, generator=rng) - 0.5
        told = 0.5 * (torch.arange(height // 8)[:, None] + torch.arange(width // 8)).remainder(2).float()
        return (luma, chroma, told) if task == "restore" else (luma[0],)
    picture = torch.rand(height, width, 3, generator=rng)
    if task == "level":
        return (picture,)
    if task == "synth":
        return torch.randn(height, width, 3 * FIELDS, generator=rng), picture, torch.tensor([-0.7, 0.8])
    shown = torch.rand(FRAMES, height, width, 3, generator=rng) if task == "temporal" else picture
    shown = picture[:, :, :1].contiguous() if task == "grey" else shown
    return shown, torch.full((height // 8, width // 8), 0.05)


def frames_of(graph: nn.Module) -> int:
    """Return how many frames a graph's net sees, where a training may choose that, else 1."""
    net = graph.net
    return net.frames if isinstance(net, RestoreNet) else 1


def write_graph(task: str, graph: nn.Module, path: Path) -> None:
    """Write the graph with free height and width."""
    kind = KINDS[task]
    names = [*kind.inputs, *kind.outputs]
    axes: dict[str, dict[int, str]] = {name: {0: f"{name}_rows", 1: f"{name}_columns"} for name in names if name not in SMALL}
    behind = ("window", "luma", "chroma") if task != "quantiser" else ()
    axes |= {name: {1: f"{name}_rows", 2: f"{name}_columns"} for name in behind if name in axes}
    arguments = {"input_names": list(kind.inputs), "output_names": list(kind.outputs), "dynamic_axes": axes}
    inputs = example(task, 64, 96, frames_of(graph))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # steps of 8-bit nets are constants here, and the exporter by tracing is the one that is wanted
        torch.onnx.export(graph, inputs, str(path), **arguments, opset_version=18, dynamo=False)


def parity(task: str, graph: nn.Module, path: Path) -> float:
    """Return the largest difference between torch and onnxruntime over a size the export did not see."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    values = example(task, 136, 200, frames_of(graph))
    with torch.no_grad():
        expected = graph(*values)
    got = session.run(None, {name: value.numpy() for name, value in zip(KINDS[task].inputs, values, strict=True)})
    expected = expected if isinstance(expected, tuple) else (expected,)
    return max(float(np.abs(a.numpy() - b).max()) for a, b in zip(expected, got, strict=True))


def commit() -> str:
    """Return the commit the training code stands at."""
    return subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()


def enter(card: dict[str, Any]) -> None:
    """Replace or add a model's table in the manifest, keeping the others in order."""
    import tomllib

    models = tomllib.loads(MANIFEST.read_text())["model"] if MANIFEST.exists() else []
    models = sorted([m for m in models if m["id"] != card["id"]] + [card], key=lambda m: m["id"])
    lines = ["# Every model that ships. Written by models/export.py; metrics by models/evaluate.py."]
    for model in models:
        metrics = model.get("metrics", {})
        lines += ["", "[[model]]"] + [f"{key} = {_toml(value)}" for key, value in model.items() if key != "metrics"]
        lines += ["[model.metrics]"] + [f'"{key}" = {_toml(value)}' for key, value in metrics.items()]
    MANIFEST.write_text("\n".join(lines) + "\n")


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def publish(task: str, graph: nn.Module, model_id: str) -> None:
    """Write a graph among the weights, hold it against torch and enter it. Raise SystemExit if the two differ by too much."""
    most = ROUNDED_PARITY if task in INT8 else PARITY
    WEIGHTS.mkdir(exist_ok=True)
    path, kind = WEIGHTS / f"{model_id}.onnx", KINDS[task]
    part = path.with_suffix(".part")
    write_graph(task, graph, part)
    difference = parity(task, graph, part)
    if difference > most:
        part.unlink()
        raise SystemExit(f"The exported graph differs from torch by {difference:.2e}; it was not kept.")
    part.replace(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    card = {"id": model_id, "task": kind.runtime, "file": path.name, "sha256": digest, "encoding": "perceptual code values"}
    frames = max(kind.frames, frames_of(graph))
    card |= {"frames": frames, "halo": halo_of(graph.net), "multiple_of": kind.multiple}  # pyright: ignore[reportArgumentType]
    card |= {"licence": "Apache-2.0", "training_commit": commit()}
    enter(card | {"metrics": {"parity": float(f"{difference:.2g}")}})
    print(f"{path.name}: {path.stat().st_size} bytes, parity {difference:.2e}")


def main() -> None:
    """Export, check, enter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=sorted(KINDS), required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--id", required=True)
    args = parser.parse_args()
    publish(args.task, KINDS[args.task].graph(load_net(args.task, args.checkpoint)).eval(), args.id)


if __name__ == "__main__":
    main()
