"""Makes titles, paragraphs and list items out of the printed lines of a column."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from difyrpc_services.documents.elements import Box, Element, ElementKind, Line
from difyrpc_services.documents.formats.pdf.columns import Block, PrintedLine
from difyrpc_services.documents.formats.words import is_cjk, joined

LARGER: Final = 1.14  # times the body's size makes a title
SMALLER: Final = 0.88  # times the body's size may be a footnote
LOOSE: Final = 1.8  # times their size from line to line; such centred lines stand for themselves
WIDER_GAP: Final = 1.24  # times the usual distance of lines separates paragraphs
CODE_GAP: Final = 3.2  # times the size from line to line; farther apart are two pieces of program text
LONGEST_TITLE: Final = 160  # characters

_LEADERS: Final = re.compile(r"(?:\.\s?){4,}\s*[\divxlc]*$|…{2,}\s*\d*$|·{4,}\s*\d*$|_{6,}\s*\d+$", re.IGNORECASE)
_TERMINAL: Final = re.compile(r"[.。:：;；!?！？”\"’)）]$")
_SENTENCE_END: Final = re.compile(r"[.。;；,，:：]$")
_COMPANY: Final = re.compile(r"\b(?:inc|ltd|co|corp|llc|l\.l\.c|l\.p|s\.a|n\.v|b\.v|plc)\.$", re.IGNORECASE)
_BULLET: Final = re.compile(r"[•●◦▪■□◆➢‣⁃–—*·-]\s+\S")
_NUMBERED_ITEM: Final = re.compile(
    r"(?:[(（](?:[a-zA-Z]{1,2}|[ivxlcIVXLC]{1,5}|\d{1,2}|[一二三四五六七八九十]{1,3})[)）]|(?:\d{1,2}|[a-z])[.)、．])\s*\S"
)
_MARKER: Final = re.compile(
    r"[•●◦▪■□◆➢‣⁃]|[(（](?:[a-zA-Z]{1,4}|\d{1,3}|[一二三四五六七八九十百]{1,4})[)）]|\d{1,3}(?:\.\d{1,3})*[.)、．]\s?|"
    r"\d{1,3}(?:\.\d{1,3})+\s|[一二三四五六七八九十]{1,3}、|第[一二三四五六七八九十百千零〇\d]{1,8}[编分章节条款]|"
    r"(?:article|section|chapter|part|schedule|exhibit|annex|appendix|clause)\s+[\divxlc]+|whereas\b|鉴于",
    re.IGNORECASE,
)
_HEADING: Final = re.compile(
    r"(?P<part>第[一二三四五六七八九十百零〇\d]+(?:编|部分)|part\s+[\divxlc]+\b)|"
    r"(?P<chapter>第[一二三四五六七八九十百零〇\d]+章|(?:article|chapter)\s+[\divxlc]+\b|"
    r"(?:schedule|exhibit|annex|appendix)\s+[\da-z]+\b|附件[一二三四五六七八九十\d]*)|"
    r"(?P<section>第[一二三四五六七八九十百零〇\d]+节|section\s+\d+\b(?!\.\d))",
    re.IGNORECASE,
)
_DEPTH: Final = re.compile(r"(\d{1,3}(?:\.\d{1,3})*)[.、．]?\s*\S")
_CONTENTS_TITLE: Final = re.compile(r"(table\s+of\s+)?contents|目\s*录|目\s*次|index", re.IGNORECASE)
_ENDS_IN_NUMBER: Final = re.compile(r"\S.*\s\d{1,4}$")


@dataclass(slots=True)
class Style:
    """What is usual in the document so far."""

    body_size: float = 10.0
    """Points that most characters have."""
    mono_body: bool = False
    """Most characters are of one width, so that they are no sign of program text."""
    in_contents: bool = False
    """The last title was that of a table of contents."""


def elements_of(block: Block, page: int, page_height: float, style: Style) -> list[Element]:
    """Answers the elements of one column, from the top."""
    usual = _usual_distance(block.lines, style)
    groups: list[list[PrintedLine]] = []
    for line in block.lines:
        if groups and not _begins(groups[-1], line, block, usual, style):
            groups[-1].append(line)
        else:
            groups.append([line])
    return [
        _code(group, page) if _is_code(group, style) else _element(group, block, page, page_height, style)
        for group in groups
    ]


def _is_code(group: list[PrintedLine], style: Style) -> bool:
    """Answers whether lines are program text: letters of one width where the text's have their own."""
    return not style.mono_body and all(line.mono and line.text.isascii() for line in group)


