"""Pass pictures through a trained task of the seed.

`python -m models.seedevaluate --checkpoint RUN/last.pt --level 0.05 --input_path FOLDER_OR_PICTURE --output_path DIR`

A removal task takes grainy pictures, a synthesis task clean ones, of any size. The results are 16-bit PNGs of the pictures'
names, grey ones from the grey tasks; with more than one level, or without --level, which means every level of the run's
config, each level gets a folder of its own. A blind task (removal cases 1, 2 and 4) is not told the level.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.evaluate import jobs
from models.seednets import Generator
from models.seedtasks import TASKS, Task, in_channels
from models.seedtrain import read_checkpoint
from models.shell import sentences
from models.trees import read_picture, write_picture

Floats = NDArray[np.float32]


def load(checkpoint: Path) -> tuple[Task, Generator, tuple[float, ...]]:
    """Return (task, trained generator, levels of the run's config). Exits with a sentence where the file is no checkpoint."""
    state = read_checkpoint(checkpoint)
    task = TASKS.get(state["task"])
    if task is None:
        raise SystemExit(f"{checkpoint} was trained for {state['task']}, which is none of: {', '.join(TASKS)}.")
    net = task.generator(state["identity"]["width"])
    net.load_state_dict(state["net"])
    return task, net.eval(), tuple(state["identity"]["levels"])


def apply(task: Task, net: Generator, picture: Floats, level: float) -> Floats:
    """Return the task's picture (H, W, channels), 0..1, for a picture (H, W, 3) of any size and a level in code value."""
    height, width = picture.shape[:2]
    below, right = -height % net.multiple_of, -width % net.multiple_of
    padded = np.pad(picture, ((0, below), (0, right), (0, 0)), mode="symmetric")
    planes = in_channels(torch.from_numpy(np.ascontiguousarray(padded.transpose(2, 0, 1)))[None], task.channels)
    device = next(net.parameters()).device
    with torch.no_grad():
        made = net(task.given(planes.to(device), torch.tensor([level])))
    return np.ascontiguousarray(made[0, :, :height, :width].cpu().numpy().transpose(1, 2, 0))


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="last.pt of a run of models.seedtrain")
    parser.add_argument("--level", type=float, nargs="+", help="peak standard deviation of the grain, code value; every level unless given")
    parser.add_argument("--input_path", type=Path, required=True, help="a folder of pictures, or one picture")
    parser.add_argument("--output_path", type=Path, required=True, help="folder for the results")
    return parser.parse_args(arguments)


def evaluate(checkpoint: Path, levels: Sequence[float] | None, input_path: Path, output_path: Path) -> list[Path]:
    """Write the result of every picture at every level and return the files."""
    task, net, trained = load(checkpoint)
    net = net.to("cuda" if torch.cuda.is_available() else "cpu")
    written: list[Path] = []
    for level, file, target in jobs(levels or trained, input_path, output_path):
        write_picture(target, apply(task, net, read_picture(file), level))
        written.append(target)
        print(f"{target}", flush=True)
    return written


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate as the command line says."""
    args = parse(arguments)
    with sentences("smaller pictures"):
        evaluate(args.checkpoint, args.level, args.input_path, args.output_path)


if __name__ == "__main__":
    main()
