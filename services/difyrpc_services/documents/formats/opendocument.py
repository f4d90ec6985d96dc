"""What OpenDocument spreadsheets and presentations share: passing over their XML, texts, metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from lxml import etree

from difyrpc_services.documents.formats.reading import corrupt, encrypted
from difyrpc_services.documents.formats.zipped import Container

CONTENT: Final = "content.xml"
_NAMESPACE: Final = "{urn:oasis:names:tc:opendocument:xmlns:%s:1.0}"
TABLE, TEXT, OFFICE, META, DRAW, PRESENTATION = (
    _NAMESPACE % name for name in ("table", "text", "office", "meta", "drawing", "presentation")
)
SVG: Final = "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}"
_DC: Final = "{http://purl.org/dc/elements/1.1/}"
_SIGNS: Final = {TEXT + "tab": "\t", TEXT + "line-break": "\n"}
_META: Final = {
    _DC + "title": "title",
    META + "initial-creator": "author",
    _DC + "creator": "last_modified_by",
    META + "creation-date": "created",
    _DC + "date": "modified",
    _DC + "subject": "subject",
    META + "keyword": "keywords",
    _DC + "description": "description",
}


def refuse_encrypted(container: Container, *, format_name: str) -> None:
    """Refuses a file whose parts are encrypted; ENCRYPTED."""
    manifest = "META-INF/manifest.xml"
    if manifest in container and b"encryption-data" in container.read(manifest):
        raise encrypted(format_name, given=False)


def found_in_content(container: Container, pattern: re.Pattern[bytes], *, format_name: str) -> list[bytes]:
    """Answers what a pattern of one tag finds in the content; CORRUPT for one with a document type."""
    found: list[bytes] = []
    held = b""
    for piece in container.chunks(CONTENT, counted=False):
        held += piece
        cut = held.rfind(b">") + 1
        if b"<!DOCTYPE" in held[:cut]:
            raise corrupt(format_name, "its XML declares a document type")
        found += pattern.findall(held[:cut])
        held = held[cut:]
    return found


def metadata(container: Container) -> dict[str, str]:
    """Answers what an OpenDocument file says of itself."""
    found: dict[str, str] = {}
    if "meta.xml" in container:
        for element in container.xml("meta.xml").iter(*_META):
            text = (element.text or "").strip()
            if text:
                found.setdefault(_META[str(element.tag)], text[:1_000])
    return found


def events(container: Container, tags: Sequence[str], *, format_name: str) -> Iterator[tuple[str, etree._Element]]:
    """Answers the beginnings and ends of elements as the content is unpacked; CORRUPT."""
    parser = etree.XMLPullParser(
        events=("start", "end"),
        tag=list(tags),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        for piece in container.chunks(CONTENT):
            parser.feed(piece)
            yield from parser.read_events()
        parser.close()
    except etree.XMLSyntaxError as error:
        raise corrupt(format_name, "its XML is broken") from error


def text_of(paragraph: etree._Element) -> str:
    """Answers the characters of a paragraph; comments in it are left out."""
    parts: list[str] = []
    stack: list[etree._Element | str] = [paragraph]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        if item.tag == TEXT + "s":
            parts.append(" " * min(whole(item.get(TEXT + "c")) or 1, 100))
        parts.append(_SIGNS.get(str(item.tag), ""))
        if item.tag == OFFICE + "annotation":
            continue
        parts.append(item.text or "")
        for child in reversed(item):
            stack += [child.tail or "", child]
    return "".join(parts).strip()


def forget(element: etree._Element) -> None:
    """Takes out of the tree what was read, and what stands before it."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def whole(text: str | None) -> int:
    """Answers an attribute as a number; 0 for what is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0
