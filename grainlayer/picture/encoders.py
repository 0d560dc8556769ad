"""Know the encoders: what formats and sizes each holds, and how it is set up for a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import av.codec

from grainlayer.errors import MediaError
from grainlayer.picture.samples import SampleFormat, sample_format

_FFV1_LEAST, _FFV1_WHOLE = (8, 8), 64

Options = dict[str, str]
Size = tuple[int, int]


@dataclass(frozen=True)
class Encoder:
    """Hold one encoder.

    name     FFmpeg's
    setup    gives its options for a format
    params   the option that carries the encoder's own list 'key=value:key=value', empty where it has none
    least    the smallest width and height it takes (below 64, libx265 4.2 damages memory and SVT-AV1 4.1 hangs)
    even     whether subsampled chroma needs sizes that divide evenly (prores_ks spoils the last column of others)
    """

    name: str
    setup: Callable[[SampleFormat], Options]
    suffixes: tuple[str, ...]
    params: str = ""
    least: Size = (1, 1)
    even: bool = False


def _ffv1(format: SampleFormat) -> Options:
    return {"level": "3", "slicecrc": "1", "g": "1"} if not format.floating else {"strict": "experimental", "slicecrc": "1", "g": "1"}


def _prores(format: SampleFormat) -> Options:
    profile = "hq" if format.chroma_shift == (1, 0) else "4444"
    return {"profile": profile, "vendor": "apl0"} | ({"alpha_bits": "16"} if format.alpha else {})


def _dnxhr(format: SampleFormat) -> Options:
    if format.chroma_shift == (0, 0):
        return {"profile": "dnxhr_444"}
    return {"profile": "dnxhr_hq" if format.bits == 8 else "dnxhr_hqx"}


def _plain(format: SampleFormat) -> Options:
    return {}


ENCODERS = {
    "ffv1": Encoder("ffv1", _ffv1, (".mkv", ".avi", ".nut")),
    "prores": Encoder("prores_ks", _prores, (".mov", ".mkv"), even=True),
    "dnxhr": Encoder("dnxhd", _dnxhr, (".mov",), least=(256, 120), even=True),
    "h264": Encoder("libx264", _plain, (".mkv", ".mp4", ".mov"), params="x264-params", even=True),
    "h265": Encoder("libx265", _plain, (".mkv", ".mp4", ".mov"), params="x265-params", least=(64, 64), even=True),
    "av1": Encoder("libsvtav1", _plain, (".mkv", ".mp4"), params="svtav1-params", least=(64, 64)),
}


def encoder_for(codec: str) -> Encoder:
    """Return the encoder of a codec; raise MediaError for one not known."""
    if codec not in ENCODERS:
        raise MediaError(f"There is no codec {codec}; choose one of {', '.join(ENCODERS)}.")
    return ENCODERS[codec]


@cache
def formats_of(codec: str) -> dict[SampleFormat, str]:
    """Return the formats a codec holds exactly, each with FFmpeg's name of what its encoder takes."""
    found: dict[SampleFormat, str] = {}
    for stored in av.codec.Codec(encoder_for(codec).name, "w").video_formats or []:
        try:
            format = sample_format(stored.name)
        except MediaError:
            continue
        if _unsound(codec, format):
            continue
        if format.name == stored.name or format not in found:
            found[format] = stored.name
    return found


def _unsound(codec: str, format: SampleFormat) -> bool:
    """Say whether a format the encoder offers does not come back as it went in."""
    if codec == "h264":
        return format.kind == "grey"
    return (codec == "h265" and format.alpha) or (codec == "ffv1" and format.kind == "grey" and format.floating)


def encoder_format(codec: str, format: SampleFormat) -> str:
    """Return FFmpeg's name of the format to give to the encoder; raise MediaError if the codec cannot hold `format` exactly."""
    held = formats_of(codec)
    if format not in held:
        names = ", ".join(other.name for other in held)
        raise MediaError(f"The codec {codec} cannot hold {format.name}; convert to one of {names}.")
    return held[format]


def padded_size(codec: str, format: SampleFormat, size: Size) -> Size:
    """Return the size, at least `size`, that the encoder takes."""
    encoder = encoder_for(codec)
    smallest = _FFV1_LEAST if encoder.name == "ffv1" and _sliced(size) else encoder.least
    step = tuple(1 << shift if encoder.even else 1 for shift in format.chroma_shift)
    width, height = (-(-max(length, least) // unit) * unit for length, least, unit in zip(size, smallest, step, strict=True))
    return width, height


def size_options(codec: str, size: Size) -> Options:
    """Return the options a picture's size asks for: FFV1 would cut small pictures into more slices than they have samples."""
    return {"slices": "1"} if codec == "ffv1" and not _sliced(size) and min(size) < _FFV1_WHOLE else {}


def _sliced(size: Size) -> bool:
    """Say whether FFmpeg's FFV1 encoder insists on several slices."""
    return size[0] > 352 or size[1] > 288


def closest(format: SampleFormat, held: list[SampleFormat]) -> SampleFormat:
    """Return the format among `held` that loses least of `format`: first alpha and kind, then chroma, then bits; then the smallest."""

    def cost(other: SampleFormat) -> tuple[int, ...]:
        wanted = {"yuv": format.chroma_shift, "rgb": (0, 0), "grey": (2, 2)}[format.kind]
        lost = sum(max(0, theirs - ours) for theirs, ours in zip(other.chroma_shift, wanted, strict=True))
        kind = 0 if other.kind == format.kind else (2 if other.kind == "grey" else 1)
        fewer = max(0, _depth(format) - _depth(other))
        spare = (_depth(other) - _depth(format), other.alpha - format.alpha, -sum(other.chroma_shift))
        return (format.alpha and not other.alpha, kind, lost, fewer, *spare)

    return min(held, key=cost)


def _depth(format: SampleFormat) -> int:
    """Return how much a sample holds, half floats beyond 16 bits and single floats beyond those."""
    return format.bits if not format.floating else 24 if format.bits == 16 else 32
