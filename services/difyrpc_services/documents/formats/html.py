"""Reads HTML with a real browser's parsing rules, without recursion: nesting may be as deep as it likes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from resiliparse.parse.html import HTMLTree, NodeType

from difyrpc_services.documents.elements import Cell, Element, ElementKind, Table
from difyrpc_services.documents.formats.charset import decoded
from difyrpc_services.documents.formats.reading import Opened, ReadPart, ReadRequest, corrupt, refuse_pages

BATCH: Final = 200  # elements of one part
MOST_SPAN: Final = 1_000  # of a cell
MOST_CELLS: Final = 200_000
_STATED: Final = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]+)""", re.IGNORECASE)
_SKIPPED: Final = frozenset(
    ("script", "style", "noscript", "template", "svg", "math", "iframe", "object", "embed", "head", "select", "canvas")
)
_INLINE: Final = frozenset(
    ("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins",
     "kbd", "label", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u",
     "var", "wbr", "ruby", "rb", "nobr")
)  # fmt: skip
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_BOLD: Final = frozenset(("b", "strong", "th"))
_SPACE: Final = re.compile(r"[ \t\n\r\f\u00a0]+")
_HIDDEN: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


def read(content: memoryview, request: ReadRequest) -> Iterator[Opened | ReadPart]:
    """Reads HTML; NO_PAGES, CORRUPT."""
    refuse_pages(request)
    data = bytes(content)
    stated = _STATED.search(data[:4096])
    text, notices = decoded(data, stated=stated.group(1).decode() if stated else "")
    tree = HTMLTree.parse(text)
    if tree.body is None:
        raise corrupt("html", "it has no body")
    yield Opened(notices=notices, metadata=_metadata(tree))
    elements = _Walk().elements(tree.body)
    while batch := list(islice(elements, BATCH)):
        yield ReadPart(elements=batch)


def elements_of(text: str) -> Iterator[Element]:
    """Answers the elements of a piece of HTML."""
    tree = HTMLTree.parse(text)
    if tree.body is not None:
        yield from _Walk().elements(tree.body)


@dataclass(slots=True)
class _State:
    """What holds for the text that is being gathered."""

    kind: ElementKind = "paragraph"
    level: int = 0
    parts: list[str] = field(default_factory=list)
    letters: int = 0
    bold_letters: int = 0


class _Walk:
    """Goes through a tree and gathers text into elements."""

    def __init__(self) -> None:
        self._state = _State()
        self._lists = 0
        self._bold = 0
        self._keep = 0
        self._place: list[ElementKind] = []
        self._ready: list[Element] = []

    def elements(self, root: Any) -> Iterator[Element]:
        """Answers the elements under a node."""
        node = root.first_child
        while node is not None:
            below = self._enter(node)
            following = node.first_child if below else None
            if following is None:
                self._leave(node)
                while node.next is None and node.parent is not None and node.parent != root:
                    node = node.parent
                    self._leave(node)
                following = node.next
            yield from self._take()
            node = following
        self._flush()
        yield from self._take()

    def _take(self) -> list[Element]:
        ready, self._ready = self._ready, []
        return ready

    def _enter(self, node: Any) -> bool:
        """Begins a node; answers whether its children are to be visited."""
        if node.type == NodeType.TEXT:
            self._text(node.value or "")
            return False
        if node.type != NodeType.ELEMENT:
            return False
        tag = node.tag
        if tag in _SKIPPED or _hidden(node):
            return False
        if tag == "br":
            self._state.parts.append("\n")
        elif tag == "img":
            self._picture(node)
        elif tag == "table":
            return self._table(node)
        elif tag in _INLINE:
            self._bold += tag in _BOLD
        else:
            self._block(tag)
        return True

    def _block(self, tag: str) -> None:
        self._flush()
        if tag in _HEADINGS:
            self._state = _State("title", _HEADINGS[tag])
        elif tag in ("ul", "ol", "dl", "menu"):
            self._lists += 1
        elif tag in ("li", "dd"):
            self._state = _State("list_item", max(1, self._lists))
        elif tag in ("pre", "textarea", "xmp"):
            self._keep += 1
            self._state = _State("code")
        elif tag == "nav":
            self._place.append("header")
        elif tag == "footer":
            self._place.append("footer")

    def _leave(self, node: Any) -> None:
        if node.type != NodeType.ELEMENT:
            return
        tag = node.tag
        if tag in _SKIPPED or tag in ("br", "img", "table") or _hidden(node):
            return
        if tag in _INLINE:
            self._bold -= tag in _BOLD
            return
        self._flush()
        if tag in ("ul", "ol", "dl", "menu"):
            self._lists -= 1
        elif tag in ("pre", "textarea", "xmp"):
            self._keep -= 1
        elif tag in ("nav", "footer") and self._place:
            self._place.pop()

    def _text(self, text: str) -> None:
        state = self._state
        state.parts.append(text if self._keep else _SPACE.sub(" ", text))
        count = len(text.strip())
        state.letters += count
        state.bold_letters += count if self._bold > 0 else 0

    def _picture(self, node: Any) -> None:
        alternative = _attribute(node, "alt").strip()
        if alternative:
            self._flush()
            self._ready.append(Element(id="", kind="figure", text=alternative))

    def _flush(self) -> None:
        state, self._state = self._state, _State()
        text = "".join(state.parts)
        text = text.strip("\n") if state.kind == "code" else _lines(text)
        if not text.strip():
            if state.kind in ("list_item", "title", "code"):
                self._state = state  # nothing yet: a block inside goes on with it
                self._state.parts = []
            return
        kind: ElementKind = self._place[-1] if self._place else state.kind
        bold = state.letters > 0 and state.bold_letters * 2 > state.letters
        self._ready.append(
            Element(id="", kind=kind, text=text, level=state.level if kind == state.kind else 0, bold=bold)
        )

    def _table(self, node: Any) -> bool:
        """Answers True for a table that only lays out a page, whose content is then read as blocks."""
        self._flush()
        if _is_layout(node):
            return True
        table = table_of(node)
        if table is None:
            return True
        text = "\n".join("\t".join(" ".join(cell.split("\n")) for cell in row) for row in table.grid())
        self._ready.append(Element(id="", kind="table", text=text, table=table))
        return False


