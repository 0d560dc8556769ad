"""Measure grain that was made for models.results against Newson's Boolean model, on greys and on a ramp.

Everyone lays grain of one emulsion, a disk radius, on the same clean pictures: AV1's synthesis and ours after measuring the truth, the
Gaussian approximation told the radius, and the nets of the manifest's task synth. Another seed of the truth is the floor of every figure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainlayer.grain import analyze, filters, synth
from grainlayer.grain.look import GrainLook
from grainlayer.grain.profile import STRENGTH_KNOTS, GrainProfile
from grainlayer.grain.synth import CODES
from grainlayer.inference.neural import NeuralSynth
from grainlayer.types import Window
from models import results_av1
from models.boolean import BooleanGrain
from models.fine_boolean import FineBoolean
from models.kinds import Av1
from models.results_keep import MISSING, Figures, Keep, cards, digest_code
from models.results_measures import BINS, binned, divergence, kolmogorov, marginal, moments, nss_divergence
from models.results_page import Part, Plot
from tests.bench import cache, metrics
from tests.bench.report import Table

Floats = NDArray[np.float64]

RADII = (0.3, 0.5, 0.8)
PSF = 0.8
LEVEL = 8 / 255
"""Peak standard deviation of the truth, code value."""
SIZE = 512
GREYS = (0.2, 0.5, 0.8)
RAMP = (0.05, 0.95)
SHARED = 0.3
"""Share of the truth's disks that all channels have in common, and the correlation of any two channels of the approximation."""
SEEDS = (41, 42)
"""Seeds of the two frames of everyone. Distributions are those of the first; the truth's second frame is the floor."""
VERSION = 2
TRUTH, FLOOR, AV1, OURS, GAUSSIAN = "truth", "floor: the truth's other seed", "AV1, fitted", "ours, measured", "Gaussian approximation"
COLUMNS = MappingProxyType(
    {
        "strength": ("strength, %", 100.0, ".1f"),
        "spectrum": ("spectrum, dB", 1.0, ".2f"),
        "autocorrelation": ("autocorr.", 1.0, ".3f"),
        "ks": ("KS", 1.0, ".4f"),
        "ks_shape": ("KS of shape", 1.0, ".4f"),
        "jsd": ("JSD, 1e-4", 1e4, ".2f"),
        "skewness": ("skewness", 1.0, "+.3f"),
        "kurtosis": ("kurtosis", 1.0, "+.3f"),
        "nss": ("JSD-NSS, 1e-4", 1e4, ".2f"),
        "covariance": ("covariance, %", 100.0, ".1f"),
        "frames": ("frames", 1.0, "+.4f"),
        "repetition": ("repetition", 1.0, ".2f"),
    }
)
"""Heading, factor and form of every figure."""
WORDS = (
    "Grain of Newson's Boolean model, disks of .3, .5 and .8 pixel drawn eight times finer than the picture and seen through a point "
    "spread of .8 pixel, with a peak standard deviation of 8/255, on greys of .2, .5 and .8 and on a ramp from .05 to .95, 512x512. AV1's "
    "synthesis: a table of lag 3, its filters fitted to the autocorrelation on the greys (Yule and Walker), its scaling to the measured "
    "strength, 10 bits, 4:4:4. Ours: the profile that our analysis measures on the grainy pictures, less a plane each. The Gaussian "
    "approximation is told the radius.",
    "**strength**: RMS relative error over 16 intensity bins and the channels. **spectrum**: RMS difference of 32 radial bands, strengths "
    "made equal. **autocorr.**: greatest difference over lags -5 to 5. **KS**: greatest difference of the distribution of values from the "
    "truth's; **of shape**: the same with both standard deviations made 1. **JSD**: of the distributions, 101 bins over 5 standard "
    "deviations of the truth, nats. Skewness and excess kurtosis are the grain's own. **JSD-NSS**: of the products of neighbours of the "
    "normalised luma, 149 bins on -3 to 3, mean of four directions, nats. **covariance**: relative error of the channels' (Frobenius). "
    "**frames**: correlation with the next frame. **repetition**: greatest autocorrelation beyond 16 pixels over the truth's own.",
)
Lay = Callable[[Floats, int], Floats]
"""Takes a clean picture (H, W, 3), 0..1, and a seed, and returns its grain."""


