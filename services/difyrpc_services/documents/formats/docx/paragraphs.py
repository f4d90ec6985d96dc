"""A paragraph that is being read, and the element that it becomes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from difyrpc_services.documents.elements import Element, ElementKind
from difyrpc_services.documents.formats.docx.numbering import Number
from difyrpc_services.documents.formats.docx.properties import ParagraphLook
from difyrpc_services.documents.formats.styled import kind_of

_FILE: Final = re.compile(r"[^\n]*\.(?:png|jpe?g|gif|emf|wmf|bmp|tiff?|svg|webp)", re.IGNORECASE)
_MADE_UP: Final = re.compile(
    r"\s*(?:Description automatically generated[^\n]*|AI-generated content may be incorrect\.?)\s*", re.IGNORECASE
)


@dataclass(slots=True)
class Drawing:
    """A picture or drawing that is being read."""

    alternative: str = ""
    picture: bool = False
    written: bool = False
    """It has text of its own."""


@dataclass(slots=True)
class Paragraph:
    """What one paragraph holds."""

    look: ParagraphLook
    parts: list[str] = field(default_factory=list)
    letters: int = 0
    bold_letters: int = 0
    contents_letters: int = 0
    """Of them, those inside a table of contents."""
    size: float = 0.0
    """Points of its largest run that states a size; 0 = none does."""
    after: list[Element] = field(default_factory=list)
    """Text boxes, figures and notes that hang in it."""
    drawing: Drawing | None = None


@dataclass(slots=True)
class Block:
    """Elements of the body, a cell, a text box or a note."""

    elements: list[Element] = field(default_factory=list)
    carried: Paragraph | None = None
    """A paragraph that goes on in the next one."""
    code: list[str] = field(default_factory=list)
    """Lines of program text; paragraphs that follow each other are one element."""

    def add(self, *elements: Element) -> None:
        """Adds the next elements."""
        if self.code:
            self.close_code()
        self.elements += elements

    def add_code(self, line: str) -> None:
        """Adds a line of program text."""
        if line or self.code:
            self.code.append(line)

    def close_code(self) -> None:
        """Ends a piece of program text."""
        if self.code:
            self.elements.append(Element(id="", kind="code", text="\n".join(self.code).strip("\n")))
            self.code = []


def element_of(paragraph: Paragraph, text: str, number: Number | None) -> Element:
    """Answers the element of a paragraph with text."""
    look = paragraph.look
    bold = paragraph.letters > 0 and paragraph.bold_letters * 2 > paragraph.letters
    contents = look.style.contents or paragraph.contents_letters * 2 > paragraph.letters
    kind: ElementKind = "paragraph"
    level = 0
    if not contents:
        kind, level = kind_of(
            text,
            heading=look.heading,
            centred=look.centred,
            bold=bold,
            size=max(paragraph.size, look.style.size),
            number=None if number is None else number.text,
            depth=0 if number is None else number.level,
            style=look.style.name,
        )
    indent = look.indent
    if number is not None and number.left is not None and not look.indented:
        indent = number.left
    return Element(
        id="",
        kind=kind,
        text=text,
        level=level,
        number=number.text if number else "",
        number_level=number.level if number else None,
        style=look.style.name,
        contents_entry=contents,
        bold=bold,
        indent=indent,
    )


def tidy(parts: list[str]) -> str:
    """Answers the text of a paragraph: no invisible hyphens, no spaces around its lines."""
    text = "".join(parts)
    if "\xa0" in text or "\xad" in text:
        text = text.replace("\xa0", " ").replace("\xad", "")
    if "\n" in text:
        text = "\n".join(line.strip(" \u3000") for line in text.split("\n"))
    return text.strip()


def described(drawing: Drawing) -> Element | None:
    """Answers the figure of a drawing; None for lines and frames that show nothing of their own."""
    alternative = _MADE_UP.sub("", drawing.alternative).strip()
    if _FILE.fullmatch(alternative):
        alternative = ""
    if drawing.picture or (alternative and not drawing.written):
        return Element(id="", kind="figure", text=alternative)
    return None
