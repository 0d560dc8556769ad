"""Play a script of Resolve's menus against the fake: with one call failing, if wanted, and with everything that it may change compared.

Run as `python -m tests.fakes.stage [STEP]` it plays all scenes, with each call failing in turn, and prints the counts: so other
Pythons do it.
"""

import contextlib
import io
import json
import os
import shutil
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "resolve_scripts", "lib"))

from grain_scripts import notes, program, render_layers, rendering, shell  # noqa: E402

from tests.fakes import program as fake_program  # noqa: E402
from tests.fakes import resolve as fake  # noqa: E402
from tests.fakes.edits import Timeline  # noqa: E402
from tests.fakes.fusion import GRAIN_SPLIT, Composition, Tool  # noqa: E402

MODULES = {
    "render layers": "render_layers",
    "export parameters": "export_parameters",
    "import parameters": "import_parameters",
    "apply Grain Split": "apply_grain_split",
    "copy look": "copy_look",
}


class Stage:
    """Hold one fake Resolve, with folders of its own for GrainLayer's state and for outputs."""

    def __init__(self, **shape):
        self.folder = tempfile.mkdtemp(prefix="grain-stage-")
        self.out = os.path.join(self.folder, "out")
        self.state_folder = os.path.join(self.folder, "state")
        self.file = os.path.join(self.out, "cut.grain.json")
        self.world, self.resolve, self.project = fake.make(self.folder, **shape)
        self.timeline = self.project.current
        self.items = list(self.timeline.selected)
        self.fusion, self.bmd = None, None
        self.answers = {"YES": "1", "FOLDER": self.out, "FILE": self.file}
        self.output, self.code = "", None

    def close(self):
        shutil.rmtree(self.folder)

    def write(self, path, facts):
        """Write a JSON file, with its folder."""
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        with open(path, "w", encoding="utf-8") as file:
            json.dump(facts, file)

    def journal(self, uid, params, effect="GrainSplit"):
        entry = {"uid": uid, "effect": effect, "params": params, "frame": 3, "host": "DaVinciResolve", "time": 1.5}
        self.write(os.path.join(self.state_folder, "journal", uid + ".json"), entry)

    def sidecar(self, uid, params, **facts):
        facts = dict(facts, schema=1, uid=uid, params=params, profile=None)
        self.write(os.path.join(self.state_folder, "shots", uid + ".grain.json"), facts)

    def note(self, item, uid, params, frame=1, before="", **more):
        facts = dict({"schema": 1, "uid": uid, "effect": "GrainSplit", "params": params}, **more)
        text = before + json.dumps({"grainlayer": facts}, separators=(",", ":"))
        item.markers[frame] = {"color": "Purple", "name": "GrainLayer", "note": text, "duration": 1.0, "customData": ""}

    def noted(self, item):
        """Return what the markers of a clip say."""
        return [notes.facts_in(marker["note"]) for _, marker in sorted(item.markers.items()) if notes.facts_in(marker["note"])]

    def files(self):
        """Return the text of every file under state and output folders."""
        found = {}
        for folder in (self.out, self.state_folder):
            for base, _, names in os.walk(folder):
                for name in names:
                    with open(os.path.join(base, name), encoding="utf-8") as file:
                        found[os.path.relpath(os.path.join(base, name), self.folder)] = file.read().replace(self.folder, "")
        return found

    def state(self):
        """Return all that a script could change in the project."""
        return json.dumps(fake.state_of(self.world, self.project), sort_keys=True, default=str).replace(self.folder, "")

    def play(self, script, **answers):
        """Run a script by the name in its menu; return its exit code. Its output is in `output`."""
        environment = {"GRAINLAYER_SCRIPT_" + key.upper(): value for key, value in dict(self.answers, **answers).items()}
        environment["GRAINLAYER_STATE"] = self.state_folder
        names = {"resolve": self.resolve, "fusion": self.fusion, "bmd": self.bmd}
        output = io.StringIO()
        with _environment(environment), _patched(), contextlib.redirect_stdout(output):
            self.code = shell.start(MODULES[script], names)
        self.output = output.getvalue()
        return self.code

    @property
    def sentence(self):
        """Return the last line of the output."""
        return self.output.strip().splitlines()[-1]


@contextlib.contextmanager
def _environment(values):
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


@contextlib.contextmanager
def _patched():
    """Have uids counted, programs faked and no time pass."""
    number = iter(range(1, 1000))
    changes = [
        (notes, "new_uid", lambda: f"uid{next(number):04d}"),
        (rendering, "run", _program),
        (render_layers, "run", _program),
        (render_layers, "find_program", lambda: "grainlayer"),
        (rendering, "PAUSE", 0),
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in changes]
    for module, name, value in changes:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def _program(arguments, tell):
    if os.environ.get("GRAINLAYER_PROGRAM"):
        return program.run(arguments, tell)
    return fake_program.answer(arguments, tell)


def with_color_node(item):
    """Put our effect onto the second node of a clip's grade, on the Color page."""
    item.versions["Version 1"] = [{"tools": ["Color"], "enabled": True}, {"tools": ["OFX: Grain Split"], "enabled": True}]


