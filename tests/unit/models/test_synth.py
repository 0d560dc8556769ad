"""The neural synthesiser's training: its truth agrees with itself, its losses tell right from wrong, it resumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install '.[train]'")

from PIL import Image

from models import synthbank, synthtrain
from models.boolean import BooleanGrain
from models.monte_carlo import MonteCarlo
from models.synthbank import GREYS, PROBABILITIES, RADII, SPREADS, Bank, power_spectrum, ranked_values
from models.synthnet import FIELDS, SynthNet
from models.synthtrain import by_ring, draw_conditions, measure


def normal_bank() -> Bank:
    """Return a bank whose marginal is the normal distribution everywhere."""
    rng = np.random.Generator(np.random.Philox(key=1))
    ranks = np.quantile(rng.standard_normal(400_000), PROBABILITIES).astype(np.float32)
    table = torch.from_numpy(np.broadcast_to(ranks, (len(RADII), len(SPREADS), len(GREYS), len(ranks))).copy())
    empty = torch.zeros(1, 1, 1)
    return Bank(empty, empty, torch.zeros(1, 2), table)


def filtered(power: torch.Tensor, rng: torch.Generator, repeats: int) -> torch.Tensor:
    """Return Gaussian fields (N, repeats, S, S) of a power spectrum (N, S, S // 2 + 1)."""
    size = power.shape[1]
    waves = torch.fft.rfft2(torch.randn(len(power), repeats, size, size, generator=rng))
    return torch.fft.irfft2(waves * torch.sqrt(power)[:, None], s=(size, size))


def test_the_spectrum_is_the_closed_form_of_newsons_model() -> None:
    emulsion = torch.tensor([[np.log(0.5), 0.8]])
    found = by_ring(power_spectrum(emulsion, torch.tensor([0.5]), 128))[0].numpy()
    grain = BooleanGrain(0.5, 0.8).render(np.full((512, 512, 1), 0.5), 1.0, 3)[:, :, 0]
    rendered = by_ring(torch.from_numpy(np.abs(np.fft.rfft2(grain / grain.std())) ** 2 / grain.size).float()[None])[0].numpy()
    strong = found > 0.02 * found.max()
    assert np.abs(10 * np.log10(found / rendered))[strong].max() < 0.6


def test_grain_of_the_right_kind_costs_next_to_nothing_and_any_other_more() -> None:
    rng, bank = torch.Generator().manual_seed(1), normal_bank()
    emulsion, grey = draw_conditions(rng, 4)
    right = filtered(power_spectrum(emulsion, grey, 128), rng, 12)
    true = measure(right, emulsion, grey, bank)
    wrongs = {"strength": 1.3 * right, "spectrum": torch.randn(right.shape, generator=rng), "marginal": right.sign() * right.abs() ** 1.6}
    for name, wrong in wrongs.items():
        found = measure(wrong, emulsion, grey, bank)
        assert getattr(found, name) > 8 * getattr(true, name)
        assert found.total > true.total


def test_ranks_lie_between_those_of_the_bank() -> None:
    bank = normal_bank()
    bank.ranks[2, 1, 5] = 7.0
    at = torch.tensor([[np.log(RADII[2]), SPREADS[1]]]), torch.tensor([GREYS[5]])
    assert torch.allclose(ranked_values(bank, *at), torch.full((1, 64), 7.0))
    beside = ranked_values(bank, at[0], torch.tensor([0.5 * (GREYS[5] + GREYS[6])]))
    assert torch.allclose(beside, 0.5 * (7.0 + bank.ranks[2, 1, 6]), atol=1e-4)


def test_the_net_gives_what_the_field_says_and_nothing_else() -> None:
    net, rng = SynthNet().eval(), torch.Generator().manual_seed(1)
    field, picture = torch.randn(1, FIELDS, 64, 64, generator=rng), torch.rand(1, 1, 64, 64, generator=rng)
    emulsion = torch.tensor([[-0.7, 0.8]])[:, :, None, None]
    with torch.no_grad():
        whole = net(field, picture, emulsion)
        part = net(field[..., 16:], picture[..., 16:], emulsion)
        assert torch.equal(whole, net(field, picture, emulsion))
    assert torch.allclose(whole[..., 16 + net.halo :], part[..., net.halo :], atol=1e-5)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the bank a matter of a second."""
    for module, name, value in (
        (synthbank, "RADII", (0.6, 1.2)),
        (synthbank, "SPREADS", (0.5, 1.0)),
        (synthbank, "GREYS", (0.2, 0.5, 0.8)),
        (synthbank, "PHOTOGRAPHS", 1),
        (synthbank, "SIZE", 48),
        (synthbank, "SAMPLES", 4),
        (synthtrain, "RADII", (0.6, 1.2)),
        (synthtrain, "SPREADS", (0.5, 1.0)),
        (synthtrain, "GREYS", (0.2, 0.5, 0.8)),
        (synthtrain, "SIZE", 48),
        (synthtrain, "PATCH", 32),
        (synthtrain, "CONDITIONS", 2),
        (synthtrain, "REPEATS", 2),
    ):
        monkeypatch.setattr(module, name, value)


def test_an_interrupted_run_gives_the_same_curve(tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.Generator(np.random.Philox(key=1))
    (tmp_path / "pictures").mkdir()
    Image.fromarray(rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)).save(tmp_path / "pictures" / "one.png")

    def run(out: str, steps: int) -> list[list[str]]:
        words = ["--out", str(tmp_path / out), "--data", str(tmp_path / "pictures"), "--every", "1", "--save", "3"]
        synthtrain.Run(synthtrain.parse([*words, "--steps", str(steps)])).train()
        rows = [line.split(",") for line in (tmp_path / out / "log.csv").read_text("utf-8").splitlines()]
        assert len(rows) == steps + 1
        return [row[3:] for row in rows]  # without step, seconds and the rate, which depends on the number of steps

    monkeypatch.setattr(synthtrain.Run, "rate", lambda self: 1e-3)
    whole = run("whole", 6)
    run("cut", 3)
    assert run("cut", 6) == whole
    assert not any("nan" in value for row in whole for value in row)


def test_the_least_value_is_that_of_a_place_without_disks() -> None:
    low, high = synthbank.value_limits(torch.tensor([[np.log(0.8), 0.8]]), torch.tensor([0.2]))
    model = MonteCarlo(0.8, 0.0, 0.8, 64, 0.0)
    clean = np.full((64, 64, 3), 0.2)
    unit = model(clean, 1.0, 5) / model.strength(clean)
    assert float(low) == pytest.approx(float(unit.min()), rel=0.03)
    assert float(high) == pytest.approx(-4 * float(low), rel=1e-4)
