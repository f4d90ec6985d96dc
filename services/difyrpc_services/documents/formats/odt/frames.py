"""What is open while an OpenDocument text is read: blocks, paragraphs, lists, tables, drawings, notes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from difyrpc_services.documents.elements import Cell, Element, ElementKind, Table
from difyrpc_services.documents.formats.odt.styles import LEVELS, Style
from difyrpc_services.documents.formats.reading import too_large
from difyrpc_services.documents.formats.styled import heading_level, is_code, is_contents, kind_of

MOST_COLUMNS: Final = 1_000
MOST_CELLS: Final = 200_000
MOST_PLACES: Final = 2_000_000  # rows times columns
MOST_REPEATED: Final = 1_000  # rows that one row with text stands for
_APART: Final = frozenset(("figure", "footnote"))
_PLAIN: Final[tuple[ElementKind, int]] = ("paragraph", 0)


@dataclass(slots=True)
class ListState:
    """A list that is open."""

    style: str
    counts: list[int] = field(default_factory=lambda: [0] * (LEVELS + 1))
    """Last numbers by level from 1; 0 = none yet. Lists inside each other share them."""
    pending: bool = False
    """An item has begun and has no paragraph yet."""
    start: int | None = None
    """Number that the item states."""


@dataclass(slots=True)
class Block:
    """Elements of the body, a cell, a text box or a note."""

    elements: list[Element] = field(default_factory=list)
    lists: list[ListState] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    """Lines of program text; paragraphs that follow each other are one element."""

    def add(self, *elements: Element) -> None:
        """Adds the next elements."""
        self.close_code()
        self.elements += elements

    def close_code(self) -> None:
        """Ends a piece of program text."""
        if self.code:
            self.elements.append(Element(id="", kind="code", text="\n".join(self.code).strip("\n")))
            self.code = []


@dataclass(slots=True)
class Paragraph:
    """A paragraph or heading that is open."""

    style: Style
    level: int
    """Of a heading, from 1; 0 = running text."""
    number: str | None = None
    """Before an item of a list; empty for bullets, None for what is no item."""
    depth: int = 0
    """Of the list, from 0."""
    contents: bool = False
    parts: list[str] = field(default_factory=list)
    letters: int = 0
    bold_letters: int = 0
    spans: list[Style] = field(default_factory=list)
    after: list[Element] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Takes characters; white space has become single spaces already."""
        if text[0] == " " and (not self.parts or self.parts[-1][-1:] in " \n"):
            text = text[1:]
        hidden = self.style.hidden or any(span.hidden for span in self.spans)
        if text and not hidden:
            self.parts.append(text)
            self.letters += len(text)
            bold = next((span.bold for span in reversed(self.spans) if span.bold is not None), self.style.bold)
            self.bold_letters += len(text) if bold else 0

    def element(self) -> Element | None:
        """Answers its element; None without text."""
        text = "".join(self.parts).replace("\xa0", " ").replace("\xad", "")
        text = "\n".join(line.strip(" \u3000") for line in text.split("\n")).strip()
        if not text:
            return None
        name = self.style.name
        bold = self.bold_letters * 2 > self.letters > 0
        contents = self.contents or is_contents(name)
        kind, level = _PLAIN if contents else kind_of(
            text,
            heading=self.level or heading_level(name, (self.style.outline or 0) - 1 if self.style.outline else None),
            centred=bool(self.style.centred),
            bold=bold,
            size=self.style.size,
            number=self.number,
            depth=self.depth,
            style=name,
        )  # fmt: skip
        return Element(
            id="",
            kind=kind,
            text=text,
            level=level,
            number=self.number or "",
            number_level=None if self.number is None else self.depth,
            style=name,
            contents_entry=contents,
            bold=bold,
            indent=self.style.indent or 0.0,
        )

    @property
    def code(self) -> bool:
        """Whether it is program text."""
        return is_code(self.style.name)


