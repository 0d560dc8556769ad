"""Code one shot's gains, profile and texture map into a few hundred bytes, each number predicted from its neighbours.

Every function here runs both ways (see `rangecoder`): with an Encoder it writes the values it is given and returns them, with
a Decoder it ignores them and returns what it reads. Nothing reaches beyond the shot, so that a lost shot harms no other.
The order of decisions and every prior below are version 1 of the format: they never change, a version 2 adds beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

from grainlayer.codec.rangecoder import Coder, Contexts, Decoder, Encoder, Signed
from grainlayer.errors import ParamError, StreamError
from grainlayer.grain.profile import CORRELATION_STEPS, NODES, RADII, STRENGTH_KNOTS, GrainProfile
from grainlayer.grain.texture import LARGEST, SMALLEST, Box, TextureMap, quarters, roots

Vector = tuple[int, int, int, int]
Vectors = dict[Vector, Vector]
ZERO: Vector = (0, 0, 0, 0)
MAX_LEAVES = 1 << 20
"""Blocks a shot's map may have: 16 times those of a fully split 4K picture."""
MAX_GAINS = 1 << 20
"""Frames of a shot with gains of its own."""
GAIN_RANGE = (-64, 64)
"""Gain codes: four octaves down to four octaves up."""
_GREEN_FIRST = (1, 0, 2)
_USUAL_HEIGHT = 1080


def encode_shot(profile: GrainProfile, gains: tuple[int, ...], texture: TextureMap) -> bytes:
    """Return the coded values. Raise ParamError if the map has more than MAX_LEAVES blocks."""
    if len(texture.codes) > MAX_LEAVES:
        raise ParamError(f"A texture map may have {MAX_LEAVES} blocks; this one has {len(texture.codes)}: use larger blocks.")
    coder = Encoder()
    code_gains(coder, gains, len(gains))
    code_profile(coder, profile, texture.height)
    code_texture(coder, texture, (texture.width, texture.height))
    return coder.finish()


def decode_shot(
    data: bytes, frames: int, size: tuple[int, int], most: int = MAX_LEAVES, known: Vectors | None = None
) -> tuple[GrainProfile, tuple[int, ...], TextureMap]:
    """Return profile, gains and map as `encode_shot` was given them.

    frames  frames of the shot; size  width and height of the picture, pixels; most  blocks the map and gains the shot may have;
    known   where equal vectors are kept once, to be shared between shots
    Raise StreamError on bytes that are no shot.
    """
    coder = Decoder(data)
    try:
        gains = code_gains(coder, (), frames, min(most, MAX_GAINS))
        profile = code_profile(coder, None, size[1])
        return profile, gains, code_texture(coder, None, size, most, known)
    except ParamError as error:
        raise StreamError(f"The coded part holds impossible values: {error}") from error


def code_gains(coder: Coder, gains: tuple[int, ...], frames: int, most: int = MAX_GAINS) -> tuple[int, ...]:
    """Code one gain a frame, each predicted from the one before; none at all if every gain is 0.

    Raise StreamError on gains out of range or more than `most`.
    """
    if not coder.bit(Contexts([4000]), 0, int(bool(gains))):
        return ()
    if frames > most:
        raise StreamError(f"A shot of {frames} frames cannot hold gains of its own.")
    model, coded, before = Signed([40000, 30000], [[30000, 25000, 20000, 20000, 20000]] * 2), [0], 0
    for gain in gains or repeat(0, frames):
        before = model.code(coder, gain - coded[-1], int(before != 0))
        coded.append(coded[-1] + before)
        if not GAIN_RANGE[0] <= coded[-1] <= GAIN_RANGE[1]:
            raise StreamError(f"The coded part holds a gain of {coded[-1]}.")
    return tuple(coded[1:])


