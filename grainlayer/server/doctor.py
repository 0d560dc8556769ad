"""Look at everything that a picture's way from host to network depends on, and say what to mend."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from grainlayer import __version__
from grainlayer.editorial.state import state_folder
from grainlayer.effect import Effect as Renderer
from grainlayer.effect import Request
from grainlayer.errors import GrainlayerError, MediaError, WireError
from grainlayer.inference.runtime import device_in_use, device_name
from grainlayer.params import Effect, ShotParams, View
from grainlayer.server.client import Client, Refused, Silent, server_here
from grainlayer.server.hostcaches import Cache, Knowledge, look_at_caches
from grainlayer.server.rendezvous import Rendezvous, check_folder, runtime_folder
from grainlayer.server.wire import Question

BUNDLE = "GrainLayer.ofx.bundle"
PROGRAM = "grainlayer.exe" if sys.platform == "win32" else "grainlayer"
STARTING = 10.0
"""Seconds in which a server must have started."""
LEAST_FREE = 1 << 30
TRIED = (64, 64)
"""Height and width of the picture on which a network is tried."""
SIZE = (96, 128)
"""Height and width of the picture rendered as a test."""


class State(StrEnum):
    """Say how a finding is to be taken."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """Hold one thing looked at, and what to mend where it is not well."""

    state: State
    name: str
    text: str

    def line(self) -> str:
        """Return it as a line."""
        return f"{self.state:<4}  {self.name:<8}  {self.text}"


def as_text(findings: list[Finding]) -> str:
    """Return findings, a line each."""
    return "\n".join(finding.line() for finding in findings)


def server_findings(device: str, status: Mapping[str, Any]) -> list[Finding]:
    """Return what a server can say of itself: its own state, networks, models, disks."""
    return [Finding(State.OK, "server", in_words(status)), *network_findings(device), *disk_findings()]


def in_words(status: Mapping[str, Any]) -> str:
    """Return a server's status as a person reads it."""
    facts = f"GrainLayer {status['version']}, process {status['pid']}, up {status['uptime']:.0f} s, {status['frames']} frames, "
    kept, most = status["cache_bytes"] / 1e6, status["cache_most"] / 1e6
    return f"{facts}{status['connections']} connections, layers kept {kept:.0f} of {most:.0f} MB"


def network_findings(device: str) -> list[Finding]:
    """Return whether networks can run, and on what; whether the models are whole."""
    from grainlayer.jobs.inspect import list_models

    found = [_device_finding(device)]
    try:
        rows = list_models()["models"]
    except GrainlayerError as error:
        return [*found, Finding(State.FAIL, "models", str(error))]
    broken = [row for row in rows if row["state"] != "verified"]
    found += [Finding(State.FAIL, "models", row["state"]) for row in broken]
    names = ", ".join(row["id"] for row in rows)
    return found if broken else [*found, Finding(State.OK, "models", f"{names}: verified")]


def _device_finding(device: str) -> Finding:
    """Run a network on a small picture and return where it ran."""
    try:
        wanted = device_name(device)
        Renderer(device).layers(Request(np.full((1, *TRIED, 3), 0.5, np.float32), 0))
        real = device_in_use(device)
    except GrainlayerError as error:
        return Finding(State.FAIL, "network", str(error))
    if real == wanted:
        return Finding(State.OK, "network", f"networks run on {real}")
    advice = f"look after the driver of {wanted} and its libraries, or choose --device cpu"
    return Finding(State.WARN, "network", f"networks should run on {wanted}, which refused them, and run on {real}; {advice}")


def disk_findings() -> list[Finding]:
    """Return whether there is room where files are written."""
    found: list[Finding] = []
    for name, folder in (("runtime", runtime_folder()), ("state", state_folder()), ("temp", Path(tempfile.gettempdir()))):
        try:
            there = next(place for place in (folder, *folder.parents) if place.exists())
            free = shutil.disk_usage(there).free
        except (OSError, StopIteration) as error:
            found.append(Finding(State.WARN, "disk", f"{name} folder {folder} cannot be looked at ({error}); make it readable"))
            continue
        low = free < LEAST_FREE
        advice = "; free some space" if low else ""
        found.append(Finding(State.WARN if low else State.OK, "disk", f"{name} folder {folder}: {free / 1e9:.1f} GB free{advice}"))
    return found


def bundle_places() -> list[Path]:
    """Return the folders in which hosts look for bundles, and where a checkout builds one."""
    named = [Path(part) for part in os.environ.get("OFX_PLUGIN_PATH", "").split(os.pathsep) if part]
    if sys.platform == "win32":
        own = Path(os.environ.get("COMMONPROGRAMFILES", r"C:\Program Files\Common Files")) / "OFX" / "Plugins"
    else:
        own = Path("/Library/OFX/Plugins" if sys.platform == "darwin" else "/usr/OFX/Plugins")
    checkout = Path(__file__).resolve().parents[2] / "build"
    return [*named, own, Path.home() / "OFX" / "Plugins", checkout]


def find_bundle() -> Path | None:
    """Return the bundle that a host finds first."""
    return next((place / BUNDLE for place in bundle_places() if (place / BUNDLE / "Contents").is_dir()), None)


def find_server(bundle: Path | None) -> Path | None:
    """Return the server's program as the bridge finds it: named, written into the bundle, beside it, or on PATH."""
    named = os.environ.get("GRAINLAYER_SERVER")
    if named:
        return Path(named)
    on_path = (Path(folder) / PROGRAM for folder in os.environ.get("PATH", "").split(os.pathsep))
    candidates = [*(_beside(bundle) if bundle else ()), *on_path]
    return next((path for path in candidates if path.is_absolute() and path.is_file() and os.access(path, os.X_OK)), None)


