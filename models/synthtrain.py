"""Train the neural synthesiser: `python -m models.train --task synth --out RUN`.

Held to Newson's model: strength and spectrum to the closed form, the marginal distribution to ranks of a Monte-Carlo rendering, and
what none of these sees to a critic of patches, on greys and on photographs. Drawn from (seed, step), so that a run resumes.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from models.data import data_root, read_pictures
from models.muon import optimisers
from models.runfolder import RunFolder, Stop, plot_curve, read_log, read_state, stopped
from models.shell import sentences
from models.synthbank import GREYS, PROBABILITIES, RADII, SIZE, SPREADS, Bank, build_bank, power_spectrum, ranked_values, value_limits
from models.synthnet import FIELDS, Critic, SynthNet
from models.training import learning_rate, set_up_torch, update_average

COLUMNS = ("step", "seconds", "rate", "loss", "strength", "spectrum", "marginal", "critic")
CONDITIONS, REPEATS, PATCH = 6, 6, 64
"""Greys and emulsions a step, patches of each, and their side."""
BORDER = 8
"""Pixels at a patch's edge that the convolutions' padding has touched."""
RINGS = 16
WEIGHTS = {"strength": 4.0, "spectrum": 1.0, "marginal": 2.0, "critic": 0.003, "limits": 0.2}


@dataclass(frozen=True)
class Measures:
    """Hold the parts of the generator's loss."""

    strength: torch.Tensor
    spectrum: torch.Tensor
    marginal: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """Return their weighted sum."""
        return sum((WEIGHTS[name] * getattr(self, name) for name in ("strength", "spectrum", "marginal")), torch.zeros(()))


