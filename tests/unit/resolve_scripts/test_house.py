"""What the scripts must be: Python 3.6, standard library, strictly typed, calling only what Resolve has."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from resolve_scripts import generate
from resolve_scripts.generate import PRESETS, SHARED
from tests.fakes import bridge, edits, fusion, resolve

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = ROOT / "resolve_scripts"
LIBRARY = SCRIPTS / "lib" / "grain_scripts"
ENTRIES = sorted([*SCRIPTS.glob("Utility/*.py"), *SCRIPTS.glob("Deliver/*.py")])
RUNTIME = [*ENTRIES, *sorted(LIBRARY.glob("*.py"))]
STANDARD = set(
    [
        "hashlib",
        "importlib",
        "json",
        "math",
        "os",
        "re",
        "secrets",
        "shutil",
        "subprocess",
        "sys",
        "tempfile",
        "time",
        "types",
        "typing",
        "urllib",
        "uuid",
        "grain_scripts",
        "DaVinciResolveScript",
    ]
)
TOO_NEW = {
    *("removeprefix", "removesuffix", "isascii", "capture_output", "missing_ok", "dirs_exist_ok", "fromisoformat", "nullcontext"),
    *(
        "CREATE_NO_WINDOW",
        "dataclass",
        "cached_property",
        "breakpoint",
        "prod",
        "dist",
        "isqrt",
        "perf_counter_ns",
        "time_ns",
        "is_relative_to",
    ),
    *("reconfigure", "readlink", "get_running_loop", "pairwise", "batched", "Protocol", "Final", "Literal", "TypedDict", "zoneinfo"),
}
UNSTUBBED = {
    "ResolveApp": {"EXPORT_OTIO", "EXPORT_NONE", "COMPOSITE_ADD", "COMPOSITE_LINEAR_LIGHT"},
    "Timeline": {"GetSelectedClips"},
}
"""What Resolve's documents have and the stubs of 21.0.0 lack, or hold otherwise."""
OURS = {"ResolveApp": "Resolve"}
WITHOUT_STUBS = {"FusionApp", "Composition", "Tool", "Socket", "Plug"}
FAKES: dict[str, type] = {
    **{name: getattr(resolve, name) for name in ("ProjectManager", "Project", "MediaPool")},
    **{name: getattr(edits, name) for name in ("MediaPoolItem", "Timeline", "TimelineItem", "Graph")},
    **{name: getattr(fusion, name) for name in ("Composition", "Tool", "Socket", "Plug")},
    "ResolveApp": resolve.Resolve,
}


def classes(path: Path) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.ClassDef)}


def methods(node: ast.ClassDef) -> dict[str, list[ast.FunctionDef]]:
    found: dict[str, list[ast.FunctionDef]] = {}
    for entry in node.body:
        if isinstance(entry, ast.FunctionDef):
            found.setdefault(entry.name, []).append(entry)
    return found


PROTOCOLS = classes(LIBRARY / "protocols.pyi")


@pytest.mark.parametrize("path", RUNTIME, ids=lambda path: path.name)
def test_syntax_imports_and_names_are_those_of_python_3_6(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 6))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= STANDARD
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] in STANDARD
        names = [getattr(node, field, None) for field in ("attr", "id", "arg", "name")]
        assert not {name for name in names if isinstance(name, str)} & TOO_NEW, ast.dump(node)
        assert not isinstance(node, ast.FormattedValue) or not isinstance(node.value, ast.NamedExpr)


