"""Build a tree of clean and grainy pictures from a folder of clean ones: `python -m models.build_tree --pictures FOLDER --out TREE`.

The tree has FilmGrain's layout (models/trees.py): org/NAME.png, fg/LEVEL/NAME.png (16 bits, clipped to 0..1), levels.json, and
card.json, which says what grain it is. A grain's seed comes from the tree's, the picture's name and the level: adding pictures or
levels does not change the others.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from grainlayer.errors import MediaError, ParamError
from grainlayer.types import Encoding
from models.kinds import KINDS, Kind, make_kind
from models.shell import sentences
from models.trees import LEVELS_FILE, picture_files, read_picture, write_picture

LEVELS = (0.01, 0.025, 0.05, 0.075, 0.1)
"""FilmGrain's levels."""
LICENCE = "The pictures keep the licence of the folder they were made from; the grain adds no terms of its own."


@dataclass(frozen=True)
class Plan:
    """Say what tree to build.

    pictures  folder of clean pictures; out: where the tree goes, which must not exist
    kind      name of a kind of grain, with its `options` (see models/kinds.py)
    levels    peak standard deviations, code value, above 0 to below 1
    encoding  in whose code values the grain is rendered, None: the pictures' own, which is taken for sRGB
    licence   what the card says of the pictures
    """

    pictures: Path
    out: Path
    kind: str = "boolean"
    levels: tuple[float, ...] = LEVELS
    seed: int = 0
    encoding: Encoding | None = None
    licence: str = LICENCE
    options: dict[str, Any] = field(default_factory=dict[str, Any])


def level_name(level: float) -> str:
    """Return a level as FilmGrain writes it: the digits after the point, "025" for 0.025. Raise ParamError unless 0 < level < 1."""
    digits = f"{level:.6f}"[2:].rstrip("0")
    if not 0 < level < 1 or not digits or abs(float(f"0.{digits}") - level) > 1e-9:
        raise ParamError(f"A level is a standard deviation above 0 and below 1, of at most six digits; got {level:g}.")
    return digits


def grain_seed(seed: int, name: str, level: float) -> int:
    """Return the seed of one picture's grain at one level, 64 bits."""
    words = np.random.SeedSequence([seed, zlib.crc32(name.encode()), round(level * 1e6)]).generate_state(1, np.uint64)
    return int(words[0])


def build(plan: Plan) -> Path:
    """Build a tree beside its place and move it there when it is whole; return its path.

    Raise MediaError if its place is taken, there is no picture, one is damaged or the disk is full; ParamError for a bad plan.
    """
    if plan.out.exists() or plan.out.is_symlink():
        raise MediaError(f"{plan.out} exists; remove it or name another folder, for no tree is written over.")
    names = {level_name(level): level for level in plan.levels}
    if not names or len(names) != len(plan.levels) or plan.seed < 0:
        raise ParamError("A tree takes one level or more, each once, and a seed of 0 or more; correct them.")
    if not plan.pictures.is_dir() or not (files := picture_files(plan.pictures)):
        raise MediaError(f"{plan.pictures} holds no picture; name a folder of clean PNG, TIFF, JPEG or WebP files.")
    kind = make_kind(plan.kind, plan.encoding, **plan.options)
    try:
        plan.out.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{plan.out.name}-", dir=plan.out.parent))
    except OSError as error:
        raise MediaError(f"{plan.out.parent} cannot be written ({error}); name another place.") from error
    try:
        _fill(part, plan, kind, names, files)
        part.chmod(0o755)
        part.rename(plan.out)
    except OSError as error:
        raise error if isinstance(error, MediaError) else MediaError(f"{plan.out} cannot be written ({error}); make room there.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return plan.out


def _fill(part: Path, plan: Plan, kind: Kind, names: dict[str, float], files: dict[str, Path]) -> None:
    for folder in ("org", *(f"fg/{name}" for name in names)):
        (part / folder).mkdir(parents=True)
    for stem, file in files.items():
        clean = read_picture(file)
        write_picture(part / "org" / f"{stem}.png", clean)
        exact = clean.astype(np.float64)
        for name, level in names.items():
            grain = kind(exact, level, grain_seed(plan.seed, stem, level))
            write_picture(part / "fg" / name / f"{stem}.png", exact + grain)
    (part / LEVELS_FILE).write_text(json.dumps(names, indent=1) + "\n", "utf-8")
    card = {"kind": plan.kind, "options": {key: str(value) for key, value in plan.options.items()}, "seed": plan.seed}
    card |= {"encoding": str(plan.encoding or "the pictures' own"), "levels": names, "pictures": len(files), "licence": plan.licence}
    card |= {"note": "A level is the peak standard deviation of the grain in code value, before clipping to 0..1 at 16 bits."}
    (part / "card.json").write_text(json.dumps(card, indent=1) + "\n", "utf-8")


def parse(arguments: Sequence[str] | None = None) -> Plan:
    """Return the plan that a command line states; raise SystemExit, as argparse does, for one that states none."""
    parser = argparse.ArgumentParser(prog="python -m models.build_tree", description="Put grain on a folder of clean pictures.")
    parser.add_argument("--pictures", type=Path, required=True, metavar="FOLDER", help="clean PNG, TIFF, JPEG or WebP pictures")
    parser.add_argument("--out", type=Path, required=True, metavar="TREE", help="a folder that does not exist yet")
    parser.add_argument("--kind", choices=tuple(KINDS), default="boolean")
    parser.add_argument("--levels", type=float, nargs="+", default=LEVELS, help="peak standard deviations, code value")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--encoding", type=Encoding, choices=tuple(Encoding), help="render the grain in this encoding's code values")
    parser.add_argument("--licence", default=LICENCE, help="what the card says of the pictures' licence")
    parser.add_argument("--table", type=Path, help="the AV1 table, for av1")
    parser.add_argument("--radius", type=float, help="of the disks, pixels, for boolean and boolean-mc")
    parser.add_argument("--spread", type=float, help="of the radius' logarithm, for boolean-mc")
    parser.add_argument("--samples", type=int, help="of the point spread, for boolean-mc")
    parser.add_argument("--width", type=float, help="of the filter, pixels, for filtered")
    parser.add_argument("--correlation", type=float, help="of any two channels, for white, filtered and boolean")
    given: dict[str, Any] = vars(parser.parse_args(arguments))
    keys = ("table", "radius", "spread", "samples", "width", "correlation")
    options = {key: value for key in keys if (value := given.pop(key)) is not None}
    given |= {"levels": tuple(given["levels"]), "options": options}
    return Plan(**given)


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the tree that the command line asks for; end with a sentence where that cannot be done."""
    plan = parse(arguments)
    with sentences("smaller pictures"):
        print(f"The tree is in {build(plan)}.")


if __name__ == "__main__":
    main()
