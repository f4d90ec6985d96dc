"""Measures text in characters or tokens, and finds how far a length reaches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from difyrpc_services.documents.chunking.graphemes import whole_signs

_DENSE: Final = 16  # characters a token; text that has more is white space or one letter over and over


class Ruler:
    """Measures in one unit."""

    def __init__(self, count: Callable[[str], int] | None) -> None:
        """Takes what counts tokens; None = characters are counted."""
        self._tokens = count
        self.length: Callable[[str], int] = count or len

    def fits(self, text: str, begin: int, end: int, limit: int) -> bool:
        """Answers whether that part of the text is no longer than `limit`."""
        if self._tokens is None:
            return end - begin <= limit
        sample = begin + limit * _DENSE
        if end > sample and self._tokens(text[begin:sample]) > limit:
            return False
        return self._tokens(text[begin:end]) <= limit

    def reach(self, text: str, begin: int, end: int, limit: int) -> int:
        """Answers the end of the longest part from `begin` that fits; a sign further if not even one fits."""
        if self._tokens is None:
            return whole_signs(text, begin, min(end, begin + limit))
        low, high = begin, min(end, begin + limit * _DENSE)
        guess = min(high, begin + limit * 4)
        while low < high:
            if self._tokens(text[begin:guess]) <= limit:
                low = guess
            else:
                high = guess - 1
            guess = (low + high + 1) // 2
        return whole_signs(text, begin, max(low, begin + 1))

    def tail(self, text: str, begin: int, end: int, limit: int) -> int:
        """Answers the beginning of the longest part up to `end` that fits."""
        if self._tokens is None:
            return max(begin, end - limit)
        low, high = max(begin, end - limit * _DENSE), end
        guess = max(low, end - limit * 4)
        while low < high:
            if self._tokens(text[guess:end]) <= limit:
                high = guess
            else:
                low = guess + 1
            guess = (low + high) // 2
        return high
