"""Measure a model, or pass pictures through it.

`python -m models.evaluate [--every N]` prints how near the bases of a removal model come to the clean pictures of data/val: PSNR over
RGB, the input's own, and the share of grain left in the base, <base - clean, grain> / <grain, grain>, for white noise (8-bit sigma)
and Boolean film-like grain (peak standard deviation of code value), not clipped; told and blind.

`python -m models.evaluate --model MODEL --input_path FOLDER_OR_PICTURE --output_path DIR [--level L ...] [--grain]` writes a 16-bit PNG
of every picture's name. A removal model takes pictures for grainy and gives their bases, told each level, or blind where none is
given; with --grain the grain as well, as 0.5 + grain, in a folder beside them. A checkpoint of a seed's task gives what
models.seedevaluate says, at every level of its run unless some are given. With more than one level, each has a folder of its own.

MODEL is an id of the manifest, such as removal-default, or the checkpoint of a run, RUN/last.pt.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from grainlayer.inference.remove import Remover, Strength, estimate_level
from models.boolean import BooleanGrain
from models.data import data_root, read_pictures
from models.shell import reason, sentences
from models.trees import picture_files, read_picture, write_picture

Floats = NDArray[np.float32]
Level = TypeVar("Level", float, float | None)

CASES: tuple[tuple[str, float], ...] = (
    ("white", 5 / 255),
    ("white", 15 / 255),
    ("white", 25 / 255),
    ("white", 50 / 255),
    ("film", 0.01),
    ("film", 0.025),
    ("film", 0.05),
    ("film", 0.1),
)
FILM = BooleanGrain(0.5, 0.8)
STEPS = 65535
"""Steps of the pictures that are written."""


class Taker(Protocol):
    """Take grain out of pictures, as the runtime's Remover does."""

    def grain(self, image: Floats, strength: Strength) -> Floats:
        """Return the grain of a picture (H, W, 3), told its strength."""
        ...


@dataclass
class Score:
    """Hold the sums of one method over pictures."""

    error: float = 0.0
    left: float = 0.0
    count: int = 0

    def add(self, base: Floats, clean: Floats, grain: Floats) -> None:
        """Add one picture."""
        self.error += 10 * float(np.log10(np.mean((base - clean) ** 2)))
        self.left += float(np.sum((base - clean) * grain) / np.sum(grain**2))
        self.count += 1

    def __str__(self) -> str:
        """Return PSNR and the share of grain left."""
        return f"{-self.error / self.count:6.2f} dB {100 * self.left / self.count:4.0f} %"


def make_grain(kind: str, level: float, clean: Floats, seed: int) -> Floats:
    """Return the grain (H, W, 3) of a case for a clean picture."""
    if kind == "white":
        rng = np.random.Generator(np.random.Philox(key=seed))
        return (level * rng.standard_normal(clean.shape)).astype(np.float32)
    return FILM.render(clean.astype(np.float64), level, seed, 0.3).astype(np.float32)


def evaluate(remover: Taker, pictures: dict[str, Any]) -> dict[str, tuple[Score, Score, Score]]:
    """Return the scores of input, told and blind removal by case."""
    table: dict[str, tuple[Score, Score, Score]] = {}
    for kind, level in CASES:
        row = (Score(), Score(), Score())
        for seed, picture in enumerate(pictures.values()):
            clean = picture.astype(np.float32) / 255
            grain = make_grain(kind, level, clean, 1000 + seed)
            grainy = clean + grain
            row[0].add(grainy, clean, grain)
            row[1].add(grainy - remover.grain(grainy, level), clean, grain)
            row[2].add(grainy - remover.grain(grainy, estimate_level(grainy)), clean, grain)
        table[f"{kind} {level:.3g}"] = row
        print(f"{kind:6} {level:6.3f}  input {row[0]}  told {row[1]}  blind {row[2]}", flush=True)
    return table


def inputs(path: Path) -> dict[str, Path]:
    """Return the pictures of a folder, or the one picture, by name. Exits with a sentence where there is none."""
    if path.is_file():
        return {path.stem: path}
    found = picture_files(path) if path.is_dir() else {}
    if not found:
        raise SystemExit(f"{path} is no picture and no folder with pictures: give PNG, TIFF, JPEG or WebP files.")
    return found


