"""Makes clauses out of the chosen outline: kind, normal number, title, text, parent, pages and boxes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from difyrpc_services.documents.clauses.markers import FREE, Marker, Slot
from difyrpc_services.documents.clauses.numbering import Step
from difyrpc_services.documents.clauses.outline import Choice
from difyrpc_services.documents.clauses.rows import Row
from difyrpc_services.documents.clauses.titles import title_of
from difyrpc_services.documents.elements import Clause, ClauseKind, Element, enclosing

_HIDDEN = frozenset({"recitals", "agreed", "closing", "supplement"})
_KINDS: dict[str, ClauseKind] = {
    "part": "part", "subpart": "subpart", "chapter": "chapter", "exhibit": "exhibit", "schedule": "schedule",
    "preamble": "preamble", "whereas": "recital", "definition": "definition", "subgroup": "paragraph",
}  # fmt: skip
_LIST_KINDS: tuple[ClauseKind, ...] = ("item", "subitem")
_SENTENCE_END = re.compile(r"[.。][\"”’」)）]?$")
_CJK_END = re.compile(r"[\u3000-\u9fff\uff00-\uffef]$")
_CJK_START = re.compile(r"^[\u3000-\u9fff\uff00-\uffef]")


@dataclass(slots=True)
class _Draft:
    choice: Choice
    slot: Slot
    kind: ClauseKind | None
    normal: str
    pieces: list[tuple[Row, int, int | None]] = field(default_factory=list)


def assemble(rows: Sequence[Row], slots: Sequence[Slot], choices: Sequence[Choice], language: str) -> list[Clause]:
    """Answers the clauses in reading order."""
    drafts = _drafts(slots, choices, language)
    _give_rows(rows, drafts, language)
    shown = [draft for draft in drafts if draft.kind is not None]
    ids = {draft.choice.slot: f"c{number}" for number, draft in enumerate(shown, start=1)}
    parents = {draft.choice.slot: draft.choice.parent for draft in drafts}
    starts = {draft.slot.row for draft in drafts if draft.slot.offset == 0}
    elements = _rows_by_element(rows)
    return [
        _clause(
            draft,
            ids[draft.choice.slot],
            _visible(draft.choice.parent, ids, parents),
            title=_title(draft, rows, starts, language),
            row_counts=elements,
        )
        for draft in shown
    ]


def _drafts(slots: Sequence[Slot], choices: Sequence[Choice], language: str) -> list[_Draft]:
    by_slot: dict[int, _Draft] = {}
    holders = {choice.parent for choice in choices if choice.marker.style.startswith("unit")}
    for choice in choices:
        parent = by_slot.get(choice.parent)
        draft = _Draft(
            choice, slots[choice.slot], _kind(choice.marker, parent, language), _normal(choice.marker, parent)
        )
        if choice.marker.rank == FREE and choice.slot in holders:
            draft.kind = "chapter"
        elif draft.kind == "article" and choice.marker.rank == FREE and holders:
            draft.kind = "item"
        by_slot[choice.slot] = draft
    return list(by_slot.values())


def _kind(marker: Marker, parent: _Draft | None, language: str) -> ClauseKind | None:
    style = marker.style.partition(":")[0]
    if style in _HIDDEN:
        return None
    if style in _KINDS:
        return _KINDS[style]
    if style == "group":
        return "section" if language == "zh" else "article"
    if style.startswith("unit"):
        return "article" if language == "zh" else "section" if len(marker.steps) <= 2 else "paragraph"
    if parent is not None and (parent.kind == "recital" or parent.choice.marker.style in ("recitals", "whereas")):
        return "recital"
    return _free_kind(marker, parent, language)


def _free_kind(marker: Marker, parent: _Draft | None, language: str) -> ClauseKind:
    below = parent.kind if parent else None
    if below in ("item", "subitem"):
        return "subitem"
    if marker.dotted and len(marker.steps) > 1:
        if language == "zh":
            return "paragraph"
        return "section" if len(marker.steps) == 2 else "paragraph"
    if below in ("article", "section", "paragraph", "definition", "recital"):
        return "item"
    if below in ("exhibit", "schedule") and (language == "zh" or not marker.heading):
        return "item"
    if marker.dotted or marker.style in ("一、", "I.", "A."):
        return "article" if language == "zh" else "section"
    return "item"


def _normal(marker: Marker, parent: _Draft | None) -> str:
    """Answers the number in figures, with the numbers of the clauses that it is an item of before it."""
    if not marker.steps:
        return ""
    own = ".".join(_figure(step) for step in marker.steps)
    if marker.rank < FREE:
        letters = re.search(r"[A-Za-z]+(?=-?\d*$)", marker.written)
        if marker.rank == 0 and letters and len(letters[0]) <= 2 and not marker.written[-1].isdigit():
            return letters[0].upper()
        if marker.rank == 0 and letters and "-" in marker.written:
            return marker.written.split()[-1].strip('"“”').upper()
        return own
    if marker.dotted and len(marker.steps) > 1:
        return own
    label = re.sub(r"[()\[\].、（）\s]", "", marker.written)
    if not (label.isascii() and label.isalpha()):
        label = own
    outer = _numbered(parent)
    if not outer:
        return label
    return f"{outer}({label})"


def _figure(step: Step) -> str:
    return f"{step.value}-{step.inserted}" if step.inserted else str(step.value)


def _numbered(parent: _Draft | None) -> str:
    """Answers the number that an item's own is written after: that of its article, section or item."""
    if parent is None or parent.kind in ("part", "subpart", "chapter", "exhibit", "schedule", "recital", None):
        return ""
    return parent.normal


