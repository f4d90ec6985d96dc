"""Reads one worksheet: what stands around its cells first, then its rows as elements."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.office.parts import Package, whole
from difyrpc_services.documents.formats.reading import corrupt, too_large
from difyrpc_services.documents.formats.sheets.rows import elements_of
from difyrpc_services.documents.formats.sheets.values import Area, Hints
from difyrpc_services.documents.formats.xlsx.cells import Cells
from difyrpc_services.documents.formats.xlsx.styles import X
from difyrpc_services.documents.formats.xlsx.texts import plain, tidied, windows

AT_ONCE: Final = 8 * 1024 * 1024  # bytes of a sheet that is held whole; a larger one is unpacked twice
LONGEST_FRAME: Final = 32 * 1024 * 1024  # bytes around the cells
MOST_MERGED: Final = 200_000
_BEGIN: Final = re.compile(rb"<sheetData(?:\s[^>]*?)?(/)?>")
_END: Final = b"</sheetData>"
_MERGED: Final = re.compile(rb"<mergeCell\b[^>]*?\bref=[\"']([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})[\"']")
_FILTER: Final = re.compile(rb"<autoFilter\b[^>]*?\bref=[\"']([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})[\"']")
_PANE: Final = re.compile(rb"<pane\b[^>]*>")
_FROZEN: Final = re.compile(rb"\bySplit=[\"'](\d{1,7})(?:\.0*)?[\"']")
_RUNNING: Final = re.compile(rb"<(odd|first|even)(Header|Footer)(?:\s[^>]*)?>([^<]*)</")
_CODE: Final = re.compile(r'&(?:"[^"]*"|\d{1,3}|K[0-9A-F]{6}|[A-Z])')
_PLACE: Final = re.compile(r"([A-Z]{1,3})(\d{1,7})")


@dataclass(frozen=True, slots=True)
class Frame:
    """The XML of a sheet before and behind its cells."""

    head: bytes
    tail: bytes

    def hints(self, tables: list[tuple[Area, int]]) -> Hints:
        """Answers what a sheet says of its rows; `tables` are declared ones with their header rows."""
        merged: dict[int, list[Area]] = {}
        for reference in _MERGED.findall(self.tail)[:MOST_MERGED]:
            area = area_of(reference.decode())
            if area is not None:
                merged.setdefault(area.top, []).append(area)
        filtered = [area for found in _FILTER.findall(self.tail) if (area := area_of(found.decode())) is not None]
        headers = {area.top for area, count in tables if count} | {area.top for area in filtered}
        return Hints(
            merged=merged,
            tables=[*(area for area, _ in tables), *filtered],
            headers=frozenset(headers),
            frozen=self._frozen(),
        )

    def _frozen(self) -> int:
        pane = _PANE.search(self.head)
        if pane is None or b"frozen" not in pane.group():
            return 0
        split = _FROZEN.search(pane.group())
        return int(split.group(1)) if split else 0

    def running(self) -> Iterator[Element]:
        """Answers the printed headers and footers, each text once."""
        seen: set[str] = set()
        for _, place, raw in _RUNNING.findall(self.tail):
            text = " ".join(_CODE.sub(" ", plain(raw).replace("&&", "\0")).replace("\0", "&").split())
            if any(map(str.isalnum, text)) and text not in seen:
                seen.add(text)
                yield Element(id="", kind="header" if place == b"Header" else "footer", text=text)


class Sheet:
    """One worksheet."""

    def __init__(self, package: Package, part: str, cells: Cells) -> None:
        """Takes the part with the sheet; CORRUPT, TOO_LARGE."""
        self._package = package
        self._part = part
        self._cells = cells
        self._data: bytes | None = None
        if package.container.size(part) <= AT_ONCE:
            self._data = b"".join(tidied((package.container.read(part),)))
        self.frame = _frame(self._pieces(counted=False))

    def elements(self) -> Iterator[Element]:
        """Answers the tables and texts of its cells."""
        hints = self.frame.hints(list(self._tables()))
        return elements_of(self._cells.rows(self._inside()), hints)

    def _pieces(self, *, counted: bool) -> Iterator[bytes]:
        if self._data is not None:
            return iter((self._data,))
        return tidied(self._package.container.chunks(self._part, counted=counted))

    def _inside(self) -> Iterator[bytes]:
        """Answers the bytes between the beginning and the end of the cells."""
        pieces = windows(self._pieces(counted=True), b">")
        held = b""
        for piece in pieces:
            held += piece
            begin = _BEGIN.search(held)
            if begin is not None:
                yield from _until_end(chain((held[begin.end() :],), pieces))
                return

    def _tables(self) -> Iterator[tuple[Area, int]]:
        for part in self._package.related(self._part, "table"):
            root = self._package.beside(part)
            area = area_of(root.get("ref", ""))
            if root.tag == X + "table" and area is not None:
                yield area, whole(root.get("headerRowCount"), 1)


def _until_end(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        end = piece.find(_END)
        if end >= 0:
            yield piece[:end]
            return
        yield piece


def _frame(pieces: Iterator[bytes]) -> Frame:
    """Goes through a sheet for what stands around its cells; CORRUPT for one that ends too early."""
    held = b""
    for piece in pieces:
        held += piece
        begin = _BEGIN.search(held)
        if begin is not None:
            rest = b"".join(_behind(chain((held[begin.end() :],), pieces), ended=begin.group(1) is not None))
            return Frame(held[: begin.start()], rest)
        if len(held) > LONGEST_FRAME:
            raise too_large("sheet_head_bytes", LONGEST_FRAME)
    if b"<worksheet" in held[:4096] and b"</worksheet>" not in held[-4096:]:
        raise corrupt("xlsx", "a sheet is truncated")
    return Frame(held, held)


def _behind(pieces: Iterable[bytes], *, ended: bool) -> Iterator[bytes]:
    """Answers what follows the cells; CORRUPT, TOO_LARGE."""
    length = 0
    for piece in pieces:
        tail = piece
        if not ended:
            end = piece.find(_END)
            if end < 0:
                continue
            ended, tail = True, piece[end + len(_END) :]
        length += len(tail)
        if length > LONGEST_FRAME:
            raise too_large("sheet_tail_bytes", LONGEST_FRAME)
        yield tail
    if not ended:
        raise corrupt("xlsx", "a sheet is truncated")


def area_of(reference: str) -> Area | None:
    """Answers the rectangle of `A1:C5`, or of one place; None for what is none."""
    first, _, last = reference.replace("$", "").partition(":")
    begin, end = _PLACE.fullmatch(first), _PLACE.fullmatch(last or first)
    if begin is None or end is None:
        return None
    top, bottom = int(begin.group(2)) - 1, int(end.group(2)) - 1
    left, right = column_of(begin.group(1)), column_of(end.group(1))
    if top < 0 or bottom < top or right < left:
        return None
    return Area(top=top, left=left, bottom=bottom, right=right)


def column_of(letters: str) -> int:
    """Answers the number of a column from 0."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1
