"""Opens zip containers that may be hostile: counted, bounded, XML without entities."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable
from typing import Final

from lxml import etree

from difyrpc_services.documents.formats.reading import corrupt, encrypted, too_large

MOST_ENTRIES: Final = 20_000
_STRICT: Final = {  # ISO 29500 Strict names, read as their Transitional twins
    b"http://purl.oclc.org/ooxml/wordprocessingml/main": (
        b"http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    ),
    b"http://purl.oclc.org/ooxml/officeDocument/relationships": (
        b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    ),
    b"http://purl.oclc.org/ooxml/drawingml/main": b"http://schemas.openxmlformats.org/drawingml/2006/main",
    b"http://purl.oclc.org/ooxml/drawingml/wordprocessingDrawing": (
        b"http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"
    ),
}


class Container:
    """A zip file whose parts expand to at most `limit` bytes in all."""

    def __init__(self, content: memoryview, *, format_name: str, limit: int) -> None:
        self._format = format_name
        self._left = limit
        self._limit = limit
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise corrupt(format_name, "the zip container is broken or truncated") from error
        self._names = {entry.filename.lower(): entry for entry in self._zip.infolist()}
        if len(self._zip.infolist()) > MOST_ENTRIES:
            raise too_large("entries", MOST_ENTRIES)

    def __contains__(self, name: str) -> bool:
        return _key(name) in self._names

    def read(self, name: str) -> bytes:
        """Answers one part; CORRUPT, ENCRYPTED, TOO_LARGE."""
        entry = self._names.get(_key(name))
        if entry is None:
            raise corrupt(self._format, f"it has no part {name}")
        if entry.flag_bits & 1:
            raise encrypted(self._format, given=False)
        try:
            with self._zip.open(entry) as file:
                data = file.read(self._left + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, NotImplementedError) as error:
            raise corrupt(self._format, f"the part {name} is broken") from error
        self._left -= len(data)
        if self._left < 0:
            raise too_large("expanded_bytes", self._limit)
        return data

    def xml(self, name: str, trimmed: Callable[[bytes], bytes] = bytes) -> etree._Element:
        """Answers one part as XML; a document type, where entities would be declared, makes it CORRUPT.

        `trimmed` may take out of it what nobody will read.
        """
        data = self.read(name)
        if b"purl.oclc.org" in data:
            for strict, transitional in _STRICT.items():
                data = data.replace(strict, transitional)
        data = trimmed(data)
        return parse_xml(data, format_name=self._format)


def parse_xml(data: bytes, *, format_name: str) -> etree._Element:
    """Parses XML without entities, network and document types; CORRUPT."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise corrupt(format_name, "its XML is broken") from error
    if root is None or root.getroottree().docinfo.doctype:
        raise corrupt(format_name, "its XML declares a document type")
    return root


def _key(name: str) -> str:
    return name.lstrip("/").lower()
