"""What may be asked of a parse, the requests that ask it, and streams put together again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from difyrpc.documents.v1 import documents_pb2 as pb
from difyrpc.documents.v1 import element_pb2, options_pb2
from difyrpc_client._document import Box, MarkdownPart, ParsedDocument, ParsePart, TextPart
from difyrpc_client._errors import DataLoss, InvalidArgument
from difyrpc_client._file import File
from difyrpc_client._message import make, several, wrong
from difyrpc_client._shape import enum_number, read
from difyrpc_client._values import write_seconds

Output = Literal["text", "markdown", "elements", "clauses", "chunks"]
Document = bytes | os.PathLike[str] | File | str

CHUNK_BYTES = 1024 * 1024  # the best size for streams, measured
STREAM_ABOVE_BYTES = 3 * 1024 * 1024  # longer documents are streamed: a server's message limit is 4 MiB or more


@dataclass(frozen=True, kw_only=True)
class Chunking:
    """How text is cut into chunks."""

    mode: Literal["general", "parent_child", "qa", ""] = ""
    """general: each stands alone; parent_child: small children name large parents; qa: questions and answers that the
    document holds as such, in two columns of a table or marked `Q:` and `A:`."""
    unit: Literal["characters", "tokens", ""] = ""
    """What sizes are counted in; empty for characters."""
    size: int | None = None
    """Greatest length, headings and repeated header rows included, 20 to 100,000; None for 1,000 characters or 500
    tokens. Pairs of question and answer are never cut."""
    overlap: int | None = None
    """How much of the end of a chunk the next one repeats at most, 0 to half of `size`; in mode parent_child of a
    child, 0 to half of `child_size`."""
    tokenizer: str = ""
    """`cl100k`, `o200k` or `qwen`, as `abilities()` names them; needed for tokens. Set with characters, it fills
    `Chunk.tokens`."""
    boundary: Literal["structure", "clauses", "pages", "separator", ""] = ""
    """Where chunks begin; empty for structure: at titles, with paragraphs and tables whole where they fit. separator:
    where `separator` stands, by Dify's rule."""
    separator: str = ""
    r"""Text that ends a chunk, for the boundary of that name; `\n` stands for a newline."""
    prepend_headings: bool = False
    """Whether the heading path stands at the head of each chunk's text."""
    parent_scope: Literal["paragraphs", "document", ""] = ""
    """What a parent is, in mode parent_child: a chunk of up to `size`, or the whole document."""
    child_size: int | None = None
    """Greatest length of a child, 5 to `size`; None for a fifth of `size`."""
    child_separator: str = ""
    r"""Text that ends a child, in mode parent_child; `\n` stands for a newline; empty for sentences."""
    collapse_spaces: bool = False
    """Whether runs of spaces and of empty lines become one."""
    remove_urls_emails: bool = False
    """Whether URLs, but for those of pictures in Markdown, and e-mail addresses are taken out."""


@dataclass(frozen=True, kw_only=True)
class ParseOptions:
    """What is asked of a parse; the defaults ask for text and clauses of the whole document."""

    pages: Sequence[int | tuple[int, int]] = ()
    """Pages from 1, single ones or (first, last) with both included; empty for all."""
    password: str = field(default="", repr=False)
    """Password of an encrypted document."""
    ocr: Literal["never", "auto", "always", ""] = ""
    """When pictures of text are read; empty as the server is set up."""
    ocr_languages: Sequence[str] = ()
    """BCP 47 tags, the likeliest first, up to 8."""
    tables: Literal["none", "ruled", "aligned", ""] = ""
    """How tables are found where the format does not mark them; empty for aligned."""
    clauses: Literal["auto", "zh", "en", "none", ""] = ""
    """By which customs clauses are read; empty for auto."""
    chunking: Chunking = field(default_factory=Chunking)
    """How chunks are cut, where they are asked for."""
    cache: Literal["use", "refresh", "bypass", ""] = ""
    """use: an earlier answer to the same bytes and options is used, a new one kept; refresh: none is used, the new one
    kept; bypass: neither. Empty for use."""
    headers_in_text: bool = False
    """Whether running headers and footers stand in text, Markdown and chunks."""
    max_seconds: float | None = None
    """Longest work of a worker; may lower the server's limit, never raise it."""
    max_pages: int = 0
    """Most pages that are parsed; 0 for the server's limit."""


