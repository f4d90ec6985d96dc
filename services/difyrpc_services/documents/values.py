"""What is asked of the documents service and what it answers, free of any transport."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from difyrpc_services.documents.chunking import Chunk, Chunking
from difyrpc_services.documents.elements import Clause, Element
from difyrpc_services.documents.formats.reading import Notice, Tables
from difyrpc_services.documents.ocr.values import OcrPlan

Output = Literal["text", "markdown", "elements", "clauses", "chunks"]
OcrPolicy = Literal["default", "never", "auto", "always"]
CachePolicy = Literal["use", "refresh", "bypass"]
ClauseProfile = Literal["auto", "zh", "en", "none"]
DEFAULT_OUTPUTS: tuple[Output, ...] = ("text", "clauses")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of one parse; 0 = the server's."""

    content_bytes: int = 0
    pages: int = 0
    seconds: float = 0.0
    expanded_bytes: int = 0

    def within(self, server: Limits) -> Limits:
        """Answers these limits, none above the server's."""
        return Limits(
            content_bytes=_lower(self.content_bytes, server.content_bytes),
            pages=_lower(self.pages, server.pages),
            seconds=min(self.seconds or server.seconds, server.seconds),
            expanded_bytes=_lower(self.expanded_bytes, server.expanded_bytes),
        )


def _lower(asked: int, server: int) -> int:
    return min(asked or server, server)


@dataclass(frozen=True, kw_only=True)
class ParseOptions:
    """What is asked of a parse."""

    outputs: tuple[Output, ...] = DEFAULT_OUTPUTS
    pages: tuple[tuple[int, int], ...] = ()
    """First and last page of each range, from 1; last 0 = to the end; empty = all."""
    password: str = field(default="", repr=False)
    ocr: OcrPolicy = "default"
    ocr_languages: tuple[str, ...] = ()
    """BCP 47 tags; empty = the server's."""
    tables: Tables = "aligned"
    clauses: ClauseProfile = "auto"
    chunking: Chunking = field(default_factory=Chunking)
    running: bool = False
    """Headers and footers stand in text, Markdown and chunks."""
    cache: CachePolicy = "use"
    limits: Limits = Limits()


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a document is: exactly one of content, chunks, file and url."""

    content: bytes | None = None
    chunks: AsyncIterator[bytes] | None = None
    file: str = ""
    url: str = ""
    name: str = ""
    media_type: str = ""
    size_bytes: int | None = None
    """Length that the caller states."""
    sha256: bytes = b""
    """Hash that the caller states; empty = none."""


@dataclass(frozen=True, kw_only=True)
class ParseTask:
    """A parse as a worker gets it."""

    name: str
    media_type: str
    options: ParseOptions
    ocr: OcrPlan | None = None
    """How scans are read; None = they are refused."""


@dataclass(frozen=True, kw_only=True)
class Highlight:
    """A place to highlight; points from the top left."""

    left: float
    top: float
    right: float
    bottom: float
    color: int
    """0xRRGGBBAA."""


@dataclass(frozen=True, kw_only=True)
class RenderTask:
    """The rendering of one page."""

    name: str = ""
    page: int = 1
    dpi: float = 144.0
    max_width: int = 0
    """Pixels; 0 = any."""
    highlights: tuple[Highlight, ...] = ()
    password: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class SplitTask:
    """The cutting of a text into chunks."""

    markdown: bool
    clauses: ClauseProfile
    chunking: Chunking


Task = ParseTask | RenderTask | SplitTask


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A file that the document holds."""

    id: str
    """`a1`, `a2`, …"""
    name: str
    media_type: str
    """Found from its content; as stated where that does not tell."""
    size_bytes: int
    parsed: bool
    """Its elements are in the answer."""


@dataclass(frozen=True, kw_only=True)
class Info:
    """What is known of a document as a whole."""

    format: str
    page_count: int = 0
    language: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    encrypted: bool = False
    content_bytes: int = 0
    sha256: bytes = b""
    page_labels: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    """Known at the end."""


@dataclass(frozen=True, kw_only=True)
class PagePart:
    """Elements of a page, or the next ones where there are no pages."""

    page: int
    elements: Sequence[Element]


@dataclass(frozen=True, kw_only=True)
class TextPart:
    """The next piece of the plain text or of the Markdown."""

    page: int
    text: str
    markdown: bool = False


@dataclass(frozen=True, kw_only=True)
class ClausePart:
    """The next clauses."""

    clauses: Sequence[Clause]


@dataclass(frozen=True, kw_only=True)
class ChunkPart:
    """The next chunks."""

    chunks: Sequence[Chunk]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Pages that are done, of those that are asked for."""

    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The end of a parse that is whole; what was not known before."""

    language: str
    elements: int
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PassedOnPart:
    """The end of a parse that met a scan; it is to be done again where scans are read."""


@dataclass(frozen=True, kw_only=True)
class PicturePart:
    """A rendered page."""

    image: bytes
    width: int
    height: int
    scale: float
    page_count: int


Part = Info | PagePart | TextPart | ClausePart | ChunkPart | Progress | Notice | Finished | PassedOnPart | PicturePart


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a parse cost."""

    seconds: float
    waiting_seconds: float
    cpu_seconds: float
    pages: int
    cached: bool = False
    """An earlier answer was used."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The end of a stream."""

    info: Info
    usage: Usage
    elements: int
    clauses: int
    chunks: int
    notices: int


@dataclass(kw_only=True)
class Parsed:
    """A whole document."""

    info: Info
    usage: Usage
    text: str
    markdown: str
    elements: list[Element]
    clauses: list[Clause]
    chunks: list[Chunk]
    notices: list[Notice]
