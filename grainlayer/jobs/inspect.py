"""Tell what is inside files, measure profiles, draw them, and list models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from grainlayer.codec.stream import GrainShot, pack
from grainlayer.effect import Effect, read_profile
from grainlayer.errors import MediaError, ModelError
from grainlayer.grain.profile import NODES, RADII, STRENGTH_KNOTS, GrainProfile
from grainlayer.inference.registry import load_bytes, model_root, read_manifest
from grainlayer.jobs.decode import open_stream
from grainlayer.jobs.layers import LayerSettings
from grainlayer.jobs.outputs import check_free
from grainlayer.jobs.shots import measure_shot
from grainlayer.picture.media import MediaInfo, open_media

Named = list[tuple[str, GrainProfile]]


def describe(source: Path) -> tuple[dict[str, Any], Named]:
    """Return what a file holds, as JSON can carry it, and its profiles by name."""
    if source.suffix == ".json":
        profile = read_profile(source)
        return {"file": str(source), "profile": _profile_facts(profile)}, [(source.name, profile)]
    with open_media(source) as reader:
        info, count = reader.info, reader.count()
    stream, warnings = open_stream(source)
    report: dict[str, Any] = {"file": str(source), "base": _base_facts(info, count), "warnings": warnings}
    if stream is None:
        return report, []
    size = len(pack(stream))
    length = count / float(info.rate) if info.rate else 0.0
    report["grain_bytes"] = size
    report["grain_kbps"] = round(size * 8 / 1000 / length, 3) if length else None
    report["shots"] = [_shot_facts(shot) for shot in stream.shots]
    return report, [(f"frames {s.start}-{s.start + s.frames - 1}", s.profile) for s in stream.shots]


def _base_facts(info: MediaInfo, count: int) -> dict[str, Any]:
    facts = {"codec": info.codec, "width": info.width, "height": info.height, "format": info.format.name, "frames": count}
    return facts | {"rate": str(info.rate), "timecode": info.timecode, "audio_streams": info.audio_streams}


def _shot_facts(shot: GrainShot) -> dict[str, Any]:
    from grainlayer.codec.stream import packet_size

    changed = sum(any(vector) for vector in shot.texture.codes)
    facts = {"first": shot.start, "frames": shot.frames, "bytes": packet_size(shot), "seed": shot.seed}
    return facts | {"blocks": len(shot.texture.codes), "blocks_changed": changed} | _profile_facts(shot.profile)


def _profile_facts(profile: GrainProfile) -> dict[str, Any]:
    curve = 255 * profile.strength_curve()
    names = ("strength_red", "strength_green", "strength_blue")
    facts: dict[str, Any] = {name: [round(float(v), 2) for v in row] for name, row in zip(names, curve, strict=True)}
    facts["correlation"] = [value / 64 for value in profile.correlation]
    return facts | {"measured_at_height": profile.height, "half_power_frequency": round(half_power(profile), 3)}


def half_power(profile: GrainProfile) -> float:
    """Return the frequency, cycles a pixel, at which mid-tone grain has fallen by 3 dB from its peak: high is fine grain."""
    row = profile.spectrum_db()[1]
    peak = int(np.argmax(row))
    for index in range(peak + 1, len(RADII)):
        if row[index] <= row[peak] - 3:
            part = (row[peak] - 3 - row[index - 1]) / (row[index] - row[index - 1])
            return float(RADII[index - 1] + part * (RADII[index] - RADII[index - 1]))
    return RADII[-1]


def in_words(report: dict[str, Any]) -> str:
    """Return what `describe` found, as a person reads it."""
    lines = [report["file"]]
    if base := report.get("base"):
        size = f"{base['width']}x{base['height']} {base['format']}"
        lines.append(f"  base    {base['codec']} {size}, {base['frames']} frames at {base['rate']} a second")
    lines += [f"  warning {sentence}" for sentence in report.get("warnings", [])]
    if "shots" in report:
        lines.append(f"  grain   {report['grain_bytes']} bytes, {report['grain_kbps']} kb/s, {len(report['shots'])} shots")
    for shot in report.get("shots", []):
        lines.append(f"  frames {shot['first']}-{shot['first'] + shot['frames'] - 1}: {shot['bytes']} bytes, {_words(shot)}")
        lines.append(f"          {shot['blocks_changed']} of {shot['blocks']} blocks differ from the profile")
    if "profile" in report:
        lines.append(f"  profile {_words(report['profile'])}")
    return "\n".join(lines)


def _words(facts: dict[str, Any]) -> str:
    peaks = "/".join(f"{max(facts[name]):.1f}" for name in ("strength_red", "strength_green", "strength_blue"))
    return f"strength up to {peaks} of 255 (R/G/B), half power at {facts['half_power_frequency']} cycles a pixel"


def analyze(source: Path, out: Path, settings: LayerSettings, frames: tuple[int, int] | None, plot: Path | None) -> dict[str, Any]:
    """Measure the grain of a file, or of a range of its frames, as one shot; write the profile."""
    for path in (out, plot):
        if path is not None:
            check_free(path, overwrite=settings.overwrite)
    effect = Effect(settings.device, settings.model)
    with open_media(source, fields=settings.fields) as reader:
        start, stop = frames or (0, reader.count())
        stop = min(stop, reader.count())
        if start >= stop:
            raise MediaError(f"{source.name} has {reader.count()} frames; ask for a range inside them with --frames.")
        grain = measure_shot(effect, reader, start, stop, settings.params)
    write_text(out, grain.profile.to_json())
    if plot is not None:
        draw([(source.name, grain.profile)], plot, overwrite=settings.overwrite)
    return {"output": str(out), "frames": stop - start} | _profile_facts(grain.profile)


def write_text(path: Path, text: str) -> None:
    """Write a small file beside its place and rename it."""
    partial = path.with_name(f".{path.name}.tmp")
    try:
        partial.write_text(text, "utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise MediaError(f"{path} cannot be written ({error.strerror}); choose another place or free some disk space.") from error


def draw(profiles: Named, out: Path, *, overwrite: bool) -> None:
    """Draw strength curves and spectra into a PNG, one row a profile (24 at most). Raise MediaError."""
    check_free(out, overwrite=overwrite)
    if not profiles:
        raise MediaError("This file carries no grain profile to draw; make one with `grainlayer encode` or `analyze`.")
    try:
        os.environ.setdefault("MPLBACKEND", "Agg")
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MediaError("Drawing needs matplotlib: run `pip install 'grainlayer[plot]'`.") from error
    shown = profiles[:24]
    figure = Figure(figsize=(11, 3.4 * len(shown)), layout="constrained")
    rows: Any = figure.subplots(len(shown), 2, squeeze=False)
    for (name, profile), row in zip(shown, rows, strict=True):
        _draw_strength(row[0], name, profile)
        _draw_spectrum(row[1], profile)
    partial = out.with_name(f".{out.name}.tmp.png")
    figure.savefig(partial, dpi=110)
    partial.replace(out)


def _draw_strength(axes: Any, name: str, profile: GrainProfile) -> None:
    values = np.linspace(0, 1, STRENGTH_KNOTS)
    for row, colour in zip(profile.strength_curve(), ("tab:red", "tab:green", "tab:blue"), strict=True):
        axes.plot(values, 255 * row, "o-", color=colour, markersize=3)
    axes.set(title=f"{name}: strength", xlabel="code value", ylabel="standard deviation, 8-bit steps", xlim=(0, 1))
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)


def _draw_spectrum(axes: Any, profile: GrainProfile) -> None:
    for row, node in zip(profile.spectrum_db(), NODES, strict=True):
        axes.plot(RADII, row, "o-", markersize=3, label=f"at code value {node:g}")
    axes.set(title="spectrum", xlabel="cycles a pixel", ylabel="dB", xlim=(0, RADII[-1]), ylim=(-47, 3))
    axes.legend()
    axes.grid(alpha=0.3)


def list_models() -> dict[str, Any]:
    """Return every installed model with the state of its file."""
    rows: list[dict[str, Any]] = []
    for card in read_manifest(model_root()).values():
        try:
            size, state = len(load_bytes(card.id, card.path, card.sha256)), "verified"
        except ModelError as error:
            size, state = 0, str(error)
        rows.append({"id": card.id, "task": card.task, "bytes": size, "licence": card.licence, "state": state, "metrics": card.metrics})
    return {"folder": str(model_root()), "models": rows}
