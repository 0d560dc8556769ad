"""The rows: doing nothing, FFmpeg's filters, a blur held in the cell of rounding, and the nets.

Peers get the best setting of a small grid in hindsight, chosen by the luma of one picture of every clip and condition, and the better
chroma of the two inputs, Lanczos.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from grainlayer.inference import deband, restore
from grainlayer.inference.registry import ModelCard, load_bytes, model_root, read_manifest
from grainlayer.inference.restore import QUALITIES, Recorded, Restorer, aligned
from grainlayer.params import ShotParams
from tests.bench.movies import double_chroma, fill_plane, plane_samples
from tests.bench.peers import open_chain
from tests.bench.restore.degrade import RATE, SCALES, Degraded

Floats = NDArray[np.floating]
Restored = tuple[Floats, Floats]
"""Luma (N, H, W) and chroma (N, H, W, 2) of the pictures asked for."""

BILINEAR, LANCZOS, DEBAND, NLMEANS, BLUR, WIDE_BLUR = (
    "input",
    "input, Lanczos chroma",
    "ffmpeg deblock + deband",
    "ffmpeg nlmeans",
    "blur of 0.7 in the cell",
    "blur of 2 in the cell",
)
PEERS = (LANCZOS, DEBAND, NLMEANS, BLUR, WIDE_BLUR)
TASK = "restore"
PRODUCT = "grainlayer restore"
TAPS = 3
"""Lobes of the Lanczos kernel."""


@dataclass(frozen=True)
class Method:
    """Name a way to restore: `run` gets what is degraded, the pictures' numbers and one of the settings; `key` is what it is kept under."""

    name: str
    key: tuple[str, ...]
    run: Callable[[Degraded, Sequence[int], str], Restored]
    settings: tuple[str, ...] = ("",)
    lossless_only: bool = False


def bilinear(degraded: Degraded, places: Sequence[int], setting: str = "") -> Restored:
    """Return the input, its chroma interpolated linearly."""
    return degraded.luma[list(places)], _each(degraded.chroma[list(places)], double_chroma)


def lanczos(degraded: Degraded, places: Sequence[int], setting: str = "") -> Restored:
    """Return the input, its chroma interpolated by Lanczos of three lobes."""
    return degraded.luma[list(places)], _each(degraded.chroma[list(places)], lanczos_plane)


