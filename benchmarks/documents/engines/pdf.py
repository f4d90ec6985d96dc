"""Engines that read PDF alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.documents.engines import Output, Reader


def _joined(pages: list[str]) -> Output:
    return Output(text="\n\f".join(pages))


def pypdfium2() -> Reader:
    """pypdfium2: the text of each page as PDFium has it."""
    from pypdfium2 import PdfDocument

    def read(path: Path) -> list[str]:
        texts = []
        document = PdfDocument(path)
        for number in range(len(document)):
            page = document[number]
            text = page.get_textpage()
            texts.append(text.get_text_bounded().replace("\r\n", "\n"))
            text.close()
            page.close()
        document.close()
        return texts

    return Reader(read=read, output=_joined)


def pypdf() -> Reader:
    """pypdf: `extract_text` of each page."""
    from pypdf import PdfReader

    return Reader(read=lambda path: [page.extract_text() for page in PdfReader(path).pages], output=_joined)


def docling() -> Reader:
    """docling-parse: the lines of each page, from top to bottom as it orders them, with their boxes."""
    from docling_core.types.doc.page import TextCellUnit
    from docling_parse.pdf_parser import DoclingPdfParser

    def read(path: Path) -> list[Any]:
        document = DoclingPdfParser(loglevel="fatal").load(path_or_stream=str(path))
        pages = [
            [cell.text for cell in page.iterate_cells(unit_type=TextCellUnit.LINE)]
            for _, page in document.iterate_pages()
        ]
        document.unload()
        return pages

    return Reader(read=read, output=lambda pages: _joined(["\n".join(lines) for lines in pages]))
