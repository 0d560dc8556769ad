"""Work can be stopped from another thread, between models and inside one."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from grainlayer.inference.registry import find_model
from grainlayer.inference.remove import Remover
from grainlayer.inference.runtime import Cancel, Cancelled, cancellable, device_name, load, loaded_models


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