def _each(chroma: Floats, double: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Floats:
    """Return chroma (N, H, W, 2) of a doubled size, plane by plane."""
    planes = [[double(frame[:, :, part].astype(np.float64)) for part in range(2)] for frame in chroma]
    return np.stack([np.stack(pair, axis=2) for pair in planes]).astype(np.float32)


def lanczos_plane(half: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a plane, sited left, at twice the size: across every second sample is the stored one, down they lie between."""
    across = np.stack([half, _shifted(half, 0.5, 1)], axis=2).reshape(half.shape[0], -1)
    return np.stack([_shifted(across, -0.25, 0), _shifted(across, 0.25, 0)], axis=1).reshape(-1, across.shape[1])


def _shifted(plane: NDArray[np.float64], by: float, axis: int) -> NDArray[np.float64]:
    """Return the values `by` samples further along an axis."""
    places = np.arange(-TAPS, TAPS + 1)
    weights = np.where(np.abs(places - by) < TAPS, np.sinc(places - by) * np.sinc((places - by) / TAPS), 0)
    return ndimage.correlate1d(plane, weights / weights.sum(), axis=axis, mode="nearest")


def ffmpeg_filters(degraded: Degraded, places: Sequence[int], words: Sequence[tuple[str, str]], bits: int) -> Restored:
    """Return pictures after a chain of FFmpeg filters on planes of 8 or 12 bits, chroma by Lanczos."""
    import av

    kind, name = ("u1", "yuv420p") if bits == 8 else ("<u2", "yuv420p12le")
    chain, done = None, []
    for place in places:
        frame = av.VideoFrame(degraded.luma.shape[2], degraded.luma.shape[1], name)
        planes = (degraded.luma[place], degraded.chroma[place, :, :, 0], degraded.chroma[place, :, :, 1])
        for index, plane in enumerate(planes):
            offset, span = (number << (bits - 8) for number in SCALES[min(index, 1)])
            fill_plane(frame, index, np.clip(np.rint(plane * span + offset), 0, (1 << bits) - 1).astype(kind))
        frame.pts, frame.time_base = len(done), Fraction(1, RATE)
        chain = chain or open_chain(frame, words)
        chain.source.push(frame)
        done.append(_planes(cast(Any, chain.sink.pull()), bits, kind))
    luma, chroma = (np.stack([frame[part] for frame in done]) for part in range(2))
    return luma, _each(chroma, lanczos_plane)


def _planes(frame: Any, bits: int, kind: str) -> tuple[Floats, Floats]:
    """Return a frame's luma and chroma as floats."""
    found: list[Floats] = []
    for index in range(3):
        offset, span = (number << (bits - 8) for number in SCALES[min(index, 1)])
        found.append((plane_samples(frame, index, kind).astype(np.float32) - offset) / span)
    return found[0], np.stack(found[1:], axis=2)


def deblock_deband(degraded: Degraded, places: Sequence[int], setting: str) -> Restored:
    """Return FFmpeg's deblock, then deband, in 12 bits; the setting is the edge threshold of the one and the threshold of the other."""
    edge, band = setting.split(" ")
    words = [("deblock", f"filter=weak:block=8:alpha={edge}:beta={edge}:gamma={edge}:delta={edge}")]
    limits = ":".join(f"{number}thr={band}" for number in range(1, 5))
    return ffmpeg_filters(degraded, places, [*words, ("deband", f"{limits}:blur=1")], 12)


def nlmeans(degraded: Degraded, places: Sequence[int], setting: str) -> Restored:
    """Return FFmpeg's nlmeans, which reads 8 bits, of a strength."""
    return ffmpeg_filters(degraded, places, [("nlmeans", f"s={setting}:p=7:r=9")], 8)


def hold_in_cell(values: Floats, codes: Floats, kind: int) -> Floats:
    """Return values moved to the nearest that the 8-bit rounding of the codes given allows; `kind` 0 is luma, 1 chroma."""
    half = np.float32(0.5 / SCALES[kind][1])
    return np.clip(values, codes - half, codes + half)


def blur_in_cell(degraded: Degraded, places: Sequence[int], setting: str) -> Restored:
    """Return the input blurred by a Gaussian of a width in pixels, every sample held in its cell, chroma before it is doubled."""
    width = float(setting)
    luma, chroma = degraded.luma[list(places)], degraded.chroma[list(places)]
    smooth = hold_in_cell(ndimage.gaussian_filter(luma, (0, width, width), mode="nearest"), luma, 0)
    small = hold_in_cell(ndimage.gaussian_filter(chroma, (0, width, width, 0), mode="nearest"), chroma, 1)
    return smooth, _each(small, lanczos_plane)


def plain_methods() -> list[Method]:
    """Return the inputs, the peers, and the blur."""
    edges = [f"{edge} {band}" for edge in (0, 0.01, 0.05) for band in (0.004, 0.008, 0.02)]
    return [
        Method(BILINEAR, (BILINEAR,), bilinear),
        Method(LANCZOS, (LANCZOS,), lanczos),
        Method(DEBAND, (DEBAND,), deblock_deband, tuple(edges)),
        Method(NLMEANS, (NLMEANS,), nlmeans, ("1", "1.5", "2.5")),
        Method(BLUR, (BLUR,), blur_in_cell, ("0.7",), lossless_only=True),
        Method(WIDE_BLUR, (WIDE_BLUR,), blur_in_cell, ("2",), lossless_only=True),
    ]


class Net:
    """Run a net on windows of pictures; beyond a clip's ends its last picture stands again."""

    def __init__(self, data: bytes) -> None:
        """Open an ONNX file with the inputs luma (T, H, W), chroma (T, H/2, W/2, 2), quantiser (H/8, W/8)."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session: Any = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        shapes = {entry.name: entry.shape for entry in self.session.get_inputs()}
        self.inputs = frozenset(shapes)
        self.held: tuple[Degraded | None, dict[int, Recorded]] = (None, {})
        self.frames = shapes["luma"][0]
        if not isinstance(self.frames, int) or self.frames % 2 == 0:
            raise ValueError(f"the first axis of luma must be a fixed odd number of pictures; it is {self.frames}")

    def __call__(self, degraded: Degraded, places: Sequence[int], setting: str = "") -> Restored:
        """Return pictures restored; where no codec was at work, luma held in its cell."""
        done = [self._one(degraded, place) for place in places]
        luma, chroma = (np.stack([picture[part] for picture in done]) for part in range(2))
        return (luma if degraded.lossy else hold_in_cell(luma, degraded.luma[list(places)], 0)), chroma

    def _one(self, degraded: Degraded, place: int) -> Restored:
        reach = self.frames // 2
        window = np.clip(np.arange(place - reach, place + reach + 1), 0, len(degraded.luma) - 1)
        luma, chroma = aligned([self._recorded(degraded, int(index)) for index in window])
        given = {"luma": luma, "chroma": chroma, "quantiser": degraded.quantiser[place]}
        feed = {name: np.ascontiguousarray(value) for name, value in given.items() if name in self.inputs}
        bright, colour = self.session.run(["restored_luma", "restored_chroma"], feed)
        return bright, colour

    def _recorded(self, degraded: Degraded, index: int) -> Recorded:
        """Return a picture as the runtime holds it, kept while the clip stays the same."""
        if self.held[0] is not degraded:
            self.held = (degraded, {})
        if index not in self.held[1]:
            luma, chroma = degraded.luma[index], degraded.chroma[index]
            self.held[1][index] = Recorded(luma, chroma)
        return self.held[1][index]


class Product:
    """Restore as `grainlayer restore` does without options: the net, then bands evened out."""

    def __init__(self, card: ModelCard) -> None:
        """Load the model of a card."""
        self.restorer = Restorer(device="cpu", model_id=card.id)

    def __call__(self, degraded: Degraded, places: Sequence[int], setting: str = "") -> Restored:
        """Return pictures restored."""
        reach, last = self.restorer.reach, len(degraded.luma) - 1
        quantisers = degraded.quantiser
        seen = [Recorded(*pair, quantiser=cells) for *pair, cells in zip(degraded.luma, degraded.chroma, quantisers, strict=True)]
        windows = [[seen[index] for index in np.clip(np.arange(place - reach, place + reach + 1), 0, last)] for place in places]
        done = [self.restorer.restore(window, ShotParams()) for window in windows]
        return np.stack([picture.luma for picture in done]), np.stack([picture.chroma for picture in done])


def net_methods(paths: Sequence[Path] = ()) -> list[Method]:
    """Return the nets of the manifest's task "restore", then those of the files given, and the product with its default net."""
    cards = [card for card in read_manifest(model_root()).values() if card.task == TASK]
    files = [(card.id, load_bytes(card.id, card.path, card.sha256)) for card in cards]
    nets = [_net_method(name, data) for name, data in [*files, *((path.stem, path.read_bytes()) for path in paths)]]
    code = [hashlib.sha256(Path(module.__file__).read_bytes()).hexdigest() for module in (deband, restore)]
    whole = [Method(PRODUCT, (card.sha256, *code), Product(card)) for card in cards if card.id == QUALITIES["default"]]
    return [*nets, *whole]


def _net_method(name: str, data: bytes) -> Method:
    net = Net(data)
    return Method(f"{name} ({net.frames})", (hashlib.sha256(data).hexdigest(),), net)
