"""The runtime fails in one way: errors of its own tree, no asserts, no silent swallowing."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "grainlayer"
BUILT_IN = {name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)}
FILES = sorted(ROOT.rglob("*.py"))


def name_of(node: ast.expr | None) -> str:
    """Return the name that a class or a call of it is written with, or nothing."""
    inner = node.func if isinstance(node, ast.Call) else node
    return inner.id if isinstance(inner, ast.Name) else ""


def faults(tree: ast.Module, *, tree_of_errors: bool) -> Iterator[str]:
    """Yield what breaks the rule; an exception that is a signal between modules and never reaches a user is not called Error."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield f"line {node.lineno}: asserts; raise an error of the tree"
        error = isinstance(node, ast.ClassDef) and node.name.endswith("Error")
        if error and not tree_of_errors and {name_of(base) for base in node.bases} & BUILT_IN:
            yield f"line {node.lineno}: {node.name} is an error outside the tree of grainlayer/errors.py"
        if isinstance(node, ast.Raise) and name_of(node.exc) in BUILT_IN:
            yield f"line {node.lineno}: raises {name_of(node.exc)}; raise an error of the tree"
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"line {node.lineno}: catches everything; name what is expected"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_errors_come_from_the_tree(path: Path) -> None:
    assert not list(faults(ast.parse(path.read_text("utf-8")), tree_of_errors=path.name == "errors.py"))


def test_faults_are_found() -> None:
    code = "class AError(ValueError): ...\ndef f():\n  assert 1\n  raise RuntimeError('x')\ntry: f()\nexcept: raise"
    assert [fault.split(":")[0] for fault in sorted(faults(ast.parse(code), tree_of_errors=False))] == [
        "line 1",
        "line 3",
        "line 4",
        "line 6",
    ]