def code_profile(coder: Coder, profile: GrainProfile | None, picture_height: int) -> GrainProfile:
    """Code a profile (None when decoding), most likely measured at the picture's height.

    Raise ParamError or StreamError on values out of range.
    """
    given = profile or _BLANK
    same = coder.bit(Contexts([60000]), 0, int(given.height == picture_height))
    height = picture_height if same else coder.raw(given.height, 16)
    strength = _strength(coder, given.strength)
    spectrum = _spectrum(coder, given.spectrum)
    direction = _chain(coder, given.direction, Signed([16000, 12000], [[43000, 36000, 30000, 28000]] * 2))
    correlation = _correlation(coder, given.correlation)
    return GrainProfile(height, strength, spectrum, direction, correlation)


def _chain(coder: Coder, values: tuple[int, ...], model: Signed) -> tuple[int, ...]:
    """Code numbers, each as its difference from the one before."""
    coded, before = [0], 0
    for value in values:
        before = model.code(coder, value - coded[-1], int(before != 0))
        coded.append(coded[-1] + before)
    return tuple(coded[1:])


def _correlation(coder: Coder, values: tuple[int, ...]) -> tuple[int, ...]:
    """Code the first pair plainly, the others as differences from it."""
    model, first = Signed([14000], [[45000, 40000, 36000, 32000]]), coder.raw(values[0] + CORRELATION_STEPS, 8) - CORRELATION_STEPS
    return (first, *(first + model.code(coder, value - first) for value in values[1:]))


