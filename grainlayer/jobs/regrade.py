"""Lay a shot's grain, as its parameters ask for it, on a base that is already there: no network runs."""

from __future__ import annotations

from dataclasses import replace

from grainlayer.effect import Effect, Request, view
from grainlayer.params import View
from grainlayer.types import Image, Layers


class Regrader(Effect):
    """Make results from a source and its base as delivered."""

    def result_on(self, base: Image, request: Request) -> Image:
        """Return the result over this base; with untouched parameters the source, bit for bit. Raise ParamError or MediaError."""
        shown = replace(request, params=replace(request.params, view=View.RESULT))
        grain = request.source - base
        return view(shown, Layers(base=base, grain=grain, regrain=self.regrain(shown, base, grain)))
