"""Reads a Word document in the order of its text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from difyrpc_services.documents.elements import Element, ElementKind
from difyrpc_services.documents.formats import reader
from difyrpc_services.documents.formats.docx.body import BROKEN, Body, Seen
from difyrpc_services.documents.formats.docx.drawn import chart, diagram
from difyrpc_services.documents.formats.docx.markup import attribute, markup, slices, switched, value
from difyrpc_services.documents.formats.docx.numbering import Numbering
from difyrpc_services.documents.formats.docx.numerals import written
from difyrpc_services.documents.formats.docx.properties import Properties
from difyrpc_services.documents.formats.docx.styles import Styles
from difyrpc_services.documents.formats.docx.tags import HANDLERS
from difyrpc_services.documents.formats.office.parts import Package
from difyrpc_services.documents.formats.reading import (
    Notice,
    Opened,
    ReadPart,
    ReadRequest,
    corrupt,
    refuse_pages,
)
from difyrpc_services.documents.formats.zipped import Container

BATCH: Final = 100  # elements of one part
_CHUNKS: Final = {"html": "html", "xhtml": "html", "htm": "html", "txt": "text", "rtf": "rtf", "docx": "docx"}
"""Formats of documents that are set in, by the endings of their parts."""
_BODY: Final = re.compile(rb"<w:body(?:\s[^>]*)?>")
_NORMAL: Final = frozenset((None, "normal"))


def read(content: memoryview, request: ReadRequest) -> Iterator[Opened | ReadPart]:
    """Reads a DOCX; CORRUPT, ENCRYPTED, TOO_LARGE, NO_PAGES."""
    refuse_pages(request)
    container = Container(content, format_name="docx", limit=request.max_expanded_bytes)
    package = Package(container, format_name="docx")
    document = _Document(package, request)
    yield Opened(metadata=package.metadata())
    elements = document.elements()
    while batch := list(islice(elements, BATCH)):
        yield ReadPart(elements=batch)
    if notices := document.notices():
        yield ReadPart(notices=notices)


class _Document:
    """The parts of one document, and the state of its numbering."""

    def __init__(self, package: Package, request: ReadRequest) -> None:
        self._package = package
        self._request = request
        self._main = package.main("word/document.xml")
        self._relations = package.relations(self._main)
        self._numbers = self._part("numbering")
        self._styles = Styles(self._part("styles"))
        self._numbering = Numbering(self._numbers)
        self._looks = Properties(self._styles, self._numbering)
        self._sources: dict[str, dict[str, bytes]] = {}
        self._formats: dict[str, str] = {}
        self._counts = {"footnote": 0, "endnote": 0}
        self._endnotes: list[Element] = []
        self._seen = Seen()

    def elements(self) -> Iterator[Element]:
        """Answers headers, the body with its footnotes, endnotes, footers."""
        data = markup(self._package.container.read(self._main))
        begin = _BODY.search(data)
        end = data.rfind(b"</w:body>")
        if begin is None or end < 0:
            raise corrupt("docx", "it has no body" if b"</w:document>" in data else BROKEN)
        self._formats = _note_formats(data)
        yield from self._running(data, "header")
        yield from self._body().elements(data[begin.end() : end])
        yield from self._endnotes
        yield from self._running(data, "footer")

    def notices(self) -> tuple[Notice, ...]:
        """Answers what was coped with."""
        found = []
        if self._seen.comments:
            message = f"{self._seen.comments} comments are not part of the text"
            found.append(Notice(reason="COMMENTS_LEFT_OUT", message=message))
        if self._seen.deletions:
            message = f"{self._seen.deletions} tracked deletions are left out; insertions are part of the text"
            found.append(Notice(reason="DELETIONS_LEFT_OUT", message=message))
        return tuple(found)

    def note(self, kind: str, identity: str, *, numbered: bool) -> list[Element]:
        """Answers a footnote, which stands behind its paragraph; endnotes wait for the end of the text."""
        data = self._notes(kind).pop(identity, None)
        if data is None:
            return []
        number = ""
        if numbered:
            self._counts[kind] += 1
            number = written(self._counts[kind], self._formats.get(kind, "decimal"))
        inside = self._body().elements(data)
        text = "\n".join(text for element in inside if (text := element.written))
        if not text:
            return []
        element = Element(id="", kind="footnote", text=text, number=number)
        if kind == "footnote":
            return [element]
        self._endnotes.append(element)
        return []

    def drawn(self, relation: str) -> list[Element]:
        """Answers what a chart or a diagram says."""
        found = self._relations.get(relation)
        if found is None:
            return []
        data = markup(self._package.container.read(found.part))
        return diagram(data) if found.kind == "diagramData" else chart(data)

    def chunk(self, relation: str) -> list[Element]:
        """Answers the elements of a document that is set in; none for a format that cannot be."""
        found = self._relations.get(relation)
        format_name = _CHUNKS.get(found.part.rpartition(".")[2].lower()) if found else None
        if found is None or format_name is None:
            return []
        request = replace(self._request, max_expanded_bytes=self._request.max_expanded_bytes // 4)
        parts = reader(format_name)(memoryview(self._package.container.read(found.part)), request)
        return [element for part in parts if isinstance(part, ReadPart) for element in part.elements]

    def _part(self, kind: str) -> bytes:
        found = next(iter(self._package.related(self._main, kind)), None)
        return b"" if found is None else markup(self._package.container.read(found))

    def _body(self) -> Body:
        return Body(self._looks, self._numbering, self, self._seen, HANDLERS)

    def _notes(self, kind: str) -> dict[str, bytes]:
        if kind not in self._sources:
            notes = slices(self._part(kind + "s"), b"w:" + kind.encode())
            self._sources[kind] = {
                attribute(own, "w:id") or "": content for own, content in notes if attribute(own, "w:type") in _NORMAL
            }
        return self._sources[kind]

    def _running(self, data: bytes, place: ElementKind) -> Iterator[Element]:
        """Answers the headers or footers that the sections show, each text once."""
        seen: set[str] = set()
        for part in self._running_parts(data, place):
            numbering = Numbering(self._numbers)  # their lists are their own
            body = Body(Properties(self._styles, numbering), numbering, self, self._seen, HANDLERS)
            for element in body.elements(markup(self._package.container.read(part))):
                text = element.written
                if text and text not in seen:
                    seen.add(text)
                    yield Element(id="", kind=place, text=text)

    def _running_parts(self, data: bytes, place: str) -> list[str]:
        parts: dict[str, None] = {}
        even = _SETTING.search(self._part("settings")) is not None if b'"even"' in data else False
        for _, section in slices(data, b"w:sectPr"):
            for own, _ in slices(section, f"w:{place}Reference".encode()):
                kind = attribute(own, "w:type")
                shown = even if kind == "even" else switched(section, "w:titlePg") if kind == "first" else True
                relation = self._relations.get(attribute(own, "r:id") or "")
                if shown and relation is not None:
                    parts.setdefault(relation.part)
        return list(parts)


_SETTING: Final = re.compile(rb'<w:evenAndOddHeaders(?:\s*/|\s[^>]*"(?:1|true|on)"\s*/?)>')


def _note_formats(data: bytes) -> dict[str, str]:
    """Answers how notes are numbered, as the sections say."""
    formats = {"footnote": "decimal", "endnote": "lowerRoman"}
    for kind, usual in tuple(formats.items()):
        stated = [value(content, "w:numFmt") for _, content in slices(data, f"w:{kind}Pr".encode())]
        formats[kind] = next((text for text in reversed(stated) if text), usual)
    return formats
