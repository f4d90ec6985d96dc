"""Writes a table for retrieval: a Markdown table whose cells are plain text."""

from __future__ import annotations

from difyrpc_services.documents.elements import Table


def written(table: Table) -> tuple[str, str]:
    """Answers the table and its header rows with the line break behind them; the first row if none is marked."""
    grid = table.grid()
    if not grid or not table.columns:
        return "", ""
    rows = ["| " + " | ".join(map(_cell, row)) + " |" for row in grid]
    rows.insert(1, "|" + " --- |" * table.columns)
    headers = max(1, min(table.header_rows, len(grid) - 1)) + 1
    return "\n".join(rows), "\n".join(rows[:headers]) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
