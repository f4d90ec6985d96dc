"""What every format's reader is given and answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.ocr.values import Scans
from difyrpc_services.runtime.errors import InvalidArgument, OutOfRange, ResourceExhausted

Tables = Literal["none", "ruled", "aligned"]


@dataclass(frozen=True, kw_only=True)
class ReadRequest:
    """How a document is to be read."""

    pages: tuple[tuple[int, int], ...] = ()
    """First and last page of each range, from 1, rising; last 0 = to the end; empty = all."""
    password: str = ""
    tables: Tables = "aligned"
    name: str = ""
    """File name, where the content does not tell what it is (program text)."""
    max_pages: int = 5_000
    max_expanded_bytes: int = 512 * 1024 * 1024
    """What compressed content may expand to."""
    scans: Scans | None = None
    """What is done with pages that are pictures of text; None = they are refused."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something that was coped with."""

    reason: str
    message: str
    page: int = 0


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What is known before the first page."""

    page_count: int = 0
    """Pages of the whole document; 0 = the format has none."""
    pages_asked: int = 0
    """Pages that will be read."""
    metadata: dict[str, str] = field(default_factory=dict)
    """What the file says of itself by lower-case names; `title`, `author`, `created` and `modified` (ISO 8601) have
    fields of their own in the answer."""
    encrypted: bool = False
    notices: tuple[Notice, ...] = ()
    page_labels: tuple[str, ...] = ()
    """Printed page numbers or names of sheets, one a page; empty = they are 1, 2, 3 …"""


@dataclass(frozen=True, kw_only=True)
class ReadPart:
    """The next elements, without ids and heading paths; those of one page where there are pages."""

    page: int = 0
    elements: Sequence[Element] = ()
    notices: tuple[Notice, ...] = ()
    goes_on: bool = False
    """More of the same page follows."""


@dataclass(frozen=True, kw_only=True)
class Enclosed:
    """A file that the document holds: listed in the answer, and read by its own format's reader if that is wanted."""

    name: str
    """As the document states it; empty = it states none."""
    content: memoryview
    media_type: str = ""
    """As the document states it."""
    read: bool = True
    """Whether its text belongs to the answer; its elements come where it is yielded."""


Yielded = Opened | ReadPart | Enclosed


class Read(Protocol):
    """The `read` function of each format's module: first what is known, then parts in reading order."""

    def __call__(self, content: memoryview, request: ReadRequest) -> Iterator[Yielded]:
        """Reads `content`; ServiceErrors say what is wrong with it."""


def corrupt(format_name: str, cause: str) -> InvalidArgument:
    """Answers the error for content that is not what its type demands."""
    return InvalidArgument(
        "CORRUPT",
        "the content is not a readable {format} document: {cause}",
        field="content",
        format=format_name,
        cause=cause,
    )


def encrypted(format_name: str, *, given: bool) -> InvalidArgument:
    """Answers the error for a password that is missing or wrong."""
    return InvalidArgument(
        "ENCRYPTED",
        "the {format} document is encrypted and the password is {password}",
        field="options.password",
        format=format_name,
        password="wrong" if given else "missing",
    )


def too_large(limit: str, value: int) -> ResourceExhausted:
    """Answers the error for a limit that the document exceeds."""
    return ResourceExhausted("TOO_LARGE", "the document exceeds the limit {limit} = {value}", limit=limit, value=value)


def refuse_pages(request: ReadRequest) -> None:
    """Refuses page ranges for a format that has no pages."""
    if request.pages:
        raise InvalidArgument("NO_PAGES", "this format has no pages to choose from", field="options.pages")


def chosen_pages(request: ReadRequest, page_count: int) -> list[int]:
    """Answers the pages to read, from 1; PAGE_NOT_FOUND and TOO_LARGE."""
    chosen: list[int] = []
    for first, last in request.pages or ((1, 0),):
        if first > page_count and request.pages:
            raise OutOfRange(
                "PAGE_NOT_FOUND",
                "page {page} is past the last page {last}",
                field="options.pages",
                page=first,
                last=page_count,
            )
        chosen.extend(range(first, min(last or page_count, page_count) + 1))
    if len(chosen) > request.max_pages:
        raise too_large("pages", request.max_pages)
    return chosen
