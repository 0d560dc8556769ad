"""Run an ONNX model behind one call. Channels-first tensors exist nowhere outside the graphs themselves."""

from __future__ import annotations

import threading
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


@cache
def _runtime() -> Any:
    """Import onnxruntime. Raise ModelError that says which extra to install."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(
            "onnxruntime is not installed: run `pip install 'grainlayer[cpu]'`, or `grainlayer[gpu]` for an NVIDIA card."
        ) from error
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


class Model:
    """Hold one session. Calls may come from any thread."""

    def __init__(self, card: ModelCard, device: str = "auto") -> None:
        """Load `card`'s file onto `device`, falling back to the CPU if the device refuses. Raise ModelError."""
        self.card = card
        data = load_bytes(card.id, card.path, card.sha256)
        self.session = self._open(data, choose_providers(device))
        self.inputs = [value.name for value in self.session.get_inputs()]
        self.device = next(name for name, provider in PROVIDERS.items() if provider == self.session.get_providers()[0])

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
        """Return the model's outputs. Raise ModelError naming the model if it fails."""
        feeds = dict(zip(self.inputs, inputs, strict=True))
        try:
            return self.session.run(None, feeds)  # pyright: ignore[reportReturnType]
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
