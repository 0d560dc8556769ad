"""Read the grain of an edit's clips, change it, and write the edit with it: any format, nothing foreign touched.

    edit = read_timeline(Path("cut.otio"))
    placed = edit.shots.one("SH010")
    edit = edit.changed({placed.index: edit.shot_of(placed).changed({"grain_amount": 0.6})})
    write_timeline(edit, Path("graded.otio"))

A shot's grain lies in the sidecar, in an effect, in the clip's metadata and in a marker's note; the first of these that holds it is used,
and where another says something else both are kept and the difference is reported.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Literal

from grainlayer.editorial.carriers import Carried, replaced, take
from grainlayer.editorial.clips import DEFAULT_RATE, Found, Node, find_clips
from grainlayer.editorial.companion import Companion, Kept, companion_path, companion_to_json, read_companion
from grainlayer.editorial.formats import BUNDLES, NATIVE, Format, format_for_output, load, own_rate, save, states_no_rate
from grainlayer.editorial.jsonform import SCHEMA, shot_digest, shot_from_json
from grainlayer.editorial.shots import Conflict, PlacedShot, Shot, ShotList, new_uid
from grainlayer.errors import TimelineError

Prefer = Literal["sidecar", "file"]
"""Which of the two is used where they differ."""
SIDECAR = "the sidecar"
GUESSED = "{name} does not state its rate, and {rate:g} frames a second were taken; if that is wrong, say the right one with --rate."


@dataclass(frozen=True)
class Timeline:
    """Hold an edit: where it was read, its parsed JSON, its clips, and their grain.

    found  the clips' objects in `tree`, in the order of `shots`
    set_   numbers of the clips whose grain was changed since
    """

    path: Path
    format: Format
    tree: Node
    found: tuple[Found, ...]
    shots: ShotList
    companion: Companion
    set_: frozenset[int] = frozenset()

    def shot_of(self, placed: PlacedShot) -> Shot:
        """Return a clip's shot; one with every default and a new uid where it has none, or shares its uid with an earlier clip."""
        if placed.shot is None:
            return Shot(new_uid(), placed.name)
        return placed.shot if self._first[placed.uid] == placed.index else replace(placed.shot, uid=new_uid())

    @cached_property
    def _first(self) -> Mapping[str, int]:
        """Return the first clip's number by uid."""
        return {placed.uid: placed.index for placed in reversed(self.shots.shots)}

    def changed(self, changes: Mapping[int, Shot]) -> Timeline:
        """Return the edit with the grain of the clips of those numbers set; their conflicts are settled by it.

        Copies of a clip that is set, which share its uid, keep the grain that they have, under uids of their own.
        """
        changes = {**self._copies(changes), **changes}
        shots = tuple(_with_shot(placed, changes.get(placed.index)) for placed in self.shots)
        uids = {shot.uid for shot in changes.values()}
        left = tuple(conflict for conflict in self.shots.conflicts if conflict.uid not in uids)
        kept = remember(self.companion.kept, self.shots.conflicts)
        listed = replace(self.shots, shots=shots, conflicts=left)
        return replace(self, shots=listed, companion=replace(self.companion, kept=kept), set_=self.set_ | set(changes))

    def _copies(self, changes: Mapping[int, Shot]) -> Mapping[int, Shot]:
        uids = {shot.uid for shot in changes.values()}
        left = (placed for placed in self.shots.with_grain() if placed.index not in changes and placed.uid in uids)
        return {placed.index: replace(placed.shot, uid=new_uid()) for placed in left if placed.shot}


def _with_shot(placed: PlacedShot, shot: Shot | None) -> PlacedShot:
    return placed if shot is None else replace(placed, shot=replace(shot, name=placed.name))


def remember(kept: tuple[Kept, ...], conflicts: Iterable[Conflict]) -> tuple[Kept, ...]:
    """Return kept versions with those that lost a conflict, each once."""
    found = list(kept)
    for conflict in conflicts:
        lost = Kept(conflict.other_from, conflict.other)
        found += [] if lost in found else [lost]
    return tuple(found)


