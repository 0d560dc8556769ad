"""Whether base and grain add up to the source: split by the command line into every format, read back by other readers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.bench.cache import PLACE
from tests.bench.material import CLIPS, Clip, data_root, make_footage
from tests.bench.movies import Planes, planes_to_rgb, read_planes
from tests.bench.product import grainlayer
from tests.bench.report import Report, Table

FRAMES = 5
NOTES = (
    "Layers are written by `grainlayer split` and read back by OpenImageIO or PyAV, every pixel of every frame.",
    "Integer formats: error of base + grain - middle code in steps of the file's format. Float formats: in steps (spacing) of the format "
    "at the greatest of source, base and grain.",
    "Lossy layers (ProRes) cannot be exact: the error is that of the decoded files against the source in the base's format.",
)

Samples = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """Name one format: suffix, OpenImageIO's sample type, and the code that means no grain."""

    name: str
    suffix: str
    kind: str
    middle: float
    options: tuple[tuple[str, int], ...] = ()

    @property
    def floating(self) -> bool:
        """Say whether samples are floats."""
        return self.kind in ("half", "float")


STILLS = (
    Target("EXR half", ".exr", "half", 0),
    Target("EXR float", ".exr", "float", 0),
    Target("TIFF 8 bit", ".tif", "uint8", 2**7),
    Target("TIFF 16 bit", ".tif", "uint16", 2**15),
    Target("TIFF float", ".tif", "float", 0),
    Target("DPX 10 bit", ".dpx", "uint16", 2**9, (("oiio:BitsPerSample", 10),)),
    Target("DPX 16 bit", ".dpx", "uint16", 2**15),
    Target("PNG 8 bit", ".png", "uint8", 2**7),
    Target("PNG 16 bit", ".png", "uint16", 2**15),
)


@dataclass
class Gap:
    """Follow the difference of base + grain from the source, and the grain itself, in steps."""

    worst: float = 0.0
    total: float = 0.0
    power: float = 0.0
    count: int = 0

    def add(self, source: Samples, base: Samples, grain: Samples, step: Samples | float) -> None:
        """Add samples; `grain` is signed."""
        gap = np.abs(source - (base + grain)) / step
        self.power += float(np.sum((grain / step) ** 2))
        self.worst = max(self.worst, float(gap.max(initial=0)))
        self.total += float(np.sum(gap**2))
        self.count += gap.size

    @property
    def rms(self) -> float:
        """Return the root mean square."""
        return (self.total / max(self.count, 1)) ** 0.5

    @property
    def grain(self) -> float:
        """Return the root mean square of the grain."""
        return (self.power / max(self.count, 1)) ** 0.5


def write_still(path: Path, picture: NDArray[np.float64], target: Target) -> None:
    """Write a picture (H, W, 3) in code values; integers are held within their codes. Raise RuntimeError."""
    import OpenImageIO as oiio

    height, width = picture.shape[:2]
    spec = oiio.ImageSpec(width, height, 3, target.kind)
    for name, value in target.options:
        spec.attribute(name, value)
    output = oiio.ImageOutput.create(str(path))
    if output is None or not output.open(str(path), spec):
        raise RuntimeError(f"{path} cannot be written: {oiio.geterror()}")
    output.write_image(np.ascontiguousarray(picture, np.float32))
    output.close()


def read_still(path: Path, target: Target) -> Samples:
    """Return a still's samples as stored, (H, W, 3): codes of integer formats, values of floats. Raise RuntimeError."""
    import OpenImageIO as oiio

    opened = oiio.ImageInput.open(str(path))
    if opened is None:
        raise RuntimeError(f"{path} cannot be read: {oiio.geterror()}")
    kind = "float" if target.floating else target.kind
    samples = np.asarray(opened.read_image(kind)).astype(np.float64)[:, :, :3]
    opened.close()
    ten = ("oiio:BitsPerSample", 10) in target.options
    return np.round(samples * 1023 / 65535) if ten else samples


def pictures(clip: Clip, std: int) -> list[NDArray[np.float64]]:
    """Return grainy frames of a clip, and super-white and negative values in one of them."""
    planes = list(read_planes(make_footage(clip, std).grainy, 0, FRAMES))
    frames = [planes_to_rgb(p)[:-1, :-1] for p in planes]
    frames[1] = 1.6 * frames[1] - 0.2
    return frames


