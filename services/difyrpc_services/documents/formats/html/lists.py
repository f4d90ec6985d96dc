"""Counts the items of numbered lists as a browser does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_ROMAN: Final = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
    (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_MOST: Final = 10**9


@dataclass(slots=True)
class _List:
    numbered: bool
    style: str = "1"
    next: int = 1
    step: int = 1


class ListNumbers:
    """The lists that are open, the outermost first."""

    def __init__(self) -> None:
        self._open: list[_List] = []

    @property
    def depth(self) -> int:
        """How deep the innermost list is, from 1."""
        return max(1, len(self._open))

    def enter(self, tag: str, found: dict[str, str]) -> None:
        """Begins a list."""
        if tag != "ol" or "none" in found.get("style", ""):
            self._open.append(_List(False))
            return
        step = -1 if "reversed" in found else 1
        start = _integer(found.get("start", ""), 1)
        self._open.append(_List(True, found.get("type", "1"), start, step))

    def leave(self) -> None:
        """Ends the innermost list."""
        if self._open:
            self._open.pop()

    def next(self, found: dict[str, str]) -> str:
        """Answers what is printed before the next item; empty for a bullet."""
        if not self._open or not self._open[-1].numbered:
            return ""
        inner = self._open[-1]
        number = _integer(found.get("value", ""), inner.next)
        inner.next = number + inner.step
        return _printed(number, found.get("type", inner.style)) + "."


def _integer(text: str, otherwise: int) -> int:
    try:
        return max(-_MOST, min(_MOST, int(text[:12])))
    except ValueError:
        return otherwise


def _printed(number: int, style: str) -> str:
    if style in ("a", "A") and number > 0:
        letters = ""
        while number:
            number, rest = divmod(number - 1, 26)
            letters = chr(97 + rest) + letters
        return letters if style == "a" else letters.upper()
    if style in ("i", "I") and 0 < number < 4000:
        text = ""
        for value, sign in _ROMAN:
            text += sign * (number // value)
            number %= value
        return text if style == "i" else text.upper()
    return str(number)
