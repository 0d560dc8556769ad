"""THE API: the only file that turns a Request into pixels.

`layers` is the expensive half; `compose` is a weighted sum of layers, so that a slider, a view or a deliverable costs a sum.
"""

from __future__ import annotations

import ctypes
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grainlayer.errors import ParamError
from grainlayer.grain.analyze import Sample, measure_profile, split_samples
from grainlayer.grain.look import is_own_plain, look_of
from grainlayer.grain.profile import STRENGTH_KNOTS, GrainProfile
from grainlayer.grain.reshape import reshape_grain
from grainlayer.grain.stocks import stock_profile
from grainlayer.grain.synth import prepare, render
from grainlayer.grain.texture import TextureMap
from grainlayer.inference.neural import NeuralSynth
from grainlayer.inference.remove import LevelEstimate, Remover, Strength, estimate_level
from grainlayer.inference.restore import QUALITIES, Restorer, seen_as
from grainlayer.inference.shown import Shown, ShownRestorer
from grainlayer.inference.temporal import TemporalRemover
from grainlayer.native import address, kernel, run_rows
from grainlayer.params import GrainSource, LevelMode, ProfileSource, Quality, ShotParams, View
from grainlayer.picture.encoding import MODEL_WHITE, from_model, slope, to_model
from grainlayer.picture.parts import LEAST_MEASURED, LEAST_SIDE, TooSmallError, box_of, middle_of
from grainlayer.picture.textfiles import read_text
from grainlayer.types import Encoding, Image, Layers, Window, check_window

MADE_AGAIN = (GrainSource.RESYNTHESISED, GrainSource.NEURAL)
"""Sources whose grain is made from the shot's own profile, which must be measured."""
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
SIGNED = (View.GRAIN, View.GRAIN_X4, View.DIFFERENCE)
"""Views that show what is taken out, added or changed, around grey."""
MOST_SUMMED = 3
"""Layers that one picture is the sum of, at most."""
LONGEST_PROFILE = 64_000
"""Bytes of a profile's file, at most; one that we write has 4 kB."""


