"""Engines that read many formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.documents.engines import Output, Reader
from benchmarks.documents.tables import tables_in_markdown


def kreuzberg() -> Reader:
    """kreuzberg: plain text and tables; without recognition of letters and without its cache."""
    from kreuzberg import ExtractionConfig, extract_file_sync

    settings = ExtractionConfig(use_cache=False, disable_ocr=True)

    def output(result: Any) -> Output:
        return Output(text=result.content, tables=[table.cells for table in result.tables])

    return Reader(read=lambda path: extract_file_sync(str(path), config=settings), output=output)


def markitdown() -> Reader:
    """markitdown: Markdown, pipe tables in it."""
    from markitdown import MarkItDown

    converter = MarkItDown(enable_plugins=False)

    def output(text: str) -> Output:
        return Output(text=text, tables=tables_in_markdown(text))

    return Reader(read=lambda path: converter.convert(str(path)).text_content, output=output)


def pandoc() -> Reader:
    """pandoc: GitHub's Markdown; a process of its own for each file, whose start counts."""
    import pypandoc

    def output(text: str) -> Output:
        return Output(text=text, tables=tables_in_markdown(text))

    def read(path: Path) -> str:
        return pypandoc.convert_file(str(path), "gfm-raw_html", extra_args=["--wrap=none", "--columns=10000"])

    pypandoc.get_pandoc_version()
    return Reader(read=read, output=output)
