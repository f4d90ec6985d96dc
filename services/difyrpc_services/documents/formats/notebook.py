"""Reads Jupyter notebooks: text, program text and what programs wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.charset import decoded
from difyrpc_services.documents.formats.html import elements_of as html_elements
from difyrpc_services.documents.formats.markdown import elements_of as markdown_elements
from difyrpc_services.documents.formats.reading import Opened, ReadPart, ReadRequest, corrupt, refuse_pages

MOST_OUTPUT: Final = 20_000  # characters of what a cell wrote


def read(content: memoryview, request: ReadRequest) -> Iterator[Opened | ReadPart]:
    """Reads a notebook; NO_PAGES, CORRUPT."""
    refuse_pages(request)
    text, notices = decoded(bytes(content))
    try:
        book = json.loads(text)
        cells = book["cells"]
        language = _language(book.get("metadata", {}))
        elements = [element for cell in cells for element in _cell(cell, language)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise corrupt("notebook", "its cells cannot be read") from error
    yield Opened(notices=notices)
    yield ReadPart(elements=elements)


def _language(metadata: Any) -> str:
    return str(metadata.get("language_info", {}).get("name", "") or metadata.get("kernelspec", {}).get("language", ""))


def _cell(cell: Any, language: str) -> Iterator[Element]:
    source = _joined(cell.get("source", ""))
    if cell.get("cell_type") == "markdown":
        yield from markdown_elements(source)
        return
    if source.strip():
        yield Element(
            id="", kind="code", text=source.strip("\n"), style=language if cell["cell_type"] == "code" else ""
        )
    for output in cell.get("outputs", ()):
        yield from _output(output)


def _output(output: Any) -> Iterator[Element]:
    data = output.get("data", {})
    if "text/markdown" in data:
        yield from markdown_elements(_joined(data["text/markdown"]))
    elif "text/html" in data and "<table" in _joined(data["text/html"]):
        yield from html_elements(_joined(data["text/html"]))
    else:
        text = _joined(data.get("text/plain", output.get("text", "")))
        if output.get("output_type") == "error":
            text = f"{output.get('ename', '')}: {output.get('evalue', '')}"
        if text.strip():
            yield Element(id="", kind="code", text=text.strip("\n")[:MOST_OUTPUT])


def _joined(text: Any) -> str:
    return text if isinstance(text, str) else "".join(map(str, text))
