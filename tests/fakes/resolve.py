"""Be DaVinci Resolve for tests, as its documents and its users' measured traps describe it; nothing here ever was Resolve.

Failures are None or False, never exceptions. Loading a preset wipes the render settings, names must be new, renders run on after
StartRendering and may end Failed or wrong, tracks are switched on the Edit page only, appended clips that overlap are dropped.
"""

import json
import os
import re

from tests.fakes.bridge import Remote, World, api
from tests.fakes.edits import MediaPoolItem, Timeline, TimelineItem

PAGES = ("media", "cut", "edit", "fusion", "color", "fairlight", "deliver")
FORMATS = {"EXR": "exr", "QuickTime": "mov", "DPX": "dpx"}
CODECS = {
    "exr": {
        "RGB half (ZIP)": "RGBHalfZIP",
        "RGB half (ZIPS)": "RGBHalfZIPS",
        "RGBA half (ZIP)": "RGBAHalfZIP",
        "RGB float (ZIP)": "RGBFloatZIP",
    },
    "mov": {"Apple ProRes 422 HQ": "ProRes422HQ", "Apple ProRes 4444 XQ": "ProRes4444XQ", "H.264": "H264", "H.265": "H265"},
}
FRESH = {"SelectAllFrames": True}


class Project(Remote):
    def __init__(self, world, name="Untitled Project"):
        Remote.__init__(self, world)
        self.name = name
        self.timelines, self.current = [], None
        self.write_picture = None
        self.pool = MediaPool(world, self)
        self.presets = {"H.264 Master": dict(FRESH)}
        self.settings = {"SelectAllFrames": True, "TargetDir": "/renders", "CustomName": "mine"}
        self.format, self.codec, self.mode = "mov", "ProRes422HQ", 1
        self.jobs, self.running = {}, None

    @api
    def GetName(self):
        return self.name

    @api
    def GetCurrentTimeline(self):
        return self.current

    @api
    def SetCurrentTimeline(self, timeline):
        if timeline not in self.timelines:
            return False
        self.current = timeline
        return True

    @api
    def GetTimelineCount(self):
        return len(self.timelines)

    @api
    def GetTimelineByIndex(self, index):
        return self.timelines[index - 1] if 1 <= index <= len(self.timelines) else None

    @api
    def GetMediaPool(self):
        return self.pool

    @api
    def GetRenderPresetList(self):
        return list(self.presets)

    @api
    def LoadRenderPreset(self, name):
        if name not in self.presets:
            return False
        self.settings = dict(self.presets[name])
        return True

    @api
    def SaveAsNewRenderPreset(self, name):
        if name in self.presets:
            return False
        self.presets[name] = dict(self.settings)
        return True

    @api
    def DeleteRenderPreset(self, name):
        return self.presets.pop(name, None) is not None

    @api
    def GetRenderFormats(self):
        return dict(FORMATS)

    @api
    def GetRenderCodecs(self, extension):
        return dict(CODECS.get(extension, {}))

    @api
    def GetCurrentRenderFormatAndCodec(self):
        return {"format": self.format, "codec": self.codec}

    @api
    def SetCurrentRenderFormatAndCodec(self, extension, codec):
        if codec not in CODECS.get(extension, {}).values():
            return False
        self.format, self.codec = extension, codec
        return True

    @api
    def GetCurrentRenderMode(self):
        return self.mode

    @api
    def SetCurrentRenderMode(self, mode):
        self.mode = mode
        return mode in (0, 1)

    @api
    def SetRenderSettings(self, settings):
        self.settings.update(settings)
        return True

    @api
    def AddRenderJob(self):
        if not os.path.isdir(self.settings.get("TargetDir", "")):
            return ""
        job = self._world.next_id("job")
        self.jobs[job] = {"settings": dict(self.settings), "polls": 0, "extension": self.format, "mode": self.mode}
        return job

    @api
    def DeleteRenderJob(self, job):
        return self.jobs.pop(job, None) is not None

    @api
    def StartRendering(self, jobs, interactive):
        if self.running or any(job not in self.jobs for job in jobs):
            return False
        self.running = jobs[0]
        return True

    @api
    def StopRendering(self):
        self.running = None

    @api
    def IsRenderingInProgress(self):
        return self.running is not None

    @api
    def GetRenderJobStatus(self, name):
        job = self.jobs.get(name)
        if job is None:
            return {}
        if self.running == name:
            job["polls"] += 1
        if job["polls"] > 2:
            self.running = None
            return self._ended(job)
        return {"JobStatus": "Rendering" if job["polls"] > 1 else "Ready", "CompletionPercentage": 30 * job["polls"]}

    def _ended(self, job):
        if self._world.render_ends != "Complete":
            return {"JobStatus": self._world.render_ends, "Error": "The disk is full"}
        if not job.get("written"):
            job["written"] = [self._write(job, item) for item in self._rendered(job["settings"])]
        return {"JobStatus": "Complete", "CompletionPercentage": 100, "TimeTakenToRenderInMs": 40}

    def _rendered(self, settings):
        """Return the clips that mode 0 renders: those of all shown tracks in the range."""
        rows = [row["items"] for row in self.current.tracks if row["on"]]
        first, last = settings["MarkIn"], settings["MarkOut"]
        return [item for items in rows for item in items if item.start <= last and item.start + item.length > first]

    def _write(self, job, item):
        settings, handles = job["settings"], job["settings"].get("handles", 0) if self._world.handles else 0
        added = min(handles, item.first) + max(0, min(handles, item.media.frames - item.first - item.length))
        length = max(0, item.length + added - self._world.render_lacks)
        size = [settings.get("FormatWidth", 1920), settings.get("FormatHeight", 1080)]
        seen = {"frames": length, "size": size, "quiet": silent(item), "clip": item.name}
        frames = range(length) if job["extension"] == "exr" else [0]
        for frame in frames if length else []:
            number = f"_{frame + 1001:08d}" if job["extension"] == "exr" else ""
            name = "{}{}.{}".format(settings["CustomName"], number, job["extension"])
            path = os.path.join(settings["TargetDir"], name)
            if self.write_picture:
                self.write_picture(path, frame, size)
                continue
            with open(path, "w", encoding="utf-8") as file:
                json.dump(seen, file)
        return item.name

    @api
    def SaveProject(self):
        raise AssertionError("saving an untitled project hangs for ever")

    def state(self):
        kept = {"settings": self.settings, "format": self.format, "codec": self.codec, "mode": self.mode, "jobs": sorted(self.jobs)}
        kept.update({"presets": dict(self.presets), "running": self.running, "current": self.current and self.current.name})
        kept.update({"timelines": [timeline.state() for timeline in self.timelines], "pool": [item.path for item in self.pool.items]})
        return kept


