"""Turn jobs into pictures and profiles: parameters, sidecars, layers at hand or made, and the view written into shared memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from grainlayer import __version__
from grainlayer.editorial.journal import Journal
from grainlayer.editorial.sidecars import Sidecars, followed
from grainlayer.effect import Effect, Request, names_profile, restores, shows_source, view
from grainlayer.errors import ModelError, ParamError
from grainlayer.grain.profile import GrainProfile
from grainlayer.inference.remove import LevelEstimate, Strength, model_of
from grainlayer.inference.restore import QUALITIES
from grainlayer.inference.runtime import Cancel, device_in_use
from grainlayer.params import Effect as EffectName
from grainlayer.params import GrainSource, LevelMode, ProfileSource, Quality, ShotParams, View, for_effect
from grainlayer.picture.parts import LEAST_MEASURED, TooSmallError, box_of
from grainlayer.server.failures import TooLarge
from grainlayer.server.job import Job
from grainlayer.server.layercache import Key, LayerCache, Made, physical_memory
from grainlayer.server.parameters import EFFECTS, read_params
from grainlayer.server.sessions import Session
from grainlayer.server.wire import Outcome
from grainlayer.types import Image, Window

ONLY_SUMMED = {"view", "grain_amount", "restore", "shot_uid", "follow"}
"""Parameters on which no layer depends."""
ONLY_MADE = {"grain_seed", "grain_hold"}
"""Parameters on which layers depend only where grain is synthesised."""
RESTORING = tuple(param.key for param in for_effect(EffectName.ARTIFACT_RESTORE) if param.key not in ONLY_SUMMED)
"""Parameters on which the layers of Artifact Restore depend."""
COPIES = 8
"""Pictures that a render holds at once beside those that it is given, about."""
UNCHANGED = "nothing to change: the picture passes through"
NO_SIDECAR = "follow is on, but there is no sidecar for this shot; write one with the script Import Parameters, or switch follow off."
LARGEST_THUMBNAIL = 128
"""Pixels across a picture that is shown as it is where it is too small to be measured: hosts draw thumbnails of shots."""
NOT_FINITE = "The picture holds values that are not numbers (NaN or Inf), and was left alone; mend it upstream of this effect."


@dataclass(eq=False)
class Errand:
    """Hold a request while it is worked on."""

    number: int
    cancel: Cancel = field(default_factory=Cancel, kw_only=True)
    answered: bool = field(default=False, kw_only=True)
    began: float = field(default_factory=time.monotonic, kw_only=True)

    def let_go(self) -> None:
        """Free what only the work needed."""


@dataclass(eq=False)
class Work(Errand):
    """Hold a job while it is worked on; its pictures keep their shared memory mapped."""

    session: Session
    job: Job
    pictures: list[Image]
    out: Image | None

    def let_go(self) -> None:
        """Free the pictures."""
        self.pictures, self.out = [], None

    @property
    def microseconds(self) -> int:
        """Return the time since the job came."""
        return round(1e6 * (time.monotonic() - self.began))


@dataclass(frozen=True)
class Answer:
    """Hold what became of a picture."""

    outcome: Outcome
    cached: bool = False
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """Hold the values that a picture is rendered with: the request's or a sidecar's."""

    params: ShotParams
    profile: GrainProfile | None
    warnings: tuple[str, ...]


@dataclass
class Tally:
    """Count what was done. Calls may come from any thread."""

    frames: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self) -> None:
        """Count a frame."""
        with self.lock:
            self.frames += 1


class Renderer:
    """Answer jobs. Calls may come from any thread."""

    def __init__(self, effect: Effect, cache: LayerCache, journal: Journal, sidecars: Sidecars) -> None:
        """Take what renders, what keeps layers, and what knows about shots."""
        self.effect = effect
        self.cache = cache
        self.journal = journal
        self.sidecars = sidecars
        self.tally = Tally()

    @property
    def device(self) -> str:
        """Return where networks run, in words; where they cannot, "none", and every render says why."""
        try:
            return device_in_use(self.effect.device)
        except ModelError:
            return "none"

    def plan(self, work: Work) -> Plan | Answer:
        """Return what a render needs, or the answer itself where no pixel is touched. Never slow. Raise ParamError and its like."""
        job = work.job
        name, asked = EFFECTS[job.effect], read_params(job)
        self.journal.add(name, asked, job.frame, work.session.host)
        params, profile, warnings = self._followed(asked, name, job.frame)
        self.tally.add()
        restoring = name is EffectName.ARTIFACT_RESTORE
        if shows_source(params, restoring=restoring):
            lines = [UNCHANGED] if restoring else [self._model(params), UNCHANGED, "level not measured"]
            return Answer(Outcome.SOURCE, note=self._note(params, lines, warnings))
        _check_memory(job)
        return Plan(params, profile, tuple(warnings))

    def render(self, work: Work, plan: Plan) -> Answer:
        """Write the view into the job's `out`. Raise ParamError, ModelError, MediaError, Cancelled."""
        work.cancel.check()
        params, request = plan.params, _request(work, plan)
        try:
            made, cached = self.cache.get(_key(work, request), lambda: self._make(request), work.cancel)
        except TooSmallError:
            if max(work.job.width, work.job.height) > LARGEST_THUMBNAIL:
                raise
            return Answer(Outcome.SOURCE)
        view(request, made.layers, work.out)
        work.cancel.check()
        origin = "layers from the cache" if cached else f"layers made in {work.microseconds / 1000:.0f} ms"
        lines = _restored_lines(request, made.quantiser) if request.restores else [self._model(params)]
        lines += [origin] if request.restores else [origin, _level_words(request, made.level)]
        return Answer(Outcome.WRITTEN, cached, self._note(params, lines, plan.warnings))

    def _followed(self, params: ShotParams, effect: EffectName, frame: int) -> tuple[ShotParams, GrainProfile | None, list[str]]:
        """Return the values to render with, the shot's profile, and warnings."""
        if not params.follow:
            return params, None, []
        sidecar = self.sidecars.find(params.shot_uid) if params.shot_uid else None
        if sidecar is None:
            return params, None, [NO_SIDECAR]
        return followed(params, sidecar, effect, frame), sidecar.profile, []

    def _make(self, request: Request) -> Made:
        if not np.isfinite(request.window).all():
            raise ParamError(NOT_FINITE)
        if request.restores:
            return self._restore(request)
        level = self.effect.level(request) if request.params.removal > 0 else None
        return Made(self.effect.layers(request, level), None if level is None else _peak(level))

    def _restore(self, request: Request) -> Made:
        if not restores(request.params):
            return Made(self.effect.layers(request))
        quantiser = self.effect.quantiser(request)
        lossy = quantiser[quantiser > 0]
        return Made(
            self.effect.layers(replace(request, quantiser=quantiser)), quantiser=64 * float(np.median(lossy)) if lossy.size else 0.0
        )

    def _note(self, params: ShotParams, lines: list[str], warnings: Sequence[str]) -> str:
        """Return what is shown: all for the view Status, else warnings alone."""
        if params.view is not View.STATUS:
            return "\n".join(warnings)
        return "\n".join([f"GrainLayer {__version__} on {self.device}", *lines, *warnings])

    def _model(self, params: ShotParams) -> str:
        """Return which network takes the grain out, for the view Status."""
        beside = " with neighbouring frames" if params.quality is Quality.TEMPORAL else ""
        return f"model {self.effect.model_id or model_of(params.quality)}{beside}"

    def analyse(self, work: Work) -> str:
        """Return the profile of the grain in the job's pictures, JSON. Raise ParamError, ModelError, Cancelled."""
        job = work.job
        params = read_params(job)
        _check_memory(job)
        parts = [part for turn, picture in enumerate(work.pictures) for part in _parts(picture, params, turn)]
        return self.effect.measure(parts, params, job.height, job.scale).to_json()


