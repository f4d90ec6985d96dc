"""Finds the mail inside a signed S/MIME envelope; the signature is not checked."""

from __future__ import annotations

import re
from typing import Final

_ENTITY: Final = re.compile(rb"(?:Content-Type|MIME-Version|Content-Transfer-Encoding):", re.IGNORECASE)
_ENVELOPED: Final = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"  # 1.2.840.113549.1.7.3, encrypted
_SIGNED: Final = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"  # 1.2.840.113549.1.7.2
_STRING: Final = 0x04  # an octet string


def is_encrypted(data: bytes) -> bool:
    """Answers whether an envelope's content is encrypted."""
    return _ENVELOPED in data[:100]


def signed_content(data: bytes) -> bytes | None:
    """Answers the mail that an envelope was signed around; None if there is none to read."""
    match = _ENTITY.search(data) if _SIGNED in data[:100] else None
    if match is None:
        return None
    begin = match.start()
    for width in (1, 2, 3, 4, 5):  # a string's tag and the bytes of its length stand before its content
        if begin > width and data[begin - width - 1] == _STRING:
            length = _length(data[begin - width : begin])
            if length is not None:
                return data[begin : begin + length] + _more(data, begin + length)
    return data[begin:]


def _length(field: bytes) -> int | None:
    if len(field) == 1:
        return field[0] if field[0] < 0x80 else None
    return int.from_bytes(field[1:], "big") if field[0] == 0x80 + len(field) - 1 else None


def _more(data: bytes, place: int) -> bytes:
    """Answers the strings that go on with one: long content is cut into several."""
    found: list[bytes] = []
    while place + 2 < len(data) and data[place] == _STRING:
        width = 1 if data[place + 1] < 0x80 else 1 + data[place + 1] - 0x80
        length = _length(data[place + 1 : place + 1 + width])
        if length is None:
            break
        begin = place + 1 + width
        found.append(data[begin : begin + length])
        place = begin + length
    return b"".join(found)