def _strength(coder: Coder, rows: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    """Code green from its previous knot, red and blue from green's steps."""
    coded: list[list[int]] = [[], [], []]
    model = Signed(_STRENGTH_ZERO, _STRENGTH_MORE)
    for channel in _GREEN_FIRST:
        row, green = coded[channel], coded[1]
        for knot, value in enumerate(rows[channel]):
            if channel == 1 and not knot:
                row.append(coder.raw(value, 9))
                continue
            guess = row[-1] if row else 0
            if channel != 1:
                guess = green[knot] + (row[-1] - green[knot - 1] if row else 0)
            row.append(guess + model.code(coder, value - guess, 2 * (channel != 1) + (knot > 0)))
    return tuple(map(tuple, coded))


def _spectrum(coder: Coder, rows: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    """Code the middle node from its previous radius, the outer ones from the middle's steps."""
    coded: list[list[int]] = [[], [], []]
    model = Signed(_SPECTRUM_ZERO, _SPECTRUM_MORE)
    for node in _GREEN_FIRST:
        row, middle = coded[node], coded[1]
        for knot, value in enumerate(rows[node]):
            guess = row[-1] if row else 0
            if node != 1:
                guess = middle[knot] + (row[-1] - middle[knot - 1] if row else 0)
            row.append(guess + model.code(coder, value - guess, 2 * (node != 1) + (knot > 0)))
    return tuple(map(tuple, coded))


def code_texture(
    coder: Coder, texture: TextureMap | None, size: tuple[int, int], most: int = MAX_LEAVES, known: Vectors | None = None
) -> TextureMap:
    """Code a map (None when decoding). Raise ParamError or StreamError on values out of range or more than `most` blocks."""
    width, height = size
    walk = _Walk(coder, texture, size, most, {} if known is None else known)
    for root in roots(width, height):
        walk.square(root)
    return TextureMap(width, height, tuple(walk.splits), tuple(walk.codes))


class _Walk:
    """Code a map's blocks in order, keeping of the blocks already coded only the row above and the column at the left."""

    def __init__(self, coder: Coder, texture: TextureMap | None, size: tuple[int, int], most: int, known: Vectors) -> None:
        self.coder, self.most, self.known = coder, most, known
        self.width, self.height = size
        self.splits: list[bool] = []
        self.codes: list[Vector] = []
        self._given_splits: Iterator[bool] = iter(texture.splits) if texture else repeat(False)
        self._given_codes: Iterator[Vector] = iter(texture.codes) if texture else repeat(ZERO)
        self._above: list[tuple[int, Vector]] = [(0, ZERO)] * (-(-self.width // LARGEST) * (LARGEST // SMALLEST) + 1)
        self._left: list[tuple[int, Vector]] = [(0, ZERO)] * (-(-self.height // LARGEST) * (LARGEST // SMALLEST) + 1)
        self._split = Contexts(_SPLIT)
        self._plain = Contexts(_PLAIN)
        self._values = [Signed(zero, more) for zero, more in zip(_ZERO, _MORE, strict=True)]

    def square(self, box: Box) -> None:
        """Code a block and all inside it."""
        x, y, size = box
        if size > SMALLEST and self._code_split(x, y, size):
            for quarter in quarters(box, self.width, self.height):
                self.square(quarter)
            return
        vector = self._code_vector(x, y, size)
        self.codes.append(self.known.setdefault(vector, vector))
        if len(self.codes) > self.most:
            raise StreamError(f"The coded part holds a texture map of more than {self.most} blocks.")
        cells = size // SMALLEST
        self._above[x // SMALLEST : x // SMALLEST + cells] = [(size, vector)] * cells
        self._left[y // SMALLEST : y // SMALLEST + cells] = [(size, vector)] * cells

    def _code_split(self, x: int, y: int, size: int) -> int:
        """Code whether a block is split: likelier where the blocks around it are smaller or not plain."""
        around = (self._left[y // SMALLEST], self._above[x // SMALLEST])
        smaller = sum(0 < other < size for other, _ in around)
        odd = any(vector != ZERO for _, vector in around)
        context = (_SIZES[size] * 3 + smaller) * 2 + odd
        split = self.coder.bit(self._split, context, int(next(self._given_splits)))
        self.splits.append(bool(split))
        return split

    def _code_vector(self, x: int, y: int, size: int) -> Vector:
        """Code a block's vector: first whether it is plain, then each feature near those at the left and above."""
        given = next(self._given_codes)
        left, above = self._left[y // SMALLEST][1], self._above[x // SMALLEST][1]
        right = self._above[(x + size) // SMALLEST][1]
        odd = (left != ZERO) + (above != ZERO) + (right != ZERO)
        if self.coder.bit(self._plain, _SIZES[size] * 4 + odd, int(given == ZERO)):
            return ZERO
        values = [self._code_value(feature, given[feature], (left[feature], above[feature])) for feature in range(4)]
        return values[0], values[1], values[2], values[3]

    def _code_value(self, feature: int, value: int, near: tuple[int, int]) -> int:
        """Code a feature's difference from the mean of two neighbours, rounded towards 0."""
        total = near[0] + near[1]
        guess = abs(total) // 2 * (1 if total > 0 else -1)
        context = 3 * min(abs(near[0] - near[1]), 2) + min(abs(guess), 2)
        return guess + self._values[feature].code(self.coder, value - guess, context, (guess > 0) - (guess < 0))


_SIZES = {128: 0, 64: 1, 32: 2, 16: 3}
_SPLIT = [20000, 17000, 25000, 32000, 36000, 46000, 9000, 6000, 14000, 24000, 24000, 40000, 6000, 6000, 9000, 12000, 16000, 20000]
_PLAIN = [56000, 48000, 40000, 20000, 42000, 31000, 20000, 7000, 42000, 27000, 18000, 6000, 42000, 27000, 20000, 6000]
_ZERO = [[56000, 20000, 16000, 33000, 18000, 15000, 25000, 18000, 15000]] * 4
_MORE = [[[26000, 25000, 22000, 20000, 22000, 24000]] * 9] * 4
_STRENGTH_ZERO = [6000, 6000, 5000, 12000]
_STRENGTH_MORE = [
    [52000, 52000, 52000, 52000, 52000, 52000],
    [53000, 52000, 51000, 50000, 46000, 43000],
    [57000, 54000, 54000, 54000, 52000, 46000],
    [42000, 38000, 33000, 30000, 26000, 25000],
]
_SPECTRUM_ZERO = [5000, 11000, 28000, 22000]
_SPECTRUM_MORE = [
    [58000, 58000, 58000, 58000, 58000, 58000],
    [49000, 52000, 54000, 55000, 53000, 52000],
    [20000, 16000, 18000, 20000, 22000, 24000],
    [20000, 14000, 14000, 18000, 20000, 22000],
]
_BLANK = GrainProfile(_USUAL_HEIGHT, ((0,) * STRENGTH_KNOTS,) * 3, ((0,) * len(RADII),) * len(NODES), (0,) * len(RADII), (0, 0, 0))
