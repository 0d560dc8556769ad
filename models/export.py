"""Export a trained checkpoint to ONNX, check it against torch, and enter it in the manifest.

`python -m models.export --task removal --checkpoint RUN/last.pt --id removal-default`
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import nn
from torch.nn import functional

from models.fast import FastNet
from models.nets import LevelNet, RemovalNet, gate

WEIGHTS = Path(__file__).parent / "weights"
MANIFEST = Path(__file__).parent / "manifest.toml"
PARITY = 2e-4
"""Largest difference allowed between torch and onnxruntime, code value (removal) or log units (level)."""


class RemovalGraph(nn.Module):
    """Present the removal net as the runtime calls it: (H, W, 3) and strengths of 8x8 cells (H/8, W/8) -> grain (H, W, 3)."""

    def __init__(self, net: RemovalNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, picture: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        height, width = picture.shape[0] // 2, picture.shape[1] // 2
        packed = picture.reshape(height, 2, width, 2, 3).permute(4, 1, 3, 0, 2).reshape(1, 12, height, width)
        scale = functional.interpolate(strength[None, None], scale_factor=4.0, mode="bilinear", align_corners=False)
        grain = self.net.inner(packed, scale.expand(1, 4, height, width)) * gate(scale)
        return grain.reshape(3, 2, 2, height, width).permute(3, 1, 4, 2, 0).reshape(2 * height, 2 * width, 3)


class LevelGraph(nn.Module):
    """Present the estimator as the runtime calls it: (H, W, 3) -> (log deviation, mean code value), both (H/8, W/8, 3)."""

    def __init__(self, net: LevelNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        planes = picture.permute(2, 0, 1)[None]
        return self.net(planes)[0].permute(1, 2, 0), functional.avg_pool2d(planes, 8)[0].permute(1, 2, 0)


TASKS: dict[str, tuple[type[nn.Module], Any, list[str], list[str]]] = {
    "removal": (RemovalNet, RemovalGraph, ["picture", "strength"], ["grain"]),
    "fast": (FastNet, RemovalGraph, ["picture", "strength"], ["grain"]),
    "level": (LevelNet, LevelGraph, ["picture"], ["log_deviation", "mean"]),
}
RUNTIME_TASK = {"fast": "removal"}
"""What a net does for the runtime, where that is not its own name."""
HALO = {"removal": 88, "fast": 72, "level": 40}


def build(task: str, checkpoint: Path) -> nn.Module:
    """Return the graph of a checkpoint's averaged weights."""
    net, graph, _, _ = TASKS[task]
    state = torch.load(checkpoint, weights_only=True)
    module = net()
    module.load_state_dict(state["average"])
    return graph(module.collapsed() if isinstance(module, FastNet) else module).eval()


def example(task: str, height: int, width: int) -> tuple[torch.Tensor, ...]:
    """Return random inputs of a graph."""
    rng = torch.Generator().manual_seed(7)
    picture = torch.rand(height, width, 3, generator=rng)
    return (picture,) if task == "level" else (picture, torch.full((height // 8, width // 8), 0.05))


def write_graph(task: str, graph: nn.Module, path: Path) -> None:
    """Write the graph with free height and width (multiples of 8)."""
    _, _, inputs, outputs = TASKS[task]
    axes = {name: {0: f"{name}_rows", 1: f"{name}_columns"} for name in inputs + outputs}
    arguments = {"input_names": inputs, "output_names": outputs, "dynamic_axes": axes, "opset_version": 18, "dynamo": False}
    torch.onnx.export(graph, example(task, 64, 96), str(path), **arguments)


def parity(task: str, graph: nn.Module, path: Path) -> float:
    """Return the largest difference between torch and onnxruntime over a size the export did not see."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    values = example(task, 136, 200)
    with torch.no_grad():
        expected = graph(*values)
    got = session.run(None, {name: value.numpy() for name, value in zip(TASKS[task][2], values, strict=True)})
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


def main() -> None:
    """Export, check, enter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=sorted(TASKS), required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--id", required=True)
    args = parser.parse_args()
    WEIGHTS.mkdir(exist_ok=True)
    path = WEIGHTS / f"{args.id}.onnx"
    graph = build(args.task, args.checkpoint)
    write_graph(args.task, graph, path)
    difference = parity(args.task, graph, path)
    if difference > PARITY:
        path.unlink()
        raise SystemExit(f"The exported graph differs from torch by {difference:.2e}; it was not kept.")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    card = {
        "id": args.id,
        "task": RUNTIME_TASK.get(args.task, args.task),
        "file": path.name,
        "sha256": digest,
        "encoding": "perceptual code values",
    }
    card |= {"frames": 1, "halo": HALO[args.task], "multiple_of": 8, "licence": "Apache-2.0", "training_commit": commit()}
    enter(card | {"metrics": {"parity": float(f"{difference:.2g}")}})
    print(f"{path.name}: {path.stat().st_size} bytes, parity {difference:.2e}")


if __name__ == "__main__":
    main()
