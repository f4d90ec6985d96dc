"""Counts the right cells of tables, and reads tables out of Markdown and HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.documents.cases import Grid
from benchmarks.documents.scoring import normal

_SPLIT = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r"\|?[\s:|-]*-[\s:|-]*\|?")
_BREAK = re.compile(r"<br ?/?>")
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]<>()#+.!|~&$-])")


@dataclass(frozen=True)
class Cells:
    """How many cells are right."""

    right: int = 0
    of: int = 0

    def __add__(self, other: Cells) -> Cells:
        return Cells(self.right + other.right, self.of + other.of)


def right_cells(found: Sequence[Grid], truth: Sequence[Grid], ruled: Sequence[bool] = ()) -> dict[str, Cells]:
    """Answers the right cells of ruled, of unruled tables and of those not told apart.

    Each true table is compared with the unused found one that has most of its cells right, or with several that
    follow each other, since engines that read page by page answer the parts of one that crosses pages. A cell is right
    where its text stands in its row and column, white space aside; empty ones count, places that a span covers do not.
    """
    left = list(range(len(found)))
    totals: dict[str, Cells] = {}
    for number, table in enumerate(truth):
        best, used = 0, range(0)
        for places in _runs(found, left, len(table)):
            right = _right(_joined([found[place] for place in places]), table)
            if right > best:
                best, used = right, places
        left = [place for place in left if place not in used]
        name = "tables" if number >= len(ruled) else "bordered" if ruled[number] else "borderless"
        cells = Cells(best, sum(cell is not None for row in table for cell in row))
        totals[name] = totals.get(name, Cells()) + cells
    return totals


def _runs(found: Sequence[Grid], left: Sequence[int], rows: int) -> Iterator[range]:
    """Yields single places, and as many that follow each other as make up the rows."""
    for first in left:
        last, height = first, len(found[first])
        yield range(first, first + 1)
        while last + 1 in left and height < rows:
            last, height = last + 1, height + len(found[last + 1])
            yield range(first, last + 1)


def _joined(parts: Sequence[Grid]) -> Grid:
    """Answers parts of a table as one, the header that each page repeats once."""
    rows = list(parts[0])
    for part in parts[1:]:
        rows.extend(part[1:] if list(map(_cell, part[0])) == list(map(_cell, rows[0])) else part)
    return rows


def _right(found: Grid, truth: Grid) -> int:
    return sum(
        _cell(found[row][column] if row < len(found) and column < len(found[row]) else None) == _cell(text)
        for row, texts in enumerate(truth)
        for column, text in enumerate(texts)
        if text is not None
    )


def _cell(text: str | None) -> str | None:
    return None if text is None else "".join(normal(text).split())


def tables_in_markdown(text: str) -> list[list[list[str]]]:
    """Answers the pipe tables of a Markdown text."""
    tables: list[list[list[str]]] = []
    rows: list[list[str]] = []
    for line in [*text.split("\n"), ""]:
        stripped = line.strip()
        if stripped.startswith("|") and len(stripped) > 1:
            if not _RULE.fullmatch(stripped):
                rows.append(_cells(stripped))
        elif rows:
            bare = len(rows) > 1 and not any(rows[0])  # Markdown demands a header where the document has none
            tables.append(rows[1:] if bare else rows)
            rows = []
    return tables


def _cells(line: str) -> list[str]:
    cells = _SPLIT.split(line.strip().removeprefix("|").removesuffix("|"))
    return [_ESCAPED.sub(r"\1", _BREAK.sub("\n", cell.strip())) for cell in cells]
