"""Cuts elements into rows of print and judges how likely each row begins a paragraph."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from difyrpc_services.documents.clauses.numbering import folded
from difyrpc_services.documents.elements import Box, Element

MAX_ROW_CHARACTERS = 400
"""Of a row only so much is looked at; no heading is longer."""
_WINDOW = 12  # rows to each side that tell how wide the column is
_NOT_TEXT = frozenset({"header", "footer", "figure"})
_ENDS_SENTENCE = re.compile(
    r"(?:[.;:!?。；：！？…][\"'”’」』）)\]]*|[；;，,]\s*(?:and|or|and/or|but|以及|或者|和|或|及)|—|:-|：—)\s*$",
    re.IGNORECASE,
)
_GOES_ON = re.compile(
    r"(?:\b(?:[Ss]ections?|[Aa]rticles?|[Cc]lauses?|[Ss]chedules?|[Ee]xhibits?|[Pp]aragraphs?|under|of|in|to|by|with|"
    r"the|see|a|an|than|from|for|on|at|this)|§)$"
)
_GOES_ON_IF_FULL = re.compile(r"(?:依照|根据|按照|依据|适用|违反|属于|符合|第|、|[条款项條項][和與与及或至]|或者)$")
_WIDE = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")
"""Such a text may have been indented by two signs that the format's reader took away."""
_ENDS_LIST_STEP = re.compile(r"[,;，、]$")
_CRAMMED = 200  # characters; shorter lines with wide gaps are rows of tables
_GAP_BEFORE_MARKER = re.compile(
    r"\s{3,}(?=(?:ARTICLE|Article|SECTION|Section|CLAUSE|Clause|EXHIBIT|Exhibit|SCHEDULE|Schedule|ANNEX|APPENDIX|PART)\s+[\dA-Z]|WHEREAS\b|NOW,? THEREFORE|"
    r"IN WITNESS|RECITALS|\([a-zA-Z0-9]{1,4}\)\s|\d{1,2}(?:\.\d{1,2}){0,4}\.?\s+[A-Z\"“\[]|[“\"][A-Z]|第.{1,9}[条章节条])"
)
_PAGE = 700  # characters; a longer line may hold paragraphs without even a gap between them
_SENTENCE_BEFORE_MARKER = re.compile(
    r"(?<=[.;:)\]”\"A-Z])\s+(?=(?:ARTICLE\s+[\dIVX]+|(?:Section|SECTION)\s+\d+\.\d+|EXHIBIT\s+[A-Z]\b|\d{1,2}(?:\.\d{1,2}){1,3}|\d{1,2}\.)\.?\s+[A-Z\"“\[])"
)
_PAGE_NUMBER = re.compile(
    r"^(?:[-–—·~\s]*\d{1,4}[-–—·~\s]*|page\s*\d+(?:\s*(?:of|/)\s*\d+)?|\d+\s*(?:of|/)\s*\d+|第\s*\d+\s*页(?:\s*[,，/]?\s*共\s*\d+\s*页)?)$",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Row:
    """One row of print, or one paragraph where the format knows paragraphs."""

    text: str
    """Without space at its ends."""
    element: Element
    first: bool
    """The first row of its element."""
    box: Box | None = None
    indent: float = 0.0
    """Points in layouts, columns of a terminal in plain text."""
    width: float = 0.0
    """Points in layouts, columns of a terminal in plain text."""
    number: str = ""
    """Word's automatic number that stands before the text."""
    bold: bool = False
    begins: float = 0.0
    """How likely it begins a paragraph: above 0 yes, below 0 no."""
    sure: float | None = None
    """What `begins` shall be, where the way that the row was cut tells it."""
    quoted: bool = False
    """Stands inside quotation marks that an earlier row opened."""
    silent: bool = False
    """Belongs to the text, but no clause begins in it: a table, a footnote."""
    dropped: bool = False
    """Belongs to no clause: a table of contents, a running header."""

    @property
    def written(self) -> str:
        """Text with the automatic number before it."""
        return f"{self.number} {self.text}".strip() if self.number else self.text


def rows_of(elements: Sequence[Element]) -> list[Row]:
    """Answers the rows of all elements that hold text, judged."""
    rows: list[Row] = []
    for element in elements:
        if element.kind not in _NOT_TEXT:
            rows.extend(_rows_of_one(element))
    _drop_repeated(rows)
    _judge_beginnings([row for row in rows if not row.dropped])
    return rows


def _rows_of_one(element: Element) -> list[Row]:
    silent = element.kind in ("table", "footnote", "code")
    if element.lines and not silent:
        return [
            Row(
                text=line.text.strip(), element=element, first=index == 0, box=line.box, indent=line.box.left,
                width=line.box.width, bold=line.bold, dropped=_is_contents(element),
            )
            for index, line in enumerate(element.lines)
            if line.text.strip()
        ]  # fmt: skip
    lines = [element.text] if silent else element.text.split("\n")
    texts = [(lines[0], None)] if silent else [piece for line in lines for piece in _uncrammed(line)]
    box = element.boxes[0] if element.boxes else None
    rows = [
        Row(
            text=_unboxed(text.strip()), element=element, first=False, box=box, indent=_indent(text), width=_columns(text),
            bold=element.bold, silent=silent, dropped=_is_contents(element), sure=sure,
        )
        for text, sure in texts
        if text.strip()
    ]  # fmt: skip
    if not rows and element.number:
        rows = [Row(text="", element=element, first=True, box=box)]
    if rows:
        rows[0].first = True
        rows[0].number = element.number
        rows[0].indent = rows[0].indent or element.indent / 4  # points to columns, as the reader of plain text counts them
    return rows


def _uncrammed(text: str) -> list[tuple[str, float | None]]:
    """Cuts a line that holds several paragraphs, as some converters leave a whole page.

    With each piece stands how likely it begins a paragraph; None where its place tells it.
    """
    if len(text) < _CRAMMED:
        return [(text, None)]
    pieces: list[tuple[str, float | None]] = []
    for piece in _GAP_BEFORE_MARKER.split(text):
        first, *others = _SENTENCE_BEFORE_MARKER.split(piece) if len(piece) > _PAGE else [piece]
        pieces.append((first, 2.5 if pieces else None))
        pieces.extend((other, 0.5) for other in others)
    return pieces


def _unboxed(text: str) -> str:
    """Answers a line of a box drawn with stars or bars without them."""
    if len(text) > 4 and text[0] in "*|#" and text[-1] == text[0] and text[1] == " ":
        return text.strip("*|# ")
    return text


def _is_contents(element: Element) -> bool:
    """Whether the reader's word is to be trusted that this is a line of a table of contents; `ANNEX 1` is none."""
    return element.contents_entry and (element.style.startswith("toc") or len(element.text.split()) != 2)


def _indent(text: str) -> float:
    body = text.lstrip()
    return float(_columns(text[: len(text) - len(body)].expandtabs(4)))


def _columns(text: str) -> float:
    if len(text) > 4 * MAX_ROW_CHARACTERS:
        return float(len(text))
    return float(sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text.rstrip()))


