"""What an import brings in: instant start, and no training library in the runtime.

Which modules are loaded is checked, not the time that takes: times are a benchmark's business.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

TRAINING = {"torch", "scipy", "skimage", "matplotlib", "colour", "scenedetect", "cv2", "onnx"}
HEAVY = TRAINING | {"av", "OpenImageIO", "onnxruntime", "imageio_ffmpeg"}


def loaded_by(statements: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after `statements`."""
    code = f"import sys\n{statements}\nprint(' '.join({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_package_imports_nothing() -> None:
    assert loaded_by("import grainlayer") - loaded_by("") == {"grainlayer"}


@pytest.mark.parametrize("module", ["grainlayer.params", "grainlayer.errors", "grainlayer.grain.profile", "grainlayer.cli"])
def test_light_modules_stay_light(module: str) -> None:
    assert not loaded_by(f"import {module}") & HEAVY


def test_help_loads_nothing_heavy() -> None:
    run = "from grainlayer.cli import main\nsys.argv = ['grainlayer', '--help']\ntry:\n    main()\nexcept SystemExit:\n    pass"
    loaded = loaded_by(run)
    assert "click" in loaded
    assert not loaded & HEAVY


def test_no_room_imports_what_only_training_needs() -> None:
    walk = "import importlib, pkgutil, grainlayer\nfor m in pkgutil.walk_packages(grainlayer.__path__, 'grainlayer.'):\n"
    loaded = loaded_by(walk + "    if '._' not in m.name and not m.name.endswith('codegen'): importlib.import_module(m.name)")
    assert "numpy" in loaded
    assert not loaded & TRAINING
    assert "models" not in loaded
