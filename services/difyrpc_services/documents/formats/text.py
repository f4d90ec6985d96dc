"""Reads plain text of any encoding."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.charset import decoded
from difyrpc_services.documents.formats.reading import Opened, ReadPart, ReadRequest, refuse_pages

BATCH: Final = 200  # elements of one part
_EMPTY: Final = re.compile(r"\n[ \t\u3000]*\n\s*?(?=\S|[ \t\u3000]+\S|$)")
_MARKER: Final = re.compile(
    r"[ \t\u3000]*(?:第[一二三四五六七八九十百千零〇○\d]{1,9}[编編分章节節条條款](?:之[一二三四五六七八九十\d]+)?|"
    r"[(（][一二三四五六七八九十百]{1,4}[)）]|[一二三四五六七八九十]{1,3}、|"
    r"[(（](?:[a-zA-Z]{1,4}|\d{1,3})[)）]\s|\d{1,3}(?:\.\d{1,3})*[.)、．]\s?\S|\d{1,3}(?:\.\d{1,3})+\s|"
    r"(?:ARTICLE|Article|SECTION|Section|CHAPTER|PART|SCHEDULE|Schedule|EXHIBIT|Exhibit|ANNEX|APPENDIX)\s+[\dA-Z]|"
    r"[•●◦▪■*-]\s)"
)
_ENDED: Final = re.compile(r"[。！？；：!?;:.”」』）)]\s*$")
_INDENTED: Final = re.compile(r"[ \t]{2,}\S|\t\S|\u3000+\S")
_HEADING: Final = re.compile(
    r"第[一二三四五六七八九十百零〇\d]+(?P<level>[编編章节節])|(?P<english>PART|ARTICLE|CHAPTER|SECTION|SCHEDULE|EXHIBIT)\s+[\dA-Z]+",
    re.IGNORECASE,
)
_LEVELS: Final = {"编": 1, "編": 1, "章": 2, "节": 3, "節": 3, "part": 1, "article": 2, "chapter": 2, "section": 3,
                  "schedule": 2, "exhibit": 2}  # fmt: skip
_UNDERLINE: Final = re.compile(r"[=\-_*~#+^\"]{3,}")
_BULLET: Final = re.compile(r"[•●◦▪■‣⁃]\s*\S|[*+-] +\S")


def read(content: memoryview, request: ReadRequest) -> Iterator[Opened | ReadPart]:
    """Reads plain text: a block of lines an element, its line breaks kept; NO_PAGES."""
    refuse_pages(request)
    text, notices = decoded(bytes(content))
    yield Opened(notices=notices)
    elements = elements_of(text)
    while batch := list(islice(elements, BATCH)):
        yield ReadPart(elements=batch)


def elements_of(text: str) -> Iterator[Element]:
    """Answers the elements of a text."""
    for page in text.split("\f"):
        for block in _EMPTY.split(page):
            for lines in _groups([line.rstrip() for line in block.split("\n") if line.strip()]):
                yield from _elements(lines)


def _elements(lines: list[str]) -> Iterator[Element]:
    """Answers the element of a group of lines; a line that is drawn under its first one makes that a title."""
    if len(lines) > 1 and _UNDERLINE.fullmatch(lines[0].strip()):
        lines = lines[1:]
    if len(lines) > 1 and len(lines[0]) <= 100 and (mark := _UNDERLINE.fullmatch(lines[1].strip())):
        level = 1 if mark.group()[0] in "=#*" else 2
        yield Element(id="", kind="title", text=lines[0].strip(), level=level)
        lines = lines[2:]
    if lines and _UNDERLINE.fullmatch(lines[-1].strip()):
        lines = lines[:-1]
    if lines:
        yield _element("\n".join(lines))


def _groups(lines: list[str]) -> Iterator[list[str]]:
    """Cuts a block where a line plainly begins something new: a number, or an indent after a sentence's end."""
    group: list[str] = []
    for line in lines:
        if group and _begins(group[-1], line):
            yield group
            group = []
        group.append(line)
    if group:
        yield group


def _begins(above: str, line: str) -> bool:
    ended = _ENDED.search(above) is not None
    if _MARKER.match(line):
        return ended or len(above.strip()) < 0.7 * len(line.strip()) or len(above.strip()) < 40
    if _HEADING.match(above.strip()) and len(above.strip()) < 40 and not ended:
        return True
    if ended and _INDENTED.match(line) and not _INDENTED.match(above):
        return True
    return (ended and line.startswith("\u3000")) or (ended and above.strip()[-1] in "。！？；：")


def _element(body: str) -> Element:
    indent = len(body) - len(body.lstrip(" \t"))
    text = body.strip(" \t\u3000")
    heading = _HEADING.match(text)
    level = 0
    if heading and "\n" not in text and len(text) <= 60 and not _ENDED.search(text):
        level = _LEVELS[(heading.group("level") or heading.group("english")).lower()]
    elif text.isupper() and "\n" not in text and 3 < len(text) <= 80 and not _ENDED.search(text):
        level = 2
    if not level and _BULLET.match(text):
        return Element(id="", kind="list_item", text=text, level=1 + min(8, indent // 2), indent=indent * 4.0)
    if level:
        return Element(id="", kind="title", text=text, level=level, indent=indent * 4.0)
    return Element(id="", kind="paragraph", text=text, indent=indent * 4.0)
