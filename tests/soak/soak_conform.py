"""Edit random cuts at random and conform them, over and over: `python -m tests.soak.soak_conform [COUNT] [SEED]`.

Each turn makes a cut of 200 clips, a random edit of it, and knows for every clip of the edit which old clip it was. A clip must never get
another shot's grain, and one whose shot cannot be determined must be reported.

What the generator leaves out, because nothing that is left in the edit could tell it from something else, and what is then the truth
a person would disagree about as well:
- a clip that lost its uid still shows two pictures of its old range, unless it is out of all media (a slip onto another shot's pictures);
- a marker copied onto a clip of the same media, or where media is missing, is that of a clip which stays and keeps its own;
- a clip that was relinked to another shot's media, or slipped to the end of its media, keeps its uid;
- new clips out of known media show pictures of no old clip, and new clips without media have no old clip's exact range.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from random import Random

from grainlayer.editorial.conform import conform
from grainlayer.editorial.conform_report import Report
from grainlayer.editorial.matching import Outcome
from grainlayer.editorial.shots import PlacedShot, Placement, Shot, ShotList, Span
from grainlayer.params import ShotParams

CLIPS = 200
RATES = (Fraction(24), Fraction(25), Fraction(24000, 1001), Fraction(30), Fraction(60))
POOL = [Shot(f"shot{number:04d}", "", params=ShotParams(grain_seed=number)) for number in range(CLIPS)]
TWINS = [replace(shot, params=replace(shot.params, grain_seed=number // 2)) for number, shot in enumerate(POOL)]
"""Shots of which two and two have the same grain."""


@dataclass
class Piece:
    """Hold a clip while it is edited; `truth` is the number of the old clip that it is, `held` forbids losing the uid or the clip."""

    name: str
    media: str | None
    reel: str | None
    rate: Fraction
    start: Fraction
    length: Fraction
    speed: Fraction | None = Fraction(1)
    gap: Fraction = Fraction(0)
    truth: int | None = None
    meta: str | None = None
    notes: tuple[str, ...] = ()
    held: bool = False

    @property
    def shown(self) -> tuple[Fraction, Fraction]:
        speed = Fraction(1) if self.speed is None else abs(self.speed)
        return self.start / self.rate, (self.start + max(self.length * speed, Fraction(1))) / self.rate


@dataclass
class Cut:
    """Hold an edit: the clips of each track, the old clips, and their shots."""

    rng: Random
    tracks: list[list[Piece]]
    old: list[Piece]
    shots: list[Shot | None]
    rate: Fraction
    fresh: int = 0

    def pieces(self) -> list[Piece]:
        return [piece for track in self.tracks for piece in track]

    def pick(self) -> tuple[list[Piece], int]:
        track = self.rng.choice([track for track in self.tracks if track])
        return track, self.rng.randrange(len(track))

    def new_name(self) -> str:
        self.fresh += 1
        return f"fresh {self.fresh}"

    def still_shows(self, piece: Piece) -> bool:
        """Say whether a clip shows two pictures of its old range."""
        if piece.truth is None or piece.held:
            return True
        old = self.old[piece.truth]
        if old.speed is None or piece.speed is None:
            return True
        (begin, end), (first, last) = piece.shown, old.shown
        need = min(2 * max(1 / piece.rate, 1 / old.rate), (last - first) * Fraction(3, 4), (end - begin) * Fraction(3, 4))
        return min(end, last) - max(begin, first) >= need


def make_old(rng: Random) -> list[Piece]:
    """Return the clips of a cut: families of every kind that is hard to tell apart."""
    found: list[Piece] = []
    while len(found) < CLIPS:
        family = rng.choice((_singles, _singles, _singles, _reused, _takes, _repeats, _offline, _zero_based))
        found += family(rng, len(found))
    return found[:CLIPS]


def _timecode(rng: Random, rate: Fraction) -> Fraction:
    return Fraction(int(rate * 3600) * rng.randrange(1, 20) + rng.randrange(5000))


def _path(rng: Random, number: int) -> str:
    return rng.choice(
        (f"/m/A{number:03d}C001.mov", f"/m/card{number}/A001C003.mov", f"/m/seq{number}/shot.%04d.exr", f"D:\\m\\{number}.mxf")
    )


def _name(rng: Random, number: int) -> str:
    return rng.choice((f"SH{number:03d}", f"SH{number:03d}", "Clip", f"A{number // 10:03d}"))


def _reel(rng: Random, number: int) -> str | None:
    return rng.choice((None, "AX", f"R{number}", f"CARD{number // 20}"))


def _singles(rng: Random, number: int) -> list[Piece]:
    rate = rng.choice(RATES)
    return [
        Piece(
            _name(rng, number),
            _path(rng, number),
            _reel(rng, number),
            rate,
            _timecode(rng, rate) + number * 2000,
            Fraction(rng.randint(10, 200)),
        )
    ]


def _of_one_media(rng: Random, number: int, starts: list[int]) -> list[Piece]:
    rate, path, reel = rng.choice(RATES), _path(rng, number), _reel(rng, number)
    begin = _timecode(rng, rate)
    one = rng.choice((None, _name(rng, number)))
    return [
        Piece(one or f"SH{number + step:03d}", path, reel, rate, begin + start, Fraction(rng.randint(12, 150)))
        for step, start in enumerate(starts)
    ]


def _reused(rng: Random, number: int) -> list[Piece]:
    return _of_one_media(rng, number, [200 * step for step in range(rng.randint(2, 6))])


def _takes(rng: Random, number: int) -> list[Piece]:
    return _of_one_media(rng, number, [rng.choice((0, rng.randrange(200))) for _ in range(rng.randint(2, 5))])


def _repeats(rng: Random, number: int) -> list[Piece]:
    first = _of_one_media(rng, number, [0])[0]
    return [replace(first) for _ in range(rng.randint(2, 3))]


def _offline(rng: Random, number: int) -> list[Piece]:
    names = rng.choice((["Solid Color"], [f"Solid Color {number}"], [f"SH{number:03d}"]))
    reel = rng.choice((None, None, f"R{number}"))
    return [Piece(names[0], None, reel, Fraction(24), Fraction(rng.choice((0, 0, 86400 + number))), Fraction(rng.choice((120, 120, 75))))]


def _zero_based(rng: Random, number: int) -> list[Piece]:
    return [
        Piece(_name(rng, number), _path(rng, number), None, Fraction(24), Fraction(rng.choice((0, 1001))), Fraction(rng.randint(10, 150)))
    ]


def make_cut(rng: Random) -> Cut:
    """Return an unedited cut on three tracks: clips without grain, copies that share a uid, in some cuts two and two that look alike."""
    old = make_old(rng)
    rng.shuffle(old)
    pool = rng.choice((POOL, POOL, POOL, TWINS))
    shots = [None if rng.random() < 0.12 else pool[number - (rng.random() < 0.04)] for number in range(CLIPS)]
    tracks: list[list[Piece]] = [[], [], []]
    for number, piece in enumerate(old):
        uid = shot.uid if (shot := shots[number]) else None
        piece.speed = rng.choice((*[Fraction(1)] * 16, Fraction(2), Fraction(1, 2), Fraction(-1), Fraction(0), None))
        piece.truth, piece.meta, piece.notes = number, uid, (uid,) if uid else ()
        piece.gap = Fraction(rng.choice((0, 0, 0, 12)))
        tracks[rng.choice((0, 0, 0, 1, 2))].append(piece)
    kept = [replace(piece) for piece in old]
    return Cut(rng, [track for track in tracks if track], kept, shots, rng.choice(RATES))


def _try(cut: Cut, track: list[Piece], place: int, changed: Piece) -> None:
    """Put a changed clip in its place, if it has a length and still shows what it must."""
    if changed.length >= 1 and cut.still_shows(changed):
        track[place] = changed


def trim(cut: Cut) -> None:
    track, place = cut.pick()
    piece, by = track[place], Fraction(cut.rng.randint(-40, 40))
    head = cut.rng.random() < 0.5 and piece.speed is not None
    start = piece.start + by * abs(piece.speed or Fraction(1)) if head else piece.start
    _try(cut, track, place, replace(piece, start=start, length=piece.length - by))


def slip(cut: Cut) -> None:
    track, place = cut.pick()
    far = cut.rng.random() < 0.1 and track[place].meta is not None
    reach = 400 if far else 60
    _try(cut, track, place, replace(track[place], start=track[place].start + cut.rng.randint(-reach, reach), held=far or track[place].held))


def split(cut: Cut) -> None:
    track, place = cut.pick()
    piece = track[place]
    if piece.length < 4 or piece.speed is None:
        return
    first = Fraction(cut.rng.randint(1, int(piece.length) - 1))
    parts = [
        replace(piece, length=first),
        replace(piece, start=piece.start + first * abs(piece.speed), length=piece.length - first, gap=Fraction(0)),
    ]
    if all(cut.still_shows(part) for part in parts):
        track[place : place + 1] = parts


def ripple(cut: Cut) -> None:
    track, place = cut.pick()
    track[place].gap = Fraction(cut.rng.choice((0, 1, 7, 48)))


def shift(cut: Cut) -> None:
    by = cut.rng.randint(1, 5000)
    for track in cut.tracks:
        track[0].gap += by


def reorder(cut: Cut) -> None:
    track, place = cut.pick()
    piece = track.pop(place)
    target = cut.rng.choice(cut.tracks)
    target.insert(cut.rng.randint(0, len(target)), piece)


def swap(cut: Cut) -> None:
    track, place = cut.pick()
    other, there = cut.pick()
    track[place], other[there] = other[there], track[place]


def duplicate(cut: Cut) -> None:
    track, place = cut.pick()
    target = cut.rng.choice(cut.tracks)
    target.insert(cut.rng.randint(0, len(target)), replace(track[place]))


def retime(cut: Cut) -> None:
    track, place = cut.pick()
    speed = cut.rng.choice((Fraction(2), Fraction(1, 2), Fraction(3, 4), Fraction(-1), Fraction(0), Fraction(1), None))
    length = Fraction(cut.rng.randint(4, 200)) if cut.rng.random() < 0.5 else track[place].length
    _try(cut, track, place, replace(track[place], speed=speed, length=length))


def another_rate(cut: Cut) -> None:
    track, place = cut.pick()
    piece, rate = track[place], cut.rng.choice(RATES)
    factor = rate / piece.rate
    start, length = piece.start * factor, piece.length * factor
    if cut.rng.random() < 0.5:
        start, length = Fraction(round(start)), Fraction(max(1, round(length)))
    _try(cut, track, place, replace(piece, rate=rate, start=start, length=length))


def rename(cut: Cut) -> None:
    track, place = cut.pick()
    track[place].name = cut.rng.choice((cut.new_name(), cut.new_name(), "", cut.rng.choice(cut.old).name))


def _new_path(cut: Cut, path: str) -> str:
    leaf = path.replace("\\", "/").rpartition("/")[2]
    cut.fresh += 1
    return cut.rng.choice((f"/moved{cut.fresh}/{leaf}", f"/m/v{cut.fresh}_{leaf}", f"/proxy/{cut.fresh}.mp4"))


def relink_media(cut: Cut) -> None:
    track, place = cut.pick()
    path = track[place].media
    if path:
        found, keeps_reel = _new_path(cut, path), cut.rng.random() < 0.7
        for piece in cut.pieces():
            if piece.media == path:
                piece.media, piece.reel = found, piece.reel if keeps_reel else None


def relink_clip(cut: Cut) -> None:
    track, place = cut.pick()
    piece = track[place]
    kind = cut.rng.choice(("new", "new", "new", "none", "known"))
    if kind == "none":
        piece.media = None
    elif kind == "known" and piece.meta:
        piece.media, piece.held = cut.rng.choice(cut.old).media, True
    elif kind == "new" and piece.media:
        piece.media = _new_path(cut, piece.media)
    if cut.rng.random() < 0.3:
        piece.reel = None


def delete(cut: Cut) -> None:
    track, place = cut.pick()
    if len(track) > 1 and not track[place].held:
        track.pop(place)


def lose(cut: Cut) -> None:
    track, place = cut.pick()
    _lose(cut.rng, track[place])


def _lose(rng: Random, piece: Piece) -> None:
    if not piece.held:
        kind = rng.choice(("both", "both", "both", "metadata", "notes"))
        piece.meta = None if kind != "notes" else piece.meta
        piece.notes = () if kind != "metadata" else piece.notes


def copy_marker(cut: Cut) -> None:
    (track, place), (other, there) = cut.pick(), cut.pick()
    donor, target = track[place], other[there]
    if donor is target or donor.truth is None or donor.meta is None or donor.notes[:1] != (donor.meta,):
        return
    before = cut.old[donor.truth].media
    theirs = cut.old[target.truth].media if target.truth is not None else None
    donor.held = donor.held or theirs in (None, before) or before is None
    over = cut.rng.random() < 0.5 and not target.held
    target.notes = donor.notes if over else (*target.notes, *donor.notes)
    target.meta = None if over else target.meta


def insert(cut: Cut) -> None:
    rng = cut.rng
    name = rng.choice((cut.new_name(), rng.choice(cut.old).name))
    start, length, rate = Fraction(rng.choice((0, 86400, 1001)) + rng.randrange(300)), Fraction(rng.randint(5, 150)), rng.choice(RATES)
    piece = Piece(name, f"/new/{cut.fresh}_{rng.randrange(10**6)}.mov", rng.choice((None, "AX")), rate, start, length)
    kind = rng.choice(("new", "known", "none", "own"))
    if kind == "none":
        piece.media = None
    elif kind == "known":
        like = rng.choice(cut.old)
        piece = replace(piece, media=like.media, reel=like.reel, rate=like.rate, start=like.start + 100_000)
    elif kind == "own":
        piece.meta = f"own{rng.randrange(10**9)}"
    if kind != "none" or all(piece.shown != old.shown for old in cut.old):
        target = rng.choice(cut.tracks)
        target.insert(rng.randint(0, len(target)), piece)


EDITS: tuple[tuple[Callable[[Cut], None], int], ...] = (
    (trim, 16),
    (slip, 8),
    (split, 8),
    (ripple, 8),
    (shift, 1),
    (reorder, 8),
    (swap, 6),
    (duplicate, 6),
    (retime, 5),
    (another_rate, 3),
    (rename, 7),
    (relink_media, 5),
    (relink_clip, 4),
    (delete, 6),
    (lose, 10),
    (copy_marker, 4),
    (insert, 5),
)


def edit(cut: Cut) -> Counter[str]:
    """Edit a cut at random and return how often each edit was done; in the end a share of all clips lose what they carry."""
    rng = cut.rng
    names, weights = zip(*EDITS, strict=True)
    done: Counter[str] = Counter()
    for change in rng.choices(names, weights, k=rng.choice((0, 5, 30, 80, 150, 300))):
        change(cut)
        done[change.__name__] += 1
    share = rng.choice((0, 0, 0.1, 0.3, 0.6, 1))
    for piece in cut.pieces():
        if rng.random() < share:
            _lose(rng, piece)
    return done


def place(cut: Cut, tracks: list[list[Piece]], shots: dict[str, Shot]) -> tuple[ShotList, list[Piece], dict[int, tuple[str, ...]]]:
    """Return a cut as a list of shots, its clips in the same order, and the uids that each carries."""
    placed: list[PlacedShot] = []
    order: list[Piece] = []
    claims: dict[int, tuple[str, ...]] = {}
    for number, track in enumerate(tracks):
        at = Fraction(0)
        for place_, piece in enumerate(track):
            source = Span(piece.start, piece.length, piece.rate)
            at += piece.gap
            record = Span(at, piece.length / piece.rate * cut.rate, cut.rate)
            at = record.end
            where = Placement(piece.name, number, "", place_, record, source, piece.media, piece.reel, speed=piece.speed)
            uids = (*([piece.meta] if piece.meta else []), *piece.notes)
            shot = shots.get(uids[0]) or replace(POOL[0], uid=uids[0]) if uids else None
            placed.append(PlacedShot(len(placed) + 1, where, shot))
            claims[len(placed)] = uids
            order.append(piece)
    return ShotList("cut", cut.rate, Fraction(0), tuple(placed)), order, claims


@dataclass
class Result:
    """Count what became of clips; `faults` are sentences about what must not happen."""

    counts: Counter[str] = field(default_factory=Counter)
    edits: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


def turn(seed: int, number: int, result: Result) -> None:
    """Make, edit, conform and judge one cut."""
    rng = Random(f"{seed} {number}")
    cut = make_cut(rng)
    shots = {shot.uid: shot for shot in cut.shots if shot}
    old, before, _ = place(cut, [list(track) for track in cut.tracks], shots)
    numbers = {piece.truth: placed.index for piece, placed in zip(before, old, strict=True)}
    cut.tracks = [[replace(piece) for piece in track] for track in cut.tracks]
    result.edits.update(edit(cut))
    new, order, claims = place(cut, cut.tracks, shots)
    began = time.perf_counter()
    report = conform(old, new, claims)
    result.seconds += time.perf_counter() - began
    for piece, placed, at in zip(order, new, range(len(order)), strict=True):
        truth, was = (None, None) if piece.truth is None else (cut.shots[piece.truth], cut.old[piece.truth])
        fault = judge(report, at, piece, was, truth, numbers.get(piece.truth), result.counts)
        if fault:
            result.faults.append(f"turn {number}, clip {placed.index}: {fault}: {report.rows[at]}")
    given = Counter(placed.uid for placed in report.shots if placed.shot)
    result.faults += [f"turn {number}: the uid {uid} was given {times} times" for uid, times in given.items() if times > 1]


def _missed(outcome: Outcome, piece: Piece, truth: Shot | None, carried: bool, old: Piece | None) -> str:
    """Return what is wrong with a clip that got no grain and was not reported as doubtful either."""
    if truth is None or old is None:
        return ""
    if outcome is Outcome.BARE:
        return "it was called bare"
    if carried:
        return "it carries its uid and was called new"
    same = piece.media is not None and (piece.media, piece.shown) == (old.media, old.shown)
    return "it shows its shot's very pictures and was called new" if same else ""


def judge(report: Report, at: int, piece: Piece, old: Piece | None, truth: Shot | None, number: int | None, counts: Counter[str]) -> str:
    """Count what became of a clip, and return what was wrong with it."""
    row, shot = report.rows[at], report.shots.shots[at].shot
    kind = "with grain" if truth else "new" if piece.truth is None else "without grain"
    carried = " and uid" if truth and truth.uid in (piece.meta, *piece.notes) else ""
    counts[f"{kind}{carried}: {row.evidence or row.outcome}{'' if row.outcome is not Outcome.BARE else ', bare'}"] += 1
    if row.outcome in (Outcome.AMBIGUOUS, Outcome.CONFLICT):
        listed = number is None or any(one.index == number for one in row.candidates)
        counts[f"reported, {kind}, its shot {'' if listed else 'not '}among the candidates"] += 1
        return "it got grain" if shot else ""
    if row.outcome is Outcome.OWN:
        return "" if shot and piece.truth is None and (piece.meta or "").startswith("own") else "it kept grain that is not its own"
    if shot is None:
        return _missed(row.outcome, piece, truth, bool(carried), old)
    if truth is None:
        return "it got grain and had none"
    return "" if shot.grain()[1].grain_seed == truth.params.grain_seed else "it got another shot's grain"


def soak(count: int, seed: int = 0, first: int = 0) -> Result:
    """Run `count` turns."""
    result = Result()
    for number in range(first, first + count):
        turn(seed, number, result)
    return result


def recall(counts: Counter[str]) -> dict[str, float]:
    """Return which shares of the clips with grain were matched, reported, and listed as new, with their uid and without."""
    found: dict[str, float] = {}
    for kind in ("with grain and uid", "with grain"):
        rows = {name.partition(": ")[2]: number for name, number in counts.items() if name.startswith(f"{kind}: ")}
        found |= {f"{kind}: {name}": round(100 * number / sum(rows.values()), 3) for name, number in sorted(rows.items())}
    return found


if __name__ == "__main__":
    began = time.perf_counter()
    outcome = soak(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, *map(int, sys.argv[2:4]))
    told = {"faults": len(outcome.faults), "first_faults": outcome.faults[:12], "recall_percent": recall(outcome.counts)}
    told |= {"counts": dict(sorted(outcome.counts.items())), "edits": dict(outcome.edits)}
    print(json.dumps(told | {"conform_seconds": round(outcome.seconds, 1), "seconds": round(time.perf_counter() - began, 1)}, indent=1))
    sys.exit(bool(outcome.faults))
