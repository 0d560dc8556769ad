"""Removal nets in 8-bit integers, taught with the rounding in place: what makes them fit is learnt, not only measured.

The convolutions inside the blocks of the lower scales and those that halve the picture take 8-bit inputs and weights; what flows past
them, all of the finest scale and the small up-samplings stay in single precision. Weights keep to -63..63, because processors without VNNI
add products of 8-bit numbers in pairs of 16 bits, which full-range weights overflow. Scales of activations are learnt (S. Esser and
others, "Learned step size quantization", 2020); those of weights follow each output channel's largest.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from models.nets import RemovalNet, ResBlock

PRECISE = ("encode_top", "decode_top")
"""The blocks of the finest scale stay in single precision: all of light grain flows through them, beside whose range it is a step or
two. In 8 bits they cost 0.9 dB at white noise of 5, the blocks of the other scales together less than 0.01."""
HELD = 0.9999
"""Share of the values that the first steps hold; the few beyond are cut off."""
LARGEST_WEIGHT = 63
LEVELS = 255
MIDDLE = 128
"""Code of zero where values have both signs; behind a rectifier it is 0."""


def _round(x: torch.Tensor) -> torch.Tensor:
    """Round, but let gradients pass as if it did not."""
    return x + (torch.round(x) - x).detach()


class Rounded(nn.Module):
    """Round activations to 256 steps of a learnt size; `signed` ones to both sides of zero, others from zero up."""

    def __init__(self, *, signed: bool) -> None:
        super().__init__()
        self.zero = MIDDLE if signed else 0
        self.log_step = nn.Parameter(torch.tensor(-20.0))
        self.watching = False

    def watch(self, x: torch.Tensor) -> None:
        """Set the step to what holds nearly all of the values, or keep it if it is larger: heavy grain reaches far."""
        sizes = x.detach().abs().flatten().float()
        reach = torch.kthvalue(sizes, max(1, int(HELD * sizes.numel()))).values / (LEVELS - self.zero)
        self.log_step.data = torch.maximum(self.log_step.data, torch.log(reach + 1e-8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.watching:
            self.watch(x)
            return x
        if torch.onnx.is_in_onnx_export():
            return torch.fake_quantize_per_tensor_affine(x, float(torch.exp(self.log_step.detach())), self.zero, 0, LEVELS)
        slow = (x.numel() * LEVELS) ** -0.5
        step = torch.exp(self.log_step * slow + (self.log_step * (1 - slow)).detach())
        return _round((x / step).clamp(-self.zero, LEVELS - self.zero)) * step


class RoundedConv(nn.Module):
    """Convolve rounded inputs by rounded weights; round the outcome too unless a rectifier and the next convolution do."""

    def __init__(self, plain: nn.Conv2d, *, signed: bool, last: bool) -> None:
        """Take over a convolution's weights; `signed` says what its inputs are, `last` whether to round what comes out."""
        super().__init__()
        self.plain = plain
        self.into = Rounded(signed=signed)
        self.out = Rounded(signed=True) if last else nn.Identity()

    def weight(self) -> torch.Tensor:
        """Return the weights rounded to 127 steps of each output channel's own size."""
        weight = self.plain.weight
        step = weight.detach().abs().amax((1, 2, 3)).clamp(min=1e-8) / LARGEST_WEIGHT
        if torch.onnx.is_in_onnx_export():
            zeros = torch.zeros_like(step, dtype=torch.int32)
            return torch.fake_quantize_per_channel_affine(weight, step, zeros, 0, -128, 127)
        return _round(weight / step[:, None, None, None]) * step[:, None, None, None]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        plain = self.plain
        return self.out(functional.conv2d(self.into(x), self.weight(), plain.bias, plain.stride, plain.padding))


def quantised(net: RemovalNet) -> RemovalNet:
    """Turn a removal net's inner convolutions into rounded ones, in place, and return it; steps are unset until `calibrate`."""
    for block in [module for name, module in net.named_modules() if isinstance(module, ResBlock) and not name.startswith(PRECISE)]:
        block.first = RoundedConv(block.first, signed=True, last=False)  # pyright: ignore[reportAttributeAccessIssue]
        block.second = RoundedConv(block.second, signed=False, last=True)  # pyright: ignore[reportAttributeAccessIssue]
    for name in ("down_mid", "down_low"):
        setattr(net, name, RoundedConv(getattr(net, name), signed=True, last=True))
    return net


def calibrate(net: RemovalNet, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Set the steps by what the net meets on batches of (pictures, strengths)."""
    rounded = [module for module in net.modules() if isinstance(module, Rounded)]
    for module in rounded:
        module.watching = True
    with torch.no_grad():
        for picture, strength in batches:
            net(picture, strength)
    for module in rounded:
        module.watching = False
