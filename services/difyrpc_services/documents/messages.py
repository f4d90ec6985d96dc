"""Contract ↔ values, nothing else."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any, Final, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from difyrpc.documents.v1 import documents_pb2 as pb
from difyrpc.documents.v1 import element_pb2 as elements_pb
from difyrpc.documents.v1 import options_pb2 as options_pb
from difyrpc_services.documents.chunking import SIZE, Boundary, Chunk, Chunking, Mode
from difyrpc_services.documents.core import bad_option
from difyrpc_services.documents.elements import Box, Clause, Element, Table
from difyrpc_services.documents.formats import FORMATS
from difyrpc_services.documents.formats.reading import Notice, Tables
from difyrpc_services.documents.values import (
    DEFAULT_OUTPUTS,
    ChunkPart,
    ClausePart,
    ClauseProfile,
    Highlight,
    Info,
    Limits,
    OcrPolicy,
    Output,
    PagePart,
    Parsed,
    ParseOptions,
    Part,
    Progress,
    RenderTask,
    SplitTask,
    Summary,
    TextPart,
    Usage,
)
from difyrpc_services.runtime.errors import FailedPrecondition, Unimplemented

PARSER_VERSION: Final = "1"  # raised whenever the same bytes and options give another answer
YELLOW: Final = 0xFFE94B99  # documents.proto, Highlight.color

_OUTPUTS: Final[dict[int, Output]] = {
    options_pb.OUTPUT_TEXT: "text",
    options_pb.OUTPUT_MARKDOWN: "markdown",
    options_pb.OUTPUT_ELEMENTS: "elements",
    options_pb.OUTPUT_CLAUSES: "clauses",
    options_pb.OUTPUT_CHUNKS: "chunks",
}
_OCR: Final[dict[int, OcrPolicy]] = {
    options_pb.OCR_POLICY_UNSPECIFIED: "default",
    options_pb.OCR_POLICY_NEVER: "never",
    options_pb.OCR_POLICY_AUTO: "auto",
    options_pb.OCR_POLICY_ALWAYS: "always",
}
_TABLES: Final[dict[int, Tables]] = {
    options_pb.TABLE_POLICY_UNSPECIFIED: "aligned",
    options_pb.TABLE_POLICY_NONE: "none",
    options_pb.TABLE_POLICY_RULED: "ruled",
    options_pb.TABLE_POLICY_ALIGNED: "aligned",
}
_CLAUSES: Final[dict[int, ClauseProfile]] = {
    options_pb.CLAUSE_PROFILE_UNSPECIFIED: "auto",
    options_pb.CLAUSE_PROFILE_AUTO: "auto",
    options_pb.CLAUSE_PROFILE_ZH: "zh",
    options_pb.CLAUSE_PROFILE_EN: "en",
    options_pb.CLAUSE_PROFILE_NONE: "none",
}
_MODES: Final[dict[int, Mode]] = {
    options_pb.CHUNK_MODE_UNSPECIFIED: "general",
    options_pb.CHUNK_MODE_GENERAL: "general",
    options_pb.CHUNK_MODE_PARENT_CHILD: "parent_child",
}
_BOUNDARIES: Final[dict[int, Boundary]] = {
    options_pb.CHUNK_BOUNDARY_UNSPECIFIED: "structure",
    options_pb.CHUNK_BOUNDARY_STRUCTURE: "structure",
    options_pb.CHUNK_BOUNDARY_CLAUSES: "clauses",
    options_pb.CHUNK_BOUNDARY_PAGES: "pages",
    options_pb.CHUNK_BOUNDARY_SEPARATOR: "separator",
}
_SCOPES: Final[dict[int, bool]] = {
    options_pb.PARENT_SCOPE_UNSPECIFIED: False,
    options_pb.PARENT_SCOPE_PARAGRAPHS: False,
    options_pb.PARENT_SCOPE_DOCUMENT: True,
}
_CACHE: Final = frozenset(options_pb.CachePolicy.values())

Value = TypeVar("Value")


def options_of(message: options_pb.ParseOptions) -> ParseOptions:
    """Reads options; BAD_OPTION for an unknown enum value, errors for what this build does not have."""
    if message.limits.memory_bytes:
        raise Unimplemented("LIMIT_NOT_SETTABLE", "the memory of workers cannot be set by a call")
    if message.cache not in _CACHE:
        raise bad_option("options.cache", "the value is not known")
    outputs = tuple(_known(_OUTPUTS, number, "options.outputs") for number in message.outputs)
    return ParseOptions(
        outputs=outputs or DEFAULT_OUTPUTS,
        pages=tuple((range_.first, range_.last) for range_ in message.pages),
        password=message.password,
        ocr=_known(_OCR, message.ocr.policy, "options.ocr.policy"),
        tables=_known(_TABLES, message.tables, "options.tables"),
        clauses=_known(_CLAUSES, message.clauses, "options.clauses"),
        chunking=chunking_of(message.chunking, "options.chunking"),
        running=message.headers_in_text,
        limits=_limits_of(message.limits),
    )


def _limits_of(message: options_pb.ParseLimits) -> Limits:
    seconds = message.time.seconds + message.time.nanos / 1e9
    if message.content_bytes < 0 or message.expanded_bytes < 0 or seconds < 0:
        raise bad_option("options.limits", "limits are not negative")
    return Limits(
        content_bytes=message.content_bytes,
        pages=message.pages,
        seconds=seconds,
        expanded_bytes=message.expanded_bytes,
    )


def chunking_of(message: options_pb.Chunking, field: str) -> Chunking:
    """Reads how chunks are cut; errors for modes and tokenizers that this build does not have."""
    if message.mode == options_pb.CHUNK_MODE_QA:
        raise Unimplemented("CHUNK_MODE_NOT_AVAILABLE", "chunks of questions and answers are not made here")
    if message.tokenizer or message.unit == options_pb.CHUNK_UNIT_TOKENS:
        raise FailedPrecondition(
            "TOKENIZER_NOT_INSTALLED",
            "the tokenizer {tokenizer} is not installed here",
            field=f"{field}.tokenizer",
            tokenizer=message.tokenizer or "(none named)",
        )
    _known({options_pb.CHUNK_UNIT_UNSPECIFIED: 0, options_pb.CHUNK_UNIT_CHARACTERS: 0}, message.unit, f"{field}.unit")
    size = message.size if message.HasField("size") else SIZE
    return Chunking(
        mode=_known(_MODES, message.mode, f"{field}.mode"),
        size=size,
        overlap=message.overlap,
        boundary=_known(_BOUNDARIES, message.boundary, f"{field}.boundary"),
        separator=message.separator.replace("\\n", "\n"),
        prepend_headings=message.prepend_headings,
        whole_document=_known(_SCOPES, message.parent_scope, f"{field}.parent_scope"),
        child_size=message.child_size if message.HasField("child_size") else max(5, size // 5),
        collapse_spaces=message.collapse_spaces,
        remove_contacts=message.remove_urls_emails,
    )


def _known(table: dict[int, Value], number: int, field: str) -> Value:
    if number not in table:
        raise bad_option(field, "the value is not known")
    return table[number]


def render_task_of(message: pb.RenderPageRequest) -> RenderTask:
    """Reads what is to be rendered; IMAGE_FORMAT_NOT_AVAILABLE."""
    if message.image_format == pb.IMAGE_FORMAT_WEBP:
        raise Unimplemented("IMAGE_FORMAT_NOT_AVAILABLE", "pictures are PNG here")
    if message.image_format not in (pb.IMAGE_FORMAT_UNSPECIFIED, pb.IMAGE_FORMAT_PNG):
        raise bad_option("image_format", "the value is not known")
    page = message.page or 1
    return RenderTask(
        name=message.name,
        page=page,
        dpi=message.dpi if message.HasField("dpi") else 144.0,
        max_width=message.max_width_pixels,
        highlights=tuple(_highlight(one) for one in message.highlights if one.box.page == page),
        password=message.password,
    )


def _highlight(message: pb.Highlight) -> Highlight:
    box = message.box
    return Highlight(left=box.left, top=box.top, right=box.right, bottom=box.bottom, color=message.color or YELLOW)


def split_task_of(message: pb.SplitTextRequest) -> SplitTask:
    """Reads how a text is to be cut."""
    if message.text_format not in pb.TextFormat.values():
        raise bad_option("text_format", "the value is not known")
    return SplitTask(
        markdown=message.text_format == pb.TEXT_FORMAT_MARKDOWN,
        clauses=_known(_CLAUSES, message.clauses, "clauses"),
        chunking=chunking_of(message.chunking, "chunking"),
    )


def parsed_message(parsed: Parsed) -> pb.ParseResponse:
    """Answers a whole document."""
    return pb.ParseResponse(
        info=info_message(parsed.info),
        text=_text(parsed.text),
        markdown=_text(parsed.markdown),
        elements=map(element_message, parsed.elements),
        clauses=map(clause_message, parsed.clauses),
        chunks=map(chunk_message, parsed.chunks),
        warnings=map(warning_message, parsed.notices),
        usage=usage_message(parsed.usage),
    )


def part_message(part: Part | Summary) -> pb.ParseStreamResponse:
    """Answers one part of a stream."""
    match part:
        case Info():
            return pb.ParseStreamResponse(info=info_message(part))
        case PagePart():
            page = pb.PageElements(page=part.page, elements=map(element_message, part.elements))
            return pb.ParseStreamResponse(page=page)
        case TextPart(markdown=True):
            return pb.ParseStreamResponse(markdown=pb.TextPart(page=part.page, text=_text(part.text)))
        case TextPart():
            return pb.ParseStreamResponse(text=pb.TextPart(page=part.page, text=_text(part.text)))
        case ClausePart():
            return pb.ParseStreamResponse(clauses=pb.ClausePart(clauses=map(clause_message, part.clauses)))
        case ChunkPart():
            return pb.ParseStreamResponse(chunks=pb.ChunkPart(chunks=map(chunk_message, part.chunks)))
        case Progress():
            return pb.ParseStreamResponse(progress=pb.ParseProgress(pages_done=part.done, pages_total=part.total))
        case Notice():
            return pb.ParseStreamResponse(warning=warning_message(part))
        case Summary():
            return pb.ParseStreamResponse(summary=_summary(part))
    raise TypeError(f"{type(part).__name__} is no part of a stream")


def _summary(summary: Summary) -> pb.ParseSummary:
    return pb.ParseSummary(
        usage=usage_message(summary.usage),
        elements=summary.elements,
        clauses=summary.clauses,
        chunks=summary.chunks,
        warnings=summary.notices,
        info=info_message(summary.info),
    )


def info_message(info: Info) -> elements_pb.DocumentInfo:
    """Answers what is known of a document."""
    message = elements_pb.DocumentInfo(
        format=info.format,
        media_type=FORMATS[info.format].media_types[0] if info.format in FORMATS else "",
        page_count=info.page_count,
        content_bytes=info.content_bytes,
        sha256=info.sha256,
        language=info.language,
        title=_text(info.metadata.get("title", "")),
        author=_text(info.metadata.get("author", "")),
        create_time=_time(info.metadata.get("created", "")),
        update_time=_time(info.metadata.get("modified", "")),
        encrypted=info.encrypted,
        parser_version=PARSER_VERSION,
    )
    for name, text in info.metadata.items():
        if name not in ("title", "author", "created", "modified"):
            message.metadata[_text(name)].string_value = _text(text)
    return message


def _time(text: str) -> Timestamp | None:
    """Answers the time that a file states; None for none, or for one that no calendar has."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    message = Timestamp()
    try:
        message.FromDatetime(moment)
    except (ValueError, OverflowError):
        return None
    return message


