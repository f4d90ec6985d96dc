"""Reads the files that a document holds, each by its own format's reader, within limits that all of them share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from difyrpc_services.documents.detection import detect
from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats import FORMATS, reader
from difyrpc_services.documents.formats.reading import (
    Enclosed,
    Notice,
    Opened,
    ReadPart,
    ReadRequest,
    Yielded,
    too_large,
)
from difyrpc_services.documents.values import Attachment
from difyrpc_services.runtime.errors import ServiceError

DEPTH: Final = 8  # files in files; a mail that was forwarded eight times is still read
MOST_READ: Final = 200  # files of one document that are read
MOST_LISTED: Final = 2_000
LONGEST_NAME: Final = 255  # characters
STYLE: Final = "attachment"  # of the title that names a file


class Attachments:
    """Puts the elements of enclosed files where those files stand, and lists the files.

    What is wrong with one of them is a notice that names it; the document that holds it is read to its end.
    """

    def __init__(self, request: ReadRequest) -> None:
        """Takes how the document is read; its limits hold for all files in it together."""
        self.found: list[Attachment] = []
        self._request = replace(request, pages=())
        self._whole = not request.pages
        self._bytes = request.max_expanded_bytes
        self._pages = request.max_pages
        self._read = 0

    def unfolded(self, parts: Iterable[Yielded], depth: int = 0) -> Iterator[Opened | ReadPart]:
        """Answers the document's own parts and in their places those of the files in it."""
        for part in parts:
            if isinstance(part, Enclosed):
                yield from self._enclosed(part, depth + 1)
            else:
                yield part

    def _enclosed(self, file: Enclosed, depth: int) -> Iterator[ReadPart]:
        place = len(self.found)
        if place >= MOST_LISTED:
            if place == MOST_LISTED:
                yield ReadPart(notices=(_notice(file.name, too_large("attachments", MOST_LISTED)),))
                self.found.append(_listed(file, place))
            return
        self.found.append(_listed(file, place))
        if not (file.read and self._whole) or self._read > MOST_READ:
            return  # what is one too many has been told
        try:
            yield from self._parts(file, place, depth)
        except ServiceError as error:
            yield ReadPart(notices=(_notice(self.found[place].name, error),))

    def _parts(self, file: Enclosed, place: int, depth: int) -> Iterator[ReadPart]:
        self._admit(file, depth)
        listed = self.found[place]
        detected = detect(file.content, name=file.name, media_type=file.media_type)
        self.found[place] = replace(listed, media_type=FORMATS[detected.format].media_types[0])
        request = replace(self._request, name=file.name, max_pages=self._pages, max_expanded_bytes=self._bytes)
        title = _title(listed.name)
        for part in self.unfolded(reader(detected.format)(file.content, request), depth):
            if isinstance(part, Opened):
                self._pages -= part.pages_asked
                notices = tuple(_about(listed.name, notice) for notice in (*detected.notices, *part.notices))
                if notices:
                    yield ReadPart(notices=notices)
                continue
            elements = (*title, *part.elements) if part.elements else ()
            if elements:
                title = ()
                self.found[place] = replace(self.found[place], parsed=True)
            yield replace(
                part,
                elements=[_in(element, listed.id) for element in elements],
                notices=tuple(_about(listed.name, notice) for notice in part.notices),
            )

    def _admit(self, file: Enclosed, depth: int) -> None:
        """Refuses what is too deep, one too many or too long in all; TOO_LARGE."""
        self._read += 1
        if depth > DEPTH:
            raise too_large("attachment_depth", DEPTH)
        if self._read > MOST_READ:
            raise too_large("attachments", MOST_READ)
        if len(file.content) > self._bytes:
            raise too_large("expanded_bytes", self._request.max_expanded_bytes)
        self._bytes -= len(file.content)


def _listed(file: Enclosed, place: int) -> Attachment:
    name = " ".join(file.name.split())[:LONGEST_NAME]
    size = len(file.content)
    return Attachment(id=f"a{place + 1}", name=name, media_type=file.media_type, size_bytes=size, parsed=False)


def _title(name: str) -> tuple[Element, ...]:
    """Answers what stands above a file's elements: its name, over all titles that it has itself."""
    return (Element(id="", kind="title", text=name, level=1, style=STYLE),) if name else ()


def _in(element: Element, identity: str) -> Element:
    """Answers the element with the innermost file that holds it."""
    return element if element.attachment_id else replace(element, attachment_id=identity)


def _notice(name: str, error: ServiceError) -> Notice:
    reason = "ATTACHMENT_NEEDS_OCR" if error.reason == "NEEDS_OCR" else "ATTACHMENT_NOT_READ"
    return Notice(reason=reason, message=f"{name or 'an attachment without a name'}: {error.message} ({error.reason})")


def _about(name: str, notice: Notice) -> Notice:
    """Answers a notice of a file's reader as one that says which file it is about."""
    return replace(notice, message=f"{name or 'an attachment without a name'}: {notice.message}")
