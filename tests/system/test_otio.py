"""Grain in real edits: every format by its real adapter, files of real programs, the commands, and OpenTimelineIO's own hooks."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import string
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from grainlayer.cli import main
from grainlayer.editorial.carriers import cleaned
from grainlayer.editorial.clips import find_clips
from grainlayer.editorial.conform import conform_files
from grainlayer.editorial.formats import BUNDLES, FCPX, FOLDER, FORMATS, NATIVE, ZIPPED, Format, parse
from grainlayer.editorial.shots import UNKEYED, Shot
from grainlayer.editorial.timeline import Timeline, read_timeline, write_timeline
from grainlayer.errors import TimelineError
from grainlayer.params import TABLE, Kind, Param, ShotParams, Value
from tests.edits import Node, clip, long_edit, opened, time, timeline, track, write
from tests.golden.write_shots import PROFILE

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = Path(os.environ.get("GRAINLAYER_SAMPLES", ROOT.parent / "shared" / "samples")) / "otio"
NAMES = ("effects.otio", "img_seq_2x_speed_resolve.json", "img_seq_with_handles.json", "movie_with_handles.json", "qt_embedded_tc.json")
NAMES += ("qt_retimed_speed.json",)
OTHERS = [form for form in FORMATS if form is not NATIVE and form not in BUNDLES]
CLIPS = 200


def value(dice: random.Random, param: Param) -> Value:
    """Return a random legal value."""
    if param.kind is Kind.BOOL:
        return dice.random() < 0.5
    if param.kind is Kind.CHOICE:
        return dice.choice(param.menu)
    if param.kind is Kind.INT:
        return dice.randint(int(param.low), int(param.high))
    if param.kind is Kind.TEXT:
        return "".join(dice.choice(string.printable + "ø\U0001f39e") for _ in range(dice.randrange(12)))
    return dice.uniform(param.low, param.high)


def shot(dice: random.Random, name: str) -> Shot:
    """Return a shot with random values of every parameter, keyframes of some, and a profile for one in three."""
    params: dict[str, Any] = {param.key: value(dice, param) for param in TABLE}
    keyed = dice.sample([param for param in TABLE if param.key not in UNKEYED], 3)
    keys = {param.key: tuple((frame, value(dice, param)) for frame in dice.sample(range(-50, 5000), 3)) for param in keyed}
    return Shot(f"{dice.getrandbits(64):016x}", name, params=ShotParams(**params), keys=keys, profile=dice.choice([PROFILE, None, None]))


def graded(folder: Path, tree: Node) -> Timeline:
    """Return an edit of which every clip has random grain."""
    edit, dice = opened(folder, tree, "plain.otio"), random.Random(7)
    return edit.changed({placed.index: shot(dice, placed.name) for placed in edit.shots})


def without_sidecar(path: Path) -> Path:
    """Take an edit's sidecar away."""
    path.with_name(f"{path.stem}.grain.json").unlink()
    return path


def grain(edit: Timeline) -> list[tuple[Any, ...] | None]:
    return [placed.shot and (placed.shot.uid, *placed.shot.grain()) for placed in edit.shots]


def places(edit: Timeline) -> list[tuple[Any, ...]]:
    return [(placed.name, placed.placement.record, placed.placement.source) for placed in edit.shots]


@pytest.mark.parametrize("form", [NATIVE, *OTHERS], ids=lambda form: form.key)
def test_every_format_keeps_all_parameters_and_keyframes_of_200_clips(form: Format, tmp_path: Path) -> None:
    edit = graded(tmp_path, long_edit(CLIPS))
    out = tmp_path / f"out{form.suffixes[0]}"
    write_timeline(edit, out)
    again = read_timeline(without_sidecar(out))
    assert len(again.shots) == CLIPS
    assert grain(again) == grain(edit)
    assert not again.shots.problems
    if form.key != "ale":
        assert places(again) == places(edit)
    assert (form.loses == "") == ([p.shot for p in again.shots] == [p.shot for p in edit.shots])


