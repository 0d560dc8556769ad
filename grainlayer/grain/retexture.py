"""Turn a texture map into what the synthesiser's loop reads: a scale, a tilt and blend weights on a raster of cells.

Spatial frequency and directionality are reached by blending in up to four further fields: finer, coarser, leaning to horizontal
and to vertical frequencies, as far out as the map's furthest code. The weight of each code is found so that the blend's
gradients change as the code says: 1/8 octave of gradient over standard deviation, or 1/2 decibel of gradient along x over y.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from grainlayer.grain.filters import Bank, Spectrum, amplitudes, axes, quadrant_mean
from grainlayer.grain.profile import RADII
from grainlayer.grain.texture import TextureMap

Floats = NDArray[np.float64]
Table = NDArray[np.float32]

STEPS = 2.0**20
"""Weights are rounded to this many steps a unit, so that the last bits of a machine's functions do not count."""
VARIANCE, CONTRAST, FREQUENCY, DIRECTION = range(4)
FINER, COARSER = 1.5, 0.75
"""Decibels an octave by which one code of frequency tilts its furthest field, beside scaling it."""
OCTAVE, TILT, DECIBEL = 1 / 8, 1 / 16, 0.5
"""What one code means: octaves of strength or frequency; of the gain where luma departs by 1/4; of gradient power along x over y."""


@dataclass(frozen=True)
class Texture:
    """Hold a texture map ready for synthesis.

    maps (2 or 3 + extras, rows, columns): scale, tilt, then the weights of the profile's own blend and of each further field
    strength (3, 1025), cross (extras, 1025), gram (extras, extras): the further fields' gain, and covariances with the blend
    and among themselves; empty until `with_fields`
    """

    source: TextureMap
    spectra: tuple[Spectrum, ...]
    maps: Table
    strength: Table
    cross: Table
    gram: Table

    @property
    def tilted(self) -> bool:
        """Say whether the map changes grain by local contrast, which needs the base's local means."""
        return bool(self.maps[1].any())

    def with_fields(self, bank: Bank, shares: Floats, strength: Floats) -> Texture:
        """Return the texture with the covariances of the bank's fields; `shares` (fields, 1025) make the unit blend."""
        own = len(shares)
        cross = np.round(bank.gram[own:, :own] @ shares * STEPS) / STEPS
        gram = np.round(bank.gram[own:, own:] * STEPS) / STEPS
        return replace(self, strength=strength.astype(np.float32), cross=cross.astype(np.float32), gram=gram.astype(np.float32))

    def arrays(self) -> dict[str, Table]:
        """Return the arrays by the names the kernel gives them."""
        return {"maps": self.maps, "strength": self.strength, "cross": self.cross, "extra_gram": self.gram}


def plan_texture(texture: TextureMap | None, spectrum: Spectrum) -> Texture | None:
    """Return what synthesis needs of a map for grain of this spectrum; None for a map that changes nothing."""
    if texture is None or texture.plain:
        return None
    codes = texture.grid().astype(np.int64)
    sides = [(feature, sign) for feature in (FREQUENCY, DIRECTION) for sign in (1, -1) if (sign * codes[feature]).max() > 0]
    furthest = [int((sign * codes[feature]).max()) for feature, sign in sides]
    spectra = tuple(_furthest(spectrum, feature, sign * most) for (feature, sign), most in zip(sides, furthest, strict=True))
    maps = [_rounded(2.0 ** (codes[VARIANCE] * OCTAVE)), codes[CONTRAST] * TILT]
    if spectra:
        maps += _weights(codes, spectrum, spectra, sides)
    empty = np.zeros(0, np.float32)
    return Texture(texture, spectra, np.array(maps, np.float32), empty, empty, empty)


def mean_by_block(texture: TextureMap, cells: Table) -> Table:
    """Return means over the map's own blocks of a raster of cells (rows, columns), on the same raster."""
    out = np.empty_like(cells)
    for x, y, size in texture.blocks():
        part = np.s_[y // 16 : (y + size) // 16, x // 16 : (x + size) // 16]
        out[part] = np.add.reduce(cells[part].astype(np.float64), axis=None) / cells[part].size
    return out


def _furthest(spectrum: Spectrum, feature: int, code: int) -> Spectrum:
    """Return a spectrum at least as far out as a code asks for, where a picture's frequencies allow; its weight is then measured."""
    radius = np.array(RADII)
    if feature == FREQUENCY:
        rise = code * (FINER if code > 0 else COARSER) * np.log2(np.maximum(radius, 0.0625) / 0.5)
        level = tuple((np.array(spectrum.level) + rise).tolist())
        return replace(spectrum, level=level, scale=spectrum.scale * 2.0 ** (-code * OCTAVE))
    lean = 1.5 * code * DECIBEL * np.minimum(radius / 0.09, 1)
    return replace(spectrum, direction=tuple((np.array(spectrum.direction) + lean).tolist()))


def _weights(codes: NDArray[np.int64], spectrum: Spectrum, spectra: tuple[Spectrum, ...], sides: list[tuple[int, int]]) -> list[Floats]:
    """Return the blend's weights by cell: the profile's own field, then one a further field."""
    own = amplitudes((spectrum,))[0]
    left = {FREQUENCY: np.ones(codes.shape[1:]), DIRECTION: np.ones(codes.shape[1:])}
    weights: list[Floats] = []
    for (feature, sign), other in zip(sides, spectra, strict=True):
        table = _weight_by_code(feature, own, amplitudes((other,))[0], int((sign * codes[feature]).max()))
        weight = table[np.maximum(sign * codes[feature], 0)]
        weights.append(weight)
        left[feature] = left[feature] - weight
    return [left[FREQUENCY] * left[DIRECTION], *weights]


def _weight_by_code(feature: int, own: Floats, other: Floats, most: int) -> Floats:
    """Return the weight (most + 1,) of the other field for codes 0..most; 1 where even that does not reach."""
    tries = np.linspace(0, 1, 65)
    blends = ((1 - tries)[:, None, None] * own + tries[:, None, None] * other) ** 2
    reached = np.abs(_measure(feature, blends) - _measure(feature, own[None] ** 2))
    wanted = np.arange(most + 1) * (OCTAVE if feature == FREQUENCY else DECIBEL)
    rising = np.maximum.accumulate(reached) + np.arange(len(tries)) * 1e-9
    return _rounded(np.interp(wanted, rising, tries))


def _measure(feature: int, power: Floats) -> Floats:
    """Return octaves of gradient over standard deviation, or decibels of gradient power along x over y, of spectra (n, g, g)."""
    fy, fx = axes()
    along, across = quadrant_mean(power * np.sin(np.pi * fx) ** 2), quadrant_mean(power * np.sin(np.pi * fy) ** 2)
    if feature == FREQUENCY:
        return 0.5 * np.log2((along + across) / quadrant_mean(power))
    return 10 * np.log10(along / across)


def _rounded(values: Floats) -> Floats:
    return np.round(values * STEPS) / STEPS