def write_options(options: ParseOptions, outputs: Iterable[str]) -> options_pb2.ParseOptions:
    """Makes the contract's options; InvalidArgument for a word that it does not know."""
    if not isinstance(options, ParseOptions):
        raise wrong("options", options, "ParseOptions(…)")
    seconds = None if options.max_seconds is None else write_seconds(options.max_seconds, "max_seconds")
    return make(
        options_pb2.ParseOptions,
        outputs=[_number(options_pb2.Output, one, "outputs") for one in several(outputs, "outputs")],
        pages=[_pages(one) for one in several(options.pages, "pages")],
        password=options.password,
        ocr=make(
            options_pb2.OcrOptions,
            policy=_number(options_pb2.OcrPolicy, options.ocr, "ocr"),
            languages=options.ocr_languages,
        ),
        tables=_number(options_pb2.TablePolicy, options.tables, "tables"),
        clauses=_number(options_pb2.ClauseProfile, options.clauses, "clauses"),
        chunking=write_chunking(options.chunking) if options.chunking != Chunking() else None,
        cache=_number(options_pb2.CachePolicy, options.cache, "cache"),
        limits=make(
            options_pb2.ParseLimits,
            pages=options.max_pages,
            time=seconds,
        ),
        headers_in_text=options.headers_in_text,
    )


def write_chunking(chunking: Chunking) -> options_pb2.Chunking:
    """Makes the contract's chunking."""
    if not isinstance(chunking, Chunking):
        raise wrong("chunking", chunking, "Chunking(…)")
    return make(
        options_pb2.Chunking,
        mode=_number(options_pb2.ChunkMode, chunking.mode, "mode"),
        unit=_number(options_pb2.ChunkUnit, chunking.unit, "unit"),
        size=chunking.size,
        overlap=chunking.overlap,
        tokenizer=chunking.tokenizer,
        boundary=_number(options_pb2.ChunkBoundary, chunking.boundary, "boundary"),
        separator=chunking.separator,
        prepend_headings=chunking.prepend_headings,
        parent_scope=_number(options_pb2.ParentScope, chunking.parent_scope, "parent_scope"),
        child_size=chunking.child_size,
        child_separator=chunking.child_separator,
        collapse_spaces=chunking.collapse_spaces,
        remove_urls_emails=chunking.remove_urls_emails,
    )


def _number(enum: Any, text: str, name: str) -> Any:
    return enum_number(enum.DESCRIPTOR, text, name)


def _pages(pages: object) -> options_pb2.PageRange:
    first, last = pages if isinstance(pages, tuple | list) and len(pages) == 2 else (pages, pages)
    if not isinstance(first, int) or not isinstance(last, int):
        raise wrong("pages", pages, "page numbers and pairs of them, as in pages=[1, (3, 5)]")
    return make(options_pb2.PageRange, first=first, last=last)


def loaded(source: Document) -> bytes | str:
    """Answers the bytes of a document, or the name or URL under which the server finds it; reads a path."""
    if isinstance(source, os.PathLike):
        return Path(source).read_bytes()
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    name = source.name if isinstance(source, File) else source
    if not isinstance(name, str):
        raise wrong("source", source, "bytes, a pathlib.Path, a stored File, its name files/… or a URL")
    if not name.startswith(("files/", "https://", "http://")):
        raise InvalidArgument(
            f"the source {name!r} is no files/… and no URL; give a path as pathlib.Path, text as bytes"
        )
    return name


def name_of(source: Document, name: str | None) -> str:
    """Answers the file name that goes with a document."""
    if name is None and isinstance(source, os.PathLike):
        return Path(source).name
    return name or (source.display_name if isinstance(source, File) else "")


def reference(found: bytes | str) -> dict[str, Any]:
    """Answers the field of a request that holds the document."""
    if isinstance(found, bytes):
        return {"content": found}
    return {"file": found} if found.startswith("files/") else {"url": found}


def streamed(found: bytes | str) -> bool:
    """Answers whether a document is too long for one message."""
    return isinstance(found, bytes) and len(found) > STREAM_ABOVE_BYTES