def bases() -> dict[str, Floats]:
    """Return the clean pictures by name, (512, 512, 3)."""
    found = {f"grey {grey:g}": np.full((SIZE, SIZE, 3), grey) for grey in GREYS}
    row = np.linspace(*RAMP, SIZE)[None, :, None]
    return found | {"ramp": np.ascontiguousarray(np.broadcast_to(row, (SIZE, SIZE, 3)))}


def truth_key(radius: float) -> list[Any]:
    """Return what the truth of a radius is kept under."""
    return [VERSION, radius, PSF, SHARED, round(LEVEL, 6), SIZE, list(SEEDS)]


@lru_cache(maxsize=8)
def truth(radius: float, name: str) -> Floats:
    """Return the true grain of a picture, two frames (2, 512, 512, 3), rendered on first sight and kept as a file."""
    folder = cache.PLACE / "truth"
    path = folder / f"boolean-{VERSION}-{radius:g}-{name.replace(' ', '-')}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        render, base = FineBoolean(radius=radius, psf=PSF, shared=SHARED), bases()[name]
        made = np.stack([render(base, LEVEL, seed) for seed in SEEDS]).astype(np.float32)
        partial = path.with_name(f".partial-{path.name}")
        np.savez(partial, grain=made)
        partial.replace(path)
    with np.load(path) as held:
        return held["grain"].astype(np.float64)


