"""What names of styles and the look of a paragraph say about what it is, in formats of word processors."""

from __future__ import annotations

import re
from typing import Final

from difyrpc_services.documents.elements import ElementKind

LONGEST_TITLE: Final = 80  # characters of a title that only looks like one
LARGE: Final = 15  # points of a title's letters
_HEADING: Final = re.compile(r"heading (\d)", re.IGNORECASE)
_CODE: Final = re.compile(
    r"(?:source )?code(?: block| listing| snippet)?|html preformatted|preformatted(?: text)?|macro(?: text)?|verbatim|"
    r"listing",
    re.IGNORECASE,
)
_CONTENTS: Final = re.compile(r"(?:toc|contents) \d.*|table of figures", re.IGNORECASE)
_SENTENCE: Final = re.compile(r"[。．.;；,，:：]$")
_UNIT: Final = re.compile(r"第.{1,9}[编編章节節条條款]|(?:article|section|clause)\s+\w", re.IGNORECASE)


def heading_level(style: str, outline: int | None) -> int:
    """Answers the level of a heading from 1 by its style's name or by its outline level from 0; 0 for other text."""
    match = _HEADING.fullmatch(style)
    if match:
        return int(match.group(1))
    known = {"title": 1, "subtitle": 2}.get(style.lower())
    if known is not None:
        return known
    return 0 if outline is None or outline > 8 else outline + 1


def is_code(style: str) -> bool:
    """Answers whether a style is that of program text."""
    return _CODE.fullmatch(style) is not None


def is_contents(style: str) -> bool:
    """Answers whether a style is that of lines of a table of contents."""
    return _CONTENTS.fullmatch(style) is not None


def kind_of(
    text: str, *, heading: int, centred: bool, bold: bool, size: float, number: str | None, depth: int, style: str
) -> tuple[ElementKind, int]:
    """Answers what a paragraph is, and its level; `number` is None outside of lists, `depth` counts from 0."""
    if heading:
        return "title", heading
    short = len(text) <= LONGEST_TITLE and not _SENTENCE.search(text)
    if short and centred and (bold or size >= LARGE):
        return "title", 1 if size >= LARGE else 2
    if number is not None and not _UNIT.match(number):
        return "list_item", depth + 1
    if number is None and style.lower().startswith("list "):
        return "list_item", 1
    return "paragraph", 0