@pytest.mark.parametrize("form", OTHERS, ids=lambda form: form.key)
def test_conform_brings_back_the_grain_of_200_clips_from_every_format(form: Format, tmp_path: Path) -> None:
    """By what the format carries, and where a program in between kept nothing of ours by what the clips show."""
    edit = graded(tmp_path, long_edit(CLIPS))
    old = write_timeline(edit, tmp_path / "old.otio").path
    for name, source in (("carried", edit), ("bare", opened(tmp_path, long_edit(CLIPS), "plain.otio"))):
        new = without_sidecar(write_timeline(source, tmp_path / f"{name}{form.suffixes[0]}").path)
        report = conform_files(old, new, tmp_path / f"{name}_graded.otio")
        assert grain(read_timeline(tmp_path / f"{name}_graded.otio")) == grain(edit), report.in_words()


@pytest.mark.parametrize("form", BUNDLES, ids=lambda form: form.key)
def test_bundles_keep_everything_and_turn_into_each_other(form: Format, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mov").write_bytes(b"pictures")
    edit = graded(tmp_path / "in", long_edit(20, media="a.mov"))
    other = next(kind for kind in BUNDLES if kind is not form)
    out, turned = tmp_path / f"out{form.suffixes[0]}", tmp_path / f"turned{other.suffixes[0]}"
    write_timeline(edit, out)
    first = read_timeline(without_sidecar(out))
    assert [p.shot for p in first.shots] == [p.shot for p in edit.shots]
    write_timeline(first.changed({1: Shot("mine", params=ShotParams(grain_amount=2.0))}), turned)
    second = read_timeline(without_sidecar(turned))
    assert second.shots.shots[0].uid == "mine"
    assert [p.shot for p in second.shots][1:] == [p.shot for p in edit.shots][1:]
    assert places(second) == places(edit)
    write_timeline(second, turned, overwrite=True)
    import opentimelineio

    for path in (out, turned):
        assert len(opentimelineio.adapters.read_from_file(str(path)).find_clips()) == 20
    unpacked = turned if other is FOLDER else tmp_path / "unpacked"
    if other is ZIPPED:
        shutil.unpack_archive(turned, unpacked, "zip")
    assert (unpacked / "media" / "a.mov").read_bytes() == b"pictures"
    native = write_timeline(read_timeline(out), tmp_path / "native.otio").path
    assert [p.shot for p in read_timeline(native).shots] == [p.shot for p in edit.shots]


def test_a_bundle_without_its_media_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(TimelineError, match=r"OTIO bundle.*choose \.otio instead\.$"):
        write_timeline(graded(tmp_path, long_edit(2)), tmp_path / "out.otioz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain.otio"]


@pytest.mark.parametrize("rate", ["25", "24000/1001", "30000/1001", "60000/1001", "60"])
@pytest.mark.parametrize("suffix", [".xml", ".edl", ".aaf", ".otio"])
def test_rates_come_back_exactly(rate: str, suffix: str, tmp_path: Path) -> None:
    edit = graded(tmp_path, long_edit(5, rate=float(Fraction(rate))))
    again = read_timeline(without_sidecar(write_timeline(edit, tmp_path / f"out{suffix}").path))
    assert (again.shots.rate, grain(again), places(again)) == (Fraction(rate), grain(edit), places(edit))


def test_final_cut_pro_x_of_a_broadcast_rate_is_refused_both_ways(tmp_path: Path) -> None:
    edit = graded(tmp_path, long_edit(2, rate=23.976))
    with pytest.raises(TimelineError, match=r"23\.976"):
        write_timeline(edit, tmp_path / "out.fcpxml")
    (tmp_path / "in.fcpxml").write_text('<fcpxml version="1.8"><resources><format frameDuration="1001/24000s"/></resources></fcpxml>')
    with pytest.raises(TimelineError, match=r"cannot be read: .* 23\.976"):
        read_timeline(tmp_path / "in.fcpxml")


@pytest.mark.parametrize("one", OTHERS, ids=lambda form: form.key)
@pytest.mark.parametrize("other", OTHERS, ids=lambda form: form.key)
def test_one_format_after_another_leaves_no_stale_grain(one: Format, other: Format, tmp_path: Path) -> None:
    """EDL and ALE do not state what AAF and Final Cut need of media, and an ALE has no tracks: from these the way leads to OTIO only."""
    edit = graded(tmp_path, long_edit(2))
    direct = one.key not in ("cmx_3600", "ale") or other is one
    for step, suffix in enumerate((one.suffixes[0], *([other.suffixes[0]] if direct else []), ".otio", ".otio")):
        first = edit.shots.shots[0]
        edit = edit.changed({1: edit.shot_of(first).changed({"grain_amount": step / 10})})
        edit = read_timeline(without_sidecar(write_timeline(edit, tmp_path / f"step{step}{suffix}").path))
        assert not edit.shots.conflicts
        found = edit.shots.shots[0].shot
        assert found is not None
        assert found.params.grain_amount == step / 10


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_file_that_an_adapter_refuses_is_one_sentence(tmp_path: Path) -> None:
    for form in OTHERS:
        path = tmp_path / f"bad{form.suffixes[0]}"
        path.write_bytes(b"\x00 no edit \xff")
        if form is FCPX or form.key != "ale":
            with pytest.raises(TimelineError, match=r"cannot be read as .*\.$"):
                read_timeline(path)
    two = timeline(track([clip("a", 0, 5)]), track([clip("b", 0, 5)], "V2"))
    with pytest.raises(TimelineError, match="single video track"):
        write_timeline(graded(tmp_path, two), tmp_path / "two.edl")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".", "two"))]


