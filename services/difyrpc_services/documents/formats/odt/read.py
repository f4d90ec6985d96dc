"""Reads an OpenDocument text in the order of its text."""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Iterator
from typing import Final

from difyrpc_services.documents.elements import Element, ElementKind
from difyrpc_services.documents.formats.odt.events import Listener, listened
from difyrpc_services.documents.formats.odt.parts import ContentPart, ManifestPart, MetadataPart, StylesPart
from difyrpc_services.documents.formats.reading import (
    Notice,
    Opened,
    ReadPart,
    ReadRequest,
    corrupt,
    encrypted,
    refuse_pages,
)
from difyrpc_services.documents.formats.zipped import Container

BATCH: Final = 100  # elements of one part
LARGEST_FORMULA: Final = 256 * 1024  # bytes of its XML
_MANIFEST: Final = "META-INF/manifest.xml"
_SIGN: Final = re.compile(r"<(?:\w+:)?(?:mi|mn|mo|mtext)(?:\s[^>]*)?>([^<]*)<")


def read(content: memoryview, request: ReadRequest) -> Iterator[Opened | ReadPart]:
    """Reads an ODT; CORRUPT, ENCRYPTED, TOO_LARGE, NO_PAGES."""
    refuse_pages(request)
    container = Container(content, format_name="odt", limit=request.max_expanded_bytes)
    _refuse_encrypted(container)
    metadata = MetadataPart()
    _through(container, "meta.xml", metadata)
    styles = StylesPart()
    _through(container, "styles.xml", styles)
    yield Opened(metadata=metadata.found)
    yield from _running(styles, "header")
    part = ContentPart(styles.chosen, lambda address: _formula(container, address))
    yield from _text(container, part)
    yield from _running(styles, "footer")
    if part.reader.comments:
        message = f"{part.reader.comments} comments are not part of the text"
        yield ReadPart(notices=(Notice(reason="COMMENTS_LEFT_OUT", message=message),))


def _text(container: Container, part: ContentPart) -> Iterator[ReadPart]:
    for _ in listened(container, "content.xml", part):
        yield from _parts(part.reader.take())
    if not part.found:
        raise corrupt("odt", "it has no text")
    yield from _parts(part.reader.rest())


def _parts(elements: list[Element]) -> Iterator[ReadPart]:
    for begin in range(0, len(elements), BATCH):
        yield ReadPart(elements=elements[begin : begin + BATCH])


def _through(container: Container, name: str, listener: Listener) -> None:
    if name in container:
        for _ in listened(container, name, listener):
            pass


def _refuse_encrypted(container: Container) -> None:
    manifest = ManifestPart()
    _through(container, _MANIFEST, manifest)
    if manifest.encrypted or "encrypted-package" in container:
        raise encrypted("odt", given=False)


def _running(styles: StylesPart, place: ElementKind) -> Iterator[ReadPart]:
    """Answers the headers or footers of all kinds of pages, each text once."""
    texts = dict.fromkeys(element.written for element in styles.running[place] if element.written)
    if texts:
        yield ReadPart(elements=[Element(id="", kind=place, text=text) for text in texts])


def _formula(container: Container, address: str) -> str:
    """Answers the signs of an embedded formula; empty for other objects."""
    part = posixpath.join(posixpath.normpath(address), "content.xml")
    if not address or part not in container or container.size(part) > LARGEST_FORMULA:
        return ""
    data = container.read(part).decode("utf-8", "replace")
    if "MathML" not in data[:2000]:
        return ""
    return " ".join(html.unescape(" ".join(_SIGN.findall(data))).split())
