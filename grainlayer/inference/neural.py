"""Make grain of a profile by a network: it is told the emulsion whose grain the profile's resembles, and given seeded noise.

The noise is that of grain/noise.py, a function of seed, frame and place, also beyond the picture's edges: any tile, window and
order of frames gives the same grain. Strength, channels and look are the profile's, as in grain/synth.py; the network gives texture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from grainlayer.grain.filters import Spectrum
from grainlayer.grain.look import GrainLook
from grainlayer.grain.noise import check_seed, white
from grainlayer.grain.profile import STRENGTH_KNOTS, GrainProfile
from grainlayer.grain.synth import CODES, correlation_root, delivered_strength, main_spectrum
from grainlayer.inference.registry import find_model
from grainlayer.inference.runtime import Model, load
from grainlayer.picture.tiling import tiles
from grainlayer.types import Image, check_image

Floats = NDArray[np.float64]

MODEL = "synth-neural"
FIELDS = 2
"""White fields that a channel's grain is made of, as the network was built."""
CHANNEL = 64
"""The first field's number among the noise's channels: no other grain uses it or the five after it."""
RADII: tuple[float, ...] = tuple(np.exp(np.linspace(np.log(0.25), np.log(1.2), 14)).tolist())
SPREADS: tuple[float, ...] = tuple(np.linspace(0.3, 1.1, 9).tolist())
"""Disk radii and point spreads, pixels, among which an emulsion is sought."""
TILE = 768
GREY = 0.5
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
FREQUENCIES: Floats = np.linspace(0.02, 0.5, 25)
FINE = 16
"""Samples a pixel of the covariance from which a disk's spectrum is found."""


@dataclass(frozen=True)
class NeuralPlan:
    """Hold what all frames of a shot share.

    emulsion (2,)   log radius and point spread, pixels
    gain, offset (3, 1025)   what the network's grain is multiplied by, then what is added, by code value: strength, and no mean
    mix (3, 3)   channel c's fields = sum over k of mix[c, k] * field k
    """

    emulsion: NDArray[np.float32]
    gain: NDArray[np.float32]
    offset: NDArray[np.float32]
    mix: NDArray[np.float32]
    look: GrainLook


