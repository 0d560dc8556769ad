"""Read a movie, still or sequence as if it had been stored without compression damage: everything that takes a Reader takes this one.

Its pictures are planes of a wider format of the source's kind, so that whatever works on the stored pictures works on the restored ones.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from grainlayer.errors import MediaError
from grainlayer.inference.restore import Recorded, Restored, Restorer, as_image, recorded_image, recorded_planes, seen_as
from grainlayer.jobs.ahead import ahead
from grainlayer.jobs.dither import dithered
from grainlayer.jobs.shots import find_shots, given_shots
from grainlayer.params import ShotParams
from grainlayer.picture.encoding import MODEL_WHITE, from_model, to_model
from grainlayer.picture.jpegs import in_planes
from grainlayer.picture.media import Fields, Frame, MediaInfo, Plane, Reader, open_media
from grainlayer.picture.planes import LUMA_WEIGHTS, matrix_number, scale, to_image
from grainlayer.picture.quantiser import quantiser_of
from grainlayer.picture.samples import BT709, ColourTags, SampleFormat, sample_format
from grainlayer.types import Image

LEAST_BITS = 10
"""Bits of a restored sample, at least: what lies between two levels of 8 bits needs them, and every movie of ours can hold them."""


def wider(format: SampleFormat) -> SampleFormat:
    """Return the format that restored pictures of a format have unless another is asked for; floats and finer formats stay.

    At least 10 bits, and chroma of 4:2:0 at full height, 4:2:2: the format of ProRes 422 and DNxHR, which all movie codecs here hold, so
    that a file stores the very picture that other steps worked on. Other subsampled chroma becomes 4:2:2 or 4:4:4, whichever loses none.
    """
    if format.floating:
        return format
    bits = max(LEAST_BITS, format.bits)
    if format.kind == "grey":
        return sample_format("ya16le" if format.alpha else f"gray{bits}le")
    if format.kind == "rgb":
        return sample_format(f"gbr{'a' if format.alpha else ''}p{bits}le")
    across = format.chroma_shift[0]
    return sample_format(f"yuv{'a' if format.alpha else ''}{'422' if across else '444'}p{bits}le")


def open_coded(source: Path, fields: Fields) -> Reader:
    """Open a source as its codec left it, to be restored: quantisers told, JPEG files in their own planes. Raise MediaError."""
    reader = open_media(source, fields=fields, quantiser=True)
    try:
        return in_planes(reader, source)
    except BaseException:
        reader.close()
        raise


def source_shots(source: Path, fields: Fields, given: tuple[int, ...] | None) -> list[tuple[int, int]]:
    """Return a file's shots, given or found, covering it without gaps. Raise MediaError for a file without pictures, or a damaged one."""
    with open_media(source, fields=fields) as reader:
        shots = given_shots(list(given), reader.count()) if given is not None else find_shots(reader)
    if not shots or shots[-1][1] == 0:
        raise MediaError(f"{source} holds no pictures; choose another file.")
    return shots


