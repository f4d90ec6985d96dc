"""Styles of paragraphs and of characters: what a text inherits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from difyrpc_services.documents.formats.docx.markup import attribute, slices, switched, value, whole
from difyrpc_services.documents.formats.styled import heading_level, is_code, is_contents

TWIPS: Final = 20  # a point
MOST_PARENTS: Final = 20  # of a style; more is a circle
_INDENT: Final = re.compile(rb"<w:ind(\s[^>]*)>")
_NESTED: Final = re.compile(rb"<w:(rPr|sectPr)[\s>].*?</w:\1>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Style:
    """One style with what it inherits."""

    id: str = ""
    name: str = ""
    outline: int | None = None
    """Level of a heading from 0; None = running text."""
    list_id: str | None = None
    list_level: int | None = None
    bold: bool = False
    hidden: bool = False
    centred: bool = False
    size: float = 0.0
    """Points; 0 = not stated."""
    indent: float = 0.0
    """Points of the first line."""
    contents: bool = False
    """It is that of lines of a table of contents."""
    code: bool = False
    """It is that of program text."""

    @property
    def heading(self) -> int:
        """Level of the heading from 1; 0 for running text."""
        return heading_level(self.name, self.outline)


class Styles:
    """The styles of a document by id; each is read when it is first used."""

    def __init__(self, data: bytes) -> None:
        """Takes the XML of the part."""
        self._sources: dict[str, bytes] = {}
        self._known: dict[str, Style] = {}
        self._default = ""
        for own, content in slices(data, b"w:style"):
            kind = attribute(own, "w:type") or "paragraph"
            if kind in ("paragraph", "character"):
                identity = attribute(own, "w:styleId") or ""
                self._sources[identity] = content
                if kind == "paragraph" and attribute(own, "w:default") in ("1", "true", "on"):
                    self._default = identity

    def get(self, identity: str | None) -> Style:
        """Answers a style; the default one of paragraphs where the id is unknown or missing."""
        identity = identity if identity in self._sources else self._default
        if identity not in self._known:
            self._known[identity] = self._made(identity)
        return self._known[identity]

    def _made(self, identity: str) -> Style:
        chain = self._chain(identity)
        if not chain:
            return Style()
        properties = [own_properties(p) for source in chain for _, p in slices(source, b"w:pPr")]
        runs = [run for source in chain for _, run in slices(_NESTED_P.sub(b"", source), b"w:rPr")]
        numbers = [number for p in properties for _, number in slices(p, b"w:numPr")]
        size = next((s for r in runs if (s := whole(value(r, "w:sz"))) is not None), 0)
        name = value(chain[0], "w:name") or identity
        return Style(
            id=identity,
            name=name,
            contents=is_contents(name),
            code=is_code(name),
            outline=next((o for p in properties if (o := whole(value(p, "w:outlineLvl"))) is not None), None),
            list_id=next((n for p in numbers if (n := value(p, "w:numId")) is not None), None),
            list_level=next((i for p in numbers if (i := whole(value(p, "w:ilvl"))) is not None), None),
            bold=next((b for r in runs if (b := switched(r, "w:b")) is not None), False),
            hidden=next((b for r in runs if (b := switched(r, "w:vanish")) is not None), False),
            centred=next((j for p in properties if (j := value(p, "w:jc")) is not None), "") == "center",
            size=size / 2,
            indent=next((f for p in properties if (f := first_line(p)) is not None), 0.0),
        )

    def _chain(self, identity: str) -> list[bytes]:
        chain: list[bytes] = []
        source = self._sources.get(identity)
        while source is not None and len(chain) < MOST_PARENTS:
            chain.append(source)
            source = self._sources.get(value(source, "w:basedOn") or "")
        return chain


_NESTED_P: Final = re.compile(rb"<w:pPr[\s>].*?</w:pPr>", re.DOTALL)


def own_properties(data: bytes) -> bytes:
    """Answers a paragraph's properties without those of its mark, of its section and of its past."""
    data = data.partition(b"<w:pPrChange")[0]
    return _NESTED.sub(b"", data) if b"<w:rPr" in data or b"<w:sectPr" in data else data


def first_line(properties: bytes) -> float | None:
    """Answers the indent of the first line in points; None where none is stated."""
    match = _INDENT.search(properties)
    if match is None:
        return None
    own = match.group(1)
    left = whole(attribute(own, "w:left") or attribute(own, "w:start")) or 0
    first = whole(attribute(own, "w:firstLine")) or 0
    hanging = whole(attribute(own, "w:hanging")) or 0
    return (left + first - hanging) / TWIPS
