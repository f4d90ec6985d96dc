"""What a document holds, whoever prints it; the truth follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.documents.cases import Truth


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the title."""

    level: int
    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    note: str = ""
    """A footnote to its end."""


@dataclass(frozen=True)
class Items:
    """A list, numbered or with bullets."""

    texts: Sequence[str]
    ordered: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells, the first one the header; None where a cell to the left or above spans."""

    rows: Sequence[Sequence[str | None]]
    ruled: bool = True

    def spans(self) -> Iterator[tuple[int, int, int, int]]:
        """Yields row, column, height and width of the cells that span."""
        for row, texts in enumerate(self.rows):
            for column, text in enumerate(texts):
                width = height = 1
                while text is not None and column + width < len(texts) and texts[column + width] is None:
                    width += 1
                while text is not None and row + height < len(self.rows) and self._below(row + height, column):
                    height += 1
                if width > 1 or height > 1:
                    yield row, column, height, width

    def _below(self, row: int, column: int) -> bool:
        """Answers whether a covered place belongs to the cell above it, not to the one on its left."""
        return self.rows[row][column] is None and (column == 0 or self.rows[row][column - 1] is not None)


@dataclass(frozen=True)
class Figure:
    """A picture and what stands under it."""

    caption: str


Block = Heading | Text | Items | Table | Figure


@dataclass(frozen=True, kw_only=True)
class Story:
    """A document."""

    name: str
    blocks: Sequence[Block]
    language: str = "en"
    header: str = ""
    footer: str = ""

    @property
    def title(self) -> str:
        """The first heading's text."""
        return next((block.text for block in self.blocks if isinstance(block, Heading)), self.name)

    def truth(self, *, numbers: bool = True, counting_on: bool = False) -> Truth:
        """Answers what a reader of it should find.

        `numbers` says whether ordered items show theirs, `counting_on` whether a list goes on where the last one ended.
        """
        running = [line for line in (self.header, self.footer) if line]
        found = [block for block in self.blocks if isinstance(block, Table)]
        return Truth(
            text="\n".join(self._texts(numbers=numbers, counting_on=counting_on)) + "\n",
            tables=[table.rows for table in found],
            ruled=[table.ruled for table in found],
            running=running,
        )

    def _texts(self, *, numbers: bool, counting_on: bool) -> Iterator[str]:
        first = 1
        for block in self.blocks:
            yield written(block, numbers=numbers, first=first)
            if counting_on and isinstance(block, Items) and block.ordered:
                first += len(block.texts)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A file and its truth."""

    name: str
    """With its ending."""
    data: bytes
    truth: Truth


def written(block: Block, *, numbers: bool = True, first: int = 1) -> str:
    """Answers a block as plain text, a list's numbers from the first."""
    if isinstance(block, Items):
        marks = [f"{place}. " if block.ordered and numbers else "" for place in range(first, first + len(block.texts))]
        return "\n".join(mark + text for mark, text in zip(marks, block.texts, strict=True))
    if isinstance(block, Table):
        return "\n".join("\t".join(cell or "" for cell in row) for row in block.rows)
    if isinstance(block, Figure):
        return block.caption
    if isinstance(block, Text) and block.note:
        return f"{block.text}\n{block.note}"
    return block.text
