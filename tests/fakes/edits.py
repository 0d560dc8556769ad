"""Be the timelines, clips and media of a fake Resolve."""

import json

from tests.fakes.bridge import Remote, api
from tests.fakes.fusion import Composition

COLOURS = [
    "Blue",
    "Cyan",
    "Green",
    "Yellow",
    "Red",
    "Pink",
    "Purple",
    "Fuchsia",
    "Rose",
    "Lavender",
    "Sky",
    "Mint",
    "Lemon",
    "Sand",
    "Cocoa",
    "Cream",
]
RATE = 24.0


class MediaPoolItem(Remote):
    def __init__(self, world, path, frames, size="64x48"):
        Remote.__init__(self, world)
        self.path, self.frames, self.size = path, frames, size
        self.third = {}

    @api
    def GetClipProperty(self, name):
        return {"File Path": self.path, "Resolution": self.size, "Frames": str(self.frames), "FPS": "24"}.get(name, "")

    @api
    def GetThirdPartyMetadata(self):
        return dict(self.third)


class Graph(Remote):
    def __init__(self, world, nodes):
        Remote.__init__(self, world)
        self._nodes = nodes

    @api
    def GetNumNodes(self):
        return len(self._nodes)

    @api
    def GetToolsInNode(self, index):
        return list(self._nodes[index - 1]["tools"]) or None if 1 <= index <= len(self._nodes) else None

    @api
    def SetNodeEnabled(self, index, enabled):
        if not 1 <= index <= len(self._nodes):
            return False
        self._nodes[index - 1]["enabled"] = enabled
        return True


class TimelineItem(Remote):
    def __init__(self, world, name, media, start, length, first=0):
        Remote.__init__(self, world)
        self.name, self.media, self.start, self.length, self.first = name, media, start, length, first
        self.source_length = length
        self.id = world.next_id("item")
        self.track = 1
        self.markers = {}
        self.properties = {"CompositeMode": 0, "Opacity": 100.0}
        self.comps = []
        self.version = "Version 1"
        self.versions = {"Version 1": [{"tools": [], "enabled": True}]}

    @api
    def GetName(self):
        return self.name

    @api
    def GetUniqueId(self):
        return self.id

    @api
    def GetStart(self):
        return self.start

    @api
    def GetDuration(self):
        return self.length

    @api
    def GetSourceStartFrame(self):
        return self.first

    @api
    def GetSourceEndFrame(self):
        return self.first + self.source_length

    @api
    def GetTrackTypeAndIndex(self):
        return ["video", self.track] if self.track else ["audio", 1]

    @api
    def GetMediaPoolItem(self):
        return self.media

    @api
    def SetProperty(self, key, value):
        if key not in self.properties:
            return False
        if key != "CompositeMode" or (self._world.composites and isinstance(value, int)):
            self.properties[key] = value
        return True  # said to any mode, also to one that is not taken

    @api
    def GetProperty(self, key):
        return self.properties.get(key)

    @api
    def GetMarkers(self):
        return {frame: dict(marker) for frame, marker in self.markers.items()}

    @api
    def AddMarker(self, frame, color, name, note, duration, custom):
        if frame in self.markers or color not in COLOURS or not 0 <= frame < self.length:
            return False
        self.markers[frame] = {"color": color, "name": name, "note": note, "duration": float(duration), "customData": custom}
        return True

    @api
    def UpdateMarkerCustomData(self, frame, custom):
        if frame not in self.markers:
            return False
        self.markers[frame]["customData"] = custom
        return True

    @api
    def DeleteMarkerByCustomData(self, custom):
        for frame in sorted(self.markers):
            if self.markers[frame]["customData"] == custom:
                del self.markers[frame]
                return True
        return False

    @api
    def GetFusionCompCount(self):
        return len(self.comps)

    @api
    def GetFusionCompByIndex(self, index):
        return self.comps[index - 1] if 1 <= index <= len(self.comps) else None

    @api
    def GetFusionCompNameList(self):
        return [comp.name for comp in self.comps]

    @api
    def AddFusionComp(self):
        comp = Composition(self._world, f"Composition {len(self.comps) + 1}", self.length)
        self.comps.append(comp)
        return comp

    @api
    def DeleteFusionCompByName(self, name):
        kept = [comp for comp in self.comps if comp.name != name]
        found, self.comps = len(kept) < len(self.comps), kept
        return found

    @api
    def GetNodeGraph(self):
        return Graph(self._world, self.versions[self.version])

    @api
    def GetCurrentVersion(self):
        return {"versionName": self.version, "versionType": 0}

    @api
    def AddVersion(self, name, kind):
        if name in self.versions:
            return False
        self.versions[name] = [dict(node) for node in self.versions[self.version]]
        self.version = name
        return True

    @api
    def LoadVersionByName(self, name, kind):
        if name not in self.versions:
            return False
        self.version = name
        return True

    @api
    def DeleteVersionByName(self, name, kind):
        if name not in self.versions or name == self.version:
            return False
        del self.versions[name]
        return True

    def state(self):
        comps = [comp.state() for comp in self.comps]
        markers = {frame: dict(marker) for frame, marker in self.markers.items()}
        versions = json.dumps(self.versions, sort_keys=True)
        return [self.name, self.start, self.length, self.track, markers, comps, self.version, versions, dict(self.properties)]


