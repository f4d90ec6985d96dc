"""Reads tables in plain text: comma, semicolon, tab and pipe separated values of any encoding."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from difyrpc_services.documents.formats.charset import decoded, likeliest
from difyrpc_services.documents.formats.reading import Notice, Opened, ReadPart, ReadRequest, refuse_pages, too_large
from difyrpc_services.documents.formats.sheets.pages import Budget, parts_of
from difyrpc_services.documents.formats.sheets.rows import elements_of
from difyrpc_services.documents.formats.sheets.values import NUMERIC, Hints, Row

AT_ONCE: Final = 8 * 1024 * 1024  # bytes that are decoded whole; more are decoded piece by piece
SAMPLE: Final = 256 * 1024  # bytes or characters that tell the encoding and the delimiter
LONGEST_LINE: Final = 16 * 1024 * 1024  # characters
LONGEST_FIELD: Final = 1024 * 1024  # characters
MOST_LINES: Final = 1_000  # of one record; more come of a quote that nobody closed
_LOOKED_AT: Final = 200  # records that tell the delimiter
_JUDGED: Final = 40  # records whose cells are looked at for numbers
_DELIMITERS: Final = ("\t", ";", "|", ",")
"""The surer one first: commas stand in numbers and sentences, tabs hardly anywhere."""
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_STATED: Final = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
_NUMBER: Final = re.compile(
    r"[-+(]?\s*[$€£¥₩]?\s*[-+]?\d[\d.,' \u00a0\u202f]*(?:[eE][-+]?\d+)?\s*(?:%|[$€£¥₩]|元)?\)?|"
    r"\d{1,4}[-/.年]\d{1,2}[-/.月]\d{1,4}日?(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[-+]\d{2}:?\d{2})?)?|"
    r"\d{1,2}:\d{2}(?::\d{2})?"
)


def read(content: memoryview, request: ReadRequest) -> Iterator[Opened | ReadPart]:
    """Reads separated values as one table, cut where it grows large; NO_PAGES, TOO_LARGE."""
    refuse_pages(request)
    stream, notices = _opened(content)
    sample = stream.read(SAMPLE)
    stream.seek(0)
    form = sniffed(sample)
    lines = _Lines(stream)
    if _STATED.match(sample):
        next(lines)
    yield Opened(notices=notices)
    records = _Records(lines, form)
    rows = _rows(records)
    for part in parts_of(elements_of(rows, Hints(separated=True)), Budget()):
        broken = records.broken and not part.goes_on
        yield ReadPart(elements=part.elements, notices=(_UNCLOSED,) if broken else (), goes_on=part.goes_on)


_UNCLOSED: Final = Notice(
    reason="QUOTE_NOT_CLOSED", message="a quote is never closed; from there on quotes are read as signs"
)


@dataclass(frozen=True, kw_only=True)
class Form:
    """How values are separated and quoted."""

    delimiter: str
    escape: str | None = None
    """The sign before a quote inside quotes; None = such a quote is doubled."""


def sniffed(sample: str) -> Form:
    """Answers the form of a text by its beginning."""
    sample = sample.lstrip("\ufeff")
    escape = "\\" if '\\"' in sample and '""' not in sample else None
    stated = _STATED.match(sample)
    if stated:
        return Form(delimiter=stated.group(1), escape=escape)
    lines = sample.splitlines(keepends=True)
    if len(sample) >= SAMPLE and len(lines) > 1:
        lines.pop()  # cut in its middle
    found = [(_steadiness(lines, Form(delimiter=one, escape=escape)), one) for one in _DELIMITERS]
    best = max(steady for steady, _ in found)
    if best < 0.5:
        return Form(delimiter=max(reversed(_DELIMITERS), key=sample.count), escape=escape)
    return Form(delimiter=next(one for steady, one in found if steady >= best - 0.05), escape=escape)


def _steadiness(lines: list[str], form: Form) -> float:
    """Answers which part of the records has the usual number of values; 0 where that is one."""
    widths: Counter[int] = Counter()
    try:
        for record in _reader(iter(lines), form):
            if any(record):
                widths[len(record)] += 1
            if widths.total() >= _LOOKED_AT:
                break
    except csv.Error:
        return 0.0
    usual, count = widths.most_common(1)[0] if widths else (1, 0)
    return count / widths.total() if usual > 1 else 0.0


def _reader(lines: Iterator[str], form: Form, quoting: int = csv.QUOTE_MINIMAL) -> Iterator[list[str]]:
    csv.field_size_limit(LONGEST_FIELD)
    return csv.reader(
        lines,
        delimiter=form.delimiter,
        escapechar=form.escape,
        doublequote=form.escape is None,
        quoting=quoting,  # type: ignore[arg-type]
        skipinitialspace=form.delimiter != "\t",
    )


class _Lines:
    """The lines of a stream, those of the record that is being read kept."""

    def __init__(self, stream: io.TextIOBase) -> None:
        self._stream = stream
        self.kept: list[str] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(LONGEST_LINE + 1)
        if not line:
            raise StopIteration
        if len(line) > LONGEST_LINE:
            raise too_large("line_characters", LONGEST_LINE)
        self.kept.append(line)
        return line


class _Records:
    """Records of values; where a quote is never closed, what follows it is read again without quotes."""

    def __init__(self, lines: _Lines, form: Form) -> None:
        self.broken = False
        self._lines = lines
        self._form = form

    def __iter__(self) -> Iterator[list[str]]:
        reader = _reader(self._lines, self._form)
        kept = self._lines.kept
        while True:
            kept.clear()
            try:
                record = next(reader, None)
            except csv.Error:
                break
            if record is None:
                return
            if len(kept) > 1 and self._is_open(kept):
                break
            yield record
        self.broken = True
        yield from _reader(chain(list(kept), self._lines), self._form, csv.QUOTE_NONE)

    def _is_open(self, lines: list[str]) -> bool:
        """Answers whether the quote that joins lines is none: never closed, or only much later."""
        if len(lines) > MOST_LINES:
            return True
        return self._form.escape is None and sum(line.count('"') for line in lines) % 2 == 1


def _rows(records: _Records) -> Iterator[Row]:
    number = 0
    for record in records:
        texts = [text.strip().replace("\r\n", "\n") for text in record]
        if not number and texts and texts[0].startswith("\ufeff"):
            texts[0] = texts[0].lstrip("\ufeff").strip()
        if not any(texts):
            continue
        row = Row(number, list(range(len(texts))), texts)
        if "" in texts:
            row.columns = [column for column, text in enumerate(texts) if text]
            row.texts = [text for text in texts if text]
        row.looks = [NUMERIC * bool(_NUMBER.fullmatch(text)) for text in row.texts] if number < _JUDGED else []
        row.looks = row.looks or [0] * len(row.texts)
        number += 1
        yield row


def _opened(content: memoryview) -> tuple[io.TextIOBase, tuple[Notice, ...]]:
    """Answers the content as text, and what had to be guessed of it."""
    if len(content) <= AT_ONCE:
        text, notices = decoded(bytes(content))
        return io.StringIO(text, newline=""), notices
    name, notices = _encoding(content)
    buffered = io.BufferedReader(_Window(content), 1024 * 1024)
    return io.TextIOWrapper(buffered, encoding=name, errors="replace", newline=""), notices


def _encoding(content: memoryview) -> tuple[str, tuple[Notice, ...]]:
    head = bytes(content[:SAMPLE])
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if head.startswith(mark):
            return name, ()
    if _is_utf8(content):
        return "utf-8", ()
    name = likeliest(b"".join(bytes(content[place : place + SAMPLE]) for place in _places(len(content))))
    return name, (Notice(reason="ENCODING_GUESSED", message=f"the text was read as {name}"),)


def _is_utf8(content: memoryview) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for place in range(0, len(content), AT_ONCE):
            decoder.decode(content[place : place + AT_ONCE])
    except UnicodeDecodeError:
        return False
    return True


def _places(length: int) -> Iterator[int]:
    """Answers where samples are taken: much text begins in ASCII."""
    return iter(range(0, length, max(SAMPLE, length // 8)))


class _Window(io.RawIOBase):
    """A memoryview as a file."""

    def __init__(self, content: memoryview) -> None:
        super().__init__()
        self._content = content
        self._place = 0

    def readable(self) -> bool:
        """Answers True."""
        return True

    def seekable(self) -> bool:
        """Answers True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a place from the beginning."""
        if whence != io.SEEK_SET:
            offset += self._place if whence == io.SEEK_CUR else len(self._content)
        self._place = min(max(0, offset), len(self._content))
        return self._place

    def tell(self) -> int:
        """Answers the place."""
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fills a buffer; answers how far."""
        piece = self._content[self._place : self._place + len(buffer)]
        buffer[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)
