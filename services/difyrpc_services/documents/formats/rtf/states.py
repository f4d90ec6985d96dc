"""What holds at one place of an RTF file, and what is being put together there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from difyrpc_services.documents.elements import Element, ElementKind
from difyrpc_services.documents.formats.rtf.tables import RowLook, TableState
from difyrpc_services.documents.formats.styled import heading_level, is_code, is_contents, kind_of

TWIPS: Final = 20  # a point
_PLAIN: Final[tuple[ElementKind, int]] = ("paragraph", 0)


@dataclass(slots=True)
class Style:
    """One style of paragraphs."""

    name: str = ""
    outline: int | None = None
    """Level of a heading from 0."""
    bold: bool = False
    centred: bool = False
    size: float = 0.0


PLAIN_STYLE: Final = Style()


@dataclass(slots=True)
class State:
    """What a group inherits and may change for itself."""

    place: str = "text"
    """What its characters are: `text`, `number`, `instruction`, `style`, `font`, or the name of a piece of
    metadata."""
    unicode_skip: int = 1
    """How many characters stand for one in Unicode, for programs that know none."""
    font: int = 0
    bold: bool = False
    hidden: bool = False
    deleted: bool = False
    size: float = 0.0
    # of the paragraph
    style: int = 0
    outline: int | None = None
    centred: bool = False
    indent: int = 0
    first: int = 0
    in_table: bool = False
    depth: int = 0
    """Tables that it stands in, where that is stated."""
    level: int = 0
    """Of its list, from 0."""
    opened: bool = False
    """Its group holds a text of its own: a note, a header, a text box."""

    def copy(self) -> State:
        """Answers what a group inside begins with."""
        return State(
            self.place,
            self.unicode_skip,
            self.font,
            self.bold,
            self.hidden,
            self.deleted,
            self.size,
            self.style,
            self.outline,
            self.centred,
            self.indent,
            self.first,
            self.in_table,
            self.depth,
            self.level,
        )

    def reset_letters(self, font: int) -> None:
        """Takes back what was said of letters."""
        self.font, self.bold, self.hidden, self.size = font, False, False, 0.0

    def reset_paragraph(self) -> None:
        """Takes back what was said of the paragraph."""
        self.style, self.outline, self.centred = 0, None, False
        self.indent = self.first = self.depth = self.level = 0
        self.in_table = False


@dataclass(slots=True)
class Paragraph:
    """A paragraph that is being read."""

    parts: list[str] = field(default_factory=list)
    number: list[str] = field(default_factory=list)
    numbered: bool = False
    letters: int = 0
    bold_letters: int = 0
    contents_letters: int = 0
    size: float = 0.0
    after: list[Element] = field(default_factory=list)
    """Notes, text boxes and figures that hang in it."""

    def text(self) -> str:
        """Answers its text."""
        text = "".join(self.parts).replace("\xa0", " ").replace("\xad", "")
        if any("\ud800" <= sign <= "\udfff" for sign in text):
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return "\n".join(line.strip(" \u3000") for line in text.split("\n")).strip()


@dataclass(slots=True)
class Flow:
    """One run of text: the body, a note, a header, a text box."""

    kind: str = "text"
    """`text`, `footnote`, `header`, `footer` or `box`."""
    number: str = ""
    end: bool = False
    """It is a note for the end of the document."""
    paragraph: Paragraph = field(default_factory=Paragraph)
    elements: list[Element] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    tables: list[TableState] = field(default_factory=list)
    """Those that are open, each inside the one before it."""
    row: RowLook = field(default_factory=RowLook)
    row_open: bool = False
    outer_row: RowLook | None = None
    """What is said of the rows of the table outside, while a row of an inner one is described."""

    def end_paragraph(self, state: State, style: Style) -> None:
        """Ends the paragraph and makes its elements."""
        paragraph, self.paragraph = self.paragraph, Paragraph()
        if is_code(style.name) and not paragraph.after:
            line = "".join(paragraph.parts).rstrip()
            if line or self.code:
                self.code.append(line)
            return
        element = _element(paragraph, state, style)
        self.put([*([element] if element else []), *paragraph.after])

    def put(self, elements: list[Element]) -> None:
        """Adds elements to the cell that is open, or to the text."""
        if not elements:
            return
        if self.code:
            self.elements.append(Element(id="", kind="code", text="\n".join(self.code).strip("\n")))
            self.code = []
        (self.tables[-1].content if self.tables else self.elements).extend(elements)

    def nest(self, depth: int) -> None:
        """Opens or closes tables until so many are open."""
        while len(self.tables) > depth:
            elements = self.tables.pop().elements()
            (self.tables[-1].content if self.tables else self.elements).extend(elements)
        while len(self.tables) < depth:
            self.tables.append(TableState())

    def rest(self, state: State, style: Style) -> list[Element]:
        """Answers all elements at the end of the text."""
        if self.paragraph.parts or self.paragraph.after:
            self.end_paragraph(state, style)
        self.nest(0)
        if self.code:
            self.elements.append(Element(id="", kind="code", text="\n".join(self.code).strip("\n")))
            self.code = []
        return self.elements


def _element(paragraph: Paragraph, state: State, style: Style) -> Element | None:
    text = paragraph.text()
    if not text:
        return None
    label = "".join(paragraph.number).strip() if paragraph.numbered else None
    number = None if label is None else label if any(sign.isalnum() for sign in label) else ""
    bold = paragraph.bold_letters * 2 > paragraph.letters > 0
    contents = is_contents(style.name) or paragraph.contents_letters * 2 > paragraph.letters
    outline = state.outline if state.outline is not None else style.outline
    kind, level = _PLAIN if contents else kind_of(
        text,
        heading=heading_level(style.name, outline),
        centred=state.centred or style.centred,
        bold=bold,
        size=max(paragraph.size, style.size),
        number=number,
        depth=state.level,
        style=style.name,
    )  # fmt: skip
    return Element(
        id="",
        kind=kind,
        text=text,
        level=level,
        number=number or "",
        number_level=None if number is None else state.level,
        style=style.name,
        contents_entry=contents,
        bold=bold,
        indent=(state.indent + state.first) / TWIPS,
    )
