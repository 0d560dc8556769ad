"""The temporal remover: a removal net that sees the frames around the one it cleans, joined at half resolution, without motion search.

Grain is new in every frame and what it lies on is not, so every frame that shows the same place halves what is not known of it.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from models.degrade import Batch
from models.motion import FRAMES, repeat_some
from models.nets import DEFAULT_BLOCKS, DEFAULT_WIDTHS, RemovalNet


class TemporalNet(RemovalNet):
    """Predict the grain of the middle of FRAMES pictures.

    forward(window (N, FRAMES * 3, H, W), frame by frame, strength (N, 1, H, W)) -> grain of the middle frame (N, 3, H, W).
    The sizes are those of the default net, but for the first convolution. At the ends of a shot the middle frame stands in for a
    missing neighbour: a window of three frames is one whose outer two repeat it.
    """

    def __init__(self, widths: tuple[int, int, int] = DEFAULT_WIDTHS, blocks: tuple[int, int, int] = DEFAULT_BLOCKS) -> None:
        super().__init__(widths, blocks)
        self.head = nn.Conv2d(12 * FRAMES + 4, widths[0], 3, padding=1)

    def begin_from(self, single: RemovalNet) -> None:
        """Take over a net of single pictures of the same size, so that the answer is its answer and the neighbours count for nothing."""
        state = single.state_dict()
        head = state.pop("head.weight")
        self.load_state_dict(state, strict=False)
        with torch.no_grad():
            self.head.weight.zero_()
            middle = 12 * (FRAMES // 2)
            self.head.weight[:, middle : middle + 12].copy_(head[:, :12])
            self.head.weight[:, 12 * FRAMES :].copy_(head[:, 12:])


def to_windows(batch: Batch, rng: torch.Generator) -> Batch:
    """Return a batch of single frames, FRAMES in a row, as windows (N, FRAMES * 3, H, W) whose truths are those of the middle frames."""
    shots = [value.unflatten(0, (-1, FRAMES)) for value in (batch.grain, batch.deviation, batch.hint, batch.peak)]
    grain, deviation, hint, peak = (value[:, FRAMES // 2] for value in shots)
    grainy = repeat_some(rng, batch.grainy.unflatten(0, (-1, FRAMES))).flatten(1, 2)
    return replace(batch, grainy=grainy, grain=grain, deviation=deviation, hint=hint, peak=peak)
