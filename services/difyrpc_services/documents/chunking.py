"""Cuts elements into chunks for retrieval, along the structure of the text; nothing is left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from difyrpc_services.documents.elements import Clause, Element, Table
from difyrpc_services.documents.writing import RUNNING, table_markdown

Mode = Literal["general", "parent_child"]
Boundary = Literal["structure", "clauses", "pages", "separator"]
SIZE: Final = 1_000  # characters; options.proto, Chunking.size

_SENTENCE: Final = re.compile(r"(?<=[。！？；!?])\s*|(?<=[.;])\s+|\n+")
_WORD: Final = re.compile(r"(?<=\s)")
_SPACES: Final = re.compile(r"[ \t\u00a0\u3000]{2,}")
_EMPTY_LINES: Final = re.compile(r"\n{3,}")
_CONTACTS: Final = re.compile(r"https?://[^\s)>\]]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


@dataclass(frozen=True, kw_only=True)
class Chunking:
    """How text is cut."""

    mode: Mode = "general"
    size: int = SIZE
    """Greatest length in characters."""
    overlap: int = 0
    """Characters of the end of a chunk that the next one repeats."""
    boundary: Boundary = "structure"
    separator: str = ""
    prepend_headings: bool = False
    whole_document: bool = False
    """In mode parent_child: one parent, the whole document."""
    child_size: int = SIZE // 5
    collapse_spaces: bool = False
    remove_contacts: bool = False


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A piece of text for retrieval."""

    id: str
    text: str
    heading_path: tuple[str, ...] = ()
    pages: tuple[int, ...] = ()
    element_ids: tuple[str, ...] = ()
    clause_ids: tuple[str, ...] = ()
    parent_id: str = ""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A run of text that stands together if it fits."""

    text: str
    headings: tuple[str, ...] = ()
    pages: tuple[int, ...] = ()
    elements: tuple[str, ...] = ()
    clauses: tuple[str, ...] = ()
    alone: bool = False
    """Begins a chunk of its own: a title, a clause, a new page."""
    table: Table | None = None


def chunks_of(
    elements: Sequence[Element], clauses: Sequence[Clause], chunking: Chunking, *, running: bool
) -> list[Chunk]:
    """Answers the chunks; `running` keeps headers and footers."""
    elements = [element for element in elements if running or element.kind not in RUNNING]
    if chunking.boundary == "clauses" and clauses:
        pieces = _by_clauses(clauses)
    elif chunking.boundary == "separator":
        pieces = _by_separator(elements, chunking.separator)
    else:
        pieces = _by_structure(elements, by_page=chunking.boundary == "pages")
    tidied = (replace(piece, text=_tidied(piece.text, chunking)) for piece in pieces)
    pieces = [piece for piece in tidied if piece.text.strip()]
    if chunking.mode == "parent_child":
        return _families(pieces, chunking)
    found = _packed(pieces, chunking.size, chunking.overlap)
    return [_chunk(piece, f"k{number}", chunking) for number, piece in enumerate(found, start=1)]


def _chunk(piece: _Piece, identity: str, chunking: Chunking, parent: str = "") -> Chunk:
    text = piece.text
    if chunking.prepend_headings and piece.headings:
        text = " > ".join(piece.headings) + "\n\n" + text
    return Chunk(
        id=identity,
        text=text,
        heading_path=piece.headings,
        pages=piece.pages,
        element_ids=piece.elements,
        clause_ids=piece.clauses,
        parent_id=parent,
    )


def _families(pieces: Sequence[_Piece], chunking: Chunking) -> list[Chunk]:
    """Answers parents, each followed by its children."""
    whole = [_together(pieces)] if pieces else []
    parents = whole if chunking.whole_document else _packed(pieces, chunking.size, 0)
    found: list[Chunk] = []
    for number, parent in enumerate(parents, start=1):
        name = f"k{number}"
        found.append(_chunk(parent, name, chunking))
        children = _packed([parent], chunking.child_size, chunking.overlap)
        found += [
            _chunk(child, f"{name}.{place}", chunking, parent=name) for place, child in enumerate(children, start=1)
        ]
    return found


def _by_structure(elements: Iterable[Element], *, by_page: bool) -> list[_Piece]:
    found: list[_Piece] = []
    page = None
    for element in elements:
        text = table_markdown(element.table) if element.table is not None else element.written
        if not text:
            continue
        path = (*element.heading_path, element.text) if element.kind == "title" else element.heading_path
        new_page = by_page and page is not None and element.page != page
        page = element.page
        found.append(
            _Piece(
                text=text,
                headings=path,
                pages=_pages(element),
                elements=(element.id,) if element.id else (),
                alone=new_page if by_page else element.kind == "title" and not _after_title(found),
                table=element.table,
            )
        )
    return found


def _after_title(found: Sequence[_Piece]) -> bool:
    """Answers whether the piece before is a title too: titles under each other stay together."""
    return bool(found) and bool(found[-1].headings) and found[-1].text == found[-1].headings[-1]


def _pages(element: Element) -> tuple[int, ...]:
    return tuple(sorted({box.page for box in element.boxes} or ({element.page} if element.page else set())))


def _by_clauses(clauses: Sequence[Clause]) -> list[_Piece]:
    known = {clause.id: clause for clause in clauses}
    found = []
    for clause in clauses:
        path: list[str] = []
        above = known.get(clause.parent_id)
        while above is not None and len(path) < 20:
            path.insert(0, f"{above.number} {above.title}".strip())
            above = known.get(above.parent_id)
        found.append(
            _Piece(
                text=clause.text,
                headings=tuple(path),
                pages=clause.pages,
                elements=clause.element_ids,
                clauses=(clause.id,),
                alone=not clause.parent_id or clause.kind in ("article", "section", "chapter", "part"),
            )
        )
    return found


def _by_separator(elements: Sequence[Element], separator: str) -> list[_Piece]:
    whole = _together(_by_structure(elements, by_page=False)) if elements else _Piece("")
    return [replace(whole, text=text.strip(), headings=(), alone=True) for text in whole.text.split(separator)]


def _together(pieces: Sequence[_Piece]) -> _Piece:
    """Answers one piece of all; the heading path is what they share."""
    if len(pieces) == 1:
        return pieces[0]
    paths = [piece.headings for piece in pieces]
    shared = 0
    while all(len(path) > shared for path in paths) and len({path[shared] for path in paths}) == 1:
        shared += 1
    return _Piece(
        text="\n\n".join(piece.text for piece in pieces),
        headings=paths[0][:shared] or paths[0][:1],
        pages=tuple(sorted({page for piece in pieces for page in piece.pages})),
        elements=_unique(name for piece in pieces for name in piece.elements),
        clauses=_unique(name for piece in pieces for name in piece.clauses),
    )


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _packed(pieces: Sequence[_Piece], size: int, overlap: int) -> list[_Piece]:
    """Joins pieces up to `size`, cuts those that are longer; begins anew where a piece stands alone."""
    found: list[_Piece] = []
    held: list[_Piece] = []
    length = 0
    for piece in pieces:
        if held and (piece.alone or length + 2 + len(piece.text) > size):
            found.append(_together(held))
            held, length = [], 0
        if len(piece.text) > size:
            found += [replace(piece, text=text, table=None) for text in _cut(piece, size, overlap)]
            continue
        held.append(piece)
        length += len(piece.text) + (2 if length else 0)
    if held:
        found.append(_together(held))
    return found


def _cut(piece: _Piece, size: int, overlap: int) -> list[str]:
    """Cuts a piece that is too long: tables by rows under their header, text by sentences, then words."""
    if piece.table is not None:
        return _cut_table(piece.text, size)
    return _windows(_units(piece.text, size), size, overlap)


def _cut_table(text: str, size: int) -> list[str]:
    head, mark, *rows = text.split("\n")
    header = f"{head}\n{mark}"
    if len(header) > size // 2:
        return _windows(_units(text, size), size, 0)
    found = [header]
    for row in rows:
        for part in _windows(_units(row, size - len(header) - 1), size - len(header) - 1, 0):
            if len(found[-1]) + 1 + len(part) <= size:
                found[-1] += "\n" + part
            else:
                found.append(f"{header}\n{part}")
    return found


def _units(text: str, size: int) -> Iterator[str]:
    """Answers sentences; a sentence longer than `size` by words, a word longer than it in pieces."""
    for sentence in _split(_SENTENCE, text):
        if len(sentence) <= size:
            yield sentence
            continue
        for word in _split(_WORD, sentence):
            yield from (word[place : place + size] for place in range(0, len(word), size))


def _split(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    """Cuts behind each match, so that the parts joined are the text."""
    begin = 0
    for match in pattern.finditer(text):
        if match.end() > begin:
            yield text[begin : match.end()]
            begin = match.end()
    if begin < len(text):
        yield text[begin:]


def _windows(units: Iterable[str], size: int, overlap: int) -> list[str]:
    """Joins units up to `size`; each window begins with the last units of the one before, up to `overlap`."""
    found: list[str] = []
    held: list[str] = []
    fresh = False
    for unit in units:
        if fresh and len("".join(held)) + len(unit) > size:
            found.append("".join(held).strip())
            held, fresh = _tail(held, min(overlap, size - len(unit))), False
        held.append(unit)
        fresh = True
    if fresh:
        found.append("".join(held).strip())
    return [text for text in found if text]


def _tail(units: Sequence[str], length: int) -> list[str]:
    tail: list[str] = []
    for unit in reversed(units):
        length -= len(unit)
        if length < 0:
            break
        tail.insert(0, unit)
    return tail


def _tidied(text: str, chunking: Chunking) -> str:
    if chunking.remove_contacts:
        text = _CONTACTS.sub("", text)
    if chunking.collapse_spaces:
        text = _EMPTY_LINES.sub("\n\n", _SPACES.sub(" ", text))
    return text
