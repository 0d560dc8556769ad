"""The grain stream: every shot's profile, texture map, seed and gains as bytes that survive damage shot by shot.

`pack` and `unpack` are each other's inverse. Each shot stands alone: a damaged one plays as base, and the others decode as if
nothing had happened, even where header and index are lost. `framing` lays out the bytes, `shotcode` codes what a shot holds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from grainlayer.codec import framing
from grainlayer.codec.framing import MAJOR, Entry, Packet, Reader, varint
from grainlayer.codec.shotcode import GAIN_RANGE, MAX_GAINS, MAX_LEAVES, Vectors, decode_shot, encode_shot
from grainlayer.errors import ParamError, StreamError
from grainlayer.grain.profile import GrainProfile
from grainlayer.grain.texture import TextureMap

MAX_SIDE = 65535
MAX_FRAMES = 1 << 31
MAX_HOLD = 8
MAX_TAG = 65535
USUAL_SIZES = (
    *((640, 360), (640, 480), (720, 480), (720, 576), (960, 540), (1280, 720), (1440, 1080), (1920, 1080)),
    *((2048, 1080), (2560, 1440), (3840, 2160), (4096, 2160), (7680, 4320), (8192, 4320)),
)
USUAL_RATES = (
    *(Fraction(24), Fraction(24000, 1001), Fraction(25), Fraction(30), Fraction(30000, 1001), Fraction(48), Fraction(50)),
    *(Fraction(60), Fraction(60000, 1001), Fraction(100), Fraction(120), Fraction(12), Fraction(15), Fraction(16), Fraction(18)),
)
"""Sizes and rates that take one byte together: their places, from 1, in its halves; 0 says that numbers follow."""
SEED_BYTES = (0, 1, 2, 4, 8)
MAX_STREAM_LEAVES = 1 << 24
"""Blocks and gains that one `unpack` decodes; shots beyond play as base, with a warning. Ask for part of the frames to get them."""


@dataclass(frozen=True)
class GrainShot:
    """Hold one shot's grain.

    start, frames  the shot's frames, indices in the source media
    seed   64 bits, decides the grain together with frame and position
    gains  one code a frame, sixteenths of an octave, -64..64; () where every gain is 0, which all zeros become
    hold   frames for which one grain stands, 1..8
    extras values of later minor versions by tag (0..65535), kept and not understood
    """

    start: int
    frames: int
    profile: GrainProfile
    texture: TextureMap
    seed: int
    gains: tuple[int, ...] = ()
    hold: int = 1
    extras: Mapping[int, bytes] = field(default_factory=dict[int, bytes])

    def __post_init__(self) -> None:
        """Raise ParamError unless every number is in its range."""
        if not any(self.gains):
            object.__setattr__(self, "gains", ())
        _check("start", self.start, 0, MAX_FRAMES - 1)
        _check("frames", self.frames, 1, MAX_FRAMES - self.start)
        _check("seed", self.seed, 0, (1 << 64) - 1)
        _check("hold", self.hold, 1, MAX_HOLD)
        _check_tags(self.extras)
        if self.gains and (len(self.gains) != self.frames or self.frames > MAX_GAINS):
            raise ParamError(
                f"A grain shot needs one gain for each of its {self.frames} frames (at most {MAX_GAINS}); got {len(self.gains)}."
            )
        for gain in self.gains:
            _check("gain", gain, *GAIN_RANGE)

    def gain(self, frame: int) -> int:
        """Return the gain code of a frame of the source media that lies in this shot."""
        return self.gains[frame - self.start] if self.gains else 0

    @property
    def end(self) -> int:
        """Return the frame after the last."""
        return self.start + self.frames


@dataclass(frozen=True)
class GrainStream:
    """Hold the grain of a movie: its size in pixels, frame rate, count of frames, and shots in order.

    Frames between shots have no grain.
    """

    width: int
    height: int
    rate: Fraction
    frames: int
    shots: tuple[GrainShot, ...] = ()
    extras: Mapping[int, bytes] = field(default_factory=dict[int, bytes])
    version: int = MAJOR

    def __post_init__(self) -> None:
        """Raise ParamError unless the shots lie within the movie, in order, and have its size."""
        _check("version", self.version, MAJOR, MAJOR)
        _check("width", self.width, 1, MAX_SIDE)
        _check("height", self.height, 1, MAX_SIDE)
        _check("rate", self.rate.numerator, 1, MAX_FRAMES)
        _check("rate", self.rate.denominator, 1, MAX_FRAMES)
        _check("frames", self.frames, 0, MAX_FRAMES)
        _check_tags(self.extras)
        free = 0
        for shot in self.shots:
            _check("shot's start", shot.start, free, self.frames - shot.frames)
            if (shot.texture.width, shot.texture.height) != (self.width, self.height):
                raise ParamError(
                    f"A shot's texture map must be {self.width}x{self.height}; got {shot.texture.width}x{shot.texture.height}."
                )
            free = shot.end


def pack(stream: GrainStream) -> bytes:
    """Return the stream as bytes."""
    picture = _picture(stream.width, stream.height, stream.rate)
    packets = [framing.packet(_body(shot, picture)) for shot in stream.shots]
    head = framing.header(picture + varint(stream.frames) + varint(len(packets)) + framing.tags(stream.extras))
    return head + framing.index([(shot.start, shot.frames) for shot in stream.shots], packets) + b"".join(packets)


def unpack(data: bytes, within: range | None = None) -> tuple[GrainStream, list[str]]:
    """Return the stream and a sentence for each thing that is damaged or too new; such shots are left out.

    within  frames to decode: shots that do not touch them are left out silently. All, if None.
    Raise StreamError if the whole stream is too new, or if neither a header nor a shot can be found.
    """
    warnings: list[str] = []
    head = _read_head(data, warnings)
    found = _agree(list(_opened(_packets(data, head, warnings), warnings)), head, warnings)
    wanted = [one for one in found if within is None or (one.start < within.stop and one.end > within.start)]
    shots = tuple(_decoded(wanted, warnings))
    frames = found[-1].end if head is None else head.frames
    width, height, numerator, denominator = head.picture if head else found[0].picture
    return GrainStream(width, height, Fraction(numerator, denominator), frames, shots, head.extras if head else {}), warnings


def shot_at(stream: GrainStream, frame: int) -> GrainShot | None:
    """Return the shot that holds a frame of the source media, or None where there is no grain."""
    place = bisect_right(stream.shots, frame, key=lambda shot: shot.start) - 1
    if place < 0 or frame >= stream.shots[place].end:
        return None
    return stream.shots[place]


def symbols(shot: GrainShot) -> bytes:
    """Return all that a shot says at one byte a symbol (two for strength, eight for the seed), as a plain coder would be given it."""
    profile, texture = shot.profile, shot.texture
    strength = [code for row in profile.strength for code in row]
    small = [code for row in (*profile.spectrum, profile.direction, profile.correlation) for code in row]
    numbers = shot.start.to_bytes(4, "little") + shot.frames.to_bytes(4, "little") + shot.seed.to_bytes(8, "little")
    head = numbers + bytes([shot.hold]) + profile.height.to_bytes(2, "little")
    rows = (strength, (*small, *shot.gains), texture.splits, (code for vector in texture.codes for code in vector))
    return head + bytes(code >> 8 for code in strength) + bytes(int(code) & 255 for row in rows for code in row)


def packet_size(shot: GrainShot, rate: Fraction = USUAL_RATES[0]) -> int:
    """Return the bytes that a shot's packet takes in a stream of this frame rate, without its line in the index."""
    return len(framing.packet(_body(shot, _picture(shot.texture.width, shot.texture.height, rate))))


