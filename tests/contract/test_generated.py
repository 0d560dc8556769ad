"""Generated files are what the parameter table says, and a C++ compiler takes the native one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grainlayer import codegen
from grainlayer.params import TABLE, Effect, for_effect

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
#include <cstdio>
namespace grainlayer {
#include "params.inc"
}
using namespace grainlayer;
int main() {
    for (const Param &p : kParams)
        std::printf("%u %s %d %.17g %u\\n", p.effects, p.key, static_cast<int>(p.kind), p.number, p.menu_size);
    return kParamsDigest[0] == 0;
}
"""


def test_generated_files_are_fresh() -> None:
    stale = codegen.stale_files(ROOT)
    assert not stale, f"{', '.join(stale)}: run `make generate` and commit the result"


def test_stale_files_are_found_and_written_once(tmp_path: Path) -> None:
    assert codegen.stale_files(tmp_path) == list(codegen.FILES)
    assert [str(path.relative_to(tmp_path)) for path in codegen.write_all(tmp_path)] == list(codegen.FILES)
    assert codegen.stale_files(tmp_path) == codegen.write_all(tmp_path) == []
    (tmp_path / "docs/parameters.md").write_text("edited by hand")
    assert codegen.stale_files(tmp_path) == ["docs/parameters.md"]


def test_the_command_writes_in_the_working_folder(tmp_path: Path) -> None:
    command, found = [sys.executable, "-m", "grainlayer.codegen"], os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=found, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [*(word for name in codegen.FILES for word in ("wrote", name))]
    assert codegen.stale_files(tmp_path) == []


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here")
def test_a_compiler_reads_every_effect_as_python_does(tmp_path: Path) -> None:
    (tmp_path / "print.cpp").write_text(PROGRAM)
    flags = ["-std=c++20", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror", f"-I{ROOT / 'ofx_bridge/generated'}"]
    subprocess.run(["g++", *flags, "print.cpp", "-o", "print"], cwd=tmp_path, check=True)
    rows = [line.split() for line in subprocess.run([tmp_path / "print"], capture_output=True, text=True, check=True).stdout.splitlines()]
    for bit, effect in enumerate(Effect):
        native = [(key, float(number), int(size)) for mask, key, _, number, size in rows if int(mask) >> bit & 1]
        assert [key for key, _, _ in native] == [p.key for p in for_effect(effect)]
        for (_, number, size), param in zip(native, for_effect(effect), strict=True):
            assert size == len(param.menu)
            expected = param.menu.index(str(param.default)) if param.menu else param.default
            assert isinstance(expected, str) or number == expected


def test_every_parameter_is_on_the_page() -> None:
    page = (ROOT / "docs/parameters.md").read_text("utf-8")
    for param in TABLE:
        assert f"| `{param.key}` | " in page
        assert param.hint in page
