"""Finds tables of contents, so that no clause is read twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from difyrpc_services.documents.clauses.markers import FREE, Marker, Slot
from difyrpc_services.documents.clauses.numbering import Step, folded
from difyrpc_services.documents.clauses.rows import Row

_LEADERS = re.compile(r"(?:\.{4,}|(?:\s\.){4,}|…{2,}|·{4,}|—{4,})\s*(?:[ivxl]+|\d{1,4}|[A-Z]-?\d{1,3})?\s*$")
_HEADING = re.compile(r"(?:table\s+of\s+contents|contents|index|目\s*[录錄次])\s*:?$", re.IGNORECASE)
_PAGE_AT_END = re.compile(r"(?:\s+|[\s.…·]{2,})(?:[ivxl]+|\d{1,4}|[A-Z]-\d{1,3})$")
_NO_LETTERS = re.compile(r"[\W_]+")
_LONGEST_ENTRY = 160  # characters
_TOLD_BY = 40  # characters that tell two headings of one number apart
_MOST_ENTRIES = 1500  # rows
Key = tuple[str, tuple[Step, ...], str]
"""Style, number and first letters of a heading."""


def drop_contents(rows: Sequence[Row], slots: Sequence[Slot]) -> None:
    """Sets `dropped` of every row of a table of contents."""
    led = {index for index, row in enumerate(rows) if _is_led(row)}
    for index in led:
        rows[index].dropped = True
    first_slots = {slot.row: slot for slot in slots if not slot.inline}
    keys = {index: _key(rows, index, slot) for index, slot in first_slots.items()}
    for index, row in enumerate(rows):
        if len(row.text) <= 30 and _HEADING.match(folded(row.text)):
            _drop_below_heading(rows, index, first_slots, keys, led)
    _drop_repeated_runs(rows, first_slots, keys)


def _is_led(row: Row) -> bool:
    """Whether leaders, or the format, say that this is an entry."""
    if row.silent or len(row.text) > 2 * _LONGEST_ENTRY:
        return False
    return bool(_LEADERS.search(row.text[-60:])) or (row.dropped and row.element.contents_entry)


def _key(rows: Sequence[Row], index: int, slot: Slot) -> Key:
    """Answers what an entry and the heading that it points at share."""
    marker = slot.markers[0]
    if not _is_listed(marker):
        return (marker.style, marker.steps, "")
    rest = rows[index].written[marker.end : marker.end + 2 * _LONGEST_ENTRY].strip()
    if not rest and index + 1 < len(rows):
        rest = rows[index + 1].text
    rest = _PAGE_AT_END.sub("", folded(rest)) if len(rest) <= _LONGEST_ENTRY else folded(rest[:_LONGEST_ENTRY])
    letters = _NO_LETTERS.sub("", rest.split(". ")[0][:_TOLD_BY]).casefold()[:12]
    return (marker.style, marker.steps, letters)


def _drop_below_heading(
    rows: Sequence[Row], heading: int, slots: dict[int, Slot], keys: dict[int, Key], led: set[int]
) -> None:
    if led & set(range(heading + 1, heading + 5)):
        _drop_led(rows, heading, led)
        return
    last = min(len(rows), heading + _MOST_ENTRIES)
    inside = [index for index in range(heading + 1, last) if index in slots]
    if not inside or inside[0] - heading > 12:
        return
    first = inside[0]
    end = next((index for index in inside[1:] if keys[index] == keys[first]), None)
    if end is None:
        end = next((index for index in inside[1:] if _same_number(slots[index], slots[first])), None)
    if end is None or any(len(rows[index].text) > _LONGEST_ENTRY for index in range(heading, end)):
        return
    last_entry = max(
        index for index in inside if index < end and (index == first or _is_entry(rows[index], slots[index]))
    )
    for index in range(heading, last_entry + 1):
        rows[index].dropped = True


def _same_number(one: Slot, other: Slot) -> bool:
    return one.markers[0].style == other.markers[0].style and one.markers[0].steps == other.markers[0].steps


def _drop_led(rows: Sequence[Row], heading: int, led: set[int]) -> None:
    """Drops heading and entries where leaders tell the entries, with the few short rows between them."""
    last = heading
    for index in range(heading + 1, min(len(rows), heading + _MOST_ENTRIES)):
        if index in led:
            last = index
        elif index - last > 3 or len(rows[index].text) > _LONGEST_ENTRY:
            break
    for index in range(heading, last + 1):
        rows[index].dropped = True


def _drop_repeated_runs(rows: Sequence[Row], slots: dict[int, Slot], keys: dict[int, Key]) -> None:
    """Drops runs of headings without text between them whose like comes again further down."""
    last_place = {key: index for index, key in keys.items() if key[2]}
    run: list[int] = []
    for index, row in [*enumerate(rows), (len(rows), None)]:
        if row is not None and row.dropped:
            continue
        entry = row is not None and index in slots and _is_entry(row, slots[index])
        if entry:
            run.append(index)
            continue
        _drop_run(rows, run, keys, last_place)
        run = []


def _is_entry(row: Row, slot: Slot) -> bool:
    marker = slot.markers[0]
    if not _is_listed(marker) or slot.begins <= 0 or len(row.text) > 2 * _LONGEST_ENTRY:
        return False
    text = _PAGE_AT_END.sub("", row.written)
    if len(text) > _LONGEST_ENTRY or text[-1:] in ".。;；":
        return False
    return marker.weight > -1.5 or text != row.written


def _is_listed(marker: Marker) -> bool:
    """Whether tables of contents list clauses with such a number."""
    return bool(marker.steps) and (marker.rank < FREE or marker.dotted or marker.style == "一、")


def _has_siblings(run: Sequence[int], keys: dict[int, Key]) -> bool:
    """Whether headings of one kind follow each other; a part, its first chapter and its first section do not."""
    styles = [keys[index][0] for index in run]
    return any(style == after for style, after in pairwise(styles))


def _drop_run(rows: Sequence[Row], run: Sequence[int], keys: dict[int, Key], last_place: dict[Key, int]) -> None:
    if len(run) < 3 or not _has_siblings(run, keys):
        return
    end = run[-1]
    again = [index for index in run if last_place.get(keys[index], -1) > end]
    if len(again) >= 0.6 * len(run):
        stop = again[-1] if len(again) < len(run) else end
        for index in range(run[0], stop + 1):
            rows[index].dropped = True
