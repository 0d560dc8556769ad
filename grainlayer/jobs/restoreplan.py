"""Decide how restored pictures are stored, and say in words what a restoration does to a source and what it cannot do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from grainlayer.errors import MediaError, ParamError
from grainlayer.jobs.restored import wider
from grainlayer.params import ShotParams
from grainlayer.picture.encoders import closest, encoder_for, formats_of, padded_size
from grainlayer.picture.media import STILL_SUFFIXES, MediaInfo, Reader
from grainlayer.picture.planes import matrix_number
from grainlayer.picture.quantiser import lossless
from grainlayer.picture.samples import MATRIX_RGB, UNSPECIFIED, ColourTags, SampleFormat, sample_format
from grainlayer.picture.stillwriter import still_formats

CODECS = {".mov": "prores", ".mkv": "ffv1"}
"""What a restored movie is written in unless --codec says otherwise."""
HELD = ("prores", "dnxhr", "ffv1")
"""Codecs of restored movies: each keeps every picture by itself, so that parts can be put together."""
KINDS = ("yuv", "rgb", "grey")
"""The order in which formats are listed."""
STILL_BITS = 16
TOLD, ESTIMATED, NONE = "told by the stream", "estimated", "none: lossless"
"""Where the quantiser of a source comes from."""
RANGED = ("ffv1",)
"""Codecs whose files say whether codes have full range, and where chroma lies."""


def codec_for(out: Path, codec: str | None) -> str | None:
    """Return the codec of an output, None for stills. Raise MediaError for one that restored movies are not written in."""
    suffix = out.suffix.lower()
    if suffix in STILL_SUFFIXES:
        return None
    chosen = codec or CODECS.get(suffix)
    if chosen is None or suffix not in CODECS:
        raise MediaError(
            f"{out.name} cannot hold a restored movie; name it .mov or .mkv, or name a sequence of TIFF, PNG, EXR or DPX files."
        )
    if chosen not in HELD:
        raise MediaError(f"Restored movies are not written in {chosen}; choose one of {', '.join(HELD)} with --codec.")
    suffixes = encoder_for(chosen).suffixes
    if suffix not in suffixes:
        raise MediaError(f"{out.name} cannot hold {chosen}; name it {' or '.join(one for one in suffixes if one in CODECS)}.")
    return chosen


def stored_format(out: Path, codec: str | None, info: MediaInfo, to: str | None) -> SampleFormat:
    """Return the format in which an output holds restored pictures of a source.

    to  FFmpeg's name of it; without it, the nearest to what `wider` says, in stills with 16 bits
    Raise ParamError, naming those it can hold, for a format that it cannot.
    """
    held = still_formats(out) if codec is None else list(formats_of(codec))
    if to is None:
        return closest(_in_stills(info.format) if codec is None else wider(info.format), held)
    chosen = next((form for form in held if form.name in (to, f"{to}le")), None)
    if chosen is None:
        ordered = sorted(held, key=lambda form: (KINDS.index(form.kind), form.alpha, -sum(form.chroma_shift), form.floating, form.bits))
        listed = ", ".join(form.name.removesuffix("le") for form in ordered)
        reason = f"{codec or out.suffix} cannot hold {to}" if _known(to) else f"There is no sample format {to}"
        raise ParamError(f"{reason}; {codec or out.suffix} takes one of {listed} with --to.")
    return chosen


def _known(name: str) -> bool:
    try:
        return bool(sample_format(name))
    except MediaError:
        return False


def _in_stills(format: SampleFormat) -> SampleFormat:
    if format.floating:
        return format
    if format.kind == "grey":
        return sample_format(f"ya{STILL_BITS}le" if format.alpha else f"gray{STILL_BITS}le")
    return sample_format(f"gbr{'a' if format.alpha else ''}p{STILL_BITS}le")


def stored_tags(info: MediaInfo, format: SampleFormat, codec: str | None) -> ColourTags:
    """Return what the codes of a format mean: a movie's own tags; RGB and grey in full range; what was RGB or JPEG in video range as YUV.

    ProRes and DNxHR, which say nothing of range and of where chroma lies, are taken for video range and left by every program.
    """
    tags = info.tags
    if format.kind != "yuv":
        return replace(tags, full_range=True, matrix=MATRIX_RGB if format.kind == "rgb" else tags.matrix, chroma_location=0)
    if info.kind == "movie" and info.format.kind == "yuv" and tags.matrix != MATRIX_RGB:
        return tags if codec in RANGED else replace(tags, full_range=False, chroma_location=0)
    return replace(tags, full_range=False, matrix=matrix_number(replace(tags, matrix=UNSPECIFIED), info.height), chroma_location=0)


def told_by(reader: Reader) -> str:
    """Return where the quantiser of a source comes from, by its first picture: TOLD, ESTIMATED or NONE."""
    if lossless(reader.info):
        return NONE
    first = next(reader.frames(0, 1), None)
    if first is None or first.quantiser is None:
        return ESTIMATED
    return TOLD if first.quantiser.any() else NONE


def done_in_words(info: MediaInfo, params: ShotParams, quantiser: str) -> list[str]:
    """Return what a restoration does to the pictures of a source."""
    if params.restore == 0:
        return []
    jobs = (
        (params.deblock and quantiser != NONE, "blocks and ringing repaired"),
        (params.chroma and _halved(info), "colour brought to the size of luma"),
        (params.depth and info.format.bits == 8, "steps between the levels of 8 bits filled"),
        (params.deband > 0, "bands in gradients evened out"),
    )
    return [words for wanted, words in jobs if wanted]


def counted(total: int) -> str:
    """Return how many frames there are, in words."""
    return f"{total} frame{'' if total == 1 else 's'}, counted from 0"


def beyond(frames: tuple[int, int] | None, shots: tuple[int, ...] | None, total: int) -> list[str]:
    """Return sentences on what of a range of frames and of shots' first frames is not among a source's `total` frames."""
    found: list[str] = []
    if frames is not None and frames[1] > total:
        found.append(f"The source has {counted(total)}: --frames ends with frame {total - 1}, not {frames[1] - 1}.")
    outside = [str(start) for start in shots or () if not 0 <= start < total]
    if outside:
        found.append(f"The source has {counted(total)}: no shot begins at {', '.join(outside)}, as --shots says.")
    return found


def warnings_for(info: MediaInfo, format: SampleFormat, codec: str | None, quantiser: str) -> list[str]:
    """Return sentences on what a restoration cannot do to a source, and on what the stored format loses of it."""
    source, found = info.format, list[str]()
    if quantiser == NONE:
        found.append("The source is stored without loss: there are no blocks and no ringing to repair.")
    if source.bits > 8:
        found.append(f"The source has {'floats' if source.floating else f'{source.bits} bits'} already: there is no depth to restore.")
    if source.kind == "grey":
        found.append("The source has no colour: only its light is restored.")
    elif not _halved(info):
        found.append(_whole_colour(info, quantiser))
    if info.interlaced:
        found.append("The source is interlaced and treated as whole frames: lines of both fields are restored as one picture.")
    return found + _lost(source, format) + _beside(info, format, codec)


def _whole_colour(info: MediaInfo, quantiser: str) -> str:
    """Return why no colour is added to a picture that comes without 4:2:0."""
    if info.format.kind == "rgb" and quantiser != NONE:
        return "The source is read as RGB: its colour is repaired, but not made finer, whatever size it was stored at."
    return "The source holds its colour finer than 4:2:0 already: there is no colour to add."


def _beside(info: MediaInfo, format: SampleFormat, codec: str | None) -> list[str]:
    """Return sentences on what a movie shows beyond the source's picture, and on what it does not carry."""
    if codec is None:
        return []
    found, size = list[str](), (info.width, info.height)
    stored = padded_size(codec, format, size)
    if stored != size:
        given, made = (f"{width}x{height}" for width, height in (size, stored))
        found.append(f"{codec} stores pictures of {given} as {made}, their edges repeated: only GrainLayer shows {given} again.")
    if info.hdr:
        found.append(f"The source's mastering display and light level are left out, as files in {codec} do not carry them.")
    return found


def _halved(info: MediaInfo) -> bool:
    return info.format.kind == "yuv" and info.format.chroma_shift == (1, 1)


def _lost(source: SampleFormat, format: SampleFormat) -> list[str]:
    found: list[str] = []
    name = format.name.removesuffix("le")
    if source.alpha and not format.alpha:
        found.append(f"The alpha channel is left out, as {name} holds none; choose another --to, --codec or suffix to keep it.")
    if not format.floating and format.bits < min(source.bits, 16):
        found.append(f"Samples are rounded from {'floats' if source.floating else f'{source.bits} bits'} to {format.bits} bits in {name}.")
    if source.kind != "grey" and (format.kind == "grey" or sum(format.chroma_shift) > sum(source.chroma_shift)):
        found.append(f"Colour is stored more coarsely in {name} than in the source.")
    return found
