"""Nets that begin from others, nets of several frames, and the moving pictures that teach them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install '.[train]'")

from models.degrade import degrade
from models.grow import grow, read_removal, to_grey, widths_of
from models.motion import FRAMES, Shots, repeat_some
from models.nets import RemovalNet
from models.windows import TemporalNet, to_windows


def shaken(net: RemovalNet) -> RemovalNet:
    """Return the net with no weight at nothing."""
    torch.manual_seed(3)
    with torch.no_grad():
        for value in net.parameters():
            value += 0.05 * torch.randn_like(value)
    return net.eval()


def given(channels: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    return torch.rand(1, channels, 32, 48, generator=rng), torch.full((1, 1, 32, 48), 0.05)


def test_a_larger_net_begins_with_the_smaller_ones_answer() -> None:
    small, large = shaken(RemovalNet((16, 16, 32), (1, 1, 1))), shaken(RemovalNet((32, 48, 64), (1, 1, 1)))
    grow(small, large)
    with torch.no_grad():
        assert torch.allclose(small(*given()), large(*given()), atol=1e-5)
    with pytest.raises(ValueError, match="does not fit"):
        grow(large, small)


def test_a_grey_net_begins_with_the_colour_nets_answer_to_grey() -> None:
    net = shaken(RemovalNet())
    picture, strength = given(1)
    with torch.no_grad():
        colour, grey = net(picture.expand(-1, 3, -1, -1), strength), to_grey(net)(picture, strength)
    assert grey.shape == picture.shape
    assert torch.allclose(grey, colour.mean(1, keepdim=True), atol=1e-5)


def test_a_checkpoint_tells_the_nets_size(tmp_path: Path) -> None:
    net = shaken(RemovalNet((16, 32, 48), (2, 1, 3)))
    torch.save({"average": net.state_dict()}, tmp_path / "last.pt")
    assert widths_of(net.state_dict()) == ((16, 32, 48), (2, 1, 3))
    with torch.no_grad():
        assert torch.equal(read_removal(tmp_path / "last.pt")(*given()), net(*given()))


def test_the_temporal_net_begins_with_its_middle_frame_alone() -> None:
    single, several = shaken(RemovalNet()), TemporalNet().eval()
    several.begin_from(single)
    window, strength = given(3 * FRAMES)
    middle = 3 * (FRAMES // 2)
    with torch.no_grad():
        assert torch.allclose(several(window, strength), single(window[:, middle : middle + 3], strength), atol=1e-5)


def shots() -> Shots:
    rng = np.random.Generator(np.random.Philox(key=2))
    pictures = [rng.integers(0, 256, (96, 112, 3)).astype(np.uint8) for _ in range(2)]
    return Shots(pictures, [rng.integers(0, 256, (12, 48, 64, 3)).astype(np.uint8)], 5)


def test_windows_depend_on_the_step_alone() -> None:
    first, again, other = (shots().batch(step, 3, 32) for step in (4, 4, 5))
    assert first.shape == (3 * FRAMES, 3, 32, 32)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert 0 <= float(first.min()) <= float(first.max()) <= 1


def test_a_shots_grain_is_of_one_kind_and_new_in_every_frame() -> None:
    clean = torch.full((4 * FRAMES, 3, 32, 32), 0.5)
    batch = degrade(clean, torch.Generator().manual_seed(3), frames=FRAMES)
    peaks = batch.peak.flatten().unflatten(0, (-1, FRAMES))
    assert bool((peaks == peaks[:, :1]).all())
    assert len(peaks[:, 0].unique()) == 4
    grain = batch.grain.unflatten(0, (-1, FRAMES)).flatten(2)
    strengths = grain.std(2)
    assert bool((strengths / strengths.mean(1, keepdim=True) - 1).abs().max() < 0.35)
    for shot in grain:
        assert torch.corrcoef(shot).fill_diagonal_(0).abs().max() < 0.25


def test_windows_are_told_the_middle_frames_truth() -> None:
    clean = torch.rand(2 * FRAMES, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    batch = degrade(clean, torch.Generator().manual_seed(3), frames=FRAMES)
    windows = to_windows(batch, torch.Generator().manual_seed(4))
    middle = windows.grainy.unflatten(1, (FRAMES, 3))[:, FRAMES // 2]
    assert torch.equal(middle, batch.grainy.unflatten(0, (-1, FRAMES))[:, FRAMES // 2])
    assert windows.grain.shape == middle.shape


def test_some_windows_repeat_their_middle() -> None:
    rng = torch.Generator().manual_seed(1)
    grainy = torch.rand(200, FRAMES, 3, 8, 8, generator=rng)
    out = repeat_some(rng, grainy)
    middle = FRAMES // 2
    assert torch.equal(out[:, middle], grainy[:, middle])
    altered = (out != grainy).flatten(1).any(1)
    assert 8 <= int(altered.sum()) <= 45
    repeats = [shot for shot in out[altered] if any(torch.equal(shot[place], shot[middle]) for place in range(FRAMES) if place != middle)]
    assert repeats