def element_message(element: Element) -> elements_pb.Element:
    """Answers one element."""
    return elements_pb.Element(
        id=element.id,
        kind=elements_pb.ElementKind.Value(f"ELEMENT_KIND_{element.kind.upper()}"),
        text=_text(element.written),
        page=element.page,
        boxes=map(box_message, element.boxes),
        level=element.level,
        heading_path=map(_text, element.heading_path),
        table=None if element.table is None else _table(element.table),
        source=elements_pb.TextSource.Value(f"TEXT_SOURCE_{element.source.upper()}"),
        confidence=element.confidence,
        number=element.number,
        contents_entry=element.contents_entry,
        code_language=_text(element.style) if element.kind == "code" else "",
        style="" if element.kind == "code" else _text(element.style),
    )


def box_message(box: Box) -> elements_pb.Box:
    """Answers one box."""
    return elements_pb.Box(page=box.page, left=box.left, top=box.top, right=box.right, bottom=box.bottom)


def _table(table: Table) -> elements_pb.Table:
    cells = (
        elements_pb.Cell(
            row=cell.row,
            column=cell.column,
            row_span=cell.row_span,
            column_span=cell.column_span,
            text=_text(cell.text),
            header=cell.header,
        )
        for cell in table.cells
    )
    return elements_pb.Table(cells=cells, rows=table.rows, columns=table.columns, header_rows=table.header_rows)


