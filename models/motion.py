"""Moving pictures to learn from: windows cut from clips, and photographs that pan, zoom, turn and pass behind one another.

A shot of photographs is two layers, each with a motion of its own: a background, and in half of the shots an occluder with a soft
edge before it. The middle frame's truth is that very rendering, so no frame is blurred by what its neighbours are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from models.data import Bytes

FRAMES = 5
"""Pictures in a window; the middle one is to be cleaned."""
FROM_CLIPS = 0.3
"""Share of the shots that are cut from clips."""
STILL = 0.15
"""Share of the layers that do not move."""
SPEEDS = (0.05, 14.0)
"""Pixels a frame, drawn log-uniformly."""
REPEATED = 0.12
"""Share of the shots in which neighbours repeat the middle frame or each other, as at the ends of a clip."""


def read_clips(folder: Path) -> list[Bytes]:
    """Return the frames of every clip below `folder`, (T, H, W, 3) 8-bit RGB, in sorted order."""
    import av

    clips: list[Bytes] = []
    for path in sorted(folder.rglob("*.mkv")):
        with av.open(str(path)) as container:
            clips.append(np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]))
    return clips


@dataclass(frozen=True)
class Shots:
    """Draw clean windows; the same step always gives the same ones."""

    pictures: Sequence[Bytes]
    clips: Sequence[Bytes]
    seed: int

    def batch(self, step: int, count: int, size: int) -> torch.Tensor:
        """Return (count * FRAMES, 3, size, size) float32, 0..1, the frames of a window in a row."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed + 0x5EED, step]))
        return torch.cat([self._shot(rng, size) for _ in range(count)])

    def _shot(self, rng: np.random.Generator, size: int) -> torch.Tensor:
        clips = [clip for clip in self.clips if len(clip) >= FRAMES and min(clip.shape[1:3]) >= size]
        shot = _cut(clips, rng, size) if clips and rng.random() < FROM_CLIPS else move(self.pictures, rng, size)
        if rng.random() < 0.5:
            low, high = rng.uniform(0, 0.25), rng.uniform(0.6, 1.0)
            shot = low + (high - low) * shot ** rng.uniform(0.7, 1.4)
        if rng.random() < 0.5:
            shot = shot.flip(0)
        if rng.random() < 0.5:
            shot = shot.flip(3)
        return shot.transpose(2, 3) if rng.random() < 0.5 else shot


def repeat_some(rng: torch.Generator, grainy: torch.Tensor) -> torch.Tensor:
    """Return windows (N, FRAMES, 3, H, W) in some of which neighbours are the middle frame again, or their neighbour towards it."""
    draw = torch.rand(len(grainy), generator=rng)
    middle = FRAMES // 2
    out = grainy.clone()
    for shot in torch.nonzero(draw < REPEATED).flatten().tolist():
        choice = float(draw[shot]) / REPEATED
        places = range(middle) if choice < 0.5 else range(middle + 1, FRAMES)
        outermost = choice % 0.5 < 0.25
        for place in places:
            near = place + (1 if place < middle else -1)
            if not outermost:
                out[shot, place] = grainy[shot, middle]
            elif abs(place - middle) == middle:
                out[shot, place] = grainy[shot, near]
    return out


def _cut(clips: Sequence[Bytes], rng: np.random.Generator, size: int) -> torch.Tensor:
    clip = clips[int(rng.integers(len(clips)))]
    stride = 2 if rng.random() < 0.2 and len(clip) > 2 * FRAMES else 1
    start = int(rng.integers(len(clip) - stride * (FRAMES - 1)))
    y, x = (int(rng.integers(0, n - size + 1)) for n in clip.shape[1:3])
    window = clip[start : start + stride * (FRAMES - 1) + 1 : stride, y : y + size, x : x + size]
    return torch.from_numpy(np.ascontiguousarray(window.transpose(0, 3, 1, 2))).float() / 255