def _drop_repeated(rows: list[Row]) -> None:
    """Drops page numbers and what stands again and again far apart: running headers of formats without pages."""
    places: dict[str, list[int]] = {}
    numbers: set[int] = set()
    for index, row in enumerate(rows):
        if row.silent or row.dropped:
            continue
        if _PAGE_NUMBER.match(row.text[:60]) and not row.number:
            row.dropped = True
            numbers.add(index)
        elif _MAY_RUN.match(row.text) and len(row.text) <= 90 and not _HEADING_START.match(row.text):
            places.setdefault(_shape(row.text), []).append(index)
    for shape, found in places.items():
        at_number = [index for index in found if index < 2 or numbers & {index - 1, index + 1}]
        running = found if len(found) >= 3 and _far_apart(found) else at_number if len(at_number) > 1 else []
        if len({rows[index + 1].text for index in running if index + 1 < len(rows)}) < max(2, 0.7 * len(running)):
            continue  # what follows a running header differs from page to page
        if sum(_begins_paragraph(rows, index) for index in running) > len(running) / 2:
            continue
        for index in running:
            rows[index].dropped = True


def _begins_paragraph(rows: list[Row], index: int) -> bool:
    """Whether a sentence ends above the row and goes on below it, so that the row is its beginning."""
    if not 0 < index < len(rows) - 1:
        return False
    return bool(_ENDS_SENTENCE.search(rows[index - 1].text[-12:])) and rows[index + 1].text[:1].islower()