def _code(group: list[PrintedLine], page: int) -> Element:
    """Makes an element of program text, its lines and indents kept."""
    left = min(line.left for line in group)
    advance = min((line.right - line.left) / len(line.text) for line in group) or 1.0
    rows = [" " * round((line.left - left) / advance) + line.text.replace("\x02", "-") for line in group]
    return Element(id="", kind="code", text="\n".join(rows), page=page, boxes=(_around(group, page),))


def is_contents_line(text: str) -> bool:
    """Answers whether a line has leaders up to a page number, as tables of contents have."""
    if not any(sign in text for sign in ("..", ". .", "…", "··", "___")):
        return False
    return _LEADERS.search(text) is not None


def _usual_distance(lines: Sequence[PrintedLine], style: Style) -> float:
    """Answers the points from line to line inside paragraphs: the commonest of the small distances."""
    distances: Counter[float] = Counter()
    for above, line in pairwise(lines):
        distance = line.bottom - above.bottom
        if 0.8 * style.body_size < distance < 2.6 * style.body_size and abs(line.size - above.size) < 0.6:
            distances[round(distance * 2) / 2] += 1
    if not distances:
        return 1.3 * style.body_size
    most = max(distances.values())
    return min(distance for distance, count in distances.items() if count >= 0.4 * most)


def _begins(group: list[PrintedLine], line: PrintedLine, block: Block, usual: float, style: Style) -> bool:
    """Answers whether a line begins a new paragraph under `group`."""
    above = group[-1]
    if line.mono and above.mono and not style.mono_body:
        return line.bottom - above.bottom > CODE_GAP * line.size
    if line.mono != above.mono and not style.mono_body and line.text.isascii() and above.text.isascii():
        return True
    if abs(line.size - above.size) > 0.12 * max(line.size, above.size):
        return True
    if line.bottom - above.bottom > max(WIDER_GAP * usual * max(1.0, line.size / 14), 1.5 * line.size * 0.8):
        return True
    if is_contents_line(above.text) or is_contents_line(line.text):
        return True
    if line.bold != above.bold and (_centred(line, block) or _centred(above, block) or above.bold):
        return above.bold or _MARKER.match(line.text) is not None
    if _centred(above, block) and _centred(line, block):
        return line.bottom - above.bottom > LOOSE * line.size
    return _by_margins(group, line, block)


def _by_margins(group: list[PrintedLine], line: PrintedLine, block: Block) -> bool:
    above = group[-1]
    ended = _TERMINAL.search(above.text) is not None
    slack = block.right - above.right
    room = slack > _first_word(line) + 0.6 * line.size
    if _MARKER.match(line.text) and (ended or room or line.left < above.left - 0.5 * line.size):
        return True
    if room and slack > 0.12 * (block.right - block.left):
        fresh = line.text[0].isupper() or line.text[0].isdigit() or is_cjk(line.text[0]) or not line.text[0].isalnum()
        if ended or (fresh and slack > 0.3 * (block.right - block.left)):
            return True
    shift = line.left - above.left
    if shift > 0.9 * line.size:
        return len(group) > 1 or (_MARKER.match(above.text) is None and ended and above.left - block.left < line.size)
    if shift < -0.9 * line.size:
        return len(group) > 1 and ended
    return False


def _first_word(line: PrintedLine) -> float:
    """Answers about how wide the first word of a line is."""
    if is_cjk(line.text[0]):
        return line.size
    word = line.text.split(" ", 1)[0]
    return len(word) / max(1, len(line.text)) * (line.right - line.left)


