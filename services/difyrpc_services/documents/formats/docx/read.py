"""Reads a Word document in the order of its text."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from lxml import etree

from difyrpc_services.documents.elements import Element, ElementKind
from difyrpc_services.documents.formats.docx.names import MC, RELATIONS, R, W, value, whole
from difyrpc_services.documents.formats.docx.numbering import Number, Numbering
from difyrpc_services.documents.formats.docx.runs import Runs, runs_of
from difyrpc_services.documents.formats.docx.styles import Style, Styles, first_line, paragraphs_alone
from difyrpc_services.documents.formats.docx.tables import rows_of, table_of
from difyrpc_services.documents.formats.reading import Opened, ReadPart, ReadRequest, corrupt, refuse_pages
from difyrpc_services.documents.formats.zipped import Container

BATCH: Final = 100  # elements of one part
MOST_DEPTH: Final = 30  # text boxes and tables inside each other
LONGEST_TITLE: Final = 80  # characters of a title that only looks like one
_INSIDE: Final = frozenset(
    W + name for name in ("sdt", "sdtContent", "customXml", "smartTag", "ins", "moveTo", "body")
) | {MC + "Choice"}
_SENTENCE: Final = re.compile(r"[。．.;；,，:：]$")
_UNIT: Final = re.compile(r"第.{1,9}[编編章节節条條款]|(?:article|section|clause)\s+\w", re.IGNORECASE)
_CORE: Final = {
    "title": "title",
    "creator": "author",
    "subject": "subject",
    "keywords": "keywords",
    "description": "description",
    "created": "created",
    "modified": "modified",
    "lastModifiedBy": "last_modified_by",
}


def read(content: memoryview, request: ReadRequest) -> Iterator[Opened | ReadPart]:
    """Reads a DOCX; CORRUPT, ENCRYPTED, TOO_LARGE, NO_PAGES."""
    refuse_pages(request)
    container = Container(content, format_name="docx", limit=request.max_expanded_bytes)
    document = _Document(container)
    yield Opened(metadata=_metadata(container))
    elements = document.elements()
    while batch := list(islice(elements, BATCH)):
        yield ReadPart(elements=batch)


class _Document:
    """The parts of one document, and the state of its numbering."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._main = _main_part(container)
        self._relations = _relations(container, self._main)
        self._styles = Styles(self._part("styles", trimmed=paragraphs_alone))
        self._numbering = Numbering(self._part("numbering"))
        self._notes = {kind: self._note_elements(kind) for kind in ("footnote", "endnote")}
        self._note_count = 0

    def elements(self) -> Iterator[Element]:
        """Answers headers, the body with its notes, footers."""
        root = self._container.xml(self._main)
        body = root.find(W + "body")
        if body is None:
            raise corrupt("docx", "it has no body")
        yield from self._running(root, "header")
        yield from self._blocks(body, 0)
        yield from self._running(root, "footer")

    def _part(self, kind: str, trimmed: Callable[[bytes], bytes] = bytes) -> etree._Element | None:
        name = self._relations.get(kind)
        return self._container.xml(name, trimmed) if name and name in self._container else None

    def _blocks(self, parent: etree._Element, depth: int) -> Iterator[Element]:
        """Answers the paragraphs and tables inside an element."""
        if depth > MOST_DEPTH:
            return
        for child in parent:
            if child.tag == W + "p":
                yield from self._paragraph(child, depth)
            elif child.tag == W + "tbl":
                yield from self._table(child, depth)
            elif child.tag in _INSIDE or child.tag == MC + "AlternateContent":
                yield from self._blocks(child, depth + 1)

    def _paragraph(self, element: etree._Element, depth: int) -> Iterator[Element]:
        properties = element.find(W + "pPr")
        style = self._styles.get(value(properties, "pStyle"))
        runs = runs_of(element, bold=style.bold)
        number = self._number(properties, style) if runs.text else None
        if runs.text or (number and number.text):
            yield self._made(runs, properties, style, number)
        for picture in runs.pictures:
            yield Element(id="", kind="figure", text=picture.strip())
        for box in runs.boxes:
            yield from self._blocks(box, depth + 1)
        for kind, identity in runs.notes:
            yield from self._note(kind, identity)

    def _made(self, runs: Runs, properties: etree._Element | None, style: Style, number: Number | None) -> Element:
        bold = runs.letters > 0 and runs.bold_letters * 2 > runs.letters
        kind, level = self._kind(runs, properties, style, number, bold=bold)
        stated = None if properties is None else first_line(properties)
        indent = stated if stated is not None else style.indent
        if number is not None and number.left is not None and stated is None:
            indent = number.left
        return Element(
            id="",
            kind=kind,
            text=runs.text,
            level=level,
            number=number.text if number else "",
            number_level=number.level if number else None,
            style=style.name,
            contents_entry=style.contents,
            bold=bold,
            indent=indent,
        )

    def _kind(
        self, runs: Runs, properties: etree._Element | None, style: Style, number: Number | None, *, bold: bool
    ) -> tuple[ElementKind, int]:
        if style.contents:
            return "paragraph", 0
        outline = whole(value(properties, "outlineLvl"))
        level = outline + 1 if outline is not None and outline < 9 else style.heading
        if level:
            return "title", level
        centred = (value(properties, "jc") or ("center" if style.centred else "")) == "center"
        short = len(runs.text) <= LONGEST_TITLE and not _SENTENCE.search(runs.text)
        if short and centred and (bold or max(runs.size, style.size) >= 15):
            return "title", 1 if max(runs.size, style.size) >= 15 else 2
        if number is not None and not _UNIT.match(number.text):
            return "list_item", number.level + 1
        if number is None and style.name.lower().startswith("list "):
            return "list_item", 1
        return "paragraph", 0

    def _number(self, properties: etree._Element | None, style: Style) -> Number | None:
        """Counts a paragraph in its list, stated by itself or by its style."""
        stated = None if properties is None else properties.find(W + "numPr")
        list_id = value(stated, "numId")
        level = whole(value(stated, "ilvl"))
        if list_id is None:
            list_id = style.list_id
            if level is None:
                level = style.list_level
            if level is None and list_id is not None:
                level = self._numbering.level_of_style(list_id, style.id)
        if list_id in (None, "0"):
            return None
        assert list_id is not None
        return self._numbering.next(list_id, level or 0)

    def _table(self, element: etree._Element, depth: int) -> Iterator[Element]:
        first = next(rows_of(element), None)
        if first is not None and len(list(rows_of(element))) == 1 and len(first.findall(W + "tc")) == 1:
            yield from self._blocks(first.findall(W + "tc")[0], depth + 1)  # a frame around text
            return
        table = table_of(element, lambda cell: self._cell(cell, depth))
        if table is not None:
            rows = ("\t".join(" ".join(text.split("\n")) for text in row) for row in table.grid())
            yield Element(id="", kind="table", text="\n".join(rows), table=table)

    def _cell(self, cell: etree._Element, depth: int) -> tuple[str, bool]:
        elements = list(self._blocks(cell, depth + 1))
        text = "\n".join(element.written for element in elements if element.written)
        return text, bool(elements) and all(element.bold for element in elements if element.text)

    def _note_elements(self, kind: str) -> dict[str, etree._Element]:
        root = self._part(kind + "s")
        if root is None:
            return {}
        return {
            note.get(W + "id", ""): note for note in root.iterfind(W + kind) if note.get(W + "type") in (None, "normal")
        }

    def _note(self, kind: str, identity: str) -> Iterator[Element]:
        note = self._notes[kind].pop(identity, None)
        if note is None:
            return
        self._note_count += 1
        texts = [runs_of(paragraph, bold=False).text for paragraph in note.iter(W + "p")]
        text = "\n".join(text for text in texts if text)
        if text:
            yield Element(id="", kind="footnote", text=text, number=str(self._note_count))

    def _running(self, root: etree._Element, place: ElementKind) -> Iterator[Element]:
        """Answers the headers or footers that the sections name, each text once."""
        seen: set[str] = set()
        for reference in root.iter(W + f"{place}Reference"):
            name = self._relations.get(reference.get(R + "id", ""))
            if name is None or name not in self._container:
                continue
            for paragraph in self._container.xml(name).iter(W + "p"):
                text = runs_of(paragraph, bold=False).text
                if text and text not in seen:
                    seen.add(text)
                    yield Element(id="", kind=place, text=text)


