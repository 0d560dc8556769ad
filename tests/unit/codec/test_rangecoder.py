from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainlayer.codec.rangecoder import ESCAPE_BITS, ONE, Contexts, Decoder, Encoder, Signed
from grainlayer.errors import StreamError


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=600), st.lists(st.integers(1, ONE - 1), min_size=5, max_size=5))
def test_bits_come_back(decisions: list[tuple[int, bool]], priors: list[int]) -> None:
    encoder, contexts = Encoder(), Contexts(priors)
    for index, bit in decisions:
        encoder.bit(contexts, index, int(bit))
    decoder, contexts = Decoder(encoder.finish()), Contexts(priors)
    assert [(index, bool(decoder.bit(contexts, index, 0))) for index, _ in decisions] == decisions


@given(st.lists(st.tuples(st.integers(-(2**19), 2**19) | st.integers(-12, 12), st.integers(0, 1), st.integers(-1, 1)), max_size=100))
def test_numbers_come_back(values: list[tuple[int, int, int]]) -> None:
    def model() -> Signed:
        return Signed([(30000, 30000, 20000), (50000, 20000, 10000)])

    encoder, numbers = Encoder(), model()
    for value, context, lean in values:
        assert numbers.code(encoder, value, context, lean) == value
    encoder.raw(77, 7)
    decoder, numbers = Decoder(encoder.finish()), model()
    assert [numbers.code(decoder, 0, context, lean) for _, context, lean in values] == [value for value, _, _ in values]
    assert decoder.raw(0, 7) == 77


@given(st.lists(st.integers(0, 255), min_size=1, max_size=200))
def test_carries_travel_through_full_bytes(noise: list[int]) -> None:
    """Long runs of the unlikely bit under a shifting probability drive the low end through runs of 255."""
    encoder, contexts = Encoder(), Contexts([ONE - 40, 40])
    bits = [(value & 1, value >> 1 & 1) for value in noise for _ in range(value % 7)]
    for index, bit in bits:
        encoder.bit(contexts, index, bit)
    decoder, contexts = Decoder(encoder.finish()), Contexts([ONE - 40, 40])
    assert [decoder.bit(contexts, index, 0) for index, _ in bits] == [bit for _, bit in bits]


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_end(data: bytes) -> None:
    with pytest.raises(StreamError):
        read_for_ever(Decoder(data))


def read_for_ever(decoder: Decoder) -> None:
    model, contexts = Signed([(30000, 30000)]), Contexts([ONE >> 1])
    for _ in range(100_000):
        model.code(decoder, 0)
        decoder.bit(contexts, 0, 0)
        decoder.raw(0, 3)


def test_a_number_that_never_ends_is_refused() -> None:
    encoder = Encoder()
    with pytest.raises(StreamError, match="too large"):
        Signed([(30000, 30000)]).code(encoder, 1 << (ESCAPE_BITS + 3))


def test_size_is_near_the_entropy() -> None:
    """A skewed source costs at most 3 % above its entropy, learning included."""
    state, ones, count = 1, 0, 40_000
    encoder, contexts = Encoder(), Contexts([ONE >> 1])
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        bit = int(state >> 40 < 0.1 * (1 << 24))
        ones += encoder.bit(contexts, 0, bit)
    share = ones / count
    entropy = -count * (share * math.log2(share) + (1 - share) * math.log2(1 - share)) / 8
    assert len(encoder.finish()) < 1.03 * entropy


def test_bytes_are_pinned() -> None:
    """The coder's arithmetic is part of the format."""
    encoder, contexts = Encoder(), Contexts([20000, 50000])
    for place in range(200):
        encoder.bit(contexts, place % 2, int(place % 5 == 0))
    assert encoder.finish().hex() == PINNED


PINNED = "4d2df5ec21d49d7587a0c7e6d4208d0c372533ef74"
