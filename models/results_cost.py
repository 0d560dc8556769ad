"""Measure what a model costs for models.results: numbers, multiplications, bytes, and milliseconds at 1080p."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainlayer.inference.registry import ModelCard
from grainlayer.inference.remove import CELL
from grainlayer.native import default_threads
from models.results_keep import MISSING, Absent, Figures, Keep, cards, digest
from models.results_page import Part
from tests.bench.report import Table, environment

Floats = NDArray[np.float32]

FULL = (1088, 1920)
"""Height and width of a 1080p picture, extended to multiples of 8 and 64."""
SMALL = (272, 480)
"""Size at which the graph is run to see the shapes of what flows: a sixteenth of the pixels, so that nothing rounds differently."""
INT8 = "-int8"
"""What follows a model's id, in an id or a file's name, where it is its form in integers of 8 bits."""
SHRUNK = MappingProxyType({"strength": CELL, "quantiser": CELL, "chroma": 2})
"""By the input's name, pixels of the picture a side for one of its numbers, where that is not one."""
LEVELS = MappingProxyType({"strength": 0.05, "quantiser": 27 / 64})
"""What inputs that tell a net something of the picture are filled with."""
TURNS = 7
SPARE = 0.5
"""Load beyond the number of processors from which on no times are taken."""
CONVOLUTIONS = ("Conv", "QLinearConv", "ConvInteger", "FusedConv")
PRODUCTS = ("MatMul", "Gemm", "QLinearMatMul", "MatMulInteger")
WEIGHTS_AT = {"QLinearConv": 3, "QLinearMatMul": 3}
"""Place of the weights among a node's inputs, where it is not the second."""
VERSION = 1
WORDS = (
    "Parameters are the numbers that the graph stores as initialisers in floating point. kMAC a pixel: multiplications of its convolutions "
    "and matrix products alone, a multiplication and an addition counting as one, over the pixels of the picture that the graph is given "
    "(one picture of those that a net of several sees); bias, activations and resizing are left out. Counted from the shapes of a run.",
    f"Milliseconds are of one run of the graph on {FULL[1]}x{FULL[0]} by onnxruntime's CPU provider: median of 7 turns, in each of which "
    "both forms ran one after the other, after one unmeasured. Load is that of the machine before, in processes. int8: the file of 8-bit "
    "weights and activations, where there is one.",
)


def int8_file(card: ModelCard) -> Path | None:
    """Return the file of a model's form in 8 bits: that of the manifest's model of its id and '-int8', or one beside it, if any."""
    twin = next((other for other in cards(card.task) if other.id == card.id + INT8), None)
    path = twin.path if twin else card.path.with_name(f"{card.path.stem}{INT8}{card.path.suffix}")
    return path if path.exists() else None


def whole_cards() -> list[ModelCard]:
    """Return the models of the manifest that are not another's form in 8 bits."""
    known = {card.id for card in cards()}
    return [card for card in cards() if not (card.id.endswith(INT8) and card.id.removesuffix(INT8) in known)]


def feeds(session: Any, size: tuple[int, int]) -> dict[str, Floats]:
    """Return inputs of a session for a picture of (height, width): random code values, a strength of 0.05, a quantiser of 27.

    Strength and quantiser are by cells of 8x8 pixels, chroma is half as large both ways. Free axes are rows, then columns; a shape
    without any is taken as it stands.
    """
    rng = np.random.Generator(np.random.Philox(key=7))
    made: dict[str, Floats] = {}
    for value in session.get_inputs():
        free: Iterator[int] = iter(length // SHRUNK.get(value.name, 1) for length in size)
        shape = [axis if isinstance(axis, int) else next(free) for axis in value.shape]
        level = LEVELS.get(value.name)
        made[value.name] = rng.random(shape, np.float32) if level is None else np.full(shape, level, np.float32)
    return made


def working_nodes(graph: Any) -> list[Any]:
    """Return the convolutions and matrix products of a graph."""
    return [node for node in graph.node if node.op_type in (*CONVOLUTIONS, *PRODUCTS, "ConvTranspose")]


def count_parameters(path: Path) -> int:
    """Return the numbers that were learnt: the elements of the graph's initialisers in floating point."""
    import onnx

    kinds = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
    return sum(prod(value.dims) for value in onnx.load(str(path)).graph.initializer if value.data_type in kinds)


def count_macs(path: Path, size: tuple[int, int] = SMALL) -> float:
    """Return multiplications a pixel of the picture, counted from the shapes that a run at (height, width) shows."""
    import onnx
    import onnxruntime

    model = onnx.load(str(path))
    nodes = working_nodes(model.graph)
    wanted = sorted({name for node in nodes for name in (node.input[0], _weights_of(node), node.output[0])})
    shapes: dict[str, tuple[int, ...]] = {value.name: tuple(value.dims) for value in model.graph.initializer}
    known = {value.name for value in (*model.graph.output, *model.graph.input)} | set(shapes)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in known)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    given = feeds(session, size)
    names = [value.name for value in session.get_outputs()]
    shapes |= {name: array.shape for name, array in given.items()}
    shapes |= {name: array.shape for name, array in zip(names, session.run(None, given), strict=True)}
    return sum(_node_macs(node, shapes) for node in nodes) / prod(size)