def parse_request(found: bytes | str, name: str, media_type: str, options: options_pb2.ParseOptions) -> pb.ParseRequest:
    """Asks for a document in one message."""
    return make(pb.ParseRequest, **reference(found), options=options, name=name, media_type=media_type)


def stream_requests(
    found: bytes | str, name: str, media_type: str, options: options_pb2.ParseOptions
) -> Iterator[pb.ParseStreamRequest]:
    """Asks for a document in many messages."""
    size, where = (len(found), {}) if isinstance(found, bytes) else (None, reference(found))
    spec = make(pb.ParseSpec, **where, options=options, name=name, media_type=media_type, size_bytes=size)
    yield make(pb.ParseStreamRequest, spec=spec)
    if isinstance(found, bytes):
        for offset in range(0, len(found), CHUNK_BYTES):
            yield pb.ParseStreamRequest(chunk=found[offset : offset + CHUNK_BYTES])


def read_part(answer: pb.ParseStreamResponse) -> ParsePart:
    """Answers one part of a stream as a value."""
    kind = answer.WhichOneof("part")
    if kind == "text":
        return TextPart(page=answer.text.page, text=answer.text.text)
    if kind == "markdown":
        return MarkdownPart(page=answer.markdown.page, text=answer.markdown.text)
    part: ParsePart = read(getattr(answer, str(kind)))
    return part


class Assembly:
    """Puts the parts of a stream together into what one message would have held."""

    def __init__(self) -> None:
        self._whole = pb.ParseResponse()
        self._ended = False
        self._texts: list[str] = []
        self._markdown: list[str] = []

    def add(self, answer: pb.ParseStreamResponse) -> None:
        """Takes the next part."""
        kind = answer.WhichOneof("part")
        if kind == "text":
            self._texts.append(answer.text.text)
        elif kind == "markdown":
            self._markdown.append(answer.markdown.text)
        elif kind == "summary":
            self._end(answer.summary)
        else:
            self._extend(kind, answer)

    def document(self) -> ParsedDocument:
        """Answers the document; DataLoss if the stream had no end."""
        if not self._ended:
            raise DataLoss("the stream of the parsed document ended without its summary", reason="STREAM_NOT_WHOLE")
        self._whole.text, self._whole.markdown = "".join(self._texts), "".join(self._markdown)
        document: ParsedDocument = read(self._whole)
        return document

    def _extend(self, kind: str | None, answer: pb.ParseStreamResponse) -> None:
        whole = self._whole
        if kind == "info":
            whole.info.CopyFrom(answer.info)
        elif kind == "page":
            whole.elements.extend(answer.page.elements)
        elif kind == "clauses":
            whole.clauses.extend(answer.clauses.clauses)
        elif kind == "chunks":
            whole.chunks.extend(answer.chunks.chunks)
        elif kind == "warning":
            whole.warnings.append(answer.warning)

    def _end(self, summary: pb.ParseSummary) -> None:
        self._ended = True
        if summary.HasField("usage"):
            self._whole.usage.CopyFrom(summary.usage)
        if summary.HasField("info"):
            self._whole.info.CopyFrom(summary.info)


def render_request(
    found: bytes | str,
    *,
    page: int,
    highlights: Iterable[Box],
    dpi: float | None,
    max_width_pixels: int,
    image_format: str,
    password: str,
    name: str,
) -> pb.RenderPageRequest:
    """Asks for the picture of one page."""
    return make(
        pb.RenderPageRequest,
        **reference(found),
        page=page,
        highlights=[make(pb.Highlight, box=_box(one)) for one in highlights],
        dpi=dpi,
        max_width_pixels=max_width_pixels,
        image_format=_number(pb.ImageFormat, image_format, "image_format"),
        password=password,
        name=name,
    )


def _box(box: Box) -> element_pb2.Box:
    return make(element_pb2.Box, page=box.page, left=box.left, top=box.top, right=box.right, bottom=box.bottom)


def split_request(text: str, *, text_format: str, chunking: Chunking, clauses: str) -> pb.SplitTextRequest:
    """Asks for chunks of a text."""
    return make(
        pb.SplitTextRequest,
        text=text,
        text_format=_number(pb.TextFormat, text_format, "text_format"),
        chunking=write_chunking(chunking),
        clauses=_number(options_pb2.ClauseProfile, clauses, "clauses"),
    )
