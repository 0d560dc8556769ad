"""Be Fusion inside a fake Resolve: compositions, tools and their inputs."""

import json
import os
import struct

from tests.fakes.bridge import Remote, api

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABLE = os.path.join(ROOT, "resolve_scripts", "lib", "grain_scripts", "parameters.json")
GRAIN_SPLIT = "ofx.org.grainlayer.GrainSplit"


def _single(number):
    """Return a number as a host holds it, in single precision."""
    return struct.unpack("f", struct.pack("f", number))[0]


def _defaults():
    with open(TABLE, encoding="utf-8") as file:
        rows = json.load(file)["parameters"]
    return {row["key"]: as_input(row, row["default"]) for row in rows if "S" in row["effects"]}


def as_input(row, value):
    """Return a parameter as Fusion holds it."""
    if row["kind"] == "choice":
        return row["menu"].index(value)
    if row["kind"] == "float":
        return _single(value)
    return int(value) if row["kind"] == "bool" else value


class Plug(Remote):
    def __init__(self, world, tool):
        Remote.__init__(self, world)
        self._tool = tool

    @api
    def GetTool(self):
        return self._tool


class Socket(Remote):
    """Be an input of a tool; `feeds` of the tool says what drives it: another tool, or a spline with keyframes."""

    def __init__(self, world, tool, name):
        Remote.__init__(self, world)
        self._tool, self._name = tool, name

    @api
    def GetAttrs(self):
        return {"INPS_ID": self._name, "INPB_Connected": bool(self._tool.feeds.get(self._name))}

    @api
    def GetConnectedOutput(self):
        feed = self._tool.feeds.get(self._name)
        return Plug(self._world, feed) if feed else None


class Tool(Remote):
    def __init__(self, world, comp, kind):
        Remote.__init__(self, world)
        self.comp, self.kind = comp, kind
        self.feeds = {}
        self.inputs = _defaults() if kind == GRAIN_SPLIT else {}
        self.keys = {}
        self.bypassed = False
        self.touched = False

    @api
    def SetInput(self, name, value, frame=None):
        """Set a value: for all frames, whatever `frame` says, unless a spline drives the input; then at a frame, or the current one."""
        if self.comp.locked and not self.touched:
            return
        self.touched = True
        if name not in self.inputs:
            return
        held = _single(value) if isinstance(value, float) else value
        if self.feeds.get(name):
            self.feeds[name].keys[self.comp.now if frame is None else frame] = held
        else:
            self.inputs[name] = held

    @api
    def GetInput(self, name, frame=None):
        spline = self.feeds.get(name)
        if name in self.inputs and spline:
            return spline.at(self.comp.now if frame is None else frame)
        return self.inputs.get(name)

    @api
    def GetInputList(self):
        names = ["Source", *self.inputs] if self.kind == GRAIN_SPLIT else ["Input"]
        return {number: Socket(self._world, self, name) for number, name in enumerate(names, 1)}

    @api
    def AddModifier(self, name, kind):
        if name not in self.inputs or kind != "BezierSpline" or name in self._world.still_inputs:
            return False
        self.animate(name, {self.comp.now: self.inputs[name]})
        return True

    def animate(self, name, keys):
        """Have a spline drive an input."""
        self.feeds[name] = Tool(self._world, self.comp, "BezierSpline")
        self.feeds[name].keys = dict(keys)

    def at(self, frame):
        """Return a spline's value: linear between keyframes, or bent where the world has it so."""
        before = [at for at in sorted(self.keys) if at <= frame]
        after = [at for at in sorted(self.keys) if at > frame]
        if not before or not after or isinstance(self.keys[before[-1]], str):
            return self.keys[before[-1] if before else after[0]]
        share = (frame - before[-1]) / (after[0] - before[-1])
        share = share * share * (3 - 2 * share) if self._world.bends else share
        return _single(self.keys[before[-1]] * (1 - share) + self.keys[after[0]] * share)

    @api
    def ConnectInput(self, name, source):
        self.feeds[name] = source
        return True

    @api
    def FindMainInput(self, index):
        return Socket(self._world, self, "Input")

    @api
    def GetAttrs(self):
        return {"TOOLB_PassThrough": self.bypassed}

    @api
    def SetAttrs(self, attributes):
        self.bypassed = attributes.get("TOOLB_PassThrough", self.bypassed)

    @api
    def Delete(self):
        if self in self.comp.tools:
            self.comp.tools.remove(self)

    def state(self):
        feeds = {name: self._fed(feed) for name, feed in sorted(self.feeds.items()) if feed}
        return [self.kind, feeds, dict(self.inputs), self.bypassed]

    def _fed(self, feed):
        if feed.kind == "BezierSpline":
            return sorted(feed.keys.items())
        return self.comp.tools.index(feed) if feed in self.comp.tools else "lost"


class Composition(Remote):
    def __init__(self, world, name, length=1):
        Remote.__init__(self, world)
        self.name = name
        self.first, self.length, self.now = 0, length, 0
        self.locked = False
        start, end = Tool(world, self, "MediaIn"), Tool(world, self, "MediaOut")
        end.feeds["Input"] = start
        self.tools = [start, end]

    @api
    def AddTool(self, name):
        if name == GRAIN_SPLIT and not self._world.plugins:
            return None
        tool = Tool(self._world, self, name)
        self.tools.append(tool)
        return tool

    @api
    def GetAttrs(self):
        return {"COMPN_RenderStart": float(self.first), "COMPN_CurrentTime": float(self.now)}

    @api
    def GetToolList(self, selected, kind):
        found = [tool for tool in self.tools if tool.kind == kind]
        return {number: tool for number, tool in enumerate(found, 1)}

    @api
    def Lock(self):
        self.locked = True

    @api
    def Unlock(self):
        self.locked = False

    def shows(self):
        """Return the kinds of tools from MediaOut back to the first without a feed."""
        tool, kinds = next(tool for tool in self.tools if tool.kind == "MediaOut"), []
        while tool is not None and len(kinds) < 9:
            kinds.append(tool.kind)
            tool = tool.feeds.get("Input") or tool.feeds.get("Source")
        return kinds

    def state(self):
        return [self.name, [tool.state() for tool in self.tools]]
