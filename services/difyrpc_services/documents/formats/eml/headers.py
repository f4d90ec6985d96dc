"""Reads the headers of mails: folded, in any charset, encoded words, however broken."""

from __future__ import annotations

import base64
import binascii
import re
from email.message import Message
from email.parser import HeaderParser
from email.policy import compat32
from email.utils import collapse_rfc2231_value, parsedate_to_datetime
from typing import Final

from difyrpc_services.documents.formats.charset import decoded, known

_WORD: Final = re.compile(r"=\?([^?\s]+?)(?:\*[^?]*)?\?([bBqQ])\?([^?]*(?:\?(?!=)[^?]*)*)\?=")
_BETWEEN: Final = re.compile(r"(\?=)\s+(=\?)")
_SPACE: Final = re.compile(r"\s+")
_ESCAPE: Final = re.compile(rb"=([0-9A-Fa-f]{2})")
_FIELD: Final = re.compile(rb"[!-9;-~]+[ \t]*:")
MOST_BYTES: Final = 256 * 1024  # of the headers of one part


def split(data: memoryview) -> tuple[Message, memoryview]:
    """Answers the headers and the body of a part; a line that is no header ends them as an empty one does."""
    head = bytes(data[:MOST_BYTES])
    place = _end_of_headers(head)
    text, _ = decoded(head[:place])
    headers = HeaderParser(policy=compat32).parsestr(text.strip("\n") + "\n\n", headersonly=True)
    return headers, data[place:]


def _end_of_headers(data: bytes) -> int:
    place = 0
    while place < len(data):
        end = data.find(b"\n", place)
        line = data[place : end if end >= 0 else len(data)]
        if not line.strip():
            return end + 1 if end >= 0 else len(data)
        if not (
            line[:1] in (b" ", b"\t") or _FIELD.match(line) or (not place and line.startswith((b"From ", b">From ")))
        ):
            return place
        if end < 0:
            return len(data)
        place = end + 1
    return place


def text_of(headers: Message, name: str) -> str:
    """Answers a header as a reader sees it; empty without it."""
    return plain(str(headers.get(name, "")))


def plain(text: str) -> str:
    """Answers a header's text on one line, its encoded words decoded."""
    text = _SPACE.sub(" ", text).strip()
    if "=?" not in text:
        return text
    text = _BETWEEN.sub(r"\1\2", text)
    parts: list[str] = []
    held: list[tuple[str, bytes]] = []
    place = 0
    for match in _WORD.finditer(text):
        if match.start() > place:
            parts.append(_together(held))
            parts.append(text[place : match.start()])
        held.append((match.group(1).lower(), _bytes(match.group(2), match.group(3))))
        place = match.end()
    parts.append(_together(held))
    return _SPACE.sub(" ", "".join((*parts, text[place:]))).strip()


def _together(words: list[tuple[str, bytes]]) -> str:
    """Decodes words in a row; a sign may be split between two of one charset."""
    found: list[str] = []
    while words:
        charset, data = words.pop(0)
        while words and words[0][0] == charset:
            data += words.pop(0)[1]
        found.append(decoded(data, stated=charset)[0])
    return "".join(found)


def _bytes(encoding: str, text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    if encoding in "bB":
        return from_base64(data)
    return _ESCAPE.sub(lambda match: bytes((int(match.group(1), 16),)), data.replace(b"_", b" "))


def from_base64(data: bytes | memoryview) -> bytes:
    """Decodes base64 as far as it goes: signs that are none are passed over, a missing end is made up."""
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        clean = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
        return base64.b64decode(clean[: len(clean) - (len(clean) % 4 == 1)] + b"=" * (-len(clean) % 4 % 3))


def file_name(headers: Message) -> str:
    """Answers the name that a part states for a file; empty without one."""
    for header, parameter in (("content-disposition", "filename"), ("content-type", "name")):
        value = headers.get_param(parameter, header=header)
        if value:
            name = (
                collapse_rfc2231_value(value)
                if not isinstance(value, tuple) or known(value[0] or "utf-8")
                else value[2]
            )
            return plain(str(name))
    return plain(str(headers.get("content-description", "")))[:100] if _is_file(headers) else ""


def _is_file(headers: Message) -> bool:
    return headers.get_content_disposition() == "attachment"


def iso_date(headers: Message) -> str:
    """Answers when a mail was sent as ISO 8601; empty where that cannot be read."""
    try:
        return parsedate_to_datetime(str(headers.get("date", ""))).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""
