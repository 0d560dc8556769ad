"""The real-time remover: its branches collapse, it learns from a teacher, and what is exported is the small net alone."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install '.[train]'")

from models.degrade import Batch, degrade
from models.fast import BLOCKS, WIDTHS, FastNet, Lesson
from models.nets import RemovalNet


def shaken() -> FastNet:
    """Return a net none of whose branches is at nothing."""
    torch.manual_seed(3)
    net = FastNet()
    with torch.no_grad():
        for value in net.parameters():
            value += 0.05 * torch.randn_like(value)
    return net.eval()


def batch() -> Batch:
    rng = torch.Generator().manual_seed(1)
    return degrade(torch.rand(2, 3, 32, 32, generator=rng), rng)


def test_the_collapsed_net_answers_alike_and_has_no_branches() -> None:
    net, given = shaken(), batch()
    plain = net.collapsed().eval()
    with torch.no_grad():
        apart = (net(given.grainy, given.hint) - plain(given.grainy, given.hint)).abs().max()
        size = net(given.grainy, given.hint).abs().max()
    assert apart < 1e-5 * size
    assert sum(p.numel() for p in plain.parameters()) == sum(p.numel() for p in RemovalNet(WIDTHS, BLOCKS).parameters())
    assert sum(p.numel() for p in net.parameters()) > sum(p.numel() for p in plain.parameters())


def test_a_fresh_net_is_the_plain_one() -> None:
    torch.manual_seed(5)
    net, given = FastNet().eval(), batch()
    with torch.no_grad():
        assert torch.allclose(net(given.grainy, given.hint), net.collapsed()(given.grainy, given.hint), atol=1e-6)


def test_it_learns_from_truth_and_teacher() -> None:
    lesson, net, given = Lesson(RemovalNet()), FastNet(), batch()
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3)
    losses: list[float] = []
    for _ in range(25):
        loss, _ = lesson(net, given, 0.1, square=False)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
