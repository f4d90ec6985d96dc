"""What a document is made of, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from difyrpc.documents.v1 import documents_pb2, element_pb2, options_pb2
from difyrpc_client._shape import called, in_hex, reads


@reads(element_pb2.Box)
@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle on a page, in points (1/72 inch) from the top left corner of the page as it is shown."""

    page: int
    """Page, from 1."""
    left: float
    """Left edge."""
    top: float
    """Top edge."""
    right: float
    """Right edge."""
    bottom: float
    """Bottom edge."""


@reads(element_pb2.Cell)
@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of a table."""

    row: int
    """Row of its upper left corner, from 0."""
    column: int
    """Column of its upper left corner, from 0."""
    row_span: int = 1
    """Rows that it spans."""
    column_span: int = 1
    """Columns that it spans."""
    text: str = ""
    """Its text; paragraphs are separated by a newline."""
    header: bool = False
    """Whether it stands in a header row."""


@reads(element_pb2.Table)
@dataclass(frozen=True, kw_only=True)
class Table:
    """A table. Places that a spanning cell covers have no cell of their own."""

    cells: tuple[Cell, ...]
    """Cells by row, then by column."""
    rows: int
    """How many rows."""
    columns: int
    """How many columns."""
    header_rows: int = 0
    """How many rows from the top are header rows; 0 if none is known."""


@reads(element_pb2.Element)
@dataclass(frozen=True, kw_only=True)
class Element:
    """One piece of a document, in reading order."""

    id: str
    """Unique in the document: `e1`."""
    kind: str
    """title, paragraph, list_item, table, figure, header, footer, footnote or code."""
    text: str = ""
    """Its text as a reader sees it, with `number` in front."""
    page: int = 0
    """Page, slide or sheet where it begins, from 1; 0 where the format has none."""
    boxes: tuple[Box, ...] = ()
    """Where it stands, one box a page; empty where the format has no layout."""
    level: int = 0
    """Depth of a title or list item, from 1; else 0."""
    heading_path: tuple[str, ...] = ()
    """Texts of the titles above it, the highest first."""
    table: Table | None = None
    """Its cells, for tables."""
    source: str = "text"
    """`text` for the file's own characters, `ocr` for recognised ones."""
    confidence: float = 1.0
    """0 to 1: how sure the recognition is."""
    number: str = ""
    """The number that the word processor prints before it."""
    contents_entry: bool = False
    """Whether it is a line of a table of contents."""
    code_language: str = ""
    """Language of program text, if stated."""
    attachment_id: str = ""
    """Id of the attachment that it stands in; empty for the document itself."""
    style: str = ""
    """Name of its style."""


@reads(element_pb2.Clause)
@dataclass(frozen=True, kw_only=True)
class Clause:
    """One clause of a legal text, a parent before its children."""

    id: str
    """Unique in the document: `c1`."""
    kind: str
    """part, subpart, chapter, section, article, paragraph, item, subitem, recital, exhibit, schedule, …"""
    number: str = ""
    """Its number as written: `第十二条之一`, `Section 2.1`, `(a)`."""
    normal_number: str = ""
    """Its number in figures: `12-1`, `2.1`, `a`."""
    title: str = ""
    """Its heading."""
    text: str = ""
    """Its own text with number and title, without the text of its children."""
    parent_id: str = ""
    """Id of the clause that it belongs to; empty at the top."""
    pages: tuple[int, ...] = ()
    """Pages that it touches, rising."""
    boxes: tuple[Box, ...] = ()
    """Where it stands, one box a page."""
    element_ids: tuple[str, ...] = ()
    """Ids of the elements that it was read from."""


@reads(element_pb2.Chunk)
@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A piece of text for retrieval."""

    id: str
    """Unique in the document: `k1`."""
    text: str
    """Its text; in mode qa, the question."""
    characters: int = 0
    """Length of `text` in Unicode code points."""
    tokens: int = 0
    """Length in tokens of the tokenizer asked for; 0 if none was."""
    heading_path: tuple[str, ...] = ()
    """Texts of the titles above it, the highest first."""
    pages: tuple[int, ...] = ()
    """Pages that it touches, rising."""
    element_ids: tuple[str, ...] = ()
    """Ids of the elements that it was made of."""
    clause_ids: tuple[str, ...] = ()
    """Ids of the clauses that it was made of."""
    parent_id: str = ""
    """Id of the parent chunk in mode parent_child."""
    answer: str = ""
    """The answer in mode qa."""


@reads(element_pb2.Attachment)
@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A file that the document holds."""

    id: str
    """Unique in the document: `a1`."""
    name: str
    """File name as the document states it; never a path to write to."""
    media_type: str = ""
    """Media type found from its content."""
    size_bytes: int = 0
    """Its length."""
    parsed: bool = False
    """Whether its elements are in the answer."""


