"""Put grain and noise on clean training patches, in batches, deterministic by the generator given.

Every patch draws one kind of grain: Boolean (physical, intensity-dependent spectrum), filtered (Gaussian, anisotropic or
band-passed), white, or camera (white, strength rising with the square root of light). All but white are signal-dependent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch.nn import functional

from models.boolean import COVERAGES, FREQUENCIES, BooleanGrain

KINDS = ("boolean", "filtered", "white", "camera")
SHARES = (0.36, 0.26, 0.26, 0.12)
HEAVY_SHARES = (0.30, 0.14, 0.48, 0.08)
"""Shares of the second stage of training, which draws heavy levels and white noise more often."""
RADII = (0.1, 0.25, 0.4, 0.55, 0.7, 0.9, 1.2)
NODES = (2, 4, 6)
"""Rows of COVERAGES at which Boolean fields are rendered in training: 0.2, 0.5, 0.8."""
LEVELS = (0.003, 0.2)
"""Range of the peak standard deviation, code value; drawn log-uniformly with a quarter of the mass on 0.004..0.03."""
TOP = 0.27
"""Upper end of the range after the first steps of training, so that 0.2 is not the edge of what the net has seen."""


@dataclass(frozen=True)
class Batch:
    """Hold one training batch: `grainy` and `grain` (N, 3, H, W), `deviation` the true strength per channel (N, 3, H, W),
    `hint` the strength map told to the net (N, 1, H, W), `peak` (N, 1, 1, 1)."""

    grainy: torch.Tensor
    grain: torch.Tensor
    deviation: torch.Tensor
    hint: torch.Tensor
    peak: torch.Tensor


@cache
def _boolean_tables() -> tuple[torch.Tensor, torch.Tensor]:
    """Return amplitudes (radii, nodes, frequencies) without point spread and strength curves (radii, 33), peak 1."""
    values = np.linspace(0, 1, 33)
    grains = [BooleanGrain(radius, 0.0) for radius in RADII]
    amplitude = np.sqrt(np.array([grain.spectra[list(NODES)] for grain in grains]))
    curve = np.array([BooleanGrain(radius, 0.8).strength(values, 1.0) for radius in RADII])
    return torch.tensor(amplitude, dtype=torch.float32), torch.tensor(curve, dtype=torch.float32)


def _uniform(rng: torch.Generator, count: int, low: float, high: float) -> torch.Tensor:
    return torch.rand(count, generator=rng) * (high - low) + low


def draw_levels(rng: torch.Generator, count: int, top: float, *, heavy: bool) -> torch.Tensor:
    """Return peak standard deviations (N,), `top` at most; `heavy` draws two fifths of them evenly from 0.04 to 0.22."""
    low, high = np.log(LEVELS[0]), np.log(top)
    wide = torch.exp(_uniform(rng, count, low, high))
    light = torch.exp(_uniform(rng, count, np.log(0.004), np.log(0.03)))
    levels = torch.where(torch.rand(count, generator=rng) < 0.25, light, wide)
    if not heavy:
        return levels
    return torch.where(torch.rand(count, generator=rng) < 0.4, _uniform(rng, count, 0.04, 0.22), levels)


def _lookup(curve: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
    """Return curve (N, K) evaluated at picture (N, C, H, W), knots evenly spaced on 0..1."""
    knots = curve.shape[1] - 1
    place = picture.clamp(0, 1) * knots
    low = place.floor().clamp(max=knots - 1)
    flat = low.long().flatten(1)
    left, right = curve.gather(1, flat).view_as(picture), curve.gather(1, flat + 1).view_as(picture)
    return left + (place - low) * (right - left)


def _random_curves(rng: torch.Generator, count: int) -> torch.Tensor:
    """Return smooth strength curves (N, 33), peak 1, as film scans show them: a broad hump, never zero."""
    value = torch.linspace(0, 1, 33)[None]
    centre, width = _uniform(rng, count, 0.1, 0.7)[:, None], _uniform(rng, count, 0.15, 0.8)[:, None]
    floor = _uniform(rng, count, 0.15, 1.0)[:, None]
    curve = floor + (1 - floor) * torch.exp(-0.5 * ((value - centre) / width) ** 2)
    return curve / curve.amax(1, keepdim=True)


def _camera_curves(rng: torch.Generator, count: int) -> torch.Tensor:
    value = torch.linspace(0, 1, 33)[None]
    read = _uniform(rng, count, 0.02, 0.4)[:, None]
    curve = torch.sqrt(read + value ** _uniform(rng, count, 0.7, 1.4)[:, None])
    return curve / curve.amax(1, keepdim=True)


def _frequencies(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None]


def _filtered_amplitudes(rng: torch.Generator, count: int, size: int) -> torch.Tensor:
    """Return amplitudes (N, size, size/2+1): Gaussian, half of them anisotropic, a third with a dip at low frequencies."""
    fy, fx = _frequencies(size)
    spread = torch.exp(_uniform(rng, count, np.log(0.25), np.log(2.2)))[:, None, None]
    stretch = torch.exp(_uniform(rng, count, -0.4, 0.4))[:, None, None]
    stretch = torch.where(torch.rand(count, 1, 1, generator=rng) < 0.5, stretch, torch.ones(1))
    square = (fy * stretch) ** 2 + (fx / stretch) ** 2
    low = torch.exp(-2 * np.pi**2 * spread**2 * square)
    wide = torch.exp(-2 * np.pi**2 * (2.5 * spread) ** 2 * square)
    dip = _uniform(rng, count, 0.2, 0.8)[:, None, None] * (torch.rand(count, 1, 1, generator=rng) < 0.35)
    return low * (1 - dip * wide)


def _boolean_amplitudes(rng: torch.Generator, radius: torch.Tensor, size: int) -> torch.Tensor:
    """Return amplitudes (N, nodes, size, size/2+1) for indices into RADII."""
    fy, fx = _frequencies(size)
    distance = torch.sqrt(fy**2 + fx**2)
    place = distance * (len(FREQUENCIES) - 1) / float(FREQUENCIES[-1])
    low = place.floor().clamp(max=len(FREQUENCIES) - 2).long()
    table = _boolean_tables()[0][radius]
    rows = table[:, :, low] + (place - low) * (table[:, :, low + 1] - table[:, :, low])
    psf = _uniform(rng, len(radius), 0.3, 1.15)[:, None, None, None]
    return rows * torch.exp(-2 * np.pi**2 * psf**2 * distance**2)


def _fields(waves: torch.Tensor, amplitude: torch.Tensor) -> torch.Tensor:
    """Filter white noise, given by its spectrum (N, 3, S, S/2+1), by amplitude (N, S, S/2+1) to unit standard deviation."""
    size = waves.shape[-2]
    twice = torch.full((amplitude.shape[-1],), 2.0)
    twice[0], twice[-1] = 1.0, 1.0
    power = (amplitude**2 * twice).sum((1, 2), keepdim=True) / size**2
    shaped = waves * (amplitude / torch.sqrt(power))[:, None]
    return torch.fft.irfft2(shaped, s=(size, size))


def _white(rng: torch.Generator, count: int, size: int, frames: int) -> torch.Tensor:
    """Return white fields (N, 3, S, S) whose channels correlate by 0..0.95, half of them not at all."""
    own = torch.randn(count, 3, size, size, generator=rng)
    shared = torch.randn(count, 1, size, size, generator=rng)
    shots = count // frames
    tie = _uniform(rng, shots, 0, 0.95) * (torch.rand(shots, generator=rng) < 0.5)
    tie = tie.repeat_interleave(frames)[:, None, None, None]
    return torch.sqrt(1 - tie) * own + torch.sqrt(tie) * shared


def _boolean_field(rng: torch.Generator, clean: torch.Tensor, white: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
    """Return unit fields for clean pictures; `radius` (indices into RADII) has one entry for every frame or for every shot."""
    size = clean.shape[-1]
    amplitude = _boolean_amplitudes(rng, radius, size).repeat_interleave(len(clean) // len(radius), 0)
    waves = torch.fft.rfft2(white)
    fields = [_fields(waves, amplitude[:, node]) for node in range(len(NODES))]
    place = (clean - float(COVERAGES[NODES[0]])) / float(COVERAGES[NODES[1]] - COVERAGES[NODES[0]])
    place = place.clamp(0, len(NODES) - 1)
    field = torch.zeros_like(clean)
    for node, layer in enumerate(fields):
        field += (1 - (place - node).abs()).clamp(min=0) * layer
    return field


def _grain(rng: torch.Generator, clean: torch.Tensor, kind: torch.Tensor, frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return unit-peak grain and its deviation, both (N, 3, S, S); every `frames` pictures share what is drawn but the grain itself."""
    count, _, size, _ = clean.shape
    field = _white(rng, count, size, frames)
    curve = torch.ones(count, 33)
    boolean, filtered, camera = kind == 0, kind == 1, kind == 3
    if boolean.any():
        radius = torch.randint(len(RADII), (int(boolean.sum()) // frames,), generator=rng)
        field[boolean] = _boolean_field(rng, clean[boolean], field[boolean], radius)
        curve[boolean] = _boolean_tables()[1][radius].repeat_interleave(frames, 0)
    if filtered.any():
        shots = int(filtered.sum()) // frames
        amplitude = _filtered_amplitudes(rng, shots, size).repeat_interleave(frames, 0)
        field[filtered] = _fields(torch.fft.rfft2(field[filtered]), amplitude)
        curve[filtered] = _random_curves(rng, shots).repeat_interleave(frames, 0)
    if camera.any():
        curve[camera] = _camera_curves(rng, int(camera.sum()) // frames).repeat_interleave(frames, 0)
    deviation = _lookup(curve, clean)
    return field * deviation, deviation


def subsample_chroma(picture: torch.Tensor) -> torch.Tensor:
    """Return pictures (N, 3, H, W) as BT.709 4:2:0 shows them: chroma averaged over 2x2 and interpolated back."""
    red, green, blue = picture.unbind(1)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    chroma = torch.stack((blue - luma, red - luma), 1)
    small = functional.avg_pool2d(chroma, 2)
    chroma = functional.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)
    blue, red = luma + chroma[:, 0], luma + chroma[:, 1]
    green = (luma - 0.2126 * red - 0.0722 * blue) / 0.7152
    return torch.stack((red, green, blue), 1)


def _store(rng: torch.Generator, clean: torch.Tensor, grainy: torch.Tensor, frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pass a part of the batch through what files do: clipping, code steps of 8 or 10 bits, 4:2:0 chroma."""
    draw = torch.rand(len(clean) // frames, 3, generator=rng).repeat_interleave(frames, 0)
    clip, steps, chroma = draw[:, 0] < 0.5, draw[:, 1], draw[:, 2] < 0.35
    grainy = torch.where(clip[:, None, None, None], grainy.clamp(0, 1), grainy)
    for low, high, codes in ((0.0, 0.15, 255.0), (0.15, 0.5, 1023.0)):
        rounded = ((steps >= low) & (steps < high))[:, None, None, None]
        grainy = torch.where(rounded, torch.round(grainy * codes) / codes, grainy)
    if chroma.any():
        clean, grainy = clean.clone(), grainy.clone()
        clean[chroma], grainy[chroma] = subsample_chroma(clean[chroma]), subsample_chroma(grainy[chroma])
    return clean, grainy


def strength_map(deviation: torch.Tensor) -> torch.Tensor:
    """Return the root mean square of the channels' deviation, (N, 1, H, W), smoothed as a look-up in a grainy picture is."""
    mean = torch.sqrt((deviation**2).mean(1, keepdim=True))
    return functional.avg_pool2d(mean, 5, stride=1, padding=2, count_include_pad=False)


def degrade(clean: torch.Tensor, rng: torch.Generator, top: float = TOP, *, heavy: bool = False, frames: int = 1) -> Batch:
    """Return a batch of grainy pictures made from clean ones (N, 3, S, S), 0..1, S a multiple of 8.

    Every `frames` pictures in a row are a shot: one kind and strength of grain, drawn anew for each of them.
    """
    shots = len(clean) // frames
    kind = torch.multinomial(torch.tensor(HEAVY_SHARES if heavy else SHARES), shots, replacement=True, generator=rng)
    peak = draw_levels(rng, shots, top, heavy=heavy).repeat_interleave(frames)[:, None, None, None]
    unit, deviation = _grain(rng, clean, kind.repeat_interleave(frames), frames)
    deviation = deviation * peak
    clean, grainy = _store(rng, clean, clean + unit * peak, frames)
    told_curve = (torch.rand(shots, 1, 1, 1, generator=rng) < 0.5).repeat_interleave(frames, 0)
    hint = torch.where(told_curve, strength_map(deviation), peak.expand(-1, 1, *clean.shape[2:]))
    hint = hint * torch.exp(0.12 * torch.randn(shots, 1, 1, 1, generator=rng)).repeat_interleave(frames, 0)
    return Batch(grainy, grainy - clean, deviation, hint, peak)


def greyed(picture: torch.Tensor) -> torch.Tensor:
    """Return pictures (N, 3, H, W) without colour: BT.709 luma in all three channels."""
    luma = (picture * torch.tensor([0.2126, 0.7152, 0.0722])[:, None, None]).sum(1, keepdim=True)
    return luma.expand(-1, 3, -1, -1).contiguous()


def one_channel(batch: Batch) -> Batch:
    """Return a batch of grey pictures with one of their channels, (N, 1, H, W)."""
    parts = {name: getattr(batch, name)[:, 1:2].contiguous() for name in ("grainy", "grain", "deviation")}
    return replace(batch, **parts)