def _beside(bundle: Path) -> Iterator[Path]:
    resources = bundle / "Contents" / "Resources"
    with suppress(OSError, IndexError, UnicodeDecodeError):
        yield Path((resources / "server.path").read_text("utf-8").splitlines()[0])
    yield resources / "server" / PROGRAM


def examine(device: str = "auto") -> list[Finding]:
    """Return everything found on this machine; a server is started if none runs, and a picture rendered through it."""
    found = [*_installed(), *cache_findings(find_bundle()), _runtime()]
    found += [*network_findings(device), *disk_findings()]
    return found + _served(find_server(find_bundle()))


def _installed() -> list[Finding]:
    bundle = find_bundle()
    places = ", ".join(str(place) for place in bundle_places())
    plug = Finding(State.OK, "plug-in", f"{bundle}") if bundle else None
    plug = plug or Finding(State.WARN, "plug-in", f"there is no {BUNDLE} in {places}; install it, or name its folder by OFX_PLUGIN_PATH")
    program = find_server(bundle)
    if program is None:
        state = State.FAIL if bundle else State.WARN
        return [plug, Finding(state, "program", "the plug-in finds no server; put grainlayer on PATH or set GRAINLAYER_SERVER")]
    if not (program.is_file() and os.access(program, os.X_OK)):
        return [plug, Finding(State.FAIL, "program", f"{program} is no program; name the right one by GRAINLAYER_SERVER")]
    return [plug, Finding(State.OK, "program", f"{program}")]


def cache_findings(bundle: Path | None) -> list[Finding]:
    """Return what hosts remember of the plug-in."""
    caches = look_at_caches(bundle) if bundle else []
    known = [cache for cache in caches if cache.knowledge is Knowledge.CURRENT]
    found = [_cache_finding(cache) for cache in caches if cache.knowledge is not Knowledge.CURRENT]
    if known:
        found.append(Finding(State.OK, "caches", f"this bundle is known to {', '.join(sorted({cache.host for cache in known}))}"))
    return found


def _cache_finding(cache: Cache) -> Finding:
    advice = f"if {cache.host} does not list the plug-ins of today, quit it, delete that file and start it again"
    return Finding(State.WARN, "caches", f"{cache.host}: {cache.path} {cache.knowledge.value}; {advice}")


def _runtime() -> Finding:
    try:
        return Finding(State.OK, "runtime", f"{check_folder(runtime_folder(), create=True)} is this user's alone")
    except GrainlayerError as error:
        return Finding(State.FAIL, "runtime", str(error))


def _served(program: Path | None) -> list[Finding]:
    """Return how a server answers and renders."""
    try:
        client, started = _meet(program)
    except (GrainlayerError, Refused, OSError) as error:
        return [Finding(State.FAIL, "server", str(error))]
    try:
        words = f"{'started' if started else 'runs'}, on {client.device}"
        facts = in_words(json.loads(client.ask(Question.STATUS)))
        return [Finding(State.OK, "server", f"{words}: {facts}"), render_test(client)]
    except (GrainlayerError, Refused, OSError) as error:
        return [Finding(State.FAIL, "render", str(error))]
    finally:
        client.close()


def _meet(program: Path | None) -> tuple[Client, bool]:
    """Return a connection to the server, and whether it had to be started. Raise GrainlayerError, OSError, Refused."""
    client = _running()
    if client is not None:
        return client, False
    words = [str(program)] if program else [sys.executable, "-m", "grainlayer.cli"]
    nothing = subprocess.DEVNULL
    process = subprocess.Popen([*words, "serve", "--spawned"], stdin=nothing, stdout=nothing, stderr=nothing)
    return _await(lambda: process.poll() is not None), True


def _running() -> Client | None:
    """Return a connection to the server that runs, None if none does or it makes room for a newer one. Raise GrainlayerError, Refused."""
    here = server_here()
    if here is None:
        return None
    try:
        return Client(here)
    except Silent as error:
        raise GrainlayerError(_stuck(here)) from error
    except (MediaError, WireError):
        return None
    except Refused as refused:
        if refused.retires:
            return None
        raise


def _stuck(here: Rendezvous) -> str:
    return f"process {here.pid} is the server and does not answer; run `grainlayer serve --stop`, which ends it, and then this again"


def _await(has_ended: Callable[[], bool]) -> Client:
    deadline = time.monotonic() + STARTING
    while True:
        ended = has_ended()
        client = _running()
        if client is not None:
            return client
        if ended or time.monotonic() > deadline:
            raise GrainlayerError(f"The server does not start; run `grainlayer serve` in a terminal and see {runtime_folder()}.")
        time.sleep(0.05)


def render_test(client: Client) -> Finding:
    """Render the base of a small grainy picture through a server and look at it. Raise Refused, WireError."""
    height, width = SIZE
    shade = np.linspace(0.2, 0.7, width, dtype=np.float32)[None, :, None].repeat(height, 0).repeat(3, 2)
    picture = shade + np.random.Generator(np.random.Philox(key=1)).normal(0, 0.03, shade.shape).astype(np.float32)
    began = time.monotonic()
    answer = client.render(Effect.GRAIN_SPLIT, [picture], ShotParams(view=View.BASE))
    spent = 1000 * (time.monotonic() - began)
    base = answer.picture
    if base is None or not np.isfinite(base).all() or np.abs(base - shade).mean() >= 0.5 * np.abs(picture - shade).mean():
        return Finding(State.FAIL, "render", "the server gave a picture that still holds its grain; reinstall GrainLayer")
    return Finding(State.OK, "render", f"took the grain out of {width}x{height} pixels in {spent:.0f} ms (GrainLayer {__version__})")
