"""Find a file's shots and measure each one's grain."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainlayer.codec.stream import GrainShot
from grainlayer.effect import Effect, Request, remover_params
from grainlayer.grain.analyze import Sample, bases_of, measure_profile, mirrored, some, split_samples
from grainlayer.grain.profile import GrainProfile
from grainlayer.grain.texture import TextureMap, plain_map
from grainlayer.grain.vectorize import measure_texture
from grainlayer.inference.remove import LevelEstimate, Strength, estimate_level
from grainlayer.jobs.progress import progress
from grainlayer.params import LevelMode, Quality, ShotParams
from grainlayer.picture.cuts import CutDetector, shrink
from grainlayer.picture.encoding import to_model
from grainlayer.picture.media import Frame, MediaInfo, Reader
from grainlayer.picture.planes import from_image, to_image
from grainlayer.types import Image, Window

SAMPLES, FEWEST = 10, 3
"""Pictures of a shot that are measured, at most, and of one so short that their neighbours overlap."""
PART = 512
"""Side of the squares measured in pictures of more than WHOLE pixels; a multiple of 16."""
WHOLE = 500_000
PARTS = 2
REACH = 2
"""Pictures before and after that the temporal quality looks at."""


@dataclass(frozen=True, eq=False)
class ShotGrain:
    """Hold what was measured of one shot: the strength told to the remover, the profile, the texture map."""

    start: int
    stop: int
    level: Strength
    profile: GrainProfile
    texture: TextureMap


def find_shots(reader: Reader) -> list[tuple[int, int]]:
    """Return the shots of a movie as (start, stop) frame indices, covering it without gaps: those that its reader knows, or found."""
    if reader.shots:
        return list(reader.shots)
    detector = CutDetector()
    count = 0
    with progress("Finding shots", reader.info.frames) as bar:
        for frame in reader.frames():
            detector.add(shrink(frame.planes[0], reader.info.format))
            count += 1
            bar.step()
    starts = detector.finish()
    return list(zip(starts, [*starts[1:], count], strict=True)) if count else []


def given_shots(starts: list[int], count: int) -> list[tuple[int, int]]:
    """Return shots from the first frames a user gave; 0 is always one of them."""
    inside = sorted({0, *(s for s in starts if 0 < s < count)})
    return list(zip(inside, [*inside[1:], count], strict=True))


def sample_frames(start: int, stop: int) -> list[int]:
    """Return evenly spread frames of a shot, at most SAMPLES, none at its very ends."""
    count = min(SAMPLES, stop - start, max(FEWEST, (stop - start) // (2 * REACH + 1)))
    return [start + int((stop - start) * (i + 0.5) / count) for i in range(count)]


def read_samples(reader: Reader, start: int, stop: int) -> list[Sample]:
    """Read the pictures of a shot that are measured; of large ones, squares that move from picture to picture."""
    samples: list[Sample] = []
    for turn, index in enumerate(sample_frames(start, stop)):
        first, end = max(start, index - REACH), min(stop, index + REACH + 1)
        near = np.stack([to_image(frame.planes, reader.info.format, reader.info.tags) for frame in reader.frames(first, end)])
        for part, origin in parts_of(near, turn):
            samples.append(_sample(part, index, index - first, origin))
    return samples


def _sample(part: Window, frame: int, place: int, origin: tuple[int, int]) -> Sample:
    """Return a sample whose source is the `place`-th picture of a window that may not reach as far on both sides."""
    if len(part) == 1:
        return Sample(part[0], frame, origin)
    return Sample(part[place], frame, origin, part[mirrored(place, REACH, len(part) - 1)])


def parts_of(near: Window, turn: int) -> Iterator[tuple[Window, tuple[int, int]]]:
    """Yield the part of a window that is measured, with its place (y, x): all of small pictures, squares of large ones."""
    height, width = near.shape[1:3]
    if height * width <= WHOLE:
        yield near, (0, 0)
        return
    rng = np.random.Generator(np.random.Philox(key=turn))
    tall, wide = min(PART, height // 16 * 16), min(PART, width // 16 * 16)
    for _ in range(PARTS):
        y = int(rng.integers(0, (height - tall) // 16 + 1)) * 16
        x = int(rng.integers(0, (width - wide) // 16 + 1)) * 16
        yield np.ascontiguousarray(near[:, y : y + tall, x : x + wide]), (y, x)


def windows(reader: Reader, start: int, stop: int, params: ShotParams, *, around: bool | None = None) -> Iterator[tuple[Frame, Window]]:
    """Yield a shot's frames, each with the pictures around it that the quality looks at; at the shot's ends they are mirrored.

    `around` says whether any are looked at, for shots whose parameters have keyframes.
    """
    looks = params.quality is Quality.TEMPORAL and params.removal > 0 if around is None else around
    reach = REACH if looks else 0
    held: deque[tuple[Frame, Image]] = deque(maxlen=2 * reach + 1)
    due = 0
    for frame in reader.frames(start, stop):
        held.append((frame, to_image(frame.planes, reader.info.format, reader.info.tags)))
        if due <= frame.index - start - reach:
            yield _window(held, start + due, reach)
            due += 1
    for index in range(start + due, held[-1][0].index + 1 if held else 0):
        yield _window(held, index, reach)


def _window(held: deque[tuple[Frame, Image]], index: int, reach: int) -> tuple[Frame, Window]:
    """Return a held frame and its window; what is not held is mirrored about the first or last picture."""
    first, last = held[0][0].index, held[-1][0].index
    if reach == 0:
        return held[-1][0], held[-1][1][None]
    places = mirrored(index - first, reach, last - first)
    return held[index - first][0], np.stack([held[place][1] for place in places])


def measure_shot(effect: Effect, reader: Reader, start: int, stop: int, params: ShotParams) -> ShotGrain:
    """Measure the grain of one shot."""
    info = reader.info
    samples = read_samples(reader, start, stop)
    coded = [to_model(params.encoding, sample.source) for sample in samples]
    manual = params.level_mode is LevelMode.MANUAL
    level: Strength = params.level if manual else estimate_level(coded, effect.device)

    def remove(window: Window) -> Image:
        layers = effect.layers(Request(window, 0, remover_params(params), level=level))
        return layers.grain if layers.grain is not None else np.zeros_like(window[0])

    def deliver(image: Image) -> Image:
        return to_image(from_image(image, info.format, info.tags), info.format, info.tags)

    split = split_samples(samples, remove)
    bases = [bases_of(sample, remove) for sample in some(split)]
    profile = measure_profile(split, remove, info.height, deliver=deliver, bases=bases)
    texture = measure_texture(some(split), bases, profile, remove, info.height, info.width, deliver=deliver)
    return ShotGrain(start, stop, level, profile, texture)


def plain_shot(info: MediaInfo, start: int, stop: int, profile: GrainProfile) -> ShotGrain:
    """Return a shot whose profile was given."""
    curve = profile.strength_curve().astype(np.float32)
    return ShotGrain(start, stop, LevelEstimate(curve), profile, plain_map(info.width, info.height))


class GainMeter:
    """Follow how much stronger each frame's grain is than its shot's: flicker, in sixteenths of an octave."""

    def __init__(self, profile: GrainProfile) -> None:
        """Take the strength expected by code value from the profile."""
        self.curve = LevelEstimate(profile.strength_curve().astype(np.float32))
        self.ratios: list[float] = []

    def add(self, base: Image, grain: Image) -> None:
        """Measure one frame, on every eighth pixel."""
        expected = self.curve.lookup(np.ascontiguousarray(base[4::8, 4::8]))
        power = float(np.mean(np.square(grain[4::8, 4::8], dtype=np.float64)))
        self.ratios.append(0.5 * float(np.log2((power + 1e-12) / (float(np.mean(expected**2)) + 1e-12))))

    def codes(self) -> tuple[int, ...]:
        """Return a code a frame: 0 unless the frame differs from the shot's median by more than measuring errors do."""
        values: NDArray[np.float64] = np.array(self.ratios)
        rounded = np.round(16 * (values - np.median(values))).astype(int)
        return tuple(int(np.clip(code, -48, 48)) if abs(code) > 2 else 0 for code in rounded)


def shot_packet(grain: ShotGrain, gains: tuple[int, ...], params: ShotParams) -> GrainShot:
    """Return the shot as the stream stores it."""
    return GrainShot(grain.start, grain.stop - grain.start, grain.profile, grain.texture, params.grain_seed, gains, params.grain_hold)
