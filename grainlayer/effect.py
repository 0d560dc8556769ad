"""THE API: the only file that turns a Request into pixels.

`layers` is the expensive half; `compose` is a weighted sum of layers, so that a slider, a view or a deliverable costs a sum.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from grainlayer.errors import MediaError, ParamError
from grainlayer.grain.look import GrainLook
from grainlayer.grain.profile import STRENGTH_KNOTS, GrainProfile
from grainlayer.grain.reshape import reshape_grain
from grainlayer.grain.stocks import stock_profile
from grainlayer.grain.synth import prepare, render
from grainlayer.grain.texture import TextureMap
from grainlayer.inference.remove import LevelEstimate, Remover, Strength, estimate_level
from grainlayer.inference.temporal import TemporalRemover
from grainlayer.params import GrainSource, LevelMode, ProfileSource, Quality, ShotParams, View
from grainlayer.picture.encoding import MODEL_WHITE, from_model, slope, to_model
from grainlayer.types import Encoding, Image, Layers, Window, check_window

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


@dataclass(frozen=True, eq=False)
class Request:
    """Hold everything a render depends on.

    window   (T, H, W, 3) code values; the picture rendered is T // 2
    frame    index in the source media
    profile  the shot's measured grain, where there is one; without it the window itself is measured
    texture  the shot's texture map, where there is one
    level    the strength told to the remover; None: from the profile, else estimated from the window
    """

    window: Window
    frame: int
    params: ShotParams = field(default_factory=ShotParams)
    profile: GrainProfile | None = None
    texture: TextureMap | None = None
    level: Strength | None = None

    @property
    def source(self) -> Image:
        """Return the picture being rendered."""
        return self.window[len(self.window) // 2]


@dataclass(frozen=True)
class Weights:
    """Say how layers add up: `offset` + base + grain + regrain, each times its number."""

    base: float = 0.0
    grain: float = 0.0
    regrain: float = 0.0
    offset: float = 0.0


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
    def _temporal(self) -> TemporalRemover:
        return TemporalRemover(self.remover(Quality.TEMPORAL))

    def layers(self, request: Request) -> Layers:
        """Return base, grain and, where the grain asked for is not simply the shot's own, regrain. Raise ParamError, ModelError."""
        check_window("The window", request.window)
        source = request.source
        base = self._base(request, source)
        grain = source - base
        return Layers(base=base, grain=grain, regrain=self._regrain(request, base, grain))

    def level(self, request: Request) -> Strength:
        """Return the strength of the grain that the remover is told."""
        if request.params.level_mode is LevelMode.MANUAL:
            return request.params.level
        if request.level is not None:
            return request.level
        if request.profile is not None:
            return profile_level(request.profile, request.params.encoding)
        return estimate_level(to_model(request.params.encoding, request.source), self.device)

    def _base(self, request: Request, source: Image) -> Image:
        """Return source - removal * n, n being the network's grain."""
        params = request.params
        if params.removal == 0:
            return source.copy()
        coded = to_model(params.encoding, source)
        if params.quality is Quality.TEMPORAL and len(request.window) > 1:
            window = np.stack([to_model(params.encoding, picture) for picture in request.window])
            grain = self._temporal.grain(window, self.level(request))
        else:
            grain = self.remover(params.quality).grain(coded, self.level(request))
        if params.encoding in MODEL_WHITE:
            grain = source - from_model(params.encoding, coded - grain)
        if params.removal_chroma != 1:
            luma = (grain @ LUMA)[:, :, None]
            grain = luma + np.float32(params.removal_chroma) * (grain - luma)
        return source - grain if params.removal == 1 else source - np.float32(params.removal) * grain

    def _regrain(self, request: Request, base: Image, grain: Image) -> Image | None:
        """Return the grain to add when it is not the shot's own as it is."""
        params, look = request.params, look_of(request.params)
        if params.grain_source is GrainSource.OWN:
            return None if is_own_plain(params) else reshape_grain(grain, base, look, request.profile)
        if params.grain_source is GrainSource.NEURAL:
            raise ParamError("grain_source neural needs a synthesis model, and none is installed; choose resynthesised or stock.")
        profile = self.profile(request)
        texture = request.texture if params.grain_source is GrainSource.RESYNTHESISED else None
        plan = prepare(profile, look, base.shape[0], base.shape[1], texture)
        return render(plan, base, seed=params.grain_seed, frame=request.frame)

    def profile(self, request: Request) -> GrainProfile:
        """Return the profile of the grain to be made: a stock's, a file's, or the shot's own."""
        params = request.params
        if params.grain_source is GrainSource.STOCK or params.profile is ProfileSource.STOCK:
            return stock_profile(params.stock)
        if params.profile is ProfileSource.FILE:
            if not params.profile_file:
                raise ParamError("profile is set to file, but profile_file is empty: name a profile written by `grainlayer analyze`.")
            return read_profile(Path(params.profile_file))
        if params.profile_data:
            return GrainProfile.from_json(params.profile_data)
        if request.profile is None:
            raise ParamError("This shot's grain has not been measured: run Analyse, or choose a stock as the grain's source.")
        return request.profile

    def result(self, request: Request) -> Image:
        """Return the picture of the request's view."""
        return view(request, self.layers(request))


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
        text = path.read_text("utf-8")
    except OSError as error:
        raise MediaError(f"The grain profile {path} cannot be read ({error.strerror}); make one with `grainlayer analyze`.") from error
    except UnicodeDecodeError as error:
        raise ParamError(f"{path} is no grain profile; make one with `grainlayer analyze`.") from error
    return GrainProfile.from_json(text)