def split_stills(target: Target, frames: Sequence[NDArray[np.float64]]) -> Gap:
    """Write a sequence, split it and add its layers up again."""
    folder = PLACE / "recombination" / target.name.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    for index, picture in enumerate(frames):
        write_still(folder / f"source.{index:04d}{target.suffix}", picture, target)
    patterns = {part: folder / f"{part}.%04d{target.suffix}" for part in ("source", "base", "grain")}
    grainlayer("split", patterns["source"], "--base", patterns["base"], "--grain", patterns["grain"])
    gap = Gap()
    for index in range(len(frames)):
        source, base, grain = (read_still(Path(str(patterns[part]) % index), target) for part in ("source", "base", "grain"))
        gap.add(source, base, grain - target.middle, steps(target, source, base, grain))
    return gap


def steps(target: Target, *samples: Samples) -> Samples | float:
    """Return the format's step at every sample: 1 for codes, the spacing at the greatest of the three for floats."""
    if not target.floating:
        return 1.0
    greatest = np.max(np.abs(np.stack(samples)), axis=0)
    kind = np.float16 if target.kind == "half" else np.float32
    return np.spacing(greatest.astype(kind)).astype(np.float64)


def split_hdr() -> Gap | None:
    """Split a scene-linear EXR of data/hdr; None where there is none."""
    paths = sorted((data_root() / "hdr").glob("*.exr"))
    if not paths:
        return None
    target = STILLS[0]
    folder = PLACE / "recombination" / "hdr"
    folder.mkdir(parents=True, exist_ok=True)
    base, grain = folder / "base.exr", folder / "grain.exr"
    grainlayer("split", paths[0].resolve(), "--base", base, "--grain", grain, "--encoding", "Linear")
    source, low, high = (read_still(path, target) for path in (paths[0], base, grain))
    gap = Gap()
    gap.add(source, low, high, steps(target, source, low, high))
    return gap


def split_ffv1(clip: Clip, std: int) -> Gap:
    """Split a 10-bit 4:2:0 movie into FFV1 and add its planes up again."""
    source = make_footage(clip, std).grainy
    base, grain = (PLACE / "recombination" / f"{part}.mkv" for part in ("base", "grain"))
    base.parent.mkdir(parents=True, exist_ok=True)
    grainlayer("split", source, "--base", base, "--grain", grain, "--codec", "ffv1")
    gap = Gap()
    triples = zip(read_planes(source), read_planes(base), read_planes(grain), strict=True)
    for three in triples:
        add_planes(gap, *three)
    return gap


def add_planes(gap: Gap, source: Planes, base: Planes, grain: Planes) -> None:
    """Add one frame's planes, codes of 10 bit in video range: 502 lies between black and white, 512 is no colour."""
    for original, low, high, middle in zip(source, base, grain, (502, 512, 512), strict=True):
        gap.add(original.astype(np.float64), low.astype(np.float64), high.astype(np.float64) - middle, 1.0)


def split_prores(clip: Clip, std: int) -> dict[str, Any]:
    """Split a movie into ProRes layers and return the error that the product measured."""
    source = make_footage(clip, std).grainy
    base, grain = (PLACE / "recombination" / f"{part}.mov" for part in ("base", "grain"))
    return grainlayer("split", source, "--base", base, "--grain", grain, "--codec", "prores")["recombination"]


def run(quick: bool = False) -> Report:
    """Split into every format; quick: one float and one integer format, FFV1 and ProRes."""
    report = Report("recombination", "Recombination: base + grain = source")
    clip, std = next(clip for clip in CLIPS if clip.available and (clip.name == "car-shadow" or clip.path is None)), 6
    frames = pictures(clip, std)
    targets = (STILLS[0], STILLS[7]) if quick else STILLS
    jobs: list[tuple[str, Callable[[], Gap | None]]] = [(t.name, lambda t=t: split_stills(t, frames)) for t in targets]
    jobs += [("EXR half, scene-linear", split_hdr), ("FFV1 10 bit 4:2:0", lambda: split_ffv1(clip, std))]
    rows: list[list[str]] = []
    for name, job in jobs:
        gap = job()
        if gap is None:
            continue
        rows.append([name, f"{gap.worst:.4f}", f"{gap.rms:.5f}", f"{gap.grain:.2f}", f"{gap.count}"])
        report.check(gap.worst <= 0.5, f"{name}: worst {gap.worst:.4f} steps over {gap.count} samples (target 0.5)")
        report.figures[name] = {"worst_steps": gap.worst, "rms_steps": gap.rms, "grain_rms_steps": gap.grain, "samples": gap.count}
    lossy = split_prores(clip, std)
    report.figures["ProRes"] = lossy
    report.tables = [
        Table("Error in steps of the format", ["format", "worst", "RMS", "RMS of the grain", "samples"], rows),
        Table(
            "Lossy layers, as the product measured them", ["format", *lossy], [["ProRes", *(f"{value:.4g}" for value in lossy.values())]]
        ),
    ]
    report.notes = list(NOTES)
    return report