class RestoredReader(Reader):
    """Restore what another reader reads.

    A picture is restored with those around it in its shot; at the shot's ends the last one stands in for those beyond. Which pictures were
    read before does not matter: the same frame is always the same.
    """

    def __init__(
        self,
        reader: Reader,
        restorer: Restorer,
        params: ShotParams,
        shots: Sequence[tuple[int, int]],
        format: SampleFormat | None = None,
        tags: ColourTags | None = None,
    ) -> None:
        """Take the reader and its shots, (start, stop) without gaps.

        format  of the frames to come, `wider` than the source's without it; tags  what their codes mean, the source's without it
        """
        self._inner, self._restorer, self._params, self.shots = reader, restorer, params, list(shots)
        self.info: MediaInfo = replace(reader.info, format=format or wider(reader.info.format), tags=tags or reader.info.tags)

    def count(self) -> int:
        """Return the number of frames; see `Reader.count`."""
        return self._inner.count()

    def close(self) -> None:
        """Close the reader within."""
        self._inner.close()

    def frames(self, start: int = 0, stop: int | None = None) -> Generator[Frame]:
        """Yield restored frames; see `Reader.frames`. Raise ModelError where the network fails."""
        end = self.shots[-1][1] if self.shots else 0
        stop = end if stop is None else min(stop, end)
        if start >= stop:
            return
        reach = self._restorer.reach
        first = max(self._shot(start)[0], start - reach)
        last = min(self._shot(stop - 1)[1], stop + reach)
        with closing(_Held(self, first, last)) as held:
            for index in range(start, stop):
                low, high = self._shot(index)
                window = held.window(index, range(index - reach, index + reach + 1), (low, high - 1))
                yield self._restored(held.frame(index), window)

    def _shot(self, index: int) -> tuple[int, int]:
        return next(shot for shot in self.shots if shot[0] <= index < shot[1])

    def read(self, start: int, stop: int) -> Generator[tuple[Frame, Recorded]]:
        """Yield the stored frames, each as a net sees it."""
        for frame in self._inner.frames(start, stop):
            yield frame, self._recorded(frame)

    def _recorded(self, frame: Frame) -> Recorded:
        info, encoding = self._inner.info, seen_as(self._params.encoding)
        quantiser = quantiser_of(frame, info)
        if encoding not in MODEL_WHITE:
            found = recorded_planes(frame.planes, info.format, info.tags, quantiser)
        else:
            found = recorded_image(to_model(encoding, to_image(frame.planes, info.format, info.tags)), self._matrix, quantiser)
            step = 1 / scale(info.format, info.tags.full_range, BT709).luma_range
            found = replace(found, halved=info.format.chroma_shift == (1, 1), step=step)
        return replace(found, step=0.0) if info.format.floating else found

    def _restored(self, frame: Frame, window: list[Recorded]) -> Frame:
        made = self._restorer.restore(window, self._params)
        changed = self._changed(window[self._restorer.reach], made)
        planes = dithered(self._image(made), self.info.format, self.info.tags, frame.index, changed)
        if self.info.format.alpha:
            planes = (*planes, self._alpha(frame))
        return replace(frame, planes=planes, quantiser=None)

    def _changed(self, here: Recorded, made: Restored) -> tuple[bool, bool]:
        """Say whether restoration changed the luma and the chroma that are stored: what it did not is not dithered."""
        if self._params.restore == 0:
            return False, False
        luma = not np.array_equal(made.luma, here.luma)
        if self._inner.info.format.kind == "grey":
            return luma, luma
        colour = (self._params.chroma and here.halved) or not np.array_equal(made.chroma, here.colour)
        apart = self._by_planes and self.info.format.kind == "yuv"
        return (luma, colour) if apart else (luma or colour, luma or colour)

    @property
    def _by_planes(self) -> bool:
        """Say whether the luma and chroma that a net sees are those of the source's planes."""
        return self._with_matrix and seen_as(self._params.encoding) not in MODEL_WHITE

    @property
    def _with_matrix(self) -> bool:
        """Say whether the source's planes are luma and chroma of a matrix."""
        info = self._inner.info
        return info.format.kind == "yuv" and matrix_number(info.tags, info.height) in LUMA_WEIGHTS

    @property
    def _matrix(self) -> int:
        """Return the matrix between R, G, B and what a net sees: the source's own, BT.709's where it has none."""
        info = self._inner.info
        return matrix_number(info.tags, info.height) if self._with_matrix else BT709

    def _image(self, made: Restored) -> Image:
        """Return a restored picture in the source's encoding; a grey one has no colour."""
        info, encoding = self._inner.info, seen_as(self._params.encoding)
        grey = info.format.kind == "grey"
        image = np.repeat(made.luma[:, :, None], 3, axis=2) if grey else as_image(made, self._matrix)
        return from_model(encoding, image) if encoding in MODEL_WHITE else image

    def _alpha(self, frame: Frame) -> Plane:
        """Return the source's alpha in the restored format; opaque where it has none."""
        source, target = self._inner.info.format, self.info.format
        if not source.alpha:
            return np.full(frame.planes[0].shape, target.peak, target.dtype)
        if source.bits == target.bits and source.floating == target.floating:
            return frame.planes[-1]
        share = frame.planes[-1].astype(np.float64) / source.peak
        if target.floating:
            return share.astype(target.dtype)
        return np.floor(np.clip(share, 0, 1) * target.peak + 0.5).astype(target.dtype)


class _Held:
    """Hold the stored pictures that a window needs; each is read and converted once."""

    def __init__(self, reader: RestoredReader, first: int, last: int) -> None:
        """Read frames `first` to `last` (not included) of a reader's source as they are needed."""
        self._source = ahead(reader.read(first, last))
        self._held: dict[int, tuple[Frame, Recorded]] = {}
        self._next = first
        self._failure: MediaError | None = None

    def window(self, index: int, around: range, shot: tuple[int, int]) -> list[Recorded]:
        """Return the pictures of `around`, within the shot's first and last; forget those that no later window needs.

        Where the source is damaged, the last picture before the damage stands in for those beyond. Raise MediaError if `index` is beyond.
        """
        self._fill(min(around[-1], shot[1]))
        if index >= self._next:
            raise self._failure or MediaError(f"Frame {index} could not be read: the file is shorter than it was; copy or export it again.")
        for old in [number for number in self._held if number < around[0]]:
            del self._held[old]
        last = min(shot[1], self._next - 1)
        return [self._held[min(max(number, shot[0]), last)][1] for number in around]

    def frame(self, index: int) -> Frame:
        """Return a held frame."""
        return self._held[index][0]

    def close(self) -> None:
        """Let go of the source."""
        self._held.clear()
        self._source.close()

    def _fill(self, last: int) -> None:
        while self._next <= last and self._failure is None:
            try:
                item = next(self._source, None)
            except MediaError as error:
                self._failure = error
                return
            if item is None:
                return
            self._held[self._next] = item
            self._next += 1
