"""Says where a text may be cut without splitting what a reader takes for one sign (Unicode Annex 29)."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_MARKS: Final = frozenset({"Mn", "Me", "Mc"})
_JOINER: Final = "\u200d"
_GLUED: Final = re.compile(r"[\u200c\u200d\u0e33\u0eb3\uff9e\uff9f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
"""Belongs to the sign before it, without being a mark: joiners, Thai and Lao vowels, skin colours, tags of flags."""
_PREPENDED: Final = re.compile(r"[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U000110bd\U000110cd]")
_LINKER: Final = re.compile(
    r"[\u094d\u09cd\u0acd\u0b4d\u0c4d\u0d4d\u1039\u17d2\u1a60\u1b44\u1bab\ua9c0\uaaf6\U00010a3f\U00011133\U00011a47]"
)
_REGIONAL: Final = re.compile(r"[\U0001f1e6-\U0001f1ff]")
_LEADING: Final = re.compile(r"[\u1100-\u115f\ua960-\ua97c]")
_VOWEL: Final = re.compile(r"[\u1160-\u11a7\ud7b0-\ud7c6]")
_TRAILING: Final = re.compile(r"[\u11a8-\u11ff\ud7cb-\ud7fb]")
_SYLLABLE: Final = re.compile(r"[\uac00-\ud7a3]")
_LOOKED_AT: Final = 64  # characters; a cluster that is longer is no sign of any script


def whole_signs(text: str, begin: int, place: int) -> int:
    """Answers the last place in begin + 1 … place where no sign is split; `place` if every one splits."""
    for found in range(place, max(begin, place - _LOOKED_AT), -1):
        if may_cut(text, found):
            return found
    return place


def may_cut(text: str, place: int) -> bool:
    """Answers whether a cut there splits no sign."""
    if place <= 0 or place >= len(text):
        return True
    before, after = text[place - 1], text[place]
    if after.isascii():
        return not (before == "\r" and after == "\n") and _PREPENDED.match(before) is None
    if unicodedata.category(after) in _MARKS or _GLUED.match(after) or before == _JOINER or _PREPENDED.match(before):
        return False
    if after.isalpha() and _is_linked(text, place):
        return False
    if _REGIONAL.match(after):
        return _flags_before(text, place) % 2 == 0
    return not _same_syllable(before, after)


def _is_linked(text: str, place: int) -> bool:
    """Answers whether a sign that joins consonants into one stands before a letter, marks between them or not."""
    for before in reversed(text[max(0, place - 8) : place]):
        if _LINKER.match(before):
            return True
        if before != _JOINER and unicodedata.category(before) not in _MARKS:
            return False
    return False


def _flags_before(text: str, place: int) -> int:
    count = 0
    while count < place and _REGIONAL.match(text[place - 1 - count]):
        count += 1
    return count


def _same_syllable(before: str, after: str) -> bool:
    """Answers whether both are parts of one Korean syllable."""
    if _VOWEL.match(after):
        return bool(_LEADING.match(before) or _VOWEL.match(before) or _is_open(before))
    if _TRAILING.match(after):
        return bool(_VOWEL.match(before) or _TRAILING.match(before) or _SYLLABLE.match(before))
    return bool((_LEADING.match(after) or _SYLLABLE.match(after)) and _LEADING.match(before))


def _is_open(sign: str) -> bool:
    """Answers whether a Korean syllable ends in a vowel."""
    return bool(_SYLLABLE.match(sign)) and (ord(sign) - 0xAC00) % 28 == 0
