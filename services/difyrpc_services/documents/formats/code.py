"""Reads program text and data that are text: XML, JSON, YAML, settings, source code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import PurePosixPath
from typing import Final

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.charset import decoded
from difyrpc_services.documents.formats.html import stated_encoding
from difyrpc_services.documents.formats.languages import LANGUAGES
from difyrpc_services.documents.formats.reading import Opened, ReadPart, ReadRequest, refuse_pages

BATCH: Final = 200  # elements of one part
LEAST: Final = 1_500  # characters of an element, if the text goes on for so long
_EMPTY: Final = re.compile(r"\n(?:[ \t]*\n)+")
_ESCAPE: Final = re.compile(r"\\u([0-9A-Fa-f]{4})")


def read(content: memoryview, request: ReadRequest) -> Iterator[Opened | ReadPart]:
    """Reads program text, cut at empty lines; NO_PAGES."""
    refuse_pages(request)
    data = bytes(content)
    text, notices = decoded(data, stated=stated_encoding(data))
    language = LANGUAGES.get(PurePosixPath(request.name).suffix.lower().lstrip("."), "") or _language(text)
    if language == "properties":
        text = _ESCAPE.sub(lambda match: chr(int(match.group(1), 16)), text)
    yield Opened(notices=notices)
    elements = (Element(id="", kind="code", text=piece, style=language) for piece in _pieces(text))
    while batch := list(islice(elements, BATCH)):
        yield ReadPart(elements=batch)


def _language(text: str) -> str:
    start = text.lstrip()[:1]
    return {"<": "xml", "{": "json", "[": "json"}.get(start, "")


def _pieces(text: str) -> Iterator[str]:
    """Cuts a text at empty lines, so that pieces are long enough to say something."""
    begin = 0
    for match in _EMPTY.finditer(text):
        if match.start() - begin >= LEAST:
            yield text[begin : match.start()].strip("\n")
            begin = match.end()
    if text[begin:].strip():
        yield text[begin:].strip("\n")
