"""Finds the clauses of statutes and contracts, Chinese and English, in the elements of any format."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from difyrpc_services.documents.clauses.assembly import assemble
from difyrpc_services.documents.clauses.beginnings import judge_beginnings
from difyrpc_services.documents.clauses.contents import drop_contents
from difyrpc_services.documents.clauses.outline import choose
from difyrpc_services.documents.clauses.quotes import mark_quoted
from difyrpc_services.documents.clauses.rows import Row, rows_of
from difyrpc_services.documents.clauses.running import drop_running
from difyrpc_services.documents.clauses.slots import slots_of
from difyrpc_services.documents.elements import Clause, Element

__all__ = ["Profile", "find_clauses"]

Profile = Literal["auto", "zh", "en", "none"]
_SAMPLE = 20_000  # characters that tell the language


def find_clauses(elements: Sequence[Element], profile: Profile = "auto") -> list[Clause]:
    """Answers the clauses in reading order, parents before children; empty when the text has none.

    `profile` says which numbers to read; `auto` takes the language of most of the text, `none` finds nothing.
    """
    if profile == "none":
        return []
    with _collector_at_rest():
        return _found(elements, profile)


def _found(elements: Sequence[Element], profile: Literal["auto", "zh", "en"]) -> list[Clause]:
    rows = rows_of(elements)
    drop_running(rows)
    judge_beginnings(rows)
    language = language_of(rows) if profile == "auto" else profile
    mark_quoted(rows)
    slots = slots_of(rows, language)
    drop_contents(rows, slots)
    slots = [slot for slot in slots if not rows[slot.row].dropped]
    return assemble(rows, slots, choose(slots), language)


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Keeps the garbage collector from walking through millions of new values, none of which are in a circle."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def language_of(rows: Sequence[Row]) -> Literal["zh", "en"]:
    """Answers the language whose signs fill most of the rows' beginning; a Chinese sign weighs as much as a word."""
    chinese = latin = 0
    for row in rows:
        chinese += sum(1 for sign in row.text[:400] if "\u4e00" <= sign <= "\u9fff")
        latin += sum(1 for sign in row.text[:400] if sign.isascii() and sign.isalpha())
        if chinese + latin > _SAMPLE:
            break
    return "zh" if chinese * 4 > latin else "en"
