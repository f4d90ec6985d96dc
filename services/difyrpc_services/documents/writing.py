"""Writes elements as plain text and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from difyrpc_services.documents.elements import Element, Table

RUNNING: Final = frozenset({"header", "footer"})
_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>])")
_LINE_START: Final = re.compile(r"^(\s*)(#{1,6}\s|[-+]\s|\d{1,9}[.)]\s|>|={3,}|-{3,})", re.MULTILINE)


def plain(elements: Iterable[Element], *, running: bool) -> str:
    """Answers the elements separated by empty lines; `running` keeps headers and footers."""
    texts = (element.written for element in elements if running or element.kind not in RUNNING)
    return "\n\n".join(text for text in texts if text)


def markdown(elements: Iterable[Element], *, running: bool) -> str:
    """Answers the elements as CommonMark with tables."""
    parts: list[str] = []
    in_list = False
    for element in elements:
        if element.kind in RUNNING and not running:
            continue
        text = _markdown(element)
        if not text:
            continue
        item = element.kind == "list_item"
        parts.append(("\n" if in_list and item else "\n\n") + text if parts else text)
        in_list = item
    return "".join(parts)


def _markdown(element: Element) -> str:
    if element.kind == "table" and element.table is not None:
        return table_markdown(element.table)
    if element.kind == "code":
        fence = "`" * max(3, _longest_run(element.text) + 1)
        return f"{fence}{element.style}\n{element.text}\n{fence}"
    if element.kind == "figure":
        return f"![{_escaped(element.text)}]()" if element.text else ""
    text = _escaped(element.written)
    if element.kind == "title":
        return "#" * min(6, max(1, element.level)) + " " + text.replace("\n", " ")
    if element.kind == "list_item":
        return _item(element)
    if element.kind == "footnote":
        return "> " + text.replace("\n", "\n> ")
    return _LINE_START.sub(r"\1\\\2", text).replace("\n", "  \n")


def _item(element: Element) -> str:
    """Writes a list item; a number that is part of the text stays as it is."""
    indent = "  " * max(0, element.level - 1)
    text = re.sub(r"^[•●◦▪■□◆➢‣⁃–—*·-]\s+", "", element.written)
    return f"{indent}- " + _escaped(text).replace("\n", f"\n{indent}  ")


def table_markdown(table: Table) -> str:
    """Writes a table; a spanning cell's text stands in its first place. The first row is the header."""
    grid = table.grid()
    if not grid:
        return ""
    lines = ["| " + " | ".join(_cell(text) for text in row) + " |" for row in grid]
    lines.insert(1, "|" + " --- |" * table.columns)
    return "\n".join(lines)


def _cell(text: str) -> str:
    return _escaped(text).replace("|", "\\|").replace("\n", "<br>")


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
