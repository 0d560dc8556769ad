"""Build steps that pyproject.toml names: the native kernels, and the models that a wheel carries.

Every .cpp in grainlayer/native becomes part of one plain C library, loaded with ctypes. models/manifest.toml and
models/weights/*.onnx are copied to grainlayer/weights in a wheel; an editable install reads them where they lie.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from setuptools import Extension
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

GCC_FLAGS = ["-std=c++20", "-O3", "-fno-wrapv", "-ffp-contract=off"]
GCC_FLAGS += ["-fno-math-errno", "-fno-exceptions", "-fno-rtti", "-fvisibility=hidden"]
"""-fno-wrapv takes back what Python's own flags say: with it, compilers do not see sums of absolute differences."""
GCC_WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror"]
MSVC_FLAGS = ["/std:c++20", "/O2", "/fp:precise", "/W4", "/WX"]


class BuildKernels(build_ext):
    """Build libraries that are loaded with ctypes: they export no Python initialiser."""

    def build_extension(self, ext: Extension) -> None:
        """Compile all sources of the extension's folder with the compiler's own flags."""
        folder = Path(ext.sources[0]).parent
        ext.sources, ext.depends = (sorted(str(path) for path in folder.glob(kind)) for kind in ("*.cpp", "*.h"))
        ext.language = "c++"
        ext.extra_compile_args = MSVC_FLAGS if sys.platform == "win32" else GCC_FLAGS + GCC_WARNINGS
        super().build_extension(ext)

    def get_export_symbols(self, ext: Extension) -> list[str]:
        """Return no symbols: the sources mark what they export."""
        return []


class BuildPackage(build_py):
    """Copy the package, and beside it the models."""

    def run(self) -> None:
        """Copy the models too, unless the install is editable."""
        super().run()
        if self.editable_mode:
            return
        place = Path(self.build_lib, "grainlayer", "weights")
        place.mkdir(parents=True, exist_ok=True)
        for model in [Path("models/manifest.toml"), *sorted(Path("models/weights").glob("*.onnx"))]:
            shutil.copy2(model, place)
