"""Write the golden grain streams: `python -m tests.golden.write_stream`. Only for a new version; old files must stay readable."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from grainlayer.codec.stream import GrainShot, GrainStream, pack
from grainlayer.grain.profile import NODES, RADII, STRENGTH_KNOTS, GrainProfile
from grainlayer.grain.texture import SMALLEST, TextureMap, plain_map, quarters, roots

GOLDEN = Path(__file__).with_name("stream_v1.grain")


def golden_stream() -> GrainStream:
    """Return a stream that uses every field, made of plain arithmetic."""
    profile = GrainProfile(
        270,
        tuple(tuple(240 - (knot - 6) ** 2 + 9 * channel + knot * channel % 3 for knot in range(STRENGTH_KNOTS)) for channel in range(3)),
        tuple(tuple(12 - radius * radius // 3 + node * radius % 4 for radius in range(len(RADII))) for node in range(len(NODES))),
        tuple(radius * 5 % 7 - 3 for radius in range(len(RADII))),
        (51, 38, 55),
    )
    textured = _textured(300, 200)
    extreme = GrainProfile(65535, ((447, 0) * 8 + (1,),) * 3, ((-120, 40, 0) * 5,) * 3, (-24, 24, 0) * 5, (-64, 64, 0))
    shots = (
        GrainShot(0, 48, profile, textured, 0xDEADBEEFCAFEF00D, tuple(place % 5 - 2 for place in range(48)), 2, {7: b"kept"}),
        GrainShot(48, 100, profile, plain_map(300, 200), 0),
        GrainShot(1000, 1 << 30, extreme, plain_map(300, 200), (1 << 64) - 1, (), 8),
    )
    return GrainStream(300, 200, Fraction(24000, 1001), 1 << 31, shots, {1: b"made by hand"})


def _textured(width: int, height: int) -> TextureMap:
    splits: list[bool] = []
    leaves = 0
    stack = list(roots(width, height))[::-1]
    while stack:
        box = stack.pop()
        if box[2] > SMALLEST:
            splits.append((box[0] // 16 + box[1] // 32 + len(splits)) % 3 == 0)
        if box[2] > SMALLEST and splits[-1]:
            stack += quarters(box, width, height)[::-1]
        else:
            leaves += 1
    vectors = tuple((place * 7 % 5 - 2, place % 3 - 1, 0, (place == 9) * -12) if place % 4 else (0, 0, 0, 0) for place in range(leaves))
    return TextureMap(width, height, tuple(splits), vectors)


if __name__ == "__main__":
    GOLDEN.write_bytes(pack(golden_stream()))
    print(f"wrote {GOLDEN} of {GOLDEN.stat().st_size} bytes")
