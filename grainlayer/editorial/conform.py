"""Carry grain over to a new cut: give every clip of the new edit the grain of the old shot that it was, and report the rest.

    report = conform_files(Path("cut_v1.otio"), Path("cut_v2.otio"), Path("cut_v2_grain.otio"))
    print(report.in_words())

`matching` says which shot a clip was. Keyframes count pictures of the source media, so that trims, slips and retimes need no change of
them; only where media was relinked to a file that begins at another timecode are they moved by the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from grainlayer.editorial.carriers import cleaned, replaced, take
from grainlayer.editorial.clips import Found
from grainlayer.editorial.companion import Companion, Kept
from grainlayer.editorial.conform_report import Report, Row
from grainlayer.editorial.formats import states_no_rate
from grainlayer.editorial.matching import Claims, Finding, Outcome, match
from grainlayer.editorial.shots import PlacedShot, Placement, Shot, ShotList, differing, new_uid
from grainlayer.editorial.sightings import Sighting, overlap, plain_path, sight
from grainlayer.editorial.timeline import Timeline, read_timeline, remember, write_timeline

KEEPER = "of several clips the one keeps the uid that carries it, then that with most of the old pictures, then the earliest"


def conform(old: ShotList, new: ShotList, claims: Claims | None = None, mint: Callable[[], str] = new_uid) -> Report:
    """Return what every clip of the new edit is, with its grain.

    claims  all uids that each clip carries, by its number: a clip may have one in its metadata and another in a marker
    mint    makes uids for splits and copies
    The clips of the report have grain where their shot is certain, and where their own grain is not the old edit's at all.
    """
    claims = claims or {}
    findings = match([sight(placed) for placed in old], [sight(placed) for placed in new], claims)
    known = {placed.uid for edit in (old, new) for placed in edit}
    uids = _uids(findings, claims, known, mint)
    results = [_result(finding, uid) for finding, uid in zip(findings, uids, strict=True)]
    listed = replace(new, shots=tuple(placed for placed, _ in results), conflicts=())
    taken = {finding.old.placed.index for finding in findings if finding.old}
    doubtful = {one.placed.index for finding in findings for one in finding.candidates} - taken
    left = [placed for placed in old.with_grain() if placed.index not in taken]
    return Report(
        rows=tuple(row for _, row in results),
        shots=listed,
        deleted=tuple(placed for placed in left if placed.index not in doubtful),
        doubtful=tuple(placed for placed in left if placed.index in doubtful),
    )


def _uids(findings: Sequence[Finding], claims: Claims, known: set[str], mint: Callable[[], str]) -> list[str]:
    """Return the uid of each clip, empty for those without grain; of clips of one shot all but one get new ones."""
    uids = ["" if finding.shared else _source_uid(finding) for finding in findings]
    keepers: dict[str, int] = {}
    for number in sorted(range(len(findings)), key=lambda number: _claim(findings[number], claims)):
        keepers.setdefault(uids[number], number)
    for number, finding in enumerate(findings):
        if (finding.shared and _source_uid(finding)) or (keepers.get(uids[number]) != number and uids[number]):
            uids[number] = _minted(known, mint)
    return uids


def _minted(known: set[str], mint: Callable[[], str]) -> str:
    uid = next(uid for uid in iter(mint, "") if uid not in known)
    known.add(uid)
    return uid


def _source_uid(finding: Finding) -> str:
    """Return the uid whose grain a clip takes, or nothing."""
    if finding.outcome is Outcome.OWN:
        return finding.sighting.placed.uid
    return finding.old.placed.uid if finding.old else ""


def _claim(finding: Finding, claims: Claims) -> tuple[bool, Fraction, Fraction, int]:
    """Return how strong a clip's claim to its shot's uid is, the strongest first."""
    placed, uid = finding.sighting.placed, _source_uid(finding)
    carries = uid in (placed.uid, *claims.get(placed.index, ()))
    shared = overlap(finding.sighting, finding.old) if finding.old else Fraction(0)
    return not carries, -shared, placed.placement.record.seconds[0], placed.index


def _result(finding: Finding, uid: str) -> tuple[PlacedShot, Row]:
    """Return a clip with its grain, and its row of the report."""
    placed, old = finding.sighting.placed, finding.old
    notes = [finding.note] if finding.note else []
    shot: Shot | None = None
    if finding.outcome is Outcome.OWN and placed.shot:
        shot = _renamed(placed.shot, uid, placed.name)
    elif old and old.placed.shot:
        shot, warning = _followed(old.placed.shot, old.placed.placement, placed.placement)
        shot = _renamed(shot, uid, placed.name)
        notes += [warning] if warning else []
        notes += _own_values(placed.shot, shot) if placed.uid == old.placed.uid else []
        notes += [f"a split or copy: {KEEPER}"] if uid != old.placed.uid and not finding.shared else []
    row = Row(
        index=placed.index,
        name=placed.name,
        outcome=finding.outcome,
        old=old.placed if old else None,
        evidence=finding.evidence,
        uid=shot.uid if shot else "",
        changes=_changes(old, finding.sighting) if old else (),
        candidates=tuple(one.placed for one in finding.candidates),
        note="; ".join(notes),
    )
    return replace(placed, shot=shot), row


def _renamed(shot: Shot, uid: str, name: str) -> Shot:
    return shot if (shot.uid, shot.name) == (uid, name) else replace(shot, uid=uid, name=name)


def _own_values(own: Shot | None, used: Shot) -> list[str]:
    keys = differing(own, used) if own else ()
    return [f"its own values differ in {', '.join(keys)}; the old edit's are used and its own kept in the sidecar"] if keys else []


def _followed(shot: Shot, before: Placement, after: Placement) -> tuple[Shot, str]:
    """Return a shot whose keyframes lie on the same pictures of its media as before, and a warning where that cannot be known."""
    if not shot.keys or plain_path(before.media) == plain_path(after.media):
        return shot, ""
    if not before.available or not after.available:
        return shot, "its media was relinked and its first timecode is not known; check the keyframes"
    if before.source.rate != after.source.rate:
        return shot, "its media was relinked at another rate; check the keyframes"
    rate = before.source.rate
    moved = before.available.at_rate(rate).start - after.available.at_rate(rate).start
    if moved.denominator != 1:
        return shot, "its media was relinked and begins between two frames of the old one; check the keyframes"
    keys = {key: tuple((frame + int(moved), value) for frame, value in row) for key, row in shot.keys.items()}
    return (replace(shot, keys=keys) if moved else shot), ""


def _changes(old: Sighting, new: Sighting) -> tuple[str, ...]:
    """Return in words what an editor did to a clip."""
    before, after = old.placed.placement, new.placed.placement
    longer = old.end - old.begin != new.end - new.begin
    facts = {
        "moved": old.place[:2] != new.place[:2],
        "retimed": before.speed != after.speed,
        "trimmed": longer and before.speed == after.speed,
        "slipped": not longer and old.exact != new.exact,
        "renamed": old.name != new.name,
        "relinked": old.media != new.media,
    }
    return tuple(word for word, true in facts.items() if true)


def conform_files(
    old: Path, new: Path, out: Path, *, overwrite: bool = False, rate: Fraction | None = None, mint: Callable[[], str] = new_uid
) -> Report:
    """Write the new edit with the old one's grain, and its sidecar; return what became of every clip.

    rate  frames a second, for formats that do not state it; otherwise they are taken to have the other edit's
    The clips whose shot is not certain are written without any grain of ours: neither values nor uid. The sidecar also keeps shots that
    the new edit lacks, and the values of the new edit where they differ. Raise TimelineError, in one sentence, if a file cannot be used.
    """
    before = read_timeline(old, rate=rate, likely=lambda: None if states_no_rate(new) else read_timeline(new).shots.rate)
    after = read_timeline(new, rate=rate, likely=lambda: before.shots.rate)
    claims = {index: _carried_uids(found) for index, found in enumerate(after.found, 1)}
    report = conform(before.shots, after.shots, claims, mint)
    written = write_timeline(_graded(before, after, report), out, overwrite=overwrite)
    strange = [f"{old.name}: {text}" for text in (*before.shots.problems, *before.shots.conflicts)]
    strange += [f"{new.name}: {text}" for text in (*_unsettled(after.shots), *after.shots.conflicts)]
    return replace(report, problems=(*strange, *written.problems))


def _unsettled(shots: ShotList) -> tuple[str, ...]:
    """Return what was strange in the new edit, without the shared uids: by now each clip has its own."""
    labels = {placed.label() for placed in shots}
    return tuple(problem for problem in shots.problems if problem.partition(" shares its uid")[0] not in labels)


def _carried_uids(found: Found) -> tuple[str, ...]:
    """Return all uids that a clip carries, whatever carries them."""
    return tuple(str(carried.facts["uid"]) for carried in take(found.node, found.placement) if carried.facts and carried.facts.get("uid"))


def _graded(before: Timeline, after: Timeline, report: Report) -> Timeline:
    """Return the new edit to be written: with the report's grain and none besides, and a sidecar that holds both edits' shots."""
    bare = [found if placed.shot else replace(found, node=cleaned(found.node, native=True)) for found, placed in _pairs(after, report)]
    swapped = {id(one.node): other.node for one, other in zip(after.found, bare, strict=True) if one.node is not other.node}
    ours = {placed.uid: placed.shot for placed in reversed(before.shots.with_grain()) if placed.shot}
    versions = [*after.companion.kept, *_overruled(after, report.shots)]
    companion = Companion(
        shots={**after.companion.shots, **before.companion.shots, **ours},
        kept=remember((*before.companion.kept, *versions), (*before.shots.conflicts, *after.shots.conflicts)),
        rate=after.companion.rate,
    )
    tree = replaced(after.tree, swapped) if swapped else after.tree
    every = frozenset(placed.index for placed in report.shots)
    return replace(after, tree=tree, found=tuple(bare), shots=report.shots, companion=companion, set_=every)


def _pairs(after: Timeline, report: Report) -> Iterable[tuple[Found, PlacedShot]]:
    return zip(after.found, report.shots, strict=True)


def _overruled(after: Timeline, shots: ShotList) -> list[Kept]:
    """Return the new edit's own values of the shots for which the old edit's were used."""
    used: Mapping[str, Shot] = {placed.uid: placed.shot for placed in shots if placed.shot}
    own = {placed.uid: placed.shot for placed in after.shots if placed.shot}
    return [Kept(f"the edit {after.path.name}", shot) for uid, shot in own.items() if uid in used and differing(shot, used[uid])]
