"""Undo what a camera or an encoder did to a picture: blocks and ringing, colour at half size, steps of 8 bits.

A net of `restore` models sees a few successive pictures as they were recorded, in 4:2:0 with chroma sited left, those around the middle
one moved to where it shows the same, and how coarsely that was quantised; it gives that one's luma and its chroma at luma's size. Luma is
0..1 from black to white, chroma -0.5..0.5.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from grainlayer.errors import ParamError
from grainlayer.inference.blocksearch import Codes, code_pyramid, find_motions
from grainlayer.inference.deband import LUMA_STEP as STEP
from grainlayer.inference.deband import deband
from grainlayer.inference.motion import align
from grainlayer.inference.registry import find_model
from grainlayer.inference.runtime import Model, check_cancelled, load
from grainlayer.params import ShotParams
from grainlayer.picture.chroma import downsample, upsample
from grainlayer.picture.planes import LUMA_WEIGHTS, Planes, matrix_number, scale, to_image
from grainlayer.picture.quantiser import CELL
from grainlayer.picture.samples import BT709, ColourTags, SampleFormat
from grainlayer.picture.tiling import tiles
from grainlayer.types import Encoding, Image, check_image

Floats = NDArray[np.float32]

TILE, WHOLE = 1024, 2_300_000
"""Pictures of more than WHOLE pixels are run in tiles of TILE pixels a side, halo beside it, so that memory stays bounded."""
HALVED, LEFT = (1, 1), 1
"""Chroma of the nets: half as large both ways, FFmpeg's chroma location left."""
LEAST_QP = 8
"""Estimated quantisers under it are taken for none: such a picture was rounded at most."""
REST = 0.5
"""Share of `deband` that is left to do where a net has restored depth and no codec was at work: it has evened most bands itself, and the
whole strength would cost the flat parts of clips more than half of it does."""
LEAST_SIDE = 32
"""Smaller pictures are extended to it for the estimate of their quantiser."""
QUALITIES = {"default": "restore-default", "real-time": "restore-single", "quality": "restore-quality", "temporal": "restore-default"}
"""Model by the `quality` parameter; that of real-time alone sees no neighbouring pictures."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """Hold a picture as it was recorded.

    luma (H, W) and chroma (ceil(H/2), ceil(W/2), 2)  what a net sees, chroma sited left
    given (H, W, 2)                                   the chroma at luma's size, as linear interpolation at its own siting gives it; None
                                                      where it is `chroma` itself that was stored
    halved                                            whether the chroma is stored at half size both ways: else it is fine enough
    step                                              of the stored luma's codes
    quantiser (ceil(H/8), ceil(W/8))                  QP / 64 by cell of 8x8 pixels, 0 where no codec was at work, None where not known
    """

    luma: Floats
    chroma: Floats
    given: Floats | None = None
    halved: bool = True
    step: float = STEP
    quantiser: Floats | None = None

    @cached_property
    def colour(self) -> Floats:
        """Return the chroma at luma's size (H, W, 2)."""
        return larger(self.chroma, *self.luma.shape[:2]) if self.given is None else self.given

    @cached_property
    def planes(self) -> tuple[Floats, Floats, Floats]:
        """Return Y, Cb and Cr, extended to whole cells."""
        blue, red = (_padded(self.chroma[:, :, part], CELL // 2) for part in range(2))
        return np.ascontiguousarray(_padded(self.luma, CELL)), np.ascontiguousarray(blue), np.ascontiguousarray(red)

    @cached_property
    def pyramid(self) -> list[Codes]:
        """Return what motion is found on."""
        return code_pyramid(self.planes[0])

    def with_colour(self, given: Floats, halved: bool, quantiser: Floats) -> Recorded:
        """Return the picture with other facts about its colour and quantiser; planes and pyramid, which are the same, are kept."""
        other = replace(self, given=given, halved=halved, quantiser=quantiser)
        vars(other).update(planes=self.planes, pyramid=self.pyramid)
        return other


@dataclass(frozen=True, eq=False)
class Restored:
    """Hold a restored picture, luma (H, W) and chroma (H, W, 2)."""

    luma: Floats
    chroma: Floats


def seen_as(encoding: Encoding) -> Encoding:
    """Return the encoding as which pictures are to be shown to `to_model`: linear light goes through a log curve, all others, PQ and HLG
    too, are seen in the codes that the codec spoiled."""
    return encoding if encoding is Encoding.LINEAR else Encoding.REC709


def recorded_planes(planes: Planes, format: SampleFormat, tags: ColourTags, quantiser: Floats | None = None) -> Recorded:
    """Return a picture of a movie or still as a net sees it. Alpha is left out. Raise MediaError if the planes are not of the format."""
    height, width = planes[0].shape
    matrix = matrix_number(tags, height)
    is_yuv = format.kind == "yuv" and matrix in LUMA_WEIGHTS
    numbers = scale(format, tags.full_range, matrix if is_yuv else BT709)
    step = 0.0 if format.floating else 1 / numbers.luma_range
    if not is_yuv:
        return replace(recorded_image(to_image(planes, format, tags), BT709, quantiser), halved=False, step=step)
    luma = _normalised(planes[0], numbers.luma_offset, numbers.luma_range)
    pair = [_normalised(plane, numbers.chroma_offset, numbers.chroma_range) for plane in planes[1:3]]
    halved = format.chroma_shift == HALVED
    if halved and tags.chroma_location in (0, LEFT):
        return Recorded(luma, np.stack(pair, axis=2), None, True, step, quantiser)
    colour = np.stack([upsample(plane, height, width, format.chroma_shift, tags.chroma_location) for plane in pair], axis=2)
    return Recorded(luma, smaller(colour), colour, halved, step, quantiser)


def _normalised(plane: NDArray[np.generic], offset: float, span: float) -> Floats:
    return (plane.astype(np.float32) - np.float32(offset)) / np.float32(span)


def _weights(matrix: int) -> tuple[float, float]:
    """Return how much red and blue count in luma by an ITU-T H.273 matrix, as in BT.709 where it is none of ours."""
    return LUMA_WEIGHTS.get(matrix, LUMA_WEIGHTS[BT709])


def recorded_image(image: Image, matrix: int = BT709, quantiser: Floats | None = None) -> Recorded:
    """Return a picture of a host as a net sees it: one that was recorded in 8 bits and 4:2:0, its chroma interpolated linearly since.

    The planes of such a picture come back as they were stored. Raise ParamError on a wrong shape.
    """
    check_image("The picture", image)
    kr, kb = _weights(matrix)
    red, green, blue = image[:, :, 0], image[:, :, 1], image[:, :, 2]
    luma = np.asarray((green + np.float32(kr) * (red - green)) + np.float32(kb) * (blue - green), np.float32)
    colour = colour_of(image, luma, matrix)
    return Recorded(luma, smaller(colour), colour, True, STEP, quantiser)


def colour_of(image: Image, luma: Floats, matrix: int = BT709) -> Floats:
    """Return the chroma (H, W, 2) of a picture whose luma is known, at luma's size."""
    kr, kb = _weights(matrix)
    colour = np.empty((*luma.shape, 2), np.float32)
    colour[:, :, 0] = (image[:, :, 2] - luma) * np.float32(1 / (2 - 2 * kb))
    colour[:, :, 1] = (image[:, :, 0] - luma) * np.float32(1 / (2 - 2 * kr))
    return colour


def as_image(picture: Restored, matrix: int = BT709) -> Image:
    """Return a restored picture as R, G, B (H, W, 3). Never clips."""
    kr, kb = _weights(matrix)
    blue, red = picture.chroma[:, :, 0] * np.float32(2 - 2 * kb), picture.chroma[:, :, 1] * np.float32(2 - 2 * kr)
    image = np.empty((*picture.luma.shape, 3), np.float32)
    np.add(picture.luma, red, out=image[:, :, 0])
    np.add(picture.luma, blue, out=image[:, :, 2])
    np.subtract(picture.luma, np.float32(kr / (1 - kr - kb)) * red + np.float32(kb / (1 - kr - kb)) * blue, out=image[:, :, 1])
    return image


def smaller(colour: Floats) -> Floats:
    """Return chroma (H, W, 2) at half the size, rounded up, sited left."""
    return np.stack([downsample(colour[:, :, part], HALVED, LEFT) for part in range(2)], axis=2)


def larger(chroma: Floats, height: int, width: int) -> Floats:
    """Return chroma of half the size, sited left, at luma's size (height, width, 2), by linear interpolation."""
    return np.stack([upsample(chroma[:, :, part], height, width, HALVED, LEFT) for part in range(2)], axis=2)


class Held(threading.local):
    """Keep by thread the memory in which windows are gathered: to be given new memory for each takes as long as to fill it."""

    arrays: tuple[Floats, Floats] | None = None

    def get(self, shape: tuple[int, int, int]) -> tuple[Floats, Floats]:
        """Return arrays for a window of a luma (T, H, W), of no particular content; those of the last call, if they fit."""
        if self.arrays is None or self.arrays[0].shape != shape:
            frames, rows, columns = shape
            self.arrays = np.empty(shape, np.float32), np.empty((frames, rows // 2, columns // 2, 2), np.float32)
        return self.arrays


class Restorer:
    """Restore pictures by a network, of any size."""

    def __init__(self, quality: str = "default", device: str = "auto", model_id: str | None = None) -> None:
        """Load the model of a `quality`, or of an explicit `model_id`. Raise ModelError, ParamError."""
        if quality not in QUALITIES:
            raise ParamError(f"There is no restoration model of quality {quality!r}; choose one of {', '.join(QUALITIES)}.")
        self.device = device
        self.model: Model = load(find_model(model_id or QUALITIES[quality], "restore"), device)
        self._held = Held()

    @property
    def reach(self) -> int:
        """Return how many pictures before and after the one restored the model sees."""
        return self.model.card.frames // 2

    def estimate(self, luma: Floats) -> Floats:
        """Return the quantiser that a luma (H, W) looks as if recorded with, QP / 64 by cell (ceil(H/8), ceil(W/8)); 0 for none."""
        model = load(find_model("quantiser-default", "quantiser"), self.device)
        seen = np.pad(luma, [(0, max(-side % CELL, LEAST_SIDE - side)) for side in luma.shape], mode="edge")
        rows, columns = seen.shape
        parts = [tile.source for tile in tiles(rows, columns, TILE, 0, CELL)] if rows * columns > WHOLE else [(0, rows, 0, columns)]
        values = [float(model.run(np.ascontiguousarray(seen[y0:y1, x0:x1]))[0][0, 0]) for y0, y1, x0, x1 in parts]
        found = float(np.median(values))
        cells = [-(-side // CELL) for side in luma.shape]
        return np.full(cells, 0 if found < LEAST_QP / 64 else found, np.float32)

    def restore(self, window: Sequence[Recorded], params: ShotParams) -> Restored:
        """Return the middle of a window restored as the parameters ask, `params.restore` of the way.

        At the ends of a shot the last picture stands in for those beyond. Raise ParamError for a window of another length than
        2 * reach + 1, or whose pictures differ in size.
        """
        if len(window) != 2 * self.reach + 1 or len({one.luma.shape for one in window}) > 1:
            raise ParamError(f"{self.model.card.id} takes {2 * self.reach + 1} pictures of one size.")
        here = window[self.reach]
        quantiser = self.estimate(here.luma) if here.quantiser is None else here.quantiser
        if params.deblock or params.chroma or params.depth:
            made = self._run(window, quantiser)
            luma, colour = _luma(here, made.luma, quantiser, params), _colour(here, made.chroma, params)
        else:
            luma, colour = here.luma, here.colour
        source = here.luma if params.deblock or params.depth else None
        if params.deband > 0:
            strength = params.deband if source is None or np.any(quantiser > 0) else REST * params.deband
            luma, colour = deband(luma, colour, quantiser, strength, source, here.step)
        if params.restore == 1:
            return Restored(luma, colour)
        return Restored(_mixed(here.luma, luma, params.restore), _mixed(here.colour, colour, params.restore))

    def _run(self, window: Sequence[Recorded], quantiser: Floats) -> Restored:
        """Return what the net makes of a window."""
        height, width = window[0].luma.shape
        luma, chroma = aligned(window, self._held)
        rows, columns = luma.shape[1:]
        if rows * columns <= WHOLE:
            made = self.model.run(luma, chroma, quantiser)
            return Restored(made[0][:height, :width], made[1][:height, :width])
        whole = Restored(np.empty((rows, columns), np.float32), np.empty((rows, columns, 2), np.float32))
        for tile in tiles(rows, columns, TILE, self.model.card.halo, CELL):
            y0, y1, x0, x1 = tile.source
            seen, tinted = luma[:, y0:y1, x0:x1], chroma[:, y0 // 2 : y1 // 2, x0 // 2 : x1 // 2]
            told = quantiser[_cells((slice(y0, y1), slice(x0, x1)))]
            made = self.model.run(np.ascontiguousarray(seen), np.ascontiguousarray(tinted), np.ascontiguousarray(told))
            whole.luma[tile.place], whole.chroma[tile.place] = made[0][tile.inside], made[1][tile.inside]
        return Restored(whole.luma[:height, :width], whole.chroma[:height, :width])


def aligned(window: Sequence[Recorded], held: Held | None = None) -> tuple[Floats, Floats]:
    """Return what a net sees of a window, luma (T, H, W) and chroma (T, H/2, W/2, 2) extended to whole cells: the pictures around the
    middle one are moved, block by block, to where that shows the same. `held` is the memory to be used, good until its next use."""
    middle = len(window) // 2
    here = window[middle]
    luma, chroma = (held or Held()).get((len(window), *here.planes[0].shape[:2]))
    motions = find_motions([one.pyramid for one in window]) if len(window) > 1 else None
    for place, one in enumerate(window):
        outs = luma[place], chroma[place, :, :, 0], chroma[place, :, :, 1]
        check_cancelled()
        for plane, out in zip(one.planes, outs, strict=True):
            if motions is None or one is here:
                out[:] = plane
            else:
                align(plane, motions[place], out=out)
    return luma, chroma


def _mixed(given: Floats, made: Floats, share: float) -> Floats:
    """Return a share of what was made and the rest of what was given."""
    change = made - given
    return np.add(given, np.multiply(change, share, out=change), out=change)


def _cells(place: tuple[slice, slice]) -> tuple[slice, slice]:
    """Return the cells of a place in pixels."""
    down, across = (slice(side.start // CELL, side.stop // CELL) for side in place)
    return down, across


def _padded(picture: Floats, multiple: int) -> Floats:
    """Extend a picture (H, W, ...) at the bottom and right by its last row and column up to a multiple."""
    down, right = -picture.shape[0] % multiple, -picture.shape[1] % multiple
    return np.pad(picture, ((0, down), (0, right), *((0, 0),) * (picture.ndim - 2)), mode="edge") if down or right else picture


def _wide(cells: Floats, shape: tuple[int, ...]) -> Floats:
    """Return cells as pixels (H, W)."""
    return cells.repeat(CELL, 0)[: shape[0]].repeat(CELL, 1)[:, : shape[1]]


def _luma(here: Recorded, made: Floats, quantiser: Floats, params: ShotParams) -> Floats:
    """Return of a net's luma what the switches ask for.

    Where a codec was at work, `deblock` and `depth` together take all of the net's change, `depth` alone what of it lies within half a
    step of the stored codes, and `deblock` alone whole steps of it. Where none was, only rounding is to be undone: that is `depth`, and
    within half a step. The net sees to that by itself for codes of 8 bits, so that its luma is then taken as it is.
    """
    if params.deblock and params.depth and (here.step == STEP or bool(np.all(quantiser > 0))):
        return made
    half, change = np.float32(here.step / 2), made - here.luma
    within = np.clip(change, -half, half) if params.depth else np.zeros_like(change)
    if params.deblock:
        if not params.depth and here.step:
            change = np.round(change / np.float32(here.step)) * np.float32(here.step)
        within = np.where(_wide(quantiser, here.luma.shape) > 0, change, within)
    return np.add(here.luma, within, dtype=np.float32)


def _colour(here: Recorded, made: Floats, params: ShotParams) -> Floats:
    """Return of a net's chroma what the switches ask for.

    Without `chroma`, or where it is stored finely, that is the coarse part of its change: what chroma of half the size can hold.
    """
    if params.chroma and here.halved and here.given is None:
        return made
    height, width = here.luma.shape
    change = made - larger(here.chroma, height, width)
    if not (params.chroma and here.halved):
        change = larger(smaller(change), height, width) if params.deblock or params.depth else np.zeros_like(change)
    return here.colour + change
