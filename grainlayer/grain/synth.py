"""Make grain of a profile on a base: any frame, any window, any thread, the same bits.

Channel c's grain at a pixel is the sum over spectrum nodes f of gain(c, f)(base code value there) times field(f, c), where the
fields are one white noise, mixed between channels to the profile's correlation and filtered by node f's kernel. The gains are
strength curve times blend of the nodes over the blend's standard deviation, times the look's gains.

A texture map scales, tilts and re-blends by cells of 16 pixels, bilinear between cell centres. Tilt: the gain is multiplied
by 1 + contrast/16 * clamp(4 * (luma - local mean), -1, 1), the local mean being the base's over the map's own block.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainlayer.errors import GrainlayerError, ParamError
from grainlayer.grain.filters import Bank, Spectrum, design, retained
from grainlayer.grain.look import GrainLook
from grainlayer.grain.noise import check_seed, quantiles
from grainlayer.grain.profile import NODES, STRENGTH_KNOTS, GrainProfile
from grainlayer.grain.retexture import Texture, mean_by_block, plan_texture
from grainlayer.grain.texture import TextureMap
from grainlayer.native import address, kernel, members, run_rows
from grainlayer.types import Image, check_image

Floats = NDArray[np.float64]
Table = NDArray[np.float32]

CODES = 1025
"""Entries of a gain table: code values 0, 1/1024 ... 1; a base beyond takes the end's."""
GAIN_STEPS = 2.0**30
"""Gains are rounded to this many steps a code value, so that the last bits of a machine's functions do not count."""


@dataclass(frozen=True)
class SynthPlan:
    """Hold what all frames of a shot share.

    height, width   of the whole picture
    bank            the filters: one a node, or one for all, then the texture's
    mix (3, 3)      float32, channel c's noise = sum over k of mix[c, k] * stream k
    gain (3, fields, 1025)   float32, by code value
    """

    height: int
    width: int
    look: GrainLook
    fields: int
    bank: Bank
    mix: Table
    gain: Table
    texture: Texture | None = None

    @property
    def planes(self) -> int:
        """Return 1 if all channels share one noise, else 3."""
        return 1 if bool((self.mix == self.mix[0]).all()) else 3