class NeuralSynth:
    """Lay grain by the network. Calls may come from any thread."""

    def __init__(self, device: str = "auto", model_id: str = MODEL) -> None:
        """Load the network. Raise ModelError."""
        self.model: Model = load(find_model(model_id, "synth"), device)

    def plan(self, profile: GrainProfile, look: GrainLook, height: int) -> NeuralPlan:
        """Return the plan for pictures `height` pixels high."""
        emulsion = find_emulsion(main_spectrum(profile, look, height))
        return self.plan_emulsion(emulsion, delivered_strength(profile, look, height), profile.correlation_matrix(), look)

    def plan_emulsion(self, emulsion: tuple[float, float], strength: Floats, correlation: Floats, look: GrainLook) -> NeuralPlan:
        """Return the plan for an emulsion: disks' radius and point spread in pixels; the network says what must be evened out.

        strength (3, 1025): standard deviation by channel and code value; correlation (3, 3) of the channels.
        """
        told = np.array([np.log(emulsion[0]), emulsion[1]], np.float32)
        step = self.model.card.multiple_of
        empty = np.zeros((step, step, 3 * FIELDS), np.float32)
        mean, deviation, alike = self.model.run(empty, empty[:, :, :3].copy(), told)[1].astype(np.float64)
        codes, knots = np.arange(CODES) / (CODES - 1), np.arange(STRENGTH_KNOTS) / (STRENGTH_KNOTS - 1)
        gain = strength / np.interp(codes, knots, deviation)
        mix = correlation_root(before_network(correlation, float(alike[len(alike) // 2])))
        offset = -gain * np.interp(codes, knots, mean)
        return NeuralPlan(told, gain.astype(np.float32), offset.astype(np.float32), mix.astype(np.float32), look)

    def render(self, plan: NeuralPlan, base: Image, *, seed: int, frame: int, tile: int = TILE) -> Image:
        """Return grain (H, W, 3) for a whole base; the look's amount is not applied and nothing is clipped. Raise ParamError.

        seed 0..2^64-1; frame is the index in the source. The grain of two frames, or seeds, has nothing in common.
        """
        check_image("base", base)
        check_seed(seed)
        card = self.model.card
        grain = np.empty_like(base)
        height, width = base.shape[:2]
        for part in tiles(height, width, tile, 0, card.multiple_of):
            top, bottom, left, right = part.target
            grain[top:bottom, left:right] = self._part(plan, base, part.target, seed, frame // plan.look.hold)
        if plan.look.saturation != 1:
            grey = (grain @ LUMA)[:, :, None]
            return np.asarray(grey + plan.look.saturation * (grain - grey), np.float32)
        return grain

    def _part(self, plan: NeuralPlan, base: Image, target: tuple[int, int, int, int], seed: int, frame: int) -> Image:
        """Return the grain of a part; the picture goes on beyond its edges as its last rows and columns, the noise as itself."""
        top, bottom, left, right = target
        halo, step = self.model.card.halo, self.model.card.multiple_of
        tall, wide = -(-(bottom - top) // step) * step + 2 * halo, -(-(right - left) // step) * step + 2 * halo
        rows = np.clip(np.arange(top - halo, top - halo + tall), 0, base.shape[0] - 1)
        columns = np.clip(np.arange(left - halo, left - halo + wide), 0, base.shape[1] - 1)
        picture = np.ascontiguousarray(base[np.ix_(rows, columns)])
        noise = np.empty((tall, wide, 3 * FIELDS), np.float32)
        for field in range(FIELDS):
            planes = [white(seed, frame, CHANNEL + 3 * field + c, wide, tall, (left - halo, top - halo)) for c in range(3)]
            for c in range(3):
                noise[:, :, FIELDS * c + field] = sum(plan.mix[c, k] * planes[k] for k in range(3))
        unit = self.model.run(noise, picture, plan.emulsion)[0][halo : halo + bottom - top, halo : halo + right - left]
        return _scale(unit, plan, base[top:bottom, left:right])


def before_network(matrix: Floats, halved: float) -> Floats:
    """Return how channels' fields (3, 3) must correlate for their grain to correlate as `matrix` says.

    The network's grain is in part the square of its fields, whose correlation is the square of theirs: by `halved`, what becomes of a
    correlation of one half, the share of the two is known.
    """
    straight = np.clip((halved - 0.25) / 0.25, 0.3, 1.0)
    bent = max(1 - straight, 1e-6)
    root = np.sqrt(np.maximum(straight**2 + 4 * bent * matrix, 0))
    return np.where(np.eye(3, dtype=bool), 1.0, np.clip((root - straight) / (2 * bent), -1, 1))


def _scale(unit: Image, plan: NeuralPlan, base: Image) -> Image:
    """Return the network's grain (H, W, 3) with the plan's gain and offset at each pixel's code value, linear between entries."""
    place = np.clip(base, 0, 1) * np.float32(CODES - 1)
    low = np.minimum(place.astype(np.int32), CODES - 2)
    share = place - low
    grain = np.empty_like(base)
    for c in range(3):
        at, along = low[:, :, c], share[:, :, c]
        gain, offset = plan.gain[c], plan.offset[c]
        scaled = unit[:, :, c] * (gain[at] + along * (gain[at + 1] - gain[at]))
        grain[:, :, c] = scaled + (offset[at] + along * (offset[at + 1] - offset[at]))
    return grain


@lru_cache(maxsize=64)
def find_emulsion(spectrum: Spectrum) -> tuple[float, float]:
    """Return the disks' radius and the point spread, pixels, whose grain on middle grey has the spectrum nearest to the one wanted.

    Nearest in decibels, both at equal power, averaged over directions, rings weighted by their area and no deeper than 30 dB.
    """
    wanted = 0.5 * (spectrum.power(FREQUENCIES, 0 * FREQUENCIES) + spectrum.power(0 * FREQUENCIES, FREQUENCIES))
    goal = _decibels(wanted)
    table = _emulsions()
    error = (FREQUENCIES * (table - goal) ** 2).sum(axis=2)
    row, column = np.unravel_index(int(np.argmin(error)), error.shape)
    return RADII[row], SPREADS[column]


def _decibels(power: Floats) -> Floats:
    """Return power (..., 25) in decibels against its mean over the plane, -30 at least."""
    mean = (power * FREQUENCIES).sum(axis=-1, keepdims=True) / FREQUENCIES.sum()
    return 10 * np.log10(np.maximum(power / mean, 1e-3))


@lru_cache(maxsize=1)
def _emulsions() -> Floats:
    """Return the spectra in decibels of every radius and spread, (14, 9, 25)."""
    disks = np.array([disk_power(radius, GREY) for radius in RADII])
    blur = np.exp(-4 * np.pi**2 * np.array(SPREADS)[:, None] ** 2 * FREQUENCIES**2)
    return _decibels(disks[:, None] * blur)


def disk_power(radius: float, coverage: float) -> Floats:
    """Return the power at FREQUENCIES of Poisson disks that cover a share of the plane, before any point spread.

    The covariance at distance x is (1 - u)^2 (exp(rate * overlap(x)) - 1) (Newson and others, 2017); a slice of its transform is the
    transform of its sums along one axis.
    """
    half = int(np.ceil(2 * radius * FINE)) + 1
    axis = np.arange(-half, half + 1) / FINE
    x = np.minimum(np.hypot(axis[:, None], axis), 2 * radius)
    overlap = 2 * radius**2 * np.arccos(x / (2 * radius)) - x / 2 * np.sqrt(np.maximum(4 * radius**2 - x**2, 0))
    rate = -np.log1p(-coverage) / (np.pi * radius**2)
    sums = ((1 - coverage) ** 2 * np.expm1(rate * overlap)).sum(axis=0)
    return np.maximum(np.cos(2 * np.pi * FREQUENCIES[:, None] * axis) @ sums, 1e-12)