def _check_memory(job: Job) -> None:
    """Raise TooLarge if a picture can never fit; several are copied into one window."""
    held = len(job.pictures) * (2 if len(job.pictures) > 1 else 1)
    if job.bytes * (held + COPIES) > physical_memory():
        raise TooLarge(f"{job.width}x{job.height} pixels")


def _parts(picture: Image, params: ShotParams, turn: int) -> list[Image]:
    """Return what is measured of a picture: the box, or all of it, or squares of a large one."""
    from grainlayer.jobs.shots import parts_of

    if params.profile is ProfileSource.BOX:
        return [box_of(picture, params, LEAST_MEASURED)]
    return [part[0] for part, _ in parts_of(picture[None], turn)]


def _is_temporal(params: ShotParams) -> bool:
    return params.quality is Quality.TEMPORAL and params.removal > 0


def _request(work: Work, plan: Plan) -> Request:
    """Return what a job asks of the effect."""
    job, params = work.job, plan.params
    restoring = EFFECTS[job.effect] is EffectName.ARTIFACT_RESTORE
    several = restores(params) if restoring else _is_temporal(params)
    marks = _marks(job, several=several)
    return Request(_window(work, several=several), job.frame, params, plan.profile, scale=job.scale, restores=restoring, marks=marks)


def _window(work: Work, *, several: bool) -> Window:
    """Return the pictures that the render looks at, (T, H, W, 3): one of them is not copied."""
    if several and len(work.pictures) > 1:
        return np.stack(work.pictures)
    return work.pictures[len(work.pictures) // 2][None]


def _marks(job: Job, *, several: bool) -> tuple[bytes, ...]:
    """Return the marks of these pictures."""
    return tuple(picture.mark for picture in job.pictures) if several else (job.middle.mark,)


def _key(work: Work, request: Request) -> Key:
    """Return all that a request's layers depend on."""
    job, params = work.job, request.params
    shown = (work.session.name, job.effect, request.marks, job.width, job.height, job.scale)
    if request.restores:
        return (*shown, *(getattr(params, key) for key in RESTORING))
    own = params.grain_source is GrainSource.OWN
    left_out = ONLY_SUMMED | ONLY_MADE if own else ONLY_SUMMED
    values: tuple[Hashable, ...] = tuple((key, value) for key, value in sorted(vars(params).items()) if key not in left_out)
    file = _stamp(params.profile_file) if params.profile is ProfileSource.FILE else None
    frame = None if own else job.frame
    return (*shown, frame, values, request.profile, file)


def _stamp(path: str) -> tuple[int, int] | None:
    """Return what changes when a file does."""
    try:
        facts = os.stat(path)
    except (OSError, ValueError):
        return None
    return facts.st_mtime_ns, facts.st_size


def _restored_lines(request: Request, quantiser: float | None) -> list[str]:
    """Return the restoring network and how coarsely it takes the picture to be quantised, for the view Status."""
    if quantiser is None:
        return [UNCHANGED]
    beside = " with neighbouring frames" if len(request.window) > 1 else ""
    found = f"estimated QP {quantiser:.0f}" if quantiser else "no lossy compression found"
    return [f"model {QUALITIES[request.params.quality]}{beside}", found]


def _peak(level: Strength) -> float:
    return level.level if isinstance(level, LevelEstimate) else float(np.max(level))


def _level_words(request: Request, level: float | None) -> str:
    """Return the level in use and where it comes from, as Effect.level finds it."""
    if level is None:
        return "no grain removed"
    params, whole = request.params, request.scale == 1
    if params.level_mode is LevelMode.MANUAL:
        return f"level {level:.4f}, manual"
    if whole and names_profile(params):
        return f"level {level:.4f}, from the profile"
    if params.profile is ProfileSource.BOX and not params.profile_data:
        return f"level {level:.4f}, estimated in the box"
    return f"level {level:.4f}, {'from the sidecar' if whole and request.profile else 'estimated on this frame'}"