def look_of(params: ShotParams) -> GrainLook:
    """Return the look that a shot's parameters ask of its grain."""
    return GrainLook(
        amount=params.grain_amount,
        size=params.grain_size,
        softness=params.grain_softness,
        saturation=params.grain_saturation,
        red=params.grain_red,
        green=params.grain_green,
        blue=params.grain_blue,
        shadows=params.grain_shadows,
        mids=params.grain_mids,
        highlights=params.grain_highlights,
        hold=params.grain_hold,
        seed=params.grain_seed,
    )


def is_own_plain(params: ShotParams) -> bool:
    """Say whether the grain asked for is the shot's own, unchanged but for its amount."""
    plain = GrainLook(amount=params.grain_amount, hold=params.grain_hold, seed=params.grain_seed)
    return params.grain_source is GrainSource.OWN and look_of(params) == plain


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


def compose(layers: Layers, row: Weights) -> Image:
    """Return the weighted sum of layers. Never clips. Raise ParamError if a layer that counts is missing."""
    parts = ((row.base, layers.base), (row.grain, layers.grain), (row.regrain, layers.regrain))
    total: Image | None = None
    for weight, layer in parts:
        if weight == 0:
            continue
        if layer is None:
            raise ParamError("A layer that the view needs was not rendered; ask for it and render again.")
        part = layer if weight == 1 else np.float32(weight) * layer
        total = part.copy() if total is None else np.add(total, part, out=total)
    if total is None:
        if layers.base is None:
            raise ParamError("No layer was rendered; ask for at least one.")
        total = np.zeros_like(layers.base)
    return total + np.float32(row.offset) if row.offset else total


def view(request: Request, layers: Layers) -> Image:
    """Return what the request's view shows; untouched parameters show the source itself, bit for bit."""
    params = request.params
    own = layers.regrain is None
    if params.view in (View.RESULT, View.SPLIT, View.STATUS) and own and params.grain_amount == 1:
        return request.source.copy()
    picture = compose(layers, weights(params, own=own))
    if params.view is View.SPLIT:
        half = picture.shape[1] // 2
        picture[:, :half] = request.source[:, :half]
    return picture