def _weights_of(node: Any) -> str:
    return node.input[WEIGHTS_AT.get(node.op_type, 1)]


def _node_macs(node: Any, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Return the multiplications of one node: of a convolution by its weights' shape, (out, in / groups, rows, columns)."""
    given, out = shapes[node.input[0]], shapes[node.output[0]]
    if node.op_type in PRODUCTS:
        return prod(out) * given[-1]
    return prod(given if node.op_type == "ConvTranspose" else out) * prod(shapes[_weights_of(node)][1:])


def time_pair(card: ModelCard, other: Path | None) -> Figures:
    """Return the median milliseconds of a model at 1080p and, in turn with it, those of its form in 8 bits, and the load before.

    Raise Absent while the machine is busy with more than it has processors for.
    """
    from grainlayer.inference.runtime import Model

    load = os.getloadavg()[0]
    if load > (os.cpu_count() or 1) + SPARE:
        raise Absent(f"The machine is busy (load {load:.1f}), so no times are taken: run --only speed again when it is not.")
    forms = [card] if other is None else [card, replace(card, id=card.id + INT8, path=other, sha256=digest(other))]
    sessions = [Model(form, "cpu").session for form in forms]
    given = [feeds(session, FULL) for session in sessions]
    times: list[list[float]] = [[] for _ in sessions]
    for turn in range(TURNS + 1):
        for place, session in enumerate(sessions):
            began = time.perf_counter()
            session.run(None, given[place])
            if turn:
                times[place].append(1000 * (time.perf_counter() - began))
    medians = [float(np.median(row)) for row in times]
    return {"ms": medians[0], "ms_int8": medians[1] if other else None, "load": load}


def costs(keep: Keep, card: ModelCard) -> Figures:
    """Return what is known of a model's cost: parameters, kmac, bytes, ms, ms_int8, bytes_int8, load; None where it is not measured."""
    other = int8_file(card)
    found: Figures = dict.fromkeys(("parameters", "kmac", "ms", "ms_int8", "load"))
    found |= {"bytes": card.path.stat().st_size, "bytes_int8": other.stat().st_size if other else None}
    machine = [_where()["machine"], default_threads()]
    digests = [card.sha256, digest(other) if other else ""]
    counted = keep.figures("cost", [VERSION, card.sha256], lambda: _counts(card.path))
    timed = keep.figures("speed", [VERSION, *digests, *machine], lambda: time_pair(card, other))
    return found | (counted or {}) | (timed or {})


_where = cache(environment)


def _counts(path: Path) -> Figures:
    return {"parameters": count_parameters(path), "kmac": count_macs(path) / 1000}


def _text(value: float | None, form: str, missing: str = MISSING) -> str:
    return missing if value is None else format(value, form)


def table(found: Mapping[str, Figures]) -> Table:
    """Return the costs of all models, a row each."""
    head = ["", "parameters", "kMAC/pixel", "bytes", "ms", "bytes, int8", "ms, int8", "int8/fp32", "load"]
    body: list[list[str]] = []
    for name, cost in found.items():
        fast = MISSING if cost["bytes_int8"] else "no file"
        ratio = cost["ms_int8"] / cost["ms"] if cost["ms_int8"] else None
        cells = [_text(cost["parameters"], ",d"), _text(cost["kmac"], ".2f"), _text(cost["bytes"], ",d"), _text(cost["ms"], ".0f")]
        cells += [_text(cost["bytes_int8"], ",d", fast), _text(cost["ms_int8"], ".0f", fast), _text(ratio, ".2f", fast)]
        body.append([name, *cells, _text(cost["load"], ".1f")])
    return Table("Cost of each model", head, body)


def part(keep: Keep, every: int = 1) -> Part:
    """Return the section; `keep` decides whether what is missing is measured, for all models."""
    del every
    found: dict[str, Figures] = {}
    for card in whole_cards():
        keep.say(f"speed: {card.id}")
        found[card.id] = costs(keep, card)
    machine = f"{_where()['machine']}; {default_threads()} threads; {_where()['packages']}."
    return Part("Cost", [*WORDS, machine], [table(found)], [], {"costs": found})
