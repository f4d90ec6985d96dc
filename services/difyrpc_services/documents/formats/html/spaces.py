"""White space and invisible signs of a page, as a browser shows them."""

from __future__ import annotations

import re
from typing import Final

BREAK: Final = "\x0b"  # stands for a line break that the author set
_SPACE: Final = re.compile(r"[ \t\n\r\f\xa0]+")
_BREAKS: Final = re.compile(rf" ?(?:{BREAK} ?)+")
_WRAPPED: Final = re.compile(
    r"(?<=[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef])[ \t]*\n\s*(?=[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef])"
)
_INVISIBLE: Final = re.compile("[\xad\u200b\u2060\ufeff]")


def shown(text: str) -> str:
    """Answers a text as a browser shows it: white space as one space, but for breaks that were set."""
    if not text.isascii():
        if "\n" in text:
            text = _WRAPPED.sub("", text)
        if _INVISIBLE.search(text):
            text = _INVISIBLE.sub("", text)
    if BREAK not in text and "\u3000" not in text:
        return " ".join(text.split())
    text = _SPACE.sub(" ", text)
    return (_BREAKS.sub("\n", text) if BREAK in text else text).strip(" \n")
