"""Work can be stopped from another thread, between models and inside one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grainlayer.inference import runtime
from grainlayer.inference.registry import find_model
from grainlayer.inference.remove import Remover
from grainlayer.inference.runtime import Cancel, Cancelled, cancellable, device_in_use, device_name, load, loaded_models


def test_a_running_model_is_stopped() -> None:
    remover, cancel = Remover(device="cpu"), Cancel()
    picture = np.random.default_rng(0).random((1408, 1408, 3), dtype=np.float32)
    threading.Timer(0.1, cancel.cancel).start()
    began = time.monotonic()
    with cancellable(cancel), pytest.raises(Cancelled):
        remover.grain(picture, 0.05)
    assert time.monotonic() - began < 1.5


def test_nothing_runs_once_cancelled_and_others_go_on() -> None:
    remover, cancel = Remover(device="cpu"), Cancel()
    picture = np.full((16, 16, 3), 0.5, np.float32)
    cancel.cancel()
    assert cancel.wanted
    with cancellable(cancel), pytest.raises(Cancelled):
        remover.grain(picture, 0.05)
    with cancellable(Cancel()):
        inside = remover.grain(picture, 0.05)
    assert np.array_equal(inside, remover.grain(picture, 0.05))


def test_the_device_is_known_without_a_model() -> None:
    assert device_name("cpu") == "cpu"
    load(find_model("level-default", "level"), "cpu")
    assert "level-default on cpu" in loaded_models()


class Refusing:
    """Be an onnxruntime that promises a card which its sessions then do without."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def get_available_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def InferenceSession(self, data: bytes, options: Any, providers: list[str]) -> Any:
        return self.real.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def test_the_device_shown_is_the_one_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = Refusing(runtime._runtime())  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(runtime, "_runtime", lambda: refusing)
    monkeypatch.setattr(runtime, "_LOADED", {})
    assert device_name("cuda") == "cuda"
    assert device_in_use("cuda") == "cuda, not tried yet"
    load(find_model("level-default", "level"), "cuda")
    assert device_in_use("cuda") == "cpu"
    assert loaded_models() == ["level-default on cpu"]
    assert device_in_use("cpu") == "cpu, not tried yet"


def test_the_network_library_leaves_nothing_in_the_users_folders(tmp_path: Path) -> None:
    code = "from grainlayer.inference.remove import Remover; Remover(device='cpu')"
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ORT_", "XDG_"))}
    subprocess.run([sys.executable, "-c", code], env=kept | {"HOME": str(tmp_path)}, check=True, timeout=60)
    assert list(tmp_path.rglob("*")) == []
