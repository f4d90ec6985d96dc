"""What a document is made of once it has been read: elements, tables, clauses.

Positions are in points (1/72 inch), origin at the top left of the page. Pages count from 1; formats without
pages say 0. All values are plain and picklable: they cross from a worker process into the server.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import eq
from typing import Literal, overload

ElementKind = Literal["title", "paragraph", "list_item", "table", "figure", "header", "footer", "footnote", "code"]
Source = Literal["text", "ocr"]
ClauseKind = Literal[
    "part",  # 编, PART
    "subpart",  # 分编
    "chapter",  # 章, CHAPTER
    "section",  # 节, Section 2.1
    "article",  # 条, ARTICLE I
    "paragraph",  # 款, 2.1.1
    "item",  # （一）, (a)
    "subitem",  # 1., (i)
    "recital",
    "exhibit",  # exhibit, annex, appendix, attachment, 附件
    "schedule",
    "definition",
    "preamble",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """A rectangle on a page."""

    page: int
    """Page, from 1."""
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        """Points from top to bottom."""
        return self.bottom - self.top

    @property
    def width(self) -> float:
        """Points from left to right."""
        return self.right - self.left


def enclosing(boxes: Sequence[Box]) -> tuple[Box, ...]:
    """Answers one box a page around all `boxes`, in the order of pages."""
    by_page: dict[int, list[Box]] = {}
    for box in boxes:
        by_page.setdefault(box.page, []).append(box)
    return tuple(
        Box(
            page=page,
            left=min(box.left for box in group),
            top=min(box.top for box in group),
            right=max(box.right for box in group),
            bottom=max(box.bottom for box in group),
        )
        for page, group in sorted(by_page.items())
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line as it stands on a page; formats without a layout have none."""

    text: str
    """Without the hyphen joining that `Element.text` has."""
    box: Box
    indent: float = 0.0
    """Points from the left edge of its column's body text; negative when it hangs out."""
    font_size: float = 0.0
    """Points, the size that most of its characters have; 0 when unknown."""
    bold: bool = False
    """Most of its characters are bold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One cell of a table; spanned places have no cell of their own."""

    row: int
    """From 0."""
    column: int
    """From 0."""
    text: str
    row_span: int = 1
    column_span: int = 1
    header: bool = False
    """Stands in a header row."""


class GridCells(Sequence[Cell]):
    """Cells of a grid without spans, made when they are asked for: a large sheet takes a fraction of the memory."""

    __slots__ = ("columns", "headers", "rows")

    def __init__(self, rows: Sequence[Sequence[str]], *, headers: int) -> None:
        """Takes rows of equal length, the first `headers` of them header rows."""
        self.rows = rows
        self.headers = headers
        self.columns = len(rows[0]) if rows else 0

    def __len__(self) -> int:
        return len(self.rows) * self.columns

    def __iter__(self) -> Iterator[Cell]:
        for row, texts in enumerate(self.rows):
            header = row < self.headers
            for column, text in enumerate(texts):
                yield Cell(row=row, column=column, text=text, header=header)

    @overload
    def __getitem__(self, index: int) -> Cell: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Cell]: ...

    def __getitem__(self, index: int | slice) -> Cell | Sequence[Cell]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        row, column = divmod(range(len(self))[index], self.columns)
        return Cell(row=row, column=column, text=self.rows[row][column], header=row < self.headers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(eq, self, other))

    def __hash__(self) -> int:
        return hash((len(self), self.headers))


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Cells by row, then by column."""

    cells: Sequence[Cell]
    rows: int
    columns: int

    def grid(self) -> list[list[str]]:
        """Answers rows of texts; a spanned place holds an empty text."""
        if isinstance(self.cells, GridCells):
            return [list(row) for row in self.cells.rows]
        grid = [[""] * self.columns for _ in range(self.rows)]
        for cell in self.cells:
            grid[cell.row][cell.column] = cell.text
        return grid

    @property
    def header_rows(self) -> int:
        """How many rows from the top are header rows."""
        if isinstance(self.cells, GridCells):
            return self.cells.headers
        count = 0
        marked = {cell.row for cell in self.cells if cell.header}
        while count in marked:
            count += 1
        return count


@dataclass(frozen=True, kw_only=True, slots=True)
class Element:
    """One piece of a document, in reading order."""

    id: str
    """Unique in the document: `e1`, `e2`, …"""
    kind: ElementKind
    text: str
    """The running text. Word's automatic number is not in it but in `number`; a table's text is its cells,
    tab between columns, newline between rows. A line break that the author set is a newline."""
    page: int = 0
    """Page where it begins, from 1; 0 = the format has no pages."""
    boxes: tuple[Box, ...] = ()
    """One a page that it touches; empty without a layout."""
    level: int = 0
    """Titles: 1 is the highest. List items: depth from 1. Else 0."""
    heading_path: tuple[str, ...] = ()
    """Texts of the titles above it, the highest first; a title's own text is not in its path."""
    table: Table | None = None
    """Set for the kind `table` alone."""
    source: Source = "text"
    confidence: float = 1.0
    """0 to 1; below 1 for OCR and for tables found without rules."""
    lines: tuple[Line, ...] = ()
    """The printed lines, for formats with a layout (PDF)."""
    number: str = ""
    """What Word's automatic numbering prints before this paragraph: `第三条`, `2.1`, `(a)`; empty without."""
    number_level: int | None = None
    """Depth of the automatic number from 0 (w:ilvl); None without."""
    style: str = ""
    """Name of the paragraph's style, if the format has styles: `heading 1`, `List Paragraph`, `toc 1`."""
    contents_entry: bool = False
    """A line of a table of contents, not text of its own."""
    bold: bool = False
    """Most of the text is bold."""
    indent: float = 0.0
    """Points of left indent of the first line, as printed or as the style says."""
    attachment_id: str = ""
    """File inside the document that it stands in: `a1`; empty = the document itself."""

    @property
    def written(self) -> str:
        """The text as a reader sees it, automatic number included."""
        if not self.number:
            return self.text
        return f"{self.number} {self.text}".rstrip()


@dataclass(frozen=True, kw_only=True, slots=True)
class Clause:
    """One clause of a legal text."""

    id: str
    """Unique in the document: `c1`, `c2`, …"""
    kind: ClauseKind
    number: str
    """As written: `第十二条之一`, `Section 2.1`, `(a)`; empty for recitals and definitions without one."""
    normal_number: str
    """In figures, comparable across writings, an item after what it stands in: `12-1`, `2.1`, `2.1(b)(iv)`, `A`; empty
    without a number."""
    title: str
    """Its heading, if it has one."""
    text: str
    """Its own text with number and title, without its child clauses."""
    parent_id: str = ""
    """Clause that it belongs to; empty at the top."""
    pages: tuple[int, ...] = ()
    """Pages that it touches, rising; empty without pages."""
    boxes: tuple[Box, ...] = ()
    """One a page that it touches; empty without a layout."""
    element_ids: tuple[str, ...] = ()
    """Elements that it was read from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A whole document after parsing."""

    elements: tuple[Element, ...]
    page_count: int = 0
    """Pages of the whole document, whichever were asked for; 0 = the format has no pages."""
    metadata: dict[str, str] = field(default_factory=dict)
    """What the file says of itself: `title`, `author`, `created`, …"""
    language: str = ""
    """BCP 47 tag of most of its text: `zh`, `en`, `ja`; empty when too short to say."""
    warnings: tuple[str, ...] = ()
    """What was coped with, as sentences."""
