"""Fit film stocks to real scans and write grainlayer/grain/stocks.json: `python -m models.fit_stocks`.

The scans are still photographs on 35mm film, 36 mm along 2000 pixels (55.6 a millimetre). A stock's `height` is the number
of those pixels along a motion-picture frame's height, so that its grain has the right size on the delivered picture.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image as Pictures

from grainlayer.effect import Effect, Request
from grainlayer.grain.analyze import Sample, measure_profile, split_samples
from grainlayer.grain.profile import GrainProfile
from grainlayer.inference.remove import estimate_level
from grainlayer.types import Image, Window
from models.data import data_root

PIXELS_A_MM = 2000 / 36
FRAME_MM = {"8mm": 4.01, "16mm": 7.49, "35mm": 18.67, "65mm": 22.1}
"""Height of the picture on film: Super 8, Super 16, Super 35 (four perforations), five-perforation 65mm."""
ROLL = ("fymmot_201805-001-004", "fymmot_201805-001-008", "fymmot_201805-001-013", "fymmot_201805-001-020")
STOCKS: dict[str, tuple[tuple[str, ...], str]] = {
    "35mm 500 colour": (ROLL, "Measured on four frames of one roll of 35mm colour negative scanned at 2000 pixels (CC0)"),
    "35mm 800 colour": (("fymmot_abt",), "Measured on one 35mm colour photograph with heavy grain scanned at 2000 pixels (CC0)"),
}
ENLARGED = {
    "16mm 500 colour": ("35mm 500 colour", "16mm"),
    "8mm 500 colour": ("35mm 500 colour", "8mm"),
    "65mm 500 colour": ("35mm 500 colour", "65mm"),
}
"""The same emulsion on another gauge: the same grain on film, on a smaller or larger frame."""


def fit(scans: tuple[str, ...]) -> GrainProfile:
    """Return the profile of several scans of one emulsion."""
    samples: list[Sample] = []
    for name in scans:
        picture = np.asarray(Pictures.open(data_root() / "grain" / "scans" / f"{name}.jpg").convert("RGB"), np.float32) / 255
        samples += [Sample(part) for part in _parts(picture)]
    level = estimate_level([sample.source for sample in samples])
    effect = Effect()

    def remove(window: Window) -> Image:
        grain = effect.layers(Request(window, 0, level=level)).grain
        assert grain is not None
        return grain

    return measure_profile(split_samples(samples, remove), remove, round(PIXELS_A_MM * FRAME_MM["35mm"]))


def _parts(picture: Image) -> list[Image]:
    tops, lefts = range(0, picture.shape[0] - 511, 416), range(0, picture.shape[1] - 511, 416)
    return [np.ascontiguousarray(picture[y : y + 512, x : x + 512]) for y in tops for x in lefts]


def main() -> None:
    """Fit every stock that the open scans hold, and write the library."""
    library: dict[str, dict[str, object]] = {}
    for stock, (scans, origin) in STOCKS.items():
        library[stock] = {"origin": f"{origin}; strength includes scanner and JPEG.", "profile": json.loads(fit(scans).to_json())}
        print(stock, library[stock]["profile"], flush=True)
    for stock, (source, gauge) in ENLARGED.items():
        profile = dict(library[source]["profile"])  # pyright: ignore[reportCallIssue, reportArgumentType]
        profile["height"] = round(PIXELS_A_MM * FRAME_MM[gauge])
        library[stock] = {"origin": f"The grain of {source} on a {gauge} frame, {FRAME_MM[gauge]} mm high.", "profile": profile}
    target = Path(__file__).parents[1] / "grainlayer" / "grain" / "stocks.json"
    target.write_text(json.dumps(library, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