def read_timeline(
    path: Path,
    *,
    sidecar: Path | None = None,
    prefer: Prefer = "sidecar",
    rate: Fraction | None = None,
    likely: Callable[[], Fraction | None] = lambda: None,
) -> Timeline:
    """Read an edit of any format with the grain of its clips.

    sidecar  <timeline>.grain.json beside the edit, unless another is named
    prefer   which is used where sidecar and file differ
    rate     frames a second, for formats that do not state it; otherwise the sidecar's, that of our own comments, what `likely` says, 24
    Raise TimelineError, in one sentence, if the file cannot be used, or if it or the sidecar is newer than this program.
    """
    if sidecar is not None and not sidecar.exists():
        raise TimelineError(f"There is no sidecar {sidecar}; check the path.")
    companion = read_companion(sidecar or companion_path(path))
    rate = rate or companion.rate or own_rate(path)
    guessed = rate is None and states_no_rate(path)
    if guessed:
        rate = likely() or DEFAULT_RATE
    tree, form = load(path, rate)
    edit = understand(tree, form, path, companion, prefer)
    return _with_problem(edit, GUESSED.format(name=path.name, rate=float(edit.shots.rate))) if guessed else edit


def _with_problem(edit: Timeline, problem: str) -> Timeline:
    return replace(edit, shots=replace(edit.shots, problems=(*edit.shots.problems, problem)))


def understand(tree: Node, form: Format, path: Path, companion: Companion, prefer: Prefer = "sidecar") -> Timeline:
    """Return what a parsed document and its sidecar say. Raise TimelineError."""
    try:
        rate, start, found, problems = find_clips(tree, companion.rate)
    except RecursionError as error:
        raise TimelineError(f"{path.name} nests more compositions than can be read; flatten some of them.") from error
    placed: list[PlacedShot] = []
    conflicts: list[Conflict] = []
    for index, clip in enumerate(found, 1):
        verdict = settle(clip, companion, prefer)
        placed.append(PlacedShot(index, clip.placement, verdict.shot))
        conflicts += verdict.conflicts
        problems += verdict.problems
    problems += _shared_uids(placed)
    name = str(tree.get("name") or path.stem)
    return Timeline(
        path, form, tree, tuple(found), ShotList(name, rate, start, tuple(placed), tuple(problems), tuple(conflicts)), companion
    )


def _shared_uids(placed: Iterable[PlacedShot]) -> list[str]:
    seen: dict[str, PlacedShot] = {}
    found: list[str] = []
    for clip in placed:
        first = seen.setdefault(clip.uid, clip) if clip.uid else clip
        if first is not clip:
            found.append(f"{clip.label()} shares its uid with {first.label()}, as copies do; setting its grain gives it its own.")
    return found


@dataclass(frozen=True)
class Verdict:
    """Hold which grain a clip has, and what spoke against it."""

    shot: Shot | None = None
    conflicts: tuple[Conflict, ...] = ()
    problems: tuple[str, ...] = ()


def settle(clip: Found, companion: Companion, prefer: Prefer = "sidecar") -> Verdict:
    """Return a clip's grain from all that its carriers and the sidecar say. Raise TimelineError if a carrier is newer than this program."""
    name = clip.placement.name
    versions: list[tuple[str, Shot]] = []
    read: list[tuple[Mapping[str, object], Shot]] = []
    digests: list[tuple[str, str, str]] = []
    problems: list[str] = []
    for carried in take(clip.node, clip.placement):
        _refuse_newer(carried, name)
        try:
            if carried.facts is not None and "digest" in carried.facts:
                digests.append((carried.source, str(carried.facts.get("uid")), str(carried.facts["digest"])))
            else:
                versions.append((carried.source, _shot(_facts(carried), name, read)))
        except TimelineError as error:
            problems.append(f'"{name}": {carried.source} is passed over. {error}')
    uid = versions[0][1].uid if versions else digests[0][1] if digests else ""
    if uid in companion.shots:
        versions.insert(0 if prefer == "sidecar" else len(versions), (SIDECAR, replace(companion.shots[uid], name=name)))
    if not versions:
        problems += [
            f'"{name}": {source} names a shot whose values are only in the sidecar, which is not there.' for source, _, _ in digests[:1]
        ]
        return Verdict(problems=tuple(problems))
    return _judge(name, versions, digests, problems)


def _refuse_newer(carried: Carried, name: str) -> None:
    """Raise TimelineError, naming the clip, if a carrier's schema is newer than this program."""
    schema = carried.facts.get("schema") if carried.facts else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise TimelineError(f'The grain of "{name}" is of schema {schema}, this program reads up to {SCHEMA}: update GrainLayer.')


def _shot(facts: Mapping[str, object], name: str, read: list[tuple[Mapping[str, object], Shot]]) -> Shot:
    """Return the shot of a carrier; carriers that say the same are read once. Raise TimelineError."""
    for known, shot in read:
        if known == facts:
            return shot
    found = shot_from_json(facts, name)
    read += [(facts, found), ({key: value for key, value in facts.items() if key != "profile"}, replace(found, profile=None))]
    return found


