"""The house's rules: where things lie, how long they may be, what must not be in them."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from grainlayer.params import Stock

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {"ofx_bridge", "resolve_scripts", "grainlayer", "models", "tests", "installer", "docs", ".ci"}
LOOSE = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "Makefile", ".gitignore"}
TEXT = {".py", ".cpp", ".h", ".inc", ".md", ".toml", ".sh", ".txt", ""}
NO_NOUN = {"utils", "util", "helpers", "common", "core", "manager", "handler", "misc"}
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|NotImplemented" + r"Error)\b")
MACHINE = re.compile(r"(?<![\w.])/(?:work|root|farm)/\w")
TRADEMARKS = re.compile("kodak|fuji|ilford|agfa|ektachrome|portra|velvia|eterna|vision|orwo|polaroid|tri-x", re.IGNORECASE)


def house_files() -> list[Path]:
    """Return the committed files, or where there is no repository all files of the rooms."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    inside = (path for room in sorted(ROOMS) for path in (ROOT / room).rglob("*") if path.is_file())
    return [path for path in inside if "__pycache__" not in path.parts and path.suffix != ".so"]


FILES = house_files()
PYTHON = [path for path in FILES if path.suffix == ".py"]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_everything_lies_in_a_room() -> None:
    tops = {path.relative_to(ROOT).parts[0] for path in FILES}
    assert tops <= ROOMS | LOOSE
    assert not {named(path) for path in PYTHON if path.stem in NO_NOUN}


def test_files_are_short() -> None:
    lengths = {named(path): len(path.read_text("utf-8").splitlines()) for path in PYTHON if "tests" not in path.relative_to(ROOT).parts}
    assert not {name: length for name, length in lengths.items() if length > 400}


def test_functions_are_short() -> None:
    long: dict[str, int] = {}
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                length = node.end_lineno - node.lineno + 1
                long |= {f"{named(path)}:{node.name}": length} if length > 60 else {}
    assert not long


def test_nothing_is_unfinished_or_tied_to_one_machine() -> None:
    found: list[str] = []
    for path in FILES:
        if path.suffix in TEXT and path.name != "LICENSE":
            lines = enumerate(path.read_text("utf-8").splitlines(), 1)
            found += [f"{named(path)}:{number}" for number, line in lines if UNFINISHED.search(line) or MACHINE.search(line)]
    assert not found


def test_no_file_is_huge() -> None:
    assert not {named(path) for path in FILES if path.stat().st_size > (20_000_000 if path.suffix == ".onnx" else 8 << 20)}


def test_a_wheel_carries_all_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packed = project["tool"]["setuptools"]["package-data"]["*"]
    beside = {path.name for path in FILES if path.is_relative_to(ROOT / "grainlayer") and path.suffix != ".py"}
    assert not {name for name in beside if not any(fnmatch(name, pattern) for pattern in packed)}


def test_the_readme_names_both_commands_and_its_links_lead_somewhere() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "make demo" in readme
    assert "make test" in readme
    links = re.findall(r"\]\(([^)#:]+)\)", readme)
    assert links
    assert not {link for link in links if not (ROOT / link).exists()}


def test_the_integration_script_runs_the_tests() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text("utf-8")


def test_the_changelog_knows_this_version() -> None:
    from grainlayer import __version__

    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8") or "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(
        "utf-8"
    )


@pytest.mark.parametrize("stock", list(Stock))
def test_stocks_have_generic_names(stock: Stock) -> None:
    assert re.fullmatch(r"(8|16|35|65)mm( \d+)? (colour|black-and-white)", stock)
    assert not TRADEMARKS.search(stock)
