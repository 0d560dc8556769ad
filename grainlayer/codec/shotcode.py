"""Code one shot's gains, profile and texture map into a few hundred bytes, each number predicted from its neighbours.

Every function here runs both ways (see `rangecoder`): with an Encoder it writes the values it is given and returns them, with
a Decoder it ignores them and returns what it reads. Nothing reaches beyond the shot, so that a lost shot harms no other.
The order of decisions and every prior below are version 1 of the format: they never change, a version 2 adds beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat

from grainlayer.codec import priors
from grainlayer.codec.rangecoder import Coder, Contexts, Decoder, Encoder, Signed
from grainlayer.errors import ParamError, StreamError
from grainlayer.grain.profile import CORRELATION_STEPS, NODES, RADII, STRENGTH_KNOTS, GrainProfile
from grainlayer.grain.texture import LARGEST, SMALLEST, Box, TextureMap, plain_map, quarters, roots

Vector = tuple[int, int, int, int]
Vectors = dict[Vector, Vector]
Table = tuple[tuple[int, ...], ...]
ZERO: Vector = (0, 0, 0, 0)
MAX_LEAVES = 1 << 20
"""Blocks a shot's map may have: 16 times those of a fully split 4K picture."""
MAX_GAINS = 1 << 20
"""Frames of a shot with gains of its own."""
GAIN_RANGE = (-64, 64)
"""Gain codes: four octaves down to four octaves up."""
STRENGTH_BITS = 9


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
    if not coder.bit(Contexts([priors.GAINS_GIVEN]), 0, int(bool(gains))):
        return ()
    if frames > most:
        raise StreamError(f"A shot of {frames} frames cannot hold gains of its own.")
    model, coded, before = Signed(priors.GAINS), [0], 0
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
    same = coder.bit(Contexts([priors.USUAL_HEIGHT]), 0, int(given.height == picture_height))
    height = picture_height if same else coder.raw(given.height, 16)
    start = coder.raw(given.strength[1][0], STRENGTH_BITS)
    strength = _channels(coder, given.strength, [start], _strength_models(), _strength_context)
    spectrum = _channels(coder, given.spectrum, [], _spectrum_models(), _spectrum_context)
    direction = _direction(coder, given.direction)
    correlation = _correlation(coder, given.correlation)
    return GrainProfile(height, strength, spectrum, direction, correlation)


def _channels(
    coder: Coder, rows: Table, start: list[int], models: tuple[Signed, Signed], context: Callable[[int, int, bool], int]
) -> Table:
    """Code three rows: the middle one from its previous knot, the outer ones from the middle one's steps.

    start  what is known of the middle row; models  of the middle and the outer rows; context  by knot, last difference, outer
    """
    coded: list[list[int]] = [[], start, []]
    for place in (1, 0, 2):
        row, middle, before, outer = coded[place], coded[1], 0, place != 1
        for knot in range(len(row), len(rows[place])):
            guess = row[-1] if row else 0
            if outer:
                guess = middle[knot] + (row[-1] - middle[knot - 1] if row else 0)
            before = models[outer].code(coder, rows[place][knot] - guess, context(knot, before, outer), _sign(before))
            row.append(guess + before)
    return tuple(map(tuple, coded))


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _strength_models() -> tuple[Signed, Signed]:
    return Signed(priors.STRENGTH, priors.STRENGTH_SIGN), Signed(priors.STRENGTH_OUTER, priors.STRENGTH_OUTER_SIGN)


def _strength_context(knot: int, before: int, outer: bool) -> int:
    size = abs(before)
    if outer:
        return 3 if knot == 0 else (size > 1) + (size > 4)
    return 4 if knot == 1 else (size > 1) + (size > 4) + (size > 9)


def _spectrum_models() -> tuple[Signed, Signed]:
    return Signed(priors.SPECTRUM, priors.SPECTRUM_SIGN), Signed(priors.SPECTRUM_OUTER, priors.SPECTRUM_OUTER_SIGN)


def _spectrum_context(knot: int, before: int, outer: bool) -> int:
    if knot < 4 or knot == len(RADII) - 1:
        return (0, 1, 1, 2, 6)[min(knot, 4)]
    return 3 + (abs(before) > 2) + (abs(before) > 6)


def _direction(coder: Coder, values: tuple[int, ...]) -> tuple[int, ...]:
    """Code directionality, each radius from the one before."""
    model, coded, before = Signed(priors.DIRECTION), [0], 0
    for knot, value in enumerate(values):
        context = (0, 1, 1, 2, 2, 2)[knot] if knot < 6 else 3 + (abs(before) > 1)
        before = model.code(coder, value - coded[-1], context)
        coded.append(coded[-1] + before)
    return tuple(coded[1:])


def _correlation(coder: Coder, values: tuple[int, ...]) -> tuple[int, ...]:
    """Code the first pair plainly, the others as differences from it."""
    model, first = Signed(priors.CORRELATION), coder.raw(values[0] + CORRELATION_STEPS, 8) - CORRELATION_STEPS
    return (first, *(first + model.code(coder, value - first) for value in values[1:]))


def code_texture(
    coder: Coder, texture: TextureMap | None, size: tuple[int, int], most: int = MAX_LEAVES, known: Vectors | None = None
) -> TextureMap:
    """Code a map (None when decoding). Raise ParamError or StreamError on values out of range or more than `most` blocks."""
    width, height = size
    if coder.bit(Contexts([priors.PLAIN_MAP]), 0, int(texture is not None and texture.plain and not any(texture.splits))):
        if -(-width // LARGEST) * -(-height // LARGEST) > most:
            raise StreamError(f"The coded part holds a texture map of more than {most} blocks.")
        return plain_map(width, height)
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
        self._split = Contexts(priors.SPLIT)
        self._plain = Contexts(priors.PLAIN)
        self._values = [Signed(priors.FEATURE, priors.FEATURE_SIGN) for _ in ZERO]

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
_BLANK = GrainProfile(1, ((0,) * STRENGTH_KNOTS,) * 3, ((0,) * len(RADII),) * len(NODES), (0,) * len(RADII), (0, 0, 0))
