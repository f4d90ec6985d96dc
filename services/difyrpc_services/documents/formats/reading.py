"""What every format's reader is given and answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from difyrpc_services.documents.elements import Element
from difyrpc_services.runtime.errors import InvalidArgument, OutOfRange, ResourceExhausted

Tables = Literal["none", "ruled", "aligned"]


@dataclass(frozen=True, kw_only=True)
class ReadRequest:
    """How a document is to be read."""

    pages: tuple[tuple[int, int], ...] = ()
    """First and last page of each range, from 1, rising; last 0 = to the end; empty = all."""
    password: str = ""
    tables: Tables = "aligned"
    max_pages: int = 5_000
    max_expanded_bytes: int = 512 * 1024 * 1024
    """What compressed content may expand to."""


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
    encrypted: bool = False
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReadPart:
    """The next elements, without ids and heading paths; those of one page where there are pages."""

    page: int = 0
    elements: Sequence[Element] = ()
    notices: tuple[Notice, ...] = ()


class Read(Protocol):
    """The `read` function of each format's module: first what is known, then parts in reading order."""

    def __call__(self, content: memoryview, request: ReadRequest) -> Iterator[Opened | ReadPart]:
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
