"""Finds where a text is best cut: behind sentences, lines, phrases, words; inside a word only where nothing else is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from difyrpc_services.documents.chunking.graphemes import may_cut, whole_signs

_END: Final = re.compile(
    r"[。！？；｡।॥؟۔።]+[”’」』）】》〉\")\]]*(?:[ \t]*\n+)?"
    r"|(?<![.!?])[.!?]++[\"'”’)\]]*+(?:(?=\s)|(?<=[!?])(?=[^\x00-\x7f]))(?:[ \t]*\n+)?"
    r"|\n(?:[ \t\u3000]*\n)+"
)
_LINE: Final = re.compile(r"\n+")
_PHRASE: Final = re.compile(r"[，、：；」』）】”]+|(?<![,;:)\]”’–—])[,;:)\]”’–—]++(?=\s)|(?<=\s)[–—|](?=\s)")
_LAST_WORD: Final = re.compile(r"[^\s(\"'“‘\[]*\Z")
_ABBREVIATION: Final = re.compile(
    r"mr|mrs|ms|dr|prof|sr|jr|st|vs|inc|ltd|co|corp|dept|est|approx|ca|cf|al|eds|gen|col|capt|lt|sgt|gov|sen|rep|hon|"
    r"rev|messrs|mme|mlle|bzw|usw|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec"
)
_BEFORE_NUMBERS: Final = re.compile(r"nos?|nr|arts?|secs?|figs?|eqs?|paras?|pp?|vols?|ch|abs")
_BREAK: Final = re.compile(r"[\s\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff60\U00020000-\U0003ffff]")
"""Beside such a sign a word may begin or end."""
_CLOSING: Final = frozenset("，。、；：！？）】》〉」』”’…—～·%‰,.;:!?)]}")
_OPENING: Final = frozenset("（【《〈「『“‘([{")


def sentences(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Answers the sentences of a part of a text, together the whole part; space before one belongs to it."""
    for match in _END.finditer(text, begin, end):
        place = match.end()
        if place < end and place > begin and not _goes_on(text, begin, match):
            yield begin, place
            begin = place
    if begin < end:
        yield begin, end


def lines(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Answers the lines of a part of a text, each with the line breaks behind it."""
    for match in _LINE.finditer(text, begin, end):
        if match.end() < end:
            yield begin, match.end()
            begin = match.end()
    if begin < end:
        yield begin, end


def _goes_on(text: str, begin: int, match: re.Match[str]) -> bool:
    """Answers whether the period there ends no sentence: an abbreviation, an initial, a number, a small letter next."""
    if not match[0].startswith("."):
        return False
    if "\n\n" in match[0]:
        return False
    following = text[match.end() : match.end() + 40].lstrip()[:1]
    if following.islower():
        return True
    found = _LAST_WORD.search(text, max(begin, match.start() - 24), match.start())
    word = found[0].lower() if found else ""
    if _BEFORE_NUMBERS.fullmatch(word):
        return following.isdigit() or following in "IVXLC"
    if _ABBREVIATION.fullmatch(word) or "." in word or (len(word) == 1 and word.isalpha()):
        return True
    return _numbers(text, match, word)


def _numbers(text: str, match: re.Match[str], word: str) -> bool:
    """Answers whether the period belongs to the number that a line begins with."""
    before = match.start() - len(word) - 1
    return word.isdigit() and len(word) <= 3 and (before < 0 or text[before] == "\n")


def best_cut(text: str, begin: int, end: int) -> int:
    """Answers where a text that goes on at `end` is best cut: at most there, after `begin`."""
    middle = (begin + end) // 2
    line = text.rfind("\n", middle, end)
    if line >= 0:
        return line + 1
    phrase = max((match.end() for match in _PHRASE.finditer(text, middle, end)), default=begin)
    if phrase > begin:
        return phrase
    return word_start(text, begin, end) or whole_signs(text, begin, end)


def word_start(text: str, begin: int, place: int) -> int:
    """Answers the last place in begin + 1 … place where a word begins or ends; 0 if there is none."""
    if _BREAK.search(text, begin, place + 1) is None:
        return 0
    for found in range(place, begin, -1):
        if _between_words(text, found):
            return found
    return 0


def next_word(text: str, place: int, end: int) -> int:
    """Answers the first place from `place` on where a word begins; `end` if there is none."""
    if _BREAK.search(text, max(0, place - 1), end) is None:
        return end
    for found in range(place, end):
        if _between_words(text, found):
            return found
    return end


def _between_words(text: str, place: int) -> bool:
    if place <= 0 or place >= len(text):
        return True
    if not may_cut(text, place):
        return False
    before, after = text[place - 1], text[place]
    if before.isspace() or after.isspace():
        return not before.isspace() or not after.isspace()
    if after in _CLOSING or before in _OPENING:
        return False
    return _stands_alone(before) or _stands_alone(after)


def _stands_alone(sign: str) -> bool:
    """Answers whether a sign is a word of its own: Chinese, Japanese, and their punctuation."""
    return _BREAK.match(sign) is not None
