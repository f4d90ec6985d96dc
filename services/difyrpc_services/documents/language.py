"""Says in which language most of a text is."""

from __future__ import annotations

from collections import Counter
from typing import Final

from resiliparse.parse.lang import detect_fast

LEAST: Final = 40  # letters; fewer say nothing, unless they are Chinese
LEAST_HAN: Final = 2  # signs that make a short text Chinese
MOST: Final = 5_000  # characters that are looked at
_UNSURE: Final = 1_200  # resiliparse's distance above which its answer is a guess


class Sample:
    """Gathers the beginning of a text until it is enough."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0

    def add(self, text: str) -> None:
        """Takes a piece of the text."""
        if self._length < MOST:
            self._parts.append(text)
            self._length += len(text)

    def language(self) -> str:
        """Answers a BCP 47 tag; empty when the text is too short to say."""
        return language_of(" ".join(self._parts))


def language_of(text: str) -> str:
    """Answers `zh`, `ja`, `ko` by script, else a guess by letters; empty when too short to say."""
    scripts: Counter[str] = Counter()
    for character, count in Counter(text[:MOST]).items():
        if character.isalpha():
            scripts[_script(character)] += count
    letters = sum(scripts.values())
    if letters < LEAST:
        chinese = scripts["han"] >= LEAST_HAN and not scripts["kana"] and not scripts["hangul"]
        return "zh" if chinese and scripts["han"] * 4 > letters else ""
    if scripts["kana"] * 12 > letters:
        return "ja"
    if scripts["hangul"] * 4 > letters:
        return "ko"
    if scripts["han"] * 4 > letters:
        return "zh"
    language, distance = detect_fast(text[:MOST])
    if distance < _UNSURE and language != "unknown":
        return str(language)
    return "en" if text.isascii() else ""


def _script(character: str) -> str:
    if character < "\u1100":
        return "other"
    if "\u4e00" <= character <= "\u9fff" or "\u3400" <= character <= "\u4dbf" or "\uf900" <= character <= "\ufaff":
        return "han"
    if "\u3040" <= character <= "\u30ff":
        return "kana"
    if "\uac00" <= character <= "\ud7af" or "\u1100" <= character <= "\u11ff":
        return "hangul"
    return "other"
