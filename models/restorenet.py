"""Declare the networks of restoration: what undoes a recording in 8 bits and 4:2:0.

Luma is 0..1 and chroma -0.5..0.5, normalised from video range. Chroma at half size is sited left: on every second luma sample of a line,
between two lines. Pictures begin at the corner of a block of the codec, and H and W are multiples of 8.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from models.grow import grow, widths_of
from models.nets import RemovalNet

DEFAULT_WIDTHS = (32, 48, 96)
DEFAULT_BLOCKS = (1, 1, 3)
"""A little narrower in the middle than the removal net, for 25.1 kMAC a pixel with one frame and 27.7 with seven."""
QUALITY_WIDTHS = (64, 96, 192)
QUALITY_BLOCKS = (2, 2, 4)
"""The same of the large net, for machines with a GPU or with patience: it begins from the default net."""
SEEN, GAIN = 4.0, 0.05
"""What the pictures' deviation from their local mean is multiplied by before the first convolution, and the answer after the last:
errors of recordings are a few thousandths to a few hundredths."""
MOVED = 0.05
"""Difference of another frame from the middle one, code value, from which on more of it says nothing more."""
FIRST = 0.3
"""Size of the first weights of the last convolution: small, so that training begins near the recording, but not 0, so that all learns."""
CELL = 0.5 / 219
"""Half a step of 8-bit luma in video range: nothing but rounding moved a sample no further."""
FAR = 8.0


class RestoreNet(RemovalNet):
    """Predict the middle of `frames` pictures as it was before it was recorded, luma and chroma at 4:4:4.

    forward(luma (N, T, H, W), chroma (N, 2 T, H/2, W/2), Cb and Cr frame by frame, quantiser (N, 1, H/8, W/8), QP / 64 by cell of the
    middle frame, 0 where nothing but rounding took place) -> luma (N, 1, H, W), chroma (N, 2, H, W).
    The removal net's U-Net, whose finest scale is half of luma's size, sees all frames at once, without motion search. It sees how the
    middle frame deviates from its local mean, in full precision even where the rest is computed in half of it, how the others differ
    from it, and that mean. It adds to the middle frame's luma and to its chroma brought up by linear interpolation. At the ends of a
    shot the middle frame, or that next to the missing one, stands in for a missing neighbour.
    """

    def __init__(
        self, frames: int = 1, widths: tuple[int, int, int] = DEFAULT_WIDTHS, blocks: tuple[int, int, int] = DEFAULT_BLOCKS
    ) -> None:
        super().__init__(widths, blocks)
        self.frames = frames
        self.head = nn.Conv2d(6 * frames + 4, widths[0], 3, padding=1)
        self.tail = nn.Conv2d(widths[0], 12, 3, padding=1)
        with torch.no_grad():
            self.tail.weight.mul_(FIRST)
            self._hide_others()
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                    module.bias.zero_()

    def forward(self, luma: torch.Tensor, chroma: torch.Tensor, quantiser: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        middle = self.frames // 2
        seen, colour = luma[:, middle : middle + 1], chroma[:, 2 * middle : 2 * middle + 2]
        cells = torch.cat((functional.avg_pool2d(seen, 8), functional.avg_pool2d(colour, 4), quantiser), 1)
        around = functional.interpolate(cells, scale_factor=4.0, mode="bilinear", align_corners=False)
        bright = self._shown(functional.pixel_unshuffle(luma, 2), around[:, :1].expand(-1, 4, -1, -1))
        tinted = self._shown(chroma, around[:, 1:3])
        change = GAIN * self.through(torch.cat((bright, tinted, around), 1)).float()
        restored = within_cell(seen + functional.pixel_shuffle(change[:, :4], 2), seen, wide(quantiser))
        return restored, upsampled(colour) + functional.pixel_shuffle(change[:, 4:], 2)

    def _shown(self, frames: torch.Tensor, around: torch.Tensor) -> torch.Tensor:
        """Return what is seen of all frames' channels: how the middle frame deviates from its local mean, then the others from it."""
        count = around.shape[1]
        first, here, last = frames.split((self.frames // 2 * count, count, self.frames // 2 * count), 1)
        if self.frames == 1:
            return SEEN * (here - around)
        others = torch.cat((first, last), 1) - here.repeat(1, self.frames - 1, 1, 1)
        return SEEN * torch.cat((here - around, others.clamp(-MOVED, MOVED)), 1)

    def begin_from(self, fewer: RestoreNet) -> None:
        """Take over a net of as many frames or fewer, as large or smaller, so that the answer is its answer: further neighbours count
        for nothing, and what further channels give to the others starts at 0.

        Raise ValueError where it has more frames, or is wider or has more blocks anywhere.
        """
        beside = (self.frames - fewer.frames) // 2
        if beside < 0:
            raise ValueError(f"A net of {fewer.frames} frames does not fit into one of {self.frames}.")
        state = fewer.state_dict()
        sizes, room = widths_of(state), widths_of(self.state_dict())
        if any(one > most for one, most in zip((*sizes[0], *sizes[1]), (*room[0], *room[1]), strict=True)):
            raise ValueError(f"A net of widths {sizes[0]} and blocks {sizes[1]} does not fit into one of {room[0]} and {room[1]}.")
        head = state["head.weight"]
        parts: list[torch.Tensor] = []
        for channels in head[:, :-4].split((4 * fewer.frames, 2 * fewer.frames), 1):
            count = channels.shape[1] // fewer.frames
            here, first, last = channels.split((count, fewer.frames // 2 * count, fewer.frames // 2 * count), 1)
            new = head.new_zeros(len(head), beside * count, 3, 3)
            parts += [here, new, first, last, new]
        same = RestoreNet(self.frames, *sizes)
        same.load_state_dict(state | {"head.weight": torch.cat((*parts, head[:, -4:]), 1)})
        grow(same, self)

    def _hide_others(self) -> None:
        """Let the net begin as one of a single frame: untrained weights on what moves would be noise, and drown what is to be learnt."""
        count = self.frames - 1
        self.head.weight[:, 4 : 4 + 4 * count] = 0
        self.head.weight[:, 6 + 4 * count : 6 + 6 * count] = 0


def quality_net(frames: int = 7) -> RestoreNet:
    """Return the large net, for machines with a GPU or with patience."""
    return RestoreNet(frames, QUALITY_WIDTHS, QUALITY_BLOCKS)


def wide(quantiser: torch.Tensor) -> torch.Tensor:
    """Return cells (N, 1, H/8, W/8) as pixels (N, 1, H, W)."""
    return functional.interpolate(quantiser, scale_factor=8.0, mode="nearest")


def within_cell(restored: torch.Tensor, source: torch.Tensor, quantiser: torch.Tensor) -> torch.Tensor:
    """Return restored luma held within half an 8-bit step of its source where the quantiser (all of one shape) is 0, else as it is.

    There the truth lies within, so that what is held is never further from it than what was not.
    """
    limit = torch.where(quantiser > 0, FAR, CELL)
    return source + torch.minimum(torch.maximum(restored - source, -limit), limit)


def upsampled(chroma: torch.Tensor) -> torch.Tensor:
    """Return chroma (N, C, H/2, W/2), sited left, at luma's size (N, C, H, W) by linear interpolation; the border goes on beyond it."""
    above, below = (torch.cat(parts, 2) for parts in ((chroma[:, :, :1], chroma[:, :, :-1]), (chroma[:, :, 1:], chroma[:, :, -1:])))
    lines = [0.75 * chroma + 0.25 * above, 0.75 * chroma + 0.25 * below]
    phases: list[torch.Tensor] = []
    for line in lines:
        phases += [line, 0.5 * (line + torch.cat((line[:, :, :, 1:], line[:, :, :, -1:]), 3))]
    return functional.pixel_shuffle(torch.stack(phases, 2).flatten(1, 2), 2)


def kmac_per_pixel(net: nn.Module, inputs: tuple[torch.Tensor, ...], pixels: int) -> float:
    """Return the thousands of multiplications that a net's convolutions take for one of `pixels` pixels of a picture of luma's size.

    They are counted while the net runs, as often as each is called; filters that are plain parameters are not.
    """
    total = 0

    def count(module: nn.Module, given: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
        nonlocal total
        weight = module.weight
        taps = weight.numel() // len(weight) if isinstance(module, nn.Conv2d) else weight.numel() // weight.shape[0]
        total += taps * (out.numel() if isinstance(module, nn.Conv2d) else given[0].numel())

    hooks = [part.register_forward_hook(count) for part in net.modules() if isinstance(part, nn.Conv2d | nn.ConvTranspose2d)]
    with torch.no_grad():
        net(*inputs)
    for hook in hooks:
        hook.remove()
    return total / pixels / 1000
