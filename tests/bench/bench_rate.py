"""What splitting saves: kb/s at VMAF 90 of several bases, and what each looks like against the true clean picture at equal kb/s."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.cache import PLACE, digest_movie, recall
from tests.bench.ladder import Point, Rate, clean_at, climb, rate_at
from tests.bench.material import CLIPS, RATE, STRENGTHS, Clip, Footage, make_footage
from tests.bench.movies import encode_planes, read_planes
from tests.bench.peers import write_fftdnoiz
from tests.bench.product import grainlayer
from tests.bench.quality import decode_ffv1
from tests.bench.report import Report, Table

KEEP, PERFECT, FFTDNOIZ, SVT, OURS = "keep the grain", "perfect base", "fftdnoiz base", "SVT film grain + denoise", "ours"
QUICK = ("car-shadow", "paragliding")
NOTES = (
    "SVT-AV1 preset 8, 10 bit 4:2:0, 24 frames a second; kb/s of the packets, and for ours of the grain stream too.",
    "Rates are read between the two encodes around VMAF 90; '<' every encode is better, '>' none reaches it: the nearest is given.",
    "SVT film grain + denoise is judged without its synthetic grain, against what its denoiser handed its encoder.",
    "fftdnoiz: three frames, strength and overlap chosen in hindsight against the clean planes, luma and chroma apart.",
    "VMAF against clean at equal kb/s: at the rate where ours has VMAF 90; '<', '>': that rate lies below or above all encodes.",
)
QUALITY = ("--quality", "temporal")
"""What an encode that is not in a hurry uses."""
FILM_GRAINS = (8, 25, 50)
"""Strengths of SVT-AV1's film grain, each with its denoiser; the best in hindsight is the peer."""
DENOISED_CRF = 4
"""At this CRF, its film grain left out, an encode shows what SVT-AV1's denoiser hands its encoder."""


@dataclass(frozen=True)
class Road:
    """Name a way to a base and hold its encodes; `extra` kb/s are carried beside the base (a grain stream)."""

    name: str
    points: tuple[Point, ...]
    extra: float = 0.0
    note: str = ""

    @property
    def rate(self) -> Rate:
        """Return kb/s at VMAF 90 against its own source, extra included."""
        plain = rate_at(self.points)
        return Rate(plain.kbps + self.extra, plain.bound)


def keep(footage: Footage) -> Road:
    """Encode the picture with its grain."""
    return Road(KEEP, climb(footage.grainy, footage.grainy, footage.clean))


def perfect(footage: Footage) -> Road:
    """Encode the clean picture."""
    return Road(PERFECT, climb(footage.clean, footage.clean, footage.clean))


def fftdnoiz(footage: Footage) -> Road:
    """Encode the base of fftdnoiz over three frames, tuned against the clean picture."""
    out = _base_path(footage, "fftdnoiz")
    note = recall(
        "fftdnoiz-clip", [digest_movie(footage.grainy), digest_movie(footage.clean)], lambda: {"chain": write_fftdnoiz(footage, out)}
    )
    if not out.exists():
        write_fftdnoiz(footage, out)
    return Road(FFTDNOIZ, climb(out, out, footage.clean), note=note["chain"])


def svt_film_grain(footage: Footage, strength: int) -> Road:
    """Let SVT-AV1 denoise and model the grain; its base is judged against its own denoised source, without the grain drawn."""
    params = f"film-grain={strength}:film-grain-denoise=1"
    out = _base_path(footage, f"svt{strength}")
    if not out.exists():
        encoded = out.with_name(f".encoded-{out.name}")
        options = {"preset": "8", "crf": f"{DENOISED_CRF}", "svtav1-params": params}
        encode_planes(encoded, read_planes(footage.grainy), RATE, "libsvtav1", options)
        decode_ffv1(encoded, out, film_grain=False)
        encoded.unlink()
    points = climb(footage.grainy, out, footage.clean, params, film_grain=False)
    return Road(SVT, points, note=f"film-grain={strength}")


def best_svt(footage: Footage) -> Road:
    """Return SVT-AV1's film grain at the strength of the lowest rate."""
    return min((svt_film_grain(footage, strength) for strength in FILM_GRAINS), key=lambda road: road.rate.kbps)


def _base_path(footage: Footage, method: str) -> Path:
    folder = PLACE / "bases"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{footage.clip.name}-{footage.std}-{method}.mkv"


def ours(footage: Footage) -> Road:
    """Split by the product and encode its base; the grain stream's kb/s are added."""
    out = _base_path(footage, "ours")
    grainlayer("split", footage.grainy, "--base", out, "--grain", out.with_name(f"{out.stem}-grain.mkv"), *QUALITY)
    encoded = grainlayer("encode", footage.grainy, "-o", out.with_name(f"{out.stem}-film.mkv"), "--crf", "50", *QUALITY)
    return Road(OURS, climb(out, out, footage.clean), extra=float(encoded["grain_kbps"]), note=f"grain stream {encoded['grain_kbps']} kb/s")