def with_fusion_tool(item, **inputs):
    """Give a clip a composition of the user's own, with our tool in it."""
    comp = with_user_comp(item)
    tool = Tool(item._world, comp, GRAIN_SPLIT)
    tool.inputs.update(inputs)
    tool.feeds["Source"] = comp.tools[2]
    comp.tools[1].feeds["Input"] = tool
    comp.tools.append(tool)
    return tool


def with_user_comp(item):
    """Give a clip a composition in which a blur stands between MediaIn and MediaOut."""
    comp = Composition(item._world, "Composition 1", item.length)
    blur = Tool(item._world, comp, "Blur")
    blur.feeds["Input"] = comp.tools[0]
    comp.tools[1].feeds["Input"] = blur
    comp.tools.append(blur)
    item.comps.append(comp)
    return comp


def _edited(stage):
    stage.note(stage.items[0], "aaaa", {"grain_amount": 0.5}, before="For Ann: ")
    stage.items[1].markers[0] = {"color": "Red", "name": "mine", "note": "keep", "duration": 1.0, "customData": "x"}
    with_color_node(stage.items[0])
    with_fusion_tool(stage.items[1], grain_amount=0.25)


def render_as_timeline():
    stage = Stage()
    _edited(stage)
    stage.project.timelines.append(Timeline(stage.world, "Cut 1 layers"))
    stage.project.presets["GrainLayer EXR half"] = {}
    return stage, "render layers", {"scope": "whole timeline"}


def render_on_tracks():
    stage = Stage(shots=((1, "SH010", 0, 4), (1, "SH030", 6, 3), (2, "SH020", 2, 3)))
    stage.timeline.tracks[1]["on"] = False
    choices = {"scope": "selected clips", "preset": "prores 422 hq", "bring_in": "new tracks", "layers": "base,grain,result"}
    return stage, "render layers", choices


def export():
    stage = Stage()
    _edited(stage)
    stage.journal("aaaa", {"grain_amount": 2.0, "view": "Base"})
    return stage, "export parameters", {}


def import_file():
    stage = Stage()
    _edited(stage)
    stage.sidecar("aaaa", {"removal": 0.5})
    shots = [
        {"schema": 1, "uid": "aaaa", "name": "SH010", "effect": "GrainSplit", "params": {"grain_size": 2.0}},
        {"schema": 1, "uid": "bbbb", "name": "SH020", "effect": "GrainSplit", "params": {"grain_seed": 7}},
    ]
    stage.write(stage.file, {"schema": 1, "timeline": "Cut 1", "shots": shots})
    return stage, "import parameters", {}


def apply():
    stage = Stage()
    keys = {"grain_amount": [[10, 0.0], [12, 1.0]], "grain_hold": [[10, 1], [11, 2]]}
    stage.note(stage.items[0], "aaaa", {"grain_amount": 0.5, "grain_source": "stock", "stock": "16mm 500 colour"}, keys=keys)
    with_user_comp(stage.items[1])
    return stage, "apply Grain Split", {"follow": "on"}


def read_back():
    stage = Stage()
    stage.note(stage.items[0], "aaaa", {"grain_amount": 0.5})
    with_fusion_tool(stage.items[0], grain_amount=0.7, stock=0).animate("grain_size", {0: 0.5, 2: 1.5})
    return stage, "apply Grain Split", {"action": "read back"}


def copy():
    stage = Stage(shots=((1, "SH010", 0, 4), (1, "SH020", 4, 3), (2, "SH030", 0, 3)))
    stage.note(stage.items[0], "aaaa", {"grain_amount": 0.5, "box_x": 0.1}, keys={"grain_size": [[10, 0.5], [13, 2.0]]})
    stage.note(stage.items[1], "bbbb", {"box_x": 0.9, "grain_size": 2.0})
    stage.journal("bbbb", {"box_x": 0.8})
    with_fusion_tool(stage.items[2]).animate("grain_softness", {0: 0.0, 2: 1.0})
    return stage, "copy look", {}


SCENES = (render_as_timeline, render_on_tracks, export, import_file, apply, read_back, copy)


SURVIVED = frozenset(
    (
        "Graph.GetToolsInNode",
        "Project.DeleteRenderJob",
        "Project.DeleteRenderPreset",
        "Project.GetRenderPresetList",
        "Project.IsRenderingInProgress",
        "Project.LoadRenderPreset",
        "Project.SetCurrentRenderFormatAndCodec",
        "Project.SetCurrentRenderMode",
        "Project.SetCurrentTimeline",
        "Resolve.Fusion",
        "Resolve.OpenPage",
        "Timeline.GetIsTrackEnabled",
        "Timeline.GetItemListInTrack",
        "Timeline.GetTrackCount",
        "Timeline.SetTrackEnable",
        "TimelineItem.DeleteVersionByName",
        "TimelineItem.GetMediaPoolItem",
        "TimelineItem.GetProperty",
        "TimelineItem.LoadVersionByName",
        "TimelineItem.SetProperty",
        "Tool.AddModifier",
        "Tool.ConnectInput",
        "Tool.GetAttrs",
        "Tool.GetInput",
        "Tool.SetAttrs",
        "Tool.SetInput",
    )
)
"""Calls whose one failure a script may get over: asked for or set twice, not needed, or answered by what is legal."""


