"""Teach a trained removal net to work in 8-bit integers and export it: `python -m models.quantise --checkpoint C --id ID --out RUN`.

The checkpoint is of the task removal or fast; its averaged weights are the start, and the net at full precision the teacher.
"""

from __future__ import annotations

import argparse
import csv
import time
from copy import deepcopy
from pathlib import Path

import torch
from torch import nn

from models.data import Patches, data_root, read_pictures
from models.degrade import TOP, Batch, degrade
from models.export import RemovalGraph, load_net, publish
from models.int8 import calibrate, quantised
from models.losses import SQUARE, grain_loss
from models.nets import RemovalNet
from models.train import learning_rate, update_average

TEACHING = 0.5
"""Weight of the precise net's guess against that of the truth."""
MOST = 0.03
"""Largest difference allowed between torch and onnxruntime on random pictures, code value: a value that one of them rounds to the other
side differs by a step, and later layers may widen it."""
ROUGH = 0.75
"""Share of the steps taken in bfloat16; the others are in single precision, whose rounding is that of the integers alone."""


def draw(args: argparse.Namespace, patches: Patches, step: int) -> Batch:
    """Return a step's batch."""
    rng = torch.Generator().manual_seed((args.seed << 32) + step)
    return degrade(patches.batch(step, args.batch, args.size), rng, TOP, heavy=step % 2 == 1)


def teach(args: argparse.Namespace, precise: RemovalNet, patches: Patches) -> RemovalNet:
    """Return the net in 8 bits, averaged over its last steps; writes RUN/log.csv."""
    precise = precise.to(memory_format=torch.channels_last).eval()
    net = quantised(deepcopy(precise)).train()
    batches = [draw(args, patches, 10_000_000 + number) for number in range(8)]
    calibrate(net, [(batch.grainy, batch.hint) for batch in batches])
    average = deepcopy(net)
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.rate, weight_decay=0.0)
    began, total = time.monotonic(), 0.0
    with (args.out / "log.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("step", "seconds", "rate", "loss", "left"))
        for step in range(args.steps):
            batch = draw(args, patches, step)
            grainy = batch.grainy.contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
                taught = precise(grainy, batch.hint).float()
            with torch.autocast("cpu", torch.bfloat16, enabled=step < ROUGH * args.steps):
                guess = net(grainy, batch.hint).float()
            other = Batch(batch.grainy, taught, batch.deviation, batch.hint, batch.peak)
            loss, left = grain_loss(guess, batch, 0.1, SQUARE)
            loss = (1 - TEACHING) * loss + TEACHING * grain_loss(guess, other, 0.0, SQUARE)[0]
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.param_groups[0]["lr"] = learning_rate(step, args.steps, args.rate)
            optimiser.step()
            update_average(average, net, step)
            total += loss.item()
            if (step + 1) % 250 == 0:
                row = (step + 1, time.monotonic() - began, learning_rate(step, args.steps, args.rate), total / 250, left.item())
                writer.writerow([f"{value:.6g}" for value in row])
                stream.flush()
                print("  ".join(f"{value:.5g}" for value in row), flush=True)
                total = 0.0
    return average.eval()


def main() -> None:
    """Teach, export, check, enter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--task", choices=("removal", "fast"), default="removal")
    parser.add_argument("--id", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=data_root() / "train" / "open")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    args.out.mkdir(parents=True, exist_ok=True)
    pictures = [p for p in read_pictures(args.data).values() if min(p.shape[:2]) >= args.size]
    net = teach(args, load_net(args.task, args.checkpoint), Patches(pictures, args.seed))
    torch.save({"average": net.state_dict(), "task": "int8"}, args.out / "last.pt")
    publish(args.task, RemovalGraph(net).eval(), args.id, MOST)


if __name__ == "__main__":
    main()
