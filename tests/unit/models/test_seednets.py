"""The seed's networks, losses and tasks: sizes, shapes, MS-SSIM against a slow twin, and grain that freezes."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs `pip install -e .[train]`")
metrics = pytest.importorskip("skimage.metrics")

from models import seedlosses
from models.seednets import PatchGAN, ResUNet, UNet, parameters
from models.seedtasks import TASKS, in_channels


@pytest.mark.parametrize(
    ("make", "millions"),
    [(lambda: UNet(4, 3), 16.7), (lambda: ResUNet(4, 3), 32.4), (lambda: PatchGAN(7), 2.8)],
    ids=["unet", "res", "gan"],
)
def test_sizes_are_the_published_ones(make, millions):
    with torch.device("meta"):
        assert parameters(make()) == pytest.approx(millions * 1e6, rel=0.03)


def test_the_names_of_the_seed_are_all_there():
    removal = {f"removal_case_{case}" for case in ("1", "2", "3", "4", "3_gray", "4_gray")}
    assert set(TASKS) == removal | {f"synthesis_case_{case}" for case in ("1", "2", "3", "3_gray")}
    told = {name for name, task in TASKS.items() if task.told}
    assert told == {name for name in TASKS if "synthesis" in name or "removal_case_3" in name}


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("size", [(64, 64), (32, 96)])
def test_any_multiple_of_32_gives_a_picture_of_its_size(name, size):
    task = TASKS[name]
    picture = torch.rand(1, task.channels, *size)
    with torch.no_grad():
        made = task.generator(8).eval()(task.given(picture, torch.tensor([0.05])))
    assert made.shape == picture.shape
    assert float(made.min()) >= 0 and float(made.max()) <= 1


def test_other_sizes_and_channels_are_refused_in_a_sentence():
    net = UNet(3, 3, 8)
    with pytest.raises(ValueError, match="Pad the picture to multiples of 32: 48x64"):
        net(torch.zeros(1, 3, 64, 48))
    with pytest.raises(ValueError, match=r"Give this network \(N, 3, H, W\)"):
        net(torch.zeros(1, 4, 64, 64))


def test_an_answer_of_the_critic_sees_70_pixels():
    critic = PatchGAN(6, 8).eval()
    pictures = torch.rand(1, 6, 128, 128, requires_grad=True)
    answer = critic(pictures[:, :3], pictures[:, 3:])
    answer[0, 0, 7, 7].backward()
    seen = pictures.grad.abs().sum((0, 1, 2)).nonzero()
    assert int(seen.max() - seen.min()) + 1 == 70


def test_synthesis_freezes_since_it_draws_nothing():
    task = TASKS["synthesis_case_3"]
    net = task.generator(8)
    given = task.given(torch.rand(1, 3, 64, 64), torch.tensor([0.1]))
    with torch.no_grad():
        frames = [net(given) for _ in range(2)]
    assert torch.equal(*frames)


def test_the_level_map_holds_each_pictures_level():
    given = TASKS["removal_case_3_gray"].given(torch.zeros(2, 1, 32, 32), torch.tensor([0.01, 0.1]))
    assert given.shape == (2, 2, 32, 32)
    assert given[:, 1].amin((1, 2)).tolist() == given[:, 1].amax((1, 2)).tolist() == pytest.approx([0.01, 0.1])
    assert in_channels(torch.ones(1, 3, 4, 4), 1).mean().item() == pytest.approx(1)


def pair(size: int, strength: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(size)
    place = np.linspace(0, 9, size)
    clean = 0.5 + 0.3 * np.sin(place[:, None]) * np.cos(place[None])
    return clean, np.clip(clean + strength * rng.standard_normal(clean.shape), 0, 1)


def batch(*planes: np.ndarray) -> list:
    return [torch.from_numpy(plane.astype(np.float32))[None, None] for plane in planes]


def slow_ms_ssim(one: np.ndarray, other: np.ndarray, scales: int) -> float:
    """Take scikit-image's local SSIM at each scale, and divide out the light part where only structure counts."""
    shares = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333][:scales])
    result = 1.0
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0, "full": True}
    from scipy.ndimage import gaussian_filter

    for scale, share in enumerate(shares / shares.sum()):
        local = metrics.structural_similarity(one, other, **options)[1]
        if scale < scales - 1:
            a, b = (gaussian_filter(plane, 1.5, truncate=3.5) for plane in (one, other))
            local = local / ((2 * a * b + 1e-4) / (a**2 + b**2 + 1e-4))
        result *= local[5:-5, 5:-5].mean() ** share
        one, other = (p[: len(p) // 2 * 2, : len(p) // 2 * 2].reshape(len(p) // 2, 2, len(p) // 2, 2).mean((1, 3)) for p in (one, other))
    return result


@pytest.mark.parametrize(("size", "scales"), [(16, 1), (64, 3), (187, 5)])
def test_ms_ssim_is_that_of_a_slow_twin(size, scales):
    planes = pair(size)
    assert seedlosses.scales_of(size, size) == scales
    assert seedlosses.ms_ssim(*batch(*planes)).item() == pytest.approx(slow_ms_ssim(*planes, scales), abs=2e-5)


def test_ms_ssim_is_1_for_equals_and_has_a_slope_everywhere():
    clean, grainy = batch(*pair(64))
    assert seedlosses.ms_ssim(clean, clean).item() == pytest.approx(1, abs=1e-5)
    for start in (grainy, 1 - clean, torch.zeros_like(clean)):
        guess = start.clone().requires_grad_()
        seedlosses.mixed_loss(guess, clean).backward()
        assert torch.isfinite(guess.grad).all() and guess.grad.abs().max() > 0


def test_ms_ssim_refuses_the_small_and_the_unequal():
    with pytest.raises(ValueError, match="at least 11x11"):
        seedlosses.ms_ssim(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8))
    with pytest.raises(ValueError, match="one shape"):
        seedlosses.ms_ssim(torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 32, 32))


def test_the_losses_weigh_their_parts_as_published():
    clean, grainy = batch(*pair(64))
    parts = seedlosses.ms_ssim(grainy, clean).item(), seedlosses.weighted_l1(grainy, clean).item()
    assert seedlosses.mixed_loss(grainy, clean).item() == pytest.approx(0.84 * (1 - parts[0]) + 0.16 * parts[1])
    flat = torch.full_like(clean, 0.2)
    assert seedlosses.weighted_l1(flat, flat + 0.1).item() == pytest.approx(0.1, rel=1e-4)
    sure = torch.full((1, 1, 6, 6), 50.0)
    assert seedlosses.adversarial_loss(sure, flat, flat + 0.1).item() == pytest.approx(0.01, rel=1e-4)
    assert seedlosses.critic_loss(sure, -sure).item() == pytest.approx(0, abs=1e-6)
