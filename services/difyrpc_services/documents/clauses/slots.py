"""Finds the places where a clause may begin: markers at the start of rows, and (a) right after a heading."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from difyrpc_services.documents.clauses.chinese import chinese_markers
from difyrpc_services.documents.clauses.english import english_markers
from difyrpc_services.documents.clauses.free import free_markers
from difyrpc_services.documents.clauses.markers import CONTRADICTED, Marker, Slot
from difyrpc_services.documents.clauses.numbering import folded
from difyrpc_services.documents.clauses.rows import MAX_ROW_CHARACTERS, Row

Reader = Callable[..., list[Marker]]
READERS: dict[str, Reader] = {"zh": chinese_markers, "en": english_markers}
_FIRST_OF_LIST = re.compile(r"\((?:a|i|A|1|I|一)\)\s*(?:\S|$)|[①㈠]\s*\S|(?<![\d.])1[、.](?!\d)\s*\S")
_CJK = re.compile(r"[\u4e00-\u9fff]")
_HEADING_BEFORE = re.compile(r"[^.。;；]{0,110}?[.:—–:]\s+$")


def slots_of(rows: Sequence[Row], language: str) -> list[Slot]:
    """Answers every slot, in reading order, quoted and dropped rows left out."""
    read = READERS[language]
    slots: list[Slot] = []
    bare = False
    for index, row in enumerate(rows):
        if row.dropped:
            continue
        goes_on = index + 1 < len(rows) and rows[index + 1].begins < 0
        found = [] if row.silent or row.quoted else _slots_of_row(index, row, read, goes_on=goes_on)
        if not found and slots and row.begins < 0 and slots[-1].row == index - 1:
            found = _list_after_wrapped_heading(index, row, slots[-1], read)
        if bare and found and found[0].markers[0].style == "definition":
            found = []  # the text of the number that stands alone above it
        slots.extend(found)
        bare = bool(found) and not found[-1].text[found[-1].markers[0].end :].strip(" .:")
    return slots


def _slots_of_row(index: int, row: Row, read: Reader, *, goes_on: bool) -> list[Slot]:
    text = folded(row.written[:MAX_ROW_CHARACTERS])
    markers = read(text, automatic=bool(row.number))
    if row.number:
        markers = [marker._replace(weight=max(marker.weight, 1.0)) for marker in markers]
    markers = [marker for marker in markers if marker.weight > CONTRADICTED]
    if not markers:
        return []
    if goes_on and _CJK.search(text):
        markers = [marker._replace(heading=False) for marker in markers]
    if row.bold:
        markers = [marker._replace(weight=marker.weight + 0.5) for marker in markers]
    slots = [_slot(index, row, markers, offset=0, begins=row.begins)]
    offset = markers[0].end
    for _ in range(3):
        found = _inline(text, offset, read)
        if found is None:
            break
        offset, inner = found
        slots.append(_slot(index, row, inner, offset=offset, begins=2.0))
        offset = inner[0].end
    return slots


def _list_after_wrapped_heading(index: int, row: Row, heading: Slot, read: Reader) -> list[Slot]:
    """Answers the `(a)` that stands in the second row of `Section 2.1 Representations of / the Seller. (a) …`."""
    head = folded(heading.text[heading.markers[0].end :])
    text = folded(row.text[:MAX_ROW_CHARACTERS])
    match = _FIRST_OF_LIST.search(text, 0, 130)
    if row.silent or row.quoted or not match or not head[:1].isupper():
        return []
    if not _HEADING_BEFORE.fullmatch(f"{head} {text[: match.start()]}"):
        return []
    found = _inline(text, match.start(), read)
    return [_slot(index, row, found[1], offset=found[0], begins=2.0)] if found else []


def _slot(index: int, row: Row, markers: Sequence[Marker], *, offset: int, begins: float) -> Slot:
    text = row.written[:MAX_ROW_CHARACTERS]
    written = tuple(markers)
    if not text.isascii():
        written = tuple(marker._replace(written=text[offset : offset + len(marker.written)]) for marker in markers)
    return Slot(
        row=index,
        offset=offset,
        markers=written,
        begins=begins,
        indent=row.indent,
        inline=offset > 0,
        text=text,
    )


def _inline(text: str, offset: int, read: Reader) -> tuple[int, list[Marker]] | None:
    """Answers where a list begins right after the number or the heading at `offset`, with its first marker."""
    match = _FIRST_OF_LIST.search(text, offset, offset + 130)
    if not match or match.start() == 0:
        return None
    between = text[offset : match.start()]
    if between.strip() and not (_HEADING_BEFORE.fullmatch(between) and between[:1].isupper()):
        return None
    start = match.start()
    markers = read(text[start:]) or free_markers(text[start:])
    shifted = [marker._replace(end=marker.end + start) for marker in markers if marker.weight > CONTRADICTED]
    return (start, shifted) if shifted else None
