"""Tells text whose letters stand for nothing: fonts that do not say which letter a glyph is."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

GARBLED: Final = 0.3  # of the letters of a page
SAMPLE: Final = 40  # characters that pdfium is asked about
LEAST: Final = 12  # letters; fewer tell nothing
LOOKED_AT: Final = 4_000  # characters
PLAUSIBLE: Final = 0.55  # of the signs are letters or digits
_UNREADABLE: Final = re.compile(
    "[\ufffd\ue000-\uefff\uf100-\uf8ff\x00\x01\x03-\x08\x0b\x0e-\x1f\x7f-\x9f\U000f0000-\U0010ffff]"
)
_LETTER: Final = re.compile(r"[^\W\d_]")
_VOWEL: Final = re.compile("[aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüýœаеиоуыэюяёієїαεηιουω]", re.IGNORECASE)


def is_garbled(text: str, has_error: Callable[[int], bool]) -> bool:
    """Answers whether a page's text cannot be read; `has_error` tells whether a character's letter is unknown."""
    dense = len(text) - sum(map(text.count, " \n\r\t"))
    if not dense:
        return False
    unreadable = len(_UNREADABLE.findall(text))
    if unreadable > GARBLED * dense:
        return True
    step = max(1, len(text) // SAMPLE)
    asked = [place for place in range(0, len(text), step) if not text[place].isspace()]
    unknown = sum(map(has_error, asked))
    return unknown > GARBLED * len(asked) and dense >= LEAST and not _is_plausible(text)


def _is_plausible(text: str) -> bool:
    """Answers whether letters and vowels are about as frequent as in a language that is written with letters."""
    dense = [sign for sign in text[:LOOKED_AT] if not sign.isspace()]
    if sum(map(str.isalnum, dense)) < PLAUSIBLE * len(dense):
        return False
    letters = _LETTER.findall(text[:LOOKED_AT])
    if len(letters) < LEAST:
        return True
    return 0.2 < sum(map(bool, map(_VOWEL.match, letters))) / len(letters) < 0.65