def table_of(node: Any) -> Table | None:
    """Reads a table element with its spans; None if it has no cells."""
    cells: list[Cell] = []
    covered: set[tuple[int, int]] = set()
    row = columns = 0
    for line in node.get_elements_by_tag_name("tr"):
        column = 0
        found = False
        for cell in _cells(line):
            while (row, column) in covered:
                column += 1
            height, width = _span(cell, "rowspan"), _span(cell, "colspan")
            if len(covered) + height * width > MOST_CELLS:
                height = width = 1
            covered.update((row + down, column + right) for down in range(height) for right in range(width))
            cells.append(
                Cell(
                    row=row,
                    column=column,
                    row_span=height,
                    column_span=width,
                    text=_lines(cell.text),
                    header=cell.tag == "th" and (row == 0 or _all_headers(line)),
                )
            )
            column += width
            found = True
            if len(cells) >= MOST_CELLS:
                break
        columns = max(columns, column)
        row += found
    if not cells:
        return None
    rows = max(row, cells[-1].row + 1)
    return Table(cells=tuple(_within(cell, rows, columns) for cell in cells), rows=rows, columns=columns)


def _within(cell: Cell, rows: int, columns: int) -> Cell:
    """Answers the cell with spans that end where the table ends."""
    height, width = min(cell.row_span, rows - cell.row), min(cell.column_span, columns - cell.column)
    if (height, width) == (cell.row_span, cell.column_span):
        return cell
    return Cell(
        row=cell.row, column=cell.column, row_span=height, column_span=width, text=cell.text, header=cell.header
    )


def _cells(line: Any) -> Iterator[Any]:
    child = line.first_child
    while child is not None:
        if child.type == NodeType.ELEMENT and child.tag in ("td", "th"):
            yield child
        child = child.next


def _all_headers(line: Any) -> bool:
    return all(cell.tag == "th" for cell in _cells(line))


def _is_layout(node: Any) -> bool:
    """Answers whether a table holds tables or one cell: a frame, not data."""
    inner = node.get_elements_by_tag_name("table")
    return len(inner) > 0 or len(node.get_elements_by_tag_name("td")) + len(node.get_elements_by_tag_name("th")) <= 1


def _span(cell: Any, name: str) -> int:
    text = _attribute(cell, name).strip()
    return min(max(1, int(text)), MOST_SPAN) if text.isascii() and text.isdigit() else 1


def _attribute(node: Any, name: str) -> str:
    return node.getattr(name, "") or ""


def _hidden(node: Any) -> bool:
    if node.hasattr("hidden") or _attribute(node, "aria-hidden") == "true":
        return True
    style = _attribute(node, "style")
    return bool(style) and _HIDDEN.search(style) is not None


def _lines(text: str) -> str:
    lines = (_SPACE.sub(" ", line).strip() for line in text.replace("\xa0", " ").split("\n"))
    return "\n".join(line for line in lines if line)


def _metadata(tree: Any) -> dict[str, str]:
    found = {"title": _lines(tree.title or "").replace("\n", " ")[:1000]}
    head = tree.head
    for meta in head.get_elements_by_tag_name("meta") if head is not None else ():
        name = _attribute(meta, "name").lower()
        if name in ("author", "description", "keywords"):
            found[name] = _attribute(meta, "content").strip()[:1000]
    return {name: value for name, value in found.items() if value}