def test_types_are_strict() -> None:
    command = [
        shutil.which("basedpyright", path=os.path.dirname(sys.executable)) or "basedpyright",
        "-p",
        str(SCRIPTS / "pyrightconfig.json"),
    ]
    done = subprocess.run([*command, "--pythonpath", sys.executable], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def stubs() -> dict[str, ast.ClassDef]:
    base = next((Path(entry) / "fusionscript-stubs" for entry in sys.path if (Path(entry) / "fusionscript-stubs").is_dir()), None)
    if base is None:
        pytest.skip("fusionscript-stubs is not installed")
    return classes(base / "fusionscript.pyi")


@pytest.mark.parametrize("name", sorted(set(PROTOCOLS) - WITHOUT_STUBS))
def test_what_we_call_is_what_resolve_has(name: str) -> None:
    theirs = methods(stubs()[OURS.get(name, name)])
    for method, (ours,) in methods(PROTOCOLS[name]).items():
        if method not in UNSTUBBED.get(name, ()):
            assert method in theirs, f"{name}.{method}"
            assert any(takes(their, len(ours.args.args)) for their in theirs[method]), f"{name}.{method}"


def takes(their: ast.FunctionDef, count: int) -> bool:
    """Say whether a stub takes so many arguments; one of which it says Optional may be left out."""
    optional = [
        a for a in their.args.args if (a.annotation and ast.unparse(a.annotation).startswith("Optional")) or a.arg == "subTrackType"
    ]
    loose = [a for a in their.args.args if a.arg in ("subframe_precision", "Bool")]
    most = len(their.args.args)
    return most - len(their.args.defaults) - len(optional) - len(loose) <= count <= most or their.args.vararg is not None


@pytest.mark.parametrize("name", sorted(FAKES))
def test_the_fake_has_what_we_call_in_the_same_shape(name: str) -> None:
    for method, (ours,) in methods(PROTOCOLS[name]).items():
        assert method in vars(FAKES[name]), f"the fake {name} lacks {method}"
        assert len(inspect.signature(vars(FAKES[name])[method]).parameters) == len(ours.args.args), f"{name}.{method}"


def test_every_call_of_the_library_is_in_a_protocol() -> None:
    known = {method for node in PROTOCOLS.values() for method in methods(node)}
    window = {"AddWindow", "VGroup", "HGroup", "Label", "Button", "ComboBox", "CheckBox", "LineEdit", "GetItems", "Show", "Hide"}
    window |= {"RunLoop", "ExitLoop", "AddItems", "UIDispatcher", "UIManager", "RequestDir", "RequestFile"}
    called: set[str] = set()
    for path in sorted(LIBRARY.glob("*.py")):
        nodes = (node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
        called |= {
            node.attr for node in nodes if isinstance(node, ast.Attribute) and re.match("[A-Z][a-z]+[A-Z]|Export$|Delete$", node.attr)
        }
    assert called - known - window <= {"Popen", "TemporaryFile", "TemporaryDirectory"}
    assert "SaveProject" not in called


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_are_resolves_own_but_for_a_few_fields(name: str) -> None:
    sample, fields = PRESETS[name]
    made = ElementTree.parse(SCRIPTS / "presets" / f"{name}.xml").getroot()
    assert made.tag == "SyRecordInfo"
    for field, value in {**SHARED, **fields, "RecordPrefix": name}.items():
        assert made.findtext(field) == value
    source = (
        Path(os.environ.get("GRAINLAYER_DATA", ROOT.parent / "shared" / "data")).parent / "samples" / "render_presets" / f"{sample}.xml"
    )
    if source.is_file():
        theirs = ElementTree.parse(source).getroot()
        assert [node.tag for node in made.iter()] == [node.tag for node in theirs.iter()]
        differ = {
            ours.tag
            for ours, other in zip(made.iter(), theirs.iter(), strict=True)
            if (ours.text or "").strip() != (other.text or "").strip()
        }
        assert differ <= {*SHARED, *fields, "RecordPrefix"}


def test_presets_and_the_scripts_list_agree() -> None:
    from grain_scripts.presets import PRESETS as LISTED
    from grain_scripts.presets import preset_path

    assert {preset.name for preset in LISTED} == set(PRESETS)
    assert all(Path(preset_path(preset)).is_file() for preset in LISTED)
    assert {preset.extension for preset in LISTED} == {
        ElementTree.parse(preset_path(p)).getroot().findtext("RecordFormatType") for p in LISTED
    }


def test_generated_files_are_fresh() -> None:
    assert not generate.stale(), f"{', '.join(generate.stale())}: run `make generate` and commit the result"
    assert {f"{path.parent.name}/{path.stem}" for path in ENTRIES} == set(generate.SCRIPTS)


def test_one_command_refreshes_what_is_generated(tmp_path: Path) -> None:
    for folder in ("resolve_scripts", "docs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    copied = tmp_path / "resolve_scripts"
    (copied / "lib/grain_scripts/parameters.json").write_text("{}")
    (copied / "Utility/Grain - copy look.py").unlink()
    (tmp_path / "docs/parameters.md").unlink()
    recipe = re.search(r"^generate:[^\n]*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert recipe
    for line in recipe[1].splitlines():
        command = line.strip().removeprefix("@").replace("$(BIN)/python", sys.executable).split()
        subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=True)
    for name, text in generate.texts().items():
        assert (copied / name).read_text("utf-8") == text
    assert (tmp_path / "docs/parameters.md").is_file()


def other_python(minor: int) -> str | None:
    """Return a Python of that minor version that runs here: one of pyenv's, or one on PATH."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for place in [*sorted(root.glob(f"3.{minor}.*/bin/python")), *filter(None, [shutil.which(f"python3.{minor}")])]:
        done = subprocess.run([place, "-c", "import sys; print(sys.version_info[1])"], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip() == str(minor):
            return str(place)
    return None


@pytest.mark.parametrize("minor", [6, 13, 14])
def test_every_scene_passes_in_other_pythons(minor: int) -> None:
    python = other_python(minor)
    if python is None:
        pytest.skip(f"Python 3.{minor} is not installed here")
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([python, "-m", "tests.fakes.stage", "5"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 7
    assert not [row["wrong"] for row in rows if row["wrong"]]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Install the scripts as Resolve's user folder on Linux has them, with the library in a folder of its own."""
    scripts = tmp_path / ".local" / "share" / "DaVinciResolve" / "Fusion" / "Scripts"
    for folder in ("Utility", "Deliver"):
        shutil.copytree(SCRIPTS / folder, scripts / folder)
    for folder in ("lib", "presets"):
        shutil.copytree(SCRIPTS / folder, scripts / "GrainLayer" / folder)
    return scripts


def run_entry(code: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, "-c", code], cwd=home, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda path: f"{path.parent.name}/{path.stem}")
@pytest.mark.parametrize("given", ["{'__file__': path}", "{}"], ids=["with __file__", "without"])
def test_a_menu_entry_finds_its_library(entry: Path, given: str, installed: Path, tmp_path: Path) -> None:
    path = installed / entry.parent.name / entry.name
    name = path.name if given != "{}" else "<script>"
    names = f"{{'resolve': type('R', (), {{'GetProjectManager': lambda s: None}})(), **{given}}}"
    code = f"path = {str(path)!r}; exec(compile(open(path).read(), {name!r}, 'exec'), {names})"
    done = run_entry(code, tmp_path)
    assert done.stderr == ""
    assert done.stdout == f"{entry.stem.replace(' - ', ': ')}: Resolve does not answer; restart it and run the script again.\n"


def test_outside_resolve_a_script_ends_with_1_and_a_sentence(installed: Path, tmp_path: Path) -> None:
    path = installed / "Utility" / "Grain - copy look.py"
    done = run_entry(f"import runpy; runpy.run_path({str(path)!r})", tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith("Grain: copy look: Resolve's scripting module is not here: Start Resolve Studio")


def test_without_its_library_a_script_says_so(tmp_path: Path) -> None:
    entry = shutil.copy(ENTRIES[0], tmp_path / "alone.py")
    done = run_entry(f"import runpy; runpy.run_path({str(entry)!r})", tmp_path)
    assert (done.returncode, done.stderr) == (1, "The library of GrainLayer's scripts is missing; install GrainLayer again.\n")


def test_the_fake_invents_attributes_as_the_bridge_does(tmp_path: Path) -> None:
    world, app, _ = resolve.make(tmp_path)
    assert hasattr(app, "GetEverything")
    invented: Any = app.GetEverything
    assert invented() is None
    assert isinstance(world, bridge.World)
    assert find_spec("grain_scripts") is not None
