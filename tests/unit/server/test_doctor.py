"""What doctor finds: where networks really run, and which program the plug-in would start."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from grainlayer.editorial.journal import Journal
from grainlayer.editorial.sidecars import Sidecars
from grainlayer.effect import Effect
from grainlayer.inference import runtime
from grainlayer.inference.registry import find_model
from grainlayer.server.doctor import State, find_server, network_findings
from grainlayer.server.layercache import LayerCache
from grainlayer.server.renders import Renderer
from tests.unit.inference.test_runtime import Refusing


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a machine whose card refuses every network."""
    found: Any = Refusing(runtime._runtime())  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(runtime, "_runtime", lambda: found)
    monkeypatch.setattr(runtime, "_LOADED", {})


@pytest.mark.usefixtures("refusing")
def test_a_card_that_refuses_is_a_warning_and_the_cpu_is_named(tmp_path: Path) -> None:
    renderer = Renderer(Effect("cuda"), LayerCache(0), Journal(tmp_path), Sidecars(tmp_path))
    assert renderer.device == "cuda, not tried yet"
    finding = network_findings("cuda")[0]
    assert (finding.state, finding.name) == (State.WARN, "network")
    assert "run on cpu" in finding.text and "driver of cuda" in finding.text
    assert renderer.device == "cpu"


def test_where_networks_run_as_asked_all_is_well() -> None:
    assert [(finding.state, finding.name) for finding in network_findings("cpu")] == [(State.OK, "network"), (State.OK, "models")]
    assert network_findings("coreml")[0].state is State.FAIL
    runtime.load(find_model("level-default", "level"), "cpu")
    assert runtime.devices_of_loaded("cpu") == ["cpu"]


def program(path: Path, *, runs: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(stat.S_IRWXU if runs else stat.S_IRUSR)
    return path


def test_the_program_is_looked_for_as_the_bridge_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "GrainLayer.ofx.bundle"
    resources = bundle / "Contents" / "Resources"
    on_path = program(tmp_path / "bin" / "grainlayer")
    program(tmp_path / "first" / "grainlayer", runs=False)
    monkeypatch.chdir(program(tmp_path / "here" / "grainlayer").parent)
    monkeypatch.setenv("PATH", f".:{tmp_path / 'first'}::{on_path.parent}")
    monkeypatch.delenv("GRAINLAYER_SERVER", raising=False)
    assert find_server(None) == find_server(bundle) == on_path
    beside = program(resources / "server" / "grainlayer")
    assert find_server(bundle) == beside
    written = program(tmp_path / "built" / "grainlayer")
    (resources / "server.path").write_text(f"{written}\n")
    assert find_server(bundle) == written
    monkeypatch.setenv("GRAINLAYER_SERVER", "/named")
    assert find_server(bundle) == Path("/named")