def less_plane(window: Window) -> NDArray[np.float32]:
    """Return the middle of a window (T, H, W, 3) less the plane that fits it best: all that is not grain on greys and ramps."""
    picture = window[len(window) // 2].astype(np.float64)
    height, width = picture.shape[:2]
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    basis = np.linalg.qr(np.stack((np.ones(y.size), y.ravel(), x.ravel()), axis=1))[0]
    flat = picture.reshape(-1, 3)
    return np.ascontiguousarray((flat - basis @ (basis.T @ flat)).reshape(picture.shape), np.float32)


@lru_cache(maxsize=4)
def measured_profile(radius: float) -> GrainProfile:
    """Return the profile that our analysis measures on the grainy pictures of a radius."""
    pictures = [(base + truth(radius, name)[0]).astype(np.float32) for name, base in bases().items()]
    samples = analyze.split_samples([analyze.Sample(picture) for picture in pictures], less_plane)
    return analyze.measure_profile(samples, less_plane, SIZE)


def lay_ours(radius: float) -> Lay:
    """Return our synthesis of the measured profile."""
    plan = synth.prepare(measured_profile(radius), GrainLook(), SIZE, SIZE)
    return lambda base, seed: synth.render(plan, np.ascontiguousarray(base, np.float32), seed=seed).astype(np.float64)


def lay_av1(radius: float) -> Lay:
    """Return AV1's synthesis, its table fitted to the truth on the greys and to the measured curve of strength."""
    curve = np.sqrt((measured_profile(radius).strength_curve() ** 2).mean(axis=0))
    greys = [truth(radius, name)[0] for name in bases() if name != "ramp"]
    table = results_av1.fit_table(greys, curve, np.linspace(0, 1, STRENGTH_KNOTS))
    kind = Av1(table)
    return lambda base, seed: kind(base, float(curve.max()), seed)


def lay_gaussian(radius: float) -> Lay:
    """Return the Gaussian approximation, told the radius and the point spread."""
    grain = BooleanGrain(radius, PSF)
    return lambda base, seed: grain.render(base, LEVEL, seed, SHARED)


def neural_grain(model_id: str, base: Floats, radius: float, psf: float, level: float, seed: int) -> Floats:
    """Return a net's grain (H, W, 3) for a clean picture (H, W, 3), code value; radius and point spread in pixels, peak `level`.

    Raise ModelError if there is no such model.
    """
    synth = NeuralSynth("cpu", model_id)
    curve = FineBoolean(radius, psf=psf).strength(np.linspace(0, 1, CODES)) * level
    alike = np.where(np.eye(3, dtype=bool), 1.0, SHARED)
    plan = synth.plan_emulsion((radius, psf), np.repeat(curve[None], 3, axis=0), alike, GrainLook())
    return synth.render(plan, base.astype(np.float32), seed=seed, frame=0).astype(np.float64)


@dataclass(frozen=True)
class Method:
    """Name a way to grain, what its figures are kept under beside the truth's key, and what readies it for a radius."""

    name: str
    key: tuple[str, ...]
    ready: Callable[[float], Lay]


def methods() -> list[Method]:
    """Return the truth, its floor, AV1's synthesis, ours, the approximation, and the manifest's models of the task synth."""
    code = digest_code(analyze, synth, filters)
    found = [
        Method(TRUTH, (TRUTH,), lambda radius: lambda base, seed: _known(radius, base, SEEDS.index(seed))),
        Method(FLOOR, (FLOOR,), lambda radius: lambda base, seed: _known(radius, base, 1 - SEEDS.index(seed))),
        Method(AV1, (AV1, code, digest_code(results_av1)), lay_av1),
        Method(OURS, (OURS, code), lay_ours),
        Method(GAUSSIAN, (GAUSSIAN,), lay_gaussian),
    ]
    for card in cards("synth"):
        found.append(Method(card.id, (card.sha256,), _net(card.id)))
    return found


def _net(model_id: str) -> Callable[[float], Lay]:
    return lambda radius: lambda base, seed: neural_grain(model_id, base, radius, PSF, LEVEL, seed)


def _known(radius: float, base: Floats, frame: int) -> Floats:
    """Return a frame of the truth of one of the pictures."""
    name = next(name for name, own in bases().items() if np.array_equal(own, base))
    return truth(radius, name)[frame]


def measure(grain: Floats, true: Floats, base: Floats) -> Figures:
    """Return how far grain is from the truth, both (2, H, W, 3): see WORDS; and its radial spectrum and its strength by intensity."""
    first, wanted, clean = grain[:1], true[:1], base[None]
    power, true_power = metrics.luma_power(first), metrics.luma_power(wanted)
    own, other = marginal(first), marginal(wanted)
    skewness, kurtosis = moments(first)
    return {
        "strength": metrics.strength_error(first, wanted, clean),
        "spectrum": metrics.spectrum_error(power, true_power),
        "autocorrelation": metrics.autocorrelation_error(power, true_power),
        "ks": kolmogorov(own, other),
        "ks_shape": kolmogorov(own.scaled(1 / float(first.std())), other.scaled(1 / float(wanted.std()))),
        "jsd": divergence(*(binned(part, BINS * float(wanted.std())) for part in (own, other))),
        "skewness": skewness,
        "kurtosis": kurtosis,
        "nss": nss_divergence(first[0] + base, wanted[0] + base),
        "covariance": metrics.covariance_error(first, wanted),
        "frames": metrics.frame_correlation(grain),
        "repetition": metrics.repetition(first) / metrics.repetition(wanted),
        "radial": metrics.radial_spectrum(power).tolist(),
        "curve": [None if np.isnan(v) else float(v) for v in metrics.strength_by_intensity(first, clean).mean(axis=0)],
    }


Rows = dict[str, dict[str, Figures | None]]
"""Figures by method and picture."""


def gather(keep: Keep, radius: float) -> Rows:
    """Return the figures of all methods on all pictures of a radius."""
    rows: Rows = {}
    for method in methods():
        keep.say(f"synthesis: radius {radius:g}, {method.name}")
        lay = lru_cache(maxsize=1)(method.ready)
        for name, base in bases().items():

            def compute(lay: Callable[[float], Lay] = lay, name: str = name, base: Floats = base) -> Figures:
                made = np.stack([lay(radius)(base, seed) for seed in SEEDS])
                return measure(made, truth(radius, name), base)

            key = [*truth_key(radius), name, *method.key]
            rows.setdefault(method.name, {})[name] = keep.figures("synthesis", key, compute)
    return rows


def _cell(held: list[Figures | None], key: str) -> str:
    """Return the mean of one figure, by its form; only where all pictures were measured."""
    there = [float(found[key]) for found in held if found is not None]
    _, factor, form = COLUMNS[key]
    return format(factor * float(np.mean(there)), form) if len(there) == len(held) else MISSING


def _row(name: str, held: list[Figures | None]) -> list[str]:
    """Return the cells of a method; the truth's own hold what does not compare it with itself."""
    own = ("skewness", "kurtosis", "frames")
    return ["-" if name == TRUTH and key not in own else _cell(held, key) for key in COLUMNS]


def tables(radius: float, rows: Rows) -> tuple[Table, Table]:
    """Return the means over the pictures, and all of them."""
    head = [heading for heading, _, _ in COLUMNS.values()]
    means = [[name, *_row(name, list(held.values()))] for name, held in rows.items()]
    each = [[picture, name, *_row(name, [held[picture]])] for picture in bases() for name, held in rows.items()]
    return (
        Table(f"Disks of {radius:g} pixel: means of the four pictures", ["", *head], means),
        Table(f"Disks of {radius:g} pixel: each picture", ["picture", "", *head], each),
    )


def curves_plot(by_radius: dict[float, Rows]) -> Plot:
    """Return the radial spectrum on the middle grey and the strength on the ramp, a column a radius."""

    def draw(figure: Any) -> None:
        panels = figure.subplots(2, len(by_radius), squeeze=False)
        for column, (radius, rows) in enumerate(by_radius.items()):
            upper, lower = panels[:, column]
            for name in (name for name in rows if name != FLOOR):
                style = {"color": "black", "linewidth": 2.5, "alpha": 0.5} if name == TRUTH else {"linewidth": 1.0}
                _draw_method(upper, lower, rows[name], label=name, **style)
            upper.set(title=f"radius {radius:g}", xlabel="cycles a pixel, on grey .5", ylabel="dB", ylim=(-40, 10))
            lower.set(xlabel="code value, ramp", ylabel="standard deviation")
        if panels[1, 0].lines:
            panels[1, 0].legend(fontsize=7)

    return Plot("synthesis.png", "Spectrum on a middle grey and strength on a ramp", draw, (11.0, 5.6))


def _draw_method(upper: Any, lower: Any, held: dict[str, Figures | None], **style: Any) -> None:
    grey, ramp = held["grey 0.5"], held["ramp"]
    if grey is not None:
        radial = np.array(grey["radial"])
        upper.plot((np.arange(len(radial)) + 0.5) / (2 * len(radial)), 10 * np.log10(np.maximum(radial, 1e-9)), **style)
    if ramp is not None:
        known = [((place + 0.5) / len(ramp["curve"]), value) for place, value in enumerate(ramp["curve"]) if value is not None]
        lower.plot(*zip(*known, strict=True), **style)


def part(keep: Keep, every: int = 1) -> Part:
    """Return the section; `keep` decides whether what is missing is measured, for every `every`-th radius."""
    by_radius = {radius: gather(keep, radius) for radius in RADII[::every]}
    made = [tables(radius, rows) for radius, rows in by_radius.items()]
    shown = [means for means, _ in made] + [each for _, each in made]
    return Part("Synthesis", list(WORDS), shown, [curves_plot(by_radius)], {"rows": by_radius})
