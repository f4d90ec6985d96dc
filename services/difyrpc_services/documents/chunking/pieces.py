"""Cuts passages into pieces that fit a size: whole where they fit, else rows, lines, sentences, parts of sentences."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from difyrpc_services.documents.chunking.rulers import Ruler
from difyrpc_services.documents.chunking.sentences import best_cut, lines, sentences
from difyrpc_services.documents.chunking.sheets import Place, Sheet


@dataclass(frozen=True, slots=True)
class Piece:
    """What is not cut further."""

    start: int
    end: int
    """With the space behind it."""
    size: int
    """In the unit, with the space behind it."""
    bare: int
    """In the unit, without that space."""
    begins: bool = False
    """A chunk begins with it."""
    opens: bool = False
    """The first piece of a passage that is too long for one chunk."""
    keeps: bool = False
    """Goes with what follows it."""
    flows: bool = True
    """A chunk may repeat it, or what stands before it."""
    head: str = ""
    """Header rows that stand before it where a chunk begins with it."""


@dataclass(frozen=True, slots=True)
class Cutter:
    """Cuts the passages of one sheet."""

    sheet: Sheet
    ruler: Ruler
    room: Callable[[int], int]
    """Answers the greatest length of what begins at a place."""

    def pieces(self, start: int, end: int) -> Iterator[Piece]:
        """Answers the pieces of a part of the sheet, in order; together they hold all of it."""
        places = self.sheet.places
        for index in range(max(0, bisect_right(places, start, key=lambda place: place.start) - 1), len(places)):
            place = places[index]
            if place.start >= end:
                return
            first, last = max(start, place.start), min(place.end, end)
            if first < last:
                yield from self._passage(place, first, last, min(place.after, end))

    def _passage(self, place: Place, start: int, end: int, after: int) -> Iterator[Piece]:
        passage = place.passage
        begins = passage.begins and start == place.start
        body = place.start + len(passage.head)
        head = passage.head if start >= body else ""
        room = self.room(start)
        bare = self._length(start, end) + (self.ruler.length(head) if head else 0)
        if bare <= room:
            size = bare + (self._length(end, after) if after > end else 0)
            flows = not (passage.head or passage.keeps)
            yield Piece(start, after, size, bare, begins=begins, keeps=passage.keeps, flows=flows, head=head)
        elif passage.head:
            yield from self._rows(place, start, end, after, begins=begins)
        else:
            units = lines if passage.verbatim else sentences
            opens = True
            for first, last in units(self.sheet.text, start, end):
                for part in self._fitting(first, after if last == end else last, room):
                    yield self._piece(*part, begins=begins, opens=opens)
                    begins = opens = False

    def _rows(self, place: Place, start: int, end: int, after: int, *, begins: bool) -> Iterator[Piece]:
        """Cuts a table between its rows, each under the header rows unless these fill half of a chunk."""
        room = self.room(start)
        head = place.passage.head
        body = place.start + len(head)
        length = self.ruler.length(head)
        if length > room // 2:
            head, length = "", 0
        elif start < body:
            yield Piece(start, body, length, length, begins=begins, opens=True, keeps=True, flows=False)
            start, begins = body, False
        for first, last in lines(self.sheet.text, start, end):
            for part in self._fitting(first, after if last == end else last, room - length):
                yield self._piece(*part, begins=begins, opens=begins, head=head, flows=False)
                begins = False

    def _fitting(self, start: int, end: int, room: int) -> Iterator[tuple[int, int]]:
        """Answers the part whole if it fits, else cut where a reader would."""
        text = self.sheet.text
        while not self.ruler.fits(text, start, end, room):
            cut = best_cut(text, start, self.ruler.reach(text, start, end, room))
            if cut >= end:
                break
            yield start, cut
            start = cut
        yield start, end

    def _piece(self, start: int, end: int, *, begins: bool, opens: bool, head: str = "", flows: bool = True) -> Piece:
        size = self._length(start, end)
        text = self.sheet.text[start:end]
        bare = self.ruler.length(text.rstrip()) if text[-1].isspace() else size
        return Piece(start, end, size, bare, begins=begins, opens=opens, flows=flows, head=head)

    def _length(self, start: int, end: int) -> int:
        return self.ruler.length(self.sheet.text[start:end])
