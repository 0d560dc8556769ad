"""Be the bridge between a script and a fake Resolve: every call is counted, recorded, and may fail as Resolve's calls fail."""

import functools


class World:
    """Hold what all parts of one fake Resolve share.

    calls    every call so far, as "Timeline.GetName"
    fail_at  number, from 1, of the call that answers `failure` instead of working; 0 for none; with `dies`, all after it too
    broken   name and number, from 1, of the call from which on this method always answers `failure`; None for none
    """

    def __init__(self, folder):
        self.folder = str(folder)
        self.calls = []
        self.fail_at = 0
        self.broken = None
        self.failure = None
        self.dies = False
        self.serial = 0
        self.page = "edit"
        self.version = [21, 0, 4, 7, ""]
        self.plugins = True
        self.presets_folder = {}
        self.render_ends = "Complete"
        self.render_lacks = 0
        self.imports_as = 1
        self.drops = 0
        self.media_here = True
        self.bends = False
        self.still_inputs = ()
        self.composites = True
        self.handles = True

    def fails(self, name):
        """Note a call; say whether it fails."""
        self.calls.append(name)
        if self.broken and name == self.broken[0] and self.calls.count(name) >= self.broken[1]:
            return True
        return len(self.calls) == self.fail_at or (self.dies and len(self.calls) > self.fail_at > 0)

    def next_id(self, kind):
        self.serial += 1
        return f"{kind}-{self.serial}"


def api(method):
    """Make a method one that a script may call: counted, recorded, and failing where the world wants it."""

    @functools.wraps(method)
    def called(self, *args):
        if self._world.fails(f"{type(self).__name__}.{method.__name__}"):
            return self._world.failure
        return method(self, *args)

    return called


class Remote:
    """Be an object behind the bridge, which invents attributes: hasattr proves nothing, and calling what is not there answers None."""

    def __init__(self, world):
        self._world = world

    def __getattr__(self, name):
        if name.startswith("_") or not name[:1].isupper():
            raise AttributeError(name)
        return lambda *args: None