def _centred(line: PrintedLine, block: Block) -> bool:
    width = block.right - block.left
    return (
        abs((line.left + line.right) / 2 - (block.left + block.right) / 2) < 0.03 * width
        and line.left - block.left > 0.08 * width
    )


def _element(group: list[PrintedLine], block: Block, page: int, page_height: float, style: Style) -> Element:
    text = joined([line.text for line in group])
    contents = _in_contents(text, style)
    kind, level = _kind(text, group, block, page_height, style)
    if contents:
        kind, level = "paragraph", 0
    elif kind == "title":
        style.in_contents = _CONTENTS_TITLE.fullmatch(text.strip()) is not None
    return Element(
        id="",
        kind=kind,
        text=text,
        page=page,
        boxes=(_around(group, page),),
        level=level,
        lines=tuple(_printed(line, block, page) for line in group),
        contents_entry=contents,
        bold=all(line.bold for line in group),
        indent=round(group[0].left - block.left, 2),
    )


def _in_contents(text: str, style: Style) -> bool:
    if is_contents_line(text):
        return True
    return style.in_contents and _ENDS_IN_NUMBER.match(text) is not None and len(text) < 200


def _kind(
    text: str, group: list[PrintedLine], block: Block, page_height: float, style: Style
) -> tuple[ElementKind, int]:
    """Answers what a paragraph is, and its level."""
    ratio = max(group, key=lambda line: len(line.text)).size / style.body_size
    bold = all(line.bold for line in group)
    heading = _HEADING.match(text)
    short = len(text) <= LONGEST_TITLE and len(group) <= 4
    if short and (_COMPANY.search(text) or not _SENTENCE_END.search(text)):
        centred = _centred(group[0], block)
        capitals = text.isupper() and len(text) > 3
        if ratio >= LARGER or (heading and (bold or centred or capitals)) or (bold and len(text) <= 120):
            return "title", _title_level(text, ratio, heading)
        if heading and len(text) <= 40 and len(group) == 1 and _own_line(text, heading):
            return "title", _title_level(text, ratio, heading)
        if capitals and centred:
            return "title", 2
    if ratio >= LARGER and short and ratio >= 1.4:
        return "title", _title_level(text, ratio, heading)
    if ratio <= SMALLER and group[0].top > 0.6 * page_height and re.match(r"\[?\d{1,3}\]?[\s.]|[*†‡①-⑳]", text):
        return "footnote", 0
    if _BULLET.match(text) or _NUMBERED_ITEM.match(text):
        return "list_item", 1 + min(5, int(max(0.0, group[0].left - block.left) // 18))
    return "paragraph", 0


def _own_line(text: str, heading: re.Match[str]) -> bool:
    """Answers whether a heading's word stands with a title or alone, not in a sentence (`Section 7 below`)."""
    rest = text[heading.end() :].strip()
    return not rest or rest[0].isupper() or is_cjk(rest[0]) or rest[0] in ".:：—–-"


def _title_level(text: str, ratio: float, heading: re.Match[str] | None) -> int:
    if heading and heading.lastgroup:
        return {"part": 1, "chapter": 2, "section": 3}[heading.lastgroup]
    if ratio >= 1.55:
        return 1
    depth = _DEPTH.match(text)
    if depth:
        return min(6, 2 + depth.group(1).count("."))
    return 2 if ratio >= 1.3 else 3


def _around(group: list[PrintedLine], page: int) -> Box:
    if len(group) == 1:
        one = group[0]
        left, top, right, bottom = round(one.left, 2), round(one.top, 2), round(one.right, 2), round(one.bottom, 2)
        return Box(page=page, left=left, top=top, right=right, bottom=bottom)
    return Box(
        page=page,
        left=round(min(line.left for line in group), 2),
        top=round(min(line.top for line in group), 2),
        right=round(max(line.right for line in group), 2),
        bottom=round(max(line.bottom for line in group), 2),
    )


def _printed(line: PrintedLine, block: Block, page: int) -> Line:
    return Line(
        text=line.text.replace("\x02", "-"),
        box=_around([line], page),
        indent=round(line.left - block.left, 2),
        font_size=line.size,
        bold=line.bold,
    )
