"""Reads HTML and XHTML with a real browser's parsing rules.

What is text: everything that a browser shows of the body, in its order, without scripts. Menus (`nav`), the foot of
the page (not of an article) and notices about cookies are elements of the kinds `header` and `footer`, which stand in
no text unless they are asked for; everything else that is shown, asides and forms too, is text. A page that has
nothing but such frames, or nothing but what stands for scripts that do not run, is read as that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.charset import decoded
from difyrpc_services.documents.formats.html.tables import Tables
from difyrpc_services.documents.formats.html.tokens import Tokens, metadata
from difyrpc_services.documents.formats.html.walk import Walk
from difyrpc_services.documents.formats.html.xhtml import as_html
from difyrpc_services.documents.formats.reading import Notice, Opened, ReadPart, ReadRequest, refuse_pages

__all__ = ["elements_of", "page_elements", "read", "stated_encoding"]

BATCH: Final = 200  # elements of one part
_STATED: Final = re.compile(
    rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]+)|^\s*<\?xml[^>]{0,100}encoding\s*=\s*["']([A-Za-z0-9_:.-]+)""",
    re.IGNORECASE,
)
_NAMES: Final = {
    "title": "title", "og:title": "title", "author": "author", "dc.creator": "author", "article:author": "author",
    "description": "description", "og:description": "description", "keywords": "keywords", "og:site_name": "site",
    "date": "created", "dc.date": "created", "dcterms.created": "created", "datepublished": "created",
    "article:published_time": "created", "last-modified": "modified", "dcterms.modified": "modified",
    "datemodified": "modified", "article:modified_time": "modified", "language": "language", "generator": "generator",
}  # fmt: skip
_FRAMES: Final = frozenset(("header", "footer"))


def read(content: memoryview, request: ReadRequest) -> Iterator[Opened | ReadPart]:
    """Reads HTML; NO_PAGES."""
    refuse_pages(request)
    data = bytes(content)
    text, notices = decoded(data, stated=stated_encoding(data))
    tokens = Tokens(as_html(text))
    yield Opened(notices=notices, metadata=_metadata(tokens))
    elements = _elements(tokens)
    empty = True
    while batch := list(islice(elements, BATCH)):
        empty = False
        yield ReadPart(elements=batch)
    if empty:
        yield ReadPart(notices=(Notice(reason="PAGE_WITHOUT_TEXT", message="no text stands in the page itself"),))


def elements_of(text: str) -> Iterator[Element]:
    """Answers the elements of a piece of HTML."""
    return _elements(Tokens(text))


def page_elements(text: str) -> tuple[dict[str, str], Iterator[Element]]:
    """Answers what a page says of itself, and its elements."""
    tokens = Tokens(as_html(text))
    return _metadata(tokens), _elements(tokens)


def stated_encoding(data: bytes) -> str:
    """Answers the encoding that a page states; empty without one. One of two bytes a sign could not be read so."""
    match = _STATED.search(data[:4096])
    name = (match.group(1) or match.group(2)).decode() if match else ""
    return "" if name.lower().startswith(("utf-16", "utf16", "ucs")) else name


def _elements(tokens: Tokens) -> Iterator[Element]:
    """Answers the elements of a page; its frames as text where it has nothing else."""
    tables = Tables(tokens)
    first = tokens.find("body") + 1
    held: list[Element] = []
    found = Walk(tokens, tables).elements(first, len(tokens))
    for element in found:
        if element.kind not in _FRAMES:
            yield from held
            yield element
            yield from found
            return
        held.append(element)
    if not held and "noscript" in tokens.tags:
        yield from Walk(tokens, tables, scripts_off=True).elements(first, len(tokens))
    yield from (replace(element, kind="paragraph") for element in held)


def _metadata(tokens: Tokens) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, text in metadata(tokens):
        known = _NAMES.get(name, "")
        value = " ".join(text.split())[:1000]
        if known and value:
            found.setdefault(known, value)
    return found