SEQUENCE = {
    "OTIO_SCHEMA": "ImageSequenceReference.1",
    "target_url_base": "/x",
    "name_prefix": "a.",
    "name_suffix": ".exr",
    "start_frame": 1,
}
DISSOLVE = {"OTIO_SCHEMA": "Transition.1", "metadata": {}, "name": "", "in_offset": time(2), "out_offset": time(2)}
UNRANGED = {"OTIO_SCHEMA": "ExternalReference.1", "metadata": {}, "name": "", "available_range": None, "target_url": "/a.mov"}


@pytest.mark.parametrize(
    ("suffix", "items", "said"),
    [
        (".xml", [clip("a", 5, 5, media_references={"DEFAULT_MEDIA": SEQUENCE})], '"a" is a sequence'),
        (".fcpxml", [clip("a", 5, 5, media_references={"DEFAULT_MEDIA": UNRANGED})], '"a" does not state the range'),
        (".xml", [clip("a", 5, 5, media_references={"DEFAULT_MEDIA": UNRANGED})], '"a" does not state the range'),
        (".aaf", [clip("a", 5, 5, media=None)], '"a" does not state the range'),
        (".aaf", [clip("a", 1100, 15), DISSOLVE, clip("b", 1100, 15)], "transitions"),
    ],
)
def test_what_an_adapter_cannot_write_is_said_beforehand(suffix: str, items: list[Node], said: str, tmp_path: Path) -> None:
    with pytest.raises(TimelineError, match=f"{said}.*choose"):
        write_timeline(graded(tmp_path, timeline(track(items))), tmp_path / f"out{suffix}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain.otio"]


def test_bare_clips_of_resolve_go_into_every_format(tmp_path: Path) -> None:
    for form in OTHERS:
        edit = opened(tmp_path, clip("a", 1100, 5), "bare.json").changed({1: Shot("u1", "a")})
        again = read_timeline(without_sidecar(write_timeline(edit, tmp_path / f"out{form.suffixes[0]}").path))
        assert grain(again) == grain(edit)


def test_a_missing_adapter_names_what_to_install(tmp_path: Path) -> None:
    edit = write(tmp_path / "a.otio", timeline(track([clip("a", 0, 5)])))
    for blocked in ("sys.modules['opentimelineio'] = None", "os.environ['OTIO_DISABLE_ENTRYPOINTS_PLUGINS'] = '1'"):
        code = f"import os, sys; {blocked}\nfrom grainlayer.cli import main\nmain()"
        words = ["otio", "set", str(edit), "-o", str(tmp_path / "b.xml"), "--clip", "a", "--grain-amount", "0.5"]
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "pip install 'grainlayer[otio]'" in done.stderr
        assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.otio"]


def same(one: Any, other: Any) -> bool:
    """Say whether two JSON values are equal: numbers of one kind, as doubles, and keys in one order."""
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and (one == other or (isinstance(one, float) and math.isnan(one) and math.isnan(other)))