def _picture(width: int, height: int, rate: Fraction) -> bytes:
    """Return a picture's size and rate as bytes, one where both are usual."""
    size = (width, height)
    usual_size = USUAL_SIZES.index(size) + 1 if size in USUAL_SIZES else 0
    usual_rate = USUAL_RATES.index(rate) + 1 if rate in USUAL_RATES else 0
    out = bytes([usual_size << 4 | usual_rate])
    out += b"" if usual_size else varint(width) + varint(height)
    return out + (b"" if usual_rate else varint(rate.numerator) + varint(rate.denominator))


def _body(shot: GrainShot, picture: bytes) -> bytes:
    """Return a packet's body: frames, picture (for streams that lost their header), flags, seed, coded values, extras.

    flags  bits 0..2 how long the seed is, 4..6 hold less 1, 7 whether extras follow
    """
    length = next(place for place, count in enumerate(SEED_BYTES) if shot.seed < 1 << 8 * count)
    flags = length | (shot.hold - 1) << 4 | bool(shot.extras) << 7
    seed = shot.seed.to_bytes(SEED_BYTES[length], "little")
    coded = encode_shot(shot.profile, shot.gains, shot.texture)
    head = varint(shot.start) + varint(shot.frames) + picture + bytes([flags]) + seed
    return head + (varint(len(coded)) + coded + framing.tags(shot.extras) if shot.extras else coded)


