"""Read the models' manifest and hand out checked files."""

from __future__ import annotations

import hashlib
import os
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from grainlayer.errors import ModelError

PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class ModelCard:
    """Describe one model of the manifest; `path` is where its file should lie."""

    id: str
    task: str
    file: str
    sha256: str
    encoding: str
    frames: int
    halo: int
    multiple_of: int
    licence: str
    training_commit: str
    metrics: dict[str, float] = field(hash=False)
    path: Path


def model_root() -> Path:
    """Return the folder that holds manifest.toml and weights/: GRAINLAYER_MODELS, the package's own, or the checkout's."""
    override = os.environ.get("GRAINLAYER_MODELS")
    if override:
        return Path(override)
    packed = PACKAGE / "weights"
    return packed if (packed / "manifest.toml").exists() else PACKAGE.parent / "models"


def read_manifest(root: Path) -> dict[str, ModelCard]:
    """Return the cards of `root`/manifest.toml by id. Raise ModelError if it is missing or no manifest."""
    file = root / "manifest.toml"
    try:
        entries: list[dict[str, Any]] = tomllib.loads(file.read_text("utf-8"))["model"]
        return {str(entry["id"]): _card(entry, root) for entry in entries}
    except OSError as error:
        raise ModelError(f"No models were found at {root}: reinstall GrainLayer, or point GRAINLAYER_MODELS at its models.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"The models' manifest {file} is damaged: reinstall GrainLayer.") from error


def _card(entry: dict[str, Any], root: Path) -> ModelCard:
    words: dict[str, Any] = {key: str(entry[key]) for key in ("id", "task", "file", "sha256", "encoding", "licence", "training_commit")}
    counts: dict[str, Any] = {key: int(entry[key]) for key in ("frames", "halo", "multiple_of")}
    metrics = {str(key): float(value) for key, value in dict(entry.get("metrics", {})).items()}
    folder = root / "weights" if (root / "weights").is_dir() else root
    return ModelCard(**words, **counts, metrics=metrics, path=folder / words["file"])


def find_model(model_id: str, task: str) -> ModelCard:
    """Return the card of `model_id`. Raise ModelError if there is none or it does another task."""
    cards = read_manifest(model_root())
    card = cards.get(model_id)
    if card is None or card.task != task:
        names = ", ".join(sorted(c.id for c in cards.values() if c.task == task)) or "none"
        raise ModelError(f"There is no {task} model called {model_id!r}; installed are: {names}.")
    return card


@cache
def load_bytes(card_id: str, path: Path, sha256: str) -> bytes:
    """Return a model's file, checked against its digest. Raise ModelError if it is missing or altered."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"The model {card_id} is missing ({path}): reinstall GrainLayer.") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ModelError(f"The model {card_id} ({path}) was altered or damaged: reinstall GrainLayer.")
    return data
