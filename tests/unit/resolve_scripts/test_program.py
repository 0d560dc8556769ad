"""How the scripts find `grainlayer` and run it; once with the real one."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from grain_scripts import program
from grain_scripts.answers import ScriptError

from tests.fakes import stage as plays

ROOT = Path(__file__).resolve().parents[3]


def install(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.delenv("GRAINLAYER_PROGRAM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(program, "root_folder", lambda: str(tmp_path / "scripts" / "GrainLayer"))
    (tmp_path / "path").mkdir()
    (tmp_path / "scripts" / "GrainLayer").mkdir(parents=True)
    return tmp_path


def test_the_program_is_found_in_order(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ScriptError, match=r"install it, or write its path into .*grainlayer\.path"):
        program.find_program()
    on_path = install(bare / "path" / "grainlayer", "exit 0")
    assert program.find_program() == str(on_path)
    beside = install(bare / "beside", "exit 0")
    (bare / "scripts" / "grainlayer.path").write_text(f"\ufeff{beside}\r\n", "utf-8")
    assert program.find_program() == str(beside)
    named = install(bare / "named", "exit 0")
    monkeypatch.setenv("GRAINLAYER_PROGRAM", str(named))
    assert program.find_program() == str(named)
    monkeypatch.setenv("GRAINLAYER_PROGRAM", str(bare / "gone"))
    with pytest.raises(ScriptError, match="cannot be run; correct GRAINLAYER_PROGRAM"):
        program.find_program()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("echo 'grainlayer: The disk is full; free some.' >&2; exit 1", r"^The disk is full; free some\.$"),
        ("echo Usage >&2; exit 2", r"grainlayer deliver failed \(Usage\); run it in a terminal"),
        ("exit 9", "grainlayer deliver failed; run it"),
        ("echo done", "gave no report"),
        ("true", "gave no report"),
        ("echo '[]'", "gave no report"),
    ],
)
def test_a_failing_program_gives_its_own_sentence(bare: Path, body: str, words: str) -> None:
    install(bare / "path" / "grainlayer", body)
    with pytest.raises(ScriptError, match=words):
        program.run(["deliver"], lambda line: None)


def test_progress_comes_while_it_runs_and_resolves_python_is_kept_away(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/opt/resolve/python")
    install(
        bare / "path" / "grainlayer", 'printf "one\\rtwo\\n" >&2; echo junk; echo "{\\"home\\": \\"$PYTHONHOME\\", \\"args\\": \\"$*\\"}"'
    )
    heard: list[str] = []
    assert program.run(["info", "a b", "--json"], heard.append) == {"home": "", "args": "info a b --json"}
    assert heard == ["one", "two"]


def test_a_script_runs_a_real_process(stage: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = f'cd "{ROOT}" && exec "{sys.executable}" -m tests.fakes.program "$@"'
    monkeypatch.setenv("GRAINLAYER_PROGRAM", str(install(tmp_path / "grainlayer", script)))
    made = stage()
    assert made.play("render layers") == 0, made.output
    plays.with_color_node(made.items[0])
    monkeypatch.setattr("grain_scripts.silence.LABELS", ())
    assert made.play("render layers", folder=os.path.join(made.folder, "again")) == 1
    assert made.sentence.endswith("an effect of ours was on while SH010 was rendered; look again.")


def write_exr(path: str, frame: int, size: list[int]) -> None:
    import numpy as np
    import OpenImageIO as oiio

    noise = np.random.default_rng(frame).normal(0.4, 0.03, (size[1], size[0], 3)).astype(np.float32)
    buffer = oiio.ImageBuf(oiio.ImageSpec(size[0], size[1], 3, "half"))
    buffer.set_pixels(oiio.ROI(), noise)
    assert buffer.write(path)


def test_the_real_program_takes_what_the_scripts_hand_over(stage: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = f'cd "{ROOT}" && exec "{sys.executable}" -m grainlayer.cli "$@"'
    monkeypatch.setenv("GRAINLAYER_PROGRAM", str(install(tmp_path / "grainlayer", script)))
    with pytest.raises(ScriptError, match="cannot be|does not exist"):
        program.run(["info", str(tmp_path / "gone.mov"), "--json"], lambda line: None)
    made = stage(shots=((1, "SH010", 0, 3),))
    made.note(made.items[0], "aaaa", {"grain_amount": 0.5})
    made.project.write_picture = write_exr
    assert made.play("render layers", bring_in="new tracks", layers="base,grain,result,stream") == 0, made.output
    assert [(row["name"], row["on"], [item.length for item in row["items"]]) for row in made.timeline.tracks[2:]] == [
        ("Video 1 base", True, [3]),
        ("Video 1 grain", True, [3]),
        ("Video 1 result", False, [3]),
    ]
    assert [row["items"][0].properties["CompositeMode"] for row in made.timeline.tracks[2:]] == [0, 1, 0]
    assert [os.path.splitext(media.path)[1] for media in made.project.pool.items[1:]] == [".exr"] * 3
    assert all(os.path.isfile(media.path) for media in made.project.pool.items[1:])


def test_the_edit_that_deliver_made_is_found(tmp_path: Path) -> None:
    from grain_scripts.render_layers import delivered_edit

    edit = str(tmp_path / "cut.graded.otio")
    assert delivered_edit({"otio": "x.otio"}, str(tmp_path), edit) == str(tmp_path / "x.otio")
    for name in ("cut.graded.otio", "cut.layers.otio"):
        (tmp_path / name).write_text(json.dumps({}))
    assert delivered_edit({"shots": 1}, str(tmp_path), edit) == str(tmp_path / "cut.layers.otio")
    (tmp_path / "third.otio").write_text("{}")
    with pytest.raises(ScriptError, match="import the files"):
        delivered_edit({}, str(tmp_path), edit)
