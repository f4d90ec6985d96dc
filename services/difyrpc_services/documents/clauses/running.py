"""Drops page numbers and running headers from formats that have no pages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from difyrpc_services.documents.clauses.beginnings import ENDS_SENTENCE, GOES_ON
from difyrpc_services.documents.clauses.numbering import folded
from difyrpc_services.documents.clauses.rows import Row

_PAGE_NUMBER = re.compile(
    r"^(?:[-–—·~\s]*\d{1,4}[-–—·~\s]*|page\s*\d+(?:\s*(?:of|/)\s*\d+)?|\d+\s*(?:of|/)\s*\d+|第\s*\d+\s*页(?:\s*[,，/]?\s*共\s*\d+\s*页)?)$",
    re.IGNORECASE,
)
_NUMBER_ALONE = re.compile(r"(?:[A-Za-z]{4,10}\s+[\dA-Z][\w.-]{0,6}|第.{1,9}[编編章节節条條])[.:]?$")
_MAY_RUN = re.compile(r"(?![a-z]).{6,}(?<![.;:,。；：，、”」』）)\"])$")
_HEADING_START = re.compile(
    r"^(?:第.{1,9}[编編章节節条條]|article|section|part|chapter|exhibit|schedule|annex|appendix|[(（]?\w{1,4}[)）.、]|\d)",
    re.IGNORECASE,
)


def drop_running(rows: Sequence[Row]) -> None:
    """Drops page numbers and what stands again and again far apart: running headers of formats without pages."""
    places: dict[str, list[int]] = {}
    numbers: set[int] = set()
    for index, row in enumerate(rows):
        if row.silent or row.dropped:
            continue
        if _PAGE_NUMBER.match(row.text[:60]) and not row.number:
            row.dropped = True
            numbers.add(index)
        elif index and _NUMBER_ALONE.match(rows[index - 1].text):
            continue  # a heading, below its number
        elif len(row.text) <= 90 and _may_run(row.text):
            places.setdefault(_shape(row.text), []).append(index)
    for found in places.values():
        at_number = [index for index in found if index < 2 or numbers & {index - 1, index + 1}]
        running = found if len(found) >= 3 and _far_apart(found) else at_number if len(at_number) > 1 else []
        if len({rows[index + 1].text for index in running if index + 1 < len(rows)}) < max(2, 0.7 * len(running)):
            continue  # what follows a running header differs from page to page
        if sum(_begins_paragraph(rows, index) for index in running) > len(running) / 2:
            continue
        for index in running:
            rows[index].dropped = True


def _may_run(text: str) -> bool:
    """Whether a row reads as a running header: no sentence, no heading that counts."""
    if not _MAY_RUN.match(text) or _HEADING_START.match(text) or GOES_ON.search(text):
        return False
    return sum(1 for word in text.split() if len(word) > 3 and word.islower()) < 4


def _begins_paragraph(rows: Sequence[Row], index: int) -> bool:
    """Whether a sentence ends above the row and goes on below it, so that the row is its beginning."""
    if not 0 < index < len(rows) - 1:
        return False
    return bool(ENDS_SENTENCE.search(rows[index - 1].text[-12:])) and rows[index + 1].text[:1].islower()


def _shape(text: str) -> str:
    """Answers what two prints of one header share: all but its figures."""
    return re.sub(r"\d+", "#", " ".join(folded(text).split()).casefold())


def _far_apart(places: list[int]) -> bool:
    gaps = [after - before for before, after in pairwise(places)]
    return min(gaps) >= 12 and sorted(gaps)[len(gaps) // 2] >= 20
