"""Takes mails apart into their parts; what is decoded is a copy, what is not is none."""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from itertools import pairwise
from typing import Final

from difyrpc_services.documents.formats.eml.headers import file_name, from_base64, split

MOST_DEPTH: Final = 30  # multiparts in multiparts
MOST_PARTS: Final = 2_000  # of one multipart
_FIRST: Final = re.compile(rb"(?:^|\n)--([^\r\n]{1,100}?)(?:--)?[ \t]*\r?\n")
_MESSAGE: Final = re.compile(rb"(?:^|\n\r?\n)(?=From [^\r\n]*\d{4}\r?\n[!-9;-~]+:)")
_MARKED: Final = re.compile(rb"\S")
_UU: Final = re.compile(rb"^begin [0-7]{3,4} ([^\r\n]*)\r?\n(.*?)^end\b", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """One part of a mail, or a whole one."""

    headers: Message
    body: memoryview
    """As it was sent."""

    @property
    def kind(self) -> str:
        """Its media type in small letters."""
        return self.headers.get_content_type()

    @property
    def name(self) -> str:
        """Name of the file that it is; empty for none."""
        return file_name(self.headers)

    @property
    def disposition(self) -> str:
        """`inline`, `attachment` or empty."""
        return self.headers.get_content_disposition() or ""

    @property
    def charset(self) -> str:
        """As it is stated; empty for none."""
        return str(self.parameter("charset"))

    def parameter(self, name: str) -> str:
        """Answers a parameter of the media type; empty without it."""
        value = self.headers.get_param(name, "")
        return str(value[2] if isinstance(value, tuple) else value or "").strip()

    def content(self) -> bytes:
        """Answers the bytes that were sent."""
        encoding = str(self.headers.get("content-transfer-encoding", "")).split(";")[0].strip().lower()
        if encoding == "base64":
            return from_base64(self.body)
        if encoding == "quoted-printable":
            return quopri.decodestring(bytes(self.body))
        if encoding in ("x-uuencode", "uuencode", "uue", "x-uue"):
            match = _UU.search(self.body)
            return _from_uu(bytes(match.group(2))) if match else bytes(self.body)
        return bytes(self.body)

    def children(self) -> list[Part]:
        """Answers the parts of a multipart, the last one too if its end is missing; empty if there are none."""
        boundary = self.parameter("boundary").encode("utf-8", "replace")
        if not boundary or not re.search(b"--" + re.escape(boundary), self.body):
            first = _FIRST.search(self.body)
            if first is None:
                return []
            boundary = bytes(first.group(1))
        return [part_of(piece) for piece in _pieces(self.body, boundary)]


def part_of(data: bytes | memoryview) -> Part:
    """Answers a part by its bytes."""
    headers, body = split(memoryview(data))
    return Part(headers, body)


def messages_of(data: memoryview) -> Iterator[memoryview]:
    """Answers the mails of a mailbox, or the one mail that it is."""
    places = [match.end() for match in _MESSAGE.finditer(data)] if bytes(data[:5]) == b"From " else []
    if not places:
        yield data
        return
    for begin, end in pairwise((*places, len(data))):
        yield data[begin:end]


def _pieces(body: memoryview, boundary: bytes) -> Iterator[memoryview]:
    mark = re.compile(rb"(?:^|\r?\n|\r)--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r?\n|\r|$)")
    begin = -1
    count = 0
    place = 0
    while (match := mark.search(body, place)) is not None and count < MOST_PARTS:
        if begin >= 0:
            yield body[begin : match.start()]
            count += 1
        begin = -1 if match.group(1) else match.end()
        if match.group(1):
            return
        place = max(match.end() - 1, match.start() + 1)  # the line's end may begin the next mark
    if begin >= 0 and _MARKED.search(body, begin):
        yield body[begin:]


def _from_uu(data: bytes) -> bytes:
    lines: list[bytes] = []
    for line in data.splitlines():
        try:
            lines.append(binascii.a2b_uu(line))
        except binascii.Error:
            length = (((line[0] - 32) & 63) * 4 + 5) // 3 if line else 0
            lines.append(binascii.a2b_uu(line[:length]) if length else b"")
    return b"".join(lines)
