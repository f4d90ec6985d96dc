"""Reads an RTF file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from difyrpc_services.documents.formats.reading import Notice, Opened, ReadPart, ReadRequest, corrupt, refuse_pages
from difyrpc_services.documents.formats.rtf.text import TextReader
from difyrpc_services.documents.formats.rtf.words import words

BATCH: Final = 100  # elements of one part
_WORDS: Final = words()


def read(content: memoryview, request: ReadRequest) -> Iterator[Opened | ReadPart]:
    """Reads RTF; CORRUPT, TOO_LARGE, NO_PAGES."""
    refuse_pages(request)
    data = bytes(content)
    if not data.lstrip().startswith(b"{\\rtf"):
        raise corrupt("rtf", "it does not begin as RTF does")
    reader = TextReader(data, _WORDS)
    elements = reader.elements()
    first = list(islice(elements, BATCH))
    if not first and reader.truncated:
        raise corrupt("rtf", "it ends before its text")
    yield Opened(metadata={name: text.strip() for name, text in reader.metadata.items() if text.strip()})
    yield ReadPart(elements=first)
    while batch := list(islice(elements, BATCH)):
        yield ReadPart(elements=batch)
    if notices := _notices(reader):
        yield ReadPart(notices=notices)


def _notices(reader: TextReader) -> tuple[Notice, ...]:
    found = []
    if reader.truncated:
        found.append(Notice(reason="TRUNCATED_FILE", message="the file ends before its last group does"))
    if reader.comments:
        message = f"{reader.comments} comments are not part of the text"
        found.append(Notice(reason="COMMENTS_LEFT_OUT", message=message))
    if reader.deletions:
        message = f"{reader.deletions} tracked deletions are left out; insertions are part of the text"
        found.append(Notice(reason="DELETIONS_LEFT_OUT", message=message))
    return tuple(found)
