"""Dead rectifiers begin anew: the net's answer stays, and what was dead learns."""

from __future__ import annotations

from copy import deepcopy

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install '.[train]'")

from models.nets import RemovalNet
from models.revive import blocks, census, main, revive, set_leak, shares


def half_dead() -> RemovalNet:
    """Return a small net, half of whose lowest units are dead."""
    torch.manual_seed(3)
    net = RemovalNet((8, 8, 8), (1, 1, 1))
    with torch.no_grad():
        for value in net.parameters():
            value += 0.1 * torch.randn_like(value)
        net.bottom[0].first.bias[:4] = -100
    return net.eval()


def test_the_dead_are_counted_by_block() -> None:
    found = census(half_dead(), inputs())
    assert len(found) == len(blocks(half_dead())) and found["bottom.0"] == (4, 8)
    assert all(dead <= count == 8 for dead, count in found.values())
    with pytest.raises(SystemExit, match="Name checkpoints"):
        main([])


def inputs() -> list[tuple[torch.Tensor, torch.Tensor]]:
    rng = torch.Generator().manual_seed(1)
    return [(torch.rand(2, 3, 32, 32, generator=rng), torch.full((2, 1, 32, 32), 0.05))]


def test_the_answer_stays_and_the_dead_live() -> None:
    net, given = half_dead(), inputs()
    revived = deepcopy(net)
    assert 4 <= revive(revived, given) < 16
    with torch.no_grad():
        assert torch.allclose(net(*given[0]), revived(*given[0]), atol=1e-6)
    assert all(bool((share > 0).all()) for share in shares(revived, given))
    revived.train()(*given[0]).square().mean().backward()
    assert bool((revived.bottom[0].second.weight.grad[:, :4].abs().amax((0, 2, 3)) > 0).all())


def test_with_a_slope_below_zero_dead_units_learn() -> None:
    net, given = half_dead(), inputs()
    for leak, learns in ((0.0, False), (0.1, True)):
        set_leak(net, leak)
        net.zero_grad()
        net(*given[0]).square().mean().backward()
        assert bool(net.bottom[0].first.weight.grad[:4].any()) == learns


def test_all_blocks_are_found_once() -> None:
    assert len(blocks(RemovalNet((8, 8, 8), (1, 2, 3)))) == 2 * 1 + 2 * 2 + 3
