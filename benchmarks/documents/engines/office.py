"""The usual library for a format, used as its users do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.documents.engines import Output, Reader


def word() -> Reader:
    """python-docx: paragraphs and tables in the order of the body."""
    from docx import Document
    from docx.table import Table

    def read(path: Path) -> tuple[list[str], list[list[list[str]]]]:
        texts, tables = [], []
        for block in Document(str(path)).iter_inner_content():
            if isinstance(block, Table):
                rows = [[cell.text for cell in row.cells] for row in block.rows]
                tables.append(rows)
                texts.extend("\t".join(row) for row in rows)
            else:
                texts.append(block.text)
        return texts, tables

    return Reader(read=read, output=lambda found: Output(text="\n".join(found[0]), tables=found[1]))


def slides() -> Reader:
    """python-pptx: all shapes of all slides, groups opened, and the notes."""
    from pptx import Presentation

    def read(path: Path) -> tuple[list[str], list[list[list[str]]]]:
        texts: list[str] = []
        tables: list[list[list[str]]] = []
        for slide in Presentation(str(path)).slides:
            for shape in _shapes(slide.shapes):
                if shape.has_text_frame:
                    texts.append(shape.text_frame.text)
                if getattr(shape, "has_table", False) and shape.has_table:
                    rows = [[cell.text for cell in row.cells] for row in shape.table.rows]
                    tables.append(rows)
                    texts.extend("\t".join(row) for row in rows)
            if slide.has_notes_slide and slide.notes_slide.notes_text_frame:
                texts.append(slide.notes_slide.notes_text_frame.text)
        return texts, tables

    return Reader(read=read, output=lambda found: Output(text="\n".join(found[0]), tables=found[1]))


def _shapes(shapes: Any) -> Iterator[Any]:
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        else:
            yield shape


def sheets() -> Reader:
    """openpyxl: the values of all sheets, read only."""
    from openpyxl import load_workbook

    def read(path: Path) -> list[tuple[str, list[list[str]]]]:
        book = load_workbook(path, read_only=True, data_only=True)
        found = []
        for sheet in book.worksheets:
            rows = [["" if value is None else str(value) for value in row] for row in sheet.iter_rows(values_only=True)]
            found.append((sheet.title, rows))
        book.close()
        return found

    return Reader(read=read, output=_sheets)


def old_sheets() -> Reader:
    """xlrd: the values of all sheets."""
    from xlrd import open_workbook

    def read(path: Path) -> list[tuple[str, list[list[str]]]]:
        book = open_workbook(str(path))
        return [
            (sheet.name, [[str(value) for value in sheet.row_values(row)] for row in range(sheet.nrows)])
            for sheet in book.sheets()
        ]

    return Reader(read=read, output=_sheets)


def _sheets(found: list[tuple[str, list[list[str]]]]) -> Output:
    text = "\n".join(title + "\n" + "\n".join("\t".join(row) for row in rows) for title, rows in found)
    return Output(text=text, tables=[rows for _, rows in found])


def rich_text() -> Reader:
    """striprtf."""
    from striprtf.striprtf import rtf_to_text

    return Reader(
        read=lambda path: rtf_to_text(path.read_text(encoding="latin-1"), errors="ignore"),
        output=lambda text: Output(text=text),
    )


def mail() -> Reader:
    """The standard library's email: sender, receivers, subject and date as they stand, and the plain or HTML body."""
    from email import message_from_bytes, policy

    def read(path: Path) -> str:
        message = message_from_bytes(path.read_bytes(), policy=policy.default)
        body = message.get_body(preferencelist=("plain", "html"))
        heads = [
            f"{name}: {value}" for name, value in message.items() if name in ("From", "To", "Cc", "Date", "Subject")
        ]
        return "\n".join([*heads, "", body.get_content() if body else ""])

    return Reader(read=read, output=lambda text: Output(text=text))
