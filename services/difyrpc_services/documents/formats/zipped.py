"""Opens zip containers that may be hostile: counted, bounded, XML without entities."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from lxml import etree

from difyrpc_services.documents.formats.reading import corrupt, encrypted, too_large

MOST_ENTRIES: Final = 20_000
PIECE: Final = 1024 * 1024  # bytes of a part that is read in pieces
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
    b"http://purl.oclc.org/ooxml/spreadsheetml/main": b"http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    b"http://purl.oclc.org/ooxml/presentationml/main": b"http://schemas.openxmlformats.org/presentationml/2006/main",
    b"http://purl.oclc.org/ooxml/drawingml/chart": b"http://schemas.openxmlformats.org/drawingml/2006/chart",
    b"http://purl.oclc.org/ooxml/drawingml/diagram": b"http://schemas.openxmlformats.org/drawingml/2006/diagram",
    b"http://purl.oclc.org/ooxml/drawingml/spreadsheetDrawing": (
        b"http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing"
    ),
}

_HEAD: Final = struct.Struct("<4s22xHH")  # of an entry: its mark, the lengths of its name and of its extra field
_BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    OSError,
    NotImplementedError,
    RuntimeError,
)
_PARSER: Final = etree.XMLParser(
    resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
)


class Container:
    """A zip file whose parts expand to at most `limit` bytes in all."""

    def __init__(self, content: memoryview, *, format_name: str, limit: int) -> None:
        self._format = format_name
        self._left = limit
        self._limit = limit
        self._content = content
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        except _BROKEN as error:
            raise corrupt(format_name, "the zip container is broken or truncated") from error
        self._names = {_key(entry.filename): entry for entry in self._zip.infolist()}
        if len(self._zip.infolist()) > MOST_ENTRIES:
            raise too_large("entries", MOST_ENTRIES)

    def __contains__(self, name: str) -> bool:
        return _key(name) in self._names

    def names(self) -> list[str]:
        """Answers the names of all parts, as they are written."""
        return self._zip.namelist()

    def read(self, name: str) -> bytes:
        """Answers one part; CORRUPT, ENCRYPTED, TOO_LARGE."""
        entry = self._names.get(_key(name))
        if entry is None:
            raise corrupt(self._format, f"it has no part {name}")
        if entry.flag_bits & 1:
            raise encrypted(self._format, given=False)
        if entry.file_size > self._left:
            raise too_large("expanded_bytes", self._limit)
        try:
            data = self._expanded(entry)
        except _BROKEN as error:
            raise corrupt(self._format, f"the part {name} is broken") from error
        self._left -= len(data)
        if self._left < 0:
            raise too_large("expanded_bytes", self._limit)
        return data

    def _expanded(self, entry: zipfile.ZipInfo) -> bytes:
        """Answers the bytes of an entry, one more than is left at most; one of _BROKEN for what is no such entry.

        The usual kind of compression goes past zipfile, which takes longer for a small part than the part's parse.
        """
        if entry.compress_type != zipfile.ZIP_DEFLATED:
            with self._zip.open(entry) as file:
                return file.read(self._left + 1)
        head = self._content[entry.header_offset : entry.header_offset + _HEAD.size]
        mark, name_bytes, extra_bytes = _HEAD.unpack(head)
        if mark != b"PK\x03\x04":
            raise zipfile.BadZipFile("no entry begins there")
        begin = entry.header_offset + _HEAD.size + name_bytes + extra_bytes
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        data = inflater.decompress(self._content[begin : begin + entry.compress_size], self._left + 1)
        if len(data) <= self._left and (not inflater.eof or zlib.crc32(data) != entry.CRC):
            raise zipfile.BadZipFile("the entry is truncated or its checksum differs")
        return data

    def chunks(self, name: str, *, counted: bool = True) -> Iterator[bytes]:
        """Answers one part in pieces, so that it need not fit into memory; the errors of `read`.

        What is read a second time need not be `counted` again.
        """
        entry = self._names.get(_key(name))
        if entry is None:
            raise corrupt(self._format, f"it has no part {name}")
        if entry.flag_bits & 1:
            raise encrypted(self._format, given=False)
        left = self._left
        try:
            with self._zip.open(entry) as file:
                while piece := file.read(PIECE):
                    left -= len(piece)
                    if left < 0:
                        raise too_large("expanded_bytes", self._limit)
                    yield piece
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, NotImplementedError) as error:
            raise corrupt(self._format, f"the part {name} is broken") from error
        finally:
            if counted:
                self._left = left

    def size(self, name: str) -> int:
        """Answers how many bytes a part says it expands to; 0 for one that is not there."""
        entry = self._names.get(_key(name))
        return entry.file_size if entry is not None else 0

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
    try:
        root = etree.fromstring(data, _PARSER)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise corrupt(format_name, "its XML is broken") from error
    if root is None or root.getroottree().docinfo.doctype:
        raise corrupt(format_name, "its XML declares a document type")
    return root


def _key(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()