def _facts(carried: Carried) -> Mapping[str, object]:
    """Return what a carrier says. Raise TimelineError if it is damaged."""
    if carried.facts is None:
        raise TimelineError("It is damaged; set the shot's values again.")
    return carried.facts


def _judge(name: str, versions: list[tuple[str, Shot]], digests: list[tuple[str, str, str]], problems: list[str]) -> Verdict:
    """Take the first version, and set the others against it."""
    source, used = versions[0]
    profile = next((shot.profile for _, shot in versions if shot.profile and shot.uid == used.uid), None)
    used = replace(used, profile=used.profile or profile)
    conflicts: list[Conflict] = []
    for other_source, other in versions[1:]:
        known = any(conflict.other == other for conflict in conflicts)
        if not known and not _agree(used, other):
            conflicts.append(Conflict(used.uid, name, source, other_source, used, other))
    for note, uid, digest in digests:
        if uid == used.uid and digest != shot_digest(used):
            problems.append(
                f'"{name}": {note} was written for other values than those of {source}, which are used; set the values that you want.'
            )
    return Verdict(used, tuple(conflicts), tuple(problems))


def _agree(one: Shot, other: Shot) -> bool:
    same_profile = one.profile is None or other.profile is None or one.profile == other.profile
    return one.uid == other.uid and one.grain() == other.grain() and same_profile


@dataclass(frozen=True)
class Written:
    """Hold what was written: the edit, its sidecar, and what the format could not keep, a sentence each."""

    path: Path
    sidecar: Path
    problems: tuple[str, ...] = ()


def write_timeline(timeline: Timeline, out: Path, *, overwrite: bool = False) -> Written:
    """Write an edit with its grain, and its sidecar beside it: both whole, or nothing. Raise TimelineError, in one sentence."""
    form = format_for_output(out)
    sidecar = companion_path(out)
    for path in (out, sidecar):
        if path.exists() and not overwrite:
            raise TimelineError(f"{path} exists already; choose another name, or say --overwrite to replace it.")
    try:
        with tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=f".{out.name[:64]}.") as folder:
            made, beside = Path(folder).resolve() / out.name, Path(folder) / "sidecar"
            save(injected(timeline, form), made, form, timeline.path, timeline.shots.rate)
            beside.write_text(companion_to_json(merged(timeline), out.name), "utf-8")
            _replace(made, out, Path(folder) / "old")
            os.replace(beside, sidecar)
    except OSError as error:
        raise TimelineError(f"{out} cannot be written ({error.strerror or error}); check the folder and the space on its disk.") from error
    return Written(out, sidecar, losses(timeline, form))


def _replace(made: Path, out: Path, old: Path) -> None:
    """Put what was made in its place; a folder that is there goes to `old` first."""
    if out.is_dir() and not out.is_symlink():
        shutil.move(out, old)
    os.replace(made, out)


def injected(timeline: Timeline, form: Format) -> Node:
    """Return the edit's JSON with the grain of every clip where `form` keeps it.

    A clip with an open conflict is left as it is where the format can hold both versions.
    """
    native = form is NATIVE or form in BUNDLES
    open_ = {conflict.uid for conflict in timeline.shots.conflicts} if native else set[str]()
    shots = [None if placed.uid in open_ and placed.index not in timeline.set_ else placed.shot for placed in timeline.shots]
    clips = form.put(timeline.found, shots)
    pairs = zip(timeline.found, clips, strict=True)
    return replaced(timeline.tree, {id(found.node): clip for found, clip in pairs if clip is not found.node})


def merged(timeline: Timeline) -> Companion:
    """Return the sidecar to write: every shot of the edit, those of clips that are gone, and versions that lost a conflict."""
    shots = dict(timeline.companion.shots)
    seen: set[str] = set()
    for placed in timeline.shots.with_grain():
        if placed.shot and placed.uid not in seen:
            shots[placed.uid] = placed.shot
        seen.add(placed.uid)
    return Companion(shots, remember(timeline.companion.kept, timeline.shots.conflicts), timeline.shots.rate)


def losses(timeline: Timeline, form: Format) -> tuple[str, ...]:
    """Return what a format cannot keep of this edit's grain, a sentence each."""
    measured = any(placed.shot and placed.shot.profile for placed in timeline.shots)
    found = [f"{form.label} does not keep {form.loses}."] if form.loses and measured else []
    if form.key == "aaf" and timeline.format.key != "aaf":
        found.append("AAF names media by ids that these clips lack: new ones are made, and Avid asks for the media again.")
    return tuple(found)
