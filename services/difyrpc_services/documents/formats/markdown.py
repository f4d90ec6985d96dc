"""Reads Markdown (CommonMark with tables)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from difyrpc_services.documents.elements import Cell, Element, Table
from difyrpc_services.documents.formats.charset import decoded
from difyrpc_services.documents.formats.html import elements_of as html_elements
from difyrpc_services.documents.formats.reading import Opened, ReadPart, ReadRequest, refuse_pages
from difyrpc_services.documents.formats.words import joined

BATCH: Final = 200  # elements of one part
_SOFT: Final = "\x00"  # stands for the end of a line that is no break in the text
_DEEPEST: Final = 60  # quotes in quotes, lists in lists; what is deeper is read as if it were so deep
_BREAK: Final = re.compile(r"<br\s*/?>", re.IGNORECASE)
_NOTE: Final = re.compile(r"\[\^([^\]\s]{1,40})\]:\s*")
_FENCES: Final = re.compile(
    r"^[ ]{0,3}(`{3,}|~{3,})[^\n]*\n.*?(?:^[ ]{0,3}\1[`~]*[ \t]*$|\Z)", re.DOTALL | re.MULTILINE
)
_NOTE_LINE: Final = re.compile(r"^(?=\[\^[^\]\s]{1,40}\]:)", re.MULTILINE)
_DEEP: Final = re.compile(rf"^((?:[ \t]*(?:>|[-*+] )){{{_DEEPEST}}})(?:[ \t]*(?:>|[-*+] ))+", re.MULTILINE)
_FRONT: Final = re.compile(
    r"\A(?P<mark>-{3}|\+{3})[ \t]*\n(?P<head>.{0,10000}?)\n(?:(?P=mark)|\.{3})[ \t]*(?:\n|\Z)", re.DOTALL
)


def read(content: memoryview, request: ReadRequest) -> Iterator[Opened | ReadPart]:
    """Reads Markdown; NO_PAGES."""
    refuse_pages(request)
    text, notices = decoded(bytes(content))
    text, metadata = _front_matter(text)
    yield Opened(notices=notices, metadata=metadata)
    elements = elements_of(text)
    while batch := list(islice(elements, BATCH)):
        yield ReadPart(elements=batch)


def elements_of(text: str) -> Iterator[Element]:
    """Answers the elements of a Markdown text."""
    tokens = _parser().parse(_prepared(text))
    depth = 0
    item = False
    number = ""
    position = 0
    while position < len(tokens):
        token = tokens[position]
        if token.type in ("bullet_list_open", "ordered_list_open"):
            depth += 1
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            depth -= 1
        elif token.type == "list_item_open":
            item, number = True, token.info + token.markup if token.info else ""
        elif token.type == "table_open":
            end = _end(tokens, position)
            yield _table(tokens[position:end])
            position = end
        elif token.type == "inline":
            opened = tokens[position - 1]
            yield from _inline(token, opened, depth if item else 0, number)
            item = False if opened.type == "paragraph_open" else item
        elif token.type in ("fence", "code_block"):
            yield Element(id="", kind="code", text=token.content.rstrip("\n"), style=token.info.split(" ")[0])
        elif token.type == "html_block":
            yield from html_elements(token.content)
        position += 1


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"maxNesting": 4 * _DEEPEST}).enable("table").enable("strikethrough")


def _prepared(text: str) -> str:
    """Answers a text whose footnotes are no link targets and that is not too deep, program text left as it is."""
    if "[^" not in text and not _DEEP.search(text):
        return text
    parts: list[str] = []
    place = 0
    for fence in _FENCES.finditer(text):
        parts += (_plainer(text[place : fence.start()]), fence.group())
        place = fence.end()
    return "".join((*parts, _plainer(text[place:])))


def _plainer(text: str) -> str:
    return _DEEP.sub(r"\1", _NOTE_LINE.sub(r"\n\\", text))


def _inline(token: Token, opened: Token, depth: int, number: str) -> Iterator[Element]:
    text, pictures, bold = _text(token.children or ())
    if text:
        if opened.type == "heading_open":
            yield Element(id="", kind="title", text=text, level=int(opened.tag[1:]))
        elif depth:
            yield Element(id="", kind="list_item", text=text, level=depth, bold=bold, number=number)
        elif note := _NOTE.match(text):
            yield Element(id="", kind="footnote", text=text[note.end() :], number=note.group(1))
        else:
            yield Element(id="", kind="paragraph", text=text, bold=bold)
    for alternative in pictures:
        yield Element(id="", kind="figure", text=alternative)


def _text(children: Sequence[Token]) -> tuple[str, list[str], bool]:
    """Answers the text, the alternative texts of pictures, and whether it is all bold."""
    parts: list[str] = []
    pictures: list[str] = []
    strong = plain = 0
    inside = 0
    for child in children:
        inside += {"strong_open": 1, "strong_close": -1}.get(child.type, 0)
        if child.type in ("text", "code_inline"):
            parts.append(child.content)
            strong, plain = (strong + len(child.content), plain) if inside else (strong, plain + len(child.content))
        elif child.type == "softbreak":
            parts.append(_SOFT)
        elif child.type == "hardbreak" or (child.type == "html_inline" and _BREAK.match(child.content)):
            parts.append("\n")
        elif child.type == "image":
            pictures.append(child.content)
    return joined("".join(parts).split(_SOFT)).strip(), pictures, strong > 0 and plain == 0


def _end(tokens: Sequence[Token], position: int) -> int:
    while tokens[position].type != "table_close":
        position += 1
    return position


def _table(tokens: Sequence[Token]) -> Element:
    cells: list[Cell] = []
    row = column = -1
    for position, token in enumerate(tokens):
        if token.type == "tr_open":
            row, column = row + 1, -1
        elif token.type in ("th_open", "td_open"):
            column += 1
            text = _text(tokens[position + 1].children or ())[0]
            cells.append(Cell(row=row, column=column, text=text, header=token.type == "th_open"))
    columns = max(cell.column for cell in cells) + 1 if cells else 0
    table = Table(cells=tuple(cells), rows=row + 1, columns=columns)
    return Element(id="", kind="table", text="\n".join("\t".join(line) for line in table.grid()), table=table)


def _front_matter(text: str) -> tuple[str, dict[str, str]]:
    """Takes `title: …` and the like from between two lines of dashes, or of plus signs, at the head."""
    match = _FRONT.match(text)
    if match is None:
        return text, {}
    head, rest = match.group("head"), text[match.end() :]
    sign = ":" if text.startswith("-") else "="
    pairs = (line.partition(sign) for line in head.split("\n") if sign in line and not line.startswith((" ", "-", "#")))
    return rest, {name.strip().lower(): value.strip().strip("\"'") for name, _, value in pairs if value.strip()}