Picture = tuple[int, int, int, int]
"""Width, height, and the frame rate's numerator and denominator."""


@dataclass(frozen=True)
class _Head:
    """Hold an intact header; `entries` is None where the index is damaged."""

    picture: Picture
    frames: int
    count: int
    extras: dict[int, bytes]
    entries: list[Entry] | None


@dataclass(frozen=True)
class _Found:
    """Hold what an intact packet says before its coded values, and a reader of the rest."""

    offset: int
    start: int
    frames: int
    picture: Picture
    rest: Reader

    @property
    def end(self) -> int:
        return self.start + self.frames


def _read_head(data: bytes, warnings: list[str]) -> _Head | None:
    """Return the header, or None with a warning where it is damaged. Raise StreamError if the stream is too new."""
    try:
        major, reader = framing.read_header(data)
        if major <= MAJOR:
            picture, frames, count = _read_picture(reader), reader.varint(), reader.varint()
            _check("frames", frames, 0, MAX_FRAMES)
            return _Head(picture, frames, count, reader.tags(), _read_index(data, reader.end + 4, warnings))
    except (StreamError, ParamError) as error:
        warnings.append(f"{str(error).rstrip('.')}; its shots were looked for by their marks.")
        return None
    raise StreamError(f"This grain stream is of version {major}, this program reads version {MAJOR}: update GrainLayer to play it.")


def _read_picture(reader: Reader) -> Picture:
    """Return the picture's size and rate. Raise ParamError if they are out of range."""
    usual = reader.sized(1)
    _check("size", usual >> 4, 0, len(USUAL_SIZES))
    _check("rate", usual & 15, 0, len(USUAL_RATES))
    width, height = USUAL_SIZES[(usual >> 4) - 1] if usual >> 4 else (reader.varint(), reader.varint())
    rate = USUAL_RATES[(usual & 15) - 1] if usual & 15 else None
    numerator, denominator = (rate.numerator, rate.denominator) if rate else (reader.varint(), reader.varint())
    for side in (width, height):
        _check("side", side, 1, MAX_SIDE)
    for part in (numerator, denominator):
        _check("rate", part, 1, MAX_FRAMES)
    return width, height, numerator, denominator


def _read_index(data: bytes, place: int, warnings: list[str]) -> list[Entry] | None:
    try:
        return framing.read_index(data, place)
    except StreamError as error:
        warnings.append(f"{str(error).rstrip('.')}; its shots were looked for by their marks.")
        return None


def _packets(data: bytes, head: _Head | None, warnings: list[str]) -> list[Packet]:
    """Return the intact packets: those of the index where there is one, else all that carry a mark."""
    if head is None or head.entries is None:
        marked = list(framing.scan(data))
        if head is not None and len(marked) < head.count:
            warnings.append(f"{head.count - len(marked)} of {head.count} shots of the grain stream are damaged and play as base.")
        return marked
    listed = [_listed(data, entry) for entry in head.entries]
    if None in listed:
        marked = {packet.crc & 0xFFFF: packet for packet in framing.scan(data)}
        listed = [packet or marked.get(entry.half) for packet, entry in zip(listed, head.entries, strict=True)]
    for number, (packet, entry) in enumerate(zip(listed, head.entries, strict=True), 1):
        if packet is None:
            span = f"frames {entry.start} to {entry.start + entry.frames - 1}, byte {entry.offset}"
            warnings.append(f"Shot {number} of {head.count} of the grain stream ({span}) is damaged: it plays as base.")
    return [packet for packet in listed if packet is not None]


