"""Nets in 8-bit integers: what torch simulates is what onnxruntime computes."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install '.[train]'")
onnx = pytest.importorskip("onnx", reason="exporting needs onnx: pip install '.[train]'")
import onnxruntime

from models.degrade import degrade
from models.export import RemovalGraph, write_graph
from models.int8 import LARGEST_WEIGHT, Rounded, RoundedConv, calibrate, quantised
from models.nets import RemovalNet


@pytest.fixture(scope="module")
def pair() -> tuple[RemovalNet, RemovalNet]:
    """Return a net and its twin in 8 bits."""
    torch.manual_seed(3)
    net = RemovalNet((16, 16, 16), (1, 1, 1))
    with torch.no_grad():
        for value in net.parameters():
            value += 0.05 * torch.randn_like(value)
    rng = torch.Generator().manual_seed(1)
    batch = degrade(torch.rand(4, 3, 64, 64, generator=rng), rng)
    twin = quantised(deepcopy(net))
    calibrate(twin, [(batch.grainy, batch.hint)])
    return net.eval(), twin.eval()


def test_eight_bits_are_near_full_precision(pair: tuple[RemovalNet, RemovalNet]) -> None:
    net, twin = pair
    picture, strength = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(5)), torch.full((1, 1, 64, 64), 0.05)
    with torch.no_grad():
        precise, rounded = net(picture, strength), twin(picture, strength)
    assert 0 < float((precise - rounded).std()) < 0.1 * float(precise.std())


def test_every_scale_learns(pair: tuple[RemovalNet, RemovalNet]) -> None:
    twin = deepcopy(pair[1]).train()
    twin(torch.rand(1, 3, 64, 64), torch.full((1, 1, 64, 64), 0.05)).square().sum().backward()
    found = {name: module.log_step.grad for name, module in twin.named_modules() if isinstance(module, Rounded)}
    still = {name for name, gradient in found.items() if gradient is None or gradient == 0}
    assert still <= {"encode_mid.0.first.into", "bottom.0.first.into"}  # what was just rounded to the same steps


def test_weights_keep_within_seven_bits(pair: tuple[RemovalNet, RemovalNet]) -> None:
    for module in pair[1].modules():
        if isinstance(module, RoundedConv):
            weight = module.weight().detach()
            steps = weight / (module.plain.weight.detach().abs().amax((1, 2, 3), keepdim=True) / LARGEST_WEIGHT)
            assert float(steps.abs().max()) <= LARGEST_WEIGHT + 1e-3
            assert torch.allclose(steps, steps.round(), atol=1e-3)


def test_the_runtime_computes_in_integers_and_agrees(pair: tuple[RemovalNet, RemovalNet], tmp_path: Path) -> None:
    graph = RemovalGraph(pair[1]).eval()
    write_graph("removal", graph, tmp_path / "net.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "used.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), options, providers=["CPUExecutionProvider"])
    picture = np.random.Generator(np.random.Philox(key=1)).random((72, 80, 3), np.float32)
    cells = np.full((9, 10), 0.05, np.float32)
    with torch.no_grad():
        expected = graph(torch.from_numpy(picture), torch.from_numpy(cells)).numpy()
    got = np.asarray(session.run(None, {"picture": picture, "strength": cells})[0])
    assert np.sqrt(np.mean((got - expected) ** 2)) < 0.01 * expected.std()
    kinds = [node.op_type for node in onnx.load(str(tmp_path / "used.onnx")).graph.node]
    assert kinds.count("QLinearConv") == sum(isinstance(module, RoundedConv) for module in pair[1].modules())
