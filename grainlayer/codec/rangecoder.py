"""Code decisions and small numbers in the fewest bytes: a binary range coder with adaptive contexts, integers only.

Every number here is an integer of at most 48 bits, so that the same bytes give the same values on every machine.
`Encoder` and `Decoder` share one interface, `bit`: the encoder writes the bit it is given and returns it, the decoder
ignores what it is given and returns the bit it reads. A model written once on top of it therefore runs both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from grainlayer.errors import StreamError

ONE = 1 << 16
"""Probabilities are in 65536ths."""
FAST, SLOW = 4, 7
"""A context is the mean of two estimates that move by 1/16 and 1/128 of the error once they have warmed up."""
SLACK = 4
"""Bytes a decoder may read past the end (as zeros) before the data counts as cut."""
ESCAPE_BITS = 20
"""Longest exponent of an escaped number."""
_TOP, _MASK = 1 << 24, (1 << 32) - 1
_LEAST = 32
_WARM_UP = 3


class Contexts:
    """Hold a set of adaptive estimates of how probable a 1 is; each context starts at its prior in 65536ths."""

    __slots__ = ("fast", "seen", "slow")

    def __init__(self, priors: Sequence[int]) -> None:
        """Start every context at its prior, 1..65535."""
        self.fast = [min(max(prior, _LEAST), ONE - _LEAST) for prior in priors]
        self.slow = list(self.fast)
        self.seen = [_WARM_UP] * len(self.fast)

    def probability(self, index: int) -> int:
        """Return the probability of a 1, 32..65504."""
        return min(max((self.fast[index] + self.slow[index]) >> 1, _LEAST), ONE - _LEAST)

    def learn(self, index: int, bit: int) -> None:
        """Move both estimates towards the bit just coded: the fewer bits seen, the further."""
        seen = self.seen[index]
        target = ONE if bit else 0
        fast, slow = self.fast[index], self.slow[index]
        self.fast[index] = fast + ((target - fast) >> min(seen, FAST))
        self.slow[index] = slow + ((target - slow) >> min(seen, SLOW))
        if seen < SLOW:
            self.seen[index] = seen + 1


class Coder(Protocol):
    """Code bits in one direction."""

    def bit(self, contexts: Contexts, index: int, bit: int) -> int:
        """Code one decision in a context; return it."""
        ...

    def raw(self, value: int, count: int) -> int:
        """Code `count` bits that no context could predict, highest first; return them."""
        ...


class Encoder:
    """Write bits; `finish` returns the bytes."""

    def __init__(self) -> None:
        """Start an empty message."""
        self._low, self._range, self._out = 0, _MASK, bytearray()

    def bit(self, contexts: Contexts, index: int, bit: int) -> int:
        """Write one decision in a context; return it."""
        self._narrow(contexts.probability(index), bit)
        contexts.learn(index, bit)
        return bit

    def raw(self, value: int, count: int) -> int:
        """Write `count` even bits of `value`, highest first; return it."""
        for place in range(count - 1, -1, -1):
            self._narrow(ONE >> 1, value >> place & 1)
        return value

    def finish(self) -> bytes:
        """Return the message. The encoder is spent."""
        self._low = (self._low + _TOP - 1) >> 24 << 24
        self._carry()
        tail = bytes([self._low >> 24]).rstrip(b"\0")
        return bytes(self._out) + tail

    def _narrow(self, probability: int, bit: int) -> None:
        bound = self._range * probability >> 16
        if bit:
            self._range = bound
        else:
            self._low += bound
            self._range -= bound
        while self._range < _TOP:
            self._carry()
            self._out.append(self._low >> 24)
            self._low = self._low << 8 & _MASK
            self._range <<= 8

    def _carry(self) -> None:
        if self._low <= _MASK:
            return
        self._low &= _MASK
        place = len(self._out) - 1
        while self._out[place] == 255:
            self._out[place] = 0
            place -= 1
        self._out[place] += 1


class Decoder:
    """Read bits. Any bytes decode to something: beyond their end zeros follow, and after SLACK of those comes StreamError."""

    def __init__(self, data: bytes) -> None:
        """Start at the first byte of a message."""
        self._data = bytes(data) + bytes(SLACK)
        self._place, self._range = 4, _MASK
        self._code = int.from_bytes(self._data[:4], "big")

    def bit(self, contexts: Contexts, index: int, bit: int) -> int:
        """Read one decision in a context; `bit` is ignored. Raise StreamError where the message is cut."""
        bit = self._narrow(contexts.probability(index))
        contexts.learn(index, bit)
        return bit

    def raw(self, value: int, count: int) -> int:
        """Read `count` even bits; `value` is ignored. Raise StreamError where the message is cut."""
        value = 0
        for _ in range(count):
            value = value << 1 | self._narrow(ONE >> 1)
        return value

    def _narrow(self, probability: int) -> int:
        bound = self._range * probability >> 16
        bit = int(self._code < bound)
        if bit:
            self._range = bound
        else:
            self._code -= bound
            self._range -= bound
        while self._range < _TOP:
            self._code = (self._code << 8 | self._next()) & _MASK
            self._range <<= 8
        return bit

    def _next(self) -> int:
        if self._place >= len(self._data):
            raise StreamError(f"The coded part ends too early, at its byte {len(self._data) - SLACK}.")
        self._place += 1
        return self._data[self._place - 1]


class Signed:
    """Model signed numbers around 0: a zero flag, a sign, a unary magnitude, and an exponential Golomb code for the rest.

    A context (0..count-1) chooses the zero flag and the steps; `lean` (-1, 0 or 1) says which sign is likelier.
    """

    def __init__(self, rows: Sequence[Sequence[int]], sign: int = ONE >> 1) -> None:
        """Start from priors in 65536ths.

        rows  one a context: that a number is 0, then that its magnitude goes on after 1, 2 ...; sign  that it is against its lean
        """
        self._steps = len(rows[0]) - 1
        self._zero = Contexts([row[0] for row in rows])
        self._sign = Contexts([sign, ONE >> 1, ONE - sign])
        self._more = Contexts([step for row in rows for step in row[1:]])
        self._exponent = Contexts([48000, 46000, 38000, 28000, *[24000] * (ESCAPE_BITS - 3)])

    def code(self, coder: Coder, value: int, context: int = 0, lean: int = 0) -> int:
        """Code a number (ignored when decoding); return it. Raise StreamError on a cut message or an escape that never ends."""
        if coder.bit(self._zero, context, int(value == 0)):
            return 0
        negative = coder.bit(self._sign, 1 - lean, int(value < 0))
        size = self._size(coder, abs(value), context)
        return -size if negative else size

    def _size(self, coder: Coder, size: int, context: int) -> int:
        for step in range(self._steps):
            if not coder.bit(self._more, context * self._steps + step, int(size > step + 1)):
                return step + 1
        return self._steps + 1 + self._escape(coder, size - self._steps - 1)

    def _escape(self, coder: Coder, rest: int) -> int:
        wanted, exponent = max(rest + 1, 1).bit_length() - 1, 0
        while coder.bit(self._exponent, exponent, int(wanted > exponent)):
            exponent += 1
            if exponent > ESCAPE_BITS:
                raise StreamError("The coded part holds a number that is too large.")
        return (1 << exponent | coder.raw(rest + 1 - (1 << exponent), exponent)) - 1