def clause_message(clause: Clause) -> elements_pb.Clause:
    """Answers one clause."""
    return elements_pb.Clause(
        id=clause.id,
        kind=elements_pb.ClauseKind.Value(f"CLAUSE_KIND_{clause.kind.upper()}"),
        number=_text(clause.number),
        normal_number=clause.normal_number,
        title=_text(clause.title),
        text=_text(clause.text),
        parent_id=clause.parent_id,
        pages=clause.pages,
        boxes=map(box_message, clause.boxes),
        element_ids=clause.element_ids,
    )


def chunk_message(chunk: Chunk) -> elements_pb.Chunk:
    """Answers one chunk."""
    text = _text(chunk.text)
    return elements_pb.Chunk(
        id=chunk.id,
        text=text,
        characters=len(text),
        heading_path=map(_text, chunk.heading_path),
        pages=chunk.pages,
        element_ids=chunk.element_ids,
        clause_ids=chunk.clause_ids,
        parent_id=chunk.parent_id,
    )


def warning_message(notice: Notice) -> elements_pb.Warning:
    """Answers one warning."""
    return elements_pb.Warning(reason=notice.reason, message=notice.message, page=notice.page)


def usage_message(usage: Usage) -> pb.ParseUsage:
    """Answers what a call cost."""
    return pb.ParseUsage(
        time=_duration(usage.seconds),
        waiting_time=_duration(usage.waiting_seconds),
        cpu_time=_duration(usage.cpu_seconds),
        pages=usage.pages,
    )