@pytest.mark.parametrize("name", NAMES)
def test_files_of_real_programs_keep_all_that_is_theirs(name: str, tmp_path: Path) -> None:
    if not SAMPLES.is_dir():
        pytest.skip("real files are absent: set GRAINLAYER_SAMPLES to the folder that holds otio/")
    before = parse((SAMPLES / name).read_bytes(), Path(name))
    edit, dice = read_timeline(SAMPLES / name), random.Random(3)
    changed = edit.changed({placed.index: shot(dice, placed.name) for placed in edit.shots})
    written = write_timeline(changed, tmp_path / name).path
    again = read_timeline(without_sidecar(written))
    assert [p.shot for p in again.shots] == [p.shot for p in changed.shots]
    assert [p.placement for p in again.shots] == [p.placement for p in edit.shots]
    after = parse(written.read_bytes(), written)
    for found in find_clips(after)[2]:
        bare = cleaned(found.node, native=True)
        found.node.clear()
        found.node.update(bare)
    assert same(before, after)


def test_an_edit_of_kdenlives_kind_is_read(tmp_path: Path) -> None:
    kept = {"kdenlive": {"type": 3}}
    marker = {"OTIO_SCHEMA": "Marker.2", "metadata": kept, "name": "", "color": "GREEN", "comment": "note", "marked_range": None}
    item = clip("a.mp4", 12, 5, "a.mp4", 25.0, markers=[marker], effects=None, metadata=kept)
    edit = opened(tmp_path, timeline(track([item]), track([clip("a.mp4", 12, 5)], "A1", "Audio"), start=None, rate=25.0), "kdenlive.otio")
    assert edit.shots.rate == 25
    written = write_timeline(edit.changed({1: Shot("u1")}), tmp_path / "out.otio").path
    assert read_timeline(without_sidecar(written)).shots.one("u1").name == "a.mp4"


