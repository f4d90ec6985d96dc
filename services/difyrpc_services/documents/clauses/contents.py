"""Finds tables of contents, so that no clause is read twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from difyrpc_services.documents.clauses.markers import FREE, Slot
from difyrpc_services.documents.clauses.numbering import folded
from difyrpc_services.documents.clauses.rows import Row

_LEADERS = re.compile(r"(?:\.{4,}|(?:\s\.){4,}|…{2,}|·{4,}|—{4,})\s*(?:[ivxl]+|\d{1,4}|[A-Z]-?\d{1,3})?\s*$")
_HEADING = re.compile(r"(?:table\s+of\s+contents|contents|index|目\s*[录錄次])\s*:?$", re.IGNORECASE)
_PAGE_AT_END = re.compile(r"(?:\s+|[\s.…·]{2,})(?:[ivxl]+|\d{1,4}|[A-Z]-\d{1,3})$")
_LONGEST_ENTRY = 160  # characters
_MOST_ENTRIES = 1500  # rows


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


def _key(rows: Sequence[Row], index: int, slot: Slot) -> str:
    """Answers what an entry and the heading that it points at share."""
    marker = slot.markers[0]
    rest = rows[index].written[marker.end : marker.end + 2 * _LONGEST_ENTRY].strip()
    if not rest and index + 1 < len(rows):
        rest = rows[index + 1].text
    rest = _PAGE_AT_END.sub("", folded(rest)).split(". ")[0]
    letters = re.sub(r"[\W_]+", "", rest).casefold()[:12]
    return f"{marker.style}|{marker.steps}|{letters}"


def _drop_below_heading(
    rows: Sequence[Row], heading: int, slots: dict[int, Slot], keys: dict[int, str], led: set[int]
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


def _drop_repeated_runs(rows: Sequence[Row], slots: dict[int, Slot], keys: dict[int, str]) -> None:
    """Drops runs of headings without text between them whose like comes again further down."""
    last_place = {key: index for index, key in keys.items() if not key.endswith("|")}
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
    if len(row.text) > 2 * _LONGEST_ENTRY:
        return False
    text = _PAGE_AT_END.sub("", row.written)
    return (
        len(text) <= _LONGEST_ENTRY
        and bool(marker.steps)
        and slot.begins > 0
        and (marker.weight > -1.5 or text != row.written)
        and (marker.rank < FREE or marker.dotted or marker.style == "一、")
        and text[-1:] not in ".。;；"
    )


def _has_siblings(run: Sequence[int], keys: dict[int, str]) -> bool:
    """Whether headings of one kind follow each other; a part, its first chapter and its first section do not."""
    styles = [keys[index].partition("|")[0] for index in run]
    return any(style == after for style, after in pairwise(styles))


def _drop_run(rows: Sequence[Row], run: Sequence[int], keys: dict[int, str], last_place: dict[str, int]) -> None:
    if len(run) < 3 or not _has_siblings(run, keys):
        return
    end = run[-1]
    again = [index for index in run if last_place.get(keys[index], -1) > end]
    if len(again) >= 0.6 * len(run):
        stop = again[-1] if len(again) < len(run) else end
        for index in range(run[0], stop + 1):
            rows[index].dropped = True
