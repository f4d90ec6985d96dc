"""Joins pieces into slices up to a size."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from difyrpc_services.documents.chunking.graphemes import whole_signs
from difyrpc_services.documents.chunking.pieces import Cutter, Piece
from difyrpc_services.documents.chunking.rulers import Ruler
from difyrpc_services.documents.chunking.sentences import best_cut, next_word, sentences
from difyrpc_services.documents.chunking.sheets import Sheet, Slice


class _Stream:
    """Pieces, of which some may be put back."""

    def __init__(self, pieces: Iterator[Piece]) -> None:
        self._coming = pieces
        self._back = deque[Piece]()

    def take(self) -> Piece | None:
        return self._back.popleft() if self._back else next(self._coming, None)

    def look(self) -> Piece | None:
        if not self._back and (piece := next(self._coming, None)) is not None:
            self._back.append(piece)
        return self._back[0] if self._back else None

    def put_back(self, piece: Piece) -> None:
        self._back.appendleft(piece)


@dataclass(frozen=True, slots=True)
class Packer:
    """Joins the pieces of one sheet."""

    sheet: Sheet
    ruler: Ruler
    size: int
    overlap: int
    room: Callable[[int], int]
    """Answers the greatest length of a chunk that begins at a place, without the titles before it."""
    written: Callable[[Slice], str]
    """Answers the text of a slice's chunk."""

    def slices(self, start: int, end: int) -> Iterator[Slice]:
        """Answers the slices of a part of the sheet; together they hold all of it, and none is too long."""
        stream = _Stream(Cutter(self.sheet, self.ruler, self.room).pieces(start, end))
        begin: int | None = None
        while (first := stream.take()) is not None:
            held = self._gathered(first, first.start if begin is None else begin, stream)
            found = self._fitting(first.start if begin is None else begin, held, stream)
            yield found
            begin = self._repeated(held, stream.look())

    def _gathered(self, first: Piece, begin: int, stream: _Stream) -> list[Piece]:
        """Takes what goes with the first piece into one chunk; a title at its end goes with what follows."""
        room = self.room(begin) - self._length(begin, first.start)
        held, total = [first], first.size + self.ruler.length(first.head)
        while (piece := stream.look()) is not None and not piece.begins:
            if total + piece.bare > room or (piece.opens and total >= room // 2 and not held[-1].keeps):
                self._pass_on_titles(held, stream)
                break
            stream.take()
            held.append(piece)
            total += piece.size
        return held

    def _pass_on_titles(self, held: list[Piece], stream: _Stream) -> None:
        while len(held) > 1 and held[-1].keeps:
            stream.put_back(held.pop())

    def _fitting(self, begin: int, held: list[Piece], stream: _Stream) -> Slice:
        """Answers the slice of the pieces, without the last ones if the sum of tokens came out too high."""
        while True:
            head = held[0].head if begin == held[0].start else ""
            found = Slice(begin, held[-1].end, head)
            over = self.ruler.length(self.written(found)) - self.size
            if over <= 0:
                return found
            if begin < held[0].start:
                begin = held[0].start
            elif len(held) > 1:
                stream.put_back(held.pop())
            elif held[0].end - held[0].start < 2:
                return found
            else:
                held[0] = self._shortened(held[0], over, stream)

    def _shortened(self, piece: Piece, over: int, stream: _Stream) -> Piece:
        """Cuts a piece and puts its rest back."""
        text = self.sheet.text
        limit = max(1, self._length(piece.start, piece.end) - over)
        cut = best_cut(text, piece.start, self.ruler.reach(text, piece.start, piece.end, limit))
        if cut >= piece.end:
            cut = whole_signs(text, piece.start, piece.end - 1)
        rest = self._length(cut, piece.end)
        stream.put_back(replace(piece, start=cut, size=rest, bare=rest, begins=False, opens=False))
        length = self._length(piece.start, cut)
        return replace(piece, end=cut, size=length, bare=length)

    def _repeated(self, held: list[Piece], following: Piece | None) -> int | None:
        """Answers where the next chunk begins if it repeats the end of this one: at a sentence, else at a word."""
        if not self.overlap or following is None or following.begins or not (following.flows and held[-1].flows):
            return None
        text = self.sheet.text
        cut = held[0].start + len(text[held[0].start : held[-1].end].rstrip())
        space = self._length(cut, held[-1].end)
        allowed = min(self.overlap, self.room(held[0].start) - following.bare - space)
        first = max((piece.start for piece in held if not piece.flows), default=held[0].start - 1) + 1
        first = max(first, held[0].start)
        if allowed <= 0 or first >= cut:
            return None
        earliest = self.ruler.tail(text, first, cut, allowed)
        starts = (start for start, _ in sentences(text, first, cut) if start >= earliest)
        begin = next(starts, None)
        begin = next_word(text, earliest, cut) if begin is None else begin
        return begin if begin < cut else None

    def _length(self, start: int, end: int) -> int:
        return self.ruler.length(self.sheet.text[start:end]) if end > start else 0