def _listed(data: bytes, entry: Entry) -> Packet | None:
    """Return the packet of an index entry, or None if it is not there whole."""
    try:
        packet = framing.read_packet(data, entry.offset)
    except StreamError:
        return None
    return packet if packet.crc & 0xFFFF == entry.half else None


def _opened(packets: Iterable[Packet], warnings: list[str]) -> Iterator[_Found]:
    """Yield what the packets say of their shots; those of a later version and those that hold nonsense become warnings."""
    for packet in packets:
        if packet.major > MAJOR:
            about = f"is of version {packet.major}, this program reads version {MAJOR}"
            warnings.append(f"The grain stream's shot at byte {packet.offset} {about}: it plays as base until you update GrainLayer.")
            continue
        reader = Reader(packet.body)
        try:
            start, frames, picture = reader.varint(), reader.varint(), _read_picture(reader)
            _check("start", start, 0, MAX_FRAMES - 1)
            _check("frames", frames, 1, MAX_FRAMES - start)
            yield _Found(packet.offset, start, frames, picture, reader)
        except (StreamError, ParamError):
            warnings.append(f"The grain stream's shot at byte {packet.offset} holds impossible values: it plays as base.")


def _agree(found: list[_Found], head: _Head | None, warnings: list[str]) -> list[_Found]:
    """Return the shots in order, without those that overlap others or belong to another movie.

    Raise StreamError where neither header nor shot is left.
    """
    if head is None and not found:
        raise StreamError(f"This is no grain stream, or none of it can be read, not even shot 1: {' '.join(warnings)}")
    picture = head.picture if head else Counter(one.picture for one in found).most_common(1)[0][0]
    last = head.frames if head else MAX_FRAMES
    kept: list[_Found] = []
    for one in sorted(found, key=lambda one: (one.start, one.offset)):
        if one.picture == picture and one.end <= last and (not kept or kept[-1].end <= one.start):
            kept.append(one)
        else:
            warnings.append(f"The grain stream's shot at byte {one.offset} does not belong there: it plays as base.")
    return kept


def _decoded(found: Iterable[_Found], warnings: list[str]) -> Iterator[GrainShot]:
    """Yield the shots; those that hold nonsense become warnings."""
    left, known = MAX_STREAM_LEAVES, Vectors()
    for one in found:
        try:
            shot = _decode(one, min(left, MAX_LEAVES), known)
            left -= len(shot.texture.codes) + len(shot.gains)
            yield shot
        except (StreamError, ParamError) as error:
            span = f"frames {one.start} to {one.end - 1}, byte {one.offset}"
            warnings.append(f"The grain stream's shot of {span} plays as base: {error}")


def _decode(found: _Found, most: int, known: Vectors) -> GrainShot:
    """Return the shot that a packet holds. Raise StreamError or ParamError if it holds nonsense."""
    reader = found.rest
    flags = reader.sized(1)
    _check("seed's length", flags & 7, 0, len(SEED_BYTES) - 1)
    seed = reader.sized(SEED_BYTES[flags & 7])
    coded = reader.take(reader.varint() if flags & 128 else reader.end - reader.place)
    extras = reader.tags() if flags & 128 else {}
    profile, gains, texture = decode_shot(coded, found.frames, found.picture[:2], most, known)
    return GrainShot(found.start, found.frames, profile, texture, seed, gains, (flags >> 4 & 7) + 1, extras)


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ParamError(f"A grain stream's {name} must be {low}..{high}; got {value}.")


def _check_tags(extras: Mapping[int, bytes]) -> None:
    for tag in extras:
        _check("tag", tag, 0, MAX_TAG)
