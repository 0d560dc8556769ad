"""The peers of the removal: FFmpeg's fftdnoiz and nlmeans, CBM3D (package bm3d), SVT-AV1's own film grain, the clean picture.

Peers are told the true strength and get the best setting of a small grid in hindsight, for each kind and level of grain.
On stills each filter sees one plane at a time, in RGB or in an orthonormal opponent space (hindsight chooses), scaled so that
nothing is clipped: fftdnoiz in 16 bit, nlmeans in 8 bit, which is all it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from tests.bench.material import RATE, Footage
from tests.bench.movies import Planes, fill_plane, frame_planes, plane_samples, planes_frame, read_planes, write_planes

if TYPE_CHECKING:
    from av import VideoFrame
    from av.filter import FilterContext, Graph


Picture = NDArray[np.float32]
Floats = NDArray[np.float64]

OPPONENT: Floats = np.array([[3**-0.5] * 3, [2**-0.5, 0, -(2**-0.5)], [6**-0.5, -2 * 6**-0.5, 6**-0.5]])
"""Orthonormal: white noise keeps its strength in every row."""


@dataclass(frozen=True)
class Setting:
    """Hold one setting of a still peer. `scale` multiplies the strength told; the rest is the filter's own.

    space  'rgb' or 'opponent' for the filters; 'white' or 'coloured' for CBM3D: what it is told of the grain's spectrum
    """

    scale: float
    space: str = "rgb"
    options: str = ""

    @property
    def name(self) -> str:
        """Return the setting in a few words."""
        return f"x{self.scale:g} {self.space} {self.options}".strip()


Told = float | Floats
"""The true RMS strength in code value, or for a coloured CBM3D the true power spectrum (H, W)."""


def filter_plane(plane: Floats, deviation: float, bits: int, limit: float, describe: Callable[[float], tuple[str, str]]) -> Floats:
    """Run one FFmpeg filter over a plane, its own range stretched over all codes.

    `describe` gets the noise's standard deviation in 8-bit steps of the stretched plane and returns the filter's name and options;
    where that would pass the filter's `limit`, the plane is stretched over fewer codes.
    """
    import av

    low, span, peak = float(plane.min()), float(np.ptp(plane)) or 1.0, (1 << bits) - 1
    span *= max(1.0, 255 * deviation / span / limit)
    name, kind = ("gray", "u1") if bits == 8 else ("gray16le", "<u2")
    frame = av.VideoFrame(plane.shape[1], plane.shape[0], name)
    fill_plane(frame, 0, np.floor((plane - low) * (peak / span) + 0.5).astype(kind))
    frame.pts, frame.time_base = 0, Fraction(1, RATE)
    chain = open_chain(frame, [describe(255 * deviation / span)])
    chain.source.push(frame)
    chain.source.push(None)
    done = chain.sink.pull()
    assert isinstance(done, av.VideoFrame) and done.format.name == name
    return plane_samples(done, 0, kind).astype(np.float64) * (span / peak) + low


@dataclass(frozen=True)
class Chain:
    """Hold a chain of FFmpeg filters; the graph must live as long as its ends."""

    graph: Graph
    source: FilterContext
    sink: FilterContext


def open_chain(like: VideoFrame, words: Sequence[tuple[str, str]]) -> Chain:
    """Return a chain of filters, (name, options) each, for frames like the one given."""
    import av
    from av.filter import Graph

    graph = Graph()
    source = graph.add_buffer(width=like.width, height=like.height, format=av.VideoFormat(like.format.name), time_base=Fraction(1, RATE))
    sink = graph.add("buffersink")
    graph.link_nodes(source, *(graph.add(name, options) for name, options in words), sink).configure()
    return Chain(graph, source, sink)


def _by_plane(grainy: Picture, space: str, run: Callable[[Floats], Floats]) -> Picture:
    matrix = OPPONENT if space == "opponent" else np.eye(3)
    planes = grainy.astype(np.float64) @ matrix.T
    done = np.stack([run(np.ascontiguousarray(planes[:, :, channel])) for channel in range(3)], axis=2)
    return np.ascontiguousarray(done @ matrix, np.float32)


def fftdnoiz(grainy: Picture, told: Told, setting: Setting) -> Picture:
    """Return the base by FFmpeg's fftdnoiz."""
    strength = float(np.mean(told)) * setting.scale

    def describe(steps: float) -> tuple[str, str]:
        return "fftdnoiz", f"sigma={min(steps, 100):.4f}:{setting.options}"

    return _by_plane(grainy, setting.space, lambda plane: filter_plane(plane, strength, 16, 100, describe))


def nlmeans(grainy: Picture, told: Told, setting: Setting) -> Picture:
    """Return the base by FFmpeg's nlmeans, whose strength reaches from 1 to 30."""
    strength = float(np.mean(told)) * setting.scale

    def describe(steps: float) -> tuple[str, str]:
        return "nlmeans", f"s={min(max(steps, 1), 30):.4f}:{setting.options}"

    return _by_plane(grainy, setting.space, lambda plane: filter_plane(plane, strength, 8, 30, describe))