@reads(element_pb2.DocumentInfo)
@dataclass(frozen=True, kw_only=True)
class DocumentInfo:
    """What is known of a document as a whole."""

    format: str
    """Format found from the content: `pdf`."""
    media_type: str = ""
    """Media type of that format."""
    page_count: int = 0
    """Pages, slides or sheets of the whole document; 0 where the format has none."""
    content_bytes: int = 0
    """Length of the input."""
    sha256: str = in_hex()
    """SHA-256 of the input in hexadecimal digits."""
    language: str = ""
    """Language of most of the text as a BCP 47 tag; empty if too short to say."""
    title: str = ""
    """Title that the file states."""
    author: str = ""
    """Author that the file states."""
    create_time: datetime | None = None
    """When the file says that it was made, in UTC."""
    update_time: datetime | None = None
    """When the file says that it was last changed, in UTC."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What else the file says of itself."""
    encrypted: bool = False
    """Whether a password was needed and was right."""
    page_labels: tuple[str, ...] = ()
    """Printed page numbers or sheet names, where they differ from 1, 2, 3."""
    attachments: tuple[Attachment, ...] = ()
    """Files inside the document."""
    parser_version: str = ""
    """The same bytes, options and version give the same answer."""


@reads(element_pb2.Warning)
@dataclass(frozen=True, kw_only=True)
class ParseWarning:
    """Something that was coped with; the answer is usable."""

    reason: str
    """What, for programs: `TYPE_DISAGREES`, `TRUNCATED_FILE`, …"""
    message: str
    """What, for people."""
    page: int = 0
    """Page that it is about, from 1; 0 for the whole document."""


@reads(documents_pb2.ParseUsage)
@dataclass(frozen=True, kw_only=True)
class ParseUsage:
    """What a parse cost."""

    seconds: float | None = called("time")
    """From the arrival of the last byte to the answer."""
    waiting_seconds: float | None = called("waiting_time")
    """Of that, waiting for a worker."""
    cpu_seconds: float | None = called("cpu_time")
    """Processor time of the worker."""
    pages: int = 0
    """Pages that were parsed."""
    cached: bool = False
    """Whether an earlier answer was used."""


@reads(documents_pb2.ParseResponse)
@dataclass(frozen=True, kw_only=True)
class ParsedDocument:
    """One document; what was not asked for is empty."""

    info: DocumentInfo
    """What is known of it as a whole."""
    text: str = ""
    """Plain text; pages are separated by a form feed."""
    markdown: str = ""
    """Markdown."""
    elements: tuple[Element, ...] = ()
    """Elements in reading order."""
    clauses: tuple[Clause, ...] = ()
    """Clauses in the order of the text."""
    chunks: tuple[Chunk, ...] = ()
    """Chunks in the order of the text."""
    warnings: tuple[ParseWarning, ...] = ()
    """What was coped with."""
    usage: ParseUsage | None = None
    """What it cost."""


@reads(documents_pb2.PageElements)
@dataclass(frozen=True, kw_only=True)
class PageElements:
    """Part of a stream: the elements of one page, or a batch of them where there are no pages."""

    page: int
    """Page, from 1; 0 where the format has none."""
    elements: tuple[Element, ...]
    """Elements that begin there."""


@dataclass(frozen=True, kw_only=True)
class TextPart:
    """Part of a stream: the next piece of the plain text."""

    page: int
    """Page that it is of, from 1; 0 where the format has none."""
    text: str
    """The piece."""


@dataclass(frozen=True, kw_only=True)
class MarkdownPart:
    """Part of a stream: the next piece of the Markdown."""

    page: int
    """Page that it is of, from 1; 0 where the format has none."""
    text: str
    """The piece."""


@reads(documents_pb2.ClausePart)
@dataclass(frozen=True, kw_only=True)
class ClausePart:
    """Part of a stream: the next clauses."""

    clauses: tuple[Clause, ...]
    """Up to some hundred."""


