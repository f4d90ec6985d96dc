"""Joins printed lines into running text, with or without a space as the scripts want it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

HYPHEN: Final = "\x02"  # pdfium's sign for a hyphen at the end of a line
_NO_SPACE: Final = re.compile(
    "[\u2e80-\u2fdf\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef]"
)
_SPACES: Final = re.compile(r"[ \t\u2000-\u200a\u202f]+")


def joined(lines: Sequence[str]) -> str:
    """Answers the lines as one text: hyphens at ends of lines undone, no spaces inside Chinese and Japanese."""
    text = ""
    for raw in lines:
        line = _SPACES.sub(" ", raw).strip(" ")
        if line:
            text = after(text, line)
    return text.replace(HYPHEN, "-")


def after(text: str, line: str) -> str:
    """Answers `text` with `line` behind it."""
    if not text:
        return line
    if text[-1] in (HYPHEN, "-") and len(text) > 1 and text[-2].isalpha():
        if line[0].islower() and text[-2].islower() and text[-1] == HYPHEN:
            return text[:-1] + line
        return text[:-1] + "-" + line
    if text[-1] == HYPHEN:
        text = text[:-1] + "-"
    if _NO_SPACE.match(text[-1]) and _NO_SPACE.match(line[0]):
        return text + line
    if text[-1] in "\u2014\u2013/" and text[-2:-1] != " ":
        return text + line
    return text + " " + line


def is_cjk(character: str) -> bool:
    """Answers whether no spaces stand beside a character of this script."""
    return _NO_SPACE.match(character) is not None
