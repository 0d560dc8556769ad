"""Say for every clip of a new edit which clip of the old one it was, or why that cannot be said: evidence in a fixed order, never a guess.

1. A uid that the clip carries. It wins where the media agrees: the same media, or the same reel where the media is new, with shared
   timecode; without any, as after a long slip, only under the same name, if no other clip carries the uid. Where the media is unknown or
   new it needs a second witness beside shared timecode, the name or the file's name if no other shot there has it, or the very same
   range. It is contradicted where the clip shows pictures of another old shot alone, as under a copied marker, or looks exactly like
   another one. A uid that several clips carry is a split or a copy, unless their media is unknown or their pictures also belong to
   another old shot: then it is reported, but for the one that has the shot's own range.
2. Media and source timecode: the only old clip of that media which shares pictures with it. Several: the one whose name and whole range
   are the clip's while nobody else's name or range is; else it is reported. A relinked path stands for the old one where a uid and a
   second witness say so, or where it alone has the file's name, the old path is gone and every clip of it shares timecode with the
   old ones. Reel and source timecode stand in for unknown media.
3. Name and source range, both equal, for clips of unknown media, if no other old clip has that range, or that name with shared timecode.
4. Record timecode and source range, both equal, for clips whose media and name are unknown, if no other old clip has that range.

3 and 4 are weak: they count only where nothing else claims the old clip. Old clips without grain are candidates like any other, and
several candidates with one and the same grain are no ambiguity: the clip gets that grain, and a new uid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from grainlayer.editorial.sightings import MOST, Catalogue, Sighting, grouped, overlap, states

Claims = Mapping[int, Sequence[str]]
"""The uids that each clip of the new edit carries, by the clip's number; those of its shot where a clip is not named."""


class Evidence(StrEnum):
    """Name what a match rests on."""

    UID = "uid"
    MEDIA = "media and source timecode"
    REEL = "reel and source timecode"
    NAME = "name and source range"
    RECORD = "record timecode and source range"


class Outcome(StrEnum):
    """Name what became of a clip."""

    MATCHED = "matched"
    BARE = "matched, without grain"
    OWN = "own grain"
    AMBIGUOUS = "ambiguous"
    CONFLICT = "conflict"
    NEW = "new"