def run(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-m", "grainlayer.cli", "otio", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_the_commands_set_show_copy_and_compare(tmp_path: Path) -> None:
    plain = write(tmp_path / "cut.otio", timeline(track([clip("SH010", 1100, 24), clip("SH020", 1200, 24), clip("XX", 1300, 24)])))
    one, two = tmp_path / "one.otio", tmp_path / "two.otio"
    words = ("--grain-amount", "0.6", "--key", "grain-size=100:1,110:2.5")
    done = json.loads(run("set", plain, "-o", one, "--clip", "SH010", *words, "--json").stdout.splitlines()[-1])
    assert [(row["index"], row["name"], row["params"]) for row in done["set"]] == [(1, "SH010", {"grain_amount": 0.6})]
    shown = run("show", one).stdout.splitlines()
    assert len(shown) == 4
    assert "1100-1123" in shown[1]
    assert "A.mov" in shown[1]
    assert shown[1].endswith("GrainSplit: grain_amount 0.6, grain_size keyframes 100:1, 110:2.5")
    assert run("copy", one, "-o", two, "--from", "SH010", "--to", "SH0*").stdout.endswith("1 clips set\n")
    listed = json.loads(run("show", two, "--json").stdout.splitlines()[-1])
    assert listed["shots"][1]["shot"]["keys"] == {"grain_size": [[200, 1.0], [210, 2.5]]}
    assert listed["shots"][2]["shot"] is None
    assert "has grain only in the second edit" in run("diff", one, two).stdout
    assert run("diff", two, two).stdout == "The grain of both edits is the same.\n"
    assert len(json.loads(run("diff", plain, two, "--json").stdout)["differences"]) == 2
    third = tmp_path / "three.xml"
    run("set", two, "-o", third, "--clip", 3, "--effect", "GrainSynth", "--stock", "16mm 250 colour", "--clip", done["set"][0]["uid"])
    assert "GrainSynth: grain_amount 0.6, grain_size" in run("show", third).stdout


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return what runs the command line in this process, checks its exit code and returns what it said on stderr."""

    def call(*words: object, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["grainlayer", "otio", *map(str, words)])
        found: object = 0
        try:
            main()
        except SystemExit as end:
            found = end.code
        said = capsys.readouterr().err
        assert found == code, said
        return said

    return call


def test_wrong_usage_and_wrong_input_are_told_apart(tmp_path: Path, inside: Callable[..., str]) -> None:
    plain, out = write(tmp_path / "cut.otio", timeline(track([clip("a", 0, 5), clip("a", 9, 5), clip("b", 0, 0)]))), tmp_path / "out.otio"
    for words in (
        (),
        ("--clip", "b"),
        ("--clip", "b", "--grain-amount", "9"),
        ("--clip", "b", "--key", "grain_amount=0"),
        ("--clip", "b", "--key", "x=0:1"),
        ("--clip", "b", "--key", "removal=0:7"),
        ("--clip", "b", "--grain-amount", "1", "--rate", "0"),
    ):
        inside("set", plain, "-o", out, *words, code=2)
    assert 'names 2 clips: 1 "a" (no grain), 2 "a"' in inside("set", plain, "-o", out, "--clip", "a", "--removal", "0.5", code=1)
    assert "No clip is called" in inside("set", plain, "-o", out, "--clip", "z*", "--removal", "0.5", code=1)
    assert "no parameter deblock" in inside("set", plain, "-o", out, "--clip", "b", "--deblock", "off", code=1)
    assert "no look to copy" in inside("copy", plain, "-o", out, "--from", "b", "--to", "1", code=1)
    assert "profile" in inside("set", plain, "-o", out, "--clip", "b", "--grain-profile", plain, code=1)
    assert "There is no file" in inside("show", tmp_path / "absent", code=1)
    assert not out.exists()
    assert "length of zero" in inside("set", plain, "-o", out, "--clip", "b", "--removal", "0.5")
    assert "--overwrite" in inside("set", plain, "-o", out, "--clip", "b", "--removal", "0.5", code=1)
    inside("set", plain, "-o", out, "--clip", "b", "--removal", "0.5", "--overwrite")


HOOKED = """
import sys, json, opentimelineio as otio
source, out = sys.argv[1:3]
edit = otio.adapters.read_from_file(source)
before = edit.to_json_string()
otio.adapters.write_to_file(edit, out)
assert edit.to_json_string() == before, 'the edit that was written has changed'
again = otio.adapters.read_from_file(out)
print(json.dumps([[clip.name, dict(clip.metadata).get('grainlayer', {}).get('uid')] for clip in again.find_clips()]))
"""


def hooked(source: Path, out: Path) -> list[list[str | None]]:
    """Return names and uids of an edit that OpenTimelineIO alone read, wrote and read again."""
    done = subprocess.run([sys.executable, "-c", HOOKED, str(source), str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("suffix", [".otio", ".xml", ".fcpxml", ".edl", ".ale"])
def test_opentimelineio_carries_grain_by_itself(suffix: str, tmp_path: Path) -> None:
    edit = graded(tmp_path, long_edit(6))
    source = without_sidecar(write_timeline(edit, tmp_path / "in.otio").path)
    assert hooked(source, tmp_path / f"out{suffix}") == [[placed.name, placed.uid] for placed in edit.shots]
    assert grain(read_timeline(tmp_path / f"out{suffix}")) == grain(edit)


@pytest.mark.parametrize("suffix", [".otio", ".xml", ".edl"])
def test_edits_without_our_grain_pass_untouched(suffix: str, tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.otio", long_edit(3))
    hooked(plain, tmp_path / f"with{suffix}")
    code = HOOKED.replace("import sys", "import os; os.environ['OTIO_DISABLE_ENTRYPOINTS_PLUGINS'] = ''\nimport sys")
    off = code.replace("to_file(edit, out)", "to_file(edit, out, hook_function_argument_map={'grainlayer': 'off'})")
    subprocess.run([sys.executable, "-c", off, str(plain), str(tmp_path / f"without{suffix}")], check=True, capture_output=True)
    assert (tmp_path / f"with{suffix}").read_bytes() == (tmp_path / f"without{suffix}").read_bytes()


def test_grain_that_cannot_be_used_does_not_keep_opentimelineio_from_reading(tmp_path: Path) -> None:
    odd = clip("a", 0, 5, metadata={"grainlayer": {"schema": 99, "uid": "x"}})
    assert hooked(write(tmp_path / "odd.otio", timeline(track([odd]))), tmp_path / "out.otio") == [["a", "x"]]


def test_the_plugin_is_registered() -> None:
    import opentimelineio

    scripts = opentimelineio.plugins.ActiveManifest().hook_scripts
    assert {"grainlayer_extract", "grainlayer_inject"} <= {script.name for script in scripts}, "install GrainLayer again: `make test` does"


def test_opentimelineio_is_loaded_only_where_it_is_needed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.otio", long_edit(1))
    for statement in (
        "import grainlayer.server.service",
        f"sys.argv[1:] = ['otio', 'show', {str(path)!r}]; from grainlayer.cli import main; main()",
    ):
        code = f"import sys; {statement}\nassert 'opentimelineio' not in sys.modules"
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