def jobs(levels: Sequence[Level], input_path: Path, output_path: Path) -> Iterator[tuple[Level, Path, Path]]:
    """Give (level, picture, where its result goes) for every picture at every level, None meaning blind; make the folders.

    Exits with a sentence where a level is none, or a result would replace its picture.
    """
    if not levels or not all(level is None or 0 <= level <= 1 for level in levels):
        raise SystemExit("Give --level as peak standard deviations in code value, from 0 to 1, such as 0.05.")
    files = inputs(input_path)
    for level in levels:
        folder = output_path / f"{level:g}" if len(levels) > 1 else output_path
        for name, file in files.items():
            yield level, file, place(folder, name, file)


def place(folder: Path, name: str, file: Path) -> Path:
    """Return where the result of a picture goes, in a folder made for it. Exits with a sentence where that is not possible."""
    target = folder / f"{name}.png"
    if target.resolve() == file.resolve():
        raise SystemExit(f"{target} would be written over the picture it is made from: give another --output_path.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SystemExit(f"{folder} cannot be made a folder ({reason(error)}): give another --output_path.") from error
    return target


def take_out(remover: Taker, levels: Sequence[float] | None, input_path: Path, output_path: Path, *, grain: bool = False) -> None:
    """Write the base of every picture at every level, blind without levels; with `grain` also what is added to it to give the picture."""
    for level, file, target in jobs(levels or (None,), input_path, output_path):
        picture = read_picture(file)
        taken = remover.grain(picture, estimate_level(picture) if level is None else level)
        base = np.round(np.clip(picture - taken, 0, 1) * STEPS) / np.float32(STEPS)
        write_picture(target, base)
        if grain:
            write_picture(place(target.parent / "grain", target.stem, file), 0.5 + (picture - base))
        print(f"{target}", flush=True)


def is_checkpoint(model: str) -> bool:
    """Return whether a model is named by the file of its checkpoint, and not by its id."""
    return Path(model).suffix == ".pt" or Path(model).is_file()


def load_remover(model: str) -> Taker:
    """Return what takes grain out by a model. Exits with a sentence for a checkpoint of no removal task; raise ModelError for an id."""
    if not is_checkpoint(model):
        return Remover(model_id=model)
    from models.trained import TrainedRemover

    return TrainedRemover(Path(model))


def seed_checkpoint(model: str) -> Path | None:
    """Return the checkpoint that a model names, where it is one of a seed's task."""
    if not is_checkpoint(model):
        return None
    from models.runfolder import read_state
    from models.seedtasks import TASKS

    return Path(model) if read_state(Path(model)).get("task") in TASKS else None


def apply(args: argparse.Namespace) -> None:
    """Write what a model makes of pictures."""
    checkpoint = seed_checkpoint(args.model)
    if checkpoint is None:
        take_out(load_remover(args.model), args.level, args.input_path, args.output_path, grain=args.grain)
        return
    if args.grain:
        raise SystemExit(f"{checkpoint} gives pictures without a grain layer: leave --grain out.")
    from models import seedevaluate

    seedevaluate.evaluate(checkpoint, args.level, args.input_path, args.output_path)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m models.evaluate", description=__doc__, formatter_class=form)
    parser.add_argument("--model", default="removal-default", help="id in the manifest, or a checkpoint; removal-default unless given")
    parser.add_argument("--input", type=Path, default=data_root() / "val", help="clean pictures to measure on")
    parser.add_argument("--every", type=int, default=1, help="measure on every n-th of them")
    parser.add_argument("--input_path", type=Path, help="a folder of pictures, or one picture, to pass through the model")
    parser.add_argument("--output_path", type=Path, help="folder for the results")
    parser.add_argument("--level", type=float, nargs="+", help="peak standard deviation of the grain, code value")
    parser.add_argument("--grain", action="store_true", help="write the grain beside the base, as 0.5 + grain")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the model, or pass pictures through it where --input_path names some."""
    args = parse(arguments)
    if (args.input_path is None) != (args.output_path is None):
        raise SystemExit("Give --input_path with the pictures and --output_path with the folder for the results, both or neither.")
    if args.every < 1:
        raise SystemExit("Give --every 1 or more.")
    with sentences("smaller pictures"):
        if args.input_path is not None:
            apply(args)
            return
        if args.level or args.grain:
            raise SystemExit("--level and --grain go with --input_path and --output_path: name pictures to take the grain out of.")
        evaluate(load_remover(args.model), dict(list(read_pictures(args.input).items())[:: args.every]))


if __name__ == "__main__":
    main()
