"""Texts in a workbook's XML: entities, escapes, rich text, shared strings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import unescape
from itertools import chain
from typing import Final

from difyrpc_services.documents.formats.reading import corrupt, too_large
from difyrpc_services.documents.formats.zipped import Container

MOST_STRINGS: Final = 4_000_000
LONGEST_PIECE: Final = 64 * 1024 * 1024  # bytes without the end of a row or a string
_ROOT: Final = re.compile(rb"<(\w+:)?(?:sst|worksheet|chartsheet|dialogsheet|macrosheet)\b")
_DECLARED: Final = re.compile(rb"^\s*<\?xml[^>]*?encoding\s*=\s*[\"']([\w.:-]+)[\"'][^>]*\?>")
_ASIDE: Final = re.compile(rb"<!--.*?-->|<!\[CDATA\[(.*?)\]\]>|<\?.*?\?>", re.DOTALL)
_PHONETIC: Final = re.compile(rb"<rPh\b.*?</rPh>|<phoneticPr\b[^>]*>", re.DOTALL)
_TEXT: Final = re.compile(rb"<t(?:\s[^>]*)?>([^<]*)</t>")
_ESCAPE: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
_ENTITY: Final = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|amp|lt|gt|quot|apos);")


def plain(raw: bytes) -> str:
    """Answers the characters that XML text stands for, without spaces around them."""
    text = raw.decode("utf-8", errors="replace")
    if "&" in text:
        text = _ENTITY.sub(lambda match: unescape(match.group()), text)
    if "_x" in text:
        text = _ESCAPE.sub(lambda match: _character(int(match.group(1), 16)), text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.strip()


def _character(code: int) -> str:
    return chr(code) if code >= 32 and not 0xD800 <= code < 0xE000 else "\n" if code in (10, 13) else ""


def rich(xml: bytes) -> str:
    """Answers the text of a string item: its runs joined, readings of its characters left out."""
    if b"<rPh" in xml:
        xml = _PHONETIC.sub(b"", xml)
    found = _TEXT.findall(xml)
    return plain(found[0] if len(found) == 1 else b"".join(found))


def shared_strings(container: Container, part: str) -> list[str]:
    """Answers the strings that cells name by their place; CORRUPT, TOO_LARGE."""
    found: list[str] = []
    for window in windows(tidied(container.chunks(part)), b"</si>"):
        items = window.split(b"</si>")
        items.pop()
        for item in items:
            if b"<si/>" in item:
                found.extend([""] * item.count(b"<si/>"))
            found.append(rich(item))
        if len(found) > MOST_STRINGS:
            raise too_large("shared_strings", MOST_STRINGS)
    return found


def tidied(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Answers XML in UTF-8, cut between tags, without namespace prefixes of its own, comments and CDATA; CORRUPT.

    What a spreadsheet writes passes as it is.
    """
    pieces = iter(pieces)
    first = next(pieces, b"")
    if b"<!DOCTYPE" in first:
        raise corrupt("xlsx", "its XML declares a document type")
    encoding = _encoding(first)
    if encoding:
        first = _converted(_whole(first, pieces), encoding)
    prefix = _prefix(first)
    rest = windows(chain((first,), pieces), b">")
    for window in rest:
        data = window
        if b"<!" in data:
            data = _ASIDE.sub(lambda match: _escaped(match.group(1) or b""), _whole(data, rest))
        if prefix:
            data = data.replace(b"<" + prefix, b"<").replace(b"</" + prefix, b"</")
        yield data


def _encoding(first: bytes) -> str:
    """Answers the encoding of XML that is not in UTF-8."""
    if first[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    declared = _DECLARED.match(first)
    name = declared.group(1).decode().lower() if declared else "utf-8"
    return "" if name in ("utf-8", "utf8", "us-ascii", "ascii") else name


def _converted(data: bytes, encoding: str) -> bytes:
    try:
        return data.decode(encoding, errors="replace").encode("utf-8", errors="replace")
    except LookupError as error:
        raise corrupt("xlsx", "its XML is in an unknown encoding") from error


def _whole(first: bytes, rest: Iterator[bytes]) -> bytes:
    """Answers all of an XML whose form is so unusual that it is read at once; TOO_LARGE."""
    found = [first]
    length = len(first)
    for piece in rest:
        length += len(piece)
        if length > LONGEST_PIECE:
            raise too_large("xml_bytes", LONGEST_PIECE)
        found.append(piece)
    return b"".join(found)


def _prefix(data: bytes) -> bytes:
    """Answers the prefix of the root's name with its colon; empty without one."""
    match = _ROOT.search(data[:4096])
    return match.group(1) or b"" if match else b""


def _escaped(data: bytes) -> bytes:
    return data.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")


def windows(pieces: Iterable[bytes], end: bytes) -> Iterator[bytes]:
    """Answers the pieces joined and cut behind an `end`; what follows the last one comes at the end; TOO_LARGE."""
    held = b""
    for piece in pieces:
        held += piece
        cut = held.rfind(end)
        if cut >= 0:
            yield held[: cut + len(end)]
            held = held[cut + len(end) :]
        elif len(held) > LONGEST_PIECE:
            raise too_large("row_bytes", LONGEST_PIECE)
    if held:
        yield held
