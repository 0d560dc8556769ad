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
    def __init__(self, world, feed):
        Remote.__init__(self, world)
        self._feed = feed

    @api
    def GetConnectedOutput(self):
        return Plug(self._world, self._feed) if self._feed else None


class Tool(Remote):
    def __init__(self, world, comp, kind):
        Remote.__init__(self, world)
        self.comp, self.kind = comp, kind
        self.feeds = {}
        self.inputs = _defaults() if kind == GRAIN_SPLIT else {}
        self.bypassed = False
        self.touched = False

    @api
    def SetInput(self, name, value):
        if self.comp.locked and not self.touched:
            return
        self.touched = True
        if name in self.inputs:
            self.inputs[name] = _single(value) if isinstance(value, float) else value

    @api
    def GetInput(self, name):
        return self.inputs.get(name)

    @api
    def ConnectInput(self, name, source):
        self.feeds[name] = source
        return True

    @api
    def FindMainInput(self, index):
        return Socket(self._world, self.feeds.get("Input"))

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
        feeds = {name: self.comp.tools.index(feed) if feed in self.comp.tools else "lost" for name, feed in sorted(self.feeds.items())}
        return [self.kind, feeds, dict(self.inputs), self.bypassed]


class Composition(Remote):
    def __init__(self, world, name):
        Remote.__init__(self, world)
        self.name = name
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