def draw_conditions(rng: torch.Generator, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return emulsions (N, 2), log radius and spread, and greys (N,), all over their ranges."""
    low, high = math.log(RADII[0]), math.log(RADII[-1])
    draw = torch.rand(count, 3, generator=rng)
    radius, spread = low + (high - low) * draw[:, 0], SPREADS[0] + (SPREADS[-1] - SPREADS[0]) * draw[:, 1]
    return torch.stack((radius, spread), 1), GREYS[0] + (GREYS[-1] - GREYS[0]) * draw[:, 2]


def _rings(size: int) -> torch.Tensor:
    """Return by frequency of a half plane (size, size // 2 + 1) the ring it lies in, RINGS where it lies in none."""
    distance = torch.sqrt(torch.fft.fftfreq(size)[:, None] ** 2 + torch.fft.rfftfreq(size)[None] ** 2)
    ring = (distance * 2 * RINGS).long()
    ring[0, 0] = RINGS
    return ring.clamp(max=RINGS)


def by_ring(power: torch.Tensor) -> torch.Tensor:
    """Return power (N, S, S // 2 + 1) averaged over RINGS rings up to half a cycle a pixel, (N, RINGS)."""
    ring = _rings(power.shape[1]).flatten()
    sums = torch.zeros(len(power), RINGS + 1).index_add(1, ring, power.flatten(1))
    counts = torch.zeros(RINGS + 1).index_add(0, ring, torch.ones(len(ring)))
    return (sums / counts.clamp(min=1))[:, :RINGS]


def measure(grain: torch.Tensor, emulsion: torch.Tensor, grey: torch.Tensor, bank: Bank) -> Measures:
    """Compare grain (conditions, repeats, S, S) on greys with the truth: log strength, log power by ring, values by rank."""
    size = grain.shape[-1]
    deviation = torch.sqrt((grain**2).mean((1, 2, 3)))
    window = torch.hann_window(size, periodic=False)
    window = window[:, None] * window
    power = (torch.fft.rfft2(grain * window).abs() ** 2).mean(1) / (window**2).sum()
    wanted = by_ring(power_spectrum(emulsion, grey, size))
    apart = torch.log(by_ring(power) + 1e-4) - torch.log(wanted + 1e-4)
    flat = grain.flatten(1).sort(1).values
    places = (torch.from_numpy(PROBABILITIES).float() * flat.shape[1]).long()
    ranks = flat[:, places] - ranked_values(bank, emulsion, grey)
    return Measures((torch.log(deviation) ** 2).mean(), (apart**2).mean(), (ranks**2).mean())


class Run:
    """Own one training run: generator, critic, state, log and checkpoint. Exits with a sentence where a checkpoint is none of this task."""

    def __init__(self, args: argparse.Namespace) -> None:
        """Begin, or go on where the folder's checkpoint stands."""
        self.args, self.folder = args, RunFolder(Path(args.out))
        torch.manual_seed(args.seed)
        pictures = [p for p in read_pictures(args.data).values() if min(p.shape[:2]) >= SIZE]
        if not pictures:
            raise SystemExit(f"No picture in {args.data} is {SIZE} pixels a side or more: give others as --data.")
        self.bank = build_bank(self.folder.path / "bank.npz", pictures)
        self.net, self.average, self.critic = SynthNet(), SynthNet(), Critic()
        if args.start is not None:
            self._load({"nets": self.net}, args.start)
        self.average.load_state_dict(self.net.state_dict())
        self.optimisers = optimisers(self.net, args.rate)
        self.critics = torch.optim.AdamW(self.critic.parameters(), lr=2e-4, betas=(0.5, 0.99))
        self.step, self.seconds, self.since = 0, 0.0, 0.0
        self.sums = np.zeros(len(COLUMNS) - 3)
        if self.folder.checkpoint.exists():
            state = self._load(self._parts(), self.folder.checkpoint)
            self.step, self.seconds, self.folder.kept = state["step"], state["seconds"], state["step"]
            self.sums = np.array(state.get("sums", self.sums))
        self.folder.trim("log.csv", COLUMNS, self.step)

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        named: dict[str, nn.Module | torch.optim.Optimizer] = {"nets": self.net, "average": self.average, "critic": self.critic}
        return named | {f"optimiser{n}": one for n, one in enumerate([*self.optimisers, self.critics])}

    def _load(self, parts: Mapping[str, nn.Module | torch.optim.Optimizer], path: Path) -> dict[str, Any]:
        """Read parts of a checkpoint; a net alone takes the averaged weights."""
        state = read_state(path)
        try:
            for name, part in parts.items():
                part.load_state_dict(state["average" if len(parts) == 1 else name])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise SystemExit(f"{path} holds no checkpoint of synth as it is now: give another folder as --out, or no --start.") from error
        return state

    def save(self) -> None:
        """Write the checkpoint."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        self.folder.save(state | {"task": "synth", "step": self.step, "seconds": self.seconds, "sums": self.sums.tolist()})

    def one_step(self) -> tuple[float, ...]:
        """Take one step of critic and generator and return (loss, strength, spectrum, marginal, critic)."""
        rng = torch.Generator().manual_seed((self.args.seed << 32) + self.step)
        emulsion, grey = draw_conditions(rng, CONDITIONS)
        field = torch.randn(CONDITIONS * REPEATS, FIELDS, PATCH, PATCH, generator=rng)
        plane = grey.repeat_interleave(REPEATS)[:, None, None, None].expand(-1, 1, PATCH, PATCH)
        with torch.autocast("cpu", torch.bfloat16):
            grain = self.net(field, plane, emulsion.repeat_interleave(REPEATS, 0)[:, :, None, None]).float()
        inner = grain[:, 0, BORDER:-BORDER, BORDER:-BORDER].unflatten(0, (CONDITIONS, REPEATS))
        found = measure(inner, emulsion, grey, self.bank)
        likeness, doubt = self._contest(rng)
        loss = found.total + WEIGHTS["critic"] * likeness + WEIGHTS["limits"] * self._beyond(emulsion, grey)
        self.net.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.rate()
            optimiser.step()
        update_average(self.average, self.net, self.step, 0.9995)
        self.step += 1
        return tuple(value.item() for value in (loss, found.strength, found.spectrum, found.marginal, doubt))

    def _beyond(self, emulsion: torch.Tensor, grey: torch.Tensor) -> torch.Tensor:
        """Return how far the ends of the net's values lie from the true ones, as a share of these, squared."""
        picture = grey[:, None, None, None].expand(-1, 1, 2, 2)
        ends = self.net.limits(self.net.condition(picture, emulsion[:, :, None, None]))
        true = value_limits(emulsion, grey)
        return sum((((a[:, :, 0, 0] / b[:, None]) - 1) ** 2).mean() for a, b in zip(ends, true, strict=True))  # pyright: ignore

    def _contest(self, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Teach the critic on rendered grain and on ours; return the generator's part and the critic's loss (hinge)."""
        chosen = torch.randint(len(self.bank.grain), (12,), generator=rng)
        y, x = (int(torch.randint(SIZE - PATCH + 1, (), generator=rng)) for _ in range(2))
        real, plane = (part[chosen, None, y : y + PATCH, x : x + PATCH].float() for part in (self.bank.grain, self.bank.picture))
        emulsion = self.bank.emulsion[chosen][:, :, None, None]
        with torch.autocast("cpu", torch.bfloat16):
            fake = self.net(torch.randn(12, FIELDS, PATCH, PATCH, generator=rng), plane, emulsion)
            true, false = self.critic(real, plane, emulsion), self.critic(fake.detach(), plane, emulsion)
        doubt = torch.relu(1 - true.float()).mean() + torch.relu(1 + false.float()).mean()
        self.critics.zero_grad(set_to_none=True)
        doubt.backward()
        self.critics.step()
        with torch.autocast("cpu", torch.bfloat16):
            return -self.critic(fake, plane, emulsion).float().mean(), doubt.detach()

    def rate(self) -> float:
        """Return the learning rate of the step."""
        return learning_rate(self.step, self.args.steps, self.args.rate, 100)

    def _after(self, stopping: bool) -> None:
        """Log and save where that is due after a step."""
        args, last = self.args, self.step == self.args.steps
        if self.step % args.every == 0:
            row = (self.step, self.count(), self.rate(), *(self.sums / args.every))
            self.folder.append("log.csv", [self.step, *(f"{value:.6g}" for value in row[1:])])
            print("  ".join(f"{name} {value:.5g}" for name, value in zip(COLUMNS, row, strict=True)), flush=True)
            self.sums[:] = 0
        if self.step % args.save == 0 or last or stopping:
            self.count()
            self.save()

    def count(self) -> float:
        """Add the time since the last count to that of the training, and return it."""
        now = time.monotonic()
        self.seconds, self.since = self.seconds + now - self.since, now
        return self.seconds

    def train(self) -> None:
        """Train to the last step, or to the one at which Ctrl-C or SIGTERM came, and draw the curve."""
        self.since = time.monotonic()
        with Stop() as stop:
            while self.step < self.args.steps:
                row = np.array(self.one_step())
                if not np.isfinite(row).all():
                    raise SystemExit(f"The loss at step {self.step} is not a number; {self.folder.where()}: lower --rate.")
                self.sums += row
                stopping = stop.asked
                self._after(stopping)
                if stopping and self.step < self.args.steps:
                    raise stopped(self.folder, self.args.steps)
        rows = read_log(self.folder.path / "log.csv")
        plot_curve(self.folder.path / "curve.png", {name: (rows, name) for name in ("loss", "spectrum", "marginal")}, {}, "")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m models.train --task synth", description=__doc__)
    parser.add_argument("--out", required=True, help="folder of the run: bank.npz, last.pt and log.csv")
    parser.add_argument("--data", type=Path, default=data_root() / "train" / "open", help="photographs, parts of which are rendered on")
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--start", type=Path, help="checkpoint whose averaged weights a new run starts from")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="fuse the nets' steps by torch.compile: faster, needs a C++ compiler")
    parser.add_argument("--every", type=int, default=200, help="steps between rows of the log")
    parser.add_argument("--save", type=int, default=1000, help="steps between checkpoints")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, resuming where the folder's checkpoint stands."""
    args = parse(arguments)
    set_up_torch(args.threads)
    with sentences("fewer --threads"):
        Run(args).train()


if __name__ == "__main__":
    main()
