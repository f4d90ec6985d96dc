"""Marks the rows that stand inside quotation marks opened in an earlier row: clauses of another text."""

from __future__ import annotations

from collections.abc import Sequence

from difyrpc_services.documents.clauses.rows import Row

_CLOSERS = {"“": "”", "「": "」", "『": "』", "《": "》"}
_OPENERS = {closer: opener for opener, closer in _CLOSERS.items()}
_MAX_ROWS = 150
"""A quotation that has not ended after so many rows has lost its closing mark and is no quotation."""


def mark_quoted(rows: Sequence[Row]) -> None:
    """Sets `quoted` of every row that begins inside a quotation."""
    open_marks: list[tuple[str, int]] = []
    straight_since: int | None = None
    for index, row in enumerate(rows):
        if row.silent:
            continue
        if open_marks and index - open_marks[0][1] > _MAX_ROWS:
            open_marks.clear()
        row_text = row.text
        straight_since = _straight(rows, index, row_text, straight_since)
        _directed(rows, index, row_text, open_marks)


def _directed(rows: Sequence[Row], index: int, text: str, open_marks: list[tuple[str, int]]) -> None:
    for sign in text:
        if sign in _CLOSERS:
            if sign == "“" and open_marks and open_marks[-1][0] == "“" and text.startswith("“"):
                continue  # a quotation of several paragraphs repeats its opening mark
            open_marks.append((sign, index))
        elif sign in _OPENERS:
            while open_marks:
                opener, start = open_marks.pop()
                if opener == _OPENERS[sign]:
                    if not open_marks:
                        _mark(rows, start, index)
                    break


def _straight(rows: Sequence[Row], index: int, text: str, since: int | None) -> int | None:
    """Follows straight marks: a quotation of several rows begins and ends a row with one."""
    if text.count('"') % 2 == 0:
        return since if since is None or index - since <= _MAX_ROWS else None
    if since is None or index - since > _MAX_ROWS:
        return index if text.startswith('"') or _ends_with_opening(text) else None
    if text.rstrip(".;,)’' ").endswith('"') or index - since <= 3:
        _mark(rows, since, index)
    return None


def _ends_with_opening(text: str) -> bool:
    head, _, tail = text.rpartition('"')
    return bool(tail.strip()) and (not head or head[-1] in " (")


def _mark(rows: Sequence[Row], start: int, end: int) -> None:
    for row in rows[start + 1 : end + 1]:
        row.quoted = True
