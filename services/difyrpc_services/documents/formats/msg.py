"""Reads Outlook's own mails (.msg): headers, the text in its best form, and the files that came with it."""

from __future__ import annotations

import datetime
import io
import re
import struct
from collections.abc import Iterator
from typing import Any, Final

import olefile

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.charset import decoded
from difyrpc_services.documents.formats.eml.headers import plain
from difyrpc_services.documents.formats.html import elements_of as html_elements
from difyrpc_services.documents.formats.html import stated_encoding
from difyrpc_services.documents.formats.reading import (
    Enclosed,
    Notice,
    Opened,
    ReadPart,
    ReadRequest,
    Yielded,
    corrupt,
    refuse_pages,
    too_large,
)
from difyrpc_services.documents.formats.text import elements_of as text_elements

# Properties by their numbers (MS-OXPROPS).
_SUBJECT, _BODY, _HTML, _RTF = "0037", "1000", "1013", "1009"
_SENDER, _SENDER_ADDRESS, _SENDER_MAIL = "0C1A", "0C1F", "5D01"
_TO, _CC, _BCC, _HEADERS, _ID = "0E04", "0E03", "0E02", "007D", "1035"
_NAME, _SHORT_NAME, _DATA, _KIND, _CONTENT_ID = "3707", "3704", "3701", "370E", "3712"
_SENT, _DELIVERED, _CODE_PAGE = 0x0039, 0x0E06, 0x3FFD
_FIXED: Final = "__properties_version1.0"
_FIXED_HEADS: Final = (32, 24, 8)  # bytes before the properties of a mail, of one in another, of a file or a receiver
_EPOCH: Final = datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)
_DATE: Final = re.compile(r"^Date:[ \t]*([^\n]+)", re.MULTILINE | re.IGNORECASE)
DEPTH: Final = 8  # mails in mails
_Place = tuple[str, ...]


def read(content: memoryview, request: ReadRequest) -> Iterator[Yielded]:
    """Reads a mail; NO_PAGES, CORRUPT, TOO_LARGE. What is wrong with one of its files is a notice."""
    refuse_pages(request)
    try:
        with olefile.OleFileIO(io.BytesIO(content)) as file:
            mail = _Mail(file, (), request.max_expanded_bytes)
            yield Opened(metadata=mail.metadata())
            yield from mail.parts(0)
    except (OSError, struct.error, IndexError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise corrupt("msg", "its compound file is broken") from error


class _Mail:
    """One mail in a compound file."""

    def __init__(self, file: Any, place: _Place, limit: int) -> None:
        self._file = file
        self._place = place
        self._limit = limit
        self._fixed = _properties(self._stream(place, _FIXED))
        page = self._fixed.get(_CODE_PAGE, 0) & 0xFFFF
        self._charset = {936: "gb18030", 950: "big5", 65001: "utf-8"}.get(page, f"cp{page}") if page else ""

    def metadata(self) -> dict[str, str]:
        """Answers what the mail says of itself."""
        time = self._time()
        found = {
            "title": self._text(_SUBJECT),
            "author": self._sender(),
            "created": time.isoformat() if time else "",
            "to": self._text(_TO),
            "cc": self._text(_CC),
            "message_id": self._text(_ID),
        }
        return {name: text[:1000] for name, text in found.items() if text}

    def parts(self, depth: int) -> Iterator[Yielded]:
        """Answers what the mail shows, then the files in it."""
        yield ReadPart(elements=self._headers())
        yield self._body()
        names = {
            path[len(self._place)] for path in self._file.listdir() if path[: len(self._place)] == list(self._place)
        }
        for name in sorted(name for name in names if name.startswith("__attach_version1.0_")):
            yield from self._file_in((*self._place, name), depth)

    def _headers(self) -> list[Element]:
        subject = self._text(_SUBJECT)
        found = [Element(id="", kind="title", text=subject, level=1)] if subject else []
        values = {"From": self._sender(), "To": self._text(_TO), "Cc": self._text(_CC), "Bcc": self._text(_BCC)}
        stated = _DATE.search(self._text(_HEADERS))
        time = self._time()
        values["Date"] = (
            stated.group(1).strip() if stated else time.strftime("%a, %d %b %Y %H:%M:%S %z") if time else ""
        )
        lines = "\n".join(f"{name}: {value}" for name, value in values.items() if value)
        return [*found, Element(id="", kind="paragraph", text=lines)] if lines else found

    def _body(self) -> ReadPart:
        data = self._bytes(_HTML)
        page, notices = (
            decoded(data, stated=stated_encoding(data) or self._charset) if data else (self._text(_HTML), ())
        )
        elements = list(html_elements(page)) if page else []
        if not elements:
            elements = list(text_elements(self._text(_BODY).replace("\r\n", "\n")))
        if not elements and self._bytes(_RTF):
            notices = (*notices, Notice(reason="TEXT_NOT_READ", message="the mail's text is in RTF alone"))
        return ReadPart(elements=elements, notices=notices)

    def _file_in(self, place: _Place, depth: int) -> Iterator[Yielded]:
        inner = (*place, f"__substg1.0_{_DATA}000D")
        if self._file.exists([*inner, _FIXED]):
            if depth >= DEPTH:
                raise too_large("attachment_depth", DEPTH)
            yield from _Mail(self._file, inner, self._limit).parts(depth + 1)
            return
        name = self._text(_NAME, place) or self._text(_SHORT_NAME, place)
        kind = self._text(_KIND, place)
        shown = kind.startswith("image/") and bool(self._text(_CONTENT_ID, place))
        content = self._bytes(_DATA, place)
        yield Enclosed(name=plain(name), content=memoryview(content), media_type=kind, read=bool(content) and not shown)

    def _sender(self) -> str:
        name = self._text(_SENDER)
        address = self._text(_SENDER_MAIL) or self._text(_SENDER_ADDRESS)
        return f"{name} <{address}>" if name and "@" in address and address != name else name or address

    def _time(self) -> datetime.datetime | None:
        ticks = self._fixed.get(_SENT) or self._fixed.get(_DELIVERED)
        try:
            return _EPOCH + datetime.timedelta(microseconds=ticks // 10) if ticks else None
        except OverflowError:
            return None

    def _text(self, number: str, place: _Place | None = None) -> str:
        """Answers a text property; empty without it."""
        at = self._place if place is None else place
        data = self._stream(at, f"__substg1.0_{number}001F")
        if data:
            return data.decode("utf-16-le", "replace").rstrip("\x00")
        data = self._stream(at, f"__substg1.0_{number}001E")
        return decoded(data, stated=self._charset)[0].rstrip("\x00") if data else ""

    def _bytes(self, number: str, place: _Place | None = None) -> bytes:
        return self._stream(self._place if place is None else place, f"__substg1.0_{number}0102")

    def _stream(self, place: _Place, name: str) -> bytes:
        path = [*place, name]
        if not self._file.exists(path):
            return b""
        if self._file.get_size(path) > self._limit:
            raise too_large("expanded_bytes", self._limit)
        with self._file.openstream(path) as stream:
            return bytes(stream.read())


def _properties(data: bytes) -> dict[int, int]:
    """Answers the properties of fixed length by their numbers: times and whole numbers, as they are stored."""
    head = next((head for head in _FIXED_HEADS if len(data) >= head and (len(data) - head) % 16 == 0), len(data))
    found: dict[int, int] = {}
    for place in range(head, len(data) - 15, 16):
        kind, number, _, value = struct.unpack_from("<HHIQ", data, place)
        if kind in (0x0003, 0x0040):
            found[number] = value
    return found