class Timeline(Remote):
    def __init__(self, world, name, tracks=1):
        Remote.__init__(self, world)
        self.name, self.first = name, 86400
        self.tracks = [{"name": f"Video {number}", "on": True, "items": []} for number in range(1, tracks + 1)]
        self.selected, self.playhead = [], None

    def put(self, track, item):
        item.track = track
        self.tracks[track - 1]["items"].append(item)
        self.tracks[track - 1]["items"].sort(key=lambda other: other.start)
        self.playhead = self.playhead or item
        return item

    def _row(self, index):
        return self.tracks[index - 1] if 1 <= index <= len(self.tracks) else None

    @api
    def GetName(self):
        return self.name

    @api
    def GetStartFrame(self):
        return self.first

    @api
    def GetTrackCount(self, kind):
        return len(self.tracks) if kind == "video" else 0

    @api
    def GetItemListInTrack(self, kind, index):
        row = self._row(index)
        return list(row["items"]) if row else None

    @api
    def GetIsTrackEnabled(self, kind, index):
        return self.tracks[index - 1]["on"]

    @api
    def SetTrackEnable(self, kind, index, enabled):
        if self._world.page != "edit" or not self._row(index):
            return False
        self.tracks[index - 1]["on"] = enabled
        return True

    @api
    def AddTrack(self, kind):
        self.tracks.append({"name": f"Video {len(self.tracks) + 1}", "on": True, "items": []})
        return True

    @api
    def DeleteTrack(self, kind, index):
        if not self._row(index):
            return False
        del self.tracks[index - 1]
        return True

    @api
    def SetTrackName(self, kind, index, name):
        if not self._row(index):
            return False
        self.tracks[index - 1]["name"] = name
        return True

    @api
    def GetTrackName(self, kind, index):
        row = self._row(index)
        return row["name"] if row else ""

    @api
    def GetSelectedClips(self):
        return list(self.selected)

    @api
    def GetCurrentVideoItem(self):
        return self.playhead

    @api
    def Export(self, path, kind, subtype):
        if kind != "otio":
            return False
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.as_otio(), file)
        return True

    def as_otio(self):
        tracks = [{"OTIO_SCHEMA": "Track.1", "kind": "Video", "name": row["name"], "children": self._children(row)} for row in self.tracks]
        stack = {"OTIO_SCHEMA": "Stack.1", "name": "tracks", "children": tracks}
        return {"OTIO_SCHEMA": "Timeline.1", "name": self.name, "global_start_time": time(self.first), "tracks": stack}

    def _children(self, row):
        children, at = [], self.first
        for item in row["items"]:
            if item.start > at:
                children.append({"OTIO_SCHEMA": "Gap.1", "source_range": span(0, item.start - at)})
            children.append(clip(item))
            at = item.start + item.length
        return children

    def state(self):
        rows = [[row["name"], row["on"], [item.state() for item in row["items"]]] for row in self.tracks]
        return [self.name, rows]


def time(value):
    return {"OTIO_SCHEMA": "RationalTime.1", "rate": RATE, "value": float(value)}


def span(start, length):
    return {"OTIO_SCHEMA": "TimeRange.1", "start_time": time(start), "duration": time(length)}


def clip(item):
    """Return a clip as Resolve exports it: absolute timecode, a bare path, and markers of which the customData is lost."""
    path, frames = (item.media.path, item.media.frames) if item.media else ("", 1)
    reference = {"OTIO_SCHEMA": "ExternalReference.1", "target_url": path, "available_range": span(1000, frames)}
    markers = [
        {"OTIO_SCHEMA": "Marker.2", "name": mark["name"], "metadata": {"Resolve_OTIO": {"Keywords": [], "Note": mark["note"]}}}
        for mark in item.markers.values()
    ]
    effects = [] if item.source_length == item.length else [{"OTIO_SCHEMA": "LinearTimeWarp.1", "time_scalar": 2.0}]
    return {
        "OTIO_SCHEMA": "Clip.2",
        "name": item.name,
        "metadata": {"Resolve_OTIO": {}},
        "source_range": span(1000 + item.first, item.length),
        "effects": effects,
        "markers": markers,
        "media_references": {"DEFAULT_MEDIA": reference},
        "active_media_reference_key": "DEFAULT_MEDIA",
    }
