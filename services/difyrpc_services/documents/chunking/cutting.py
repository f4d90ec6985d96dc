"""Makes the chunks of a document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from difyrpc_services.documents.chunking.delimiters import Delimiter
from difyrpc_services.documents.chunking.following import following
from difyrpc_services.documents.chunking.packing import Packer
from difyrpc_services.documents.chunking.pairs import Pairs
from difyrpc_services.documents.chunking.passages import Tidy, by_page, path_text, raw_sheet, structured, tidying
from difyrpc_services.documents.chunking.rulers import Ruler
from difyrpc_services.documents.chunking.sheets import Mark, Path, Sheet, Slice, shared, sheet_of
from difyrpc_services.documents.chunking.tokenizers import Count, counter
from difyrpc_services.documents.chunking.values import Chunk, Chunking
from difyrpc_services.documents.elements import Clause, Element
from difyrpc_services.documents.writing import RUNNING


def chunks_of(
    elements: Sequence[Element], clauses: Sequence[Clause], chunking: Chunking, *, running: bool, raw: str | None = None
) -> list[Chunk]:
    """Answers the chunks; `running` keeps headers and footers.

    `raw` is the plain text that the elements were read from, if they were: a separator is looked for in it.
    """
    if chunking.mode == "qa":
        return pairs_of(elements, chunking, running=running)[0]
    sheet = _sheet(_shown(elements, running), clauses, chunking, raw)
    return list(_Cutting(sheet, chunking, _counter(chunking)).chunks())


def pairs_of(elements: Sequence[Element], chunking: Chunking, *, running: bool) -> tuple[list[Chunk], int]:
    """Answers the chunks of questions and answers, and how many elements with text stand in no pair."""
    pairs = Pairs(_shown(elements, running), _tidy(chunking))
    count = _counter(chunking)
    chunks = [
        Chunk(
            id=f"k{number}",
            text=pair.question,
            answer=pair.answer,
            heading_path=shared(pair.marks),
            pages=_pages(pair.marks),
            element_ids=_unique(mark.element for mark in pair.marks),
            tokens=count(pair.question) if count else 0,
        )
        for number, pair in enumerate((pair for pair in pairs.found if pair.question), start=1)
    ]
    return chunks, pairs.outside


def _shown(elements: Sequence[Element], running: bool) -> list[Element]:
    return [element for element in elements if running or element.kind not in RUNNING]


def _tidy(chunking: Chunking) -> Tidy:
    return tidying(collapse_spaces=chunking.collapse_spaces, remove_contacts=chunking.remove_contacts)


def _counter(chunking: Chunking) -> Count | None:
    return counter(chunking.tokenizer) if chunking.tokenizer else None


def _sheet(elements: Sequence[Element], clauses: Sequence[Clause], chunking: Chunking, raw: str | None) -> Sheet:
    tidy = _tidy(chunking)
    if chunking.boundary == "separator" and raw is not None:
        return raw_sheet(raw, elements, tidy)
    if chunking.boundary == "clauses" and clauses:
        return sheet_of(following(elements, clauses, tidy))
    return sheet_of((by_page if chunking.boundary == "pages" else structured)(elements, tidy))


@dataclass(frozen=True, slots=True)
class _Cutting:
    """Cuts one sheet into chunks."""

    sheet: Sheet
    chunking: Chunking
    count: Count | None
    ruler: Ruler = field(init=False)

    def __post_init__(self) -> None:
        in_tokens = self.chunking.unit == "tokens"
        object.__setattr__(self, "ruler", Ruler(self.count if in_tokens else None))  # frozen, but made of the fields

    def chunks(self) -> Iterator[Chunk]:
        """Answers the chunks; in mode parent_child each parent before its children."""
        families = self.chunking.mode == "parent_child"
        size = self.chunking.size
        number = 0
        for found in self._parents(size, 0 if families else self.chunking.overlap):
            text = self._written(found, size)
            if not text:
                continue
            number += 1
            yield self._chunk(found, text, f"k{number}")
            if families:
                yield from self._children(found, f"k{number}")

    def _parents(self, size: int, overlap: int) -> Iterable[Slice]:
        end = len(self.sheet.text)
        if self.chunking.mode == "parent_child" and self.chunking.whole_document:
            return [Slice(0, end)]
        separator = self.chunking.separator if self.chunking.boundary == "separator" else ""
        return self._slices(0, end, size, overlap, separator)

    def _children(self, parent: Slice, name: str) -> Iterator[Chunk]:
        size = self.chunking.child_size
        start, end = self.sheet.trimmed(parent.start, parent.end)
        slices = self._slices(start, end, size, self.chunking.overlap, self.chunking.child_separator)
        texts = ((found, self._written(found, size)) for found in slices)
        for place, (found, text) in enumerate(((found, text) for found, text in texts if text), start=1):
            yield self._chunk(found, text, f"{name}.{place}", parent=name)

    def _slices(self, start: int, end: int, size: int, overlap: int, separator: str) -> Iterator[Slice]:
        room = self._room(size)
        if separator:
            return Delimiter(self.sheet.text, self.ruler, separator, room, overlap).slices(start, end)
        packer = Packer(self.sheet, self.ruler, size, overlap, room, lambda found: self._written(found, size))
        return packer.slices(start, end)

    def _room(self, size: int) -> Callable[[int], int]:
        if not self.chunking.prepend_headings:
            return lambda _: size
        lengths: dict[Path, int] = {}

        def room(start: int) -> int:
            path = self.sheet.at(start).above
            if path not in lengths:
                lengths[path] = self.ruler.length(self._before(path, size))
            return size - lengths[path]

        return room

    def _before(self, path: Path, size: int) -> str:
        """Answers the titles as they stand before a chunk: the lowest of them that fill no more than half of it."""
        while path and self.ruler.length(path_text(path)) > size // 2:
            path = path[1:]
        return path_text(path)

    def _written(self, found: Slice, size: int) -> str:
        start, end = self.sheet.trimmed(found.start, found.end)
        if start >= end:
            return ""
        text = found.head + self.sheet.text[start:end]
        if not self.chunking.prepend_headings:
            return text
        marks = self.sheet.within(start, end)
        under = marks[0].above != marks[0].headings  # begins with a title, which needs not stand there twice
        whole = self._before(marks[0].above if under else shared(marks), size) + text
        return whole if self.ruler.length(whole) <= size else text

    def _chunk(self, found: Slice, text: str, identity: str, parent: str = "") -> Chunk:
        marks = self.sheet.within(*self.sheet.trimmed(found.start, found.end))
        return Chunk(
            id=identity,
            text=text,
            heading_path=shared(marks),
            pages=_pages(marks),
            element_ids=_unique(mark.element for mark in marks),
            clause_ids=_unique(mark.clause for mark in marks),
            parent_id=parent,
            tokens=self.count(text) if self.count else 0,
        )


def _pages(marks: Sequence[Mark]) -> tuple[int, ...]:
    return tuple(sorted({page for mark in marks for page in mark.pages}))


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))
