"""Cuts elements into rows: lines of print where the format knows them, else paragraphs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from difyrpc_services.documents.elements import Box, Element

MAX_ROW_CHARACTERS = 400
"""Of a row only so much is looked at; no heading is longer."""
_NOT_TEXT = frozenset({"header", "footer", "figure"})
_CRAMMED = 200  # characters; shorter lines with wide gaps are rows of tables
_GAP_BEFORE_MARKER = re.compile(
    r"(?<=\S)\s{3,}(?=(?:ARTICLE|Article|SECTION|Section|CLAUSE|Clause|EXHIBIT|Exhibit|SCHEDULE|Schedule|ANNEX|APPENDIX|PART)"
    r"\s+[\dA-Z]|WHEREAS\b|NOW,? THEREFORE|IN WITNESS|RECITALS|\([a-zA-Z0-9]{1,4}\)\s|"
    r"\d{1,2}(?:\.\d{1,2}){0,4}\.?\s+[A-Z\"“\[]|[“\"][A-Z]|第.{1,9}[条章节條節])"
)
_PAGE = 700  # characters; a longer line may hold paragraphs without even a gap between them
_SENTENCE_BEFORE_MARKER = re.compile(
    r"(?<=[.;:)\]”\"A-Z])\s+(?=(?:ARTICLE\s+[\dIVX]+|(?:Section|SECTION)\s+\d+\.\d+|EXHIBIT\s+[A-Z]\b|"
    r"\d{1,2}(?:\.\d{1,2}){1,3}|\d{1,2}\.)\.?\s+[A-Z\"“\[])"
)


@dataclass(slots=True)
class Row:
    """One row of print, or one paragraph where the format knows paragraphs."""

    text: str
    """Without space at its ends."""
    element: Element
    first: bool
    """The first row of its element."""
    box: Box | None = None
    indent: float = 0.0
    """Points in layouts, columns of a terminal in plain text."""
    width: float = 0.0
    """Points in layouts, columns of a terminal in plain text."""
    number: str = ""
    """Word's automatic number that stands before the text."""
    bold: bool = False
    begins: float = 0.0
    """How likely it begins a paragraph: above 0 yes, below 0 no."""
    sure: float | None = None
    """What `begins` shall be, where the way that the row was cut tells it."""
    quoted: bool = False
    """Stands inside quotation marks that an earlier row opened."""
    silent: bool = False
    """Belongs to the text, but no clause begins in it: a table, a footnote."""
    dropped: bool = False
    """Belongs to no clause: a table of contents, a running header."""

    @property
    def written(self) -> str:
        """Text with the automatic number before it."""
        return f"{self.number} {self.text}".strip() if self.number else self.text


def rows_of(elements: Sequence[Element]) -> list[Row]:
    """Answers the rows of all elements that hold text."""
    rows: list[Row] = []
    for element in elements:
        if element.kind not in _NOT_TEXT:
            rows.extend(_rows_of_one(element))
    return rows


def _rows_of_one(element: Element) -> list[Row]:
    silent = element.kind in ("table", "footnote", "code")
    if element.lines and not silent:
        return [
            Row(
                text=line.text.strip(), element=element, first=index == 0, box=line.box, indent=line.box.left,
                width=line.box.width, bold=line.bold, dropped=_is_contents(element),
            )
            for index, line in enumerate(element.lines)
            if line.text.strip()
        ]  # fmt: skip
    lines = [element.text] if silent else element.text.split("\n")
    texts = [(lines[0], None)] if silent else [piece for line in lines for piece in _uncrammed(line)]
    box = element.boxes[0] if element.boxes else None
    rows = [
        Row(
            text=_unboxed(text.strip()),
            element=element,
            first=False,
            box=box,
            indent=_indent(text),
            width=columns_of(text),
            bold=element.bold,
            silent=silent,
            dropped=_is_contents(element),
            sure=sure,
        )
        for text, sure in texts
        if text.strip()
    ]
    if not rows and element.number:
        rows = [Row(text="", element=element, first=True, box=box)]
    if rows:
        rows[0].first = True
        rows[0].number = element.number
        rows[0].indent = (
            rows[0].indent or element.indent / 4
        )  # points to columns, as the reader of plain text counts them
    return rows


def _uncrammed(text: str) -> list[tuple[str, float | None]]:
    """Cuts a line that holds several paragraphs, as some converters leave a whole page.

    With each piece stands how likely it begins a paragraph; None where its place tells it.
    """
    if len(text) < _CRAMMED:
        return [(text, None)]
    pieces: list[tuple[str, float | None]] = []
    for piece in _GAP_BEFORE_MARKER.split(text):
        first, *others = _SENTENCE_BEFORE_MARKER.split(piece) if len(piece) > _PAGE else [piece]
        pieces.append((first, 2.5 if pieces else None))
        pieces.extend((other, 0.5) for other in others)
    return pieces


def _unboxed(text: str) -> str:
    """Answers a line of a box drawn with stars or bars without them."""
    if len(text) > 4 and text[0] in "*|#" and text[-1] == text[0] and text[1] == " ":
        return text.strip("*|# ")
    return text


def _is_contents(element: Element) -> bool:
    """Whether the reader's word is to be trusted that this is a line of a table of contents; `ANNEX 1` is none."""
    return element.contents_entry and (element.style.startswith("toc") or len(element.text.split()) != 2)


def _indent(text: str) -> float:
    body = text.lstrip()
    return float(columns_of(text[: len(text) - len(body)].expandtabs(4)))


def columns_of(text: str) -> float:
    """Answers how many columns of a terminal the text takes; Chinese signs take two."""
    if text.isascii():
        return float(len(text.rstrip()))
    if len(text) > 4 * MAX_ROW_CHARACTERS:
        return float(len(text))
    return float(sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text.rstrip()))