def prepare(profile: GrainProfile, look: GrainLook, height: int, width: int, texture: TextureMap | None = None) -> SynthPlan:
    """Return the plan for pictures of height x width pixels.

    Grain measured at another height is rescaled: smaller pictures lose what lies beyond their finest frequency, larger ones get
    coarser grain of the same strength. Raises ParamError if the texture map is for another size of picture.
    """
    if texture is not None and (texture.height, texture.width) != (height, width):
        raise ParamError(f"The texture map is for {texture.width}x{texture.height} pixels, the picture has {width}x{height}.")
    spectra = _spectra(profile, look, height)
    extra = plan_texture(texture, spectra[len(spectra) // 2])
    bank = design(spectra, extra.spectra if extra else ())
    blend = _blend(len(spectra))
    deviation = np.sqrt(np.maximum(np.einsum("fi,gi,fg->i", blend, blend, bank.gram[: len(blend), : len(blend)]), 1e-12))
    strength = delivered_strength(profile, look, height)
    gain = np.round(strength[:, None] * (blend / deviation) * GAIN_STEPS) / GAIN_STEPS
    if extra and extra.spectra:
        extra = extra.with_fields(bank, blend / deviation, np.round(strength * GAIN_STEPS) / GAIN_STEPS)
    mix = correlation_root(profile.correlation_matrix()).astype(np.float32)
    return SynthPlan(height, width, look, len(spectra), bank, mix, gain.astype(np.float32), extra)


def render(
    plan: SynthPlan,
    base: Image,
    *,
    seed: int | None = None,
    frame: int = 0,
    origin: tuple[int, int] = (0, 0),
    rows: tuple[int, int] | None = None,
    amount: float = 1.0,
    add: bool = False,
    threads: int | None = None,
    out: Image | None = None,
    local_luma: Table | None = None,
) -> Image:
    """Return amount * grain for the base's pixels, or base + amount * grain if `add`; nothing is clipped.

    base (H, W, 3) is the window of the picture whose first pixel is origin (x, y), code values; `rows` (first, end) asks for
    those of its rows alone. seed None takes the look's; frame is the index in the source. The look's amount is not applied.
    `out` (rows, W, 3) takes the result, and may be the base itself when all rows are asked for. `local_luma` is `local_luma(plan,
    picture)` of the whole base, needed only where a texture map tilts and the base is a part. Raises ParamError.
    """
    check_image("base", base)
    first, end = rows if rows is not None else (0, base.shape[0])
    if not 0 <= first <= end <= base.shape[0]:
        raise ParamError(f"rows must lie in 0..{base.shape[0]}; got {first}..{end}.")
    result = np.empty((end - first, base.shape[1], 3), np.float32) if out is None else out
    check_image("out", result)
    if result.shape != (end - first, base.shape[1], 3):
        raise ParamError(f"out must have the shape {(end - first, base.shape[1], 3)}; got {result.shape}.")
    mean = _mean(plan, base, local_luma)
    held = Arrays(plan, mean)
    job = held.job(base[first:end], result, (origin[0], origin[1] + first))
    job.seed = check_seed(plan.look.seed if seed is None else seed)
    job.frame, job.amount, job.add = (frame // plan.look.hold) & 0xFFFFFFFF, amount, int(add)
    _run(job, end - first, threads)
    return result


def local_luma(plan: SynthPlan, base: Image) -> Table:
    """Return the base's mean luma over the texture map's blocks, on its raster of cells; the base is the whole picture."""
    check_image("base", base)
    if base.shape[:2] != (plan.height, plan.width):
        raise ParamError(f"The whole picture of {plan.width}x{plan.height} is needed; got {base.shape[1]}x{base.shape[0]}.")
    cells = np.empty((-(-plan.height // 16), -(-plan.width // 16)), np.float32)
    sums = kernel("grainlayer_cell_luma", ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
    sums(address(base), plan.width, plan.height, address(cells))
    return cells if plan.texture is None else mean_by_block(plan.texture.source, cells)


def correlation_root(matrix: Floats) -> Floats:
    """Return a lower triangular root (3, 3) of the nearest correlation matrix; rows of dependent channels have zero columns."""
    values, vectors = np.linalg.eigh(matrix)
    nearest = (vectors * np.maximum(values, 0)) @ vectors.T
    scale = np.sqrt(np.diag(nearest))
    nearest = np.round(nearest / np.outer(scale, scale) * 2.0**24) / 2.0**24
    root = np.zeros((3, 3))
    for row in range(3):
        for column in range(row):
            rest = nearest[row, column] - root[row, :column] @ root[column, :column]
            root[row, column] = rest / root[column, column] if root[column, column] > 0 else 0.0
        own = nearest[row, row] - root[row, :row] @ root[row, :row]
        root[row, row] = np.sqrt(own) if own > 1e-6 else 0.0
    return root / np.sqrt((root * root).sum(axis=1, keepdims=True))


def main_spectrum(profile: GrainProfile, look: GrainLook, height: int) -> Spectrum:
    """Return the spectrum of grain on middle grey, as delivered on pictures `height` pixels high."""
    spectra = _spectra(profile, look, height)
    return spectra[len(spectra) // 2]


def delivered_strength(profile: GrainProfile, look: GrainLook, height: int) -> Floats:
    """Return standard deviations by channel and code value, (3, 1025), on pictures `height` pixels high, with the look's gains."""
    count = len(_spectra(profile, look, height))
    return _strength(profile, look) * np.sqrt(_blend(count).T @ _retained(profile, height, count))


def _spectra(profile: GrainProfile, look: GrainLook, height: int) -> tuple[Spectrum, ...]:
    """Return the delivered spectra of the nodes, or one if they are equal."""
    direction = tuple(profile.direction_db().tolist())
    levels = [tuple(row) for row in profile.spectrum_db().tolist()]
    shapes = {tuple(v - row[0] for v in row) for row in levels}
    scale = look.size * height / profile.height
    return tuple(Spectrum(row, direction, scale, look.softness) for row in (levels[:1] if len(shapes) == 1 else levels))


def _blend(count: int) -> Floats:
    """Return each field's share of amplitude by code value, (count, 1025): linear between nodes, constant beyond."""
    codes = np.arange(CODES) / (CODES - 1)
    return np.ones((1, CODES)) if count == 1 else np.array([np.interp(codes, NODES, row) for row in np.eye(count)])


def _retained(profile: GrainProfile, height: int, count: int) -> Floats:
    """Return the share of each field's power that a picture of this height can show, (count,)."""
    direction = tuple(profile.direction_db().tolist())
    rows = [Spectrum(tuple(row), direction) for row in profile.spectrum_db().tolist()[:count]]
    return np.array([retained(row, height / profile.height) for row in rows])


def _strength(profile: GrainProfile, look: GrainLook) -> Floats:
    """Return standard deviations by channel and code value, (3, 1025), with the look's gains."""
    codes = np.arange(CODES) / (CODES - 1)
    knots = np.arange(STRENGTH_KNOTS) / (STRENGTH_KNOTS - 1)
    curves = np.array([np.interp(codes, knots, row) for row in profile.strength_curve()])
    return curves * np.array(look.channel_gains())[:, None] * look.tonal_gain(codes)


def _mean(plan: SynthPlan, base: Image, given: Table | None) -> Table | None:
    """Return the local means that a tilting texture map needs, or None."""
    if plan.texture is None or not plan.texture.tilted:
        return None
    return local_luma(plan, base) if given is None else np.ascontiguousarray(given, np.float32)


class Job(ctypes.Structure):
    """Mirror GrainlayerSynth of native/synth.cpp: the same fields in the same order."""

    _fields_ = members(
        (ctypes.c_void_p, "base out"),
        (ctypes.c_int64, "width x y"),
        (ctypes.c_uint64, "seed"),
        (ctypes.c_uint32, "frame"),
        (ctypes.c_int32, "planes fields extras parts reach"),
        (ctypes.c_void_p, "quantiles mix rows columns gain"),
        (ctypes.c_float, "saturation amount"),
        (ctypes.c_int32, "add cells_x cells_y tilted"),
        (ctypes.c_void_p, "maps mean strength cross extra_gram"),
    )


class Arrays:
    """Keep alive, as float32, the arrays of a plan that a job points to."""

    def __init__(self, plan: SynthPlan, mean: Table | None) -> None:
        """Lay out the plan's arrays as the kernel reads them: middle taps halved, since they meet themselves."""
        self.plan = plan
        halves = np.full(plan.bank.reach + 1, 1.0)
        halves[0] = 0.5
        self.held: dict[str, Table] = {
            "quantiles": quantiles(),
            "mix": plan.mix,
            "rows": (plan.bank.rows * halves).astype(np.float32),
            "columns": (plan.bank.columns * halves).astype(np.float32),
            "gain": plan.gain,
        }
        if plan.texture is not None:
            self.held |= plan.texture.arrays()
        if mean is not None:
            self.held["mean"] = mean

    def job(self, base: Image, out: Image, place: tuple[int, int]) -> Job:
        """Return the job for a window at place (x, y), its seed, frame and amount still unset."""
        plan, texture = self.plan, self.plan.texture
        job = Job(base=address(base), out=address(out), width=base.shape[1], x=place[0], y=place[1])
        job.planes, job.fields, job.extras = plan.planes, plan.fields, len(plan.bank.columns) - plan.fields
        job.parts, job.reach, job.saturation = len(plan.bank.rows), plan.bank.reach, plan.look.saturation
        if texture is not None:
            job.cells_y, job.cells_x = texture.maps.shape[1:]
            job.tilted = int(texture.tilted)
        for name, array in self.held.items():
            setattr(job, name, address(array))
        return job


def _run(job: Job, height: int, threads: int | None) -> None:
    synth = kernel("grainlayer_synth", ctypes.POINTER(Job), ctypes.c_int64, ctypes.c_int64, result=ctypes.c_int32)

    def part(first: int, end: int) -> None:
        if synth(ctypes.byref(job), first, end) != 0:
            raise GrainlayerError("There is too little memory to synthesise grain; render smaller parts of the picture.")

    if job.width > 0:
        run_rows(part, height, threads, least=max(32, 4 * job.reach))