@dataclass(frozen=True)
class Finding:
    """Hold what was found for a clip.

    old         the old clip that it was, if that is certain
    shared      several old clips fit, all with the same grain: `old` is the first
    candidates  the old clips that it may have been, where it is not certain
    """

    sighting: Sighting
    outcome: Outcome
    evidence: Evidence | None = None
    old: Sighting | None = None
    shared: bool = False
    candidates: tuple[Sighting, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Shown:
    """Hold the old clips that share pictures with a clip; `known` says whether its media or reel is known at all."""

    clips: tuple[Sighting, ...]
    evidence: Evidence = Evidence.MEDIA
    known: bool = False

    @property
    def crowded(self) -> bool:
        """Say whether there are more than are listed."""
        return len(self.clips) > MOST


def match(old: Sequence[Sighting], new: Sequence[Sighting], claims: Claims) -> list[Finding]:
    """Return a finding for every clip of the new edit, in order."""
    return Matcher(old, new, claims).findings()


class Matcher:
    """Weigh the evidence for every clip of one new edit."""

    def __init__(self, old: Sequence[Sighting], new: Sequence[Sighting], claims: Claims) -> None:
        """Take both edits and the uids that survived."""
        self.old = Catalogue(old)
        self.new = new
        self.in_use = {sighting.media for sighting in new if sighting.media}
        self.claimed = {id(sighting): self._claimed(sighting, claims) for sighting in new}
        self.by_new_stem = grouped((sighting.stem, sighting) for sighting in new)
        self.bearers = Counter(uid for found in self.claimed.values() for uid in {one.placed.uid for one in found})
        self.relinked = self._relinked()
        self.shown = {id(sighting): self._shown(sighting) for sighting in new}
        self.agreeing = {id(sighting): [one for one in self.claimed[id(sighting)] if self._agrees(sighting, one)] for sighting in new}

    def findings(self) -> list[Finding]:
        """Return a finding for every clip; weak ones only where nothing else claims the old clip."""
        found = [self._find(sighting) for sighting in self.new]
        weak = (Evidence.NAME, Evidence.RECORD)
        takers = Counter(id(finding.old) for finding in found if finding.old)
        contested = "another clip may be the same one; say which by its uid, or relink both"
        return [
            self._unsure(finding.sighting, [finding.old], contested)
            if finding.old and finding.evidence in weak and takers[id(finding.old)] > 1
            else finding
            for finding in found
        ]

    def _claimed(self, sighting: Sighting, claims: Claims) -> tuple[Sighting, ...]:
        """Return the old clips whose uids a clip carries."""
        own = [sighting.placed.uid] if sighting.placed.shot else []
        uids = dict.fromkeys([*own, *claims.get(sighting.placed.index, ())])
        return tuple(one for uid in uids for one in self.old.by_uid.get(uid, ()))

    def _relinked(self) -> dict[str, set[str]]:
        """Return the old paths that each new path stands for."""
        found: dict[str, set[str]] = {}
        fresh = self.in_use - self.old.media.keys()
        for sighting in self.new:
            if sighting.media in fresh:
                vouched = {one.media for one in self.claimed[id(sighting)] if one.media and self._witness(sighting, one)}
                found.setdefault(sighting.media, set()).update(vouched)
        for path, sighting in {sighting.media: sighting for sighting in self.new if sighting.media in fresh}.items():
            if path and not found[path]:
                found[path] = self._namesake_path(sighting)
        return {path: paths for path, paths in found.items() if paths}

    def _namesake_path(self, sighting: Sighting) -> set[str]:
        """Return the old path that alone had a new path's file name and is gone, if every clip of the new one shows pictures of it."""
        known = {path for path in self.old.by_stem.get(sighting.stem, ()) if path}
        sharing = self.by_new_stem.get(sighting.stem, [])
        if len(known) != 1 or known & self.in_use or len({one.media for one in sharing}) > 1:
            return set()
        lane = self.old.media[next(iter(known))]
        return known if all(any(states(one, other) for other in lane.touching(one)) for one in sharing) else set()

    def _paths(self, sighting: Sighting) -> set[str]:
        """Return the old paths that a clip's media stands for: none if it is unknown."""
        if sighting.media is None:
            return set()
        return {sighting.media} if sighting.media in self.old.media else self.relinked.get(sighting.media, set())

    def _shown(self, sighting: Sighting) -> Shown:
        paths = self._paths(sighting)
        if paths:
            lanes = [self.old.media[path] for path in sorted(paths)] + [self.old.offline_reels.get(sighting.reel)]
            return Shown(tuple(one for lane in lanes if lane for one in lane.touching(sighting)), Evidence.MEDIA, True)
        lane = self.old.reels.get(sighting.reel)
        return Shown(tuple(lane.touching(sighting)), Evidence.REEL, True) if lane else Shown(())

    def _gone(self, one: Sighting) -> bool:
        """Say whether an old clip's media is nowhere in the new edit under its path."""
        return one.media is None or one.media not in self.in_use

    def _same_media(self, sighting: Sighting, one: Sighting) -> bool:
        paths = self._paths(sighting)
        if paths and one.media:
            return one.media in paths
        return sighting.reel is not None and sighting.reel == one.reel

    def _agrees(self, sighting: Sighting, one: Sighting) -> bool:
        """Say whether the other evidence bears out a uid."""
        shown = self.shown[id(sighting)]
        others = [other for other in shown.clips if other not in self.claimed[id(sighting)]]
        if self._same_media(sighting, one):
            slipped = _same_name(sighting, one) and self.bearers[one.placed.uid] == 1
            return states(sighting, one) or (slipped and not others)
        if others:
            return False
        if self._paths(sighting) and not self._gone(one):
            return False
        return self._witness(sighting, one) or (sighting.exact == one.exact and not self._named_other(sighting, one))

    def _named_other(self, sighting: Sighting, one: Sighting) -> bool:
        """Say whether a clip's name and timecode are those of an old clip that it carries no uid of."""
        lane = None if _same_name(sighting, one) else self.old.names.get(sighting.name)
        return lane is not None and any(other not in self.claimed[id(sighting)] for other in lane.touching(sighting))

    def _witness(self, sighting: Sighting, one: Sighting) -> bool:
        """Say whether shared timecode bears out a uid together with reel, file name, or a name that no other shot there has."""
        if not states(sighting, one):
            return False
        reel = sighting.reel is not None and sighting.reel == one.reel
        stem = sighting.stem is not None and sighting.stem == one.stem and len(self.old.by_stem[one.stem]) == 1
        return reel or stem or (_same_name(sighting, one) and self._compatible(sighting, one) and not self._namesakes(sighting, one))

    def _namesakes(self, sighting: Sighting, one: Sighting) -> bool:
        """Say whether old clips of other grain share a clip's name and timecode."""
        lane = self.old.names.get(sighting.name)
        return lane is not None and not self._one_look([one, *lane.touching(sighting)])

    def _find(self, sighting: Sighting) -> Finding:
        if self.claimed[id(sighting)]:
            return self._by_uid(sighting)
        if sighting.placed.shot:
            return Finding(sighting, Outcome.OWN, note="its uid is not in the old edit; it keeps the grain that it has")
        return self._by_media(sighting) if self.shown[id(sighting)].clips else self._weakly(sighting)

    def _by_uid(self, sighting: Sighting) -> Finding:
        claimed, agreeing, shown = self.claimed[id(sighting)], self.agreeing[id(sighting)], self.shown[id(sighting)]
        if not agreeing:
            note = "its uid is that of one shot, its media, name and timecode are not; remove the wrong marker, or set its grain"
            return self._unsure(sighting, [*claimed, *shown.clips], note, Outcome.CONFLICT)
        if not self._one_look(agreeing):
            return self._unsure(sighting, agreeing, "it carries two uids and both fit; remove one marker", Outcome.CONFLICT)
        target = max(agreeing, key=lambda one: overlap(sighting, one))
        rivals = [one for one in self._rivals(sighting) if self._look(one) != self._look(target)]
        named = self._named_alone(sighting, target, rivals)
        if not named and sighting.exact != target.exact and any(one.exact == sighting.exact for one in rivals):
            note = "its uid is that of one shot, its range exactly that of another; remove the wrong marker, or set its grain"
            return self._unsure(sighting, [target, *rivals], note, Outcome.CONFLICT)
        ranged = sighting.exact == target.exact and not any(one.exact == sighting.exact for one in rivals)
        unclear = (bool(rivals) and not named) or not shown.known
        if unclear and not ranged and self.bearers[target.placed.uid] > 1:
            note = "several clips carry its uid, and its media is unknown or also another shot's; set its grain, or remove the wrong marker"
            return self._unsure(sighting, [target, *rivals], note)
        wrong = [one for one in claimed if one not in agreeing]
        note = f"another uid on it, that of {wrong[0].placed.label()}, is passed over: the media is not that shot's" if wrong else ""
        return self._matched(sighting, target, Evidence.UID, note=note)

    def _rivals(self, sighting: Sighting) -> list[Sighting]:
        """Return the old clips that a clip may have been by what it shows, or by name and range where its media is unknown."""
        shown = self.shown[id(sighting)]
        if not shown.known:
            return self._alike(sighting)
        same = [one for one in self.old.by_range.get(sighting.exact, ())[:MOST] if self._same_media(sighting, one)]
        return _unique([*shown.clips, *same])

    def _named_alone(self, sighting: Sighting, target: Sighting, rivals: Sequence[Sighting]) -> bool:
        """Say whether a clip has its shot's name, and none of the others has."""
        return _same_name(sighting, target) and len(rivals) <= MOST and not any(_same_name(sighting, one) for one in rivals)

    def _by_media(self, sighting: Sighting) -> Finding:
        shown = self.shown[id(sighting)]
        clips = _unique(shown.clips)
        elsewhere = self._named_elsewhere(sighting, clips)
        if elsewhere and not any(_same_name(sighting, one) for one in clips):
            note = "it shows one shot's pictures under another's name; set its grain"
            return self._unsure(sighting, [*clips, *elsewhere], note)
        if all(one.exact[2] or sighting.exact[2] for one in clips) and not any(states(sighting, one) for one in clips):
            return self._unsure(sighting, clips, "which pictures a ramp shows cannot be known; set its grain if it is that shot's")
        if len(clips) == 1 or (not shown.crowded and self._one_look(clips)):
            return self._matched(sighting, clips[0], shown.evidence, shared=len(clips) > 1)
        named = [one for one in clips if _same_name(sighting, one)]
        ranged = [one for one in clips if one.exact == sighting.exact]
        if not shown.crowded and len(named) == 1 and ranged == named:
            return self._matched(sighting, named[0], shown.evidence)
        return self._unsure(sighting, clips, "several shots have these pictures; set its grain")

    def _named_elsewhere(self, sighting: Sighting, clips: Sequence[Sighting]) -> list[Sighting]:
        """Return the old clips of the same media that have a clip's name and none of its pictures."""
        paths = self._paths(sighting) or {one.media for one in clips if one.media}
        named = [one for path in sorted(paths) for one in self.old.named_in.get((path, sighting.name), ())[:MOST]]
        return [one for one in named if one not in clips]

    def _alike(self, sighting: Sighting) -> list[Sighting]:
        """Return the old clips of a clip's name that share timecode with it, and those of its very range whose media it may have."""
        lane = self.old.names.get(sighting.name)
        named = lane.touching(sighting) if lane else []
        ranged = [one for one in self.old.by_range.get(sighting.exact, ())[: MOST + 1] if self._compatible(sighting, one)]
        return _unique([*named, *ranged])

    def _compatible(self, sighting: Sighting, one: Sighting) -> bool:
        """Say whether a clip of unknown media may have been an old clip: one of them is offline, or the old media is gone."""
        return sighting.media is None or self._gone(one)

    def _weakly(self, sighting: Sighting) -> Finding:
        alike = self._alike(sighting)
        if not alike:
            return Finding(sighting, Outcome.NEW, note="nothing in the old edit is like it")
        one = alike[0]
        fits = len(alike) == 1 and one.exact == sighting.exact and not self._paths(sighting) and self._compatible(sighting, one)
        if fits and _same_name(sighting, one):
            return self._matched(sighting, one, Evidence.NAME)
        if fits and sighting.name not in self.old.names and one.place == sighting.place:
            return self._matched(sighting, one, Evidence.RECORD)
        return self._unsure(sighting, alike, "name or range are like an old shot's, and no more; set its grain if it is that one")

    def _matched(self, sighting: Sighting, one: Sighting, evidence: Evidence, shared: bool = False, note: str = "") -> Finding:
        outcome = Outcome.MATCHED if one.placed.shot else Outcome.BARE
        if shared and one.placed.shot:
            note = "several old shots fit, all with this grain; it gets a uid of its own"
        return Finding(sighting, outcome, evidence, one, shared, note=note)

    def _unsure(self, sighting: Sighting, candidates: Iterable[Sighting], note: str, outcome: Outcome = Outcome.AMBIGUOUS) -> Finding:
        return Finding(sighting, outcome, candidates=tuple(_unique(candidates)), note=note)

    def _look(self, one: Sighting) -> int:
        return self.old.look[id(one)]

    def _one_look(self, clips: Iterable[Sighting]) -> bool:
        """Say whether old clips have one and the same grain."""
        return len({self._look(one) for one in clips}) == 1


def _same_name(sighting: Sighting, one: Sighting) -> bool:
    return bool(sighting.name) and sighting.name == one.name


def _unique(sightings: Iterable[Sighting]) -> list[Sighting]:
    return list({id(sighting): sighting for sighting in sightings}.values())