_MAY_RUN = re.compile(r"(?![a-z]).{6,}(?<![.;:,。；：，、”」』）)\"])$")
_HEADING_START = re.compile(
    r"^(?:第.{1,9}[编編章节節条條]|article|section|part|chapter|exhibit|schedule|annex|appendix|[(（]?\w{1,4}[)）.、]|\d)",
    re.IGNORECASE,
)


def _shape(text: str) -> str:
    """Answers what two prints of one header share: all but its figures."""
    return re.sub(r"\d+", "#", " ".join(folded(text).split()).casefold())


def _far_apart(places: list[int]) -> bool:
    gaps = [after - before for before, after in zip(places, places[1:], strict=False)]
    return min(gaps) >= 12 and sorted(gaps)[len(gaps) // 2] >= 20


def _judge_beginnings(rows: list[Row]) -> None:
    wrapped = _is_wrapped(rows)
    usual = _usual_width(rows)
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
            row.begins = _beginning(rows, index, previous, usual)
        previous = row


def _is_wrapped(rows: list[Row]) -> bool:
    """Tells whether the plain rows are lines of a fixed width rather than whole paragraphs."""
    widths = sorted(row.width for row in rows if not row.silent)
    if len(widths) < 8 or any(row.element.lines for row in rows):
        return True
    widest = widths[int(len(widths) * 0.97)]
    near = sum(1 for width in widths if 0.88 * widest <= width <= widest * 1.05)
    return widest <= 150 and near >= max(3, 0.06 * len(widths))


def _usual_width(rows: list[Row]) -> float:
    widths = sorted(row.width for row in rows if not row.silent and row.box is None)
    return widths[int(len(widths) * 0.9)] if widths else 0.0


def _beginning(rows: list[Row], index: int, previous: Row, usual: float) -> float:
    row = rows[index]
    ended = bool(_ENDS_SENTENCE.search(previous.text[-12:]))
    room = _room_left(rows, index - 1, usual)
    score = 3.0 if room > _first_word(row) else -1.0
    if _GOES_ON.search(previous.text[-14:]) or (score < 0 and _GOES_ON_IF_FULL.search(previous.text[-4:])):
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


def _room_left(rows: list[Row], index: int, usual: float) -> float:
    """Answers how much more would have fit into the row at `index`, in its unit of width."""
    row = rows[index]
    near = rows[max(0, index - _WINDOW) : index + _WINDOW + 1]
    if row.box is None:
        widest = max((other.width for other in near if other.box is None and not other.silent), default=0.0)
        stripped = 4.0 if row.first and row.indent == 0 and _WIDE.search(row.text[:20]) else 0.0
        return max(widest, 0.85 * usual) - row.width - stripped
    edges = [other.box.right for other in near if other.box and other.box.page == row.box.page
             and (other is row or _overlap(other.box, row.box) > 0.5)]  # fmt: skip
    return max(edges) - row.box.right


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
    return columns * row.box.width / max(1.0, _columns(row.text))


def most_common_indent(rows: Sequence[Row]) -> float:
    """Answers the indent that most rows have."""
    counts = Counter(round(row.indent) for row in rows)
    return float(counts.most_common(1)[0][0]) if counts else 0.0
