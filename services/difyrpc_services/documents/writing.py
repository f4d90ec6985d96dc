"""Writes elements as plain text and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from difyrpc_services.documents.elements import Element, Table

RUNNING: Final = frozenset({"header", "footer"})
_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>~]|&(?=[#\w]))")
_LINE_START: Final = re.compile(r"(?:(?=[#=|+-]|:-)|(\d{1,9})(?=[.)](?:\s|$)))")
"""What makes a line of text something else: the sign behind the match is escaped."""
_CLOSING: Final = re.compile(r"(?<=[\s#])#(?=#*$)|^#(?=#*$)")
_BULLET: Final = re.compile(r"^[•●◦▪■□◆➢‣⁃–—*·-]\s+")
_NUMBERED: Final = re.compile(
    r"[(（\[](?:[a-zA-Z]{1,2}|[ivxlcIVXLC]{1,6}|\d{1,3}|[一二三四五六七八九十百]{1,4})[)）\]]|"
    r"(?:\d{1,3}(?:\.\d{1,3})*[.)、．]|\d{1,3}(?:\.\d{1,3})+|[a-zA-Z][.)、．]|[ivxlcIVXLC]{1,6}[.)])(?=\s|[\u3400-\u9fff]|$)|"
    r"[一二三四五六七八九十百]{1,4}[、.．]|第[一二三四五六七八九十百千零〇\d]{1,9}[编編章节節条條款]|[①-⒛㈠-㈩]"
)


def plain(elements: Iterable[Element], *, running: bool) -> str:
    """Answers the elements separated by empty lines; `running` keeps headers and footers."""
    texts = (element.written for element in elements if running or element.kind not in RUNNING)
    return "\n\n".join(text for text in texts if text)


def markdown(elements: Iterable[Element], *, running: bool) -> str:
    """Answers the elements as CommonMark with tables; an item that carries its own number is a paragraph."""
    parts: list[str] = []
    depth = 0
    for element in elements:
        if element.kind in RUNNING and not running:
            continue
        item = element.kind == "list_item" and not is_numbered(element)
        if item:
            # An item deeper than one below the item above it would be read as code.
            inside = min(max(1, element.level), max(1, depth) + 1)
            text = _item(element, inside)
        else:
            inside, text = 0, _markdown(element)
        if text:
            parts.append(("\n" if depth and item else "\n\n") + text if parts else text)
            depth = inside
    return "".join(parts)


def is_numbered(element: Element) -> bool:
    """Answers whether an item shows its own number, so that a bullet before it would be one sign too many."""
    return bool(element.number) or _NUMBERED.match(element.text) is not None


def _markdown(element: Element) -> str:
    if element.kind == "table" and element.table is not None:
        return table_markdown(element.table)
    if element.kind == "code":
        fence = "`" * max(3, _longest_run(element.text) + 1)
        return f"{fence}{element.style}\n{element.text}\n{fence}"
    if element.kind == "figure":
        return f"![{_escaped(' '.join(element.text.split()))}]()" if element.text else ""
    if element.kind == "title":
        return _title(element)
    if element.kind == "footnote":
        return "> " + "  \n> ".join(_lines(element.written))
    return "  \n".join(_lines(element.written))


def _title(element: Element) -> str:
    text = " ".join(element.written.split("\n")).strip()
    return "#" * min(6, max(1, element.level)) + " " + _CLOSING.sub(r"\\#", _escaped(text)) if text else ""


def _item(element: Element, depth: int) -> str:
    indent = "  " * (depth - 1)
    return f"{indent}- " + f"  \n{indent}  ".join(_lines(_BULLET.sub("", element.written)))


def _lines(text: str) -> list[str]:
    """Answers the lines that have text, each so that Markdown reads it as nothing else."""
    return [_line(line) for line in map(str.strip, text.split("\n")) if line]


def _line(text: str) -> str:
    start = _LINE_START.match(text)
    return text[: start.end()] + "\\" + _escaped(text[start.end() :]) if start else _escaped(text)


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
