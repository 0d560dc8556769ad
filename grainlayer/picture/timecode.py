"""Count in SMPTE timecode, with drop frames at 29.97 and 59.94."""

from __future__ import annotations

import re
from fractions import Fraction

_WORD_FRAMES = 40
_TEXT = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d)")


def advanced(timecode: str, frames: int, rate: Fraction) -> str | None:
    """Return the timecode `frames` later at `rate` frames a second, past midnight from zero; None if the text is no timecode."""
    match = _TEXT.fullmatch(timecode)
    base = round(rate)
    if not match or base < 1:
        return None
    hours, minutes, seconds, frame = (int(match[i]) for i in (1, 2, 3, 5))
    drop = base // 15 if match[4] != ":" and base % 30 == 0 else 0
    total_minutes = 60 * hours + minutes
    count = (60 * total_minutes + seconds) * base + frame - drop * (total_minutes - total_minutes // 10)
    day = 1440 * 60 * base - drop * 1296
    count = (count + frames) % day
    if drop:
        tens, rest = divmod(count, 600 * base - 9 * drop)
        count += 9 * drop * tens + drop * max(0, (rest - drop) // (60 * base - drop))
    seconds, frame = divmod(count, base)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{match[4]}{frame:02d}"


def from_bcd(word: int) -> str:
    """Return the text of a timecode word as OpenEXR and DPX store it: hours, minutes, seconds, frames in pairs of decimal digits."""
    frames, seconds, minutes, hours = (_decimal(word >> shift, mask) for shift, mask in ((0, 0x3F), (8, 0x7F), (16, 0x7F), (24, 0x3F)))
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{';' if word & 0x40 else ':'}{frames:02d}"


def to_bcd(timecode: str) -> int | None:
    """Return the word that `from_bcd` reads; None if the text is no timecode, or counts to 40 frames, for which the word has no bits."""
    match = _TEXT.fullmatch(timecode)
    if not match or int(match[5]) >= _WORD_FRAMES:
        return None
    word = 0
    for group in (1, 2, 3, 5):
        word = word << 8 | int(match[group], 16)
    return word | (0x40 if match[4] != ":" else 0)


def _decimal(value: int, mask: int) -> int:
    value &= mask
    return 10 * (value >> 4) + (value & 15)
