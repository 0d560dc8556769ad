"""Take grain out by a checkpoint of a run, as the runtime does by the model that is exported from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from grainlayer.inference.remove import CELL, Strength, pad, strength_cells
from models.export import RemovalGraph, load_net
from models.runfolder import read_state
from models.tasks import INT8, name_of

Floats = NDArray[np.float32]
SINGLE = ("removal", "quality", "fast", *INT8)
"""Tasks whose nets see one picture and give its grain."""


class TrainedRemover:
    """Predict grain by the averaged net of a checkpoint of a run of one of SINGLE, the whole picture at once."""

    def __init__(self, checkpoint: Path) -> None:
        """Load a checkpoint. Exits with a sentence where it is damaged or of another task."""
        name = name_of(read_state(checkpoint))
        if name not in SINGLE:
            raise SystemExit(f"{checkpoint} holds {name}, which takes no grain out of single pictures: give one of {', '.join(SINGLE)}.")
        self.graph = RemovalGraph(load_net(name, checkpoint)).eval()

    def grain(self, image: Floats, strength: Strength) -> Floats:
        """Return the grain of `image`, (H, W, 3): image - grain is the base. Raise ParamError for a strength that does not fit."""
        cells = strength_cells(image, strength)
        padded = pad(image, cells.shape[0] * CELL, cells.shape[1] * CELL)
        with torch.no_grad():
            grain = self.graph(torch.from_numpy(padded), torch.from_numpy(cells))
        return np.ascontiguousarray(grain[: image.shape[0], : image.shape[1]].numpy())
