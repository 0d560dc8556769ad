"""Restore the middle one of a host's successive pictures.

What a picture is to the net is kept for the next windows that hold it, so that playing a clip converts each picture once. Pictures of
another shot than the middle one's are not looked at: the last one before the cut stands in for them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from grainlayer.inference.restore import Recorded, Restored, Restorer, as_image, colour_of, recorded_image
from grainlayer.inference.runtime import check_cancelled
from grainlayer.params import ShotParams
from grainlayer.picture.cuts import FLASH, LEAST, OUTSTANDING, Look, distance, look, shrink
from grainlayer.picture.samples import sample_format
from grainlayer.types import Image

Floats = NDArray[np.float32]

KEPT, KEPT_BYTES = 12, 1 << 29
"""Pictures, and their bytes, that are kept, the last used."""
LUMA_CODES, CHROMA_CODES, BLACK = 219, 224, 16
"""Codes of 8 bits in video range that luma and chroma of 1 span, and that of black."""
ROUNDED = 1e-3
"""Part of a code by which a host's floats miss what was stored, at most."""
COLOURLESS: Floats = np.empty((0, 0, 2), np.float32)
"""Stands for the chroma at luma's size, which only the picture restored needs."""


@dataclass(frozen=True, eq=False)
class Shown:
    """Hold successive pictures as a host shows them; the one to be restored is count // 2.

    coded  gives the codes (H, W, 3) of the picture at a place, 0 to count - 1, as nets see them
    names  tell these codes from those of all other pictures, by place; None where nothing does
    whole  the pictures have their full size; smaller ones have finer chroma than was recorded
    """

    count: int
    coded: Callable[[int], Image]
    names: Sequence[Hashable] | None = None
    whole: bool = True

    @property
    def middle(self) -> int:
        """Return the place of the picture to be restored."""
        return self.count // 2


@dataclass(eq=False)
class Seen:
    """Hold what a net sees of a picture but its colour at luma's size, what tells cuts, and the quantiser once it is estimated."""

    recorded: Recorded
    look: Look
    quantiser: Floats | None = None

    @property
    def size(self) -> int:
        """Return bytes, about, with the planes and the pyramid that motion is found on."""
        return self.recorded.luma.nbytes * 4 // 3 + 2 * self.recorded.chroma.nbytes


class ShownRestorer:
    """Restore pictures among their neighbours. Calls may come from any thread."""

    def __init__(self, restorer: Restorer) -> None:
        """Take what restores pictures as recorded."""
        self.restorer = restorer
        self._kept: OrderedDict[Hashable, Seen] = OrderedDict()
        self._lock = threading.Lock()

    def quantiser(self, shown: Shown) -> Floats:
        """Return what the middle picture looks as if quantised with, QP / 64 by cell (ceil(H/8), ceil(W/8)). Raise ModelError."""
        seen = self._seen(shown, shown.middle)
        if seen.quantiser is None:
            seen.quantiser = self.restorer.estimate(seen.recorded.luma)
        return seen.quantiser

    def change(self, shown: Shown, quantiser: Floats, params: ShotParams) -> Image:
        """Return what restoring the middle picture in full adds to its codes (H, W, 3). Raise ModelError, Cancelled.

        `params.restore` counts for nothing here.
        """
        reach, middle = self.restorer.reach, shown.middle
        places = range(max(0, middle - reach), min(shown.count, middle + reach + 1))
        seen = [self._seen(shown, place) for place in places]
        first, last = same_shot([one.look for one in seen], middle - places.start)
        spread = np.clip(np.arange(-reach, reach + 1) + (middle - places.start), first, last)
        window = [seen[place].recorded for place in spread]
        colour = colour_of(shown.coded(middle), window[reach].luma)
        window[reach] = here = window[reach].with_colour(colour, shown.whole, quantiser)
        made = self.restorer.restore(window, replace(params, restore=1.0))
        return as_image(Restored(made.luma - here.luma, made.chroma - here.colour))

    def _seen(self, shown: Shown, place: int) -> Seen:
        """Return what a net sees of a picture. Raise Cancelled."""
        check_cancelled()
        name = None if shown.names is None else shown.names[place]
        with self._lock:
            if name is not None and name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        found = recorded_image(shown.coded(place))
        luma, chroma = as_stored(found.luma, LUMA_CODES), as_stored(found.chroma, CHROMA_CODES)
        seen = Seen(replace(found, luma=luma, chroma=chroma, given=COLOURLESS), _look(luma))
        check_cancelled()  # then the picture's memory may have been given to another one meanwhile
        if name is not None:
            self._keep(name, seen)
        return seen

    def _keep(self, name: Hashable, seen: Seen) -> None:
        with self._lock:
            self._kept[name] = seen
            while len(self._kept) > KEPT or (len(self._kept) > 1 and sum(one.size for one in self._kept.values()) > KEPT_BYTES):
                self._kept.popitem(last=False)


def _look(luma: Floats) -> Look:
    """Return what tells cuts of a luma (H, W), 0..1: of its codes of 8 bits in video range, as of files."""
    form = sample_format("gray")
    return look(shrink(luma, form) * np.float32(LUMA_CODES) + np.float32(BLACK / form.peak))


def as_stored(plane: Floats, codes: int) -> Floats:
    """Return a plane whose values next to a multiple of 1 / `codes` are that: what was stored in 8 bits, rid of a host's rounding.

    So motion is found, and the net sees, exactly as on the stored picture itself.
    """
    wide = plane * np.float32(codes)
    nearest = np.rint(wide)
    return np.where(np.abs(wide - nearest) < ROUNDED, nearest / np.float32(codes), plane)


def same_shot(looks: Sequence[Look], middle: int) -> tuple[int, int]:
    """Return the first and the last of successive pictures that lie in the shot of the picture at `middle`."""
    apart = [distance(one, other) for one, other in pairwise(looks)]
    cuts = [place for place in range(1, len(looks)) if _is_cut(looks, apart, place)]
    return max((place for place in cuts if place <= middle), default=0), min(
        (place for place in cuts if place > middle), default=len(looks)
    ) - 1


def _is_cut(looks: Sequence[Look], apart: Sequence[float], place: int) -> bool:
    """Say whether a shot begins at a place, as the detector of a file's cuts does, as far as the pictures reach."""
    if apart[place - 1] < LEAST:
        return False
    before, after = looks[max(place - 1 - FLASH, 0) : place], looks[place : place + FLASH + 1]
    held = min(distance(one, other) for one in before for other in after)
    around = sorted([*apart[: place - 1], *apart[place:]])
    return held > max(LEAST, OUTSTANDING * around[-3] + 0.1 if len(around) > 2 else 0.0)