def _give_rows(rows: Sequence[Row], drafts: Sequence[_Draft], language: str) -> None:
    """Gives every row, or the part of it, to the clause that was begun last."""
    if not drafts:
        return
    by_slot = {draft.choice.slot: draft for draft in drafts}
    closed: _Draft | None = None
    place = 0
    for index in range(drafts[0].slot.row, len(rows)):
        row = rows[index]
        begun: list[_Draft] = []
        while place < len(drafts) and drafts[place].slot.row == index:
            begun.append(drafts[place])
            place += 1
        if row.dropped:
            continue
        if not begun:
            holder = drafts[place - 1]
            if _leaves_list(rows[index - 1], row, holder, language):
                holder = closed = _above_lists(holder, by_slot)
            elif closed is not None:
                holder = closed
            holder.pieces.append((row, 0, None))
            continue
        closed = None
        if begun[0].slot.offset > 0 and place > len(begun):
            drafts[place - len(begun) - 1].pieces.append((row, 0, begun[0].slot.offset))
        ends = [*(draft.slot.offset for draft in begun[1:]), None]
        for draft, end in zip(begun, ends, strict=True):
            draft.pieces.append((row, draft.slot.offset, end))


def _leaves_list(before: Row, row: Row, holder: _Draft, language: str) -> bool:
    """Whether a paragraph after the last item of a list goes on with the clause that the list stands in."""
    if holder.kind not in _LIST_KINDS or row.begins < 1.5 or row.silent or not _SENTENCE_END.search(before.text[-3:]):
        return False
    return language == "zh" or row.indent < holder.slot.indent - 1


def _above_lists(holder: _Draft, by_slot: dict[int, _Draft]) -> _Draft:
    draft: _Draft | None = holder
    while draft is not None and draft.kind in _LIST_KINDS:
        draft = by_slot.get(draft.choice.parent)
    return draft if draft is not None and draft.kind is not None else holder


def _rows_by_element(rows: Sequence[Row]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for row in rows:
        counts[id(row.element)] = counts.get(id(row.element), 0) + 1
    return counts


def _visible(parent: int, ids: dict[int, str], parents: dict[int, int]) -> str:
    while parent >= 0 and parent not in ids:
        parent = parents[parent]
    return ids.get(parent, "")


def _clause(draft: _Draft, id_: str, parent_id: str, *, title: str, row_counts: dict[int, int]) -> Clause:
    elements: dict[str, Element] = {row.element.id: row.element for row, _, _ in draft.pieces}
    boxes = [row.box for row, _, _ in draft.pieces if row.box is not None]
    pages = sorted({box.page for box in boxes} or {element.page for element in elements.values() if element.page})
    return Clause(
        id=id_,
        kind=draft.kind or "item",
        number=draft.choice.marker.written.strip(),
        normal_number=draft.normal,
        title=title,
        text=_text(draft.pieces, row_counts),
        parent_id=parent_id,
        pages=tuple(pages),
        boxes=enclosing(boxes),
        element_ids=tuple(elements),
    )


def _title(draft: _Draft, rows: Sequence[Row], starts: set[int], language: str) -> str:
    if draft.slot.inline:
        return ""
    following = _following(rows, draft.slot.row, starts)
    end = draft.pieces[0][2] if draft.pieces else None
    own = _cut([rows[draft.slot.row], *following], end)
    return title_of(draft.choice.marker, own, language, next_is_free=bool(following))


def _following(rows: Sequence[Row], index: int, starts: set[int]) -> list[Row]:
    """Answers the next rows, three at most, up to where another clause begins."""
    found: list[Row] = []
    for place in range(index + 1, min(index + 10, len(rows))):
        if place in starts or len(found) == 3:
            break
        if not rows[place].dropped:
            found.append(rows[place])
    return found


def _cut(rows: list[Row], end: int | None) -> list[Row]:
    """Leaves out of the first row what belongs to the item that begins inside it."""
    if end is None:
        return rows
    first = rows[0]
    head = first.written[:end].rstrip()
    return [Row(text=head, element=first.element, first=first.first, begins=first.begins)]


def _text(pieces: Sequence[tuple[Row, int, int | None]], row_counts: dict[int, int]) -> str:
    if len(pieces) == 1 and len(pieces[0][0].element.lines) <= 1:
        row, start, stop = pieces[0]
        return row.written[start:stop].strip()
    held: dict[int, int] = {}
    for row, start, stop in pieces:
        held[id(row.element)] = held.get(id(row.element), 0) + (1 if start == 0 and stop is None else 0)
    parts: list[str] = []
    used: set[int] = set()
    before: Row | None = None
    for row, start, stop in pieces:
        element = row.element
        if held[id(element)] == row_counts[id(element)] and len(element.lines) > 1:
            if id(element) not in used:
                used.add(id(element))
                _join(parts, element.written, new=before is None or row.begins > 0)
        else:
            _join(parts, row.written[start:stop].strip(), new=before is None or row.begins > 0 or before.silent)
        before = row
    return "".join(parts).strip()


def _join(parts: list[str], text: str, *, new: bool) -> None:
    if not text:
        return
    if parts:
        previous = parts[-1]
        if new:
            parts.append("\n")
        elif not (_CJK_END.search(previous) or _CJK_START.search(text)):
            parts.append(" ")
    parts.append(text)
