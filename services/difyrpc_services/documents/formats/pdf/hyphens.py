"""Decides whether a hyphen at the end of a line is the word's own, by the words of the document so far."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from difyrpc_services.documents.formats.pdf.fragments import Fragment
from difyrpc_services.documents.formats.words import HYPHEN

MOST_WORDS: Final = 100_000  # that are kept of a document
MOST_PAGES: Final = 500  # that wait to be looked through
_WORD: Final = re.compile(r"[^\W\d_]+(?:[-\u2010\u2011][^\W\d_]+)*")
_FIRST: Final = re.compile(r"[^\W\d_]+")
_LAST: Final = re.compile(r"([^\W\d_]+)\x02$")
_BEGINNINGS: Final = frozenset(
    re.findall(
        r"\w+",
        """self non well so ill long short high low first second third one two three four five six seven eight nine ten
        half full part cross all ever real open large small fast slow late early free hard soft e ex by on off up down
        out state end year world peer top mid""",
    )
)
"""What a hyphen mostly stands behind because the word has one."""


class Vocabulary:
    """The words that were seen in a document."""

    def __init__(self) -> None:
        self._words: set[str] = set()
        self._texts: list[str] = []

    def add(self, text: str) -> None:
        """Adds the text of a page; its words are looked for when they are needed."""
        if len(self._words) < MOST_WORDS and len(self._texts) < MOST_PAGES:
            self._texts.append(text)

    def is_compound(self, first: str, second: str) -> bool:
        """Answers whether two parts with a hyphen between them are to keep it."""
        while self._texts:
            self._words.update(_WORD.findall(self._texts.pop().lower()))
        first, second = first.lower(), second.lower()
        if first + second in self._words:
            return False
        if f"{first}-{second}" in self._words:
            return True
        if first in _BEGINNINGS:
            return True
        return len(first) > 2 and len(second) > 2 and first in self._words and second in self._words


def settle(fragments: Sequence[Fragment], vocabulary: Vocabulary) -> None:
    """Makes pdfium's signs for hyphens at ends of lines real ones where they belong to the word."""
    for fragment, following in pairwise(fragments):
        if not fragment.text.endswith(HYPHEN):
            continue
        begin, end = _LAST.search(fragment.text), _FIRST.match(following.text)
        if begin is None or end is None:
            continue
        chained = fragment.text[begin.start() - 1 : begin.start()] in ("-", "\u2010", "\u2011")
        if chained or vocabulary.is_compound(begin.group(1), end.group()):
            fragment.text = fragment.text[:-1] + "-"
