"""Judges how likely each row begins a paragraph, by the room above it, the punctuation before it and its indent."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from difyrpc_services.documents.clauses.rows import Row, columns_of
from difyrpc_services.documents.elements import Box

Extent = tuple[int, float, float, float]
"""Page, left and right edge of a row with a box; page -1 and, last, the width of one without."""
_WINDOW = 12  # rows to each side that tell how wide the column is
ENDS_SENTENCE = re.compile(
    r"(?:[.;:!?。；：！？…][\"'”’」』）)\]]*|[；;，,]\s*(?:and|or|and/or|but|以及|或者|和|或|及)|—|:-|：—)\s*$",
    re.IGNORECASE,
)
"""The end of a row after which a paragraph may begin."""
GOES_ON = re.compile(
    r"(?:\b(?:[Ss]ections?|[Aa]rticles?|[Cc]lauses?|[Ss]chedules?|[Ee]xhibits?|[Pp]aragraphs?|under|of|in|to|by|with|"
    r"the|see|a|an|than|from|for|on|at|this)|§)$"
)
"""The end of a row after which none can."""
_GOES_ON_IF_FULL = re.compile(r"(?:依照|根据|按照|依据|适用|违反|属于|符合|第|、|[条款项條項][和與与及或至]|或者)$")
_WIDE = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")
"""Such a text may have been indented by two signs that the format's reader took away."""
_ENDS_LIST_STEP = re.compile(r"[,;，、]$")


def judge_beginnings(rows: Sequence[Row]) -> None:
    """Sets `begins` of every row; those that were dropped stand out of the way."""
    rows = [row for row in rows if not row.dropped]
    wrapped = _is_wrapped(rows)
    usual = _usual_width(rows)
    extents = [_extent(row) for row in rows]
    previous: Row | None = None
    for index, row in enumerate(rows):
        if row.number:
            row.begins = 6.0
        elif row.sure is not None:
            row.begins = row.sure
        elif previous is None or row.silent or previous.silent:
            row.begins = 2.0
        elif not (wrapped or row.box):
            row.begins = 3.0
        else:
            row.begins = _beginning(row, previous, extents, index, usual)
        previous = row


def _is_wrapped(rows: Sequence[Row]) -> bool:
    """Tells whether the plain rows are lines of a fixed width rather than whole paragraphs."""
    widths = sorted(row.width for row in rows if not row.silent)
    if len(widths) < 8 or any(row.element.lines for row in rows):
        return True
    widest = widths[int(len(widths) * 0.97)]
    near = sum(1 for width in widths if 0.88 * widest <= width <= widest * 1.05)
    return widest <= 150 and near >= max(3, 0.06 * len(widths))


def _usual_width(rows: Sequence[Row]) -> float:
    widths = sorted(row.width for row in rows if not row.silent and row.box is None)
    return widths[int(len(widths) * 0.9)] if widths else 0.0


def _beginning(row: Row, previous: Row, extents: Sequence[Extent], index: int, usual: float) -> float:
    ended = bool(ENDS_SENTENCE.search(previous.text[-12:]))
    room = _room_left(previous, extents, index - 1, usual)
    score = 3.0 if room > _first_word(row) else -1.0
    if (GOES_ON.search(previous.text[-14:]) and not row.text.startswith("(")) or (
        score < 0 and _GOES_ON_IF_FULL.search(previous.text[-4:])
    ):
        score = -6.0
    elif score < 0:
        score += 1.5 if ended else -2.0
    elif not ended and _ENDS_LIST_STEP.search(previous.text):
        score -= 1.0
    if row.first and row.element is not previous.element:
        score += 1.0
    if abs(row.indent - previous.indent) > (4.0 if row.box else 1.5) and _same_column(row, previous):
        score += 0.7
    return score


def _same_column(row: Row, previous: Row) -> bool:
    if row.box is None or previous.box is None:
        return True
    return row.box.page == previous.box.page and _overlap(row.box, previous.box) > 0.3


def _room_left(row: Row, extents: Sequence[Extent], index: int, usual: float) -> float:
    """Answers how much more would have fit into the row at `index`, in its unit of width."""
    near = extents[max(0, index - _WINDOW) : index + _WINDOW + 1]
    if row.box is None:
        widest = max(extent[3] for extent in near)
        stripped = 4.0 if row.first and row.indent == 0 and _WIDE.search(row.text[:20]) else 0.0
        return max(widest, 0.85 * usual) - row.width - stripped
    page, left, right, _ = extents[index]
    edge = right
    for other_page, other_left, other_right, _ in near:
        if other_right > edge and other_page == page:
            shared = right - max(left, other_left)
            if shared > 0.5 * max(1.0, min(right - left, other_right - other_left)):
                edge = other_right
    return edge - right


def _extent(row: Row) -> Extent:
    if row.box is None:
        return (-1, 0.0, 0.0, 0.0 if row.silent else row.width)
    return (row.box.page, row.box.left, row.box.right, 0.0)


def _overlap(one: Box, other: Box) -> float:
    shared = min(one.right, other.right) - max(one.left, other.left)
    return shared / max(1.0, min(one.width, other.width))


def _first_word(row: Row) -> float:
    """Answers the width that the row's first word and a space before it need."""
    text = row.text[:60]
    if text and unicodedata.east_asian_width(text[0]) in "WF":
        columns = 5.0  # a sign, and punctuation that may not begin a line and so hangs out of another
    else:
        columns = float(len(text.split(" ", 1)[0][:30]) + 1)
    if row.box is None:
        return columns
    return columns * row.box.width / max(1.0, columns_of(row.text))
