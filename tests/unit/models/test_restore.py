"""Restoration nets: what they add, what they never exceed, how they grow, what they cost, and the graphs that ship."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install '.[train]'")

from grainlayer.picture.chroma import upsample
from models import export
from models.quantisernet import QuantiserNet
from models.restorenet import CELL, RestoreNet, kmac_per_pixel, quality_net, upsampled, within_cell
from models.toflow import TaskFlow, warp


def inputs(frames: int, size: int = 32, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return luma, chroma and a quantiser of 0 in the left half."""
    rng = torch.Generator().manual_seed(seed)
    luma = torch.rand(1, frames, size, size, generator=rng)
    chroma = torch.rand(1, 2 * frames, size // 2, size // 2, generator=rng) - 0.5
    quantiser = torch.full((1, 1, size // 8, size // 8), 0.5)
    quantiser[..., : size // 16] = 0
    return luma, chroma, quantiser


def stirred(net: torch.nn.Module) -> torch.nn.Module:
    """Give a net an answer: random weights where they begin as zeros."""
    torch.manual_seed(3)
    with torch.no_grad():
        for value in net.parameters():
            if not value.any():
                value.normal_(0, 0.2)
    return net.eval()


@pytest.mark.parametrize("frames", [1, 3, 5, 7])
def test_a_new_net_gives_nearly_the_middle_frame(frames: int) -> None:
    luma, chroma, quantiser = inputs(frames)
    bright, colour = RestoreNet(frames)(luma, chroma, quantiser)
    assert bright.shape == (1, 1, 32, 32) and (bright[:, 0] - luma[:, frames // 2]).abs().mean() < 0.01
    assert colour.shape == (1, 2, 32, 32) and (colour - upsampled(chroma[:, frames - 1 : frames + 1])).abs().mean() < 0.01


def test_chroma_comes_up_as_everywhere_else() -> None:
    chroma = np.random.default_rng(1).random((6, 10)).astype(np.float32)
    made = upsampled(torch.from_numpy(chroma)[None, None])[0, 0].numpy()
    assert np.abs(made - upsample(chroma, 12, 20, (1, 1), 1)).max() < 1e-6


def test_luma_stays_in_its_cell_where_nothing_but_rounding_took_place() -> None:
    luma, chroma, quantiser = inputs(3)
    change = (stirred(RestoreNet(3))(luma, chroma, quantiser)[0][:, 0] - luma[:, 1]).abs()
    assert change[:, :, :16].max() <= CELL + 1e-6 < 0.01 < change[:, :, 16:].max()
    far = within_cell(torch.tensor([0.9, 0.9]), torch.tensor([0.5, 0.5]), torch.tensor([0.0, 0.3]))
    assert torch.allclose(far, torch.tensor([0.5 + CELL, 0.9]))


@pytest.mark.parametrize("fewer", [1, 3, 5])
@pytest.mark.parametrize("sizes", [((32, 48, 96), (1, 1, 3)), ((16, 24, 32), (1, 1, 1))])
def test_a_net_begins_with_the_answer_of_one_of_fewer_frames_and_a_smaller_one(fewer: int, sizes: tuple[Any, Any]) -> None:
    small, large = stirred(RestoreNet(fewer, *sizes)), RestoreNet(5)
    large.begin_from(small)
    luma, chroma, quantiser = inputs(5)
    first, last = (5 - fewer) // 2, (5 + fewer) // 2
    wanted = small(luma[:, first:last], chroma[:, 2 * first : 2 * last], quantiser)
    assert (wanted[0] - luma[:, 2:3]).abs().mean() > 0.001
    for a, b in zip(large(luma, chroma, quantiser), wanted, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_the_large_net_begins_with_the_default_nets_answer() -> None:
    small, large = stirred(RestoreNet(7)), quality_net()
    large.begin_from(small)
    for a, b in zip(large(*inputs(7)), small(*inputs(7)), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(
    ("larger", "what"),
    [
        (RestoreNet(5), "5 frames does not fit into one of 3."),
        (RestoreNet(3, (32, 48, 128)), "widths (32, 48, 128) and blocks (1, 1, 3) does not fit into one of (32, 48, 96) and (1, 1, 3)."),
        (RestoreNet(1, blocks=(1, 2, 3)), "widths (32, 48, 96) and blocks (1, 2, 3) does not fit into one of (32, 48, 96) and (1, 1, 3)."),
    ],
)
def test_a_larger_net_does_not_fit_into_a_smaller_one(larger: RestoreNet, what: str) -> None:
    net = RestoreNet(3)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(ValueError, match=f"^A net of {re.escape(what)}$"):
        net.begin_from(larger)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_what_the_nets_cost() -> None:
    def cost(net: RestoreNet) -> float:
        return kmac_per_pixel(net, inputs(net.frames), 32 * 32)

    assert cost(RestoreNet(1)) < 25.5 and cost(RestoreNet(5)) < 27 and cost(quality_net(5)) < 200
    flow = kmac_per_pixel(TaskFlow(), (torch.rand(1, 7, 3, 16, 24),), 16 * 24)
    assert 2000 < flow < 2050


def test_warping_follows_the_flow() -> None:
    picture = torch.arange(48.0).reshape(1, 1, 6, 8)
    flow = torch.zeros(1, 2, 6, 8)
    assert torch.equal(warp(picture, flow), picture)
    flow[:, 0], flow[:, 1] = 1.5, -1
    assert float(warp(picture, flow)[0, 0, 3, 2]) == picture[0, 0, 2, 3:5].mean()
    assert float(warp(picture, flow + 50)[0, 0, 0, 0]) == 47
    grid = torch.nn.functional.affine_grid(torch.eye(2, 3)[None], [1, 1, 6, 8], align_corners=True)
    moved = grid + torch.tensor([2 * 1.5 / 7, -2 * 1 / 5])
    wanted = torch.nn.functional.grid_sample(picture, moved, padding_mode="border", align_corners=True)
    assert torch.allclose(warp(picture, flow), wanted, atol=1e-4)


def test_the_seeds_net_takes_any_size_and_learns() -> None:
    net = TaskFlow()
    pictures = torch.rand(1, 7, 3, 19, 26)
    made = net(pictures)
    assert made.shape == (1, 3, 19, 26) and torch.allclose(made, pictures.mean(1), atol=1e-5)
    (stirred(net)(pictures) - pictures[:, 3]).square().mean().backward()
    assert all(value.grad is not None and bool(value.grad.any()) for value in net.parameters())


def test_the_estimator_does_not_see_where_black_is() -> None:
    net = stirred(QuantiserNet())
    made = net(torch.rand(2, 1, 48, 64))
    assert made.shape == (2, 1, 6, 8)


@pytest.mark.parametrize("net", [RestoreNet(1), RestoreNet(5), QuantiserNet()])
def test_graphs_agree_with_torch_at_every_size(net: torch.nn.Module, tmp_path: Path) -> None:
    restores = isinstance(net, RestoreNet)
    task = "restore" if restores else "quantiser"
    graph = export.KINDS[task].graph(stirred(net)).eval()
    export.write_graph(task, graph, tmp_path / "net.onnx")
    assert export.parity(task, graph, tmp_path / "net.onnx") < export.PARITY
    assert export.frames_of(graph) == (net.frames if restores else 1) and export.halo_of(net) % 8 == 0


def test_nothing_beyond_the_halo_counts() -> None:
    net = stirred(RestoreNet(1))
    luma, chroma, quantiser = inputs(1, 256)
    halo = export.halo_of(net)
    changed = luma.clone(), chroma.clone(), quantiser.clone()
    changed[0][..., 160 + halo :] += 1
    changed[1][..., (160 + halo) // 2 :] += 1
    changed[2][..., (160 + halo) // 8 :] += 1
    for a, b in zip(net(luma, chroma, quantiser), net(*changed), strict=True):
        assert torch.allclose(a[..., :160], b[..., :160], atol=1e-5)
