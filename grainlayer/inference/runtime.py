"""Run an ONNX model behind one call. Channels-first tensors exist nowhere outside the graphs themselves."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from grainlayer.errors import ModelError
from grainlayer.inference.registry import ModelCard, load_bytes
from grainlayer.native import default_threads

if TYPE_CHECKING:
    import onnxruntime

Floats = NDArray[np.float32]

DEVICES = ("auto", "cpu", "cuda", "tensorrt", "coreml", "directml")
PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "cpu": "CPUExecutionProvider",
}


class Cancelled(Exception):
    """Say that the work in hand is no longer wanted: a signal to whoever asked for it, never shown to a user."""


class Cancel:
    """Stop work from another thread. The work runs inside `cancellable`; each model called there stops within one node."""

    def __init__(self) -> None:
        """Begin unset."""
        self._lock = threading.Lock()
        self._running: set[Any] = set()
        self._set = False

    @property
    def wanted(self) -> bool:
        """Say whether the work has been asked to stop."""
        return self._set

    def cancel(self) -> None:
        """Ask the work to stop."""
        with self._lock:
            self._set = True
            for options in self._running:
                options.terminate = True

    def check(self) -> None:
        """Raise Cancelled if the work has been asked to stop."""
        if self._set:
            raise Cancelled

    @contextmanager
    def running(self, options: Any) -> Generator[None]:
        """Let `cancel` stop the run of a model that these options are given to. Raise Cancelled if it was stopped."""
        with self._lock:
            self._running.add(options)
        try:
            self.check()
            yield
        except Exception:
            self.check()
            raise
        finally:
            with self._lock:
                self._running.discard(options)


_CANCEL: ContextVar[Cancel | None] = ContextVar("cancel", default=None)


@contextmanager
def cancellable(cancel: Cancel) -> Generator[None]:
    """Let `cancel` stop the models that this thread runs inside."""
    token = _CANCEL.set(cancel)
    try:
        yield
    finally:
        _CANCEL.reset(token)


def check_cancelled() -> None:
    """Raise Cancelled if what this thread works on is no longer wanted; for loops that run no model."""
    cancel = _CANCEL.get()
    if cancel is not None:
        cancel.check()


@cache
def _runtime() -> Any:
    """Import onnxruntime, which is to report nothing to its makers. Raise ModelError that says which extra to install."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # heeded only before it is loaded; else it keeps an identifier in the user's cache
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(
            "onnxruntime is not installed: run `pip install 'grainlayer[cpu]'`, or `grainlayer[gpu]` for an NVIDIA card."
        ) from error
    onnxruntime.disable_telemetry_events()  # what the variable does not cover: Windows' own tracing
    onnxruntime.set_default_logger_severity(3)
    return onnxruntime


def choose_providers(device: str) -> list[str]:
    """Return onnxruntime's providers for a device, the CPU always last. Raise ModelError if the device is not there."""
    present = _runtime().get_available_providers()
    if device == "auto":
        return [PROVIDERS[name] for name in ("cuda", "coreml", "directml", "cpu") if PROVIDERS[name] in present]
    if device not in PROVIDERS:
        raise ModelError(f"There is no device called {device!r}; choose one of {', '.join(DEVICES)}.")
    if PROVIDERS[device] not in present:
        names = ", ".join(name for name, provider in PROVIDERS.items() if provider in present)
        raise ModelError(f"This machine's onnxruntime cannot use {device}; it has: {names}. Choose one of these with --device.")
    return [PROVIDERS[device]] + ([] if device == "cpu" else [PROVIDERS["cpu"]])


def device_name(device: str) -> str:
    """Return where networks will run, without loading any: cpu, cuda ... Raise ModelError if the device is not there."""
    return _name_of(choose_providers(device)[0])


def _name_of(provider: str) -> str:
    return next((name for name, known in PROVIDERS.items() if known == provider), provider)


def devices_of_loaded(device: str) -> list[str]:
    """Return where the networks that were asked to run on `device` do run: a refused device falls back to the CPU."""
    return sorted({model.device for (_, asked), model in list(_LOADED.items()) if asked == device})


def device_in_use(device: str) -> str:
    """Return where networks asked to run on `device` run, in words; before one is loaded, where they are to.

    Raise ModelError if the device is not there.
    """
    return " and ".join(devices_of_loaded(device)) or f"{device_name(device)}, not tried yet"


class Model:
    """Hold one session. Calls may come from any thread."""

    def __init__(self, card: ModelCard, device: str = "auto") -> None:
        """Load `card`'s file onto `device`, falling back to the CPU if the device refuses. Raise ModelError."""
        self.card = card
        data = load_bytes(card.id, card.path, card.sha256)
        self.session = self._open(data, choose_providers(device))
        self.inputs = [value.name for value in self.session.get_inputs()]
        self.device = _name_of(self.session.get_providers()[0])

    def _open(self, data: bytes, providers: list[str]) -> onnxruntime.InferenceSession:
        runtime = _runtime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = default_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            return runtime.InferenceSession(data, options, providers=providers)
        except Exception as error:
            if providers == [PROVIDERS["cpu"]]:
                raise ModelError(f"The model {self.card.id} cannot be loaded ({error}): reinstall GrainLayer.") from error
            return self._open(data, [PROVIDERS["cpu"]])

    def run(self, *inputs: Floats) -> list[Floats]:
        """Return the model's outputs. Raise ModelError naming the model if it fails, Cancelled if it is stopped."""
        feeds = dict(zip(self.inputs, inputs, strict=True))
        cancel = _CANCEL.get()
        try:
            if cancel is None:
                return self.session.run(None, feeds)  # pyright: ignore[reportReturnType]
            options = _runtime().RunOptions()
            with cancel.running(options):
                return self.session.run(None, feeds, options)  # pyright: ignore[reportReturnType]
        except Cancelled:
            raise
        except Exception as error:
            shapes = ", ".join(str(value.shape) for value in inputs)
            raise ModelError(f"The model {self.card.id} failed on inputs of shape {shapes}: {error}.") from error


_LOADED: dict[tuple[ModelCard, str], Model] = {}
_LOCK = threading.Lock()


def load(card: ModelCard, device: str = "auto") -> Model:
    """Return the session of a model, loaded once a process."""
    with _LOCK:
        if (card, device) not in _LOADED:
            _LOADED[card, device] = Model(card, device)
        return _LOADED[card, device]


def loaded_models() -> list[str]:
    """Return the ids of the models that are loaded, with the device of each."""
    return sorted(f"{model.card.id} on {model.device}" for model in list(_LOADED.values()))
