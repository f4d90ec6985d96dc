"""Reads the rows of a worksheet in one pass over its bytes: building a tree of a large sheet takes far too long."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from difyrpc_services.documents.formats.sheets.number_formats import Show, general
from difyrpc_services.documents.formats.sheets.values import BOLD, NUMERIC, Row
from difyrpc_services.documents.formats.xlsx.styles import Style
from difyrpc_services.documents.formats.xlsx.texts import plain, rich, windows

MOST_COLUMNS: Final = 16_384
MOST_ROWS: Final = 1_048_576
MOST_KNOWN: Final = 20_000  # shown numbers that are remembered for each style
LONGEST_PLAIN: Final = 16  # characters of a number that is shown as it is written: 15 digits and a point
_PLAIN: Final = re.compile(rb"-?\d+(?:\.\d*[1-9])?")
_ROW_END: Final = b"</row>"
_CELL: Final = re.compile(rb'<c(?: r="([A-Z]{1,3})\d*")?((?:\s[^>]*?)?)(?:/>|>(.*?)</c>)', re.DOTALL)
_ATTRIBUTE: Final = re.compile(rb"""([\w:]+)\s*=\s*["']([^"']*)["']""")
_ROW_NUMBER: Final = re.compile(rb"""<row\b[^>]*?\sr=["'](\d{1,9})["']""")
_LETTERS: Final = re.compile(rb"[A-Za-z]{1,3}")
_VALUE: Final = re.compile(rb"<v(?:\s[^>]*)?>([^<]*)</v>")
_FORMULA: Final = re.compile(rb"<f(?:\s[^>]*)?>([^<]*)</f>")
_DATE: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z?$")
_MIDNIGHT: Final = "00:00:00"


@dataclass(slots=True)
class _Look:
    """What the attributes of a cell say of it."""

    kind: bytes
    show: Show | None
    plain: bool
    """A number that is shown as it is."""
    bold: int
    known: dict[bytes, str] = field(default_factory=dict)
    """Numbers as they were shown before."""


class Cells:
    """Reads the cells of one sheet."""

    def __init__(self, strings: list[str], styles: list[Style]) -> None:
        """Takes the workbook's shared strings and cell styles."""
        self.uncalculated = 0
        """Formulas that hold no value."""
        self._strings = strings
        self._styles = styles
        self._attributes = {b"": self._look(0, b"")}
        self._columns: dict[bytes, int] = {}

    def rows(self, pieces: Iterable[bytes]) -> Iterator[Row]:
        """Answers the rows that have text, from the bytes between `<sheetData>` and its end."""
        number = -1
        for window in windows(pieces, _ROW_END):
            for xml in window.split(_ROW_END):
                begin = xml.rfind(b"<row")
                if begin < 0:
                    continue
                number = self._number(xml, begin, number)
                cells = _CELL.findall(xml, begin)
                if cells and number < MOST_ROWS:
                    row = self._row(number, cells)
                    if row.columns:
                        yield row

    def _number(self, xml: bytes, begin: int, above: int) -> int:
        """Answers a row's number from 0; one that states none follows the row above."""
        match = _ROW_NUMBER.match(xml, begin)
        if match is not None:
            return max(above + 1, int(match.group(1)) - 1)
        return above + xml.count(b"<row ") + xml.count(b"<row>")

    def _row(self, number: int, cells: list[tuple[bytes, bytes, bytes]]) -> Row:
        columns, texts, looks = [], [], []
        known, numbers, place = self._attributes, self._columns, -1
        for stated, attributes, body in cells:
            letters, look = stated, known.get(attributes)
            if look is None:
                letters, look = self._read_attributes(letters, attributes)
            place = (numbers.get(letters) or self._column(letters)) - 1 if letters else place + 1
            if not body:
                continue
            text, numeric = self._usual(look, body) or self._text(look, body)
            if text:
                columns.append(place)
                texts.append(text)
                looks.append(numeric | look.bold)
        return _in_order(Row(number, columns, texts, looks))

    def _usual(self, look: _Look, body: bytes) -> tuple[str, int] | None:
        """Answers what most cells hold, a number or a shared string and nothing beside it; None for others."""
        if body[:3] != b"<v>" or body[-4:] != b"</v>":
            return None
        raw = body[3:-4]
        if look.kind == b"s":
            return (self._strings[int(raw)], 0) if raw.isdigit() and int(raw) < len(self._strings) else None
        if look.plain and len(raw) <= LONGEST_PLAIN and _PLAIN.fullmatch(raw):
            return raw.decode(), NUMERIC
        text = look.known.get(raw)
        return None if text is None else (text, NUMERIC)

    def _text(self, look: _Look, body: bytes) -> tuple[str, int]:
        """Answers a cell's text as it is shown, and NUMERIC for a number."""
        if look.kind == b"inlineStr":
            return rich(body), 0
        match = _VALUE.search(body)
        raw = match.group(1) if match else b""
        if not raw:
            return self._without_value(look.kind, body)
        if look.kind == b"s":
            return self._shared(raw), 0
        if look.kind in (b"", b"n"):
            return self._shown(look, raw), NUMERIC
        if look.kind == b"b":
            return "FALSE" if raw.strip() in (b"0", b"false") else "TRUE", 0
        if look.kind == b"d":
            return _moment(plain(raw)), NUMERIC
        return plain(raw), 0

    def _shared(self, raw: bytes) -> str:
        try:
            place = int(raw)
            return self._strings[place] if place >= 0 else ""
        except (ValueError, IndexError):
            return ""

    def _shown(self, look: _Look, raw: bytes) -> str:
        try:
            value = float(raw)
        except ValueError:
            return plain(raw)
        text = general(value) if look.show is None else look.show(value)
        if len(look.known) < MOST_KNOWN:
            look.known[raw] = text
        return text

    def _without_value(self, kind: bytes, body: bytes) -> tuple[str, int]:
        """Answers the formula itself where nobody has calculated it yet."""
        if b"<is" in body:
            return rich(body), 0
        match = _FORMULA.search(body)
        if match is None or not match.group(1) or kind == b"str":
            return "", 0
        self.uncalculated += 1
        return "=" + plain(match.group(1)), NUMERIC

    def _read_attributes(self, letters: bytes, attributes: bytes) -> tuple[bytes, _Look]:
        stated = dict(_ATTRIBUTE.findall(attributes))
        style = stated.get(b"s", b"0")
        place = int(style) if style.isdigit() and len(style) < 8 else 0
        found = self._look(place if place < len(self._styles) else 0, stated.get(b"t", b""))
        if b"r" in stated:
            match = _LETTERS.match(stated[b"r"])
            letters = match.group().upper() if match else letters
        elif len(self._attributes) < MOST_KNOWN:
            self._attributes[attributes] = found
        return letters, found

    def _look(self, style: int, kind: bytes) -> _Look:
        show, bold = self._styles[style].show, self._styles[style].bold
        return _Look(kind, show, plain=show is None and kind in (b"", b"n"), bold=BOLD if bold else 0)

    def _column(self, letters: bytes) -> int:
        """Answers a column's number from 1."""
        number = 0
        for letter in letters:
            number = number * 26 + letter - 64
        self._columns[letters] = min(number, MOST_COLUMNS)
        return self._columns[letters]


def _in_order(row: Row) -> Row:
    """Answers the row with its columns rising, each once, which is as every spreadsheet writes them."""
    columns = row.columns
    if all(map(int.__lt__, columns, columns[1:])):
        return row
    known = {column: (text, look) for column, text, look in zip(columns, row.texts, row.looks, strict=True)}
    row.columns = sorted(known)
    row.texts = [known[column][0] for column in row.columns]
    row.looks = [known[column][1] for column in row.columns]
    return row


def _moment(text: str) -> str:
    match = _DATE.match(text)
    if match is None:
        return text
    return match.group(1) if match.group(2) == _MIDNIGHT else f"{match.group(1)} {match.group(2)}"