def silent(item):
    """Say whether none of our effects is on."""
    nodes = item.versions[item.version]
    on = [node for node in nodes if node["enabled"] and any(tool.startswith("OFX: Grain") for tool in node["tools"])]
    return not on and all(tool.bypassed for comp in item.comps for tool in comp.tools if tool.kind.startswith("ofx."))


class MediaPool(Remote):
    def __init__(self, world, project):
        Remote.__init__(self, world)
        self.project, self.items = project, []

    @api
    def ImportMedia(self, paths):
        path = paths[0]["FilePath"] % paths[0]["StartIndex"] if isinstance(paths[0], dict) else paths[0]
        if not os.path.isfile(path):
            return []
        made = [MediaPoolItem(self._world, path, 10000) for _ in range(self._world.imports_as)]
        self.items += made
        return made

    @api
    def DeleteClips(self, clips):
        self.items = [item for item in self.items if item not in clips]
        return True

    @api
    def AppendToTimeline(self, infos):
        made = []
        for info in infos[self._world.drops :]:
            length = info["endFrame"] - info["startFrame"] + 1
            items = self.project.current.tracks[info["trackIndex"] - 1]["items"]
            start = info["recordFrame"]
            if any(item.start < start + length and start < item.start + item.length for item in items):
                continue
            name = os.path.basename(info["mediaPoolItem"].path)
            item = TimelineItem(self._world, name, info["mediaPoolItem"], start, length, info["startFrame"])
            made.append(self.project.current.put(info["trackIndex"], item))
        return made

    @api
    def ImportTimelineFromFile(self, path, options):
        name = options.get("timelineName")
        if not os.path.isabs(path) or not os.path.isfile(path) or not self._world.media_here:
            return None
        if name in [timeline.name for timeline in self.project.timelines]:
            return None
        made = Timeline(self._world, name, 0)
        _fill(made, path)
        self.project.timelines.append(made)
        self.project.current = made
        return made

    @api
    def DeleteTimelines(self, timelines):
        self.project.timelines = [timeline for timeline in self.project.timelines if timeline not in timelines]
        if self.project.current in timelines:
            self.project.current = None
        return True