def judge(scene, fail_at, failure, happy):
    """Play a scene with one call failing; return what is wrong, nothing if all is well, and whether the script failed."""
    stage, script, answers = scene()
    try:
        before, files = stage.state(), stage.files()
        stage.world.fail_at, stage.world.failure = fail_at, failure
        code = stage.play(script, **answers)
        call = stage.world.calls[fail_at - 1] if len(stage.world.calls) >= fail_at else "none"
        where = f"{scene.__name__} call {fail_at} {call} answering {failure}: "
        lines = [line for line in stage.output.splitlines() if not line.startswith(("Rendering ", "working on "))]
        if len(lines) != 1 or not lines[0].endswith(".") or "did not answer as expected" in lines[0]:
            return where + f"it said {lines}", code
        if code == 0 and call not in SURVIVED:
            return where + "it went on as if nothing had happened", code
        if code == 0 and stage.state() != happy and "passed over" not in lines[0]:
            return where + "it succeeded otherwise than without the failure", code
        if code == 1 and stage.state() != before:
            return where + "the project changed", code
        if code == 1 and stage.files() != files and "are kept" not in lines[0]:
            return where + f"files changed: {sorted(set(stage.files()) ^ set(files))}", code
        return "", code
    finally:
        stage.close()


AMBIGUOUS = (("Timeline.GetIsTrackEnabled", False), ("Graph.GetToolsInNode", None))
"""Answers to a failed call that cannot be told from true ones, however often they are asked for."""


def judge_broken(scene, broken, failure, happy):
    """Play a scene in which a method always fails from one of its calls on; return what is wrong, nothing if all is well.

    Then steps back fail too: what is left must be told, and nothing of the user's may be lost for good.
    """
    stage, script, answers = scene()
    try:
        before, files, project = stage.state(), stage.files(), stage.project
        settings, presets = dict(project.settings), dict(project.presets)
        foreign = [dict(marker) for item in stage.items for marker in item.markers.values() if marker["name"] == "mine"]
        stage.world.broken, stage.world.failure = broken, failure
        code = stage.play(script, **answers)
        where = f"{scene.__name__} {broken[0]} answering {failure} from call {broken[1]} on: "
        lines = [line for line in stage.output.splitlines() if not line.startswith(("Rendering ", "working on "))]
        if not all(line.endswith(".") for line in lines) or "did not answer as expected" in lines[-1]:
            return where + f"it said {lines}"
        told = len(lines) > 1 or any(words in lines[-1] for words in ("passed over", "by hand", "are kept"))
        if not told and stage.state() != (before if code else happy):
            return where + "the project changed and nothing was said"
        if not told and code and stage.files() != files:
            return where + "files changed and nothing was said"
        if settings not in (project.settings, project.presets.get(rendering.BEFORE)):
            return where + "the user's render settings are lost"
        if any(project.presets.get(name) != kept for name, kept in presets.items()):
            return where + "a render preset is lost"
        if any(marker not in [kept for item in stage.items for kept in item.markers.values()] for marker in foreign):
            return where + "a marker of the user's is lost"
        return ""
    finally:
        stage.close()


def play_broken(scene, step=1):
    """Play a scene with each method failing from each of its calls on; return the number of cases, and what was wrong."""
    stage, script, answers = scene()
    stage.play(script, **answers)
    calls, happy = list(stage.world.calls), stage.state()
    stage.close()
    broken = [(name, calls[: place + 1].count(name)) for place, name in enumerate(calls)][::step]
    cases = [(each, failure) for each in broken for failure in (None, False) if (each[0], failure) not in AMBIGUOUS]
    return len(cases), list(filter(None, (judge_broken(scene, each, failure, happy) for each, failure in cases)))


def play_happy(scene):
    """Play a scene without failure; return the number of calls, the state, the sentence and the exit code."""
    stage, script, answers = scene()
    try:
        code = stage.play(script, **answers)
        return len(stage.world.calls), stage.state(), stage.sentence, code
    finally:
        stage.close()


def play_all(scene, step=1):
    """Play a scene with each call failing in turn, by None and by False; return cases, failures of the script, and what was wrong.

    With a step of 5 only each fifth call fails.
    """
    calls, happy, _, _ = play_happy(scene)
    verdicts = [judge(scene, number, failure, happy) for number in range(1, calls + 1, step) for failure in (None, False)]
    return len(verdicts), sum(code for _, code in verdicts), [wrong for wrong, _ in verdicts if wrong]


if __name__ == "__main__":
    for each in SCENES:
        every = int(sys.argv[1]) if sys.argv[1:] else 1
        total, failed, wrongs = play_all(each, every)
        wrongs += play_broken(each, every)[1]
        sys.stdout.write(json.dumps({"scene": each.__name__, "cases": total, "failed": failed, "wrong": wrongs}) + "\n")