@dataclass(slots=True)
class Drawing:
    """A frame, picture or shape that is open."""

    alternative: str = ""
    picture: bool = False
    written: bool = False
    """It has text of its own."""
    elements: list[Element] = field(default_factory=list)


@dataclass(slots=True)
class Note:
    """A footnote or endnote that is open."""

    end: bool
    citation: str = ""
    elements: list[Element] = field(default_factory=list)


@dataclass(slots=True)
class TableState:
    """A table that is open."""

    cells: list[Cell] = field(default_factory=list)
    after: list[Element] = field(default_factory=list)
    rows: int = 0
    columns: int = 0
    column: int = 0
    header_rows: int = 0
    in_header: bool = False
    repeated: int = 1
    height: int = 1
    width: int = 1
    times: int = 1
    """How many equal cells the open one stands for."""
    _row_begin: int = 0

    def begin_row(self, repeated: int) -> None:
        """Begins a row that stands for so many equal ones."""
        self.repeated = repeated
        self.column = 0
        self._row_begin = len(self.cells)

    def cover(self, times: int) -> None:
        """Leaves out places that a spanning cell covers."""
        self.column = min(self.column + times, MOST_COLUMNS)

    def begin_cell(self, *, height: int, width: int, times: int) -> None:
        """Begins a cell."""
        self.height, self.width, self.times = height, width, times

    def end_cell(self, elements: list[Element]) -> None:
        """Takes the content of a cell; TOO_LARGE."""
        self.after += [element for element in elements if element.kind in _APART]
        text = "\n".join(element.written for element in elements if element.kind not in _APART and element.text)
        for _ in range(self.times if text else 1):
            if self.column >= MOST_COLUMNS or len(self.cells) >= MOST_CELLS:
                raise too_large("table_cells", MOST_CELLS)
            self.cells.append(
                Cell(
                    row=self.rows,
                    column=self.column,
                    row_span=self.height,
                    column_span=self.width,
                    text=text,
                    header=self.in_header,
                )
            )
            self.column += 1
        if not text:
            self.cover(self.times - 1)
        if self.width == 1 or text:
            self.columns = max(self.columns, self.column)

    def end_row(self) -> None:
        """Ends a row; empty ones that repeat count once."""
        row = self.cells[self._row_begin :]
        self.rows += 1
        if any(cell.text for cell in row):
            for _ in range(min(self.repeated, MOST_REPEATED) - 1):
                if len(self.cells) + len(row) > MOST_CELLS:
                    raise too_large("table_cells", MOST_CELLS)
                self.cells += [_moved(cell, self.rows) for cell in row]
                self.rows += 1
        self.columns = max(self.columns, self.column if self.repeated == 1 else self.columns)
        if self.rows * self.columns > MOST_PLACES:
            raise too_large("table_places", MOST_PLACES)

    def elements(self) -> list[Element]:
        """Answers the table and what stands behind it."""
        if not any(cell.text for cell in self.cells):
            return self.after
        cells = tuple(_within(cell, self.rows, self.columns) for cell in self.cells if cell.column < self.columns)
        table = Table(cells=cells, rows=self.rows, columns=self.columns)
        rows = ("\t".join(" ".join(text.split("\n")) for text in row) for row in table.grid())
        return [Element(id="", kind="table", text="\n".join(rows), table=table), *self.after]


def _moved(cell: Cell, row: int) -> Cell:
    return Cell(
        row=row,
        column=cell.column,
        row_span=cell.row_span,
        column_span=cell.column_span,
        text=cell.text,
        header=cell.header,
    )


def _within(cell: Cell, rows: int, columns: int) -> Cell:
    """Answers the cell with spans that end where the table ends."""
    height, width = min(cell.row_span, rows - cell.row), min(cell.column_span, columns - cell.column)
    if (height, width) == (cell.row_span, cell.column_span):
        return cell
    return Cell(
        row=cell.row, column=cell.column, row_span=height, column_span=width, text=cell.text, header=cell.header
    )