PEERS: tuple[Callable[[Footage], Road], ...] = (keep, perfect, fftdnoiz, best_svt)


def share_of_saving(road: Road, kept: Road, ideal: Road) -> float:
    """Return which share of the perfect base's saving over keeping the grain a road makes."""
    whole = kept.rate.kbps - ideal.rate.kbps
    return (kept.rate.kbps - road.rate.kbps) / whole if whole > 0 else float("nan")


@dataclass(frozen=True)
class ClipResult:
    """Hold one clip's roads by name."""

    clip: Clip
    std: int
    roads: dict[str, Road]

    @property
    def name(self) -> str:
        """Return the row's title."""
        return f"{self.clip.name} std {self.std}"

    @property
    def level(self) -> float:
        """Return the kb/s at which all are compared with the clean picture: ours at VMAF 90, or else the perfect base's."""
        return self.roads[OURS if OURS in self.roads else PERFECT].rate.kbps

    def share(self, name: str) -> float:
        """Return a road's share of the perfect base's saving."""
        return share_of_saving(self.roads[name], self.roads[KEEP], self.roads[PERFECT])

    @property
    def share_saved(self) -> float:
        """Return which share of the kept grain's rate the perfect base saves."""
        return 1 - self.roads[PERFECT].rate.kbps / self.roads[KEEP].rate.kbps

    def clean(self, name: str) -> tuple[float, str]:
        """Return a road's VMAF against the clean picture at `level`, and '<' or '>' where that lies beyond its encodes."""
        road = self.roads[name]
        return clean_at(road.points, max(1.0, self.level - road.extra))

    def line(self) -> str:
        """Return the clip's figures in a line."""
        parts: list[str] = []
        for name, road in self.roads.items():
            score, bound = self.clean(name)
            parts.append(f"{name} {road.rate} kb/s ({100 * self.share(name):.0f} %, clean {bound}{score:.1f})")
        return f"{self.name} at {self.level:.0f} kb/s: " + "; ".join(parts)


def measure_clip(clip: Clip, std: int, methods: Sequence[Callable[[Footage], Road]]) -> ClipResult:
    """Return the roads of one clip."""
    footage = make_footage(clip, std)
    roads = [method(footage) for method in methods]
    return ClipResult(clip, std, {road.name: road for road in roads})


def judge(report: Report, result: ClipResult) -> None:
    """Hold one clip against the targets."""
    share = result.share(OURS)
    report.check(share >= 0.75, f"{result.name}: {100 * share:.0f} % of the perfect base's saving (target 75 %)")
    own, _ = result.clean(OURS)
    for name in (FFTDNOIZ, SVT):
        other, bound = result.clean(name)
        report.check(own > other, f"{result.name}: VMAF against clean {own:.1f} at {result.level:.0f} kb/s, {name} {bound}{other:.1f}")


def tables(results: Sequence[ClipResult]) -> list[Table]:
    """Return kb/s, shares and VMAF against clean of every clip and road."""
    names = list(results[0].roads)
    rates = [[r.name, *(str(r.roads[n].rate) for n in names)] for r in results]
    shares = [[r.name, f"{100 * r.share_saved:.0f}", *(f"{100 * r.share(n):.0f}" for n in names[2:])] for r in results]
    cleans = [[r.name, f"{r.level:.0f}", *("{1}{0:.1f}".format(*r.clean(n)) for n in names)] for r in results]
    return [
        Table("kb/s at VMAF 90, each encode against its own source", ["clip", *names], rates),
        Table("Share of the perfect base's saving, %", ["clip", "perfect base saves", *names[2:]], shares),
        Table("VMAF against the true clean picture at equal kb/s", ["clip", "kb/s", *names], cleans),
    ]


def run(quick: bool = False) -> Report:
    """Measure rates on every clip at hand; quick: two small clips at std 6."""
    report = Report("rate", "kb/s at VMAF 90: what splitting saves")
    clips = [clip for clip in CLIPS if clip.available and (not quick or clip.name in QUICK)]
    results = [measure_clip(clip, std, (*PEERS, ours)) for std in (STRENGTHS[1:] if quick else STRENGTHS) for clip in clips]
    for result in results:
        judge(report, result)
    report.tables = tables(results)
    report.notes = [*NOTES, *(f"{r.name}: {road.name}: {road.note}" for r in results for road in r.roads.values() if road.note)]
    report.figures = {r.name: {n: asdict(road) | {"rate": asdict(road.rate)} for n, road in r.roads.items()} for r in results}
    return report


def warm(say: Callable[[str], None]) -> None:
    """Fill the cache with the peers' encodes."""
    for std in reversed(STRENGTHS):
        for clip in CLIPS:
            if clip.available:
                say(measure_clip(clip, std, PEERS).line())


if __name__ == "__main__":
    warm(lambda text: print(text, file=sys.stdout, flush=True))
