"""Paragraph styles: what a paragraph inherits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from lxml import etree

from difyrpc_services.documents.formats.docx.names import TWIPS, W, switched, value, whole

_HEADING: Final = re.compile(r"heading (\d)", re.IGNORECASE)
MOST_PARENTS: Final = 20  # of a style; more is a circle


@dataclass(frozen=True, slots=True)
class Style:
    """One paragraph style with what it inherits."""

    id: str = ""
    name: str = ""
    outline: int | None = None
    """Level of a heading from 0; None = running text."""
    list_id: str | None = None
    list_level: int | None = None
    bold: bool = False
    centred: bool = False
    size: float = 0.0
    """Points; 0 = not stated."""
    indent: float = 0.0
    """Points of the first line."""

    @property
    def heading(self) -> int:
        """Level of the heading from 1; 0 for running text."""
        match = _HEADING.fullmatch(self.name)
        if match:
            return int(match.group(1))
        if self.name.lower() == "title":
            return 1
        if self.name.lower() == "subtitle":
            return 2
        return 0 if self.outline is None or self.outline > 8 else self.outline + 1

    @property
    def contents(self) -> bool:
        """Whether it is that of lines of a table of contents."""
        return self.name.lower().startswith(("toc ", "table of figures"))


class Styles:
    """All paragraph styles of a document by id."""

    def __init__(self, root: etree._Element | None) -> None:
        self._elements: dict[str, etree._Element] = {}
        self._known: dict[str, Style] = {}
        self._default = ""
        for element in () if root is None else root.iterfind(W + "style"):
            if element.get(W + "type", "paragraph") == "paragraph":
                identity = element.get(W + "styleId", "")
                self._elements[identity] = element
                if element.get(W + "default") in ("1", "true"):
                    self._default = identity

    def get(self, identity: str | None) -> Style:
        """Answers a style; the default one where the id is unknown or missing."""
        identity = identity if identity in self._elements else self._default
        if identity not in self._known:
            self._known[identity] = self._made(identity)
        return self._known[identity]

    def _made(self, identity: str) -> Style:
        chain = self._chain(identity)
        if not chain:
            return Style()
        first = chain[0]
        properties = [p for element in chain if (p := element.find(W + "pPr")) is not None]
        runs = [p for element in chain if (p := element.find(W + "rPr")) is not None]
        numbers = [n for p in properties if (n := p.find(W + "numPr")) is not None]
        size = next((s for r in runs if (s := whole(value(r, "sz"))) is not None), 0)
        return Style(
            id=identity,
            name=value(first, "name") or identity,
            outline=next((o for p in properties if (o := whole(value(p, "outlineLvl"))) is not None), None),
            list_id=next((n for p in numbers if (n := value(p, "numId")) is not None), None),
            list_level=next((n for p in numbers if (n := whole(value(p, "ilvl"))) is not None), None),
            bold=next((b for r in runs if (b := switched(r, "b")) is not None), False),
            centred=next((j for p in properties if (j := value(p, "jc")) is not None), "") == "center",
            size=size / 2,
            indent=next((i for p in properties if (i := first_line(p)) is not None), 0.0),
        )

    def _chain(self, identity: str) -> list[etree._Element]:
        chain: list[etree._Element] = []
        element = self._elements.get(identity)
        while element is not None and len(chain) < MOST_PARENTS:
            chain.append(element)
            element = self._elements.get(value(element, "basedOn") or "")
        return chain


def paragraphs_alone(data: bytes) -> bytes:
    """Answers the XML of styles without those of tables, which are most of it and say nothing of paragraphs."""
    if b"<!" in data:  # a comment could hold half a style
        return data
    kept: list[bytes] = []
    place = 0
    while (begin := data.find(b"<w:style ", place)) >= 0 and (head := data.find(b">", begin)) >= 0:
        own = data[begin:head]
        if b'w:type="table"' not in own or own.endswith(b"/"):
            kept.append(data[place:head])
            place = head
        elif (end := data.find(b"</w:style>", head)) >= 0:
            kept.append(data[place:begin])
            place = end + len(b"</w:style>")
        else:
            break
    return b"".join((*kept, data[place:]))


def first_line(properties: etree._Element) -> float | None:
    """Answers the indent of the first line in points; None where none is stated."""
    indent = properties.find(W + "ind")
    if indent is None:
        return None
    left = whole(indent.get(W + "left", indent.get(W + "start"))) or 0
    first = whole(indent.get(W + "firstLine")) or 0
    hanging = whole(indent.get(W + "hanging")) or 0
    return (left + first - hanging) / TWIPS
