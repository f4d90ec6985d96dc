"""Reads XML piece by piece, without a tree: names in short, no entities, no document type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol
from xml.parsers import expat

from difyrpc_services.documents.formats.reading import corrupt, too_large
from difyrpc_services.documents.formats.zipped import Container

MOST_DEPTH: Final = 1_000  # elements inside each other
_SPACES: Final = {
    "urn:oasis:names:tc:opendocument:xmlns:office:1.0": "office",
    "urn:oasis:names:tc:opendocument:xmlns:style:1.0": "style",
    "urn:oasis:names:tc:opendocument:xmlns:text:1.0": "text",
    "urn:oasis:names:tc:opendocument:xmlns:table:1.0": "table",
    "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0": "draw",
    "urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0": "fo",
    "urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0": "svg",
    "urn:oasis:names:tc:opendocument:xmlns:meta:1.0": "meta",
    "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0": "manifest",
    "urn:oasis:names:tc:opendocument:xmlns:form:1.0": "form",
    "urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0": "loext",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://www.w3.org/1999/xlink": "xlink",
    "http://www.w3.org/1998/Math/MathML": "math",
    "http://www.w3.org/XML/1998/namespace": "xml",
    # OpenOffice.org 1.0
    "http://openoffice.org/2000/office": "office",
    "http://openoffice.org/2000/style": "style",
    "http://openoffice.org/2000/text": "text",
    "http://openoffice.org/2000/table": "table",
    "http://openoffice.org/2000/drawing": "draw",
}


class Listener(Protocol):
    """Who takes what is read."""

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        """Takes the beginning of an element; names are `text:p`."""

    def end(self, name: str) -> None:
        """Takes the end of an element."""

    def text(self, text: str) -> None:
        """Takes characters."""


def listened(container: Container, part: str, listener: Listener) -> Iterator[None]:
    """Reads a part and gives it to the listener; stops after each piece, so that what is ready can be taken."""
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    short = _Names()
    depth = 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MOST_DEPTH:
            raise too_large("nesting", MOST_DEPTH)
        listener.begin(short[name], {short[key]: value for key, value in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        listener.end(short[name])

    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.CharacterDataHandler = listener.text
    parser.StartDoctypeDeclHandler = _refuse
    try:
        for piece in container.chunks(part):
            parser.Parse(piece, False)
            yield
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise corrupt("odt", "its XML is broken") from error
    yield


class _Names(dict[str, str]):
    """Short names by long ones."""

    def __missing__(self, name: str) -> str:
        space, _, local = name.rpartition("}")
        prefix = _SPACES.get(space, "x") if space else ""
        self[name] = short = f"{prefix}:{local}" if prefix else local
        return short


def _refuse(*_: object) -> None:
    raise corrupt("odt", "its XML declares a document type")