def _fill(timeline, path):
    """Put the clips of an OTIO file into a timeline."""
    with open(path, encoding="utf-8") as file:
        tracks = json.load(file)["tracks"]["children"]
    for number, track in enumerate(tracks, 1):
        timeline.tracks.append({"name": track["name"], "on": track.get("enabled", True), "items": []})
        at = timeline.first
        for child in track["children"]:
            length = int(child["source_range"]["duration"]["value"])
            if child["OTIO_SCHEMA"] == "Clip.2":
                timeline.put(number, TimelineItem(timeline._world, child["name"], None, at, length))
            at += length


class ProjectManager(Remote):
    def __init__(self, world, project):
        Remote.__init__(self, world)
        self.project = project

    @api
    def GetCurrentProject(self):
        return self.project

    @api
    def GetCurrentDatabase(self):
        return {"DbType": "Disk", "DbName": "Local Database"}


class Resolve(Remote):
    EXPORT_OTIO, EXPORT_NONE = "otio", "none"
    COMPOSITE_ADD, COMPOSITE_LINEAR_LIGHT = 1, 21

    def __init__(self, world, project):
        Remote.__init__(self, world)
        self._boss = ProjectManager(world, project)

    @api
    def GetProjectManager(self):
        return self._boss

    @api
    def GetVersion(self):
        return list(self._world.version)

    @api
    def GetVersionString(self):
        return ".".join(str(part) for part in self._world.version[:3])

    @api
    def GetCurrentPage(self):
        return self._world.page

    @api
    def OpenPage(self, page):
        if page not in PAGES:
            return False
        self._world.page = page
        return True

    @api
    def ImportRenderPreset(self, path):
        name = os.path.splitext(os.path.basename(path))[0]
        project = self._boss.project
        if not os.path.isfile(path) or name in project.presets:
            return False
        with open(path, encoding="utf-8") as file:
            handles = int(re.search("<NumFramesOfHandles>([0-9]+)<", file.read()).group(1))
        project.presets[name] = dict(FRESH, CustomName="preset", handles=handles)
        project.settings = dict(project.presets[name])
        return True

    @api
    def Fusion(self):
        return None


def state_of(world, project):
    """Return all that a script could have changed."""
    return {"page": world.page, "project": project.state()}


def make(folder, tracks=2, shots=((1, "SH010", 0, 4), (2, "SH020", 2, 3))):
    """Return (world, resolve, project) with a timeline of these shots: track, name, start, length."""
    world = World(folder)
    project = Project(world)
    timeline = Timeline(world, "Cut 1", tracks)
    project.timelines, project.current = [timeline], timeline
    for track, name, start, length in shots:
        media = MediaPoolItem(world, os.path.join(world.folder, name + ".mov"), 100)
        project.pool.items.append(media)
        timeline.selected.append(timeline.put(track, TimelineItem(world, name, media, timeline.first + start, length, 10)))
    return world, Resolve(world, project), project