def _main_part(container: Container) -> str:
    """Answers the name of the part with the text."""
    for target in _targets(container, "_rels/.rels", ""):
        kind, name = target[1], target[2]
        if kind == "officeDocument" and name in container:
            return name
    if "word/document.xml" in container:
        return "word/document.xml"
    raise corrupt("docx", "it has no main part")


def _relations(container: Container, main: str) -> dict[str, str]:
    """Answers the parts that the text refers to, by id and by kind."""
    folder, file = posixpath.split(main)
    found: dict[str, str] = {}
    for identity, kind, name in _targets(container, f"{folder}/_rels/{file}.rels", folder):
        found[identity] = name
        found.setdefault(kind, name)
    return found


def _targets(container: Container, relations: str, folder: str) -> list[tuple[str, str, str]]:
    if relations not in container:
        return []
    found = []
    for relation in container.xml(relations).iterfind(RELATIONS):
        if relation.get("TargetMode") != "External":
            kind = relation.get("Type", "").rpartition("/")[2]
            target = relation.get("Target", "")
            name = target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
            found.append((relation.get("Id", ""), kind, name))
    return found


def _metadata(container: Container) -> dict[str, str]:
    if "docProps/core.xml" not in container:
        return {}
    found = {}
    for child in container.xml("docProps/core.xml"):
        name = _CORE.get(etree.QName(child).localname)
        if name and child.text and child.text.strip():
            found[name] = child.text.strip()[:1000]
    return found
