"""Build the native kernels: every .cpp in grainlayer/native becomes part of one plain C library, loaded with ctypes."""

from __future__ import annotations

import sys
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

GCC_FLAGS = ["-std=c++20", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-exceptions", "-fno-rtti", "-fvisibility=hidden"]
GCC_WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror"]
MSVC_FLAGS = ["/std:c++20", "/O2", "/fp:precise", "/W4", "/WX"]


class BuildKernels(build_ext):
    """Build libraries that are loaded with ctypes: they export no Python initialiser."""

    def get_export_symbols(self, ext: Extension) -> list[str]:
        """Return no symbols: the sources mark what they export."""
        return []


setup(
    ext_modules=[
        Extension(
            "grainlayer.native._kernels",
            sources=sorted(glob("grainlayer/native/*.cpp")),
            depends=sorted(glob("grainlayer/native/*.h")),
            language="c++",
            extra_compile_args=MSVC_FLAGS if sys.platform == "win32" else GCC_FLAGS + GCC_WARNINGS,
        )
    ],
    cmdclass={"build_ext": BuildKernels},
)