def formats_message(limits: Limits, *, memory_bytes: int, message_bytes: int) -> pb.ListFormatsResponse:
    """Answers what can be read."""
    return pb.ListFormatsResponse(
        formats=(
            pb.Format(
                name=format_.name,
                media_types=format_.media_types,
                extensions=format_.extensions,
                paged=format_.paged,
                boxes=format_.boxes,
                renderable=format_.renderable,
            )
            for format_ in FORMATS.values()
        ),
        limits=options_pb.ParseLimits(
            content_bytes=limits.content_bytes,
            pages=limits.pages,
            time=_duration(limits.seconds),
            expanded_bytes=limits.expanded_bytes,
            memory_bytes=memory_bytes,
        ),
        chunk_modes=_stated(_MODES),
        chunk_boundaries=_stated(_BOUNDARIES),
        image_formats=[pb.IMAGE_FORMAT_PNG],
        message_bytes=message_bytes,
        parser_version=PARSER_VERSION,
    )


def _stated(table: dict[int, Value]) -> Iterable[Any]:
    return (number for number in table if number)


def _duration(seconds: float) -> Duration:
    message = Duration()
    message.FromNanoseconds(round(seconds * 1e9))
    return message


def _text(text: str) -> str:
    """Answers text that UTF-8 can hold: halves of surrogate pairs, which broken files have, are replaced."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")
    return text
