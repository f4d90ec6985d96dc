"""Brings the XML of a Word document into the one form that is read without a tree: UTF-8, known prefixes, no comments.

Almost every file has that form already. A tree of a long text takes ten times its memory and most of the time of a
parse, and little of it is ever looked at; what is wanted is found by patterns over the bytes.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from functools import cache
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from difyrpc_services.documents.formats.zipped import parse_xml

_OPEN: Final = "http://schemas.openxmlformats.org/"
_STRICT: Final = "http://purl.oclc.org/ooxml/"
_PREFIXES: Final = {
    "wordprocessingml/2006/main": "w",
    "wordprocessingml/main": "w",
    "officeDocument/2006/relationships": "r",
    "officeDocument/relationships": "r",
    "officeDocument/2006/math": "m",
    "officeDocument/math": "m",
    "drawingml/2006/main": "a",
    "drawingml/main": "a",
    "drawingml/2006/wordprocessingDrawing": "wp",
    "drawingml/wordprocessingDrawing": "wp",
    "drawingml/2006/chart": "c",
    "drawingml/chart": "c",
    "drawingml/2006/diagram": "dgm",
    "drawingml/diagram": "dgm",
    "markup-compatibility/2006": "mc",
}
NAMESPACES: Final = {
    **{(_OPEN if "2006" in name else _STRICT) + name: prefix for name, prefix in _PREFIXES.items()},
    "urn:schemas-microsoft-com:vml": "v",
    "urn:schemas-microsoft-com:office:office": "o",
    "http://schemas.microsoft.com/office/drawing/2014/chartex": "cx",
    "http://www.w3.org/XML/1998/namespace": "xml",
}
_KNOWN: Final = frozenset(NAMESPACES.values())
_DECLARATION: Final = re.compile(rb'xmlns(?::([\w.-]+))?="([^"]*)"')
_BEGIN: Final = re.compile(
    rb"""(?:\xef\xbb\xbf)?\s*(?:<\?xml\s(?:(?!encoding|\?>)[^>])*(?:encoding\s*=\s*["'](?:utf-?8|us-ascii)["'][^>]*)?\?>)?\s*<\w""",
    re.IGNORECASE,
)


def markup(data: bytes, *, format_name: str = "docx") -> bytes:
    """Answers XML in the form that the patterns expect; CORRUPT for XML that is broken or declares entities."""
    if not _is_plain(data):
        return _rewritten(parse_xml(data, format_name=format_name))
    return data.replace(b"<ve:", b"<mc:").replace(b"</ve:", b"</mc:") if b"<ve:" in data else data


def _is_plain(data: bytes) -> bool:
    begin = _BEGIN.match(data)
    if begin is None or b"<!" in data or data.find(b"='", begin.end()) >= 0 or data.find(b"<?", begin.end()) >= 0:
        return False
    for prefix, address in set(_DECLARATION.findall(data)):
        usual = NAMESPACES.get(address.decode("utf-8", "replace"))
        if prefix == b"ve" and usual == "mc":
            continue  # as Word 2007 has it
        if usual != prefix.decode() and (usual or prefix.decode() in _KNOWN):
            return False
    return True


def _rewritten(root: etree._Element) -> bytes:
    parts: list[str] = []
    for event, element in etree.iterwalk(root, events=("start", "end")):
        name = _name(element.tag)
        if event == "start":
            stated = "".join(f" {_name(key)}={_quoted(text)}" for key, text in element.items())
            parts.append(f"<{name}{stated}>{escape(element.text or '')}")
        else:
            parts.append(f"</{name}>{escape(element.tail or '')}")
    return "".join(parts).encode("utf-8", "replace")


def _quoted(text: str) -> str:
    return quoteattr(text, {'"': "&quot;"})


def _name(tag: object) -> str:
    space, _, name = str(tag).rpartition("}")
    prefix = NAMESPACES.get(space[1:], "x") if space else ""
    return f"{prefix}:{name}" if prefix else name


def slices(data: bytes, name: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Answers the attributes and the content of each element of a name that never stands inside its own kind."""
    opening, closing = b"<" + name, b"</" + name + b">"
    place = 0
    while (begin := data.find(opening, place)) >= 0 and (head := data.find(b">", begin)) >= 0:
        place = head + 1
        own = data[begin + len(opening) : head]
        if own and own[0] not in b" \t\r\n/":
            continue  # another name that begins alike
        if own.endswith(b"/"):
            yield own[:-1], b""
            continue
        end = data.find(closing, head)
        if end < 0:
            return
        yield own, data[head + 1 : end]
        place = end


@cache
def _attribute(name: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?:^|\s)" + re.escape(name.encode()) + rb'\s*=\s*"([^"]*)"')


@cache
def _valued(name: str) -> re.Pattern[bytes]:
    return re.compile(rb"<" + re.escape(name.encode()) + rb'(?:\s[^>]*?\sw:val|\s+w:val)\s*=\s*"([^"]*)"')


@cache
def _switch(name: str) -> re.Pattern[bytes]:
    return re.compile(rb"<" + re.escape(name.encode()) + rb"(\s[^>]*)?/?>")


def attribute(tag: bytes, name: str) -> str | None:
    """Answers an attribute out of the text between a tag's name and its end; None without it."""
    match = _attribute(name).search(tag)
    return None if match is None else text_of(match.group(1))


def value(data: bytes, name: str) -> str | None:
    """Answers the value of the first element of a name: `<w:jc w:val="…"/>`; None without one."""
    match = _valued(name).search(data)
    return None if match is None else text_of(match.group(1))


def switched(data: bytes, name: str) -> bool | None:
    """Answers an on-off property; None where it is not stated."""
    match = _switch(name).search(data)
    if match is None:
        return None
    return (attribute(match.group(1) or b"", "w:val") or "1").lower() not in ("0", "false", "off", "none")


def text_of(raw: bytes) -> str:
    """Answers characters with their references resolved."""
    text = raw.decode("utf-8", "replace")
    return html.unescape(text) if "&" in text else text


def whole(text: str | None) -> int | None:
    """Answers a number; None for what is none."""
    try:
        return int(text) if text is not None and len(text) < 12 else None
    except ValueError:
        return None
