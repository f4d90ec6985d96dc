"""Cuts at a separator as Dify does: parts are never joined, those too long are cut at weaker separators in turn.

The weaker ones are the empty line, `。`, a period with a space, and the space; each stays at the end of what it ends.
What they leave is joined up to the size, and the next chunk repeats whole parts up to the overlap. Where none of them
stands, signs are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from difyrpc_services.documents.chunking.graphemes import whole_signs
from difyrpc_services.documents.chunking.rulers import Ruler
from difyrpc_services.documents.chunking.sheets import Slice

_WEAKER: Final = ("\n\n", "。", ". ", " ")

_Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Delimiter:
    """Cuts one text."""

    text: str
    ruler: Ruler
    separator: str
    room: Callable[[int], int]
    """Answers the greatest length of a chunk that begins at a place."""
    overlap: int

    def slices(self, start: int, end: int) -> Iterator[Slice]:
        """Answers the slices of a part of the text; the separator itself is left out."""
        while start <= end:
            stop = self.text.find(self.separator, start, end)
            stop = end if stop < 0 else stop
            if stop > start:
                yield from self._part(start, stop)
            start = stop + len(self.separator)

    def _part(self, start: int, end: int) -> Iterator[Slice]:
        size = self.room(start)
        if self.ruler.fits(self.text, start, end, size):
            yield Slice(start, end)
            return
        for first, last in self._cut(start, end, size, _WEAKER):
            # A sum of tokens may fall short of the tokens of the whole.
            fits = self.ruler.fits(self.text, first, last, size)
            spans = [(first, last)] if fits else self._counted(first, last, size)
            yield from (Slice(*span) for span in spans)

    def _cut(self, start: int, end: int, size: int, weaker: Sequence[str]) -> Iterator[_Span]:
        place = next((place for place, one in enumerate(weaker) if self.text.find(one, start, end) >= 0), None)
        if place is None:
            yield from self._counted(start, end, size)
            return
        held: list[_Span] = []
        for span in self._split(start, end, weaker[place]):
            if self._length(span) < size:
                held.append(span)
                continue
            yield from self._joined(held, size)
            held = []
            yield from self._cut(*span, size, weaker[place + 1 :])
        yield from self._joined(held, size)

    def _split(self, start: int, end: int, separator: str) -> Iterator[_Span]:
        while (found := self.text.find(separator, start, end)) >= 0:
            yield start, found + len(separator)
            start = found + len(separator)
        if start < end:
            yield start, end

    def _joined(self, spans: Sequence[_Span], size: int) -> Iterator[_Span]:
        """Joins spans up to the size; each group begins with the last spans of the one before, up to the overlap."""
        first = total = 0
        lengths = [self._length(span) for span in spans]
        for place, length in enumerate(lengths):
            if total + length > size and place > first:
                yield spans[first][0], spans[place - 1][1]
                while total > self.overlap or (total + length > size and total > 0):
                    total -= lengths[first]
                    first += 1
            total += length
        if first < len(spans):
            yield spans[first][0], spans[-1][1]

    def _counted(self, start: int, end: int, size: int) -> Iterator[_Span]:
        """Cuts by the size alone; no sign is split."""
        while not self.ruler.fits(self.text, start, end, size):
            stop = self.ruler.reach(self.text, start, end, size)
            yield start, stop
            again = self.ruler.tail(self.text, start, stop, self.overlap) if self.overlap else stop
            start = max(start + 1, whole_signs(self.text, start, again)) if again < stop else stop
        yield start, end

    def _length(self, span: _Span) -> int:
        return self.ruler.length(self.text[span[0] : span[1]])