@reads(documents_pb2.ChunkPart)
@dataclass(frozen=True, kw_only=True)
class ChunkPart:
    """Part of a stream: the next chunks."""

    chunks: tuple[Chunk, ...]
    """Up to some hundred."""


@reads(documents_pb2.ParseProgress)
@dataclass(frozen=True, kw_only=True)
class ParseProgress:
    """Part of a stream: how far it has come."""

    pages_done: int
    """Pages that are done; 0 for formats without pages."""
    pages_total: int
    """Pages that are asked for; 0 for formats without pages."""


@reads(documents_pb2.ParseSummary)
@dataclass(frozen=True, kw_only=True)
class ParseSummary:
    """Part of a stream: its end; a stream without it is not whole."""

    usage: ParseUsage | None = None
    """What it cost."""
    elements: int = 0
    """How many elements were found, whether asked for or not."""
    clauses: int = 0
    """How many clauses were sent."""
    chunks: int = 0
    """How many chunks were sent."""
    warnings: int = 0
    """How many warnings were sent."""
    info: DocumentInfo | None = None
    """What is known of the document at the end; the info that counts."""


ParsePart = (
    DocumentInfo
    | PageElements
    | TextPart
    | MarkdownPart
    | ClausePart
    | ChunkPart
    | ParseProgress
    | ParseWarning
    | ParseSummary
)


@reads(documents_pb2.RenderPageResponse)
@dataclass(frozen=True, kw_only=True)
class PageImage:
    """The picture of one page."""

    image: bytes
    """The encoded picture."""
    media_type: str
    """`image/png` or `image/webp`."""
    width_pixels: int
    """Its width."""
    height_pixels: int
    """Its height."""
    pixels_per_point: float
    """A box's place in the picture is its points times this."""
    page_count: int
    """Pages of the document."""


@reads(documents_pb2.Format)
@dataclass(frozen=True, kw_only=True)
class Format:
    """One format that the server reads."""

    name: str
    """`pdf`."""
    media_types: tuple[str, ...] = ()
    """Its media types, the usual one first."""
    extensions: tuple[str, ...] = ()
    """Its file name endings without a dot, the usual one first."""
    paged: bool = False
    """Whether elements have pages."""
    boxes: bool = False
    """Whether elements have boxes."""
    renderable: bool = False
    """Whether `render_page` takes it."""
    needs_ocr: bool = False
    """Whether it is a picture, whose text must be recognised; see `ocr_engines`."""


@reads(options_pb2.ParseLimits)
@dataclass(frozen=True, kw_only=True)
class ParserLimits:
    """Limits of a server, which a call may lower."""

    content_bytes: int = 0
    """Longest document."""
    pages: int = 0
    """Most pages of one parse."""
    seconds: float | None = called("time")
    """Longest work on one document."""
    expanded_bytes: int = 0
    """What compressed content may expand to."""
    memory_bytes: int = 0
    """Memory that one document may take."""


@reads(documents_pb2.OcrEngine)
@dataclass(frozen=True, kw_only=True)
class OcrEngine:
    """An engine of optical character recognition."""

    name: str
    """`tesseract`."""
    languages: tuple[str, ...] = ()
    """Languages that are installed, as BCP 47 tags."""


@reads(documents_pb2.ListFormatsResponse)
@dataclass(frozen=True, kw_only=True)
class ParserAbilities:
    """What a server can read and do."""

    formats: tuple[Format, ...] = ()
    """Formats that it reads."""
    limits: ParserLimits | None = None
    """Its limits."""
    ocr_engines: tuple[OcrEngine, ...] = ()
    """Engines of optical character recognition; empty if none is installed."""
    tokenizers: tuple[str, ...] = ()
    """Tokenizers that `Chunking.tokenizer` may name; empty if none is installed."""
    chunk_modes: tuple[str, ...] = ()
    """What `Chunking.mode` may be."""
    chunk_boundaries: tuple[str, ...] = ()
    """What `Chunking.boundary` may be."""
    office_conversion: bool = False
    """Whether office documents of other kinds are converted."""
    url_sources: bool = False
    """Whether a URL may be a source."""
    image_formats: tuple[str, ...] = ()
    """What `image_format` of `render_page` may be."""
    message_bytes: int = 0
    """Greatest message that the server takes; longer documents travel as a stream. 0 if it is not known."""
    parser_version: str = ""
    """The same bytes, options and version give the same answer."""
