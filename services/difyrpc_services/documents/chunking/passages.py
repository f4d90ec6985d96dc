"""Makes passages of elements: titles, paragraphs, list items, tables and program text, with the places of pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from difyrpc_services.documents.chunking import tables
from difyrpc_services.documents.chunking.sheets import Mark, Passage, Path, Sheet, sheet_of
from difyrpc_services.documents.elements import Element

Tidy = Callable[[str], str]


def structured(elements: Iterable[Element], tidy: Tidy) -> Iterator[Passage]:
    """Answers a passage an element; chunks begin at titles, and at each file inside the document."""
    before: Element | None = None
    for element in elements:
        passage = passage_of(element, tidy)
        if passage is None:
            continue
        under = before is not None and before.kind == "title" and before.attachment_id == element.attachment_id
        begins = element.kind == "title" and not under
        moved = before is not None and before.attachment_id != element.attachment_id
        close = before is not None and before.kind == element.kind == "list_item"
        yield replace(passage, begins=begins or moved, close=close)
        before = element


def by_page(elements: Iterable[Element], tidy: Tidy) -> Iterator[Passage]:
    """Answers passages, cut where a page ends; chunks begin there. A table over two pages stays whole."""
    page: tuple[int, ...] | None = None
    for passage in structured(elements, tidy):
        for part in _per_page(passage):
            begins = page is not None and part.marks[0].pages != page
            page = part.marks[0].pages
            yield replace(part, begins=begins)


def _per_page(passage: Passage) -> Iterator[Passage]:
    ends = [mark.offset for mark in passage.marks[1:]] + [len(passage.text)]
    for mark, end in zip(passage.marks, ends, strict=True):
        yield part_of(passage, mark.offset, end)


def part_of(passage: Passage, start: int, end: int) -> Passage:
    """Answers a part of a passage, without space at its ends, with the marks of its places."""
    if start == 0 and end == len(passage.text):
        return passage
    text = passage.text[start:end]
    start += len(text) - len(text.lstrip())
    first = [mark for mark in passage.marks if mark.offset <= start][-1]
    inside = [mark for mark in passage.marks if start < mark.offset < end]
    marks = [replace(mark, offset=max(0, mark.offset - start)) for mark in (first, *inside)]
    return replace(passage, text=text.strip(), marks=tuple(marks), head="")


def passage_of(element: Element, tidy: Tidy) -> Passage | None:
    """Answers the passage of one element; None if it has no text."""
    head = ""
    if element.table is not None:
        text, head = (tidy(part) for part in tables.written(element.table))
    else:
        text = tidy(element.written)
    verbatim = element.kind == "code"
    text = text.strip("\n").rstrip() if verbatim else text.strip()
    if not text:
        return None
    return Passage(
        text=text,
        marks=_marks(element, text),
        keeps=element.kind == "title",
        verbatim=verbatim,
        head=head if text.startswith(head) else "",
    )


def mark_of(element: Element) -> Mark:
    """Answers what is known of an element as a whole."""
    above = element.heading_path
    headings = (*above, element.written) if element.kind == "title" else above
    pages = tuple(sorted({box.page for box in element.boxes})) or ((element.page,) if element.page else ())
    return Mark(headings=headings, above=above, pages=pages, element=element.id)


def _marks(element: Element, text: str) -> tuple[Mark, ...]:
    mark = mark_of(element)
    if len(mark.pages) < 2 or not element.lines:
        return (mark,)
    return tuple(replace(mark, offset=offset, pages=(page,)) for page, offset in _page_starts(element, text).items())


def _page_starts(element: Element, text: str) -> dict[int, int]:
    """Answers where in a text each page begins: as many signs are before it as its lines say."""
    starts: dict[int, int] = {}
    signs = 0
    for line in element.lines:
        if line.box.page not in starts:
            starts[line.box.page] = signs
        signs += _signs(line.text)
    whole = _signs(text)
    starts = {page: round(count * whole / max(1, signs)) if signs != whole else count for page, count in starts.items()}
    return _offsets(text, starts)


def _signs(text: str) -> int:
    return len(text) - sum(map(str.isspace, text))


def _offsets(text: str, starts: dict[int, int]) -> dict[int, int]:
    """Turns counts of signs into places in the text."""
    found: dict[int, int] = {}
    wanted = sorted(starts.items(), key=lambda item: item[1])
    count = 0
    for offset, sign in enumerate(text):
        while wanted and count >= wanted[0][1] and (not sign.isspace() or not offset):
            found[wanted.pop(0)[0]] = offset
        if not wanted:
            break
        count += not sign.isspace()
    return found


def raw_sheet(raw: str, elements: Sequence[Element], tidy: Tidy) -> Sheet:
    """Answers a sheet of a plain text as it stands; its elements mark their places in it."""
    text = tidy(raw)
    marks = [Mark()]
    place = 0
    for element in elements:
        line = tidy(element.text.partition("\n")[0])
        offset = text.find(line, place) if line else -1
        if offset < 0:
            continue
        if offset == 0:
            marks.clear()
        marks.append(replace(mark_of(element), offset=offset))
        place = offset + len(line)
    return sheet_of([Passage(text=text, marks=tuple(marks))])


_BLANK_LINES: Final = re.compile(r"\n{3,}")
_SPACES: Final = re.compile(r"[\t\f\r \u00a0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000]{2,}")
_EMAIL: Final = re.compile(r"(?<![a-zA-Z0-9_.+-])[a-zA-Z0-9_.+-]++@[a-zA-Z0-9-]+\.[a-zA-Z0-9.-]+")
_URL: Final = re.compile(r"(?P<image>!\[[^\]\n]{0,300}\]\(https?://[^\s)]+\))|https?://[^\s)]+")


def tidying(*, collapse_spaces: bool, remove_contacts: bool) -> Tidy:
    """Answers what is done to each text before it is cut: the two rules that Dify has, with its patterns.

    Spaces come second, so that none is left where an address was.
    """

    def tidied(text: str) -> str:
        if remove_contacts and "@" in text:
            text = _EMAIL.sub("", text)
        if remove_contacts and "://" in text:
            text = _URL.sub(lambda match: match["image"] or "", text)
        if collapse_spaces:
            text = _SPACES.sub(" ", _BLANK_LINES.sub("\n\n", text))
        return text

    return tidied


def path_text(path: Path) -> str:
    """Answers titles as they stand before a chunk."""
    return " > ".join(path) + "\n\n" if path else ""