def move(pictures: Sequence[Bytes], rng: np.random.Generator, size: int, frames: int = FRAMES) -> torch.Tensor:
    """Return a shot of photographs, (frames, 3, size, size), 0..1; `rng` decides everything."""
    back = _layer(pictures[int(rng.integers(len(pictures)))], rng, _grid(rng, size, _motion(rng, frames)))
    if rng.random() < 0.5:
        return back.clamp(0, 1)
    grid = _grid(rng, size, _motion(rng, frames))
    front = _layer(pictures[int(rng.integers(len(pictures)))], rng, grid)
    blob = torch.from_numpy(rng.standard_normal((1, 1, 6, 6)).astype(np.float32))
    where = grid / (3 * size)
    height = functional.grid_sample(blob.expand(frames, -1, -1, -1), where, "bicubic", "reflection", align_corners=False)
    mask = torch.sigmoid(float(rng.uniform(8, 60)) * (height - float(rng.uniform(-0.3, 0.6))))
    return (back + mask * (front - back)).clamp(0, 1)


def _motion(rng: np.random.Generator, frames: int) -> NDArray[np.float64]:
    """Return what maps a frame's pixels to the layer's: (frames, 2, 3), the identity in the middle."""
    time = np.arange(frames) - frames // 2
    still = rng.random() < STILL
    speed = 0.0 if still else float(np.exp(rng.uniform(*np.log(SPEEDS))))
    heading = rng.uniform(0, 2 * np.pi)
    towards = np.array([np.cos(heading), np.sin(heading)])
    path = np.outer(time, speed * towards) + np.outer(time**2, 0.15 * speed * rng.standard_normal(2))
    if not still and rng.random() < 0.4:
        path += rng.uniform(0, 1.0) * rng.standard_normal((frames, 2))
    lively = not still and rng.random() < 0.4
    zoom = 1 + (0.01 * rng.standard_normal() if lively else 0.0) * time
    turn = (0.01 * rng.standard_normal() if lively else 0.0) * time
    path -= path[frames // 2]
    cos, sin = zoom * np.cos(turn), zoom * np.sin(turn)
    return np.stack([np.stack([cos, -sin, path[:, 0]], 1), np.stack([sin, cos, path[:, 1]], 1)], 1)


def _grid(rng: np.random.Generator, size: int, motion: NDArray[np.float64]) -> torch.Tensor:
    """Return the places (frames, size, size, 2), in pixels from the window's middle, at which the layer is read."""
    fraction = rng.uniform(-0.5, 0.5, 2) if rng.random() < 0.5 else np.zeros(2)
    axis = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    flat = torch.stack([x, y, torch.ones_like(x)], 2) @ torch.from_numpy(motion.astype(np.float32)).transpose(1, 2)[:, None]
    return flat.reshape(len(motion), size, size, 2) + torch.from_numpy(fraction.astype(np.float32))


def _layer(picture: Bytes, rng: np.random.Generator, grid: torch.Tensor) -> torch.Tensor:
    """Return a photograph read at `grid`: half of them halved first, half of them shrunk a little further, the others as they are."""
    size = grid.shape[1]
    halved = rng.random() < 0.5 and min(picture.shape[:2]) >= 4 * size
    wide = min(min(picture.shape[:2]), 4 * size * (2 if halved else 1)) // 4 * 4
    top, left = (int(rng.integers(0, n - wide + 1)) for n in picture.shape[:2])
    part = torch.from_numpy(np.ascontiguousarray(picture[top : top + wide, left : left + wide].transpose(2, 0, 1))).float()[None] / 255
    if halved:
        part = functional.avg_pool2d(part, 2)
    scale = float(rng.uniform(1.0, 1.3)) if rng.random() < 0.5 else 1.0
    places = grid * (2 * scale / part.shape[-1])
    return functional.grid_sample(part.expand(len(grid), -1, -1, -1), places, "bicubic", "reflection", align_corners=False)