def cbm3d(grainy: Picture, told: Told, setting: Setting) -> Picture:
    """Return the base by CBM3D, told one standard deviation or the power spectrum of the grain (for which bm3d 4.0 needs np.trapz)."""
    import bm3d

    if not hasattr(np, "trapz"):
        setattr(np, "trapz", np.trapezoid)  # noqa: B010
    known = told * setting.scale if isinstance(told, float) else told * setting.scale**2
    return np.ascontiguousarray(bm3d.bm3d_rgb(grainy.astype(np.float64), known), np.float32)


FFTDNOIZ_GRID = tuple(
    Setting(scale, space, f"block={block}:overlap={overlap}")
    for scale in (1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)
    for space in ("rgb", "opponent")
    for block in (16, 32)
    for overlap in (0.5, 0.8)
)
NLMEANS_GRID = tuple(
    Setting(scale, space, f"p={patch}:r=15")
    for scale in (0.25, 0.35, 0.5, 0.7, 1.0, 1.4)
    for space in ("rgb", "opponent")
    for patch in (3, 5, 7)
)
CBM3D_GRID = tuple(Setting(scale, "white") for scale in (0.8, 1.0, 1.2, 1.4))
COLOURED_GRID = (Setting(1.0, "coloured"),)

Remove = Callable[[Picture, Told, Setting], Picture]


@dataclass(frozen=True)
class StillPeer:
    """Name a peer on stills, its grid, and the version of its wiring (a change of which makes cached figures stale)."""

    name: str
    run: Remove
    grid: tuple[Setting, ...]
    version: int = 1


STILL_PEERS = (
    StillPeer("fftdnoiz", fftdnoiz, FFTDNOIZ_GRID),
    StillPeer("nlmeans", nlmeans, NLMEANS_GRID),
    StillPeer("CBM3D", cbm3d, CBM3D_GRID),
    StillPeer("CBM3D told the spectrum", cbm3d, COLOURED_GRID),
)


CLIP_SCALES = (1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)
CLIP_OVERLAPS = (0.5, 0.8)
CLIP_TUNING = 12
"""Frames on which the filter's strength is chosen in hindsight."""


def filter_clip(frames: Iterable[Planes], words: Sequence[tuple[str, str]]) -> Iterator[Planes]:
    """Yield planes after a chain of FFmpeg filters, (name, options) each."""
    chain: Chain | None = None
    for index, planes in enumerate(frames):
        frame = planes_frame(planes, index, RATE)
        chain = chain or open_chain(frame, words)
        chain.source.push(frame)
        yield from _ready(chain.sink)
    if chain:
        chain.source.push(None)
        yield from _ready(chain.sink)


def _ready(sink: FilterContext) -> Iterator[Planes]:
    from av.error import BlockingIOError, EOFError

    while True:
        try:
            frame = sink.pull()
        except (BlockingIOError, EOFError):
            return
        yield frame_planes(cast("VideoFrame", frame))


def fftdnoiz_words(strengths: tuple[float, float], scales: tuple[float, float], overlaps: tuple[float, float]) -> list[tuple[str, str]]:
    """Return the filter chain over three frames for luma and for chroma, strengths in 8-bit steps."""
    parts = zip(strengths, scales, overlaps, (1, 6), strict=True)
    return [
        ("fftdnoiz", f"sigma={min(100.0, told * scale):.4f}:block=32:overlap={overlap}:prev=1:next=1:planes={planes}")
        for told, scale, overlap, planes in parts
    ]


def _error(done: list[Planes], clean: list[Planes], planes: slice) -> float:
    """Return the mean square error of some planes, 10-bit codes."""
    pairs = [pair for d, c in zip(done, clean, strict=True) for pair in zip(d[planes], c[planes], strict=True)]
    return float(np.mean([np.mean((a.astype(np.float64) - b) ** 2) for a, b in pairs]))


def tune_fftdnoiz(grainy: list[Planes], clean: list[Planes]) -> list[tuple[str, str]]:
    """Return the filter chain that comes nearest to the clean planes, luma and chroma chosen apart, told the true strengths."""
    luma, chroma = slice(0, 1), slice(1, 3)
    told = (_error(grainy, clean, luma) ** 0.5 / 4, _error(grainy, clean, chroma) ** 0.5 / 4)
    tried = {
        (scale, overlap): list(filter_clip(grainy, fftdnoiz_words(told, (scale, scale), (overlap, overlap))))
        for scale in CLIP_SCALES
        for overlap in CLIP_OVERLAPS
    }
    best = [min(tried, key=lambda setting: _error(tried[setting], clean, planes)) for planes in (luma, chroma)]
    return fftdnoiz_words(told, (best[0][0], best[1][0]), (best[0][1], best[1][1]))


def write_fftdnoiz(footage: Footage, out: Path) -> str:
    """Write the base that fftdnoiz makes of a clip, its strength tuned, and return the chain used."""
    words = tune_fftdnoiz(list(read_planes(footage.grainy, 0, CLIP_TUNING)), list(read_planes(footage.clean, 0, CLIP_TUNING)))
    write_planes(out, filter_clip(read_planes(footage.grainy), words), RATE)
    return ", ".join(f"{name}={options}" for name, options in words)