@dataclass(frozen=True, eq=False)
class Request:
    """Hold everything a render depends on.

    window   (T, H, W, 3) code values; the picture rendered is T // 2
    frame    index in the source media
    profile  the shot's measured grain, where there is one; without it the window itself is measured
    texture  the shot's texture map, where there is one
    level    the strength told to the remover; None: from the profile, else estimated from the window
    scale    render scale, over 0 and at most 1: a proxy of half the height has 0.5
    restores   whether this is Artifact Restore; else grain is removed and added
    quantiser  (ceil(H/8), ceil(W/8)) QP / 64 by cell of 8x8 pixels, for Artifact Restore; None: estimated from the picture
    marks      tell the window's pictures from all others, by place; what is known of a picture with a mark is kept
    """

    window: Window
    frame: int
    params: ShotParams = field(default_factory=ShotParams)
    profile: GrainProfile | None = None
    texture: TextureMap | None = None
    level: Strength | None = None
    scale: float = 1.0
    restores: bool = False
    quantiser: NDArray[np.float32] | None = None
    marks: Sequence[Hashable] | None = None

    @property
    def source(self) -> Image:
        """Return the picture being rendered."""
        return self.window[len(self.window) // 2]


@dataclass(frozen=True)
class Weights:
    """Say how layers add up: `offset` + base + grain + regrain, or + source + detail, each times its number."""

    base: float = 0.0
    grain: float = 0.0
    regrain: float = 0.0
    offset: float = 0.0
    source: float = 0.0
    detail: float = 0.0


class Effect:
    """Turn requests into layers. One instance serves any number of shots; calls may come from any thread."""

    def __init__(self, device: str = "auto", model_id: str | None = None) -> None:
        """Choose the device, and a removal model other than the one of the `quality` parameter."""
        self.device = device
        self.model_id = model_id

    @cached_property
    def _removers(self) -> dict[str, Remover]:
        return {}

    def remover(self, quality: str) -> Remover:
        """Return the remover of a quality, loaded once. Raise ModelError or ParamError."""
        if quality not in self._removers:
            self._removers[quality] = Remover(quality, self.device, self.model_id)
        return self._removers[quality]

    @cached_property
    def _restorers(self) -> dict[str, ShownRestorer]:
        return {}

    def restorer(self, quality: str) -> Restorer:
        """Return the restorer of a quality, loaded once. Raise ModelError or ParamError."""
        return self._shown_restorer(quality).restorer

    def _shown_restorer(self, quality: str) -> ShownRestorer:
        name = QUALITIES.get(quality, quality)
        if name not in self._restorers:
            self._restorers[name] = ShownRestorer(Restorer(quality, self.device))
        return self._restorers[name]

    @cached_property
    def _temporal(self) -> TemporalRemover:
        return TemporalRemover(self.remover(Quality.TEMPORAL))

    @cached_property
    def _synth(self) -> NeuralSynth:
        return NeuralSynth(self.device)

    def layers(self, request: Request, told: Strength | None = None) -> Layers:
        """Return base, grain and, where the grain asked for is not simply the shot's own, regrain; of Artifact Restore the detail.

        `told` is what `level` gave for this request, where it has been asked. Raise ParamError, ModelError, MediaError.
        """
        check_window("The window", request.window)
        source = request.source
        if request.restores:
            return Layers(detail=self._detail(request) if restores(request.params) else np.zeros_like(source))
        base = self._base(request, source, told)
        grain = source - base
        return Layers(base=base, grain=grain, regrain=self.regrain(request, base, grain))

    def level(self, request: Request) -> Strength:
        """Return the strength of the grain that the remover is told.

        The manual level comes first, then a profile that the parameters name, a box, what the request brings, and at last an
        estimate from the picture. Scaling down averages grain: on a proxy a manual level is weaker by the scale, and profiles
        measured at full size give way to an estimate.
        """
        params, whole = request.params, request.scale == 1
        if params.level_mode is LevelMode.MANUAL:
            return params.level * request.scale
        if whole and (named := named_profile(params)) is not None:
            return profile_level(named, params.encoding)
        if params.profile is ProfileSource.BOX and not params.profile_data:
            return estimate_level(to_model(params.encoding, box_of(request.source, params, LEAST_SIDE)), self.device)
        if request.level is not None:
            return request.level
        if whole and request.profile is not None:
            return profile_level(request.profile, params.encoding)
        return estimate_level(to_model(params.encoding, request.source), self.device)

    def quantiser(self, request: Request) -> NDArray[np.float32]:
        """Return how coarsely the picture was quantised, QP / 64 by cell (ceil(H/8), ceil(W/8)): as the request says, or estimated.

        On a proxy it is always an estimate: what was recorded lies on another grid. Raise ParamError, ModelError.
        """
        if request.quantiser is not None and request.scale == 1:
            return request.quantiser
        return self._shown_restorer(request.params.quality).quantiser(_shown(request))

    def _detail(self, request: Request) -> Image:
        """Return restored - source, whatever the parameter `restore`."""
        params, shown, encoding = request.params, _shown(request), seen_as(request.params.encoding)
        change = self._shown_restorer(params.quality).change(shown, self.quantiser(request), params)
        if encoding not in MODEL_WHITE:
            return change
        coded = shown.coded(shown.middle)
        return from_model(encoding, coded + change) - from_model(encoding, coded)

    def _base(self, request: Request, source: Image, told: Strength | None) -> Image:
        """Return source - removal * n, n being the network's grain."""
        params = request.params
        if params.removal == 0:
            return source.copy()
        coded = to_model(params.encoding, source)
        level = self.level(request) if told is None else told
        if params.quality is Quality.TEMPORAL and len(request.window) > 1:
            window = np.stack([to_model(params.encoding, picture) for picture in request.window])
            grain = self._temporal.grain(window, level)
        else:
            grain = self.remover(params.quality).grain(coded, level)
        if params.encoding in MODEL_WHITE:
            grain = source - from_model(params.encoding, coded - grain)
        if params.removal_chroma != 1:
            luma = (grain @ LUMA)[:, :, None]
            grain = luma + np.float32(params.removal_chroma) * (grain - luma)
        return source - grain if params.removal == 1 else source - np.float32(params.removal) * grain

    def regrain(self, request: Request, base: Image, grain: Image) -> Image | None:
        """Return the grain to add to a base when it is not the shot's own as it is, else None. Raise ParamError or MediaError."""
        params, look = request.params, look_of(request.params)
        if params.grain_source is GrainSource.OWN:
            return None if is_own_plain(params) else reshape_grain(grain, base, look, named_profile(params) or request.profile)
        profile = self.profile(request)
        if params.grain_source is GrainSource.NEURAL:
            return self._synth.render(self._synth.plan(profile, look, base.shape[0]), base, seed=params.grain_seed, frame=request.frame)
        texture = request.texture if params.grain_source is GrainSource.RESYNTHESISED else None
        plan = prepare(profile, look, base.shape[0], base.shape[1], texture)
        return render(plan, base, seed=params.grain_seed, frame=request.frame)

    def profile(self, request: Request) -> GrainProfile:
        """Return the profile of the grain to be made: a stock's, a file's, the shot's own, or this picture's."""
        params = request.params
        if params.grain_source is GrainSource.STOCK:
            return stock_profile(params.stock)
        if (named := named_profile(params)) is not None:
            return named
        boxed = params.profile is ProfileSource.BOX
        if request.profile is not None and not boxed:
            return request.profile
        part = box_of(request.source, params, LEAST_MEASURED) if boxed else middle_of(request.source)
        return self.measure([part], params, len(request.source), request.scale)

    def measure(self, parts: Sequence[Image], params: ShotParams, height: int, scale: float = 1.0) -> GrainProfile:
        """Return the profile of the grain in pictures `height` high, or in parts of them, each by itself. Raise ParamError."""
        if min(min(part.shape[:2]) for part in parts) < LEAST_MEASURED:
            raise TooSmallError(
                f"Grain cannot be measured on less than {LEAST_MEASURED} pixels a side; choose a stock or a profile's file."
            )
        given = params.level_mode is LevelMode.MANUAL
        coded = [to_model(params.encoding, part) for part in parts]
        level: Strength | None = None if given else estimate_level(coded, self.device)

        def remove(window: Window) -> Image:
            layers = self.layers(Request(window, 0, remover_params(params), level=level, scale=scale))
            return layers.grain if layers.grain is not None else np.zeros_like(window[0])

        return measure_profile(split_samples([Sample(part) for part in parts], remove), remove, height)

    def result(self, request: Request) -> Image:
        """Return the picture of the request's view."""
        return view(request, self.layers(request))


def _shown(request: Request) -> Shown:
    """Return a request's window as restoration takes it; the codes of its middle picture are made once."""
    window, encoding, middle = request.window, seen_as(request.params.encoding), len(request.window) // 2
    here = cache(lambda: to_model(encoding, window[middle]))
    names = None if request.marks is None else [(mark, encoding, window.shape[1:]) for mark in request.marks]
    return Shown(len(window), lambda place: here() if place == middle else to_model(encoding, window[place]), names, request.scale == 1)


def restores(params: ShotParams) -> bool:
    """Say whether Artifact Restore has anything to do at its full strength."""
    return params.deblock or params.chroma or params.depth or params.deband > 0


def profile_level(profile: GrainProfile, encoding: Encoding) -> LevelEstimate:
    """Return a profile's strength curve as the remover is told it: in the codes that the model sees."""
    seen = np.linspace(0, 1, STRENGTH_KNOTS, dtype=np.float32)
    codes = from_model(encoding, seen)
    knots = np.linspace(0, 1, STRENGTH_KNOTS)
    rows = [np.interp(codes, knots, row) * slope(encoding, codes) for row in profile.strength_curve()]
    return LevelEstimate(np.array(rows, np.float32))


def read_profile(path: Path) -> GrainProfile:
    """Read a profile written by `grainlayer analyze`. Raise MediaError or ParamError."""
    try:
        text = read_text(path, LONGEST_PROFILE, what="The grain profile", advice="make one with `grainlayer analyze`")
    except UnicodeDecodeError as error:
        raise ParamError(f"{path} is no grain profile; make one with `grainlayer analyze`.") from error
    return GrainProfile.from_json(text)


def names_profile(params: ShotParams) -> bool:
    """Say whether the parameters name a profile, so that the shot need not be measured."""
    return params.profile in (ProfileSource.FILE, ProfileSource.STOCK) or bool(params.profile_data)


def named_profile(params: ShotParams) -> GrainProfile | None:
    """Return the profile that the parameters name: a file's, a stock's, or the one that Analyse stored. Raise ParamError, MediaError."""
    if params.profile is ProfileSource.STOCK:
        return stock_profile(params.stock)
    if params.profile is ProfileSource.FILE:
        if not params.profile_file:
            raise ParamError("profile is set to file, but profile_file is empty: name a profile written by `grainlayer analyze`.")
        return read_profile(Path(params.profile_file))
    return GrainProfile.from_json(params.profile_data) if params.profile_data else None


def remover_params(params: ShotParams) -> ShotParams:
    """Return the parameters of a full removal, the grain left as it is; neighbours help to measure whatever the quality."""
    quality = Quality.TEMPORAL if params.quality is Quality.DEFAULT else params.quality
    return replace(ShotParams(), quality=quality, encoding=params.encoding, level_mode=params.level_mode, level=params.level)


def weights(params: ShotParams, *, own: bool) -> Weights:
    """Return how the layers add up for the parameters' view; `own` says that there is no regrain layer."""
    grain, regrain = (params.grain_amount, 0.0) if own else (0.0, params.grain_amount)
    match params.view:
        case View.BASE:
            return Weights(base=1)
        case View.GRAIN:
            return Weights(grain=1 if own else 0, regrain=0 if own else 1, offset=0.5)
        case View.GRAIN_X4:
            return Weights(grain=4 if own else 0, regrain=0 if own else 4, offset=0.5)
        case View.DIFFERENCE:
            return Weights(grain=grain - 1, regrain=regrain, offset=0.5)
        case _:
            return Weights(base=1, grain=grain, regrain=regrain)


def restoring_weights(params: ShotParams) -> Weights:
    """Return how source and detail add up for the parameters' view: of Artifact Restore the base is the source restored in full."""
    match params.view:
        case View.BASE:
            return Weights(source=1, detail=1)
        case View.GRAIN:
            return Weights(detail=1, offset=0.5)
        case View.GRAIN_X4:
            return Weights(detail=4, offset=0.5)
        case View.DIFFERENCE:
            return Weights(detail=params.restore, offset=0.5)
        case _:
            return Weights(source=1, detail=params.restore)


def compose(layers: Layers, row: Weights, out: Image | None = None, source: Image | None = None) -> Image:
    """Return the weighted sum of layers, written into `out` if it is given, which may be the source's own memory. Never clips.

    Raise ParamError if a layer that counts is missing, or there are more than three.
    """
    pairs = (
        *((row.source, source), (row.base, layers.base), (row.grain, layers.grain)),
        *((row.regrain, layers.regrain), (row.detail, layers.detail)),
    )
    parts = [(weight, layer) for weight, layer in pairs if weight]
    if any(layer is None for _, layer in parts) or len(parts) > MOST_SUMMED:
        raise ParamError("A layer that the view needs was not rendered; ask for it and render again.")
    found = [(weight, np.ascontiguousarray(layer)) for weight, layer in parts if layer is not None]
    like = next((layer for _, layer in pairs if layer is not None), None)
    if like is None:
        raise ParamError("No layer was rendered; ask for at least one.")
    if out is not None:
        found = [(weight, layer.copy() if np.may_share_memory(layer, out) else layer) for weight, layer in found]
    out = np.empty_like(like) if out is None else out
    _sum(found, row.offset, out)
    return out


def _sum(parts: Sequence[tuple[float, Image]], offset: float, out: Image) -> None:
    """Write the sum of up to three weighted layers, in their order, then the offset."""
    call = kernel("grainlayer_compose", *[ctypes.c_void_p] * 4, *[ctypes.c_float] * 4, ctypes.c_int32, *[ctypes.c_int64] * 2)
    spare = MOST_SUMMED - len(parts)
    places = [address(layer) for _, layer in parts] + [None] * spare
    factors = [weight for weight, _ in parts] + [0.0] * spare
    target, row = address(out), out.shape[1] * 3
    run_rows(lambda first, end: call(target, *places, *factors, offset, len(parts), first * row, end * row), out.shape[0])


def shows_source(params: ShotParams, *, restoring: bool = False) -> bool:
    """Say whether a view is the source itself, bit for bit, so that no layer need be rendered; `restoring`: of Artifact Restore."""
    if restoring and not restores(params):
        return params.view not in SIGNED
    same = params.restore == 0 if restoring else is_own_plain(params) and params.grain_amount == 1
    return same and params.view in (View.RESULT, View.SPLIT, View.STATUS)


def view(request: Request, layers: Layers, out: Image | None = None) -> Image:
    """Return what the request's view shows, written into `out` if it is given; `out` may be the source's own memory.

    Untouched parameters show the source itself, bit for bit.
    """
    params, source = request.params, request.source
    if shows_source(params, restoring=request.restores):
        out = np.empty_like(source) if out is None else out
        np.copyto(out, source)
        return out
    half = source.shape[1] // 2 if params.view is View.SPLIT else 0
    left = source[:, :half].copy() if half else None
    row = restoring_weights(params) if request.restores else weights(params, own=layers.regrain is None)
    picture = compose(layers, row, out, source if request.restores else None)
    if left is not None:
        picture[:, :half] = left
    return picture
